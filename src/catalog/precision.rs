//! Precision of a model's weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Precision of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 16 bits.
    #[default]
    Bf16,
    /// 8 bits.
    Fp8,
}

impl Precision {
    /// Bytes of one parameter.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Precision::Bf16 => 2,
            Precision::Fp8 => 1,
        }
    }
}
