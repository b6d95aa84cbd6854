//! The four timelines, written in one pass: each interval is settled once, and no file is ever held in memory.

use super::number::decimals;
use super::sheets::{self, Sheet};
use crate::ledger::{Accounts, Count, Entry, Line, Part, Stage, Step};
use crate::units::{Joules, SimTime, Span};
use std::io::Write;

/// Rows of a sheet in the usual spreadsheet programs.
pub const ROWS_MAX: u64 = 1_048_576;

/// The instant as `2026-01-01T00:00:00Z`, with a fraction only where it has one.
pub(super) fn utc(start: jiff::Timestamp, at: SimTime) -> String {
    let since = std::time::Duration::from_nanos(at.nanos());
    start.checked_add(since).map_or(String::new(), |instant| instant.to_string())
}

/// Writes `power.csv`, `utilisation.csv`, `cost.csv` and `carbon.csv`.
pub(super) fn write<W: Write>(accounts: &Accounts, step: Span, to: [W; 4]) -> csv::Result<()> {
    let [power, utilisation, cost, carbon] = to;
    let mut power = Timeline::new(&sheets::POWER, power)?;
    let mut utilisation = Timeline::new(&sheets::UTILISATION, utilisation)?;
    let mut cost = Timeline::new(&sheets::COST, cost)?;
    let mut carbon = Timeline::new(&sheets::CARBON, carbon)?;
    let names: Vec<[String; 4]> = accounts.lines().iter().map(|line| names(accounts, line)).collect();
    for step in accounts.steps(step) {
        let (time_utc, hours) = (utc(accounts.start(), step.from), step.span.as_secs_f64() / 3_600.0);
        let meters = accounts.meter_energy(&step);
        for (index, line) in accounts.lines().iter().enumerate().filter(|(_, line)| line.is_shown()) {
            let (entry, names) = (&step.entries[index], &names[index]);
            let begin = (step.from, time_utc.as_str());
            power.row(begin, names, |row| power_cells(row, accounts, line, entry, (meters[index], hours)))?;
            cost.row(begin, names, |row| cost_cells(row, entry))?;
            carbon.row(begin, names, |row| carbon_cells(row, accounts, line, entry))?;
            if line.part != Part::LossesAndCooling {
                utilisation.row(begin, names, |row| utilisation_cells(row, accounts, line, entry, &step))?;
            }
        }
    }
    [power, utilisation, cost, carbon].into_iter().try_for_each(|mut timeline| Ok(timeline.csv.flush()?))
}

/// Site, cluster, tenant and part of a line.
pub(super) fn names(accounts: &Accounts, line: &Line) -> [String; 4] {
    let tenant = match (line.tenant, line.part) {
        (Some(tenant), _) => accounts.tenants()[tenant].subject.as_str(),
        (None, Part::LossesAndCooling) => "facility",
        (None, _) => "idle",
    };
    [
        line.site.map_or(String::new(), |site| accounts.sites()[site].name.clone()),
        line.cluster.map_or(String::new(), |cluster| accounts.clusters()[cluster].name.clone()),
        tenant.to_owned(),
        line.part.name().to_owned(),
    ]
}

fn power_cells<W: Write>(
    row: &mut Timeline<W>,
    accounts: &Accounts,
    line: &Line,
    entry: &Entry,
    (meter, hours): (Joules, f64),
) -> csv::Result<()> {
    let energy = entry.own.energy;
    let facility = if line.part == Part::LossesAndCooling { energy } else { Joules::ZERO };
    for part in [entry.spent.accelerator, entry.spent.host, facility] {
        row.number(part.kwh() / hours, 6)?;
    }
    let apart = line.part == Part::LossesAndCooling
        && line.site.is_some_and(|site| accounts.sites()[site].facility.tells_losses());
    let losses = entry.losses.total();
    let stages = Stage::ALL.map(|stage| entry.losses.of(stage));
    for part in [losses, energy - losses].into_iter().chain(stages) {
        if apart { row.number(part.kwh() / hours, 6)? } else { row.empty()? }
    }
    row.number(energy.kwh() / hours, 6)?;
    row.number(energy.kwh(), 9)?;
    row.number(meter.kwh() / hours, 6)
}

fn utilisation_cells<W: Write>(
    row: &mut Timeline<W>,
    accounts: &Accounts,
    line: &Line,
    entry: &Entry,
    step: &Step,
) -> csv::Result<()> {
    match line.cluster {
        Some(cluster) => {
            let gpus = entry.spent.time.mean_over(step.span);
            row.number(gpus, 6)?;
            row.number(gpus / f64::from(accounts.clusters()[cluster].gpus), 9)?;
        }
        None => {
            row.empty()?;
            row.empty()?;
        }
    }
    const COUNTS: [Count; 6] =
        [Count::Arrived, Count::Completed, Count::Rejected, Count::Failed, Count::PromptTokens, Count::OutputTokens];
    COUNTS.into_iter().try_for_each(|what| match accounts.counted(line, what, step) {
        Some(number) => row.csv.write_field(number.to_string()),
        None => row.empty(),
    })
}

fn cost_cells<W: Write>(row: &mut Timeline<W>, entry: &Entry) -> csv::Result<()> {
    row.number(entry.holding.as_f64(), 9)?;
    row.number(entry.own.bill.as_f64(), 9)?;
    row.number((entry.holding + entry.own.bill).as_f64(), 9)
}

fn carbon_cells<W: Write>(row: &mut Timeline<W>, accounts: &Accounts, line: &Line, entry: &Entry) -> csv::Result<()> {
    row.number(entry.own.carbon.kg(), 9)?;
    row.number(entry.own.upstream.kg(), 9)?;
    row.number(entry.embodied.kg(), 9)?;
    row.number(entry.own.water.as_f64(), 6)?;
    row.number(entry.own.water_offsite.as_f64(), 6)?;
    match line.site.filter(|&site| accounts.keeps_market_ledger(site)) {
        Some(_) => row.number(entry.own.market.kg(), 9),
        None => row.empty(),
    }
}

/// A timeline being written.
struct Timeline<W: Write> {
    csv: csv::Writer<W>,
    buffer: String,
}

impl<W: Write> Timeline<W> {
    fn new(sheet: &Sheet, to: W) -> csv::Result<Timeline<W>> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(sheet.header())?;
        Ok(Timeline { csv, buffer: String::new() })
    }

    /// One row: when, who, and what `cells` adds.
    fn row(
        &mut self,
        (from, time_utc): (SimTime, &str),
        names: &[String; 4],
        cells: impl FnOnce(&mut Timeline<W>) -> csv::Result<()>,
    ) -> csv::Result<()> {
        self.number(from.as_secs_f64(), 9)?;
        self.csv.write_field(time_utc)?;
        names.iter().try_for_each(|name| self.csv.write_field(name))?;
        cells(self)?;
        self.csv.write_record(None::<&[u8]>)
    }

    fn number(&mut self, value: f64, places: usize) -> csv::Result<()> {
        self.csv.write_field(decimals(&mut self.buffer, value, places))
    }

    fn empty(&mut self) -> csv::Result<()> {
        self.csv.write_field("")
    }
}
