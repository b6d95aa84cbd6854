//! tollway: a discrete-event simulator of AI data centers.
//!
//! A scenario file builds GPU clusters; a parallel event engine runs months of training with failures and checkpoints next to
//! bursts of inference; a ledger gives every joule, dollar, gram and litre to who caused it. [`simulate`] is the whole pipeline;
//! ARCHITECTURE.md says where to read on.

pub mod batch;
pub mod catalog;
pub mod cluster;
pub mod engine;
pub mod evidence;
pub mod facility;
pub mod fault;
pub mod ledger;
pub mod market;
pub mod power;
pub mod report;
pub mod scenario;
pub mod scheduler;
pub mod serving;
pub mod sweep;
pub mod trace;
pub mod training;
pub mod units;
pub mod world;

use engine::RunStats;
use ledger::{Accounts, Goal, Replications};
use rayon::prelude::*;
use scenario::Scenario;
use std::num::NonZeroU64;
use std::ops::Range;
use units::SimTime;

/// What a run gives: the closed books, and how much work the engine had.
#[derive(Debug)]
pub struct Outcome {
    /// Figures, timelines, comparison.
    pub accounts: Accounts,
    /// Events and windows.
    pub stats: RunStats,
}

/// Runs `scenario` to its horizon. `progress` hears the simulated time as it moves. Where jobs may wait for cleaner or cheaper
/// hours, the same run without waiting follows, under the same chance: what waiting saved is told against it.
#[must_use]
pub fn simulate(scenario: &Scenario, progress: impl FnMut(SimTime)) -> Outcome {
    simulate_replication(scenario, scenario.replication, progress)
}

/// As [`simulate`], with the chance of `replication` instead of the scenario's own.
#[must_use]
pub fn simulate_replication(scenario: &Scenario, replication: u64, progress: impl FnMut(SimTime)) -> Outcome {
    let mut outcome = run(scenario, replication, progress);
    if scenario.shifts() {
        outcome.accounts.compare_unshifted(&run(&scenario.unshifted(), replication, |_| ()).accounts);
    }
    outcome
}

/// One run.
fn run(scenario: &Scenario, replication: u64, progress: impl FnMut(SimTime)) -> Outcome {
    let mut parts = scenario.parts();
    parts.seed.replication = replication;
    let (mut control, mut processes) = cluster::build(parts);
    let stats = engine::run(&mut control, &mut processes, scenario.horizon, progress);
    let (tenants, capping) = control.close(processes);
    let accounts = ledger::close(scenario.start, scenario.grid(), &scenario.sites, &scenario.cluster_books(), tenants);
    let accounts = accounts.with_capping(capping);
    Outcome { accounts, stats }
}

/// Runs `scenario` again, side by side, for each traffic and utilisation that its comparison asks for, and enters in `accounts`
/// where the drives overtake the road there.
pub fn rerun(scenario: &Scenario, accounts: &mut Accounts) {
    let shifts = |&(factor, value): &(ledger::Factor, f64)| {
        let outcome = simulate(&scenario.with(factor, value), |_| ());
        ledger::rerun(factor, value, outcome.accounts.comparison()).collect::<Vec<_>>()
    };
    let shifts: Vec<_> = scenario.reruns.par_iter().map(shifts).collect();
    accounts.enter_shifts(shifts.into_iter().flatten());
}

/// What several replications give.
#[derive(Debug)]
pub struct Replicated {
    /// The books of replication 0.
    pub accounts: Accounts,
    /// The figures of all of them.
    pub replications: Replications,
    /// Events and windows of all of them.
    pub stats: RunStats,
}

/// When enough replications have run.
#[derive(Debug, Clone, PartialEq)]
pub struct Stopping {
    /// Replications that run in any case.
    pub min: NonZeroU64,
    /// Replications after which it ends in any case.
    pub max: NonZeroU64,
    /// Half-widths to reach, all of them; with none `max` replications run.
    pub goals: Vec<Goal>,
}

impl Stopping {
    /// After `count` replications.
    #[must_use]
    pub fn at(count: NonZeroU64) -> Stopping {
        Stopping { min: count, max: count, goals: Vec::new() }
    }

    /// The first batch: how many replications run before anybody looks.
    #[must_use]
    pub fn first(&self) -> u64 {
        if self.goals.is_empty() { self.most() } else { self.min.get() }
    }

    /// Replications after which it ends in any case.
    #[must_use]
    pub fn most(&self) -> u64 {
        self.max.max(self.min).get()
    }

    /// The batch after `replications`, empty where they are enough: as long as the widest interval calls for (it narrows with the
    /// root of their number), at most doubling, up to `max`. It follows from these results and from nothing else, so that neither
    /// threads nor interruptions nor what is on record already can show.
    ///
    /// # Errors
    /// The first goal whose figure does not exist.
    pub fn more(&self, replications: &Replications) -> Result<Range<u64>, Goal> {
        let ran = replications.count() as u64;
        let mut widest = 0.0_f64;
        for goal in &self.goals {
            widest = widest.max(replications.excess(goal).ok_or_else(|| goal.clone())?);
        }
        if widest <= 1.0 || ran >= self.most() {
            return Ok(ran..ran);
        }
        let wanted = libm::ceil(ran as f64 * widest * widest).min(2.0 * ran as f64) as u64;
        Ok(ran..wanted.clamp(ran + 1, self.most()))
    }
}

/// Runs replications 0 to `count` - 1 of `scenario` side by side, each with chance of its own; `done` is called after each.
/// Whole runs share the pool, and so do the windows inside them. The same result on any number of threads.
#[must_use]
pub fn replicate(scenario: &Scenario, count: NonZeroU64, done: impl Fn() + Sync) -> Replicated {
    replicate_until(scenario, &Stopping::at(count), done).expect("without a goal none is unknown")
}

/// As [`replicate`], until every goal of `stopping` is reached, batch by batch ([`Stopping::more`]). To stop at a width that is
/// itself an estimate covers the true mean a little less often than 95 %; a `min` of 20 or more keeps that small.
///
/// # Errors
/// The first goal whose figure does not exist.
pub fn replicate_until(scenario: &Scenario, stopping: &Stopping, done: impl Fn() + Sync) -> Result<Replicated, Goal> {
    let run = |replication| {
        let outcome = simulate_replication(scenario, replication, |_| ());
        done();
        outcome
    };
    let batch = |replications: Range<u64>| {
        let runs = replications.into_par_iter().map(|replication| {
            let outcome = run(replication);
            (outcome.accounts.figures().to_vec(), outcome.stats)
        });
        runs.collect::<Vec<_>>()
    };
    let (first, mut rest) = rayon::join(|| run(0), || batch(1..stopping.first()));
    let replications = loop {
        let figures = std::iter::once(first.accounts.figures().to_vec());
        let replications = Replications::gather(figures.chain(rest.iter().map(|(figures, _)| figures.clone())));
        let more = stopping.more(&replications)?;
        if more.is_empty() {
            break replications;
        }
        rest.extend(batch(more));
    };
    let mut stats = first.stats;
    rest.iter().for_each(|(_, more)| {
        stats.events += more.events;
        stats.windows += more.windows;
    });
    Ok(Replicated { replications, accounts: first.accounts, stats })
}
