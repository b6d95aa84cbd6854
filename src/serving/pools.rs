//! Two pools of replicas: some compute prompts and give the first token, the others fetch the key-value cache and give the rest
//! (Zhong et al., "DistServe", OSDI 2024; Patel et al., "Splitwise", ISCA 2024).
//!
//! A prompt's blocks stay with the replica that computed them until they have been fetched. A replica that decodes fetches at a step
//! boundary, first in, first out, as soon as its batch has room and the blocks are free, which it takes at once; the cache is there
//! after `latency + bytes / bandwidth`, and decodes from the next boundary on. So where those who decode are full, caches wait with
//! those who computed them, and at last prompts do. Fetches do not slow each other or any step. A sequence that is sent back for want
//! of blocks is computed again where it decodes.

use super::Router;
use crate::units::{Bytes, BytesPerSecond, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `pools = { prefill = 1, decode = 3 }`: of each four replicas of a cell one computes prompts, and three decode.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pools {
    /// Of so many replicas and those of `decode` together, the part that computes prompts.
    pub prefill: u32,
    /// The part that decodes.
    pub decode: u32,
    /// Bandwidth at which each GPU of a replica fetches its part of a cache.
    #[serde(default = "default_link")]
    pub link: BytesPerSecond,
    /// From the demand for a cache to its first byte.
    #[serde(default = "default_latency")]
    pub latency: Span,
    /// Which of those who decode takes a request; `router` chooses among those who compute prompts.
    #[serde(default)]
    pub router: Router,
}

fn default_link() -> BytesPerSecond {
    // NVIDIA DGX H100 user guide: one ConnectX-7 of 400 Gb/s for each GPU.
    BytesPerSecond::new(50e9)
}
fn default_latency() -> Span {
    // Assumed: a question and an answer between two engines.
    Span::from_nanos(1_000_000)
}

impl Pools {
    /// What the replica at the `index`-th place of a cell does: as evenly as whole replicas allow, and prompts first.
    pub(super) fn role(&self, index: usize) -> Role {
        let (prefill, all) = (u64::from(self.prefill), u64::from(self.prefill) + u64::from(self.decode));
        let before = |places: u64| (places * prefill).div_ceil(all);
        if before(index as u64 + 1) > before(index as u64) { Role::Prefill } else { Role::Decode }
    }

    /// True where one of that many replicas of a cell decodes.
    pub(crate) fn decodes_among(&self, replicas: usize) -> bool {
        (0..replicas).any(|index| self.role(index) == Role::Decode)
    }
}

/// What a replica does of a request's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Role {
    /// All of it.
    #[default]
    All,
    /// The prompt and the first token.
    Prefill,
    /// The rest.
    Decode,
}

/// How caches come from one replica to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fetching {
    /// Of all GPUs of a replica.
    pub(crate) bandwidth: BytesPerSecond,
    /// Before the first byte.
    pub(crate) latency: Span,
    /// A token's part of a cache.
    pub(crate) per_token: Bytes,
}

impl Fetching {
    /// How long the cache of so many tokens takes.
    pub(crate) fn time(&self, tokens: u64) -> Span {
        self.latency + self.bandwidth.time_for(Bytes::new(self.per_token.count() * tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(prefill: u32, decode: u32, places: usize) -> String {
        let pools =
            Pools { prefill, decode, link: default_link(), latency: default_latency(), router: Router::default() };
        (0..places).map(|place| if pools.role(place) == Role::Prefill { 'p' } else { 'd' }).collect()
    }

    #[test]
    fn roles_are_spread_evenly() {
        assert_eq!(roles(1, 3, 8), "pdddpddd");
        assert_eq!(roles(3, 2, 10), "ppdpdppdpd");
        assert_eq!(roles(4, 12, 16).matches('p').count(), 4);
    }

    #[test]
    fn a_cache_takes_latency_and_bytes_over_bandwidth() {
        // 1,000 tokens of 131,072 bytes at 50 GB/s: 2.62144 ms.
        let fetching =
            Fetching { bandwidth: default_link(), latency: default_latency(), per_token: Bytes::new(131_072) };
        assert_eq!(fetching.time(1_000), Span::from_nanos(3_621_440));
    }
}
