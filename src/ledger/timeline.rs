//! Timelines: the bins added up to the scenario's step.

use super::accounts::{Accounts, Line, Part};
use super::settle::{Entry, Settled};
use super::{Count, Facts};
use crate::units::{Joules, SimTime, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is told interval by interval, in a file of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Timeline {
    /// Power and energy, with each loss: `power.csv`.
    Power,
    /// GPUs and requests: `utilisation.csv`.
    Utilisation,
    /// Money: `cost.csv`.
    Cost,
    /// Gas and water: `carbon.csv`.
    Carbon,
}

impl Timeline {
    /// All of them, in the order of their files.
    pub const ALL: [Timeline; 4] = [Timeline::Power, Timeline::Utilisation, Timeline::Cost, Timeline::Carbon];
}

/// One interval of the timelines; kept from interval to interval for its memory.
#[derive(Debug, Default)]
pub struct Step {
    /// When it begins.
    pub from: SimTime,
    /// How long it is; the last may be cut short by the horizon.
    pub span: Span,
    /// One entry for each line, in the order of [`Accounts::lines`].
    pub entries: Vec<Entry>,
    bins: std::ops::Range<usize>,
    /// The bin at hand.
    settled: Settled,
}

impl Accounts {
    /// The lines of the timelines. Those of a site follow each other; its losses and cooling are the last of them.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many rows a timeline of that step has.
    #[must_use]
    pub fn timeline_rows(&self, step: Span) -> u64 {
        let lines = self.lines.iter().filter(|line| line.is_shown()).count() as u64;
        self.grid.horizon.nanos().div_ceil(step.nanos()) * lines
    }

    /// How many intervals of `width`, a multiple of the bin, reach the horizon.
    #[must_use]
    pub fn step_count(&self, width: Span) -> usize {
        self.grid.bins().div_ceil(self.bins_in(width))
    }

    /// The intervals of `width`, a multiple of the bin, in order of time.
    pub fn steps(&self, width: Span) -> impl Iterator<Item = Step> {
        (0..self.step_count(width)).map(move |index| {
            let mut step = Step::default();
            self.read_step(width, index, &mut step);
            step
        })
    }

    /// Reads the `index`-th interval of `width`, a multiple of the bin, into `step`.
    pub fn read_step(&self, width: Span, index: usize, step: &mut Step) {
        let first = index * self.bins_in(width);
        let bins = first..(first + self.bins_in(width)).min(self.grid.bins());
        step.from = self.grid.start(first);
        step.span = self.grid.end(bins.end - 1).since(step.from);
        self.settle_into(first, &mut step.settled);
        std::mem::swap(&mut step.entries, &mut step.settled.entries);
        for bin in first + 1..bins.end {
            self.settle_into(bin, &mut step.settled);
            step.entries.iter_mut().zip(&step.settled.entries).for_each(|(sum, entry)| *sum += *entry);
        }
        step.bins = bins;
    }

    fn bins_in(&self, width: Span) -> usize {
        let ratio = (width.nanos() / self.grid.bin.nanos()) as usize;
        assert!(self.grid.bin * ratio as u64 == width, "a step is a multiple of the bin");
        ratio
    }

    /// Energy at the meter of each line's site in `step`.
    #[must_use]
    pub fn meter_energy(&self, step: &Step) -> Vec<Joules> {
        let mut energies = vec![Joules::ZERO; self.lines.len()];
        for meter in &self.meters {
            let all = step.entries[meter.lines.clone()].iter().map(|entry| entry.own.energy).sum();
            energies[meter.lines.clone()].fill(all);
        }
        energies
    }

    /// How many of `what` the tenant of `line` counted in `step`; none where it answers no requests or it is not its first line.
    #[must_use]
    pub fn counted(&self, line: &Line, what: Count, step: &Step) -> Option<u64> {
        let tenant = &self.tenants[line.tenant.filter(|_| line.part == Part::Active)?];
        let answers = matches!(tenant.facts, Facts::Service(_) | Facts::Device(_));
        answers.then(|| step.bins.clone().map(|bin| tenant.book.counted_in(what, bin)).sum())
    }
}

impl Line {
    /// False for the losses and cooling of a device, which has none.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.part != Part::LossesAndCooling || self.site.is_some()
    }
}
