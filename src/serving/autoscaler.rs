//! How many replicas a service should have. Fixed: as many as it may. Target load: as many as hold outstanding requests per
//! replica at `load` x the batch at which TPOT meets the SLO (models/inference.md section 2); up at once, down only to the
//! most that was asked for over `down_after` and where that is `tolerance` fewer, as the Kubernetes autoscaler stabilises.
//!
//! Outstanding requests do not halve when replicas double: each then decodes faster, so a rule in proportion to them sends
//! far too many replicas away, and swings. Here the step model turns those running on each ready replica into the throughput
//! that they stand for; as many replicas are asked for as carry it at the target, and more to hold those that wait.

use super::bursts::working_hours;
use super::lengths::{Lengths, Part};
use super::{
    ArrivalPlan, BatchLimits, MeanLengths, ScalePolicy, ServicePlan, StepLoad, StepModel, TargetLoad, Telemetry, weekly,
};
use crate::power::Slowdown;
use crate::units::{SimTime, Span, Tokens};
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
    pace: Pace,
    down_after: Span,
    tolerance: f64,
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
                let (each, pace) = (target_outstanding(plan, policy), Pace::new(plan));
                let initial = at_opening(plan, each, &pace).ceil().min(f64::from(scale.max)) as u32;
                let (down_after, tolerance) = (policy.down_after, policy.tolerance.as_f64());
                (initial, Some(Target { each, pace, down_after, tolerance, asks: VecDeque::new() }))
            }
        };
        Autoscaler { min: scale.min, max: scale.max, initial: initial.clamp(scale.min, scale.max), target }
    }

    /// Replicas to open with: what the target load asks for at the rate in the hour of the opening; at the mean
    /// rate where that hour hangs on a training job.
    #[must_use]
    pub fn initial(&self) -> u32 {
        self.initial
    }

    /// Replicas to have from `now` on, loading ones included.
    pub fn desired(&mut self, now: SimTime, seen: Telemetry) -> u32 {
        let have = seen.ready + seen.loading;
        let Some(target) = &mut self.target else { return self.max };
        let ask = target.needed(seen).ceil().clamp(f64::from(self.min), f64::from(self.max)) as u32;
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
        let enough_less = f64::from(highest) <= (1.0 - target.tolerance) * f64::from(have);
        if ask >= have {
            ask
        } else if enough_less {
            highest.clamp(self.min, self.max)
        } else {
            have.clamp(self.min, self.max)
        }
    }
}

/// Part of a service's replicas that only its limit on time per output token asks for: with the limit one replica carries
/// fewer requests a second, at the target load, than at the batch that memory and engine allow. By the step model, without
/// queues, bursts or the limit on the first token. None without a limit, and where the number of replicas is given.
#[must_use]
pub fn slo_share(plan: &ServicePlan) -> Option<f64> {
    let ScalePolicy::TargetLoad(policy) = plan.scale.policy else { return None };
    plan.slo?;
    let pace = Pace::new(plan);
    let carries = |plan: &ServicePlan| pace.throughput(target_outstanding(plan, policy));
    let free = ServicePlan { slo: None, ..plan.clone() };
    Some((1.0 - carries(plan) / carries(&free)).max(0.0))
}

/// `load` x the batch at which TPOT meets the SLO; without an SLO, the largest batch that memory and engine allow.
fn target_outstanding(plan: &ServicePlan, policy: TargetLoad) -> f64 {
    let limits = BatchLimits { max_batch: plan.max_batch, kv_tokens: plan.kv_tokens };
    let tpot = plan.slo.map_or(Span::DAY, |slo| slo.tpot);
    let (step, tpot) = match &plan.options.speculation {
        None => (plan.step, tpot),
        Some(drafts) => (plan.step.drafting(drafts), tpot.scale(drafts.tokens_per_step())),
    };
    // On the safe side: as if every batch touched the experts of the largest.
    let step = plan.options.experts.map_or(step, |touched| touched.at(&step, plan.max_batch));
    let batch = step.batch_within(tpot, mean_lengths(&plan.arrivals), limits, plan.slowdown);
    (policy.load.as_f64() * f64::from(batch)).max(1.0)
}

impl Target {
    /// Replicas that carry the present throughput at the target, and hold those that wait.
    fn needed(&self, seen: Telemetry) -> f64 {
        let (ready, running) = (f64::from(seen.ready), seen.running as f64);
        let carrying = if seen.ready > 0 {
            ready * self.pace.throughput(running / ready) / self.pace.throughput(self.each)
        } else {
            running / self.each
        };
        // A whole number of replicas must not become one more by rounding.
        carrying + seen.queued as f64 / self.each - 1e-9
    }
}

/// The throughput of one replica by its steady batch: B / (output tokens x step time).
#[derive(Debug, Clone)]
pub(super) struct Pace {
    step: StepModel,
    slow: Slowdown,
    lengths: MeanLengths,
}

impl Pace {
    pub(super) fn new(plan: &ServicePlan) -> Pace {
        Pace { step: plan.step, slow: plan.slowdown, lengths: mean_lengths(&plan.arrivals) }
    }

    /// Requests a second of one replica that holds `batch` sequences.
    pub(super) fn throughput(&self, batch: f64) -> f64 {
        let MeanLengths { prompt, output } = self.lengths;
        let cached = batch * (prompt + output / 2.0);
        let load = StepLoad { batch, cached, prompt: batch * prompt / output, attended: 0.0 };
        batch / (output * self.step.time_under(load, self.slow).as_secs_f64())
    }
}

/// Replicas that a service should open with: what carries the rate in the hour of the opening, noise apart; over a trace, its
/// mean rate; for a closed loop, what holds its clients.
fn at_opening(plan: &ServicePlan, each: f64, pace: &Pace) -> f64 {
    let opens_at = SimTime::ZERO + plan.opens_at;
    let hour = u64::from(plan.start_hour_of_week) + plan.opens_at.nanos() / Span::HOUR.nanos();
    let by_hour = |follow: bool, profile: fn(u64) -> f64| {
        if follow && plan.opens_after.is_none() { profile(hour) } else { 1.0 }
    };
    let rate = match &plan.arrivals {
        ArrivalPlan::Chat(chat) => chat.rate.as_f64() * by_hour(chat.weekly, weekly),
        ArrivalPlan::Poisson(poisson) => poisson.rate.as_f64(),
        ArrivalPlan::Bursts(bursts) => bursts.rate.as_f64() * by_hour(bursts.weekly, working_hours),
        ArrivalPlan::Ramp(ramp) => ramp.points().rate(opens_at),
        ArrivalPlan::FlashCrowd(crowd) => crowd.points().rate(opens_at),
        ArrivalPlan::Clients(clients) => clients.rate.as_f64(),
        ArrivalPlan::Reasoning(reasoning) => reasoning.rate.as_f64(),
        ArrivalPlan::Sessions(sessions) => sessions.rate.as_f64() * by_hour(sessions.weekly, weekly),
        ArrivalPlan::Servegen(measured) => measured.rate(),
        ArrivalPlan::ClosedLoop(closed) => return f64::from(closed.clients) / each,
        ArrivalPlan::Trace(requests) => {
            let span = requests.span.as_secs_f64();
            if span > 0.0 { requests.kept as f64 / span } else { 0.0 }
        }
    };
    rate / pace.throughput(each)
}

/// Mean lengths of a service's requests.
pub(crate) fn mean_lengths(arrivals: &ArrivalPlan) -> MeanLengths {
    let of = |prompt: &Lengths, output: &Lengths| MeanLengths {
        prompt: prompt.compile(Part::Prompt).mean(),
        output: output.compile(Part::Output).mean(),
    };
    match arrivals {
        ArrivalPlan::Chat(chat) => of(&chat.prompt, &chat.output),
        ArrivalPlan::Poisson(poisson) => {
            MeanLengths { prompt: f64::from(poisson.prompt), output: f64::from(poisson.output) }
        }
        ArrivalPlan::Bursts(bursts) => of(&bursts.prompt, &bursts.output),
        ArrivalPlan::Ramp(ramp) => of(&ramp.prompt, &ramp.output),
        ArrivalPlan::FlashCrowd(crowd) => of(&crowd.prompt, &crowd.output),
        ArrivalPlan::Clients(clients) => of(&clients.prompt, &clients.output),
        ArrivalPlan::Reasoning(reasoning) => of(&reasoning.prompt, &reasoning.output),
        ArrivalPlan::ClosedLoop(closed) => of(&closed.prompt, &closed.output),
        ArrivalPlan::Servegen(measured) => {
            let [prompt, output] = measured.lengths();
            of(prompt, output)
        }
        ArrivalPlan::Sessions(sessions) => {
            let (prompt, output) = sessions.mean_lengths();
            MeanLengths { prompt, output }
        }
        ArrivalPlan::Trace(requests) => {
            let mean = |tokens: Tokens| tokens.count() as f64 / requests.kept.max(1) as f64;
            MeanLengths { prompt: mean(requests.prompt_tokens), output: mean(requests.output_tokens).max(1.0) }
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
        // Steps of constant time: throughput is in proportion to the batch.
        let mut plan = scaled(ScalePolicy::default(), 2, 40);
        plan.step = StepModel { d_ms: 0.0, b_ms: 0.0, c_ms: 0.0, e_ms: 0.0, ..plan.step };
        let mut autoscaler = Autoscaler::new(&plan);
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
    fn it_asks_for_the_same_replicas_however_many_carry_the_load() {
        let plan = scaled(ScalePolicy::default(), 1, 400);
        let target = Autoscaler::new(&plan).target.unwrap();
        let rate = 50.0 * target.pace.throughput(target.each);
        // The steady batch of each of `ready` replicas, by bisection.
        for ready in [45, 50, 80, 200] {
            let (mut low, mut high) = (0.0, 1e3);
            for _ in 0..60 {
                let middle = (low + high) / 2.0;
                let slow = target.pace.throughput(middle) * f64::from(ready) < rate;
                *(if slow { &mut low } else { &mut high }) = middle;
            }
            let running = (low * f64::from(ready)).round() as u64;
            let needed = target.needed(seen(ready, 0, running, 0));
            assert!((needed - 50.0).abs() < 0.1, "{ready} ready, {running} running: {needed}");
        }
    }

    #[test]
    fn it_opens_with_what_the_target_asks_for_at_the_opening_rate() {
        let mut plan = scaled(ScalePolicy::default(), 1, 400);
        plan.arrivals = ArrivalPlan::Chat(chat(PerSecond::new(500.0)));
        // Sunday 00:00 has 0.56 of the mean, Monday 13:00 has 1.48; after a job the hour is unknown.
        for (hour, opens_after, rate) in [(0, None, 280.2), (37, None, 740.6), (37, Some(0), 500.0)] {
            let plan = ServicePlan { opens_at: Span::HOUR * hour, opens_after, ..plan.clone() };
            let autoscaler = Autoscaler::new(&plan);
            let target = autoscaler.target.as_ref().unwrap();
            let replicas = rate / target.pace.throughput(target.each);
            assert_eq!(autoscaler.initial(), replicas.ceil() as u32, "{replicas}");
        }
    }
}
