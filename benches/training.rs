//! Replications a second of `scenarios/llama3-54-days.toml` with a second checkpoint tier, in CPU time of the measuring thread
//! (Linux only): the training job alone, and a whole run with its ledger closed. `cargo bench --bench training`; BENCHMARKS.md holds the figures.

mod common;

use common::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::path::Path;
use std::time::Duration;
use tollway::engine::{Process, Seed};
use tollway::ledger::{Grid, JobFacts};
use tollway::scenario::{self, Scenario};
use tollway::simulate;
use tollway::training::Job;
use tollway::units::{SimTime, Span};
use tollway::world::NodeSet;

/// One replication of the scenario's job, with books in bins of `bin`.
fn replicate(scenario: &Scenario, replication: u64, bin: Span) -> JobFacts {
    let plan = scenario.jobs[0].clone();
    let granted = NodeSet::first(plan.granted_nodes());
    let seed = Seed { seed: scenario.seed, replication };
    let mut job = Job::new(plan, seed, Grid { horizon: scenario.horizon, bin });
    job.start(SimTime::ZERO, granted);
    job.run_until(scenario.horizon);
    job.close(scenario.horizon).1
}

fn bench(criterion: &mut Criterion<CpuTime>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/llama3-54-days.toml");
    let memory = "training.llama3.checkpoint.memory={ every = \"1 min\", blocking = \"0 s\", background = \"3 s\" }";
    let mut scenario = scenario::load(&file, &[memory.to_owned()]).expect("a shipped scenario loads");
    let mut group = criterion.benchmark_group("llama3-54-days");
    group.throughput(Throughput::Elements(1));
    for (name, bin) in [("job, books by the day", Span::DAY), ("job, books by the hour", Span::HOUR)] {
        let mut replication = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                replication += 1;
                replicate(&scenario, replication, bin)
            });
        });
    }
    group.bench_function("whole run", |bencher| {
        bencher.iter(|| {
            scenario.replication += 1;
            simulate(&scenario, |_| {})
        });
    });
    group.finish();
}

fn cpu_time() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).measurement_time(Duration::from_secs(3))
}

criterion_group!(name = cpu; config = cpu_time(); targets = bench);
criterion_main!(cpu);
