//! The timelines, written in one pass: each interval is settled once, on whatever thread is free, and no file is ever held in
//! memory.

use super::number::{decimals, push_decimals};
use super::sheets::{self, Sheet};
use crate::ledger::{Accounts, Count, Entry, Line, Part, Stage, Step, Timeline};
use crate::units::{Joules, SimTime, Span};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::io::Write;

/// Rows of a sheet in the usual spreadsheet programs.
pub const ROWS_MAX: u64 = 1_048_576;

/// The instant as `2026-01-01T00:00:00Z`, with a fraction only where it has one.
pub(super) fn utc(start: jiff::Timestamp, at: SimTime) -> String {
    let since = std::time::Duration::from_nanos(at.nanos());
    start.checked_add(since).map_or(String::new(), |instant| instant.to_string())
}

/// How many rows of each file are made at a time by each thread.
const ROWS_AT_ONCE: usize = 8_192;

/// Writes `files`, each to its writer.
pub(super) fn write<W: Write>(accounts: &Accounts, width: Span, files: &[Timeline], mut to: Vec<W>) -> csv::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    for (file, to) in files.iter().zip(&mut to) {
        csv::Writer::from_writer(to).write_record(sheet(*file).header())?;
    }
    let shown: Vec<(usize, String)> = shown(accounts)?;
    let (steps, each) = (accounts.step_count(width), (ROWS_AT_ONCE / shown.len().max(1)).max(1));
    let mut pages: Vec<Page> = (0..rayon::current_num_threads()).map(|_| Page::new(files)).collect();
    for first in (0..steps).step_by(each * pages.len()) {
        pages.par_iter_mut().enumerate().for_each(|(index, page)| {
            let from = first + index * each;
            page.fill(accounts, width, from..(from + each).min(steps), &shown);
        });
        for page in &pages {
            to.iter_mut().zip(&page.texts).try_for_each(|(to, (_, text))| to.write_all(text.as_bytes()))?;
        }
    }
    to.into_iter().try_for_each(|mut to| Ok(to.flush()?))
}

/// The file of a timeline.
pub(super) fn sheet(file: Timeline) -> Sheet {
    match file {
        Timeline::Power => sheets::POWER,
        Timeline::Utilisation => sheets::UTILISATION,
        Timeline::Cost => sheets::COST,
        Timeline::Carbon => sheets::CARBON,
    }
}

/// Index of each line that is shown, and its names as CSV writes them.
fn shown(accounts: &Accounts) -> csv::Result<Vec<(usize, String)>> {
    let shown = accounts.lines().iter().enumerate().filter(|(_, line)| line.is_shown());
    let quoted = shown.map(|(index, line)| {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(names(accounts, line))?;
        let bytes = csv.into_inner().expect("memory can always be written to");
        let text = String::from_utf8(bytes).expect("names are text");
        Ok((index, text.trim_end_matches('\n').to_owned()))
    });
    quoted.collect()
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

fn power_cells(row: &mut Row<'_>, accounts: &Accounts, line: &Line, entry: &Entry, (meter, hours): (&str, f64)) {
    let energy = entry.own.energy;
    let facility = if line.part == Part::LossesAndCooling { energy } else { Joules::ZERO };
    for part in [entry.spent.accelerator, entry.spent.host, facility] {
        row.number(part.kwh() / hours, 6);
    }
    let apart = line.part == Part::LossesAndCooling
        && line.site.is_some_and(|site| accounts.sites()[site].facility.tells_losses());
    let losses = entry.losses.total();
    let stages = Stage::ALL.map(|stage| entry.losses.of(stage));
    for part in [losses, energy - losses].into_iter().chain(stages) {
        if apart { row.number(part.kwh() / hours, 6) } else { row.empty() }
    }
    row.number(energy.kwh() / hours, 6);
    row.number(energy.kwh(), 9);
    row.text(meter);
}

fn utilisation_cells(row: &mut Row<'_>, accounts: &Accounts, line: &Line, entry: &Entry, step: &Step) {
    match line.cluster {
        Some(cluster) => {
            let gpus = entry.spent.time.mean_over(step.span);
            row.number(gpus, 6);
            row.number(gpus / f64::from(accounts.clusters()[cluster].gpus), 9);
        }
        None => {
            row.empty();
            row.empty();
        }
    }
    const COUNTS: [Count; 6] =
        [Count::Arrived, Count::Completed, Count::Rejected, Count::Failed, Count::PromptTokens, Count::OutputTokens];
    for what in COUNTS {
        match accounts.counted(line, what, step) {
            Some(number) => row.count(number),
            None => row.empty(),
        }
    }
}

fn cost_cells(row: &mut Row<'_>, entry: &Entry) {
    row.number(entry.holding.as_f64(), 9);
    row.number(entry.own.bill.as_f64(), 9);
    row.number((entry.holding + entry.own.bill).as_f64(), 9);
}

fn carbon_cells(row: &mut Row<'_>, accounts: &Accounts, line: &Line, entry: &Entry) {
    row.number(entry.own.carbon.kg(), 9);
    row.number(entry.own.upstream.kg(), 9);
    row.number(entry.embodied.kg(), 9);
    row.number(entry.own.water.as_f64(), 6);
    row.number(entry.own.water_offsite.as_f64(), 6);
    match line.site.filter(|&site| accounts.keeps_market_ledger(site)) {
        Some(_) => row.number(entry.own.market.kg(), 9),
        None => row.empty(),
    }
}

/// Some intervals of the files; kept for its memory.
#[derive(Debug)]
struct Page {
    step: Step,
    /// The time of the interval at hand, as both columns have it.
    time: String,
    texts: Vec<(Timeline, String)>,
}

impl Page {
    fn new(files: &[Timeline]) -> Page {
        let texts = files.iter().map(|file| (*file, String::new())).collect();
        Page { step: Step::default(), time: String::new(), texts }
    }

    /// Writes the rows of the intervals `steps` of `width`.
    fn fill(&mut self, accounts: &Accounts, width: Span, steps: std::ops::Range<usize>, shown: &[(usize, String)]) {
        self.texts.iter_mut().for_each(|(_, text)| text.clear());
        for index in steps {
            accounts.read_step(width, index, &mut self.step);
            self.write(accounts, shown);
        }
    }

    /// Writes the rows of the interval at hand.
    fn write(&mut self, accounts: &Accounts, shown: &[(usize, String)]) {
        let Page { step, time, texts } = self;
        time.clear();
        push_decimals(time, step.from.as_secs_f64(), 9);
        time.push(',');
        time.push_str(&utc(accounts.start(), step.from));
        let (meters, hours) = (accounts.meter_energy(step), step.span.as_secs_f64() / 3_600.0);
        // What the meter says stands on each row of its site.
        let (mut metered, mut meter) = (None, String::new());
        for (file, text) in texts {
            let is_told = |line: &Line| *file != Timeline::Utilisation || line.part != Part::LossesAndCooling;
            for (index, names) in shown.iter().filter(|(index, _)| is_told(&accounts.lines()[*index])) {
                let (line, entry) = (&accounts.lines()[*index], &step.entries[*index]);
                if *file == Timeline::Power && metered != Some(meters[*index]) {
                    metered = Some(meters[*index]);
                    decimals(&mut meter, meters[*index].kwh() / hours, 6);
                }
                Row::write(text, time, names, |row| match file {
                    Timeline::Power => power_cells(row, accounts, line, entry, (&meter, hours)),
                    Timeline::Utilisation => utilisation_cells(row, accounts, line, entry, step),
                    Timeline::Cost => cost_cells(row, entry),
                    Timeline::Carbon => carbon_cells(row, accounts, line, entry),
                });
            }
        }
    }
}

/// The end of a row being written.
struct Row<'a>(&'a mut String);

impl Row<'_> {
    /// Writes one row: when, who, and what `cells` adds.
    fn write(to: &mut String, time: &str, names: &str, cells: impl FnOnce(&mut Row<'_>)) {
        to.push_str(time);
        to.push(',');
        to.push_str(names);
        cells(&mut Row(to));
        to.push('\n');
    }

    fn number(&mut self, value: f64, places: usize) {
        self.0.push(',');
        push_decimals(self.0, value, places);
    }

    fn text(&mut self, text: &str) {
        self.0.push(',');
        self.0.push_str(text);
    }

    fn count(&mut self, number: u64) {
        write!(self.0, ",{number}").expect("a string can always be written to");
    }

    fn empty(&mut self) {
        self.0.push(',');
    }
}
