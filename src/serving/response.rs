//! How a steady cell answers: tables over ready replicas and load, measured by short exact runs of the ordinary [`Cell`] under
//! renewal burstiness only (constant rate, no profile, no slow noise, no failures).
//!
//! Load is the part of the saturated throughput, which is measured first, by a replica that is offered more than it can take.
//! Between points everything is bilinear: in load, and in the logarithm of the replicas. Past load 1 a cell stands saturated;
//! what waits then is the integrator's business.

use super::autoscaler::{Pace, mean_lengths};
use super::{ArrivalPlan, CELL_REPLICAS, Cell, Chat, Lengths, Poisson, ServicePlan, cells};
use crate::engine::{Process, Seed};
use crate::fault::FailureLaw;
use crate::ledger::{Book, Count, Grid, Histogram, Latencies, Spent, Use};
use crate::units::{PerSecond, Ratio, Share, SimTime, Span};
use crate::world::NodeSet;
use rayon::prelude::*;
use std::sync::Arc;

/// Loads of the table, as parts of the saturated throughput; 1 is the saturated run itself.
const LOADS: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0];

/// Requests of one run: enough for 1 % on a mean latency, and for this many turnovers of what the cell holds.
const REQUESTS: f64 = 6_000.0;
const TURNOVERS: f64 = 15.0;

/// Requests of the saturated run, whose throughput is the scale of all loads: the mean of so many lengths is known to 0.3 %. With
/// 3 % too little, mild overloads last too long, and mean waits come out a quarter too high.
const SATURATED_REQUESTS: f64 = 100_000.0;

/// How often a run's telemetry is looked at, for the variance that an autoscaler sees.
const LOOKS: u64 = 300;

/// Values that stand for a histogram where it is moved or stretched.
const STEPS: usize = 128;

/// A steady cell at some ready replicas and load, for each ready replica.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Response {
    /// Requests inside, and the variance of their number.
    pub(super) outstanding: f64,
    pub(super) variance: f64,
    /// Part of the time in which it serves at least one request.
    pub(super) busy: f64,
    /// Watts of its accelerators and of their host while it serves.
    pub(super) accelerator: f64,
    pub(super) host: f64,
    /// Part of the requests within the SLO.
    pub(super) within_slo: f64,
    /// Seconds from arrival to first token, which the SLO limits.
    pub(super) ttft: f64,
}

impl Response {
    fn mix(parts: [(Response, f64); 4]) -> Response {
        let sum = |of: fn(&Response) -> f64| parts.iter().map(|(response, weight)| of(response) * weight).sum();
        Response {
            outstanding: sum(|response| response.outstanding),
            variance: sum(|response| response.variance),
            busy: sum(|response| response.busy),
            accelerator: sum(|response| response.accelerator),
            host: sum(|response| response.host),
            within_slo: sum(|response| response.within_slo),
            ttft: sum(|response| response.ttft),
        }
    }
}

/// Response tables of a service.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Ready replicas of each row.
    replicas: Vec<u32>,
    /// Row by row, one for each load.
    responses: Vec<Response>,
    latencies: Vec<Latencies>,
    /// The same at [`STEPS`] quantiles: times to first token, per output token, end to end.
    quantiles: Vec<Vec<[Span; 3]>>,
    /// Requests a second of a saturated replica.
    pub(super) saturated: f64,
}

/// Where in a table: four points and their weights, which add up to 1.
pub(super) type Spot = [(usize, f64); 4];

impl Table {
    /// Measures the table of `plan`: about a million requests, in parallel, the same whatever the threads.
    pub(super) fn measure(plan: &ServicePlan, seed: Seed) -> Table {
        let limit = plan.scale.max.min(CELL_REPLICAS);
        let mut replicas: Vec<u32> = (0..).map(|power| 1 << power).take_while(|ready| *ready < limit).collect();
        replicas.push(limit);
        let (full, saturated) = saturate(plan, seed);
        let steady = LOADS.len() - 1;
        let points: Vec<(u32, f64)> =
            replicas.iter().flat_map(|ready| LOADS[..steady].iter().map(|load| (*ready, *load))).collect();
        let measured: Vec<(Response, Latencies)> = points
            .par_iter()
            .enumerate()
            .map(|(point, &(ready, load))| {
                // Each point has chance of its own, so that what their lengths and gaps are off by does not add up.
                let mut plan = plan.clone();
                plan.name.push_str(&format!(".{point}"));
                measure(&plan, seed, ready, load * saturated * f64::from(ready))
            })
            .collect();
        let (responses, latencies, quantiles) = (Vec::new(), Vec::new(), Vec::new());
        let mut table = Table { replicas, responses, latencies, quantiles, saturated };
        for row in measured.chunks(steady) {
            table.responses.extend(row.iter().map(|(response, _)| *response));
            table.latencies.extend(row.iter().map(|(_, latencies)| latencies.clone()));
            table.quantiles.extend(row.iter().map(|(_, latencies)| at_quantiles(latencies, latencies.tpot())));
            let (last, below) = &row[steady - 1];
            // Inside a saturated cell a request stays as Little's law says; the waiting in front is not the cell's.
            let slower = full.0.outstanding / saturated / below.e2e().mean().map_or(1.0, Span::as_secs_f64);
            let outstanding = full.0.outstanding.max(last.outstanding);
            table.responses.push(Response {
                outstanding,
                within_slo: last.within_slo,
                ttft: last.ttft * slower,
                ..full.0
            });
            let stretched = at_quantiles(below, full.1.tpot());
            let stretched = stretched.iter().map(|[ttft, tpot, e2e]| [ttft.scale(slower), *tpot, e2e.scale(slower)]);
            table.quantiles.push(stretched.collect());
            table.latencies.push(Latencies::default());
            let saturated = table.latencies.len() - 1;
            table.latencies[saturated] = table.delayed(saturated, Span::ZERO);
        }
        table
    }

    /// The spot at `ready` replicas a cell (a mean, so not whole) and `load`.
    pub(super) fn spot(&self, ready: f64, load: f64) -> Spot {
        let (row, down) = place(&self.replicas, f64::from, libm::log, ready);
        let (column, right) = place(&LOADS, |load| load, |load| load, load);
        let width = LOADS.len();
        let (top, bottom) = (row * width, (row + 1).min(self.replicas.len() - 1) * width);
        [
            (top + column, (1.0 - down) * (1.0 - right)),
            (top + column + 1, (1.0 - down) * right),
            (bottom + column, down * (1.0 - right)),
            (bottom + column + 1, down * right),
        ]
    }

    /// The load at which a replica, one of `ready` in its cell, ends a step with what it then holds when it `had` that many
    /// requests (those that came in the step included) and a load of 1 takes `full` of them out in the step. Held and taken
    /// both rise straight between columns, so this solves `held(load) + load full = had` exactly.
    pub(super) fn load_after(&self, ready: f64, had: f64, full: f64) -> f64 {
        let (mut load, mut sum) = (0.0, 0.0);
        for next in LOADS {
            let then = self.response(&self.spot(ready, next)).outstanding + next * full;
            if then >= had {
                return load + (next - load) * (had - sum) / (then - sum).max(f64::MIN_POSITIVE);
            }
            (load, sum) = (next, then);
        }
        1.0
    }

    /// Requests that a replica, one of `ready` in its cell, can hold inside.
    pub(super) fn room(&self, ready: f64) -> f64 {
        self.response(&self.spot(ready, 1.0)).outstanding
    }

    /// The response at `spot`.
    pub(super) fn response(&self, spot: &Spot) -> Response {
        Response::mix(spot.map(|(point, weight)| (self.responses[point], weight)))
    }

    /// Points of the table.
    pub(super) fn len(&self) -> usize {
        self.latencies.len()
    }

    /// Latencies at a point.
    pub(super) fn latencies(&self, point: usize) -> &Latencies {
        &self.latencies[point]
    }

    /// Latencies at a point, with `wait` before each first token.
    pub(super) fn delayed(&self, point: usize, wait: Span) -> Latencies {
        let mut delayed = Latencies::default();
        for [ttft, tpot, e2e] in &self.quantiles[point] {
            delayed.record_ttft(*ttft + wait);
            delayed.record_tpot(*tpot);
            delayed.record_e2e(*e2e + wait);
        }
        delayed
    }
}

/// Index of the last of `keys` (but one) that is not above `at`, and how far `at` lies on the way to the next, on the scale
/// that `straight` makes.
fn place<K: Copy>(keys: &[K], value: impl Fn(K) -> f64, straight: impl Fn(f64) -> f64, at: f64) -> (usize, f64) {
    if keys.len() == 1 {
        return (0, 0.0);
    }
    let at = at.clamp(value(keys[0]), value(keys[keys.len() - 1]));
    let index = keys[1..keys.len() - 1].iter().take_while(|key| value(**key) <= at).count();
    let (low, high) = (straight(value(keys[index])), straight(value(keys[index + 1])));
    (index, (straight(at) - low) / (high - low))
}

/// Times to first token, per output token and end to end at [`STEPS`] quantiles; the second from `tpot`.
fn at_quantiles(of: &Latencies, tpot: &Histogram) -> Vec<[Span; 3]> {
    let at = |histogram: &Histogram, step: usize| {
        let part = Share::new((step as f64 + 0.5) / STEPS as f64);
        histogram.quantile(part).unwrap_or_default()
    };
    (0..STEPS).map(|step| [at(of.ttft(), step), at(tpot, step), at(of.e2e(), step)]).collect()
}

/// A replica that is offered half as much again as a steady full batch can take, and the throughput that it has.
fn saturate(plan: &ServicePlan, seed: Seed) -> ((Response, Latencies), f64) {
    let lengths = mean_lengths(&plan.arrivals);
    let by_cache = plan.kv_tokens as f64 / (lengths.prompt + lengths.output / 2.0).max(1.0);
    let batch = f64::from(plan.max_batch).min(by_cache).max(1.0);
    let rate = Pace::new(plan).throughput(batch);
    let turnover = batch / rate;
    let measured = Span::from_secs_f64((TURNOVERS * turnover).max(SATURATED_REQUESTS / rate));
    let run = run(plan, seed, 1, 1.5 * rate, Span::from_secs_f64(5.0 * turnover), measured);
    let response = Response { outstanding: run.running, ..run.response };
    ((response, run.latencies), run.throughput)
}

/// A cell of `ready` replicas that is offered `rate` requests a second.
fn measure(plan: &ServicePlan, seed: Seed, ready: u32, rate: f64) -> (Response, Latencies) {
    let each = rate / f64::from(ready);
    let held = turnover(plan, each) * rate;
    let measured = REQUESTS.max(TURNOVERS * held) / rate;
    let warm = 3.0 * held / rate;
    let run = run(plan, seed, ready, rate, Span::from_secs_f64(warm), Span::from_secs_f64(measured));
    (run.response, run.latencies)
}

/// About how long a request stays in a replica that takes `rate` a second: the steady batch at that rate, by Little's law.
fn turnover(plan: &ServicePlan, rate: f64) -> f64 {
    let pace = Pace::new(plan);
    let batch = (0..9).map(|power| f64::from(1 << power)).find(|batch| pace.throughput(*batch) > rate);
    batch.unwrap_or(f64::from(plan.max_batch)) / rate.max(f64::MIN_POSITIVE)
}

/// What one run measured.
struct Run {
    response: Response,
    latencies: Latencies,
    /// Completed requests a second.
    throughput: f64,
    /// Requests in the batches, without those that wait, for each replica.
    running: f64,
}

/// Runs a cell for `warm`, and then for `measured`.
fn run(plan: &ServicePlan, seed: Seed, ready: u32, rate: f64, warm: Span, measured: Span) -> Run {
    // Bins cut the warm-up off: one for it, as many equal ones as fit for the rest.
    let bin = warm + Span::from_nanos(1);
    let bins = (measured.nanos().div_ceil(bin.nanos())).max(1);
    let horizon = SimTime::ZERO + bin * (bins + 1);
    let mut cell = Cell::new(Arc::new(steady(plan, ready, rate)), 0, seed, Grid { horizon, bin });
    (0..ready).for_each(|_| cell.add_replica(SimTime::ZERO, SimTime::ZERO, NodeSet::default()));
    cell.open(SimTime::ZERO);
    let mut seen = Seen::default();
    for edge in 1..=LOOKS {
        let at = SimTime::from_nanos((u128::from(horizon.nanos()) * u128::from(edge) / u128::from(LOOKS)) as u64);
        cell.run_until(at);
        if at.nanos() > bin.nanos() {
            let telemetry = cell.telemetry();
            seen.add(telemetry.running as f64, telemetry.queued as f64);
        }
    }
    let (book, _) = cell.close(horizon);
    summarise(&book, &seen, ready, plan.gpus)
}

/// Moments of what a cell held.
#[derive(Default)]
struct Seen {
    count: f64,
    running: f64,
    sum: f64,
    squares: f64,
}

impl Seen {
    fn add(&mut self, running: f64, queued: f64) {
        self.count += 1.0;
        self.running += running;
        self.sum += running + queued;
        self.squares += (running + queued) * (running + queued);
    }
}

/// Figures of all bins but the first.
fn summarise(book: &Book, seen: &Seen, ready: u32, gpus: u32) -> Run {
    let (bins, ready) = (book.grid().bins(), f64::from(ready));
    let counted = |what| (1..bins).map(|bin| book.counted_in(what, bin)).sum::<u64>() as f64;
    let spent = |what| (1..bins).map(|bin| book.spent_in(what, bin)).sum::<Spent>();
    let seconds = (1..bins).map(|bin| book.grid().span(bin)).sum::<Span>().as_secs_f64();
    let (serving, idle) = (spent(Use::Serving), spent(Use::WarmIdle));
    let busy_seconds = (serving.time.nanos() as f64 / 1e9 / f64::from(gpus)).max(f64::MIN_POSITIVE);
    let completed = counted(Count::Completed);
    let seconds_of = |latencies: &Histogram| latencies.mean().map_or(0.0, Span::as_secs_f64);
    let mean = seen.sum / seen.count;
    let response = Response {
        // Little's law: steadier than the looks.
        outstanding: completed / seconds * seconds_of(book.latencies().e2e()) / ready,
        variance: (seen.squares / seen.count - mean * mean).max(0.0) / ready,
        busy: serving.time.fraction_of(serving.time + idle.time),
        accelerator: serving.accelerator.as_f64() / busy_seconds,
        host: serving.host.as_f64() / busy_seconds,
        within_slo: counted(Count::WithinSlo) / completed.max(1.0),
        ttft: seconds_of(book.latencies().ttft()),
    };
    let running = seen.running / seen.count / ready;
    Run { response, latencies: book.latencies().clone(), throughput: completed / seconds, running }
}

/// `plan` with one cell of `ready` replicas, constant `rate`, and nothing that fails.
fn steady(plan: &ServicePlan, ready: u32, rate: f64) -> ServicePlan {
    let rate = PerSecond::new(rate);
    let steady = |burstiness: Ratio, prompt: &Lengths, output: &Lengths| {
        let cv = burstiness.as_f64();
        let thinned = (1.0 + (cv * cv - 1.0) / f64::from(cells(plan.scale.max))).sqrt();
        let (noise, burstiness) = (Ratio::new(0.0), Ratio::new(thinned));
        let (prompt, output) = (prompt.clone(), output.clone());
        ArrivalPlan::Chat(Chat { rate, burstiness, noise, noise_time: Span::MINUTE, weekly: false, prompt, output })
    };
    let arrivals = match &plan.arrivals {
        ArrivalPlan::Chat(chat) => steady(chat.burstiness, &chat.prompt, &chat.output),
        ArrivalPlan::Ramp(ramp) => steady(ramp.burstiness, &ramp.prompt, &ramp.output),
        ArrivalPlan::FlashCrowd(crowd) => steady(crowd.burstiness, &crowd.prompt, &crowd.output),
        ArrivalPlan::Poisson(poisson) => ArrivalPlan::Poisson(Poisson { rate, ..*poisson }),
        _ => {
            panic!("bursts, clients, sessions, closed loops and traces are served request by request, never as a fluid")
        }
    };
    let mut plan = ServicePlan { arrivals, failures: FailureLaw::None, ..plan.clone() };
    plan.name.push_str(".table");
    plan.scale.min = plan.scale.min.min(ready);
    plan.scale.max = ready;
    plan
}
