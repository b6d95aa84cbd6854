//! Conversations of several turns, whose prompts hold all that was said before (shapes of Mooncake's
//! conversation trace).
//!
//! Sessions start as chat requests come; a session's next turn follows after a lognormal gap. Its prompt is the last prompt, the
//! last answer and what is new: mostly a short reply, sometimes a trimmed history, and in 23 % a new document. The first prompt
//! begins with a system prompt that all share. So a prefix cache may find the whole history of a session, and the system prompt
//! for everybody: [`Origin`] says which. A session's turns all come to one cell; its first one chose it.

use super::job::Job;
use super::lengths::{Component, Lengths, Measured, Part, whole};
use crate::engine::{Entity, QuantileTable, Seed, Stream};
use crate::trace::Request;
use crate::units::{PerSecond, Ratio, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// `arrivals = { sessions = { rate = "3 /s" } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Mean requests (turns of all sessions) a second.
    pub rate: PerSecond,
    /// Mean turns of a session, geometric; unset, the measured law of mean 1.5.
    pub turns: Option<Ratio>,
    /// Median time from one turn to the next.
    #[serde(default = "default_gap")]
    pub gap: Span,
    /// Standard deviation of the logarithm of that time.
    #[serde(default = "default_gap_spread")]
    pub gap_spread: Ratio,
    /// Tokens of the system prompt that all sessions share.
    #[serde(default = "default_system")]
    pub system: u32,
    /// Length of a session's first prompt, the system prompt included.
    #[serde(default = "mooncake")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "default_output")]
    pub output: Lengths,
    /// A session whose next prompt would be longer has ended.
    #[serde(default = "default_context")]
    pub context: u32,
    /// Standard deviation of the slow log-rate noise of session starts.
    #[serde(default = "default_noise")]
    pub noise: Ratio,
    /// Correlation time of the slow noise.
    #[serde(default = "default_noise_time")]
    pub noise_time: Span,
    /// Coefficient of variation of the gaps between session starts.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Follow the weekly profile of chat; `false` keeps the mean rate.
    #[serde(default = "yes")]
    pub weekly: bool,
}

// Defaults: our fits to Mooncake's conversation trace; those of starts are chat's.
fn default_gap() -> Span {
    // exp(4.88) s
    Span::from_nanos(131_600_000_000)
}
fn default_gap_spread() -> Ratio {
    Ratio::new(0.98)
}
fn default_system() -> u32 {
    890
}
fn mooncake() -> Lengths {
    Lengths::Like(Measured::Mooncake)
}
fn default_output() -> Lengths {
    // Lognormals (.34; 4.02, 1.62) and (.66; 6.01, .35).
    let part = |weight, median, sigma| Component { weight, median, sigma };
    Lengths::Mixture(vec![part(0.34, 55.7, 1.62), part(0.66, 407.5, 0.35)])
}
fn default_context() -> u32 {
    131_072
}
fn default_noise() -> Ratio {
    Ratio::new(0.25)
}
fn default_noise_time() -> Span {
    Span::from_secs(600)
}
fn default_burstiness() -> Ratio {
    Ratio::new(1.04)
}
fn yes() -> bool {
    true
}

/// Shares of sessions with 1 to 7 turns (Mooncake's conversation trace); the rest, .008, has on average 12: mean 1.493.
const TURNS: [f64; 7] = [0.750, 0.152, 0.049, 0.021, 0.011, 0.006, 0.003];
/// The mean of the measured law.
const MEAN_TURNS: f64 = 1.493;
/// Chance that a session of eight turns or more goes on after each: a mean of 12.
const LONG_GOES_ON: f64 = 0.8;

/// Of the turns after the first, those that bring a new document, its length lognormal and above 500 tokens; and of the others
/// those whose history was trimmed (our fit to Mooncake's conversation trace).
const DOCUMENT: f64 = 0.23;
const DOCUMENT_LOG: (f64, f64) = (8.16, 0.99);
const DOCUMENT_LEAST: f64 = 500.0;
const TRIMMED: f64 = 0.14;
const REPLY_LOG: (f64, f64) = (3.28, 1.27);

/// Where a request comes from, as far as prefix caches and session routers care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Its conversation: equal numbers belong together.
    pub session: Option<u64>,
    /// Tokens at the start of its prompt that an earlier request of its session, or any request, held too.
    pub reused: u32,
    /// Its row in the trace that is replayed, which says its block hashes.
    pub row: Option<u64>,
}

impl Origin {
    /// What names the blocks of its prompt: its row, else its session, of which 2^32 follow each other before a number returns.
    pub(super) fn prefix(&self) -> u32 {
        self.row.or(self.session).map_or(Job::UNNAMED, |number| number as u32)
    }
}

impl Sessions {
    /// Mean turns of a session.
    pub(super) fn mean_turns(&self) -> f64 {
        self.turns.map_or(MEAN_TURNS, Ratio::as_f64)
    }

    /// Sessions that start a second.
    pub(super) fn starts_per_second(&self) -> f64 {
        self.rate.as_f64() / self.mean_turns()
    }

    /// Mean prompt and output over all turns, of some thousand sessions.
    pub(super) fn mean_lengths(&self) -> (f64, f64) {
        let seed = Seed { seed: 1, replication: 0 };
        let mut talks = Talks::new(self, Entity::named("mean lengths"), seed);
        let (mut count, mut prompts, mut outputs) = (0.0, 0.0, 0.0);
        for _ in 0..4_096 {
            talks.start(SimTime::ZERO);
        }
        while let Some((request, _)) = talks.next_before(SimTime::NEVER) {
            count += 1.0;
            prompts += f64::from(request.prompt);
            outputs += f64::from(request.output);
        }
        (prompts / count, outputs / count)
    }
}

/// A session under way: what its next turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: SimTime,
    session: u64,
    prompt: u32,
    reused: u32,
    /// Turns after this.
    left: u32,
}

/// The sessions of a cell.
#[derive(Debug, Clone)]
pub(super) struct Talks {
    section: Sessions,
    prompts: QuantileTable,
    outputs: QuantileTable,
    turns: Stream,
    gaps: Stream,
    lengths: Stream,
    under_way: BinaryHeap<Reverse<Turn>>,
    /// Number of the next session: the cell's own numbers begin where its entity says.
    session: u64,
}

impl Talks {
    pub(super) fn new(section: &Sessions, cell: Entity, seed: Seed) -> Talks {
        Talks {
            prompts: section.prompt.compile(Part::Prompt),
            outputs: section.output.compile(Part::Output),
            turns: seed.stream(cell, "turns"),
            gaps: seed.stream(cell, "turn-gap"),
            lengths: seed.stream(cell, "turn-length"),
            under_way: BinaryHeap::new(),
            session: seed.stream(cell, "session-number").bits(),
            section: section.clone(),
        }
    }

    /// A session starts at `at`.
    pub(super) fn start(&mut self, at: SimTime) {
        let prompt = whole(self.prompts.draw(self.lengths.uniform()));
        let left = self.draw_turns() - 1;
        let reused = self.section.system.min(prompt);
        self.under_way.push(Reverse(Turn { at, session: self.session, prompt, reused, left }));
        self.session = self.session.wrapping_add(1);
    }

    /// The next turn of any session, if it comes before `until`.
    pub(super) fn next_before(&mut self, until: SimTime) -> Option<(Request, Origin)> {
        let &Reverse(turn) = self.under_way.peek().filter(|turn| turn.0.at < until)?;
        self.under_way.pop();
        let output = whole(self.outputs.draw(self.lengths.uniform()));
        if turn.left > 0 {
            self.follow(turn, output);
        }
        let origin = Origin { session: Some(turn.session), reused: turn.reused, row: None };
        Some((Request { at: turn.at, prompt: turn.prompt, output }, origin))
    }

    /// All sessions end: nobody is there to answer them.
    pub(super) fn end(&mut self) {
        self.under_way.clear();
    }

    fn follow(&mut self, turn: Turn, output: u32) {
        let history = f64::from(turn.prompt) + f64::from(output);
        let (fresh, e) = (self.lengths.uniform(), self.lengths.uniform());
        let lognormal = |(mu, sigma): (f64, f64)| crate::engine::lognormal(e, mu, sigma);
        let delta = if fresh < DOCUMENT {
            lognormal(DOCUMENT_LOG).max(DOCUMENT_LEAST)
        } else if fresh < DOCUMENT + (1.0 - DOCUMENT) * TRIMMED {
            // Trimmed by as much as a reply is long.
            -lognormal(REPLY_LOG)
        } else {
            lognormal(REPLY_LOG)
        };
        let gap = libm::exp(self.section.gap_spread.as_f64() * self.gaps.normal()) * self.section.gap.as_secs_f64();
        let prompt = (history + delta).max(1.0);
        if prompt > f64::from(self.section.context) {
            return;
        }
        let reused = history.min(prompt) as u32;
        let at = turn.at + Span::from_secs_f64(gap);
        self.under_way.push(Reverse(Turn { at, prompt: whole(prompt), reused, left: turn.left - 1, ..turn }));
    }

    fn draw_turns(&mut self) -> u32 {
        let mut u = self.turns.uniform();
        if let Some(mean) = self.section.turns {
            // Geometric from 1 on.
            let goes_on = 1.0 - 1.0 / mean.as_f64();
            return if goes_on <= 0.0 { 1 } else { 1 + (libm::log(u) / libm::log(goes_on)) as u32 };
        }
        for (turns, share) in (1..).zip(TURNS) {
            if u < share {
                return turns;
            }
            u -= share;
        }
        let rest = 1.0 - TURNS.iter().sum::<f64>();
        8 + (libm::log((u / rest).max(1e-12)) / libm::log(LONG_GOES_ON)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talks(section: &str, sessions: usize) -> Vec<(Request, Origin)> {
        let section: Sessions = toml::from_str(section).unwrap();
        let mut talks = Talks::new(&section, Entity::named("test"), Seed { seed: 11, replication: 0 });
        (0..sessions).for_each(|_| talks.start(SimTime::ZERO));
        std::iter::from_fn(|| talks.next_before(SimTime::NEVER)).collect()
    }

    #[test]
    fn sessions_have_the_measured_turns_gaps_and_growth() {
        const SESSIONS: usize = 40_000;
        let mut turns = talks("rate = '1 /s'", SESSIONS);
        turns.sort_by_key(|(request, origin)| (origin.session, request.at));
        // Mooncake's conversation trace: mean 1.493 turns, .750 of one; sessions whose context is full end sooner.
        let mean = turns.len() as f64 / SESSIONS as f64;
        assert!((mean / MEAN_TURNS - 1.0).abs() < 0.03, "{mean} turns");
        let mut gaps = Vec::new();
        let mut fresh = Vec::new();
        for pair in turns.windows(2).filter(|pair| pair[0].1.session == pair[1].1.session) {
            let [(before, _), (after, origin)] = [pair[0], pair[1]];
            gaps.push(after.at.since(before.at).as_secs_f64());
            let history = before.prompt + before.output;
            fresh.push(f64::from(after.prompt) - f64::from(history));
            assert!(origin.reused <= after.prompt && origin.reused <= history);
        }
        let quantile = |values: &mut Vec<f64>, share: f64| {
            values.sort_by(f64::total_cmp);
            values[(share * values.len() as f64) as usize]
        };
        // Gap: p50 126 s measured, 131.6 fitted; p95 612 measured, 660 fitted.
        assert!((quantile(&mut gaps, 0.5) / 131.6 - 1.0).abs() < 0.05);
        assert!((quantile(&mut gaps, 0.95) / 660.0 - 1.0).abs() < 0.08);
        let documents = fresh.iter().filter(|fresh| **fresh > 500.0).count() as f64 / fresh.len() as f64;
        assert!((documents - 0.23).abs() < 0.03, "{documents} of the turns bring more than 500 new tokens");
        let trimmed = fresh.iter().filter(|fresh| **fresh < 0.0).count() as f64 / fresh.len() as f64;
        assert!((trimmed - 0.77 * 0.14).abs() < 0.02, "{trimmed} of the histories are trimmed");
        let median = quantile(&mut fresh, 0.5);
        // Measured p25 9, p50 26, p75 384.
        assert!((20.0..60.0).contains(&median), "{median} new tokens");
    }

    #[test]
    fn a_mean_of_turns_may_be_asked() {
        let turns = talks("rate = '1 /s'\nturns = 6\nprompt = { tokens = 1000 }\ncontext = 4000000000", 20_000);
        let mean = turns.len() as f64 / 20_000.0;
        // Geometric, sd 5.5: five standard errors.
        assert!((mean - 6.0).abs() < 0.2, "{mean}");
    }
}
