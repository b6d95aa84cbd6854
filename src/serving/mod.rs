//! A service: arrivals, router, replicas, autoscaler; the laptop is the smallest of them.

mod account;
mod arrivals;
mod autoscaler;
mod bursts;
mod cell;
mod chat;
mod clientele;
mod clients;
mod closed;
mod curve;
mod desk;
mod due;
mod experts;
mod fluid;
mod hazard;
mod inspect;
mod job;
mod laptop;
mod lengths;
mod loads;
#[cfg(test)]
mod oracle;
mod plan;
mod pools;
mod prefix;
mod ramp;
mod renewal;
mod replay;
mod replica;
mod response;
mod rig;
mod router;
mod rules;
mod sampled;
mod section;
mod servegen;
mod sessions;
mod speculation;
mod step;

pub use arrivals::{CELL_REPLICAS, Source, cells};
pub(crate) use autoscaler::mean_lengths;
pub use autoscaler::{Autoscaler, slo_share};
pub use cell::{API_TIME, Cell};
pub use chat::weekly;
pub use curve::RateCurve;
pub use experts::Touched;
pub use fluid::Fluid;
pub use inspect::{Arrivals, BurstFigures, Inspection, LengthFigures, Reuse, inspect};
pub use laptop::Laptop;
pub use plan::{ArrivalPlan, DevicePlan, HeldServing, PoolPlan, ReplicaOptions, ServicePlan, Telemetry};
pub use replay::Replay;
pub use rig::{Exposure, Observed, Rig, Served};
pub use sampled::{FLUID, Kept, Measured as MeasuredFidelity, SAMPLED, kept};
pub use section::*;
pub use servegen::MeasuredClients;
pub use sessions::Origin;
pub use step::{BatchLimits, Deployment, Efficiency, MeanLengths, StepLoad, StepModel};

#[cfg(test)]
mod tests {
    //! A small service that the room's tests share.

    use super::*;
    use crate::catalog::{GPUS, NODES};
    use crate::fault::FailureLaw;
    use crate::power::{NodePower, Priority, ServingPower, Slowdown};
    use crate::units::{PerSecond, Ratio, Span, Watts};

    /// Chat traffic with all defaults.
    pub(super) fn chat(rate: PerSecond) -> Chat {
        let noise_time = Span::from_secs(600);
        let prompt = Lengths::Like(Measured::Conversation);
        let (noise, burstiness, output) = (Ratio::new(0.25), Ratio::new(1.04), prompt.clone());
        Chat { rate, noise, noise_time, burstiness, weekly: true, prompt, output }
    }

    /// An 8B model on one H100 a replica, at most `max` replicas, nothing fails.
    pub(super) fn plan(arrivals: ArrivalPlan, max: u32) -> ServicePlan {
        let node = NodePower::new(&NODES[0].sheet, &GPUS[0].sheet);
        let decode = |batch: u32| Watts::new(440 + u64::from(batch.min(125)) * 2);
        ServicePlan {
            name: "chat".to_owned(),
            cluster: 0,
            opens_after: None,
            opens_at: Span::ZERO,
            gpus: 1,
            nodes: 1,
            options: ReplicaOptions::default(),
            // Our own fit to kernel-composed vLLM step times, known answer: H100 8B TP1.
            step: StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 },
            step_source: "scenario".to_owned(),
            token_budget: 2_048,
            max_batch: 256,
            kv_tokens: 440_000,
            start_up: Span::from_secs(120),
            power: ServingPower::compile(&node, 256, Watts::new(122), Watts::new(690), decode),
            slowdown: Slowdown::NONE,
            levers: Vec::new(),
            power_priority: Priority::High,
            priority: 0,
            scale: ScaleSection { min: 1, max, policy: ScalePolicy::default() },
            tick: Span::from_secs(15),
            router: Router::default(),
            front: Front::default(),
            arrivals,
            fidelity: Fidelity::default(),
            prices: None,
            slo: Some(Slo { ttft: Span::from_secs(2), tpot: Span::from_nanos(30_000_000) }),
            queue: 512,
            clientele: Clientele::default(),
            failures: FailureLaw::None,
            record: None,
            start_hour_of_week: 0,
        }
    }
}
