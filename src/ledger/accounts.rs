//! The books closed against the meters: who held what, behind which meter, and what each tenant's, cluster's and site's bins
//! add up to. A bin is settled when it is read, so that a year of minutes needs no more memory than its books.

use super::buckets::{Bucket, Weighing};
use super::classes::Sharing;
use super::comparison::Curve;
use super::figures::{self, Figure};
use super::settle::{Charge, Entry, Settled, assert_conserved};
use super::{Book, CapFacts, Comparison, Count, Draw, Facts, Grid, Shift, SitePlan, Tenant, Use};
use crate::units::{Dollars, DollarsPerHour, GpuTime, GramsCo2e, GramsPerHour, Joules, Litres, Watts, Weights};
use std::collections::BTreeMap;
use std::ops::Range;

/// What holding a GPU of a cluster costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Holding {
    /// A price for each GPU-hour held; energy is inside it.
    Rented(DollarsPerHour),
    /// Annuity and maintenance for each GPU-hour, held or not; energy is billed on top.
    Owned(DollarsPerHour),
}

/// What the ledger knows of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterBooks {
    /// Name in the scenario.
    pub name: String,
    /// Index of its site.
    pub site: usize,
    /// All its GPUs.
    pub gpus: u32,
    /// Draw of GPUs that nobody holds, and of their host: of one GPU, or of several together.
    pub idle_gpu: Draw,
    /// What holding a GPU costs.
    pub holding: Holding,
    /// Carbon of making the hardware, for each GPU-hour of its life.
    pub embodied: GramsPerHour,
}

/// Which GPUs and what around them a figure counts; each boundary contains the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Boundary {
    /// Accelerators at work.
    B1,
    /// And the hosts around them.
    B2,
    /// And what stands idle or reserved: spares, nodes in repair, warm replicas.
    B3,
    /// And the facility: losses and cooling.
    B4,
}

impl Boundary {
    /// All four, the narrowest first.
    pub const ALL: [Boundary; 4] = [Boundary::B1, Boundary::B2, Boundary::B3, Boundary::B4];

    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Boundary::B1 => "B1",
            Boundary::B2 => "B2",
            Boundary::B3 => "B3",
            Boundary::B4 => "B4",
        }
    }
}

/// Part of what somebody held, as the timelines tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// At work, or recovering from a failure.
    Active,
    /// A spare that stands by.
    Spare,
    /// A node in repair.
    Repair,
    /// A replica that waits for requests.
    WarmIdle,
    /// A job that waits for cleaner or cheaper hours.
    Paused,
    /// Held by nobody.
    Unallocated,
    /// A site's conversion losses and cooling.
    LossesAndCooling,
}

impl Part {
    /// The parts that a tenant can hold.
    const HELD: [Part; 5] = [Part::Active, Part::Spare, Part::Repair, Part::WarmIdle, Part::Paused];

    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Part::Active => "active",
            Part::Spare => "spare",
            Part::Repair => "repair",
            Part::WarmIdle => "warm_idle",
            Part::Paused => "paused",
            Part::Unallocated => "unallocated",
            Part::LossesAndCooling => "losses_and_cooling",
        }
    }

    /// The narrowest boundary that holds it; B1 holds the accelerators of active GPUs alone. None of what nobody held.
    #[must_use]
    pub const fn boundary(self) -> Option<Boundary> {
        match self {
            Part::Active => Some(Boundary::B2),
            Part::Spare | Part::Repair | Part::WarmIdle | Part::Paused => Some(Boundary::B3),
            Part::LossesAndCooling => Some(Boundary::B4),
            Part::Unallocated => None,
        }
    }

    /// The part that a use belongs to.
    const fn of(what: Use) -> Part {
        match what {
            Use::Spare | Use::Degraded => Part::Spare,
            Use::Repair => Part::Repair,
            Use::WarmIdle => Part::WarmIdle,
            Use::Paused => Part::Paused,
            Use::Unallocated => Part::Unallocated,
            _ => Part::Active,
        }
    }

    fn uses(self) -> impl Iterator<Item = Use> {
        Use::ALL.into_iter().filter(move |&what| Part::of(what) == self)
    }
}

/// How a line is paid for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pays {
    /// A rent, energy inside.
    Rent(DollarsPerHour),
    /// Cost of ownership, and energy.
    Ownership(DollarsPerHour),
    /// Energy alone: a device.
    Energy,
    /// Nothing: what nobody rents.
    Nothing,
}

impl Pays {
    /// Whether energy is billed to it.
    pub(super) const fn energy(self) -> bool {
        matches!(self, Pays::Ownership(_) | Pays::Energy)
    }
}

/// One line of the timelines: one part of one tenant, what a cluster leaves over, or a site's losses and cooling.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Index of its site; a device stands at none.
    pub site: Option<usize>,
    /// Index of its cluster.
    pub cluster: Option<usize>,
    /// Index of its tenant; nobody's lines have none.
    pub tenant: Option<usize>,
    /// Which part of it.
    pub part: Part,
    pub(super) pays: Pays,
    /// The uses of its part that its tenant ever spent on.
    pub(super) uses: Vec<Use>,
}

/// Lines that are billed together: those of a site, or of a device.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meter {
    /// Index of the site whose market bills it.
    pub(super) site: usize,
    /// Whether the site's facility stands behind it, too.
    pub(super) has_facility: bool,
    /// Its lines; the last is its losses and cooling.
    pub(super) lines: Range<usize>,
}

/// What a subject's share of the world adds up to, inside one boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Accelerator time.
    pub time: GpuTime,
    /// Energy.
    pub energy: Joules,
    /// Holding and energy.
    pub cost: Dollars,
    /// Location-based stack CO2 (scope 2).
    pub carbon: GramsCo2e,
    /// Market-based carbon (scope 2), where the site has contracts; never netted with the rest.
    pub market: GramsCo2e,
    /// Fuel upstream of the power plants (scope 3); never netted with the rest.
    pub upstream: GramsCo2e,
    /// Making the hardware (scope 3).
    pub embodied: GramsCo2e,
    /// Water that the site evaporates.
    pub water: Litres,
    /// Water that power plants evaporate.
    pub water_offsite: Litres,
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        self.time += other.time;
        self.energy += other.energy;
        self.cost += other.cost;
        self.carbon += other.carbon;
        self.market += other.market;
        self.upstream += other.upstream;
        self.embodied += other.embodied;
        self.water += other.water;
        self.water_offsite += other.water_offsite;
    }
}

impl Sum {
    fn of(entry: &Entry, charge: Charge) -> Sum {
        Sum {
            time: entry.spent.time,
            energy: charge.energy,
            cost: entry.holding + charge.bill,
            carbon: charge.carbon,
            market: charge.market,
            upstream: charge.upstream,
            embodied: entry.embodied,
            water: charge.water,
            water_offsite: charge.water_offsite,
        }
    }
}

/// Sums inside each boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums([Sum; 4]);

impl Sums {
    /// The sum inside `boundary`.
    #[must_use]
    pub fn within(&self, boundary: Boundary) -> &Sum {
        &self.0[boundary as usize]
    }

    /// Enters one line, whose accelerators were charged `accelerators`.
    pub(super) fn add(&mut self, part: Part, entry: &Entry, accelerators: Charge) {
        if part == Part::Active {
            self.0[0] += Sum::of(entry, accelerators);
            self.0[1] += Sum::of(entry, entry.own);
        }
        let mut shared = entry.own;
        shared += entry.share;
        self.0[2] += Sum::of(entry, entry.own);
        self.0[3] += Sum::of(entry, shared);
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

/// What a site's meter showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SiteSum {
    /// Everything at the meter; accelerator time counts what nobody held, too.
    pub sum: Sum,
    /// Energy of the nodes.
    pub it: Joules,
    /// Conversion losses, where the facility tells them apart from cooling.
    pub losses: Joules,
    /// The highest mean over a bin.
    pub peak: Watts,
    /// The highest mean over a bin and, on top, the crests of the jobs that train in it, all at once.
    pub crest: Watts,
    /// Whether a cluster stands there.
    pub has_cluster: bool,
}

/// The closed books of a run.
#[derive(Debug)]
pub struct Accounts {
    pub(super) start: jiff::Timestamp,
    pub(super) grid: Grid,
    pub(super) sites: Vec<SitePlan>,
    pub(super) clusters: Vec<ClusterBooks>,
    pub(super) tenants: Vec<Tenant>,
    pub(super) lines: Vec<Line>,
    pub(super) meters: Vec<Meter>,
    /// Charges on peak power, by site and bin.
    pub(super) demand: BTreeMap<(usize, usize), Dollars>,
    /// Market-based carbon of each bin, by site; none of sites without contracts.
    pub(super) market_based: BTreeMap<usize, Vec<GramsCo2e>>,
    line_sums: Vec<Entry>,
    /// What classes share of each line.
    pub(super) sharings: Vec<Sharing>,
    pub(super) tenant_sums: Vec<Sums>,
    /// The time of each tenant by use.
    pub(super) buckets: Vec<Vec<Bucket>>,
    pub(super) idle_sums: Vec<Sum>,
    pub(super) site_sums: Vec<SiteSum>,
    pub(super) capping: Vec<CapFacts>,
    figures: Vec<Figure>,
    comparison: Comparison,
}

/// Closes the books of a run that began at `start`: settles every bin, checks that it adds up to the meter, and computes each
/// figure. Panics where books contradict each other, which is our fault and never a user's: GPUs held twice, requests lost.
#[must_use]
pub fn close(
    start: jiff::Timestamp,
    grid: Grid,
    sites: &[SitePlan],
    clusters: &[ClusterBooks],
    tenants: Vec<Tenant>,
) -> Accounts {
    let (lines, meters) = lay_out(sites, clusters, &tenants);
    let mut accounts = Accounts {
        start,
        grid,
        sites: sites.to_vec(),
        clusters: clusters.to_vec(),
        line_sums: Vec::new(),
        sharings: Vec::new(),
        tenant_sums: vec![Sums::default(); tenants.len()],
        buckets: vec![Vec::new(); tenants.len()],
        idle_sums: vec![Sum::default(); clusters.len()],
        site_sums: vec![SiteSum::default(); sites.len()],
        tenants,
        lines,
        meters,
        demand: BTreeMap::new(),
        market_based: BTreeMap::new(),
        capping: Vec::new(),
        figures: Vec::new(),
        comparison: Comparison::default(),
    };
    accounts.tenants.iter().for_each(assert_requests_are_conserved);
    accounts.demand = accounts.demand_charges();
    accounts.market_based = accounts.market_based();
    let curve = accounts.add_up();
    accounts.comparison = Comparison::new(&accounts, &curve);
    accounts.figures = figures::all(&accounts);
    accounts
}

impl Accounts {
    /// The same books, with what the power control of the sites did.
    #[must_use]
    pub fn with_capping(mut self, capping: Vec<CapFacts>) -> Accounts {
        if !capping.is_empty() {
            self.capping = capping;
            self.figures = figures::all(&self);
        }
        self
    }

    /// What the power control of the `index`-th site did; none where nothing caps it.
    #[must_use]
    pub fn capping(&self, index: usize) -> Option<&CapFacts> {
        self.capping.iter().find(|facts| facts.site == index)
    }

    /// Every headline figure, in the order of `summary.csv`.
    #[must_use]
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// One figure by its names in `summary.csv`, `boundary` empty where it has none. The subject `comparison` reads
    /// `comparison.csv`: its metric is an axis and a column, such as `gpu_hours_crossover_days_open`.
    #[must_use]
    pub fn figure(&self, subject: &str, metric: &str, boundary: &str) -> Option<f64> {
        if subject == "comparison" {
            return self.comparison.figure(metric, boundary);
        }
        let named = |figure: &&Figure| {
            figure.subject == subject
                && figure.metric == metric
                && figure.boundary.map_or("", Boundary::name) == boundary
        };
        self.figures.iter().find(named).and_then(|figure| figure.value)
    }

    /// The road against the drives.
    #[must_use]
    pub fn comparison(&self) -> &Comparison {
        &self.comparison
    }

    /// What the `index`-th tenant's energy inside each boundary makes its grid emit at the margin, hour by hour; none where its
    /// site has no marginal intensities. A ledger of its own: it says what moving the load would change, not whose carbon it is.
    #[must_use]
    pub fn marginal(&self, index: usize) -> Option<[GramsCo2e; 4]> {
        let market = &self.sites[self.tenants[index].site].market;
        market.marginal(0)?;
        let (mut carbon, mut settled) = ([GramsCo2e::ZERO; 4], Settled::default());
        for bin in 0..self.grid.bins() {
            self.settle_into(bin, &mut settled);
            let mut sums = Sums::default();
            let mine = self.lines.iter().zip(&settled.entries).filter(|(line, _)| line.tenant == Some(index));
            mine.for_each(|(line, entry)| {
                sums.add(line.part, entry, Charge { energy: entry.spent.accelerator, ..Charge::default() });
            });
            let intensity = market.marginal(self.grid.hour(bin)).expect("every hour has one where the first has");
            carbon.iter_mut().zip(Boundary::ALL).for_each(|(sum, boundary)| {
                *sum += intensity * sums.within(boundary).energy;
            });
        }
        Some(carbon)
    }

    /// Enters more figures of `subject` behind those that it has.
    pub(super) fn enter_figures(&mut self, subject: &str, rows: Vec<Figure>) {
        let behind =
            self.figures.iter().rposition(|row| row.subject == subject).map_or(self.figures.len(), |last| last + 1);
        self.figures.splice(behind..behind, rows);
    }

    /// What an hour of one GPU costs the `index`-th tenant, energy apart where it is billed on top; none for a device.
    #[must_use]
    pub fn price(&self, index: usize) -> Option<DollarsPerHour> {
        let (Holding::Rented(price) | Holding::Owned(price)) = self.clusters[self.tenants[index].cluster?].holding;
        Some(price)
    }

    /// Whether the `index`-th tenant rents what it holds, so that somebody else buys its energy.
    #[must_use]
    pub fn rents(&self, index: usize) -> bool {
        let cluster = self.tenants[index].cluster.map(|cluster| &self.clusters[cluster]);
        cluster.is_some_and(|cluster| matches!(cluster.holding, Holding::Rented(_)))
    }

    /// To which of `job`, `service`, `device`, `spare`, `repair`, `idle` and `overhead` a line belongs. A replica that waits for
    /// requests belongs to its service; what nobody holds is idle.
    #[must_use]
    pub fn category(&self, line: &Line) -> &'static str {
        match (line.part, line.tenant.map(|tenant| &self.tenants[tenant].facts)) {
            (Part::LossesAndCooling, _) => "overhead",
            (Part::Spare, _) => "spare",
            (Part::Repair, _) => "repair",
            (Part::Active | Part::WarmIdle | Part::Paused | Part::Unallocated, holder) => match holder {
                Some(Facts::Job(_) | Facts::Workload(_)) => "job",
                Some(Facts::Service(_)) => "service",
                Some(Facts::Device(_)) => "device",
                None => "idle",
            },
        }
    }

    /// What each line added up to over the whole run, in the order of [`lines`](Accounts::lines).
    #[must_use]
    pub fn line_sums(&self) -> &[Entry] {
        &self.line_sums
    }

    /// Enters where the drives overtake the road in runs of their own.
    pub fn enter_shifts(&mut self, shifts: impl IntoIterator<Item = Shift>) {
        self.comparison.enter(shifts);
    }

    /// The first instant of the run.
    #[must_use]
    pub fn start(&self) -> jiff::Timestamp {
        self.start
    }

    /// The bins.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The sites.
    #[must_use]
    pub fn sites(&self) -> &[SitePlan] {
        &self.sites
    }

    /// The clusters.
    #[must_use]
    pub fn clusters(&self) -> &[ClusterBooks] {
        &self.clusters
    }

    /// The tenants, with their books.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// What the `index`-th tenant adds up to.
    #[must_use]
    pub fn tenant(&self, index: usize) -> &Sums {
        &self.tenant_sums[index]
    }

    /// What nobody held of the `index`-th cluster, its share of losses and cooling included.
    #[must_use]
    pub fn idle(&self, index: usize) -> &Sum {
        &self.idle_sums[index]
    }

    /// What the meter of the `index`-th site showed.
    #[must_use]
    pub fn site(&self, index: usize) -> &SiteSum {
        &self.site_sums[index]
    }

    /// Whether the `index`-th site has contracts, so that its market-based carbon is known.
    #[must_use]
    pub fn keeps_market_ledger(&self, index: usize) -> bool {
        self.market_based.contains_key(&index)
    }

    /// What the peaks of the `index`-th site cost, inside its bill; none where its tariff does not charge for them.
    #[must_use]
    pub fn demand_charge(&self, index: usize) -> Option<Dollars> {
        let charged = !self.sites[index].market.billing().is_empty();
        charged.then(|| self.demand.range((index, 0)..(index + 1, 0)).map(|(_, charge)| *charge).sum())
    }

    /// Settles each bin into the sums, and returns what services took; nothing where there are none.
    fn add_up(&mut self) -> Curve {
        let serves = self.tenants.iter().any(|tenant| matches!(tenant.facts, Facts::Service(_)));
        let mut curve = Curve::new(self.grid.bins());
        let mut totals = vec![(Entry::default(), Charge::default()); self.lines.len()];
        let mut weighings: Vec<Weighing> = self.lines.iter().map(Weighing::of).collect();
        let classes = |line: &Line| line.tenant.map_or(&[][..], |tenant| self.tenants[tenant].book.classes());
        let mut sharings: Vec<Sharing> = self.lines.iter().map(|line| Sharing::of(classes(line))).collect();
        let (mut settled, mut weights) = (Settled::default(), Weights::default());
        let mut shown = vec![Charge::default(); self.meters.len()];
        for bin in 0..self.grid.bins() {
            self.settle_into(bin, &mut settled);
            shown.iter_mut().zip(&settled.shown).for_each(|(sum, whole)| *sum += *whole);
            let mut serving = Sums::default();
            let lines = self.lines.iter().zip(&mut totals).zip(&mut weighings).zip(&mut sharings);
            for ((((line, total), weighing), sharing), entry) in lines.zip(&settled.entries) {
                if entry.is_empty() {
                    continue;
                }
                total.0 += *entry;
                if let Some(tenant) = line.tenant {
                    weighing.enter(line, &self.tenants[tenant].book, bin, entry);
                }
                let accelerators = match line.part {
                    Part::Active => entry.own.accelerators(entry.spent, &mut weights),
                    _ => Charge::default(),
                };
                total.1 += accelerators;
                if let Some(tenant) = line.tenant {
                    sharing.enter(self.tenants[tenant].book.classes(), bin, entry, accelerators);
                }
                if self.is_of_service(line) {
                    serving.add(line.part, entry, accelerators);
                }
            }
            self.read_peaks(bin, &settled);
            if serves {
                curve.push(bin, serving);
            }
        }
        for (meter, whole) in self.meters.iter().zip(shown) {
            assert_conserved(whole, totals[meter.lines.clone()].iter().map(|(entry, _)| entry));
        }
        self.enter_totals(&totals);
        for ((line, weighing), (total, _)) in self.lines.iter().zip(&weighings).zip(&totals) {
            if let Some(tenant) = line.tenant.filter(|_| !line.uses.is_empty()) {
                self.buckets[tenant].extend(weighing.close(line, &self.tenants[tenant].book, total));
            }
        }
        self.line_sums = totals.into_iter().map(|(entry, _)| entry).collect();
        self.sharings = sharings;
        self.assert_sums_add_up();
        self.assert_buckets_add_up();
        self.assert_classes_add_up();
        curve
    }

    fn is_of_service(&self, line: &Line) -> bool {
        line.tenant.is_some_and(|tenant| matches!(self.tenants[tenant].facts, Facts::Service(_)))
    }

    /// What all services together take in a bin.
    pub(super) fn serving(&self) -> impl FnMut(usize) -> Sums {
        let (mut settled, mut weights) = (Settled::default(), Weights::default());
        move |bin| {
            self.settle_into(bin, &mut settled);
            let mut serving = Sums::default();
            let mine = self.lines.iter().zip(&settled.entries).filter(|(line, _)| self.is_of_service(line));
            for (line, entry) in mine {
                let accelerators = match line.part {
                    Part::Active => entry.own.accelerators(entry.spent, &mut weights),
                    _ => Charge::default(),
                };
                serving.add(line.part, entry, accelerators);
            }
            serving
        }
    }

    fn read_peaks(&mut self, bin: usize, settled: &Settled) {
        for (meter, shown) in self.meters.iter().zip(&settled.shown).filter(|(meter, _)| meter.has_facility) {
            let (mean, swinging) = (shown.energy.mean_over(self.grid.span(bin)), self.swinging(meter.site, bin));
            let site = &mut self.site_sums[meter.site];
            site.peak = site.peak.max(mean);
            site.crest = site.crest.max(mean + swinging);
        }
    }

    /// Gives each tenant, idle cluster and site what its lines and their accelerators add up to.
    fn enter_totals(&mut self, totals: &[(Entry, Charge)]) {
        for (line, (entry, accelerators)) in self.lines.iter().zip(totals) {
            if let Some(tenant) = line.tenant {
                self.tenant_sums[tenant].add(line.part, entry, *accelerators);
            } else if let Some(cluster) = line.cluster {
                let mut shared = entry.own;
                shared += entry.share;
                self.idle_sums[cluster] += Sum::of(entry, shared);
            }
        }
        for meter in self.meters.iter().filter(|meter| meter.has_facility) {
            let site = &mut self.site_sums[meter.site];
            for (entry, _) in &totals[meter.lines.clone()] {
                site.sum += Sum::of(entry, entry.own);
                site.it += entry.spent.node();
                site.losses += entry.losses.total();
            }
            site.has_cluster = true;
        }
    }

    /// How far the iterations of jobs that train in `bin` at `site` rise above their mean: those of one job are in step, and at
    /// worst those of several are, too.
    fn swinging(&self, site: usize, bin: usize) -> Watts {
        let crest = |tenant: &Tenant| match &tenant.facts {
            Facts::Job(facts) if tenant.site == site => {
                let trains =
                    [Use::Productive, Use::Recomputed].iter().any(|&what| !tenant.book.spent_in(what, bin).is_zero());
                if trains { facts.swing[0].saturating_sub(facts.training) * u64::from(facts.gpus) } else { Watts::ZERO }
            }
            _ => Watts::ZERO,
        };
        self.tenants.iter().map(crest).sum()
    }

    /// Over the whole run, too: what tenants and idle clusters were given is what the sites' meters showed.
    fn assert_sums_add_up(&self) {
        let mut given = Sum::default();
        let mut metered = Sum::default();
        self.tenants.iter().zip(&self.tenant_sums).filter(|(tenant, _)| tenant.cluster.is_some()).for_each(
            |(_, sums)| {
                given += *sums.within(Boundary::B4);
            },
        );
        self.idle_sums.iter().for_each(|sum| given += *sum);
        self.site_sums.iter().for_each(|site| metered += site.sum);
        assert_eq!(given, metered, "tenants and idle clusters add up to the meters");
    }
}

/// Who stands behind which meter: for each site its clusters' tenants, what nobody held of each, and losses and cooling; then
/// each device behind a meter of its own.
fn lay_out(sites: &[SitePlan], clusters: &[ClusterBooks], tenants: &[Tenant]) -> (Vec<Line>, Vec<Meter>) {
    let (mut lines, mut meters) = (Vec::new(), Vec::new());
    for site in 0..sites.len() {
        let from = lines.len();
        for (index, books) in clusters.iter().enumerate().filter(|(_, books)| books.site == site) {
            let place = Line {
                site: Some(site),
                cluster: Some(index),
                tenant: None,
                part: Part::Unallocated,
                pays: Pays::Nothing,
                uses: Vec::new(),
            };
            let (held, idle) = match books.holding {
                Holding::Rented(price) => (Pays::Rent(price), Pays::Nothing),
                Holding::Owned(price) => (Pays::Ownership(price), Pays::Ownership(price)),
            };
            for tenant in (0..tenants.len()).filter(|&tenant| tenants[tenant].cluster == Some(index)) {
                push_parts(
                    &mut lines,
                    &tenants[tenant].book,
                    &Line { tenant: Some(tenant), pays: held, ..place.clone() },
                );
            }
            lines.push(Line { pays: idle, ..place });
        }
        if lines.len() > from {
            push_facility(&mut lines, Some(site));
            meters.push(Meter { site, has_facility: true, lines: from..lines.len() });
        }
    }
    for (index, device) in tenants.iter().enumerate().filter(|(_, tenant)| tenant.cluster.is_none()) {
        let from = lines.len();
        let place = Line {
            site: None,
            cluster: None,
            tenant: Some(index),
            part: Part::Active,
            pays: Pays::Energy,
            uses: Vec::new(),
        };
        push_parts(&mut lines, &device.book, &place);
        push_facility(&mut lines, None);
        meters.push(Meter { site: device.site, has_facility: false, lines: from..lines.len() });
    }
    (lines, meters)
}

/// A line for each part that `book` ever spent on; the first part always.
fn push_parts(lines: &mut Vec<Line>, book: &Book, place: &Line) {
    assert!(book.spent(Use::Unallocated).is_zero(), "no tenant enters what nobody holds");
    for part in Part::HELD {
        let uses: Vec<Use> = part.uses().filter(|&what| !book.spent(what).is_zero()).collect();
        if part == Part::Active || !uses.is_empty() {
            lines.push(Line { part, uses, ..place.clone() });
        }
    }
}

fn push_facility(lines: &mut Vec<Line>, site: Option<usize>) {
    let part = Part::LossesAndCooling;
    lines.push(Line { site, cluster: None, tenant: None, part, pays: Pays::Nothing, uses: Vec::new() });
}

/// Arrived is completed, rejected, failed or in flight.
fn assert_requests_are_conserved(tenant: &Tenant) {
    if let Facts::Service(facts) | Facts::Device(facts) = &tenant.facts {
        let counted = |what| tenant.book.counted(what);
        let known = counted(Count::Completed) + counted(Count::Rejected) + counted(Count::Failed) + facts.in_flight;
        let arrived = counted(Count::Arrived);
        assert!(arrived == known, "{}: {arrived} requests arrived, {known} are accounted for", tenant.subject);
        let ends = [Count::Completed, Count::Rejected, Count::Failed];
        for class in tenant.book.classes() {
            let known = ends.map(|what| class.counted(what)).iter().sum::<u64>() + class.in_flight;
            let arrived = class.counted(Count::Arrived);
            assert!(arrived == known, "{}.{}: {arrived} arrived, {known} are known", tenant.subject, class.name);
        }
        if let Some(attempts) = facts.attempts {
            let lost = [counted(Count::Rejected), counted(Count::Failed)];
            let known = [attempts.gave_up_rejected, attempts.gave_up_timed_out + attempts.gave_up_broken];
            assert!(lost == known, "{}: every request given up has a cause", tenant.subject);
        }
    }
}
