//! What a service's answers sell for: `price = { prompt = "$0.55", output = "$2.19" }`, list prices of a million tokens.
//!
//! Revenue is the completed requests' tokens at these prices; what it leaves over cost, over cost, is the cost-profit margin.
//! Worked value (DeepSeek's day of V3 and R1, deepseek-ai/open-infra-index): 342e9 cached and 266e9 other prompt tokens at $0.14 and
//! $0.55 and 168e9 output tokens at $2.19 bring $562,100; 226.75 nodes of 8 at $2 cost $87,072, a margin of 5.456.

use super::{Book, Count, PrefixFacts};
use crate::units::{Dollars, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// List prices of a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPrices {
    /// A million prompt tokens.
    pub prompt: Dollars,
    /// A million output tokens.
    pub output: Dollars,
    /// A million prompt tokens that a prefix cache holds; unset, as the others.
    #[serde(default)]
    pub cached: Option<Dollars>,
    /// Part of the prompt tokens that such a cache holds, of a service whose replicas simulate none.
    #[serde(default)]
    pub cached_share: Share,
}

impl TokenPrices {
    /// What the completed requests of `book` bring; of their prompt tokens the part that prefix caches held by `prefix`.
    pub(super) fn revenue(&self, book: &Book, prefix: Option<&PrefixFacts>) -> f64 {
        let millions = |what| book.counted(what) as f64 / 1e6;
        let found = |facts: &PrefixFacts| {
            facts.cached_tokens as f64 / (facts.cached_tokens + facts.computed_tokens).max(1) as f64
        };
        let cached = prefix.map_or(self.cached_share.as_f64(), found);
        let prompt = (1.0 - cached) * self.prompt.as_f64() + cached * self.cached.unwrap_or(self.prompt).as_f64();
        millions(Count::PromptTokens) * prompt + millions(Count::OutputTokens) * self.output.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Grid;
    use crate::units::{SimTime, Span};

    #[test]
    fn the_published_day() {
        let mut book = Book::new(Grid { horizon: SimTime::ZERO + Span::HOUR * 24, bin: Span::HOUR });
        book.count(Count::PromptTokens, SimTime::ZERO, 608_000_000_000);
        book.count(Count::OutputTokens, SimTime::ZERO, 168_000_000_000);
        let [prompt, cached, output] = [0.55, 0.14, 2.19].map(Dollars::from_f64);
        let prices = TokenPrices { prompt, output, cached: Some(cached), cached_share: Share::new(342.0 / 608.0) };
        let revenue = prices.revenue(&book, None);
        assert_eq!(format!("{revenue:.0}"), "562100");
        assert_eq!(format!("{:.3}", (revenue - 87_072.0) / 87_072.0), "5.456");
        // A cache that was simulated says itself what it held.
        let prefix = PrefixFacts { cached_tokens: 3, computed_tokens: 1, ..PrefixFacts::default() };
        let by_cache = prices.revenue(&book, Some(&prefix));
        assert_eq!(format!("{by_cache:.0}"), format!("{:.0}", 608e3 * (0.75 * 0.14 + 0.25 * 0.55) + 168e3 * 2.19));
        // 608e9 at $0.55 instead.
        let plain = TokenPrices { cached: None, ..prices };
        assert_eq!(format!("{:.0}", plain.revenue(&book, None)), "702320");
    }
}
