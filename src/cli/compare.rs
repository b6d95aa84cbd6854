//! `tollway compare`: two results side by side.

use super::{BAD_INPUT, print};
use clap::Args;
use tollway::report::number;
use tollway::sweep::{Difference, Side, compare};

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// The folder of a run, or a cell of a sweep as FOLDER:CELL.
    #[arg(value_name = "A")]
    a: String,
    /// The other, whose difference from A is shown.
    #[arg(value_name = "B")]
    b: String,
    /// One figure only, such as ettr, cost_b4 or training.pretrain.ettr.
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Print every figure as JSON instead of a table of those that differ.
    #[arg(long)]
    json: bool,
}

/// Prints how B differs from A.
pub(crate) fn compare_results(arguments: &CompareArguments) -> u8 {
    let sides = [&arguments.a, &arguments.b].map(|text| Side::parse(text));
    match compare(&sides[0], &sides[1], arguments.metric.as_deref()) {
        Ok(differences) if arguments.json => {
            let all: Vec<_> = differences.iter().map(Difference::json).collect();
            print(&format!("{:#}\n", serde_json::Value::from(all)))
        }
        Ok(differences) => print(&table(&differences, arguments.metric.is_some())),
        Err(words) => {
            eprintln!("error: {words}");
            BAD_INPUT
        }
    }
}

/// One line for each figure that differs, or for each that was asked for.
fn table(differences: &[Difference], all: bool) -> String {
    let shown: Vec<&Difference> = differences.iter().filter(|row| all || row.difference() != 0.0).collect();
    let cells =
        shown.iter().map(|row| [row.name.clone(), people(row.a), people(row.b), row.unit.clone(), row.sentence()]);
    let header = ["figure", "A", "B", "unit", "B against A"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for [name, a, b, unit, sentence] in &rows {
        let line =
            format!("{name:<0$}  {a:>1$}  {b:>2$}  {unit:<3$}  {sentence}", widths[0], widths[1], widths[2], widths[3]);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let same = differences.len() - shown.len();
    if same > 0 {
        text.push_str(&format!("{same} more figures are the same in both\n"));
    }
    text
}

/// Six significant digits.
fn people(value: f64) -> String {
    number(format!("{value:.5e}").parse().unwrap_or(value))
}
