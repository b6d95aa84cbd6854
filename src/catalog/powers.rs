//! Measured power of GPUs that decode, by batch: the points, and two forms fitted to them.

use crate::units::{Share, Watts};

/// Power of one GPU of a saturated engine: `low + (high - low) / (1 + exp(-(log2 B - mid) / width))` at batch `B`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerRow {
    /// Catalog name of the GPU.
    pub gpu: &'static str,
    /// Catalog name of the model.
    pub model: &'static str,
    /// Tensor-parallel GPUs.
    pub tp: u32,
    /// Small batches.
    pub low: Watts,
    /// Large batches.
    pub high: Watts,
    /// Binary logarithm of the batch in the middle.
    pub mid: f64,
    /// Steepness, in binary logarithms of the batch.
    pub width: f64,
    /// Worst relative error on the measured batches.
    pub error: Share,
    /// What was fitted.
    pub source: &'static str,
}

impl PowerRow {
    /// Power of one GPU at a batch of `batch` sequences; at least one.
    #[must_use]
    pub fn at(&self, batch: f64) -> Watts {
        let rise = 1.0 / (1.0 + libm::exp(-(libm::log2(batch.max(1.0)) - self.mid) / self.width));
        Watts::from_f64(self.low.as_f64() + (self.high.as_f64() - self.low.as_f64()) * rise)
    }
}

/// The measured curve of that deployment; `None` where nothing was measured.
#[must_use]
pub fn power_row(gpu: &str, model: &str, tp: u32) -> Option<&'static PowerRow> {
    POWERS.iter().find(|row| row.gpu == gpu && row.model == model && row.tp == tp)
}

/// All measured power curves of the catalog. The 8B curve on B200 is not monotone and stays out.
pub static POWERS: &[PowerRow] = &[
    // Our fit to 8 to 512 sequences.
    PowerRow {
        gpu: "h100-sxm",
        model: "llama-3.1-8b",
        tp: 1,
        low: Watts::new(477),
        high: Watts::new(695),
        mid: 5.47,
        width: 0.86,
        error: Share::new(0.015),
        source: MEASURED,
    },
    // Our fit to 8 to 1,024 sequences.
    PowerRow {
        gpu: "h100-sxm",
        model: "llama-3.1-70b",
        tp: 4,
        low: Watts::new(434),
        high: Watts::new(644),
        mid: 6.93,
        width: 1.05,
        error: Share::new(0.038),
        source: MEASURED,
    },
    // Our fit to 8 to 2,042 sequences.
    PowerRow {
        gpu: "b200-sxm",
        model: "llama-3.1-70b",
        tp: 2,
        low: Watts::new(858),
        high: Watts::new(964),
        mid: 6.06,
        width: 0.40,
        error: Share::new(0.011),
        source: MEASURED,
    },
];

/// Mean watts of one GPU of a saturated engine, by batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerTable {
    /// Catalog name of the GPU.
    pub gpu: &'static str,
    /// Catalog name of the model.
    pub model: &'static str,
    /// Tensor-parallel GPUs.
    pub tp: u32,
    /// Sequences and watts, the smallest batch first.
    pub points: &'static [(u32, f64)],
    /// What was measured.
    pub source: &'static str,
}

/// The measured points of that deployment; `None` where nothing was measured.
#[must_use]
pub fn power_table(gpu: &str, model: &str, tp: u32) -> Option<&'static PowerTable> {
    POWER_TABLES.iter().find(|row| row.gpu == gpu && row.model == model && row.tp == tp)
}

/// All measured points of the catalog.
pub static POWER_TABLES: &[PowerTable] = &[
    // ML.ENERGY Benchmark v3, as measured.
    PowerTable {
        gpu: "h100-sxm",
        model: "llama-3.1-8b",
        tp: 1,
        points: &[(8, 486.0), (64, 610.0), (128, 669.0), (256, 691.0), (512, 688.0)],
        source: MEASURED,
    },
    // ML.ENERGY Benchmark v3, as measured.
    PowerTable {
        gpu: "h100-sxm",
        model: "llama-3.1-70b",
        tp: 4,
        points: &[(8, 441.0), (64, 500.0), (128, 546.0), (256, 589.0), (512, 623.0), (1_024, 637.0)],
        source: MEASURED,
    },
    // ML.ENERGY Benchmark v3, as measured.
    PowerTable {
        gpu: "b200-sxm",
        model: "llama-3.1-70b",
        tp: 2,
        points: &[(8, 849.0), (64, 905.0), (128, 957.0), (256, 971.0), (512, 966.0), (1_024, 969.0)],
        source: MEASURED,
    },
    // ML.ENERGY Benchmark v3, as measured: it does fall between 64 and 128.
    PowerTable {
        gpu: "b200-sxm",
        model: "llama-3.1-8b",
        tp: 1,
        points: &[(8, 639.0), (64, 617.0), (128, 449.0), (256, 540.0), (512, 577.0), (1_024, 600.0)],
        source: MEASURED,
    },
];

/// Power where the step time is known: `p0 + (p1 + p2 B) / t` at batch `B` and a step of `t` ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepPowerRow {
    /// Catalog name of the GPU.
    pub gpu: &'static str,
    /// Catalog name of the model.
    pub model: &'static str,
    /// Tensor-parallel GPUs.
    pub tp: u32,
    /// Watts at all times.
    pub p0: Watts,
    /// Energy of a step, in watt-milliseconds.
    pub p1_w_ms: f64,
    /// And of each sequence in it, in watt-milliseconds.
    pub p2_w_ms: f64,
    /// Mean relative error on the measured batches.
    pub error: Share,
    /// What was fitted.
    pub source: &'static str,
}

/// The fitted form of that deployment; `None` where nothing was measured.
#[must_use]
pub fn step_power_row(gpu: &str, model: &str, tp: u32) -> Option<&'static StepPowerRow> {
    STEP_POWERS.iter().find(|row| row.gpu == gpu && row.model == model && row.tp == tp)
}

const fn step_power(
    (gpu, model, tp): (&'static str, &'static str, u32),
    p0: u64,
    [p1_w_ms, p2_w_ms]: [f64; 2],
    error: f64,
) -> StepPowerRow {
    StepPowerRow { gpu, model, tp, p0: Watts::new(p0), p1_w_ms, p2_w_ms, error: Share::new(error), source: MEASURED }
}

/// All forms of power by step time in the catalog, our fits.
pub static STEP_POWERS: &[StepPowerRow] = &[
    step_power(("h100-sxm", "llama-3.1-8b", 1), 0, [3_139.0, 59.0], 0.015),
    step_power(("h100-sxm", "llama-3.1-70b", 4), 423, [0.0, 26.3], 0.016),
    step_power(("b200-sxm", "llama-3.1-70b", 2), 871, [0.0, 8.82], 0.025),
    step_power(("b200-sxm", "llama-3.1-8b", 1), 291, [1_344.0, 24.3], 0.028),
];

const MEASURED: &str =
    "our fit of ML.ENERGY Benchmark v3 (Apache-2.0), ml-energy/leaderboard @0cd52da: bf16, vLLM, chat prompts";

/// Parameters of the two-term roofline: `P = resident + (TDP - resident) min(1, MFU / s + k MBU)^g`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RooflineRow {
    /// Catalog name of the GPU it was fitted on.
    pub gpu: &'static str,
    /// MFU that alone draws the thermal design power.
    pub s: f64,
    /// Weight of memory-bandwidth utilisation.
    pub k: f64,
    /// Curvature.
    pub g: f64,
    /// Mean relative error on the measured points.
    pub error: Share,
    /// What was fitted.
    pub source: &'static str,
}

/// The parameters for `gpu`: its own, else those of the H100.
#[must_use]
pub fn roofline_row(gpu: &str) -> &'static RooflineRow {
    ROOFLINES.iter().find(|row| row.gpu == gpu).unwrap_or(&ROOFLINES[0])
}

/// All roofline parameters of the catalog. The two sets lie far apart: the form interpolates, it is not physics. Dense models
/// only.
pub static ROOFLINES: &[RooflineRow] = &[
    // Our fit to 23 points: bias -5 %, worst 18 %.
    RooflineRow { gpu: "h100-sxm", s: 0.45, k: 0.2, g: 0.35, error: Share::new(0.090), source: MEASURED },
    // Our fit to 19 points: bias +1.5 %, worst 10 %.
    RooflineRow { gpu: "b200-sxm", s: 0.30, k: 1.3, g: 0.90, error: Share::new(0.028), source: MEASURED },
];
