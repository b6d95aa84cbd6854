//! The files of a sweep: `runs.csv`, `cells.csv`, `comparisons.csv`.

use super::number::figure;
use super::sheets::{self, Column, Sheet};
use super::tables::{figure_column, spread_cells};
use super::{Folder, InputFile, OutputError, RunRecord};
use crate::ledger::{Figure, Paired, Replications, Sample};
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

/// What the files of a sweep show.
#[derive(Debug)]
pub struct SweepTables<'a> {
    /// Path of each axis.
    pub axes: Vec<&'a str>,
    /// All cells.
    pub cells: Vec<CellRows<'a>>,
    /// Index of the cell that the others are compared with.
    pub baseline: usize,
}

/// One cell.
#[derive(Debug)]
pub struct CellRows<'a> {
    /// Its value on each axis.
    pub values: &'a [String],
    /// Its figures.
    pub replications: &'a Replications,
    /// Why each of its runs failed, if it did.
    pub errors: &'a [Option<String>],
}

/// What the `manifest.json` of a sweep says: with the program's version, all that it depends on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepManifest {
    /// Always `tollway`: by this a folder is known to be ours.
    pub program: &'static str,
    /// Version of the program.
    pub version: String,
    /// Name of the sweep.
    pub name: String,
    /// Runs of each cell.
    pub replications: u64,
    /// What varies and over which values.
    pub axes: Vec<AxisRecord>,
    /// The values of the cell that the others are compared with, in the order of the axes.
    pub baseline: Vec<String>,
    /// Files read by that cell.
    pub inputs: Vec<InputFile>,
    /// The resolved scenario of that cell, one assignment a line, without absolute paths.
    pub scenario: Vec<String>,
}

/// One axis in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisRecord {
    /// Path in the scenario.
    pub path: String,
    /// Its values.
    pub values: Vec<String>,
}

/// What [`write_sweep`] writes.
pub const SWEEP_FILES: &[&str] =
    &["runs.csv", "cells.csv", "comparisons.csv", "datapackage.json", "run.json", "manifest.json"];

/// Writes all files of a sweep to `dir`, together or not at all, as [`write`](super::write) does.
pub fn write_sweep(
    dir: &Path,
    tables: &SweepTables<'_>,
    manifest: &SweepManifest,
    record: &RunRecord,
) -> Result<(), OutputError> {
    let folder = Folder::aside(dir)?;
    let figures = tables.figures();
    let sheets = [tables.runs_sheet(&figures), tables.varied(sheets::CELLS), tables.varied(sheets::COMPARISONS)];
    folder.csv(sheets[0].file, |to| tables.runs(&sheets[0], &figures, to))?;
    folder.csv(sheets[1].file, |to| tables.spreads(&sheets[1], to))?;
    folder.csv(sheets[2].file, |to| tables.comparisons(&sheets[2], to))?;
    folder.json("datapackage.json", &sheets::datapackage(&manifest.name, &sheets))?;
    folder.json("run.json", record)?;
    folder.json("manifest.json", manifest)?;
    folder.publish()
}

impl SweepTables<'_> {
    /// Each figure that any cell has.
    fn figures(&self) -> Vec<&Figure> {
        let mut figures: Vec<&Figure> = Vec::new();
        for cell in &self.cells {
            for (index, sample) in cell.replications.samples().iter().enumerate() {
                let known = figures.get(index).is_some_and(|figure| figure.is_same(&sample.figure))
                    || figures.iter().any(|figure| figure.is_same(&sample.figure));
                if !known {
                    figures.push(&sample.figure);
                }
            }
        }
        figures
    }

    /// `sheet` with a column for each axis behind its first.
    fn varied(&self, sheet: Sheet) -> Sheet {
        let mut columns = sheet.columns.into_owned();
        columns.splice(1..1, self.axes.iter().map(|path| Column::of_axis(path)));
        Sheet { columns: Cow::Owned(columns), ..sheet }
    }

    fn runs_sheet(&self, figures: &[&Figure]) -> Sheet {
        let mut sheet = self.varied(sheets::RUNS);
        let columns = figures.iter().map(|row| figure_column(row).of_subject(&row.subject));
        sheet.columns.to_mut().extend(columns);
        sheet
    }

    /// One row for each run, one column for each figure.
    fn runs(&self, sheet: &Sheet, figures: &[&Figure], to: impl Write) -> csv::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(sheet.header())?;
        for (number, cell) in self.cells.iter().enumerate() {
            let find = |(index, figure): (usize, &&Figure)| find(cell.replications, index, figure);
            let samples: Vec<Option<&Sample>> = figures.iter().enumerate().map(find).collect();
            for replication in 0..cell.replications.count() {
                let names = std::iter::once(number.to_string()).chain(cell.values.iter().cloned());
                let value = |sample: &Option<&Sample>| figure(sample.and_then(|sample| sample.values[replication]));
                let run = [replication.to_string(), cell.errors[replication].clone().unwrap_or_default()];
                csv.write_record(names.chain(run).chain(samples.iter().map(value)))?;
            }
        }
        Ok(csv.flush()?)
    }

    /// One row for each cell and figure.
    fn spreads(&self, sheet: &Sheet, to: impl Write) -> csv::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(sheet.header())?;
        for (number, cell) in self.cells.iter().enumerate() {
            for sample in cell.replications.samples() {
                let spread = spread_cells(sample.spread().as_ref());
                csv.write_record(names(number, cell, &sample.figure).into_iter().chain(spread))?;
            }
        }
        Ok(csv.flush()?)
    }

    /// One row for each figure of each cell but the baseline.
    fn comparisons(&self, sheet: &Sheet, to: impl Write) -> csv::Result<()> {
        let mut csv = csv::Writer::from_writer(to);
        csv.write_record(sheet.header())?;
        let base = self.cells[self.baseline].replications;
        for (number, cell) in self.cells.iter().enumerate().filter(|&(number, _)| number != self.baseline) {
            for (index, sample) in cell.replications.samples().iter().enumerate() {
                let paired = find(base, index, &sample.figure).and_then(|base| Paired::of(base, sample));
                csv.write_record(names(number, cell, &sample.figure).into_iter().chain(paired_cells(paired.as_ref())))?;
            }
        }
        Ok(csv.flush()?)
    }
}

/// The sample of `figure`, which most likely is the `index`-th.
fn find<'a>(replications: &'a Replications, index: usize, figure: &Figure) -> Option<&'a Sample> {
    let samples = replications.samples();
    let expected = samples.get(index).filter(|sample| sample.figure.is_same(figure));
    expected.or_else(|| samples.iter().find(|sample| sample.figure.is_same(figure)))
}

/// The cell's number and values, and the names of the figure.
fn names(number: usize, cell: &CellRows<'_>, row: &Figure) -> Vec<String> {
    let boundary = row.boundary.map_or("", |boundary| boundary.name());
    let figure = [&row.subject, row.metric, row.unit, boundary].map(str::to_owned);
    std::iter::once(number.to_string()).chain(cell.values.iter().cloned()).chain(figure).collect()
}

/// The cells from `n` to `verdict`.
fn paired_cells(paired: Option<&Paired>) -> [String; 8] {
    let cell = |value: fn(&Paired) -> Option<f64>| figure(paired.and_then(value));
    [
        paired.map_or(0, |paired| paired.difference.n).to_string(),
        cell(|paired| Some(paired.base)),
        cell(|paired| Some(paired.mean)),
        cell(|paired| Some(paired.difference.mean)),
        cell(|paired| paired.difference.half_width),
        cell(|paired| paired.percent(paired.difference.mean)),
        cell(|paired| paired.difference.half_width.and_then(|half_width| paired.percent(half_width))),
        paired.map_or("", Paired::verdict).to_owned(),
    ]
}
