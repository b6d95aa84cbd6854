//! What would shift the crossings of the [comparison](super::Comparison): the research behind the road, the drives' grid, their
//! traffic, and how full their replicas run.
//!
//! Two of these are exact re-scalings of the run at hand. A research multiplier m moves the threshold to m x training. A grid
//! that emits f times as much for each kilowatt-hour of the drives makes their location-based carbon f times as much in every
//! hour, so that they reach the road where they now reach 1/f of it. Traffic and utilisation are not: batches, latencies and
//! the autoscaler answer to them, so that each of their values is a run of its own (`[comparison]` in the scenario).

use super::accounts::Boundary;
use super::comparison::{Axis, Comparison, Crossing, Row};

/// Research multipliers that are looked at. 1: the final run alone; 1.5: the default; Epoch AI puts development above the
/// final run (Cottier et al. 2024, arXiv:2405.21015).
const RESEARCH: [f64; 4] = [1.0, 1.5, 2.0, 3.0];

/// Carbon of the drives' grid over what it is. Grids lie between 27 (BPAT) and 493 g/kWh (MISO): a half and a double are near.
const GRID: [f64; 2] = [0.5, 2.0];

/// What is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Factor {
    /// The research multiplier of all jobs is the value.
    Research,
    /// The drives' grid emits so many times as much; the road's stays.
    Grid,
    /// So many times the requests.
    Traffic,
    /// Replicas run so many times as full.
    Utilisation,
}

impl Factor {
    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Factor::Research => "research_multiplier",
            Factor::Grid => "inference_grid",
            Factor::Traffic => "traffic",
            Factor::Utilisation => "utilisation",
        }
    }

    /// How a crossing under it is found: `rescaled` from the run at hand, exactly, or `rerun`.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Factor::Research | Factor::Grid => "rescaled",
            Factor::Traffic | Factor::Utilisation => "rerun",
        }
    }
}

/// Where a crossing would be if something were otherwise: one row of `sensitivity.csv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// What is otherwise.
    pub factor: Factor,
    /// How much; what this means depends on the factor.
    pub value: f64,
    /// Inside which boundary.
    pub boundary: Boundary,
    /// On which axis.
    pub axis: Axis,
    /// When inference would have overtaken training; none where never within the horizon.
    pub crossing: Option<Crossing>,
}

impl Shift {
    /// Names of the columns of `sensitivity.csv`.
    pub const COLUMNS: [&'static str; 9] = [
        "factor",
        "value",
        "method",
        "boundary",
        "axis",
        "crossover_day",
        "crossover_requests",
        "crossover_tokens",
        "crossover_days_open",
    ];

    /// Its names, in the order of the columns without `value`.
    #[must_use]
    pub fn names(&self) -> [&'static str; 4] {
        [self.factor.name(), self.factor.method(), self.boundary.name(), self.axis.name()]
    }

    /// The last four columns.
    #[must_use]
    pub fn values(&self) -> [Option<f64>; 4] {
        let part = |part: fn(Crossing) -> f64| self.crossing.map(part);
        [
            part(|crossing| crossing.day),
            part(|crossing| crossing.requests),
            part(|crossing| crossing.tokens),
            part(|crossing| crossing.days_open),
        ]
    }
}

/// The exact re-scalings of `row`; `reaches` finds where the drives reach a threshold.
pub(super) fn rescaled(row: &Row, reaches: impl Fn(f64) -> Option<Crossing>) -> Vec<Shift> {
    let shift = |factor, value: f64, threshold: f64| Shift {
        factor,
        value,
        boundary: row.boundary,
        axis: row.axis,
        crossing: reaches(threshold),
    };
    let mut shifts: Vec<Shift> =
        RESEARCH.iter().map(|&value| shift(Factor::Research, value, value * row.training)).collect();
    if row.axis == Axis::Kgco2e {
        shifts.extend(GRID.iter().map(|&value| shift(Factor::Grid, value, row.threshold / value)));
    }
    shifts
}

/// The crossings of a run of its own, in which `factor` had `value`.
pub fn rerun(factor: Factor, value: f64, comparison: &Comparison) -> impl Iterator<Item = Shift> {
    let shift =
        move |row: &Row| Shift { factor, value, boundary: row.boundary, axis: row.axis, crossing: row.crossing };
    comparison.rows().iter().map(shift)
}
