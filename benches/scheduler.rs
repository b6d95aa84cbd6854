//! Jobs a second through the scheduler, in CPU time of the measuring thread (Linux only): whole runs of the Kalos mix on 302 nodes
//! with failures, requeues, books and figures. `cargo bench --bench scheduler`; BENCHMARKS.md holds the figures.

mod common;

use common::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;
use std::time::Duration;
use tollway::scenario::{self, Scenario};
use tollway::simulate;
use tollway::units::{SimTime, Span};

/// `jobs` jobs of `scenarios/kalos-mix.toml` at `rate` a day.
fn mix(scheduler: &str, rate: u64, jobs: u64) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/kalos-mix.toml");
    let sets = [
        format!("cluster.kalos.scheduler={{ {scheduler} = {{}} }}"),
        format!("workload.mix.jobs.kalos.rate=\"{rate} /d\""),
        "workload.mix.listing=\"none\"".to_owned(),
    ];
    let scenario = scenario::load(&file, &sets).expect("a shipped scenario loads");
    let horizon = SimTime::ZERO + Span::DAY * jobs.div_ceil(rate);
    Scenario { horizon, ..scenario }
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("kalos");
    for (name, scheduler, rate, counts) in [
        ("180 a day, fifo", "fifo", 180, vec![20_000]),
        ("180 a day, backfill", "backfill", 180, vec![20_000, 100_000, 1_000_000]),
        ("450 a day, backfill", "backfill", 450, vec![20_000, 1_000_000]),
    ] {
        for jobs in counts {
            let scenario = mix(scheduler, rate, jobs);
            group.throughput(Throughput::Elements(jobs));
            group.bench_function(BenchmarkId::new(name, jobs), |bencher| bencher.iter(|| simulate(&scenario, |_| {})));
        }
    }
    group.finish();
}

fn cpu_time() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).sample_size(10).measurement_time(Duration::from_secs(5))
}

criterion_group!(name = cpu; config = cpu_time(); targets = bench);
criterion_main!(cpu);
