//! How the nodes of each cluster fail.

use super::Check;
use crate::catalog::FAILURES;
use crate::fault::{Blast, Burst, FailureLaw, FailureSection, FaultPlan, InitialAge, Mixture};
use crate::scenario::file::ClusterSection;
use crate::units::{PerSecond, Share};
use crate::world::ClusterPlan;

/// A node that fails every hour does little else.
pub(super) const MOST_FAILURES: PerSecond = PerSecond::per_day(24.0);

impl Check<'_> {
    /// How each cluster's nodes fail; one that is wrong is `None`.
    pub(super) fn failures(&mut self, clusters: &[Option<ClusterPlan>]) -> Vec<Option<FaultPlan>> {
        let typed = self.typed;
        let sections = typed.file.cluster.iter().zip(clusters);
        sections.map(|((name, section), plan)| self.faults(name, section, plan.as_ref())).collect()
    }

    fn faults(&mut self, cluster: &str, section: &ClusterSection, plan: Option<&ClusterPlan>) -> Option<FaultPlan> {
        let law = self.failure_law(cluster, &section.failures);
        let bursts = section.bursts.given();
        let sound = bursts.iter().all(|(domain, burst)| self.is_a_burst(cluster, domain.name(), burst));
        sound.then_some(FaultPlan { law: law?, bursts, tree: plan?.domain_tree() })
    }

    fn is_a_burst(&mut self, cluster: &str, domain: &str, burst: &Burst) -> bool {
        let at = |key| ["cluster", cluster, "bursts", domain, key];
        let hits = ["cluster", cluster, "bursts", domain, "hits", "batch"];
        let fine = [
            self.is_a_rate(&at("rate"), burst.rate, MOST_FAILURES),
            match burst.hits {
                Blast::Batch { least, extra } => {
                    least > 0 && (0.0..=1e6).contains(&extra)
                        || self.no(&hits, "needs `least` of at least 1 and `extra` from 0 to a million")
                }
                Blast::Share(share) => share > Share::new(0.0) || self.no(&at("hits"), "takes no node at all"),
                Blast::Whole {} => true,
            },
        ];
        !fine.contains(&false)
    }

    fn failure_law(&mut self, cluster: &str, section: &FailureSection) -> Option<FailureLaw> {
        let at = |law, key| ["cluster", cluster, "failures", law, key];
        match section {
            FailureSection::None {} => Some(FailureLaw::None),
            FailureSection::Preset(name) => {
                let preset = self.entry(&["cluster", cluster, "failures", "preset"], name, FAILURES, "failures")?;
                let (rate, shape, initial_age) = (preset.rate, preset.shape, InitialAge::default());
                Some(FailureLaw::Weibull { rate, shape, initial_age })
            }
            FailureSection::Exponential { rate, mixture } => {
                let fine = [
                    self.is_a_rate(&at("exponential", "rate"), *rate, MOST_FAILURES),
                    self.is_a_mixture(&["cluster", cluster, "failures", "exponential", "mixture", "shape"], *mixture),
                ];
                (!fine.contains(&false)).then_some(law(*rate, 1.0, InitialAge::default(), *mixture))
            }
            FailureSection::Weibull { rate, shape, initial_age, mixture } => {
                let fine = [
                    self.is_a_rate(&at("weibull", "rate"), *rate, MOST_FAILURES),
                    self.is_a_mixture(&["cluster", cluster, "failures", "weibull", "mixture", "shape"], *mixture),
                    (0.2..=20.0).contains(shape) || self.no(&at("weibull", "shape"), "must lie between 0.2 and 20"),
                ];
                (!fine.contains(&false)).then_some(law(*rate, *shape, *initial_age, *mixture))
            }
        }
    }

    fn is_a_mixture(&mut self, path: &[&str], mixture: Option<Mixture>) -> bool {
        mixture.is_none_or(|mixture| (0.1..=100.0).contains(&mixture.shape))
            || self.no(path, "must lie between 0.1 and 100")
    }
}

fn law(rate: PerSecond, shape: f64, initial_age: InitialAge, mixture: Option<Mixture>) -> FailureLaw {
    match mixture {
        Some(mixture) => FailureLaw::Mixed { rate, shape, initial_age, mixture },
        None => FailureLaw::Weibull { rate, shape, initial_age },
    }
}
