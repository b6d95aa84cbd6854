//! Phases on different numbers of nodes.

use crate::spares::{accounts, close, count, gpu_hours, hours, own_time};
use tollway::ledger::{EventKind, Use};
use tollway::scenario;

/// A job of four nodes whose first 3.6e9 tokens run on `first` nodes for 10 h; the other 7.2e9 take 10 h.
fn sized(first: u32, more: &str) -> String {
    format!(
        "[training.grows]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 4\ntokens = 10.8e9\ntokens_per_second = \"200000 /s\"\n\
         phases = [{{ tokens = 3.6e9, nodes = {first}, tokens_per_second = \"100000 /s\" }}]\n\
         recovery = {{ detect = \"1 min\", localise = \"5 min\", restart = \"10 min\" }}\n{more}"
    )
}

fn other(nodes: u32, submit: &str) -> String {
    format!(
        "[training.other]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = {nodes}\ntokens = 1e6\nideal = \"12 h\"\nsubmit = \"{submit}\"\n"
    )
}

#[test]
fn a_job_asks_for_more_nodes_at_the_border_of_a_phase() {
    let accounts = accounts(4, "", &sized(2, "checkpoint.remote = { every = \"1 h\", blocking = \"0 s\" }\n"));
    // Ten hours on two nodes, a restart of ten minutes and ten hours on four.
    close(hours(&accounts, "grows", "finished"), 20.0 + 1.0 / 6.0);
    let all = 16.0 * 10.0 + 32.0 * (10.0 + 1.0 / 6.0);
    close(gpu_hours(&accounts, "grows", "gpu_hours"), all);
    close(gpu_hours(&accounts, "grows", "held_gpu_hours"), all);
    close(gpu_hours(&accounts, "grows", "productive_gpu_hours"), 16.0 * 10.0 + 32.0 * 10.0);
    close(gpu_hours(&accounts, "grows", "planned_gpu_hours"), 32.0 / 6.0);
    assert_eq!(count(&accounts, "grows", "planned_interruptions"), 1.0);
    assert_eq!(own_time(&accounts, "grows"), [(Use::Productive, 72_000), (Use::Planned, 600)]);
    // Utilisation is over the GPUs that there were: 6ND over peak, 8.03e9 parameters, 989.5 TFLOP/s.
    let flops = 6.0 * 8.03e9 * 10.8e9;
    let mfu = accounts.figure("training.grows", "mfu", "").expect("a figure");
    assert!((mfu / (flops / (989.5e12 * 3_600.0 * 480.0)) - 1.0).abs() < 2e-3, "{mfu}");
    let whole = accounts.figure("training.grows", "whole_run_mfu", "").expect("a figure");
    assert!((whole / (mfu * 480.0 / all) - 1.0).abs() < 1e-9, "{whole}");
}

#[test]
fn it_waits_for_them_in_the_queue_like_anybody() {
    // The other has the rest of the cluster until 12:00 from midnight: two hours of queueing with nothing held.
    let accounts = accounts(4, "", &format!("{}{}", sized(2, ""), other(2, "0 s")));
    close(hours(&accounts, "other", "finished"), 12.0);
    close(hours(&accounts, "grows", "finished"), 22.0 + 1.0 / 6.0);
    close(gpu_hours(&accounts, "grows", "held_gpu_hours"), 16.0 * 10.0 + 32.0 * (10.0 + 1.0 / 6.0));
    assert_eq!(
        own_time(&accounts, "grows"),
        [(Use::Productive, 72_000), (Use::Planned, 600), (Use::Queued, 7_200)],
        "each second in one use"
    );
    assert_eq!(count(&accounts, "grows", "preemptions"), 0.0);
    close(hours(&accounts, "grows", "requeued"), 0.0);
}

#[test]
fn a_job_gives_nodes_back_that_its_next_phase_does_not_need() {
    // Six nodes first, then four: the other gets two at ten o'clock.
    let accounts = accounts(6, "", &format!("{}{}", sized(6, ""), other(2, "1 h")));
    close(hours(&accounts, "other", "waited"), 9.0);
    close(hours(&accounts, "grows", "finished"), 20.0 + 1.0 / 6.0);
    close(gpu_hours(&accounts, "grows", "held_gpu_hours"), 48.0 * 10.0 + 32.0 * (10.0 + 1.0 / 6.0));
}

#[test]
fn spares_come_on_top_of_each_phase_and_no_failure_goes_back_behind_a_border() {
    // One spare beside two nodes, then beside four. Node 1 breaks at 11:00, 50 min after the restart; no checkpoint but the border's.
    let accounts =
        accounts(5, "1,39600,1e5,gpu,,false\n".replace("1e5", "100000").as_str(), &sized(2, "spares.hot = 1\n"));
    close(gpu_hours(&accounts, "grows", "spare_gpu_hours"), 8.0 * 11.1);
    // Found by 11:06, running again at 11:16 with all of the ten hours to do.
    close(hours(&accounts, "grows", "finished"), 21.0 + 16.0 / 60.0);
    close(gpu_hours(&accounts, "grows", "recomputed_gpu_hours"), 32.0 * 50.0 / 60.0);
    let tenant = &accounts.tenants()[0];
    assert_eq!(tenant.book.events().iter().filter(|event| event.kind == EventKind::Failure).count(), 1);
}

#[test]
fn a_phase_that_says_only_its_nodes_has_the_jobs_utilisation_there() {
    // At g = 0.05 and 32 GPUs measured, 16 GPUs reach 2^0.05 of it: twice the time of 32 GPUs over 2^0.05.
    let job = "[training.grows]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 4\ntokens = 2e9\nmfu = 0.4\n\
               scale_loss = { gpus = 32, exponent = 0.05 }\nphases = [{ tokens = 1e9, nodes = 2 }]\nrecovery.restart = \"0 s\"\n";
    let accounts = accounts(4, "", job);
    let whole = 6.0 * 8.03e9 * 1e9 / (32.0 * 989.5e12 * 0.4) / 3_600.0;
    let expected = whole * (1.0 + 2.0 / libm::pow(2.0, 0.05));
    let finished = hours(&accounts, "grows", "finished");
    assert!((finished / expected - 1.0).abs() < 2e-3, "{finished} h, not {expected}");
}

#[test]
fn a_scenario_whose_phases_do_not_fit_is_refused() {
    let text = |more: &str, cluster: &str| {
        format!(
            "name = \"sizes\"\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"3 d\"\n[site.here]\ngrid = \"erco\"\n\
             tariff = {{ flat = \"$0.08/kWh\" }}\n[cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = 8\n{cluster}\n{}",
            sized(6, more)
        )
    };
    for (more, cluster, words) in [
        ("spares.hot = 3\n", "failures = { none = {} }", "asks 9 nodes (6 and 3 spares)"),
        ("", "symptoms = { silent = 0.1 }\nfailures = { exponential = { rate = \"0.01 /d\" } }", "silent corruption"),
        (
            "spares = { short = { shrink = { replica = 4 } } }\n",
            "failures = { none = {} }",
            "no whole number of replicas of 4",
        ),
    ] {
        let complaints = scenario::parse("sizes.toml", &text(more, cluster)).expect_err("it does not fit").to_string();
        assert!(complaints.contains(words), "{complaints}");
    }
}
