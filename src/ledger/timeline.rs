//! Timelines: the bins added up to the scenario's step.

use super::accounts::{Accounts, Line, Part};
use super::settle::Entry;
use super::{Count, Facts};
use crate::units::{Joules, SimTime, Span};

/// One interval of the timelines.
#[derive(Debug, Clone)]
pub struct Step {
    /// When it begins.
    pub from: SimTime,
    /// How long it is; the last may be cut short by the horizon.
    pub span: Span,
    /// One entry for each line, in the order of [`Accounts::lines`].
    pub entries: Vec<Entry>,
    bins: std::ops::Range<usize>,
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

    /// The intervals of `step`, a multiple of the bin, in order of time.
    pub fn steps(&self, step: Span) -> impl Iterator<Item = Step> {
        let ratio = (step.nanos() / self.grid.bin.nanos()) as usize;
        assert!(self.grid.bin * ratio as u64 == step, "a step is a multiple of the bin");
        let bins = self.grid.bins();
        (0..bins).step_by(ratio).map(move |first| self.step(first..(first + ratio).min(bins)))
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

    fn step(&self, bins: std::ops::Range<usize>) -> Step {
        let from = self.grid.start(bins.start);
        let mut entries = self.settle(bins.start);
        for bin in bins.start + 1..bins.end {
            entries.iter_mut().zip(self.settle(bin)).for_each(|(sum, entry)| *sum += entry);
        }
        Step { from, span: self.grid.end(bins.end - 1).since(from), entries, bins }
    }
}

impl Line {
    /// False for the losses and cooling of a device, which has none.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.part != Part::LossesAndCooling || self.site.is_some()
    }
}
