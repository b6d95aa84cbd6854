//! One bin settled: what every holder of GPUs and every facility drew, and what that cost in dollars, grams and litres. Losses
//! and cooling are a line of their own; beside it, each line learns its share of them, by node energy.

use super::Spent;
use super::accounts::{Accounts, Line, Meter, Part, Pays};
use crate::facility::{Losses, Overhead};
use crate::units::{Dollars, GpuTime, GramsCo2e, Joules, Litres, Watts, Weights};
use std::collections::BTreeMap;

/// Energy at the meter and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Charge {
    /// Energy.
    pub energy: Joules,
    /// Energy bill; zero where the rent contains it.
    pub bill: Dollars,
    /// Location-based stack CO2 of the hour (scope 2).
    pub carbon: GramsCo2e,
    /// Market-based carbon (scope 2), where the site has contracts; beside the location-based, never netted with it.
    pub market: GramsCo2e,
    /// Fuel upstream of the power plants (scope 3).
    pub upstream: GramsCo2e,
    /// Water that the site evaporates.
    pub water: Litres,
    /// Water that power plants evaporate for it.
    pub water_offsite: Litres,
}

impl std::ops::AddAssign for Charge {
    fn add_assign(&mut self, other: Charge) {
        self.energy += other.energy;
        self.bill += other.bill;
        self.carbon += other.carbon;
        self.market += other.market;
        self.upstream += other.upstream;
        self.water += other.water;
        self.water_offsite += other.water_offsite;
    }
}

impl Charge {
    /// The accelerators' part, where `spent` is what the whole is charged for; `weights` lend their memory.
    pub(super) fn accelerators(self, spent: Spent, weights: &mut Weights) -> Charge {
        weights.fill([spent.accelerator.pico(), spent.host.pico()].into_iter());
        Charge {
            energy: spent.accelerator,
            bill: self.bill.first_part(weights),
            carbon: self.carbon.first_part(weights),
            market: self.market.first_part(weights),
            upstream: self.upstream.first_part(weights),
            water: self.water.first_part(weights),
            water_offsite: self.water_offsite.first_part(weights),
        }
    }
}

/// Hands the parts of one amount, cut by weights, on as charges.
macro_rules! cut_charge {
    ($whole:expr, $weights:expr, $give:expr, $($field:ident),+) => {
        $($whole.$field.cut($weights, |index, $field| $give(index, Charge { $field, ..Charge::default() }));)+
    };
}

impl Charge {
    /// Cuts every amount by `weights` and hands the parts to `give`, with the indices of their weights.
    pub(super) fn cut(self, weights: &mut Weights, mut give: impl FnMut(usize, Charge)) {
        cut_charge!(self, weights, give, energy, bill, carbon, market, upstream, water, water_offsite);
    }
}

impl Entry {
    /// As [`Charge::cut`]; the parts' own energy is that of their nodes.
    pub(super) fn cut(&self, weights: &mut Weights, mut give: impl FnMut(usize, Entry)) {
        let own = |energy| Charge { energy, ..Charge::default() };
        self.spent.time.cut(weights, |index, time| {
            give(index, Entry { spent: Spent { time, ..Spent::ZERO }, ..Entry::default() })
        });
        self.spent.accelerator.cut(weights, |index, accelerator| {
            let spent = Spent { accelerator, ..Spent::ZERO };
            give(index, Entry { spent, own: own(accelerator), ..Entry::default() });
        });
        self.spent.host.cut(weights, |index, host| {
            let spent = Spent { host, ..Spent::ZERO };
            give(index, Entry { spent, own: own(host), ..Entry::default() });
        });
        self.holding.cut(weights, |index, holding| give(index, Entry { holding, ..Entry::default() }));
        self.embodied.cut(weights, |index, embodied| give(index, Entry { embodied, ..Entry::default() }));
        assert!(self.own.energy == self.spent.node(), "a holder's own energy is that of its nodes");
        let rest = Charge { energy: Joules::ZERO, ..self.own };
        rest.cut(weights, |index, own| give(index, Entry { own, ..Entry::default() }));
        self.share.cut(weights, |index, share| give(index, Entry { share, ..Entry::default() }));
    }
}

/// One line of a bin: one part of one holder, or the losses and cooling of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// Accelerator time and node energy; nothing on a facility's line.
    pub spent: Spent,
    /// Rent, or cost of ownership without energy.
    pub holding: Dollars,
    /// Making the hardware, spread over its life.
    pub embodied: GramsCo2e,
    /// What its own energy is charged.
    pub own: Charge,
    /// Its share of losses and cooling; nothing on a facility's line.
    pub share: Charge,
    /// On a facility's line that tells them apart: conversion losses inside its own energy, of which the rest is cooling.
    pub losses: Losses,
}

impl std::ops::AddAssign for Entry {
    fn add_assign(&mut self, other: Entry) {
        self.spent += other.spent;
        self.holding += other.holding;
        self.embodied += other.embodied;
        self.own += other.own;
        self.share += other.share;
        self.losses += other.losses;
    }
}

/// A bin being settled; kept from bin to bin for its memory.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// One entry for each line, in the order of the lines.
    pub(super) entries: Vec<Entry>,
    /// What each meter shows, and what that is charged.
    pub(super) shown: Vec<Charge>,
    /// Energy of the nodes, by line of the meter at hand.
    nodes: Weights,
    /// Energy at the meter, by line of the meter at hand.
    metered: Weights,
    /// The same two of those who pay for energy.
    paying: [Weights; 2],
}

impl Accounts {
    /// Settles the `bin`-th bin, one entry for each line, in the order of the lines, into memory that is used again.
    pub(super) fn settle_into(&self, bin: usize, settled: &mut Settled) {
        settled.entries.clear();
        settled.entries.resize(self.lines.len(), Entry::default());
        settled.shown.clear();
        let mut held = GpuTime::ZERO;
        for (line, entry) in self.lines.iter().zip(&mut settled.entries) {
            let spent = match (line.part, line.tenant, line.cluster) {
                (Part::LossesAndCooling, ..) => Spent::ZERO,
                (_, Some(tenant), _) => self.tenants[tenant].book.spent_among(&line.uses, bin),
                // The lines of a cluster's tenants come before that of what nobody held.
                (_, None, cluster) => {
                    let cluster = cluster.expect("what nobody holds stands in a cluster");
                    self.unallocated(cluster, bin, std::mem::take(&mut held))
                }
            };
            if line.cluster.is_some() && line.tenant.is_some() {
                held += spent.time;
            }
            line.open(spent, entry);
            if let Some(cluster) = line.cluster {
                entry.embodied = self.clusters[cluster].embodied * spent.time;
            }
        }
        for meter in &self.meters {
            self.charge(meter, bin, settled);
        }
    }

    /// The GPUs of `cluster` that nobody held, at their idle power.
    fn unallocated(&self, cluster: usize, bin: usize, held: GpuTime) -> Spent {
        let books = &self.clusters[cluster];
        let all = GpuTime::new(books.gpus, self.grid.span(bin));
        assert!(
            held <= all,
            "cluster.{} lends no more GPUs than it has, in bin {bin}: {held:?} of {all:?}",
            books.name
        );
        if held == all { Spent::ZERO } else { books.idle_gpu.for_gpu_time(all - held) }
    }

    /// Charges the lines behind `meter` for the `bin`-th bin; the last of them is the losses and cooling.
    fn charge(&self, meter: &Meter, bin: usize, settled: &mut Settled) {
        let plan = &self.sites[meter.site];
        let entries = &mut settled.entries[meter.lines.clone()];
        let (nodes, metered) = (&mut settled.nodes, &mut settled.metered);
        nodes.fill(entries.iter().map(|entry| entry.spent.node().pico()));
        let it: Joules = entries.iter().map(|entry| entry.spent.node()).sum();
        let (hour, span) = (self.grid.hour(bin), self.grid.span(bin));
        let Overhead { energy: overhead, losses, water } = match meter.has_facility {
            true => plan.facility.overhead(it, hour, span),
            false => Overhead::default(),
        };
        let facility = entries.len() - 1;
        entries[facility].own.energy = overhead;
        entries[facility].losses = losses.unwrap_or_default();
        assert!(entries[facility].losses.total() <= overhead, "conversion losses are part of losses and cooling");
        overhead.cut(nodes, |line, part| entries[line].share.energy = part);
        water.cut(nodes, |line, part| entries[line].own.water = part);

        let energy = it + overhead;
        metered.fill(entries.iter().map(|entry| entry.own.energy.pico()));
        let carbon = plan.market.direct(hour) * energy;
        carbon.cut(metered, |line, part| entries[line].own.carbon = part);
        entries[facility].own.carbon.cut(nodes, |line, part| entries[line].share.carbon = part);
        let kept = self.market_based.get(&meter.site).filter(|_| meter.has_facility);
        let market = kept.map_or(GramsCo2e::ZERO, |bins| bins[bin]);
        market.cut(metered, |line, part| entries[line].own.market = part);
        entries[facility].own.market.cut(nodes, |line, part| entries[line].share.market = part);
        let upstream = plan.market.upstream(hour) * energy;
        upstream.cut(metered, |line, part| entries[line].own.upstream = part);
        entries[facility].own.upstream.cut(nodes, |line, part| entries[line].share.upstream = part);
        let water_offsite = plan.market.offsite_water() * energy;
        water_offsite.cut(metered, |line, part| entries[line].own.water_offsite = part);
        entries[facility].own.water_offsite.cut(nodes, |line, part| entries[line].share.water_offsite = part);

        let bill = self.bill(meter, bin, settled);
        let whole = Charge { energy, bill, carbon, market, upstream, water, water_offsite };
        settled.shown.push(whole);
        if cfg!(debug_assertions) {
            assert_conserved(whole, &settled.entries[meter.lines.clone()]);
        }
    }

    /// Bills the energy of the lines whose rent does not contain it, and returns the whole bill.
    fn bill(&self, meter: &Meter, bin: usize, settled: &mut Settled) -> Dollars {
        let entries = &mut settled.entries[meter.lines.clone()];
        let facility = entries.len() - 1;
        let lines = &self.lines[meter.lines.clone()];
        let market = &self.sites[meter.site].market;
        let demand = self.demand.get(&(meter.site, bin)).filter(|_| meter.has_facility).copied().unwrap_or_default();
        let cost = |energy: Joules| market.price(self.grid.hour(bin)) * energy + demand;
        if lines[..facility].iter().all(|line| line.pays.energy()) {
            let bill = cost(entries.iter().map(|entry| entry.own.energy).sum());
            bill.cut(&mut settled.metered, |line, part| entries[line].own.bill = part);
            entries[facility].own.bill.cut(&mut settled.nodes, |line, part| entries[line].share.bill = part);
            return bill;
        }
        let [nodes, metered] = &mut settled.paying;
        let pays = |line: usize, energy: Joules| if lines[line].pays.energy() { energy.pico() } else { 0 };
        nodes.fill((0..lines.len()).map(|line| pays(line, entries[line].spent.node())));
        let shares: u128 = (0..lines.len()).map(|line| pays(line, entries[line].share.energy)).sum();
        metered.fill(
            (0..lines.len()).map(|line| if line == facility { shares } else { pays(line, entries[line].spent.node()) }),
        );
        let energy =
            entries.iter().enumerate().map(|(line, entry)| pays(line, entry.spent.node() + entry.share.energy));
        let bill = cost(Joules::from_pico(energy.sum()));
        bill.cut(metered, |line, part| entries[line].own.bill = part);
        entries[facility].own.bill.cut(nodes, |line, part| entries[line].share.bill = part);
        bill
    }

    /// What `energy` says of each line behind `meter`, in picojoules; zero of those whose rent contains it.
    fn paying(&self, meter: &Meter, entries: &[Entry], energy: impl Fn(&Entry) -> Joules) -> Vec<u128> {
        let lines = self.lines[meter.lines.clone()].iter();
        lines.zip(entries).map(|(line, entry)| if line.pays.energy() { energy(entry).pico() } else { 0 }).collect()
    }

    /// Market-based carbon of each bin at the sites that have contracts: that of each period, by the energy of its bins.
    pub(super) fn market_based(&self) -> BTreeMap<usize, Vec<GramsCo2e>> {
        let mut sites = BTreeMap::new();
        for meter in self.meters.iter().filter(|meter| meter.has_facility) {
            let Some(contracts) = self.sites[meter.site].market.contracts() else { continue };
            let mut settled = Settled::default();
            let metered = |bin| {
                self.settle_into(bin, &mut settled);
                settled.entries[meter.lines.clone()].iter().map(|entry| entry.own.energy).sum()
            };
            let energy: Vec<Joules> = (0..self.grid.bins()).map(metered).collect();
            let (mut carbon, mut first) = (Vec::with_capacity(energy.len()), 0);
            for period in contracts.periods(self.start, self.grid.hour(energy.len() - 1) + 1) {
                let last = (first..energy.len()).find(|&bin| self.grid.hour(bin) >= period.end).unwrap_or(energy.len());
                let mut supplied = vec![Joules::ZERO; contracts.supply(0).count()];
                for bin in first..last {
                    let power = contracts.supply(self.grid.hour(bin));
                    supplied.iter_mut().zip(power).for_each(|(sum, power)| *sum += power * self.grid.span(bin));
                }
                let bins = &energy[first..last];
                let weights: Vec<u128> = bins.iter().map(|energy| energy.pico()).collect();
                carbon.extend(contracts.carbon(bins.iter().copied().sum(), &supplied).split(&weights));
                first = last;
            }
            sites.insert(meter.site, carbon);
        }
        sites
    }

    /// The charge on the peak of each billing month, by site and by the bin in which the peak lies, the first of equals. A peak is
    /// the mean power over a bin of those who pay for energy, their losses and cooling included; each pays its share of it there.
    pub(super) fn demand_charges(&self) -> BTreeMap<(usize, usize), Dollars> {
        let (mut charges, mut settled) = (BTreeMap::new(), Settled::default());
        for meter in self.meters.iter().filter(|meter| meter.has_facility) {
            for month in self.sites[meter.site].market.billing() {
                let mut peak = (Watts::ZERO, 0);
                for bin in (0..self.grid.bins()).filter(|&bin| month.hours.contains(&self.grid.hour(bin))) {
                    self.settle_into(bin, &mut settled);
                    let entries = &settled.entries[meter.lines.clone()];
                    let paying = self.paying(meter, entries, |entry| entry.spent.node() + entry.share.energy);
                    let power = Joules::from_pico(paying.iter().sum()).mean_over(self.grid.span(bin));
                    if power > peak.0 {
                        peak = (power, bin);
                    }
                }
                if peak.0 > Watts::ZERO {
                    charges.insert((meter.site, peak.1), month.price * peak.0);
                }
            }
        }
        charges
    }
}

impl Line {
    /// Enters what its holder `spent`, and what holding it cost, in an empty `entry`.
    fn open(&self, spent: Spent, entry: &mut Entry) {
        if spent.is_zero() {
            return;
        }
        entry.spent = spent;
        entry.own.energy = spent.node();
        match self.pays {
            Pays::Rent(price) | Pays::Ownership(price) => entry.holding = price * spent.time,
            Pays::Energy | Pays::Nothing => {}
        }
    }
}

impl Entry {
    /// True where nothing was spent and nothing is charged.
    pub(super) fn is_empty(&self) -> bool {
        self.spent.is_zero() && self.own == Charge::default() && self.share == Charge::default()
    }
}

/// Both ways of adding up give the meter: lines with losses and cooling apart, and lines with their shares of them.
pub(super) fn assert_conserved<'a>(whole: Charge, entries: impl IntoIterator<Item = &'a Entry>) {
    let (mut apart, mut shares, mut facility) = (Charge::default(), Charge::default(), Charge::default());
    for entry in entries {
        apart += entry.own;
        shares += entry.share;
        facility = entry.own;
    }
    assert_eq!(apart, whole, "tenants, idle, losses and cooling add up to the meter");
    assert_eq!(shares, facility, "shares of losses and cooling add up to them");
}
