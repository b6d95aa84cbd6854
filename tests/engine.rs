//! The engine from outside: order, chance and windows.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use tollway::engine::variate::gamma_quantile;
use tollway::engine::{
    Calendar, Control, Entity, EventKey, Process, QuantileTable, RadixHeap, RunStats, Seed, Slots, Stream, run,
};
use tollway::units::{SimTime, Span};

fn key(at: u64, class: u8, entity: u32, sequence: u32) -> EventKey {
    EventKey::new(SimTime::from_nanos(at), class, entity, sequence)
}

// ---- calendars against BTreeSet ------------------------------------------------------------------------------------

/// Unique keys with many ties in time and class.
fn keys() -> impl Strategy<Value = BTreeSet<EventKey>> {
    let near = (0..6_u64, 0..3_u8, 0..40_u32, 0..3_u32);
    let far = (any::<u64>(), any::<u8>(), any::<u32>(), 0..1_u32 << 24);
    proptest::collection::btree_set(prop_oneof![near, far].prop_map(|(t, c, e, s)| key(t, c, e, s)), 1..200)
}

/// The same keys in another order.
fn shuffled(keys: &BTreeSet<EventKey>, seed: u64) -> Vec<EventKey> {
    let mut stream = Seed { seed, replication: 0 }.stream(Entity::named("shuffle"), "order");
    let mut keys: Vec<EventKey> = keys.iter().copied().collect();
    for i in (1..keys.len()).rev() {
        keys.swap(i, stream.below(i as u32 + 1) as usize);
    }
    keys
}

proptest! {
    #[test]
    fn order_does_not_depend_on_insertion(keys in keys(), seed in any::<u64>()) {
        let (mut small, mut large) = (Calendar::default(), RadixHeap::default());
        for (payload, key) in shuffled(&keys, seed).into_iter().enumerate() {
            small.push(key, payload);
            large.push(key, payload);
        }
        prop_assert_eq!((small.len(), large.len()), (keys.len(), keys.len()));
        for key in &keys {
            prop_assert_eq!((small.peek().map(|(key, _)| key), large.peek()), (Some(*key), Some(*key)));
            let (a, b) = (small.pop(), large.pop());
            prop_assert_eq!(a, b);
            prop_assert_eq!(a.map(|(key, _)| key), Some(*key));
        }
        prop_assert!(small.pop().is_none() && large.pop().is_none() && small.is_empty() && large.is_empty());
    }

    /// Takes, replacements and pushes mixed, with limits that stop short and events planned below a limit after that.
    #[test]
    fn mixed_use_follows_a_sorted_set(
        steps in proptest::collection::vec((0..4_u8, 0..50_u64, 0..3_u8, 0..1_000_u32), 1..300)
    ) {
        let (mut small, mut large, mut model) = (Calendar::default(), RadixHeap::default(), BTreeSet::new());
        let mut last = EventKey::ZERO;
        for (sequence, (action, delay, class, entity)) in steps.into_iter().enumerate() {
            let planned = key(last.time().nanos() + delay, class, entity, sequence as u32);
            let limit = EventKey::after(SimTime::from_nanos(last.time().nanos() + delay / 4));
            if action == 0 {
                let expected = model.first().copied().filter(|key| *key < limit);
                prop_assert_eq!(small.pop_below(limit).map(|(key, ())| key), expected);
                prop_assert_eq!(large.pop_below(limit).map(|(key, ())| key), expected);
                model.retain(|key| Some(*key) != expected);
                last = expected.unwrap_or(last);
            } else if planned > last && action == 1 && !model.is_empty() {
                let expected = model.pop_first();
                prop_assert_eq!(large.pop().map(|(key, ())| key), expected);
                last = expected.expect("the model is not empty");
                let planned = planned.max(key(last.time().nanos(), u8::MAX, u32::MAX, sequence as u32));
                prop_assert_eq!(small.replace_top(planned, ()).0, last);
                large.push(planned, ());
                model.insert(planned);
            } else if planned > last {
                small.push(planned, ());
                large.push(planned, ());
                model.insert(planned);
            }
            prop_assert_eq!((small.len(), large.len()), (model.len(), model.len()));
            prop_assert_eq!(large.peek(), model.first().copied());
        }
    }

    #[test]
    fn slots_keep_one_plan_for_each_entity(
        entities in 1..600_u32,
        steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0..20_u64, 0..3_u8), 1..300)
    ) {
        let (mut slots, mut model) = (Slots::new(entities), BTreeMap::new());
        for (sequence, (plan, entity, at, class)) in steps.into_iter().enumerate() {
            let entity = entity % entities;
            if plan {
                let key = key(at, class, entity, sequence as u32);
                slots.plan(key);
                model.insert(entity, key);
            } else {
                slots.cancel(entity);
                model.remove(&entity);
            }
            prop_assert_eq!(slots.planned(entity), model.get(&entity).copied());
            prop_assert_eq!(slots.next(), model.values().min().copied());
        }
    }
}

#[test]
fn a_look_does_not_move_the_radix_heap_forward() {
    let mut heap = RadixHeap::default();
    heap.push(key(100, 0, 0, 0), 'b');
    assert_eq!(heap.peek(), Some(key(100, 0, 0, 0)));
    assert_eq!(heap.pop_below(EventKey::after(SimTime::from_nanos(99))), None);
    heap.push(key(99, 0, 0, 0), 'a');
    assert_eq!(heap.pop(), Some((key(99, 0, 0, 0), 'a')));
    assert_eq!(heap.pop(), Some((key(100, 0, 0, 0), 'b')));
}

#[test]
#[should_panic(expected = "events are planned in the future")]
fn the_radix_heap_refuses_the_past() {
    let mut heap = RadixHeap::default();
    heap.push(key(100, 0, 0, 0), ());
    let _ = heap.pop();
    heap.push(key(99, 0, 0, 0), ());
}

// ---- streams -------------------------------------------------------------------------------------------------------

const SEED: Seed = Seed { seed: 1, replication: 0 };

/// ChaCha with eight rounds, a 64-bit counter and stream 0, written from D. J. Bernstein's paper (2008).
fn chacha8_block(key: &[u8; 32], counter: u64) -> [u32; 16] {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut start = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    key.chunks_exact(4).enumerate().for_each(|(i, bytes)| start[4 + i] = word(bytes));
    start[12] = counter as u32;
    start[13] = (counter >> 32) as u32;
    let mut s = start;
    for _ in 0..4 {
        for column in 0..4 {
            quarter_round(&mut s, [column, column + 4, column + 8, column + 12]);
        }
        for column in 0..4 {
            quarter_round(&mut s, [column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4]);
        }
    }
    std::array::from_fn(|i| s[i].wrapping_add(start[i]))
}

fn quarter_round(s: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        s[x] = s[x].wrapping_add(s[y]);
        s[z] = (s[z] ^ s[x]).rotate_left(turn);
    }
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The published keystream of ChaCha8 for a zero key (draft-strombergson-chacha-test-vectors-01, TC1, 256-bit key), then
/// a stream against it.
#[test]
fn a_stream_is_chacha8_keyed_by_seed_replication_entity_and_purpose() {
    assert_eq!(chacha8_block(&[0; 32], 0)[..4], [0x2fef_003e, 0xd640_5f89, 0xe8b8_5b7f, 0xa1a5_091f]);
    assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8, "FNV-1a's published test vector");
    let mut key = [0; 32];
    for (part, word) in key.chunks_exact_mut(8).zip([7, 3, fnv1a("cluster.main"), fnv1a("failures")]) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    let mut stream = Seed { seed: 7, replication: 3 }.stream(Entity::named("cluster.main"), "failures");
    for counter in 0..5 {
        for pair in chacha8_block(&key, counter).chunks_exact(2) {
            assert_eq!(stream.bits(), u64::from(pair[0]) | u64::from(pair[1]) << 32);
        }
    }
}

/// If one of these changes, so does every result: say so in the changelog.
#[test]
fn golden_draws() {
    let mut stream = SEED.stream(Entity::named("service.chat").part(2), "arrivals");
    let drawn = (stream.bits(), stream.uniform(), stream.exponential(), stream.normal(), stream.below(1_000));
    let gaps = QuantileTable::from_quantile(|p| gamma_quantile(0.9246, p));
    let more = (stream.lognormal(6.0, 1.5), stream.weibull(0.45, 2.13), stream.draw(&gaps));
    expect_test::expect!["(9293866814745391747, 0.6016091572405696, 0.4211305177080193, 0.43287211691360367, 619) (115.58150486564006, 0.20668794137996557, 1.1779595167755825)"].assert_eq(&format!("{drawn:?} {more:?}"));
}

#[test]
fn streams_differ_by_each_part_of_their_key() {
    let (a, b) = (Entity::named("training.a"), Entity::named("training.b"));
    let mut first: Vec<u64> = [
        SEED.stream(a, "failures"),
        SEED.stream(a, "repairs"),
        SEED.stream(b, "failures"),
        SEED.stream(a.part(0), "failures"),
        SEED.stream(a.part(1), "failures"),
        Seed { seed: 2, replication: 0 }.stream(a, "failures"),
        Seed { seed: 1, replication: 1 }.stream(a, "failures"),
    ]
    .map(|mut stream| stream.bits())
    .to_vec();
    first.sort_unstable();
    first.dedup();
    assert_eq!(first.len(), 7);
}

#[test]
fn streams_do_not_correlate() {
    const DRAWS: u32 = 20_000;
    let entity = Entity::named("cluster.main");
    let pairs = [
        (SEED.stream(entity.part(0), "failures"), SEED.stream(entity.part(1), "failures")),
        (SEED.stream(entity, "failures"), SEED.stream(entity, "repairs")),
    ];
    for (mut x, mut y) in pairs {
        // Uniforms have variance 1/12, so this is a sum of products of correlation and has standard error 1 / sqrt(n).
        let sum: f64 = (0..DRAWS).map(|_| 12.0 * (x.uniform() - 0.5) * (y.uniform() - 0.5)).sum();
        let correlation = sum / f64::from(DRAWS);
        assert!(correlation.abs() < 3.0 / f64::from(DRAWS).sqrt(), "correlation {correlation}");
    }
}

#[test]
fn parts_do_not_collide() {
    let mut first = BTreeSet::new();
    for cluster in ["cluster.main", "cluster.spare"] {
        for part in 0..20_000 {
            let part = Entity::named(cluster).part(part);
            assert!(first.insert(SEED.stream(part, "failures").bits()), "{part:?} shares its numbers");
        }
    }
}

/// A law, how a stream draws it, and its distribution function.
type Law = (&'static str, Box<dyn Fn(&mut Stream) -> f64>, fn(f64) -> f64);

fn laws() -> [Law; 7] {
    let gamma = QuantileTable::from_quantile(|p| gamma_quantile(2.0, p));
    let lengths = QuantileTable::from_points(&[(0.0, 1.0), (0.5, 100.0), (1.0, 10_000.0)]);
    [
        ("uniform", Box::new(|stream| stream.uniform()), |x| x),
        ("exponential", Box::new(|stream| stream.exponential()), |x| 1.0 - libm::exp(-x)),
        ("normal", Box::new(|stream| stream.normal()), normal_distribution),
        ("weibull", Box::new(|stream| stream.weibull(0.45, 2.0)), |x| 1.0 - libm::exp(-libm::pow(x / 2.0, 0.45))),
        ("lognormal", Box::new(|stream| stream.lognormal(1.0, 2.0)), |x| {
            normal_distribution((libm::log(x) - 1.0) / 2.0)
        }),
        ("table of a gamma of shape 2", Box::new(move |stream| stream.draw(&gamma)), |x| {
            1.0 - libm::exp(-x) * (1.0 + x)
        }),
        ("table of points", Box::new(move |stream| stream.draw(&lengths)), |x| libm::log10(x) / 4.0),
    ]
}

fn normal_distribution(x: f64) -> f64 {
    libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0
}

/// Kolmogorov's distance between draws and a distribution function stays below its 0.1 % point, 1.95 / sqrt(n).
#[test]
fn draws_follow_their_laws() {
    const DRAWS: usize = 100_000;
    for (law, draw, distribution) in laws() {
        let mut stream = SEED.stream(Entity::named(law), "distance");
        let mut drawn: Vec<f64> = (0..DRAWS).map(|_| draw(&mut stream)).collect();
        drawn.sort_by(f64::total_cmp);
        let at = |rank: usize| (distribution(drawn[rank]) - (rank as f64 + 0.5) / DRAWS as f64).abs();
        let distance = (0..DRAWS).map(at).fold(0.0, f64::max);
        assert!(distance < 1.95 / (DRAWS as f64).sqrt(), "{law}: {distance}");
    }
}

// ---- PHOLD ---------------------------------------------------------------------------------------------------------

/// A process of the PHOLD benchmark (Fujimoto 1990): each event draws a delay and moves to another process now and then.
/// Events that move wait in the outbox for the next edge.
struct Phold {
    name: u32,
    calendar: Calendar<u64>,
    stream: Stream,
    outbox: Vec<(u32, u64)>,
    sent: u32,
    digest: u64,
}

/// Which class an event has, in the order in which they act.
enum Class {
    Move,
    Jump,
}

impl From<Class> for u8 {
    fn from(class: Class) -> u8 {
        class as u8
    }
}

const WINDOW: Span = Span::from_nanos(100_000_000);

impl Phold {
    fn new(name: u32, population: u32) -> Phold {
        let stream = SEED.stream(Entity::named("phold").part(name), "delays");
        let mut process = Phold { name, calendar: Calendar::default(), stream, outbox: Vec::new(), sent: 0, digest: 0 };
        for token in 0..population {
            process.plan(SimTime::ZERO, Class::Move, u64::from(name) << 32 | u64::from(token));
        }
        process
    }

    fn plan(&mut self, now: SimTime, class: Class, token: u64) {
        let at = now + Span::from_secs_f64(self.stream.exponential());
        self.sent += 1;
        self.calendar.push(EventKey::new(at, class, token as u32, self.sent), token);
    }
}

impl Process for Phold {
    fn next_time(&self) -> SimTime {
        self.calendar.peek().map_or(SimTime::NEVER, |(key, _)| key.time())
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        let mut handled = 0;
        while let Some((key, token)) = self.calendar.pop_below(EventKey::after(edge)) {
            handled += 1;
            self.digest = (self.digest ^ key.time().nanos() ^ token).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
            if self.stream.below(10) == 0 {
                self.outbox.push((self.stream.below(1 << 20), token));
            } else {
                self.plan(key.time(), Class::Move, token);
            }
        }
        handled
    }
}

/// Delivers what moves at each edge, in the order of the processes.
struct Post {
    now: SimTime,
    /// Processes that take part in the exchange; a further one runs alone.
    members: usize,
}

impl Control<Phold> for Post {
    fn next_edge(&self, _: &[Phold]) -> SimTime {
        self.now + WINDOW
    }

    fn at_edge(&mut self, now: SimTime, processes: &mut [Phold]) {
        self.now = now;
        for from in 0..processes.len() {
            for (draw, token) in std::mem::take(&mut processes[from].outbox) {
                let to = if from < self.members { draw as usize % self.members } else { from };
                processes[to].plan(now, Class::Jump, token);
            }
        }
    }
}

/// The digests by process name, and what the run did.
fn phold(mut processes: Vec<Phold>, members: usize, threads: usize) -> (BTreeMap<u32, u64>, RunStats) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads starts");
    let mut post = Post { now: SimTime::ZERO, members };
    let stats = pool.install(|| run(&mut post, &mut processes, SimTime::ZERO + Span::from_secs(5), |_| ()));
    (processes.iter().map(|process| (process.name, process.digest)).collect(), stats)
}

fn populations(count: u32) -> Vec<Phold> {
    // Unequal on purpose: the costliest process holds 24 times the least.
    (0..count).map(|name| Phold::new(name, 100 * (1 + name % 24))).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_digests() {
    let (expected, stats) = phold(populations(16), 16, 1);
    assert_eq!(stats.windows, 50);
    // 13,600 tokens, one event a second each for five seconds; a jump waits half a window on average before it draws.
    assert!((60_000..72_000).contains(&stats.events), "{stats:?}");
    assert!(stats.events / stats.windows < 3_000, "{stats:?}");
    for threads in [2, 3, 8] {
        assert_eq!(phold(populations(16), 16, threads), (expected.clone(), stats), "{threads} threads");
    }
}

#[test]
fn forked_windows_give_the_same_digests() {
    let big = || (0..8).map(|name| Phold::new(name, 6_000)).collect();
    let (expected, stats) = phold(big(), 8, 1);
    assert!(stats.events / stats.windows > 4_000, "past the threshold of a fork: {stats:?}");
    for threads in [2, 3, 8] {
        assert_eq!(phold(big(), 8, threads), (expected.clone(), stats), "{threads} threads");
    }
}

#[test]
fn one_more_process_moves_no_other() {
    let (alone, _) = phold(populations(8), 8, 2);
    let (mut joined, _) = phold(populations(9), 8, 2);
    assert!(joined.remove(&8).is_some_and(|digest| digest != 0));
    assert_eq!(joined, alone);
}

#[test]
fn a_process_that_is_not_due_is_left_alone() {
    struct Sleeper;
    impl Process for Sleeper {
        fn next_time(&self) -> SimTime {
            SimTime::NEVER
        }
        fn run_until(&mut self, _: SimTime) -> u64 {
            unreachable!("it is never due")
        }
    }
    struct Ticks(u64);
    impl Control<Sleeper> for Ticks {
        fn next_edge(&self, _: &[Sleeper]) -> SimTime {
            SimTime::from_nanos(7 * self.0)
        }
        fn at_edge(&mut self, _: SimTime, _: &mut [Sleeper]) {
            self.0 += 1;
        }
    }
    let mut heard = Vec::new();
    let stats = run(&mut Ticks(0), &mut [Sleeper, Sleeper], SimTime::from_nanos(20), |edge| heard.push(edge.nanos()));
    assert_eq!((heard, stats), (vec![7, 14, 20], RunStats { events: 0, windows: 3 }));
}

// ---- queues against theory -----------------------------------------------------------------------------------------

/// First come, first served by `servers` equal servers, with exponential gaps and services: M/M/c.
struct Queue {
    calendar: Calendar<()>,
    gaps: Stream,
    services: Stream,
    /// Mean arrivals in a mean service.
    offered: f64,
    free: u32,
    waiting: std::collections::VecDeque<SimTime>,
    arrived: u32,
    waits: Vec<Span>,
}

enum QueueEvent {
    Departure,
    Arrival,
}

impl From<QueueEvent> for u8 {
    fn from(event: QueueEvent) -> u8 {
        event as u8
    }
}

impl Queue {
    fn new(servers: u32, utilisation: f64) -> Queue {
        let name = Entity::named("queue").part(servers);
        let mut queue = Queue {
            calendar: Calendar::default(),
            gaps: SEED.stream(name, "gaps"),
            services: SEED.stream(name, "services"),
            offered: utilisation * f64::from(servers),
            free: servers,
            waiting: std::collections::VecDeque::new(),
            arrived: 0,
            waits: Vec::new(),
        };
        queue.expect_arrival(SimTime::ZERO);
        queue
    }

    fn expect_arrival(&mut self, now: SimTime) {
        let at = now + Span::from_secs_f64(self.gaps.exponential() / self.offered);
        self.calendar.push(EventKey::new(at, QueueEvent::Arrival, self.arrived, 0), ());
        self.arrived += 1;
    }

    fn serve(&mut self, now: SimTime, arrival: SimTime) {
        self.waits.push(now.since(arrival));
        let at = now + Span::from_secs_f64(self.services.exponential());
        self.calendar.push(EventKey::new(at, QueueEvent::Departure, self.waits.len() as u32, 0), ());
    }

    /// Mean wait in seconds and its standard error from 40 batches.
    fn mean_wait(&self) -> (f64, f64) {
        const BATCHES: usize = 40;
        let warm = &self.waits[self.waits.len() / 20..];
        let mean = |waits: &[Span]| waits.iter().map(|wait| wait.as_secs_f64()).sum::<f64>() / waits.len() as f64;
        let means: Vec<f64> = warm.chunks_exact(warm.len() / BATCHES).map(mean).collect();
        let overall = mean(warm);
        let variance: f64 = means.iter().map(|mean| (mean - overall) * (mean - overall)).sum::<f64>();
        (overall, (variance / (means.len() * (means.len() - 1)) as f64).sqrt())
    }
}

impl Process for Queue {
    fn next_time(&self) -> SimTime {
        self.calendar.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    fn run_until(&mut self, edge: SimTime) -> u64 {
        let mut handled = 0;
        while let Some((key, ())) = self.calendar.pop_below(EventKey::after(edge)) {
            handled += 1;
            let now = key.time();
            if key.class() == u8::from(QueueEvent::Arrival) {
                self.waiting.push_back(now);
                self.expect_arrival(now);
            } else {
                self.free += 1;
            }
            if self.free > 0
                && let Some(arrival) = self.waiting.pop_front()
            {
                self.free -= 1;
                self.serve(now, arrival);
            }
        }
        handled
    }
}

/// Control that only stands at the edges, `0` apart.
struct Edges(Span, SimTime);

impl Control<Queue> for Edges {
    fn next_edge(&self, _: &[Queue]) -> SimTime {
        self.1 + self.0
    }

    fn at_edge(&mut self, now: SimTime, _: &mut [Queue]) {
        self.1 = now;
    }
}

fn queues(window: Span) -> [Queue; 2] {
    let mut queues = [Queue::new(1, 0.7), Queue::new(4, 0.8)];
    let horizon = SimTime::ZERO + Span::from_secs(200_000);
    let _ = run(&mut Edges(window, SimTime::ZERO), &mut queues, horizon, |_| ());
    queues
}

/// Erlang C: the probability that an arrival to M/M/c waits, at `offered` load.
fn erlang_c(servers: u32, offered: f64) -> f64 {
    let mut blocking = 1.0;
    for server in 1..=servers {
        blocking = offered * blocking / (f64::from(server) + offered * blocking);
    }
    let utilisation = offered / f64::from(servers);
    blocking / (1.0 - utilisation * (1.0 - blocking))
}

#[test]
fn waits_in_queue_follow_theory() {
    assert!((erlang_c(1, 0.7) - 0.7).abs() < 1e-12);
    let queues = queues(Span::from_secs(100));
    for (queue, servers, utilisation) in [(&queues[0], 1, 0.7), (&queues[1], 4, 0.8)] {
        // Mean service is 1 s, so the mean wait is C / (c - offered) seconds: 2.3333 and 0.7455.
        let offered = utilisation * f64::from(servers);
        let expected = erlang_c(servers, offered) / (f64::from(servers) - offered);
        let (mean, error) = queue.mean_wait();
        assert!(error < 0.03 * expected, "c = {servers}: standard error {error} tells too little");
        assert!((mean - expected).abs() < 3.0 * error, "c = {servers}: {mean} +- {error}, theory {expected}");
    }
}

#[test]
fn window_length_changes_no_process_that_needs_no_control() {
    let waits = |window| queues(window).map(|queue| (queue.arrived, queue.waits));
    assert_eq!(waits(Span::from_secs(100)), waits(Span::from_secs(7_777)));
}

#[test]
fn arrivals_are_poisson() {
    const BINS: usize = 200_000;
    let mut stream = SEED.stream(Entity::named("poisson"), "gaps");
    let mut counts = vec![0_u32; BINS];
    let mut at = 0.0;
    while at < BINS as f64 {
        counts[at as usize] += 1;
        at += stream.exponential() / 3.0;
    }
    let mean = f64::from(counts.iter().sum::<u32>()) / BINS as f64;
    let variance = counts.iter().map(|&n| (f64::from(n) - mean) * (f64::from(n) - mean)).sum::<f64>() / BINS as f64;
    // Rate 3: standard error of the mean sqrt(3 / n); of the index of dispersion about sqrt(2 / n).
    assert!((mean - 3.0).abs() < 3.0 * (3.0 / BINS as f64).sqrt(), "mean {mean}");
    assert!((variance / mean - 1.0).abs() < 3.0 * (2.0 / BINS as f64).sqrt(), "dispersion {}", variance / mean);
    let empty = counts.iter().filter(|&&n| n == 0).count() as f64 / BINS as f64;
    let expected = libm::exp(-3.0);
    assert!((empty - expected).abs() < 3.0 * (expected / BINS as f64).sqrt(), "empty bins {empty}");
}
