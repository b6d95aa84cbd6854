//! What every replica of a service obeys.

use super::Speculation;
use super::pools::Fetching;
use super::prefix::Prefixes;
use super::step::Pace;
use crate::trace::Request;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens of one key-value block (vLLM's default block size).
pub(crate) const BLOCK: u64 = 16;

/// Blocks that hold `tokens`.
pub(crate) const fn blocks_of(tokens: u64) -> u64 {
    tokens.div_ceil(BLOCK)
}

/// What every replica of a service obeys.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// How long steps take at each level of power control; the first without a lever.
    pub(crate) paces: Vec<Pace>,
    /// Tokens that one step may process.
    pub(crate) budget: u64,
    /// Sequences that may run at once; at most the budget.
    pub(crate) max_batch: u64,
    /// Key-value blocks.
    pub(crate) blocks: u64,
    /// What a step does with prompts.
    pub(crate) prefill: Prefill,
    /// Tokens are drafted; none, and each step gives one.
    pub(crate) speculation: Option<Speculation>,
    /// How prompts are found again; none without a prefix cache.
    pub(crate) prefixes: Option<Prefixes>,
    /// How caches come from those who compute prompts to those who decode; none where all do both.
    pub(crate) fetching: Option<Fetching>,
}

/// What a step does with prompts that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Prefill {
    /// Each step decodes, and takes chunks of prompts with the tokens that are left of its budget: vLLM v1.
    Chunked {},
    /// As long as prompts can be admitted, steps take whole prompts up to the budget, one at least, while those that decode pause: vLLM v0.
    First {},
}

impl Default for Prefill {
    fn default() -> Prefill {
        Prefill::Chunked {}
    }
}

impl Rules {
    /// Without any option.
    pub(crate) fn chunked(paces: Vec<Pace>, budget: u64, max_batch: u64, blocks: u64) -> Rules {
        Rules {
            paces,
            budget,
            max_batch: max_batch.min(budget),
            blocks,
            prefill: Prefill::default(),
            speculation: None,
            prefixes: None,
            fetching: None,
        }
    }

    /// True where replicas do nothing beyond continuous batching with chunked prompts.
    #[inline]
    pub(crate) fn plain(&self) -> bool {
        let usual = self.prefixes.is_none() && self.speculation.is_none() && self.prefill == (Prefill::Chunked {});
        usual && !self.paces[0].is_of_experts() && self.fetching.is_none()
    }

    /// True where a request of that many tokens fits an empty replica.
    pub(crate) fn can_hold(&self, request: &Request) -> bool {
        // With drafts, the last step may compute more than what is left.
        let more = self.speculation.map_or(0, |drafts| u64::from(drafts.draft));
        blocks_of(u64::from(request.prompt) + u64::from(request.output) - 1 + more) <= self.blocks
    }

    /// Tokens that a sequence has computed in each step.
    pub(super) fn checked(&self) -> u64 {
        self.speculation.map_or(1, |drafts| u64::from(drafts.checked()))
    }
}
