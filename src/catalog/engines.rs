//! How fast engines serve: step-time coefficients, one row for each (GPU, engine, version, precision, model, TP).
//!
//! All rows are coefficients of one form, `t = p0 + d max(T + B, T0) + b B + c K + e sum(T ctx)` in milliseconds, for `B`
//! decoding sequences with `K` tokens in their caches and `T` prompt tokens with `ctx` tokens before each on average (half of
//! a prompt that one step takes whole). A pure decode step takes `a + b B + c K` with `a = p0 + d T0` while `B < T0`, and
//! `b + d` a sequence beyond. They are our own fits, by non-negative least squares on relative error with `T0` on a grid of
//! 8, of three kinds of data:
//!
//! - *served*: mean TPOT measured in a closed loop of `B` clients. A share `f = B ceil(isl / 2048) / osl` of the steps carries
//!   `T = B isl / (osl f)` prompt tokens, so `TPOT = p0 + d ((1 - f) max(B, T0) + f max(B + T, T0)) + b B + c B (isl + osl/2)`.
//!   `e` is not visible in it: 0.
//! - *composed*: decode and prefill steps summed from measured kernels, fitted together. No host time is in them: a measured
//!   H100 8B engine needs about 0.04 ms a sequence more. The worst decode step is 8 % off on H100 and 10 % on A100, the worst
//!   short prompt 16 %.
//! - *joined*: where only separate fits of composed decode (`a + b B + c K`) and prefill (`p0 + d max(T, T0) + e sum(T ctx)`)
//!   are at hand, one fit to both over B 1-256, contexts 512-8,192 and prompts 128-16,384; `error` is against these two.
//!
//! Worked value: H100, 8B, TP1, bf16: 64 sequences of 1,024 tokens take 10.1 ms.

use super::Precision;
use crate::units::Share;

/// Step-time coefficients of one engine serving one model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineRow {
    /// Catalog name of the GPU.
    pub gpu: &'static str,
    /// Serving engine.
    pub engine: &'static str,
    /// Its version; empty where the source states none.
    pub version: &'static str,
    /// Precision of the weights.
    pub precision: Precision,
    /// Catalog name of the model.
    pub model: &'static str,
    /// Tensor-parallel GPUs.
    pub tp: u32,
    /// Fixed time of a step, ms.
    pub p0_ms: f64,
    /// For each token of the step, ms.
    pub d_ms: f64,
    /// Tokens below which a step costs no less.
    pub t0: u32,
    /// For each decoding sequence, ms.
    pub b_ms: f64,
    /// For each token of key-value cache that decoding reads, ms.
    pub c_ms: f64,
    /// For each prompt token and token of context before it, ms.
    pub e_ms: f64,
    /// Mean relative error of the fit.
    pub error: Share,
    /// What was fitted.
    pub source: &'static str,
}

impl EngineRow {
    /// What it is of, where it comes from, and how far it is off.
    #[must_use]
    pub fn words(&self) -> String {
        let EngineRow { gpu, engine, version, precision, model, tp, source, .. } = self;
        let version = if version.is_empty() { "of unknown version" } else { version };
        let precision = format!("{precision:?}").to_lowercase();
        let percent = (self.error.as_f64() * 1e3).round() / 10.0;
        format!("catalog, {model} on {tp} {gpu} in {precision} by {engine} {version}: {source}; mean error {percent} %")
    }
}

/// The row of that deployment; `None` where nothing was measured.
#[must_use]
pub fn step_row(gpu: &str, engine: &str, precision: Precision, model: &str, tp: u32) -> Option<&'static EngineRow> {
    ENGINES.iter().find(|row| {
        row.gpu == gpu && row.engine == engine && row.precision == precision && row.model == model && row.tp == tp
    })
}

/// Closed-loop serving measurements.
const SERVED: &str = "our fit of measured TPOT, silicon_sample.csv of PyPI aisimulate 0.13.0 (Apache-2.0)";
/// Kernel sums.
const COMPOSED: &str = "our fit of kernel sums, tables of PyPI aisimulate 0.13.0 (Apache-2.0); no host time";
/// Two fits of kernel sums.
const JOINED: &str =
    "our joint fit of fitted decode and prefill kernel sums, PyPI aisimulate 0.13.0 (Apache-2.0); no host time";

const EIGHT: &str = "llama-3.1-8b";
const SEVENTY: &str = "llama-3.1-70b";

use Precision::{Bf16, Fp8};

/// All engine rows of the catalog.
#[rustfmt::skip]
pub static ENGINES: &[EngineRow] = &[
    // Our fit of kernel sums of PyPI aisimulate 0.13.0 (Apache-2.0): 2.5 % off in decode, 2.9 % in prefill.
    row(COMPOSED, ["h100-sxm", "vllm", "0.24.0"], Bf16, EIGHT, 1, [2.69, 0.01992, 224.0, 0.00532, 3.96e-5, 8.2e-7], 0.029),
    row(SERVED, ["b200-sxm", "trtllm", ""], Fp8, SEVENTY, 1, [0.2034, 0.05992, 232.0, 0.02325, 2.753e-5, 0.0], 0.008),
    row(SERVED, ["b200-sxm", "trtllm", ""], Fp8, SEVENTY, 2, [5.517, 0.03546, 104.0, 0.006297, 1.462e-5, 0.0], 0.016),
    row(SERVED, ["b200-sxm", "trtllm", ""], Fp8, SEVENTY, 4, [4.019, 0.02272, 112.0, 0.01346, 8.355e-6, 0.0], 0.010),
    row(SERVED, ["b200-sxm", "trtllm", ""], Fp8, SEVENTY, 8, [5.346, 0.01842, 8.0, 0.02316, 3.184e-6, 0.0], 0.014),
    row(SERVED, ["b200-sxm", "vllm", ""], Fp8, SEVENTY, 1, [0.5412, 0.07862, 192.0, 0.01537, 2.355e-5, 0.0], 0.017),
    row(SERVED, ["b200-sxm", "vllm", ""], Fp8, SEVENTY, 2, [0.0, 0.04999, 200.0, 0.03589, 9.072e-6, 0.0], 0.009),
    row(SERVED, ["b200-sxm", "vllm", ""], Fp8, SEVENTY, 4, [7.505, 0.03062, 8.0, 0.0322, 0.0, 0.0], 0.022),
    row(SERVED, ["b200-sxm", "vllm", ""], Fp8, SEVENTY, 8, [5.593, 0.02234, 24.0, 0.05633, 0.0, 0.0], 0.024),
    row(SERVED, ["h100-sxm", "vllm", ""], Fp8, SEVENTY, 2, [12.17, 0.06622, 64.0, 0.03856, 6.43e-5, 0.0], 0.014),
    row(SERVED, ["h100-sxm", "vllm", ""], Fp8, SEVENTY, 4, [0.003136, 0.0493, 224.0, 0.05905, 2.701e-5, 0.0], 0.021),
    row(SERVED, ["h100-sxm", "vllm", ""], Fp8, SEVENTY, 8, [8.823, 0.02977, 0.0, 0.03318, 1.15e-5, 0.0], 0.025),
    row(SERVED, ["h100-sxm", "trtllm", "1.0.0rc3"], Bf16, EIGHT, 1, [1.559, 0.02213, 232.0, 0.0, 4.646e-5, 0.0], 0.017),
    row(SERVED, ["h100-sxm", "trtllm", "1.0.0rc3"], Bf16, EIGHT, 2, [4.507, 0.0127, 0.0, 0.0, 2.032e-5, 0.0], 0.017),
    row(SERVED, ["h100-sxm", "trtllm", "1.0.0rc3"], Bf16, EIGHT, 4, [3.263, 0.008415, 0.0, 0.03358, 1.411e-6, 0.0], 0.039),
    row(SERVED, ["h100-sxm", "trtllm", "1.0.0rc3"], Bf16, EIGHT, 8, [2.338, 0.006152, 0.0, 0.04641, 0.0, 0.0], 0.052),
    row(SERVED, ["h200-sxm", "trtllm", ""], Fp8, SEVENTY, 1, [5.363, 0.1109, 128.0, 0.03077, 3.928e-5, 0.0], 0.008),
    row(SERVED, ["h200-sxm", "trtllm", ""], Fp8, SEVENTY, 2, [0.4832, 0.06879, 160.0, 0.02376, 2.089e-5, 0.0], 0.010),
    row(SERVED, ["h200-sxm", "trtllm", ""], Fp8, SEVENTY, 4, [2.32, 0.04179, 128.0, 0.03401, 1.079e-5, 0.0], 0.013),
    row(SERVED, ["h200-sxm", "trtllm", ""], Fp8, SEVENTY, 8, [2.839, 0.02687, 112.0, 0.08314, 5.441e-6, 0.0], 0.009),
    row(SERVED, ["h200-sxm", "vllm", ""], Fp8, SEVENTY, 1, [12.3, 0.1268, 64.0, 0.05914, 7.155e-5, 0.0], 0.030),
    row(SERVED, ["h200-sxm", "vllm", ""], Fp8, SEVENTY, 2, [8.644, 0.07114, 64.0, 0.03671, 3.762e-5, 0.0], 0.036),
    row(SERVED, ["h200-sxm", "vllm", ""], Fp8, SEVENTY, 4, [9.094, 0.04247, 8.0, 0.005109, 2.087e-5, 0.0], 0.035),
    row(SERVED, ["h200-sxm", "vllm", ""], Fp8, SEVENTY, 8, [7.741, 0.02619, 0.0, 0.02081, 8.962e-6, 0.0], 0.027),
    row(SERVED, ["h200-sxm", "sglang", "0.5.6.post2"], Fp8, EIGHT, 1, [0.0, 0.01666, 128.0, 0.01988, 3.334e-5, 0.0], 0.015),
    row(SERVED, ["h200-sxm", "sglang", "0.5.6.post2"], Fp8, EIGHT, 2, [4.721, 0.008344, 128.0, 0.01214, 1.597e-5, 0.0], 0.011),
    row(COMPOSED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, SEVENTY, 2, [26.28, 0.2717, 96.0, 0.01103, 0.000116, 5.763e-6], 0.022),
    row(COMPOSED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, SEVENTY, 4, [16.83, 0.1546, 80.0, 0.009826, 6.002e-5, 2.926e-6], 0.030),
    row(COMPOSED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, SEVENTY, 8, [12.6, 0.102, 56.0, 0.0, 2.814e-5, 5.054e-7], 0.048),
    row(COMPOSED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, EIGHT, 1, [7.26, 0.05509, 88.0, 0.001734, 8.348e-5, 2.993e-6], 0.023),
    row(COMPOSED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, EIGHT, 2, [4.055, 0.03343, 88.0, 0.0008965, 4.533e-5, 1.368e-6], 0.034),
    row(COMPOSED, ["h100-sxm", "vllm", "0.24.0"], Bf16, SEVENTY, 2, [6.6, 0.1024, 208.0, 0.01414, 5.245e-5, 2.81e-6], 0.022),
    row(COMPOSED, ["h100-sxm", "vllm", "0.24.0"], Bf16, SEVENTY, 4, [11.56, 0.05331, 80.0, 0.0, 2.742e-5, 2.344e-6], 0.038),
    row(COMPOSED, ["h100-sxm", "vllm", "0.24.0"], Bf16, SEVENTY, 8, [8.988, 0.03447, 40.0, 0.0, 1.262e-5, 1.103e-6], 0.037),
    row(COMPOSED, ["h100-sxm", "vllm", "0.24.0"], Bf16, EIGHT, 2, [3.567, 0.01079, 48.0, 0.0, 2.094e-5, 7.019e-7], 0.032),
    row(JOINED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, EIGHT, 4, [4.419, 0.01997, 0.0, 0.0, 2.07e-5, 9.402e-7], 0.013),
    row(JOINED, ["a100-sxm-80gb", "vllm", "0.14.0"], Bf16, EIGHT, 8, [3.325, 0.01452, 0.0, 0.0, 1.045e-5, 4.597e-7], 0.011),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, SEVENTY, 2, [10.53, 0.04831, 88.0, 0.003587, 2.412e-5, 1.754e-6], 0.032),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, SEVENTY, 4, [8.898, 0.02867, 8.0, 0.0, 1.151e-5, 9.787e-7], 0.015),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, SEVENTY, 8, [7.018, 0.01998, 8.0, 0.0, 6.332e-6, 4.084e-7], 0.018),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, EIGHT, 1, [1.471, 0.01005, 200.0, 0.002408, 1.808e-5, 3.689e-7], 0.016),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, EIGHT, 2, [2.687, 0.006582, 0.0, 0.0, 8.701e-6, 1.714e-7], 0.009),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, EIGHT, 4, [2.197, 0.004814, 0.0, 0.0005926, 4.67e-6, 1.279e-8], 0.016),
    row(JOINED, ["b200-sxm", "vllm", ""], Bf16, EIGHT, 8, [2.054, 0.003645, 0.0, 9.737e-5, 2.836e-6, 0.0], 0.017),
    row(JOINED, ["h100-sxm", "trtllm", ""], Bf16, SEVENTY, 2, [6.789, 0.1086, 200.0, 0.01222, 5.54e-5, 1.915e-6], 0.019),
    row(JOINED, ["h100-sxm", "trtllm", ""], Bf16, SEVENTY, 4, [13.51, 0.05436, 48.0, 0.0, 2.844e-5, 2.289e-6], 0.029),
    row(JOINED, ["h100-sxm", "trtllm", ""], Bf16, SEVENTY, 8, [9.962, 0.04011, 0.0, 0.003942, 1.517e-5, 3.009e-7], 0.006),
    row(JOINED, ["h100-sxm", "vllm", "0.24.0"], Bf16, EIGHT, 4, [2.683, 0.007877, 8.0, 0.0, 1.058e-5, 2.326e-7], 0.011),
    row(JOINED, ["h100-sxm", "vllm", "0.24.0"], Bf16, EIGHT, 8, [2.148, 0.006136, 0.0, 0.0003975, 5.569e-6, 3.371e-8], 0.005),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, SEVENTY, 2, [0.0, 0.1078, 200.0, 0.01491, 3.724e-5, 1.807e-6], 0.024),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, SEVENTY, 4, [0.2288, 0.06466, 192.0, 0.01786, 1.909e-5, 5.77e-7], 0.032),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, SEVENTY, 8, [7.161, 0.03316, 40.0, 0.0, 9.78e-6, 1.167e-6], 0.033),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, EIGHT, 1, [0.571, 0.02068, 216.0, 0.008448, 2.987e-5, 7.368e-7], 0.014),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, EIGHT, 2, [2.321, 0.01149, 96.0, 0.001842, 1.508e-5, 5.194e-7], 0.026),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, EIGHT, 4, [2.457, 0.007622, 0.0, 0.0, 7.356e-6, 2.176e-7], 0.008),
    row(JOINED, ["h200-sxm", "vllm", ""], Bf16, EIGHT, 8, [2.063, 0.005633, 0.0, 4.974e-5, 4.044e-6, 4.76e-8], 0.004),
];

const fn row(
    source: &'static str,
    [gpu, engine, version]: [&'static str; 3],
    precision: Precision,
    model: &'static str,
    tp: u32,
    [p0_ms, d_ms, t0, b_ms, c_ms, e_ms]: [f64; 6],
    error: f64,
) -> EngineRow {
    let (t0, error) = (t0 as u32, Share::new(error));
    EngineRow { gpu, engine, version, precision, model, tp, p0_ms, d_ms, t0, b_ms, c_ms, e_ms, error, source }
}
