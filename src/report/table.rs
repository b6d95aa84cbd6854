//! The printed table: the road against the drives, in words that need no background. At most 100 columns wide.

use super::number::{people, whole};
use crate::ledger::{
    Accounts, Axis, Boundary, Comparison, Count, Factor, Facts, JobFacts, Row, SampleFacts, ServiceFacts, Shift, Side,
    Tenant, WorkloadFacts,
};
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

/// The table of a run. `models` names the model that a subject (`training.pretrain`, `device.laptop`) runs, where known.
#[must_use]
pub fn table(accounts: &Accounts, models: &[(String, String)]) -> String {
    let mut text = String::new();
    let has = |holds: fn(&Facts) -> bool| accounts.tenants().iter().any(|tenant| holds(&tenant.facts));
    let (trains, serves) =
        (has(|facts| matches!(facts, Facts::Job(_))), has(|facts| matches!(facts, Facts::Service(_))));
    subjects(&mut text, accounts, models);
    clocks(&mut text, accounts);
    fidelities(&mut text, accounts);
    if trains || serves {
        totals(&mut text, accounts.comparison(), trains, serves);
    }
    if serves {
        singles(&mut text, accounts.comparison());
    }
    if trains && serves {
        crossings(&mut text, accounts);
        shifts(&mut text, accounts.comparison());
    }
    waiting(&mut text, accounts, models);
    devices(&mut text, accounts, models);
    equivalents(&mut text, accounts);
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

/// Which moments of its jobs failures could strike: without it no figure of theirs can be compared.
fn clocks(text: &mut String, accounts: &Accounts) {
    let jobs = accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
        Facts::Job(facts) => Some((tenant.subject.trim_start_matches("training."), facts.failure_clock)),
        _ => None,
    });
    let jobs: Vec<(&str, &str)> = jobs.collect();
    let Some(&(_, first)) = jobs.first() else { return };
    if jobs.iter().all(|&(_, clock)| clock == first) {
        return line!(text, "Failures:   by the {first} clock");
    }
    jobs.iter().for_each(|(name, clock)| line!(text, "Failures:   of {name} by the {clock} clock"));
}

/// What was simulated of each service: without it no figure of theirs can be compared.
fn fidelities(text: &mut String, accounts: &Accounts) {
    let services = accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
        Facts::Service(facts) => Some((tenant, facts)),
        _ => None,
    });
    let told: Vec<(&str, String)> = services
        .map(|(tenant, facts)| (tenant.subject.trim_start_matches("service."), fidelity(accounts, tenant, facts)))
        .collect();
    let Some((_, first)) = told.first() else { return };
    if told.iter().all(|(_, words)| words == first) {
        return line!(text, "Simulated:  {first}");
    }
    told.iter().for_each(|(name, words)| line!(text, "Simulated:  {name} by {words}"));
}

/// What was simulated of a service, and how far a sample is off by chance.
fn fidelity(accounts: &Accounts, tenant: &Tenant, facts: &ServiceFacts) -> String {
    let Some(SampleFacts { kept, cells, .. }) = facts.sample else {
        return match facts.fidelity {
            "fluid" => "response tables".to_owned(),
            _ => "every request".to_owned(),
        };
    };
    let figure = |metric| accounts.figure(&tenant.subject, metric, "");
    let replicas = figure("replicas_kept").map_or(String::new(), |mean| format!(", {} replicas", people(mean)));
    let metrics = ["energy_sampling_error", "output_tokens_sampling_error", "ttft_mean_sampling_error"];
    let [energy, output, ttft] = metrics.map(|metric| figure(metric).map(|part| people(part * 100.0)));
    let chance = match (energy, output, ttft) {
        (Some(energy), Some(output), Some(ttft)) => format!(
            ";\n            by chance off by {energy} % in energy, {output} % in output tokens, {ttft} % in mean time to first token"
        ),
        _ => String::new(),
    };
    format!("every request of {kept} of {cells} cells{replicas}{chance}")
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

/// What would shift the day of the crossing, everything included.
fn shifts(text: &mut String, comparison: &Comparison) {
    line!(text, "");
    let title = "On which day, if one thing were otherwise?";
    let cells = |cells: [String; 5]| cells.map(|cell| format!("{cell:>12}")).concat();
    line!(text, "{title}");
    line!(text, "{:<35}{}", "", cells(PRINTED.each_ref().map(|printed| printed.name.to_owned())));
    let shifts: Vec<&Shift> = comparison.shifts().iter().filter(|shift| shift.boundary == Boundary::B4).collect();
    let mut seen: Vec<(Factor, f64)> = shifts.iter().map(|shift| (shift.factor, shift.value)).collect();
    seen.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
    seen.dedup();
    for (factor, value) in seen {
        let day = |axis: Axis| {
            let mut mine = shifts.iter().filter(|shift| (shift.factor, shift.value) == (factor, value));
            match mine.find(|shift| shift.axis == axis).map(|shift| shift.crossing) {
                Some(Some(crossing)) => people(crossing.day),
                Some(None) => "never".to_owned(),
                None => String::new(),
            }
        };
        let row = format!("  {}", otherwise(factor, value));
        line!(
            text,
            "{}",
            format!("{row:<35}{}", cells(PRINTED.each_ref().map(|printed| day(printed.axis)))).trim_end()
        );
    }
}

/// What is otherwise, in words.
fn otherwise(factor: Factor, value: f64) -> String {
    let value = people(value);
    match factor {
        Factor::Research => format!("research: road x {value}"),
        Factor::Grid => format!("drives' grid: carbon x {value}"),
        Factor::Traffic => format!("traffic x {value} (run again)"),
        Factor::Utilisation => format!("utilisation x {value} (run again)"),
    }
}

/// The factor that stands for development, weighted by GPU time where jobs differ.
fn research(comparison: &Comparison) -> String {
    let row = row(comparison, Axis::GpuHours);
    let factor = if row.training > 0.0 { row.threshold / row.training } else { 1.0 };
    if factor == 1.0 { String::new() } else { format!(" and the research behind it (road x {})", people(factor)) }
}

/// What each job that may wait saved against the same run in which nobody waits.
fn waiting(text: &mut String, accounts: &Accounts, models: &[(String, String)]) {
    for tenant in accounts.tenants() {
        let figure = |metric: &str, boundary: &str| accounts.figure(&tenant.subject, metric, boundary);
        let Some(paused) = figure("paused", "") else { continue };
        line!(text, "");
        let name = labelled(tenant, models);
        let Some(delay) = figure("shift_delay", "") else {
            line!(text, "Waiting: {name} paused for {}; one of the two runs did not finish", lasting(paused));
            continue;
        };
        let percent = |metric: &str| {
            let part = figure(metric, "B4").unwrap_or(0.0) * 100.0;
            format!("{} % {}", people(part.abs()), if part < 0.0 { "more" } else { "less" })
        };
        line!(text, "Waiting: {name} paused for {} and finished {} later than", lasting(paused), lasting(delay));
        line!(text, "  the same run without waiting: {} CO2e,", percent("shift_saved_carbon_fraction"));
        line!(
            text,
            "  {} for energy, {} money in all",
            percent("shift_saved_energy_cost_fraction"),
            percent("shift_saved_cost_fraction")
        );
    }
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
        let carbon = of("carbon_per_request", "B4", 1e3);
        let speed = accounts.figure(&tenant.subject, "tpot_mean", "").filter(|&ms| ms > 0.0);
        let speed = speed.map_or(String::new(), |ms| format!("{} tokens a second, ", people(1e3 / ms)));
        line!(text, "  {energy} Wh, {cost} cents of electricity, {carbon} g CO2e");
        line!(text, "  {speed}first word after {first} s, all after {all} s");
    }
}

/// A warning where no service runs the device's model.
fn stranger(accounts: &Accounts, device: &Tenant, models: &[(String, String)]) -> &'static str {
    let mut services = accounts.tenants().iter().filter(|tenant| matches!(tenant.facts, Facts::Service(_)));
    let mine = model(device, models);
    if services.any(|service| model(service, models) == mine) { "" } else { " - another model, other answers" }
}

/// Training, serving and one drive in things that a person knows.
fn equivalents(text: &mut String, accounts: &Accounts) {
    let (road, drives) = (accounts.equivalents(Side::Training), accounts.equivalents(Side::Inference));
    let told = [("The road emitted", road), ("The drives emitted", drives)];
    for (who, all) in told.into_iter().filter_map(|(who, all)| Some((who, all?))) {
        let (trips, homes) = (people(all.car_trips), people(all.home_years));
        line!(text, "");
        line!(text, "{who} as much as {trips} car trips from New York to Boston (87 kg each, EPA 2023)");
        line!(text, "and used as much electricity as {homes} US homes in a year (10,715 kWh each, EIA 2020).");
    }
    if let Some(trip) = accounts.equivalents(Side::Inference).and_then(|all| all.requests_per_trip) {
        line!(text, "One such car trip is {} drives.", whole(trip));
    }
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
