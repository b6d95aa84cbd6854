//! Random small worlds through the whole simulator - failures, spares, scaling, power caps, tariffs, contracts, cooling on - and every shipped
//! scenario: whatever happened, each picojoule, nanodollar, microgram and microlitre belongs to exactly one row, both ways of
//! adding them up give the meters, and a timeline of any width adds up to the same.

use proptest::prelude::*;
use std::path::Path;
use tollway::ledger::{Accounts, Entry, Facts, Part};
use tollway::scenario::{self, Scenario};
use tollway::simulate;
use tollway::units::{Dollars, GramsCo2e, Joules, Litres};

/// What a set of rows adds up to: energy, holding, bill, scope 2, market-based, upstream, embodied, water on site and off site.
type Total = (Joules, Dollars, Dollars, [GramsCo2e; 4], [Litres; 2]);

/// Adds up the entries of each line that `holds`, with their shares of overheads where they are asked for.
fn total<'a>(entries: impl Iterator<Item = &'a Entry>, with_shares: impl Fn(&Entry) -> bool) -> Total {
    let mut sum = Entry::default();
    for entry in entries {
        sum += *entry;
        if with_shares(entry) {
            sum.own += entry.share;
        }
    }
    let own = sum.own;
    let carbon = [own.carbon, own.market, own.upstream, sum.embodied];
    (own.energy, sum.holding, own.bill, carbon, [own.water, own.water_offsite])
}

/// Everything belongs to one row; closing the books asserted the same in each bin.
pub(crate) fn assert_whole(scenario: &Scenario, accounts: &Accounts) {
    let lines = || accounts.lines().iter().zip(accounts.line_sums());
    for site in 0..accounts.sites().len() {
        let here = || lines().filter(|(line, _)| line.site == Some(site));
        let apart = total(here().map(|(_, entry)| entry), |_| false);
        let holders = here().filter(|(line, _)| line.part != Part::LossesAndCooling);
        let shared = total(holders.map(|(_, entry)| entry), |_| true);
        assert_eq!(apart, shared, "{}: shares of overheads are the overheads", accounts.sites()[site].name);
        let meter = accounts.site(site).sum;
        let metered = (meter.energy, meter.cost, meter.water, meter.water_offsite);
        let (energy, holding, bill, [carbon, market, upstream, embodied], [water, offsite]) = apart;
        assert_eq!((energy, holding + bill, water, offsite), metered, "{}", accounts.sites()[site].name);
        assert_eq!(
            [carbon, market, upstream, embodied],
            [meter.carbon, meter.market, meter.upstream, meter.embodied],
            "{}",
            accounts.sites()[site].name
        );
    }
    for step in [scenario.step, scenario.step * 7] {
        let mut sums = vec![Entry::default(); accounts.lines().len()];
        for step in accounts.steps(step) {
            sums.iter_mut().zip(step.entries).for_each(|(sum, entry)| *sum += entry);
        }
        assert_eq!(sums, accounts.line_sums(), "a timeline of {step} adds up to the run");
    }
    for tenant in accounts.tenants() {
        let spent = accounts.lines().iter().zip(accounts.line_sums());
        let mine = spent
            .filter(|(line, _)| line.tenant.is_some_and(|index| accounts.tenants()[index].subject == tenant.subject));
        let held: u128 = mine.map(|(_, entry)| entry.spent.node().pico()).sum();
        let booked: u128 = tollway::ledger::Use::ALL.iter().map(|&what| tenant.book.spent(what).node().pico()).sum();
        assert_eq!(held, booked, "{}: what its book says is what its rows say", tenant.subject);
        if let Facts::Job(facts) = &tenant.facts {
            assert!(facts.kept.count() <= facts.asked.count(), "{}", tenant.subject);
        }
    }
}

/// A world of two sites: nodes of one that fail often under a training job with spares, and a service that scales beside it.
#[derive(Debug, Clone)]
struct World {
    seed: u64,
    /// Failures of a node a day.
    failures: f64,
    spares: (u32, u32),
    rate: f64,
    replicas: u32,
    tariff: usize,
    owned: bool,
    tower: bool,
    contracts: Option<bool>,
    step: usize,
    /// Limit of the site's meter, in kilowatts, and what it is lowered to between the second and the fourth hour.
    cap: Option<(u32, u32)>,
}

impl World {
    fn text(&self) -> String {
        let tariff = [
            "{ flat = \"$0.0826/kWh\" }",
            "{ flat = \"$0.5/kWh\" }",
            "{ time_of_use = { zone = \"America/New_York\", base = \"$0.07/kWh\", demand = \"$20.7/kW\", \
             periods = [{ days = \"weekdays\", from = 7, to = 22, price = \"$0.31/kWh\" }] } }",
            "\"de-lu-wholesale-2024\"",
        ][self.tariff];
        let cost = if self.owned { "{ owned = {} }" } else { "{ rented = { gpu_hour = \"$2.00/h\" } }" };
        let facility = if self.tower {
            "{ weather = { design = \"tower\", series = { path = \"scenarios/fixtures/weather-invented.csv\", dry_bulb = \"dry_c\", wet_bulb = \"wet_c\" } } }"
        } else {
            "{ constant = { pue = 1.23, wue = \"0.37 L/kWh\" } }"
        };
        let contracts = self.contracts.map_or(String::new(), |hourly| {
            let matching = if hourly { "hourly" } else { "annual" };
            format!(
                "contracts = {{ matching = \"{matching}\", residual = \"410 gCO2e/kWh\", list = [{{ supply = {{ flat = \"90 kW\" }} }}] }}"
            )
        });
        let cap = self.cap.map_or(String::new(), |(limit, lowered)| {
            format!(
                "power_limit = \"{limit} kW\"\ncapping = {{ track = {{ lever = \"20 s\", tick = \"1 min\" }} }}\n\
                 demand_response = {{ windows = [{{ from = \"2 h\", to = \"4 h\", limit = \"{lowered} kW\" }}] }}"
            )
        });
        let step = ["1 h", "15 min", "7200 s"][self.step];
        let World { seed, failures, spares: (hot, cold), rate, replicas, .. } = self;
        format!(
            r#"
name = "world"
seed = {seed}
start = "2026-07-08T00:00:00Z"
duration = "9 h"
timeline = {{ step = "{step}" }}
[site.near]
grid = "ciso"
tariff = {tariff}
facility = {facility}
{contracts}
{cap}
[site.far]
grid = {{ constant = {{ direct = "391 gCO2e/kWh", upstream = "57 gCO2e/kWh" }} }}
tariff = {{ flat = "$0.1/kWh" }}
[cluster.main]
site = "near"
node = "dgx-h100"
nodes = 24
failures = {{ exponential = {{ rate = "{failures} /d" }} }}
cost = {cost}
[cluster.other]
site = "far"
node = "dgx-h100"
nodes = 3
failures = {{ none = {{}} }}
cost = {{ rented = {{ gpu_hour = "$2.50/h" }} }}
[training.tune]
cluster = "main"
model = "llama-3.1-8b"
nodes = 8
tokens = 5e9
mfu = 0.4
spares = {{ hot = {hot}, cold = {cold} }}
recovery = {{ repair = "50 min" }}
checkpoint.remote = {{ every = "10 min", blocking = "3 s" }}
[training.late]
cluster = "other"
model = "llama-3.1-8b"
nodes = 2
tokens = 1e8
mfu = 0.3
submit = "33 min"
[service.chat]
cluster = "main"
model = "llama-3.1-8b"
opens = {{ at = "20 min" }}
replica = {{ gpus = 4 }}
scale = {{ min = 1, max = {replicas} }}
arrivals = {{ chat = {{ rate = "{rate} /s" }} }}
slo = {{ ttft = "2 s", tpot = "30 ms" }}
[device.laptop]
preset = "laptop-m-class"
model = "llama-3.1-8b"
prompts_per_day = 200
site = "far"
"#
        )
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let machines = (0.0_f64..20.0, (0_u32..3, 0_u32..3), 0.05_f64..3.0, 1_u32..6);
    let market = (0_usize..4, any::<bool>(), any::<bool>(), prop::option::of(any::<bool>()), 0_usize..3);
    let cap = prop::option::of((90_u32..260, 40_u32..90));
    (0_u64..1_000, machines, market, cap).prop_map(|(seed, (failures, spares, rate, replicas), market, cap)| {
        let (tariff, owned, tower, contracts, step) = market;
        World { seed, failures, spares, rate, replicas, tariff, owned, tower, contracts, step, cap }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_small_worlds_are_whole(world in worlds()) {
        let text = world.text();
        let scenario = scenario::parse("world.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
        let outcome = simulate(&scenario, |_| ());
        assert_whole(&scenario, &outcome.accounts);
    }
}

/// The quick ones of the scenarios that ship; each of the others is closed, and so checked bin by bin, by its golden.
#[test]
fn shipped_scenarios_are_whole() {
    for name in ["day-and-night", "cooling", "llama3-54-days", "checkpoint-tiers"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("toml");
        let scenario = scenario::load(&path, &[]).unwrap_or_else(|complaints| panic!("{complaints}"));
        let outcome = simulate(&scenario, |_| ());
        assert_whole(&scenario, &outcome.accounts);
    }
}
