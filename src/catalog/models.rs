//! Language models: the sizes that set arithmetic, memory and checkpoints.

use super::Entry;
use crate::units::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

/// One model's data sheet.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSheet {
    /// All parameters.
    pub parameters: f64,
    /// Parameters that one token uses; equal to `parameters` in a dense model.
    pub active_parameters: f64,
    /// Transformer layers.
    pub layers: u32,
    /// Key-value cache of one token at 16-bit precision.
    pub kv_bytes_per_token: Bytes,
}

/// All models of the catalog.
pub static MODELS: &[Entry<ModelSheet>] = &[
    Entry {
        name: "llama-3.1-405b",
        sheet: ModelSheet {
            parameters: 405.853e9,
            active_parameters: 405.853e9,
            layers: 126,
            // 2 (key, value) x 126 layers x 8 KV heads x 128 x 2 bytes.
            kv_bytes_per_token: Bytes::new(516_096),
        },
        source: "meta-llama/llama-models models/llama3_1/MODEL_CARD.md; arXiv:2407.21783 Table 3",
    },
    Entry {
        name: "llama-3.1-8b",
        sheet: ModelSheet {
            parameters: 8.03e9,
            active_parameters: 8.03e9,
            layers: 32,
            kv_bytes_per_token: Bytes::new(131_072),
        },
        source: "meta-llama/llama-models models/llama3_1/MODEL_CARD.md; arXiv:2407.21783 Table 3",
    },
];
