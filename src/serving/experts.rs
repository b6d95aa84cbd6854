//! A mixture of experts in a decode step: which weights it reads depends on how many tokens it holds.
//!
//! Each token goes to `k` of `E` experts, each as likely as the others, so `n` tokens touch `E (1 - (1 - k/E)^n)` of them on average. A
//! step reads the weights that all tokens use, and of the experts those that are touched; a lone token reads the active parameters, a
//! large batch all. What all use follows from the sheet: with `P` parameters, `A` of them active, the experts hold
//! `(P - A) E / (E - k)`. Worked value: DeepSeek-V3, 671 and 37 thousand million with 8 of 256 experts, 654.5 in experts and
//! 16.5 shared; 64 tokens touch 222.4 experts and read 585.1. Real routing is uneven, which touches fewer.

use super::StepModel;
use crate::catalog::ModelSheet;

/// Weights that a step reads, as a multiple of the active ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Touched {
    /// Part of the experts that a token goes to.
    chosen: f64,
    /// Weights that all tokens use, over the active ones.
    shared: f64,
    /// Weights of all experts, over the active ones.
    experts: f64,
}

impl Touched {
    /// How `model` reads its weights; none where all tokens read all, or where the sheet does not say how many experts there are.
    #[must_use]
    pub fn of(model: &ModelSheet) -> Option<Touched> {
        let experts = model.experts.as_ref()?;
        let chosen = f64::from(experts.chosen) / f64::from(experts.of);
        let inside = (model.parameters - model.active_parameters) / (1.0 - chosen);
        let shared = (model.parameters - inside) / model.active_parameters;
        Some(Touched { chosen, shared, experts: inside / model.active_parameters })
    }

    /// Weights that a step of `tokens` reads, over the active ones.
    #[must_use]
    pub fn weights(&self, tokens: u64) -> f64 {
        self.shared + self.experts * (1.0 - libm::pow(1.0 - self.chosen, tokens as f64))
    }

    /// The fewest tokens that touch all but one in ten thousand experts.
    pub(super) fn enough(&self) -> u64 {
        libm::ceil(libm::log(1e-4) / libm::log(1.0 - self.chosen)) as u64
    }

    /// `step`, fitted to a lone token, where steps of `batch` sequences read more.
    pub(super) fn at(&self, step: &StepModel, batch: u32) -> StepModel {
        StepModel { t0: libm::round(f64::from(step.t0) * self.weights(u64::from(batch))) as u32, ..*step }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{MODELS, find};

    #[test]
    fn deepseek_reads_its_experts_by_and_by() {
        let model = find(MODELS, "deepseek-v3").unwrap();
        let touched = Touched::of(model).unwrap();
        let thousand_millions = |tokens| touched.weights(tokens) * model.active_parameters / 1e9;
        // 654.45 (1 - (31/32)^64) + 16.55.
        for (tokens, expected) in [(0, 16.548), (1, 37.0), (64, 585.212), (100_000, 671.0)] {
            let found = thousand_millions(tokens);
            assert!((found - expected).abs() < 0.01, "{tokens} tokens read {found}");
        }
        assert!(Touched::of(find(MODELS, "llama-3.1-8b").unwrap()).is_none());
    }
}
