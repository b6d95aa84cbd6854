//! The printed table: the road against the drives, in words that need no background. At most 100 columns wide.

use super::number::people;
use crate::ledger::{Accounts, Axis, Boundary, Comparison, Count, Facts, Row, Tenant};
use std::fmt::Write;

/// An axis as it is printed: name, unit for totals, factor to it, and unit and factor for one request.
struct Printed {
    axis: Axis,
    total: &'static str,
    total_factor: f64,
    single: &'static str,
    single_factor: f64,
}

const PRINTED: [Printed; 5] = [
    Printed {
        axis: Axis::GpuHours,
        total: "GPU-hours",
        total_factor: 1.0,
        single: "GPU-seconds",
        single_factor: 3_600.0,
    },
    Printed {
        axis: Axis::Kwh,
        total: "electricity, MWh",
        total_factor: 1e-3,
        single: "electricity, Wh",
        single_factor: 1e3,
    },
    Printed {
        axis: Axis::Usd,
        total: "money, thousand $",
        total_factor: 1e-3,
        single: "money, cents",
        single_factor: 100.0,
    },
    Printed {
        axis: Axis::Kgco2e,
        total: "CO2e, tonnes",
        total_factor: 1e-3,
        single: "CO2e, grams",
        single_factor: 1e3,
    },
    Printed {
        axis: Axis::Litres,
        total: "water, cubic metres",
        total_factor: 1e-3,
        single: "water, millilitres",
        single_factor: 1e3,
    },
];

/// CO2 of a car from New York to Boston: 215 miles at 22 miles a gallon and 8,887 g a gallon (EPA 2023; models/energy.md 8).
const CAR_TRIP_KG: f64 = 87.0;
/// Electricity of a US home in a year, in kWh (EIA FAQ 97, 2020; models/energy.md section 8).
const HOME_YEAR_KWH: f64 = 10_715.0;

/// The table of a run. `models` names the model that a subject (`training.pretrain`, `device.laptop`) runs, where known.
#[must_use]
pub fn table(accounts: &Accounts, models: &[(String, String)]) -> String {
    let mut text = String::new();
    let has = |holds: fn(&Facts) -> bool| accounts.tenants().iter().any(|tenant| holds(&tenant.facts));
    let (road, drives) = (has(|facts| matches!(facts, Facts::Job(_))), has(|facts| matches!(facts, Facts::Service(_))));
    subjects(&mut text, accounts, models);
    if road || drives {
        totals(&mut text, accounts.comparison(), road, drives);
    }
    if drives {
        singles(&mut text, accounts.comparison());
    }
    if road && drives {
        crossings(&mut text, accounts);
    }
    devices(&mut text, accounts, models);
    if road {
        equivalents(&mut text, accounts.comparison());
    }
    text
}

/// Adds a line. Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($words:tt)*) => { writeln!($text, $($words)*).expect("a string can always be written to") };
}

/// One line for each job and service.
fn subjects(text: &mut String, accounts: &Accounts, models: &[(String, String)]) {
    for tenant in accounts.tenants() {
        let figure = |metric: &str| accounts.figure(&tenant.subject, metric, "");
        let name = labelled(tenant, models);
        match &tenant.facts {
            Facts::Job(facts) => {
                let days = figure("elapsed").map_or(0.0, |seconds| seconds / 86_400.0);
                let (gpus, hits) = (people(f64::from(facts.gpus)), facts.interruptions);
                let state = match (facts.started, facts.finished) {
                    (None, _) => "never started",
                    (_, None) => "not finished",
                    _ => "finished",
                };
                line!(text, "The road   {name}: {gpus} GPUs, {} days, {hits} interruptions, {state}", people(days));
            }
            Facts::Service(_) => {
                let (requests, open) = (figure("completed").unwrap_or(0.0), figure("opened"));
                let horizon = accounts.grid().horizon.as_secs_f64();
                let days = open.map_or(0.0, |opened| (horizon - opened) / 86_400.0);
                let gpus = figure("mean_gpus").map_or("0".to_owned(), people);
                line!(text, "The drives {name}: {} requests in {} days on {gpus} GPUs", people(requests), people(days));
            }
            Facts::Device(_) => {}
        }
    }
}

fn totals(text: &mut String, comparison: &Comparison, road: bool, drives: bool) {
    line!(text, "");
    line!(text, "{:<28}{:>18}{:>18}{:>18}", "Everything counted", "the road", "the drives", "drives : road");
    for printed in &PRINTED {
        let row = row(comparison, printed.axis);
        let total = |known: bool, value: f64| if known { people(value * printed.total_factor) } else { "-".to_owned() };
        let ratio = row.ratio.filter(|_| drives).map_or("-".to_owned(), |ratio| format!("{} : 1", people(ratio)));
        let (training, inference) = (total(road, row.training), total(drives, row.inference));
        line!(text, "  {:<26}{training:>18}{inference:>18}{ratio:>18}", printed.total);
    }
}

fn singles(text: &mut String, comparison: &Comparison) {
    line!(text, "");
    line!(text, "{:<28}{:>18}{:>18}", "A single drive", "one request", "1,000 tokens out");
    for printed in &PRINTED {
        let row = row(comparison, printed.axis);
        let single = |value: Option<f64>| value.map_or("-".to_owned(), |value| people(value * printed.single_factor));
        line!(text, "  {:<26}{:>18}{:>18}", printed.single, single(row.per_request), single(row.per_1k_tokens));
    }
}

fn crossings(text: &mut String, accounts: &Accounts) {
    line!(text, "");
    line!(text, "When have the drives used more than the road{}?", research(accounts));
    for printed in &PRINTED {
        let name = printed.total.split(',').next().unwrap_or(printed.total);
        match row(accounts.comparison(), printed.axis).crossing {
            Some(crossing) => line!(
                text,
                "  {name:<26}day {} = {} days after opening, {} requests",
                people(crossing.day),
                people(crossing.days_open),
                people(crossing.requests)
            ),
            None => line!(text, "  {name:<26}never within horizon"),
        }
    }
}

/// The factor that stands for development, where the jobs agree on one.
fn research(accounts: &Accounts) -> String {
    let row = row(accounts.comparison(), Axis::GpuHours);
    let factor = if row.training > 0.0 { row.threshold / row.training } else { 1.0 };
    if factor == 1.0 { String::new() } else { format!(", its research included (x {})", people(factor)) }
}

/// The same prompt on each device.
fn devices(text: &mut String, accounts: &Accounts, models: &[(String, String)]) {
    for tenant in accounts.tenants().iter().filter(|tenant| matches!(tenant.facts, Facts::Device(_))) {
        if tenant.book.counted(Count::Completed) == 0 {
            continue;
        }
        let of = |metric: &str, boundary: &str, factor: f64| {
            accounts.figure(&tenant.subject, metric, boundary).map_or("-".to_owned(), |value| people(value * factor))
        };
        let (energy, cost) = (of("energy_per_request", "B4", 1e3), of("cost_per_request", "B4", 100.0));
        let (first, all) = (of("ttft_mean", "", 1e-3), of("e2e_mean", "", 1e-3));
        line!(text, "");
        line!(text, "The same prompt on {} (another, smaller model)", labelled(tenant, models));
        line!(text, "  {energy} Wh, {cost} cents of electricity, first word after {first} s, all of it after {all} s");
    }
}

/// Training in things that a person knows.
fn equivalents(text: &mut String, comparison: &Comparison) {
    let trips = people(row(comparison, Axis::Kgco2e).training / CAR_TRIP_KG);
    let homes = people(row(comparison, Axis::Kwh).training / HOME_YEAR_KWH);
    line!(text, "");
    line!(text, "The road emitted as much as {trips} car trips from New York to Boston");
    line!(text, "and used as much electricity as {homes} US homes in a year.");
}

/// The row that the table prints: everything, the facility included.
fn row(comparison: &Comparison, axis: Axis) -> &Row {
    comparison.row(Boundary::B4, axis)
}

/// The name of a tenant and of its model.
fn labelled(tenant: &Tenant, models: &[(String, String)]) -> String {
    let name = tenant.subject.split_once('.').map_or(tenant.subject.as_str(), |(_, name)| name);
    match models.iter().find(|(subject, _)| *subject == tenant.subject) {
        Some((_, model)) => format!("{name} ({model})"),
        None => name.to_owned(),
    }
}
