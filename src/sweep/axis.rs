//! What varies: a path of the scenario and its values, from a list, a range, or drawn between two ends.

use std::path::{Path, PathBuf};

/// What varies, as a sweep file or a `--vary` argument says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Vary {
    /// Path in the scenario, such as `training.pretrain.spares.hot`.
    pub path: String,
    /// Its values.
    pub(super) levels: Levels,
    /// All that name the same group move together.
    pub(super) zip: Option<String>,
}

/// The values that something takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Levels {
    /// These, none of them twice.
    List(Vec<Value>),
    /// Any between two ends, for a design that draws.
    Between(Between),
}

/// An axis of a planned sweep: a path and all the values that its cells have there.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Path in the scenario.
    pub path: String,
    /// The values, none of them twice.
    pub values: Vec<Value>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// As a table shows it.
    pub label: String,
    /// As a `--set` argument takes it.
    pub(super) toml: String,
    /// Folder that relative paths in it start from.
    pub(super) folder: PathBuf,
}

impl Value {
    /// A value as it stands in a command, where a plain text needs no quotes.
    pub(super) fn plain(text: &str) -> Value {
        let label = text.trim_matches('"').to_owned();
        Value { label, toml: text.to_owned(), folder: PathBuf::new() }
    }

    /// A value of a sweep file, with a text as its own label.
    pub(super) fn of_toml(value: &toml::Value) -> Value {
        let label = match value {
            toml::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        Value { label, toml: value.to_string(), folder: PathBuf::new() }
    }

    /// A value of which only the label is known, as every cell has it already.
    pub(super) fn named(label: &str) -> Value {
        Value { label: label.to_owned(), toml: String::new(), folder: PathBuf::new() }
    }

    /// The same value, with paths that start from `folder`.
    pub(super) fn in_folder(self, folder: &Path) -> Value {
        Value { folder: folder.to_owned(), ..self }
    }
}

impl Axis {
    /// The value with this label.
    pub(super) fn value(&self, label: &str) -> &Value {
        self.values.iter().find(|value| value.label == label).expect("a cell has values of its axes")
    }
}

/// Two ends with one unit, and how to walk between them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Between {
    first: f64,
    last: f64,
    unit: String,
    /// Whether both ends are whole numbers without a unit: then everything between is, too.
    is_whole: bool,
    scale: Scale,
}

/// How numbers lie between two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scale {
    /// By equal differences.
    #[default]
    Linear,
    /// By equal ratios.
    Log,
}

/// Values of one range; more is surely a slip.
const VALUES_MAX: usize = 10_000;

/// How a range goes on from its first value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// So many values, evenly.
    Count(usize),
    /// By adding.
    Step(f64),
    /// By multiplying.
    Factor(f64),
}

impl Vary {
    /// One `--vary` argument: `path=a,b,c`, or `path=from..to/count` with both ends included.
    ///
    /// # Errors
    /// What is wrong with it, and what would do.
    pub fn parse(text: &str) -> Result<Vary, String> {
        let Some((path, values)) = text.split_once('=').map(|(path, values)| (path.trim(), values.trim())) else {
            return Err(format!("--vary takes path=a,b,c or path=from..to/count, found {text:?}"));
        };
        let refuse = |why: String| format!("`{path}`: {why}");
        let range = values.split_once("..").filter(|_| !values.starts_with(['"', '{', '[']));
        let values = match range {
            Some((from, rest)) => {
                let range = rest.rsplit_once('/').and_then(|(to, count)| Some((to, count.trim().parse().ok()?)));
                let (to, count) =
                    range.ok_or_else(|| refuse(format!("a range takes from..to/count, found {values:?}")))?;
                Between::new(from, to, Scale::Linear).and_then(|between| between.walk(Pace::Count(count)))
            }
            None => list(split(values).into_iter().map(Value::plain).collect()),
        };
        let levels = Levels::List(values.map_err(refuse)?);
        if path.is_empty() {
            Err("--vary takes a path in front of its =".to_owned())
        } else {
            Ok(Vary::new(path, levels))
        }
    }

    /// `path` over `levels`, in no group.
    pub(super) fn new(path: &str, levels: Levels) -> Vary {
        Vary { path: path.to_owned(), levels, zip: None }
    }
}

/// `values`, where there are some and none of them is empty or stands twice.
pub(super) fn list(values: Vec<Value>) -> Result<Vec<Value>, String> {
    if values.is_empty() || values.iter().any(|value| value.label.is_empty()) {
        return Err("an axis takes one value or more, none of them empty".to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    match values.iter().find(|value| !seen.insert(value.label.as_str())) {
        Some(twice) => Err(format!("the value {} stands twice", twice.label)),
        None => Ok(values),
    }
}

impl Between {
    /// From `from` to `to`, both with the same unit, if any.
    pub(super) fn new(from: &str, to: &str, scale: Scale) -> Result<Between, String> {
        let (first, unit) = quantity(from).ok_or_else(|| format!("{from:?} is no number"))?;
        let (last, last_unit) = quantity(to).ok_or_else(|| format!("{to:?} is no number"))?;
        if unit != last_unit {
            return Err(format!("from and to have one unit, found {from:?} and {to:?}"));
        }
        if scale == Scale::Log && (first <= 0.0 || last <= 0.0) {
            return Err(format!("a range by equal ratios has both ends above zero, found {from:?} and {to:?}"));
        }
        let is_whole = [from, to].iter().all(|end| end.trim().parse::<i64>().is_ok());
        Ok(Between { first, last, unit: unit.to_owned(), is_whole, scale })
    }

    /// All values at `pace`, both ends included.
    pub(super) fn walk(&self, pace: Pace) -> Result<Vec<Value>, String> {
        let values = pace.numbers(self)?;
        list(values.into_iter().map(|number| self.value(number)).collect())
    }

    /// The value at `share` of the way, to six significant digits; a whole number where both ends are.
    pub(super) fn at(&self, share: f64) -> Value {
        let number = self.number(share);
        let number = if self.is_whole { libm::round(number) } else { digits(number, 6) };
        self.value(number)
    }

    /// Both ends, in their unit.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.first, self.last)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The number of `text`, a width above zero in the unit of the ends.
    pub(super) fn width(&self, text: &str) -> Result<f64, String> {
        let found = quantity(text).filter(|(width, unit)| *width > 0.0 && *unit == self.unit);
        let unit = if self.unit.is_empty() { "without a unit".to_owned() } else { format!("in {:?}", self.unit) };
        found.map(|(width, _)| width).ok_or_else(|| format!("a width above zero {unit} is expected, found {text:?}"))
    }

    /// The number in the middle of `low` and `high`, to six significant digits, whole where both ends are; none where these are no
    /// more than `width` apart.
    pub(super) fn middle(&self, low: f64, high: f64, width: f64) -> Option<f64> {
        // Widths that were written as decimals differ by a rounding.
        if high - low <= width * (1.0 + 1e-9) {
            return None;
        }
        let middle = match self.scale {
            Scale::Linear => (low + high) / 2.0,
            Scale::Log => libm::sqrt(low * high),
        };
        let middle = if self.is_whole { libm::round(middle) } else { digits(middle, 6) };
        (low < middle && middle < high).then_some(middle)
    }

    fn number(&self, share: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.first + (self.last - self.first) * share,
            Scale::Log => self.first * libm::pow(self.last / self.first, share),
        }
    }

    /// The value of a number.
    pub(super) fn value(&self, number: f64) -> Value {
        Value::plain(format!("{} {}", digits(number, 12), self.unit).trim_end())
    }
}

impl Pace {
    /// All numbers of `between`.
    fn numbers(self, between: &Between) -> Result<Vec<f64>, String> {
        let (first, last) = (between.first, between.last);
        if between.scale == Scale::Log && !matches!(self, Pace::Count(_)) {
            return Err("a scale goes with count; step adds and factor multiplies already".to_owned());
        }
        let count = match self {
            Pace::Count(count) => count,
            Pace::Step(step) => whole((last - first) / step)
                .ok_or_else(|| format!("steps of {step} from {first} do not meet {last}"))?,
            Pace::Factor(factor) => whole(libm::log(last / first) / libm::log(factor))
                .ok_or_else(|| format!("factors of {factor} from {first} do not meet {last}"))?,
        };
        if !(2..=VALUES_MAX).contains(&count) {
            return Err(format!("a range has 2 to {VALUES_MAX} values, found {count}"));
        }
        let at = |index: usize| match self {
            _ if index + 1 == count => last,
            Pace::Count(_) => between.number(index as f64 / (count - 1) as f64),
            Pace::Step(step) => first + step * index as f64,
            Pace::Factor(factor) => first * libm::pow(factor, index as f64),
        };
        Ok((0..count).map(at).collect())
    }
}

/// How many values `intervals` bound, where they are a whole number of one or more, to a part in a million.
fn whole(intervals: f64) -> Option<usize> {
    let near = libm::round(intervals);
    let fits = (1.0..VALUES_MAX as f64).contains(&near) && (intervals - near).abs() < 1e-6;
    fits.then(|| near as usize + 1)
}

/// The number and the unit of a text such as `10 min`.
fn quantity(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some((number, unit.trim()))
}

/// `number` to so many significant digits.
fn digits(number: f64, count: usize) -> f64 {
    format!("{number:.*e}", count - 1).parse().expect("what we print we can read")
}

/// The parts of `text` between the commas that stand outside quotes and brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(vary: Result<Vary, String>) -> Vec<String> {
        let Levels::List(values) = vary.unwrap().levels else { panic!("a list") };
        values.into_iter().map(|value| value.label).collect()
    }

    fn range(from: &str, to: &str, scale: Scale, pace: Pace) -> Result<Vec<String>, String> {
        let values = Between::new(from, to, scale)?.walk(pace)?;
        Ok(values.into_iter().map(|value| value.label).collect())
    }

    #[test]
    fn lists_and_ranges() {
        assert_eq!(labels(Vary::parse("a.b=1, 2,4")), ["1", "2", "4"]);
        assert_eq!(labels(Vary::parse("a.b=10 min,\"1 h\"")), ["10 min", "1 h"]);
        assert_eq!(labels(Vary::parse("a={ x = [1, 2] },{ y = {} }")), ["{ x = [1, 2] }", "{ y = {} }"]);
        assert_eq!(labels(Vary::parse("a=1..7/4")), ["1", "3", "5", "7"]);
        assert_eq!(labels(Vary::parse("a=10 min..40 min/3")), ["10 min", "25 min", "40 min"]);
        let linear = Scale::Linear;
        assert_eq!(range("0.1", "0.4", linear, Pace::Step(0.1)).unwrap(), ["0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(range("1", "8", linear, Pace::Factor(2.0)).unwrap(), ["1", "2", "4", "8"]);
        assert_eq!(range("1 s", "1000 s", Scale::Log, Pace::Count(4)).unwrap(), ["1 s", "10 s", "100 s", "1000 s"]);
    }

    #[test]
    fn between_whole_ends_everything_is_whole() {
        let at = |from, to, scale, share| Between::new(from, to, scale).unwrap().at(share).label;
        assert_eq!(at("1", "4", Scale::Linear, 0.5), "3");
        assert_eq!(at("1.0", "4.0", Scale::Linear, 0.5), "2.5");
        assert_eq!(at("1 min", "100 min", Scale::Log, 0.5), "10 min");
        assert_eq!(at("0.0", "1.0", Scale::Linear, 1.0 / 3.0), "0.333333");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("a", "--vary takes path=a,b,c or path=from..to/count, found \"a\""),
            ("=1", "--vary takes a path in front of its ="),
            ("a=1,2,1", "`a`: the value 1 stands twice"),
            ("a=1,,2", "`a`: an axis takes one value or more, none of them empty"),
            ("a=1..8", "`a`: a range takes from..to/count, found \"1..8\""),
            ("a=1..8/1", "`a`: a range has 2 to 10000 values, found 1"),
            ("a=1 s..8 min/3", "`a`: from and to have one unit, found \"1 s\" and \"8 min\""),
            ("a=x..8/3", "`a`: \"x\" is no number"),
        ];
        for (text, words) in cases {
            assert_eq!(Vary::parse(text).unwrap_err(), words, "{text}");
        }
        let linear = Scale::Linear;
        let missed = range("0", "10", linear, Pace::Step(3.0)).unwrap_err();
        assert_eq!(missed, "steps of 3 from 0 do not meet 10");
        assert!(range("1", "10", linear, Pace::Factor(2.0)).is_err());
        assert!(range("1", "10", linear, Pace::Step(0.0)).is_err());
        assert!(range("-1", "10", linear, Pace::Factor(2.0)).is_err());
        assert!(range("0", "10", Scale::Log, Pace::Count(3)).is_err());
        assert!(range("1", "8", Scale::Log, Pace::Factor(2.0)).is_err());
    }
}
