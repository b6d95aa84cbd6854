//! Everything that can befall a cluster at once, in random small worlds: failures of whole domains, stragglers, maintenance and
//! crews under training jobs that take nodes, shrink, run in phases, share a store or wait for cheap hours, beside a workload and a service,
//! under power caps. Whatever happens, the books are whole and threads do not show.

use crate::worlds::assert_whole;
use proptest::prelude::*;
use tollway::{scenario, simulate};

#[derive(Debug, Clone)]
struct World {
    seed: u64,
    nodes: u32,
    failures: f64,
    bursts: f64,
    slow: f64,
    limit: f64,
    short: usize,
    clock: usize,
    wait: bool,
    evict: bool,
    maintained: bool,
    sized: bool,
}

impl World {
    fn text(&self) -> String {
        let World { seed, nodes, failures, bursts, slow, .. } = self;
        let limit = (self.limit * f64::from(*nodes) * 10.2 * 1.3e3) as u64;
        let short = ["{ wait = {} }", "{ shrink = { replica = 2 } }", "{ preempt = {} }"][self.short];
        let clock = ["serial", "wall", "uptime"][self.clock];
        let shift = if self.wait { "shift = { price = { pause = 0.3, window = \"4 h\" } }" } else { "" };
        let (evict, suspects) = if self.evict {
            (", evict = { detect = \"5 min\" }", "evict = { group = 2, miss = 0.2, test = \"20 min\" }, ")
        } else {
            ("", "")
        };
        // Nothing takes a job back behind a border: no silent corruption there.
        let (silent, nodes_first) = if self.sized { (0.0, ", nodes = 6") } else { (0.1, "") };
        let maintenance = if self.maintained {
            "maintenance.racks = { of = \"rack\", from = \"1 h\", notice = \"20 min\", out = \"40 min\" }"
        } else {
            ""
        };
        format!(
            r#"
name = "world"
seed = {seed}
start = "2026-07-08T00:00:00Z"
duration = "9 h"
timeline = {{ step = "15 min" }}
[site.home]
grid = "ciso"
power_limit = "{limit} W"
capping = {{ polca = {{}} }}
[site.home.tariff.time_of_use]
zone = "America/Los_Angeles"
base = "$0.14/kWh"
demand = "$20/kW"
periods = [{{ from = 16, to = 21, price = "$0.24/kWh" }}]
[cluster.main]
site = "home"
node = "dgx-h100"
nodes = {nodes}
domains = {{ rack = 2, power_unit = 4, switch = 4 }}
failures = {{ exponential = {{ rate = "{failures} /d" }} }}
bursts.rack = {{ rate = "{bursts} /d", repair = "30 min" }}
bursts.power_unit = {{ rate = "{bursts} /d", hits = {{ share = 0.5 }}, spread = "10 min" }}
symptoms = {{ hang = 0.2, silent = {silent}, latency = "20 min" }}
stragglers.node = {{ rate = "{slow} /d", speed = 0.7, lasts = {{ median = "30 min" }}{evict} }}
stragglers.switch = {{ rate = "{slow} /d", speed = 0.8 }}
repair = {{ mean = "50 min", shape = 0.7, crews = 2, unfixed = 0.2, relapse = "40 min" }}
storage.lustre = {{ bandwidth = "3 GB/s" }}
{maintenance}
[training.tune]
cluster = "main"
model = "llama-3.1-8b"
nodes = 4
tokens = 1e9
ideal = "5 h"
priority = 2
phases = [{{ tokens = 2e8{nodes_first}, tokens_per_second = "30000 /s" }}]
rate = {{ thermal = 0.97 }}
spares = {{ hot = 1, short = {short} }}
recovery = {{ {suspects}detect = "1 min", localise = "1 min", restart = "3 min", failure_clock = "{clock}" }}
checkpoint.peer = {{ every = "4 min", blocking = "1 s", background = "5 s", survives = "node" }}
checkpoint.remote = {{ every = "20 min", blocking = "3 s", background = "30 s", retention = 3, store = "lustre" }}
{shift}
[training.late]
cluster = "main"
model = "llama-3.1-8b"
nodes = 2
tokens = 1e9
ideal = "2 h"
submit = "33 min"
priority = 1
checkpoint.remote = {{ every = "10 min", blocking = "20 s", background = "0 s", restore = "1 min", store = "lustre" }}
[workload.mix]
cluster = "main"
jobs = {{ trace = {{ acme = {{ path = "scenarios/fixtures/acme-jobs-invented.csv" }} }} }}
checkpoint = "10 min"
[service.chat]
cluster = "main"
model = "llama-3.1-8b"
replica = {{ gpus = 4 }}
scale = {{ min = 1, max = 2 }}
arrivals = {{ chat = {{ rate = "0.2 /s" }} }}
slo = {{ ttft = "2 s", tpot = "30 ms" }}
"#
        )
        .replace("ideal = \"5 h\"\n", "tokens_per_second = \"60000 /s\"\n")
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let rates = (0.0_f64..8.0, 0.0_f64..2.0, 0.0_f64..6.0, 0.5_f64..1.1);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0_u64..1_000, 12_u32..16, rates, 0_usize..3, 0_usize..3, flags).prop_map(
        |(seed, nodes, (failures, bursts, slow, limit), short, clock, (wait, evict, maintained, sized))| {
            // A rate of zero is refused: nothing would happen.
            let [failures, bursts, slow] = [failures, bursts, slow].map(|rate| rate.max(0.01));
            World { seed, nodes, failures, bursts, slow, limit, short, clock, wait, evict, maintained, sized }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn everything_at_once_leaves_the_books_whole_on_any_number_of_threads(world in worlds()) {
        let text = world.text();
        let scenario = scenario::parse("world.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            pool.install(|| simulate(&scenario, |_| ()))
        });
        assert_whole(&scenario, &one.accounts);
        prop_assert_eq!(one.accounts.figures(), three.accounts.figures());
    }
}
