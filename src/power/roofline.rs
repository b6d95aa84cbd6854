//! Power of a decoding GPU whose curve nobody measured, from how far it is from its two roofs.
//!
//! `P = resident + (TDP - resident) min(1, MFU / s + k MBU)^g` with `MFU = 2 N tps (1 + isl / osl) / (n peak)` and
//! `MBU = (w N + B ctx kv) / n / (B / tps) / bandwidth`, `ctx = isl + osl / 2`, for `n` GPUs at a batch of `B` that give `tps`
//! output tokens/s from `N` active parameters of `w` bytes. Fitted on dense models (H100: mean error 9 %, bias -5 %, worst 18 %;
//! B200: 2.8 %); mixtures of experts read more weights than `N` once their batch is large, and are outside the fit. Worked value
//! of our fit to ML.ENERGY Benchmark v3: 70B on 4 H100 at batch 127.6, 3,876 tokens/s and 150 + 358.9 tokens: MFU 0.196, MBU 0.351, 577 W.

use crate::catalog::{GpuSheet, ModelSheet, Precision, RooflineRow};
use crate::units::{PerSecond, Watts};

/// A model on the GPUs of one replica, and the lengths of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Roofline<'a> {
    /// Fitted parameters.
    pub row: &'a RooflineRow,
    /// The accelerator.
    pub gpu: &'a GpuSheet,
    /// How many share the model.
    pub gpus: u32,
    /// The model.
    pub model: &'a ModelSheet,
    /// Precision of its weights.
    pub precision: Precision,
    /// Mean prompt tokens of a request.
    pub prompt: f64,
    /// Mean output tokens of a request.
    pub output: f64,
}

impl Roofline<'_> {
    /// Power of one GPU at a batch of `batch` sequences, a real number because means are, giving `speed` output tokens a
    /// second together.
    #[must_use]
    pub fn at(&self, batch: f64, speed: PerSecond) -> Watts {
        let reach = (self.mfu(speed) / self.row.s + self.row.k * self.mbu(batch, speed)).min(1.0);
        let (low, high) = (self.gpu.resident.as_f64(), self.gpu.tdp.as_f64());
        Watts::from_f64(low + (high - low) * libm::pow(reach, self.row.g))
    }

    /// Share of the arithmetic peak in use.
    fn mfu(&self, speed: PerSecond) -> f64 {
        let peak = match self.precision {
            Precision::Bf16 => self.gpu.peak_16bit,
            Precision::Fp8 => self.gpu.peak_8bit,
        };
        let tokens = speed.as_f64() * (1.0 + self.prompt / self.output);
        2.0 * self.model.active_parameters * tokens / (f64::from(self.gpus) * peak.as_f64())
    }

    /// Share of the memory bandwidth in use.
    fn mbu(&self, batch: f64, speed: PerSecond) -> f64 {
        let weights = self.precision.bytes() as f64 * self.model.active_parameters;
        let cache = batch * (self.prompt + self.output / 2.0) * self.model.kv_bytes_per_token.count() as f64;
        let step = batch / speed.as_f64();
        (weights + cache) / f64::from(self.gpus) / step / self.gpu.bandwidth.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GPUS, MODELS, find, roofline_row};

    #[test]
    fn gives_the_worked_value() {
        let roofline = Roofline {
            row: roofline_row("h100-sxm"),
            gpu: find(GPUS, "h100-sxm").unwrap(),
            gpus: 4,
            model: find(MODELS, "llama-3.1-70b").unwrap(),
            precision: Precision::Bf16,
            prompt: 150.0,
            output: 358.9,
        };
        let speed = PerSecond::new(3876.3);
        assert!((roofline.mfu(speed) - 0.196).abs() < 0.001, "{}", roofline.mfu(speed));
        assert!((roofline.mbu(127.6, speed) - 0.351).abs() < 0.001, "{}", roofline.mbu(127.6, speed));
        assert!((roofline.at(127.6, speed).as_f64() - 577.0).abs() < 1.0, "{}", roofline.at(127.6, speed));
    }
}
