//! Workloads of many jobs: readers of job traces, queues and failures through the simulator, the Kalos mix against its source.

use crate::shared::shared;
use std::path::{Path, PathBuf};
use tollway::Outcome;
use tollway::batch::{Generator, Kalos};
use tollway::engine::{Entity, Seed};
use tollway::ledger::{Facts, JobRecord, JobStatus, Tenant, Use, WorkloadFacts};
use tollway::scenario::{self, Scenario};
use tollway::trace::{DroppedJobs, JobEnd, acme, philly};
use tollway::units::{PerSecond, Ratio, SimTime, Span};

fn at(seconds: u64) -> SimTime {
    SimTime::ZERO + Span::from_secs(seconds)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/fixtures").join(name)
}

#[test]
fn acme_rows_are_jobs_or_dropped_for_a_reason() {
    let loaded = acme(&fixture("acme-jobs-invented.csv")).unwrap();
    assert_eq!(loaded.dropped, DroppedJobs { no_gpus: 1, never_ran: 1, no_time: 1 });
    assert_eq!(loaded.rows_read, 7);
    let jobs: Vec<_> = loaded
        .jobs
        .iter()
        .map(|job| {
            let (class, owner) = (&loaded.classes[job.class as usize], &loaded.owners[job.owner as usize]);
            (job.submit, job.gpus, job.run.as_secs_f64(), job.end, class.as_str(), owner.as_str())
        })
        .collect();
    // In order of submission, whatever the offset and the column `duration` say.
    assert_eq!(
        jobs,
        [
            (at(0), 16, 7_200.0, JobEnd::Completed, "Pretrain", "ada"),
            (at(300), 24, 3_600.0, JobEnd::Cancelled, "Pretrain", "bob"),
            (at(600), 2, 600.0, JobEnd::Failed, "Evaluation", "bob"),
            (at(1_800), 7, 1_800.0, JobEnd::NodeFailed, "Evaluation", "cyd"),
        ]
    );
}

#[test]
fn philly_rows_are_sorted_and_the_empty_last_line_is_no_row() {
    let loaded = philly(&fixture("philly-jobs-invented.csv")).unwrap();
    assert_eq!((loaded.rows_read, loaded.dropped), (5, DroppedJobs { no_gpus: 1, never_ran: 0, no_time: 1 }));
    let jobs: Vec<_> =
        loaded.jobs.iter().map(|job| (job.submit, job.gpus, job.run.as_secs_f64(), job.class, job.owner)).collect();
    assert_eq!(jobs, [(at(0), 4, 120.5, 1, 0), (at(0), 16, 30.0, 2, 1), (at(88_200), 1, 66.0, 0, 0)]);
}

#[test]
fn the_philly_list_is_read_whole() {
    let Some(path) = shared("traces/philly_gpu_jobs_titansched.csv.gz") else { return };
    let loaded = philly(&path).unwrap();
    // Counted from the list by an independent script: 82,247 rows, 93 % of one GPU, durations lognormal 6.79, 2.16.
    assert_eq!(loaded.rows_read, 82_247);
    assert_eq!(loaded.jobs.len() as u64 + loaded.dropped.total(), loaded.rows_read);
    let single = loaded.jobs.iter().filter(|job| job.gpus == 1).count() as f64 / loaded.jobs.len() as f64;
    assert!((single - 0.93).abs() < 0.005, "{single} of one GPU");
    let logs: Vec<f64> = loaded.jobs.iter().map(|job| libm::log(job.run.as_secs_f64())).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    assert!((mean - 6.79).abs() < 0.01, "mean of the logarithms {mean}");
    let gpu_time = |gpus: std::ops::RangeInclusive<u32>| {
        let jobs = loaded.jobs.iter().filter(|job| gpus.contains(&job.gpus));
        jobs.map(|job| job.run.as_secs_f64() * f64::from(job.gpus)).sum::<f64>()
    };
    let of_8 = gpu_time(8..=8) / gpu_time(1..=u32::MAX);
    assert!((of_8 - 0.48).abs() < 0.005, "{of_8} of the GPU time in jobs of 8 GPUs");
}

#[test]
fn a_broken_job_trace_is_refused_with_its_place() {
    let acme_header = "user,gpu_num,type,state,submit_time,start_time,end_time";
    let row = |state: &str, time: &str| format!("{acme_header}\nada,8,SFT,{state},{time},{time},{time}\n");
    let good = "2031-05-05 00:00:00+00:00";
    for (reader, text, expected) in [
        (
            acme as fn(&Path) -> _,
            row("DONE", good),
            ":2: column state: found \"DONE\", expected COMPLETED, CANCELLED, FAILED, TIMEOUT or NODE_FAIL",
        ),
        (
            acme,
            row("FAILED", "2031-05-05 00:00:00"),
            ":2: column submit_time: found \"2031-05-05 00:00:00\", expected a time with offset such as 2023-03-01 00:18:22+08:00",
        ),
        (acme, row("FAILED", good), ": found 1 rows, none with GPUs and a time to run, expected at least one job"),
        (acme, "user,gpu_num\n".to_owned(), ":1: found the header user,gpu_num, expected a column type"),
        (
            philly,
            "timestamp,duration,num_gpus,cluster\n2031-05-05 00:00:00,-3,1,a\n".to_owned(),
            ":2: column duration: found \"-3\", expected a duration in seconds",
        ),
        (philly, String::new(), ": found an empty file, expected a header timestamp,duration,num_gpus,cluster"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("jobs.csv");
        std::fs::write(&path, text).expect("a new file");
        let error = reader(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}{expected}", path.display()));
    }
}

/// A cluster of `nodes` with `rest`, for `days`.
fn scenario(nodes: u32, days: u32, cluster: &str, workload: &str) -> Scenario {
    let text = format!(
        "name = \"jobs\"\nstart = \"2026-01-05T00:00:00Z\"\nduration = \"{days} d\"\n\
         [site.here]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.main]\nsite = \"here\"\nnode = \"dgx-a100\"\nnodes = {nodes}\n{cluster}\n\
         [workload.mix]\ncluster = \"main\"\n{workload}\n"
    );
    scenario::parse("jobs.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"))
}

fn simulate(scenario: &Scenario) -> Outcome {
    tollway::simulate(scenario, |_| ())
}

fn workload(outcome: &Outcome) -> (&Tenant, &WorkloadFacts) {
    let tenants = outcome.accounts.tenants();
    let found = tenants.iter().find_map(|tenant| match &tenant.facts {
        Facts::Workload(facts) => Some((tenant, facts)),
        _ => None,
    });
    found.expect("a workload")
}

const NO_FAILURES: &str = "failures = { none = {} }";

#[test]
fn a_trace_queues_as_worked_out_by_hand() {
    // Three nodes. The first job holds two for 2 h; the second wants three; the third and fourth share a node, 2 + 7 GPUs do not.
    let jobs = "jobs = { trace = { acme = { path = \"scenarios/fixtures/acme-jobs-invented.csv\" } } }";
    for (scheduler, starts) in [("fifo", [0, 7_200, 10_800, 10_800]), ("backfill", [0, 7_200, 600, 1_800])] {
        let scenario = scenario(3, 1, &format!("{NO_FAILURES}\nscheduler = {{ {scheduler} = {{}} }}"), jobs);
        let outcome = simulate(&scenario);
        let (tenant, facts) = workload(&outcome);
        let started: Vec<u64> =
            facts.records.iter().map(|job| job.started.expect("all start").nanos() / 1_000_000_000).collect();
        assert_eq!(started, starts, "{scheduler}");
        // 32 and 24 GPU-hours of the large ones, 1/3 and 3.5 of the small ones.
        let hours = tenant.book.spent(Use::Productive).time.gpu_hours();
        assert!((hours - (32.0 + 24.0 + 1.0 / 3.0 + 3.5)).abs() < 1e-9, "{hours}");
        let figure = |metric| outcome.accounts.figure("workload.mix", metric, "").expect("a figure");
        let waited: u64 = starts.iter().zip([0, 300, 600, 1_800]).map(|(start, submit)| start - submit).sum();
        assert_eq!(figure("wait_mean"), waited as f64 / 4.0);
        let counts = ["jobs", "completed", "cancelled", "failed", "node_failed", "running", "waiting"].map(figure);
        assert_eq!(counts, [4.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        assert_eq!(outcome.accounts.figure("workload.mix.evaluation", "jobs", ""), Some(2.0));
        let note = scenario.notes.iter().find(|note| note.key == "dropped_rows").expect("drops are noted");
        let expected = "3 of 7: 1 without GPUs, 1 that never ran, 1 of no length, 0 larger than the cluster";
        assert_eq!(note.value, expected);
    }
}

#[test]
fn node_failures_send_jobs_back_and_no_second_of_a_node_is_lost() {
    // Nodes by themselves, and racks of four: a gang that loses several nodes at once waits again once.
    let failing = "failures = { exponential = { rate = \"0.3 /d\" } }\nscheduler = { backfill = {} }\n\
                   bursts.rack = { rate = \"0.05 /d\" }";
    let mix = "jobs = { kalos = { rate = \"300 /d\" } }\ncheckpoint = \"10 min\"\nrepair = \"6 h\"";
    let outcome = simulate(&scenario(302, 30, failing, mix));
    let (tenant, facts) = workload(&outcome);
    assert!(facts.interruptions > 100, "{} interruptions", facts.interruptions);
    // Busy, down and idle are all there is; the ledger puts each GPU-nanosecond of a book into one use.
    let held: u128 = Use::ALL.iter().map(|&what| tenant.book.spent(what).time.nanos()).sum();
    let idle = outcome.accounts.idle(0).time.nanos();
    assert_eq!(held + idle, 302 * 8 * u128::from(Span::DAY.nanos()) * 30);
    // What jobs held is what the book has beside repairs.
    let repair = tenant.book.spent(Use::Repair).time.nanos();
    assert!(repair > 0);
    let by_job: u128 = facts.records.iter().map(|job| u128::from(job.held.nanos()) * u128::from(gpus_held(job))).sum();
    assert_eq!(by_job, held - repair);
    // Ended jobs did their work once; what was lost was done again.
    for job in facts.records.iter().filter(|job| job.finished.is_some()) {
        assert!(job.held >= job.run, "{job:?}");
        assert!(job.starts > 1 || job.held == job.run, "{job:?}");
    }
    let again: u64 = facts.records.iter().map(|job| u64::from(job.starts.saturating_sub(1))).sum();
    let waiting_again = facts.records.iter().filter(|job| job.starts > 0 && job.status == JobStatus::Waiting).count();
    assert_eq!(again + waiting_again as u64, facts.interruptions);
}

/// GPUs that a job keeps from others: its own below a node, whole nodes above.
fn gpus_held(job: &JobRecord) -> u32 {
    if job.gpus < 8 { job.gpus } else { job.gpus.div_ceil(8) * 8 }
}

#[test]
fn a_preempted_job_goes_on_where_its_checkpoints_let_it() {
    // A gang of all three nodes takes them from the trace's first job after ten minutes, for an hour.
    let gang = "[training.urgent]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 3\ntokens = 1e6\nideal = \"1 h\"\n\
                submit = \"10 min\"\npriority = 1";
    let jobs = "jobs = { trace = { acme = { path = \"scenarios/fixtures/acme-jobs-invented.csv\" } } }";
    for (saves, first_ends) in [("", 3_600 + 600 + 120 + 7_200), ("checkpoint = \"7 min\"\n", 3_600 + 120 + 7_200)] {
        let scheduler = format!("{NO_FAILURES}\nscheduler = {{ priority = {{ preempt = true }} }}");
        let outcome = simulate(&scenario(3, 1, &scheduler, &format!("{jobs}\n{saves}{gang}")));
        let (tenant, facts) = workload(&outcome);
        assert_eq!(facts.preemptions, 1);
        assert_eq!(facts.records[0].finished, Some(at(first_ends)), "{saves}");
        // Starting again takes two minutes of 16 GPUs, work that was thrown away ten.
        let lost = tenant.book.spent(Use::Preempted).time.gpu_hours();
        let expected = 16.0 * if saves.is_empty() { 12.0 } else { 2.0 } / 60.0;
        assert!((lost - expected).abs() < 1e-9, "{lost}");
        assert_eq!(tenant.book.spent(Use::Recomputed).time.gpu_hours(), 0.0);
        assert_eq!(outcome.accounts.figure("training.urgent", "waited", ""), Some(0.0));
    }
}

#[test]
fn another_workload_moves_no_job_of_this_one() {
    let mix = "jobs = { kalos = { rate = \"100 /d\" } }";
    let other = "[workload.aaa]\ncluster = \"main\"\njobs = { kalos = { rate = \"50 /d\" } }";
    let submitted = |rest: &str| {
        let outcome = simulate(&scenario(302, 7, NO_FAILURES, rest));
        let tenant = outcome.accounts.tenants().iter().find(|tenant| tenant.subject == "workload.mix").expect("there");
        let Facts::Workload(facts) = &tenant.facts else { panic!("a workload") };
        facts.records.iter().map(|job| (job.submitted, job.gpus, job.run)).collect::<Vec<_>>()
    };
    assert_eq!(submitted(mix), submitted(&format!("{mix}\n{other}")));
}

/// Rows of a CSV file of our data folder as cells.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).expect("a CSV file");
    reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

#[test]
fn the_generator_draws_the_published_distributions() {
    let Some(cdfs) = shared("traces/acme_kalos_job_cdfs.csv") else { return };
    let mix = Kalos { rate: PerSecond::per_day(180.0), sweep: Ratio::new(10.0), weekly: true };
    let mut generator = Generator::new(mix, 0, Entity::named("workload.kalos"), Seed { seed: 5, replication: 0 });
    let names: Vec<&str> = Kalos::classes().collect();
    let mut runs = vec![Vec::new(); names.len()];
    for _ in 0..1_000_000 {
        let job = generator.next_job();
        runs[job.class as usize].push(job.run.as_secs_f64());
    }
    let mut compared = 0;
    for row in rows(&cdfs).iter().filter(|row| row[0] == "Kalos" && row[2] == "duration_s") {
        let Some(class) = names.iter().position(|name| row[1].eq_ignore_ascii_case(name)) else { continue };
        let (x, percent): (f64, f64) = (row[3].parse().expect("seconds"), row[4].parse().expect("per cent"));
        if x < 8.0 {
            continue;
        }
        let below = runs[class].iter().filter(|&&run| run <= x * (1.0 + 1e-9)).count();
        let drawn = 100.0 * below as f64 / runs[class].len() as f64;
        // The longest run of all is a cap; one point of a sample of 13,000 jobs scatters by 0.44 points.
        assert!(
            (drawn - percent).abs() < 1.5 || x > 524_288.0,
            "{} at {x} s: {drawn} %, published {percent} %",
            row[1]
        );
        compared += 1;
    }
    assert!(compared >= 60, "{compared} points");
}

/// Half a year of the mix at 180 jobs a day through the scheduler of 302 nodes of
/// 8 A100. GPU time scatters by 11 % from one such half-year to the next, so that the means are over 20 of them.
#[test]
fn half_a_year_of_the_mix_has_the_published_shares_and_two_powers() {
    let (Some(summary), Some(quantiles)) =
        (shared("traces/acme_kalos_cluster_summary.csv"), shared("traces/acme_kalos_util_power_quantiles.csv"))
    else {
        return;
    };
    let kalos = rows(&summary).into_iter().find(|row| row[0] == "Kalos").expect("Kalos");
    let published = |column: usize| kalos[column].parse::<f64>().expect("a number");
    let cluster = format!("{NO_FAILURES}\nscheduler = {{ backfill = {{}} }}");
    let base = scenario(302, 182, &cluster, "jobs = { kalos = { rate = \"180 /d\" } }\nlisting = \"none\"");
    let halves = 20;
    let (mut sums, mut busy, mut medians) = ([0.0; 8], 0.0, Vec::new());
    for replication in 0..halves {
        let outcome = simulate(&Scenario { replication, ..base.clone() });
        let figure = |metric| outcome.accounts.figure("workload.mix", metric, "").expect("a figure");
        let metrics =
            ["jobs", "run_mean", "gpus_mean", "completed_gpu_hours", "cancelled_gpu_hours", "failed_gpu_hours"];
        sums.iter_mut().zip(metrics.map(figure)).for_each(|(sum, value)| *sum += value);
        sums[6] += figure("completed") / figure("jobs");
        sums[7] += figure("wait_p50");
        medians.push(figure("run_p50"));
        busy += outcome.accounts.figure("cluster.main", "utilisation", "").expect("a figure");
    }
    let [jobs, run, gpus, completed, cancelled, failed, by_jobs, wait] = sums.map(|sum| sum / halves as f64);
    let gpu_hours = completed + cancelled + failed;
    // The twin has 1,315 s and 24.1 GPUs where the cluster had 1,260 s and 26.8 (section 5.7): its own means are the measure.
    for (what, value, expected) in [
        ("jobs", jobs, 180.0 * 182.0),
        ("mean run", run, 1_315.0),
        ("GPUs", gpus, 24.1),
        ("GPU-seconds a job", gpu_hours * 3_600.0 / jobs, 268_600.0),
        ("complete by jobs", by_jobs, published(12)),
        ("complete by GPU time", completed / gpu_hours, published(18)),
        ("cancelled by GPU time", cancelled / gpu_hours, published(19)),
        ("failed by GPU time", failed / gpu_hours, published(20)),
    ] {
        assert!((value / expected - 1.0).abs() < 0.10, "{what}: {value}, not {expected}");
    }
    medians.sort_by(f64::total_cmp);
    let median = medians[medians.len() / 2];
    assert!((median / published(7) - 1.0).abs() < 0.15, "median run {median}");
    // At the mix's own pace the halls are mostly empty: half of the jobs start at once (published: 17 s).
    assert!(wait < 17.0, "median wait {wait}");
    // Power of a GPU is bimodal: idle below the published lower quartile, at work between the upper quartile and the 95th percentile.
    let power = |quantile: f64| {
        let row =
            rows(&quantiles).into_iter().find(|row| row[0] == "kalos_gpu_power" && row[2].parse() == Ok(quantile));
        row.expect("a quantile")[3].parse::<f64>().expect("watts")
    };
    let cluster = &base.clusters[0];
    let (idle, training) = (cluster.gpu.idle.as_f64(), cluster.gpu.training.as_f64());
    assert!((idle / power(0.05) - 1.0).abs() < 0.15, "idle {idle} W against {}", power(0.05));
    assert!((training / power(0.9) - 1.0).abs() < 0.15, "at work {training} W against {}", power(0.9));
    let busy = busy / halves as f64;
    assert!((0.15..0.35).contains(&busy), "{busy} of the GPUs at work: both powers are common");
}
