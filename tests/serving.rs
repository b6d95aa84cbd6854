//! The serving room through its public face: queueing theory, conservation, failures, and a real trace.

use std::path::Path;
use std::sync::Arc;
use tollway::catalog::{DEVICES, GPUS, MODELS, NODES};
use tollway::engine::{Entity, Process, Seed, Stream, gamma_quantile};
use tollway::fault::{FailureLaw, InitialAge};
use tollway::ledger::{Book, Count, EventKind, Grid, ServiceFacts, Use};
use tollway::power::{NodePower, Priority, ServingPower, Slowdown};
use tollway::serving::*;
use tollway::trace::{Layout, Request, RequestReader};
use tollway::units::{GpuTime, PerSecond, Share, SimTime, Span, Watts};
use tollway::world::NodeSet;

const SEED: Seed = Seed { seed: 7, replication: 0 };

/// H100, Llama-3.1-8B, TP1 (our fit of kernel sums, as in the catalog).
const H100_8B: StepModel =
    StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 };

/// One millisecond for each step, whatever it holds.
pub(super) const MILLISECOND: StepModel = StepModel { p0_ms: 1.0, d_ms: 0.0, t0: 0, b_ms: 0.0, c_ms: 0.0, e_ms: 0.0 };

/// Time of each request outside the replicas.
pub(super) const API: Span = Span::from_nanos(3_000_000);

pub(super) fn plan(step: StepModel, max_batch: u32, requests: Vec<Request>) -> ServicePlan {
    let node = NodePower::new(&NODES[0].sheet, &GPUS[0].sheet);
    let decode = |batch: u32| Watts::new(440 + u64::from(batch.min(125)) * 2);
    ServicePlan {
        name: "chat".to_owned(),
        cluster: 0,
        opens_after: None,
        opens_at: Span::ZERO,
        gpus: 1,
        nodes: 1,
        options: ReplicaOptions::default(),
        step,
        step_source: "test".to_owned(),
        token_budget: 2_048,
        max_batch,
        kv_tokens: 440_000,
        start_up: Span::from_secs(120),
        power: ServingPower::compile(&node, max_batch, Watts::new(122), Watts::new(690), decode),
        slowdown: Slowdown::NONE,
        levers: Vec::new(),
        power_priority: Priority::High,
        priority: 0,
        scale: ScaleSection { min: 1, max: 64, policy: ScalePolicy::Fixed {} },
        tick: Span::from_secs(15),
        router: Router::LeastLoaded {},
        front: Front::default(),
        arrivals: ArrivalPlan::Trace(requests.into()),
        fidelity: Fidelity::Requests {},
        prices: None,
        slo: None,
        queue: 1_000_000,
        clientele: Clientele::default(),
        failures: FailureLaw::None,
        record: None,
        start_hour_of_week: 0,
    }
}

fn node(index: u32) -> NodeSet {
    NodeSet::single(index)
}

/// A cell of `replicas`, ready and open from the start.
pub(super) fn cell(plan: ServicePlan, replicas: u32, horizon: SimTime) -> Cell {
    let grid = Grid { horizon, bin: Span::from_secs(60) };
    let mut cell = Cell::new(Arc::new(plan), 0, SEED, grid);
    (0..replicas).for_each(|index| cell.add_replica(SimTime::ZERO, SimTime::ZERO, node(index)));
    cell.open(SimTime::ZERO);
    cell
}

pub(super) fn run(plan: ServicePlan, replicas: u32, seconds: u64) -> (Book, ServiceFacts) {
    let horizon = SimTime::ZERO + Span::from_secs(seconds);
    let mut cell = cell(plan, replicas, horizon);
    cell.run_until(horizon);
    cell.close(horizon)
}

fn stream(purpose: &'static str) -> Stream {
    SEED.stream(Entity::named("test"), purpose)
}

/// `count` requests of one prompt token, with mean gap `gap` and outputs that `output` draws.
pub(super) fn poisson(count: usize, gap: Span, mut output: impl FnMut(&mut Stream) -> u32) -> Vec<Request> {
    let (mut gaps, mut outputs) = (stream("gaps"), stream("outputs"));
    let mut at = SimTime::ZERO;
    let mut draw = || {
        at += gap.scale(gaps.exponential());
        Request { at, prompt: 1, output: output(&mut outputs) }
    };
    (0..count).map(|_| draw()).collect()
}

#[test]
fn one_server_waits_as_queueing_theory_says() {
    const REQUESTS: usize = 200_000;
    // Mean service 1 s = 1,000 steps, load 0.5: sojourn in M/M/1 is 1 / (mu - lambda) = 2 s, in M/D/1
    // 1 + rho / (2 (1 - rho)) = 1.5 s. Four standard errors of a mean over correlated waits (Daley 1968: variance of M/M/1's
    // is rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4 = 29 s^2 a request): 0.048 s; M/D/1 varies less.
    type Draw = fn(&mut Stream) -> u32;
    let cases: [(&str, Draw, f64); 2] =
        [("M/M/1", |stream| (1_000.0 * stream.exponential()).ceil() as u32, 2.000_5), ("M/D/1", |_| 1_000, 1.5)];
    for (name, output, expected) in cases {
        let requests = poisson(REQUESTS, Span::from_secs(2), output);
        let (book, facts) = run(plan(MILLISECOND, 1, requests), 1, 1_000_000);
        assert_eq!((book.counted(Count::Completed), facts.in_flight), (REQUESTS as u64, 0));
        let found = (book.latencies().e2e().mean().unwrap().saturating_sub(API)).as_secs_f64();
        assert!((found - expected).abs() < 0.048, "{name}: {found} s in the system, theory {expected} s");
    }
}

#[test]
fn a_decode_step_takes_what_was_measured() {
    let load = StepLoad { batch: 64.0, cached: 65_536.0, prompt: 0.0, attended: 0.0 };
    assert_eq!((H100_8B.time(load).as_secs_f64() * 1e4).round() / 10.0, 10.1);
    // The same through a replica: a lone request of 1,024 + 2 tokens decodes once, 2.69 + 0.01992 x 224 + 0.00532 + 1,024 x
    // 3.96e-5 = 7.198 ms; its prompt takes 2.69 + 0.01992 x 1,024 + 8.2e-7 x 1,024 x 1,023 / 2 = 23.518 ms.
    let request = Request { at: SimTime::ZERO, prompt: 1_024, output: 2 };
    let (book, _) = run(plan(H100_8B, 256, vec![request]), 1, 60);
    let microseconds = |span: Option<Span>| (span.unwrap().nanos() + 500) / 1_000;
    assert_eq!(microseconds(book.latencies().ttft().mean()), 26_518);
    assert_eq!(microseconds(book.latencies().tpot().mean()), 7_198);
    assert_eq!(microseconds(book.latencies().e2e().mean()), 33_716);
    // 33.716 - 3 ms of serving; the rest of the minute the replica stands warm.
    assert_eq!(book.spent(Use::Serving).time.nanos() / 1_000, 30_715);
    assert_eq!(book.spent(Use::Serving).time + book.spent(Use::WarmIdle).time, GpuTime::new(1, Span::MINUTE));
    assert_eq!(
        book.spent(Use::WarmIdle).accelerator,
        Watts::new(122) * Span::from_nanos(book.spent(Use::WarmIdle).time.nanos() as u64)
    );
}

/// A busy cell of 8 whose replicas fail every 20 minutes.
pub(super) fn failing() -> ServicePlan {
    let requests = poisson(60_000, Span::from_nanos(60_000_000), |stream| 1 + (400.0 * stream.uniform()) as u32);
    let requests = requests.into_iter().map(|request| Request { prompt: 800, ..request }).collect();
    let law = FailureLaw::Weibull { rate: PerSecond::new(1.0 / 1_200.0), shape: 1.0, initial_age: InitialAge::New };
    ServicePlan { failures: law, queue: 50, ..plan(H100_8B, 16, requests) }
}

#[test]
fn nothing_is_lost_when_replicas_fail() {
    let (book, facts) = run(failing(), 8, 3_600);
    let settled =
        [Count::Completed, Count::Rejected, Count::Failed].map(|count| book.counted(count)).iter().sum::<u64>();
    assert_eq!(book.counted(Count::Arrived), settled + facts.in_flight);
    let failures = book.events().iter().filter(|event| event.kind == EventKind::ReplicaFailure).count() as u64;
    assert_eq!(facts.replica_failures, failures);
    // 8 replicas for an hour, less 180 s for each failure: 24 x (1 - 0.15) = 21 expected, and 4 standard deviations.
    assert!((3..=39).contains(&failures), "{failures} failures");
    let uses = [Use::Serving, Use::WarmIdle, Use::Detect, Use::Loading].map(|what| book.spent(what).time);
    assert_eq!(uses.into_iter().sum::<GpuTime>(), GpuTime::new(8, Span::HOUR), "each GPU-nanosecond in one use");
    let worst = book.latencies().e2e().quantile(Share::new(1.0)).unwrap();
    let usual = book.latencies().e2e().quantile(Share::new(0.5)).unwrap();
    assert!(worst > usual, "who starts over waits longer");
}

#[test]
fn windows_change_nothing() {
    // Windows of 20 ms hold one arrival at most, as a rule: what is handed out ahead must equal one at a time.
    let cases = [
        (Router::LeastLoaded {}, 7_300_000_000),
        (Router::RoundRobin {}, 7_300_000_000),
        (Router::RoundRobin {}, 20_000_000),
        (Router::Random {}, 20_000_000),
    ];
    for (router, nanos) in cases {
        let horizon = SimTime::ZERO + Span::HOUR;
        let whole = run(ServicePlan { router, ..failing() }, 8, 3_600);
        let mut cell = cell(ServicePlan { router, ..failing() }, 8, horizon);
        let mut edge = SimTime::ZERO;
        while edge < horizon {
            edge += Span::from_nanos(nanos);
            cell.run_until(edge.min(horizon));
        }
        let cut = cell.close(horizon);
        assert_eq!(cut.1, whole.1);
        assert_eq!(cut.0.latencies(), whole.0.latencies());
        for bin in 0..60 {
            for what in Use::ALL {
                assert_eq!(cut.0.spent_in(what, bin), whole.0.spent_in(what, bin), "{what:?} in minute {bin}");
            }
            for what in Count::ALL {
                assert_eq!(cut.0.counted_in(what, bin), whole.0.counted_in(what, bin), "{what:?} in minute {bin}");
            }
        }
    }
}

#[test]
fn two_choices_beat_chance_and_looking_at_all_beats_two() {
    // 16 servers of one sequence at load 0.7, service exponential with mean 100 ms.
    let requests = poisson(400_000, Span::from_nanos(8_928_571), |stream| (100.0 * stream.exponential()) as u32 + 1);
    let p99 = |router| {
        let plan = ServicePlan { router, ..plan(MILLISECOND, 1, requests.clone()) };
        run(plan, 16, 3_600).0.latencies().ttft().quantile(Share::new(0.99)).unwrap().as_secs_f64() * 1e3
    };
    let [random, two, all] = [Router::Random {}, Router::PowerOfTwo {}, Router::LeastLoaded {}].map(p99);
    // Each of them alone is M/M/1: P(wait > t) = rho exp(-(1 - rho) t / s), so 99 % wait less than 1,416 ms.
    assert!((random / 1_416.0 - 1.0).abs() < 0.1, "p99 of random {random} ms");
    assert!(two < 0.5 * random && all < 0.8 * two, "p99 {random} > {two} > {all} ms");
}

#[test]
fn overload_is_turned_away_and_stays_bounded() {
    let requests = poisson(20_000, Span::from_nanos(1_000_000), |_| 100);
    let plan = ServicePlan { queue: 20, ..plan(MILLISECOND, 10, requests) };
    let horizon = SimTime::ZERO + Span::from_secs(10);
    let mut cell = cell(plan, 1, horizon);
    cell.run_until(horizon);
    let seen = cell.telemetry();
    assert_eq!((seen.ready, seen.running, seen.queued), (1, 10, 20));
    let (book, facts) = cell.close(horizon);
    assert_eq!(facts.in_flight, 30);
    // 10 sequences of 100 steps of 1 ms: 100 requests a second of 1,000.
    assert!(book.counted(Count::Completed).abs_diff(1_000) <= 10);
    assert_eq!(book.counted(Count::Arrived), book.counted(Count::Completed) + book.counted(Count::Rejected) + 30);
}

#[test]
fn replicas_come_and_go() {
    let at = |seconds: u64| SimTime::ZERO + Span::from_secs(seconds);
    let requests =
        vec![Request { at: at(1), prompt: 1, output: 30_000 }, Request { at: at(2), prompt: 1, output: 1_000 }];
    let plan = plan(MILLISECOND, 4, requests);
    let mut cell = Cell::new(Arc::new(plan), 0, SEED, Grid { horizon: at(100), bin: Span::from_secs(10) });
    cell.add_replica(at(0), at(5), node(0));
    cell.open(at(0));
    cell.run_until(at(4));
    let seen = cell.telemetry();
    assert_eq!((seen.ready, seen.loading, seen.queued), (0, 1, 2), "they wait at the door");
    cell.run_until(at(10));
    assert_eq!((cell.telemetry().ready, cell.telemetry().running), (1, 1), "the short one is done");
    cell.add_replica(at(10), at(50), node(1));
    cell.remove_replica(at(10));
    assert_eq!(cell.released(), [node(1)], "the one that still loads goes first, and at once");
    cell.remove_replica(at(10));
    assert_eq!(cell.telemetry().ready, 0);
    cell.run_until(at(30));
    assert_eq!(cell.released(), [], "the other finishes what it has");
    cell.run_until(at(40));
    assert_eq!(cell.released(), [node(0)]);
    let (book, _) = cell.close(at(100));
    let seconds = |what: Use| book.spent(what).time.nanos() as f64 / 1e9;
    assert_eq!(seconds(Use::Loading), 5.0);
    assert!((seconds(Use::Serving) - 30.0).abs() < 0.01);
    assert_eq!(book.spent(Use::Serving).time + book.spent(Use::WarmIdle).time, GpuTime::new(1, Span::from_secs(35)));
}

#[test]
fn a_laptop_answers_at_its_memory_bandwidth() {
    let model = MODELS.iter().find(|entry| entry.name == "llama-3.1-8b").unwrap().sheet.clone();
    let device = DevicePlan {
        name: "laptop".to_owned(),
        sheet: DEVICES[0].sheet,
        model,
        model_name: "llama-3.1-8b".to_owned(),
        prompts_per_day: 20.0,
        service: 0,
        site: 0,
    };
    let service = plan(H100_8B, 256, vec![Request { at: SimTime::ZERO, prompt: 1_000, output: 201 }]);
    let horizon = SimTime::ZERO + Span::DAY * 100;
    let mut laptop = Laptop::new(&device, &service, SEED, Grid { horizon, bin: Span::HOUR });
    laptop.run_until(horizon);
    let (book, _) = laptop.close(horizon);
    // 2,000 prompts, Poisson: 4 standard deviations.
    let prompts = book.counted(Count::Completed);
    assert!(prompts.abs_diff(2_000) < 180, "{prompts} prompts");
    // 0.7 x 120 GB/s over 8.03e9 x 0.61 bytes = 17.15 tokens/s; prompts at 200 tokens/s.
    let tpot = book.latencies().tpot().mean().unwrap().as_secs_f64();
    assert_eq!((1e2 / tpot).round() / 1e2, 17.15);
    let busy = 1_000.0 / 200.0 + 200.0 / 17.149;
    let spent = book.spent(Use::Serving).node().as_f64();
    assert!((spent / (25.0 * busy * prompts as f64) - 1.0).abs() < 1e-3, "25 W while it works");
    assert!(book.spent(Use::WarmIdle).node().is_zero(), "nothing at rest");
}

/// Mean and quantiles in milliseconds, less `api`.
fn milliseconds(histogram: &tollway::ledger::Histogram, api: Span) -> [f64; 4] {
    let quantile = |p: f64| histogram.quantile(Share::new(p)).expect("requests completed");
    let spans = [histogram.mean().expect("requests completed"), quantile(0.5), quantile(0.9), quantile(0.99)];
    spans.map(|span| span.saturating_sub(api).as_secs_f64() * 1e3)
}

#[test]
fn the_conversation_trace_takes_what_a_bare_loop_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces/AzureLLMInferenceTrace_conv.csv");
    if !path.exists() {
        println!("skipped: the Azure conversation trace is not in ../shared/data");
        return;
    }
    let mut reader = RequestReader::open(&path, &Layout::Auto).unwrap();
    let row = || reader.next().unwrap().map(|row| Request { at: row.at, prompt: row.prompt, output: row.output });
    let requests = std::iter::from_fn(row).collect();
    let (book, facts) = run(plan(H100_8B, 256, requests), 1, 4_000);
    assert_eq!((book.counted(Count::Completed), facts.in_flight), (19_366, 0));
    // An independent loop, and NVIDIA AISimulate 0.9 on the same trace: mean, p50, p90, p99.
    let (e2e, ttft) = (book.latencies().e2e(), book.latencies().ttft());
    let cases = [
        ("bare e2e", milliseconds(e2e, API), [1_882.5, 1_184.0, 3_808.0, 5_358.0], 0.01),
        ("bare ttft", milliseconds(ttft, API), [39.75, 28.9, 98.7, 162.0], 0.01),
        ("AISimulate e2e", milliseconds(e2e, Span::ZERO), [1_805.0, 1_150.0, 3_687.0, 5_213.0], 0.05),
        ("AISimulate ttft", milliseconds(ttft, Span::ZERO), [44.6, 34.1, 99.3, 173.0], 0.15),
    ];
    for (name, found, expected, band) in cases {
        let difference: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| found / expected - 1.0).collect();
        println!("{name}: {found:.1?} ms, expected {expected:?}, off by {difference:.4?}");
        assert!(difference.iter().all(|difference| difference.abs() < band), "{name}: off by {difference:.4?}");
    }
}

/// M/M/4 and Gamma/M/1 against theory.
#[test]
fn several_places_and_bursty_gaps_wait_as_queueing_theory_says() {
    const REQUESTS: usize = 200_000;
    let exponential = |stream: &mut Stream| (1_000.0 * stream.exponential()).ceil() as u32;
    // M/M/4 at load 0.8: Erlang's C(4, 3.2) = 0.5964, so 0.5964 / (4 - 3.2) + 1 s in the system, and half a step more.
    let requests = poisson(REQUESTS, Span::from_secs_f64(1.0 / 3.2), exponential);
    let (book, _) = run(plan(MILLISECOND, 4, requests), 1, 200_000);
    let found = (book.latencies().e2e().mean().unwrap().saturating_sub(API)).as_secs_f64();
    assert!((found / 1.746 - 1.0).abs() < 0.04, "M/M/4: {found} s in the system, theory 1.746 s");
    // Gamma gaps of CV 2 (shape 1/4, mean 2 s) before one place of mean 1 s: 1 / (1 - s) where s is the root below 1 of
    // s = A(1 - s), A(t) = (1/8 / (1/8 + t))^(1/4) the transform of the gaps (Kleinrock, Queueing Systems I, 6.4): s = 0.7709.
    let mut root: f64 = 0.5;
    for _ in 0..200 {
        root = (0.125 / (0.125 + 1.0 - root)).sqrt().sqrt();
    }
    let (mut gaps, mut outputs, mut at) = (stream("gamma"), stream("outputs"), SimTime::ZERO);
    let requests = (0..REQUESTS)
        .map(|_| {
            at += Span::from_secs_f64(8.0 * gamma_quantile(0.25, gaps.uniform()));
            Request { at, prompt: 1, output: exponential(&mut outputs) }
        })
        .collect();
    let (book, _) = run(plan(MILLISECOND, 1, requests), 1, 1_000_000);
    let found = (book.latencies().e2e().mean().unwrap().saturating_sub(API)).as_secs_f64();
    let expected = 1.0 / (1.0 - root);
    assert!((found / expected - 1.0).abs() < 0.06, "Gamma/M/1: {found} s in the system, theory {expected} s");
}
