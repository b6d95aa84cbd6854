//! The files with a row for each figure, comparison, event, job or service.

use super::number::{decimals, figure};
use super::sheets::{self, Column, Sheet};
use super::timelines::{names, utc};
use crate::ledger::{
    Accounts, Boundary, Bucket, End, Entry, Event, Facts, Figure, Line, Outage, Replications, Row, Shift, Spent,
    Spread, Sum, Tenant, Use, WorkloadFacts,
};
use crate::units::{GpuTime, SimTime, Span};
use std::borrow::Cow;
use std::io::Write;

/// Writes `summary.csv`.
pub(super) fn summary(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::SUMMARY.header())?;
    for row in accounts.figures() {
        let boundary = row.boundary.map_or("", |boundary| boundary.name());
        csv.write_record([&row.subject, row.metric, &figure(row.value), row.unit, boundary])?;
    }
    Ok(csv.flush()?)
}

/// Writes `replications.csv`.
pub(super) fn replications(replications: &Replications, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::REPLICATIONS.header())?;
    for sample in replications.samples() {
        let row = &sample.figure;
        let boundary = row.boundary.map_or("", |boundary| boundary.name());
        let names = [&row.subject, row.metric, row.unit, boundary].map(str::to_owned);
        csv.write_record(names.into_iter().chain(spread_cells(sample.spread().as_ref())))?;
    }
    Ok(csv.flush()?)
}

/// The cells `n`, `mean`, `sd`, `ci95_low`, `ci95_high`, `p5`, `p50` and `p95`.
pub(super) fn spread_cells(spread: Option<&Spread>) -> [String; 8] {
    let cell = |value: fn(&Spread) -> Option<f64>| figure(spread.and_then(value));
    [
        spread.map_or(0, |spread| spread.n).to_string(),
        cell(|spread| Some(spread.mean)),
        cell(|spread| spread.sd),
        cell(Spread::ci95_low),
        cell(Spread::ci95_high),
        cell(|spread| Some(spread.p5)),
        cell(|spread| Some(spread.p50)),
        cell(|spread| Some(spread.p95)),
    ]
}

/// Writes `comparison.csv`.
pub(super) fn comparison(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(Row::COLUMNS)?;
    for row in accounts.comparison().rows() {
        let names = [row.boundary.name().to_owned(), row.axis.name().to_owned()];
        csv.write_record(names.into_iter().chain(row.values().map(figure)))?;
    }
    Ok(csv.flush()?)
}

/// Writes `sensitivity.csv`.
pub(super) fn sensitivity(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(Shift::COLUMNS)?;
    for shift in accounts.comparison().shifts() {
        let [factor, method, boundary, axis] = shift.names().map(str::to_owned);
        let names = [factor, figure(Some(shift.value)), method, boundary, axis];
        csv.write_record(names.into_iter().chain(shift.values().map(figure)))?;
    }
    Ok(csv.flush()?)
}

/// Writes `attribution.csv`.
pub(super) fn attribution(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::ATTRIBUTION.header())?;
    let lines = accounts.lines().iter().zip(accounts.line_sums()).enumerate().filter(|(_, (line, _))| line.is_shown());
    for (index, (line, sum)) in lines {
        let classes = line.tenant.into_iter().flat_map(|tenant| of_classes(&accounts.tenants()[tenant]));
        let classes: Vec<(String, &Entry)> = classes.zip(accounts.class_entries(index)).collect();
        if classes.is_empty() {
            attribute(accounts, line, None, sum, &mut csv)?;
        }
        for (class, part) in classes {
            attribute(accounts, line, Some(class), part, &mut csv)?;
        }
    }
    Ok(csv.flush()?)
}

/// The classes of a service, as they stand in the place of their tenant.
fn of_classes(tenant: &Tenant) -> impl Iterator<Item = String> {
    tenant.book.classes().iter().map(|class| format!("{}.{}", tenant.subject, class.name))
}

/// Writes a row of `attribution.csv`: what a line took, or what a class did of it.
fn attribute(
    accounts: &Accounts,
    line: &Line,
    class: Option<String>,
    sum: &Entry,
    csv: &mut csv::Writer<impl Write>,
) -> csv::Result<()> {
    let boundary = line.part.boundary().map_or("", |boundary| boundary.name());
    let words = [accounts.category(line).to_owned(), boundary.to_owned()];
    let numbers = [
        sum.spent.time.gpu_hours(),
        sum.spent.accelerator.kwh(),
        sum.spent.host.kwh(),
        sum.own.energy.kwh(),
        sum.holding.as_f64(),
        sum.own.bill.as_f64(),
        sum.own.carbon.kg(),
        sum.own.upstream.kg(),
        sum.embodied.kg(),
        sum.own.water.as_f64(),
        sum.own.water_offsite.as_f64(),
        sum.share.energy.kwh(),
        sum.share.bill.as_f64(),
        sum.share.carbon.kg(),
        sum.share.upstream.kg(),
        sum.share.water_offsite.as_f64(),
    ];
    let cells = numbers.map(|number| figure(Some(number)));
    let mut names = names(accounts, line);
    class.into_iter().for_each(|class| names[2] = class);
    csv.write_record(names.into_iter().chain(words).chain(cells))
}

/// Writes `requests.csv`.
pub(super) fn requests(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::REQUESTS.header())?;
    let mut texts: [String; 4] = Default::default();
    for tenant in accounts.tenants() {
        let subjects: Vec<String> = of_classes(tenant).collect();
        for (cell, log) in tenant.book.requests().iter().enumerate() {
            let cell = cell.to_string();
            log.for_each(|request| -> csv::Result<()> {
                let (prompt, output) = (request.prompt.to_string(), request.output.to_string());
                let is_complete = request.end.is_complete();
                let subject = subjects.get(usize::from(request.class)).unwrap_or(&tenant.subject);
                let tpot = (is_complete && request.output > 1).then(|| {
                    let decoding = request.e2e.saturating_sub(request.ttft).as_secs_f64();
                    decoding * 1e3 / f64::from(request.output - 1)
                });
                let [arrived, ttft, tpot_text, e2e] = &mut texts;
                let ms = |span: Span| is_complete.then(|| span.as_secs_f64() * 1e3);
                let within_slo = if request.end == End::WithinSlo { "true" } else { "false" };
                csv.write_record([
                    subject.as_str(),
                    &cell,
                    decimals(arrived, request.arrived.as_secs_f64(), 9),
                    &prompt,
                    &output,
                    ms(request.ttft).map_or("", |value| decimals(ttft, value, 6)),
                    tpot.map_or("", |value| decimals(tpot_text, value, 6)),
                    ms(request.e2e).map_or("", |value| decimals(e2e, value, 6)),
                    request.end.name(),
                    within_slo,
                ])
            })?;
        }
    }
    Ok(csv.flush()?)
}

/// Writes `events.csv`, in order of time, then of tenants.
pub(super) fn events(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::EVENTS.header())?;
    let mut all: Vec<(&str, &Event)> = accounts
        .tenants()
        .iter()
        .flat_map(|tenant| tenant.book.events().iter().map(|event| (tenant.subject.as_str(), event)))
        .collect();
    let controls: Vec<(String, &[Event])> = accounts
        .sites()
        .iter()
        .enumerate()
        .filter_map(|(index, site)| Some((format!("site.{}", site.name), accounts.capping(index)?.events.as_slice())))
        .collect();
    all.extend(controls.iter().flat_map(|(subject, events)| events.iter().map(|event| (subject.as_str(), event))));
    all.sort_by_key(|(_, event)| event.at);
    let mut seconds = String::new();
    for (subject, event) in all {
        let time_s = decimals(&mut seconds, event.at.as_secs_f64(), 9);
        let time_utc = utc(accounts.start(), event.at);
        csv.write_record([time_s, &time_utc, subject, event.kind.name(), &event.nodes, &event.detail])?;
    }
    Ok(csv.flush()?)
}

/// Writes `faults.csv`, in order of time, then of clusters and nodes.
pub(super) fn faults(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::FAULTS.header())?;
    let mut all: Vec<(&str, &Outage)> = Vec::new();
    for tenant in accounts.tenants() {
        let cluster = tenant.cluster.map_or("", |cluster| accounts.clusters()[cluster].name.as_str());
        all.extend(tenant.book.outages().iter().map(|outage| (cluster, outage)));
    }
    all.sort_by_key(|&(cluster, outage)| (outage.start, cluster, outage.node));
    let exact = |at: SimTime| format!("{}.{:09}", at.nanos() / 1_000_000_000, at.nanos() % 1_000_000_000);
    for (cluster, outage) in all {
        let (start, end) = (exact(outage.start), outage.end.map_or(String::new(), exact));
        let planned = if outage.is_planned() { "true" } else { "false" };
        csv.write_record([cluster, &outage.node.to_string(), &start, &end, outage.class, outage.domain, planned])?;
    }
    Ok(csv.flush()?)
}

/// Writes `buckets.csv`.
pub(super) fn buckets(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::BUCKETS.header())?;
    for (index, tenant) in accounts.tenants().iter().enumerate() {
        let held = accounts.tenant(index).within(Boundary::B4).time;
        let own = |what: Use| match &tenant.facts {
            Facts::Job(facts) => Some(facts.time.of(what)).filter(|&time| time > Span::ZERO),
            Facts::Workload(_) | Facts::Service(_) | Facts::Device(_) => None,
        };
        let spent = accounts.buckets(index);
        for Bucket { what, sum } in spent {
            csv.write_record(bucket_cells(&tenant.subject, *what, own(*what), sum, held))?;
        }
        // A job that waits without nodes spends its own time only.
        for what in Use::ALL.into_iter().filter(|what| spent.iter().all(|bucket| bucket.what != *what)) {
            if let Some(time) = own(what) {
                csv.write_record(bucket_cells(&tenant.subject, what, Some(time), &Sum::default(), held))?;
            }
        }
    }
    for (index, cluster) in accounts.clusters().iter().enumerate() {
        let (subject, idle) = (format!("cluster.{}", cluster.name), accounts.idle(index));
        csv.write_record(bucket_cells(&subject, Use::Unallocated, None, idle, idle.time))?;
    }
    Ok(csv.flush()?)
}

fn bucket_cells(subject: &str, what: Use, own: Option<Span>, sum: &Sum, held: GpuTime) -> Vec<String> {
    let amounts = [
        sum.time.gpu_hours(),
        sum.time.fraction_of(held),
        sum.energy.kwh(),
        sum.cost.as_f64(),
        sum.carbon.kg(),
        sum.upstream.kg(),
        sum.embodied.kg(),
        sum.water.as_f64(),
        sum.water_offsite.as_f64(),
    ];
    let names = [subject, what.name(), what.ml_goodput().unwrap_or_default()].map(str::to_owned);
    let own = figure(own.map(Span::as_secs_f64));
    names.into_iter().chain([own]).chain(amounts.map(|amount| figure(Some(amount)))).collect()
}

/// `jobs.csv`: all figures and time buckets of each training job and workload.
pub(super) fn jobs(accounts: &Accounts) -> Wide<'_> {
    let about = "One row for each training job and workload: its figures, and GPU-hours and node energy by use.";
    Wide::of(accounts, "jobs.csv", about, |facts| matches!(facts, Facts::Job(_) | Facts::Workload(_)))
}

/// `services.csv`: all figures and time buckets of each service and device.
pub(super) fn services(accounts: &Accounts) -> Wide<'_> {
    let about = "One row for each service and device: its figures, and GPU-hours and node energy by use.";
    Wide::of(accounts, "services.csv", about, |facts| matches!(facts, Facts::Service(_) | Facts::Device(_)))
}

/// Writes `queue.csv`: the listed jobs of each workload, in order of submission.
pub(super) fn queue(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::QUEUE.header())?;
    let mut buffer = String::new();
    for (tenant, facts) in listed(accounts) {
        let cluster = tenant.cluster.map_or("", |cluster| accounts.clusters()[cluster].name.as_str());
        for (number, job) in facts.records.iter().enumerate() {
            csv.write_field(&tenant.subject)?;
            csv.write_field(cluster)?;
            csv.write_field(number.to_string())?;
            csv.write_field(&facts.classes[job.class as usize])?;
            csv.write_field(facts.owners.get(job.owner as usize).map_or("", String::as_str))?;
            csv.write_field(job.gpus.to_string())?;
            let instants = [Some(job.submitted), job.started, job.finished].map(|at| at.map(SimTime::as_secs_f64));
            let spans = [job.wait(), Some(job.run), Some(job.held)].map(|span| span.map(Span::as_secs_f64));
            for seconds in instants.into_iter().chain(spans) {
                csv.write_field(seconds.map_or("", |seconds| decimals(&mut buffer, seconds, 3)))?;
            }
            csv.write_field(job.starts.to_string())?;
            csv.write_field(job.status.name())?;
            csv.write_record(None::<&[u8]>)?;
        }
    }
    Ok(csv.flush()?)
}

/// The workloads whose jobs are listed one by one.
pub(super) fn listed(accounts: &Accounts) -> impl Iterator<Item = (&Tenant, &WorkloadFacts)> {
    accounts.tenants().iter().filter_map(|tenant| match &tenant.facts {
        Facts::Workload(facts) if facts.is_listed => Some((tenant, facts)),
        _ => None,
    })
}

/// A file with a row for each subject and a column for each of its figures.
pub(super) struct Wide<'a> {
    pub(super) sheet: Sheet,
    accounts: &'a Accounts,
    tenants: Vec<&'a Tenant>,
    /// The uses that one of the tenants spent on.
    uses: Vec<Use>,
    /// Name and boundary of each figure that has a column.
    figures: Vec<&'a Figure>,
}

impl<'a> Wide<'a> {
    fn of(accounts: &'a Accounts, file: &'static str, about: &'static str, holds: fn(&Facts) -> bool) -> Wide<'a> {
        let tenants: Vec<&Tenant> = accounts.tenants().iter().filter(|tenant| holds(&tenant.facts)).collect();
        let used = |what: &Use| tenants.iter().any(|tenant| tenant.book.spent(*what) != Spent::ZERO);
        let uses: Vec<Use> = Use::ALL.into_iter().filter(used).collect();
        let mut figures: Vec<&Figure> = Vec::new();
        for row in accounts.figures().iter().filter(|row| tenants.iter().any(|tenant| tenant.subject == row.subject)) {
            if !figures.iter().any(|known| (known.metric, known.boundary) == (row.metric, row.boundary)) {
                figures.push(row);
            }
        }
        let columns = sheets::SUBJECT.into_iter().chain(figures.iter().map(|row| figure_column(row)));
        let columns: Vec<Column> = columns.chain(uses.iter().flat_map(|&what| use_columns(what))).collect();
        Wide { sheet: Sheet { file, about, columns: Cow::Owned(columns) }, accounts, tenants, uses, figures }
    }

    /// Writes the file.
    pub(super) fn write(&self, to: impl Write) -> csv::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(self.sheet.header())?;
        for tenant in &self.tenants {
            csv.write_record(self.cells(tenant))?;
        }
        Ok(csv.flush()?)
    }

    fn cells(&self, tenant: &Tenant) -> Vec<String> {
        let cluster = tenant.cluster.map(|cluster| &self.accounts.clusters()[cluster]);
        let mut cells = vec![
            tenant.subject.clone(),
            cluster.map_or(String::new(), |cluster| self.accounts.sites()[cluster.site].name.clone()),
            cluster.map_or(String::new(), |cluster| cluster.name.clone()),
        ];
        for column in &self.figures {
            let boundary = column.boundary.map_or("", |boundary| boundary.name());
            cells.push(figure(self.accounts.figure(&tenant.subject, column.metric, boundary)));
        }
        for &what in &self.uses {
            let spent = tenant.book.spent(what);
            cells.push(figure(Some(spent.time.gpu_hours())));
            cells.push(figure(Some(spent.node().kwh())));
        }
        cells
    }
}

/// A column for a figure: its metric, its boundary and its unit.
pub(super) fn figure_column(row: &Figure) -> Column {
    let boundary = row.boundary.map_or("", |boundary| boundary.name());
    let inside = if boundary.is_empty() { String::new() } else { format!(" inside {boundary}") };
    let name = column_name(row.metric, row.unit, boundary);
    Column::of_metric(name, row.unit, format!("`{}` of summary.csv{inside}", row.metric))
}

/// The name of the column that a wide file gives `metric` in `unit` inside `boundary`, which may be empty.
#[must_use]
pub fn column_name(metric: &str, unit: &str, boundary: &str) -> String {
    let suffix = match unit {
        "s" => "_s",
        "ms" => "_ms",
        "kW" => "_kw",
        "kWh" => "_kwh",
        "USD" => "_usd",
        "kgCO2e" => "_kgco2e",
        "L" => "_l",
        "GPU-h" => "_gpu_h",
        "count" => "_count",
        "fraction" => "_fraction",
        "tokens" if !metric.ends_with("tokens") => "_tokens",
        _ => "",
    };
    let metric = metric.trim_end_matches("gpu_hours").trim_end_matches('_');
    let boundary = if boundary.is_empty() { String::new() } else { format!("_{}", boundary.to_lowercase()) };
    format!("{metric}{boundary}{suffix}").trim_start_matches('_').to_owned()
}

/// Two columns for a use: accelerator time and node energy.
fn use_columns(what: Use) -> [Column; 2] {
    let name = what.name();
    let boundary = if what.is_reserve() { "boundary B3" } else { "boundary B2" };
    [
        Column::of_metric(format!("use_{name}_gpu_h"), "GPU-h", format!("accelerator time spent on `{name}`")),
        Column::of_metric(
            format!("use_{name}_kwh"),
            "kWh",
            format!("energy of accelerators and hosts ({boundary}) spent on `{name}`"),
        ),
    ]
}
