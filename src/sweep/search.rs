//! Goal search: for each cell of the axes the smallest or the largest value of one more parameter with which a figure keeps a
//! bound, by bisection. It supposes that the figure moves one way along that parameter; where the probes show otherwise, the answer
//! says so. A probe is a cell like any other: its runs are on record and stand in the files.

use super::axis::{Between, Scale, Value};
use super::rounds::{Listen, Ran, RunError, near, run_all};
use super::store::Store;
use super::{Cell, CellResult, Done, Plan, Recipe, Results};
use crate::ledger::{FigureName, Paired, Sample, quantile};
use crate::report::{Found, Goals, Probed, Verdict};
use rayon::prelude::*;
use serde::Deserialize;

/// The section `[goal]` of a sweep file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    path: String,
    from: toml::Value,
    to: toml::Value,
    /// How near the two sides of the answer are in the end; 1 between whole numbers.
    tolerance: Option<toml::Value>,
    #[serde(default)]
    scale: Scale,
    metric: String,
    at_least: Option<f64>,
    at_most: Option<f64>,
    find: Find,
    /// Of the replications; their mean by default.
    quantile: Option<f64>,
}

/// Which of the values that keep the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Find {
    /// More is always enough, too.
    Smallest,
    /// Less is always enough, too.
    Largest,
}

/// What a sweep searches for.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// Path in the scenario.
    pub path: String,
    between: Between,
    tolerance: f64,
    figure: FigureName,
    is_at_least: bool,
    threshold: f64,
    find: Find,
    quantile: Option<f64>,
}

impl Written {
    /// What is meant; else the key that is wrong, and why.
    pub(super) fn settle(&self) -> Result<Search, (&'static str, String)> {
        let text = |value: &toml::Value| Value::of_toml(value).label;
        let between = Between::new(&text(&self.from), &text(&self.to), self.scale).map_err(|why| ("from", why))?;
        let (first, last) = between.ends();
        if first >= last {
            let (from, to) = (text(&self.from), text(&self.to));
            return Err(("from", format!("from is the smaller end of the search, found {from:?} and {to:?}")));
        }
        let tolerance = match &self.tolerance {
            Some(tolerance) => between.width(&text(tolerance)).map_err(|why| ("tolerance", why))?,
            None if between.is_whole() => 1.0,
            None => {
                let words = "say with a tolerance in the unit of from and to how near the answer has to be";
                return Err(("from", words.to_owned()));
            }
        };
        let (is_at_least, threshold) = match (self.at_least, self.at_most) {
            (Some(threshold), None) => (true, threshold),
            (None, Some(threshold)) => (false, threshold),
            _ => return Err(("metric", "a goal takes one of at_least and at_most".to_owned())),
        };
        if let Some(share) = self.quantile.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(("quantile", format!("a quantile is 0 to 1, such as 0.05, found {share}")));
        }
        Ok(Search {
            path: self.path.clone(),
            between,
            tolerance,
            figure: FigureName::from(self.metric.as_str()),
            is_at_least,
            threshold,
            find: self.find,
            quantile: self.quantile,
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl Search {
    /// Both ends.
    pub(super) fn ends(&self) -> [Value; 2] {
        let (first, last) = self.between.ends();
        [self.between.value(first), self.between.value(last)]
    }

    /// How many cells one search has at most.
    #[must_use]
    pub fn cells_max(&self) -> u64 {
        let (mut low, high) = self.between.ends();
        let mut cells = 2;
        while let Some(middle) = self.between.middle(low, high, self.tolerance) {
            // The upper part is the wider one, whatever the scale.
            low = middle;
            cells += 1;
        }
        cells
    }

    fn statistic(&self) -> String {
        self.quantile.map_or("mean".to_owned(), |share| format!("quantile {share}"))
    }

    fn bound(&self) -> &'static str {
        if self.is_at_least { "at least" } else { "at most" }
    }

    fn found(&self) -> &'static str {
        match self.find {
            Find::Smallest => "smallest",
            Find::Largest => "largest",
        }
    }

    /// Whether the figure should grow along the parameter.
    fn grows(&self) -> bool {
        self.is_at_least == (self.find == Find::Smallest)
    }

    /// The one figure of `result` that is meant; none where every run failed.
    fn sample<'a>(&self, result: &'a CellResult) -> Result<Option<&'a Sample>, RunError> {
        let samples = result.replications.samples();
        let meant: Vec<&Sample> = samples.iter().filter(|sample| self.figure.means(&sample.figure)).collect();
        match meant.as_slice() {
            [sample] => Ok(Some(sample)),
            [] if samples.is_empty() => Ok(None),
            [] => {
                let help = near(&self.figure, samples.iter().map(|sample| &sample.figure));
                Err(RunError::Figure(format!("goal: no figure is named `{}`; {help}", self.figure)))
            }
            [first, ..] => Err(RunError::Figure(format!(
                "goal: `{}` names {} figures; say which, such as metric = \"{}\"",
                self.figure,
                meant.len(),
                FigureName::of(&first.figure)
            ))),
        }
    }

    /// What a cell shows, and whether it keeps the bound; nothing where it has no value.
    fn judge(&self, result: &CellResult) -> Result<Option<(f64, bool)>, RunError> {
        let Some(sample) = self.sample(result)? else { return Ok(None) };
        let value = match self.quantile {
            None => sample.spread().map(|spread| spread.mean),
            Some(share) => quantile(&sample.values, share),
        };
        let keeps = |value| if self.is_at_least { value >= self.threshold } else { value <= self.threshold };
        Ok(value.map(|value| (value, keeps(value))))
    }
}

impl std::fmt::Display for Search {
    /// As the manifest says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [from, to] = self.ends().map(|end| end.label);
        let (find, bound) = (self.found(), self.bound());
        let Search { path, figure, threshold, tolerance, .. } = self;
        let statistic = self.statistic();
        write!(
            f,
            "{find} {path} from {from} to {to}, to within {tolerance}, with {figure} ({statistic}) {bound} {threshold}"
        )
    }
}

/// A cell of a search.
struct Probe {
    number: f64,
    cell: Cell,
    result: CellResult,
    events: u64,
    windows: u64,
    /// What it shows, and whether that keeps the bound.
    shown: Option<(f64, bool)>,
}

/// The cells of one search, from the smallest value to the largest.
struct Hunt(Vec<Probe>);

impl Hunt {
    /// Where the bound is crossed: the index of the last cell before. None where it is not, or where a cell shows nothing.
    fn crossing(&self, search: &Search) -> Option<usize> {
        let keeps: Option<Vec<bool>> = self.0.iter().map(|probe| probe.shown.map(|(_, keeps)| keeps)).collect();
        let before = search.find == Find::Largest;
        let keeps = keeps.filter(|keeps| keeps.first() == Some(&before) && keeps.last() == Some(&!before))?;
        keeps.windows(2).position(|pair| pair[0] != pair[1])
    }

    /// The next value to look at.
    fn next(&self, search: &Search) -> Option<f64> {
        let low = self.crossing(search)?;
        search.between.middle(self.0[low].number, self.0[low + 1].number, search.tolerance)
    }

    fn enter(&mut self, probe: Probe) {
        let at = self.0.partition_point(|known| known.number < probe.number);
        self.0.insert(at, probe);
    }

    /// What was found, with `first` as the number of its first cell.
    fn found(&self, search: &Search, first: usize) -> Result<Found, RunError> {
        let last = self.0.len() - 1;
        let ends = [&self.0[0], &self.0[last]].map(|probe| probe.shown.map(|(_, keeps)| keeps));
        let is_smallest = search.find == Find::Smallest;
        let (verdict, low, high, answer) = match (self.crossing(search), ends) {
            (Some(low), _) => (Verdict::Found, low, low + 1, Some(if is_smallest { low + 1 } else { low })),
            _ if self.0.iter().any(|probe| probe.shown.is_none()) => (Verdict::Undecided, 0, last, None),
            (None, [Some(true), Some(true)]) => (Verdict::AlwaysMet, 0, last, Some(if is_smallest { 0 } else { last })),
            (None, [Some(false), Some(false)]) => (Verdict::NeverMet, 0, last, None),
            (None, _) => (Verdict::OtherWay, 0, last, None),
        };
        let probed = |at: usize| self.probed(search, at, first);
        let bend = (0..last).find(|&at| self.bends(search, at)).filter(|_| verdict != Verdict::OtherWay);
        let bend = bend.map(|at| Ok::<_, RunError>((probed(at)?, probed(at + 1)?))).transpose()?;
        let (low, high) = (probed(low)?, probed(high)?);
        Ok(Found { first, low, high, answer: answer.map(|at| first + at), verdict, probes: self.0.len(), bend })
    }

    fn probed(&self, search: &Search, at: usize, first: usize) -> Result<Probed, RunError> {
        let probe = &self.0[at];
        let spread = search.sample(&probe.result)?.and_then(Sample::spread).filter(|_| search.quantile.is_none());
        let half_width = spread.and_then(|spread| spread.half_width);
        Ok(Probed { cell: first + at, value: probe.shown.map(|(value, _)| value), half_width })
    }

    /// Whether the figure moves the other way from the `at`-th cell to the next, more than chance explains.
    fn bends(&self, search: &Search, at: usize) -> bool {
        let sample = |at: usize| search.sample(&self.0[at].result).ok().flatten();
        let paired = sample(at).zip(sample(at + 1)).and_then(|(one, other)| Paired::of(one, other));
        paired.is_some_and(|paired| match (paired.verdict(), search.grows()) {
            ("lower", true) | ("higher", false) => true,
            // One run has no interval: what it shows is all there is.
            ("", grows) => {
                if grows {
                    paired.difference.mean < 0.0
                } else {
                    paired.difference.mean > 0.0
                }
            }
            _ => false,
        })
    }
}

/// Searches in each cell of the axes of `plan`, whose cells are both ends of each search.
pub(super) fn run(
    plan: Plan,
    search: &Search,
    recipe: &Recipe,
    store: &Store,
    listen: &impl Listen,
) -> Result<Done, RunError> {
    let Plan { axes, cells, replications, baseline, .. } = plan;
    let mut hunts: Vec<Hunt> = (0..cells.len() / 2).map(|_| Hunt(Vec::new())).collect();
    let (first, last) = search.between.ends();
    let mut wanted: Vec<(usize, f64, Cell)> =
        (0..).zip(cells).map(|(index, cell)| (index / 2, if index % 2 == 0 { first } else { last }, cell)).collect();
    let mut known = 0;
    while !wanted.is_empty() {
        let cells: Vec<&Cell> = wanted.iter().map(|(.., cell)| cell).collect();
        let Ran { records, known: more } = run_all(&cells, &replications, store, listen)?;
        known += more;
        for ((hunt, number, cell), records) in wanted.into_iter().zip(records) {
            let Results { mut cells, events, windows, .. } = Results::gather(vec![records]);
            let result = cells.remove(0);
            let shown = search.judge(&result)?;
            hunts[hunt].enter(Probe { number, cell, result, events, windows, shown });
        }
        let next = hunts.par_iter().enumerate().filter_map(|(index, hunt)| {
            let number = hunt.next(search)?;
            let labels = hunt.0[0].cell.values.split_last().expect("a search has an axis").1;
            let outer = axes.iter().zip(labels).map(|(axis, label)| axis.value(label).clone());
            let values: Vec<Value> = outer.chain([search.between.value(number)]).collect();
            let cell = recipe.cell(&axes, &values.iter().collect::<Vec<_>>());
            Some(cell.map(|cell| (index, number, cell)))
        });
        let next: Vec<Result<_, _>> = next.collect();
        wanted = next.into_iter().collect::<Result<_, _>>().map_err(|(cell, words)| {
            RunError::Figure(format!(
                "the scenario is wrong between two values with which it is right:\n{words}\n(in the cell {cell})"
            ))
        })?;
    }
    let plan = Plan { axes, cells: Vec::new(), replications, baseline: baseline / 2, search: None };
    gather(hunts, search, plan, known)
}

/// All that was probed as the cells of `plan`, whose baseline so far is the number of a search, and what was found.
fn gather(hunts: Vec<Hunt>, search: &Search, mut plan: Plan, known: u64) -> Result<Done, RunError> {
    let mut numbers: Vec<f64> = hunts.iter().flat_map(|hunt| hunt.0.iter().map(|probe| probe.number)).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let values = numbers.into_iter().map(|number| search.between.value(number)).collect();
    plan.axes.last_mut().expect("a search has an axis").values = values;
    let mut samples =
        hunts.iter().flat_map(|hunt| &hunt.0).filter_map(|probe| search.sample(&probe.result).ok().flatten());
    let mut goals = Goals {
        asked: search.to_string(),
        path: search.path.clone(),
        find: search.found(),
        metric: search.figure.to_string(),
        statistic: search.statistic(),
        bound: search.bound(),
        threshold: search.threshold,
        unit: samples.next().map_or("", |sample| sample.figure.unit),
        found: Vec::new(),
    };
    let mut results = Results { cells: Vec::new(), events: 0, windows: 0, known };
    for hunt in hunts {
        goals.found.push(hunt.found(search, plan.cells.len())?);
        for probe in hunt.0 {
            results.events += probe.events;
            results.windows += probe.windows;
            results.cells.push(probe.result);
            plan.cells.push(probe.cell);
        }
    }
    plan.baseline = goals.found[plan.baseline].first;
    Ok(Done { plan, results, goals: Some(goals) })
}
