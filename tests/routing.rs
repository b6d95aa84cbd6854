//! Routers that know what requests have in common, the front router over cells, and autoscalers, through whole scenarios.

use tollway::ledger::Accounts;
use tollway::{scenario, simulate};

/// Runs a pool of 8B replicas for an hour with these lines in its service.
fn run(lines: &str) -> Accounts {
    let text = format!(
        r#"
name = "routing"
start = "2026-06-05T22:00:00Z"
duration = "1 h"
timeline = {{ step = "5 min" }}

[site.hall]
grid = "pjm"
tariff = {{ flat = "$0.09/kWh" }}
facility = {{ constant = {{ pue = 1.2, wue = "0.30 L/kWh" }} }}

[cluster.pool]
site = "hall"
node = "dgx-h100"
nodes = 200
failures = {{ none = {{}} }}

[service.chat]
cluster = "pool"
model = "llama-3.1-8b"
{lines}
"#
    );
    let scenario = scenario::parse("routing", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
    simulate(&scenario, |_| ()).accounts
}

fn figure(accounts: &Accounts, metric: &str) -> f64 {
    accounts.figure("service.chat", metric, "").unwrap_or_else(|| panic!("no {metric}"))
}

/// What the caches of eight replicas find of conversations, by the router.
fn found(router: &str) -> f64 {
    let lines = format!(
        r#"
replica = {{ gpus = 1, prefix_cache = {{ block = 256 }} }}
scale = {{ min = 8, max = 8, policy = {{ fixed = {{}} }} }}
router = {{ {router} }}
arrivals = {{ sessions = {{ rate = "3 /s", turns = 4, weekly = false, noise = 0 }} }}
"#
    );
    figure(&run(&lines), "prefix_hit_share")
}

#[test]
fn a_conversation_finds_its_past_where_it_is_sent_back_to() {
    let [loaded, memory, sticky, affine] =
        ["least_loaded = {}", "least_kv = {}", "session_sticky = {}", "prefix_affinity = {}"].map(found);
    // Of eight replicas one has the last turn: whoever goes by load finds little more than the shared system prompt.
    assert!(sticky > 1.5 * loaded && affine > 1.5 * loaded, "{sticky} and {affine} of blocks found, {loaded} by load");
    assert!((memory / loaded - 1.0).abs() < 0.25, "{memory} by memory, {loaded} by requests");
}

/// Four replicas in two cells, by the front.
fn two_cells(front: &str) -> Accounts {
    run(&format!(
        r#"
replica = {{ gpus = 1 }}
scale = {{ min = 1, max = 70, policy = {{ schedule = {{ weekdays = [{}4] }} }} }}
front = {{ {front} }}
arrivals = {{ poisson = {{ rate = "40 /s", prompt = 1000, output = 100 }} }}
"#,
        "4, ".repeat(23)
    ))
}

#[test]
fn old_loads_herd() {
    let [weighted, fresh, old] = [
        "weighted = {}",
        r#"stale_load = { report_every = "1 s" }"#,
        r#"stale_load = { report_every = "5 min", choices = 3 }"#,
    ]
    .map(two_cells);
    let [weighted, fresh, old] = [weighted, fresh, old].map(|accounts| figure(&accounts, "tpot_p99"));
    // With three choices 7/8 of the requests of five minutes go to the cell that was emptier at their start.
    assert!((fresh / weighted - 1.0).abs() < 0.1, "{fresh} ms with fresh loads, {weighted} ms by weight");
    assert!(old > 1.05 * fresh, "{old} ms with old loads, {fresh} ms with fresh ones");
}

#[test]
fn a_pool_at_zero_lets_its_first_request_wait_for_a_replica() {
    let accounts = run(r#"
replica = { gpus = 1 }
scale = { min = 0, max = 4, policy = { target_load = { down_after = "60 s" } } }
arrivals = { ramp = { points = [{ at = "0 s", rate = "0 /s" }, { at = "30 min", rate = "0 /s" }, { at = "1801 s", rate = "5 /s" }, { at = "1 h", rate = "5 /s" }], burstiness = 1 } }
slo = { ttft = "2 s", tpot = "50 ms" }
"#);
    // It opens with one replica, which goes after a minute; the first request then waits for the next look, up to 15 s, and the start.
    let (idle, mean) = (figure(&accounts, "warm_idle_gpu_hours"), figure(&accounts, "mean_gpus"));
    assert!(idle < 0.1 && mean < 0.75, "{idle} GPU-hours idle, {mean} GPUs");
    // Of 9,000 requests 90 wait longer than the 99th percentile: those of the first 18 s.
    let longest = figure(&accounts, "ttft_p99") / 1e3 + 18.0;
    let start = figure(&accounts, "opened");
    assert!(longest > start - 1.0 && longest < start + 17.0, "{longest} s, where a start takes {start} s");
    assert_eq!(figure(&accounts, "rejected"), 0.0);
}

#[test]
fn a_promise_is_kept_with_fewer_replicas_than_the_peak_needs() {
    let lines = |scale: &str| {
        run(&format!(
            r#"
replica = {{ gpus = 1 }}
scale = {{ min = 1, max = 24, policy = {{ {scale} }} }}
arrivals = {{ ramp = {{ points = [{{ at = "0 s", rate = "10 /s" }}, {{ at = "30 min", rate = "60 /s" }}, {{ at = "1 h", rate = "10 /s" }}] }} }}
slo = {{ ttft = "1 s", tpot = "20 ms" }}
"#
        ))
    };
    let kept = lines(r#"slo = { attainment = 0.95 }"#);
    let (attained, gpus) = (figure(&kept, "slo_attainment"), figure(&kept, "mean_gpus"));
    assert!(attained > 0.9 && gpus < 20.0, "{attained} of the requests in time on {gpus} GPUs");
    assert!(kept.tenants()[0].book.events().iter().filter(|event| event.detail.contains(" to ")).count() > 3);
}

/// 22:00 on a Friday: two replicas, three from 23:00 on.
#[test]
fn a_schedule_is_kept_by_the_clock() {
    let mut hours = vec!["2"; 24];
    hours[22] = "3";
    let lines = |duration_fidelity: &str| {
        run(&format!(
            r#"
replica = {{ gpus = 1 }}
scale = {{ min = 1, max = 8, policy = {{ schedule = {{ weekdays = [{}] }} }} }}
arrivals = {{ chat = {{ rate = "10 /s" }} }}
{duration_fidelity}
"#,
            hours.join(", ")
        ))
    };
    for fidelity in ["", "fidelity = { fluid = {} }"] {
        let mean = figure(&lines(fidelity), "mean_gpus");
        // Over the time since the doors opened, three that loaded for a minute before it included.
        assert!((3.0..3.1).contains(&mean), "{mean} GPUs from 22:00 to 23:00");
    }
}
