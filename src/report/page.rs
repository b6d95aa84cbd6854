//! A sheet of the workbook that repeats a CSV file: a header that stays in sight and typed cells, filled in pieces.

use super::sheets::Column;
use super::sweep::Copied;
use super::zip::Piece;
use rust_xlsxwriter::{Format, FormatAlign, Worksheet, XlsxError};
use std::fmt::Write;

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Whole,
    Money,
    Fraction,
    Amount,
    Small,
}

impl Look {
    const ALL: [Look; 5] = [Look::Whole, Look::Money, Look::Fraction, Look::Amount, Look::Small];

    /// The look of `value` in `unit`: none for what is best shown as it is.
    fn of(unit: &str, value: f64) -> Option<Look> {
        let magnitude = value.abs();
        if magnitude != 0.0 && magnitude < 1e-3 {
            return Some(Look::Small);
        }
        match unit {
            "count" | "tokens" if value.fract() == 0.0 => Some(Look::Whole),
            "USD" => Some(if magnitude < 1.0 && magnitude != 0.0 { Look::Fraction } else { Look::Money }),
            "fraction" | "ratio" | "L/kWh" => Some(Look::Fraction),
            _ if magnitude >= 1_000.0 => Some(Look::Whole),
            _ if magnitude >= 10.0 => Some(Look::Amount),
            "" => None,
            _ => Some(Look::Fraction),
        }
    }
}

/// The formats of a workbook.
pub(super) struct Formats {
    pub(super) header: Format,
    pub(super) title: Format,
    /// Of each look.
    numbers: [Format; Look::ALL.len()],
}

impl Formats {
    pub(super) fn new() -> Formats {
        let number = |look| {
            Format::new().set_num_format(match look {
                Look::Whole => "#,##0",
                Look::Money => "#,##0.00",
                Look::Fraction => "0.0000",
                Look::Amount => "#,##0.0",
                Look::Small => "0.000E+00",
            })
        };
        Formats {
            header: Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Top),
            title: Format::new().set_bold().set_font_size(13),
            numbers: Look::ALL.map(number),
        }
    }

    /// The format of `value` in `unit`: none for what is best shown as it is.
    pub(super) fn of(&self, unit: &str, value: f64) -> Option<&Format> {
        Look::of(unit, value).map(|look| &self.numbers[look as usize])
    }
}

/// Writes one number.
pub(super) fn write_number<'a>(
    page: &'a mut Worksheet,
    row: u32,
    column: u16,
    value: f64,
    format: Option<&Format>,
) -> Result<&'a mut Worksheet, XlsxError> {
    match format {
        Some(format) => page.write_number_with_format(row, column, value, format),
        None => page.write_number(row, column, value),
    }
}

/// Height in points of a header row whose `titles` are wrapped in columns of these widths: wrapped text does not make a row taller
/// by itself in every program.
pub(super) fn header_height<'a>(titles: impl IntoIterator<Item = (&'a str, f64)>) -> f64 {
    // A width counts digits; bold letters are a little wider.
    let lines = |(title, width): (&str, f64)| (title.len() as f64 * 1.2 / width).ceil();
    15.0 * titles.into_iter().map(lines).fold(1.0, f64::max)
}

/// Prepares a sheet: its header, and behind it an example of each look, from which [`Page`] learns their numbers in the file.
pub(super) fn open(page: &mut Worksheet, copy: &Copied<'_>, formats: &Formats) -> Result<(), XlsxError> {
    let columns = &copy.sheet.columns;
    page.set_freeze_panes(1, 0)?;
    let width = |name: &str| (name.len() as f64 + 2.0).clamp(9.0, 26.0);
    page.set_row_height(0, header_height(columns.iter().map(|column| (&*column.name, width(&column.name)))))?;
    for (at, column) in (0..).zip(columns.iter()) {
        page.set_column_width(at, width(&column.name))?;
        page.write_string_with_format(0, at, &*column.name, &formats.header)?;
    }
    for (at, format) in (0..).zip(&formats.numbers) {
        page.write_number_with_format(1, at, 0.0, format)?;
    }
    if copy.rows > 0 {
        page.autofilter(0, 0, copy.rows as u32, columns.len() as u16 - 1)?;
    }
    Ok(())
}

/// A sheet to be filled: its file without rows.
pub(super) struct Page<'a> {
    entry: String,
    head: String,
    foot: String,
    /// The number of each look.
    styles: [String; Look::ALL.len()],
    columns: &'a [Column],
    /// What a spreadsheet calls each column.
    letters: Vec<String>,
    /// The column that says the unit of a row, where there is one.
    unit: Option<usize>,
}

impl<'a> Page<'a> {
    /// From what the library made of a sheet after [`open`].
    pub(super) fn new(copy: &Copied<'a>, entry: String, bytes: &[u8]) -> Page<'a> {
        let columns: &'a [Column] = &copy.sheet.columns;
        let letters: Vec<String> = (0..columns.len()).map(letters).collect();
        let text = std::str::from_utf8(bytes).expect("XML of the library is UTF-8");
        let (head, rest) = text.split_once("<row r=\"2\"").expect("the examples are the second row");
        let (examples, foot) = rest.split_once("</sheetData>").expect("rows end");
        let mut styles = examples.split(" s=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or("").to_owned());
        let styles = Look::ALL.map(|_| styles.next().expect("an example of each look"));
        let (before, area) = head.split_once("<dimension ref=\"").expect("a sheet says how large it is");
        let (_, after) = area.split_once('"').expect("an attribute ends");
        let last = letters.last().expect("a sheet has columns");
        Page {
            entry,
            head: format!("{before}<dimension ref=\"A1:{last}{}\"{after}", copy.rows + 1),
            foot: format!("</sheetData>{foot}"),
            styles,
            columns,
            letters,
            unit: columns.iter().position(|column| column.name == "unit"),
        }
    }

    /// Which file of the workbook it is.
    pub(super) fn entry(&self) -> &str {
        &self.entry
    }

    /// What stands before the rows.
    pub(super) fn head(&self) -> Piece {
        Piece::pack(self.head.as_bytes())
    }

    /// What stands behind them.
    pub(super) fn foot(&self) -> Piece {
        Piece::pack(self.foot.as_bytes())
    }

    /// Rows from the `first` on, counted from 0 below the header.
    pub(super) fn rows(&self, first: usize) -> Rows<'_> {
        Rows { page: self, next: first + 2, text: String::new() }
    }
}

/// Some rows of a sheet.
pub(super) struct Rows<'a> {
    page: &'a Page<'a>,
    /// The next row as a spreadsheet counts.
    next: usize,
    text: String,
}

impl Rows<'_> {
    pub(super) fn add(&mut self, cells: &[String]) {
        let Rows { page, next, text } = self;
        let row = next.to_string();
        let unit_of_row = page.unit.map_or("", |at| cells[at].as_str());
        push(text, &["<row r=\"", &row, "\">"]);
        for ((cell, column), letters) in cells.iter().zip(page.columns).zip(&page.letters) {
            if cell.is_empty() {
                continue;
            }
            push(text, &["<c r=\"", letters, &row, "\""]);
            let number =
                if column.is_text() { None } else { cell.parse().ok().filter(|value: &f64| value.is_finite()) };
            match number {
                None => {
                    // XML drops the blanks at the ends unless told.
                    let blanks = if cell.trim() == cell { "" } else { " xml:space=\"preserve\"" };
                    push(text, &[" t=\"inlineStr\"><is><t", blanks, ">"]);
                    push_words(text, cell);
                    text.push_str("</t></is></c>");
                }
                Some(value) => {
                    let unit = if column.unit().is_empty() { unit_of_row } else { column.unit() };
                    let look = if column.is_whole() { Some(Look::Whole) } else { Look::of(unit, value) };
                    if let Some(look) = look {
                        push(text, &[" s=\"", &page.styles[look as usize], "\""]);
                    }
                    push(text, &["><v>", cell, "</v></c>"]);
                }
            }
        }
        text.push_str("</row>");
        *next += 1;
    }

    pub(super) fn pack(self) -> Piece {
        Piece::pack(self.text.as_bytes())
    }
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
}

/// What a spreadsheet calls a column: A to Z, then AA.
fn letters(mut column: usize) -> String {
    let mut letters = String::new();
    loop {
        letters.insert(0, char::from(b'A' + (column % 26) as u8));
        if column < 26 {
            return letters;
        }
        column = column / 26 - 1;
    }
}

/// Characters of a cell; more, Excel refuses.
const CELL_MAX: usize = 32_767;

/// Writes the words of a cell. What XML cannot hold comes as the format's `_x001B_`, and what looks like that with its first
/// underscore so.
fn push_words(text: &mut String, words: &str) {
    let mut units = 0;
    for (at, letter) in words.char_indices() {
        units += letter.len_utf16();
        if units > CELL_MAX {
            return;
        }
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '_' if is_escape(&words.as_bytes()[at..]) => text.push_str("_x005F_"),
            '\t' | '\n' => text.push(letter),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => {
                write!(text, "_x{:04X}_", u32::from(letter)).expect("a string can always be written to");
            }
            _ => text.push(letter),
        }
    }
}

/// Whether `bytes` start like `_x001B_`.
fn is_escape(bytes: &[u8]) -> bool {
    let is_hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    bytes.len() >= 7 && bytes.starts_with(b"_x") && is_hex(&bytes[2..6]) && bytes[6] == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_letters_of_a_spreadsheet() {
        let cases =
            [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (701, "ZZ"), (702, "AAA"), (16_383, "XFD")];
        for (column, expected) in cases {
            assert_eq!(letters(column), expected);
        }
    }

    #[test]
    fn words_are_whatever_they_are() {
        let cases = [
            ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
            ("red \u{1b}[31m", "red _x001B_[31m"),
            ("_x001B_ as such", "_x005F_x001B_ as such"),
            ("two\nlines", "two\nlines"),
            ("snake_x_case", "snake_x_case"),
        ];
        for (words, expected) in cases {
            let mut text = String::new();
            push_words(&mut text, words);
            assert_eq!(text, expected);
        }
        let mut text = String::new();
        push_words(&mut text, &"long ".repeat(10_000));
        assert_eq!(text.len(), CELL_MAX);
    }

    #[test]
    fn numbers_look_as_their_unit_asks() {
        let cases = [
            ("USD", 0.5, Some(Look::Fraction)),
            ("USD", 12.5, Some(Look::Money)),
            ("kWh", 1e6, Some(Look::Whole)),
            ("kWh", 12.5, Some(Look::Amount)),
            ("kWh", 1e-5, Some(Look::Small)),
            ("fraction", 0.5, Some(Look::Fraction)),
            ("count", 7.0, Some(Look::Whole)),
            ("", 5.0, None),
        ];
        for (unit, value, look) in cases {
            assert_eq!(Look::of(unit, value), look, "{value} {unit}");
        }
    }
}
