//! How closely a service is looked at: a sample of its cells against all of them.

use std::path::Path;
use std::sync::Arc;
use tollway::engine::{Process, Seed};
use tollway::ledger::{Accounts, Book, Count, Facts, Tenant, Use};
use tollway::scenario::{Scenario, load, parse};
use tollway::serving::{Cell, FLUID, Kept, MeasuredFidelity, SAMPLED, kept};
use tollway::simulate;
use tollway::units::{GpuTime, Share, SimTime};
use tollway::world::NodeSet;

/// Twenty minutes in a hall of 48 nodes, with further lines of its site and its cluster.
fn hall(site: &str, cluster: &str, services: &str) -> Scenario {
    let text = format!(
        r#"
name = "fidelity"
start = "2026-03-02T12:00:00Z"
duration = "20 min"
seed = 5
[site.home]
grid = "miso"
tariff = {{ flat = "$0.08/kWh" }}
facility = {{ constant = {{ pue = 1.1 }} }}
{site}
[cluster.main]
site = "home"
node = "dgx-h100"
nodes = 48
{cluster}
{services}"#
    );
    parse("fidelity.toml", &text).unwrap_or_else(|wrong| panic!("{wrong:?}"))
}

fn loaded(services: &str) -> Scenario {
    hall("", "failures = { none = {} }", services)
}

fn tenant<'a>(accounts: &'a Accounts, subject: &str) -> &'a Tenant {
    accounts.tenants().iter().find(|tenant| tenant.subject == subject).unwrap()
}

/// What was counted, measured and spent: all of a book but its events.
fn amounts(book: &Book) -> String {
    let counts = Count::ALL.map(|what| book.counted(what));
    let spent = Use::ALL.map(|what| (0..book.grid().bins()).map(|bin| book.spent_in(what, bin)).collect::<Vec<_>>());
    format!("{counts:?} {spent:?} {:?}", book.latencies())
}

/// One cell of a service of 128 replicas that are always there, alone in the world.
fn alone(scenario: &Scenario, cell: u32) -> Book {
    let plan = &scenario.services[0];
    let horizon = scenario.horizon;
    let mut cell_alone =
        Cell::new(Arc::clone(plan), cell, Seed { seed: scenario.seed, replication: 0 }, scenario.grid());
    let ready = SimTime::ZERO + plan.start_up;
    (0..64).for_each(|_| cell_alone.add_replica(SimTime::ZERO, ready, NodeSet::first(1)));
    cell_alone.run_until(ready);
    cell_alone.set_slice(ready, f64::from(cell) / 2.0..f64::from(cell + 1) / 2.0);
    cell_alone.open(ready);
    cell_alone.run_until(horizon);
    cell_alone.close(horizon).0
}

/// With replicas that stay, the cells of a sample live to the last bit as they do among all, whatever asks them.
#[test]
fn a_kept_cell_lives_as_it_would_among_all() {
    let chat = "chat = { rate = \"80 /s\" }";
    let clients = "clients = { rate = \"20 /s\", clients = 30 }";
    let sessions = "sessions = { rate = \"20 /s\" }";
    let closed = "closed_loop = { clients = 60, prompt = { tokens = 200 }, output = { tokens = 50 } }";
    for arrivals in [chat, clients, sessions, closed] {
        let with = |fidelity: &str| {
            loaded(&format!(
                "[service.chat]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nreplica = {{ gpus = 1 }}\n\
                 scale = {{ min = 128, max = 128, policy = {{ fixed = {{}} }} }}\n\
                 arrivals = {{ {arrivals} }}\nfidelity = {{ {fidelity} }}"
            ))
        };
        let (every, sampled) = (with("requests = {}"), with("sampled = { one_in = 2 }"));
        let mut both = alone(&every, 0);
        both.merge(alone(&every, 1));
        let accounts = simulate(&every, |_| ()).accounts;
        assert_eq!(amounts(&tenant(&accounts, "service.chat").book), amounts(&both), "{arrivals}");
        let [Kept { cell, stands_for: 2, .. }] = kept(&sampled.services[0], sampled.parts().seed)[..] else {
            panic!("one of two")
        };
        let mut twice = alone(&every, cell);
        assert!(twice.counted(Count::Completed) > 1_000, "{arrivals}: something happens");
        twice.multiply(2);
        let accounts = simulate(&sampled, |_| ()).accounts;
        let service = tenant(&accounts, "service.chat");
        assert_eq!(amounts(&service.book), amounts(&twice), "{arrivals}");
        assert!(matches!(&service.facts, Facts::Service(facts) if facts.fidelity == "sampled"));
    }
}

/// One in one is every request, autoscaler and all.
#[test]
fn a_sample_of_all_is_all() {
    let with = |fidelity: &str| {
        let scenario = loaded(&format!(
            "[service.chat]\ncluster = \"main\"\nmodel = \"llama-3.1-8b\"\nreplica = {{ gpus = 1 }}\n\
             scale = {{ min = 1, max = 128 }}\nslo = {{ ttft = \"2 s\", tpot = \"30 ms\" }}\n\
             arrivals = {{ chat = {{ rate = \"200 /s\" }} }}\nfidelity = {{ {fidelity} }}"
        ));
        amounts(&tenant(&simulate(&scenario, |_| ()).accounts, "service.chat").book)
    };
    assert_eq!(with("requests = {}"), with("sampled = { one_in = 1 }"));
}

/// Whatever happens to a sample - failures, an autoscaler with too little room, classes, impatient clients, a limit at the meter -
/// each GPU-second of the cluster, each joule at the meter and each request is in one place: closing the books asserts it.
#[test]
fn the_books_of_a_sample_close() {
    let scenario = hall(
        "power_limit = \"170 kW\"\ncapping = { polca = {} }",
        "failures = { exponential = { rate = \"24 /d\" } }",
        r#"
[service.busy]
cluster = "main"
model = "llama-3.1-8b"
replica = { gpus = 1 }
scale = { min = 3, max = 192, policy = { target_load = { load = 0.2 } } }
slo = { ttft = "2 s", tpot = "30 ms" }
patience = { answer = "3 s", retries = 2 }
arrivals = { chat = { rate = "300 /s" } }
fidelity = { sampled = { one_in = 3 } }
class.paying = { share = 0.25, priority = 1 }
class.free = { share = 0.75 }
[service.idle]
cluster = "main"
model = "llama-3.1-8b"
replica = { gpus = 2 }
scale = { min = 0, max = 128 }
arrivals = { ramp = { points = [{ at = "0 s", rate = "90 /s" }, { at = "5 min", rate = "0 /s" }] } }
fidelity = { sampled = { one_in = 2 } }
"#,
    );
    let accounts = simulate(&scenario, |_| ()).accounts;
    let figure = |subject: &str, metric: &str| accounts.figure(subject, metric, "").unwrap();
    let hours = figure("cluster.main", "gpu_hours") + figure("cluster.main", "idle_gpu_hours");
    assert!((hours - 384.0 / 3.0).abs() < 1e-9, "48 nodes of 8 GPUs for 20 minutes, {hours}");
    let failures = figure("service.busy", "replica_failures");
    assert!(failures > 0.0 && failures % 3.0 == 0.0, "{failures}: three fail at once");
    let classes = figure("service.busy.paying", "requests") + figure("service.busy.free", "requests");
    assert_eq!(classes, figure("service.busy", "requests"));
    assert!(figure("service.busy", "attempts") > classes, "some asked again");
    // Steps of two replicas of two GPUs; none is left when nobody asks.
    let idle = tenant(&accounts, "service.idle");
    assert_eq!(idle.book.spent(Use::Serving).time.nanos() % 4, 0);
    assert!(idle.book.spent_in(Use::WarmIdle, 0).time > GpuTime::ZERO);
}

/// The shipped scenario, every request and a sample of a quarter, against the errors that the manifest states.
#[test]
fn a_sample_is_within_its_stated_errors() {
    let Some([every, sample]) = both(&SAMPLED, "{ sampled = { one_in = 4 } }", &[]) else { return };
    let kept = sample.figure("service.chat", "replicas_kept", "").unwrap();
    assert!(kept >= 20.0, "{kept} replicas kept");
    are_within(&SAMPLED, &every, &sample);
}

/// Five days of the shipped scenario, every request and response tables, likewise.
#[test]
fn response_tables_are_within_their_stated_errors() {
    let cut = ["duration=\"5 d\"", "comparison={}"];
    let Some([every, fluid]) = both(&FLUID, "{ fluid = {} }", &cut) else { return };
    are_within(&FLUID, &every, &fluid);
}

/// Every request of a shipped scenario, and another fidelity; none in a debug build.
fn both(measured: &MeasuredFidelity, other: &str, cut: &[&str]) -> Option<[Accounts; 2]> {
    if cfg!(debug_assertions) {
        println!("skipped: 20 million requests take minutes in a debug build; `cargo test --release` runs them");
        return None;
    }
    let run = |fidelity: &str| {
        let fidelity = format!("service.chat.fidelity={fidelity}");
        let sets: Vec<String> = cut.iter().map(|set| (*set).to_owned()).chain([fidelity]).collect();
        simulate(&load(Path::new(measured.scenario), &sets).unwrap_or_else(|wrong| panic!("{wrong:?}")), |_| ())
            .accounts
    };
    Some([run("{ requests = {} }"), run(other)])
}

fn are_within(measured: &MeasuredFidelity, every: &Accounts, other: &Accounts) {
    let within = |metric: &str, boundary: &str, band: Share| {
        let of = |accounts: &Accounts| accounts.figure("service.chat", metric, boundary).unwrap();
        let off = of(other) / of(every) - 1.0;
        println!("{metric}: {:+.2} %", off * 100.0);
        assert!(off.abs() <= band.as_f64(), "{metric}: {} of every request, {} otherwise", of(every), of(other));
    };
    within("energy", "B4", measured.amounts);
    ["gpu_hours", "requests", "completed", "prompt_tokens", "output_tokens"]
        .iter()
        .for_each(|metric| within(metric, "", measured.amounts));
    for (what, band) in measured.latencies {
        ["ttft", "tpot", "e2e"].iter().for_each(|latency| within(&format!("{latency}_{what}"), "", *band));
    }
}
