//! `goals.csv`: what a sweep searched for, and what it found in each cell of its axes.

use super::number::{figure, people};
use super::sheets::{self, Column, Sheet};
use super::sweep::{AxisColumn, SweepTables};
use std::borrow::Cow;

/// What a sweep searched for, and what it found.
#[derive(Debug)]
pub struct Goals {
    /// The whole of it in words, for the manifest.
    pub asked: String,
    /// Path in the scenario, the last of the sweep's axes.
    pub path: String,
    /// `smallest` or `largest`.
    pub find: &'static str,
    /// The figure by name.
    pub metric: String,
    /// What of the replications: `mean`, or a quantile.
    pub statistic: String,
    /// `at least` or `at most`.
    pub bound: &'static str,
    /// What the figure is to keep.
    pub threshold: f64,
    /// Unit of the figure.
    pub unit: &'static str,
    /// One answer for each cell of the other axes.
    pub found: Vec<Found>,
}

/// One answer.
#[derive(Debug)]
pub struct Found {
    /// Number of the first cell of this search.
    pub first: usize,
    /// The nearest cell below the crossing; the lower end of the search where there is none.
    pub low: Probed,
    /// The nearest cell above it, or the upper end.
    pub high: Probed,
    /// The cell that answers.
    pub answer: Option<usize>,
    /// How the search ended.
    pub verdict: Verdict,
    /// How many cells it looked at.
    pub probes: usize,
    /// Two neighbours between which the figure moves against what the search supposes.
    pub bend: Option<(Probed, Probed)>,
}

/// A cell that a search looked at.
#[derive(Debug, Clone, Copy)]
pub struct Probed {
    /// Its number.
    pub cell: usize,
    /// What it shows.
    pub value: Option<f64>,
    /// Half-width of the 95 % interval of that, where it is a mean.
    pub half_width: Option<f64>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The bound is kept on one side and missed on the other.
    Found,
    /// It is kept at both ends.
    AlwaysMet,
    /// It is missed at both ends.
    NeverMet,
    /// It is kept at the end where it should be missed, and the reverse.
    OtherWay,
    /// A cell shows no value.
    Undecided,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Verdict::Found => "found",
            Verdict::AlwaysMet => "always met",
            Verdict::NeverMet => "never met",
            Verdict::OtherWay => "other way",
            Verdict::Undecided => "undecided",
        }
    }
}

impl SweepTables<'_> {
    /// The columns of `goals.csv`.
    pub(super) fn goals_sheet(&self, goals: &Goals) -> Sheet {
        let sheet = sheets::GOALS;
        let mut columns = sheet.columns.into_owned();
        let (searched, others) = self.axes.split_last().expect("what is searched is an axis");
        let unit = searched.unit.unwrap_or("");
        for column in columns.iter_mut().filter(|column| column.name.ends_with("_value")) {
            *column = Column::of_metric(column.name.to_string(), unit, column.meaning().to_owned());
        }
        for column in columns.iter_mut().filter(|column| IN_UNIT.contains(&&*column.name)) {
            *column = Column::of_metric(column.name.to_string(), goals.unit, column.meaning().to_owned());
        }
        columns.splice(1..1, others.iter().flat_map(Column::of_axis_and_number));
        Sheet { columns: Cow::Owned(columns), ..sheet }
    }

    /// One row for each answer.
    pub(super) fn answers<E>(&self, goals: &Goals, row: &mut dyn FnMut(Vec<String>) -> Result<(), E>) -> Result<(), E> {
        let others = &self.axes[..self.axes.len() - 1];
        for (number, found) in goals.found.iter().enumerate() {
            let (low, high) = (&found.low, &found.high);
            let verdict = [
                goals.path.clone(),
                goals.find.to_owned(),
                goals.metric.clone(),
                goals.unit.to_owned(),
                goals.statistic.clone(),
                goals.bound.to_owned(),
                figure(Some(goals.threshold)),
                found.verdict.words().to_owned(),
            ];
            let [answer, low_at, high_at] = [found.answer, Some(low.cell), Some(high.cell)].map(|at| self.place(at));
            let shown = |probed: &Probed| [figure(probed.value), figure(probed.half_width)];
            let end = [found.probes.to_string(), monotone(found).to_owned(), self.sentence(goals, found)];
            let cells = std::iter::once(number.to_string())
                .chain(self.cells[found.first].axes(others))
                .chain(verdict)
                .chain(answer)
                .chain(low_at)
                .chain(shown(low))
                .chain(high_at)
                .chain(shown(high))
                .chain(end);
            row(cells.collect())?;
        }
        Ok(())
    }

    /// Number of a cell, and where it stands on the searched axis, as written and as a number.
    fn place(&self, cell: Option<usize>) -> [String; 3] {
        let Some(at) = cell else { return [const { String::new() }; 3] };
        let (number, label) = (self.searched_number(at), self.label(at));
        [at.to_string(), label.to_owned(), figure(number.or_else(|| label.parse().ok()))]
    }

    fn searched_number(&self, cell: usize) -> Option<f64> {
        self.cells[cell].numbers.last().copied().flatten()
    }

    fn label(&self, cell: usize) -> &str {
        self.cells[cell].values.last().expect("what is searched is an axis")
    }

    /// Each answer in words, with where its cell stands on the other axes.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        let others = self.axes.len().saturating_sub(1);
        let of = move |goals: &'_ Goals, found: &Found| {
            let pairs = self.axes[..others].iter().zip(self.cells[found.first].values);
            let pairs: Vec<String> = pairs.map(|(AxisColumn { path, .. }, value)| format!("{path}={value}")).collect();
            let place = if pairs.is_empty() { String::new() } else { format!("{}: ", pairs.join(", ")) };
            format!("{place}{}", self.sentence(goals, found))
        };
        self.goals.into_iter().flat_map(move |goals| goals.found.iter().map(move |found| of(goals, found)))
    }

    /// An answer in words.
    fn sentence(&self, goals: &Goals, found: &Found) -> String {
        let Goals { path, find, metric, bound, threshold, .. } = goals;
        let (low, high) = (self.label(found.low.cell), self.label(found.high.cell));
        let (at_low, at_high) = (shown(&found.low), shown(&found.high));
        let what = match goals.statistic.as_str() {
            "mean" => metric.clone(),
            statistic => format!("{metric} ({statistic})"),
        };
        let asked = format!("{find} {path} with {what} {bound} {threshold}");
        let mut words = match (found.verdict, found.answer) {
            (Verdict::Found, Some(answer)) if answer == found.low.cell => {
                format!("the {asked} is {low}: {at_low} there, {at_high} at {high}")
            }
            (Verdict::Found, _) => format!("the {asked} is {high}: {at_high} there, {at_low} at {low}"),
            (Verdict::AlwaysMet, answer) => {
                let at = self.label(answer.unwrap_or(found.low.cell));
                format!(
                    "{what} {bound} {threshold} is always met from {low} to {high}: {at_low} and {at_high}; the {asked} is {at} or beyond"
                )
            }
            (Verdict::NeverMet, _) => {
                format!("{what} {bound} {threshold} is never met at {low} or {high}: {at_low} and {at_high}")
            }
            (Verdict::OtherWay, _) => {
                let other = if *find == "smallest" { "largest" } else { "smallest" };
                format!(
                    "{what} {bound} {threshold} is met at one end and missed at the other, but the other way round ({at_low} at {low}, \
                     {at_high} at {high}): search for the {other}"
                )
            }
            (Verdict::Undecided, _) => format!("{what} has no value in a cell from {low} to {high}: see runs.csv"),
        };
        if let Some((one, other)) = &found.bend {
            let [here, there] = [one, other].map(|probed| (shown(probed), self.label(probed.cell)));
            words.push_str(&format!(
                "; but it does not move one way ({} at {}, {} at {}), so there may be other answers",
                here.0, here.1, there.0, there.1
            ));
        }
        words
    }
}

/// Columns whose numbers are in the figure's unit.
const IN_UNIT: [&str; 5] = ["threshold", "at_low", "half_width_low", "at_high", "half_width_high"];

fn monotone(found: &Found) -> &'static str {
    match (found.verdict, &found.bend) {
        (Verdict::Undecided, _) => "",
        (Verdict::OtherWay, _) | (_, Some(_)) => "no",
        _ => "yes",
    }
}

/// What a cell shows, for people.
fn shown(probed: &Probed) -> String {
    match (probed.value, probed.half_width) {
        (None, _) => "no value".to_owned(),
        (Some(value), None) => people(value),
        (Some(value), Some(half_width)) => format!("{} +- {}", people(value), people(half_width)),
    }
}
