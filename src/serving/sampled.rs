//! A sample of a service: some of its cells, drawn by the seed, each of which stands for itself and for neighbours that nobody
//! simulates.
//!
//! A cell that is kept lives as it would among all: its streams are keyed by its own index, it takes the very part of the
//! service's arrivals that it would take, and each of its replicas holds the GPUs of one more for each neighbour. Whatever it
//! enters in its book counts once for each cell that it stands for: whole numbers, so that each joule and each request is still in
//! exactly one place and the nodes of the cluster add up.
//!
//! What a sample cannot know: the chance of the cells that it left out (failures strike a cell and its neighbours together), and
//! replicas by ones, for they come and go in steps of the cells that one stands for. The autoscaler sees a load that fluctuates
//! more than the whole, by the root of the cells that one stands for, and so keeps a few replicas more. Measured against every
//! request: `tests/fidelity.rs`.

use super::{Fidelity, ServicePlan, cells};
use crate::engine::{Entity, Seed};
use crate::units::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `fidelity = { sampled = { one_in = 4 } }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// One cell is simulated of that many: a service has a cell for each 64 of its `scale.max` replicas.
    pub one_in: u32,
}

impl Sampled {
    /// How many cells it keeps of a service of `cells`.
    #[must_use]
    pub fn keeps(self, cells: u32) -> u32 {
        cells.div_ceil(self.one_in.max(1))
    }
}

/// How far a fidelity may be off against every request on a shipped scenario: `tests/fidelity.rs` measures it and holds it to this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The scenario.
    pub scenario: &'static str,
    /// Of energy and GPU time, and of tokens.
    pub amounts: Share,
    /// Of latencies: their `mean`, `p50` or `p99`.
    pub latencies: &'static [(&'static str, Share)],
}

impl Measured {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let percent = |share: Share| share.as_f64() * 100.0;
        let latencies =
            self.latencies.iter().map(|&(what, share)| format!(", {what} of latencies within {} %", percent(share)));
        let amounts = percent(self.amounts);
        let latencies: String = latencies.collect();
        format!("on {}: energy and tokens within {amounts} % of every request{latencies}", self.scenario)
    }
}

/// A sample that keeps 20 replicas or more.
pub const SAMPLED: Measured = Measured {
    scenario: "scenarios/large-service.toml",
    amounts: Share::new(0.01),
    latencies: &[("p50", Share::new(0.03)), ("p99", Share::new(0.10))],
};

/// Response tables. Where autoscaling moves much they may be further off in energy: 2.9 % on `scenarios/day-and-night.toml`.
pub const FLUID: Measured = Measured {
    scenario: "scenarios/crossover.toml",
    amounts: Share::new(0.02),
    latencies: &[("mean", Share::new(0.10))],
};

/// A cell that is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its index among all cells of its service.
    pub cell: u32,
    /// The first of the cells that it stands for, itself among them: they lie side by side.
    pub first: u32,
    /// How many these are.
    pub stands_for: u32,
}

/// The cells of a service that are simulated, in order: all where every request is, a single one by response tables, else one
/// drawn from each of as many neighbourhoods of nearly the same size.
#[must_use]
pub fn kept(plan: &ServicePlan, seed: Seed) -> Vec<Kept> {
    let all = cells(plan.scale.max);
    match plan.fidelity {
        Fidelity::Requests {} => (0..all).map(|cell| Kept { cell, first: cell, stands_for: 1 }).collect(),
        Fidelity::Fluid {} => vec![Kept { cell: 0, first: 0, stands_for: 1 }],
        Fidelity::Sampled(sampled) => {
            let count = sampled.keeps(all);
            let mut draw = seed.stream(Entity::named(&format!("service.{}", plan.name)), "sample");
            let neighbourhood = |index| {
                // Edges at index x all / count, rounded down.
                let edge = |index: u32| (u64::from(index) * u64::from(all) / u64::from(count)) as u32;
                let (first, stands_for) = (edge(index), edge(index + 1) - edge(index));
                Kept { cell: first + draw.below(stands_for), first, stands_for }
            };
            (0..count).map(neighbourhood).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chat, plan};
    use super::*;
    use crate::serving::{ArrivalPlan, CELL_REPLICAS};
    use crate::units::PerSecond;

    fn of(cells: u32, one_in: u32, seed: u64) -> Vec<Kept> {
        let mut plan = plan(ArrivalPlan::Chat(chat(PerSecond::new(1.0))), cells * CELL_REPLICAS);
        plan.fidelity = Fidelity::Sampled(Sampled { one_in });
        kept(&plan, Seed { seed, replication: 0 })
    }

    #[test]
    fn the_kept_stand_for_all_and_for_themselves() {
        for (cells, one_in, expected) in [(10, 4, [3, 3, 4].as_slice()), (8, 4, &[4, 4]), (7, 7, &[7]), (3, 1, &[1; 3])]
        {
            for seed in 0..20 {
                let kept = of(cells, one_in, seed);
                let sizes: Vec<u32> = kept.iter().map(|kept| kept.stands_for).collect();
                assert_eq!(sizes, expected, "one in {one_in} of {cells}");
                let mut next = 0;
                for kept in kept {
                    assert_eq!(kept.first, next, "neighbourhoods tile the cells");
                    next += kept.stands_for;
                    assert!((kept.first..next).contains(&kept.cell), "it is one of those that it stands for");
                }
                assert_eq!(next, cells);
            }
        }
    }

    #[test]
    fn every_cell_is_kept_as_often_as_any_other() {
        let mut times = [0_u32; 8];
        (0..4_000).flat_map(|seed| of(8, 4, seed)).for_each(|kept| times[kept.cell as usize] += 1);
        // Two of eight in each of 4,000: a thousand times, with a standard deviation of 27.
        assert!(times.iter().all(|count| (890..1_110).contains(count)), "{times:?}");
    }
}
