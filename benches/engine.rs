//! What an event, a window and a draw cost, in CPU time of the measuring thread (Linux only), so that a busy machine spoils
//! little. BENCHMARKS.md holds the figures and their commands.

mod common;

use common::CpuTime;
use criterion::measurement::{Measurement, WallTime};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tollway::engine::variate::gamma_quantile;
use tollway::engine::{
    Calendar, Control, Entity, EventKey, Process, QuantileTable, RadixHeap, Seed, Slots, Stream, run,
};
use tollway::units::{SimTime, Span};

const SEED: Seed = Seed { seed: 1, replication: 0 };
const PENDING: [u32; 3] = [100, 10_000, 1_000_000];

fn stream(purpose: &'static str) -> Stream {
    SEED.stream(Entity::named("bench"), purpose)
}

fn next_key(now: SimTime, entity: u32, delays: &mut Stream) -> EventKey {
    EventKey::new(now + Span::from_secs_f64(delays.exponential()), 0, entity, 0)
}

/// The hold model: one pending event per entity; the next is taken and its entity plans another, exponential, mean 1 s.
fn hold(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("hold");
    group.throughput(Throughput::Elements(1));
    for pending in PENDING {
        let mut delays = stream("delays");
        let mut first = || (0..pending).map(|entity| next_key(SimTime::ZERO, entity, &mut delays)).collect::<Vec<_>>();
        let (mut calendar, mut radix, mut slots) = (Calendar::default(), RadixHeap::default(), Slots::new(pending));
        first().into_iter().for_each(|key| calendar.push(key, ()));
        first().into_iter().for_each(|key| radix.push(key, ()));
        first().into_iter().for_each(|key| slots.plan(key));
        group.bench_function(BenchmarkId::new("calendar", pending), |bencher| {
            bencher.iter(|| {
                let (key, ()) = calendar.peek().expect("one event per entity");
                calendar.replace_top(next_key(key.time(), key.entity(), &mut delays), ())
            });
        });
        group.bench_function(BenchmarkId::new("radix", pending), |bencher| {
            bencher.iter(|| {
                let (key, ()) = radix.pop().expect("one event per entity");
                radix.push(next_key(key.time(), key.entity(), &mut delays), ());
            });
        });
        group.bench_function(BenchmarkId::new("slots", pending), |bencher| {
            bencher.iter(|| {
                let key = slots.next().expect("one event per entity");
                slots.plan(next_key(key.time(), key.entity(), &mut delays));
            });
        });
    }
}

/// A process of PHOLD: an event draws a delay and stays, or one time in ten moves to another process at the next edge.
struct Phold {
    calendar: Calendar<u32>,
    stream: Stream,
    outbox: Vec<(u32, u32)>,
}

impl Process for Phold {
    fn next_time(&self) -> SimTime {
        self.calendar.peek().map_or(SimTime::NEVER, |(key, _)| key.time())
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        let (mut handled, limit) = (0, EventKey::after(edge));
        while let Some((key, token)) = self.calendar.peek().filter(|(key, _)| *key < limit) {
            handled += 1;
            if self.stream.below(10) == 0 {
                let _ = self.calendar.pop();
                self.outbox.push((self.stream.below(PROCESSES), token));
            } else {
                self.calendar.replace_top(next_key(key.time(), token, &mut self.stream), token);
            }
        }
        handled
    }
}

struct Post(SimTime);

impl Control<Phold> for Post {
    fn next_edge(&self, _: &[Phold]) -> SimTime {
        self.0 + Span::SECOND
    }

    fn at_edge(&mut self, now: SimTime, processes: &mut [Phold]) {
        self.0 = now;
        for from in 0..processes.len() {
            for (to, token) in std::mem::take(&mut processes[from].outbox) {
                let target = &mut processes[to as usize];
                target.calendar.push(next_key(now, token, &mut target.stream), token);
            }
        }
    }
}

const PROCESSES: u32 = 16;

fn phold_processes(pending: u32) -> Vec<Phold> {
    let tokens = |name: u32| (name..pending).step_by(PROCESSES as usize);
    let process = |name| {
        let mut stream = SEED.stream(Entity::named("phold").part(name), "delays");
        let mut calendar = Calendar::default();
        tokens(name).for_each(|token| calendar.push(next_key(SimTime::ZERO, token, &mut stream), token));
        Phold { calendar, stream, outbox: Vec::new() }
    };
    (0..PROCESSES).map(process).collect()
}

fn phold_run(processes: &mut [Phold], seconds: u64) -> u64 {
    run(&mut Post(SimTime::ZERO), processes, SimTime::ZERO + Span::from_secs(seconds), |_| ()).events
}

fn phold_on<M: Measurement>(pool: &rayon::ThreadPool, criterion: &mut Criterion<M>, name: &str) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    for pending in PENDING {
        let seconds = 2_000_000 / u64::from(pending);
        group.throughput(Throughput::Elements(phold_run(&mut phold_processes(pending), seconds)));
        group.bench_function(BenchmarkId::from_parameter(pending), |bencher| {
            let setup = || phold_processes(pending);
            let routine = |processes: &mut Vec<Phold>| pool.install(|| phold_run(processes, seconds));
            bencher.iter_batched_ref(setup, routine, BatchSize::PerIteration);
        });
    }
}

/// PHOLD through the window loop on one thread: 16 processes, windows of a second, about two million events.
fn phold(criterion: &mut Criterion<CpuTime>) {
    let measuring_thread = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
    phold_on(&measuring_thread.expect("the measuring thread joins no other pool"), criterion, "phold/1 thread");
}

/// The same on two threads, in wall-clock time: only a quiet machine tells.
fn phold_two_threads(criterion: &mut Criterion<WallTime>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool of threads starts");
    phold_on(&pool, criterion, "phold/2 threads");
}

fn streams(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(1));
    let node = Entity::named("cluster.main");
    let mut part = 0;
    group.bench_function("set up and draw once", |bencher| {
        bencher.iter(|| {
            part += 1;
            SEED.stream(node.part(part), "failures").bits()
        });
    });
    let table = QuantileTable::from_quantile(|p| gamma_quantile(0.9246, p));
    let mut draws = stream("draws");
    group.bench_function("uniform", |bencher| bencher.iter(|| draws.uniform()));
    group.bench_function("exponential", |bencher| bencher.iter(|| draws.exponential()));
    group.bench_function("normal", |bencher| bencher.iter(|| draws.normal()));
    group.bench_function("lognormal", |bencher| bencher.iter(|| draws.lognormal(6.0, 1.5)));
    group.bench_function("weibull", |bencher| bencher.iter(|| draws.weibull(0.45, 2.13)));
    group.bench_function("quantile table", |bencher| bencher.iter(|| draws.draw(black_box(&table))));
    group.bench_function("compile a quantile table", |bencher| {
        bencher.iter(|| QuantileTable::from_quantile(|p| gamma_quantile(black_box(0.9246), p)));
    });
}

fn cpu_time() -> Criterion<CpuTime> {
    Criterion::default().with_measurement(CpuTime)
}

criterion_group!(name = cpu; config = cpu_time(); targets = hold, phold, streams);
criterion_group!(wall, phold_two_threads);
criterion_main!(cpu, wall);
