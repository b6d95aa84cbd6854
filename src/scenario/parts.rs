//! What the rooms downstream take from a checked scenario.

use super::Scenario;
use crate::cluster::Parts;
use crate::engine::Seed;
use crate::ledger::{ClusterBooks, Draw, Factor, Grid, Holding};
use crate::power::{NodePower, State};
use crate::serving::ServicePlan;
use crate::training::JobPlan;
use crate::units::{Ratio, Span};
use crate::world::{Cost, Unheld};
use std::sync::Arc;

impl Scenario {
    /// What stands and runs.
    #[must_use]
    pub fn parts(&self) -> Parts<'_> {
        Parts {
            clusters: &self.clusters,
            schedulers: &self.schedulers,
            maintenance: &self.maintenance,
            jobs: &self.jobs,
            workloads: &self.workloads,
            services: &self.services,
            devices: &self.devices,
            seed: Seed { seed: self.seed, replication: self.replication },
            sites: &self.sites,
            capping: &self.capping,
            grid: self.grid(),
        }
    }

    /// Whether a job may wait for cleaner or cheaper hours.
    #[must_use]
    pub fn shifts(&self) -> bool {
        self.jobs.iter().any(|job| job.shift.is_some())
    }

    /// The same scenario with jobs that never wait.
    #[must_use]
    pub fn unshifted(&self) -> Scenario {
        let jobs = self.jobs.iter().map(|job| JobPlan { shift: None, ..job.clone() });
        let services = self.services.iter().map(|plan| Arc::new(ServicePlan { record: None, ..(**plan).clone() }));
        Scenario { jobs: jobs.collect(), services: services.collect(), reruns: Vec::new(), ..self.clone() }
    }

    /// The same scenario with `factor` at `value` in every service: a factor that needs a run of its own.
    #[must_use]
    pub fn with(&self, factor: Factor, value: f64) -> Scenario {
        let change = |plan: &ServicePlan| match factor {
            Factor::Traffic => plan.with_traffic(Ratio::new(value)),
            Factor::Utilisation => plan.with_utilisation(Ratio::new(value)),
            Factor::Research | Factor::Grid => unreachable!("what can be re-scaled is not run again"),
        };
        let change = |plan: &ServicePlan| ServicePlan { record: None, ..change(plan) };
        let services = self.services.iter().map(|plan| Arc::new(change(plan))).collect();
        Scenario { services, reruns: Vec::new(), ..self.clone() }
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
                embodied: cluster.embodied,
            }
        };
        self.clusters.iter().map(books).collect()
    }
}
