//! Classes, patience and failures of a service's clients: queueing theory, hand-made cases, conservation.

use super::serving::{MILLISECOND, cell, failing, plan, poisson, run};
use std::process::Command;
use tollway::engine::Process;
use tollway::ledger::Count;
use tollway::serving::{ClassPlan, Clientele, OnFailure, Patience, Router, ServicePlan};
use tollway::trace::Request;
use tollway::units::{Ratio, Share, SimTime, Span};

fn class(name: &str, share: f64, priority: u8) -> ClassPlan {
    ClassPlan { name: name.to_owned(), share: Share::new(share), slo: None, priority }
}

fn at(milliseconds: u64) -> SimTime {
    SimTime::from_nanos(milliseconds * 1_000_000)
}

/// Cobham (1954), one server, mean service 1 s, load 0.5 in two classes of a half each: residual work R = 0.5 s, so the first waits
/// R / (1 - 0.25) = 0.667 s and the second R / ((1 - 0.25) (1 - 0.5)) = 1.333 s; without classes both wait 1 s.
#[test]
fn higher_classes_wait_as_queueing_theory_says() {
    let requests = poisson(200_000, Span::from_secs(2), |stream| (1_000.0 * stream.exponential()).ceil() as u32);
    let clientele = Clientele { classes: vec![class("gold", 0.5, 1), class("iron", 0.5, 0)], ..Clientele::default() };
    let (book, _) = run(ServicePlan { clientele, ..plan(MILLISECOND, 1, requests) }, 1, 1_000_000);
    for (class, expected) in book.classes().iter().zip([1.667, 2.334]) {
        let found = class.latencies().e2e().mean().unwrap().as_secs_f64() - 0.003;
        // Four standard errors of correlated waits, as for one class.
        assert!((found - expected).abs() < 0.06, "{}: {found} s in the system, theory {expected} s", class.name);
        assert!((95_000..105_000).contains(&class.counted(Count::Completed)));
    }
}

/// One server. The first request takes 10 s. The second comes after 1 s and waits 2 s for its first token, then asks again 1 s later,
/// and 2 s after that, waits 2 s each time, and gives up at 10 s; the first is done at that instant.
fn impatient(patience: Patience) -> ServicePlan {
    let requests = [(0, 10_000), (1_000, 5)].map(|(when, output)| Request { at: at(when), prompt: 1, output }).to_vec();
    let clientele = Clientele { patience: Some(patience), ..Clientele::default() };
    ServicePlan { clientele, ..plan(MILLISECOND, 1, requests) }
}

fn patience() -> Patience {
    Patience {
        first_token: Some(Span::from_secs(2)),
        answer: Span::from_secs(100),
        retries: 2,
        backoff: Span::from_secs(1),
        growth: Ratio::new(2.0),
        longest: Span::from_secs(60),
        jitter: Share::new(0.0),
    }
}

#[test]
fn a_client_hangs_up_asks_again_and_gives_up() {
    let (book, facts) = run(impatient(patience()), 1, 60);
    let attempts = facts.attempts.unwrap();
    assert_eq!((attempts.made, attempts.timed_out, attempts.gave_up_timed_out), (4, 3, 1));
    assert_eq!([Count::Arrived, Count::Completed, Count::Failed].map(|what| book.counted(what)), [2, 1, 1]);
    assert_eq!(book.latencies().e2e().count(), 1);
    // With a third retry, 4 s later, it finds the server idle at 14 s: from 1 s on it has waited 13 s and a token.
    let (book, facts) = run(impatient(Patience { retries: 3, ..patience() }), 1, 60);
    assert_eq!((facts.attempts.unwrap().made, facts.attempts.unwrap().timed_out), (5, 3));
    let longest = book.latencies().ttft().quantile(Share::new(1.0)).unwrap().as_secs_f64();
    assert!((longest / 13.004 - 1.0).abs() < 0.004, "{longest} s to the first token, from when it first asked");
}

#[test]
fn a_client_leaves_the_batch_when_its_answer_takes_too_long() {
    // The first leaves the server at 4 s and asks again; the second, which waits without a limit on its first token, gets it then.
    let short = Patience { first_token: None, answer: Span::from_secs(4), retries: 1, ..patience() };
    let (book, facts) = run(impatient(short), 1, 60);
    let attempts = facts.attempts.unwrap();
    assert_eq!((attempts.made, attempts.timed_out, attempts.gave_up_timed_out), (3, 2, 1));
    assert_eq!([Count::Completed, Count::Failed].map(|what| book.counted(what)), [1, 1]);
    let first = book.latencies().ttft().mean().unwrap().as_secs_f64();
    assert!((first - 3.004).abs() < 0.002, "{first} s");
}

/// Twice what a cell of 4 can carry, with impatient clients of two classes.
fn storm() -> ServicePlan {
    let clientele = Clientele {
        classes: vec![class("gold", 0.2, 7), class("iron", 0.8, 0)],
        patience: Some(Patience { retries: 4, answer: Span::from_secs(30), jitter: Share::new(0.25), ..patience() }),
        on_failure: OnFailure::Fail,
    };
    ServicePlan { clientele, queue: 8, max_batch: 4, ..failing() }
}

#[test]
fn a_retry_storm_is_counted_and_nothing_is_lost() {
    for router in [Router::LeastLoaded {}, Router::RoundRobin {}, Router::Random {}] {
        let (book, facts) = run(ServicePlan { router, ..storm() }, 4, 3_600);
        let attempts = facts.attempts.unwrap();
        let arrived = book.counted(Count::Arrived);
        assert!(attempts.made > arrived * 3 / 2, "{} attempts of {arrived} requests", attempts.made);
        assert!(attempts.rejected > 0 && attempts.timed_out > 0 && attempts.broken > 0, "{attempts:?}");
        // Of each of the causes the last attempts are a part. Closing asserts that nothing is lost.
        assert!(attempts.gave_up_rejected > 0 && attempts.gave_up_rejected < attempts.rejected);
        assert_eq!(book.counted(Count::Failed), attempts.gave_up_timed_out + attempts.gave_up_broken);
        let served = |class: usize| {
            let class = &book.classes()[class];
            class.counted(Count::Completed) as f64 / class.counted(Count::Arrived) as f64
        };
        assert!(served(0) > 0.95 && served(1) < 0.7, "{} of gold, {} of iron", served(0), served(1));
    }
}

#[test]
fn how_a_storm_is_cut_into_windows_changes_nothing() {
    let horizon = at(1_200_000);
    let whole = run(storm(), 4, 1_200);
    let mut cell = cell(storm(), 4, horizon);
    (1..=1_200).for_each(|second| {
        cell.run_until(at(second * 1_000));
    });
    let (book, facts) = cell.close(horizon);
    assert_eq!((book.latencies(), facts), (whole.0.latencies(), whole.1));
    assert_eq!(book.classes(), whole.0.classes());
}

#[test]
fn requests_of_a_failed_replica_start_over_or_break() {
    let (book, facts) = run(failing(), 8, 3_600);
    assert!(facts.restarted > 0 && facts.attempts.is_none() && book.counted(Count::Failed) == 0);
    assert!(facts.restarted_tokens.count() > 800 * facts.restarted, "a prompt is 800 tokens");
    // Each failure loads for 120 s on one GPU, those at the end less.
    let loaded = facts.reloading.gpu_hours() * 30.0;
    assert!(loaded <= facts.replica_failures as f64 && loaded > facts.replica_failures as f64 - 2.0, "{loaded} loads");
    let clientele = Clientele { on_failure: OnFailure::Fail, ..Clientele::default() };
    let (book, facts) = run(ServicePlan { clientele, ..failing() }, 8, 3_600);
    let attempts = facts.attempts.unwrap();
    assert_eq!(facts.restarted, 0);
    assert!(attempts.broken > 0 && attempts.gave_up_broken == attempts.broken, "{attempts:?}");
    assert_eq!(book.counted(Count::Failed), attempts.broken);
}

/// The rows of `file` in `folder` as maps from column to cell.
fn rows(folder: &std::path::Path, file: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join(file)).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn classes_share_all_that_their_service_takes_by_their_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        let out = folder.path().join(threads);
        let set = [
            "duration=\"2 h\"",
            "service.follows.class={ gold = { share = 0.25, priority = 1, slo = { ttft = \"0.5 s\", tpot = \"50 ms\" } }, iron = { share = 0.75 } }",
            "service.follows.patience={ first_token = \"2 s\", retries = 3 }",
            "cluster.pool.nodes=200",
            "service.follows.scale.max=128",
            "service.follows.record=1",
        ];
        let command = ["run", "scenarios/flash-crowd.toml", "--threads", threads, "--out", out.to_str().unwrap()];
        let sets = set.iter().flat_map(|set| ["--set", set]);
        let output = Command::new(env!("CARGO_BIN_EXE_tollway")).args(command).args(sets).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    };
    let (one, three) = (run("1"), run("3"));
    for file in ["summary.csv", "attribution.csv", "requests.csv", "services.csv"] {
        assert_eq!(std::fs::read(one.join(file)).unwrap(), std::fs::read(three.join(file)).unwrap(), "{file}");
    }
    let summary = rows(&one, "summary.csv");
    let figure = |subject: &str, metric: &str, boundary: &str| {
        let is_it = |row: &&std::collections::BTreeMap<String, String>| {
            row["subject"] == subject && row["metric"] == metric && row["boundary"] == boundary
        };
        summary.iter().find(is_it).unwrap()["value"].parse::<f64>().unwrap()
    };
    for metric in ["energy", "cost", "carbon", "water"] {
        for boundary in ["B1", "B2", "B3", "B4"] {
            let [gold, iron] =
                ["gold", "iron"].map(|class| figure(&format!("service.follows.{class}"), metric, boundary));
            let whole = figure("service.follows", metric, boundary);
            assert!(((gold + iron) / whole - 1.0).abs() < 1e-9, "{metric} {boundary}: {gold} + {iron} and {whole}");
            assert!((gold / whole - 0.25).abs() < 0.02, "{metric} {boundary}: {gold} of {whole}");
        }
    }
    let attributed = rows(&one, "attribution.csv");
    let of = |tenant: &str| {
        let mine = attributed.iter().filter(|row| row["tenant"] == tenant);
        mine.map(|row| row["energy_kwh"].parse::<f64>().unwrap()).sum::<f64>()
    };
    assert_eq!(of("service.follows"), 0.0, "its classes stand in its place");
    assert!(of("service.follows.gold") > 0.0 && of("service.ready") > 0.0);
    assert!(figure("service.follows", "attempts", "") > figure("service.follows", "requests", ""));
    let subjects: std::collections::BTreeSet<String> =
        rows(&one, "requests.csv").into_iter().map(|row| row["subject"].clone()).collect();
    assert_eq!(subjects.into_iter().collect::<Vec<_>>(), ["service.follows.gold", "service.follows.iron"]);
}
