//! `service.<name>.power` as written: which model turns the batch of a replica into watts. Each form is a struct that is its own
//! section, and a scenario that leaves values out gets those fitted to its deployment.

use crate::units::{Ratio, Watts};
use schemars::JsonSchema;
use serde::Deserialize;

/// `power = { logistic = {} }`: watts of one GPU of a replica by its decoding sequences.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PowerSection {
    /// The logistic curve fitted to this deployment, else the two-term roofline.
    Measured {},
    /// The catalog's measured points of this deployment, straight in log2 of the batch between them.
    Table {},
    /// `low + (high - low) / (1 + exp(-(log2 B - mid) / width))`.
    Logistic(Logistic),
    /// `p0 + (p1 + p2 B) / t` for steps of `t` ms.
    StepTime(StepTime),
    /// Two terms, arithmetic and memory: `resident + (TDP - resident) min(1, MFU / s + k MBU)^g`.
    Roofline(RooflineTerms),
    /// Your own points, straight between them.
    Piecewise(Piecewise),
    /// `low + (high - low) u` at utilisation u = B / max_batch.
    Linear(Range),
    /// `low + (high - low) sqrt(u)`.
    SquareRoot(Range),
    /// `low + (high - low) u^3`.
    Cubic(Range),
}

impl Default for PowerSection {
    fn default() -> PowerSection {
        PowerSection::Measured {}
    }
}

/// What a logistic curve takes; what is left out comes from the catalog's row of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Logistic {
    /// Small batches.
    pub low: Option<Watts>,
    /// Large batches.
    pub high: Option<Watts>,
    /// Binary logarithm of the batch in the middle.
    pub mid: Option<Ratio>,
    /// Steepness, in binary logarithms of the batch.
    pub width: Option<Ratio>,
}

/// What the form by step time takes; what is left out comes from the catalog's row of the deployment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepTime {
    /// Watts at all times.
    pub p0: Option<Watts>,
    /// Energy of a step, in watt-milliseconds.
    pub p1_w_ms: Option<f64>,
    /// And of each sequence in it, in watt-milliseconds.
    pub p2_w_ms: Option<f64>,
}

/// What the roofline takes; what is left out comes from the catalog's row of the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RooflineTerms {
    /// MFU that alone draws the thermal design power.
    pub s: Option<Ratio>,
    /// Weight of memory-bandwidth utilisation.
    pub k: Option<Ratio>,
    /// Curvature.
    pub g: Option<Ratio>,
}

/// `piecewise = { points = [{ batch = 1, power = "430 W" }, { batch = 256, power = "600 W" }] }`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Piecewise {
    /// At least one, the smallest batch first; outside, the nearest holds on.
    pub points: Vec<Point>,
}

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Decoding sequences.
    pub batch: u32,
    /// What one GPU draws.
    pub power: Watts,
}

/// Between an empty and a full batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Range {
    /// At an empty batch; unset, with a resident model.
    pub low: Option<Watts>,
    /// At a full batch; unset, in prefill.
    pub high: Option<Watts>,
}

/// Watts by batch through `points`, straight on the scale that `straight` makes; outside, the nearest holds on.
#[must_use]
pub fn between(points: &[(u32, f64)], batch: u32, straight: fn(f64) -> f64) -> Watts {
    let at = points.partition_point(|&(known, _)| known <= batch);
    let watts = match (at.checked_sub(1).map(|below| points[below]), points.get(at)) {
        (Some((from, low)), Some(&(to, high))) => {
            let (from, to) = (straight(f64::from(from)), straight(f64::from(to)));
            low + (high - low) * (straight(f64::from(batch)) - from) / (to - from)
        }
        (Some((_, only)), None) => only,
        (None, Some(&(_, only))) => only,
        (None, None) => 0.0,
    };
    Watts::from_f64(watts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_joined_by_straight_lines() {
        let points = [(8, 441.0), (64, 500.0), (128, 546.0)];
        let cases = [(1, 441.0), (8, 441.0), (36, 470.5), (64, 500.0), (96, 523.0), (128, 546.0), (999, 546.0)];
        for (batch, watts) in cases {
            assert_eq!(between(&points, batch, |batch| batch), Watts::from_f64(watts), "batch {batch}");
        }
        // Half-way between 8 and 128 in log2 is 32.
        let wide = [(8, 400.0), (128, 500.0)];
        assert_eq!(between(&wide, 32, libm::log2), Watts::new(450));
    }
}
