//! How many replicas a service should have. Fixed: as many as it may. Target load: as many as hold outstanding requests per
//! replica at `load` x the batch at which TPOT meets the SLO (models/inference.md section 2); up at once, down only to the
//! most that was asked for over `down_after`, as the Kubernetes autoscaler stabilises.

use super::{
    ArrivalPlan, BatchLimits, MeanLengths, ScalePolicy, ServicePlan, StepLoad, TargetLoad, Telemetry, lengths,
};
use crate::units::{SimTime, Span};
use std::collections::VecDeque;

/// Decides a service's replicas at each control tick.
#[derive(Debug, Clone)]
pub struct Autoscaler {
    min: u32,
    max: u32,
    initial: u32,
    target: Option<Target>,
}

#[derive(Debug, Clone)]
struct Target {
    /// Outstanding requests that one replica should hold.
    each: f64,
    down_after: Span,
    /// What was asked for within `down_after`, later and lower asks behind earlier and higher ones.
    asks: VecDeque<(SimTime, u32)>,
}

impl Autoscaler {
    /// The autoscaler of `plan`.
    #[must_use]
    pub fn new(plan: &ServicePlan) -> Autoscaler {
        let scale = &plan.scale;
        let (initial, target) = match scale.policy {
            ScalePolicy::Fixed {} => (scale.max, None),
            ScalePolicy::TargetLoad(policy) => {
                let each = target_outstanding(plan, policy);
                let target = Target { each, down_after: policy.down_after, asks: VecDeque::new() };
                (opening_replicas(plan, each), Some(target))
            }
        };
        Autoscaler { min: scale.min, max: scale.max, initial: initial.clamp(scale.min, scale.max), target }
    }

    /// Replicas to open with: what the target load asks for at the mean rate of the arrivals.
    #[must_use]
    pub fn initial(&self) -> u32 {
        self.initial
    }

    /// Replicas to have from `now` on, loading ones included.
    pub fn desired(&mut self, now: SimTime, seen: Telemetry) -> u32 {
        let have = seen.ready + seen.loading;
        let Some(target) = &mut self.target else { return self.max };
        let ask = ((seen.running + seen.queued) as f64 / target.each).ceil().min(f64::from(self.max)) as u32;
        let ask = ask.clamp(self.min, self.max);
        if target.asks.is_empty() {
            // What stands at first was somebody's ask.
            target.asks.push_back((now, have));
        }
        while target.asks.back().is_some_and(|&(_, earlier)| earlier <= ask) {
            target.asks.pop_back();
        }
        target.asks.push_back((now, ask));
        while target.asks.front().is_some_and(|&(at, _)| now.since(at) >= target.down_after && at < now) {
            target.asks.pop_front();
        }
        let highest = target.asks.front().map_or(ask, |&(_, highest)| highest);
        if ask >= have { ask } else { have.min(highest).clamp(self.min, self.max) }
    }
}

/// `load` x the batch at which TPOT meets the SLO; without an SLO, the largest batch that memory and engine allow.
fn target_outstanding(plan: &ServicePlan, policy: TargetLoad) -> f64 {
    let limits = BatchLimits { max_batch: plan.max_batch, kv_tokens: plan.kv_tokens };
    let tpot = plan.slo.map_or(Span::DAY, |slo| slo.tpot);
    let batch = plan.step.batch_within(tpot, mean_lengths(&plan.arrivals), limits);
    (policy.load.as_f64() * f64::from(batch)).max(1.0)
}

/// Replicas that hold `each` outstanding requests at the mean rate: a steady batch of B gives B / (output x step) requests.
fn opening_replicas(plan: &ServicePlan, each: f64) -> u32 {
    let replicas = mean_rate(plan) / steady_throughput(plan, each);
    replicas.ceil().min(f64::from(plan.scale.max)) as u32
}

/// Requests a second of one replica that holds `batch` sequences.
pub(super) fn steady_throughput(plan: &ServicePlan, batch: f64) -> f64 {
    let lengths = mean_lengths(&plan.arrivals);
    let load = StepLoad {
        batch,
        cached: batch * (lengths.prompt + lengths.output / 2.0),
        prompt: batch * lengths.prompt / lengths.output,
        attended: 0.0,
    };
    batch / (lengths.output * plan.step.time(load).as_secs_f64())
}

/// Mean requests a second over a week, or over a trace.
fn mean_rate(plan: &ServicePlan) -> f64 {
    match &plan.arrivals {
        ArrivalPlan::Chat(chat) => chat.rate.as_f64(),
        ArrivalPlan::Poisson(poisson) => poisson.rate.as_f64(),
        ArrivalPlan::Trace(requests) => {
            let span = requests.last().map_or(0.0, |last| last.at.as_secs_f64());
            if span > 0.0 { requests.len() as f64 / span } else { 0.0 }
        }
    }
}

/// Mean lengths of a service's requests.
pub(crate) fn mean_lengths(arrivals: &ArrivalPlan) -> MeanLengths {
    match arrivals {
        ArrivalPlan::Chat(_) => MeanLengths {
            prompt: lengths::conversation_prompts().mean(),
            output: lengths::conversation_outputs().mean(),
        },
        ArrivalPlan::Poisson(poisson) => {
            MeanLengths { prompt: f64::from(poisson.prompt), output: f64::from(poisson.output) }
        }
        ArrivalPlan::Trace(requests) => {
            let count = requests.len().max(1) as f64;
            let mean = |of: fn(&crate::trace::Request) -> u32| {
                requests.iter().map(|request| u64::from(of(request))).sum::<u64>() as f64 / count
            };
            MeanLengths { prompt: mean(|request| request.prompt), output: mean(|request| request.output).max(1.0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chat, plan};
    use super::*;
    use crate::serving::ScaleSection;
    use crate::units::PerSecond;

    fn scaled(policy: ScalePolicy, min: u32, max: u32) -> ServicePlan {
        let plan = plan(ArrivalPlan::Chat(chat(PerSecond::new(50.0))), max);
        ServicePlan { scale: ScaleSection { min, max, policy }, ..plan }
    }

    fn seen(ready: u32, loading: u32, running: u64, queued: u64) -> Telemetry {
        Telemetry { ready, loading, running, queued, ..Telemetry::default() }
    }

    #[test]
    fn a_fixed_service_has_its_maximum() {
        let mut autoscaler = Autoscaler::new(&scaled(ScalePolicy::Fixed {}, 2, 9));
        assert_eq!((autoscaler.initial(), autoscaler.desired(SimTime::ZERO, seen(3, 0, 0, 0))), (9, 9));
    }

    #[test]
    fn target_load_goes_up_at_once_and_down_after_a_while() {
        let mut autoscaler = Autoscaler::new(&scaled(ScalePolicy::default(), 2, 40));
        autoscaler.target.as_mut().unwrap().each = 10.0;
        // (seconds, ready, loading, running, queued, expected)
        let steps = [
            (0, 4, 0, 40, 0, 4, "as asked"),
            (15, 4, 0, 41, 0, 5, "one request above: up at once"),
            (30, 4, 1, 41, 4, 5, "the loading one is counted"),
            (45, 5, 0, 900, 0, 40, "never above the maximum"),
            (60, 40, 0, 90, 0, 40, "lower, but not for long"),
            (330, 40, 0, 70, 0, 40, "285 s after the peak"),
            (345, 40, 0, 20, 0, 9, "300 s after the peak: down to the most asked for since"),
            (360, 9, 0, 20, 0, 7, "the ask of 90 requests at 60 s has gone, that of 70 at 330 s has not"),
            (630, 7, 0, 1, 0, 2, "the ask of 20 requests at 360 s"),
            (930, 2, 0, 0, 0, 2, "never below the minimum"),
        ];
        for (seconds, ready, loading, running, queued, expected, why) in steps {
            let now = SimTime::ZERO + Span::from_secs(seconds);
            assert_eq!(autoscaler.desired(now, seen(ready, loading, running, queued)), expected, "{seconds} s: {why}");
        }
    }

    #[test]
    fn it_opens_with_what_the_target_asks_for_at_the_mean_rate() {
        let plan = scaled(ScalePolicy::default(), 1, 40);
        let autoscaler = Autoscaler::new(&plan);
        let each = autoscaler.target.as_ref().unwrap().each;
        let replicas = 50.0 / steady_throughput(&plan, each);
        assert_eq!(autoscaler.initial(), replicas.ceil() as u32);
        assert!((1..40).contains(&autoscaler.initial()), "{}", autoscaler.initial());
    }
}
