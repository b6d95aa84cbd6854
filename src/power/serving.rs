//! Power of a replica's GPUs by batch, compiled to a table at load so that a segment's power is one look-up.

use super::{NodePower, PerGpu, Roofline};
use crate::catalog::{GpuSheet, PowerRow};
use crate::units::{PerSecond, Watts};

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

    /// From a measured curve of the deployment.
    #[must_use]
    pub fn measured(node: &NodePower, gpu: &GpuSheet, row: &PowerRow, max_batch: u32) -> ServingPower {
        ServingPower::compile(node, max_batch, gpu.resident, gpu.prefill, |batch| row.at(f64::from(batch)))
    }

    /// From the two-term roofline; `speed(batch)` is the output tokens a second of a steady batch of one or more.
    #[must_use]
    pub fn roofline(
        node: &NodePower,
        roofline: &Roofline<'_>,
        max_batch: u32,
        speed: impl Fn(u32) -> PerSecond,
    ) -> ServingPower {
        let gpu = roofline.gpu;
        ServingPower::compile(node, max_batch, gpu.resident, gpu.prefill, |batch| {
            let batch = batch.max(1);
            roofline.at(f64::from(batch), speed(batch))
        })
    }

    /// With what `hold` leaves of each load; a resident model without load draws what it drew.
    #[must_use]
    pub fn held(&self, node: &NodePower, hold: impl Fn(Watts) -> Watts) -> ServingPower {
        ServingPower {
            by_batch: self.by_batch.iter().map(|draw| node.at(hold(draw.accelerator))).collect(),
            prefill: node.at(hold(self.prefill.accelerator)),
            resident: self.resident,
        }
    }

    /// The same watts whatever the replica does.
    #[must_use]
    pub fn constant(node: &NodePower, accelerator: Watts) -> ServingPower {
        ServingPower::compile(node, 0, accelerator, accelerator, |_| accelerator)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GPUS, MODELS, NODES, Precision, find, power_row, roofline_row};

    fn sheets() -> (NodePower, &'static GpuSheet) {
        let gpu = find(GPUS, "h100-sxm").unwrap();
        (NodePower::new(find(NODES, "dgx-h100").unwrap(), gpu), gpu)
    }

    #[test]
    fn a_measured_curve_gives_its_watts_at_each_batch() {
        let (node, gpu) = sheets();
        let row = power_row("h100-sxm", "llama-3.1-70b", 4).unwrap();
        let power = ServingPower::measured(&node, gpu, row, 256);
        // (batch, measured W): ML.ENERGY Benchmark v3.
        for (batch, measured) in [(8, 441.0), (64, 500.0), (128, 546.0), (256, 589.0)] {
            let watts = power.decoding(batch).accelerator.as_f64();
            assert!((watts / measured - 1.0).abs() < 0.04, "batch {batch}: {watts} W, measured {measured}");
        }
        assert!((power.decoding(128).accelerator.as_f64() - 542.0).abs() < 0.5, "{:?}", power.decoding(128));
        assert_eq!(power.decoding(1_000), power.decoding(256), "the largest batch holds on");
        assert_eq!(power.resident().accelerator, Watts::new(122));
        assert_eq!(power.prefilling().accelerator, Watts::new(690));
    }

    #[test]
    fn a_roofline_rises_from_resident_to_below_the_design_power() {
        let (node, gpu) = sheets();
        let model = find(MODELS, "llama-3.1-70b").unwrap();
        let roofline = Roofline {
            row: roofline_row("h100-sxm"),
            gpu,
            gpus: 4,
            model,
            precision: Precision::Bf16,
            prompt: 150.0,
            output: 350.0,
        };
        // Measured ITL: 15.7 + 0.104 B ms.
        let speed = |batch| PerSecond::new(1e3 * f64::from(batch) / (15.7 + 0.104 * f64::from(batch)));
        let power = ServingPower::roofline(&node, &roofline, 256, speed);
        let watts = |batch| power.decoding(batch).accelerator;
        assert!((1..256).all(|batch| watts(batch) <= watts(batch + 1)));
        assert!(Watts::new(300) < watts(1) && watts(256) < gpu.tdp, "{} to {}", watts(1), watts(256));
    }

    #[test]
    fn a_constant_is_the_same_in_every_state() {
        let (node, _) = sheets();
        let power = ServingPower::constant(&node, Watts::new(330));
        let all = [power.decoding(0), power.decoding(99), power.prefilling(), power.resident()];
        assert!(all.iter().all(|draw| draw.accelerator == Watts::new(330)));
    }
}
