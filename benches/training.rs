//! Replications a second of `scenarios/llama3-54-days.toml` with a second checkpoint tier, in CPU time of the measuring thread
//! (Linux only): the training job alone, and a whole run with its ledger closed. `cargo bench --bench training`; BENCHMARKS.md holds the figures.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
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

/// Time on the processor of the calling thread, from the kernel's scheduler statistics.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        // Yielding brings the kernel's account of this thread up to date.
        std::thread::yield_now();
        let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux keeps statistics");
        let nanos = statistics.split(' ').next().and_then(|field| field.parse().ok());
        Duration::from_nanos(nanos.expect("the first field is nanoseconds on the processor"))
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;
    fn start(&self) -> Duration {
        CpuTime::now()
    }
    fn end(&self, start: Duration) -> Duration {
        CpuTime::now() - start
    }
    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn cpu_time() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime).measurement_time(Duration::from_secs(3))
}

criterion_group!(name = cpu; config = cpu_time(); targets = bench);
criterion_main!(cpu);
