//! Every headline figure, computed here once: the rows of `summary.csv`. Energy, cost, carbon and water have a row for each
//! boundary; a figure that does not exist (the mean of nothing) is there, without a value.

use super::accounts::{Accounts, Boundary, Sum, Sums};
use super::{Book, Count, EventKind, Facts, Histogram, JobFacts, ServiceFacts, Tenant, Use};
use crate::units::{Dollars, GpuTime, SimTime, Span};

/// One row of `summary.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Of whom: `training.<name>`, `service.<name>`, `device.<name>`, `cluster.<name>`, `site.<name>` or `total`.
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
            Facts::Service(facts) => {
                service(&mut rows, tenant, facts, sums);
                replicas(&mut rows, &tenant.book, facts, accounts.grid().horizon);
            }
            Facts::Device(facts) => service(&mut rows, tenant, facts, sums),
        }
        if tenant.cluster.is_some() && accounts.keeps_market_ledger(tenant.site) {
            rows.bounded("carbon_market", "kgCO2e", sums, |sum| Some(sum.market.kg()));
        }
    }
    (0..accounts.clusters().len()).for_each(|index| cluster(&mut figures, accounts, index));
    (0..accounts.sites().len()).for_each(|index| site(&mut figures, accounts, index));
    total(&mut figures, accounts);
    figures
}

/// Rows of one subject.
struct Rows<'a> {
    subject: String,
    figures: &'a mut Vec<Figure>,
}

impl Rows<'_> {
    fn put(&mut self, metric: &'static str, value: impl Into<Option<f64>>, unit: &'static str) {
        self.push(metric, value.into(), unit, None);
    }

    fn count(&mut self, metric: &'static str, number: u64) {
        self.put(metric, number as f64, "count");
    }

    fn gpu_hours(&mut self, metric: &'static str, time: GpuTime) {
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
    fn sums(&mut self, sums: &Sums) {
        self.bounded("energy", "kWh", sums, |sum| Some(sum.energy.kwh()));
        self.bounded("cost", "USD", sums, |sum| Some(sum.cost.as_f64()));
        self.bounded("carbon", "kgCO2e", sums, |sum| Some(sum.carbon.kg()));
        self.bounded("carbon_upstream", "kgCO2e", sums, |sum| Some(sum.upstream.kg()));
        self.bounded("carbon_embodied", "kgCO2e", sums, |sum| Some(sum.embodied.kg()));
        self.bounded("water", "L", sums, |sum| Some(sum.water.as_f64()));
        self.bounded("water_offsite", "L", sums, |sum| Some(sum.water_offsite.as_f64()));
    }

    /// Energy, money, gas and water of everything behind a meter.
    fn meter(&mut self, sum: &Sum) {
        self.metered("energy", sum.energy.kwh(), "kWh");
        self.metered("cost", sum.cost.as_f64(), "USD");
        self.metered("carbon", sum.carbon.kg(), "kgCO2e");
        self.metered("carbon_upstream", sum.upstream.kg(), "kgCO2e");
        self.metered("carbon_embodied", sum.embodied.kg(), "kgCO2e");
        self.metered("water", sum.water.as_f64(), "L");
        self.metered("water_offsite", sum.water_offsite.as_f64(), "L");
    }
}

/// `part` over `whole`, where there is a whole.
fn over(part: f64, whole: f64) -> Option<f64> {
    if whole > 0.0 { Some(part / whole) } else { None }
}

/// Accelerator time that `book` entered under `uses`.
fn time_of(book: &Book, uses: &[Use]) -> GpuTime {
    uses.iter().map(|&what| book.spent(what).time).sum()
}

/// A training job. `ettr` is the time that the kept tokens take without interruption over the time from start to finish (or
/// horizon); `goodput` counts waiting for nodes, too, from submission; `mfu` is 6ND over peak while it progressed,
/// `whole_run_mfu` from start to finish. `gpu_hours` are the computing GPUs from start to finish; spares and repairs apart.
fn job(rows: &mut Rows<'_>, tenant: &Tenant, facts: &JobFacts, horizon: SimTime, sums: &Sums) {
    let book = &tenant.book;
    let end = facts.finished.unwrap_or(horizon);
    let elapsed = facts.started.map_or(Span::ZERO, |started| end.since(started));
    let ideal = facts.ideal.as_secs_f64();
    let flops = facts.kept.count() as f64 * facts.flops_per_token;
    let peak = f64::from(facts.gpus) * facts.peak.as_f64();
    rows.gpu_hours("gpu_hours", GpuTime::new(facts.gpus, elapsed));
    rows.put("elapsed", facts.started.map(|_| elapsed.as_secs_f64()), "s");
    rows.put("submitted", facts.submitted.as_secs_f64(), "s");
    rows.put("started", facts.started.map(SimTime::as_secs_f64), "s");
    rows.put("waited", facts.started.map(|started| started.since(facts.submitted).as_secs_f64()), "s");
    rows.put("finished", facts.finished.map(SimTime::as_secs_f64), "s");
    rows.put("ettr", over(ideal, elapsed.as_secs_f64()), "fraction");
    rows.put("ettr_queued", over(ideal, end.since(facts.submitted).as_secs_f64()), "fraction");
    rows.put("goodput", over(ideal, end.since(facts.submitted).as_secs_f64()), "fraction");
    rows.put("mfu", over(flops, peak * ideal), "fraction");
    rows.put("whole_run_mfu", over(flops, peak * elapsed.as_secs_f64()), "fraction");
    rows.put("tokens", facts.kept.count() as f64, "tokens");
    rows.count("interruptions", facts.interruptions);
    rhythm(rows, book, facts.started.unwrap_or(end), end);
    rows.count("planned_interruptions", facts.planned);
    rows.count("preemptions", facts.preemptions);
    rows.put("requeued", facts.requeued.as_secs_f64(), "s");
    rows.count("checkpoints", facts.checkpoints);
    let every = Some(facts.checkpoint_every).filter(|&every| every > Span::ZERO);
    rows.put("checkpoint_interval", every.map(Span::as_secs_f64), "s");
    rows.gpu_hours("held_gpu_hours", time_of(book, &Use::ALL));
    rows.gpu_hours("productive_gpu_hours", time_of(book, &[Use::Productive]));
    rows.gpu_hours("recomputed_gpu_hours", time_of(book, &[Use::Recomputed]));
    rows.gpu_hours("checkpoint_gpu_hours", time_of(book, &[Use::Checkpoint]));
    rows.gpu_hours("recovery_gpu_hours", time_of(book, &RECOVERY));
    rows.gpu_hours("planned_gpu_hours", time_of(book, &[Use::Planned]));
    rows.gpu_hours("spare_gpu_hours", time_of(book, &[Use::Spare]));
    rows.gpu_hours("repair_gpu_hours", time_of(book, &[Use::Repair]));
    let swing = facts.swing[0].saturating_sub(facts.swing[1]) * u64::from(facts.gpus);
    rows.put("power_swing", swing.as_f64() / 1e3, "kW");
    let running = ideal + facts.slowed.as_secs_f64();
    rows.put("step_time_factor", over(running, ideal), "ratio");
    rows.put("research_multiplier", facts.research_multiplier.as_f64(), "ratio");
    rows.sums(sums);
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
const RECOVERY: [Use; 5] = [Use::Detect, Use::Localise, Use::SpareWait, Use::Restart, Use::Reload];

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
/// limit.
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
    latencies(rows, &tenant.book);
    rows.put("slo_attainment", over(counted(Count::WithinSlo) as f64, ended as f64), "fraction");
    rows.sums(sums);
    rows.bounded("energy_per_request", "kWh", sums, |sum| over(sum.energy.kwh(), completed as f64));
    rows.bounded("energy_per_output_token", "kWh", sums, |sum| over(sum.energy.kwh(), tokens as f64));
    rows.bounded("cost_per_request", "USD", sums, |sum| over(sum.cost.as_f64(), completed as f64));
    rows.bounded("carbon_per_request", "kgCO2e", sums, |sum| over(sum.carbon.kg(), completed as f64));
}

/// Mean and quantiles, in milliseconds.
fn latencies(rows: &mut Rows<'_>, book: &Book) {
    let ms = |latency: Option<Span>| latency.map(|span| span.as_secs_f64() * 1e3);
    let quantile = |histogram: &Histogram, p: f64| ms(histogram.quantile(crate::units::Share::new(p)));
    let (ttft, tpot, e2e) = (book.latencies().ttft(), book.latencies().tpot(), book.latencies().e2e());
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

/// All sites together; devices stand at none.
fn total(figures: &mut Vec<Figure>, accounts: &Accounts) {
    let mut sum = Sum::default();
    (0..accounts.sites().len()).for_each(|index| sum += accounts.site(index).sum);
    let mut rows = Rows { subject: "total".to_owned(), figures };
    rows.gpu_hours("gpu_hours", sum.time);
    rows.meter(&sum);
}
