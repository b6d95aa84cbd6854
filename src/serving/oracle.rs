//! The replica, one token at a time: what jumping must equal, written without its bookkeeping. Only tests use it.

use super::job::Job;
use super::pools::{Fetching, Role};
use super::prefix::{Names, Prefixes};
use super::replica::{BLOCK, Done, Prefill, Replica, Rules, Stretch, blocks_of};
use super::speculation::Gain;
use super::step::{FINE_BITS, Pace};
use super::tests::plan;
use super::{ArrivalPlan, Speculation, StepModel, Touched};
use crate::catalog::{MODELS, find};
use crate::ledger::PrefixFacts;
use crate::power::Slowdown;
use crate::trace::Request;
use crate::units::{Bytes, BytesPerSecond, Ratio, Share, SimTime, Span};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// A sequence in the batch, in order of admission.
struct Running {
    job: Job,
    /// Tokens in its cache.
    cached: u64,
    blocks: u64,
    /// Its prompt, tokens lost and computed again included, is over.
    decodes: bool,
    /// When its cache is there, where it is under way.
    arrives: Option<SimTime>,
    /// It stands still while prompts go first.
    pauses: bool,
    /// Names of the blocks that it shares.
    holds: Vec<u64>,
}

/// The prefix cache: names of blocks that nobody holds, the oldest first.
#[derive(Default)]
struct Memory {
    idle: Vec<u64>,
    facts: PrefixFacts,
    /// Prompt tokens computed.
    computed: u64,
    /// Prompt tokens that a sequence sent back had not computed.
    abandoned: u64,
}

/// Names of the full blocks among the first `tokens` of `job`.
fn names(rules: &Rules, job: &Job, tokens: u64) -> Vec<u64> {
    let Some(prefixes) = &rules.prefixes else { return Vec::new() };
    let Names::Sessions { system } = prefixes.names else { unreachable!("tests name blocks by session") };
    let (unit, session) = (prefixes.unit, u64::from(job.prefix) + 1);
    let count = if job.prefix == Job::UNNAMED { 0 } else { tokens / unit };
    (0..count).map(|place| if (place + 1) * unit <= system { place } else { session << 32 | place }).collect()
}

fn is_held(running: &[Running], name: u64) -> bool {
    running.iter().any(|sequence| sequence.holds.contains(&name))
}

impl Memory {
    /// What is idle must fit what is free.
    fn trim(&mut self, rules: &Rules, running: &[Running]) {
        let Some(prefixes) = &rules.prefixes else { return };
        while self.idle.len() as u64 * prefixes.unit / BLOCK > free(rules, running) {
            self.idle.remove(0);
        }
    }

    /// The leading blocks of `job` that are there.
    fn find(&self, rules: &Rules, running: &[Running], job: &Job) -> Vec<u64> {
        let named = names(rules, job, u64::from(job.prompt) + u64::from(job.produced) - 1);
        named.into_iter().take_while(|name| self.idle.contains(name) || is_held(running, *name)).collect()
    }

    /// `sequence` shares these blocks from now on.
    fn share(&mut self, sequence: &mut Running, names: Vec<u64>) {
        self.idle.retain(|name| !names.contains(name));
        sequence.holds = names;
    }

    /// `sequence`, no longer among those running, leaves what it computed.
    fn keep(&mut self, rules: &Rules, running: &[Running], sequence: &Running) {
        let mut left = names(rules, &sequence.job, sequence.cached);
        if left.len() < sequence.holds.len() {
            left.clone_from(&sequence.holds);
        }
        for name in left.into_iter().rev().filter(|name| !is_held(running, *name)) {
            self.idle.retain(|idle| *idle != name);
            self.idle.push(name);
        }
    }
}

impl Running {
    /// Tokens still to compute before it produces one.
    fn behind(&self) -> u64 {
        u64::from(self.job.prompt) + u64::from(self.job.produced) - self.cached
    }
}

/// What a replica meets beside jobs.
#[derive(Clone, Copy)]
struct Outside<'a> {
    orders: &'a [Order],
    /// How long each client waits for its last token.
    patience: Span,
    /// Its pool.
    role: Role,
    /// How long others take to fetch a cache.
    fetched_after: Span,
}

impl Outside<'_> {
    /// Nothing.
    const NONE: Outside<'static> = Outside { orders: &[], patience: FOREVER, role: Role::All, fetched_after: FOREVER };

    fn hangs_up(&self, job: &Job) -> SimTime {
        job.arrived + self.patience
    }
}

/// Longer than any test.
const FOREVER: Span = Span::from_secs(1 << 30);

/// Puts `job` into the line behind all that go `before` it.
fn enter(line: &mut VecDeque<Job>, job: Job, before: fn(&Job, &Job) -> bool) {
    let place = line.iter().take_while(|other| before(other, &job)).count();
    line.insert(place, job);
}

/// Serves `jobs` to the end; completions and the work of each step, in order of time.
fn step_through(rules: &Rules, jobs: &[Job], outside: Outside<'_>) -> (Vec<Done>, Vec<Stretch>, PrefixFacts) {
    let mut coming: VecDeque<Job> = jobs.iter().copied().collect();
    let (mut waiting, mut running, mut memory) = (VecDeque::new(), Vec::<Running>::new(), Memory::default());
    let (mut done, mut steps) = (Vec::new(), Vec::new());
    let mut now: u128 = 0;
    // Parts of a token, of 2^16, that are left over.
    let mut rest = 0;
    // Blocks that others are to fetch, and by when they have.
    let mut held: Vec<(SimTime, u64)> = Vec::new();
    loop {
        if waiting.is_empty() && running.is_empty() {
            let Some(job) = coming.front() else {
                assert_eq!(memory.computed + memory.abandoned, memory.facts.computed_tokens);
                return (done, steps, memory.facts);
            };
            now = now.max(u128::from(job.arrived.nanos()) << FINE_BITS);
        }
        while coming.front().is_some_and(|job| job.arrived <= up(now)) {
            enter(&mut waiting, coming.pop_front().expect("a job is due"), |other, job| other.rank >= job.rank);
        }
        held.retain(|(fetched, _)| *fetched > up(now));
        let blocks = rules.blocks - held.iter().map(|(_, blocks)| blocks).sum::<u64>();
        let rules = &Rules { blocks, ..rules.clone() };
        for sequence in running.iter_mut().filter(|sequence| sequence.arrives.is_some_and(|at| at <= up(now))) {
            (sequence.arrives, sequence.decodes, sequence.job.source) = (None, true, Job::HERE);
        }
        waiting.retain(|job| outside.hangs_up(job) > up(now));
        if waiting.is_empty() && running.is_empty() {
            continue;
        }
        let gained = match &rules.speculation {
            None => 1,
            Some(drafts) => (rest + (drafts.tokens_per_step() * 65_536.0).round() as u64) / 65_536,
        };
        let prompts = rules.prefill == (Prefill::First {}) && {
            let before = running.len();
            admit(rules, (gained, up(now)), &mut running, &mut waiting, &mut memory);
            running.len() > before
        };
        if !prompts {
            evict(rules, gained, &mut running, &mut waiting, &mut memory);
            if rules.prefill == (Prefill::Chunked {}) {
                admit(rules, (gained, up(now)), &mut running, &mut waiting, &mut memory);
            }
        }
        if running.iter().all(|sequence| sequence.arrives.is_some()) {
            // Nobody works: until a cache comes or goes, or a request comes.
            let comes = running.iter().filter_map(|sequence| sequence.arrives);
            let goes = held.iter().map(|(fetched, _)| *fetched);
            let next = comes.chain(goes).chain(coming.front().map(|job| job.arrived)).min();
            now = u128::from(next.expect("something happens").nanos()) << FINE_BITS;
            continue;
        }
        let decodes = running.iter().any(|sequence| sequence.decodes) && !prompts;
        if let Some(drafts) = rules.speculation.as_ref().filter(|_| decodes) {
            rest = (rest + (drafts.tokens_per_step() * 65_536.0).round() as u64) % 65_536;
        }
        if prompts {
            running.iter_mut().for_each(|sequence| sequence.pauses = sequence.decodes);
        }
        // A lever acts on steps that begin after its order.
        let level = outside.orders.iter().take_while(|order| order.0 < up(now)).last().map_or(0, |order| order.1);
        let before = done.len();
        step((rules, outside), (level, gained), &mut running, &mut now, (&mut done, &mut steps, &mut memory));
        let handed_over = done[before..].iter().filter(|done| done.job.to_go() > 0);
        held.extend(handed_over.map(|done| (done.at + outside.fetched_after, blocks_of(done.job.fetched()))));
    }
}

fn up(fine: u128) -> SimTime {
    SimTime::from_nanos((fine.div_ceil(1 << FINE_BITS)) as u64)
}

fn free(rules: &Rules, running: &[Running]) -> u64 {
    let each = rules.prefixes.as_ref().map_or(1, |prefixes| prefixes.unit / BLOCK);
    let own: u64 = running.iter().map(|sequence| sequence.blocks - sequence.holds.len() as u64 * each).sum();
    let shared: BTreeSet<u64> = running.iter().flat_map(|sequence| sequence.holds.iter().copied()).collect();
    rules.blocks - own - shared.len() as u64 * each
}

/// Gives each decoding sequence the block it needs, the newest of the lowest rank giving way.
fn evict(rules: &Rules, gained: u64, running: &mut Vec<Running>, waiting: &mut VecDeque<Job>, memory: &mut Memory) {
    let needs = |sequence: &Running| sequence.decodes && sequence.cached + gained > sequence.blocks * BLOCK;
    while running.iter().filter(|sequence| needs(sequence)).count() as u64 > free(rules, running) {
        let here = |sequence: &&Running| sequence.arrives.is_none();
        let lowest = running.iter().filter(here).map(|sequence| sequence.job.rank).min();
        let of_rank = |sequence: &Running| Some(sequence.job.rank) == lowest;
        let newest = running.iter().rposition(|sequence| sequence.arrives.is_none() && of_rank(sequence));
        let newest = running.remove(newest.expect("somebody needs a block"));
        memory.keep(rules, running, &newest);
        memory.abandoned += if newest.decodes { 0 } else { newest.behind() };
        enter(waiting, newest.job, |other, job| other.rank > job.rank);
    }
    running.iter_mut().filter(|sequence| needs(sequence)).for_each(|sequence| sequence.blocks += 1);
    memory.trim(rules, running);
}

fn admit(
    rules: &Rules,
    (gained, now): (u64, SimTime),
    running: &mut Vec<Running>,
    waiting: &mut VecDeque<Job>,
    memory: &mut Memory,
) {
    let first = rules.prefill == (Prefill::First {});
    let behind: u64 = running
        .iter()
        .filter(|sequence| !first && sequence.arrives.is_none())
        .map(|sequence| if sequence.decodes { rules.checked() } else { sequence.behind() })
        .sum();
    let mut budget = rules.budget.saturating_sub(behind);
    // What decoding will need, where it has not been given yet.
    let needs = |sequence: &&Running| first && sequence.decodes && sequence.cached + gained > sequence.blocks * BLOCK;
    let reserved = running.iter().filter(needs).count() as u64;
    let mut taken = 0;
    if behind <= rules.budget {
        // The last chunk of a prompt is under way: it can be found.
        running.iter_mut().filter(|sequence| !sequence.decodes).for_each(|partial| {
            memory.share(partial, names(rules, &partial.job, partial.cached + partial.behind()));
        });
        memory.trim(rules, running);
    }
    while let Some(&job) = waiting.front() {
        let elsewhere = job.source != Job::HERE;
        let tokens = u64::from(job.prompt) + u64::from(job.produced) - u64::from(elsewhere);
        let blocks = tokens.div_ceil(BLOCK);
        let found = memory.find(rules, running, &job);
        let unit = rules.prefixes.as_ref().map_or(BLOCK, |prefixes| prefixes.unit);
        let in_use = found.iter().filter(|name| is_held(running, **name)).count() as u64;
        let room = reserved + blocks - in_use * unit / BLOCK <= free(rules, running);
        let left = tokens - found.len() as u64 * unit;
        if first && left > budget && taken > 0 {
            return;
        }
        if budget == 0 || running.len() as u64 >= rules.max_batch || !room {
            return;
        }
        waiting.pop_front();
        let hits = found.len() as u64;
        let (arrives, holds) = (None, Vec::new());
        let mut sequence = Running { job, cached: hits * unit, blocks, decodes: false, arrives, pauses: false, holds };
        if elsewhere {
            sequence.cached = tokens;
            sequence.arrives = rules.fetching.as_ref().map(|fetching| now + fetching.time(tokens));
            running.push(sequence);
            continue;
        }
        memory.share(&mut sequence, found);
        if first || sequence.behind() <= budget {
            memory.share(&mut sequence, names(rules, &job, tokens));
        }
        memory.facts += PrefixFacts {
            blocks: tokens.div_ceil(unit),
            full_blocks: tokens / unit,
            hit_blocks: hits,
            cached_tokens: hits * unit,
            computed_tokens: sequence.behind(),
        };
        budget -= sequence.behind().min(budget);
        taken += left;
        running.push(sequence);
        memory.trim(rules, running);
    }
}

/// One step of all that run: decoding first, then prompts in order of admission.
fn step(
    (rules, outside): (&Rules, Outside<'_>),
    (level, gained): (u8, u64),
    running: &mut Vec<Running>,
    now: &mut u128,
    (done, steps, memory): (&mut Vec<Done>, &mut Vec<Stretch>, &mut Memory),
) {
    let batch = running.iter().filter(|sequence| sequence.decodes && !sequence.pauses).count() as u64;
    let (mut budget, mut cached, mut chunk, mut attended) = (rules.budget - batch * rules.checked(), 0, 0, 0);
    let mut producing = Vec::new();
    for (index, sequence) in running.iter_mut().enumerate() {
        if std::mem::take(&mut sequence.pauses) || sequence.arrives.is_some() {
            continue;
        }
        let take = if sequence.decodes {
            cached += sequence.cached;
            gained
        } else {
            let most = if rules.prefill == (Prefill::First {}) { u64::MAX } else { budget };
            let take = sequence.behind().min(most);
            budget = budget.saturating_sub(take);
            chunk += take;
            attended += (sequence.cached..sequence.cached + take).sum::<u64>();
            take
        };
        sequence.cached += take;
        if sequence.decodes || sequence.behind() == 0 {
            producing.push(index);
        }
    }
    let from = up(*now);
    *now += rules.paces[usize::from(level)].series_of([batch, cached], [chunk, attended, 0], Gain::ONE).total(1);
    let at = up(*now);
    steps.push(Stretch { from, to: at, batch: batch as u32, chunk: chunk as u32, level });
    memory.computed += chunk;
    for index in producing {
        let tokens = if running[index].decodes { gained } else { 1 };
        running[index].decodes = true;
        let job = &mut running[index].job;
        job.produced = (job.produced + tokens as u32).min(job.output);
        job.first = job.first.min(at);
    }
    let has_gone = |sequence: &Running| outside.hangs_up(&sequence.job) <= at;
    let leaves = |sequence: &Running| {
        let handed_over = sequence.decodes && outside.role == Role::Prefill;
        sequence.job.produced == sequence.job.output || handed_over || has_gone(sequence)
    };
    while let Some(index) = running.iter().position(leaves) {
        let mut sequence = running.remove(index);
        sequence.cached = sequence.cached.min(u64::from(sequence.job.prompt) + u64::from(sequence.job.output) - 1);
        memory.keep(rules, running, &sequence);
        if has_gone(&sequence) {
            memory.abandoned += if sequence.decodes { 0 } else { sequence.behind() };
        } else {
            done.push(Done { job: sequence.job, at });
        }
    }
}

/// Serves `jobs` to the end by jumping.
fn jump(rules: &Rules, jobs: &[Job], outside: Outside<'_>) -> (Vec<Done>, Vec<Stretch>, PrefixFacts) {
    let mut replica = Replica::in_pool(rules, outside.role);
    let mut fetched: VecDeque<(SimTime, Job)> = VecDeque::new();
    let (mut done, mut stretches) = (Vec::new(), Vec::new());
    let (mut leaving, mut orders) = (jobs.iter().peekable(), outside.orders.iter().peekable());
    let mut jobs = jobs.iter().peekable();
    loop {
        // An edge comes after all that happens at its instant.
        let arrival = jobs.peek().map_or(SimTime::NEVER, |job| job.arrived);
        let order = orders.peek().map_or(SimTime::NEVER, |order| order.0);
        let call = leaving.peek().map_or(SimTime::NEVER, |job| outside.hangs_up(job));
        let gone = fetched.front().map_or(SimTime::NEVER, |gone| gone.0);
        let at = arrival.min(order).min(call).min(gone);
        if at.min(replica.next()) == SimTime::NEVER {
            break;
        }
        let before = if arrival.min(call).min(gone) <= order { at } else { SimTime::from_nanos(at.nanos() + 1) };
        if replica.next() < before {
            let ended = done.len();
            stretches.push(replica.turn(rules, &mut done));
            let handed_over = done[ended..].iter().filter(|done| done.job.to_go() > 0);
            fetched.extend(handed_over.map(|done| (done.at + outside.fetched_after, done.job)));
            replica.take_asked();
        } else if gone == at {
            let (at, job) = fetched.pop_front().expect("a cache is fetched");
            replica.let_loose(at, &job);
        } else if arrival == at {
            replica.arrive(at, *jobs.next().expect("an arrival is due"), rules);
        } else if call == at {
            replica.hang_up(at, leaving.next().expect("a call is due").ticket, false, rules);
        } else {
            replica.hold(at, orders.next().expect("an order is due").1);
        }
    }
    (done, stretches, replica.prefix_facts().unwrap_or_default())
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

fn assert_jumping_equals_stepping(rules: &Rules, jobs: &[Job], outside: Outside<'_>) {
    let (mut jumped, stretches, found) = jump(rules, jobs, outside);
    let (mut stepped, steps, facts) = step_through(rules, jobs, outside);
    let order = |done: &Done| (done.at, done.job.arrived, done.job.prompt, done.job.output, done.job.first);
    jumped.sort_by_key(order);
    stepped.sort_by_key(order);
    assert!(jumped.len() == jobs.len() || outside.patience < FOREVER, "who waits is answered");
    let differing = jumped.iter().zip(&stepped).find(|(jumped, stepped)| jumped != stepped);
    assert_eq!(differing, None, "jumped and stepped");
    assert!(joined(stretches) == joined(steps), "the same work at the same times");
    if rules.prefixes.is_some() {
        assert_eq!(found, facts, "the same blocks found");
    }
}

/// A level of power control, and from when on.
type Order = (SimTime, u8);

/// Without a lever, with clocks locked, and braking.
fn paces() -> Vec<Pace> {
    paces_of(|slow| Pace::slowed(&model(), slow))
}

fn paces_of(pace: impl Fn(Slowdown) -> Pace) -> Vec<Pace> {
    let slow = [(1.0, 1.0), (1.112, 1.0), (4.9, 4.9)].map(|(prefill, decode)| Slowdown { prefill, decode });
    slow.map(pace).to_vec()
}

fn model() -> StepModel {
    plan(ArrivalPlan::Trace(Vec::new().into()), 1).step
}

/// Rules without options.
fn rules(budget: u64, max_batch: u64, blocks: u64) -> Rules {
    Rules::chunked(paces(), budget, max_batch, blocks)
}

/// Requests by gap in nanoseconds, prompt and output; the rank of each is its prompt's length modulo 3.
fn listed(rows: &[(u64, u32, u32)]) -> Vec<Job> {
    let mut at = SimTime::ZERO;
    let mut request = |(index, &(gap, prompt, output)): (usize, &(u64, u32, u32))| {
        at = SimTime::from_nanos(at.nanos() + gap);
        Job { ticket: index as u16, rank: (prompt % 3) as u8, ..Job::from(Request { at, prompt, output }) }
    };
    rows.iter().enumerate().map(&mut request).collect()
}

/// Orders by the time since the one before.
fn timed(gaps: Vec<(u64, u8)>) -> Vec<Order> {
    let mut at = 0;
    let order = |(gap, level)| {
        at += gap;
        (SimTime::from_nanos(at), level)
    };
    gaps.into_iter().map(order).collect()
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
        drafts in prop::option::weighted(0.3, (1_u32..6, 0.0..1.0)),
        patience in prop_oneof![Just(FOREVER), (1_u64..3_000_000_000).prop_map(Span::from_nanos)],
        experts in prop::bool::weighted(0.2),
        first in prop::bool::weighted(0.3),
        unit in prop_oneof![Just(0_u32), 1_u32..4],
        system in 0_u64..100,
        sessions in prop::collection::vec(prop::option::weighted(0.8, 0_u32..6), 60),
    ) {
        // Just enough for the longest request (899 + 300 - 1 tokens), and `spare` blocks.
        let names = Names::Sessions { system };
        let prefixes = (unit > 0).then_some(Prefixes { names, unit: u64::from(unit) * BLOCK });
        let prefill = if first { Prefill::First {} } else { Prefill::Chunked {} };
        let speculation = drafts.map(|(draft, acceptance)| Speculation {
            acceptance: Share::new(acceptance),
            draft,
            cost: Ratio::new(0.05),
        });
        let paces = match &speculation {
            None => paces(),
            Some(drafts) => paces_of(|slow| Pace::drafting(&model(), slow, drafts)),
        };
        let experts = find(MODELS, "deepseek-v3").and_then(Touched::of).filter(|_| experts);
        let paces = match &experts {
            None => paces,
            Some(touched) => paces.into_iter().map(|pace| pace.touching(touched)).collect(),
        };
        let plain = rules(budget, 0, 75 + spare + u64::from(speculation.is_some()));
        let rules = Rules { paces, prefill, speculation, prefixes, ..plain };
        let rules = Rules { max_batch: max_batch.min(budget / rules.checked()), ..rules };
        let mut jobs = listed(&rows);
        jobs.iter_mut().zip(sessions).for_each(|(job, session)| job.prefix = session.unwrap_or(Job::UNNAMED));
        let orders = timed(orders);
        assert_jumping_equals_stepping(&rules, &jobs, Outside { orders: &orders, patience, ..Outside::NONE });
    }

    #[test]
    fn jumping_equals_stepping_in_pools(
        rows in prop::collection::vec((prop_oneof![0_u64..3, 0_u64..40_000_000, 0_u64..400_000_000], 1_u32..900, 1_u32..300), 1..60),
        budget in prop_oneof![Just(2_048_u64), 40_u64..400],
        max_batch in prop_oneof![Just(256_u64), 1_u64..30],
        spare in prop_oneof![Just(100_000_u64), 0_u64..60],
        orders in prop::collection::vec((1_u64..500_000_000, 0_u8..3), 0..12),
        prefills in any::<bool>(),
        latency in prop_oneof![0_u64..3, 1_u64..60_000_000],
        bandwidth in 1e8..1e11,
        fetched_after in prop_oneof![1_u64..3, 1_u64..400_000_000],
        here in prop::collection::vec(prop::bool::weighted(0.2), 60),
    ) {
        let fetching = Fetching {
            bandwidth: BytesPerSecond::new(bandwidth),
            latency: Span::from_nanos(latency),
            per_token: Bytes::new(131_072),
        };
        let plain = rules(budget, max_batch.min(budget), 75 + spare);
        let rules = Rules { fetching: Some(fetching), ..plain };
        let mut jobs = listed(&rows);
        if !prefills {
            // Most have their first token, and a cache elsewhere; some lost it.
            for (job, here) in jobs.iter_mut().zip(here).filter(|(job, _)| job.output > 1) {
                (job.produced, job.first) = (1, job.arrived);
                job.source = if here { Job::HERE } else { 0 };
            }
        }
        let orders = timed(orders);
        let role = if prefills { Role::Prefill } else { Role::Decode };
        let fetched_after = Span::from_nanos(fetched_after);
        assert_jumping_equals_stepping(&rules, &jobs, Outside { orders: &orders, role, fetched_after, ..Outside::NONE });
    }
}

#[test]
fn preemption_happens_and_is_exact() {
    let rules = rules(2_048, 256, 30);
    // Two sequences of 160 + 149 tokens want 39 blocks of 30: the newer is sent back once and computed again.
    let requests = listed(&[(0, 160, 150), (0, 150, 150)]);
    let (done, stretches, _) = jump(&rules, &requests, Outside::NONE);
    assert!(
        stretches.iter().any(|stretch| stretch.chunk > 160 && stretch.chunk < 310),
        "tokens so far are prompt again"
    );
    assert_eq!(done.iter().map(|done| done.job.produced).collect::<Vec<_>>(), [150, 150]);
    assert_jumping_equals_stepping(&rules, &requests, Outside::NONE);
}

#[test]
fn long_outputs_and_long_prompts_are_few_stretches() {
    let rules = rules(512, 256, 100_000);
    let requests = listed(&[(0, 100, 20_000), (1, 60_000, 5)]);
    assert!(jump(&rules, &requests, Outside::NONE).1.len() < 12);
    assert_jumping_equals_stepping(&rules, &requests, Outside::NONE);
}
