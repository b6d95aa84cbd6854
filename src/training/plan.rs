//! A training job once checked: every name resolved, every number in range.

use super::{Checkpoint, Phase, Planned, Progress, Recovery, ShiftPlan, Spares};
use crate::catalog::ModelSheet;
use crate::fault::FaultPlan;
use crate::power::{NodePower, PerGpu, Priority, State};
use crate::units::{BytesPerSecond, FlopsPerSecond, GpuTime, Ratio, Span, Tokens, Watts};
use std::sync::Arc;

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
    /// Nodes that compute; spares come on top. Where phases differ in it, those of the phase under way.
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
    /// Stores of its cluster, which tiers may share.
    pub stores: Arc<[Store]>,
    /// Planned interruptions.
    pub planned: Planned,
    /// When it waits for cleaner or cheaper hours, if it may wait.
    pub shift: Option<ShiftPlan>,
    /// Development over the final run, in the comparison only.
    pub research_multiplier: Ratio,
}

/// A store that all jobs of a cluster share.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// Name in the scenario.
    pub name: String,
    /// Of all that is written and read at once.
    pub bandwidth: BytesPerSecond,
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

    /// The most nodes that it is granted in any of its phases.
    #[must_use]
    pub fn most_granted_nodes(&self) -> u32 {
        let most = self.sizes().map(|(nodes, _)| nodes).max().unwrap_or(self.nodes);
        most + self.spares.hot + self.spares.cold
    }

    /// How many nodes compute, and until how much running is behind the job, in order: one entry where all phases have as many.
    pub fn sizes(&self) -> impl Iterator<Item = (u32, Span)> {
        let phases: &[Phase] = if let Progress::Phased { phases, .. } = &self.progress { phases } else { &[] };
        let mut behind = Span::ZERO;
        let borders = phases.windows(2).filter_map(move |two| {
            behind += self.time_for(two[0].tokens, &two[0].progress, two[0].nodes);
            (two[0].nodes != two[1].nodes).then(|| (two[0].nodes, self.at_rate(behind)))
        });
        borders.chain([(phases.last().map_or(self.nodes, |last| last.nodes), self.running())])
    }

    /// GPUs times time that the first `running` takes at full rate.
    #[must_use]
    pub fn gpu_time_of(&self, running: Span) -> GpuTime {
        let (mut time, mut from) = (GpuTime::ZERO, Span::ZERO);
        for (nodes, until) in self.sizes() {
            let part = until.min(running).saturating_sub(from);
            time += GpuTime::new(nodes * self.gpus_per_node, part.scale(self.rate()));
            from = until;
        }
        time
    }

    /// Floating-point operations of one token: 6 for each active parameter (Kaplan et al., arXiv:2001.08361 section 2.1).
    #[must_use]
    pub fn flops_per_token(&self) -> f64 {
        6.0 * self.model.active_parameters
    }

    /// Time that all tokens take without any interruption and at full rate; at least a nanosecond. 70e9 parameters, 2e12 tokens,
    /// 1,024 H100 and MFU 0.40 take 2.0725e6 s.
    #[must_use]
    pub fn ideal(&self) -> Span {
        self.time_for(self.tokens, &self.progress, self.nodes).max(Span::from_nanos(1))
    }

    /// Time that all tokens take without any interruption at the rate that is left; at least a nanosecond.
    #[must_use]
    pub fn running(&self) -> Span {
        self.at_rate(self.ideal()).max(Span::from_nanos(1))
    }

    /// Part of the speed that is left, 1 where nothing slows the job.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if let Progress::Phased { rate, .. } = self.progress { rate } else { 1.0 }
    }

    /// Tokens done after `running`, and the time that they take at full rate.
    #[must_use]
    pub fn done_after(&self, running: Span) -> (Tokens, Span) {
        let whole = self.running();
        if running >= whole {
            return (self.tokens, self.ideal());
        }
        let part = |tokens: Tokens, of: Span, all: Span| {
            u128::from(tokens.count()) * u128::from(of.nanos()) / u128::from(all.nanos().max(1))
        };
        let Progress::Phased { phases, rate } = &self.progress else {
            return (Tokens::new(part(self.tokens, running, whole) as u64), running);
        };
        let (mut left, mut done) = (running, 0);
        for phase in phases {
            let all = self.at_rate(self.time_for(phase.tokens, &phase.progress, phase.nodes));
            done += part(phase.tokens, left.min(all), all);
            left = left.saturating_sub(all);
        }
        (Tokens::new(done as u64), running.scale(*rate))
    }

    fn at_rate(&self, ideal: Span) -> Span {
        match self.rate() {
            1.0 => ideal,
            rate => ideal.scale(1.0 / rate),
        }
    }

    fn time_for(&self, tokens: Tokens, progress: &Progress, nodes: u32) -> Span {
        let count = tokens.count() as f64;
        match progress {
            Progress::Mfu(mfu) => {
                let speed = f64::from(nodes * self.gpus_per_node) * self.peak.as_f64() * mfu.as_f64();
                Span::from_secs_f64(self.flops_per_token() * count / speed)
            }
            Progress::TokensPerSecond(speed) => Span::from_secs_f64(count / speed.as_f64()),
            Progress::Step(step) => step.time.scale(count / step.tokens.count() as f64),
            Progress::Ideal(span) => *span,
            Progress::Phased { phases, .. } => {
                phases.iter().map(|phase| self.time_for(phase.tokens, &phase.progress, phase.nodes)).sum()
            }
        }
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
