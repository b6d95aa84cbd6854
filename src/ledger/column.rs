//! One use of GPUs, bin by bin. Bins on end that took the same - a job that trains on between two checkpoints, a spare that stands
//! by - cost the memory of one, so that a year of minutes fits.

use super::Spent;
use crate::units::{GpuTime, Joules};

/// Bins that lie together.
pub(super) const RUN: usize = 64;

/// What one use took in each bin; nothing past the last bin entered.
#[derive(Debug, Clone, Default)]
pub(super) struct Column(Vec<Run>);

/// So many bins on end.
#[derive(Debug, Clone)]
enum Run {
    /// The same in each of them.
    Alike(Spent),
    /// Few stretches of the same: the bin behind each, and what each of its bins took.
    Few(Box<[(usize, Spent)]>),
    /// What each took.
    Apart(Box<[Spent; RUN]>),
}

impl Run {
    /// What each bin took, to be added to.
    fn apart(&mut self) -> &mut [Spent; RUN] {
        if !matches!(self, Run::Apart(_)) {
            *self = Run::Apart(Box::new(std::array::from_fn(|bin| self.at(bin))));
        }
        match self {
            Run::Apart(bins) => bins,
            Run::Alike(_) | Run::Few(_) => unreachable!("it was laid apart above"),
        }
    }

    #[inline]
    fn at(&self, bin: usize) -> Spent {
        match self {
            Run::Alike(each) => *each,
            Run::Few(stretches) => stretches.iter().find(|(end, _)| bin < *end).map_or(Spent::ZERO, |(_, each)| *each),
            Run::Apart(bins) => bins[bin],
        }
    }

    /// Lays bins that are alike together where that takes less than half the memory.
    fn pack(&mut self) {
        let Run::Apart(bins) = self else { return };
        let (mut stretches, mut count) = ([(0, Spent::ZERO); RUN / 3], 0);
        for (bin, &spent) in bins.iter().enumerate() {
            if count > 0 && stretches[count - 1].1 == spent {
                stretches[count - 1].0 = bin + 1;
            } else if count < stretches.len() {
                stretches[count] = (bin + 1, spent);
                count += 1;
            } else {
                return;
            }
        }
        *self = if count == 1 { Run::Alike(stretches[0].1) } else { Run::Few(stretches[..count].into()) };
    }
}

impl Column {
    /// What the `bin`-th bin took.
    #[inline]
    pub(super) fn at(&self, bin: usize) -> Spent {
        self.0.get(bin / RUN).map_or(Spent::ZERO, |run| run.at(bin % RUN))
    }

    /// Adds to what the `bin`-th bin took.
    #[inline]
    pub(super) fn add(&mut self, bin: usize, spent: Spent) {
        match self.0.get_mut(bin / RUN) {
            Some(Run::Apart(bins)) => bins[bin % RUN] += spent,
            _ => self.run(bin / RUN).apart()[bin % RUN] += spent,
        }
    }

    /// Adds the same to each bin of the `index`-th run.
    pub(super) fn add_to_run(&mut self, index: usize, each: Spent) {
        match self.run(index) {
            Run::Alike(sum) => *sum += each,
            Run::Few(stretches) => stretches.iter_mut().for_each(|(_, sum)| *sum += each),
            Run::Apart(bins) => bins.iter_mut().for_each(|bin| *bin += each),
        }
    }

    /// Adds all of `other`.
    pub(super) fn merge(&mut self, other: Column) {
        for (index, run) in other.0.into_iter().enumerate() {
            match run {
                Run::Alike(each) if each.is_zero() => {}
                Run::Alike(each) => self.add_to_run(index, each),
                theirs => {
                    let mine = self.run(index).apart().iter_mut();
                    mine.enumerate().for_each(|(bin, sum)| *sum += theirs.at(bin));
                    self.0[index].pack();
                }
            }
        }
    }

    /// Everything `count` times.
    pub(super) fn multiply(&mut self, count: u64) {
        for run in &mut self.0 {
            match run {
                Run::Alike(each) => *each = times(each, count),
                Run::Few(stretches) => stretches.iter_mut().for_each(|(_, each)| *each = times(each, count)),
                Run::Apart(bins) => bins.iter_mut().for_each(|each| *each = times(each, count)),
            }
        }
    }

    /// What all bins took.
    pub(super) fn total(&self) -> Spent {
        let of_run = |run: &Run| match run {
            Run::Alike(each) => times(each, RUN as u64),
            Run::Few(stretches) => {
                let mut from = 0;
                let length =
                    |&(end, each): &(usize, Spent)| times(&each, (end - std::mem::replace(&mut from, end)) as u64);
                stretches.iter().map(length).sum()
            }
            Run::Apart(bins) => bins.iter().copied().sum(),
        };
        self.0.iter().map(of_run).sum()
    }

    #[cold]
    fn run(&mut self, index: usize) -> &mut Run {
        if index >= self.0.len() {
            // Books are written forwards, but for some minutes that turn out to have been lost: those of the last run may still change.
            let written = if index > self.0.len() { self.0.len() } else { self.0.len().saturating_sub(1) };
            self.0[written.saturating_sub(2)..written].iter_mut().for_each(Run::pack);
            self.0.resize(index + 1, Run::Alike(Spent::ZERO));
        }
        &mut self.0[index]
    }
}

/// The same `count` times.
fn times(each: &Spent, count: u64) -> Spent {
    let count = u128::from(count);
    Spent {
        time: GpuTime::from_nanos(each.time.nanos() * count),
        accelerator: Joules::from_pico(each.accelerator.pico() * count),
        host: Joules::from_pico(each.host.pico() * count),
    }
}
