//! Coefficients of the step time and of power from somebody's own benchmark, with the errors that they make.
//!
//! Loops are simulated as they were run: all clients begin at once, ten requests for each client, prompts in chunks of the token
//! budget. Times per output token and, with a tenth of their weight, times to first token are fitted.

use super::fit::{Fit, Point, fit, mean};
use super::power_fit::{PowerFit, PowerPoint, fit_power};
use crate::serving::{API_TIME, Exposure, Observed, Rig, StepLoad, StepModel};
use crate::trace::{Bench, BenchRequest, BenchRig, BenchRow, Measured, Request};
use crate::units::Span;

/// What the engine was told, where the file is silent or wrong about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Sequences that decode at once at most.
    pub max_batch: Option<u32>,
    /// Tokens of a step at most.
    pub token_budget: Option<u32>,
    /// Key-value capacity in tokens.
    pub kv_tokens: Option<u64>,
}

/// What one bench gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// What it ran on.
    pub rig: BenchRig,
    /// The replica as it was simulated, with the fitted coefficients.
    pub replica: Rig,
    /// Rows left out because requests queued at the engine, so that fewer ran than there were clients.
    pub queued: usize,
    /// What was fitted, row by row: mean times per output token first, or single steps.
    pub points: Vec<Vec<Point>>,
    /// Coefficients of the step time, and their errors.
    pub fit: Fit,
    /// Errors of mean times to first token.
    pub ttft: Vec<f64>,
    /// Errors of output tokens a second, of engines whose speed was measured.
    pub speed: Vec<f64>,
    /// Errors of median times between tokens.
    pub itl: Vec<f64>,
    /// Errors of energy per output token, where speed and power were measured.
    pub energy: Vec<f64>,
    /// Power by batch, where it was measured.
    pub power: Option<PowerFit>,
    /// Figures of a recorded run: name, unit, measured and simulated.
    pub run: Vec<(&'static str, &'static str, f64, f64)>,
}

/// Requests of a simulated loop for each client.
// As benchmarks of engines do: InferenceX sends 10 for each client.
const REQUESTS_EACH: u32 = 10;

/// How far mean times per output token scatter around the best fit, and mean times to first token.
// Our own fits of closed loops (silicon_sample.csv of PyPI aisimulate 0.13.0): about 2 and 20 %.
const SCATTER: f64 = 0.02;
const TTFT_SCATTER: f64 = 0.2;

/// A row is left out where its time to first token is more than this part of the time of the whole answer.
const QUEUED: f64 = 0.15;

/// Tokens of a prompt where the benchmark does not say: chat prompts of ML.ENERGY.
// Assumed: ML.ENERGY's files give output lengths only.
const CHAT_PROMPT: u32 = 150;

/// Fits to `bench`.
///
/// # Errors
/// A sentence, where nothing can be fitted.
pub fn calibrate(bench: &Bench, limits: &Limits) -> Result<Calibrated, String> {
    let clients = bench.rows.iter().map(|row| match row.measured {
        Measured::Loop { clients, .. } => clients,
        Measured::Full { batch, .. } => batch.round() as u32,
        Measured::Step { .. } => 1,
    });
    let told = limits.max_batch.or(bench.rig.max_batch);
    let mut replica = Rig {
        step: StepModel { p0_ms: 1.0, d_ms: 0.0, t0: 0, b_ms: 0.0, c_ms: 0.0, e_ms: 0.0 },
        token_budget: limits.token_budget.or(bench.rig.token_budget).unwrap_or(BUDGET),
        // vLLM v1: max_num_seqs 256; who ran more clients than that had more.
        max_batch: told.unwrap_or(clients.max().unwrap_or(0).max(256)),
        kv_tokens: limits.kv_tokens.unwrap_or(UNLIMITED),
    };
    if !bench.requests.is_empty() {
        return Ok(recorded(bench, &mut replica));
    }
    table(bench, replica)
}

/// vLLM v1 on H100-class cards: max_num_batched_tokens 2,048.
const BUDGET: u32 = 2_048;

/// More tokens than any replica holds.
const UNLIMITED: u64 = 1 << 34;

/// A row that can be fitted, simulated.
struct Simulated<'a> {
    row: &'a BenchRow,
    points: Vec<Point>,
    ttft: Option<Point>,
    /// Time of a mean step.
    speed: Option<Point>,
    itl: Option<Point>,
}

fn table(bench: &Bench, replica: Rig) -> Result<Calibrated, String> {
    let rows: Vec<Simulated<'_>> =
        bench.rows.iter().filter(|row| !queues(row)).map(|row| simulated(row, &replica)).collect();
    let queued = bench.rows.len() - rows.len();
    if rows.is_empty() {
        return Err(format!(
            "all {queued} rows of {} have a time to first token of more than 15 % of the whole answer: requests queued at the engine, so that nobody knows how many ran at once",
            bench.rig.words()
        ));
    }
    let points: Vec<Vec<Point>> = rows.iter().map(|row| row.points.clone()).collect();
    let fit = fit(&points);
    let step = fit.step;
    let errors = |of: for<'a> fn(&'a Simulated<'_>) -> Option<&'a Point>| -> Vec<f64> {
        rows.iter().filter_map(of).map(|point| point.error(&step)).collect()
    };
    let speed: Vec<f64> = errors(|row| row.speed.as_ref()).iter().map(|error| 1.0 / (1.0 + error) - 1.0).collect();
    let power = fit_power(&power_points(&rows, &step));
    let energy = power.as_ref().map_or(Vec::new(), |power| {
        let with_speed = rows.iter().filter_map(|row| Some((row.row, row.speed.as_ref()?, row.row.watts?)));
        let error = |(row, speed, watts): (&BenchRow, &Point, f64)| {
            let found = power.watts(batch_of(&row.measured), speed.predicted(&step));
            found / watts * speed.predicted(&step) / speed.ms - 1.0
        };
        with_speed.map(error).collect()
    });
    Ok(Calibrated {
        rig: bench.rig.clone(),
        queued,
        ttft: errors(|row| row.ttft.as_ref()),
        itl: errors(|row| row.itl.as_ref()),
        speed,
        energy,
        power,
        run: Vec::new(),
        replica: Rig { step, ..replica },
        points,
        fit,
    })
}

/// True where requests queued at the engine.
fn queues(row: &BenchRow) -> bool {
    match row.measured {
        Measured::Loop { output, ttft_ms: Some(ttft_ms), tpot_ms, .. } => {
            ttft_ms > QUEUED * tpot_ms * f64::from(output - 1)
        }
        _ => false,
    }
}

fn batch_of(measured: &Measured) -> f64 {
    match *measured {
        Measured::Loop { clients, .. } => f64::from(clients),
        Measured::Full { batch, .. } | Measured::Step { batch, .. } => batch,
    }
}

fn simulated<'a>(row: &'a BenchRow, replica: &Rig) -> Simulated<'a> {
    match row.measured {
        Measured::Loop { clients, prompt, output, ttft_ms, tpot_ms } => {
            let seen = replica.closed_loop(clients, clients * REQUESTS_EACH, |_| (prompt, output));
            let inside = ttft_ms.map(|ms| (ms - API_TIME.as_secs_f64() * 1e3).max(f64::MIN_POSITIVE));
            let ttft = inside.map(|ms| Point { exposure: seen.ttft(), ms, scatter: TTFT_SCATTER });
            let tpot = Point { exposure: seen.tpot(), ms: tpot_ms, scatter: SCATTER };
            let points = std::iter::once(tpot).chain(ttft.clone()).collect();
            Simulated { row, ttft, speed: None, itl: None, points }
        }
        Measured::Step { batch, cached, prompt, attended, ms } => {
            let exposure = Exposure::of_step(StepLoad { batch, cached, prompt, attended });
            Simulated {
                row,
                ttft: None,
                speed: None,
                itl: None,
                points: vec![Point { exposure, ms, scatter: SCATTER }],
            }
        }
        Measured::Full { batch, output, median_ms, speed } => {
            let seen = full(replica, batch.round() as u32, output);
            let mean = Point { exposure: seen.tpot().without_context(), ms: batch / speed * 1e3, scatter: SCATTER };
            let usual = Point { exposure: seen.usual_step().without_context(), ms: median_ms, scatter: SCATTER };
            let points = vec![mean.clone(), usual.clone()];
            Simulated { row, ttft: None, speed: Some(mean), itl: Some(usual), points }
        }
    }
}

/// A full engine whose answers end at different times.
fn full(replica: &Rig, batch: u32, mean: f64) -> Observed {
    // Assumed: outputs between a tenth and 2.3 times the mean, as long as exponential ones are, in an order without chance.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let output = |index: u32| {
        let part = (0.5 + f64::from(index) * GOLDEN).fract() * 0.8 + 0.1;
        let length = -mean * libm::log(1.0 - part) / MEAN_OF_THE_MIDDLE;
        (CHAT_PROMPT, length.round().max(2.0) as u32)
    };
    replica.closed_loop(batch, batch * REQUESTS_EACH, output)
}

/// Mean of an exponential variate of mean 1 between its 10th and its 90th percentile: the integral of -ln(1 - u) from 0.1 to 0.9,
/// over 0.8.
const MEAN_OF_THE_MIDDLE: f64 = 0.830_707;

fn power_points(rows: &[Simulated<'_>], step: &StepModel) -> Vec<PowerPoint> {
    let measured = rows.iter().filter_map(|row| Some((row, row.row.watts?)));
    measured
        .map(|(row, watts)| PowerPoint {
            batch: batch_of(&row.row.measured).max(1.0),
            watts,
            step_ms: row.points[0].predicted(step),
        })
        .collect()
}

/// Rounds of simulating and fitting: which step held what depends on how long steps take.
const ROUNDS: usize = 12;

/// Fits to a recorded run.
fn recorded(bench: &Bench, replica: &mut Rig) -> Calibrated {
    let mut requests = bench.requests.clone();
    requests.sort_by_key(|request| (request.at, request.prompt, request.output));
    let measured = |request: &BenchRequest| {
        let after = request.last.saturating_sub(request.first).as_secs_f64() * 1e3;
        (request.output > 1 && after > 0.0).then(|| after / f64::from(request.output - 1))
    };
    let all: Vec<f64> = requests.iter().filter_map(measured).collect();
    replica.step.p0_ms = all.iter().sum::<f64>() / all.len().max(1) as f64;
    let mut best: Option<(f64, Fit, Observed, Vec<Vec<Point>>)> = None;
    for _ in 0..ROUNDS {
        let seen = replay(replica, &requests);
        let pairs = requests.iter().zip(&seen.served);
        let point = |(request, served)| {
            let ms = measured(request)?;
            Some(vec![Point { exposure: seen.tpot_of(served), ms, scatter: SCATTER }])
        };
        let points: Vec<Vec<Point>> = pairs.filter_map(point).collect();
        let found = fit(&points);
        replica.step = found.step;
        let seen = replay(replica, &requests);
        let errors: Vec<f64> = requests
            .iter()
            .zip(&seen.served)
            .filter_map(|(request, served)| Some(served.tpot_ms()? / measured(request)? - 1.0))
            .collect();
        if best.as_ref().is_none_or(|(least, ..)| mean(&errors) < *least) {
            best = Some((mean(&errors), Fit { errors, ..found }, seen, points));
        }
    }
    let (_, fit, seen, points) = best.expect("there was a round");
    replica.step = fit.step;
    Calibrated {
        rig: bench.rig.clone(),
        queued: 0,
        ttft: Vec::new(),
        speed: Vec::new(),
        itl: Vec::new(),
        energy: Vec::new(),
        power: None,
        run: figures(&requests, &seen),
        replica: *replica,
        points,
        fit,
    }
}

fn replay(replica: &Rig, requests: &[BenchRequest]) -> Observed {
    replica.replay(requests.iter().map(|&BenchRequest { at, prompt, output, .. }| Request { at, prompt, output }))
}

/// The run as it was measured, and as it was simulated.
fn figures(requests: &[BenchRequest], seen: &Observed) -> Vec<(&'static str, &'static str, f64, f64)> {
    let count = requests.len() as f64;
    let ms = |span: Span| span.as_secs_f64() * 1e3;
    let tokens: f64 = requests.iter().map(|request| f64::from(request.output)).sum();
    let tpot =
        |request: &BenchRequest| ms(request.last.saturating_sub(request.first)) / f64::from(request.output.max(2) - 1);
    let measured_mean = |of: &dyn Fn(&BenchRequest) -> f64| requests.iter().map(of).sum::<f64>() / count;
    let end = requests.iter().map(|request| request.at + request.last).max();
    let start = requests.first().map(|request| request.at);
    let makespan = end.zip(start).map_or(0.0, |(end, start)| end.since(start).as_secs_f64());
    let simulated_mean = |of: &dyn Fn(&crate::serving::Served) -> f64| seen.served.iter().map(of).sum::<f64>() / count;
    let simulated = seen.makespan().as_secs_f64();
    vec![
        ("mean TTFT", "ms", measured_mean(&|request| ms(request.first)), simulated_mean(&|served| served.ttft_ms())),
        ("mean TPOT", "ms", measured_mean(&tpot), simulated_mean(&|served| served.tpot_ms().unwrap_or(0.0))),
        (
            "mean latency",
            "ms",
            measured_mean(&|request| ms(request.last)),
            simulated_mean(&|served| ms(served.last.since(served.at))),
        ),
        ("makespan", "s", makespan, simulated),
        ("output tokens a second", "/s", tokens / makespan, tokens / simulated),
    ]
}
