//! Nodes and links that become slow, and the jobs that wait for them.

use crate::training::{days, failing_every, minutes, plan, run, saving, stalling};
use tollway::fault::{EvictSlow, FailureLaw, FaultPlan, Lasts, Straggler};
use tollway::ledger::{EventKind, Use};
use tollway::training::{FailureClock, JobPlan, Phase, Progress, Recovery, Short, Spares};
use tollway::units::{PerSecond, Share, SimTime, Span};
use tollway::world::{Domain, DomainTree, Domains};

/// Spells of `domain`, each `per_day`, that all last as long and leave nine tenths.
fn slow(domain: Domain, per_day: f64, median: Span) -> FaultPlan {
    let lasts = Lasts { median, sigma: 0.0 };
    let straggler = Straggler { rate: PerSecond::per_day(per_day), speed: Share::new(0.9), lasts, evict: None };
    FaultPlan {
        stragglers: vec![(domain, straggler)],
        tree: DomainTree { nodes: 256, gpus_per_node: 8, sizes: Domains::default() },
        ..FailureLaw::None.into()
    }
}

#[test]
fn a_job_goes_at_the_speed_of_its_slowest_member() {
    let horizon = days(4_000.0);
    for (domain, per_day, instances, tolerance) in
        // 64 nodes in two switches; a spell is over after an hour. Three standard errors of the time in spells.
        [
            (Domain::Site, 1.0, 1.0, 0.000_21),
            (Domain::Node, 0.25, 64.0, 0.001),
            (Domain::Switch, 2.0, 2.0, 0.0006),
        ]
    {
        let job = JobPlan { failures: slow(domain, per_day, minutes(60.0)), ..plan(64, days(1e5)) };
        let outcome = run(job, 1, horizon);
        let slow_part = 1.0 / (1.0 + 24.0 / per_day);
        let expected = 1.0 - 0.1 * (1.0 - libm::pow(1.0 - slow_part, instances));
        let found = outcome.facts.ideal.as_secs_f64() / horizon.as_secs_f64();
        assert!((found - expected).abs() < tolerance, "{domain:?}: {found}, not {expected}");
        let all = 512 * u128::from(horizon.nanos());
        assert_eq!(outcome.gpu_nanos(Use::Productive) + outcome.gpu_nanos(Use::Slow), all, "{domain:?}");
        let slowed = outcome.gpu_nanos(Use::Slow) as f64 / all as f64;
        assert!((slowed - (1.0 - found)).abs() < 1e-9, "{domain:?}: the books say {slowed}");
        let lost = outcome.facts.stragglers.expect("something is slow").lost.as_secs_f64() / horizon.as_secs_f64();
        assert!((lost - slowed).abs() < 1e-9);
        assert_eq!(outcome.facts.slowed, Span::ZERO, "power control has no part in it");
    }
}

#[test]
fn what_slows_a_job_multiplies() {
    // Half the speed from the first hours on, on top of 0.8: two fifths.
    let mut failures = slow(Domain::Site, 20.0, days(1e4));
    failures.stragglers[0].1.speed = Share::new(0.5);
    let base = plan(8, days(10.0));
    let phases = vec![Phase { tokens: base.tokens, nodes: base.nodes, progress: Progress::Ideal(days(10.0)) }];
    let job = JobPlan { failures, progress: Progress::Phased { phases, rate: 0.8 }, ..base };
    let outcome = run(job, 1, days(100.0));
    let finished = outcome.facts.finished.expect("it gets there").as_secs_f64();
    let onset = outcome.book.events().iter().find(|event| event.kind == EventKind::Slowed).expect("it is slowed");
    let full = onset.at.as_secs_f64();
    let expected = full + (12.5 * 86_400.0 - full) / 0.5;
    assert!((finished - expected).abs() < 1e-3, "{finished} s, not {expected} s");
    let productive = outcome.gpu_nanos(Use::Productive) as f64 / 64e9;
    assert!((productive - 10.0 * 86_400.0).abs() < 1.0, "{productive} s at full speed");
}

#[test]
fn a_slow_node_is_taken_out_where_a_spare_stands_by() {
    let mut failures = slow(Domain::Node, 0.001, days(1e4));
    failures.stragglers[0].1.evict = Some(EvictSlow { detect: minutes(10.0) });
    let recovery = Recovery { repair: days(2.0), ..stalling(minutes(8.0), FailureClock::Wall) };
    let checkpoint = saving(minutes(30.0), Span::ZERO, Span::ZERO);
    let base = JobPlan { failures, recovery, checkpoint, ..plan(64, days(1e5)) };
    let spares = Spares { hot: 8, ..Spares::default() };
    let outcome = run(JobPlan { spares, ..base.clone() }, 1, days(2_000.0));
    let facts = outcome.facts.stragglers.expect("something is slow");
    // 72 nodes, spares too, x 0.001 x 2,000 = 144, of which 64 in 72 compute; four standard errors. Each costs 10 min at nine tenths and a restart, and no work.
    assert!((83..=173).contains(&facts.spells), "{} spells", facts.spells);
    assert!(facts.evicted >= facts.spells - 1, "{} of {} evicted", facts.evicted, facts.spells);
    let minute = 60.0 * facts.spells as f64;
    assert!((facts.lost.as_secs_f64() / minute - 1.0).abs() < 0.05, "{} lost", facts.lost);
    assert_eq!((outcome.facts.interruptions, outcome.gpu_nanos(Use::Recomputed)), (0, 0));
    assert!(outcome.gpu_nanos(Use::Planned) > 0 && outcome.gpu_nanos(Use::Repair) > 0);
    let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
    assert_eq!(total, 72 * 8 * u128::from(days(2_000.0).nanos()));
    // Without a spare nobody is sent away, and the first spell lasts for ever.
    let endured = run(base, 1, days(2_000.0)).facts;
    let endured_facts = endured.stragglers.expect("something is slow");
    assert_eq!(endured_facts.evicted, 0);
    assert!(endured_facts.lost > days(150.0), "{}", endured_facts.lost);
}

#[test]
fn stragglers_among_everything_else_leave_the_books_whole() {
    let failures = FaultPlan { law: failing_every(days(0.4), 64).law, ..slow(Domain::Node, 0.05, minutes(90.0)) };
    for (clock, evict) in [
        (FailureClock::Serial, None),
        (FailureClock::Wall, Some(EvictSlow::default())),
        (FailureClock::Uptime, Some(EvictSlow::default())),
    ] {
        let mut failures = failures.clone();
        failures.stragglers[0].1.evict = evict;
        let short = Short::Shrink { replica: 8, rejoin: minutes(2.0) };
        let job = JobPlan {
            failures,
            checkpoint: saving(minutes(20.0), Span::from_secs(5), minutes(1.0)),
            recovery: Recovery { repair: days(1.0), ..stalling(minutes(8.0), clock) },
            spares: Spares { hot: 1, cold: 1, short },
            ..plan(64, days(20.0))
        };
        let outcome = run(job, 3, days(200.0));
        let finished = outcome.facts.finished.expect("it gets there");
        let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
        assert_eq!(total, 66 * 8 * u128::from(finished.since(SimTime::ZERO).nanos()), "{clock:?}");
        assert_eq!(outcome.facts.ideal, days(20.0), "{clock:?}");
        assert!(outcome.gpu_nanos(Use::Slow) > 0, "{clock:?}");
    }
}
