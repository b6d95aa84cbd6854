//! The sweep file: a TOML beside its scenario that says what varies.

use super::axis::{Axis, Pace, Value};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// A sweep file, or a scenario that is swept from the command line.
#[derive(Debug)]
pub struct SweepFile {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// Fixed changes to it, as `path=value`.
    pub sets: Vec<String>,
    /// What varies.
    pub axes: Vec<Axis>,
    /// Runs of each cell, where the file says so.
    pub replications: Option<NonZeroU64>,
    /// Values of the cell to compare with, as `path=value`.
    pub baseline: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    scenario: String,
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    axis: Vec<WrittenAxis>,
    replications: Option<NonZeroU64>,
    #[serde(default)]
    baseline: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAxis {
    path: String,
    values: Option<Vec<toml::Value>>,
    from: Option<toml::Value>,
    to: Option<toml::Value>,
    count: Option<usize>,
    step: Option<f64>,
    factor: Option<f64>,
}

/// Reads `file`: a sweep file, which has a key `scenario`, or else a scenario, which varies nothing by itself.
///
/// # Errors
/// What is wrong with a sweep file; what is wrong with a scenario is found when its cells are checked.
pub fn read(file: &Path) -> Result<SweepFile, String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let is_sweep = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("scenario"));
    if !is_sweep {
        let scenario = file.to_owned();
        return Ok(SweepFile {
            scenario,
            sets: Vec::new(),
            axes: Vec::new(),
            replications: None,
            baseline: Vec::new(),
        });
    }
    let refuse = |why: String| format!("{}: {why}", file.display());
    let written: Written = toml::from_str(&text).map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
    let axes = written.axis.iter().map(axis).collect::<Result<_, _>>().map_err(refuse)?;
    let pick = |(path, value): (&String, &toml::Value)| Ok(format!("{path}={}", scalar(path, value)?.label));
    let baseline = written.baseline.iter().map(pick).collect::<Result<_, String>>().map_err(refuse)?;
    let scenario = file.parent().unwrap_or(Path::new("")).join(&written.scenario);
    Ok(SweepFile { scenario, sets: written.set, axes, replications: written.replications, baseline })
}

fn axis(written: &WrittenAxis) -> Result<Axis, String> {
    let WrittenAxis { path, values, from, to, count, step, factor } = written;
    let paces = [count.map(Pace::Count), step.map(Pace::Step), factor.map(Pace::Factor)];
    let paces: Vec<Pace> = paces.into_iter().flatten().collect();
    match (values, from, to, paces.as_slice()) {
        (Some(values), None, None, []) => {
            Axis::new(path, values.iter().map(|value| scalar(path, value)).collect::<Result<_, _>>()?)
        }
        (None, Some(from), Some(to), &[pace]) => {
            Axis::range(path, &scalar(path, from)?.label, &scalar(path, to)?.label, pace)
        }
        _ => Err(format!("`{path}`: an axis takes either values, or from, to and one of count, step and factor")),
    }
}

/// A text, a number or a boolean.
fn scalar(path: &str, value: &toml::Value) -> Result<Value, String> {
    match value {
        toml::Value::String(text) => Ok(Value { label: text.clone(), toml: value.to_string() }),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
            Ok(Value { label: value.to_string(), toml: value.to_string() })
        }
        _ => Err(format!("`{path}`: a value of an axis is a text, a number, true or false")),
    }
}
