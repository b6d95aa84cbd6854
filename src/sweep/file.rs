//! The sweep file: a TOML beside its scenario that says what varies and which combinations run.

use super::axis::{Between, Levels, Pace, Scale, Value, Vary, list};
use super::design::{Design, Pick};
use super::search::{self, Search};
use super::{SweepError, adaptive};
use crate::Stopping;
use crate::scenario::{self, Change, Places};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A sweep file, or a scenario that is swept from the command line.
#[derive(Debug)]
pub struct SweepFile {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// Fixed changes to it.
    pub sets: Vec<Change>,
    /// What varies.
    pub varies: Vec<Vary>,
    /// Which combinations run.
    pub design: Design,
    /// Combinations that do not run: those that have all values of one of these.
    pub excludes: Vec<Vec<Pick>>,
    /// When each cell has runs enough, where the file says so.
    pub replications: Option<Stopping>,
    /// Values of the cell to compare with.
    pub baseline: Vec<Pick>,
    /// What to search for in each cell.
    pub goal: Option<Search>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    scenario: String,
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    axis: Vec<WrittenAxis>,
    #[serde(default)]
    design: Design,
    #[serde(default)]
    exclude: Vec<BTreeMap<String, toml::Value>>,
    replications: Option<adaptive::Written>,
    #[serde(default)]
    baseline: BTreeMap<String, toml::Value>,
    goal: Option<search::Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAxis {
    path: String,
    values: Option<Vec<toml::Value>>,
    files: Option<Vec<String>>,
    labels: Option<Vec<String>>,
    from: Option<toml::Value>,
    to: Option<toml::Value>,
    count: Option<usize>,
    step: Option<f64>,
    factor: Option<f64>,
    scale: Option<Scale>,
    zip: Option<String>,
}

impl SweepFile {
    /// The scenario `file`, of which nothing varies yet.
    #[must_use]
    pub fn over(file: &Path) -> SweepFile {
        SweepFile {
            scenario: file.to_owned(),
            sets: Vec::new(),
            varies: Vec::new(),
            design: Design::default(),
            excludes: Vec::new(),
            replications: None,
            baseline: Vec::new(),
            goal: None,
        }
    }
}

/// Reads `file`: a sweep file, which has a key `scenario`, or else a scenario, which varies nothing by itself.
///
/// # Errors
/// What is wrong with a sweep file; what is wrong with a scenario is found when its cells are checked.
pub fn read(file: &Path) -> Result<SweepFile, SweepError> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names_scenario =
        |line: &str| line.trim_start().strip_prefix("scenario").is_some_and(|rest| rest.trim_start().starts_with('='));
    let is_sweep = match text.parse::<toml::Table>() {
        Ok(table) => table.contains_key("scenario"),
        // Broken TOML: what it was meant to be decides who says so.
        Err(_) => text.lines().any(names_scenario),
    };
    if !is_sweep {
        return Ok(SweepFile::over(file));
    }
    let refuse = |complaints: scenario::Complaints| SweepError::File(complaints.to_string());
    let (written, mut places) = scenario::document::<Written>(&file.display().to_string(), &text).map_err(refuse)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let swept = settle(&written, folder, &mut places);
    places.finish().map_err(refuse)?;
    Ok(swept)
}

/// What `written` means; what cannot be meant goes to `places`.
fn settle(written: &Written, folder: &Path, places: &mut Places) -> SweepFile {
    let mut varies = Vec::new();
    for (index, axis) in written.axis.iter().enumerate() {
        match levels(axis, folder) {
            Ok(levels) => varies.push(Vary { path: axis.path.clone(), levels, zip: axis.zip.clone() }),
            Err((key, words)) => {
                let path = ["axis", &index.to_string(), key];
                places.complain(&path, format!("`{}`: {words}", axis.path), None);
            }
        }
    }
    let mut picks = |from: &BTreeMap<String, toml::Value>, at: &[&str]| {
        let mut picks = Vec::new();
        for (path, value) in from {
            match value {
                toml::Value::Table(_) | toml::Value::Array(_) => {
                    let words = format!("`{path}`: name a value by its label here, not as a table or a list");
                    places.complain(&[at, &[path.as_str()]].concat(), words, None);
                }
                value => picks.push(Pick { path: path.clone(), label: Value::of_toml(value).label }),
            }
        }
        picks
    };
    let baseline = picks(&written.baseline, &["baseline"]);
    let excludes = written.exclude.iter().enumerate();
    let excludes = excludes.map(|(index, exclude)| picks(exclude, &["exclude", &index.to_string()])).collect();
    let replications = written.replications.as_ref().map(adaptive::Written::settle).transpose();
    let replications = replications.unwrap_or_else(|(key, words)| {
        places.complain(&["replications", key], words, None);
        None
    });
    let goal = written.goal.as_ref().map(search::Written::settle).transpose();
    let goal = goal.unwrap_or_else(|(key, words)| {
        let path = written.goal.as_ref().map_or("", search::Written::path);
        places.complain(&["goal", key], format!("`{path}`: {words}"), None);
        None
    });
    let change = |set: &String| Change { folder: folder.to_owned(), ..Change::set(set) };
    SweepFile {
        scenario: folder.join(&written.scenario),
        sets: written.set.iter().map(change).collect(),
        varies,
        design: written.design,
        excludes,
        replications,
        baseline,
        goal,
    }
}

/// The values of one axis; else the key that is wrong, and why.
fn levels(axis: &WrittenAxis, folder: &Path) -> Result<Levels, (&'static str, String)> {
    let WrittenAxis { values, files, labels, from, to, count, step, factor, scale, .. } = axis;
    let paces = [count.map(Pace::Count), step.map(Pace::Step), factor.map(Pace::Factor)];
    let paces: Vec<Pace> = paces.into_iter().flatten().collect();
    let is_list = from.is_none() && to.is_none() && paces.is_empty() && scale.is_none();
    let found = match (values, files, from, to, paces.as_slice()) {
        (Some(values), None, ..) if is_list => {
            Ok(values.iter().map(|value| Value::of_toml(value).in_folder(folder)).collect())
        }
        (None, Some(files), ..) if is_list => {
            files.iter().map(|name| swap(folder, name)).collect::<Result<Vec<Value>, _>>().map_err(|why| ("files", why))
        }
        (None, None, Some(from), Some(to), paces) if paces.len() <= 1 => {
            let between =
                Between::new(&Value::of_toml(from).label, &Value::of_toml(to).label, scale.unwrap_or_default());
            let between = between.map_err(|why| ("from", why))?;
            let Some(&pace) = paces.first() else {
                return match labels {
                    None => Ok(Levels::Between(between)),
                    Some(_) => {
                        Err(("labels", "a range without count, step or factor has no values to label".to_owned()))
                    }
                };
            };
            let key = match pace {
                Pace::Count(_) => "count",
                Pace::Step(_) => "step",
                Pace::Factor(_) => "factor",
            };
            between.walk(pace).map_err(|why| (key, why))
        }
        _ => {
            let words = "an axis takes values, or files, or from and to with one of count, step and factor";
            Err(("path", words.to_owned()))
        }
    };
    let values = labelled(found?, labels.as_deref()).map_err(|why| ("labels", why))?;
    list(values).map(Levels::List).map_err(|why| (if files.is_some() { "files" } else { "values" }, why))
}

fn labelled(mut values: Vec<Value>, labels: Option<&[String]>) -> Result<Vec<Value>, String> {
    let Some(labels) = labels else { return Ok(values) };
    if labels.len() != values.len() {
        return Err(format!("{} labels for {} values; each takes one", labels.len(), values.len()));
    }
    values.iter_mut().zip(labels).for_each(|(value, label)| value.label.clone_from(label));
    Ok(values)
}

/// The TOML file `name` in `folder` as one value, labelled with the file's name.
fn swap(folder: &Path, name: &str) -> Result<Value, String> {
    let file = folder.join(name);
    let text = std::fs::read_to_string(&file).map_err(|_| format!("there is no file {} to read", file.display()))?;
    let table: toml::Table =
        text.parse().map_err(|error| format!("{}: {}", file.display(), toml::de::Error::message(&error)))?;
    let label = Path::new(name).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Value { label, toml: toml::Value::Table(table).to_string(), folder })
}
