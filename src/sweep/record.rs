//! One line of a record file: what a run gave, or which figures some runs give, in their order. Each line is JSON and carries
//! a sum of itself, by which one that was torn by a kill is known and passed over.

use super::key::Key;
use crate::ledger::{Boundary, Figure};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What a run gave. Two records of one run are equal, or something is wrong with the program.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The run.
    pub key: Key,
    /// Its figures, or why it failed.
    pub outcome: Result<Told, String>,
}

/// The figures of a run, and how much work the engine had.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which figures.
    pub(super) layout: Arc<Layout>,
    /// Their values, in the order of the layout; NaN where there is nothing to say.
    pub(super) values: Box<[f64]>,
    /// Events handled.
    pub events: u64,
    /// Windows of the engine.
    pub windows: u64,
}

/// Which figures a run has, in their order: the same for most runs of a sweep, so written once.
#[derive(Debug, PartialEq)]
pub(super) struct Layout {
    /// Short hash of the names.
    pub(super) id: String,
    /// The figures, without values.
    figures: Vec<Figure>,
}

impl Layout {
    fn new(figures: Vec<Figure>) -> Layout {
        let json = serde_json::to_string(&names(&figures)).expect("names are text");
        Layout { id: blake3::hash(json.as_bytes()).to_hex()[..16].to_owned(), figures }
    }

    fn is_of(&self, figures: &[Figure]) -> bool {
        let same = |(known, figure): (&Figure, &Figure)| known.is_same(figure) && known.unit == figure.unit;
        self.figures.len() == figures.len() && self.figures.iter().zip(figures).all(same)
    }
}

/// The layouts met so far.
#[derive(Debug, Default)]
pub(super) struct Layouts(Vec<Arc<Layout>>);

impl Layouts {
    /// The layout of `figures`.
    fn of(&mut self, figures: Vec<Figure>) -> Arc<Layout> {
        if let Some(known) = self.0.iter().find(|layout| layout.is_of(&figures)) {
            return Arc::clone(known);
        }
        let bare = figures.into_iter().map(|figure| Figure { value: None, ..figure });
        let layout = Arc::new(Layout::new(bare.collect()));
        self.0.push(Arc::clone(&layout));
        layout
    }

    /// Enters a layout that was read.
    pub(super) fn know(&mut self, layout: Layout) {
        if self.find(&layout.id).is_none() {
            self.0.push(Arc::new(layout));
        }
    }

    /// The layout with this hash.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Layout>> {
        self.0.iter().find(|layout| layout.id == id).cloned()
    }

    /// What a run gave, to be kept.
    pub(super) fn told(&mut self, figures: Vec<Figure>, events: u64, windows: u64) -> Told {
        // What a table cannot show is not there.
        let value = |figure: &Figure| figure.value.filter(|value| value.is_finite()).unwrap_or(f64::NAN);
        let values = figures.iter().map(value).collect();
        Told { layout: self.of(figures), values, events, windows }
    }
}

impl Record {
    /// The first thing in which `other` differs, which it does.
    pub(super) fn difference(&self, other: &Record) -> String {
        let (one, two) = match (&self.outcome, &other.outcome) {
            (Ok(one), Ok(two)) => (one, two),
            (one, two) => {
                let say = |outcome: &Result<Told, String>| match outcome {
                    Ok(_) => "it ended well".to_owned(),
                    Err(error) => format!("it failed with {error:?}"),
                };
                return format!("{} and {}", say(one), say(two));
            }
        };
        if one.layout.id != two.layout.id {
            return "they have other figures".to_owned();
        }
        let (one_figures, two_figures) = (one.figures(), two.figures());
        let differ = |(a, b): &(&Figure, &Figure)| a.value.map(f64::to_bits) != b.value.map(f64::to_bits);
        match one_figures.iter().zip(&two_figures).find(differ) {
            Some((a, b)) => format!("{} {} is {:?} and {:?}", a.subject, a.metric, a.value, b.value),
            None => format!("{} events and {} events", one.events, two.events),
        }
    }
}

impl PartialEq for Told {
    /// Bit for bit.
    fn eq(&self, other: &Told) -> bool {
        let bits = |told: &Told| told.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        (self.events, self.windows, &self.layout.id) == (other.events, other.windows, &other.layout.id)
            && bits(self) == bits(other)
    }
}

impl Told {
    /// The figures with their values.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let with =
            |(figure, &value): (&Figure, &f64)| Figure { value: (!value.is_nan()).then_some(value), ..figure.clone() };
        self.layout.figures.iter().zip(&self.values).map(with).collect()
    }
}

/// A line as written, without its sum.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line<'a> {
    /// Names of figures: subject, metric, unit, boundary.
    Layout { id: Cow<'a, str>, figures: Vec<[Cow<'a, str>; 4]> },
    /// What a run gave.
    Run { key: Cow<'a, str>, layout: Cow<'a, str>, events: u64, windows: u64, values: Vec<Option<f64>> },
    /// Why a run failed.
    Failed { key: Cow<'a, str>, error: Cow<'a, str> },
}

/// Before the sum, and between it and what it is of.
const FRONT: [&str; 2] = ["{\"sum\":\"", "\","];
/// Digits of the sum: one torn line in 4 thousand million would pass, if it also were JSON.
const SUM_DIGITS: usize = 8;

/// A line, with its end.
fn seal(line: &Line<'_>) -> String {
    let json = serde_json::to_string(line).expect("numbers and texts are JSON");
    let rest = json.strip_prefix('{').expect("an enum is an object");
    format!("{}{}{}{rest}\n", FRONT[0], sum(rest.as_bytes()), FRONT[1])
}

fn sum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..SUM_DIGITS].to_owned()
}

/// The JSON of a sound line; none of a torn one.
fn unseal(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(FRONT[0].as_bytes())?;
    let (written, rest) = rest.split_at_checked(SUM_DIGITS)?;
    let rest = rest.strip_prefix(FRONT[1].as_bytes())?;
    let text = std::str::from_utf8(rest).ok()?;
    (sum(rest).as_bytes() == written).then(|| format!("{{{text}"))
}

/// The line of a layout.
pub(super) fn layout_line(layout: &Layout) -> String {
    seal(&Line::Layout { id: Cow::Borrowed(&layout.id), figures: names(&layout.figures) })
}

/// The line of a record.
pub(super) fn record_line(record: &Record) -> String {
    let key = Cow::Owned(record.key.to_string());
    seal(&match &record.outcome {
        Ok(told) => Line::Run {
            key,
            layout: Cow::Borrowed(&told.layout.id),
            events: told.events,
            windows: told.windows,
            values: told.values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect(),
        },
        Err(error) => Line::Failed { key, error: Cow::Borrowed(error) },
    })
}

/// A sound line, read; the layout of a run is looked up later, when all are known.
pub(super) enum Read {
    Layout(Layout),
    Run { key: Key, layout: String, events: u64, windows: u64, values: Box<[f64]> },
    Failed { key: Key, error: String },
}

/// What `line` says, without its end; none where it was torn, or another version wrote it.
pub(super) fn read(line: &[u8]) -> Option<Read> {
    let json = unseal(line)?;
    Some(match serde_json::from_str::<Line<'_>>(&json).ok()? {
        Line::Layout { id, figures } => {
            let layout = Layout::new(figures.iter().map(figure).collect::<Option<_>>()?);
            if layout.id != id {
                return None;
            }
            Read::Layout(layout)
        }
        Line::Run { key, layout, events, windows, values } => Read::Run {
            key: Key::parse(&key)?,
            layout: layout.into_owned(),
            events,
            windows,
            values: values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect(),
        },
        Line::Failed { key, error } => Read::Failed { key: Key::parse(&key)?, error: error.into_owned() },
    })
}

fn names(figures: &[Figure]) -> Vec<[Cow<'_, str>; 4]> {
    let boundary = |figure: &Figure| figure.boundary.map_or("", Boundary::name);
    figures.iter().map(|row| [&row.subject, row.metric, row.unit, boundary(row)].map(Cow::Borrowed)).collect()
}

fn figure([subject, metric, unit, boundary]: &[Cow<'_, str>; 4]) -> Option<Figure> {
    let boundary = match boundary.as_ref() {
        "" => None,
        name => Some(Boundary::ALL.into_iter().find(|boundary| boundary.name() == name)?),
    };
    Some(Figure {
        subject: subject.clone().into_owned(),
        metric: name(metric),
        value: None,
        unit: name(unit),
        boundary,
    })
}

/// `text` for the life of the program. Metrics and units are a few hundred words, all of them our own.
fn name(text: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().expect("nothing panics while it is held");
    known.get(text).copied().unwrap_or_else(|| {
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        known.insert(kept);
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Vec<Figure> {
        let row = |metric, value, boundary| Figure {
            subject: "training.a \"b\"".to_owned(),
            metric,
            value,
            unit: "kWh",
            boundary,
        };
        vec![
            row("energy", Some(0.1 + 0.2), Some(Boundary::B2)),
            row("energy", Some(-0.0), Some(Boundary::B4)),
            row("ettr", None, None),
            row("tiny", Some(5e-324), None),
            row("large", Some(1.797_693_134_862_315_7e308), None),
            row("infinite", Some(f64::INFINITY), None),
        ]
    }

    fn key(digit: char) -> Key {
        Key::parse(&digit.to_string().repeat(32)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let told = Layouts::default().told(figures(), 7, 8);
        let record = Record { key: key('a'), outcome: Ok(told.clone()) };
        let Some(Read::Layout(layout)) = read(layout_line(&told.layout).trim_end().as_bytes()) else {
            panic!("a layout")
        };
        assert_eq!(layout, *told.layout);
        let line = record_line(&record);
        assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
        let Some(Read::Run { key, layout: id, events, windows, values }) = read(line.trim_end().as_bytes()) else {
            panic!("a run: {line}")
        };
        let back = Told { layout: Arc::new(layout), values, events, windows };
        assert_eq!((key, id, &back), (record.key, told.layout.id.clone(), &told));
        let values: Vec<_> = back.figures().iter().map(|figure| figure.value).collect();
        assert_eq!(values[..3], [Some(0.1 + 0.2), Some(-0.0), None]);
        assert_eq!(values[5], None, "what a table cannot show is not there");
    }

    #[test]
    fn a_failure_keeps_its_words() {
        let record = Record { key: key('b'), outcome: Err("two\nlines \"quoted\"".to_owned()) };
        let line = record_line(&record);
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        let Some(Read::Failed { key, error }) = read(line.trim_end().as_bytes()) else { panic!("a failure: {line}") };
        assert_eq!(Record { key, outcome: Err(error) }, record);
    }

    #[test]
    fn a_line_torn_anywhere_is_known() {
        let told = Layouts::default().told(figures(), 7, 8);
        let line = record_line(&Record { key: key('a'), outcome: Ok(told) });
        let line = line.trim_end().as_bytes();
        assert!(read(line).is_some());
        for end in 0..line.len() {
            assert!(read(&line[..end]).is_none(), "torn after {end} bytes");
        }
        for at in 0..line.len() {
            let mut spoilt = line.to_vec();
            spoilt[at] ^= 1;
            assert!(read(&spoilt).is_none(), "spoilt at byte {at}");
        }
        let two = [&line[..line.len() / 2], line].concat();
        assert!(read(&two).is_none(), "half a line and a whole one");
    }
}
