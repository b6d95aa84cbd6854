//! Known answers and conservation of the closed books. [`small_world`] is small enough to be added up by hand.

use proptest::prelude::*;
use tollway::catalog::{CarbonSeries, ConstantGrid, GridSheet, PriceSeries, PriceUnit, TariffSheet, TimeOfUse};
use tollway::facility::{Air, Constant, Design, Facility, Weather};
use tollway::ledger::{
    Accounts, Axis, Book, Boundary, ClusterBooks, Count, Crossing, Draw, Event, EventKind, Factor, Facts, Grid,
    Holding, JobFacts, JobTime, Part, ServiceFacts, Shift, SitePlan, Sum, Tenant, Use, close,
};
use tollway::market::{Contracts, Given, Market, Matching};
use tollway::units::{
    DollarsPerHour, DollarsPerKw, DollarsPerKwh, FlopsPerSecond, GramsPerHour, GramsPerKwh, LitresPerKwh, Ratio,
    SimTime, Span, Tokens, Watts,
};

/// A market with one price (in nanodollars), and direct and upstream intensities (in grams).
fn market(nanodollars: i64, direct: u64, upstream: u64) -> Market {
    let grams = |grams: u64| GramsPerKwh::from_micro(grams * 1_000_000);
    // US mean of 2023 (LBNL 2024, p. 57).
    let water = LitresPerKwh::from_micro(4_520_000);
    let grid = ConstantGrid { direct: grams(direct), upstream: grams(upstream), water };
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let tariff = TariffSheet::Flat(DollarsPerKwh::from_nano(nanodollars));
    Market::compile(start, 1, &tariff, &GridSheet::Constant(grid), &Given::default())
}

fn hour(hours: u64) -> SimTime {
    SimTime::ZERO + Span::HOUR * hours
}

fn ten_hours() -> Grid {
    Grid { horizon: hour(10), bin: Span::HOUR }
}

/// $0.10/kWh, 400 and 50 g/kWh, PUE 1.2 and 0.36 L/kWh.
fn hall() -> SitePlan {
    let constant = Constant { pue: Ratio::new(1.2), wue: LitresPerKwh::from_micro(360_000) };
    SitePlan {
        name: "hall".to_owned(),
        facility: Facility::Constant(constant),
        market: market(100_000_000, 400, 50),
        power_limit: None,
    }
}

/// 32 GPUs that idle at 100 W and 100 W of host.
fn cluster(holding: Holding) -> ClusterBooks {
    let idle_gpu = Draw::new(1, Watts::new(100), Watts::new(100));
    let embodied = GramsPerHour::from_f64(20.0);
    ClusterBooks { name: "main".to_owned(), site: 0, gpus: 32, idle_gpu, holding, embodied }
}

fn owned() -> Holding {
    Holding::Owned(DollarsPerHour::from_f64(1.5))
}

fn job_facts(research_multiplier: f64) -> JobFacts {
    JobFacts {
        gpus: 8,
        sized: None,
        submitted: hour(0),
        started: Some(hour(0)),
        finished: Some(hour(2)),
        asked: Tokens::new(1_000_000),
        kept: Tokens::new(1_000_000),
        ideal: Span::from_secs(6_480),
        flops_per_token: 1e9,
        peak: FlopsPerSecond::new(1e12),
        interruptions: 1,
        planned: 0,
        preemptions: 0,
        requeued: Span::ZERO,
        checkpoints: 3,
        checkpoint_every: Span::from_secs(1_800),
        research_multiplier: Ratio::new(research_multiplier),
        paused: None,
        swing: [Watts::new(200), Watts::new(100)],
        training: Watts::new(100),
        slowed: Span::ZERO,
        taken: None,
        suspects: None,
        stragglers: None,
        storage: None,
        time: JobTime::default(),
        shrinks: false,
        failure_clock: "serial",
    }
}

/// 8 GPUs for 2 h at 1,000 W and 250 W of host, and 8 spares: 16 + 4 + 3.2 kWh.
fn pretrain(research_multiplier: f64) -> Tenant {
    let mut book = Book::new(ten_hours());
    book.spend(Use::Productive, hour(0), hour(2), Draw::new(8, Watts::new(1_000), Watts::new(250)));
    book.spend(Use::Spare, hour(0), hour(2), Draw::new(8, Watts::new(100), Watts::new(100)));
    let event = |hours, kind, nodes: &str, detail: &str| Event {
        at: hour(hours),
        kind,
        nodes: nodes.to_owned(),
        detail: detail.to_owned(),
    };
    book.log(event(0, EventKind::Started, "0-1", ""));
    book.log(event(1, EventKind::Failure, "1", "lost 312 s of work"));
    let facts = Facts::Job(job_facts(research_multiplier));
    Tenant { subject: "training.pretrain".to_owned(), cluster: Some(0), site: 0, book, facts }
}

/// 8 GPUs from the 3rd hour on: 4 h of serving at 500 W and 125 W of host, then 4 h warm: 16 + 4 + 6.4 kWh.
/// 100 requests of 20 output tokens in each hour of serving, and one that is still inside.
fn chat() -> Tenant {
    let mut book = Book::new(ten_hours());
    book.spend(Use::Serving, hour(2), hour(6), Draw::new(8, Watts::new(500), Watts::new(125)));
    book.spend(Use::WarmIdle, hour(6), hour(10), Draw::new(8, Watts::new(100), Watts::new(100)));
    for hours in 2..6 {
        for (what, number) in [
            (Count::Arrived, 100),
            (Count::Completed, 100),
            (Count::WithinSlo, 99),
            (Count::PromptTokens, 50_000),
            (Count::OutputTokens, 2_000),
        ] {
            book.count(what, hour(hours), number);
        }
    }
    book.count(Count::Arrived, hour(10), 1);
    book.latencies_mut().record_ttft(Span::from_nanos(200_000_000));
    book.latencies_mut().record_tpot(Span::from_nanos(25_000_000));
    book.latencies_mut().record_e2e(Span::from_nanos(700_000_000));
    book.log(Event { at: hour(2), kind: EventKind::Opened, nodes: "2".to_owned(), detail: String::new() });
    let facts = ServiceFacts { opened: Some(hour(2)), in_flight: 1, fidelity: "requests", ..ServiceFacts::default() };
    Tenant { subject: "service.chat".to_owned(), cluster: Some(0), site: 0, book, facts: Facts::Service(facts) }
}

/// 25 W for an hour, for 90 prompts.
fn laptop() -> Tenant {
    let mut book = Book::new(ten_hours());
    book.spend(Use::Serving, hour(3), hour(4), Draw::new(1, Watts::new(25), Watts::ZERO));
    book.count(Count::Arrived, hour(3), 90);
    book.count(Count::Completed, hour(3), 90);
    book.latencies_mut().record_ttft(Span::from_secs(2));
    book.latencies_mut().record_e2e(Span::from_secs(40));
    let facts = ServiceFacts { opened: Some(hour(0)), fidelity: "requests", ..ServiceFacts::default() };
    Tenant { subject: "device.laptop".to_owned(), cluster: None, site: 0, book, facts: Facts::Device(facts) }
}

/// Training, then chat, beside a laptop, on 32 GPUs for 10 hours.
pub(crate) fn small_world(research_multiplier: f64) -> Accounts {
    close_small(owned(), vec![pretrain(research_multiplier), chat(), laptop()])
}

fn close_small(holding: Holding, tenants: Vec<Tenant>) -> Accounts {
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    close(start, ten_hours(), &[hall()], &[cluster(holding)], tenants)
}

/// Fails by the name of the figure.
fn expect_figures(accounts: &Accounts, expected: &[(&str, &str, &str, f64)]) {
    for &(subject, metric, boundary, value) in expected {
        let found = accounts.figure(subject, metric, boundary).unwrap_or(f64::NAN);
        assert!((found - value).abs() <= 1e-9 * value.abs(), "{subject} {metric} {boundary}: {found}, not {value}");
    }
}

#[test]
fn energy_inside_each_boundary() {
    expect_figures(
        &small_world(1.0),
        &[
            ("training.pretrain", "energy", "B1", 16.0),
            ("training.pretrain", "energy", "B2", 20.0),
            ("training.pretrain", "energy", "B3", 23.2),
            ("training.pretrain", "energy", "B4", 27.84),
            ("service.chat", "energy", "B1", 16.0),
            ("service.chat", "energy", "B2", 20.0),
            ("service.chat", "energy", "B3", 26.4),
            ("service.chat", "energy", "B4", 31.68),
            ("service.chat", "energy_per_request", "B4", 31.68 / 400.0),
            ("service.chat", "energy_per_output_token", "B1", 16.0 / 8_000.0),
            ("cluster.main", "idle_energy", "B4", 53.76),
            ("site.hall", "energy_it", "", 94.4),
            ("site.hall", "energy", "B4", 113.28),
            ("site.hall", "pue", "", 1.2),
            // Hours 1 and 2: 10 + 1.6 + 3.2 kW of nodes.
            ("site.hall", "peak_power", "", 17.76),
            ("device.laptop", "energy", "B4", 0.025),
            ("total", "energy", "B4", 113.28),
        ],
    );
}

#[test]
fn money_gas_and_water() {
    expect_figures(
        &small_world(1.0),
        &[
            ("training.pretrain", "cost", "B1", 16.0 * 1.5 + 1.6),
            ("training.pretrain", "cost", "B2", 16.0 * 1.5 + 2.0),
            ("training.pretrain", "cost", "B3", 32.0 * 1.5 + 2.32),
            ("training.pretrain", "cost", "B4", 32.0 * 1.5 + 2.784),
            ("training.pretrain", "carbon", "B4", 11.136),
            ("training.pretrain", "carbon_upstream", "B4", 1.392),
            ("training.pretrain", "carbon_embodied", "B4", 0.64),
            ("training.pretrain", "water", "B4", 8.352),
            // On site and off site together: 5.784 L for each kWh of nodes.
            ("training.pretrain", "water_offsite", "B4", 23.2 * 5.784 - 8.352),
            ("cluster.main", "idle_cost", "B4", 224.0 * 1.5 + 5.376),
            ("site.hall", "cost", "B4", 320.0 * 1.5 + 11.328),
            ("site.hall", "carbon", "B4", 45.312),
            ("device.laptop", "cost", "B4", 0.0025),
            ("device.laptop", "carbon", "B4", 0.010),
        ],
    );
}

/// A tower at 10 C wet-bulb over a hall rated at 20 kW: the losses, the fans and the water of each hour by hand.
#[test]
fn losses_and_cooling_apart_add_up_to_the_meter() {
    let air = Air::new(12.0, 10.0).expect("earthly");
    let facility = Facility::Weather(Weather::new(Design::Tower, Watts::new(20_000), vec![air]));
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let site = SitePlan { facility, ..hall() };
    let accounts = close(start, ten_hours(), &[site], &[cluster(owned())], vec![pretrain(1.0), chat()]);
    let (it, losses) = (94.4, 0.01 * 20.0 * 10.0 + 0.03 * 94.4);
    // Below 10 C wet-bulb no compressor runs: pumps take 0.04 of the nodes' energy, fans 0.015 of the heat.
    let cooling = 0.04 * it + 0.015 * (it + losses);
    let meter = it + losses + cooling;
    let expected = [
        ("energy_it", "", it),
        ("energy_losses", "", losses),
        ("energy_cooling", "", cooling),
        ("energy", "B4", meter),
        ("pue", "", meter / it),
        ("water", "B4", 1.47 * 1.25 * 0.85 * (it + losses)),
        ("wue", "", 1.47 * 1.25 * 0.85 * (it + losses) / it),
        ("water_offsite", "B4", 4.52 * meter),
    ];
    expect_figures(&accounts, &expected.map(|(metric, boundary, value)| ("site.hall", metric, boundary, value)));
    assert_eq!(small_world(1.0).figure("site.hall", "energy_losses", ""), None, "a constant PUE does not tell");
}

/// A price in nanodollars by the clock of Berlin, and $74.4 for each kilowatt of a month's peak.
fn peaks(start: jiff::Timestamp, hours: usize, nanodollars: i64) -> Market {
    let table = TimeOfUse {
        zone: "Europe/Berlin".to_owned(),
        base: DollarsPerKwh::from_nano(nanodollars),
        periods: Vec::new(),
        demand: DollarsPerKw::from_f64(74.4),
    };
    let zone = Some(jiff::tz::TimeZone::get(&table.zone).expect("a zone"));
    let grid = GridSheet::Flat(GramsPerKwh::from_micro(400_000_000));
    Market::compile(start, hours, &TariffSheet::TimeOfUse(table), &grid, &Given { zone, ..Given::default() })
}

/// 70B on 4 H100 at batch 128: 546 W a GPU (ML.ENERGY), 3,876 output tokens/s, hosts at 0.43 of the accelerators, PUE 1.15; rented at
/// $2, or for the electricity alone at $0.0826/kWh. Each to the digits that are worked out by hand.
#[test]
fn a_million_tokens_of_a_saturated_replica() {
    let constant = Constant { pue: Ratio::new(1.15), wue: LitresPerKwh::from_micro(0) };
    let site = || SitePlan { facility: Facility::Constant(constant), market: market(82_600_000, 400, 50), ..hall() };
    let serve = || {
        let mut book = Book::new(ten_hours());
        book.spend(Use::Serving, hour(0), hour(1), Draw::new(4, Watts::new(546), Watts::from_milli(234_780)));
        book.count(Count::Arrived, hour(0), 1);
        book.count(Count::Completed, hour(0), 1);
        book.count(Count::OutputTokens, hour(0), 3_876 * 3_600);
        let Facts::Service(facts) = chat().facts else { panic!("a service") };
        let facts = Facts::Service(ServiceFacts { in_flight: 0, ..facts });
        Tenant { subject: "service.chat".to_owned(), cluster: Some(0), site: 0, book, facts }
    };
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let figure = |price: Holding, metric: &str, boundary: &str, factor: f64| {
        let accounts = close(start, ten_hours(), &[site()], &[cluster(price)], vec![serve()]);
        format!("{:.3}", accounts.figure("service.chat", metric, boundary).expect("a figure") * factor)
    };
    let rented = || Holding::Rented(DollarsPerHour::from_f64(2.0));
    assert_eq!(figure(rented(), "energy_per_output_token", "B1", 3.6e6), "0.563", "J an output token");
    assert_eq!(figure(rented(), "cost_per_million_output_tokens", "B4", 1.0), "0.573", "$ a million tokens");
    assert_eq!(figure(rented(), "energy_per_output_token", "B4", 1e6), "0.257", "kWh a million tokens");
    let electricity = Holding::Owned(DollarsPerHour::from_f64(0.0));
    assert_eq!(figure(electricity, "cost_per_million_output_tokens", "B4", 1.0), "0.021", "$ of electricity");
}

/// Ten hours that begin at 22:00 of 31 January in Berlin: two of January's 744 hours, then eight of February's 672.
#[test]
fn peaks_are_paid_by_those_who_draw_at_them() {
    let start = "2026-01-31T21:00:00Z".parse().expect("an instant");
    let site = SitePlan { market: peaks(start, 10, 100_000_000), ..hall() };
    let accounts = close(start, ten_hours(), &[site], &[cluster(owned())], vec![pretrain(1.0), chat()]);
    // January: 17.76 kW in the first hour at $0.2/kW, 13.92 kW of it training; February: 11.76 kW in the third, 6 kW chat.
    let (january, february) = (74.4 * 2.0 / 744.0, 74.4 * 8.0 / 672.0);
    expect_figures(
        &accounts,
        &[
            ("site.hall", "demand_charge", "", 17.76 * january + 11.76 * february),
            ("training.pretrain", "cost", "B4", 32.0 * 1.5 + 2.784 + 13.92 * january),
            ("service.chat", "cost", "B4", 64.0 * 1.5 + 3.168 + 6.0 * february),
            ("cluster.main", "idle_cost", "B4", 224.0 * 1.5 + 5.376 + 3.84 * january + 5.76 * february),
            ("site.hall", "cost", "B4", 320.0 * 1.5 + 11.328 + 17.76 * january + 11.76 * february),
        ],
    );
    assert_eq!(small_world(1.0).figure("site.hall", "demand_charge", ""), None);
}

/// Price and carbon of hour n: $0.1 x n and 100 g x n a kilowatt-hour, 10 g upstream; in the fourth hour one is paid $0.2.
#[test]
fn price_and_carbon_that_change_every_hour() {
    let hours = || (1..=10).map(|n| f64::from(n) * 100.0);
    let prices = hours().map(|price| if price == 400.0 { -200.0 } else { price }).collect();
    let given = Given { prices, direct: hours().collect(), lca: hours().map(|n| n + 10.0).collect(), zone: None };
    let (path, unit) = (String::new(), PriceUnit::UsdPerMwh);
    let tariff = PriceSeries { path: path.clone(), column: String::new(), unit, usd_per_unit: Ratio::new(1.0) };
    let water = LitresPerKwh::from_micro(4_520_000);
    let grid = CarbonSeries { path, direct: String::new(), lca: None, water };
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let market = Market::compile(start, 10, &TariffSheet::Series(tariff), &GridSheet::Series(grid), &given);
    let site = SitePlan { market, ..hall() };
    let accounts = close(start, ten_hours(), &[site], &[cluster(owned())], vec![pretrain(1.0), chat(), laptop()]);
    // At the meter: training 13.92 kW in hours 1 and 2; chat 6 kW in hours 3 to 6 and 1.92 kW in 7 to 10; idle 3.84 kW, then 5.76.
    let (dear, warm, carbon) = (0.3 - 0.2 + 0.5 + 0.6, 0.7 + 0.8 + 0.9 + 1.0, 0.3 + 0.4 + 0.5 + 0.6);
    let chat = 6.0 * dear + 1.92 * warm;
    let idle = 3.84 * 0.3 + 5.76 * (dear + warm);
    expect_figures(
        &accounts,
        &[
            ("training.pretrain", "cost", "B4", 48.0 + 13.92 * 0.3),
            ("training.pretrain", "carbon", "B4", 13.92 * 0.3),
            ("training.pretrain", "carbon_upstream", "B4", 27.84 * 0.01),
            ("service.chat", "cost", "B4", 96.0 + chat),
            ("service.chat", "carbon", "B4", 6.0 * carbon + 1.92 * warm),
            ("service.chat", "energy", "B4", 31.68),
            ("service.chat", "energy_per_request", "B4", 31.68 / 400.0),
            ("cluster.main", "idle_cost", "B4", 336.0 + idle),
            ("site.hall", "cost", "B4", 480.0 + 13.92 * 0.3 + chat + idle),
            // 25 Wh in the fourth hour, when one is paid for taking it.
            ("device.laptop", "cost", "B4", -0.005),
            ("device.laptop", "carbon", "B4", 0.010),
        ],
    );
}

/// Price and carbon of hour n: $0.1 x n and 100 g x n a kilowatt-hour. A bucket pays the hours in which it was spent.
#[test]
fn what_a_failure_costs_depends_on_the_hour() {
    let hours = || (1..=10).map(|n| f64::from(n) * 100.0);
    let given = Given { prices: hours().collect(), direct: hours().collect(), lca: hours().collect(), zone: None };
    let tariff = PriceSeries {
        path: String::new(),
        column: String::new(),
        unit: PriceUnit::UsdPerMwh,
        usd_per_unit: Ratio::new(1.0),
    };
    let water = LitresPerKwh::from_micro(4_520_000);
    let grid = CarbonSeries { path: String::new(), direct: String::new(), lca: None, water };
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let market = Market::compile(start, 10, &TariffSheet::Series(tariff), &GridSheet::Series(grid), &given);
    let mut book = Book::new(ten_hours());
    let draw = |watts| Draw::new(8, Watts::new(watts), Watts::new(250));
    // At the meter, PUE 1.2: 12 kW while it trains, 6 kW while it does not. The first and the last hour are kept, the second and half
    // of the third are done again; half an hour to know, one to restart.
    book.spend(Use::Productive, hour(0), hour(1), draw(1_000));
    let half_past_two = hour(2) + Span::MINUTE * 30;
    book.spend(Use::Recomputed, hour(1), half_past_two, draw(1_000));
    book.spend(Use::Detect, half_past_two, hour(3), draw(375));
    book.spend(Use::Restart, hour(3), hour(4), draw(375));
    book.spend(Use::Productive, hour(4), hour(5), draw(1_000));
    let facts = Facts::Job(JobFacts { interruptions: 1, ..job_facts(1.0) });
    let job = Tenant { subject: "training.pretrain".to_owned(), cluster: Some(0), site: 0, book, facts };
    let site = SitePlan { market, ..hall() };
    let accounts = close(start, ten_hours(), &[site], &[cluster(owned())], vec![job]);
    // kWh, energy bill and kg: 12 kW x hours at 0.1 n; 8 GPUs hold $12 an hour.
    let expected = [
        (Use::Productive, 24.0, 12.0 * 0.1 + 12.0 * 0.5, 2.0),
        (Use::Recomputed, 18.0, 12.0 * 0.2 + 6.0 * 0.3, 1.5),
        (Use::Detect, 3.0, 3.0 * 0.3, 0.5),
        (Use::Restart, 6.0, 6.0 * 0.4, 1.0),
    ];
    let buckets = accounts.buckets(0);
    assert_eq!(buckets.len(), expected.len());
    for (bucket, (what, energy, charged, hours)) in buckets.iter().zip(expected) {
        assert_eq!(bucket.what, what);
        assert!((bucket.sum.energy.kwh() - energy).abs() < 1e-9, "{what:?}: {} kWh", bucket.sum.energy.kwh());
        assert!((bucket.sum.carbon.kg() - charged).abs() < 1e-6, "{what:?}: {} kg", bucket.sum.carbon.kg());
        let cost = bucket.sum.cost.as_f64();
        assert!((cost - charged - 12.0 * hours).abs() < 1e-6, "{what:?}: ${cost}");
    }
    let lost = 4.2 + 0.9 + 2.4;
    expect_figures(
        &accounts,
        &[
            ("training.pretrain", "lost_gpu_hours", "", 24.0),
            ("training.pretrain", "lost_energy", "B4", 27.0),
            ("training.pretrain", "lost_cost", "B4", lost + 36.0),
            ("training.pretrain", "lost_carbon", "B4", lost),
            ("training.pretrain", "cost_per_interruption", "B4", lost + 36.0),
        ],
    );
}

/// A contract of 36 kW at 0 g in the first two hours, in which the hall draws 17.76 kW, and none after.
#[test]
fn the_market_ledger_stands_beside_the_location_ledger() {
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let residual = GramsPerKwh::from_micro(500_000_000);
    let closed = |matching| {
        let supply = [vec![Watts::new(36_000); 2], vec![Watts::ZERO]].concat();
        let contracts = Contracts::new(matching, residual, vec![(supply, GramsPerKwh::default())]);
        let market = market(100_000_000, 400, 50).with_contracts(Some(contracts));
        let site = SitePlan { market, ..hall() };
        close(start, ten_hours(), &[site], &[cluster(owned())], vec![pretrain(1.0), chat(), laptop()])
    };
    let (hourly, annual) = (closed(Matching::Hourly), closed(Matching::Annual));
    expect_figures(
        &hourly,
        &[
            ("training.pretrain", "carbon_market", "B4", 0.0),
            ("training.pretrain", "carbon", "B4", 11.136),
            ("service.chat", "carbon_market", "B1", 16.0 * 0.5),
            ("service.chat", "carbon_market", "B4", 31.68 * 0.5),
            ("site.hall", "carbon_market", "B4", (113.28 - 35.52) * 0.5),
            ("site.hall", "carbon", "B4", 45.312),
        ],
    );
    // By the year, the surplus of the first two hours covers later ones: 72 of 113.28 kWh, for all alike.
    let left = (113.28 - 72.0) / 113.28 * 0.5;
    expect_figures(
        &annual,
        &[
            ("training.pretrain", "carbon_market", "B4", 27.84 * left),
            ("service.chat", "carbon_market", "B4", 31.68 * left),
            ("site.hall", "carbon_market", "B4", 113.28 * left),
        ],
    );
    assert_eq!(small_world(1.0).figure("site.hall", "carbon_market", "B4"), None, "no contracts, no market ledger");
}

/// Marginal grams of hour n: 100 n. Training draws 13.92 kW at the meter in hours 1 and 2, chat 6 kW in 3 to 6 and 1.92 in 7 to 10.
#[test]
fn marginal_carbon_is_a_ledger_of_its_own() {
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let grams: Vec<f64> = (1..=10).map(|n| f64::from(n) * 100.0).collect();
    let site = SitePlan { market: market(100_000_000, 400, 50).with_marginal(&grams), ..hall() };
    let accounts = close(start, ten_hours(), &[site], &[cluster(owned())], vec![pretrain(1.0), chat(), laptop()]);
    expect_figures(
        &accounts,
        &[
            ("training.pretrain", "carbon_marginal", "B1", 8.0 * 0.3),
            ("training.pretrain", "carbon_marginal", "B4", 13.92 * 0.3),
            ("training.pretrain", "carbon", "B4", 11.136),
            ("service.chat", "carbon_marginal", "B4", 6.0 * 1.8 + 1.92 * 3.4),
            ("device.laptop", "carbon_marginal", "B4", 0.025 * 0.4),
        ],
    );
    assert_eq!(small_world(1.0).figure("service.chat", "carbon_marginal", "B4"), None);
}

#[test]
fn rent_contains_energy_and_nobody_rents_what_nobody_holds() {
    let rent = Holding::Rented(DollarsPerHour::from_f64(2.0));
    expect_figures(
        &close_small(rent, vec![pretrain(1.0)]),
        &[
            ("training.pretrain", "cost", "B1", 32.0),
            ("training.pretrain", "cost", "B4", 64.0),
            // Whoever rents it, it had to be made: 32 GPU-hours at 20 g.
            ("training.pretrain", "carbon_embodied", "B4", 0.64),
            ("cluster.main", "idle_cost", "B4", 0.0),
            ("site.hall", "cost", "B4", 64.0),
        ],
    );
}

#[test]
fn figures_of_a_job_and_a_service() {
    let accounts = small_world(1.5);
    expect_figures(
        &accounts,
        &[
            ("training.pretrain", "gpu_hours", "", 16.0),
            ("training.pretrain", "spare_gpu_hours", "", 16.0),
            ("training.pretrain", "held_gpu_hours", "", 32.0),
            ("training.pretrain", "elapsed", "", 7_200.0),
            ("training.pretrain", "ettr", "", 0.9),
            ("training.pretrain", "mfu", "", 1e15 / (8e12 * 6_480.0)),
            ("training.pretrain", "whole_run_mfu", "", 1e15 / (8e12 * 7_200.0)),
            ("service.chat", "requests", "", 401.0),
            ("service.chat", "in_flight", "", 1.0),
            ("service.chat", "slo_attainment", "", 0.99),
            ("service.chat", "mean_busy_gpus", "", 4.0),
            ("service.chat", "mean_gpus", "", 8.0),
            ("service.chat", "e2e_mean", "", 700.0),
            ("cluster.main", "gpu_hours", "", 96.0),
            ("cluster.main", "idle_gpu_hours", "", 224.0),
        ],
    );
    assert_eq!(accounts.figure("device.laptop", "tpot_mean", ""), None, "the mean of nothing");
}

/// The small world's money by what it went to, and its carbon by scope.
#[test]
fn what_failures_idleness_and_limits_cost() {
    let facts = ServiceFacts { opened: Some(hour(2)), in_flight: 1, slo_share: Some(0.25), ..ServiceFacts::default() };
    let chat = Tenant { facts: Facts::Service(facts), ..chat() };
    // An hour of the 8 GPUs is lost work: 8 GPU-h and 10 of 23.2 kWh; the bill is $2.784.
    let mut job = pretrain(1.0);
    job.book = Book::new(ten_hours());
    job.book.spend(Use::Productive, hour(0), hour(1), Draw::new(8, Watts::new(1_000), Watts::new(250)));
    job.book.spend(Use::Recomputed, hour(1), hour(2), Draw::new(8, Watts::new(1_000), Watts::new(250)));
    job.book.spend(Use::Spare, hour(0), hour(2), Draw::new(8, Watts::new(100), Watts::new(100)));
    let warm = 32.0 * 1.5 + 3.168 * 6.4 / 26.4;
    expect_figures(
        &close_small(owned(), vec![job, chat, laptop()]),
        &[
            ("training.pretrain", "cost_of_failures", "B4", 8.0 * 1.5 + 2.784 * 10.0 / 23.2),
            ("training.pretrain", "cost_of_idle", "B4", 16.0 * 1.5 + 2.784 * 3.2 / 23.2),
            ("training.pretrain", "cost_per_gpu_hour", "B4", 1.5 + 2.784 / 32.0),
            ("training.pretrain", "cost_per_million_tokens", "B4", 48.0 + 2.784),
            ("service.chat", "cost_of_idle", "B4", warm),
            ("service.chat", "cost_of_slo", "B4", (96.0 + 3.168) / 4.0),
            ("service.chat", "cost_per_million_output_tokens", "B4", (96.0 + 3.168) / 0.008),
            ("service.chat", "energy_per_1k_prompt_tokens", "B4", 31.68 / 200.0),
            ("service.chat", "water_per_1k_output_tokens", "B4", 26.4 * 5.784 / 8.0),
            ("training.pretrain", "carbon_scope1", "B4", 0.0),
            ("training.pretrain", "carbon_scope2", "B4", 11.136),
            ("training.pretrain", "carbon_scope3", "B4", 1.392 + 0.64),
            ("site.hall", "carbon_scope2", "B4", 45.312),
        ],
    );
    let rent = Holding::Rented(DollarsPerHour::from_f64(2.0));
    expect_figures(
        &close_small(rent, vec![pretrain(1.0)]),
        &[
            ("training.pretrain", "carbon_scope2", "B4", 0.0),
            ("training.pretrain", "carbon_scope3", "B4", 11.136 + 1.392 + 0.64),
            ("training.pretrain", "cost_of_failures", "B4", 0.0),
            ("training.pretrain", "cost_of_idle", "B4", 32.0),
        ],
    );
}

#[test]
fn crossings_come_from_the_cumulative_series() {
    let accounts = small_world(1.0);
    let expected = [
        (Boundary::B1, Axis::GpuHours, Some(4.0)),
        (Boundary::B3, Axis::GpuHours, Some(6.0)),
        (Boundary::B1, Axis::Kwh, Some(6.0)),
        (Boundary::B4, Axis::Kwh, Some(8.0)),
        (Boundary::B4, Axis::Usd, Some(6.0 + 0.384 / 12.192)),
        (Boundary::B4, Axis::Kgco2e, Some(8.0)),
    ];
    for (boundary, axis, hours) in expected {
        let crossing = accounts.comparison().row(boundary, axis).crossing;
        let found = crossing.map(|crossing| crossing.day * 24.0);
        let near = found.zip(hours).is_some_and(|(found, hours): (f64, f64)| (found - hours).abs() < 1e-6);
        assert!(near, "{boundary:?} {axis:?}: {found:?}, not {hours:?}");
    }
    let crossing = accounts.comparison().row(Boundary::B1, Axis::GpuHours).crossing.expect("crossed");
    assert_eq!((crossing.requests, crossing.tokens, crossing.days_open * 24.0), (200.0, 4_000.0, 2.0));
    expect_figures(&accounts, &[("comparison", "gpu_hours_crossover_days_open", "B3", 4.0 / 24.0)]);
}

#[test]
fn research_moves_the_crossing_and_not_the_training_column() {
    let row = |multiplier| *small_world(multiplier).comparison().row(Boundary::B4, Axis::Kwh);
    assert_eq!(row(1.5).training, row(1.0).training);
    assert_eq!(row(1.5).crossing, None, "31.68 kWh never reach 41.76");
    assert_eq!(row(0.0).crossing, None, "there is nothing to overtake");
}

/// Two halls like [`hall`]: training in the first, chat in the second, whose grid emits `grams` a kilowatt-hour.
fn two_halls(research_multiplier: f64, grams: u64) -> Accounts {
    let start = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let far = SitePlan { name: "far".to_owned(), market: market(100_000_000, grams, 50), ..hall() };
    let clusters = [cluster(owned()), ClusterBooks { name: "far".to_owned(), site: 1, ..cluster(owned()) }];
    let chat = Tenant { cluster: Some(1), site: 1, ..chat() };
    close(start, ten_hours(), &[hall(), far], &clusters, vec![pretrain(research_multiplier), chat])
}

/// What is re-scaled is what a run with other inputs gives.
#[test]
fn rescaled_crossings_are_those_of_other_inputs() {
    let shifts = two_halls(1.0, 400).comparison().shifts().to_vec();
    let others = |shift: &Shift| match shift.factor {
        Factor::Research => two_halls(shift.value, 400),
        Factor::Grid => two_halls(1.0, (400.0 * shift.value) as u64),
        Factor::Traffic | Factor::Utilisation => panic!("nothing was run again"),
    };
    let mut crossed = 0;
    for shift in &shifts {
        let row = *others(shift).comparison().row(shift.boundary, shift.axis);
        let day = |crossing: Option<Crossing>| crossing.map_or(-1.0, |crossing| crossing.day);
        assert!((day(shift.crossing) - day(row.crossing)).abs() < 1e-9, "{shift:?}, not {row:?}");
        crossed += usize::from(shift.crossing.is_some());
    }
    assert_eq!(shifts.len(), 4 * 5 * 4 + 4 * 2, "four multipliers on all axes, two grids on one, in four boundaries");
    assert!(crossed >= 20, "{crossed} crossings are too few to say much");
    // Carbon of training is 11.136 kg at B4; chat emits 2.4 kg an hour, and 4.8 on a grid of 800 g: 2 h + 11.136 / 4.8 h.
    let carbon = |shift: &&Shift| (shift.axis, shift.factor, shift.value) == (Axis::Kgco2e, Factor::Grid, 2.0);
    let shift = shifts.iter().filter(carbon).find(|shift| shift.boundary == Boundary::B4).expect("a row");
    assert!((shift.crossing.expect("crossed").day * 24.0 - 4.32).abs() < 1e-6, "{shift:?}");
}

#[test]
#[should_panic(expected = "lends no more GPUs than it has")]
fn gpus_held_twice_are_our_fault() {
    let _ = close_small(owned(), vec![pretrain(1.0), pretrain(1.0), pretrain(1.0)]);
}

#[test]
#[should_panic(expected = "401 requests arrived, 400 are accounted for")]
fn a_lost_request_is_our_fault() {
    let mut service = chat();
    service.facts = Facts::Service(ServiceFacts { opened: Some(hour(2)), ..ServiceFacts::default() });
    let _ = close_small(owned(), vec![service]);
}

#[test]
fn steps_add_up_whatever_their_width() {
    let accounts = small_world(1.0);
    let all = |step: Span| -> Vec<_> {
        let zero = vec![tollway::ledger::Entry::default(); accounts.lines().len()];
        accounts.steps(step).fold(zero, |mut sum, step| {
            sum.iter_mut().zip(step.entries).for_each(|(sum, entry)| *sum += entry);
            sum
        })
    };
    assert_eq!(all(Span::HOUR), all(Span::HOUR * 4));
    assert_eq!(accounts.steps(Span::HOUR * 4).last().map(|step| step.span), Some(Span::HOUR * 2), "cut by the horizon");
}

/// A stretch: use, nanoseconds, GPUs, milliwatts of accelerator and of host.
type Stretch = (usize, u64, u32, u64, u64);

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    prop::collection::vec((0_usize..15, 1_u64..9_000_000_000_000, 0_u32..=10, 0_u64..1_000_000, 0_u64..400_000), 0..12)
}

/// A tenant that spends one stretch after the other.
fn tenant(index: usize, cluster: usize, stretches: &[Stretch], grid: Grid) -> Tenant {
    let mut book = Book::new(grid);
    let mut at = SimTime::ZERO;
    for &(what, nanos, gpus, accelerator, host) in stretches {
        let end = at + Span::from_nanos(nanos);
        book.spend(Use::ALL[what], at, end, Draw::new(gpus, Watts::from_milli(accelerator), Watts::from_milli(host)));
        at = end;
    }
    let (subject, facts) = if index.is_multiple_of(2) {
        (format!("training.t{index}"), Facts::Job(job_facts(1.5)))
    } else {
        (
            format!("service.s{index}"),
            Facts::Service(ServiceFacts { opened: Some(SimTime::ZERO), ..ServiceFacts::default() }),
        )
    };
    Tenant { subject, cluster: Some(cluster), site: cluster / 2, book, facts }
}

proptest! {
    /// Three clusters at two sites, six tenants, a price that may be negative, an hour that the horizon cuts.
    #[test]
    fn random_worlds_add_up(
        tenants in prop::collection::vec(stretches(), 6),
        price in -2_000_000_000_i64..4_000_000_000,
        (direct, upstream) in (0_u64..1_000, 0_u64..300),
        pue in 1.0_f64..2.0,
        weather in prop::option::of((0_usize..4, prop::collection::vec((-20.0_f64..45.0, 0.0_f64..9.0), 1..8))),
        rented in prop::collection::vec(any::<bool>(), 3),
        minutes in 1_u64..2_000,
    ) {
        let grid = Grid { horizon: SimTime::ZERO + Span::MINUTE * minutes, bin: Span::from_secs(900) };
        let start = "2026-01-31T20:00:00Z".parse().expect("an instant");
        let site = |name: &str| SitePlan {
            facility: weather.as_ref().map_or(
                Facility::Constant(Constant { pue: Ratio::new(pue), wue: LitresPerKwh::from_micro(123_457) }),
                |(design, hours)| {
                    let design = [Design::Air, Design::Tower, Design::Adiabatic, Design::Liquid][*design];
                    let air = hours.iter().map(|&(dry, depression)| Air::new(dry, dry - depression).expect("earthly"));
                    Facility::Weather(Weather::new(design, Watts::new(20_000), air.collect()))
                },
            ),
            market: if weather.is_some() { peaks(start, 40, price) } else { market(price, direct, upstream) },
            ..SitePlan { name: name.to_owned(), ..hall() }
        };
        let clusters: Vec<ClusterBooks> = rented.iter().enumerate().map(|(index, &rented)| {
            let price = DollarsPerHour::from_f64(1.234_567_891);
            let holding = if rented { Holding::Rented(price) } else { Holding::Owned(price) };
            ClusterBooks { name: format!("c{index}"), site: index / 2, ..cluster(holding) }
        }).collect();
        let tenants: Vec<Tenant> =
            tenants.iter().enumerate().map(|(index, stretches)| tenant(index, index / 2, stretches, grid)).collect();
        let spent: u128 = tenants.iter().flat_map(|tenant| Use::ALL.map(|what| tenant.book.spent(what).node().pico())).sum();
        // Closing asserts, bin by bin, that tenants, idle, losses and cooling add up to the meter, in joules, dollars, grams and litres.
        let accounts = close(start, grid, &[site("a"), site("b")], &clusters, tenants);

        let mut tenants = Sum::default();
        for index in 0..6 {
            let sums = accounts.tenant(index);
            for pair in Boundary::ALL.windows(2) {
                let (narrow, wide) = (sums.within(pair[0]), sums.within(pair[1]));
                prop_assert!(narrow.energy <= wide.energy && narrow.carbon <= wide.carbon && narrow.time <= wide.time);
            }
            tenants += *sums.within(Boundary::B4);
            let mut buckets = Sum::default();
            for bucket in accounts.buckets(index) {
                prop_assert_eq!(bucket.sum.time, accounts.tenants()[index].book.spent(bucket.what).time);
                buckets += bucket.sum;
            }
            prop_assert_eq!(buckets, *sums.within(Boundary::B4));
        }
        prop_assert_eq!((0..6).map(|index| accounts.tenant(index).within(Boundary::B3).energy.pico()).sum::<u128>(), spent);
        let mut given = tenants;
        (0..3).for_each(|index| given += *accounts.idle(index));
        let mut lines = Sum::default();
        for step in accounts.steps(Span::HOUR) {
            for (line, entry) in accounts.lines().iter().zip(&step.entries) {
                lines.energy += entry.own.energy;
                lines.cost += entry.own.bill + entry.holding;
                lines.carbon += entry.own.carbon;
                lines.time += entry.spent.time;
                prop_assert!(entry.losses.total() <= entry.own.energy);
                prop_assert!(entry.losses.total().is_zero() || line.part == Part::LossesAndCooling && weather.is_some());
                prop_assert!(line.part != Part::LossesAndCooling || entry.spent.is_zero());
            }
        }
        prop_assert_eq!((lines.energy, lines.cost, lines.carbon, lines.time), (given.energy, given.cost, given.carbon, given.time));
        let gpus: u128 = accounts.clusters().iter().map(|cluster| u128::from(cluster.gpus)).sum();
        prop_assert_eq!(given.time.nanos(), gpus * u128::from(grid.horizon.nanos()));
    }
}
