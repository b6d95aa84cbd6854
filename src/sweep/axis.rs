//! An axis: a path of the scenario and the values that it takes, from a list or a range.

/// What varies.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Path in the scenario, such as `training.pretrain.spares.hot`.
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
}

impl Value {
    /// A value as it stands in a command, where a plain text needs no quotes.
    fn plain(text: &str) -> Value {
        let label = text.trim_matches('"').to_owned();
        Value { label, toml: text.to_owned() }
    }
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

impl Axis {
    /// The axis of one `--vary` argument: `path=a,b,c`, or `path=from..to/count` with both ends included.
    ///
    /// # Errors
    /// What is wrong with it, and what would do.
    pub fn parse(text: &str) -> Result<Axis, String> {
        let Some((path, values)) = text.split_once('=').map(|(path, values)| (path.trim(), values.trim())) else {
            return Err(format!("--vary takes path=a,b,c or path=from..to/count, found {text:?}"));
        };
        if let Some((from, rest)) = values.split_once("..").filter(|_| !values.starts_with(['"', '{', '['])) {
            let range = rest.rsplit_once('/').and_then(|(to, count)| Some((to, count.trim().parse().ok()?)));
            let (to, count) =
                range.ok_or_else(|| format!("`{path}`: a range takes from..to/count, found {values:?}"))?;
            return Axis::range(path, from, to, Pace::Count(count));
        }
        Axis::new(path, split(values).into_iter().map(Value::plain).collect())
    }

    /// An axis over `values`.
    pub(super) fn new(path: &str, values: Vec<Value>) -> Result<Axis, String> {
        if path.is_empty() || values.is_empty() || values.iter().any(|value| value.label.is_empty()) {
            return Err(format!("`{path}`: an axis takes a path and one value or more, none of them empty"));
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].iter().any(|before| before.label == value.label) {
                return Err(format!("`{path}` takes the value {} twice", value.label));
            }
        }
        Ok(Axis { path: path.to_owned(), values })
    }

    /// An axis from `from` to `to`, both included and both with the same unit, if any.
    pub(super) fn range(path: &str, from: &str, to: &str, pace: Pace) -> Result<Axis, String> {
        let refuse = |why: String| format!("`{path}`: {why}");
        let (first, unit) = quantity(from).ok_or_else(|| refuse(format!("{from:?} is no number")))?;
        let (last, last_unit) = quantity(to).ok_or_else(|| refuse(format!("{to:?} is no number")))?;
        if unit != last_unit {
            return Err(refuse(format!("from and to have one unit, found {from:?} and {to:?}")));
        }
        let numbers = pace.numbers(first, last).map_err(refuse)?;
        let label = |number: &f64| format!("{} {unit}", short(*number)).trim_end().to_owned();
        Axis::new(path, numbers.iter().map(|number| Value::plain(&label(number))).collect())
    }
}

impl Pace {
    /// All numbers from `first` to `last`.
    fn numbers(self, first: f64, last: f64) -> Result<Vec<f64>, String> {
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
            Pace::Count(_) => first + (last - first) * index as f64 / (count - 1) as f64,
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

/// A number to 12 significant digits, as the shortest decimal.
fn short(number: f64) -> String {
    let rounded: f64 = format!("{number:.11e}").parse().expect("what we print we can read");
    rounded.to_string()
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

    fn labels(axis: Result<Axis, String>) -> Vec<String> {
        axis.unwrap().values.into_iter().map(|value| value.label).collect()
    }

    #[test]
    fn lists_and_ranges() {
        assert_eq!(labels(Axis::parse("a.b=1, 2,4")), ["1", "2", "4"]);
        assert_eq!(labels(Axis::parse("a.b=10 min,\"1 h\"")), ["10 min", "1 h"]);
        assert_eq!(labels(Axis::parse("a={ x = [1, 2] },{ y = {} }")), ["{ x = [1, 2] }", "{ y = {} }"]);
        assert_eq!(labels(Axis::parse("a=1..7/4")), ["1", "3", "5", "7"]);
        assert_eq!(labels(Axis::parse("a=10 min..40 min/3")), ["10 min", "25 min", "40 min"]);
        assert_eq!(labels(Axis::range("a", "0.1", "0.4", Pace::Step(0.1))), ["0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(Axis::range("a", "1", "8", Pace::Factor(2.0))), ["1", "2", "4", "8"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("a", "--vary takes path=a,b,c or path=from..to/count, found \"a\""),
            ("a=1,2,1", "`a` takes the value 1 twice"),
            ("a=1,,2", "`a`: an axis takes a path and one value or more, none of them empty"),
            ("a=1..8", "`a`: a range takes from..to/count, found \"1..8\""),
            ("a=1..8/1", "`a`: a range has 2 to 10000 values, found 1"),
            ("a=1 s..8 min/3", "`a`: from and to have one unit, found \"1 s\" and \"8 min\""),
            ("a=x..8/3", "`a`: \"x\" is no number"),
        ];
        for (text, words) in cases {
            assert_eq!(Axis::parse(text).unwrap_err(), words, "{text}");
        }
        let missed = Axis::range("a", "0", "10", Pace::Step(3.0)).unwrap_err();
        assert_eq!(missed, "`a`: steps of 3 from 0 do not meet 10");
        assert!(Axis::range("a", "1", "10", Pace::Factor(2.0)).is_err());
        assert!(Axis::range("a", "1", "10", Pace::Step(0.0)).is_err());
        assert!(Axis::range("a", "-1", "10", Pace::Factor(2.0)).is_err());
    }
}
