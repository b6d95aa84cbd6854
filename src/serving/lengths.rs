//! Prompt and output lengths of chat requests: quantile tables of a measured trace, interpolated in log length. Prompt and
//! output are independent, as they nearly are in the trace (Pearson -.11, Spearman .07).
//!
//! One lognormal misses these laws by a Kolmogorov-Smirnov distance of 0.16 to 0.21 (models/workloads.md, ground rule 2).

use crate::engine::QuantileTable;

/// Probabilities of the tables below, in percent.
const PERCENT: [f64; 19] =
    [0.0, 1.0, 5.0, 10.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 100.0];

// Both tables: quantiles of AzureLLMInferenceTrace_conv.csv (Azure/AzurePublicDataset, CC BY 4.0; Patel et al., "Splitwise",
// ISCA 2024), as in models/workloads.md 4.2.
const CONVERSATION_PROMPT: [f64; 19] = [
    2.0, 29.0, 181.0, 207.0, 387.0, 396.0, 403.0, 703.0, 1020.0, 1071.0, 1130.0, 1189.0, 1315.0, 2734.0, 4083.0,
    4098.0, 4142.0, 4831.0, 14050.0,
];
const CONVERSATION_OUTPUT: [f64; 19] = [
    7.0, 16.0, 41.0, 54.0, 77.0, 85.0, 91.0, 103.0, 129.0, 177.0, 384.0, 395.0, 400.0, 424.0, 451.0, 540.0, 601.0,
    643.0, 1000.0,
];

/// Prompts of the conversation trace.
pub(super) fn conversation_prompts() -> QuantileTable {
    compile(&CONVERSATION_PROMPT)
}

/// Outputs of the conversation trace.
pub(super) fn conversation_outputs() -> QuantileTable {
    compile(&CONVERSATION_OUTPUT)
}

fn compile(quantiles: &[f64; 19]) -> QuantileTable {
    let points: Vec<_> = PERCENT.iter().zip(quantiles).map(|(percent, tokens)| (percent / 100.0, *tokens)).collect();
    QuantileTable::from_points(&points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_give_back_the_measured_quantiles_and_means() {
        // Quantiles and means of the trace, models/workloads.md 4.2; interpolation between quantiles moves the mean a little.
        let cases = [
            (conversation_prompts(), 1155.0, [(0.5, 1020.0), (0.9, 2734.0), (0.95, 4083.0), (0.99, 4142.0)]),
            (conversation_outputs(), 211.0, [(0.5, 129.0), (0.9, 424.0), (0.95, 451.0), (0.99, 601.0)]),
        ];
        for (table, mean, quantiles) in cases {
            assert!((table.mean() / mean - 1.0).abs() < 0.02, "mean {} for {mean}", table.mean());
            for (u, expected) in quantiles {
                assert!((table.draw(u) / expected - 1.0).abs() < 0.005, "at {u}: {} for {expected}", table.draw(u));
            }
        }
    }
}
