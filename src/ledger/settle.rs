//! One bin settled: what every holder of GPUs and every facility drew, and what that cost in dollars, grams and litres. Losses
//! and cooling are a line of their own; beside it, each line learns its share of them, by node energy.

use super::Spent;
use super::accounts::{Accounts, Line, Meter, Part, Pays};
use crate::facility::{Losses, Overhead};
use crate::units::{Dollars, GpuTime, GramsCo2e, Joules, Litres, Watts};
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
    /// The accelerators' part, where `spent` is what the whole is charged for.
    pub(super) fn accelerators(self, spent: Spent) -> Charge {
        let weights = [spent.accelerator.pico(), spent.host.pico()];
        Charge {
            energy: spent.accelerator,
            bill: self.bill.split(&weights)[0],
            carbon: self.carbon.split(&weights)[0],
            market: self.market.split(&weights)[0],
            upstream: self.upstream.split(&weights)[0],
            water: self.water.split(&weights)[0],
            water_offsite: self.water_offsite.split(&weights)[0],
        }
    }
}

/// One line of a bin: one part of one holder, or the losses and cooling of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Entry {
    /// Accelerator time and node energy; nothing on a facility's line.
    pub spent: Spent,
    /// Rent, or cost of ownership without energy.
    pub holding: Dollars,
    /// Making the hardware, spread over its life; owned hardware only.
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

impl Accounts {
    /// Settles the `bin`-th bin: one entry for each line, in the order of the lines.
    pub(super) fn settle(&self, bin: usize) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.lines.iter().map(|line| self.open(line, bin)).collect();
        for meter in &self.meters {
            self.charge(meter, bin, &mut entries[meter.lines.clone()]);
        }
        entries
    }

    /// What the holder of `line` spent in the `bin`-th bin, and what holding it cost.
    fn open(&self, line: &Line, bin: usize) -> Entry {
        let spent = match (line.part, line.tenant, line.cluster) {
            (Part::LossesAndCooling, ..) => Spent::ZERO,
            (part, Some(tenant), _) => part.spent_in(&self.tenants[tenant].book, bin),
            (_, None, cluster) => self.unallocated(cluster.expect("what nobody holds stands in a cluster"), bin),
        };
        let (holding, embodied) = match line.pays {
            Pays::Rent(price) => (price * spent.time, GramsCo2e::ZERO),
            Pays::Ownership(price) => (price * spent.time, embodied(spent.time)),
            Pays::Energy | Pays::Nothing => (Dollars::ZERO, GramsCo2e::ZERO),
        };
        let own = Charge { energy: spent.node(), ..Charge::default() };
        Entry { spent, holding, embodied, own, ..Entry::default() }
    }

    /// The GPUs of `cluster` that nobody held, at their idle power.
    fn unallocated(&self, cluster: usize, bin: usize) -> Spent {
        let books = &self.clusters[cluster];
        let mine = self.tenants.iter().filter(|tenant| tenant.cluster == Some(cluster));
        let held: GpuTime = mine.map(|tenant| tenant.book.held_in(bin)).sum();
        let all = GpuTime::new(books.gpus, self.grid.span(bin));
        assert!(
            held <= all,
            "cluster.{} lends no more GPUs than it has, in bin {bin}: {held:?} of {all:?}",
            books.name
        );
        books.idle_gpu.for_gpu_time(all - held)
    }

    /// Charges the lines behind `meter` for the `bin`-th bin; the last of them is the losses and cooling.
    fn charge(&self, meter: &Meter, bin: usize, entries: &mut [Entry]) {
        let plan = &self.sites[meter.site];
        let nodes: Vec<u128> = entries.iter().map(|entry| entry.spent.node().pico()).collect();
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
        each(entries, overhead.split(&nodes), |entry, part| entry.share.energy = part);
        each(entries, water.split(&nodes), |entry, part| entry.own.water = part);

        let energy = it + overhead;
        let metered: Vec<u128> = entries.iter().map(|entry| entry.own.energy.pico()).collect();
        let carbon = plan.market.direct(hour) * energy;
        each(entries, carbon.split(&metered), |entry, part| entry.own.carbon = part);
        each(entries, entries[facility].own.carbon.split(&nodes), |entry, part| entry.share.carbon = part);
        let kept = self.market_based.get(&meter.site).filter(|_| meter.has_facility);
        let market = kept.map_or(GramsCo2e::ZERO, |bins| bins[bin]);
        each(entries, market.split(&metered), |entry, part| entry.own.market = part);
        each(entries, entries[facility].own.market.split(&nodes), |entry, part| entry.share.market = part);
        let upstream = plan.market.upstream(hour) * energy;
        each(entries, upstream.split(&metered), |entry, part| entry.own.upstream = part);
        each(entries, entries[facility].own.upstream.split(&nodes), |entry, part| entry.share.upstream = part);
        let water_offsite = plan.market.offsite_water() * energy;
        each(entries, water_offsite.split(&metered), |entry, part| entry.own.water_offsite = part);
        each(entries, entries[facility].own.water_offsite.split(&nodes), |entry, part| {
            entry.share.water_offsite = part
        });

        let bill = self.bill(meter, bin, entries);
        let whole = Charge { energy, bill, carbon, market, upstream, water, water_offsite };
        assert_conserved(whole, entries);
    }

    /// Bills the energy of the lines whose rent does not contain it, and returns the whole bill.
    fn bill(&self, meter: &Meter, bin: usize, entries: &mut [Entry]) -> Dollars {
        let nodes = self.paying(meter, entries, |entry| entry.spent.node());
        let facility = entries.len() - 1;
        let mut metered = nodes.clone();
        metered[facility] = self.paying(meter, entries, |entry| entry.share.energy).iter().sum();
        let energy = Joules::from_pico(metered.iter().sum());
        let mut bill = self.sites[meter.site].market.price(self.grid.hour(bin)) * energy;
        if meter.has_facility {
            bill += self.demand.get(&(meter.site, bin)).copied().unwrap_or_default();
        }
        each(entries, bill.split(&metered), |entry, part| entry.own.bill = part);
        each(entries, entries[facility].own.bill.split(&nodes), |entry, part| entry.share.bill = part);
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
            let metered = |bin| self.settle(bin)[meter.lines.clone()].iter().map(|entry| entry.own.energy).sum();
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
        let mut charges = BTreeMap::new();
        for meter in self.meters.iter().filter(|meter| meter.has_facility) {
            for month in self.sites[meter.site].market.billing() {
                let mut peak = (Watts::ZERO, 0);
                for bin in (0..self.grid.bins()).filter(|&bin| month.hours.contains(&self.grid.hour(bin))) {
                    let entries = &self.settle(bin)[meter.lines.clone()];
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

/// Gives each entry its part.
fn each<A>(entries: &mut [Entry], parts: Vec<A>, set: impl Fn(&mut Entry, A)) {
    entries.iter_mut().zip(parts).for_each(|(entry, part)| set(entry, part));
}

/// Both ways of adding up give the meter: lines with losses and cooling apart, and lines with their shares of them.
fn assert_conserved(whole: Charge, entries: &[Entry]) {
    let (mut apart, mut shared) = (Charge::default(), Charge::default());
    let (facility, holders) = entries.split_last().expect("a meter has a line for losses and cooling");
    for entry in holders {
        apart += entry.own;
        shared += entry.own;
        shared += entry.share;
    }
    apart += facility.own;
    assert_eq!(apart, whole, "tenants, idle, losses and cooling add up to the meter");
    assert_eq!(shared, whole, "shares of losses and cooling add up to them");
}

/// Carbon of making the hardware: 7.0 t for an 8-GPU server over 5 years, 20.0 g a GPU-hour (models/energy.md section 7).
fn embodied(time: GpuTime) -> GramsCo2e {
    const NANOS_PER_HOUR: u128 = 3_600_000_000_000;
    const MICROGRAMS_PER_GPU_HOUR: u128 = 20_000_000;
    GramsCo2e::from_micro(
        time.nanos() / NANOS_PER_HOUR * MICROGRAMS_PER_GPU_HOUR
            + time.nanos() % NANOS_PER_HOUR * MICROGRAMS_PER_GPU_HOUR / NANOS_PER_HOUR,
    )
}
