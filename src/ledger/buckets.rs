//! What each use of GPUs cost: accelerator time, energy, money, gas and water of every bucket of a tenant's time, losses and
//! cooling included.
//!
//! Within a bin the uses of a line share what their energy was charged in proportion to it, so that a restart at night costs what
//! the night costs. Time, node energy and holding are exact; the rest is weighed in floating point and what rounding leaves
//! over goes to the heaviest use, so that the buckets of a tenant add up to its sums to the last unit.

use super::accounts::{Accounts, Boundary, Line, Sum};
use super::settle::Entry;
use super::{Book, Use};
use crate::units::{Dollars, GramsCo2e, Joules, Litres, Weights};

/// One use of a tenant's GPUs, and all that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Where its time went.
    pub what: Use,
    /// What it took, inside boundary B4.
    pub sum: Sum,
}

/// What is weighed, in the order of [`charges`].
const CHARGES: usize = 7;

/// What the energy of a line is charged, its share of losses and cooling included, in the units that are counted: the overhead's
/// energy, bill, carbon, market-based carbon, fuel upstream, water on site and off site.
fn charges(entry: &Entry) -> [i128; CHARGES] {
    let (own, share) = (&entry.own, &entry.share);
    [
        share.energy.pico() as i128,
        (own.bill + share.bill).nano(),
        (own.carbon + share.carbon).micro() as i128,
        (own.market + share.market).micro() as i128,
        (own.upstream + share.upstream).micro() as i128,
        (own.water + share.water).micro() as i128,
        (own.water_offsite + share.water_offsite).micro() as i128,
    ]
}

/// The charges of one line by its uses, bin by bin.
#[derive(Debug, Clone, Default)]
pub(super) struct Weighing(Vec<[f64; CHARGES]>);

impl Weighing {
    /// A weighing for `line`; one of a single use has nothing to weigh.
    pub(super) fn of(line: &Line) -> Weighing {
        Weighing(if line.uses.len() > 1 { vec![[0.0; CHARGES]; line.uses.len()] } else { Vec::new() })
    }

    /// Enters the `bin`-th bin of `line`, settled as `entry`.
    pub(super) fn enter(&mut self, line: &Line, book: &Book, bin: usize, entry: &Entry) {
        let whole = entry.own.energy.pico() as f64;
        if self.0.is_empty() || whole == 0.0 {
            return;
        }
        // What 64 bits hold, as all but energy does, takes one instruction.
        let float = |charge: i128| i64::try_from(charge).map_or(charge as f64, |charge| charge as f64);
        let charged = charges(entry).map(|charge| float(charge) / whole);
        for (weights, &what) in self.0.iter_mut().zip(&line.uses) {
            let energy = book.spent_in(what, bin).node().pico();
            if energy > 0 {
                weights.iter_mut().zip(charged).for_each(|(weight, charge)| *weight += energy as f64 * charge);
            }
        }
    }

    /// The buckets of `line`, whose bins add up to `total`.
    pub(super) fn close(&self, line: &Line, book: &Book, total: &Entry) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> = line.uses.iter().map(|&what| Bucket { what, sum: Sum::default() }).collect();
        let mut times = Weights::new(&line.uses.iter().map(|&what| book.spent(what).time.nanos()).collect::<Vec<_>>());
        total.holding.cut(&mut times, |index, cost| buckets[index].sum.cost = cost);
        total.embodied.cut(&mut times, |index, embodied| buckets[index].sum.embodied = embodied);
        let mut parts: Vec<[i128; CHARGES]> = vec![[0; CHARGES]; buckets.len()];
        for (charge, &whole) in charges(total).iter().enumerate() {
            let weights: Vec<f64> = self.0.iter().map(|weights| weights[charge]).collect();
            parts.iter_mut().zip(apportion(whole, &weights)).for_each(|(part, amount)| part[charge] = amount);
        }
        for (bucket, part) in buckets.iter_mut().zip(&parts) {
            let spent = book.spent(bucket.what);
            let sum = &mut bucket.sum;
            sum.time = spent.time;
            sum.energy = spent.node() + Joules::from_pico(part[0] as u128);
            sum.cost += Dollars::from_nano(part[1]);
            sum.carbon = GramsCo2e::from_micro(part[2] as u128);
            sum.market = GramsCo2e::from_micro(part[3] as u128);
            sum.upstream = GramsCo2e::from_micro(part[4] as u128);
            sum.water = Litres::from_micro(part[5] as u128);
            sum.water_offsite = Litres::from_micro(part[6] as u128);
        }
        buckets
    }
}

/// `whole` in parts as near to `weights` as rounding lets, the heaviest taking what is left over; all of it where there is only
/// one taker, who has no weight. The weights add up to `whole` but for what floating point loses.
fn apportion(whole: i128, weights: &[f64]) -> Vec<i128> {
    if weights.is_empty() {
        return vec![whole];
    }
    let mut parts: Vec<i128> = weights.iter().map(|weight| weight.round() as i128).collect();
    let heavier = |a: &usize, b: &usize| f64::total_cmp(&weights[*a].abs(), &weights[*b].abs());
    let heaviest = (0..weights.len()).max_by(heavier).expect("there is a taker");
    parts[heaviest] += whole - parts.iter().sum::<i128>();
    parts
}

impl Accounts {
    /// The time of the `index`-th tenant by use, each use that it spent on once; together what it adds up to inside B4.
    #[must_use]
    pub fn buckets(&self, index: usize) -> &[Bucket] {
        &self.buckets[index]
    }

    /// What unplanned interruptions took of the `index`-th tenant: work done again, and everything until it ran again. Its spares
    /// and nodes in repair are apart.
    #[must_use]
    pub(super) fn lost(&self, index: usize) -> Sum {
        let mut lost = Sum::default();
        self.buckets[index].iter().filter(|bucket| bucket.what.is_lost()).for_each(|bucket| lost += bucket.sum);
        lost
    }

    pub(super) fn assert_buckets_add_up(&self) {
        for (buckets, sums) in self.buckets.iter().zip(&self.tenant_sums) {
            let mut sum = Sum::default();
            buckets.iter().for_each(|bucket| sum += bucket.sum);
            assert_eq!(sum, *sums.within(Boundary::B4), "the buckets of a tenant add up to it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_leaves_goes_to_the_heaviest() {
        assert_eq!(apportion(10, &[2.4, 7.4, 0.2]), [2, 8, 0]);
        assert_eq!(apportion(-5, &[1.6, -6.5]), [2, -7]);
        assert_eq!(apportion(7, &[]), [7]);
        assert_eq!(apportion(0, &[0.0, 0.0]), [0, 0]);
    }
}
