//! The files of a sweep: `runs.csv`, `cells.csv`, `comparisons.csv`.

use super::goals::Goals;
use super::number::figure;
use super::sentence::sentence;
use super::sheets::{self, Column, Sheet};
use super::tables::{figure_column, spread_cells};
use super::workbook::{Book, Piece, Rows};
use super::{Folder, InputFile, OutputError, RunRecord};
use crate::ledger::{Figure, Paired, Replications, Sample};
use rayon::prelude::*;
use serde::Serialize;
use std::borrow::Cow;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// What the files of a sweep show.
#[derive(Debug)]
pub struct SweepTables<'a> {
    /// Each axis.
    pub axes: &'a [AxisColumn],
    /// Each parameter that has a column of its own in `runs.csv`.
    pub parameters: &'a [ParameterColumn],
    /// All cells.
    pub cells: Vec<CellRows<'a>>,
    /// Index of the cell that the others are compared with.
    pub baseline: usize,
    /// What was searched for and found.
    pub goals: Option<&'a Goals>,
}

/// One axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisColumn {
    /// Path in the scenario.
    pub path: String,
    /// Unit of the numbers behind its values, empty for a plain number; none where the values themselves say all there is.
    pub unit: Option<&'static str>,
}

/// One parameter of the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterColumn {
    /// Path in the scenario.
    pub path: String,
    /// Unit of its numbers.
    pub unit: &'static str,
}

impl CellRows<'_> {
    /// The cells of its axes.
    pub(super) fn axes(&self, axes: &[AxisColumn]) -> impl Iterator<Item = String> {
        axes.iter().zip(self.values).zip(self.numbers).flat_map(|((axis, value), &number)| {
            [Some(value.clone()), axis.unit.map(|_| figure(number))].into_iter().flatten()
        })
    }
}

/// One cell.
#[derive(Debug)]
pub struct CellRows<'a> {
    /// Its value on each axis.
    pub values: &'a [String],
    /// The number behind each, where there is one.
    pub numbers: &'a [Option<f64>],
    /// Its value of each parameter.
    pub parameters: &'a [String],
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
    pub replications: ReplicationsRecord,
    /// What varies and over which values.
    pub axes: Vec<AxisRecord>,
    /// What was searched for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// The values of the cell that the others are compared with, in the order of the axes.
    pub baseline: Vec<String>,
    /// Files read by that cell.
    pub inputs: Vec<InputFile>,
    /// The resolved scenario of that cell, one assignment a line, without absolute paths.
    pub scenario: Vec<String>,
}

/// How many runs each cell has, in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ReplicationsRecord {
    /// So many.
    Fixed(u64),
    /// As many as it takes; `cells.csv` says how many.
    Until {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
        /// Figures and the half-widths to reach.
        until: Vec<String>,
    },
}

/// One axis in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisRecord {
    /// Path in the scenario.
    pub path: String,
    /// Its values.
    pub values: Vec<String>,
}

/// What [`write_sweep`] writes, with or without a search.
pub fn sweep_files(is_search: bool) -> impl Iterator<Item = &'static str> {
    let goals = is_search.then_some("goals.csv");
    let workbook = cfg!(feature = "xlsx").then_some("results.xlsx");
    ["runs.csv", "cells.csv", "comparisons.csv"].into_iter().chain(goals).chain(workbook).chain([
        "datapackage.json",
        "run.json",
        "manifest.json",
    ])
}

/// Writes all files of a sweep to `dir`, together or not at all, as [`write`](super::write) does.
pub fn write_sweep(
    dir: &Path,
    tables: &SweepTables<'_>,
    manifest: &SweepManifest,
    record: &RunRecord,
) -> Result<(), OutputError> {
    let folder = Folder::aside(dir)?;
    let figures = tables.figures();
    let mut sheets =
        vec![tables.runs_sheet(&figures), tables.varied(sheets::CELLS), tables.varied(sheets::COMPARISONS)];
    sheets.extend(tables.goals.map(|goals| tables.goals_sheet(goals)));
    let copies: Vec<Copied<'_>> = Which::ALL.into_iter().zip(&sheets).map(|of| tables.copied(of)).collect();
    let mut book = Book::begin(&folder, &manifest.name, tables, &copies)?;
    for (which, sheet) in Which::ALL.into_iter().zip(&sheets) {
        tables.write(&folder, which, sheet, &figures, &mut book)?;
    }
    book.close()?;
    folder.json("datapackage.json", &sheets::datapackage(&manifest.name, &sheets))?;
    folder.json("run.json", record)?;
    folder.json("manifest.json", manifest)?;
    folder.publish()
}

/// A sheet of the workbook that repeats a CSV file: its name, its columns and its number of rows.
#[cfg_attr(not(feature = "xlsx"), expect(dead_code, reason = "only a workbook has sheets"))]
pub(super) struct Copied<'a> {
    pub(super) name: &'static str,
    pub(super) sheet: &'a Sheet,
    pub(super) rows: usize,
}

/// One of the files of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Runs,
    Cells,
    Comparisons,
    Goals,
}

impl Which {
    /// All of them, in their order; the last only where something was searched for.
    const ALL: [Which; 4] = [Which::Runs, Which::Cells, Which::Comparisons, Which::Goals];
}

impl SweepTables<'_> {
    /// Each figure that any cell has.
    pub(super) fn figures(&self) -> Vec<&Figure> {
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
        columns.splice(1..1, self.axes.iter().flat_map(Column::of_axis_and_number));
        Sheet { columns: Cow::Owned(columns), ..sheet }
    }

    fn runs_sheet(&self, figures: &[&Figure]) -> Sheet {
        let mut sheet = self.varied(sheets::RUNS);
        let parameters = self.parameters.iter().map(|of| Column::of_parameter(&of.path, of.unit));
        let columns = figures.iter().map(|row| figure_column(row).of_subject(&row.subject));
        sheet.columns.to_mut().extend(parameters.chain(columns));
        sheet
    }

    /// What the workbook repeats of a file.
    fn copied<'a>(&self, (which, sheet): (Which, &'a Sheet)) -> Copied<'a> {
        let name = match which {
            Which::Runs => "Runs",
            Which::Cells => "Cells",
            Which::Comparisons => "Comparisons",
            Which::Goals => "Goals",
        };
        Copied { name, sheet, rows: (0..self.parts(which)).map(|part| self.count(which, part)).sum() }
    }

    /// How many rows a part of a file has.
    fn count(&self, which: Which, part: usize) -> usize {
        let replications = || self.cells[part].replications;
        match which {
            Which::Runs => replications().count(),
            Which::Comparisons if part == self.baseline => 0,
            Which::Cells | Which::Comparisons => replications().samples().len(),
            Which::Goals => self.goals.map_or(0, |goals| goals.found.len()),
        }
    }

    /// Writes a file, and the sheet of `book` that repeats it. Rows are put into words side by side, for both at once; they come in
    /// order.
    fn write(
        &self,
        folder: &Folder,
        which: Which,
        sheet: &Sheet,
        figures: &[&Figure],
        book: &mut Book<'_>,
    ) -> Result<(), OutputError> {
        let unfinished = |error: csv::Error| OutputError::unfinished(sheet.file, error);
        let mut to = csv::Writer::from_writer(folder.open(sheet.file)?);
        to.write_record(sheet.header()).map_err(unfinished)?;
        let mut to = to.into_inner().map_err(|error| OutputError::unfinished(sheet.file, error.into_error()))?;
        let page = book.turn(which as usize)?;
        let make = |(parts, first): (Range<usize>, usize)| -> csv::Result<(Vec<u8>, Option<Piece>)> {
            let mut text = csv::Writer::from_writer(Vec::new());
            let mut rows = page.as_ref().map(|page| page.rows(first));
            for part in parts {
                self.part(which, figures, part, &mut |row| {
                    rows.iter_mut().for_each(|rows| rows.add(&row));
                    text.write_record(row)
                })?;
            }
            let text = text.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
            Ok((text, rows.map(Rows::pack)))
        };
        in_order(&self.pieces(which), make, |made| {
            let (text, piece) = made.map_err(unfinished)?;
            to.write_all(&text).map_err(|error| OutputError::unfinished(sheet.file, error))?;
            piece.iter().try_for_each(|piece| book.add(piece))
        })?;
        page.iter().try_for_each(|page| book.leave(page))?;
        to.flush().map_err(|error| OutputError::unfinished(sheet.file, error))
    }

    /// The parts of a file in pieces worth a turn of a thread, each with the number of its first row.
    fn pieces(&self, which: Which) -> Vec<(Range<usize>, usize)> {
        let (mut pieces, mut parts, mut first, mut rows) = (Vec::new(), 0..0, 0, 0);
        for part in 0..self.parts(which) {
            parts.end = part + 1;
            rows += self.count(which, part);
            if rows - first >= PIECE_ROWS || parts.end == self.parts(which) {
                pieces.push((parts, first));
                (parts, first) = (part + 1..part + 1, rows);
            }
        }
        pieces
    }

    /// In how many parts a file comes: its cells, or one.
    fn parts(&self, which: Which) -> usize {
        if which == Which::Goals { 1 } else { self.cells.len() }
    }

    /// Gives `row` each row of one part of a file.
    fn part<E>(
        &self,
        which: Which,
        figures: &[&Figure],
        part: usize,
        row: &mut dyn FnMut(Vec<String>) -> Result<(), E>,
    ) -> Result<(), E> {
        match which {
            Which::Runs => self.runs(figures, part, row),
            Which::Cells => self.spreads(part, row),
            Which::Comparisons if part == self.baseline => Ok(()),
            Which::Comparisons => self.comparisons(part, row),
            Which::Goals => self.goals.map_or(Ok(()), |goals| self.answers(goals, row)),
        }
    }

    /// One row for each run of a cell, one column for each figure.
    fn runs<E>(
        &self,
        figures: &[&Figure],
        number: usize,
        row: &mut dyn FnMut(Vec<String>) -> Result<(), E>,
    ) -> Result<(), E> {
        let cell = &self.cells[number];
        let find = |(index, figure): (usize, &&Figure)| find(cell.replications, index, figure);
        let samples: Vec<Option<&Sample>> = figures.iter().enumerate().map(find).collect();
        for replication in 0..cell.replications.count() {
            let names = std::iter::once(number.to_string()).chain(cell.axes(self.axes));
            let value = |sample: &Option<&Sample>| figure(sample.and_then(|sample| sample.values.get(replication)));
            let parameters = cell.parameters.iter().cloned();
            let run = [replication.to_string(), cell.errors[replication].clone().unwrap_or_default()];
            row(names.chain(run).chain(parameters).chain(samples.iter().map(value)).collect())?;
        }
        Ok(())
    }

    /// One row for each figure of a cell.
    fn spreads<E>(&self, number: usize, row: &mut dyn FnMut(Vec<String>) -> Result<(), E>) -> Result<(), E> {
        let cell = &self.cells[number];
        for sample in cell.replications.samples() {
            let spread = spread_cells(sample.spread().as_ref());
            row(self.names(number, cell, &sample.figure).chain(spread).collect())?;
        }
        Ok(())
    }

    /// The cell's number and axes, and the names of the figure.
    fn names(&self, number: usize, cell: &CellRows<'_>, row: &Figure) -> impl Iterator<Item = String> {
        let boundary = row.boundary.map_or("", |boundary| boundary.name());
        let figure = [&row.subject, row.metric, row.unit, boundary].map(str::to_owned);
        std::iter::once(number.to_string()).chain(cell.axes(self.axes)).chain(figure)
    }

    /// One row for each figure of a cell, against the baseline.
    fn comparisons<E>(&self, number: usize, row: &mut dyn FnMut(Vec<String>) -> Result<(), E>) -> Result<(), E> {
        let base = self.cells[self.baseline].replications;
        let cell = &self.cells[number];
        for (index, sample) in cell.replications.samples().iter().enumerate() {
            let paired = find(base, index, &sample.figure).and_then(|base| Paired::of(base, sample));
            let cells = paired_cells(paired.as_ref(), &sample.figure);
            row(self.names(number, cell, &sample.figure).chain(cells).collect())?;
        }
        Ok(())
    }
}

/// Rows of a piece, or more where a part has more.
const PIECE_ROWS: usize = 128;
/// Pieces that are made side by side, and are in memory at once.
const BATCH: usize = 64;

/// Makes something of each of `parts` side by side and takes them in order.
fn in_order<P: Clone + Send + Sync, T: Send, E>(
    parts: &[P],
    make: impl Fn(P) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    for batch in parts.chunks(BATCH) {
        let made: Vec<T> = batch.par_iter().cloned().map(&make).collect();
        made.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}

/// The sample of `figure`, which most likely is the `index`-th.
fn find<'a>(replications: &'a Replications, index: usize, figure: &Figure) -> Option<&'a Sample> {
    let samples = replications.samples();
    let expected = samples.get(index).filter(|sample| sample.figure.is_same(figure));
    expected.or_else(|| samples.iter().find(|sample| sample.figure.is_same(figure)))
}

/// The cells from `n` to `sentence`.
fn paired_cells(paired: Option<&Paired>, row: &Figure) -> [String; 9] {
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
        paired.map_or(String::new(), |paired| sentence(paired, row.unit)),
    ]
}
