//! Accelerators.

use super::Entry;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One accelerator's data sheet. Power figures are watts of the accelerator alone, per state.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
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
pub static GPUS: &[Entry<GpuSheet>] = &[
    Entry {
        name: "a100-sxm-80gb",
        sheet: GpuSheet {
            // Data sheet.
            memory: Bytes::new(80_000_000_000),
            bandwidth: BytesPerSecond::new(2.039e12),
            peak_16bit: FlopsPerSecond::new(312e12),
            // 8-bit weights run in 16-bit arithmetic: no FP8 mode.
            peak_8bit: FlopsPerSecond::new(312e12),
            // Data sheet.
            tdp: Watts::new(400),
            // arXiv:2605.23918.
            idle: Watts::new(54),
            // arXiv:2605.23918.
            resident: Watts::new(80),
            // Acme Kalos: 372 at the 75th and 404 at the 90th percentile of all samples.
            training: Watts::new(385),
            // Assumed: 15 % of TDP, as measured on H100 (arXiv:2503.05804).
            checkpoint: Watts::new(60),
            // Assumed: the same share of TDP as H100, 0.63.
            decode: Watts::new(250),
            // TDP, with sub-second spikes above (arXiv:2308.12908).
            prefill: Watts::new(400),
        },
        source: "NVIDIA A100 data sheet; states: arXiv:2605.23918, Acme Kalos quantiles (CC BY 4.0); checkpoint and decode assumed",
    },
    Entry {
        name: "h100-sxm",
        sheet: GpuSheet {
            // Data sheet.
            memory: Bytes::new(80_000_000_000),
            bandwidth: BytesPerSecond::new(3.35e12),
            peak_16bit: FlopsPerSecond::new(989.5e12),
            peak_8bit: FlopsPerSecond::new(1_979e12),
            tdp: Watts::new(700),
            // arXiv:2605.23918 (71.8), arXiv:2604.07345 (72.5).
            idle: Watts::new(72),
            // arXiv:2605.23918 (121.7); 145 in fleet telemetry.
            resident: Watts::new(122),
            // arXiv:2503.05804: "over 600 W".
            training: Watts::new(600),
            // arXiv:2503.05804: "just over 100 W, or about 15 %".
            checkpoint: Watts::new(105),
            // ml-energy/leaderboard @0cd52da: 441 (70B) to 486 (8B) at batch 8.
            decode: Watts::new(440),
            // ml-energy/leaderboard @0cd52da: 640-690 at large batches.
            prefill: Watts::new(690),
        },
        source: "NVIDIA H100 data sheet; states: arXiv:2605.23918, arXiv:2503.05804, ml-energy/leaderboard @0cd52da",
    },
    Entry {
        name: "h800-sxm",
        sheet: GpuSheet {
            // Data sheet of the H100: arithmetic and memory are the same.
            memory: Bytes::new(80_000_000_000),
            bandwidth: BytesPerSecond::new(3.35e12),
            peak_16bit: FlopsPerSecond::new(989.5e12),
            peak_8bit: FlopsPerSecond::new(1_979e12),
            tdp: Watts::new(700),
            // Assumed: the states of the H100.
            idle: Watts::new(72),
            resident: Watts::new(122),
            training: Watts::new(600),
            checkpoint: Watts::new(105),
            decode: Watts::new(440),
            prefill: Watts::new(690),
        },
        source: "NVIDIA H100 data sheet (H800: the same chip with narrower NVLink); states assumed as H100",
    },
    Entry {
        name: "h200-sxm",
        sheet: GpuSheet {
            // Data sheet.
            memory: Bytes::new(141_000_000_000),
            bandwidth: BytesPerSecond::new(4.8e12),
            peak_16bit: FlopsPerSecond::new(989.5e12),
            peak_8bit: FlopsPerSecond::new(1_979e12),
            tdp: Watts::new(700),
            // Assumed: the states of the H100, the same chip with more memory.
            idle: Watts::new(72),
            resident: Watts::new(122),
            training: Watts::new(600),
            checkpoint: Watts::new(105),
            decode: Watts::new(440),
            prefill: Watts::new(690),
        },
        source: "NVIDIA H200 data sheet; states assumed as H100",
    },
    Entry {
        name: "b200-sxm",
        sheet: GpuSheet {
            // Data sheet: 1,440 GB in 8.
            memory: Bytes::new(180_000_000_000),
            bandwidth: BytesPerSecond::new(8e12),
            peak_16bit: FlopsPerSecond::new(2_250e12),
            peak_8bit: FlopsPerSecond::new(4_500e12),
            tdp: Watts::new(1000),
            // Assumed: the H100's ratio of idle to resident.
            idle: Watts::new(110),
            // Assumed.
            resident: Watts::new(190),
            // Assumed: the H100's 86 % of TDP.
            training: Watts::new(860),
            // Assumed: the H100's 15 % of TDP.
            checkpoint: Watts::new(150),
            // ml-energy/leaderboard @0cd52da: 639 (8B) to 849 (70B) at batch 8.
            decode: Watts::new(640),
            // ml-energy/leaderboard @0cd52da: 950-970 at large batches.
            prefill: Watts::new(960),
        },
        source: "NVIDIA DGX B200 data sheet; decode and prefill: ml-energy/leaderboard @0cd52da; idle, resident, training and checkpoint assumed",
    },
    Entry {
        name: "rtx-pro-6000",
        sheet: GpuSheet {
            // Data sheet (workstation edition; 4,000 sparse FP4 TOPS are 500 dense at 16 bits).
            memory: Bytes::new(96_000_000_000),
            bandwidth: BytesPerSecond::new(1.792e12),
            peak_16bit: FlopsPerSecond::new(503.8e12),
            peak_8bit: FlopsPerSecond::new(1_007.6e12),
            tdp: Watts::new(600),
            // Assumed.
            idle: Watts::new(30),
            // Assumed.
            resident: Watts::new(75),
            // Assumed: the H100's 86 % of TDP.
            training: Watts::new(516),
            // Assumed: the H100's 15 % of TDP.
            checkpoint: Watts::new(90),
            // Assumed: the H100's 63 % of TDP.
            decode: Watts::new(378),
            // Assumed: the H100's 99 % of TDP.
            prefill: Watts::new(591),
        },
        source: "NVIDIA RTX PRO 6000 Blackwell data sheet; states assumed",
    },
    Entry {
        name: "v100-sxm2",
        sheet: GpuSheet {
            // Data sheet.
            memory: Bytes::new(32_000_000_000),
            bandwidth: BytesPerSecond::new(900e9),
            peak_16bit: FlopsPerSecond::new(125e12),
            // No faster 8-bit mode.
            peak_8bit: FlopsPerSecond::new(125e12),
            // Data sheet.
            tdp: Watts::new(300),
            // Assumed.
            idle: Watts::new(40),
            // Assumed.
            resident: Watts::new(60),
            // Assumed: the H100's 86 % of TDP.
            training: Watts::new(258),
            // Assumed: the H100's 15 % of TDP.
            checkpoint: Watts::new(45),
            // Assumed: the H100's 63 % of TDP.
            decode: Watts::new(189),
            // Assumed: the H100's 99 % of TDP.
            prefill: Watts::new(296),
        },
        source: "NVIDIA V100 data sheet; states assumed",
    },
    Entry {
        name: "tpu-v3",
        sheet: GpuSheet {
            // Cloud documentation: 32 GiB, 900 GB/s and 123 TFLOP/s a chip.
            memory: Bytes::new(34_359_738_368),
            bandwidth: BytesPerSecond::new(900e9),
            peak_16bit: FlopsPerSecond::new(123e12),
            // No faster 8-bit mode.
            peak_8bit: FlopsPerSecond::new(123e12),
            // TDP as quoted for the chip (secondary).
            tdp: Watts::new(450),
            // arXiv:2304.01433 Table 4: idle 123, in production 175 lowest, 220 mean, 262 highest.
            idle: Watts::new(123),
            // Assumed: as idle.
            resident: Watts::new(123),
            // Mean in production.
            training: Watts::new(220),
            // Assumed: as idle.
            checkpoint: Watts::new(123),
            // Lowest in production.
            decode: Watts::new(175),
            // Highest in production.
            prefill: Watts::new(262),
        },
        source: "Google Cloud TPU v3 documentation and arXiv:2304.01433 Table 4, one chip of two cores; resident and checkpoint assumed",
    },
];
