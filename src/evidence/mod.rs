//! Published figures against the simulator: `validate` replays each case through the ordinary engine.
//!
//! A case is a scenario under `scenarios/validate/` with `[published.<id>]` entries; it is compiled in, so that `validate`
//! runs anywhere, and `tollway run` on the same file gives the same figures. Measured figures become coefficients with
//! `calibrate`, which says how far they are off.

mod calibrate;
mod cases;
mod entry;
mod facts;
mod fit;
mod least;
mod power_fit;

pub use calibrate::{Calibrated, Limits, calibrate};
pub use cases::{CASES, Case};
pub use entry::entry;
pub use facts::{Fact, Standing, facts};
pub use fit::{Fit, Point, fit, mean, median, worst};
pub use least::Normal;
pub use power_fit::{PowerFit, PowerForm, PowerPoint, fit_power};

use crate::ledger::{Accounts, Figure, Replications, Spread};
use crate::scenario::{Kind, Published, Scenario};
use crate::{replicate, simulate};
use std::num::NonZeroU64;

/// One published figure beside the simulated one.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The published figure.
    pub published: Published,
    /// The same figure of the run, or its mean over replications; `None` where the run has none.
    pub simulated: Option<f64>,
    /// How it spreads, where it is a mean over replications.
    pub spread: Option<Spread>,
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

/// Replays `scenario` and lays what it publishes beside what it gives, as the mean over replications where it says so.
#[must_use]
pub fn replay(scenario: &Scenario) -> Vec<Finding> {
    let most = scenario.published.iter().map(|published| published.replications).max();
    let count = most.unwrap_or(NonZeroU64::MIN);
    if count == NonZeroU64::MIN {
        return compare(scenario, &simulate(scenario, |_| ()).accounts);
    }
    let replicated = replicate(scenario, count, || ());
    let mut findings = compare(scenario, &replicated.accounts);
    for finding in findings.iter_mut().filter(|finding| finding.published.replications > NonZeroU64::MIN) {
        finding.spread = spread(&finding.published, &replicated.replications);
        finding.simulated = finding.spread.map(|spread| spread.mean);
    }
    findings
}

/// How the figure that `published` means spreads over its replications.
fn spread(published: &Published, replications: &Replications) -> Option<Spread> {
    let meant = |figure: &Figure| {
        figure.subject == published.subject
            && figure.metric == published.metric
            && figure.boundary.map_or("", |boundary| boundary.name()) == published.boundary
    };
    let sample = replications.samples().iter().find(|sample| meant(&sample.figure))?;
    let values = sample.values.iter().take(published.replications.get() as usize);
    Spread::of(&values.flatten().collect::<Vec<f64>>())
}

/// What `scenario` publishes beside what `accounts` say.
#[must_use]
pub fn compare(scenario: &Scenario, accounts: &Accounts) -> Vec<Finding> {
    let figure = |published: &Published| accounts.figure(&published.subject, &published.metric, &published.boundary);
    scenario
        .published
        .iter()
        .map(|published| Finding { published: published.clone(), simulated: figure(published), spread: None })
        .collect()
}
