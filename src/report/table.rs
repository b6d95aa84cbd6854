//! The printed table: the road against the drives, in words that need no background. At most 100 columns wide.

use super::number::{people, whole};
use crate::ledger::{Accounts, Axis, Boundary, Comparison, Count, Facts, JobFacts, Row, Tenant, WorkloadFacts};
use crate::units::{SimTime, Span};
use std::fmt::Write;

/// An axis as it is printed: its totals and its figures for one request, each with a factor from the axis's own unit.
struct Printed {
    axis: Axis,
    name: &'static str,
    total: &'static str,
    total_factor: f64,
    single: &'static str,
    single_factor: f64,
}

const PRINTED: [Printed; 5] = [
    Printed {
        axis: Axis::GpuHours,
        name: "GPU time",
        total: "GPU time, GPU-hours",
        total_factor: 1.0,
        single: "GPU time, GPU-seconds",
        single_factor: 3_600.0,
    },
    Printed {
        axis: Axis::Kwh,
        name: "electricity",
        total: "electricity, MWh",
        total_factor: 1e-3,
        single: "electricity, Wh",
        single_factor: 1e3,
    },
    Printed {
        axis: Axis::Usd,
        name: "money",
        total: "money, US dollars",
        total_factor: 1.0,
        single: "money, US cents",
        single_factor: 100.0,
    },
    Printed {
        axis: Axis::Kgco2e,
        name: "CO2e",
        total: "CO2e, tonnes",
        total_factor: 1e-3,
        single: "CO2e, grams",
        single_factor: 1e3,
    },
    Printed {
        axis: Axis::Litres,
        name: "water",
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
    let (trains, serves) =
        (has(|facts| matches!(facts, Facts::Job(_))), has(|facts| matches!(facts, Facts::Service(_))));
    subjects(&mut text, accounts, models);
    if trains || serves {
        totals(&mut text, accounts.comparison(), trains, serves);
    }
    if serves {
        singles(&mut text, accounts.comparison());
    }
    if trains && serves {
        crossings(&mut text, accounts);
    }
    devices(&mut text, accounts, models);
    if trains {
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
        let name = labelled(tenant, models);
        match &tenant.facts {
            Facts::Job(facts) => line!(text, "The road:   {name}, {}", road(accounts, tenant, facts)),
            Facts::Service(_) => line!(text, "The drives: {name}, {}", drives(accounts, tenant)),
            Facts::Workload(facts) => {
                line!(text, "The queue:  {name}, {}", queue(accounts, tenant, facts));
                classes(text, accounts, tenant, facts);
            }
            Facts::Device(_) => {}
        }
    }
}

/// How training went.
fn road(accounts: &Accounts, tenant: &Tenant, facts: &JobFacts) -> String {
    let elapsed = accounts.figure(&tenant.subject, "elapsed", "").unwrap_or(0.0);
    let (gpus, hits) = (whole(f64::from(facts.gpus)), facts.interruptions);
    let state = match (facts.started, facts.finished) {
        (None, _) => ", never started",
        (_, None) => ", not finished",
        _ => "",
    };
    let plural = if hits == 1 { "" } else { "s" };
    format!("{gpus} GPUs for {}, interrupted {} time{plural}{state}", lasting(elapsed), whole(hits as f64))
}

/// How the jobs of a workload fared.
fn queue(accounts: &Accounts, tenant: &Tenant, facts: &WorkloadFacts) -> String {
    let figure = |metric| accounts.figure(&tenant.subject, metric, "");
    let (jobs, hours) = (facts.records.len() as f64, figure("held_gpu_hours").unwrap_or(0.0));
    let (Some(mean), Some(half), Some(most)) = (figure("wait_mean"), figure("wait_p50"), figure("wait_p99")) else {
        return format!("{} jobs, none of which started", whole(jobs));
    };
    format!(
        "{} jobs on {} GPU-hours; they waited {},\n            half of them at most {}, 99 % at most {}",
        whole(jobs),
        whole(hours),
        lasting(mean),
        lasting(half),
        lasting(most)
    )
}

/// A line for each class of jobs that got nodes.
fn classes(text: &mut String, accounts: &Accounts, tenant: &Tenant, facts: &WorkloadFacts) {
    for class in &facts.classes {
        let figure = |metric| accounts.figure(&format!("{}.{class}", tenant.subject), metric, "");
        if let (Some(jobs), Some(gpus), Some(wait)) = (figure("jobs"), figure("gpus_mean"), figure("wait_mean")) {
            let gpus = if gpus < 10.0 { format!("{gpus:.1}") } else { whole(gpus) };
            line!(text, "            {class}: {} jobs of {gpus} GPUs waited {}", whole(jobs), lasting(wait));
        }
    }
}

/// How serving went; requests turned away or lost are told from one in a thousand on.
fn drives(accounts: &Accounts, tenant: &Tenant) -> String {
    let figure = |metric| accounts.figure(&tenant.subject, metric, "").unwrap_or(0.0);
    let open = tenant_opened(tenant).map_or(Span::ZERO, |opened| accounts.grid().horizon.since(opened));
    let lost = (figure("rejected") + figure("failed")) / figure("requests").max(1.0);
    let lost = if lost >= 1e-3 { format!(", {} % turned away or lost", people(lost * 100.0)) } else { String::new() };
    let (requests, gpus) = (whole(figure("completed")), whole(figure("mean_gpus")));
    format!("{requests} requests answered in {} on {gpus} GPUs{lost}", lasting(open.as_secs_f64()))
}

/// A length of time in the unit that a person would use.
fn lasting(seconds: f64) -> String {
    let units = [(172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "hours"), (120.0, 60.0, "minutes")];
    let (_, unit, name) = units.into_iter().find(|(from, _, _)| seconds >= *from).unwrap_or((0.0, 1.0, "seconds"));
    format!("{} {name}", people(seconds / unit))
}

fn tenant_opened(tenant: &Tenant) -> Option<SimTime> {
    match &tenant.facts {
        Facts::Service(facts) | Facts::Device(facts) => facts.opened,
        Facts::Job(_) | Facts::Workload(_) => None,
    }
}

fn totals(text: &mut String, comparison: &Comparison, road: bool, drives: bool) {
    line!(text, "");
    let mut row = |title: &str, training: &str, inference: &str, ratio: &str| {
        let columns = [(road, training, 19), (drives, inference, 21), (road && drives, ratio, 16)];
        let shown = columns.into_iter().filter(|(shown, _, _)| *shown);
        let cells: String = shown.map(|(_, cell, width)| format!("{cell:>width$}")).collect();
        line!(text, "{title:<30}{cells}");
    };
    row("All that they held and drew", "road (training)", "drives (inference)", "drives : road");
    for printed in &PRINTED {
        let figures = comparison.row(Boundary::B4, printed.axis);
        let total = |value: f64| people(value * printed.total_factor);
        let ratio = figures.ratio.map_or("-".to_owned(), |ratio| format!("{} : 1", people(ratio)));
        row(&format!("  {}", printed.total), &total(figures.training), &total(figures.inference), &ratio);
    }
}

fn singles(text: &mut String, comparison: &Comparison) {
    line!(text, "");
    line!(text, "{:<30}{:>19}{:>21}", "A single drive", "one request", "1,000 tokens out");
    for printed in &PRINTED {
        let row = row(comparison, printed.axis);
        let single = |value: Option<f64>| value.map_or("-".to_owned(), |value| people(value * printed.single_factor));
        line!(text, "  {:<28}{:>19}{:>21}", printed.single, single(row.per_request), single(row.per_1k_tokens));
    }
}

fn crossings(text: &mut String, accounts: &Accounts) {
    line!(text, "");
    line!(text, "When had all drives together used more than the road{}?", research(accounts.comparison()));
    for printed in &PRINTED {
        let when = match row(accounts.comparison(), printed.axis).crossing {
            Some(crossing) => format!(
                "day {}, {} days after opening, after {} requests",
                people(crossing.day),
                people(crossing.days_open),
                whole(crossing.requests)
            ),
            None => "never within horizon".to_owned(),
        };
        line!(text, "  {:<28}{when}", printed.name);
    }
}

/// The factor that stands for development, weighted by GPU time where jobs differ.
fn research(comparison: &Comparison) -> String {
    let row = row(comparison, Axis::GpuHours);
    let factor = if row.training > 0.0 { row.threshold / row.training } else { 1.0 };
    if factor == 1.0 { String::new() } else { format!(" and the research behind it (road x {})", people(factor)) }
}

/// The same prompt on each device.
fn devices(text: &mut String, accounts: &Accounts, models: &[(String, String)]) {
    let answers =
        |tenant: &&Tenant| matches!(tenant.facts, Facts::Device(_)) && tenant.book.counted(Count::Completed) > 0;
    for tenant in accounts.tenants().iter().filter(answers) {
        let of = |metric: &str, boundary: &str, factor: f64| {
            accounts.figure(&tenant.subject, metric, boundary).map_or("-".to_owned(), |value| people(value * factor))
        };
        let (energy, cost) = (of("energy_per_request", "B4", 1e3), of("cost_per_request", "B4", 100.0));
        let (first, all) = (of("ttft_mean", "", 1e-3), of("e2e_mean", "", 1e-3));
        line!(text, "");
        line!(text, "The same prompt on your own: {}{}", labelled(tenant, models), stranger(accounts, tenant, models));
        line!(text, "  {energy} Wh, {cost} cents of electricity, first word after {first} s, all after {all} s");
    }
}

/// A warning where no service runs the device's model.
fn stranger(accounts: &Accounts, device: &Tenant, models: &[(String, String)]) -> &'static str {
    let mut services = accounts.tenants().iter().filter(|tenant| matches!(tenant.facts, Facts::Service(_)));
    let mine = model(device, models);
    if services.any(|service| model(service, models) == mine) { "" } else { " - another model, other answers" }
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

/// The model that a tenant runs, where known.
fn model<'a>(tenant: &Tenant, models: &'a [(String, String)]) -> Option<&'a str> {
    models.iter().find(|(subject, _)| *subject == tenant.subject).map(|(_, model)| model.as_str())
}

/// The name of a tenant and of its model.
fn labelled(tenant: &Tenant, models: &[(String, String)]) -> String {
    let name = tenant.subject.split_once('.').map_or(tenant.subject.as_str(), |(_, name)| name);
    model(tenant, models).map_or(name.to_owned(), |model| format!("{name} ({model})"))
}
