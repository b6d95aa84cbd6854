//! How many replicas a service should have. Fixed: as many as it may. Target load: as many as hold outstanding requests per
//! replica at `load` x the batch at which TPOT meets the SLO; up at once, down only to the
//! most that was asked for over `down_after` and where that is `tolerance` fewer, as the Kubernetes autoscaler stabilises.
//!
//! Outstanding requests do not halve when replicas double: each then decodes faster, so a rule in proportion to them sends
//! far too many replicas away, and swings. Here the step model turns those running on each ready replica into the throughput
//! that they stand for; as many replicas are asked for as carry it at the target, and more to hold those that wait.

use super::bursts::working_hours;
use super::lengths::{Lengths, Part};
use super::{
    ArrivalPlan, BatchLimits, MeanLengths, ScalePolicy, Schedule, ServicePlan, SloScale, StepLoad, StepModel,
    TargetLoad, Telemetry, weekly,
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
    rule: Rule,
}

/// Who decides.
#[derive(Debug, Clone)]
enum Rule {
    /// Always the maximum.
    Fixed,
    Target(Target),
    Promise(Promise),
    /// By the hour of the week, the run having begun in the given one.
    Schedule(Schedule, u64),
}

/// Replicas by how many requests met their limits of late.
#[derive(Debug, Clone)]
struct Promise {
    policy: SloScale,
    /// What was seen at earlier decisions, the oldest as long ago as the window: when, requests ended, and those in time.
    seen: VecDeque<(SimTime, u64, u64)>,
    /// Since when few enough have failed.
    quiet_since: Option<SimTime>,
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
        let (initial, rule) = match scale.policy {
            ScalePolicy::Fixed {} => (scale.max, Rule::Fixed),
            ScalePolicy::Schedule(schedule) => {
                let start = u64::from(plan.start_hour_of_week);
                (schedule.at(start + plan.opens_at.nanos() / Span::HOUR.nanos()), Rule::Schedule(schedule, start))
            }
            ScalePolicy::Slo(policy) => {
                let each = target_outstanding(plan, TargetLoad::default());
                let initial = at_opening(plan, each, &Pace::new(plan)).ceil().min(f64::from(scale.max)) as u32;
                (initial, Rule::Promise(Promise { policy, seen: VecDeque::new(), quiet_since: None }))
            }
            ScalePolicy::TargetLoad(policy) => {
                let (each, pace) = (target_outstanding(plan, policy), Pace::new(plan));
                let initial = at_opening(plan, each, &pace).ceil().min(f64::from(scale.max)) as u32;
                let (down_after, tolerance) = (policy.down_after, policy.tolerance.as_f64());
                (initial, Rule::Target(Target { each, pace, down_after, tolerance, asks: VecDeque::new() }))
            }
        };
        Autoscaler { min: scale.min, max: scale.max, initial: initial.clamp(scale.min, scale.max), rule }
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
        let target = match &mut self.rule {
            Rule::Fixed => return self.max,
            Rule::Promise(promise) => return promise.replicas(now, seen).clamp(self.min, self.max),
            Rule::Schedule(schedule, start) => {
                return schedule.at(*start + now.nanos() / Span::HOUR.nanos()).clamp(self.min, self.max);
            }
            Rule::Target(target) => target,
        };
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

impl Promise {
    /// Replicas to have from `now` on. Where too few of the requests that ended in the window met their limits, or none ended and
    /// some wait, more come, once those that load are ready; where less than half of what may fail has failed for a while, some go.
    fn replicas(&mut self, now: SimTime, seen: Telemetry) -> u32 {
        let (have, policy) = (seen.ready + seen.loading, self.policy);
        self.seen.push_back((now, seen.ended, seen.within_slo));
        while self.seen.get(1).is_some_and(|&(at, ..)| now.since(at) >= policy.window) {
            self.seen.pop_front();
        }
        let (_, ended, within) = self.seen.front().copied().expect("one was entered above");
        let failed = match (seen.ended - ended, seen.queued) {
            (0, 0) => 0.0,
            (0, _) => 1.0,
            (ended, _) => 1.0 - (seen.within_slo - within) as f64 / ended as f64,
        };
        let step = ((f64::from(have) * policy.step.as_f64()).floor() as u32).max(1);
        let allowed = 1.0 - policy.attainment.as_f64();
        if failed > allowed / 2.0 {
            self.quiet_since = None;
            return if failed > allowed && seen.loading == 0 { have + step } else { have };
        }
        let since = *self.quiet_since.get_or_insert(now);
        if now.since(since) < policy.down_after {
            return have;
        }
        self.quiet_since = Some(now);
        have.saturating_sub(step)
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
    use crate::units::{PerSecond, Share};

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
        let Rule::Target(target) = &mut autoscaler.rule else { panic!("a target") };
        target.each = 10.0;
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
    fn a_service_that_nobody_asks_goes_to_zero_and_comes_back() {
        let mut autoscaler = Autoscaler::new(&scaled(ScalePolicy::default(), 0, 40));
        let at = |seconds| SimTime::ZERO + Span::from_secs(seconds);
        assert_eq!(autoscaler.desired(at(0), seen(2, 0, 0, 0)), 2, "not at once");
        assert_eq!(autoscaler.desired(at(300), seen(2, 0, 0, 0)), 0);
        assert_eq!(autoscaler.desired(at(315), seen(0, 0, 0, 1)), 1, "one request at the door");
    }

    #[test]
    fn a_schedule_goes_by_the_hour_of_the_week() {
        let (mut weekdays, mut weekend) = ([2; 24], [1; 24]);
        (weekdays[9], weekend[23]) = (9, 4);
        let schedule = Schedule { weekdays, weekend: Some(weekend) };
        // The run starts on Saturday 22:00: hour 166.
        let plan = ServicePlan { start_hour_of_week: 166, ..scaled(ScalePolicy::Schedule(schedule), 0, 8) };
        let mut autoscaler = Autoscaler::new(&plan);
        assert_eq!(autoscaler.initial(), 1);
        for (hours, expected) in [(0, 1), (1, 4), (2, 1), (25, 4), (26, 2), (35, 8), (36, 2)] {
            let now = SimTime::ZERO + Span::HOUR * hours;
            assert_eq!(autoscaler.desired(now, seen(3, 0, 0, 0)), expected, "{hours} h after Saturday 22:00");
        }
    }

    #[test]
    fn a_promise_that_is_broken_adds_replicas_and_one_that_is_kept_takes_some() {
        let policy = SloScale { attainment: Share::new(0.9), ..SloScale::default() };
        let mut autoscaler = Autoscaler::new(&scaled(ScalePolicy::Slo(policy), 1, 40));
        // (seconds, ready, loading, queued, ended and within their limits so far, expected)
        let steps = [
            (0, 20, 0, 0, 0, 0, 20, "nothing is known"),
            (15, 20, 0, 0, 100, 89, 22, "11 of 100 failed: a tenth more"),
            (30, 20, 2, 0, 200, 170, 22, "those that load are waited for"),
            (75, 22, 0, 0, 1_000, 960, 22, "30 of 900 in the last minute"),
            (375, 22, 0, 0, 4_000, 3_950, 20, "few enough for 300 s"),
            (390, 20, 0, 0, 4_100, 4_050, 20, "and for 300 s again, from then on"),
            (405, 20, 0, 5, 4_100, 4_050, 20, "none failed within the minute"),
            (480, 20, 0, 5, 4_100, 4_050, 22, "none ended in a minute, and some wait"),
        ];
        for (seconds, ready, loading, queued, ended, within_slo, expected, why) in steps {
            let seen = Telemetry { ended, within_slo, ..seen(ready, loading, 0, queued) };
            let now = SimTime::ZERO + Span::from_secs(seconds);
            assert_eq!(autoscaler.desired(now, seen), expected, "{seconds} s: {why}");
        }
    }

    #[test]
    fn it_asks_for_the_same_replicas_however_many_carry_the_load() {
        let plan = scaled(ScalePolicy::default(), 1, 400);
        let Rule::Target(target) = Autoscaler::new(&plan).rule else { panic!("a target") };
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
            let Rule::Target(target) = &autoscaler.rule else { panic!("a target") };
            let replicas = rate / target.pace.throughput(target.each);
            assert_eq!(autoscaler.initial(), replicas.ceil() as u32, "{replicas}");
        }
    }
}
