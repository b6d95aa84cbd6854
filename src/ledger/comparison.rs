//! The road against the drives: what training took, what inference took, and when the second overtook the first. Training
//! counts everything its jobs held and drew - failed work, repairs, spares and idle - and inference everything its services
//! did, inside the same boundary. The crossing is read from the cumulative series, linear inside a bin.

use super::accounts::{Accounts, Boundary, Sum, Sums};
use super::sensitivity::{self, Shift};
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

    /// Its unit in the outputs.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Axis::GpuHours => "GPU-h",
            Axis::Kwh => "kWh",
            Axis::Usd => "USD",
            Axis::Kgco2e => "kgCO2e",
            Axis::Litres => "L",
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
    /// Inference for 1,000 prompt tokens: all of it, as for output tokens, so that the two never add up.
    pub per_1k_prompt_tokens: Option<f64>,
    /// When inference overtook training; none where it never did within the horizon.
    pub crossing: Option<Crossing>,
}

impl Row {
    /// Names of the columns of `comparison.csv`.
    pub const COLUMNS: [&'static str; 13] = [
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
        "research_multiplier",
        "per_1k_prompt_tokens",
    ];

    /// Its figures, in the order of the columns after the first two.
    #[must_use]
    pub fn values(&self) -> [Option<f64>; 11] {
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
            self.research_multiplier(),
            self.per_1k_prompt_tokens,
        ]
    }

    /// Training with the research behind it over training: the jobs' multipliers, weighted by what each took.
    #[must_use]
    pub fn research_multiplier(&self) -> Option<f64> {
        (self.training > 0.0).then(|| self.threshold / self.training)
    }
}

/// The comparison inside each boundary and on each axis, and what would shift its crossings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    rows: Vec<Row>,
    shifts: Vec<Shift>,
}

impl Comparison {
    /// Compares closed accounts; `curve` holds what the services took.
    pub(super) fn new(accounts: &Accounts, curve: &Curve) -> Comparison {
        let traffic = Traffic::of(accounts);
        let mut comparison = Comparison::default();
        for (boundary, axis) in Boundary::ALL.into_iter().flat_map(|boundary| Axis::ALL.map(|axis| (boundary, axis))) {
            let mut row = totals(accounts, &traffic, boundary, axis);
            if row.threshold > 0.0 && traffic.is_served {
                let series = Series { accounts, traffic: &traffic, curve, boundary, axis };
                row.crossing = series.reaches(row.threshold);
                comparison.shifts.extend(sensitivity::rescaled(&row, |threshold| series.reaches(threshold)));
            }
            comparison.rows.push(row);
        }
        comparison
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

    /// Where the crossings would be if something were otherwise: boundaries and axes as the rows have them.
    #[must_use]
    pub fn shifts(&self) -> &[Shift] {
        &self.shifts
    }

    /// Enters where the crossings lay in runs of their own.
    pub fn enter(&mut self, shifts: impl IntoIterator<Item = Shift>) {
        self.shifts.extend(shifts);
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
    /// Completed requests, output tokens and prompt tokens of each bin.
    bins: Vec<[u64; 3]>,
}

impl Traffic {
    fn of(accounts: &Accounts) -> Traffic {
        let services = || {
            accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
                Facts::Service(facts) => Some((tenant, facts)),
                Facts::Job(_) | Facts::Workload(_) | Facts::Device(_) => None,
            })
        };
        let counted = |what, bin| services().map(|(tenant, _)| tenant.book.counted_in(what, bin)).sum();
        let is_served = services().next().is_some();
        Traffic {
            opened: services().filter_map(|(_, facts)| facts.opened).min().unwrap_or(SimTime::ZERO),
            is_served,
            bins: (0..if is_served { accounts.grid().bins() } else { 0 })
                .map(|bin| [Count::Completed, Count::OutputTokens, Count::PromptTokens].map(|what| counted(what, bin)))
                .collect(),
        }
    }

    fn total(&self, index: usize) -> u64 {
        self.bins.iter().map(|bin| bin[index]).sum()
    }
}

/// Both sides over the whole run; the crossing is still to be found.
fn totals(accounts: &Accounts, traffic: &Traffic, boundary: Boundary, axis: Axis) -> Row {
    let (mut training, mut threshold, mut services) = (0.0, 0.0, Sum::default());
    for (index, tenant) in accounts.tenants().iter().enumerate() {
        let sum = accounts.tenant(index).within(boundary);
        match &tenant.facts {
            Facts::Job(facts) => {
                training += axis.of(sum);
                threshold += axis.of(sum) * facts.research_multiplier.as_f64();
            }
            Facts::Service(_) => services += *sum,
            Facts::Workload(_) | Facts::Device(_) => {}
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
        per_1k_prompt_tokens: per(traffic.total(2) as f64 / 1e3),
        crossing: None,
    }
}

/// What the services took from the beginning, bin by bin. Of a run of many bins only every so manieth is kept and what lies
/// between is settled again where somebody asks, so that a year of minutes costs little memory.
#[derive(Debug)]
pub(super) struct Curve {
    /// How many bins lie between two that are kept.
    stride: usize,
    sum: Sums,
    /// What was taken before each stretch of bins.
    before: Vec<Sums>,
    /// The most that each boundary and axis reached within each stretch: of one bin, what it reached at its end.
    reached: Vec<[f64; COLUMNS]>,
}

/// Boundaries times axes.
const COLUMNS: usize = Boundary::ALL.len() * Axis::ALL.len();

impl Curve {
    /// An empty curve of `bins` bins, one in `stride` of which is kept.
    pub(super) fn new(bins: usize) -> Curve {
        // 16,384 bins, a year of half hours, cost 12 MB.
        Curve { stride: bins.div_ceil(16_384).max(1), sum: Sums::default(), before: Vec::new(), reached: Vec::new() }
    }

    /// Enters what the services took in the `bin`-th bin, which follows the one before.
    pub(super) fn push(&mut self, bin: usize, taken: Sums) {
        if bin.is_multiple_of(self.stride) {
            self.before.push(self.sum);
            self.reached.push([f64::NEG_INFINITY; COLUMNS]);
        }
        self.sum += taken;
        let reached = self.reached.last_mut().expect("the first bin of a stretch was entered");
        for boundary in Boundary::ALL {
            let sum = self.sum.within(boundary);
            for axis in Axis::ALL {
                let reached = &mut reached[boundary as usize * Axis::ALL.len() + axis as usize];
                *reached = reached.max(axis.of(sum));
            }
        }
    }

    /// The first bin at whose end `axis` reached `threshold` inside `boundary`, with what it had reached before and after it.
    fn first(&self, accounts: &Accounts, boundary: Boundary, axis: Axis, threshold: f64) -> Option<(usize, f64, f64)> {
        let column = boundary as usize * Axis::ALL.len() + axis as usize;
        let stretch = self.reached.iter().position(|reached| reached[column] >= threshold)?;
        let (mut sum, mut before) = (self.before[stretch], axis.of(self.before[stretch].within(boundary)));
        if self.stride == 1 {
            return Some((stretch, before, self.reached[stretch][column]));
        }
        let mut serving = accounts.serving();
        (stretch * self.stride..).find_map(|bin| {
            sum += serving(bin);
            let after = axis.of(sum.within(boundary));
            let found = (after >= threshold).then_some((bin, before, after));
            before = after;
            found
        })
    }
}

/// Cumulative inference on one axis, bin by bin.
struct Series<'a> {
    accounts: &'a Accounts,
    traffic: &'a Traffic,
    curve: &'a Curve,
    boundary: Boundary,
    axis: Axis,
}

impl Series<'_> {
    /// The first moment at which the series reaches `threshold`, which is above zero.
    fn reaches(&self, threshold: f64) -> Option<Crossing> {
        let (bin, before, after) = self.curve.first(self.accounts, self.boundary, self.axis, threshold)?;
        let fraction = (threshold - before) / (after - before);
        let grid = self.accounts.grid();
        let at = grid.start(bin) + grid.span(bin).scale(fraction);
        let by_then = |index: usize| {
            let before: u64 = self.traffic.bins[..bin].iter().map(|counts| counts[index]).sum();
            before as f64 + fraction * self.traffic.bins[bin][index] as f64
        };
        Some(Crossing {
            at,
            day: at.since(SimTime::ZERO).days(),
            days_open: at.since(self.traffic.opened.min(at)).days(),
            requests: by_then(0),
            tokens: by_then(1),
        })
    }
}
