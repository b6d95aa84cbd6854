//! The files with a row for each figure, comparison, event, job or service.

use super::number::{decimals, figure};
use super::sheets::{self, Column, Sheet};
use super::timelines::utc;
use crate::ledger::{
    Accounts, Boundary, Bucket, Event, Facts, Figure, Outage, Replications, Row, Spent, Spread, Sum, Tenant, Use,
};
use crate::units::{GpuTime, SimTime};
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
        csv.write_record([cluster, &outage.node.to_string(), &start, &end, outage.class, outage.domain, "false"])?;
    }
    Ok(csv.flush()?)
}

/// Writes `buckets.csv`.
pub(super) fn buckets(accounts: &Accounts, to: impl Write) -> csv::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(sheets::BUCKETS.header())?;
    for (index, tenant) in accounts.tenants().iter().enumerate() {
        let held = accounts.tenant(index).within(Boundary::B4).time;
        for Bucket { what, sum } in accounts.buckets(index) {
            csv.write_record(bucket_cells(&tenant.subject, *what, sum, held))?;
        }
    }
    for (index, cluster) in accounts.clusters().iter().enumerate() {
        let (subject, idle) = (format!("cluster.{}", cluster.name), accounts.idle(index));
        csv.write_record(bucket_cells(&subject, Use::Unallocated, idle, idle.time))?;
    }
    Ok(csv.flush()?)
}

fn bucket_cells(subject: &str, what: Use, sum: &Sum, held: GpuTime) -> Vec<String> {
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
    names.into_iter().chain(amounts.map(|amount| figure(Some(amount)))).collect()
}

/// `jobs.csv`: all figures and time buckets of each training job.
pub(super) fn jobs(accounts: &Accounts) -> Wide<'_> {
    let about = "One row for each training job: its figures, and GPU-hours and node energy by use.";
    Wide::of(accounts, "jobs.csv", about, |facts| matches!(facts, Facts::Job(_)))
}

/// `services.csv`: all figures and time buckets of each service and device.
pub(super) fn services(accounts: &Accounts) -> Wide<'_> {
    let about = "One row for each service and device: its figures, and GPU-hours and node energy by use.";
    Wide::of(accounts, "services.csv", about, |facts| !matches!(facts, Facts::Job(_)))
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
    let suffix = match row.unit {
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
        "tokens" if !row.metric.ends_with("tokens") => "_tokens",
        _ => "",
    };
    let metric = row.metric.trim_end_matches("gpu_hours").trim_end_matches('_');
    let boundary = row.boundary.map_or(String::new(), |boundary| format!("_{}", boundary.name().to_lowercase()));
    let inside = row.boundary.map_or(String::new(), |boundary| format!(" inside {}", boundary.name()));
    let name = format!("{metric}{boundary}{suffix}").trim_start_matches('_').to_owned();
    Column::of_metric(name, row.unit, format!("`{}` of summary.csv{inside}", row.metric))
}

/// Two columns for a use: accelerator time and node energy.
fn use_columns(what: Use) -> [Column; 2] {
    let name = what.name();
    [
        Column::of_metric(format!("use_{name}_gpu_h"), "GPU-h", format!("accelerator time spent on `{name}`")),
        Column::of_metric(format!("use_{name}_kwh"), "kWh", format!("node energy spent on `{name}`")),
    ]
}
