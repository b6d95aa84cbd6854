//! `results.xlsx` of a sweep, for people: an overview of the cells, a table and a chart of each headline figure, and the CSV files
//! as sheets. Every number is one of the CSV files'; same inputs, same bytes.

use super::folder::{Folder, OutputError};
use super::number::figure;
use super::page::Page;
pub(super) use super::page::Rows;
use super::page::{self, Formats, header_height, write_number};
use super::sweep::{AxisColumn, CellRows, Copied, SweepTables};
use super::tables::figure_column;
pub(super) use super::zip::Piece;
use super::zip::{Growing, Zip};
use crate::ledger::{Figure, Spread};
use rust_xlsxwriter::{Chart, ChartType, DocProperties, ExcelDateTime, Workbook, Worksheet, XlsxError};
use std::fs::File;
use std::io::{self, BufWriter, Cursor, Read};

/// Rows of a sheet, its header included.
const ROWS_MAX: usize = 1_048_576;
/// Columns of a sheet.
const COLUMNS_MAX: usize = 16_384;
/// What the workbook is called.
const FILE: &str = "results.xlsx";
/// Figures with a table and a chart.
const CHARTS_MAX: usize = 8;
/// Lines of one chart; more cannot be told apart.
const SERIES_MAX: usize = 12;

/// Cells of all sheets that repeat a file; more would take longer to write than most sweeps to run, and CSV holds them.
const CELLS_MAX: usize = 3_000_000;

/// What a reader looks for first: metric and boundary, and whether only the sum over everybody is meant.
const HEADLINES: [(&str, &str, bool); 16] = [
    ("ettr", "", false),
    ("elapsed", "", false),
    ("slo_attainment", "", false),
    ("ttft_p99", "", false),
    ("tpot_p99", "", false),
    ("cost_per_request", "B4", false),
    ("energy_per_request", "B4", false),
    ("carbon_per_request", "B4", false),
    ("kwh_crossover_day", "B4", false),
    ("usd_crossover_day", "B4", false),
    ("pue", "", false),
    ("wue", "", false),
    ("cost", "B4", true),
    ("carbon", "B4", true),
    ("energy", "B4", true),
    ("water", "B4", true),
];

/// A workbook in the writing. All but the rows of the copied sheets is made by the library that knows charts and formats; those rows
/// come in pieces, of which only a few stand in memory.
pub(super) struct Book<'a> {
    zip: Zip<BufWriter<File>>,
    /// The copied sheets, in their order; none for one that is too large or written.
    pages: Vec<Option<Page<'a>>>,
    growing: Option<Growing>,
}

impl<'a> Book<'a> {
    /// Begins the workbook with everything but the rows of `copies`.
    pub(super) fn begin(
        folder: &Folder,
        name: &str,
        tables: &SweepTables<'_>,
        copies: &[Copied<'a>],
    ) -> Result<Book<'a>, OutputError> {
        let frame = |fits: &[bool]| frame(name, tables, copies, fits).map_err(io::Error::other);
        let begin = |to| -> io::Result<Book<'a>> {
            let fits = fitting(copies);
            let mut zip = Zip::new(to);
            let mut pages: Vec<Option<Page<'a>>> = copies.iter().map(|_| None).collect();
            for (entry, bytes) in unzip(frame(&fits)?)? {
                match (0..copies.len()).find(|&at| fits[at] && entry == entry_of(at)) {
                    Some(at) => pages[at] = Some(Page::new(&copies[at], entry, &bytes)),
                    None => zip.whole(&entry, &bytes)?,
                }
            }
            Ok(Book { zip, pages, growing: None })
        };
        folder.open(FILE).and_then(|to| begin(to).map_err(|error| OutputError::unfinished(FILE, error)))
    }

    /// Begins to write the copied sheet of that index, where it is not too large.
    pub(super) fn turn(&mut self, index: usize) -> Result<Option<Page<'a>>, OutputError> {
        let Some(page) = self.pages[index].take() else { return Ok(None) };
        self.growing = Some(self.zip.begin(page.entry()).map_err(|error| OutputError::unfinished(FILE, error))?);
        self.add(&page.head())?;
        Ok(Some(page))
    }

    /// Adds the next rows of the sheet that was begun.
    pub(super) fn add(&mut self, piece: &Piece) -> Result<(), OutputError> {
        let growing = self.growing.as_mut().expect("a sheet was begun");
        self.zip.add(growing, piece).map_err(|error| OutputError::unfinished(FILE, error))
    }

    /// Ends the sheet.
    pub(super) fn leave(&mut self, page: &Page<'_>) -> Result<(), OutputError> {
        self.add(&page.foot())?;
        let growing = self.growing.take().expect("a sheet was begun");
        self.zip.end(growing).map_err(|error| OutputError::unfinished(FILE, error))
    }

    /// Ends the workbook.
    pub(super) fn close(self) -> Result<(), OutputError> {
        self.zip.finish().map_err(|error| OutputError::unfinished(FILE, error))
    }
}

/// Which of the copies the workbook holds: as many as fit, in their order.
fn fitting(copies: &[Copied<'_>]) -> Vec<bool> {
    let mut cells = 0;
    let fits = |copy: &Copied<'_>| {
        let more = copy.rows.saturating_mul(copy.sheet.columns.len());
        let fits = copy.rows < ROWS_MAX && copy.sheet.columns.len() <= COLUMNS_MAX && cells + more <= CELLS_MAX;
        cells += if fits { more } else { 0 };
        fits
    };
    copies.iter().map(fits).collect()
}

/// The files of a workbook, in their order.
fn unzip(bytes: Vec<u8>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let count = archive.len();
    let read = |at| {
        let mut file = archive.by_index(at)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((file.name()?.into_owned(), bytes))
    };
    (0..count).map(read).collect()
}

/// Which file of the workbook holds the copied sheet `index`: two others are before it.
fn entry_of(index: usize) -> String {
    format!("xl/worksheets/sheet{}.xml", index + 3)
}

/// The workbook with an example row in each sheet to be filled.
fn frame(name: &str, tables: &SweepTables<'_>, copies: &[Copied<'_>], fits: &[bool]) -> Result<Vec<u8>, XlsxError> {
    let formats = Formats::new();
    let mut book = Workbook::new();
    // The day of the first release; the clock would give every file bytes of its own.
    let day = ExcelDateTime::from_ymd(2026, 1, 1)?;
    book.set_properties(&DocProperties::new().set_title(name).set_author("tollway").set_creation_datetime(&day));
    let headlines = headlines(tables);
    overview(book.add_worksheet(), tables, &headlines, &formats)?;
    charts(book.add_worksheet(), tables, &headlines, &formats)?;
    for (copy, fits) in copies.iter().zip(fits) {
        let page = book.add_worksheet();
        page.set_name(copy.name)?;
        if *fits {
            page::open(page, copy, &formats)?;
        } else {
            let (rows, columns) = (copy.rows, copy.sheet.columns.len());
            let words = format!(
                "{rows} rows of {columns} columns are too many for a workbook; they are in {}.",
                copy.sheet.file
            );
            page.write_string(0, 0, words)?;
        }
    }
    columns(book.add_worksheet(), copies, &formats)?;
    book.save_to_buffer()
}

/// The figures that a reader looks for first and that differ between cells; all of them where none differs.
fn headlines<'a>(tables: &'a SweepTables<'_>) -> Vec<&'a Figure> {
    let figures = tables.figures();
    let is_asked = |row: &Figure, &(metric, boundary, of_total): &(&str, &str, bool)| {
        row.metric == metric
            && row.boundary.map_or("", |boundary| boundary.name()) == boundary
            && (!of_total || row.subject == "total")
    };
    let asked = HEADLINES.iter().flat_map(|asked| figures.iter().copied().filter(move |row| is_asked(row, asked)));
    let asked: Vec<&Figure> = asked.collect();
    let differs = |row: &&&Figure| {
        let mut means = tables.cells.iter().map(|cell| mean(cell, row));
        let first = means.next().flatten();
        means.any(|mean| mean != first)
    };
    let differing: Vec<&Figure> = asked.iter().filter(differs).copied().collect();
    if differing.is_empty() { asked } else { differing }
}

fn spread(cell: &CellRows<'_>, row: &Figure) -> Option<Spread> {
    cell.replications.samples().iter().find(|sample| sample.figure.is_same(row))?.spread()
}

/// The mean as the CSV files give it.
fn mean(cell: &CellRows<'_>, row: &Figure) -> Option<f64> {
    figure(spread(cell, row).map(|spread| spread.mean)).parse().ok()
}

/// One row for each cell: where it stands, and each headline figure with the half-width of its interval.
fn overview(
    page: &mut Worksheet,
    tables: &SweepTables<'_>,
    headlines: &[&Figure],
    formats: &Formats,
) -> Result<(), XlsxError> {
    page.set_name("Overview")?;
    let titles = headlines.iter().flat_map(|row| {
        let title = title(row);
        [format!("{title}, mean"), "95 % interval, +-".to_owned()]
    });
    let axes = tables.axes.iter().map(|axis| axis.path.clone());
    let header: Vec<String> = std::iter::once("cell".to_owned()).chain(axes).chain(titles).collect();
    page.set_freeze_panes(1, 1 + tables.axes.len() as u16)?;
    page.set_row_height(0, header_height(header.iter().map(|title| (&**title, 20.0))))?;
    for (at, title) in (0..).zip(&header) {
        page.set_column_width(at, if at == 0 { 13.0 } else { 20.0 })?;
        page.write_string_with_format(0, at, title, &formats.header)?;
    }
    for (row, (number, cell)) in (1..).zip(tables.cells.iter().enumerate()) {
        if row as usize >= ROWS_MAX {
            break;
        }
        let mark = if number == tables.baseline { format!("{number} (baseline)") } else { number.to_string() };
        page.write_string(row, 0, mark)?;
        let mut at = 1;
        for value in cell.values {
            write_value(page, row, at, value)?;
            at += 1;
        }
        for headline in headlines {
            let spread = spread(cell, headline);
            for value in [spread.map(|spread| spread.mean), spread.and_then(|spread| spread.half_width)] {
                if let Ok(value) = figure(value).parse::<f64>() {
                    write_number(page, row, at, value, formats.of(headline.unit, value))?;
                }
                at += 1;
            }
        }
    }
    Ok(())
}

/// A value of an axis, as a number where it is a plain one.
fn write_value(page: &mut Worksheet, row: u32, column: u16, value: &str) -> Result<(), XlsxError> {
    match value.parse::<f64>().ok().filter(|value| value.is_finite()) {
        Some(number) => page.write_number(row, column, number)?,
        None => page.write_string(row, column, value)?,
    };
    Ok(())
}

fn title(row: &Figure) -> String {
    format!("{}.{}", row.subject, figure_column(row).name)
}

/// A table of means along one axis, a column for each combination of the others.
struct Pivot<'a> {
    axis: &'a AxisColumn,
    /// The axis's values in the order of the rows, with the numbers behind them where all have one.
    values: Vec<(&'a str, Option<f64>)>,
    series: Vec<String>,
    /// For each row and series a cell.
    cells: Vec<Vec<Option<usize>>>,
}

impl<'a> Pivot<'a> {
    /// Along the axis with the most values, the last of several; none where the others make more lines than a chart can show and
    /// the axis has no numbers. Cells that a design has drawn are one cloud of points.
    fn new(tables: &SweepTables<'a>) -> Option<Pivot<'a>> {
        let distinct = |at: usize| {
            let mut values: Vec<&str> = tables.cells.iter().map(|cell| cell.values[at].as_str()).collect();
            values.sort_unstable();
            values.dedup();
            values.len()
        };
        let at = (0..tables.axes.len()).max_by_key(|&at| distinct(at))?;
        let other = |cell: &CellRows<'_>| {
            let others = (0..tables.axes.len()).filter(|&other| other != at);
            let name = |other: usize| format!("{} = {}", short(&tables.axes[other].path), cell.values[other]);
            others.map(name).collect::<Vec<_>>().join(", ")
        };
        let mut series: Vec<String> = Vec::new();
        for cell in &tables.cells {
            let name = other(cell);
            if !series.contains(&name) {
                series.push(name);
            }
            if series.len() > SERIES_MAX {
                break;
            }
        }
        let is_cloud = series.len() > SERIES_MAX;
        if is_cloud {
            series = vec!["each cell".to_owned()];
        }
        let mut pivot = Pivot { axis: &tables.axes[at], values: Vec::new(), series, cells: Vec::new() };
        for (index, cell) in tables.cells.iter().enumerate() {
            let value = (cell.values[at].as_str(), number(cell, at));
            let known = pivot.values.iter().position(|known| *known == value).filter(|_| !is_cloud);
            let row = known.unwrap_or(pivot.values.len());
            if row == pivot.values.len() {
                pivot.values.push(value);
                pivot.cells.push(vec![None; pivot.series.len()]);
            }
            let name = other(cell);
            let column = if is_cloud { Some(0) } else { pivot.series.iter().position(|known| *known == name) };
            pivot.cells[row][column.expect("each series is known")] = Some(index);
        }
        if pivot.is_numeric() {
            let mut rows: Vec<_> = pivot.values.drain(..).zip(pivot.cells.drain(..)).collect();
            rows.sort_by(|(one, _), (other, _)| one.1.unwrap_or(0.0).total_cmp(&other.1.unwrap_or(0.0)));
            (pivot.values, pivot.cells) = rows.into_iter().unzip();
        }
        (!is_cloud || pivot.is_numeric()).then_some(pivot)
    }

    fn is_numeric(&self) -> bool {
        self.values.iter().all(|(_, number)| number.is_some())
    }

    /// What stands under the axis.
    fn title(&self) -> String {
        match self.axis.unit {
            Some(unit) if !unit.is_empty() && self.is_numeric() => format!("{}, {unit}", self.axis.path),
            _ => self.axis.path.clone(),
        }
    }
}

/// The number behind a cell's value on an axis.
fn number(cell: &CellRows<'_>, axis: usize) -> Option<f64> {
    cell.numbers[axis].or_else(|| cell.values[axis].parse().ok())
}

/// The last two words of a path: enough to tell two axes apart.
fn short(path: &str) -> &str {
    let mut dots = path.rmatch_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or(path, |at| &path[at + 1..])
}

/// A table and a chart for each headline figure.
fn charts(
    page: &mut Worksheet,
    tables: &SweepTables<'_>,
    headlines: &[&Figure],
    formats: &Formats,
) -> Result<(), XlsxError> {
    page.set_name("Charts")?;
    let Some(pivot) = Pivot::new(tables).filter(|_| !headlines.is_empty()) else {
        page.write_string(0, 0, "No axis has numbers to draw, or no headline figure differs; see the sheet Overview.")?;
        return Ok(());
    };
    page.set_column_width(0, 22.0)?;
    page.set_column_range_width(1, 1 + pivot.series.len() as u16, 16.0)?;
    let mut top = 0;
    for headline in headlines.iter().take(CHARTS_MAX) {
        top = block(page, tables, &pivot, headline, top, formats)?;
    }
    Ok(())
}

/// Writes the table of one figure at row `top` with its chart beside it; returns the row of the next.
fn block(
    page: &mut Worksheet,
    tables: &SweepTables<'_>,
    pivot: &Pivot<'_>,
    headline: &Figure,
    top: u32,
    formats: &Formats,
) -> Result<u32, XlsxError> {
    /// Rows that a chart covers.
    const CHART_ROWS: u32 = 20;
    let title = title(headline);
    page.write_string_with_format(top, 0, format!("{title}, mean ({})", headline.unit), &formats.title)?;
    page.write_string_with_format(top + 1, 0, pivot.title(), &formats.header)?;
    page.set_row_height(top + 1, header_height([(&*pivot.title(), 22.0)]))?;
    for (at, series) in (1..).zip(&pivot.series) {
        page.write_string_with_format(top + 1, at, series, &formats.header)?;
    }
    let first = top + 2;
    for (row, ((label, number), cells)) in (first..).zip(pivot.values.iter().zip(&pivot.cells)) {
        match number.filter(|_| pivot.is_numeric()) {
            Some(number) => page.write_number(row, 0, number)?,
            None => page.write_string(row, 0, *label)?,
        };
        for (at, cell) in (1..).zip(cells) {
            if let Some(value) = cell.and_then(|cell| mean(&tables.cells[cell], headline)) {
                write_number(page, row, at, value, formats.of(headline.unit, value))?;
            }
        }
    }
    let last = first + pivot.values.len() as u32 - 1;
    let is_cloud = pivot.series.len() == 1 && pivot.values.len() > SERIES_MAX * 2;
    let mut chart = Chart::new(match (pivot.is_numeric(), is_cloud) {
        (true, true) => ChartType::Scatter,
        (true, false) => ChartType::ScatterStraightWithMarkers,
        (false, _) => ChartType::Column,
    });
    chart.title().set_name(&title);
    chart.x_axis().set_name(pivot.title().as_str());
    chart.y_axis().set_name(headline.unit);
    for at in (1..).take(pivot.series.len()) {
        let series = chart.add_series();
        series.set_categories(("Charts", first, 0, last, 0)).set_values(("Charts", first, at, last, at));
        series.set_name(("Charts", top + 1, at));
    }
    if pivot.series.len() == 1 {
        chart.legend().set_hidden();
    }
    chart.set_width(640).set_height(380);
    page.insert_chart(top, pivot.series.len() as u16 + 2, &chart)?;
    Ok((last + 2).max(top + CHART_ROWS))
}

/// What each column of the copied files means.
fn columns(page: &mut Worksheet, copies: &[Copied<'_>], formats: &Formats) -> Result<(), XlsxError> {
    page.set_name("Columns")?;
    page.set_freeze_panes(1, 0)?;
    for (at, (title, width)) in (0..).zip([("sheet", 14.0), ("column", 40.0), ("unit", 12.0), ("meaning", 90.0)]) {
        page.set_column_width(at, width)?;
        page.write_string_with_format(0, at, title, &formats.header)?;
    }
    let rows = copies.iter().flat_map(|copy| copy.sheet.columns.iter().map(move |column| (copy.name, column)));
    for (row, (sheet, column)) in (1..).zip(rows) {
        for (at, text) in (0..).zip([sheet, &column.name, column.unit(), column.meaning()]) {
            page.write_string(row, at, text)?;
        }
    }
    Ok(())
}
