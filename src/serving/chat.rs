//! Chat traffic: mean rate x weekly profile x slow log-rate noise, Gamma gaps (shapes of Azure's traces of 2023 and 2024).
//!
//! `rate(t) = R week[hour] exp(X(t) - s^2/2)`. The profile holds for an hour at a time; X is an Ornstein-Uhlenbeck process with
//! standard deviation s ([`curve`](super::curve)). Gaps are those of a Gamma renewal process in rescaled time.

use super::lengths::{Lengths, Measured};
use crate::units::{PerSecond, Ratio, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `arrivals = { chat = { rate = "3000 /s" } }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chat {
    /// Mean requests a second over a week.
    pub rate: PerSecond,
    /// Standard deviation of the slow log-rate noise.
    #[serde(default = "default_noise")]
    pub noise: Ratio,
    /// Correlation time of the slow noise.
    #[serde(default = "default_noise_time")]
    pub noise_time: Span,
    /// Coefficient of variation of the gaps between requests.
    #[serde(default = "default_burstiness")]
    pub burstiness: Ratio,
    /// Follow the weekly profile; `false` keeps the mean rate.
    #[serde(default = "yes")]
    pub weekly: bool,
    /// Prompt lengths.
    #[serde(default = "conversation")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "conversation")]
    pub output: Lengths,
}

fn default_noise() -> Ratio {
    // Our fit to Azure's conversation trace of 2023: 0.2-0.3.
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
fn conversation() -> Lengths {
    Lengths::Like(Measured::Conversation)
}

/// Requests by hour over the mean hour, in hundredths, from Sunday 00:00 UTC: derived from the conversation trace of a week
/// in May 2024 (Azure/AzurePublicDataset, CC BY 4.0; Stojkovic et al., "DynamoLLM", HPCA 2025), digitised from the published
/// plot, good to 1-3 % (Azure's conversation week of 2024).
#[rustfmt::skip]
const WEEK: [[u16; 24]; 7] = [
    [56, 59, 56, 50, 47, 48, 50, 57, 57, 55, 55, 63, 64, 81, 75, 80, 73, 76, 77, 71, 69, 68, 64, 77],
    [97, 110, 110, 91, 92, 99, 114, 121, 127, 118, 116, 124, 133, 148, 166, 155, 136, 128, 126, 124, 117, 94, 92, 97],
    [108, 112, 115, 94, 95, 101, 117, 130, 128, 125, 117, 127, 145, 155, 165, 155, 143, 134, 142, 130, 118, 104, 89, 85],
    [100, 108, 103, 87, 90, 97, 111, 119, 122, 123, 113, 119, 135, 148, 151, 143, 129, 123, 128, 120, 105, 80, 76, 85],
    [100, 115, 109, 92, 90, 100, 122, 128, 139, 132, 105, 111, 127, 148, 152, 134, 125, 124, 123, 112, 100, 88, 78, 87],
    [103, 110, 107, 88, 91, 101, 112, 122, 119, 118, 105, 106, 118, 129, 129, 122, 113, 111, 98, 92, 86, 73, 60, 58],
    [58, 62, 64, 52, 53, 56, 56, 62, 65, 57, 64, 70, 78, 77, 84, 85, 82, 76, 69, 66, 69, 64, 58, 54],
];

/// The weekly profile at `hour` since Sunday 00:00 UTC; its mean over 168 hours is 1.
#[must_use]
pub fn weekly(hour: u64) -> f64 {
    let sum: u32 = WEEK.iter().flatten().map(|hundredths| u32::from(*hundredths)).sum();
    let hour = (hour % 168) as usize;
    f64::from(WEEK[hour / 24][hour % 24]) * 168.0 / f64::from(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_has_the_published_shape() {
        // Azure's conversation week of 2024, 5 % replaying the profile.
        let week: Vec<f64> = (0..168).map(weekly).collect();
        let mean = week.iter().sum::<f64>() / 168.0;
        let variance = week.iter().map(|x| (x - 1.0) * (x - 1.0)).sum::<f64>() / 168.0;
        let lagged = (0..144).map(|hour| (week[hour] - 1.0) * (week[hour + 24] - 1.0)).sum::<f64>() / 144.0;
        let weekend = (week[..24].iter().sum::<f64>() + week[144..].iter().sum::<f64>()) / 48.0;
        let weekday = week[24..144].iter().sum::<f64>() / 120.0;
        let by_hour: Vec<f64> = (0..24).map(|hour| (1..6).map(|day| week[day * 24 + hour]).sum::<f64>()).collect();
        let peak = by_hour.iter().copied().fold(0.0, f64::max) / by_hour.iter().copied().fold(f64::MAX, f64::min);
        let cases = [
            ("mean", mean, 1.0),
            ("CoV", variance.sqrt(), 0.291),
            ("weekend", weekend / weekday - 1.0, -0.433),
            ("weekday peak over trough", peak, 1.93),
        ];
        for (name, found, expected) in cases {
            assert!((found / expected - 1.0).abs() < 0.05, "{name}: {found}, published {expected}");
        }
        assert!((lagged / variance - 0.397).abs() < 0.06, "correlation at 24 h: {}", lagged / variance);
    }
}
