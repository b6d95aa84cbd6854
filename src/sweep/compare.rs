//! Two results side by side: the folders of two runs, or two cells of sweeps. Replications that met the same chance are compared
//! pair by pair; other replications as two independent samples.

use crate::ledger::{Paired, Sample, Spread, Welch};
use crate::report::{column_name, sentence, welch_sentence};
use crate::scenario::instead;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A result that can be compared: a folder of a run, or a cell of a sweep's folder, as `folder:cell`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    folder: PathBuf,
    cell: Option<String>,
}

/// How one figure differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Subject and column, such as `training.llama3.ettr_fraction`.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its mean in A.
    pub a: f64,
    /// Its mean in B.
    pub b: f64,
    /// B minus A, with its interval.
    pub interval: Interval,
}

/// What is known of a difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interval {
    /// From replications that met the same chance.
    Paired(Paired),
    /// From replications that did not.
    Welch(Welch),
}

/// The figures of one side.
struct Figures {
    /// The chance that its replications met; replications are pairs where it is the same.
    seed: String,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    unit: String,
    values: Known,
}

/// What a side tells of a figure.
enum Known {
    /// The value of each replication.
    Each(Vec<Option<f64>>),
    /// How they spread.
    Spread(Spread),
}

impl Side {
    /// The side that `text` names: `folder`, or `folder:cell` with the number of a cell.
    #[must_use]
    pub fn parse(text: &str) -> Side {
        match text.rsplit_once(':') {
            Some((folder, cell))
                if !folder.is_empty() && cell.parse::<usize>().is_ok() && !Path::new(text).exists() =>
            {
                Side { folder: folder.into(), cell: Some(cell.to_owned()) }
            }
            _ => Side { folder: text.into(), cell: None },
        }
    }

    fn read(&self) -> Result<Figures, String> {
        let manifest: Value = json_of(&self.folder.join("manifest.json"))
            .ok()
            .filter(|manifest: &Value| manifest["program"] == "tollway")
            .ok_or_else(|| {
                format!("{} holds no results of tollway: there is no manifest.json of ours", self.folder.display())
            })?;
        let lines = manifest["scenario"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // A scenario that does not say has seed 1.
        let seed = lines.filter_map(|line| line.strip_prefix("seed = ")).next().unwrap_or("1").to_owned();
        let rows = if self.folder.join("runs.csv").exists() { self.cell_rows()? } else { self.run_rows()? };
        Ok(Figures { seed, rows })
    }

    /// The figures of a run's folder; with replications, how they spread.
    fn run_rows(&self) -> Result<Vec<Row>, String> {
        if self.cell.is_some() {
            return Err(format!(
                "{} is the folder of a run, which has no cells; leave the number away",
                self.folder.display()
            ));
        }
        let replications = self.folder.join("replications.csv");
        let with_spread = replications.exists();
        let file = if with_spread { replications } else { self.folder.join("summary.csv") };
        let (header, records) = table(&file)?;
        let at = |name: &str| header.iter().position(|column| column == name);
        let get =
            |record: &csv::StringRecord, name: &str| at(name).and_then(|at| record.get(at)).unwrap_or("").to_owned();
        let number = |record: &csv::StringRecord, name: &str| get(record, name).parse::<f64>().ok();
        let row = |record: &csv::StringRecord| {
            let (subject, unit) = (get(record, "subject"), get(record, "unit"));
            let name = format!("{subject}.{}", column_name(&get(record, "metric"), &unit, &get(record, "boundary")));
            let values = if with_spread {
                let (mean, n) = (number(record, "mean")?, number(record, "n")? as usize);
                let half_width = number(record, "ci95_high").map(|high| high - mean);
                let of = |name: &str| number(record, name).unwrap_or(mean);
                let (p5, p50, p95) = (of("p5"), of("p50"), of("p95"));
                Known::Spread(Spread { n, mean, sd: number(record, "sd"), half_width, p5, p50, p95 })
            } else {
                Known::Each(vec![number(record, "value")])
            };
            Some(Row { name, unit, values })
        };
        Ok(records.iter().filter_map(row).collect())
    }

    /// The figures of a cell, by replication.
    fn cell_rows(&self) -> Result<Vec<Row>, String> {
        let folder = self.folder.display();
        let (header, records) = table(&self.folder.join("runs.csv"))?;
        let cells: BTreeSet<usize> = records.iter().filter_map(|record| record.get(0)?.parse().ok()).collect();
        let last = cells.last().copied().unwrap_or(0);
        let Some(cell) = &self.cell else {
            return Err(format!("{folder} holds the cells 0 to {last} of a sweep; name one, as in {folder}:0"));
        };
        let mine: Vec<_> = records.iter().filter(|record| record.get(0) == Some(cell)).collect();
        if mine.is_empty() {
            return Err(format!("{folder} has no cell {cell}; there are 0 to {last}"));
        }
        let package: Value = json_of(&self.folder.join("datapackage.json"))?;
        let resources = package["resources"].as_array().into_iter().flatten();
        let runs = resources.filter(|resource| resource["path"] == "runs.csv");
        let units: BTreeMap<&str, &str> = runs
            .flat_map(|resource| resource["schema"]["fields"].as_array().into_iter().flatten())
            .filter_map(|field| Some((field["name"].as_str()?, field["unit"].as_str().unwrap_or(""))))
            .collect();
        // A figure's column is described by its metric of summary.csv; cells, axes and parameters are not.
        let is_figure: BTreeSet<&str> = package["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|resource| resource["schema"]["fields"].as_array().into_iter().flatten())
            .filter(|field| field["description"].as_str().is_some_and(|about| about.contains("` of summary.csv")))
            .filter_map(|field| field["name"].as_str())
            .collect();
        let columns = header.iter().enumerate().filter(|(_, name)| is_figure.contains(name));
        let row = |(at, name): (usize, &str)| Row {
            name: name.to_owned(),
            unit: units.get(name).copied().unwrap_or("").to_owned(),
            values: Known::Each(mine.iter().map(|record| record.get(at)?.parse().ok()).collect()),
        };
        Ok(columns.map(row).collect())
    }
}

fn json_of(file: &Path) -> Result<Value, String> {
    let text = std::fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{} is not JSON: {error}", file.display()))
}

fn table(file: &Path) -> Result<(csv::StringRecord, Vec<csv::StringRecord>), String> {
    let refuse = |error: csv::Error| format!("{} cannot be read: {error}", file.display());
    let mut reader = csv::Reader::from_path(file).map_err(refuse)?;
    let header = reader.headers().map_err(refuse)?.clone();
    Ok((header, reader.records().collect::<Result<_, _>>().map_err(refuse)?))
}

/// Each figure that both sides have, in the order of A; of `metric` only, where one is asked: a column's name, or its beginning
/// up to an underscore.
///
/// # Errors
/// A folder cannot be read or compared, or no figure is asked for.
pub fn compare(a: &Side, b: &Side, metric: Option<&str>) -> Result<Vec<Difference>, String> {
    let (base, other) = (a.read()?, b.read()?);
    let same_chance = base.seed == other.seed;
    let by_name: BTreeMap<&str, &Row> = other.rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let pairs = base.rows.iter().filter_map(|row| Some((row, *by_name.get(row.name.as_str())?)));
    let pairs: Vec<(&Row, &Row)> = pairs.collect();
    let asked: Vec<_> = pairs.iter().filter(|(row, _)| metric.is_none_or(|metric| is_of(&row.name, metric))).collect();
    if asked.is_empty() {
        let columns: BTreeSet<&str> = pairs.iter().map(|(row, _)| column(&row.name)).collect();
        let columns: Vec<&str> = columns.into_iter().collect();
        return Err(match metric {
            None => format!("{} and {} have no figure in common", a.folder.display(), b.folder.display()),
            Some(metric) => {
                let help = instead(metric, &columns, "there are").unwrap_or_default();
                format!("no figure that both have is named `{metric}`; {help}")
            }
        });
    }
    Ok(asked.into_iter().filter_map(|(base, other)| difference(base, other, same_chance)).collect())
}

/// The last part of a figure's name.
fn column(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, column)| column)
}

fn is_of(name: &str, metric: &str) -> bool {
    let begins = |text: &str| text.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'));
    begins(column(name)) || begins(name)
}

fn difference(base: &Row, other: &Row, same_chance: bool) -> Option<Difference> {
    let named = |a, b, interval| Difference { name: base.name.clone(), unit: base.unit.clone(), a, b, interval };
    if let (Known::Each(one), Known::Each(two), true) = (&base.values, &other.values, same_chance) {
        let paired = Paired::of_values(one, two)?;
        return Some(named(paired.base, paired.mean, Interval::Paired(paired)));
    }
    let welch = Welch::of(&base.values.spread()?, &other.values.spread()?);
    Some(named(welch.base, welch.base + welch.difference, Interval::Welch(welch)))
}

impl Known {
    fn spread(&self) -> Option<Spread> {
        match self {
            Known::Each(values) => Sample::spread_of(values),
            Known::Spread(spread) => Some(*spread),
        }
    }
}

impl Difference {
    /// The difference in words.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.interval {
            Interval::Paired(paired) => sentence(paired, &self.unit),
            Interval::Welch(welch) => welch_sentence(welch, &self.unit),
        }
    }

    /// B minus A.
    #[must_use]
    pub fn difference(&self) -> f64 {
        match &self.interval {
            Interval::Paired(paired) => paired.difference.mean,
            Interval::Welch(welch) => welch.difference,
        }
    }

    /// All there is to know, for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let (method, half_width, n) = match &self.interval {
            Interval::Paired(paired) => ("paired", paired.difference.half_width, json!(paired.difference.n)),
            Interval::Welch(welch) => ("welch", welch.half_width, json!([welch.n.0, welch.n.1])),
        };
        json!({
            "name": self.name,
            "unit": self.unit,
            "a": self.a,
            "b": self.b,
            "difference": self.difference(),
            "half_width": half_width,
            "n": n,
            "method": method,
            "sentence": self.sentence(),
        })
    }
}
