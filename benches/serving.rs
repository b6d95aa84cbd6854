//! Requests per second of one replica, and of a cell of 64 under each router and with short and long outputs, with everything
//! on: arrivals, key-value blocks, chunked prefill, latencies, limits, power, the book. In CPU time of the measuring thread
//! (Linux only), so that a busy machine spoils little. `cargo bench --bench serving`.

mod common;

use common::CpuTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use tollway::catalog::{GPUS, NODES};
use tollway::engine::{Process, Seed};
use tollway::fault::FailureLaw;
use tollway::ledger::{Count, Grid};
use tollway::power::{NodePower, Priority, ServingPower, Slowdown};
use tollway::serving::{
    ArrivalPlan, Cell, Chat, Clientele, Fidelity, Front, Lengths, Measured, Poisson, ReplicaOptions, Router,
    ScalePolicy, ScaleSection, ServicePlan, Slo, StepModel,
};
use tollway::units::{PerSecond, Ratio, SimTime, Span, Watts};
use tollway::world::NodeSet;

/// Requests a second of one replica: a mean batch of about 23 at conversation lengths.
const RATE: f64 = 10.0;

/// Requests of one measurement.
const REQUESTS: u64 = 10_000_000;

/// Chat at conversation lengths.
fn chat(replicas: u32) -> ArrivalPlan {
    ArrivalPlan::Chat(Chat {
        rate: PerSecond::new(RATE * f64::from(replicas)),
        noise: Ratio::new(0.0),
        noise_time: Span::from_secs(600),
        burstiness: Ratio::new(1.04),
        weekly: false,
        prompt: Lengths::Like(Measured::Conversation),
        output: Lengths::Like(Measured::Conversation),
    })
}

/// Requests of the same output each, as many a second as keep about the same batch.
fn outputs(replicas: u32, output: u32) -> ArrivalPlan {
    let rate = RATE * f64::from(replicas) * 211.0 / f64::from(output);
    ArrivalPlan::Poisson(Poisson { rate: PerSecond::new(rate), prompt: 1_155, output })
}

fn plan(replicas: u32, router: Router, arrivals: ArrivalPlan) -> ServicePlan {
    let node = NodePower::new(&NODES[0].sheet, &GPUS[0].sheet);
    let decode = |batch: u32| Watts::new(440 + u64::from(batch.min(125)) * 2);
    ServicePlan {
        name: "bench".to_owned(),
        cluster: 0,
        opens_after: None,
        opens_at: Span::ZERO,
        gpus: 1,
        nodes: 1,
        options: ReplicaOptions::default(),
        // H100, Llama-3.1-8B, TP1 (our fit of kernel sums, as in the catalog).
        step: StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 },
        step_source: "bench".to_owned(),
        token_budget: 2_048,
        max_batch: 256,
        kv_tokens: 440_000,
        start_up: Span::from_secs(120),
        power: ServingPower::compile(&node, 256, Watts::new(122), Watts::new(690), decode),
        slowdown: Slowdown::NONE,
        levers: Vec::new(),
        power_priority: Priority::High,
        priority: 0,
        scale: ScaleSection { min: replicas, max: replicas, policy: ScalePolicy::Fixed {} },
        tick: Span::from_secs(15),
        router,
        front: Front::default(),
        arrivals,
        fidelity: Fidelity::Requests {},
        prices: None,
        slo: Some(Slo { ttft: Span::from_secs(2), tpot: Span::from_nanos(30_000_000) }),
        queue: 512,
        clientele: Clientele::default(),
        failures: FailureLaw::None,
        record: None,
        start_hour_of_week: 0,
    }
}

fn open(plan: ServicePlan, horizon: SimTime) -> Cell {
    let replicas = plan.scale.max;
    let grid = Grid { horizon, bin: Span::MINUTE };
    let mut cell = Cell::new(Arc::new(plan), 0, Seed { seed: 1, replication: 0 }, grid);
    (0..replicas).for_each(|_| cell.add_replica(SimTime::ZERO, SimTime::ZERO, NodeSet::default()));
    cell.open(SimTime::ZERO);
    cell
}

/// Serves to `horizon` and returns how many requests completed.
fn serve(mut cell: Cell, horizon: SimTime) -> u64 {
    cell.run_until(horizon);
    cell.close(horizon).0.counted(Count::Completed)
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("serving");
    group.sample_size(10);
    measure(&mut group, "one replica", plan(1, Router::RoundRobin {}, chat(1)), RATE);
    let rate = 64.0 * RATE;
    measure(&mut group, "64 replicas, round-robin", plan(64, Router::RoundRobin {}, chat(64)), rate);
    measure(&mut group, "64 replicas, least-loaded", plan(64, Router::LeastLoaded {}, chat(64)), rate);
    for output in [250, 2_000] {
        let plan = plan(64, Router::LeastLoaded {}, outputs(64, output));
        measure(&mut group, &format!("outputs of {output} tokens"), plan, rate * 211.0 / f64::from(output));
    }
    group.finish();
}

/// Serves as many seconds as bring [`REQUESTS`] at `rate` a second.
fn measure(group: &mut BenchmarkGroup<'_, CpuTime>, name: &str, plan: ServicePlan, rate: f64) {
    let horizon = SimTime::ZERO + Span::from_secs_f64(REQUESTS as f64 / rate);
    let replicas = f64::from(plan.scale.max);
    let ready = open(plan, horizon);
    let mut warm = ready.clone();
    warm.run_until(SimTime::ZERO + Span::from_secs(200));
    println!("{name}: {:.1} sequences a replica", warm.telemetry().running as f64 / replicas);
    group.throughput(Throughput::Elements(REQUESTS));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(|| ready.clone(), |cell| serve(cell, horizon), BatchSize::PerIteration);
    });
}

fn cpu_time() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime)
}

criterion_group!(name = benches; config = cpu_time(); targets = bench);
criterion_main!(benches);
