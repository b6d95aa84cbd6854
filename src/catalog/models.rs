//! Language models: the sizes that set arithmetic, memory and checkpoints.

use super::Entry;
use crate::units::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One model's data sheet.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
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
    /// Routed experts of a mixture of experts; unset, each token uses all that is active.
    pub experts: Option<Experts>,
}

/// `experts = { chosen = 8, of = 256 }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experts {
    /// How many a token goes to, in each layer that has some.
    pub chosen: u32,
    /// Of how many.
    pub of: u32,
}

/// All models of the catalog.
pub static MODELS: &[Entry<ModelSheet>] = &[
    Entry {
        name: "gpt-3-175b",
        sheet: ModelSheet {
            parameters: 175e9,
            active_parameters: 175e9,
            layers: 96,
            // 2 (key, value) x 96 layers x width 12,288 x 2 bytes: every head keeps its own.
            kv_bytes_per_token: Bytes::new(4_718_592),
            experts: None,
        },
        source: "arXiv:2005.14165 Table 2.1",
    },
    Entry {
        name: "opt-175b",
        sheet: ModelSheet {
            parameters: 175e9,
            active_parameters: 175e9,
            layers: 96,
            // 2 (key, value) x 96 layers x width 12,288 x 2 bytes: every head keeps its own.
            kv_bytes_per_token: Bytes::new(4_718_592),
            experts: None,
        },
        source: "arXiv:2205.01068 Table 1",
    },
    Entry {
        name: "bloom-176b",
        sheet: ModelSheet {
            parameters: 176.247e9,
            active_parameters: 176.247e9,
            layers: 70,
            // 2 (key, value) x 70 layers x width 14,336 x 2 bytes: every head keeps its own.
            kv_bytes_per_token: Bytes::new(4_014_080),
            experts: None,
        },
        source: "arXiv:2211.05100 Table 3",
    },
    Entry {
        name: "llama-2-7b",
        sheet: ModelSheet {
            parameters: 6.738e9,
            active_parameters: 6.738e9,
            layers: 32,
            // 2 (key, value) x 32 layers x width 4,096 x 2 bytes: every head keeps its own.
            kv_bytes_per_token: Bytes::new(524_288),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama2/MODEL_CARD.md; arXiv:2307.09288",
    },
    Entry {
        name: "llama-2-13b",
        sheet: ModelSheet {
            parameters: 13.016e9,
            active_parameters: 13.016e9,
            layers: 40,
            // 2 (key, value) x 40 layers x width 5,120 x 2 bytes: every head keeps its own.
            kv_bytes_per_token: Bytes::new(819_200),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama2/MODEL_CARD.md; arXiv:2307.09288",
    },
    Entry {
        name: "llama-2-70b",
        sheet: ModelSheet {
            parameters: 68.977e9,
            active_parameters: 68.977e9,
            layers: 80,
            // 2 (key, value) x 80 layers x 8 KV heads x 128 x 2 bytes.
            kv_bytes_per_token: Bytes::new(327_680),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama2/MODEL_CARD.md; arXiv:2307.09288",
    },
    Entry {
        name: "llama-3.1-8b",
        sheet: ModelSheet {
            parameters: 8.03e9,
            active_parameters: 8.03e9,
            layers: 32,
            // 2 (key, value) x 32 layers x 8 KV heads x 128 x 2 bytes.
            kv_bytes_per_token: Bytes::new(131_072),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama3_1/MODEL_CARD.md; arXiv:2407.21783 Table 3",
    },
    Entry {
        name: "llama-3.1-70b",
        sheet: ModelSheet {
            parameters: 70.554e9,
            active_parameters: 70.554e9,
            layers: 80,
            // 2 (key, value) x 80 layers x 8 KV heads x 128 x 2 bytes.
            kv_bytes_per_token: Bytes::new(327_680),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama3_1/MODEL_CARD.md; arXiv:2407.21783 Table 3",
    },
    Entry {
        name: "llama-3.1-405b",
        sheet: ModelSheet {
            parameters: 405.853e9,
            active_parameters: 405.853e9,
            layers: 126,
            // 2 (key, value) x 126 layers x 8 KV heads x 128 x 2 bytes.
            kv_bytes_per_token: Bytes::new(516_096),
            experts: None,
        },
        source: "meta-llama/llama-models models/llama3_1/MODEL_CARD.md; arXiv:2407.21783 Table 3",
    },
    Entry {
        name: "deepseek-v3",
        sheet: ModelSheet {
            parameters: 671e9,
            active_parameters: 37e9,
            layers: 61,
            // Multi-head latent attention keeps one latent of 512 and one shared rotary key of 64: 61 layers x 576 x 2 bytes.
            kv_bytes_per_token: Bytes::new(70_272),
            // Section 4.2: 8 of 256 routed experts.
            experts: Some(Experts { chosen: 8, of: 256 }),
        },
        source: "DeepSeek-V3 technical report, arXiv:2412.19437",
    },
];
