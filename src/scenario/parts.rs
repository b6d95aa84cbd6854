//! What the rooms downstream take from a checked scenario.

use super::Scenario;
use crate::cluster::Parts;
use crate::engine::Seed;
use crate::ledger::{ClusterBooks, Draw, Grid, Holding};
use crate::power::{NodePower, State};
use crate::units::Span;
use crate::world::{Cost, Unheld};

impl Scenario {
    /// What stands and runs.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            clusters: &self.clusters,
            schedulers: &self.schedulers,
            jobs: &self.jobs,
            services: &self.services,
            devices: &self.devices,
            seed: Seed { seed: self.seed, replication: self.replication },
            sites: &self.sites,
            capping: &self.capping,
            grid: self.grid(),
        }
    }

    /// The bins of all books: an hour, or the timeline's step where that is finer.
    #[must_use]
    pub fn grid(&self) -> Grid {
        Grid { horizon: self.horizon, bin: self.step.min(Span::HOUR) }
    }

    /// The model that each subject (`training.pretrain`, `device.laptop`) runs.
    #[must_use]
    pub fn models(&self) -> Vec<(String, String)> {
        let models = self.notes.iter().filter(|note| note.key == "model");
        models.map(|note| (note.subject.clone(), note.value.clone())).collect()
    }

    /// What the ledger knows of each cluster.
    #[must_use]
    pub fn cluster_books(&self) -> Vec<ClusterBooks> {
        let books = |cluster: &crate::world::ClusterPlan| {
            let state = match cluster.power.unheld {
                Unheld::Idle => State::Idle,
                Unheld::Off => State::Off,
            };
            let idle = NodePower::new(&cluster.node, &cluster.gpu).draw(state);
            ClusterBooks {
                name: cluster.name.clone(),
                site: cluster.site,
                gpus: cluster.gpus(),
                idle_gpu: Draw::new(1, idle.accelerator, idle.host),
                holding: match cluster.cost {
                    Cost::Rented(price) => Holding::Rented(price),
                    Cost::Owned(price) => Holding::Owned(price),
                },
            }
        };
        self.clusters.iter().map(books).collect()
    }
}
