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
pub mod trace;
pub mod training;
pub mod units;
pub mod world;

use engine::RunStats;
use ledger::Accounts;
use scenario::Scenario;
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
    let (mut control, mut processes) = cluster::build(scenario.parts());
    let stats = engine::run(&mut control, &mut processes, scenario.horizon, progress);
    let tenants = control.close(processes);
    let accounts = ledger::close(scenario.start, scenario.grid(), &scenario.sites, &scenario.cluster_books(), tenants);
    Outcome { accounts, stats }
}
