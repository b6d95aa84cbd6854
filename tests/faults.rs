//! Faults of whole domains, and which copy of the checkpoint survives them.

use crate::training::{
    days, exponential, failing_every, failure_rows, mean_ettr, minutes, plan, renewal, run, saving, stalling,
};
use tollway::fault::{Blast, Burst, FailureLaw, FaultPlan, Modulation, Period, Symptoms};
use tollway::ledger::{EventKind, Use};
use tollway::training::{FailureClock, JobPlan, Recovery, Spares};
use tollway::units::{PerSecond, Ratio, Share, SimTime, Span};
use tollway::world::{Domain, DomainTree, Domains};

/// Bursts of `domain`, each `per_day`, in a cluster of `nodes` nodes where nothing else breaks.
fn bursting(domain: Domain, per_day: f64, nodes: u32) -> FaultPlan {
    let burst = Burst { rate: PerSecond::per_day(per_day), hits: Blast::default(), spread: Span::ZERO, repair: None };
    FaultPlan {
        bursts: vec![(domain, burst)],
        tree: DomainTree { nodes, gpus_per_node: 8, sizes: Domains::default() },
        ..FailureLaw::None.into()
    }
}

/// A tier in the memory of peers outside the own `domain` every minute, and a remote store every half hour.
fn two_tiers(domain: Domain) -> Vec<(String, tollway::training::Checkpoint)> {
    let mut tiers = saving(minutes(1.0), Span::ZERO, Span::ZERO);
    tiers[0].1.survives = domain;
    tiers.extend(saving(minutes(30.0), Span::ZERO, Span::ZERO));
    tiers
}

#[test]
fn a_burst_is_one_interruption_of_many_nodes() {
    let base = JobPlan {
        failures: bursting(Domain::Rack, 0.05, 72),
        recovery: Recovery { repair: days(2.0), ..stalling(minutes(10.0), FailureClock::Wall) },
        spares: Spares { hot: 8, cold: 0, ..Spares::default() },
        ..plan(64, days(1e3))
    };
    let outcome = run(base.clone(), 1, days(100.0));
    // 18 racks x 0.05 x 100 d = 90 bursts, of which 16 racks compute at first. Four standard errors.
    assert!((40..=125).contains(&outcome.facts.interruptions), "{} bursts", outcome.facts.interruptions);
    let rows = failure_rows(&outcome);
    assert_eq!(rows.len() as u64, outcome.facts.interruptions);
    assert_eq!(rows[0].1.split('-').count(), 2, "four nodes in a row: {}", rows[0].1);
    assert!(outcome.rows(EventKind::SpareFailure) > 0, "spares go with their rack");
    assert!(outcome.gpu_nanos(Use::SpareWait) > 0, "eight spares bridge two racks, and repairs take two days");
    let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
    assert_eq!(total, 72 * 8 * u128::from(days(100.0).nanos()));
    let many = run(JobPlan { spares: Spares { hot: 64, cold: 0, ..Spares::default() }, ..base }, 1, days(100.0));
    assert_eq!(many.gpu_nanos(Use::SpareWait), 0, "64 spares bridge them all");
}

#[test]
fn a_domain_that_is_mended_as_a_whole_gives_all_its_nodes_back_together() {
    let mut failures = bursting(Domain::Rack, 0.05, 68);
    failures.bursts[0].1.repair = Some(days(0.5));
    let recovery = Recovery { repair: days(30.0), ..stalling(minutes(10.0), FailureClock::Wall) };
    let base =
        JobPlan { failures, recovery, spares: Spares { hot: 4, cold: 0, ..Spares::default() }, ..plan(64, days(1e3)) };
    let repair_of = |base: &JobPlan| run(base.clone(), 3, days(60.0)).gpu_nanos(Use::Repair);
    let mut alone = base.clone();
    alone.failures.bursts[0].1.repair = None;
    assert!(repair_of(&base) * 5 < repair_of(&alone), "half a day, not thirty");
}

#[test]
fn a_restart_reads_the_newest_copy_that_survives_what_broke() {
    // A switch fails every 3 h. Copies in a neighbouring rack are gone, those beyond the switch are not: by renewal theory the
    // job loses half of 30 minutes, or half of one.
    for (survives, t) in [(Domain::Rack, 30.0), (Domain::Switch, 1.0)] {
        let plan = JobPlan {
            failures: bursting(Domain::Switch, 4.0, 64),
            checkpoint: two_tiers(survives),
            recovery: stalling(minutes(8.0), FailureClock::Wall),
            ..plan(64, days(1e4))
        };
        let (mean, error) = mean_ettr(&plan, 20, days(60.0));
        let expected = renewal(180.0, t, 0.0, 8.0);
        assert!((mean - expected).abs() < 3.0 * error, "{survives:?}: {mean} +- {error}, not {expected}");
        assert!(error < 0.002, "enough replications to tell");
    }
}

#[test]
fn work_of_earlier_stretches_that_is_lost_is_done_again_and_booked_as_that() {
    // Nodes fail every 20 min, which a peer's memory survives; the switches of the job every 6 h, which only the remote copy does.
    let plan = JobPlan {
        failures: FaultPlan { law: failing_every(minutes(20.0), 64).law, ..bursting(Domain::Switch, 2.0, 64) },
        checkpoint: two_tiers(Domain::Rack),
        recovery: stalling(minutes(2.0), FailureClock::Wall),
        ..plan(64, days(20.0))
    };
    let outcome = run(plan.clone(), 1, days(200.0));
    let finished = outcome.facts.finished.expect("it gets there");
    // Each switch failure loses 15 min, most of it from before the last restart; each node failure half a minute.
    let nanos = |what| (outcome.gpu_nanos(what) / 512) as f64;
    let switches = outcome.book.events().iter().filter(|event| event.detail.starts_with("switch")).count() as f64;
    let nodes = outcome.facts.interruptions as f64 - switches;
    let expected = (switches * 15.0 + nodes * 0.5) * 60e9;
    assert!(switches > 60.0 && nodes > 1_000.0, "{switches} and {nodes}");
    // Three standard errors of a uniform loss up to 30 min.
    let tolerance = 3.0 * switches.sqrt() * 30.0 * 60e9 / 12_f64.sqrt();
    let recomputed = nanos(Use::Recomputed);
    assert!((recomputed - expected).abs() < tolerance, "{recomputed} ns done again, not {expected} +- {tolerance}");
    assert_eq!(outcome.gpu_nanos(Use::Productive), 512 * u128::from(days(20.0).nanos()), "kept work is done once");
    let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
    assert_eq!(total, 512 * u128::from(finished.nanos()));
    // The same losses as the rows of events say.
    let said: f64 = outcome
        .book
        .events()
        .iter()
        .filter(|event| event.kind == EventKind::Failure)
        .map(|event| {
            let words: Vec<&str> = event.detail.split_whitespace().collect();
            let at = words.iter().position(|&word| word == "lost").expect("a failure says what it cost");
            words[at + 1].parse::<f64>().expect("a number")
        })
        .sum();
    assert!((said * 1e9 - recomputed).abs() < 0.5e9 * outcome.facts.interruptions as f64);
}

#[test]
fn without_a_copy_that_survives_everything_is_lost() {
    let plan = JobPlan {
        failures: bursting(Domain::Site, 1.0, 64),
        checkpoint: {
            let mut tiers = saving(minutes(1.0), Span::ZERO, Span::ZERO);
            tiers[0].1.survives = Domain::Node;
            tiers
        },
        recovery: stalling(minutes(8.0), FailureClock::Wall),
        ..plan(64, days(1e3))
    };
    let outcome = run(plan, 1, days(30.0));
    let last = failure_rows(&outcome).back().expect("a site that fails").0;
    let kept = SimTime::ZERO + days(30.0);
    assert_eq!(outcome.facts.ideal, kept.since(last + minutes(8.0)), "only what came after the last burst");
    assert!(outcome.gpu_nanos(Use::Productive) >= 512 * u128::from(outcome.facts.ideal.nanos()));
}

#[test]
fn a_slower_tier_keeps_its_round_through_restarts() {
    // Failures every 5 min, which the memory survives: a remote save each hour of work still comes, and a site failure finds it.
    let plan = JobPlan {
        failures: failing_every(minutes(5.0), 64),
        checkpoint: {
            let mut tiers = saving(minutes(1.0), Span::ZERO, Span::ZERO);
            tiers[0].1.survives = Domain::Node;
            tiers.extend(saving(minutes(60.0), Span::ZERO, Span::ZERO));
            tiers
        },
        recovery: stalling(Span::SECOND, FailureClock::Wall),
        ..plan(64, days(10.0))
    };
    let outcome = run(plan, 1, days(30.0));
    assert!(outcome.facts.finished.is_some());
    let done = outcome.gpu_nanos(Use::Productive) / 512;
    let remote = outcome.facts.checkpoints as f64 - done as f64 / 60e9;
    // One remote save an hour; work that is done again does not repeat the minute's save that it restarts from.
    assert!((remote - 240.0).abs() < 60.0, "{remote} saves beside the {} of the memory", done as f64 / 60e9);
}

#[test]
fn a_share_of_a_domain_and_random_nodes_fall_too() {
    for (hits, most) in [(Blast::Share(Share::new(0.25)), 64), (Blast::Batch { least: 2, extra: 1.57 }, 30)] {
        let mut failures = bursting(Domain::Site, 2.0, 64);
        failures.bursts[0].1.hits = hits;
        let recovery = Recovery { repair: minutes(1.0), ..stalling(minutes(8.0), FailureClock::Wall) };
        let outcome = run(JobPlan { failures, recovery, ..plan(64, days(1e3)) }, 1, days(50.0));
        assert!((70..140).contains(&outcome.facts.interruptions), "{hits:?}: {}", outcome.facts.interruptions);
        let nodes = |text: &str| {
            text.split_whitespace()
                .map(|part| {
                    part.split_once('-').map_or(1, |(from, to)| {
                        to.parse::<u32>().expect("a node") - from.parse::<u32>().expect("a node") + 1
                    })
                })
                .sum::<u32>()
        };
        assert!(failure_rows(&outcome).iter().all(|(_, hit)| nodes(hit) <= most));
        assert!(failure_rows(&outcome).iter().any(|(_, hit)| nodes(hit) > 4));
    }
}

#[test]
fn nodes_fail_by_themselves_as_they_did_before_their_domains_could() {
    let alone = JobPlan { failures: exponential(0.02), ..plan(64, days(1e3)) };
    let failures = FaultPlan { law: alone.failures.law, ..bursting(Domain::Switch, 0.5, 64) };
    let both = JobPlan { failures, ..alone.clone() };
    let own = |plan| {
        let outcome = run(plan, 5, days(60.0));
        let own = outcome
            .book
            .events()
            .iter()
            .filter(|event| event.kind == EventKind::Failure && event.detail.starts_with("lost"));
        own.map(|event| (event.at, event.nodes.clone())).collect::<Vec<_>>()
    };
    assert!(own(alone.clone()).len() > 50);
    assert_eq!(own(alone), own(both), "a new kind of fault moves no other");
}

#[test]
fn a_run_on_the_faults_of_another_is_the_same_run() {
    // Hangs, bursts mended as a whole and node by node, crews that keep nodes waiting, repairs that do not fix and nodes given up; two jobs,
    // of which one takes nodes of the other; on each clock.
    for clock in ["serial", "wall", "uptime"] {
        let folder = tempfile::tempdir().expect("a folder");
        let first = format!(
            "name = \"base\"\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"60 d\"\n\
             [site.home]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
             [cluster.main]\nsite = \"home\"\nnode = \"dgx-h100\"\nnodes = 286\nsymptoms = {{ hang = 0.2 }}\n\
             failures = {{ exponential = {{ rate = \"0.01 /d\" }} }}\nbursts.rack = {{ rate = \"0.005 /d\", repair = \"6 h\" }}\n\
             bursts.switch = {{ rate = \"0.003 /d\", hits = {{ share = 0.5 }} }}\n\
             [training.job]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 200\ntokens = 1e15\nmfu = 0.4\npriority = 1\n\
             spares = {{ hot = 2, cold = 2, short = {{ preempt = {{}} }} }}\nplanned.rate = \"0.5 /d\"\n\
             recovery = {{ repair = \"1 d\", crews = 4, unfixed = 0.2, retire = {{ after = 4 }}, failure_clock = \"{clock}\" }}\n\
             checkpoint.remote = {{ every = \"30 min\" }}\n\
             [training.lesser]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 80\ntokens = 1e15\nmfu = 0.4\n\
             recovery = {{ repair = \"1 d\", failure_clock = \"{clock}\" }}\ncheckpoint.remote = {{ every = \"30 min\" }}\n"
        );
        let second = "extends = \"first.toml\"\n[cluster.main]\nfailures = { trace = { csv = { path = \"first/faults.csv\" } } }\n\
                      bursts.rack.rate = \"1e-15 /d\"\nbursts.switch.rate = \"1e-15 /d\"\n";
        let results = [("first", first.as_str()), ("second", second)].map(|(name, scenario)| {
            let (file, out) = (folder.path().join(format!("{name}.toml")), folder.path().join(name));
            std::fs::write(&file, scenario).expect("writable");
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tollway"));
            let done = command.arg("run").arg(&file).arg("--out").arg(&out).output().expect("the binary runs");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            ["faults.csv", "events.csv", "buckets.csv", "jobs.csv", "power.csv"]
                .map(|file| std::fs::read_to_string(out.join(file)).expect("readable"))
        });
        let [faults, events, ..] = &results[0];
        for word in [",hang,", ",rack,", ",switch,"] {
            assert!(faults.contains(word), "{clock}: no {word}");
        }
        assert!(events.contains(",preempted,") && events.contains(",took_nodes,"), "{clock}");
        let is_open = |row: &str| row.split(',').nth(3) == Some("");
        assert!(!faults.lines().any(is_open), "{clock}: each end is known");
        let past = |row: &&str| {
            row.split(',').nth(3).and_then(|end| end.parse().ok()).is_some_and(|end: f64| end > 5_184_000.0)
        };
        assert!(faults.lines().filter(past).count() > 0, "{clock}: some are past the end of the run");
        for (one, other) in results[0].iter().zip(&results[1]) {
            let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
            assert_eq!((differ, one.len()), (None, other.len()), "{clock}");
        }
    }
}

/// Nodes that fail by themselves every `between` in all, with symptoms.
fn with_symptoms(between: Span, symptoms: Symptoms) -> FaultPlan {
    FaultPlan { symptoms, ..failing_every(between, 64) }
}

#[test]
fn a_hang_is_detected_later_than_a_crash() {
    let recovery =
        Recovery { detect: minutes(1.0), detect_hang: minutes(11.0), ..stalling(minutes(8.0), FailureClock::Uptime) };
    let detect = |hang| {
        let symptoms = Symptoms { hang: Share::new(hang), ..Symptoms::default() };
        let failures = with_symptoms(days(0.5), symptoms);
        let outcome = run(JobPlan { failures, recovery: recovery.clone(), ..plan(64, days(1e4)) }, 1, days(1_000.0));
        outcome.gpu_nanos(Use::Detect) as f64 / 512.0 / 60e9 / outcome.facts.interruptions as f64
    };
    assert!((detect(0.0) - 1.0).abs() < 1e-9);
    assert!((detect(1.0) - 11.0).abs() < 1e-9);
    // Ten minutes more in a tenth of 1,980 failures: three standard errors are 0.2 minutes.
    assert!((detect(0.1) - 2.0).abs() < 0.2, "{} min", detect(0.1));
}

/// One silent corruption a week, seen after exactly 6 h, with a copy every hour.
fn silently_corrupted(retention: Option<u64>) -> JobPlan {
    let symptoms =
        Symptoms { silent: Share::new(1.0), latency: minutes(360.0), latency_sigma: 0.0, ..Symptoms::default() };
    let mut checkpoint = saving(minutes(60.0), Span::ZERO, Span::ZERO);
    checkpoint[0].1.retention = retention;
    JobPlan {
        failures: with_symptoms(days(7.0), symptoms),
        checkpoint,
        recovery: stalling(minutes(8.0), FailureClock::Wall),
        ..plan(64, days(1e4))
    }
}

#[test]
fn corruption_rolls_back_to_before_its_onset() {
    let outcome = run(silently_corrupted(None), 1, days(700.0));
    let count = outcome.facts.interruptions;
    assert!((70..130).contains(&count), "{count} of about 98");
    assert_eq!(outcome.gpu_nanos(Use::Detect), 0, "who sees it knows it");
    let losses: Vec<f64> = outcome
        .book
        .events()
        .iter()
        .filter(|event| event.kind == EventKind::Failure)
        .map(|event| event.detail.split_whitespace().nth(3).expect("a loss").parse().expect("seconds"))
        .collect();
    // Six hours, and what had been done since the last copy before them. Two that overlap cost less or more.
    let usual = losses.iter().filter(|&&lost| (21_599.0..=25_201.0).contains(&lost)).count();
    assert!(usual * 10 > losses.len() * 8, "{usual} of {}", losses.len());
    let usual: Vec<f64> = losses.iter().copied().filter(|lost| (21_599.0..=25_201.0).contains(lost)).collect();
    let mean = usual.iter().sum::<f64>() / usual.len() as f64 / 3_600.0;
    assert!((mean - 6.5).abs() < 0.1, "{mean} h lost each");
    let unseen = outcome.rows(EventKind::Corrupted) as u64 - count;
    assert!(unseen < 3, "each is seen, but for those of the last hours: {unseen}");
}

#[test]
fn too_few_copies_kept_lose_everything_to_corruption() {
    // Seven copies reach back to before the onset, three do not: back to the start.
    let kept = |retention| run(silently_corrupted(retention), 1, days(200.0)).facts.ideal.days();
    assert_eq!(kept(Some(8)), kept(None));
    assert!(kept(Some(3)) < kept(None) / 3.0, "{} d against {} d", kept(Some(3)), kept(None));
}

#[test]
fn failures_follow_the_times_that_are_known() {
    let period = |from, to, factor| Period { from: days(from), to: days(to), factor: Ratio::new(factor) };
    let modulation =
        Modulation { periods: vec![period(10.0, 20.0, 0.0), period(20.0, 30.0, 5.0)], ..Modulation::default() };
    for clock in [FailureClock::Wall, FailureClock::Uptime] {
        let failures = FaultPlan { modulation: modulation.clone(), ..failing_every(days(0.1), 64) };
        let base = JobPlan { failures, recovery: stalling(minutes(1.0), clock), ..plan(64, days(1e3)) };
        let outcome = run(base, 1, days(40.0));
        let within = |from: f64, to: f64| {
            let rows = failure_rows(&outcome);
            rows.iter().filter(|(at, _)| (from..to).contains(&(at.as_secs_f64() / 86_400.0))).count() as f64
        };
        // 100, none, 500, 100; four standard errors.
        assert!((within(0.0, 10.0) - 100.0).abs() < 40.0, "{clock:?}: {}", within(0.0, 10.0));
        assert_eq!(within(10.0, 20.0), 0.0, "{clock:?}");
        assert!((within(20.0, 30.0) - 500.0).abs() < 90.0, "{clock:?}: {}", within(20.0, 30.0));
        assert!((within(30.0, 40.0) - 100.0).abs() < 40.0, "{clock:?}: {}", within(30.0, 40.0));
    }
}
