//! A training job once checked: every name resolved, every number in range.

use super::{Checkpoint, Planned, Progress, Recovery, Spares};
use crate::catalog::ModelSheet;
use crate::fault::FaultPlan;
use crate::power::{NodePower, PerGpu, Priority, State};
use crate::units::{FlopsPerSecond, Ratio, Span, Tokens, Watts};

/// A checked training job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPlan {
    /// Name in the scenario, without the `training.` in front.
    pub name: String,
    /// Index of its cluster.
    pub cluster: usize,
    /// Name of its cluster, for random streams: `cluster.<name>` owns the faults.
    pub cluster_name: String,
    /// What it trains.
    pub model: ModelSheet,
    /// Nodes that compute; spares come on top.
    pub nodes: u32,
    /// GPUs of a node.
    pub gpus_per_node: u32,
    /// Dense 16-bit peak of one GPU.
    pub peak: FlopsPerSecond,
    /// Power of the node by state.
    pub power: NodePower,
    /// What power control does to it: the first under the standing limit of its cluster, if any, then one for each lever. Empty
    /// where nothing caps it.
    pub levels: Vec<HeldTraining>,
    /// When power control holds it.
    pub power_priority: Priority,
    /// What one GPU draws at the crest and in the trough of an iteration.
    pub swing: [Watts; 2],
    /// How its nodes fail.
    pub failures: FaultPlan,
    /// Tokens to train on.
    pub tokens: Tokens,
    /// Speed.
    pub progress: Progress,
    /// When it is submitted, after the scenario's start.
    pub submit: Span,
    /// The higher, the sooner it gets nodes and the later it loses them.
    pub priority: i32,
    /// Spare nodes that it reserves.
    pub spares: Spares,
    /// What follows a failure.
    pub recovery: Recovery,
    /// Checkpoint tiers, by name.
    pub checkpoint: Vec<(String, Checkpoint)>,
    /// Planned interruptions.
    pub planned: Planned,
    /// Development over the final run, in the comparison only.
    pub research_multiplier: Ratio,
}

/// A job held by a limit or a lever.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldTraining {
    /// Its time over that at full speed; at least 1.
    pub time: f64,
    /// What one GPU draws.
    pub draw: PerGpu,
}

impl JobPlan {
    /// What it does at `level`: 0 without a lever.
    #[must_use]
    pub fn at_level(&self, level: u8) -> HeldTraining {
        let free = HeldTraining { time: 1.0, draw: self.power.draw(State::Training) };
        self.levels.get(usize::from(level)).copied().unwrap_or(free)
    }

    /// GPUs that compute.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        self.nodes * self.gpus_per_node
    }

    /// Nodes that it is granted: those that compute, and its spares.
    #[must_use]
    pub fn granted_nodes(&self) -> u32 {
        self.nodes + self.spares.hot + self.spares.cold
    }

    /// Floating-point operations of one token: 6 for each active parameter (Kaplan et al., arXiv:2001.08361 section 2.1).
    #[must_use]
    pub fn flops_per_token(&self) -> f64 {
        6.0 * self.model.active_parameters
    }

    /// Time that all tokens take without any interruption; at least a nanosecond. 70e9 parameters, 2e12 tokens, 1,024 H100
    /// and MFU 0.40 take 2.0725e6 s.
    #[must_use]
    pub fn ideal(&self) -> Span {
        let tokens = self.tokens.count() as f64;
        let ideal = match self.progress {
            Progress::Mfu(mfu) => {
                let speed = f64::from(self.gpus()) * self.peak.as_f64() * mfu.as_f64();
                Span::from_secs_f64(self.flops_per_token() * tokens / speed)
            }
            Progress::TokensPerSecond(speed) => Span::from_secs_f64(tokens / speed.as_f64()),
            Progress::Step(step) => step.time.scale(tokens / step.tokens.count() as f64),
            Progress::Ideal(span) => span,
        };
        ideal.max(Span::from_nanos(1))
    }

    /// Rescheduling, initialising and reloading after a stop: as given, or 454 s + 105 s x log2(GPUs / 2048) and at least 120 s
    /// (ByteRobust, arXiv:2509.16293v4 Table 7: 454 s at 2,048 GPUs, 768 s at 16,384).
    #[must_use]
    pub fn restart(&self) -> Span {
        self.recovery.restart.unwrap_or_else(|| {
            let doublings = libm::log2(f64::from(self.gpus()) / 2_048.0);
            Span::from_secs_f64((454.0 + 105.0 * doublings).max(120.0))
        })
    }

    /// Mean time between failures of any of its computing nodes, however many at once; `None` where nothing breaks.
    #[must_use]
    pub fn mean_time_between_failures(&self) -> Option<Span> {
        let rate = self.failures.rate_of(self.nodes).as_f64();
        (rate > 0.0).then(|| Span::from_secs_f64(1.0 / rate))
    }
}
