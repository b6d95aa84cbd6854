//! Training jobs against known answers: closed forms, renewal theory and published runs.

use std::collections::VecDeque;
use tollway::catalog::{GPUS, ModelSheet, NODES, find};
use tollway::engine::{self, Control, Process, Seed};
use tollway::fault::{FailureLaw, FaultPlan, InitialAge};
use tollway::ledger::{Book, EventKind, Grid, JobFacts, Use};
use tollway::power::{NodePower, Priority};
use tollway::training::{
    Checkpoint, CheckpointError, Every, FailureClock, Job, JobPlan, Phase, Planned, Progress, Recovery, Schedule,
    Shift, ShiftPlan, Spares, StepTime,
};
use tollway::units::{Bytes, BytesPerSecond, PerSecond, Ratio, Share, SimTime, Span, Tokens};
use tollway::world::{Domain, NodeSet};

/// Unexpected interruptions of Llama 3, for each of 2,048 nodes and day: 419 in 54 days.
const LLAMA3: f64 = 419.0 / (2_048.0 * 54.0);

pub(crate) fn minutes(minutes: f64) -> Span {
    Span::from_secs_f64(minutes * 60.0)
}

pub(crate) fn days(days: f64) -> Span {
    Span::from_secs_f64(days * 86_400.0)
}

/// A job of `ideal` length on H100 nodes that never fails, without spares or checkpoints; repairs in place.
pub(crate) fn plan(nodes: u32, ideal: Span) -> JobPlan {
    let node = find(NODES, "dgx-h100").expect("in the catalog");
    let gpu = find(GPUS, "h100-sxm").expect("in the catalog");
    JobPlan {
        name: "test".into(),
        cluster: 0,
        cluster_name: "main".into(),
        model: ModelSheet {
            parameters: 70e9,
            active_parameters: 70e9,
            layers: 80,
            kv_bytes_per_token: Bytes::new(327_680),
            experts: None,
        },
        nodes,
        gpus_per_node: 8,
        peak: gpu.peak_16bit,
        power: NodePower::new(node, gpu),
        levels: Vec::new(),
        power_priority: Priority::Low,
        swing: [gpu.tdp, gpu.tdp],
        failures: FailureLaw::None.into(),
        tokens: Tokens::new(2_000_000_000_000),
        progress: Progress::Ideal(ideal),
        submit: Span::ZERO,
        priority: 0,
        spares: Spares::default(),
        recovery: Recovery { repair: Span::ZERO, localise: Span::ZERO, ..Recovery::default() },
        checkpoint: Vec::new(),
        planned: Planned::default(),
        shift: None,
        stores: [].into(),
        research_multiplier: Ratio::new(1.0),
    }
}

pub(crate) fn exponential(per_node_day: f64) -> FaultPlan {
    let rate = PerSecond::per_day(per_node_day);
    FailureLaw::Weibull { rate, shape: 1.0, initial_age: InitialAge::Stationary }.into()
}

/// A law by which `nodes` nodes together fail every `between`.
pub(crate) fn failing_every(between: Span, nodes: u32) -> FaultPlan {
    exponential(1.0 / (between.days() * f64::from(nodes)))
}

pub(crate) fn saving(every: Span, blocking: Span, background: Span) -> Vec<(String, Checkpoint)> {
    let tier = Checkpoint {
        every: Every::Fixed(every),
        blocking,
        background: Some(background),
        bandwidth: BytesPerSecond::new(2e12),
        survives: Domain::Site,
        ..Checkpoint::default()
    };
    vec![("remote".into(), tier)]
}

/// A stall of `length` in one step.
pub(crate) fn stalling(length: Span, clock: FailureClock) -> Recovery {
    Recovery {
        detect: Span::ZERO,
        localise: Span::ZERO,
        restart: Some(length),
        attach_cold: Span::ZERO,
        repair: Span::ZERO,
        failure_clock: clock,
        ..Recovery::default()
    }
}

/// The smallest control plane: starts the one job at once, and looks when it may have finished.
struct Starter {
    free: Option<NodeSet>,
    returned: Option<(SimTime, NodeSet)>,
    looks: u32,
}

impl Control<Job> for Starter {
    fn next_edge(&self, jobs: &[Job]) -> SimTime {
        if self.returned.is_some() { SimTime::NEVER } else { jobs[0].earliest_finish() }
    }
    fn at_edge(&mut self, now: SimTime, jobs: &mut [Job]) {
        self.looks += 1;
        if let Some(nodes) = self.free.take() {
            jobs[0].start(now, nodes);
        }
        if self.returned.is_none() && jobs[0].finished().is_some() {
            self.returned = Some((now, jobs[0].release().nodes));
        }
    }
}

pub(crate) struct Outcome {
    pub(crate) book: Book,
    pub(crate) facts: JobFacts,
    starter: Starter,
}

impl Outcome {
    pub(crate) fn ettr(&self, horizon: SimTime) -> f64 {
        let end = self.facts.finished.unwrap_or(horizon);
        self.facts.ideal.as_secs_f64() / end.since(SimTime::ZERO).as_secs_f64()
    }

    pub(crate) fn gpu_nanos(&self, what: Use) -> u128 {
        self.book.spent(what).time.nanos()
    }

    pub(crate) fn rows(&self, kind: EventKind) -> usize {
        self.book.events().iter().filter(|event| event.kind == kind).count()
    }
}

pub(crate) fn run(plan: JobPlan, seed: u64, horizon: Span) -> Outcome {
    let horizon = SimTime::ZERO + horizon;
    let granted = plan.granted_nodes();
    let mut jobs = [Job::new(plan, Seed { seed, replication: 0 }, Grid { horizon, bin: Span::HOUR })];
    let mut starter = Starter { free: Some(NodeSet::first(granted)), returned: None, looks: 0 };
    engine::run(&mut starter, &mut jobs, horizon, |_| {});
    let [job] = jobs;
    let (book, facts) = job.close(horizon);
    Outcome { book, facts, starter }
}

/// Three hours of work, of which every second hour from the second on is dear, and a restart of ten minutes: 60 + 50 + 50 minutes
/// run between three pauses, and 20 after them. With 90 minutes of pause at most, the second is cut short and no third follows.
#[test]
fn a_job_waits_out_dear_hours_at_a_checkpoint() {
    let signal = [1.0, 5.0, 3.0, 5.0].repeat(6);
    let waiting = |at_most, power_down| {
        let shift = Shift { pause: Share::new(0.5), window: Span::HOUR * 4, at_most, power_down };
        let recovery = stalling(minutes(10.0), FailureClock::Wall);
        let plan = JobPlan { shift: Some(ShiftPlan::new(&shift, &signal)), recovery, ..plan(1, minutes(180.0)) };
        run(plan, 1, Span::DAY)
    };
    for (at_most, power_down, pauses, paused, finish) in
        [(None, false, 3, 180.0, 390.0), (None, true, 3, 180.0, 390.0), (Some(minutes(90.0)), false, 2, 90.0, 290.0)]
    {
        let outcome = waiting(at_most, power_down);
        assert_eq!(outcome.facts.finished, Some(SimTime::ZERO + minutes(finish)), "{at_most:?}");
        assert_eq!((outcome.rows(EventKind::Paused), outcome.facts.paused), (pauses, Some(minutes(paused))));
        let gpu_minutes = |what| outcome.gpu_nanos(what) as f64 / 60e9 / 8.0;
        assert_eq!([Use::Productive, Use::Paused].map(gpu_minutes), [180.0, paused]);
        assert_eq!(gpu_minutes(Use::Restart), 10.0 * pauses as f64);
        // 8 GPUs at 72 W and a host at 1.3 kW, or nothing.
        let kwh = outcome.book.spent(Use::Paused).node().kwh();
        let idle = if power_down { 0.0 } else { (0.576 + 1.3) * paused / 60.0 };
        assert!((kwh - idle).abs() < 1e-9, "{kwh} kWh, not {idle}");
    }
}

/// Mean and standard error of the ETTR over `seeds` runs that never finish.
pub(crate) fn mean_ettr(plan: &JobPlan, seeds: u64, horizon: Span) -> (f64, f64) {
    let runs: Vec<f64> =
        (0..seeds).map(|seed| run(plan.clone(), seed, horizon).ettr(SimTime::ZERO + horizon)).collect();
    let count = seeds as f64;
    let mean = runs.iter().sum::<f64>() / count;
    let variance = runs.iter().map(|run| (run - mean) * (run - mean)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

#[test]
fn ideal_times_are_the_published_ones() {
    let bloom_step = Progress::Step(StepTime { time: Span::from_secs_f64(105.5), tokens: Tokens::new(2_048 * 2_048) });
    // Nodes, tokens, speed, seconds, tolerance.
    for (nodes, tokens, progress, seconds, tolerance) in [
        (128, 2e12, Progress::Mfu(Share::new(0.40)), 2.0725e6, 50.0),
        (48, 366e9, bloom_step, 106.55 * 86_400.0, 0.005 * 86_400.0),
        (128, 1e12, Progress::TokensPerSecond(PerSecond::new(1e6)), 1e6, 1e-9),
        (128, 1e12, Progress::Ideal(Span::DAY), 86_400.0, 1e-9),
    ] {
        let ideal =
            JobPlan { tokens: Tokens::new(tokens as u64), progress: progress.clone(), ..plan(nodes, Span::DAY) }
                .ideal();
        assert!((ideal.as_secs_f64() - seconds).abs() < tolerance, "{progress:?}: {} s", ideal.as_secs_f64());
    }
}

#[test]
fn a_cold_restart_takes_the_published_time() {
    // ByteRobust Table 7: GPUs, seconds; the formula gives 769 where 768 is printed, and 120 is the floor.
    for (gpus, seconds) in [(2_048, 454.0), (16_384, 769.0), (8, 120.0)] {
        let restart = plan(gpus / 8, Span::DAY).restart().as_secs_f64();
        assert_eq!(restart, seconds, "{gpus} GPUs");
    }
}

#[test]
fn without_failures_only_saves_take_time() {
    let checkpoint = saving(minutes(10.0), minutes(0.5), minutes(1.0));
    let outcome = run(JobPlan { checkpoint, ..plan(4, minutes(200.0)) }, 1, Span::DAY);
    let elapsed = minutes(210.0);
    assert_eq!(outcome.facts.finished, Some(SimTime::ZERO + elapsed));
    assert_eq!(outcome.ettr(SimTime::NEVER), 10.0 / 10.5);
    assert_eq!(outcome.facts.checkpoints, 20);
    assert_eq!(outcome.facts.kept, outcome.facts.asked);
    assert_eq!(outcome.gpu_nanos(Use::Productive), 32 * u128::from(minutes(200.0).nanos()));
    assert_eq!(outcome.gpu_nanos(Use::Checkpoint), 32 * u128::from(minutes(10.0).nanos()));
    // Undisturbed, control looks at the start and at the exact finish, and gets all nodes back.
    assert_eq!(outcome.starter.looks, 3, "start, finish, horizon");
    assert_eq!(outcome.starter.returned, Some((SimTime::ZERO + elapsed, NodeSet::first(4))));
    assert_eq!((outcome.rows(EventKind::Started), outcome.rows(EventKind::Finished)), (1, 1));
}

#[test]
fn bins_hold_each_hour_of_training_and_of_saving_exactly() {
    let checkpoint = saving(minutes(10.0), minutes(2.0), Span::ZERO);
    let outcome = run(JobPlan { checkpoint, ..plan(1, days(1.0)) }, 1, minutes(90.0));
    // Five cycles of 10 + 2 minutes in the first hour; two and a half in the half hour after.
    for (bin, training, saving) in [(0, 50.0, 10.0), (1, 26.0, 4.0)] {
        let spent = |what| outcome.book.spent_in(what, bin).time.nanos();
        assert_eq!(spent(Use::Productive), 8 * u128::from(minutes(training).nanos()), "hour {bin}");
        assert_eq!(spent(Use::Checkpoint), 8 * u128::from(minutes(saving).nanos()), "hour {bin}");
    }
    assert_eq!(outcome.facts.finished, None);
}

/// Renewal theory, exact for exponential failures on the wall clock.
pub(crate) fn renewal(m: f64, t: f64, d: f64, r: f64) -> f64 {
    t / (m * libm::exp(r / m) * (libm::exp((t + d) / m) - 1.0))
}

#[test]
fn renewal_theory_is_met() {
    // M, t, d, R in minutes; the first is the worked value 0.9290.
    assert!((renewal(185.52, 10.0, 2.0 / 60.0, 8.0) - 0.9290).abs() < 5e-5);
    for m in [30.0, 60.0, 185.52, 720.0, 2_880.0] {
        for (t, d, r) in
            [(2.0, 0.1, 2.0), (5.0, 0.5, 8.0), (10.0, 2.0 / 60.0, 8.0), (20.0, 2.0, 5.0), (30.0, 1.0, 20.0)]
        {
            let plan = JobPlan {
                failures: failing_every(minutes(m), 64),
                checkpoint: saving(minutes(t), minutes(d), Span::ZERO),
                recovery: stalling(minutes(r), FailureClock::Wall),
                ..plan(64, days(1e4))
            };
            let (mean, error) = mean_ettr(&plan, 20, minutes(400.0 * m));
            let expected = renewal(m, t, d, r);
            assert!(
                (mean - expected).abs() < 3.0 * error,
                "M {m} t {t} d {d} R {r}: {mean} +- {error}, not {expected}"
            );
            assert!(error < 0.006, "enough replications to tell");
        }
    }
}

#[test]
fn the_three_failure_clocks_differ_as_published() {
    // One failure every 18 min, a stall of 10 min, no lost work; 1.3e5 failures by wall clock.
    for (clock, expected) in [(FailureClock::Serial, 0.444), (FailureClock::Wall, 0.574), (FailureClock::Uptime, 0.643)]
    {
        let plan = JobPlan {
            failures: failing_every(minutes(18.0), 1_024),
            checkpoint: saving(Span::from_nanos(1_000_000), Span::ZERO, Span::ZERO),
            recovery: stalling(minutes(10.0), clock),
            ..plan(1_024, days(1e4))
        };
        let horizon = days(1_600.0);
        let outcome = run(plan, 1, horizon);
        let ettr = outcome.ettr(SimTime::ZERO + horizon);
        assert!((ettr - expected).abs() < 0.01, "{clock:?}: {ettr}, not {expected}");
        assert_eq!(outcome.facts.failure_clock, clock.name());
        assert!(outcome.facts.interruptions > 80_000);
    }
}

fn llama3() -> JobPlan {
    JobPlan {
        failures: exponential(LLAMA3),
        checkpoint: saving(minutes(10.0), Span::from_secs(2), Span::ZERO),
        recovery: Recovery { detect: minutes(1.0), ..stalling(minutes(7.0), FailureClock::Wall) },
        planned: Planned { rate: PerSecond::per_day(47.0 / 54.0), length: None },
        ..plan(2_048, days(100.0))
    }
}

#[test]
fn llama_3_is_interrupted_and_progresses_as_published() {
    let horizon = days(54.0);
    let outcomes: Vec<Outcome> = (0..20).map(|seed| run(llama3(), seed, horizon)).collect();
    let mean = |of: fn(&Outcome) -> f64| outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64;
    // Three standard errors of a Poisson mean of 419 over 20 runs: 13.7; of 47: 4.6.
    let failures = mean(|outcome| outcome.facts.interruptions as f64);
    assert!((failures - 419.1).abs() < 13.8, "{failures} failures");
    let planned = mean(|outcome| outcome.facts.planned as f64);
    assert!((planned - 47.0).abs() < 4.6, "{planned} planned stops");
    // 0.929 by renewal theory, less 47 stops of 7 min; the published case asks for 0.92 +- 0.01.
    let ettr = mean(|outcome| outcome.ettr(SimTime::ZERO + Span::DAY * 54));
    assert!((ettr - 0.925).abs() < 0.003, "ETTR {ettr}");
    for outcome in &outcomes {
        // 95 % of runs lie in the published band of 379 to 459, and all within four standard deviations.
        assert!((337..=501).contains(&outcome.facts.interruptions));
        assert_eq!(outcome.rows(EventKind::Failure) as u64, outcome.facts.interruptions);
        assert_eq!(outcome.rows(EventKind::Maintenance) as u64, outcome.facts.planned);
    }
}

#[test]
fn other_seeds_give_other_failures_and_the_same_seed_the_same() {
    let failures = |seed| {
        let outcome = run(llama3(), seed, days(5.0));
        outcome.book.events().to_vec()
    };
    assert_eq!(failures(1), failures(1));
    assert_ne!(failures(1), failures(2));
}

/// Failures as rows say them.
pub(crate) fn failure_rows(outcome: &Outcome) -> VecDeque<(SimTime, String)> {
    let failures = outcome.book.events().iter().filter(|event| event.kind == EventKind::Failure);
    failures.map(|event| (event.at, event.nodes.clone())).collect()
}

#[test]
fn a_spare_or_another_job_moves_no_failure() {
    let base = JobPlan { planned: Planned::default(), ..llama3() };
    let horizon = days(10.0);
    let alone = failure_rows(&run(base.clone(), 1, horizon));
    assert!(alone.len() > 40);
    let with_spares = JobPlan { spares: Spares { hot: 3, cold: 5, ..Spares::default() }, ..base.clone() };
    assert_eq!(failure_rows(&run(with_spares, 1, horizon)), alone);
    let renamed = JobPlan { name: "another".into(), ..base };
    assert_eq!(
        failure_rows(&run(renamed, 1, horizon)),
        alone,
        "failures belong to the cluster's nodes, not to the job"
    );
}

#[test]
fn every_gpu_nanosecond_lies_in_one_use() {
    let busy = JobPlan {
        failures: FailureLaw::Weibull {
            rate: PerSecond::per_day(0.2),
            shape: 0.7,
            initial_age: InitialAge::Stationary,
        }
        .into(),
        checkpoint: saving(minutes(13.0), Span::from_secs(7), minutes(3.0)),
        recovery: Recovery {
            detect: minutes(1.0),
            localise: minutes(5.0),
            restart: Some(minutes(7.0)),
            attach_cold: minutes(10.0),
            repair: minutes(240.0),
            ..Recovery::default()
        },
        planned: Planned { rate: PerSecond::per_day(3.0), length: Some(minutes(11.0)) },
        spares: Spares { hot: 1, cold: 2, ..Spares::default() },
        ..plan(64, days(8.0))
    };
    for clock in [FailureClock::Serial, FailureClock::Wall, FailureClock::Uptime] {
        for seed in 0..5 {
            let recovery = Recovery { failure_clock: clock, ..busy.recovery.clone() };
            let outcome = run(JobPlan { recovery, ..busy.clone() }, seed, days(40.0));
            let end = outcome.facts.finished.unwrap_or(SimTime::ZERO + days(40.0));
            let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
            assert_eq!(total, 67 * 8 * u128::from(end.nanos()));
            // Work is done exactly once, however often it was interrupted.
            assert_eq!(outcome.gpu_nanos(Use::Productive), 64 * 8 * u128::from(outcome.facts.ideal.nanos()));
            for what in [Use::Recomputed, Use::Checkpoint, Use::Detect, Use::Localise, Use::SpareWait, Use::Restart] {
                assert!(outcome.gpu_nanos(what) > 0, "{what:?} under {clock:?}");
            }
            for what in [Use::Planned, Use::Spare, Use::Repair] {
                assert!(outcome.gpu_nanos(what) > 0, "{what:?} under {clock:?}");
            }
        }
    }
}

#[test]
fn the_finish_foreseen_is_never_later_than_the_finish() {
    let mut plan = JobPlan { tokens: Tokens::new(1_000_000), ..llama3() };
    plan.nodes = 256;
    plan.progress = Progress::Ideal(days(6.0));
    plan.failures = exponential(0.05);
    plan.recovery.repair = minutes(300.0);
    plan.spares = Spares { hot: 0, cold: 2, ..Spares::default() };
    plan.planned.length = Some(Span::SECOND);
    let grid = Grid { horizon: SimTime::ZERO + days(60.0), bin: Span::HOUR };
    let mut job = Job::new(plan, Seed { seed: 5, replication: 0 }, grid);
    assert_eq!(job.earliest_finish(), SimTime::NEVER);
    job.start(SimTime::ZERO, NodeSet::first(258));
    let mut foreseen = vec![job.earliest_finish()];
    while job.finished().is_none() {
        let now = job.next_time();
        job.run_until(now);
        assert!(job.earliest_finish() > now || job.finished() == Some(now), "control moves on from {now:?}");
        foreseen.push(job.earliest_finish());
    }
    let finish = job.finished().expect("the loop ended");
    assert!(foreseen.len() > 200);
    assert!(foreseen.iter().all(|&foreseen| foreseen <= finish));
    assert_eq!(foreseen[foreseen.len() - 2..], [finish, finish], "exact in the last stretch");
}

/// The first failure of a two-node job, so that other tests can aim at it.
fn first_failure() -> (JobPlan, SimTime) {
    let base = JobPlan {
        failures: failing_every(days(1.0), 2),
        recovery: stalling(minutes(10.0), FailureClock::Wall),
        ..plan(2, days(30.0))
    };
    let (at, _) = failure_rows(&run(base.clone(), 9, days(20.0)))[0].clone();
    (base, at)
}

#[test]
fn a_failure_on_the_instant_of_a_save_loses_nothing_and_a_nanosecond_before_all() {
    let (base, at) = first_failure();
    let blocking = minutes(1.0);
    for (early, lost) in [(0, 0), (1, 1)] {
        let every = Span::from_nanos(at.nanos() + early).saturating_sub(blocking);
        let checkpoint = saving(every, blocking, Span::ZERO);
        let outcome = run(JobPlan { checkpoint, ..base.clone() }, 9, Span::from_nanos(at.nanos() + 1));
        assert_eq!(outcome.facts.interruptions, 1);
        let recomputed = outcome.gpu_nanos(Use::Recomputed);
        assert_eq!(recomputed, lost * 16 * u128::from(every.nanos()));
        assert_eq!(outcome.facts.checkpoints, u64::from(early == 0));
    }
}

#[test]
fn a_job_that_ends_on_the_instant_of_a_failure_has_ended() {
    let (base, at) = first_failure();
    let ends = JobPlan { progress: Progress::Ideal(Span::from_nanos(at.nanos())), ..base.clone() };
    let outcome = run(ends, 9, days(20.0));
    assert_eq!((outcome.facts.finished, outcome.facts.interruptions), (Some(at), 0));
    let misses = JobPlan { progress: Progress::Ideal(Span::from_nanos(at.nanos() + 1)), ..base };
    let outcome = run(misses, 9, days(20.0));
    assert!(outcome.facts.interruptions > 0);
}

#[test]
fn the_write_must_end_before_the_copy_counts() {
    let (base, at) = first_failure();
    let every = Span::from_nanos(at.nanos() / 2);
    for (background, lost) in [(Span::ZERO, 0), (Span::from_nanos(at.nanos() / 4), every.nanos())] {
        let checkpoint = saving(every, Span::ZERO, background);
        let outcome = run(JobPlan { checkpoint, ..base.clone() }, 9, Span::from_nanos(at.nanos() + 1));
        let recomputed = outcome.gpu_nanos(Use::Recomputed) / 16;
        assert!(recomputed.abs_diff(u128::from(lost)) <= 1, "{recomputed} ns, not {lost}");
    }
}

#[test]
fn spares_are_called_hot_then_cold_and_then_the_job_waits_for_a_repair() {
    let recovery =
        Recovery { attach_cold: minutes(15.0), repair: days(30.0), ..stalling(minutes(10.0), FailureClock::Uptime) };
    let base = JobPlan { failures: failing_every(days(1.0), 2), recovery, ..plan(2, days(50.0)) };
    let stalls = |spares| {
        let outcome = run(JobPlan { spares, ..base.clone() }, 4, days(400.0));
        let events = outcome.book.events().to_vec();
        let at = |kind: EventKind| events.iter().filter(move |event| event.kind == kind).map(|event| event.at);
        at(EventKind::Failure)
            .zip(at(EventKind::Restarted))
            .map(|(from, to)| to.since(from))
            .take(3)
            .collect::<Vec<_>>()
    };
    let hot_cold = stalls(Spares { hot: 1, cold: 1, ..Spares::default() });
    assert_eq!(hot_cold[..2], [minutes(10.0), minutes(25.0)]);
    assert!(hot_cold[2] > minutes(25.0), "nobody is left, and repairs take a month");
    let none = stalls(Spares::default());
    assert!(none[0] > minutes(25.0));
}

#[test]
fn spares_burn_what_their_state_says() {
    let spares = Spares { hot: 2, cold: 3, ..Spares::default() };
    let outcome = run(JobPlan { spares, ..plan(4, days(1.0)) }, 1, days(2.0));
    let gpu = find(GPUS, "h100-sxm").expect("in the catalog");
    let spent = outcome.book.spent(Use::Spare);
    let expected = (gpu.resident * 16 + gpu.idle * 24) * Span::DAY;
    assert_eq!(spent.accelerator, expected);
    assert_eq!(outcome.book.spent(Use::Productive).accelerator, (gpu.training * 32) * Span::DAY);
}

#[test]
fn without_a_tier_a_failure_throws_everything_away() {
    let (base, at) = first_failure();
    let outcome = run(base, 9, Span::from_nanos(at.nanos() + 1));
    assert_eq!(outcome.facts.kept, Tokens::ZERO);
    assert_eq!(outcome.gpu_nanos(Use::Recomputed), 16 * u128::from(at.nanos()));
    assert_eq!(outcome.facts.checkpoint_every, Span::ZERO);
}

#[test]
fn auto_takes_the_daly_optimum_of_all_nodes() {
    let mut plan = JobPlan { failures: failing_every(minutes(180.0), 64), ..plan(64, days(1.0)) };
    plan.checkpoint = saving(Span::ZERO, minutes(1.0), Span::ZERO);
    plan.checkpoint[0].1.every = Every::Auto;
    let every = Schedule::new(&plan).expect("one tier").every();
    assert!((every.as_secs_f64() / 60.0 - 18.313).abs() < 0.005, "{every}");
    plan.checkpoint[0].1.background = Some(minutes(20.0));
    assert_eq!(
        Schedule::new(&plan).expect("one tier").every(),
        minutes(20.0),
        "no save begins before the last is written"
    );
    plan.failures = FailureLaw::None.into();
    assert_eq!(Schedule::new(&plan).expect("one tier").every(), Span::ZERO, "nothing breaks, nothing is saved");
}

#[test]
fn a_checkpoint_is_written_at_the_stores_speed() {
    // 14 bytes for each of 405.853e9 parameters at 2 TB/s take 2.84 s: 2.8 s is too short.
    let mut plan = plan(2_048, days(1.0));
    plan.model.parameters = 405.853e9;
    for (every, fits) in [(2.80, false), (2.85, true)] {
        plan.checkpoint = saving(Span::from_secs_f64(every), Span::SECOND, Span::ZERO);
        plan.checkpoint[0].1.background = None;
        assert_eq!(Schedule::new(&plan).is_ok(), fits, "every {every} s");
    }
}

#[test]
fn checkpoints_that_cannot_be_simulated_say_why() {
    let mut free = saving(Span::ZERO, Span::ZERO, Span::ZERO);
    free[0].1.every = Every::Auto;
    let slow = CheckpointError::SlowWrite { every: minutes(1.0), background: minutes(2.0) };
    for (checkpoint, expected) in [
        (saving(Span::ZERO, Span::SECOND, Span::ZERO), CheckpointError::NoInterval),
        (free, CheckpointError::FreeSave),
        (saving(minutes(1.0), Span::SECOND, minutes(2.0)), slow),
    ] {
        let plan = JobPlan { checkpoint, failures: exponential(0.1), ..plan(8, days(1.0)) };
        assert_eq!(Schedule::new(&plan), Err(expected));
    }
}

/// A remote tier every 30 min that takes 10 min to read, and with `memory` a peer's memory every minute that takes 20 s.
fn tiers(memory: bool) -> Vec<(String, Checkpoint)> {
    let mut tiers = saving(minutes(30.0), Span::from_secs(2), Span::from_secs(60));
    tiers[0].1.restore = Some(minutes(10.0));
    if memory {
        let (_, mut peer) = saving(Span::MINUTE, Span::ZERO, Span::from_secs(3)).remove(0);
        (peer.restore, peer.survives) = (Some(Span::from_secs(20)), Domain::Node);
        tiers.push(("memory".into(), peer));
    }
    tiers
}

#[test]
fn slower_tiers_save_beside_the_faster_ones() {
    let mut checkpoint = saving(minutes(10.0), minutes(0.5), Span::ZERO);
    // 25 min becomes 30, the first save of the faster tier that its interval has passed.
    checkpoint.extend(saving(minutes(25.0), minutes(1.0), Span::ZERO));
    let outcome = run(JobPlan { checkpoint, ..plan(4, minutes(200.0)) }, 1, Span::DAY);
    assert_eq!(outcome.facts.finished, Some(SimTime::ZERO + minutes(200.0 + 20.0 * 0.5 + 6.0)));
    assert_eq!(outcome.facts.checkpoints, 26);
    assert_eq!(outcome.facts.checkpoint_every, minutes(10.0));
    assert_eq!(outcome.gpu_nanos(Use::Checkpoint), 32 * u128::from(minutes(16.0).nanos()));
}

#[test]
fn a_copy_in_memory_shortens_lost_work_and_reload_and_nothing_else() {
    let base = JobPlan {
        recovery: Recovery {
            detect: minutes(1.0),
            localise: minutes(5.0),
            ..stalling(minutes(7.0), FailureClock::Wall)
        },
        planned: Planned::default(),
        ..llama3()
    };
    let outcome = |memory| run(JobPlan { checkpoint: tiers(memory), ..base.clone() }, 1, days(54.0));
    let (remote, memory) = (outcome(false), outcome(true));
    assert_eq!(remote.facts.interruptions, memory.facts.interruptions);
    for what in [Use::Detect, Use::Localise, Use::SpareWait, Use::Planned, Use::Spare, Use::Repair] {
        assert_eq!(remote.gpu_nanos(what), memory.gpu_nanos(what), "{what:?}");
    }
    for outcome in [&remote, &memory] {
        let running = outcome.gpu_nanos(Use::Productive) + outcome.gpu_nanos(Use::Recomputed);
        let share = outcome.gpu_nanos(Use::Checkpoint) as f64 / running as f64;
        assert!(share > 0.0005 && share <= 2.0 / 1_800.0, "only the remote tier stops the job: {share}");
    }
    assert!(memory.gpu_nanos(Use::Recomputed) * 10 < remote.gpu_nanos(Use::Recomputed));
    assert!(memory.gpu_nanos(Use::Reload) * 2 < remote.gpu_nanos(Use::Reload));
    assert!(memory.gpu_nanos(Use::Productive) > remote.gpu_nanos(Use::Productive));
    for outcome in [remote, memory] {
        let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
        assert_eq!(total, 2_048 * 8 * u128::from(days(54.0).nanos()));
    }
}

#[test]
fn the_reload_of_a_tier_lengthens_the_restart() {
    // Renewal theory again, with 3 of the 8 minutes as the reload.
    let mut checkpoint = saving(minutes(10.0), Span::from_secs(2), Span::ZERO);
    checkpoint[0].1.restore = Some(minutes(3.0));
    // Failures before the very first copy reload nothing: one or two of 466.
    let plan = JobPlan {
        failures: failing_every(minutes(185.52), 64),
        checkpoint,
        recovery: stalling(minutes(5.0), FailureClock::Wall),
        ..plan(64, days(1e4))
    };
    let (mean, error) = mean_ettr(&plan, 20, days(60.0));
    assert!((mean - 0.9290).abs() < 3.0 * error, "{mean} +- {error}");
}

#[test]
fn a_job_warms_up_after_each_failure() {
    let recovery = Recovery { warm_up: minutes(5.0), ..stalling(minutes(10.0), FailureClock::Serial) };
    let outcome =
        run(JobPlan { failures: failing_every(days(1.0), 2), recovery, ..plan(2, days(300.0)) }, 1, days(200.0));
    let gpu_minutes = |what| outcome.gpu_nanos(what) as f64 / 16.0 / minutes(1.0).nanos() as f64;
    assert!(outcome.facts.interruptions > 100);
    assert!((gpu_minutes(Use::WarmUp) - 5.0 * outcome.facts.interruptions as f64).abs() <= 5.0);
    assert!((gpu_minutes(Use::Restart) - 10.0 * outcome.facts.interruptions as f64).abs() <= 10.0);
}

#[test]
fn a_reload_takes_its_bytes_over_the_read_bandwidth() {
    // 5.682 TB at 2 TB/s: 2.84 s.
    let mut plan = plan(2_048, days(1.0));
    plan.model.parameters = 405.853e9;
    plan.checkpoint = saving(minutes(10.0), Span::SECOND, Span::ZERO);
    assert_eq!(Schedule::new(&plan).expect("sound").quickest_reload(), Span::ZERO);
    plan.checkpoint[0].1.read_bandwidth = Some(BytesPerSecond::new(2e12));
    let reload = Schedule::new(&plan).expect("sound").quickest_reload().as_secs_f64();
    assert!((reload - 2.841).abs() < 0.001, "{reload} s");
}

#[test]
fn too_few_spares_are_a_cliff_for_a_job_that_waits() {
    // 12.8 nodes in repair on average; P(Poisson(12.8) <= spares) x 0.929, each +- 0.03.
    for (hot, expected) in [(32, 0.93), (16, 0.79), (8, 0.10)] {
        let plan = JobPlan {
            failures: exponential(3.79e-3),
            checkpoint: saving(minutes(10.0), Span::from_secs(2), Span::ZERO),
            recovery: Recovery { repair: days(1.65), ..stalling(minutes(8.0), FailureClock::Wall) },
            spares: Spares { hot, cold: 0, ..Spares::default() },
            ..plan(2_048, days(1e4))
        };
        let (mean, error) = mean_ettr(&plan, 10, days(1_000.0));
        assert!((mean - expected).abs() < 0.03, "{hot} spares: {mean} +- {error}, not {expected}");
    }
}

/// One phase after the other at tokens a second, and what is left of the speed.
fn phased(rate: f64, phases: &[(u64, f64)]) -> Progress {
    let phase = |&(tokens, speed): &(u64, f64)| Phase {
        tokens: Tokens::new(tokens),
        nodes: 4,
        progress: Progress::TokensPerSecond(PerSecond::new(speed)),
    };
    Progress::Phased { phases: phases.iter().map(phase).collect(), rate }
}

#[test]
fn a_phase_trains_at_its_own_speed() {
    // 1e12 tokens at 1e6 a second, then as many at 2e6: 1e6 s and 5e5 s.
    let progress = phased(1.0, &[(1_000_000_000_000, 1e6), (1_000_000_000_000, 2e6)]);
    let plan = JobPlan { tokens: Tokens::new(2_000_000_000_000), progress, ..plan(4, Span::DAY) };
    for (seconds, tokens) in [(500_000, 0.5e12), (1_000_000, 1e12), (1_250_000, 1.5e12), (1_600_000, 2e12)] {
        let facts = run(plan.clone(), 1, Span::from_secs(seconds)).facts;
        assert_eq!(facts.kept, Tokens::new(tokens as u64), "after {seconds} s");
        assert_eq!(facts.ideal, Span::from_secs(seconds.min(1_500_000)), "after {seconds} s");
        assert_eq!(facts.finished.is_some(), seconds > 1_500_000);
    }
    let bloom = |global_batch: f64| StepTime {
        // 105.5 s at a batch of 2,048; a step of 192 at 73 of 149 TFLOP/s (bigscience-workshop/bigscience tr11-176B-ml/README.md).
        time: Span::from_secs_f64(
            105.5 * global_batch / 2_048.0 * if global_batch < 2_048.0 { 149.0 / 73.0 } else { 1.0 },
        ),
        tokens: Tokens::new((global_batch * 2_048.0) as u64),
    };
    let phase = |tokens: f64, batch| Phase {
        tokens: Tokens::new(tokens as u64),
        nodes: 4,
        progress: Progress::Step(bloom(batch)),
    };
    let phases = vec![phase(20e9, 192.0), phase(346e9, 2_048.0)];
    let ramped =
        JobPlan { tokens: Tokens::new(366_000_000_000), progress: Progress::Phased { phases, rate: 1.0 }, ..plan };
    // 106.55 d at the full batch, of which the first 20 of 366 G tokens take 149 / 73 as long if the whole ramp ran as it began.
    let expected = 106.55 * (346.0 + 20.0 * 149.0 / 73.0) / 366.0;
    assert!((ramped.ideal().days() - expected).abs() < 0.01, "{} d, expected {expected}", ramped.ideal().days());
}

#[test]
fn what_slows_a_job_has_a_bucket_of_its_own() {
    let tokens = Tokens::new(9_000_000_000_000);
    let slowed = |checkpoint| JobPlan {
        tokens,
        progress: Progress::Phased {
            phases: vec![Phase { tokens, nodes: 4, progress: Progress::Ideal(days(9.0)) }],
            rate: 0.9,
        },
        checkpoint,
        ..plan(4, Span::DAY)
    };
    let outcome = run(slowed(Vec::new()), 1, days(20.0));
    assert_eq!(outcome.facts.finished, Some(SimTime::ZERO + days(10.0)));
    assert_eq!((outcome.facts.ideal, outcome.facts.kept), (days(9.0), tokens));
    let gpu_days = |what| outcome.gpu_nanos(what) as f64 / (32.0 * days(1.0).nanos() as f64);
    assert!((gpu_days(Use::Productive) - 9.0).abs() < 1e-9, "{} d", gpu_days(Use::Productive));
    assert!((gpu_days(Use::Slow) - 1.0).abs() < 1e-9, "{} d", gpu_days(Use::Slow));

    // Failures and saves beside it: closing asserts that each GPU-nanosecond lies in one bucket. Kept work takes 10/9 of full speed.
    let checkpoint = saving(minutes(30.0), minutes(1.0), Span::ZERO);
    let failures = failing_every(days(0.5), 4);
    let recovery = stalling(minutes(10.0), FailureClock::Wall);
    let outcome = run(JobPlan { failures, recovery, ..slowed(checkpoint) }, 1, days(8.0));
    assert!(outcome.facts.interruptions > 5);
    let (kept, slow) = (outcome.gpu_nanos(Use::Productive) as f64, outcome.gpu_nanos(Use::Slow) as f64);
    assert!((slow / (kept + slow) - 0.1).abs() < 1e-6, "{}", slow / (kept + slow));
    let ideal = outcome.facts.ideal.nanos() as f64 * 32.0;
    assert!((kept / ideal - 1.0).abs() < 1e-6, "productive time is what the kept tokens take at full speed");
}

#[test]
fn writing_in_the_background_takes_what_it_is_said_to() {
    // 5 min of writing at nine tenths after every 10 min of work: 10 of 10.5 min are progress.
    let mut checkpoint = saving(minutes(10.0), Span::ZERO, minutes(5.0));
    checkpoint[0].1.interference = Share::new(0.1);
    let job = JobPlan { checkpoint: checkpoint.clone(), ..plan(4, days(40.0)) };
    let outcome = run(job, 1, days(21.0));
    assert!((outcome.ettr(SimTime::ZERO + days(21.0)) - 10.0 / 10.5).abs() < 1e-4);
    let part = outcome.gpu_nanos(Use::Interference) as f64 / (32.0 * days(21.0).nanos() as f64);
    assert!((part - 0.5 / 10.5).abs() < 1e-4, "{part}");
    assert_eq!(outcome.gpu_nanos(Use::Checkpoint), 0, "nothing stops the job");

    // A copy counts no earlier than without: at the instant at which it is written.
    let (failing, at) = first_failure();
    let every = Span::from_nanos(at.nanos()).saturating_sub(minutes(5.0));
    for (later, is_kept) in [(0, true), (1, false)] {
        checkpoint[0].1.every = Every::Fixed(every + Span::from_nanos(later));
        let job = JobPlan { checkpoint: checkpoint.clone(), ..failing.clone() };
        let outcome = run(job, 9, Span::from_nanos(at.nanos() + 1));
        assert_eq!(outcome.gpu_nanos(Use::Productive) > 0, is_kept);
    }
}
