//! The classes of a service: what each asked and got, and its part of all that the service spent.
//!
//! In each bin the classes share what the service took by the work of the requests that they had answered in it: tokens, weighted
//! by the time that a replica takes for one of the prompt and one of the answer. In a bin without an answer they share by the
//! work of the whole run. Every part is an integer, and the parts add up to the service.

use super::accounts::{Accounts, Boundary, Sum, Sums};
use super::settle::{Charge, Entry};
use super::{Count, Latencies};
use crate::units::{Span, Weights};

/// What a class asked and got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassBook {
    /// Name in the scenario.
    pub name: String,
    /// Requests still inside at the horizon.
    pub in_flight: u64,
    counts: [u64; Count::ALL.len()],
    latencies: Latencies,
    /// Work of answered requests, by bin.
    work: Vec<u64>,
}

impl ClassBook {
    pub(super) fn new(name: &str) -> ClassBook {
        let counts = [0; Count::ALL.len()];
        ClassBook { name: name.to_owned(), in_flight: 0, counts, latencies: Latencies::default(), work: Vec::new() }
    }

    /// Counts `number` of `what`.
    pub fn count(&mut self, what: Count, number: u64) {
        self.counts[what as usize] += number;
    }

    /// Counts an answered request: its prompt and output tokens, and its times to first token, per output token (of one token
    /// there is none) and to the last token.
    pub fn complete(&mut self, within: bool, [prompt, output]: [u32; 2], [ttft, tpot, e2e]: [Option<Span>; 3]) {
        self.count(Count::Completed, 1);
        self.count(Count::WithinSlo, u64::from(within));
        self.count(Count::PromptTokens, u64::from(prompt));
        self.count(Count::OutputTokens, u64::from(output));
        ttft.into_iter().for_each(|span| self.latencies.record_ttft(span));
        tpot.into_iter().for_each(|span| self.latencies.record_tpot(span));
        e2e.into_iter().for_each(|span| self.latencies.record_e2e(span));
    }

    /// How many of `what` were counted.
    #[must_use]
    pub fn counted(&self, what: Count) -> u64 {
        self.counts[what as usize]
    }

    /// Latencies of its answered requests.
    #[must_use]
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    pub(super) fn work_in(&mut self, bin: usize, amount: u64) {
        if bin >= self.work.len() {
            self.work.resize(bin + 1, 0);
        }
        self.work[bin] += amount;
    }

    pub(super) fn multiply(&mut self, count: u64) {
        self.in_flight *= count;
        self.counts.iter_mut().chain(&mut self.work).for_each(|number| *number *= count);
        self.latencies.multiply(count);
    }

    pub(super) fn merge(&mut self, other: &ClassBook) {
        self.in_flight += other.in_flight;
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.latencies.merge(&other.latencies);
        other.work.iter().enumerate().for_each(|(bin, &amount)| self.work_in(bin, amount));
    }
}

/// What the classes of one line's tenant share of it, bin by bin.
#[derive(Debug, Clone, Default)]
pub(super) struct Sharing {
    /// For each class: all that the line took, and what its accelerators did.
    parts: Vec<(Entry, Charge)>,
    weights: Weights,
}

impl Sharing {
    /// Of a line whose tenant has these classes.
    pub(super) fn of(classes: &[ClassBook]) -> Sharing {
        Sharing { parts: vec![Default::default(); classes.len()], weights: Weights::default() }
    }

    /// Shares the `bin`-th bin of the line, settled as `entry`, of which the accelerators were charged `accelerators`.
    pub(super) fn enter(&mut self, classes: &[ClassBook], bin: usize, entry: &Entry, accelerators: Charge) {
        if classes.is_empty() {
            return;
        }
        let worked = |class: &ClassBook| u128::from(class.work.get(bin).copied().unwrap_or(0));
        if classes.iter().any(|class| worked(class) > 0) {
            self.weights.fill(classes.iter().map(worked));
        } else {
            let all = |class: &ClassBook| class.work.iter().map(|&amount| u128::from(amount)).sum::<u128>();
            let any = classes.iter().any(|class| all(class) > 0);
            self.weights.fill(classes.iter().map(|class| if any { all(class) } else { 1 }));
        }
        entry.cut(&mut self.weights, |class, part| self.parts[class].0 += part);
        accelerators.cut(&mut self.weights, |class, part| self.parts[class].1 += part);
    }

    /// The parts, in the order of the classes.
    pub(super) fn parts(&self) -> &[(Entry, Charge)] {
        &self.parts
    }
}

impl Accounts {
    /// The parts of the classes in the `line`-th line; none where its tenant has no classes.
    pub fn class_entries(&self, line: usize) -> impl Iterator<Item = &Entry> {
        self.sharings[line].parts().iter().map(|(entry, _)| entry)
    }

    /// What the `class`-th class of the `index`-th tenant adds up to.
    pub(super) fn class_sums(&self, index: usize, class: usize) -> Sums {
        let mut sums = Sums::default();
        let mine = self.lines.iter().zip(&self.sharings).filter(|(line, _)| line.tenant == Some(index));
        mine.for_each(|(line, sharing)| {
            let (entry, accelerators) = &sharing.parts()[class];
            sums.add(line.part, entry, *accelerators);
        });
        sums
    }

    /// The classes of a tenant add up to it, inside each boundary.
    pub(super) fn assert_classes_add_up(&self) {
        for (index, tenant) in self.tenants.iter().enumerate().filter(|(_, tenant)| !tenant.book.classes().is_empty()) {
            let mut sums = Sums::default();
            (0..tenant.book.classes().len()).for_each(|class| sums += self.class_sums(index, class));
            for boundary in Boundary::ALL {
                let (given, whole): (&Sum, &Sum) = (sums.within(boundary), self.tenant_sums[index].within(boundary));
                assert_eq!(given, whole, "{}: its classes add up to it inside {}", tenant.subject, boundary.name());
            }
        }
    }
}
