//! The road against the drives: what training took, what inference took, and when the second overtook the first. Training
//! counts everything its jobs held and drew - failed work, repairs, spares and idle - and inference everything its services
//! did, inside the same boundary. The crossing is read from the cumulative series, linear inside a bin.

use super::accounts::{Accounts, Boundary, Sum, Sums};
use super::{Count, Facts};
use crate::units::SimTime;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Axis {
    /// Accelerator time.
    GpuHours,
    /// Energy.
    Kwh,
    /// Money: holding and energy.
    Usd,
    /// Location-based stack CO2, by the hour.
    Kgco2e,
    /// Water: on site and off site.
    Litres,
}

impl Axis {
    /// All of them, in the order of `comparison.csv`.
    pub const ALL: [Axis; 5] = [Axis::GpuHours, Axis::Kwh, Axis::Usd, Axis::Kgco2e, Axis::Litres];

    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Axis::GpuHours => "gpu_hours",
            Axis::Kwh => "kwh",
            Axis::Usd => "usd",
            Axis::Kgco2e => "kgco2e",
            Axis::Litres => "l",
        }
    }

    /// The axis's value of a sum, in its unit.
    #[must_use]
    pub fn of(self, sum: &Sum) -> f64 {
        match self {
            Axis::GpuHours => sum.time.gpu_hours(),
            Axis::Kwh => sum.energy.kwh(),
            Axis::Usd => sum.cost.as_f64(),
            Axis::Kgco2e => sum.carbon.kg(),
            Axis::Litres => (sum.water + sum.water_offsite).as_f64(),
        }
    }
}

/// The moment at which cumulative inference reached training times the research multiplier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crossing {
    /// When.
    pub at: SimTime,
    /// Days of 24 hours since the run began.
    pub day: f64,
    /// Days of 24 hours since the first service opened.
    pub days_open: f64,
    /// Requests completed by then.
    pub requests: f64,
    /// Output tokens by then.
    pub tokens: f64,
}

/// One row of `comparison.csv`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Inside which boundary.
    pub boundary: Boundary,
    /// What is compared.
    pub axis: Axis,
    /// All training jobs, without their research multipliers.
    pub training: f64,
    /// All training jobs, each times its research multiplier: what inference has to reach.
    pub threshold: f64,
    /// All services.
    pub inference: f64,
    /// Inference over training; none without training.
    pub ratio: Option<f64>,
    /// Inference for each completed request.
    pub per_request: Option<f64>,
    /// Inference for 1,000 output tokens.
    pub per_1k_tokens: Option<f64>,
    /// When inference overtook training; none where it never did within the horizon.
    pub crossing: Option<Crossing>,
}

impl Row {
    /// Names of the columns of `comparison.csv`.
    pub const COLUMNS: [&'static str; 11] = [
        "boundary",
        "axis",
        "training",
        "inference",
        "ratio",
        "per_request",
        "per_1k_tokens",
        "crossover_day",
        "crossover_requests",
        "crossover_tokens",
        "crossover_days_open",
    ];

    /// Its figures, in the order of the columns after the first two.
    #[must_use]
    pub fn values(&self) -> [Option<f64>; 9] {
        let crossing = |part: fn(Crossing) -> f64| self.crossing.map(part);
        [
            Some(self.training),
            Some(self.inference),
            self.ratio,
            self.per_request,
            self.per_1k_tokens,
            crossing(|crossing| crossing.day),
            crossing(|crossing| crossing.requests),
            crossing(|crossing| crossing.tokens),
            crossing(|crossing| crossing.days_open),
        ]
    }
}

/// The comparison inside each boundary and on each axis.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    rows: Vec<Row>,
}

impl Comparison {
    /// Compares closed accounts; `curve` holds what the services took in each bin.
    pub(super) fn new(accounts: &Accounts, curve: &[Sums]) -> Comparison {
        let traffic = Traffic::of(accounts);
        let pairs = Boundary::ALL.into_iter().flat_map(|boundary| Axis::ALL.map(|axis| (boundary, axis)));
        let rows = pairs.map(|(boundary, axis)| compare(accounts, curve, &traffic, boundary, axis)).collect();
        Comparison { rows }
    }

    /// Its rows: boundaries outside, axes inside.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of `boundary` and `axis`.
    #[must_use]
    pub fn row(&self, boundary: Boundary, axis: Axis) -> &Row {
        &self.rows[boundary as usize * Axis::ALL.len() + axis as usize]
    }

    /// The figure of an axis and a column, such as `kwh_ratio`, inside the boundary of that name.
    pub(super) fn figure(&self, metric: &str, boundary: &str) -> Option<f64> {
        self.rows.iter().filter(|row| row.boundary.name() == boundary).find_map(|row| {
            let column = metric.strip_prefix(row.axis.name())?.strip_prefix('_')?;
            let index = Row::COLUMNS[2..].iter().position(|&name| name == column)?;
            row.values()[index]
        })
    }
}

/// What all services together answered.
struct Traffic {
    opened: SimTime,
    /// Whether there is a service at all: without one nothing ever overtakes the road.
    is_served: bool,
    /// Completed requests and output tokens of each bin.
    bins: Vec<[u64; 2]>,
}

impl Traffic {
    fn of(accounts: &Accounts) -> Traffic {
        let services = || {
            accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
                Facts::Service(facts) => Some((tenant, facts)),
                Facts::Job(_) | Facts::Device(_) => None,
            })
        };
        let counted = |what, bin| services().map(|(tenant, _)| tenant.book.counted_in(what, bin)).sum();
        let is_served = services().next().is_some();
        Traffic {
            opened: services().filter_map(|(_, facts)| facts.opened).min().unwrap_or(SimTime::ZERO),
            is_served,
            bins: (0..if is_served { accounts.grid().bins() } else { 0 })
                .map(|bin| [counted(Count::Completed, bin), counted(Count::OutputTokens, bin)])
                .collect(),
        }
    }

    fn total(&self, index: usize) -> u64 {
        self.bins.iter().map(|bin| bin[index]).sum()
    }
}

fn compare(accounts: &Accounts, curve: &[Sums], traffic: &Traffic, boundary: Boundary, axis: Axis) -> Row {
    let (mut training, mut threshold, mut services) = (0.0, 0.0, Sum::default());
    for (index, tenant) in accounts.tenants().iter().enumerate() {
        let sum = accounts.tenant(index).within(boundary);
        match &tenant.facts {
            Facts::Job(facts) => {
                training += axis.of(sum);
                threshold += axis.of(sum) * facts.research_multiplier.as_f64();
            }
            Facts::Service(_) => services += *sum,
            Facts::Device(_) => {}
        }
    }
    let inference = axis.of(&services);
    let per = |number: f64| if number > 0.0 { Some(inference / number) } else { None };
    Row {
        boundary,
        axis,
        training,
        threshold,
        inference,
        ratio: per(training),
        per_request: per(traffic.total(0) as f64),
        per_1k_tokens: per(traffic.total(1) as f64 / 1e3),
        crossing: if threshold > 0.0 && traffic.is_served {
            crossing(accounts, curve, traffic, threshold, (boundary, axis))
        } else {
            None
        },
    }
}

/// The first moment at which the cumulative series reaches `threshold`.
fn crossing(
    accounts: &Accounts,
    curve: &[Sums],
    traffic: &Traffic,
    threshold: f64,
    (boundary, axis): (Boundary, Axis),
) -> Option<Crossing> {
    let mut sum = Sum::default();
    let mut answered = [0_u64; 2];
    for (bin, (taken, counts)) in curve.iter().zip(&traffic.bins).enumerate() {
        let before = axis.of(&sum);
        sum += *taken.within(boundary);
        let after = axis.of(&sum);
        if after >= threshold {
            let fraction = (threshold - before) / (after - before);
            let grid = accounts.grid();
            let at = grid.start(bin) + grid.span(bin).scale(fraction);
            let by_then = |index: usize| answered[index] as f64 + fraction * counts[index] as f64;
            return Some(Crossing {
                at,
                day: at.since(SimTime::ZERO).days(),
                days_open: at.since(traffic.opened.min(at)).days(),
                requests: by_then(0),
                tokens: by_then(1),
            });
        }
        answered[0] += counts[0];
        answered[1] += counts[1];
    }
    None
}
