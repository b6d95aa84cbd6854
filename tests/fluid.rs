//! A service at both fidelities: every request through exact cells, and the fluid over response tables, under the same control.

use std::sync::Arc;
use tollway::catalog::{GPUS, NODES};
use tollway::engine::{Process, Seed};
use tollway::fault::{FailureLaw, InitialAge};
use tollway::ledger::{Book, Count, EventKind, Grid, ServiceFacts, Use};
use tollway::power::{NodePower, Priority, ServingPower, Slowdown};
use tollway::serving::{
    ArrivalPlan, Autoscaler, Cell, Chat, Clientele, Fidelity, Fluid, Front, Lengths, Measured, ReplicaOptions, Router,
    ScalePolicy, ScaleSection, ServicePlan, Slo, StepModel, Telemetry, cells,
};
use tollway::units::{GpuTime, PerSecond, Ratio, SimTime, Span, Watts};
use tollway::world::NodeSet;

const SEED: Seed = Seed { seed: 11, replication: 0 };

/// Chat on an 8B model, one H100 a replica, from a Monday on.
fn plan(rate: f64, min: u32, max: u32, policy: ScalePolicy) -> ServicePlan {
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
        // H100 8B TP1, as in the catalog.
        step: StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 },
        step_source: "scenario".to_owned(),
        token_budget: 2_048,
        max_batch: 256,
        kv_tokens: 440_000,
        start_up: Span::from_secs(120),
        power: ServingPower::compile(&node, 256, Watts::new(122), Watts::new(690), decode),
        slowdown: Slowdown::NONE,
        levers: Vec::new(),
        power_priority: Priority::High,
        priority: 0,
        scale: ScaleSection { min, max, policy },
        tick: Span::from_secs(15),
        router: Router::default(),
        front: Front::default(),
        arrivals: ArrivalPlan::Chat(Chat {
            rate: PerSecond::new(rate),
            noise: Ratio::new(0.25),
            noise_time: Span::from_secs(600),
            burstiness: Ratio::new(1.04),
            weekly: true,
            prompt: Lengths::Like(Measured::Conversation),
            output: Lengths::Like(Measured::Conversation),
        }),
        fidelity: Fidelity::default(),
        prices: None,
        slo: Some(Slo { ttft: Span::from_secs(2), tpot: Span::from_nanos(20_000_000) }),
        queue: 512,
        clientele: Clientele::default(),
        failures: FailureLaw::None,
        record: None,
        start_hour_of_week: 24,
    }
}

/// What both fidelities can do.
trait Service: Process {
    fn telemetry(&self) -> Telemetry;
    fn open(&mut self, at: SimTime);
    fn add(&mut self, at: SimTime, ready: SimTime);
    fn remove(&mut self, at: SimTime);
    fn close(self, horizon: SimTime) -> (Book, ServiceFacts);
}

/// The service `$name`, as both fidelities spell it.
macro_rules! service {
    ($name:ident) => {
        impl Service for $name {
            fn telemetry(&self) -> Telemetry {
                $name::telemetry(self)
            }
            fn open(&mut self, at: SimTime) {
                $name::open(self, at);
            }
            fn add(&mut self, at: SimTime, ready: SimTime) {
                self.add_replica(at, ready, NodeSet::first(1));
            }
            fn remove(&mut self, at: SimTime) {
                self.remove_replica(at);
            }
            fn close(self, horizon: SimTime) -> (Book, ServiceFacts) {
                $name::close(self, horizon)
            }
        }
    };
}
service!(Cell);
service!(Fluid);

/// Runs `service` under the plan's autoscaler, with replicas warm at the start.
fn run(mut service: impl Service, plan: &ServicePlan, horizon: SimTime) -> (Book, ServiceFacts) {
    let mut autoscaler = Autoscaler::new(plan);
    (0..autoscaler.initial()).for_each(|_| service.add(SimTime::ZERO, SimTime::ZERO));
    service.open(SimTime::ZERO);
    let mut now = SimTime::ZERO;
    while now < horizon {
        now = (now + plan.tick).min(horizon);
        service.run_until(now);
        let seen = service.telemetry();
        let (have, wanted) = (seen.ready + seen.loading, autoscaler.desired(now, seen));
        (have..wanted).for_each(|_| service.add(now, now + plan.start_up));
        (wanted..have).for_each(|_| service.remove(now));
    }
    service.close(horizon)
}

fn hours(hours: u64) -> (SimTime, Grid) {
    let horizon = SimTime::ZERO + Span::HOUR * hours;
    (horizon, Grid { horizon, bin: Span::HOUR })
}

/// Requires two figures to lie within `tolerance` of each other.
#[track_caller]
fn close(what: &str, exact: f64, fluid: f64, tolerance: f64) {
    println!("{what}: exact {exact:.6}, fluid {fluid:.6}, {:+.1} %", (fluid / exact - 1.0) * 100.0);
    assert!((fluid / exact - 1.0).abs() <= tolerance, "{what}: exact {exact}, fluid {fluid}");
}

/// Energy and tokens within 5 %, mean latencies within 20 %.
fn compare(exact: &Book, fluid: &Book) {
    let energy = |book: &Book| {
        [Use::Serving, Use::WarmIdle, Use::Loading].map(|what| book.spent(what).node().kwh()).iter().sum()
    };
    let time = |book: &Book| {
        [Use::Serving, Use::WarmIdle, Use::Loading].map(|what| book.spent(what).time.gpu_hours()).iter().sum()
    };
    close("energy, kWh", energy(exact), energy(fluid), 0.05);
    close("GPU-hours", time(exact), time(fluid), 0.05);
    for what in [Count::Arrived, Count::Completed, Count::PromptTokens, Count::OutputTokens, Count::WithinSlo] {
        close(&format!("{what:?}"), exact.counted(what) as f64, fluid.counted(what) as f64, 0.05);
    }
    let mean = |latency: &tollway::ledger::Histogram| latency.mean().expect("requests completed").as_secs_f64();
    let (exact, fluid) = (exact.latencies(), fluid.latencies());
    close("TTFT", mean(exact.ttft()), mean(fluid.ttft()), 0.2);
    close("TPOT", mean(exact.tpot()), mean(fluid.tpot()), 0.2);
    close("E2E", mean(exact.e2e()), mean(fluid.e2e()), 0.2);
}

fn both(plan: ServicePlan, length: u64) -> [(Book, ServiceFacts); 2] {
    let (horizon, grid) = hours(length);
    let plan = Arc::new(plan);
    assert_eq!(cells(plan.scale.max), 1);
    let exact = run(Cell::new(plan.clone(), 0, SEED, grid), &plan, horizon);
    let fluid = run(Fluid::new(plan.clone(), SEED, grid), &plan, horizon);
    [exact, fluid]
}

#[test]
fn fluid_agrees_with_exact_cells_at_fixed_replicas() {
    let [(exact, _), (fluid, facts)] = both(plan(25.0, 6, 6, ScalePolicy::Fixed {}), 6);
    compare(&exact, &fluid);
    assert_eq!(facts.fidelity, "fluid");
}

#[test]
fn fluid_agrees_with_exact_cells_under_the_autoscaler() {
    let [(exact, _), (fluid, _)] = both(plan(25.0, 1, 20, ScalePolicy::default()), 8);
    compare(&exact, &fluid);
}

#[test]
fn every_gpu_second_and_request_of_a_fluid_is_somewhere() {
    let (horizon, grid) = hours(30 * 24);
    let mut plan = plan(200.0, 40, 100, ScalePolicy::Fixed {});
    let rate = PerSecond::new(1e-6);
    plan.failures = FailureLaw::Weibull { rate, shape: 1.0, initial_age: InitialAge::Stationary };
    plan.tick = Span::MINUTE;
    let (book, facts) = run(Fluid::new(Arc::new(plan.clone()), SEED, grid), &plan, horizon);
    let time = |what: Use| book.spent(what).time;
    let held: GpuTime = [Use::Serving, Use::WarmIdle, Use::Loading, Use::Detect].map(time).into_iter().sum();
    assert_eq!(held, GpuTime::new(100, Span::HOUR * (30 * 24)));
    let count = |what| book.counted(what);
    assert_eq!(count(Count::Arrived), count(Count::Completed) + count(Count::Rejected) + facts.in_flight);
    let failures = book.events().iter().filter(|event| event.kind == EventKind::ReplicaFailure).count() as f64;
    assert_eq!(failures, facts.replica_failures as f64);
    // 100 nodes x 30 d x 1e-6 /s = 259 expected; three standard deviations.
    assert!((failures - 259.0).abs() < 3.0 * 16.1, "{failures} failures");
}

#[test]
fn a_fluid_that_is_offered_too_much_queues_and_turns_away() {
    let (horizon, grid) = hours(2);
    let plan = plan(60.0, 1, 1, ScalePolicy::Fixed {});
    let (book, facts) = run(Fluid::new(Arc::new(plan.clone()), SEED, grid), &plan, horizon);
    let (exact, _) = run(Cell::new(Arc::new(plan.clone()), 0, SEED, grid), &plan, horizon);
    assert_eq!(
        book.counted(Count::Arrived),
        book.counted(Count::Completed) + book.counted(Count::Rejected) + facts.in_flight
    );
    for what in [Count::Completed, Count::Rejected] {
        close(&format!("{what:?}"), exact.counted(what) as f64, book.counted(what) as f64, 0.05);
    }
    let wait = |book: &Book| book.latencies().ttft().mean().unwrap().as_secs_f64();
    close("TTFT", wait(&exact), wait(&book), 0.2);
}

#[test]
fn the_same_fluid_has_the_same_books_on_any_threads() {
    let (horizon, grid) = hours(3);
    let plan = plan(25.0, 1, 8, ScalePolicy::default());
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (book, facts) = pool.install(|| run(Fluid::new(Arc::new(plan.clone()), SEED, grid), &plan, horizon));
        (format!("{book:?}"), facts)
    };
    assert_eq!(on(1), on(3));
}
