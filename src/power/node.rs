//! Power of a node by state: accelerators, and a host term linear in their activity.

use crate::catalog::{GpuSheet, NodeSheet};
use crate::units::Watts;

/// What an accelerator is doing, where that does not depend on a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Powered off, or in repair.
    Off,
    /// Powered, no context.
    Idle,
    /// A model resident, no load.
    Resident,
    /// Training at full speed.
    Training,
    /// Training, stopped by a blocking checkpoint.
    Checkpoint,
}

/// Power of one GPU and of its share of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerGpu {
    /// The accelerator.
    pub accelerator: Watts,
    /// Its share of the host.
    pub host: Watts,
}

/// Power of a node's GPUs by state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NodePower {
    gpus: u32,
    idle: Watts,
    resident: Watts,
    training: Watts,
    checkpoint: Watts,
    busy: Watts,
    host_idle: Watts,
    host_busy: Watts,
}

impl NodePower {
    /// Compiles the sheets of a node and its accelerator.
    #[must_use]
    pub fn new(node: &NodeSheet, gpu: &GpuSheet) -> NodePower {
        NodePower {
            gpus: node.gpus,
            idle: gpu.idle,
            resident: gpu.resident,
            training: gpu.training,
            checkpoint: gpu.checkpoint,
            busy: gpu.training,
            host_idle: node.host_idle,
            host_busy: node.host_busy,
        }
    }

    /// One GPU in `state`.
    #[must_use]
    pub fn draw(&self, state: State) -> PerGpu {
        match state {
            State::Off => PerGpu { accelerator: Watts::ZERO, host: Watts::ZERO },
            State::Idle => self.at(self.idle),
            State::Resident => self.at(self.resident),
            State::Training => self.at(self.training),
            State::Checkpoint => self.at(self.checkpoint),
        }
    }

    /// One GPU that draws `accelerator`; its activity, from idle to training, sets the host's share.
    #[must_use]
    pub fn at(&self, accelerator: Watts) -> PerGpu {
        let span = self.busy.saturating_sub(self.idle).milli().max(1);
        let active = accelerator.saturating_sub(self.idle).milli().min(span);
        let swing = self.host_busy.saturating_sub(self.host_idle).milli();
        let host = self.host_idle.milli() + swing * active / span;
        PerGpu { accelerator, host: Watts::from_milli(host / u64::from(self.gpus)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GPUS, NODES, find};

    #[test]
    fn a_training_node_of_eight_h100_draws_7_6_kilowatts() {
        let node = find(NODES, "dgx-h100").unwrap();
        let power = NodePower::new(node, find(GPUS, "h100-sxm").unwrap());
        // (state, accelerators W, host W) of a whole node.
        for (state, accelerators, host) in [
            (State::Off, 0.0, 0.0),
            (State::Idle, 576.0, 1_300.0),
            (State::Resident, 976.0, 1_300.0 + 1_500.0 * 50.0 / 528.0),
            (State::Checkpoint, 840.0, 1_300.0 + 1_500.0 * 33.0 / 528.0),
            (State::Training, 4_800.0, 2_800.0),
        ] {
            let draw = power.draw(state);
            assert!((8.0 * draw.accelerator.as_f64() - accelerators).abs() < 0.01, "{state:?}: {draw:?}");
            assert!((8.0 * draw.host.as_f64() - host).abs() < 0.02, "{state:?}: {draw:?}");
        }
        assert_eq!(power.at(Watts::new(700)).host, power.draw(State::Training).host, "busy is the host's most");
    }
}
