//! Prompt and output lengths of requests: quantile tables of measured traces, interpolated in log length, and the laws that a
//! scenario may give instead. Prompt and output are independent, as they nearly are in the traces (|rho| at most .11 in chat).
//!
//! One lognormal misses the laws of chat by a Kolmogorov-Smirnov distance of 0.16 to 0.21 (our own fits).

use crate::engine::{QuantileTable, normal_quantile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long prompts or outputs are, in tokens.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lengths {
    /// As in a measured trace.
    Like(Measured),
    /// All the same.
    Tokens(u32),
    /// Lognormal.
    Lognormal(Lognormal),
    /// One of several lognormals, each with its weight.
    Mixture(Vec<Component>),
    /// Through given quantiles, straight in log length between them.
    Quantiles(Quantiles),
}

/// A trace whose lengths were measured; prompts have its prompts, outputs its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Azure's conversations of 2023.
    Conversation,
    /// Mooncake's conversations: long contexts.
    Mooncake,
    /// ServeGen's DeepSeek-R1 clients: reasoning.
    DeepseekR1,
    /// arXiv articles to summarise.
    Arxiv,
}

/// `lognormal = { median = 1000, sigma = 1.0, max = 8192 }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    /// Half are shorter.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Longer ones are cut off here.
    pub max: Option<u32>,
}

/// `{ weight = 0.3, median = 55, sigma = 1.6 }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// How often, over the sum of all weights.
    pub weight: f64,
    /// Half are shorter.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// `quantiles = { percent = [0, 50, 100], tokens = [2, 1020, 14050] }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantiles {
    /// Percent that are shorter; ascending.
    pub percent: Vec<f64>,
    /// The length there; at least 1, never less than the one before.
    pub tokens: Vec<f64>,
}

/// Prompts or outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What is asked.
    Prompt,
    /// What is answered.
    Output,
}

impl Lengths {
    /// What is wrong with it, and what would do.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let wide = |sigma: f64| (0.0..=10.0).contains(&sigma);
        match self {
            Lengths::Like(_) => None,
            Lengths::Tokens(tokens) => (*tokens == 0).then_some("must be at least 1 token"),
            Lengths::Lognormal(Lognormal { median, sigma, max }) => {
                let sound = positive(*median) && wide(*sigma) && *max != Some(0);
                (!sound).then_some("needs a median above zero, a sigma from 0 to 10 and a max of at least 1")
            }
            Lengths::Mixture(parts) => {
                let sound = |part: &Component| positive(part.weight) && positive(part.median) && wide(part.sigma);
                let sound = !parts.is_empty() && parts.iter().all(sound);
                (!sound).then_some("needs weights and medians above zero, and sigmas from 0 to 10")
            }
            Lengths::Quantiles(Quantiles { percent, tokens }) => {
                let ascends = percent.windows(2).all(|pair| pair[0] < pair[1]);
                let grows = tokens.windows(2).all(|pair| pair[0] <= pair[1]);
                let inside = percent.iter().all(|percent| (0.0..=100.0).contains(percent));
                let counts = tokens.iter().all(|tokens| (1.0..=4e9).contains(tokens));
                let sound =
                    !percent.is_empty() && percent.len() == tokens.len() && ascends && grows && inside && counts;
                (!sound).then_some("needs as many `tokens` as `percent`, percent ascending from 0 to 100, tokens from 1 on and never less than before")
            }
        }
    }

    /// The law as a table.
    pub(super) fn compile(&self, part: Part) -> QuantileTable {
        match self {
            Lengths::Like(trace) => from_percent(&PERCENT, trace.quantiles(part)),
            Lengths::Tokens(tokens) => QuantileTable::from_points(&[(0.5, f64::from(*tokens))]),
            Lengths::Lognormal(Lognormal { median, sigma, max }) => {
                let max = max.map_or(MOST, f64::from);
                QuantileTable::from_quantile(|u| (median * libm::exp(sigma * normal_quantile(u))).clamp(1.0, max))
            }
            Lengths::Mixture(parts) => QuantileTable::from_quantile(|u| mixture_quantile(parts, u).clamp(1.0, MOST)),
            Lengths::Quantiles(Quantiles { percent, tokens }) => from_percent(percent, tokens),
        }
    }
}

/// A draw to the nearest token, at least one.
#[inline]
pub(super) fn whole(tokens: f64) -> u32 {
    (tokens + 0.5).max(1.0) as u32
}

/// No length that is drawn is longer: sums of a prompt and an output stay within what a request can say.
const MOST: f64 = 1e9;

/// Below which a share `u` of the mixture falls, by bisection of its logarithm.
fn mixture_quantile(parts: &[Component], u: f64) -> f64 {
    let total: f64 = parts.iter().map(|part| part.weight).sum();
    let below = |log: f64| {
        let each = parts.iter().map(|part| {
            let away = log - libm::log(part.median);
            let share =
                if part.sigma > 0.0 { normal_share(away / part.sigma) } else { f64::from(u8::from(away >= 0.0)) };
            part.weight * share
        });
        each.sum::<f64>() / total
    };
    let (mut low, mut high) = (-50.0, 50.0);
    // 60 halvings of 100 leave 1e-16.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if below(middle) < u { low = middle } else { high = middle }
    }
    libm::exp((low + high) / 2.0)
}

/// The share of a standard normal below `z`.
pub(super) fn normal_share(z: f64) -> f64 {
    libm::erfc(-z / std::f64::consts::SQRT_2) / 2.0
}

/// Probabilities of the tables below, in percent.
pub(super) const PERCENT: [f64; 19] =
    [0.0, 1.0, 5.0, 10.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 100.0];

impl Measured {
    /// Quantiles at [`PERCENT`], computed from the traces themselves.
    #[rustfmt::skip]
    fn quantiles(self, part: Part) -> &'static [f64; 19] {
        match (self, part) {
            // AzureLLMInferenceTrace_conv.csv (Azure/AzurePublicDataset, CC BY 4.0; Patel et al., "Splitwise", ISCA 2024).
            (Measured::Conversation, Part::Prompt) => &[
                2.0, 29.0, 181.0, 207.0, 387.0, 396.0, 403.0, 703.0, 1020.0, 1071.0, 1130.0, 1189.0, 1315.0, 2734.0,
                4083.0, 4098.0, 4142.0, 4831.0, 14050.0,
            ],
            (Measured::Conversation, Part::Output) => &[
                7.0, 16.0, 41.0, 54.0, 77.0, 85.0, 91.0, 103.0, 129.0, 177.0, 384.0, 395.0, 400.0, 424.0, 451.0, 540.0,
                601.0, 643.0, 1000.0,
            ],
            // mooncake_conversation_trace (kvcache-ai/Mooncake, Apache-2.0; Qin et al., FAST 2025).
            (Measured::Mooncake, Part::Prompt) => &[
                891.0, 894.0, 901.0, 964.0, 1662.0, 2306.0, 3263.0, 4993.0, 6909.0, 9570.0, 13196.0, 15367.0, 17869.0,
                27367.0, 39550.0, 66449.0, 85400.0, 100810.0, 126195.0,
            ],
            (Measured::Mooncake, Part::Output) => &[
                1.0, 3.0, 10.0, 24.0, 100.0, 156.0, 213.0, 291.0, 350.0, 399.0, 447.0, 472.0, 504.0, 597.0, 698.0,
                892.0, 1119.0, 1568.0, 2000.0,
            ],
            // ServeGen, deepseek-r1 clients, rate-weighted (alibaba/ServeGen, Apache-2.0; arXiv:2505.09999).
            (Measured::DeepseekR1, Part::Prompt) => &[
                4.0, 9.0, 13.0, 18.0, 29.0, 41.0, 57.0, 113.0, 208.0, 266.0, 406.0, 482.0, 748.0, 2092.0, 6714.0,
                16479.0, 23423.0, 28228.0, 57284.0,
            ],
            (Measured::DeepseekR1, Part::Output) => &[
                9.0, 141.0, 225.0, 287.0, 387.0, 427.0, 470.0, 582.0, 792.0, 1104.0, 1367.0, 1499.0, 1680.0, 3432.0,
                5701.0, 9338.0, 12607.0, 15737.0, 32768.0,
            ],
            // Lengths of arXiv summarisation (microsoft/vidur, MIT).
            (Measured::Arxiv, Part::Prompt) => &[
                1.0, 73.0, 749.0, 1242.0, 1802.0, 1986.0, 2150.0, 2453.0, 2730.0, 2996.0, 3249.0, 3370.0, 3490.0,
                3702.0, 3813.0, 3892.0, 3933.0, 3963.0, 4054.0,
            ],
            (Measured::Arxiv, Part::Output) => &[
                5.0, 36.0, 60.0, 78.0, 104.0, 115.0, 125.0, 145.0, 167.0, 192.0, 222.0, 242.0, 268.0, 372.0, 736.0,
                2775.0, 3271.0, 3582.0, 4056.0,
            ],
        }
    }
}

fn from_percent(percent: &[f64], tokens: &[f64]) -> QuantileTable {
    let points: Vec<_> = percent.iter().zip(tokens).map(|(percent, tokens)| (percent / 100.0, *tokens)).collect();
    QuantileTable::from_points(&points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_give_back_the_measured_quantiles_and_means() {
        // Means of the traces themselves; interpolation between quantiles moves the mean a little, more so where the tail is long.
        let cases = [
            (Measured::Conversation, Part::Prompt, 1155.0, 0.02, [(0.5, 1020.0), (0.9, 2734.0), (0.99, 4142.0)]),
            (Measured::Conversation, Part::Output, 211.0, 0.02, [(0.5, 129.0), (0.9, 424.0), (0.99, 601.0)]),
            (Measured::Mooncake, Part::Prompt, 12035.0, 0.02, [(0.5, 6909.0), (0.9, 27367.0), (0.99, 85400.0)]),
            (Measured::Mooncake, Part::Output, 343.0, 0.02, [(0.5, 350.0), (0.9, 597.0), (0.99, 1119.0)]),
            (Measured::DeepseekR1, Part::Prompt, 1268.0, 0.06, [(0.5, 208.0), (0.9, 2092.0), (0.99, 23423.0)]),
            (Measured::DeepseekR1, Part::Output, 1527.0, 0.035, [(0.5, 792.0), (0.9, 3432.0), (0.99, 12607.0)]),
            (Measured::Arxiv, Part::Prompt, 2588.0, 0.02, [(0.5, 2730.0), (0.9, 3702.0), (0.99, 3933.0)]),
            (Measured::Arxiv, Part::Output, 291.0, 0.03, [(0.5, 167.0), (0.9, 372.0), (0.99, 3271.0)]),
        ];
        for (trace, part, mean, tolerance, quantiles) in cases {
            let table = Lengths::Like(trace).compile(part);
            assert!((table.mean() / mean - 1.0).abs() < tolerance, "{trace:?} {part:?}: {} for {mean}", table.mean());
            for (u, expected) in quantiles {
                assert!((table.draw(u) / expected - 1.0).abs() < 0.005, "at {u}: {} for {expected}", table.draw(u));
            }
        }
    }

    #[test]
    fn laws_have_their_quantiles() {
        // Two lognormals fitted to Mooncake's outputs, as medians exp(4.02) and exp(6.01): half lie below where
        // .34 Phi((x - 4.02) / 1.62) + .66 Phi((x - 6.01) / .35) = 1/2, x = 5.791 (solved by hand to three digits).
        let mixture = [(0.34, 4.02, 1.62), (0.66, 6.01, 0.35)];
        let part = |(weight, mu, sigma)| Component { weight, median: libm::exp(mu), sigma };
        let mixture = Lengths::Mixture(mixture.map(part).to_vec()).compile(Part::Output);
        let half = libm::log(mixture.draw(0.5));
        let share = 0.34 * normal_share((half - 4.02) / 1.62) + 0.66 * normal_share((half - 6.01) / 0.35);
        assert!((share - 0.5).abs() < 1e-3, "{half}: {share}");
        let capped =
            Lengths::Lognormal(Lognormal { median: 1_000.0, sigma: 1.0, max: Some(8_192) }).compile(Part::Prompt);
        assert!((capped.draw(0.5) - 1_000.0).abs() < 1.0 && capped.draw(0.999) == 8_192.0);
        assert_eq!(Lengths::Tokens(77).compile(Part::Prompt).draw(0.3), 77.0);
        assert!((normal_share(1.281_551_565_544_600_4) - 0.9).abs() < 1e-12);
    }
}
