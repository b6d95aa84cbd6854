//! Repair that takes crews and may fix nothing, nodes that are given up, and jobs that shrink instead of waiting.

use crate::training::{days, failing_every, minutes, plan, run, saving, stalling};
use tollway::fault::{FailureLaw, InitialAge, Mixture};
use tollway::ledger::Use;
use tollway::training::{FailureClock, JobPlan, Recovery, Retire, Short, Spares};
use tollway::units::{PerSecond, Share, Span};

/// Quick stalls and free copies every minute, so that only nodes matter.
fn nimble(nodes: u32, recovery: Recovery) -> JobPlan {
    JobPlan {
        checkpoint: saving(minutes(1.0), Span::ZERO, Span::ZERO),
        recovery: Recovery { detect: Span::ZERO, localise: Span::ZERO, restart: Some(Span::SECOND), ..recovery },
        ..plan(nodes, days(1e5))
    }
}

fn shrinking(replica: u32) -> Spares {
    Spares { short: Short::Shrink { replica, rejoin: minutes(2.0) }, ..Spares::default() }
}

#[test]
fn a_job_that_shrinks_goes_on_with_the_whole_replicas_that_are_left() {
    // 64 nodes in replicas of 8 fail once in 36 h of all of them and take 2 d to repair: 1.28 in repair on average.
    let recovery = Recovery { repair: days(2.0), ..stalling(Span::SECOND, FailureClock::Wall) };
    let base = JobPlan { failures: failing_every(days(1.5625), 64), ..nimble(64, recovery) };
    let horizon = days(4_000.0);
    let ettr = |spares| {
        let outcome = run(JobPlan { spares, ..base.clone() }, 1, horizon);
        let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
        assert_eq!(total, 512 * u128::from(horizon.nanos()), "each GPU-nanosecond in one use");
        (outcome.facts.ideal.as_secs_f64() / horizon.as_secs_f64(), outcome)
    };
    let (waits, _) = ettr(Spares::default());
    let (shrinks, outcome) = ettr(shrinking(8));
    // Nodes in repair are Poisson; a replica is whole or not: P(0) + 7/8 (P(1) + … + P(8)), for those that compute. Waiting, the job
    // runs with all nodes or not at all: exp(-1.28) of the time, and failures come while it waits, too.
    let expected = 0.278 + 0.875 * 0.722;
    assert!((shrinks - expected).abs() < 0.02, "{shrinks}, not {expected}");
    assert!((waits - 0.278).abs() < 0.03, "{waits}");
    assert_eq!(outcome.gpu_nanos(Use::SpareWait), 0);
    assert_eq!(outcome.gpu_nanos(Use::Spare), 0);
    // The rest of a broken replica stands by: with the nodes in repair, what the nodes that compute lack.
    let lacking = outcome.gpu_nanos(Use::Degraded) + outcome.gpu_nanos(Use::Repair);
    let running = outcome.facts.time.of(Use::Productive) + outcome.facts.time.of(Use::Degraded);
    assert!(outcome.gpu_nanos(Use::Degraded) > 0);
    let expected = 512 * u128::from(outcome.facts.time.of(Use::Degraded).nanos());
    assert!(lacking.abs_diff(expected) < expected / 100, "{lacking} GPU-ns stand still, {expected} lost");
    assert_eq!(outcome.facts.time.total(), horizon, "each of the job's seconds in one use");
    assert!(running > days(3_900.0), "{running}");
    // Its productive time is that of the work; what it took longer on fewer replicas is degraded.
    let productive = outcome.facts.time.of(Use::Productive).as_secs_f64();
    assert!((productive / outcome.facts.ideal.as_secs_f64() - 1.0).abs() < 1e-9, "{productive} s");
    // A node that computes is productive, however many there are.
    let productive = outcome.gpu_nanos(Use::Productive) as f64 / 512.0;
    assert!((productive / outcome.facts.ideal.nanos() as f64 - 1.0).abs() < 1e-6);
}

#[test]
fn a_job_that_shrinks_still_finishes_exactly() {
    let recovery = Recovery { repair: days(2.0), ..stalling(minutes(8.0), FailureClock::Wall) };
    let short = JobPlan { failures: failing_every(days(0.4), 64), spares: shrinking(16), ..nimble(64, recovery) };
    for clock in [FailureClock::Serial, FailureClock::Wall, FailureClock::Uptime] {
        let recovery = Recovery { failure_clock: clock, ..short.recovery.clone() };
        let progress = tollway::training::Progress::Ideal(days(30.0));
        let outcome = run(JobPlan { progress, recovery, ..short.clone() }, 2, days(400.0));
        let finished = outcome.facts.finished.expect("it gets there");
        assert_eq!(outcome.facts.ideal, days(30.0), "{clock:?}");
        let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
        assert_eq!(total, 512 * u128::from(finished.nanos()), "{clock:?}");
        assert!(finished.as_secs_f64() > 30.0 * 86_400.0 * 1.2, "{clock:?}: it ran on fewer nodes");
    }
}

#[test]
fn one_crew_keeps_more_nodes_waiting_than_many() {
    // 64 nodes, a failure a day, half a day of repair: half busy, a queue of one crew holds as many again.
    let spares = Spares { hot: 40, ..Spares::default() };
    let in_repair = |crews| {
        let recovery = Recovery { repair: days(0.5), crews, ..stalling(Span::SECOND, FailureClock::Wall) };
        let failures = failing_every(days(1.0), 64);
        let outcome = run(JobPlan { failures, spares, ..nimble(64, recovery) }, 1, days(4_000.0));
        outcome.gpu_nanos(Use::Repair) as f64 / 8.0 / days(4_000.0).nanos() as f64
    };
    // M/M/infinity: 0.5; M/M/1: 0.5 / (1 - 0.5).
    assert!((in_repair(None) - 0.5).abs() < 0.05, "{}", in_repair(None));
    assert!((in_repair(Some(1)) - 1.0).abs() < 0.15, "{}", in_repair(Some(1)));
}

#[test]
fn repairs_that_do_not_fix_bring_the_failure_back() {
    let spares = Spares { hot: 20, ..Spares::default() };
    let interruptions = |unfixed, requalify| {
        let recovery = Recovery {
            repair: minutes(60.0),
            unfixed: Share::new(unfixed),
            requalify,
            relapse: minutes(60.0),
            ..stalling(Span::SECOND, FailureClock::Wall)
        };
        let failures = failing_every(days(1.0), 64);
        run(JobPlan { failures, spares, ..nimble(64, recovery) }, 1, days(4_000.0)).facts.interruptions as f64
    };
    let (always, never) = (interruptions(0.0, Span::ZERO), interruptions(0.25, Span::ZERO));
    // Each failure brings 0.25 + 0.25^2 + … more, once its node computes again: spares wait their turn.
    assert!((always / 4_000.0 - 1.0).abs() < 0.05, "{always}");
    assert!((never / always - 4.0 / 3.0).abs() < 0.08, "{never} against {always}");
    let tested = interruptions(0.25, minutes(30.0));
    assert!((tested / always - 1.0).abs() < 0.08, "a test finds them all: {tested}");
}

#[test]
fn giving_lemons_up_makes_failures_rare() {
    let law = FailureLaw::Mixed {
        rate: PerSecond::per_day(0.01),
        shape: 1.0,
        initial_age: InitialAge::Stationary,
        mixture: Mixture { shape: 0.3 },
    };
    let failures_with = |retire| {
        let recovery = Recovery { repair: minutes(60.0), retire, ..stalling(Span::SECOND, FailureClock::Wall) };
        // Few spares: a lemon that is mended is soon back at work.
        let spares = Spares { hot: 12, ..Spares::default() };
        let base = JobPlan { failures: law.into(), spares, ..nimble(200, recovery) };
        (0..10).map(|seed| run(base.clone(), seed, days(365.0)).facts.interruptions as f64).sum::<f64>() / 10.0
    };
    let retire = Retire { after: 3, within: Some(days(60.0)), replacement: Some(days(14.0)) };
    let (kept, given_up) = (failures_with(None), failures_with(Some(retire)));
    assert!(kept > 400.0, "{kept}");
    assert!(given_up < 0.85 * kept, "{given_up} against {kept}");
    let never = Retire { after: 1_000, within: None, replacement: None };
    assert_eq!(failures_with(Some(never)), kept, "a threshold that nobody reaches changes nothing");
}

#[test]
fn a_replica_that_comes_back_leaves_the_copies_there() {
    // Two replicas of two nodes. Node 3 is away from 00:30 to 05:00; saves come by the hour of useful time. Node 1 breaks at 05:10.
    let faults = "3,1800,18000,gpu,,false\n1,18600,18600,gpu,,false\n";
    let job = crate::spares::job("one", 0, "{ short = { shrink = { replica = 2, rejoin = \"2 min\" } } }");
    let accounts = crate::spares::accounts(4, faults, &job);
    // Half an hour is lost at first. From 00:46 on it runs on two nodes, saves at 01:46, 02:46, 03:46 and 04:46, and stops at 05:00; what follows
    // the last of these saves, 14 minutes on two nodes and 8 on four, is lost.
    let lost = 32.0 * 0.5 + 16.0 * 14.0 / 60.0 + 32.0 * 8.0 / 60.0;
    let found = crate::spares::gpu_hours(&accounts, "one", "recomputed_gpu_hours");
    assert!((found - lost).abs() < 0.6, "{found} GPU-h, not {lost}");
}

#[test]
fn a_node_that_was_not_fixed_fails_again_whoever_has_it_next() {
    // Nodes fail every other day, nine repairs of ten fix nothing, and such a node fails again in three hours on average. Ten hours of a job
    // after another of ten days, on the same nodes, against the same job on a fresh cluster.
    let interruptions = |before: bool| {
        let of_seed = |seed: u64| {
            let job = |name: &str, hours: u32, submit: u32| {
                format!(
                    "[training.{name}]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 4\ntokens = 1e6\nideal = \"{hours} h\"\n\
                     submit = \"{submit} h\"\nrecovery = {{ detect = \"0 s\", localise = \"0 s\", restart = \"1 s\" }}\n\
                     checkpoint.remote = {{ every = \"1 min\", blocking = \"0 s\", background = \"0 s\" }}\n"
                )
            };
            let first = if before { job("first", 240, 0) } else { String::new() };
            let text = format!(
                "name = \"heirs\"\nseed = {seed}\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"40 d\"\n[site.here]\ngrid = \"erco\"\n\
                 tariff = {{ flat = \"$0.08/kWh\" }}\n[cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = 4\n\
                 failures = {{ exponential = {{ rate = \"0.5 /d\" }} }}\n\
                 repair = {{ mean = \"1 min\", unfixed = 0.9, relapse = \"3 h\" }}\n{first}{}",
                job("heir", 10, 1)
            );
            let scenario =
                tollway::scenario::parse("heirs.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
            let accounts = tollway::simulate(&scenario, |_| ()).accounts;
            accounts.figure("training.heir", "interruptions", "").expect("a figure")
        };
        (0..60).map(of_seed).sum::<f64>() / 60.0
    };
    let (fresh, after) = (interruptions(false), interruptions(true));
    // A node is whole for 48 h and then, nine times on average, fails again after 3 h: unfixed for 27 h of 75. In ten hours four of them fail
    // 4 x (0.36 x 10 / 3 + 0.64 x 10 / 48) = 5.3 times; those of a fresh cluster, of which few have failed yet, 1.9 times.
    assert!((after - 5.3).abs() < 1.5, "{after}");
    assert!((fresh - 1.9).abs() < 0.9, "{fresh}");
}
