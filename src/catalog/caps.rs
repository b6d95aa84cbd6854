//! How accelerators answer a power cap: time and energy of the work against the cap, as measured.

use super::Entry;
use crate::units::{Ratio, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One table of measured answers.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapSheet {
    /// The lowest cap first; without a cap, all factors are 1. No cap may lie below the first.
    pub points: Cow<'static, [CapPoint]>,
}

/// One cap.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapPoint {
    /// The cap over the thermal design power.
    pub cap: Share,
    /// Time of prefill and training over that without a cap.
    pub time: Ratio,
    /// Energy of prefill and training over that without a cap.
    pub energy: Ratio,
    /// Time of decode over that without a cap; unset, it does not feel it.
    #[serde(default = "unfelt")]
    pub decode: Ratio,
}

fn unfelt() -> Ratio {
    Ratio::new(1.0)
}

/// Factors under a cap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapFactors {
    /// Time of prefill and training.
    pub time: f64,
    /// Energy of prefill and training.
    pub energy: f64,
    /// Time of decode.
    pub decode: f64,
}

impl CapSheet {
    /// The factors at `cap`, straight between points; below the first, the first's.
    #[must_use]
    pub fn at(&self, cap: f64) -> CapFactors {
        let uncapped = (1.0, CapFactors { time: 1.0, energy: 1.0, decode: 1.0 });
        let known = self.points.iter().map(|point| {
            let (time, energy, decode) = (point.time.as_f64(), point.energy.as_f64(), point.decode.as_f64());
            (point.cap.as_f64(), CapFactors { time, energy, decode })
        });
        let mut below: Option<(f64, CapFactors)> = None;
        for (share, factors) in known.chain([uncapped]) {
            if share >= cap {
                let Some((from, low)) = below.filter(|_| share > cap) else { return factors };
                let part = (cap - from) / (share - from);
                let mix = |low: f64, high: f64| low + (high - low) * part;
                return CapFactors {
                    time: mix(low.time, factors.time),
                    energy: mix(low.energy, factors.energy),
                    decode: mix(low.decode, factors.decode),
                };
            }
            below = Some((share, factors));
        }
        uncapped.1
    }

    /// The lowest cap that was measured.
    #[must_use]
    pub fn lowest(&self) -> f64 {
        self.points.first().map_or(1.0, |point| point.cap.as_f64())
    }
}

const fn point(cap: f64, time: f64, energy: f64, decode: f64) -> CapPoint {
    CapPoint { cap: Share::new(cap), time: Ratio::new(time), energy: Ratio::new(energy), decode: Ratio::new(decode) }
}

const fn table(name: &'static str, points: &'static [CapPoint], source: &'static str) -> Entry<CapSheet> {
    Entry { name, sheet: CapSheet { points: Cow::Borrowed(points) }, source }
}

/// All tables of the catalog. Decode does not feel a cap down to half of the design power (Splitwise, arXiv:2311.18677: 700 to
/// 350 W, "almost no latency impact"); below, it is assumed to slow as fast as the rest does from there.
pub static CAPS: &[Entry<CapSheet>] = &[
    table(
        "zeus-median",
        // Zeus summary_power_v100.csv, our medians: limits of 100 to 225 W on a V100 of 250 W.
        &[
            point(0.4, 1.380, 0.836, 1.176),
            point(0.5, 1.173, 0.796, 1.0),
            point(0.6, 1.112, 0.806, 1.0),
            point(0.7, 1.063, 0.845, 1.0),
            point(0.8, 1.037, 0.897, 1.0),
            point(0.9, 1.013, 0.954, 1.0),
        ],
        "our medians over the configurations of Zeus summary_power_v100.csv (Apache-2.0); decode: arXiv:2311.18677",
    ),
    table(
        "zeus-bert",
        // The same table, BERT-base.
        &[
            point(0.4, 1.88, 0.84, 1.297),
            point(0.5, 1.45, 0.79, 1.0),
            point(0.6, 1.21, 0.79, 1.0),
            point(0.7, 1.12, 0.84, 1.0),
            point(0.8, 1.07, 0.89, 1.0),
            point(0.9, 1.02, 0.95, 1.0),
        ],
        "BERT-base in Zeus summary_power_v100.csv (Apache-2.0); decode: arXiv:2311.18677",
    ),
    table(
        "mcdonald",
        // McDonald et al., "Great Power, Great Responsibility: Recommendations for Reducing Energy for Training Language Models", Findings
        // of NAACL 2022, pages 1962 to 1970 (arXiv:2205.09646), as others quote its table: 250 to 200, 150 and 100 W on a V100.
        &[point(0.4, 2.14, 0.89, 1.744), point(0.6, 1.227, 0.758, 1.0), point(0.8, 1.082, 0.88, 1.0)],
        "McDonald et al., BERT training on V100, as quoted; decode: arXiv:2311.18677",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::find;

    #[test]
    fn the_tables_give_their_points_and_straight_lines_between() {
        // (cap, time, energy, decode), from the same file.
        let median = find(CAPS, "zeus-median").unwrap();
        for (cap, time, energy, decode) in [
            (0.4, 1.380, 0.836, 1.176),
            (0.5, 1.173, 0.796, 1.0),
            (0.6, 1.112, 0.806, 1.0),
            (0.7, 1.063, 0.845, 1.0),
            (0.8, 1.037, 0.897, 1.0),
            (0.9, 1.013, 0.954, 1.0),
            (1.0, 1.0, 1.0, 1.0),
            (0.95, 1.0065, 0.977, 1.0),
            (0.45, 1.2765, 0.816, 1.088),
            (0.1, 1.380, 0.836, 1.176),
        ] {
            let CapFactors { time: t, energy: e, decode: d } = median.at(cap);
            let off = (t - time).abs().max((e - energy).abs()).max((d - decode).abs());
            assert!(off < 1e-9, "{cap}: {t} {e} {d}");
        }
        // Samsi et al. 2023, 250 to 175 W: +6.7 % time; POLCA, a fifth less peak power: at most 7 % (inference), about 10 % (training).
        assert!((median.at(0.7).time - 1.067).abs() < 0.005);
        let bert = find(CAPS, "zeus-bert").unwrap().at(0.74);
        assert!((bert.energy / bert.time - 0.8).abs() < 0.03 && (bert.time - 1.10).abs() < 0.01, "{bert:?}");
    }
}
