//! tollway: a discrete-event simulator of AI data centers.
//!
//! A scenario file builds GPU clusters; a parallel event engine runs months of training with failures and checkpoints next to
//! bursts of inference; a ledger gives every joule, dollar, gram and litre to who caused it. [`simulate`] is the whole pipeline;
//! ARCHITECTURE.md says where to read on.

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
use ledger::{Accounts, Replications};
use rayon::prelude::*;
use scenario::Scenario;
use std::num::NonZeroU64;
use units::SimTime;

/// What a run gives: the closed books, and how much work the engine had.
#[derive(Debug)]
pub struct Outcome {
    /// Figures, timelines, comparison.
    pub accounts: Accounts,
    /// Events and windows.
    pub stats: RunStats,
}

/// Runs `scenario` to its horizon. `progress` hears the simulated time as it moves.
#[must_use]
pub fn simulate(scenario: &Scenario, progress: impl FnMut(SimTime)) -> Outcome {
    simulate_replication(scenario, scenario.replication, progress)
}

/// As [`simulate`], with the chance of `replication` instead of the scenario's own.
#[must_use]
pub fn simulate_replication(scenario: &Scenario, replication: u64, progress: impl FnMut(SimTime)) -> Outcome {
    let mut parts = scenario.parts();
    parts.seed.replication = replication;
    let (mut control, mut processes) = cluster::build(parts);
    let stats = engine::run(&mut control, &mut processes, scenario.horizon, progress);
    let (tenants, capping) = control.close(processes);
    let accounts = ledger::close(scenario.start, scenario.grid(), &scenario.sites, &scenario.cluster_books(), tenants);
    let accounts = accounts.with_capping(capping);
    Outcome { accounts, stats }
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

/// Runs replications 0 to `count` - 1 of `scenario` side by side, each with chance of its own; `done` is called after each.
/// Whole runs share the pool, and so do the windows inside them. The same result on any number of threads.
#[must_use]
pub fn replicate(scenario: &Scenario, count: NonZeroU64, done: impl Fn() + Sync) -> Replicated {
    let run = |replication| {
        let outcome = simulate_replication(scenario, replication, |_| ());
        done();
        outcome
    };
    let (first, rest) = rayon::join(
        || run(0),
        || {
            let rest = (1..count.get()).into_par_iter().map(|replication| {
                let outcome = run(replication);
                (outcome.accounts.figures().to_vec(), outcome.stats)
            });
            rest.collect::<Vec<_>>()
        },
    );
    let mut stats = first.stats;
    rest.iter().for_each(|(_, more)| {
        stats.events += more.events;
        stats.windows += more.windows;
    });
    let figures =
        std::iter::once(first.accounts.figures().to_vec()).chain(rest.into_iter().map(|(figures, _)| figures));
    Replicated { replications: Replications::gather(figures), accounts: first.accounts, stats }
}
