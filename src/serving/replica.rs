//! A replica: continuous batching as vLLM v1 does it, from one change of the batch to the next in closed form.
//!
//! Each step serves every decoding sequence and prompt chunks up to the token budget. Requests are admitted first in, first out,
//! while the batch has room and the blocks of their whole prompt are free; a decoding sequence takes a block of 16 tokens
//! when it needs one, and when none is free the newest sequence gives its blocks back and waits, in front, to be computed
//! again (prompt and tokens so far). Prompts are chunked, so at most one is half done: the newest.
//!
//! A *stretch* is a run of steps in which nobody joins or leaves. Its end is planned at its start, in integers of 2^-20 ns:
//! the first finish, the first step without a free block, the last full chunk. An arrival that could join cuts it at the next
//! step boundary. Jumping over a stretch equals stepping through it bit for bit (tested against a stepper that moves one
//! token at a time). Sequences finish by a *token clock*: one that joins at count `D` with `n` tokens to go leaves at `D + n`.
//!
//! A step takes in what was queued when it began; an arrival at the very nanosecond of a boundary is queued before it.

mod pooled;

use super::job::{Job, give_way, line_up, line_up_in_front};
use super::pools::Role;
use super::prefix::{Cache, Found, Leaving, Prefixes};
pub(crate) use super::rules::{BLOCK, Prefill, Rules, blocks_of};
use super::speculation::Gain;
use super::step::{FINE_BITS, Series};
use crate::ledger::PrefixFacts;
use crate::units::SimTime;
use pooled::Coming;
pub(crate) use pooled::Fetch;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A job and when its last token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    /// The job, all its output produced.
    pub(crate) job: Job,
    /// When its last token came.
    pub(crate) at: SimTime,
}

/// Time spent on one mix of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its beginning.
    pub(crate) from: SimTime,
    /// Its end.
    pub(crate) to: SimTime,
    /// Sequences that decoded.
    pub(crate) batch: u32,
    /// Prompt tokens of each step.
    pub(crate) chunk: u32,
    /// Level of power control at which it was planned.
    pub(crate) level: u8,
}

/// A sequence in the batch.
#[derive(Debug, Clone, Copy)]
struct Sequence {
    job: Job,
    /// Tokens in its cache, less the token clock (wrapping).
    offset: u64,
    /// Which admission it was: the largest is the newest.
    admission: u64,
    /// Leading blocks with a name that it holds in the prefix cache.
    shared: u64,
}

/// A prompt of which some chunks are done: always the newest sequence.
#[derive(Debug, Clone, Copy)]
struct Partial {
    job: Job,
    /// Tokens computed.
    done: u64,
    /// Tokens computed in each step of the planned stretch.
    chunk: u64,
    /// Leading blocks with a name that it holds in the prefix cache.
    shared: u64,
}

/// One replica.
#[derive(Debug, Clone)]
pub(crate) struct Replica {
    /// When the planned stretch began, in units of 2^-20 ns.
    start: u128,
    /// When it ends, in the same units.
    end: u128,
    series: Series,
    /// Steps of the planned stretch; 0 where the replica is idle or about to wake.
    steps: u64,
    /// When the planned stretch ends, rounded up to a nanosecond; [`SimTime::NEVER`] where idle.
    next: SimTime,
    /// The token clock: decode steps so far.
    clock: u64,
    /// Sequences that decode.
    batch: u64,
    /// Of these, those that decode in the planned stretch: all, or none while prompts go first.
    decoding: u64,
    /// Tokens in their caches.
    cached: u64,
    /// Key-value blocks that nobody holds.
    free: u64,
    /// Prompt tokens of each step of the planned stretch.
    chunk: u64,
    /// Level of power control of the planned stretch, and of those after it.
    level: u8,
    ordered: u8,
    admissions: u64,
    partial: Option<Partial>,
    waiting: VecDeque<Job>,
    /// Tickets of sequences whose clients have hung up; they leave at the next boundary.
    gone: Vec<u16>,
    /// Finish count and slot of each decoding sequence, the next to finish on top.
    finishes: BinaryHeap<Reverse<u64>>,
    /// Slots of sequences whose prompt ends with the planned step.
    joining: Vec<u16>,
    slots: Vec<Sequence>,
    vacant: Vec<u16>,
    /// Decoding sequences by offset, modulo a block: those that need a block in the same step.
    phases: [u32; BLOCK as usize],
    /// Its part of the work.
    role: Role,
    /// Blocks of prompts that others are to fetch.
    held: u64,
    /// Caches under way to it, in order of admission.
    coming: Vec<Coming>,
    /// Those that it asked for, until somebody looks.
    asked: Vec<Fetch>,
    /// It works without options.
    plain: bool,
    /// How tokens follow from steps, where they are drafted.
    gain: Gain,
    /// Blocks of prompts that may come again: held by those who run, else free until wanted.
    cache: Option<Box<Cache>>,
}

/// Bits of a finish key that hold the slot.
const SLOT_BITS: u32 = 16;

impl Replica {
    /// An idle replica.
    pub(crate) fn new(rules: &Rules) -> Replica {
        assert!(rules.max_batch < 1 << SLOT_BITS, "a batch has fewer than 65,536 sequences");
        Replica {
            start: 0,
            end: 0,
            series: Series::default(),
            steps: 0,
            next: SimTime::NEVER,
            clock: 0,
            batch: 0,
            decoding: 0,
            cached: 0,
            free: rules.blocks,
            chunk: 0,
            level: 0,
            ordered: 0,
            admissions: 0,
            partial: None,
            waiting: VecDeque::new(),
            gone: Vec::new(),
            finishes: BinaryHeap::new(),
            joining: Vec::new(),
            slots: Vec::new(),
            vacant: Vec::new(),
            phases: [0; BLOCK as usize],
            role: Role::All,
            held: 0,
            coming: Vec::new(),
            asked: Vec::new(),
            plain: rules.plain(),
            gain: rules.speculation.map_or(Gain::ONE, |drafts| drafts.gain()),
            cache: rules.prefixes.as_ref().map(|_| Box::new(Cache::new(PrefixFacts::default()))),
        }
    }

    /// An idle replica, empty but for what it counted, whose power control goes on.
    pub(crate) fn emptied(&self, rules: &Rules) -> Replica {
        let cache = self.cache.as_ref().map(|cache| Box::new(Cache::new(cache.facts)));
        Replica { ordered: self.ordered, role: self.role, cache, ..Replica::new(rules) }
    }

    /// What its prefix cache was asked and found; none without.
    pub(crate) fn prefix_facts(&self) -> Option<PrefixFacts> {
        self.cache.as_ref().map(|cache| cache.facts)
    }

    /// When the planned stretch ends, rounded up to a nanosecond; [`SimTime::NEVER`] where idle.
    #[inline]
    pub(crate) fn next(&self) -> SimTime {
        self.next
    }

    /// Steps of the planned stretch, tokens in the caches before the first, and how long they take.
    pub(crate) fn planned(&self) -> (u64, u64, Series) {
        (self.steps, self.cached, self.series)
    }

    /// Jobs that wait for admission.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Sequences in the batch, half-done prompts included.
    #[inline]
    pub(crate) fn running(&self) -> u64 {
        self.running_as::<false>()
    }

    /// The same, where a plain replica has no caches under way.
    #[inline]
    fn running_as<const PLAIN: bool>(&self) -> u64 {
        let here = self.batch + self.joining.len() as u64 + u64::from(self.partial.is_some());
        if PLAIN { here } else { here + self.coming.len() as u64 }
    }

    /// Every job inside whose client still waits.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Job> {
        let slots = self.finishes.iter().map(|key| slot_of(key.0)).chain(self.joining.iter().copied());
        let running = slots.map(|slot| &self.slots[usize::from(slot)].job);
        let running = running.chain(self.partial.iter().map(|partial| &partial.job));
        let running = running.chain(self.coming.iter().map(|coming| &coming.job));
        running.filter(|job| !self.has_gone(job)).chain(&self.waiting)
    }

    fn has_gone(&self, job: &Job) -> bool {
        !self.gone.is_empty() && self.gone.contains(&job.ticket)
    }

    /// The client of the job with that ticket hangs up at `at`, after every stretch that ends before `at` was turned; with
    /// `unless_begun`, only where its first token has not come. A job that waits is gone at once; one in the batch keeps its place
    /// up to the next step boundary, and what it produces by then is nobody's.
    pub(crate) fn hang_up(&mut self, at: SimTime, ticket: u16, unless_begun: bool, rules: &Rules) -> Option<Job> {
        let meant = |job: &Job| job.ticket == ticket && !(unless_begun && job.first < SimTime::NEVER);
        if let Some(place) = self.waiting.iter().position(meant) {
            let job = self.waiting.remove(place);
            // Somebody behind it may join now.
            if place == 0 && !self.waiting.is_empty() && self.running() < rules.max_batch {
                self.cut(at);
            }
            return job;
        }
        let half_done = self.partial.iter().map(|partial| &partial.job);
        let joining = self.joining.iter().map(|&slot| &self.slots[usize::from(slot)].job);
        let mut found = half_done.chain(joining).find(|job| meant(job)).copied();
        if found.is_none() && !unless_begun {
            let mut decoding = self.finishes.iter().map(|key| &self.slots[usize::from(slot_of(key.0))].job);
            found = decoding.find(|job| meant(job)).copied();
        }
        if found.is_some() {
            self.gone.push(ticket);
            self.cut(at);
        }
        found
    }

    /// Queues `job` at `at`, after every stretch that ends before `at` was turned.
    #[inline]
    pub(crate) fn arrive(&mut self, at: SimTime, job: Job, rules: &Rules) {
        let place = line_up(&mut self.waiting, job);
        // Behind others, whom nothing inside a stretch lets in, or before a full batch, it cannot join before the stretch ends.
        if place == 0 && self.running() < rules.max_batch {
            self.cut(at);
        }
    }

    /// Queues `job` before all others of its rank: it was in a batch already, and lost it.
    pub(crate) fn arrive_in_front(&mut self, at: SimTime, job: Job) {
        line_up_in_front(&mut self.waiting, job);
        self.cut(at);
    }

    /// Turns away whoever waits last, if its rank is below `rank` and it never was in a batch.
    pub(crate) fn give_way(&mut self, rank: u8) -> Option<Job> {
        give_way(&mut self.waiting, rank)
    }

    /// Works at `level` of power control from the first step that begins after `at` on; every stretch that ends by then was turned.
    pub(crate) fn hold(&mut self, at: SimTime, level: u8) {
        if std::mem::replace(&mut self.ordered, level) != level && self.next != SimTime::NEVER {
            self.cut(SimTime::from_nanos(at.nanos() + 1));
        }
    }

    /// The level of power control at which it works from the next step on.
    pub(crate) fn ordered(&self) -> u8 {
        self.ordered
    }

    /// Key-value blocks that running sequences hold at `at`, inside the planned stretch, and that those who wait will need.
    pub(crate) fn weight(&self, at: SimTime, rules: &Rules) -> u64 {
        let steps =
            if self.steps > 0 && self.decoding > 0 { self.steps_to(at).0.saturating_sub(1).min(self.steps) } else { 0 };
        let waiting: u64 = self.waiting.iter().map(|job| blocks_of(job.to_compute())).sum();
        let tokens = self.gain.tokens(steps);
        rules.blocks - self.free + self.blocks_over(tokens) + waiting
    }

    /// Ends the planned stretch at the first step boundary at or after `at`.
    #[inline]
    fn cut(&mut self, at: SimTime) {
        if self.next == SimTime::NEVER {
            (self.start, self.end, self.next) = (fine(at), fine(at), at);
        } else if self.steps > 1 {
            let (steps, total) = self.steps_to(at);
            self.steps = steps;
            self.end_at(self.start + total);
        } else if self.steps == 0 && at < self.next {
            // It waits for a cache.
            (self.start, self.end, self.next) = (fine(at), fine(at), at);
        }
    }

    /// The planned stretch ends then.
    #[inline]
    fn end_at(&mut self, end: u128) {
        (self.end, self.next) = (end, coarse(end));
    }

    /// Steps of the planned stretch up to the first boundary that, rounded up to a nanosecond, is not before `at`, and their time.
    #[inline]
    fn steps_to(&self, at: SimTime) -> (u64, u128) {
        let above = (fine(at) - FINE_MASK).saturating_sub(self.start);
        self.series.steps_to(above)
    }

    /// Ends the planned stretch: what is finished goes to `done`, and the next stretch is planned.
    #[inline]
    pub(crate) fn turn(&mut self, rules: &Rules, done: &mut Vec<Done>) -> Stretch {
        if self.plain { self.turn_as::<true>(rules, done) } else { self.turn_with_options(rules, done) }
    }

    #[inline(never)]
    fn turn_with_options(&mut self, rules: &Rules, done: &mut Vec<Done>) -> Stretch {
        self.turn_as::<false>(rules, done)
    }

    /// As [`turn`](Replica::turn); `PLAIN` where no rule has an option, so that options cost nothing where nobody asks for them.
    #[inline]
    fn turn_as<const PLAIN: bool>(&mut self, rules: &Rules, done: &mut Vec<Done>) -> Stretch {
        let stretch = self.advance::<PLAIN>(self.steps, self.end);
        if self.steps > 0 {
            if !PLAIN {
                self.trim(rules);
            }
            if !self.gone.is_empty() {
                self.drop_gone();
            }
            self.finish::<PLAIN>(done);
            self.join::<PLAIN>(done);
            if !PLAIN {
                self.settle(rules);
            }
        }
        if !PLAIN && !self.coming.is_empty() {
            self.welcome();
        }
        self.plan::<PLAIN>(rules);
        stretch
    }

    /// What it does between `from` and `to`, inside the planned stretch; none where it is idle.
    pub(crate) fn under_way(&self, from: SimTime, to: SimTime) -> Option<Stretch> {
        let (batch, chunk, level) = (self.decoding as u32, self.chunk as u32, self.level);
        (self.steps > 0).then_some(Stretch { from, to, batch, chunk, level })
    }

    /// Loses everything at `at`, inside the planned stretch: the replica is idle and empty, and its jobs come back, the oldest
    /// first, with the tokens that whole steps produced.
    pub(crate) fn lose(&mut self, at: SimTime, rules: &Rules) -> Vec<Job> {
        if self.steps > 0 {
            let steps = self.steps_to(at).0.saturating_sub(1);
            self.advance::<false>(steps, self.start + self.series.total(steps));
        }
        let mut running: Vec<Sequence> = self.finishes.iter().map(|key| self.cut_short(key.0)).collect();
        running.extend(self.joining.iter().map(|&slot| self.slots[usize::from(slot)]));
        running.extend(self.coming.iter().map(|&Coming { mut job, at: there, admission }| {
            if there <= at {
                job.source = Job::HERE;
            }
            Sequence { job, offset: 0, admission, shared: 0 }
        }));
        running.sort_by_key(|sequence| sequence.admission);
        let mut jobs: Vec<Job> = running.iter().map(|sequence| sequence.job).collect();
        jobs.extend(self.partial.iter().map(|partial| partial.job));
        jobs.retain(|job| !self.has_gone(job));
        jobs.extend(self.waiting.drain(..));
        *self = self.emptied(rules);
        jobs
    }

    /// Moves the clocks over the first `steps` steps of the planned stretch, which end at `end`.
    #[inline]
    fn advance<const PLAIN: bool>(&mut self, steps: u64, end: u128) -> Stretch {
        let from = coarse(self.start);
        self.start = end;
        if self.decoding > 0 {
            let tokens = if PLAIN { steps } else { self.gain.pass(steps) };
            self.free -= self.blocks_over(tokens);
            self.clock += tokens;
            self.cached += self.batch * tokens;
        }
        if let Some(partial) = &mut self.partial {
            partial.done += partial.chunk * steps;
        }
        let (batch, chunk, level) = (self.decoding as u32, self.chunk as u32, self.level);
        Stretch { from, to: coarse(self.start), batch, chunk, level }
    }

    /// Takes out the sequences whose clients have hung up.
    #[cold]
    fn drop_gone(&mut self) {
        let gone = std::mem::take(&mut self.gone);
        if let Some(partial) = self.partial.take_if(|partial| gone.contains(&partial.job.ticket)) {
            self.drop_partial(partial);
        }
        for place in (0..self.joining.len()).rev() {
            let Sequence { job, admission, shared, .. } = self.slots[usize::from(self.joining[place])];
            if gone.contains(&job.ticket) {
                let tokens = job.to_compute();
                self.free += blocks_of(tokens);
                self.vacant.push(self.joining.remove(place));
                if let Some(cache) = &mut self.cache {
                    cache.leaving.push(Leaving { admission, job, tokens, shared });
                }
            }
        }
        let has_gone = |key: &u64| gone.contains(&self.slots[usize::from(slot_of(*key))].job.ticket);
        let mut leaving: Vec<u64> = self.finishes.iter().map(|key| key.0).filter(has_gone).collect();
        // The heap's own order is nobody's business.
        leaving.sort_unstable();
        self.finishes.retain(|key| !leaving.contains(&key.0));
        leaving.into_iter().for_each(|key| {
            self.leave::<false>(key);
        });
    }

    /// Takes out the sequences whose last token this is.
    #[inline]
    fn finish<const PLAIN: bool>(&mut self, done: &mut Vec<Done>) {
        while let Some(&Reverse(key)) = self.finishes.peek() {
            if key >> SLOT_BITS > self.clock {
                break;
            }
            self.finishes.pop();
            let mut job = self.leave::<PLAIN>(key);
            job.produced = job.output;
            done.push(Done { job, at: coarse(self.start) });
        }
    }

    /// Takes a decoding sequence out of the batch, its key already out of the heap.
    #[inline]
    fn leave<const PLAIN: bool>(&mut self, key: u64) -> Job {
        let slot = slot_of(key);
        let sequence = self.slots[usize::from(slot)];
        let held = self.clock.wrapping_add(sequence.offset);
        self.free += blocks_of(held);
        self.cached -= held;
        self.batch -= 1;
        self.phases[phase(sequence.offset)] -= 1;
        self.vacant.push(slot);
        if let Some(cache) = self.cache.as_mut().filter(|_| !PLAIN) {
            let Sequence { job, admission, shared, .. } = sequence;
            // The last step may have computed more than was asked.
            let tokens = held.min(u64::from(job.prompt) + u64::from(job.output) - 1);
            cache.leaving.push(Leaving { admission, job, tokens, shared });
        }
        sequence.job
    }

    /// The sequences whose prompt has ended produce a token, and decode from now on.
    #[inline]
    fn join<const PLAIN: bool>(&mut self, done: &mut Vec<Done>) {
        let at = coarse(self.start);
        while let Some(slot) = self.joining.pop() {
            let sequence = &mut self.slots[usize::from(slot)];
            let held = sequence.job.to_compute();
            sequence.job.produced += 1;
            sequence.job.first = sequence.job.first.min(at);
            if sequence.job.to_go() == 0 {
                done.push(Done { job: sequence.job, at });
                self.free += blocks_of(held);
                self.vacant.push(slot);
                if let Some(cache) = self.cache.as_mut().filter(|_| !PLAIN) {
                    let Sequence { job, admission, shared, .. } = *sequence;
                    cache.leaving.push(Leaving { admission, job, tokens: held, shared });
                }
                continue;
            }
            if !PLAIN && self.role == Role::Prefill {
                // Others go on with it.
                done.push(Done { job: sequence.job, at });
                self.held += blocks_of(held);
                self.vacant.push(slot);
                continue;
            }
            sequence.offset = held.wrapping_sub(self.clock);
            let Sequence { job, offset, .. } = *sequence;
            self.decode_from_now(slot, job, offset);
        }
    }

    /// Plans the stretch that begins now.
    #[inline]
    fn plan<const PLAIN: bool>(&mut self, rules: &Rules) {
        let first = !PLAIN && rules.prefill == (Prefill::First {});
        let step = if first { self.prompts_first::<PLAIN>(rules) } else { self.mix::<PLAIN>(rules) };
        self.chunk = step.prompt;
        if self.running_as::<PLAIN>() == 0 {
            assert!(self.waiting.is_empty() || self.held > 0, "an empty replica admits any request that it can hold");
            self.steps = 0;
            self.next = SimTime::NEVER;
            return;
        }
        let comes = if PLAIN { SimTime::NEVER } else { self.comes() };
        if !PLAIN && self.running_as::<PLAIN>() == self.coming.len() as u64 {
            self.steps = 0;
            (self.start, self.end, self.next) = (fine(comes), fine(comes), comes);
            return;
        }
        self.level = self.ordered;
        let pace = &rules.paces[usize::from(self.level)];
        let read = if PLAIN || self.decoding > 0 { self.cached } else { 0 };
        self.series = if PLAIN {
            pace.series(self.decoding, read, step.prompt, step.attended, step.deepening)
        } else {
            pace.series_of([self.decoding, read], [step.prompt, step.attended, step.deepening], self.gain)
        };
        self.steps =
            if PLAIN || self.decoding > 0 { self.steps_before_change::<PLAIN>(step.limit) } else { step.limit };
        if !PLAIN && comes < SimTime::NEVER {
            self.steps = self.steps.min(self.steps_to(comes).0.max(1));
        }
        self.end_at(self.start + self.series.total(self.steps));
    }

    /// A step in which all decode, and prompts take what is left of the budget.
    #[inline]
    fn mix<const PLAIN: bool>(&mut self, rules: &Rules) -> Step {
        self.make_room::<PLAIN>(rules);
        let mut step = Step::of(rules.budget - if PLAIN { self.batch } else { self.batch * rules.checked() });
        self.continue_partial::<PLAIN>(rules, &mut step);
        self.admit::<PLAIN>(rules, &mut step);
        self.decoding = self.batch;
        step
    }

    /// A step of whole prompts, if any can be admitted; else one in which all decode.
    fn prompts_first<const PLAIN: bool>(&mut self, rules: &Rules) -> Step {
        let mut step = Step::of(rules.budget);
        self.admit::<PLAIN>(rules, &mut step);
        self.decoding = 0;
        if step.prompt == 0 {
            let waiting = self.waiting.len();
            self.make_room::<PLAIN>(rules);
            self.decoding = self.batch;
            if self.waiting.len() > waiting {
                // Who was sent back may come again as soon as this step is over.
                step.limit = 1;
            }
        }
        step
    }

    /// Sends the newest sequences of the lowest rank back to the queue until the others have the blocks of their next step.
    #[inline]
    fn make_room<const PLAIN: bool>(&mut self, rules: &Rules) {
        let tokens = if PLAIN { 1 } else { self.gain.tokens(1) };
        while self.blocks_over(tokens) > self.free {
            let lowest = self.lowest_rank();
            // A half-done prompt is the newest of all.
            let job = match self.partial.take_if(|partial| partial.job.rank <= lowest) {
                Some(partial) => self.drop_partial(partial),
                None => self.evict_newest::<PLAIN>(lowest),
            };
            line_up_in_front(&mut self.waiting, job);
            if !PLAIN {
                self.settle(rules);
            }
        }
    }

    /// Gives back the blocks of a half-done prompt that is none any more.
    fn drop_partial(&mut self, partial: Partial) -> Job {
        let Partial { job, done, shared, .. } = partial;
        self.free += blocks_of(job.to_compute());
        if let Some(cache) = &mut self.cache {
            // It is the newest of all.
            cache.leaving.push(Leaving { admission: u64::MAX, job, tokens: done, shared });
        }
        job
    }

    /// Gives up blocks whose room decoding took.
    #[cold]
    fn trim(&mut self, rules: &Rules) {
        let (Some(cache), Some(prefixes)) = (&mut self.cache, &rules.prefixes) else { return };
        cache.trim(prefixes, self.free);
    }

    /// Enters what those who left have computed in the prefix cache.
    #[cold]
    fn settle(&mut self, rules: &Rules) {
        let (Some(cache), Some(prefixes)) = (&mut self.cache, &rules.prefixes) else { return };
        self.free -= cache.settle(prefixes) * prefixes.blocks_each();
    }

    /// The lowest rank of the sequences that decode.
    #[cold]
    fn lowest_rank(&self) -> u8 {
        let ranks = self.finishes.iter().map(|key| self.slots[usize::from(slot_of(key.0))].job.rank);
        ranks.min().expect("only a decoding sequence needs blocks")
    }

    #[cold]
    fn evict_newest<const PLAIN: bool>(&mut self, rank: u8) -> Job {
        let sequence = |key: u64| &self.slots[usize::from(slot_of(key))];
        let of_rank = self.finishes.iter().map(|key| key.0).filter(|&key| sequence(key).job.rank == rank);
        let newest = of_rank.max_by_key(|&key| sequence(key).admission);
        let newest = newest.expect("somebody has the lowest rank");
        self.finishes.retain(|key| key.0 != newest);
        let job = self.cut_short(newest).job;
        self.leave::<PLAIN>(newest);
        job
    }

    /// A decoding sequence as it stands, with the tokens produced so far.
    fn cut_short(&self, key: u64) -> Sequence {
        let mut sequence = self.slots[usize::from(slot_of(key))];
        sequence.job.produced = sequence.job.output - ((key >> SLOT_BITS) - self.clock) as u32;
        sequence
    }

    /// Gives the half-done prompt its chunk.
    #[inline]
    fn continue_partial<const PLAIN: bool>(&mut self, rules: &Rules, step: &mut Step) {
        let Some(partial) = &mut self.partial else { return };
        let left = partial.job.to_compute() - partial.done;
        partial.chunk = left.min(step.budget);
        let chunk = step.take(partial.chunk, partial.done);
        if chunk == left {
            let Partial { job, shared, .. } = *partial;
            self.partial = None;
            self.seat::<PLAIN>(rules, job, shared);
            step.limit = 1;
        } else if chunk > 0 {
            step.deepening = chunk * chunk;
            step.limit = (left - 1) / chunk;
        }
    }

    /// Admits waiting jobs while batch, blocks and budget allow.
    #[inline]
    fn admit<const PLAIN: bool>(&mut self, rules: &Rules, step: &mut Step) {
        if self.waiting.is_empty() {
            return;
        }
        let reserved = self.blocks_over(if PLAIN { 1 } else { self.gain.tokens(1) });
        while let Some(job) = self.waiting.front().copied() {
            if step.budget == 0 || self.running_as::<PLAIN>() >= rules.max_batch {
                return;
            }
            if !PLAIN && job.source != Job::HERE {
                if !self.fetch(rules, job, reserved) {
                    return;
                }
                continue;
            }
            let mut blocks = blocks_of(job.to_compute());
            let (mut found, mut done) = (Found::default(), 0);
            let chunked = PLAIN || rules.prefill == (Prefill::Chunked {});
            if let Some(prefixes) = rules.prefixes.as_ref().filter(|_| !PLAIN) {
                // While prompts go first, decoding takes no blocks in the planned step.
                let taken = if chunked { reserved } else { 0 };
                found = self.find(prefixes, &job, taken);
                blocks -= found.in_use * prefixes.blocks_each();
                done = found.blocks * prefixes.unit;
            }
            let left = job.to_compute() - done;
            let whole = chunked || left <= step.budget || step.prompt == 0;
            if blocks + reserved > self.free || !whole {
                return;
            }
            self.waiting.pop_front();
            self.free -= blocks;
            if let (false, Some(cache), Some(prefixes)) = (PLAIN, &mut self.cache, &rules.prefixes) {
                cache.admit(prefixes, &job, found);
            }
            step.limit = 1;
            let most = if chunked { step.budget } else { left };
            let chunk = step.take(left.min(most), done);
            if chunk == left {
                self.seat::<PLAIN>(rules, job, found.blocks);
            } else {
                self.partial = Some(Partial { job, done, chunk, shared: found.blocks });
            }
        }
    }

    /// What `job` would find in the prefix cache, less what running sequences need in the planned step.
    #[cold]
    fn find(&mut self, prefixes: &Prefixes, job: &Job, reserved: u64) -> Found {
        let Some(cache) = &mut self.cache else { return Found::default() };
        cache.trim(prefixes, self.free - reserved);
        cache.find(prefixes, job)
    }

    /// Finds a slot for a job that joins the batch after this step.
    #[inline]
    fn seat<const PLAIN: bool>(&mut self, rules: &Rules, job: Job, mut shared: u64) {
        if let (false, Some(cache), Some(prefixes)) = (PLAIN, &mut self.cache, &rules.prefixes) {
            let twice;
            (shared, twice) = cache.enter(prefixes, &job, shared);
            self.free += twice * prefixes.blocks_each();
        }
        self.admissions += 1;
        let slot = self.place(Sequence { job, offset: 0, admission: self.admissions, shared });
        self.joining.push(slot);
    }

    /// Finds a slot for a sequence.
    #[inline]
    fn place(&mut self, sequence: Sequence) -> u16 {
        let slot = self.vacant.pop().unwrap_or(self.slots.len() as u16);
        match self.slots.get_mut(usize::from(slot)) {
            Some(seat) => *seat = sequence,
            None => self.slots.push(sequence),
        }
        slot
    }

    /// The sequence in that slot, of `job` with that offset, decodes from now on.
    #[inline]
    fn decode_from_now(&mut self, slot: u16, job: Job, offset: u64) {
        self.phases[phase(offset)] += 1;
        self.cached += self.clock.wrapping_add(offset);
        self.batch += 1;
        self.finishes.push(Reverse((self.clock + job.to_go()) << SLOT_BITS | u64::from(slot)));
    }

    /// Steps until a sequence finishes or lacks a block, at most `limit`.
    #[inline]
    fn steps_before_change<const PLAIN: bool>(&self, limit: u64) -> u64 {
        let Some(&Reverse(key)) = self.finishes.peek() else { return limit };
        let to_go = (key >> SLOT_BITS) - self.clock;
        if !PLAIN {
            let limit = limit.min(self.gain.steps_for(to_go));
            let tokens = self.tokens_before_change(self.gain.tokens(limit));
            return limit.min(self.gain.steps_within(tokens));
        }
        self.tokens_before_change(limit.min(to_go))
    }

    /// Tokens for each sequence until one lacks a block, at most `limit`.
    #[inline]
    fn tokens_before_change(&self, limit: u64) -> u64 {
        // No sequence needs more than one block in 16 steps.
        if limit.div_ceil(BLOCK) * self.batch <= self.free {
            return limit;
        }
        let rounds = self.free / self.batch;
        let (mut steps, mut left) = (rounds * BLOCK, self.free % self.batch);
        while steps < limit {
            let need = self.needing(steps);
            if need > left {
                break;
            }
            left -= need;
            steps += 1;
        }
        steps.min(limit)
    }

    /// Blocks that decoding takes in the next `steps` steps.
    #[inline]
    fn blocks_over(&self, steps: u64) -> u64 {
        if steps == 1 {
            return self.needing(0);
        }
        let rounds = steps / BLOCK * self.batch;
        rounds + (0..steps % BLOCK).map(|step| self.needing(step)).sum::<u64>()
    }

    /// Sequences that need a block in the `step`-th step from now: those that have filled their last.
    #[inline]
    fn needing(&self, step: u64) -> u64 {
        u64::from(self.phases[phase((self.clock + step).wrapping_neg())])
    }
}

/// A step being put together.
struct Step {
    /// Tokens it may still take.
    budget: u64,
    /// Prompt tokens taken.
    prompt: u64,
    /// Sum over these of the tokens of their prompt before them.
    attended: u64,
    /// Growth of `attended` a step.
    deepening: u64,
    /// How many such steps may follow each other.
    limit: u64,
}

impl Step {
    /// An empty step.
    #[inline]
    fn of(budget: u64) -> Step {
        Step { budget, prompt: 0, attended: 0, deepening: 0, limit: u64::MAX }
    }

    /// Takes a chunk of a prompt of which `done` tokens are computed.
    #[inline]
    fn take(&mut self, chunk: u64, done: u64) -> u64 {
        // A prompt that goes first is whole, however long.
        self.budget = self.budget.saturating_sub(chunk);
        self.prompt += chunk;
        self.attended += chunk * done + chunk * (chunk - u64::from(chunk > 0)) / 2;
        chunk
    }
}

const FINE_MASK: u128 = (1 << FINE_BITS) - 1;

/// `at` in units of 2^-20 ns.
#[inline]
fn fine(at: SimTime) -> u128 {
    u128::from(at.nanos()) << FINE_BITS
}

/// The first whole nanosecond at or after `fine`.
#[inline]
fn coarse(fine: u128) -> SimTime {
    SimTime::from_nanos(((fine + FINE_MASK) >> FINE_BITS) as u64)
}

#[inline]
fn slot_of(key: u64) -> u16 {
    (key & ((1 << SLOT_BITS) - 1)) as u16
}

#[inline]
fn phase(offset: u64) -> usize {
    (offset % BLOCK) as usize
}
