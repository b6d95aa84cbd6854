//! The scenario's own keys: name, start, duration, timeline.

use super::Check;
use crate::units::{SimTime, Span};

/// What the scenario says of itself.
pub(super) struct Header {
    pub name: String,
    pub start: jiff::Timestamp,
    pub horizon: SimTime,
    pub step: Span,
}

impl Header {
    /// Hours that the run touches, at least one.
    pub(super) fn hours(&self) -> usize {
        let hours = self.horizon.nanos().div_ceil(Span::HOUR.nanos());
        usize::try_from(hours).expect("a century has fewer than 2^32 hours")
    }
}

/// Longest run: a century, well inside the 292 years that the clock holds with sums of two.
const LONGEST: Span = Span::from_secs(36_525 * 86_400);

/// Rows of a timeline beyond which nobody means it: about 15 GB in each of four files.
const MOST_ROWS: u64 = 100_000_000;

impl Check<'_> {
    /// The checked header.
    pub(super) fn header(&mut self) -> Option<Header> {
        let name = self.name();
        let start = self.start();
        let duration = self.duration();
        let step = self.step(duration);
        Some(Header { name: name?, start: start?, horizon: SimTime::ZERO + duration?, step: step? })
    }

    fn name(&mut self) -> Option<String> {
        let Some(name) = self.typed.file.name.clone() else { return self.absent("name", "\"highway\"") };
        self.is_plain_name(&["name"], &name).then_some(name)
    }

    /// True where `name`, written at `path`, can stand in a file name and in a table; else complains.
    pub(super) fn is_plain_name(&mut self, path: &[&str], name: &str) -> bool {
        let plain = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
        if !plain {
            self.complain(
                path,
                format!("the name {name:?} cannot stand in a file name or a table"),
                "use 1 to 64 letters a-z, digits, `-` and `_`".to_owned(),
            );
        }
        plain
    }

    fn absent<T>(&mut self, key: &str, example: &str) -> Option<T> {
        if !self.typed.was_written(&[key]) {
            self.complain(&[], format!("the scenario needs the key `{key}`"), format!("for example {key} = {example}"));
        }
        None
    }

    fn start(&mut self) -> Option<jiff::Timestamp> {
        let Some(text) = self.typed.file.start.as_deref() else {
            return self.absent("start", "\"2026-01-01T00:00:00Z\"");
        };
        let example = "write a date and time such as \"2026-01-01T00:00:00Z\"".to_owned();
        match text.parse::<jiff::Timestamp>() {
            Ok(start) if start.as_nanosecond() % i128::from(Span::HOUR.nanos()) == 0 => Some(start),
            Ok(_) => {
                self.refuse(&["start"], format!("must lie on a whole hour in UTC, found {text:?}"), example);
                None
            }
            Err(_) => {
                self.refuse(&["start"], format!("is not a date and time with a time zone: {text:?}"), example);
                None
            }
        }
    }

    fn duration(&mut self) -> Option<Span> {
        let Some(duration) = self.typed.file.duration else { return self.absent("duration", "\"540 d\"") };
        if duration == Span::ZERO {
            self.refuse(&["duration"], "is zero: nothing would happen", "for example duration = \"30 d\"".to_owned());
            return None;
        }
        if duration > LONGEST {
            self.refuse(&["duration"], "is longer than a century (36525 d)", None);
            return None;
        }
        Some(duration)
    }

    fn step(&mut self, duration: Option<Span>) -> Option<Span> {
        let path = ["timeline", "step"];
        let step = self.typed.file.timeline.step;
        if step == Span::ZERO || !fits_the_hour(step) {
            let help = "for example \"1 min\", \"15 min\", \"1 h\" or \"1 d\"".to_owned();
            self.refuse(&path, format!("must divide an hour or be a multiple of it, found {step}"), help);
            return None;
        }
        let duration = duration?;
        if self.typed.was_written(&path) && step > duration {
            self.refuse(&path, format!("is {step}, longer than the whole run of {duration}"), None);
            return None;
        }
        let file = &self.typed.file;
        let tenants =
            (file.training.len() + file.workload.len() + file.service.len() + file.device.len() + file.cluster.len())
                .max(1) as u64;
        let rows = |step: Span| duration.nanos().div_ceil(step.nanos()).saturating_mul(tenants);
        if rows(step) > MOST_ROWS {
            let wider = WIDTHS.iter().map(|&seconds| Span::from_secs(seconds)).find(|&wider| rows(wider) <= MOST_ROWS);
            self.refuse(
                &path,
                format!("makes timelines of {} rows, more than {MOST_ROWS}, which is some 15 GB a file", rows(step)),
                wider.map(|wider| format!("use timeline = {{ step = \"{wider}\" }} or wider")),
            );
            return None;
        }
        Some(step)
    }
}

/// Steps worth suggesting, in seconds, all of which fit the hour.
const WIDTHS: &[u64] = &[1, 5, 10, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800];

fn fits_the_hour(step: Span) -> bool {
    let (hour, step) = (Span::HOUR.nanos(), step.nanos());
    hour.is_multiple_of(step) || step.is_multiple_of(hour)
}
