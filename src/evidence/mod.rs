//! Published figures against the simulator: `validate` replays each case through the ordinary engine.
//!
//! A case is a scenario under `scenarios/validate/` with `[published.<id>]` entries; it is compiled in, so that `validate`
//! runs anywhere, and `tollway run` on the same file gives the same figures.

mod cases;
mod facts;

pub use cases::{CASES, Case};
pub use facts::{Fact, Standing, facts};

use crate::ledger::Accounts;
use crate::scenario::{Kind, Published, Scenario};

/// One published figure beside the simulated one.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The published figure.
    pub published: Published,
    /// The same figure of the run; `None` where the run has none.
    pub simulated: Option<f64>,
}

impl Finding {
    /// Simulated over published, minus one, in per cent; `None` without a simulated figure.
    #[must_use]
    pub fn difference_pct(&self) -> Option<f64> {
        self.simulated.map(|simulated| (simulated / self.published.value - 1.0) * 100.0)
    }

    /// Whether the simulated figure lies in the pass band.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.difference_pct().is_some_and(|difference| difference.abs() <= self.published.band_pct)
    }

    /// `reproduced` where a mechanism is simulated, `accounting` where the figure is arithmetic of its own inputs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.published.kind {
            Kind::Reproduced => "reproduced",
            Kind::Accounting => "accounting",
        }
    }
}

/// What `scenario` publishes beside what `accounts` say.
#[must_use]
pub fn compare(scenario: &Scenario, accounts: &Accounts) -> Vec<Finding> {
    let figure = |published: &Published| accounts.figure(&published.subject, &published.metric, &published.boundary);
    scenario
        .published
        .iter()
        .map(|published| Finding { published: published.clone(), simulated: figure(published) })
        .collect()
}
