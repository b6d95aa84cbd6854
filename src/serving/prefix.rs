//! The prefix cache of a replica: blocks of prompts and answers that stay in the key-value memory until somebody needs the
//! room, so that a prompt which begins like an earlier one computes only what is new.
//!
//! Blocks have chained names: equal names mean equal tokens from the start of the prompt on. A request finds the longest run of
//! its leading blocks, but computes at least its last token. What is found is shared, and held by all who use it. A prompt's
//! full blocks can be found from the step on that computes its last chunk, as in vLLM v1, those of an answer once it has ended or
//! was sent back. A block computed twice is kept once. Blocks that nobody uses give way, least recently used first and of one
//! request the last first, whenever running requests want their room: they count as free.
//!
//! Nothing is looked up or given up inside a stretch, so that jumping stays exact: what decoding took is settled before the
//! next admission.

use super::job::Job;
use super::replica::BLOCK;
use crate::ledger::PrefixFacts;
use crate::trace::RequestTrace;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// `prefix_cache = {}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixCacheSection {
    /// Tokens of one block of a session's prompts, a multiple of 16; a trace with prefix hashes has its own.
    pub block: u32,
}

impl Default for PrefixCacheSection {
    fn default() -> PrefixCacheSection {
        // vLLM v1: block_size 16.
        PrefixCacheSection { block: BLOCK as u32 }
    }
}

/// What names the blocks of a service's prompts.
#[derive(Debug, Clone)]
pub(crate) enum Names {
    /// Nothing: no request finds anything.
    None,
    /// The prefix hashes of a trace, by row.
    Rows(RequestTrace),
    /// Session and place; what all begin with, by place alone. A trimmed history keeps its names.
    Sessions {
        /// Tokens that all begin with.
        system: u64,
    },
}

/// How the prefix cache of every replica of a service works.
#[derive(Debug, Clone)]
pub(crate) struct Prefixes {
    /// What names blocks.
    pub(crate) names: Names,
    /// Tokens of a block that has a name, a multiple of [`BLOCK`].
    pub(crate) unit: u64,
}

impl Prefixes {
    /// Named blocks among the first `tokens` of what `job` is and will be.
    fn named(&self, job: &Job, tokens: u64) -> u64 {
        match &self.names {
            _ if job.prefix == Job::UNNAMED => 0,
            Names::None => 0,
            // A hash of a block that the prompt does not fill is none of the block that the answer fills.
            Names::Rows(trace) => {
                let full = tokens.min(u64::from(job.prompt)) / self.unit;
                full.min(trace.blocks(u64::from(job.prefix)).len() as u64)
            }
            Names::Sessions { .. } => tokens / self.unit,
        }
    }

    /// Name of the `place`-th block of `job`, one of those [`named`](Prefixes::named).
    fn name(&self, job: &Job, place: u64) -> u64 {
        match &self.names {
            Names::None => unreachable!("no block has a name"),
            Names::Rows(trace) => trace.blocks(u64::from(job.prefix))[place as usize],
            Names::Sessions { system } if (place + 1) * self.unit <= *system => place,
            Names::Sessions { .. } => (u64::from(job.prefix) + 1) << 32 | place,
        }
    }

    /// Blocks of 16 tokens in one that has a name.
    pub(crate) fn blocks_each(&self) -> u64 {
        self.unit / BLOCK
    }
}

/// What a job would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// Leading blocks.
    pub(super) blocks: u64,
    /// Of these, blocks that somebody uses: they take no room.
    pub(super) in_use: u64,
}

/// A sequence on its way out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    /// Which admission it was.
    pub(super) admission: u64,
    /// Whose it is.
    pub(super) job: Job,
    /// Tokens computed.
    pub(super) tokens: u64,
    /// Leading blocks that it holds.
    pub(super) shared: u64,
}

/// A block that has a name.
#[derive(Debug, Clone, Copy)]
struct Named {
    name: u64,
    /// Sequences that hold it.
    users: u32,
    /// Its neighbours by age, where nobody holds it.
    older: u32,
    newer: u32,
}

/// No neighbour.
const END: u32 = u32::MAX;

/// The named blocks in a replica's memory.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    places: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    blocks: Vec<Named>,
    vacant: Vec<u32>,
    oldest: u32,
    newest: u32,
    /// Blocks that nobody uses.
    idle: u64,
    /// Sequences that have left, until [`Cache::settle`] enters them in order of admission.
    pub(super) leaving: Vec<Leaving>,
    /// What was asked and found.
    pub(super) facts: PrefixFacts,
}

impl Cache {
    /// An empty cache with what was counted before.
    pub(super) fn new(facts: PrefixFacts) -> Cache {
        Cache {
            places: HashMap::default(),
            blocks: Vec::new(),
            vacant: Vec::new(),
            oldest: END,
            newest: END,
            idle: 0,
            leaving: Vec::new(),
            facts,
        }
    }

    /// What `job` would find now.
    pub(super) fn find(&self, prefixes: &Prefixes, job: &Job) -> Found {
        let most = prefixes.named(job, job.to_compute() - 1);
        let mut found = Found { blocks: 0, in_use: 0 };
        while found.blocks < most {
            let Some(&at) = self.places.get(&prefixes.name(job, found.blocks)) else { break };
            found.blocks += 1;
            found.in_use += u64::from(self.blocks[at as usize].users > 0);
        }
        found
    }

    /// `job` is admitted, holds what it `found`, and computes the rest.
    pub(super) fn admit(&mut self, prefixes: &Prefixes, job: &Job, found: Found) {
        for place in 0..found.blocks {
            let at = self.places[&prefixes.name(job, place)];
            self.hold(at);
        }
        let tokens = job.to_compute();
        self.facts.blocks += tokens.div_ceil(prefixes.unit);
        self.facts.full_blocks += tokens / prefixes.unit;
        self.facts.hit_blocks += found.blocks;
        self.facts.cached_tokens += found.blocks * prefixes.unit;
        self.facts.computed_tokens += tokens - found.blocks * prefixes.unit;
    }

    /// The last chunk of `job`'s prompt is under way: its full blocks can be found, and it holds them all. Returns how many it
    /// holds, and how many of those it brought somebody else has already.
    pub(super) fn enter(&mut self, prefixes: &Prefixes, job: &Job, shared: u64) -> (u64, u64) {
        let named = prefixes.named(job, job.to_compute());
        let mut twice = 0;
        for place in shared..named {
            let name = prefixes.name(job, place);
            match self.places.get(&name).copied() {
                Some(at) => twice += u64::from(self.hold(at)),
                None => {
                    self.insert(name, 1);
                }
            }
        }
        (named, twice)
    }

    /// A sequence left: what it computed stays, held by nobody or by those who share it. Returns how many of its blocks others
    /// still use.
    pub(super) fn release(&mut self, prefixes: &Prefixes, left: &Leaving) -> u64 {
        let named = prefixes.named(&left.job, left.tokens).max(left.shared);
        let mut in_use = 0;
        for place in (0..named).rev() {
            let name = prefixes.name(&left.job, place);
            match self.places.get(&name).copied() {
                None => {
                    let at = self.insert(name, 0);
                    self.retire(at);
                }
                Some(at) if place < left.shared => {
                    self.blocks[at as usize].users -= 1;
                    if self.blocks[at as usize].users == 0 {
                        self.retire(at);
                    } else {
                        in_use += 1;
                    }
                }
                Some(at) if self.blocks[at as usize].users == 0 => {
                    self.unlink(at);
                    self.retire(at);
                }
                Some(_) => {}
            }
        }
        in_use
    }

    /// Enters those who have left since, in order of admission; how many of their blocks others still use.
    pub(super) fn settle(&mut self, prefixes: &Prefixes) -> u64 {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.sort_unstable_by_key(|left| left.admission);
        let in_use = leaving.drain(..).map(|left| self.release(prefixes, &left)).sum();
        self.leaving = leaving;
        in_use
    }

    /// Gives up blocks that nobody uses, the least recently used first, until at most `free` blocks of 16 tokens are.
    pub(super) fn trim(&mut self, prefixes: &Prefixes, free: u64) {
        while self.idle * prefixes.blocks_each() > free {
            let at = self.oldest;
            self.unlink(at);
            self.places.remove(&self.blocks[at as usize].name);
            self.vacant.push(at);
        }
    }

    /// One more uses the block; true where others do already.
    fn hold(&mut self, at: u32) -> bool {
        let others = self.blocks[at as usize].users > 0;
        if !others {
            self.unlink(at);
        }
        self.blocks[at as usize].users += 1;
        others
    }

    fn insert(&mut self, name: u64, users: u32) -> u32 {
        let block = Named { name, users, older: END, newer: END };
        let at = self.vacant.pop().unwrap_or(self.blocks.len() as u32);
        match self.blocks.get_mut(at as usize) {
            Some(place) => *place = block,
            None => self.blocks.push(block),
        }
        self.places.insert(name, at);
        at
    }

    /// Nobody uses the block any more: it is the most recently used of those.
    fn retire(&mut self, at: u32) {
        let before = std::mem::replace(&mut self.newest, at);
        self.blocks[at as usize].older = before;
        self.blocks[at as usize].newer = END;
        match self.blocks.get_mut(before as usize) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        self.idle += 1;
    }

    fn unlink(&mut self, at: u32) {
        let Named { older, newer, .. } = self.blocks[at as usize];
        match self.blocks.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.blocks.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.idle -= 1;
    }
}

/// Hashes a name with one multiplication: names are hashes or small numbers, and nobody chooses them to collide.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, name: u64) {
        // 2^64 over the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4).
        let product = u128::from(self.0 ^ name) * 0x9E37_79B9_7F4A_7C15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Request;
    use crate::units::SimTime;

    fn job(prefix: u32, prompt: u32) -> Job {
        Job { prefix, ..Job::from(Request { at: SimTime::ZERO, prompt, output: 1 }) }
    }

    fn serve(cache: &mut Cache, prefixes: &Prefixes, job: Job, free: u64) -> u64 {
        let found = cache.find(prefixes, &job);
        cache.admit(prefixes, &job, found);
        let (shared, _) = cache.enter(prefixes, &job, found.blocks);
        cache.trim(prefixes, free.saturating_sub(u64::from(job.prompt).div_ceil(BLOCK)));
        cache.release(prefixes, &Leaving { admission: 0, job, tokens: job.to_compute(), shared });
        found.blocks
    }

    #[test]
    fn a_session_finds_its_history_and_everybody_the_system_prompt() {
        let prefixes = Prefixes { names: Names::Sessions { system: 40 }, unit: 16 };
        let mut cache = Cache::new(PrefixFacts::default());
        assert_eq!(serve(&mut cache, &prefixes, job(1, 100), 1_000), 0);
        // 40 tokens of system prompt are two full blocks; the third holds 8 tokens of its own.
        assert_eq!(serve(&mut cache, &prefixes, job(2, 100), 1_000), 2);
        assert_eq!(serve(&mut cache, &prefixes, job(1, 130), 1_000), 6);
        // The whole prompt is there, but its last token is computed: 96 of 97, and 80 of 96 tokens.
        assert_eq!(serve(&mut cache, &prefixes, job(1, 97), 1_000), 6);
        assert_eq!(serve(&mut cache, &prefixes, job(1, 96), 1_000), 5);
        let facts = cache.facts;
        assert_eq!((facts.blocks, facts.full_blocks, facts.hit_blocks), (7 + 7 + 9 + 7 + 6, 6 + 6 + 8 + 6 + 6, 19));
        assert_eq!(facts.cached_tokens + facts.computed_tokens, 100 + 100 + 130 + 97 + 96);
    }

    #[test]
    fn the_last_blocks_of_the_least_recent_go_first() {
        let prefixes = Prefixes { names: Names::Sessions { system: 0 }, unit: 16 };
        let mut cache = Cache::new(PrefixFacts::default());
        serve(&mut cache, &prefixes, job(1, 80), 100);
        serve(&mut cache, &prefixes, job(2, 80), 100);
        cache.trim(&prefixes, 7);
        assert_eq!(cache.find(&prefixes, &job(1, 81)), Found { blocks: 2, in_use: 0 });
        assert_eq!(cache.find(&prefixes, &job(2, 81)), Found { blocks: 5, in_use: 0 });
        cache.trim(&prefixes, 4);
        assert_eq!(cache.find(&prefixes, &job(1, 81)).blocks, 0);
        assert_eq!(cache.find(&prefixes, &job(2, 81)).blocks, 4);
    }
}
