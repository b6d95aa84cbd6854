//! The replica, one token at a time: what jumping must equal, written without its bookkeeping. Only tests use it.

use super::replica::{BLOCK, Done, Job, Replica, Rules, Stretch};
use super::step::{FINE_BITS, Pace};
use super::tests::plan;
use super::{ArrivalPlan, StepModel};
use crate::power::Slowdown;
use crate::trace::Request;
use crate::units::{SimTime, Span};
use proptest::prelude::*;
use std::collections::VecDeque;

/// A sequence in the batch, in order of admission.
struct Running {
    job: Job,
    /// Tokens in its cache.
    cached: u64,
    blocks: u64,
    /// Its prompt, tokens lost and computed again included, is over.
    decodes: bool,
}

impl Running {
    /// Tokens still to compute before it produces one.
    fn behind(&self) -> u64 {
        u64::from(self.job.prompt) + u64::from(self.job.produced) - self.cached
    }
}

/// Serves `requests` to the end; completions and the work of each step, in order of time.
fn step_through(rules: &Rules, case: &Case<'_>) -> (Vec<Done>, Vec<Stretch>) {
    let mut coming: VecDeque<Job> = case.jobs().collect();
    let (mut waiting, mut running) = (VecDeque::new(), Vec::<Running>::new());
    let (mut done, mut steps) = (Vec::new(), Vec::new());
    let mut now: u128 = 0;
    loop {
        if waiting.is_empty() && running.is_empty() {
            let Some(job) = coming.front() else { return (done, steps) };
            now = now.max(u128::from(job.arrived.nanos()) << FINE_BITS);
        }
        while coming.front().is_some_and(|job| job.arrived <= up(now)) {
            enter(&mut waiting, coming.pop_front().expect("a job is due"), |other, job| other.rank >= job.rank);
        }
        waiting.retain(|job| case.hangs_up(job) > up(now));
        if waiting.is_empty() && running.is_empty() {
            continue;
        }
        evict(rules, &mut running, &mut waiting);
        admit(rules, &mut running, &mut waiting);
        // A lever acts on steps that begin after its order.
        let level = case.orders.iter().take_while(|order| order.0 < up(now)).last().map_or(0, |order| order.1);
        step((rules, case), level, &mut running, &mut now, (&mut done, &mut steps));
    }
}

/// What happens to a replica.
struct Case<'a> {
    requests: &'a [Request],
    orders: &'a [Order],
    /// How long each client waits for its last token.
    patience: Span,
}

impl Case<'_> {
    /// Each with a ticket of its own; its rank is its prompt's length modulo 3.
    fn jobs(&self) -> impl Iterator<Item = Job> {
        let job = |(index, request): (usize, &Request)| Job {
            rank: (request.prompt % 3) as u8,
            ticket: index as u16,
            ..Job::from(*request)
        };
        self.requests.iter().enumerate().map(job)
    }

    fn hangs_up(&self, job: &Job) -> SimTime {
        job.arrived + self.patience
    }
}

/// Puts `job` into the line behind all that go `before` it.
fn enter(line: &mut VecDeque<Job>, job: Job, before: fn(&Job, &Job) -> bool) {
    let place = line.iter().take_while(|other| before(other, &job)).count();
    line.insert(place, job);
}

fn up(fine: u128) -> SimTime {
    SimTime::from_nanos((fine.div_ceil(1 << FINE_BITS)) as u64)
}

fn free(rules: &Rules, running: &[Running]) -> u64 {
    rules.blocks - running.iter().map(|sequence| sequence.blocks).sum::<u64>()
}

/// Gives each decoding sequence the block it needs, the newest of the lowest rank giving way.
fn evict(rules: &Rules, running: &mut Vec<Running>, waiting: &mut VecDeque<Job>) {
    let needs = |sequence: &Running| sequence.decodes && sequence.cached == sequence.blocks * BLOCK;
    while running.iter().filter(|sequence| needs(sequence)).count() as u64 > free(rules, running) {
        let lowest = running.iter().map(|sequence| sequence.job.rank).min();
        let newest = running.iter().rposition(|sequence| Some(sequence.job.rank) == lowest);
        let job = running.remove(newest.expect("somebody needs a block")).job;
        enter(waiting, job, |other, job| other.rank > job.rank);
    }
    running.iter_mut().filter(|sequence| needs(sequence)).for_each(|sequence| sequence.blocks += 1);
}

fn admit(rules: &Rules, running: &mut Vec<Running>, waiting: &mut VecDeque<Job>) {
    let mut budget = rules.budget.saturating_sub(running.iter().map(Running::behind).sum());
    while let Some(&job) = waiting.front() {
        let tokens = u64::from(job.prompt) + u64::from(job.produced);
        let blocks = tokens.div_ceil(BLOCK);
        if budget == 0 || running.len() as u64 >= rules.max_batch || blocks > free(rules, running) {
            return;
        }
        waiting.pop_front();
        running.push(Running { job, cached: 0, blocks, decodes: false });
        budget -= tokens.min(budget);
    }
}

/// One step of all that run: decoding first, then prompts in order of admission.
fn step(
    (rules, case): (&Rules, &Case<'_>),
    level: u8,
    running: &mut Vec<Running>,
    now: &mut u128,
    (done, steps): (&mut Vec<Done>, &mut Vec<Stretch>),
) {
    let batch = running.iter().filter(|sequence| sequence.decodes).count() as u64;
    let (mut budget, mut cached, mut chunk, mut attended) = (rules.budget - batch, 0, 0, 0);
    let mut producing = Vec::new();
    for (index, sequence) in running.iter_mut().enumerate() {
        let take = if sequence.decodes {
            cached += sequence.cached;
            1
        } else {
            let take = sequence.behind().min(budget);
            budget -= take;
            chunk += take;
            attended += (sequence.cached..sequence.cached + take).sum::<u64>();
            take
        };
        sequence.cached += take;
        if sequence.behind() == 0 {
            producing.push(index);
        }
    }
    let from = up(*now);
    *now += rules.paces[usize::from(level)].series(batch, cached, chunk, attended, 0).total(1);
    let at = up(*now);
    steps.push(Stretch { from, to: at, batch: batch as u32, chunk: chunk as u32, level });
    for index in producing.into_iter().rev() {
        if case.hangs_up(&running[index].job) <= at {
            continue;
        }
        running[index].decodes = true;
        let job = &mut running[index].job;
        job.produced += 1;
        job.first = job.first.min(at);
        if job.produced == job.output {
            done.push(Done { job: running.remove(index).job, at });
        }
    }
    running.retain(|sequence| case.hangs_up(&sequence.job) > at);
}

/// Serves the requests to the end by jumping.
fn jump(rules: &Rules, case: &Case<'_>) -> (Vec<Done>, Vec<Stretch>) {
    let mut replica = Replica::new(rules);
    let (mut done, mut stretches) = (Vec::new(), Vec::new());
    let (mut jobs, mut orders) = (case.jobs().peekable(), case.orders.iter().peekable());
    let mut leaving = case.jobs().peekable();
    loop {
        // An edge comes after all that happens at its instant.
        let arrival = jobs.peek().map_or(SimTime::NEVER, |job| job.arrived);
        let order = orders.peek().map_or(SimTime::NEVER, |order| order.0);
        let call = leaving.peek().map_or(SimTime::NEVER, |job| case.hangs_up(job));
        let at = arrival.min(order).min(call);
        if at == SimTime::NEVER {
            break;
        }
        let before = if arrival.min(call) <= order { at } else { SimTime::from_nanos(at.nanos() + 1) };
        while replica.next() < before {
            stretches.push(replica.turn(rules, &mut done));
        }
        if arrival == at {
            replica.arrive(at, jobs.next().expect("an arrival is due"), rules);
        } else if call == at {
            replica.hang_up(at, leaving.next().expect("a call is due").ticket, false, rules);
        } else {
            replica.hold(at, orders.next().expect("an order is due").1);
        }
    }
    while replica.next() < SimTime::NEVER {
        stretches.push(replica.turn(rules, &mut done));
    }
    (done, stretches)
}

/// Work by kind, neighbours of the same kind joined.
fn joined(stretches: Vec<Stretch>) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    for stretch in stretches.into_iter().filter(|stretch| stretch.from < stretch.to) {
        match all.last_mut() {
            Some(last)
                if (last.to, last.batch, last.chunk, last.level)
                    == (stretch.from, stretch.batch, stretch.chunk, stretch.level) =>
            {
                last.to = stretch.to;
            }
            _ => all.push(stretch),
        }
    }
    all
}

fn assert_jumping_equals_stepping(rules: &Rules, requests: &[Request], orders: &[Order], patience: Span) {
    let case = Case { requests, orders, patience };
    let (mut jumped, stretches) = jump(rules, &case);
    let (mut stepped, steps) = step_through(rules, &case);
    let order = |done: &Done| (done.at, done.job.arrived, done.job.prompt, done.job.output, done.job.first);
    jumped.sort_by_key(order);
    stepped.sort_by_key(order);
    assert!(jumped.len() == requests.len() || patience < FOREVER, "who waits is answered");
    let differing = jumped.iter().zip(&stepped).find(|(jumped, stepped)| jumped != stepped);
    assert_eq!(differing, None, "jumped and stepped");
    assert!(joined(stretches) == joined(steps), "the same work at the same times");
}

/// Longer than any test.
const FOREVER: Span = Span::from_secs(1 << 30);

/// A level of power control, and from when on.
type Order = (SimTime, u8);

/// Without a lever, with clocks locked, and braking.
fn paces() -> Vec<Pace> {
    let slow = [(1.0, 1.0), (1.112, 1.0), (4.9, 4.9)].map(|(prefill, decode)| Slowdown { prefill, decode });
    slow.map(|slow| Pace::slowed(&model(), slow)).to_vec()
}

fn model() -> StepModel {
    plan(ArrivalPlan::Trace(Vec::new().into()), 1).step
}

/// Requests by gap in nanoseconds, prompt and output.
fn listed(rows: &[(u64, u32, u32)]) -> Vec<Request> {
    let mut at = SimTime::ZERO;
    let mut request = |&(gap, prompt, output): &(u64, u32, u32)| {
        at = SimTime::from_nanos(at.nanos() + gap);
        Request { at, prompt, output }
    };
    rows.iter().map(&mut request).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jumping_equals_stepping(
        rows in prop::collection::vec((prop_oneof![0_u64..3, 0_u64..40_000_000, 0_u64..400_000_000], 1_u32..900, 1_u32..300), 1..60),
        budget in prop_oneof![Just(2_048_u64), 40_u64..400],
        max_batch in prop_oneof![Just(256_u64), 1_u64..30],
        spare in prop_oneof![Just(100_000_u64), 0_u64..60],
        orders in prop::collection::vec((1_u64..500_000_000, 0_u8..3), 0..12),
        patience in prop_oneof![Just(FOREVER), (1_u64..3_000_000_000).prop_map(Span::from_nanos)],
    ) {
        // Just enough for the longest request (899 + 300 - 1 tokens), and `spare` blocks.
        let rules = Rules { paces: paces(), budget, max_batch: max_batch.min(budget), blocks: 75 + spare };
        let mut at = 0;
        let orders: Vec<Order> = orders
            .into_iter()
            .map(|(gap, level)| {
                at += gap;
                (SimTime::from_nanos(at), level)
            })
            .collect();
        assert_jumping_equals_stepping(&rules, &listed(&rows), &orders, patience);
    }
}

#[test]
fn preemption_happens_and_is_exact() {
    let rules = Rules { paces: paces(), budget: 2_048, max_batch: 256, blocks: 30 };
    // Two sequences of 162 and 150 + 149 tokens want 39 blocks of 30: the newer is sent back once and computed again.
    let requests = listed(&[(0, 162, 150), (0, 150, 150)]);
    let (done, stretches) = jump(&rules, &Case { requests: &requests, orders: &[], patience: FOREVER });
    assert!(
        stretches.iter().any(|stretch| stretch.chunk > 162 && stretch.chunk < 312),
        "tokens so far are prompt again"
    );
    assert_eq!(done.iter().map(|done| done.job.produced).collect::<Vec<_>>(), [150, 150]);
    assert_jumping_equals_stepping(&rules, &requests, &[], FOREVER);
}

#[test]
fn long_outputs_and_long_prompts_are_few_stretches() {
    let rules = Rules { paces: paces(), budget: 512, max_batch: 256, blocks: 100_000 };
    let requests = listed(&[(0, 100, 20_000), (1, 60_000, 5)]);
    assert!(jump(&rules, &Case { requests: &requests, orders: &[], patience: FOREVER }).1.len() < 12);
    assert_jumping_equals_stepping(&rules, &requests, &[], FOREVER);
}
