//! Localisation that takes out more than the broken node, ages that a file says, and repairs as the cluster says.

use crate::training::{days, failing_every, minutes, plan, run, saving, stalling};
use tollway::fault::{FailureLaw, FaultPlan, InitialAge};
use tollway::ledger::{Facts, Use};
use tollway::scenario::{self, Scenario};
use tollway::training::{FailureClock, JobPlan, Recovery, Spares, Suspects};
use tollway::units::{PerSecond, Share, Span};

/// 64 nodes of which one fails every day, in groups of 16, with spares for two groups and more.
fn grouped(miss: f64) -> JobPlan {
    let recovery = Recovery {
        repair: minutes(60.0),
        relapse: minutes(60.0),
        evict: Some(Suspects { group: 16, miss: Share::new(miss), test: minutes(90.0) }),
        ..stalling(Span::SECOND, FailureClock::Wall)
    };
    JobPlan {
        failures: failing_every(days(1.0), 64),
        recovery,
        spares: Spares { hot: 80, ..Spares::default() },
        checkpoint: saving(minutes(1.0), Span::ZERO, Span::ZERO),
        ..plan(64, days(1e5))
    }
}

#[test]
fn a_whole_group_of_suspects_goes_and_comes_back_after_its_test() {
    let horizon = days(2_000.0);
    let outcome = run(grouped(0.0), 1, horizon);
    let failures = outcome.facts.interruptions;
    assert_eq!(outcome.facts.suspects, Some([15 * failures, 0]), "fifteen sound nodes for each broken one");
    // Each failure: an hour of repair in the mean, and fifteen tests of an hour and a half.
    let hours = outcome.gpu_nanos(Use::Repair) as f64 / 8.0 / 3.6e12 / failures as f64;
    assert!((hours - 23.5).abs() < 0.1, "{hours} node-hours out for each failure");
    let total: u128 = Use::ALL.iter().map(|&what| outcome.gpu_nanos(what)).sum();
    assert_eq!(total, 144 * 8 * u128::from(horizon.nanos()));
}

#[test]
fn a_missed_node_fails_again() {
    let horizon = days(4_000.0);
    let [found, missed] = [0.0, 0.25].map(|miss| run(grouped(miss), 1, horizon).facts);
    let (all, once) = (missed.interruptions as f64, found.interruptions as f64);
    let [sound, overlooked] = missed.suspects.expect("it suspects");
    // Each failure is followed by another with probability 1/4. Three standard errors of 4,000 failures.
    assert!((all / once - 4.0 / 3.0).abs() < 0.08, "{all} failures against {once}");
    assert!((overlooked as f64 / all - 0.25).abs() < 0.02, "{overlooked} of {all} missed");
    assert_eq!(sound, 15 * (missed.interruptions - overlooked) + 16 * overlooked);
}

#[test]
fn nodes_are_as_old_as_a_file_says() {
    let law = |initial_age| FailureLaw::Weibull { rate: PerSecond::per_day(0.004), shape: 0.7, initial_age };
    let interruptions = |initial_age, age: Option<Span>| {
        let ages = age.map(|age| vec![age; 256].into());
        let failures = FaultPlan { ages, ..law(initial_age).into() };
        let runs = (0..20).map(|seed| run(JobPlan { failures: failures.clone(), ..grouped_alone() }, seed, days(54.0)));
        runs.map(|outcome| outcome.facts.interruptions).sum::<u64>() as f64 / 20.0
    };
    let new = interruptions(InitialAge::New, None);
    assert_eq!(interruptions(InitialAge::Stationary, Some(Span::ZERO)), new, "of no age, they are new");
    // Of an age a = 2,000 d, far beyond the mean of 250 d: hazard k/s (a/s)^(k-1) with s = 250 d / gamma(1 + 1/0.7) = 197.5 d
    // is 0.7/197.5 x 10.13^-0.3 = 1.770e-3 a day, and hardly falls in 54 d; renewed nodes add the hazard of new ones.
    let old = interruptions(InitialAge::Stationary, Some(days(2_000.0)));
    let first = 256.0 * 1.770e-3 * 54.0;
    // n (T/s)^k of those renewed half way, on average: 0.31 more each.
    assert!(old > first * 0.95 && old < first * 1.5, "{old} failures, {first} first ones");
    let stationary = interruptions(InitialAge::Stationary, None);
    assert!(old < stationary && stationary < new, "{old} < {stationary} < {new}");
}

fn grouped_alone() -> JobPlan {
    let recovery = stalling(Span::SECOND, FailureClock::Wall);
    JobPlan { recovery, spares: Spares::default(), nodes: 256, ..grouped(0.0) }
}

fn parsed(cluster: &str, workload: &str) -> Scenario {
    let text = format!(
        "name = \"repairs\"\nstart = \"2026-01-05T00:00:00Z\"\nduration = \"12 d\"\n\
         [site.here]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = 160\n\
         failures = {{ exponential = {{ rate = \"0.1 /d\" }} }}\n{cluster}\n\
         [training.tune]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 8\ntokens = 1e9\nmfu = 0.4\n\
         recovery = {{ unfixed = 0.5 }}\n\
         [workload.mix]\ncluster = \"main\"\njobs = {{ kalos = {{ rate = \"150 /d\" }} }}\n{workload}"
    );
    scenario::parse("repairs.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"))
}

#[test]
fn repairs_are_as_the_cluster_says_unless_a_job_says_more() {
    let scenario = parsed("repair = { mean = \"2 d\", shape = 0.45, crews = 3, unfixed = 0.2 }", "");
    let (job, mix) = (&scenario.jobs[0].recovery, &scenario.workloads[0].repair);
    assert_eq!((job.repair, job.repair_shape, job.crews), (days(2.0), 0.45, Some(3)));
    assert_eq!(job.unfixed, Share::new(0.5), "what the job says goes before it");
    assert_eq!((mix.mean, mix.shape, mix.crews, mix.unfixed), (days(2.0), 0.45, Some(3), Share::new(0.2)));
    let own = parsed("repair = { crews = 3 }", "repair = \"6 h\"\n");
    assert_eq!((own.workloads[0].repair.mean, own.workloads[0].repair.crews), (days(0.25), Some(3)));
}

#[test]
fn a_workload_waits_for_crews_and_meets_nodes_again_that_were_not_fixed() {
    let outcome = |repair: &str| {
        let scenario = parsed(&format!("repair = {repair}"), "");
        let accounts = tollway::simulate(&scenario, |_| ()).accounts;
        let mix = accounts.tenants().iter().find(|tenant| tenant.subject == "workload.mix").expect("it is there");
        let Facts::Workload(facts) = &mix.facts else { panic!("a workload") };
        (mix.book.spent(Use::Repair).time.gpu_hours(), facts.interruptions)
    };
    let (many, cut) = outcome("{ mean = \"1 d\" }");
    let (one, _) = outcome("{ mean = \"1 d\", crews = 1 }");
    assert!(many > 0.0 && one > 1.5 * many, "{one} GPU-hours with one crew, {many} with many");
    let (_, again) = outcome("{ mean = \"1 h\", unfixed = 0.9, relapse = \"1 h\" }");
    let (_, fixed) = outcome("{ mean = \"1 h\" }");
    assert!(again > fixed && cut > 0, "{again} jobs cut with repairs that do not fix, {fixed} with those that do");
}
