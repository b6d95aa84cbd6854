//! Requests per second of one replica, and of a cell of 64 under each router, with everything on: arrivals, key-value blocks,
//! chunked prefill, latencies, power, the book. `cargo bench --bench serving`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use tollway::catalog::{GPUS, NODES};
use tollway::engine::{Process, Seed};
use tollway::fault::FailureLaw;
use tollway::ledger::{Count, Grid};
use tollway::power::{NodePower, ServingPower};
use tollway::serving::{
    ArrivalPlan, Cell, Chat, Fidelity, Router, ScalePolicy, ScaleSection, ServicePlan, Slo, StepModel,
};
use tollway::units::{PerSecond, Ratio, SimTime, Span, Watts};
use tollway::world::NodeSet;

/// Requests a second of one replica: a mean batch of about 23 at conversation lengths.
const RATE: f64 = 10.0;

fn plan(replicas: u32, router: Router) -> ServicePlan {
    let node = NodePower::new(&NODES[0].sheet, &GPUS[0].sheet);
    let decode = |batch: u32| Watts::new(440 + u64::from(batch.min(125)) * 2);
    ServicePlan {
        name: "bench".to_owned(),
        cluster: 0,
        opens_after: None,
        opens_at: Span::ZERO,
        gpus: 1,
        nodes: 1,
        // H100, Llama-3.1-8B, TP1 (models/inference.md section 1, known answer).
        step: StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 },
        step_source: "bench".to_owned(),
        token_budget: 2_048,
        max_batch: 256,
        kv_tokens: 440_000,
        start_up: Span::from_secs(120),
        power: ServingPower::compile(&node, 256, Watts::new(122), Watts::new(690), decode),
        scale: ScaleSection { min: replicas, max: replicas, policy: ScalePolicy::Fixed {} },
        tick: Span::from_secs(15),
        router,
        arrivals: ArrivalPlan::Chat(Chat {
            rate: PerSecond::new(RATE * f64::from(replicas)),
            noise: Ratio::new(0.0),
            noise_time: Span::from_secs(600),
            burstiness: Ratio::new(1.04),
            weekly: false,
        }),
        fidelity: Fidelity::Requests {},
        slo: Some(Slo { ttft: Span::from_secs(2), tpot: Span::from_nanos(30_000_000) }),
        queue: 512,
        failures: FailureLaw::None,
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

fn bench(criterion: &mut Criterion) {
    const REQUESTS: u64 = 300_000;
    let mut group = criterion.benchmark_group("serving");
    group.sample_size(10);
    let cases = [
        ("one replica", 1, Router::RoundRobin {}),
        ("64 replicas, round-robin", 64, Router::RoundRobin {}),
        ("64 replicas, least-loaded", 64, Router::LeastLoaded {}),
    ];
    for (name, replicas, router) in cases {
        let seconds = REQUESTS as f64 / (RATE * f64::from(replicas));
        let horizon = SimTime::ZERO + Span::from_secs_f64(seconds);
        let ready = open(plan(replicas, router), horizon);
        let mut halfway = ready.clone();
        halfway.run_until(SimTime::ZERO + Span::from_secs_f64(seconds / 2.0));
        println!("{name}: {:.1} sequences a replica", halfway.telemetry().running as f64 / f64::from(replicas));
        group.throughput(Throughput::Elements(serve(ready.clone(), horizon)));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| ready.clone(), |cell| serve(cell, horizon), BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
