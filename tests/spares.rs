//! Jobs that take nodes of their cluster for want of spares.

use tollway::ledger::{Accounts, EventKind, Facts, Use};
use tollway::{scenario, simulate};

/// A world of one cluster whose faults are `faults`, rows of a file, and whose jobs are `jobs`, after more of the cluster.
pub(crate) fn accounts(nodes: u32, faults: &str, jobs: &str) -> Accounts {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("faults.csv"), format!("node,start_s,end_s,class,domain,planned\n{faults}"))
        .unwrap();
    let text = format!(
        "name = \"spares\"\nstart = \"2026-01-01T00:00:00Z\"\nduration = \"3 d\"\n\
         [site.here]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.main]\nsite = \"here\"\nnode = \"dgx-h100\"\nnodes = {nodes}\n\
         failures = {{ trace = {{ csv = {{ path = \"faults.csv\" }} }} }}\n{jobs}"
    );
    let path = folder.path().join("spares.toml");
    std::fs::write(&path, text).unwrap();
    let scenario = scenario::load(&path, &[]).unwrap_or_else(|complaints| panic!("{complaints}"));
    simulate(&scenario, |_| ()).accounts
}

/// A job of four nodes and a day of work that saves by the hour at no cost.
pub(crate) fn job(name: &str, priority: i32, spares: &str) -> String {
    format!(
        "[training.{name}]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nnodes = 4\ntokens = 1e6\nideal = \"1 d\"\n\
         priority = {priority}\nspares = {spares}\nrecovery = {{ detect = \"1 min\", localise = \"5 min\", restart = \"10 min\" }}\n\
         checkpoint.remote = {{ every = \"1 h\", blocking = \"0 s\", background = \"0 s\" }}\n"
    )
}

const TAKES: &str = "{ short = { preempt = {} } }";

/// Node 5, one of the vital job's, is away from 10:00 to 15:00.
const FAULT: &str = "5,36000,54000,gpu,,false\n";

pub(crate) fn hours(accounts: &Accounts, name: &str, metric: &str) -> f64 {
    accounts.figure(&format!("training.{name}"), metric, "").expect("a figure") / 3_600.0
}

pub(crate) fn gpu_hours(accounts: &Accounts, name: &str, metric: &str) -> f64 {
    accounts.figure(&format!("training.{name}"), metric, "").expect("a figure")
}

pub(crate) fn count(accounts: &Accounts, name: &str, metric: &str) -> f64 {
    gpu_hours(accounts, name, metric)
}

#[track_caller]
pub(crate) fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
}

#[test]
fn a_job_without_spares_takes_a_node_of_a_lower_one_and_gives_one_back_after_the_repair() {
    let accounts = accounts(8, FAULT, &format!("{}{}", job("vital", 1, TAKES), job("lesser", 0, "{}")));
    // Seen at 10:01, found at 10:06, taken over by 10:07, running again at 10:17 with 14 h to do.
    close(hours(&accounts, "vital", "finished"), 24.0 + 17.0 / 60.0);
    assert_eq!(count(&accounts, "vital", "taken_nodes"), 1.0);
    assert_eq!(count(&accounts, "vital", "preemptions"), 0.0);
    // Five nodes from 10:06 to 15:00, when the repaired one goes to the cluster; four before and after.
    close(gpu_hours(&accounts, "vital", "held_gpu_hours"), 8.0 * (4.0 * (24.0 + 17.0 / 60.0) + 4.9));
    close(gpu_hours(&accounts, "vital", "repair_gpu_hours"), 8.0 * 5.0);
    close(gpu_hours(&accounts, "vital", "spare_gpu_hours"), 0.0);
    // The lesser one saves 10.1 h of work, gets four nodes at 15:00, restarts for 10 min and does the rest.
    close(hours(&accounts, "lesser", "requeued"), 4.9);
    assert_eq!(count(&accounts, "lesser", "preemptions"), 1.0);
    close(hours(&accounts, "lesser", "finished"), 15.0 + 10.0 / 60.0 + 13.9);
    close(gpu_hours(&accounts, "lesser", "productive_gpu_hours"), 32.0 * 24.0);
    // What that preemption took: 10 min of its GPUs, and 4.9 h of its own time on top.
    close(gpu_hours(&accounts, "lesser", "preempted_gpu_hours"), 32.0 / 6.0);
    close(gpu_hours(&accounts, "lesser", "recovery_gpu_hours"), 0.0);
    assert_eq!(
        own_time(&accounts, "lesser"),
        [(Use::Productive, 86_400), (Use::Preempted, 17_640 + 600)],
        "each second in one use"
    );
    let vital = [(Use::Productive, 86_400), (Use::Detect, 60), (Use::Localise, 300), (Use::SpareWait, 60)];
    assert_eq!(own_time(&accounts, "vital"), [&vital[..], &[(Use::Restart, 600)]].concat());
    let waits = accounts_of(&accounts, "training.vital", EventKind::TookNodes);
    assert_eq!(waits, 1, "the events say so");
}

/// Where the time of the job `name` went, in seconds.
pub(crate) fn own_time(accounts: &Accounts, name: &str) -> Vec<(Use, u64)> {
    let tenant = accounts.tenants().iter().find(|tenant| tenant.subject == format!("training.{name}"));
    let Some(Facts::Job(facts)) = tenant.map(|tenant| &tenant.facts) else { panic!("no such job") };
    let seconds = Use::ALL.into_iter().map(|what| (what, facts.time.of(what).nanos() / 1_000_000_000));
    seconds.filter(|&(_, seconds)| seconds > 0).collect()
}

#[test]
fn waiting_for_the_first_nodes_is_the_jobs_own_time() {
    // Four nodes for two jobs of a day under a queue in order of names: the vital one waits for the whole of the lesser.
    let accounts = accounts(4, "", &format!("{}{}", job("vital", 1, "{}"), job("lesser", 0, "{}")));
    assert_eq!(own_time(&accounts, "lesser"), [(Use::Productive, 86_400)]);
    assert_eq!(own_time(&accounts, "vital"), [(Use::Productive, 86_400), (Use::Queued, 86_400)]);
    close(gpu_hours(&accounts, "vital", "held_gpu_hours"), 32.0 * 24.0);
}

fn accounts_of(accounts: &Accounts, subject: &str, kind: EventKind) -> usize {
    let tenant = accounts.tenants().iter().find(|tenant| tenant.subject == subject).expect("it is there");
    tenant.book.events().iter().filter(|event| event.kind == kind).count()
}

#[test]
fn who_may_not_take_nodes_waits_for_the_repair() {
    let accounts = accounts(8, FAULT, &format!("{}{}", job("vital", 1, "{}"), job("lesser", 0, "{}")));
    // Running again at 15:10.
    close(hours(&accounts, "vital", "finished"), 24.0 + 5.0 + 10.0 / 60.0);
    close(hours(&accounts, "lesser", "finished"), 24.0);
}

#[test]
fn free_nodes_go_first_and_nobody_is_preempted() {
    let accounts = accounts(9, FAULT, &format!("{}{}", job("vital", 1, TAKES), job("lesser", 0, "{}")));
    close(hours(&accounts, "vital", "finished"), 24.0 + 17.0 / 60.0);
    assert_eq!(count(&accounts, "lesser", "preemptions"), 0.0);
}

#[test]
fn equals_are_left_alone() {
    // The lesser one comes when the day is over.
    let late = job("lesser", 0, "{}").replace("priority", "submit = \"2 d\"\npriority");
    let accounts = accounts(8, FAULT, &format!("{}{}{late}", job("vital", 1, TAKES), job("equal", 1, "{}")));
    close(hours(&accounts, "vital", "finished"), 24.0 + 5.0 + 10.0 / 60.0);
    assert_eq!(count(&accounts, "equal", "preemptions"), 0.0);
}

#[test]
fn what_a_preempted_job_had_in_repair_is_nobodys_until_it_is_whole() {
    // The lesser one loses node 1 at 09:00 for 20 h and waits; the vital one loses node 5 at 10:00 and takes a whole one of it.
    let faults = "1,32400,104400,gpu,,false\n5,36000,54000,gpu,,false\n";
    let accounts = accounts(8, faults, &format!("{}{}", job("vital", 1, TAKES), job("lesser", 0, "{}")));
    close(hours(&accounts, "vital", "finished"), 24.0 + 17.0 / 60.0);
    // From 15:00 on three nodes are free, and from 24:17 on four more: it goes on then, with the 15 h of work that it lacks.
    close(hours(&accounts, "lesser", "finished"), 24.0 + 17.0 / 60.0 + 10.0 / 60.0 + 15.0);
}
