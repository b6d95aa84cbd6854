//! Every headline figure, computed here once: the rows of `summary.csv`. Energy, cost, carbon and water have a row for each
//! boundary; a figure that does not exist (the mean of nothing) is there, without a value.

use super::accounts::{Accounts, Boundary, Sum, Sums};
use super::comparison::{Axis, Row};
use super::{
    Attempts, Book, ClassBook, Count, Equivalents, EventKind, Facts, Histogram, JobFacts, Latencies, PoolFacts,
    PrefixFacts, SampleFacts, ServiceFacts, SizedFacts, Tenant, Use,
};
use crate::units::{Dollars, DollarsPerHour, GpuTime, SimTime, Span};

/// One row of `summary.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Of whom: `training.<name>`, `workload.<name>`, `workload.<name>.<class>`, `service.<name>`, `service.<name>.<class>`, `device.<name>`, `cluster.<name>`, `site.<name>` or `total`.
    pub subject: String,
    /// What.
    pub metric: &'static str,
    /// How much, in `unit`; none where there is nothing to say.
    pub value: Option<f64>,
    /// `s`, `ms`, `kWh`, `kW`, `USD`, `kgCO2e`, `L`, `GPU-h`, `tokens`, `count`, `L/kWh`, `ratio` or `fraction`.
    pub unit: &'static str,
    /// Inside which boundary, where the metric has one.
    pub boundary: Option<Boundary>,
}

impl Figure {
    /// Whether `other` is the same figure of another run.
    #[must_use]
    pub fn is_same(&self, other: &Figure) -> bool {
        (self.metric, self.boundary) == (other.metric, other.boundary) && self.subject == other.subject
    }
}

/// All figures: tenants in their order, then clusters, sites and the total of all sites.
pub(super) fn all(accounts: &Accounts) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (index, tenant) in accounts.tenants().iter().enumerate() {
        let mut rows = Rows { subject: tenant.subject.clone(), figures: &mut figures };
        let sums = accounts.tenant(index);
        match &tenant.facts {
            Facts::Job(facts) => {
                job(&mut rows, tenant, facts, accounts.grid().horizon, sums);
                lost(&mut rows, facts, &accounts.lost(index));
            }
            Facts::Workload(facts) => super::workload::figures(&mut rows, tenant, facts, sums),
            Facts::Service(facts) => {
                service(&mut rows, tenant, facts, sums);
                replicas(&mut rows, &tenant.book, facts, accounts.grid().horizon);
                for (class, book) in tenant.book.classes().iter().enumerate() {
                    let mut rows = rows.of(format!("{}.{}", tenant.subject, book.name));
                    of_class(&mut rows, book, &accounts.class_sums(index, class));
                }
            }
            Facts::Device(facts) => service(&mut rows, tenant, facts, sums),
        }
        rows.scopes(sums, accounts.rents(index));
        rows.energy_parts(sums);
        costs(&mut rows, accounts, index);
        if tenant.cluster.is_some() && accounts.keeps_market_ledger(tenant.site) {
            rows.bounded("carbon_market", "kgCO2e", sums, |sum| Some(sum.market.kg()));
        }
    }
    (0..accounts.tenants().len()).for_each(|index| marginal(&mut figures, accounts, index));
    (0..accounts.clusters().len()).for_each(|index| cluster(&mut figures, accounts, index));
    (0..accounts.sites().len()).for_each(|index| site(&mut figures, accounts, index));
    total(&mut figures, accounts);
    comparison(&mut figures, accounts);
    figures
}

/// Rows of one subject.
pub(super) struct Rows<'a> {
    subject: String,
    figures: &'a mut Vec<Figure>,
}

impl Rows<'_> {
    /// Rows of another subject.
    pub(super) fn of(&mut self, subject: String) -> Rows<'_> {
        Rows { subject, figures: self.figures }
    }

    pub(super) fn put(&mut self, metric: &'static str, value: impl Into<Option<f64>>, unit: &'static str) {
        self.push(metric, value.into(), unit, None);
    }

    pub(super) fn count(&mut self, metric: &'static str, number: u64) {
        self.put(metric, number as f64, "count");
    }

    pub(super) fn gpu_hours(&mut self, metric: &'static str, time: GpuTime) {
        self.put(metric, time.gpu_hours(), "GPU-h");
    }

    /// One row for each boundary.
    fn bounded(&mut self, metric: &'static str, unit: &'static str, sums: &Sums, value: impl Fn(&Sum) -> Option<f64>) {
        for boundary in Boundary::ALL {
            self.push(metric, value(sums.within(boundary)), unit, Some(boundary));
        }
    }

    /// One row, for everything behind a meter.
    fn metered(&mut self, metric: &'static str, value: f64, unit: &'static str) {
        self.push(metric, Some(value), unit, Some(Boundary::B4));
    }

    fn push(&mut self, metric: &'static str, value: Option<f64>, unit: &'static str, boundary: Option<Boundary>) {
        self.figures.push(Figure { subject: self.subject.clone(), metric, value, unit, boundary });
    }

    /// Energy, money, gas and water inside each boundary.
    pub(super) fn sums(&mut self, sums: &Sums) {
        self.bounded("energy", "kWh", sums, |sum| Some(sum.energy.kwh()));
        self.bounded("cost", "USD", sums, |sum| Some(sum.cost.as_f64()));
        self.bounded("carbon", "kgCO2e", sums, |sum| Some(sum.carbon.kg()));
        self.bounded("carbon_upstream", "kgCO2e", sums, |sum| Some(sum.upstream.kg()));
        self.bounded("carbon_embodied", "kgCO2e", sums, |sum| Some(sum.embodied.kg()));
        self.bounded("water", "L", sums, |sum| Some(sum.water.as_f64()));
        self.bounded("water_offsite", "L", sums, |sum| Some(sum.water_offsite.as_f64()));
    }

    /// Carbon by the scopes of the GHG Protocol, location-based. Of scope 1, generators on site, there are none; 2 is the stack CO2 of
    /// the energy that the subject buys; 3 is fuel upstream and making the hardware. Who rents buys no energy: what the host
    /// buys for it is in its scope 3.
    fn scopes(&mut self, sums: &Sums, rents: bool) {
        self.bounded("carbon_scope1", "kgCO2e", sums, |_| Some(0.0));
        self.bounded("carbon_scope2", "kgCO2e", sums, |sum| Some(if rents { 0.0 } else { sum.carbon.kg() }));
        self.bounded("carbon_scope3", "kgCO2e", sums, |sum| {
            let bought = if rents { sum.carbon.kg() } else { 0.0 };
            Some(bought + sum.upstream.kg() + sum.embodied.kg())
        });
    }

    /// The four parts of its energy, of all of it: what each boundary adds to the one before.
    fn energy_parts(&mut self, sums: &Sums) {
        const NAMES: [&str; 4] = [
            "accelerator_energy_fraction",
            "host_energy_fraction",
            "reserve_energy_fraction",
            "facility_energy_fraction",
        ];
        let (mut before, all) = (0.0, sums.within(Boundary::B4).energy.kwh());
        for (name, boundary) in NAMES.into_iter().zip(Boundary::ALL) {
            let within = sums.within(boundary).energy.kwh();
            self.put(name, over(within - before, all), "fraction");
            before = within;
        }
    }

    /// What `metrics`, each with its unit, say for each of `number`.
    fn each(&mut self, metrics: [(&'static str, Axis); 4], sums: &Sums, number: f64) {
        for (metric, axis) in metrics {
            self.bounded(metric, axis.unit(), sums, |sum| over(axis.of(sum), number));
        }
    }

    /// Everything in things that a person knows.
    fn equivalents(&mut self, sums: &Sums) {
        let all = Equivalents::of(sums.within(Boundary::B4), 0);
        self.metered("car_trips_new_york_boston", all.car_trips, "count");
        self.metered("us_home_years", all.home_years, "count");
    }

    /// Energy, money, gas and water of everything behind a meter.
    fn meter(&mut self, sum: &Sum) {
        self.metered("energy", sum.energy.kwh(), "kWh");
        self.metered("cost", sum.cost.as_f64(), "USD");
        self.metered("carbon", sum.carbon.kg(), "kgCO2e");
        self.metered("carbon_upstream", sum.upstream.kg(), "kgCO2e");
        self.metered("carbon_embodied", sum.embodied.kg(), "kgCO2e");
        self.metered("carbon_scope1", 0.0, "kgCO2e");
        self.metered("carbon_scope2", sum.carbon.kg(), "kgCO2e");
        self.metered("carbon_scope3", sum.upstream.kg() + sum.embodied.kg(), "kgCO2e");
        self.metered("water", sum.water.as_f64(), "L");
        self.metered("water_offsite", sum.water_offsite.as_f64(), "L");
    }
}

/// `part` over `whole`, where there is a whole.
pub(super) fn over(part: f64, whole: f64) -> Option<f64> {
    if whole > 0.0 { Some(part / whole) } else { None }
}

/// Accelerator time that `book` entered under `uses`.
fn time_of(book: &Book, uses: &[Use]) -> GpuTime {
    uses.iter().map(|&what| book.spent(what).time).sum()
}

/// A training job. `ettr` is the time that the kept tokens take without interruption and at full speed over the time from start to finish (or
/// horizon); `goodput` counts waiting for nodes, too, from submission; `mfu` is 6ND over peak while it progressed,
/// `whole_run_mfu` from start to finish. `gpu_hours` are the computing GPUs from start to finish; spares and repairs apart.
fn job(rows: &mut Rows<'_>, tenant: &Tenant, facts: &JobFacts, horizon: SimTime, sums: &Sums) {
    let book = &tenant.book;
    let end = facts.finished.unwrap_or(horizon);
    let elapsed = facts.started.map_or(Span::ZERO, |started| end.since(started));
    let ideal = facts.ideal.as_secs_f64();
    let flops = facts.kept.count() as f64 * facts.flops_per_token;
    let peak = f64::from(facts.gpus) * facts.peak.as_f64();
    let at_peak = |seconds: f64, of: fn(&SizedFacts) -> GpuTime| match &facts.sized {
        Some(sized) => of(sized).nanos() as f64 / 1e9 * facts.peak.as_f64(),
        None => peak * seconds,
    };
    let gpu_hours = facts.sized.map_or(GpuTime::new(facts.gpus, elapsed), |sized| sized.elapsed);
    rows.gpu_hours("gpu_hours", gpu_hours);
    rows.put("elapsed", facts.started.map(|_| elapsed.as_secs_f64()), "s");
    rows.put("submitted", facts.submitted.as_secs_f64(), "s");
    rows.put("started", facts.started.map(SimTime::as_secs_f64), "s");
    rows.put("waited", facts.started.map(|started| started.since(facts.submitted).as_secs_f64()), "s");
    rows.put("finished", facts.finished.map(SimTime::as_secs_f64), "s");
    rows.put("ettr", over(ideal, elapsed.as_secs_f64()), "fraction");
    rows.put("ettr_queued", over(ideal, end.since(facts.submitted).as_secs_f64()), "fraction");
    rows.put("goodput", over(ideal, end.since(facts.submitted).as_secs_f64()), "fraction");
    rows.put("mfu", over(flops, at_peak(ideal, |sized| sized.ideal)), "fraction");
    rows.put("whole_run_mfu", over(flops, at_peak(elapsed.as_secs_f64(), |sized| sized.elapsed)), "fraction");
    rows.put("tokens", facts.kept.count() as f64, "tokens");
    rows.count("interruptions", facts.interruptions);
    rhythm(rows, book, facts.started.unwrap_or(end), end);
    rows.count("planned_interruptions", facts.planned);
    rows.count("preemptions", facts.preemptions);
    rows.put("requeued", facts.requeued.as_secs_f64(), "s");
    if let Some(stragglers) = facts.stragglers {
        rows.count("slow_spells", stragglers.spells);
        rows.count("slow_nodes_evicted", stragglers.evicted);
        rows.put("slowed_by_stragglers", stragglers.lost.as_secs_f64(), "s");
    }
    if let Some([suspects, missed]) = facts.suspects {
        rows.count("sound_nodes_evicted", suspects);
        rows.count("missed_failures", missed);
    }
    if let Some(storage) = facts.storage {
        rows.put("storage_wait", storage.waited.as_secs_f64(), "s");
        rows.count("skipped_saves", storage.skipped);
    }
    facts.taken.into_iter().for_each(|taken| rows.count("taken_nodes", taken));
    rows.count("checkpoints", facts.checkpoints);
    let every = Some(facts.checkpoint_every).filter(|&every| every > Span::ZERO);
    rows.put("checkpoint_interval", every.map(Span::as_secs_f64), "s");
    rows.gpu_hours("held_gpu_hours", time_of(book, &Use::ALL));
    rows.gpu_hours("productive_gpu_hours", time_of(book, &[Use::Productive]));
    rows.gpu_hours("recomputed_gpu_hours", time_of(book, &[Use::Recomputed]));
    rows.gpu_hours("slow_gpu_hours", time_of(book, &[Use::Slow]));
    rows.gpu_hours("interference_gpu_hours", time_of(book, &[Use::Interference]));
    rows.gpu_hours("checkpoint_gpu_hours", time_of(book, &[Use::Checkpoint]));
    rows.gpu_hours("recovery_gpu_hours", time_of(book, &RECOVERY));
    rows.gpu_hours("preempted_gpu_hours", time_of(book, &[Use::Preempted]));
    rows.gpu_hours("planned_gpu_hours", time_of(book, &[Use::Planned]));
    if facts.shrinks {
        rows.put("degraded", facts.time.of(Use::Degraded).as_secs_f64(), "s");
        rows.gpu_hours("degraded_gpu_hours", time_of(book, &[Use::Degraded]));
    }
    rows.gpu_hours("spare_gpu_hours", time_of(book, &[Use::Spare]));
    rows.gpu_hours("repair_gpu_hours", time_of(book, &[Use::Repair]));
    if let Some(paused) = facts.paused {
        rows.put("paused", paused.as_secs_f64(), "s");
        rows.gpu_hours("paused_gpu_hours", time_of(book, &[Use::Paused]));
    }
    let swing = facts.swing[0].saturating_sub(facts.swing[1]) * u64::from(facts.gpus);
    rows.put("power_swing", swing.as_f64() / 1e3, "kW");
    let running = ideal + facts.slowed.as_secs_f64();
    rows.put("step_time_factor", over(running, ideal), "ratio");
    rows.put("research_multiplier", facts.research_multiplier.as_f64(), "ratio");
    rows.sums(sums);
    rows.equivalents(sums);
}

/// The axes of four metrics: energy, cost, carbon and water.
fn on_axes([energy, cost, carbon, water]: [&'static str; 4]) -> [(&'static str, Axis); 4] {
    [(energy, Axis::Kwh), (cost, Axis::Usd), (carbon, Axis::Kgco2e), (water, Axis::Litres)]
}

/// How unevenly failures come: the coefficient of variation of the time between them, and the variance over the mean of their
/// number in whole hours, days and weeks since the start. All are 1 where they come by chance alone.
fn rhythm(rows: &mut Rows<'_>, book: &Book, from: SimTime, to: SimTime) {
    let failures = book.events().iter().filter(|event| event.kind == EventKind::Failure);
    let at: Vec<Span> = failures.map(|event| event.at.since(from)).collect();
    let gaps: Vec<f64> = at.windows(2).map(|two| two[1].saturating_sub(two[0]).as_secs_f64()).collect();
    rows.put(
        "failure_gap_cv",
        mean_and_variance(&gaps).and_then(|(mean, variance)| over(libm::sqrt(variance), mean)),
        "ratio",
    );
    let week = Span::DAY * 7;
    for (metric, window) in [
        ("failure_dispersion_hour", Span::HOUR),
        ("failure_dispersion_day", Span::DAY),
        ("failure_dispersion_week", week),
    ] {
        let mut counts = vec![0.0; (to.since(from).nanos() / window.nanos()) as usize];
        let slots = at.iter().map(|at| (at.nanos() / window.nanos()) as usize);
        slots.for_each(|slot| counts.get_mut(slot).into_iter().for_each(|count| *count += 1.0));
        rows.put(metric, mean_and_variance(&counts).and_then(|(mean, variance)| over(variance, mean)), "ratio");
    }
}

fn mean_and_variance(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    (values.len() > 1).then_some((mean, variance))
}

/// The steps of a recovery.
const RECOVERY: [Use; 6] = [Use::Detect, Use::Localise, Use::SpareWait, Use::Restart, Use::Reload, Use::WarmUp];

/// What the unplanned interruptions of a training job took: work done again, and the computing nodes until it ran again, with their
/// share of losses and cooling.
fn lost(rows: &mut Rows<'_>, facts: &JobFacts, lost: &Sum) {
    rows.gpu_hours("lost_gpu_hours", lost.time);
    rows.metered("lost_energy", lost.energy.kwh(), "kWh");
    rows.metered("lost_cost", lost.cost.as_f64(), "USD");
    rows.metered("lost_carbon", lost.carbon.kg(), "kgCO2e");
    let each = (facts.interruptions > 0).then(|| lost.cost.as_f64() / facts.interruptions as f64);
    rows.push("cost_per_interruption", each, "USD", Some(Boundary::B4));
}

/// A service or device. `slo_attainment` is the part of all requests that ended (completed, rejected or failed) which met every
/// limit. Everything for a request, for 1,000 prompt tokens or for 1,000 output tokens is all that the service took over their
/// number: three ways to say the same, which do not add up. Water is on site and off site together.
fn service(rows: &mut Rows<'_>, tenant: &Tenant, facts: &ServiceFacts, sums: &Sums) {
    let counted = |what| tenant.book.counted(what);
    let completed = counted(Count::Completed);
    let tokens = counted(Count::OutputTokens);
    let ended = completed + counted(Count::Rejected) + counted(Count::Failed);
    rows.count("requests", counted(Count::Arrived));
    rows.count("completed", completed);
    rows.count("rejected", counted(Count::Rejected));
    rows.count("failed", counted(Count::Failed));
    rows.count("in_flight", facts.in_flight);
    rows.put("prompt_tokens", counted(Count::PromptTokens) as f64, "tokens");
    rows.put("output_tokens", tokens as f64, "tokens");
    if let Some(attempts) = &facts.attempts {
        missed(rows, attempts);
    }
    if let Some(prefix) = &facts.prefix {
        prefixes(rows, prefix);
    }
    if let Some(pools) = &facts.pools {
        handed_over(rows, pools);
    }
    latencies(rows, tenant.book.latencies());
    rows.put("slo_attainment", over(counted(Count::WithinSlo) as f64, ended as f64), "fraction");
    rows.sums(sums);
    rows.bounded("energy_per_output_token", "kWh", sums, |sum| over(sum.energy.kwh(), tokens as f64));
    let per_request = ["energy_per_request", "cost_per_request", "carbon_per_request", "water_per_request"];
    rows.each(on_axes(per_request), sums, completed as f64);
    let per_prompt = [
        "energy_per_1k_prompt_tokens",
        "cost_per_1k_prompt_tokens",
        "carbon_per_1k_prompt_tokens",
        "water_per_1k_prompt_tokens",
    ];
    rows.each(on_axes(per_prompt), sums, counted(Count::PromptTokens) as f64 / 1e3);
    let per_output = [
        "energy_per_1k_output_tokens",
        "cost_per_1k_output_tokens",
        "carbon_per_1k_output_tokens",
        "water_per_1k_output_tokens",
    ];
    rows.each(on_axes(per_output), sums, tokens as f64 / 1e3);
    rows.bounded("cost_per_million_output_tokens", "USD", sums, |sum| over(sum.cost.as_f64(), tokens as f64 / 1e6));
    rows.equivalents(sums);
}

/// A class of a service: its requests, and its share of all that the service took.
fn of_class(rows: &mut Rows<'_>, class: &ClassBook, sums: &Sums) {
    let counted = |what| class.counted(what);
    let (completed, tokens) = (counted(Count::Completed), counted(Count::OutputTokens));
    let ended = completed + counted(Count::Rejected) + counted(Count::Failed);
    rows.count("requests", counted(Count::Arrived));
    rows.count("completed", completed);
    rows.count("rejected", counted(Count::Rejected));
    rows.count("failed", counted(Count::Failed));
    rows.count("in_flight", class.in_flight);
    rows.put("prompt_tokens", counted(Count::PromptTokens) as f64, "tokens");
    rows.put("output_tokens", tokens as f64, "tokens");
    latencies(rows, class.latencies());
    rows.put("slo_attainment", over(counted(Count::WithinSlo) as f64, ended as f64), "fraction");
    rows.sums(sums);
    rows.bounded("energy_per_output_token", "kWh", sums, |sum| over(sum.energy.kwh(), tokens as f64));
    let per_request = ["energy_per_request", "cost_per_request", "carbon_per_request", "water_per_request"];
    rows.each(on_axes(per_request), sums, completed as f64);
}

/// How often clients asked, why attempts got no answer, and why clients gave up.
fn missed(rows: &mut Rows<'_>, attempts: &Attempts) {
    rows.count("attempts", attempts.made);
    rows.count("attempts_rejected", attempts.rejected);
    rows.count("attempts_timed_out", attempts.timed_out);
    rows.count("attempts_broken", attempts.broken);
    rows.count("gave_up_rejected", attempts.gave_up_rejected);
    rows.count("gave_up_timed_out", attempts.gave_up_timed_out);
    rows.count("gave_up_broken", attempts.gave_up_broken);
}

/// What prefix caches were asked and found. `prefix_hit_share` is of the blocks that prompts filled: others cannot be found.
fn prefixes(rows: &mut Rows<'_>, facts: &PrefixFacts) {
    rows.put("prefix_blocks", facts.blocks as f64, "count");
    rows.put("prefix_full_blocks", facts.full_blocks as f64, "count");
    rows.put("prefix_hit_blocks", facts.hit_blocks as f64, "count");
    rows.put("prefix_hit_share", over(facts.hit_blocks as f64, facts.full_blocks as f64), "fraction");
    rows.put("prompt_tokens_cached", facts.cached_tokens as f64, "tokens");
    rows.put("prompt_tokens_computed", facts.computed_tokens as f64, "tokens");
}

/// Caches that went between pools. `pool_wait_mean` is from the first token to the fetch, `pool_transfer_mean` the way of a cache, both
/// of which lie in the time per output token.
fn handed_over(rows: &mut Rows<'_>, facts: &PoolFacts) {
    let mean = |nanos: u128, number: u64| over(nanos as f64 / 1e9, number as f64);
    rows.count("pool_fetches", facts.fetched);
    rows.put("pool_tokens_moved", facts.tokens.count() as f64, "tokens");
    rows.put("pool_wait_mean", mean(facts.waited, facts.first), "s");
    rows.put("pool_transfer_mean", mean(facts.travelled, facts.fetched), "s");
    rows.count("pool_lost_prefill", facts.lost_prefill);
    rows.count("pool_lost_decode", facts.lost_decode);
}

/// What a tenant makes its grid emit at the margin, where its site knows.
fn marginal(figures: &mut Vec<Figure>, accounts: &Accounts, index: usize) {
    let Some(carbon) = accounts.marginal(index) else { return };
    let mut rows = Rows { subject: accounts.tenants()[index].subject.clone(), figures };
    for (boundary, carbon) in Boundary::ALL.into_iter().zip(carbon) {
        rows.push("carbon_marginal", Some(carbon.kg()), "kgCO2e", Some(boundary));
    }
}

/// What a tenant's money went to, inside B4. `cost_of_failures`: work done again, detecting, localising, waiting for nodes,
/// restarting, and nodes in repair. `cost_of_idle`: spares, pauses, and replicas without a request. `cost_of_slo`: replicas that only the
/// limit on time per output token asks for ([`ServiceFacts::slo_share`]). A use costs what its bucket does: it pays for energy, losses
/// and cooling at the price of the hours in which it was spent.
fn costs(rows: &mut Rows<'_>, accounts: &Accounts, index: usize) {
    let (tenant, sums) = (&accounts.tenants()[index], accounts.tenant(index));
    let Some(price) = accounts.price(index).map(DollarsPerHour::as_f64) else { return };
    let everything = sums.within(Boundary::B4);
    let bill = everything.cost.as_f64() - price * everything.time.gpu_hours();
    let of = |uses: &[Use]| {
        let mut cost = Dollars::default();
        let buckets = accounts.buckets(index).iter().filter(|bucket| uses.contains(&bucket.what));
        buckets.for_each(|bucket| cost += bucket.sum.cost);
        cost.as_f64()
    };
    rows.metered("energy_cost", bill, "USD");
    rows.bounded("cost_per_gpu_hour", "USD", sums, |sum| over(sum.cost.as_f64(), sum.time.gpu_hours()));
    let failed: Vec<Use> = RECOVERY.into_iter().chain([Use::Recomputed, Use::Degraded, Use::Repair]).collect();
    match &tenant.facts {
        Facts::Workload(_) => rows.metered("cost_of_failures", of(&failed), "USD"),
        Facts::Job(facts) => {
            let millions = facts.kept.count() as f64 / 1e6;
            rows.bounded("cost_per_million_tokens", "USD", sums, |sum| over(sum.cost.as_f64(), millions));
            rows.metered("cost_of_failures", of(&failed), "USD");
            rows.metered("cost_of_idle", of(&[Use::Spare, Use::Paused]), "USD");
        }
        Facts::Service(facts) => {
            rows.metered("cost_of_idle", of(&[Use::WarmIdle]), "USD");
            let slo = facts.slo_share.map(|share| share * everything.cost.as_f64());
            rows.push("cost_of_slo", slo, "USD", Some(Boundary::B4));
            if let Some(prices) = facts.prices {
                let revenue = prices.revenue(&tenant.book, facts.prefix.as_ref());
                rows.put("revenue", revenue, "USD");
                rows.bounded("profit", "USD", sums, |sum| Some(revenue - sum.cost.as_f64()));
                rows.bounded("cost_profit_margin", "ratio", sums, |sum| {
                    over(revenue - sum.cost.as_f64(), sum.cost.as_f64())
                });
            }
        }
        Facts::Device(_) => {}
    }
}

/// Mean and quantiles, in milliseconds.
fn latencies(rows: &mut Rows<'_>, latencies: &Latencies) {
    let ms = |latency: Option<Span>| latency.map(|span| span.as_secs_f64() * 1e3);
    let quantile = |histogram: &Histogram, p: f64| ms(histogram.quantile(crate::units::Share::new(p)));
    let (ttft, tpot, e2e) = (latencies.ttft(), latencies.tpot(), latencies.e2e());
    rows.put("ttft_mean", ms(ttft.mean()), "ms");
    rows.put("ttft_p50", quantile(ttft, 0.50), "ms");
    rows.put("ttft_p90", quantile(ttft, 0.90), "ms");
    rows.put("ttft_p99", quantile(ttft, 0.99), "ms");
    rows.put("tpot_mean", ms(tpot.mean()), "ms");
    rows.put("tpot_p50", quantile(tpot, 0.50), "ms");
    rows.put("tpot_p90", quantile(tpot, 0.90), "ms");
    rows.put("tpot_p99", quantile(tpot, 0.99), "ms");
    rows.put("e2e_mean", ms(e2e.mean()), "ms");
    rows.put("e2e_p50", quantile(e2e, 0.50), "ms");
    rows.put("e2e_p90", quantile(e2e, 0.90), "ms");
    rows.put("e2e_p99", quantile(e2e, 0.99), "ms");
}

/// What a service held from opening to horizon.
fn replicas(rows: &mut Rows<'_>, book: &Book, facts: &ServiceFacts, horizon: SimTime) {
    let open = facts.opened.map(|opened| horizon.since(opened)).filter(|&open| open > Span::ZERO);
    let mean = |uses: &[Use]| open.map(|open| time_of(book, uses).mean_over(open));
    rows.put("opened", facts.opened.map(SimTime::as_secs_f64), "s");
    rows.put("mean_busy_gpus", mean(&[Use::Serving]), "count");
    rows.put("mean_gpus", mean(&Use::ALL), "count");
    rows.gpu_hours("gpu_hours", time_of(book, &Use::ALL));
    rows.gpu_hours("warm_idle_gpu_hours", time_of(book, &[Use::WarmIdle]));
    rows.gpu_hours("loading_gpu_hours", time_of(book, &[Use::Loading]));
    rows.count("replica_failures", facts.replica_failures);
    rows.count("restarted_requests", facts.restarted);
    rows.put("restarted_tokens", facts.restarted_tokens.count() as f64, "tokens");
    rows.gpu_hours("reloading_gpu_hours", facts.reloading);
    if let Some(sample) = &facts.sample {
        sampled(rows, sample, mean(&Use::ALL));
    }
}

/// What was simulated of a service that held `gpus` in the mean, and how far its figures are off by chance: one standard error, as a
/// part of the figure.
fn sampled(rows: &mut Rows<'_>, sample: &SampleFacts, gpus: Option<f64>) {
    rows.count("cells", u64::from(sample.cells));
    rows.count("cells_kept", u64::from(sample.kept));
    let kept = f64::from(sample.kept) / f64::from(sample.cells) / f64::from(sample.gpus);
    rows.put("replicas_kept", gpus.map(|gpus| gpus * kept), "count");
    rows.put("energy_sampling_error", sample.errors.map(|errors| errors.energy), "fraction");
    rows.put("output_tokens_sampling_error", sample.errors.map(|errors| errors.output), "fraction");
    rows.put("ttft_mean_sampling_error", sample.errors.map(|errors| errors.ttft), "fraction");
}

/// A cluster: its tenants and what nobody held.
fn cluster(figures: &mut Vec<Figure>, accounts: &Accounts, index: usize) {
    let idle = accounts.idle(index);
    let mut held = Sum::default();
    let mine = accounts.tenants().iter().enumerate().filter(|(_, tenant)| tenant.cluster == Some(index));
    mine.for_each(|(tenant, _)| held += *accounts.tenant(tenant).within(Boundary::B4));
    let mut all = held;
    all += *idle;
    let mut rows = Rows { subject: format!("cluster.{}", accounts.clusters()[index].name), figures };
    rows.gpu_hours("gpu_hours", held.time);
    rows.gpu_hours("idle_gpu_hours", idle.time);
    rows.put("utilisation", over(held.time.gpu_hours(), all.time.gpu_hours()), "fraction");
    rows.meter(&all);
    rows.metered("idle_energy", idle.energy.kwh(), "kWh");
    rows.metered("idle_cost", idle.cost.as_f64(), "USD");
    rows.metered("idle_carbon", idle.carbon.kg(), "kgCO2e");
}

/// A site where a cluster stands.
fn site(figures: &mut Vec<Figure>, accounts: &Accounts, index: usize) {
    let site = accounts.site(index);
    if !site.has_cluster {
        return;
    }
    let mut rows = Rows { subject: format!("site.{}", accounts.sites()[index].name), figures };
    let apart = accounts.sites()[index].facility.tells_losses();
    let cooling = site.sum.energy - site.it - site.losses;
    rows.put("energy_it", site.it.kwh(), "kWh");
    rows.put("energy_losses", apart.then(|| site.losses.kwh()), "kWh");
    rows.put("energy_cooling", apart.then(|| cooling.kwh()), "kWh");
    rows.put("pue", over(site.sum.energy.kwh(), site.it.kwh()), "ratio");
    rows.put("wue", over(site.sum.water.as_f64(), site.it.kwh()), "L/kWh");
    rows.put("peak_power", site.peak.as_f64() / 1e3, "kW");
    rows.put("peak_power_crest", site.crest.as_f64() / 1e3, "kW");
    if let Some(limit) = accounts.sites()[index].power_limit {
        rows.put("headroom", (limit.as_f64() - site.crest.as_f64()) / 1e3, "kW");
    }
    if let Some(facts) = accounts.capping(index) {
        rows.put("peak_power_seen", facts.peak_seen.as_f64() / 1e3, "kW");
        rows.put("time_at_limit", facts.at_limit.as_secs_f64(), "s");
        rows.put("time_over_limit", facts.over_limit.as_secs_f64(), "s");
        rows.gpu_hours("capped_gpu_hours", facts.held);
        rows.count("brakes", facts.brakes);
    }
    rows.put("demand_charge", accounts.demand_charge(index).map(Dollars::as_f64), "USD");
    rows.meter(&site.sum);
    if accounts.keeps_market_ledger(index) {
        rows.metered("carbon_market", site.sum.market.kg(), "kgCO2e");
    }
}

/// The road against the drives, where there are both; the rest of it stands in `comparison.csv`.
fn comparison(figures: &mut Vec<Figure>, accounts: &Accounts) {
    let has = |holds: fn(&Facts) -> bool| accounts.tenants().iter().any(|tenant| holds(&tenant.facts));
    if !has(|facts| matches!(facts, Facts::Job(_))) || !has(|facts| matches!(facts, Facts::Service(_))) {
        return;
    }
    let mut enter = |row: &Row, metric, value, unit| {
        let boundary = Some(row.boundary);
        figures.push(Figure { subject: "comparison".to_owned(), metric, value, unit, boundary });
    };
    for row in accounts.comparison().rows() {
        let (ratio, crossing) = match row.axis {
            Axis::GpuHours => ("gpu_hours_ratio", "gpu_hours_crossover_day"),
            Axis::Kwh => ("kwh_ratio", "kwh_crossover_day"),
            Axis::Usd => ("usd_ratio", "usd_crossover_day"),
            Axis::Kgco2e => ("kgco2e_ratio", "kgco2e_crossover_day"),
            Axis::Litres => ("l_ratio", "l_crossover_day"),
        };
        enter(row, ratio, row.ratio, "ratio");
        enter(row, crossing, row.crossing.map(|crossing| crossing.day), "d");
    }
}

/// All sites together; devices stand at none.
fn total(figures: &mut Vec<Figure>, accounts: &Accounts) {
    let mut sum = Sum::default();
    (0..accounts.sites().len()).for_each(|index| sum += accounts.site(index).sum);
    let mut rows = Rows { subject: "total".to_owned(), figures };
    rows.gpu_hours("gpu_hours", sum.time);
    rows.meter(&sum);
}
