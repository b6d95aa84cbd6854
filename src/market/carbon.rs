//! What a kilowatt-hour of a grid emits in each hour of the run.

use super::Given;
use crate::catalog::{GridSheet, Profile};
use crate::units::GramsPerKwh;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Direct and upstream intensity of each hour.
pub(super) fn compile(
    start: Timestamp,
    hours: usize,
    grid: &GridSheet,
    given: &Given,
) -> (Vec<GramsPerKwh>, Vec<GramsPerKwh>) {
    match grid {
        GridSheet::Flat(direct) => (vec![*direct], vec![GramsPerKwh::default()]),
        GridSheet::Constant(grid) => (vec![grid.direct], vec![grid.upstream]),
        GridSheet::Monthly(profile) => by_hour(start, hours.max(1), profile),
        GridSheet::Series(_) => {
            assert!(!given.direct.is_empty(), "a series of intensities was read before it is compiled");
            let direct: Vec<GramsPerKwh> = given.direct.iter().map(|&value| intensity(value)).collect();
            let upstream = given.lca.iter().zip(&given.direct).map(|(lca, direct)| intensity(lca - direct));
            let upstream: Vec<GramsPerKwh> = upstream.collect();
            (direct, if upstream.is_empty() { vec![GramsPerKwh::default()] } else { upstream })
        }
    }
}

/// What is wrong with the intensities of a file, all that it has: an hour below zero, an hour whose life cycle emits less than
/// its stacks, or a mean that no grid has. Grids lie between 20 and 900 g/kWh; a mean outside 1 to 2,000 is another unit.
#[must_use]
pub fn implausible_carbon(direct: &[f64], lca: &[f64]) -> Option<String> {
    if let Some(value) = direct.iter().chain(lca).find(|&&value| value < 0.0) {
        return Some(format!("has an intensity of {value} g/kWh: no grid takes CO2 out of the air"));
    }
    if let Some((direct, lca)) = direct.iter().zip(lca).find(|(direct, lca)| lca < direct) {
        return Some(format!("has an hour of {lca} g/kWh in `lca` and {direct} in `direct`, which is part of it"));
    }
    let mean = direct.iter().sum::<f64>() / direct.len() as f64;
    let why = if mean < 1.0 { "are these kilograms?" } else { "are these grams for each megawatt-hour?" };
    (!(1.0..=2_000.0).contains(&mean))
        .then(|| format!("has a mean of {mean:.3} g/kWh, outside the 1 to 2000 that grids have: {why}"))
}

/// Marginal intensities of a site from a file: what one kilowatt-hour more in that hour makes the grid emit, by month, class of
/// day and hour (UTC). For questions of the kind "what if this load moved"; attribution counts with the grid's mean.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarginalSeries {
    /// Comma-separated hourly file, first column `utc`; the path starts from the scenario's folder.
    pub path: String,
    /// Column of the marginal intensity, in g/kWh.
    pub column: String,
}

/// Direct and upstream intensity of each hour from `start`.
fn by_hour(start: Timestamp, hours: usize, profile: &Profile) -> (Vec<GramsPerKwh>, Vec<GramsPerKwh>) {
    let intensity = |hour: usize| {
        let at = start + SignedDuration::from_hours(hour as i64);
        let at = at.to_zoned(TimeZone::UTC);
        let (month, hour) = (at.month() as usize - 1, at.hour() as usize);
        let (direct, lca) = (profile.direct[month][hour], profile.lca[month][hour]);
        (grams(direct), grams(lca.saturating_sub(direct)))
    };
    (0..hours).map(intensity).unzip()
}

pub(super) fn grams(grams: u16) -> GramsPerKwh {
    GramsPerKwh::from_micro(u64::from(grams) * 1_000_000)
}

pub(super) fn intensity(grams: f64) -> GramsPerKwh {
    GramsPerKwh::from_micro((grams * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_unit_is_noticed() {
        assert_eq!(implausible_carbon(&[380.0, 0.0], &[447.0, 40.0]), None);
        for (direct, lca, why) in [
            (&[0.38, 0.42][..], &[][..], "are these kilograms?"),
            (&[380_000.0], &[], "are these grams for each megawatt-hour?"),
            (&[380.0], &[370.0], "`direct`, which is part of it"),
            (&[380.0, -1.0], &[], "takes CO2 out of the air"),
        ] {
            assert!(implausible_carbon(direct, lca).is_some_and(|said| said.contains(why)), "{direct:?} {lca:?}");
        }
    }
}
