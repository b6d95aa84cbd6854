//! Power of a replica's GPUs by batch, compiled to a table at load so that a segment's power is one look-up.

use super::{NodePower, PerGpu};
use crate::units::Watts;

/// Power of one GPU of a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct ServingPower {
    /// By decoding sequences, from none to the largest batch.
    by_batch: Vec<PerGpu>,
    /// While only prefilling.
    prefill: PerGpu,
    /// Model resident, no request.
    resident: PerGpu,
}

impl ServingPower {
    /// Compiles `accelerator(batch)` watts for batches up to `max_batch`.
    #[must_use]
    pub fn compile(
        node: &NodePower,
        max_batch: u32,
        resident: Watts,
        prefill: Watts,
        accelerator: impl Fn(u32) -> Watts,
    ) -> ServingPower {
        ServingPower {
            by_batch: (0..=max_batch).map(|batch| node.at(accelerator(batch))).collect(),
            prefill: node.at(prefill),
            resident: node.at(resident),
        }
    }

    /// One GPU while `batch` sequences decode; prompt chunks ride along, as in the measured curves.
    #[must_use]
    pub fn decoding(&self, batch: u32) -> PerGpu {
        self.by_batch[(batch as usize).min(self.by_batch.len() - 1)]
    }

    /// One GPU while only prompts are processed.
    #[must_use]
    pub fn prefilling(&self) -> PerGpu {
        self.prefill
    }

    /// One GPU with the model resident and no request.
    #[must_use]
    pub fn resident(&self) -> PerGpu {
        self.resident
    }
}
