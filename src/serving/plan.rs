//! A service once checked: every name resolved, every number in range.

use super::ramp::RampPoint;
use super::{
    Bursts, Chat, Clientele, Clients, ClosedLoop, Fidelity, FlashCrowd, Front, MeasuredClients, Poisson, Pools,
    Prefill, PrefixCacheSection, Ramp, Reasoning, Router, ScalePolicy, ScaleSection, Schedule, Sessions, Slo,
    Speculation, StepModel, TargetLoad, Touched,
};
use crate::catalog::{DeviceSheet, ModelSheet};
use crate::fault::FailureLaw;
use crate::ledger::TokenPrices;
use crate::power::{Priority, ServingPower, Slowdown};
use crate::trace::RequestTrace;
use crate::units::{Bytes, PerSecond, Ratio, Share, Span, Tokens};

/// A checked service.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// Name in the scenario, without the `service.` in front.
    pub name: String,
    /// Index of its cluster.
    pub cluster: usize,
    /// Index of the training job that must finish before it opens.
    pub opens_after: Option<usize>,
    /// Earliest opening, after the scenario's start.
    pub opens_at: Span,
    /// GPUs of one replica.
    pub gpus: u32,
    /// Nodes of one replica, rounded up to one.
    pub nodes: u32,
    /// How its replicas go about their work.
    pub options: ReplicaOptions,
    /// Step time.
    pub step: StepModel,
    /// Where the coefficients come from: a catalog row, the scenario, or first principles; printed in the manifest.
    pub step_source: String,
    /// Tokens that one step may process.
    pub token_budget: u32,
    /// Sequences that may decode at once.
    pub max_batch: u32,
    /// Key-value capacity.
    pub kv_tokens: u64,
    /// From the grant of GPUs to a ready replica: weights over bandwidth, and warm-up.
    pub start_up: Span,
    /// Power by batch, under a standing limit where its cluster has one.
    pub power: ServingPower,
    /// How much that limit slows it.
    pub slowdown: Slowdown,
    /// What the levers of its site's power control do to it, level 1 first; none where nothing caps it.
    pub levers: Vec<HeldServing>,
    /// When power control holds it.
    pub power_priority: Priority,
    /// The higher, the sooner it gets GPUs where there are too few.
    pub priority: i32,
    /// How many replicas, and who decides.
    pub scale: ScaleSection,
    /// Time between autoscaler decisions.
    pub tick: Span,
    /// Which replica takes a request.
    pub router: Router,
    /// Which cell takes a request.
    pub front: Front,
    /// Who asks, when and how much.
    pub arrivals: ArrivalPlan,
    /// Every request, those of a sample of its cells, or response tables.
    pub fidelity: Fidelity,
    /// Limits that a request must meet.
    pub slo: Option<Slo>,
    /// What its answers sell for.
    pub prices: Option<TokenPrices>,
    /// Requests that may wait in a cell for each ready replica.
    pub queue: u32,
    /// Classes, patience, and what failures do to requests.
    pub clientele: Clientele,
    /// Part of its requests that is recorded one by one, if any.
    pub record: Option<Share>,
    /// How the nodes under its replicas fail.
    pub failures: FailureLaw,
    /// Weekday and hour of the scenario's start: hours since Sunday 00:00 UTC, for the weekly profile.
    pub start_hour_of_week: u32,
}

/// How replicas go about their work, beyond continuous batching with chunked prompts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReplicaOptions {
    /// Prompts that begin alike are computed once.
    pub prefix_cache: Option<PrefixCacheSection>,
    /// What steps do with prompts that wait.
    pub prefill: Prefill,
    /// Tokens are drafted.
    pub speculation: Option<Speculation>,
    /// Steps read the weights of the experts that their tokens touch.
    pub experts: Option<Touched>,
    /// Some compute prompts and others decode, and how caches come from one to the other.
    pub pools: Option<PoolPlan>,
}

/// Pools, and a token's part of a cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PoolPlan {
    /// As the scenario says.
    pub section: Pools,
    /// What of a cache a token takes.
    pub per_token: Bytes,
}

/// A service held by one lever.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldServing {
    /// How much longer its phases take.
    pub slowdown: Slowdown,
    /// What it draws.
    pub power: ServingPower,
}

impl ServicePlan {
    /// The same service with `factor` times the requests.
    #[must_use]
    pub fn with_traffic(&self, factor: Ratio) -> ServicePlan {
        ServicePlan { arrivals: self.arrivals.times(factor), ..self.clone() }
    }

    /// The same service with replicas `factor` times as full: the autoscaler's target load, at most 1, is that of the
    /// scenario times the factor, and where the number of replicas is given it is divided by it.
    #[must_use]
    pub fn with_utilisation(&self, factor: Ratio) -> ServicePlan {
        let fewer = |replicas: u32| (f64::from(replicas) / factor.as_f64()).ceil().max(1.0) as u32;
        let min = if self.scale.min == 0 { 0 } else { fewer(self.scale.min) };
        let scale = match self.scale.policy {
            ScalePolicy::Fixed {} => ScaleSection { min, max: fewer(self.scale.max), ..self.scale },
            ScalePolicy::Slo(_) => self.scale,
            ScalePolicy::Schedule(schedule) => {
                let each = |replicas: u32| if replicas == 0 { 0 } else { fewer(replicas) };
                let [weekdays, weekend] =
                    [Some(schedule.weekdays), schedule.weekend].map(|hours| hours.map(|hours| hours.map(each)));
                let weekdays = weekdays.expect("weekdays are always given");
                let policy = ScalePolicy::Schedule(Schedule { weekdays, weekend });
                ScaleSection { min, max: self.scale.max.max(min), policy }
            }
            ScalePolicy::TargetLoad(target) => {
                let load = Share::new((target.load.as_f64() * factor.as_f64()).min(1.0));
                let policy = ScalePolicy::TargetLoad(TargetLoad { load, ..target });
                ScaleSection { min, max: self.scale.max.max(min), policy }
            }
        };
        ServicePlan { scale, ..self.clone() }
    }

    /// What it does at `level`: 0 without a lever.
    pub(super) fn at_level(&self, level: usize) -> (Slowdown, &ServingPower) {
        match level.checked_sub(1) {
            None => (self.slowdown, &self.power),
            Some(lever) => (self.levers[lever].slowdown, &self.levers[lever].power),
        }
    }

    /// How many levels there are.
    pub(super) fn levels(&self) -> usize {
        1 + self.levers.len()
    }

    /// The service as if it always stood at `level`.
    pub(super) fn held_at(&self, level: usize) -> ServicePlan {
        let (slowdown, power) = self.at_level(level);
        ServicePlan { slowdown, power: power.clone(), levers: Vec::new(), ..self.clone() }
    }
}

/// Who asks, when and how much.
#[derive(Debug, Clone)]
pub enum ArrivalPlan {
    /// Generated chat traffic.
    Chat(Chat),
    /// Constant rate and lengths.
    Poisson(Poisson),
    /// Bursts and silences.
    Bursts(Bursts),
    /// A rate through given points.
    Ramp(Ramp),
    /// A crowd that comes at once.
    FlashCrowd(FlashCrowd),
    /// Many tenants.
    Clients(Clients),
    /// Tenants of a reasoning model.
    Reasoning(Reasoning),
    /// Conversations of several turns.
    Sessions(Sessions),
    /// Clients that wait for each answer.
    ClosedLoop(ClosedLoop),
    /// Measured clients.
    Servegen(MeasuredClients),
    /// A loaded trace, times from its first event.
    Trace(RequestTrace),
}

impl ArrivalPlan {
    /// `factor` times the requests: a higher rate; more clients where each waits for its answer; of a trace,
    /// each request as often as the factor says, evenly.
    fn times(&self, factor: Ratio) -> ArrivalPlan {
        let times = |rate: PerSecond| PerSecond::new(rate.as_f64() * factor.as_f64());
        match self {
            ArrivalPlan::Chat(chat) => ArrivalPlan::Chat(Chat { rate: times(chat.rate), ..chat.clone() }),
            ArrivalPlan::Poisson(poisson) => ArrivalPlan::Poisson(Poisson { rate: times(poisson.rate), ..*poisson }),
            ArrivalPlan::Bursts(bursts) => ArrivalPlan::Bursts(Bursts { rate: times(bursts.rate), ..bursts.clone() }),
            ArrivalPlan::Ramp(ramp) => {
                let points = ramp.points.iter().map(|point| RampPoint { rate: times(point.rate), ..*point });
                ArrivalPlan::Ramp(Ramp { points: points.collect(), ..ramp.clone() })
            }
            ArrivalPlan::FlashCrowd(crowd) => {
                ArrivalPlan::FlashCrowd(FlashCrowd { rate: times(crowd.rate), ..crowd.clone() })
            }
            ArrivalPlan::Clients(clients) => {
                ArrivalPlan::Clients(Clients { rate: times(clients.rate), ..clients.clone() })
            }
            ArrivalPlan::Reasoning(tenants) => {
                ArrivalPlan::Reasoning(Reasoning { rate: times(tenants.rate), ..tenants.clone() })
            }
            ArrivalPlan::Sessions(sessions) => {
                ArrivalPlan::Sessions(Sessions { rate: times(sessions.rate), ..sessions.clone() })
            }
            ArrivalPlan::ClosedLoop(closed) => {
                let clients = (f64::from(closed.clients) * factor.as_f64()).round().max(1.0) as u32;
                ArrivalPlan::ClosedLoop(ClosedLoop { clients, ..closed.clone() })
            }
            ArrivalPlan::Servegen(clients) => ArrivalPlan::Servegen(clients.times(factor)),
            ArrivalPlan::Trace(trace) => {
                let due = |index: u64| (index as f64 * factor.as_f64()).floor() as usize;
                ArrivalPlan::Trace(trace.repeated(|index| due(index + 1) - due(index)))
            }
        }
    }
}

/// A checked device.
#[derive(Debug, Clone)]
pub struct DevicePlan {
    /// Name in the scenario, without the `device.` in front.
    pub name: String,
    /// The device.
    pub sheet: DeviceSheet,
    /// What it runs.
    pub model: ModelSheet,
    /// Catalog name of the model, for the label; `custom` for an inline sheet.
    pub model_name: String,
    /// Prompts a day.
    pub prompts_per_day: f64,
    /// Index of the service whose prompts it answers.
    pub service: usize,
    /// Index of the site whose grid and tariff its owner shares.
    pub site: usize,
}

/// What control may know of a service at an edge; the sum over its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telemetry {
    /// Replicas that take requests.
    pub ready: u32,
    /// Replicas that load their model, or recover from a failure.
    pub loading: u32,
    /// Requests inside replicas.
    pub running: u64,
    /// Requests that wait.
    pub queued: u64,
    /// Output tokens so far.
    pub output: Tokens,
    /// Requests that have ended so far, in any way.
    pub ended: u64,
    /// Those of them that met every limit.
    pub within_slo: u64,
}

impl Telemetry {
    /// The same seen `count` times.
    #[must_use]
    pub fn times(self, count: u32) -> Telemetry {
        let many = u64::from(count);
        Telemetry {
            ready: self.ready * count,
            loading: self.loading * count,
            running: self.running * many,
            queued: self.queued * many,
            output: Tokens::new(self.output.count() * many),
            ended: self.ended * many,
            within_slo: self.within_slo * many,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Request;
    use crate::units::SimTime;

    #[test]
    fn a_trace_is_thinned_or_repeated_evenly() {
        let request = |index: u64| Request { at: SimTime::from_nanos(index), prompt: 1, output: 1 };
        let trace = ArrivalPlan::Trace((0..6).map(request).collect::<Vec<_>>().into());
        for (factor, expected) in
            [(0.5, &[1, 3, 5][..]), (1.0, &[0, 1, 2, 3, 4, 5]), (1.5, &[0, 1, 1, 2, 3, 3, 4, 5, 5])]
        {
            let ArrivalPlan::Trace(scaled) = trace.times(Ratio::new(factor)) else { panic!("a trace stays one") };
            let mut cursor = scaled.cursor();
            let kept: Vec<u64> = (0..).map_while(|index| cursor.get(index)).map(|row| row.at.nanos()).collect();
            assert_eq!(kept, expected, "{factor}");
        }
    }
}
