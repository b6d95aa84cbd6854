//! Accelerators.

use super::Entry;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond, Watts};
use schemars::JsonSchema;
use serde::Deserialize;

/// One accelerator's data sheet. Power figures are watts of the accelerator alone, per state.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GpuSheet {
    /// Memory capacity.
    pub memory: Bytes,
    /// Memory bandwidth.
    pub bandwidth: BytesPerSecond,
    /// Dense peak at 16-bit precision.
    pub peak_16bit: FlopsPerSecond,
    /// Dense peak at 8-bit precision; equal to `peak_16bit` where the chip has no faster 8-bit mode.
    pub peak_8bit: FlopsPerSecond,
    /// Thermal design power.
    pub tdp: Watts,
    /// Powered, no context.
    pub idle: Watts,
    /// A model resident in memory, no load.
    pub resident: Watts,
    /// Mean of active training.
    pub training: Watts,
    /// While a checkpoint blocks training.
    pub checkpoint: Watts,
    /// Decoding a single sequence.
    pub decode: Watts,
    /// Prefill, or decoding a large batch.
    pub prefill: Watts,
}

/// All accelerators of the catalog.
pub static GPUS: &[Entry<GpuSheet>] = &[Entry {
    name: "h100-sxm",
    sheet: GpuSheet {
        memory: Bytes::new(80_000_000_000),
        bandwidth: BytesPerSecond::new(3.35e12),
        peak_16bit: FlopsPerSecond::new(989.5e12),
        peak_8bit: FlopsPerSecond::new(1_979e12),
        tdp: Watts::new(700),
        idle: Watts::new(72),
        resident: Watts::new(122),
        training: Watts::new(600),
        checkpoint: Watts::new(105),
        decode: Watts::new(440),
        prefill: Watts::new(690),
    },
    source: "NVIDIA H100 data sheet; states: arXiv:2605.23918, arXiv:2503.05804, ml-energy/leaderboard @0cd52da",
}];
