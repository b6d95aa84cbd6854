//! How the nodes of each cluster fail.

use super::Check;
use super::header::Header;
use crate::catalog::{FAILURES, FailurePreset};
use crate::fault::{
    AgeFile, AgeSection, Blast, Burst, Bursty, Episodes, FailureLaw, FailureSection, FaultPlan, InitialAge, LawSection,
    Mixture, Modulation, RepairSection, Replay, Straggler, Symptoms, TwoClass,
};
use crate::scenario::file::ClusterSection;
use crate::trace::{self, FaultTrace};
use crate::units::{PerSecond, Ratio, Share, Span};
use crate::world::{ClusterPlan, Domain, DomainTree};
use std::sync::Arc;

/// A node that fails every hour does little else.
pub(super) const MOST_FAILURES: PerSecond = PerSecond::per_day(24.0);

impl Check<'_> {
    /// How each cluster's nodes fail; one that is wrong is `None`.
    pub(super) fn failures(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
    ) -> Vec<Option<FaultPlan>> {
        let typed = self.typed;
        let sections = typed.file.cluster.iter().zip(clusters);
        sections.map(|((name, section), plan)| self.faults(name, section, header, plan.as_ref())).collect()
    }

    fn faults(
        &mut self,
        cluster: &str,
        section: &ClusterSection,
        header: Option<&Header>,
        plan: Option<&ClusterPlan>,
    ) -> Option<FaultPlan> {
        let law = self.law(cluster, &section.failures);
        let mut bursts = section.bursts.given();
        let sound = bursts.iter().all(|(domain, burst)| self.is_a_burst(cluster, domain.name(), burst));
        let stragglers = section.stragglers.given();
        let sound = stragglers.iter().all(|(domain, slow)| self.is_a_straggler(cluster, *domain, slow)) && sound;
        let sound = plan.is_none_or(|plan| self.is_maintained(cluster, section, &plan.domain_tree())) && sound;
        let sound = self.is_a_modulation(cluster, &section.modulation) && sound;
        let sound = section.repair.is_none_or(|repair| self.is_a_repair(cluster, &repair)) && sound;
        let sound = self.are_symptoms(cluster, &section.symptoms) && sound;
        let (law, tree, header) = (law?, plan?.domain_tree(), header?);
        let ages = self.ages(cluster, &section.failures, plan?)?;
        let mut modulation = section.modulation.clone();
        let mut replay = None;
        let law = match law {
            Law::Plain(law) => law,
            Law::Replay(trace) => {
                replay = Some(self.replay(cluster, &trace, &modulation, tree.nodes)?);
                FailureLaw::None
            }
            Law::Bursty(bursty) => {
                modulation.episodes.get_or_insert(bursty.episodes);
                let (law, batches) = bursty.parts(tree.nodes);
                bursts.push((Domain::Site, batches));
                law
            }
        };
        let maintenance = section.maintenance.clone().into_iter().collect();
        let start = header.start.to_zoned(jiff::tz::TimeZone::UTC);
        let first_hour = start.weekday().to_monday_zero_offset() as u32 * 24 + start.hour() as u32;
        sound.then_some(FaultPlan {
            law,
            ages,
            bursts,
            stragglers,
            maintenance,
            replay,
            symptoms: section.symptoms,
            modulation,
            first_hour,
            tree,
        })
    }

    fn replay(&mut self, cluster: &str, trace: &FaultTrace, modulation: &Modulation, nodes: u32) -> Option<Replay> {
        let path = ["cluster", cluster, "failures", "trace"];
        let most = trace.nodes();
        let fits = most <= nodes || self.no(&path, &format!("has faults of {most} nodes, and the cluster has {nodes}"));
        let steady = modulation.is_none()
            || self.no(
                &["cluster", cluster, "modulation"],
                "has no effect on the faults of a file, which have their times",
            );
        let replay = Replay::new(trace, nodes);
        let replay = replay.map_err(|domain| self.no(&path, &format!("has a fault of an unknown domain {domain:?}")));
        replay.ok().filter(|_| fits && steady)
    }

    fn are_symptoms(&mut self, cluster: &str, symptoms: &Symptoms) -> bool {
        let at = |key| ["cluster", cluster, "symptoms", key];
        let fine = [
            symptoms.hang.as_f64() + symptoms.silent.as_f64() <= 1.0
                || self.no(&at("hang"), "is more than `silent` leaves of the failures"),
            symptoms.latency > Span::ZERO || self.no(&at("latency"), "must be above zero"),
            (0.0..=5.0).contains(&symptoms.latency_sigma) || self.no(&at("latency_sigma"), "must lie between 0 and 5"),
        ];
        !fine.contains(&false)
    }

    fn is_a_modulation(&mut self, cluster: &str, modulation: &Modulation) -> bool {
        let path = ["cluster", cluster, "modulation"];
        let at = |key| ["cluster", cluster, "modulation", key];
        let episodes = modulation.episodes;
        let fine = [
            episodes.is_none_or(|episodes| self.is_an_episode(&at("episodes"), episodes)),
            modulation.periods.iter().all(|period| period.from < period.to)
                || self.no(&at("periods"), "has a period that ends before it begins"),
            self.is_calm(&at("weekday"), modulation.weekday.iter().flatten()),
            self.is_calm(&at("hour"), modulation.hour.iter().flatten()),
            self.is_calm(&at("periods"), modulation.periods.iter().map(|period| &period.factor)),
            self.typed.sound(&path),
        ];
        !fine.contains(&false)
    }

    /// True where no factor is more than a thousandfold; else complains.
    fn is_calm<'f>(&mut self, path: &[&str], mut factors: impl Iterator<Item = &'f Ratio>) -> bool {
        factors.all(|factor| factor.as_f64() <= 1_000.0) || self.no(path, "has a factor above 1000")
    }

    fn is_an_episode(&mut self, path: &[&str], episodes: Episodes) -> bool {
        (0.1..=100.0).contains(&episodes.shape) && episodes.holding >= Span::MINUTE
            || self.no(path, "needs a `shape` between 0.1 and 100 and a `holding` of at least a minute")
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

    /// How old each node of `plan` is at the start; outside `None` where something is wrong, inside where no file says it.
    fn ages(&mut self, cluster: &str, section: &FailureSection, plan: &ClusterPlan) -> Option<Option<Arc<[Span]>>> {
        let FailureSection::Law(LawSection::Weibull { initial_age: AgeSection::Trace(file), .. }) = section else {
            return Some(None);
        };
        let path = |rest: &[&'static str]| -> Vec<String> {
            let front = ["cluster", cluster, "failures", "weibull", "initial_age", "trace"];
            front.iter().chain(rest).map(|key| (*key).to_owned()).collect()
        };
        let (at, ages) = match file {
            AgeFile::Ages(file) => {
                let at = path(&["ages", "path"]);
                let keys: Vec<&str> = at.iter().map(String::as_str).collect();
                (at.clone(), self.data(&keys, &file.path, trace::node_ages, |read| read.hash)?.ages)
            }
            AgeFile::Past(file) => {
                let (format, name) = file.file();
                let at = path(&["past", format, "path"]);
                let keys: Vec<&str> = at.iter().map(String::as_str).collect();
                let read = self.data(&keys, name, |path| file.read(path, cluster), |trace| trace.hash)?;
                let nodes = read.nodes().max(plan.nodes);
                (at.clone(), read.ages(nodes))
            }
        };
        let keys: Vec<&str> = at.iter().map(String::as_str).collect();
        let (count, nodes) = (ages.len(), plan.nodes);
        let fits = count == nodes as usize
            || self.no(&keys, &format!("has ages of {count} nodes, and the cluster has {nodes}"));
        fits.then(|| Some(ages.into()))
    }

    fn is_maintained(&mut self, cluster: &str, section: &ClusterSection, tree: &DomainTree) -> bool {
        let mut sound = true;
        for (name, work) in &section.maintenance {
            let at = |key| ["cluster", cluster, "maintenance", name.as_str(), key];
            sound &= self.is_plain_name(&at("of")[..4], name);
            sound &= work.of >= Domain::Node || self.no(&at("of"), "is `gpu`, and a node goes out as a whole");
            sound &= work.out > Span::ZERO || self.no(&at("out"), "must be above zero");
            let round = work.round(tree);
            sound &= work.every.is_none_or(|every| every >= round && every > Span::ZERO) || {
                let help = "make `every` longer, `apart` shorter, or `of` a larger domain".to_owned();
                self.refuse(&at("every"), format!("begins a round anew, but one takes {round}"), help);
                false
            };
        }
        sound
    }

    fn is_a_repair(&mut self, cluster: &str, repair: &RepairSection) -> bool {
        let at = |key| ["cluster", cluster, "repair", key];
        let fine = [
            (0.2..=20.0).contains(&repair.shape) || self.no(&at("shape"), "must lie between 0.2 and 20"),
            repair.crews != Some(0) || self.no(&at("crews"), "must be at least 1: nobody would repair anything"),
            repair.unfixed < Share::new(1.0) || self.no(&at("unfixed"), "must be below 1: some repair has to help"),
        ];
        !fine.contains(&false)
    }

    fn is_a_straggler(&mut self, cluster: &str, domain: Domain, slow: &Straggler) -> bool {
        let at = |key| ["cluster", cluster, "stragglers", domain.name(), key];
        let fine = [
            self.is_a_rate(&at("rate"), slow.rate, MOST_FAILURES),
            slow.speed > Share::new(0.0) && slow.speed < Share::new(1.0)
                || self.no(&at("speed"), "must lie between 0 and 1"),
            slow.lasts.median > Span::ZERO && (0.0..=5.0).contains(&slow.lasts.sigma)
                || self.no(&at("lasts"), "needs a `median` above zero and a `sigma` from 0 to 5"),
            slow.evict.is_none()
                || domain <= Domain::Node
                || self.no(&at("evict"), "sends a node to repair: only of `gpu` and `node`"),
        ];
        !fine.contains(&false)
    }

    fn law(&mut self, cluster: &str, section: &FailureSection) -> Option<Law> {
        let at = |law, key| ["cluster", cluster, "failures", law, key];
        let section = match section {
            FailureSection::Named(name) => return self.preset(&["cluster", cluster, "failures"], name),
            FailureSection::Law(section) => section,
        };
        match section {
            LawSection::None {} => Some(Law::Plain(FailureLaw::None)),
            LawSection::Preset(name) => self.preset(&["cluster", cluster, "failures", "preset"], name),
            LawSection::Exponential { rate, mixture, lemons } => {
                let fine = [
                    self.is_a_rate(&at("exponential", "rate"), *rate, MOST_FAILURES),
                    self.is_a_mixture(&["cluster", cluster, "failures", "exponential", "mixture", "shape"], *mixture),
                    self.are_lemons(cluster, *lemons),
                    mixture.is_none()
                        || lemons.is_none()
                        || self.no(&at("exponential", "lemons"), "says how nodes differ, which `mixture` says already"),
                ];
                (!fine.contains(&false)).then_some(match *lemons {
                    Some(lemons) => Law::Plain(FailureLaw::TwoClass { rate: *rate, lemons }),
                    None => law(*rate, 1.0, InitialAge::default(), *mixture),
                })
            }
            LawSection::Weibull { rate, shape, initial_age, mixture } => {
                let fine = [
                    self.is_a_rate(&at("weibull", "rate"), *rate, MOST_FAILURES),
                    self.is_a_mixture(&["cluster", cluster, "failures", "weibull", "mixture", "shape"], *mixture),
                    (0.2..=20.0).contains(shape) || self.no(&at("weibull", "shape"), "must lie between 0.2 and 20"),
                ];
                (!fine.contains(&false)).then_some(law(*rate, *shape, initial_age.of_all(), *mixture))
            }
            LawSection::Trace(file) => {
                let (format, path) = file.file();
                let at = ["cluster", cluster, "failures", "trace", format, "path"];
                let trace = self.data(&at, path, |path| file.read(path, cluster), |trace| trace.hash)?;
                let dropped = format!("{} rows of faults already known, {} planned stops", trace.merged, trace.planned);
                self.note("cluster", cluster, "dropped_rows", dropped);
                Some(Law::Replay(trace))
            }
            LawSection::Bursty(bursty) => {
                let fine = [
                    self.is_a_rate(&at("bursty", "rate"), bursty.rate, MOST_FAILURES),
                    self.is_a_mixture(
                        &["cluster", cluster, "failures", "bursty", "mixture", "shape"],
                        Some(bursty.mixture),
                    ),
                    bursty.batched > Share::new(0.0) && bursty.batched < Share::new(1.0)
                        || self.no(&at("bursty", "batched"), "must lie between 0 and 1"),
                    bursty.least > 0 || self.no(&at("bursty", "least"), "must be at least 1"),
                    (0.0..=1e6).contains(&bursty.extra)
                        || self.no(&at("bursty", "extra"), "must lie between 0 and a million"),
                    self.is_an_episode(&at("bursty", "episodes"), bursty.episodes),
                ];
                (!fine.contains(&false)).then_some(Law::Bursty(*bursty))
            }
        }
    }

    fn preset(&mut self, path: &[&str], name: &str) -> Option<Law> {
        let preset = self.entry(path, name, FAILURES, "failures")?;
        Some(match *preset {
            FailurePreset::Exponential { rate } => law(rate, 1.0, InitialAge::default(), None),
            FailurePreset::Bursty { rate } => Law::Bursty(Bursty { rate, ..Bursty::default() }),
        })
    }

    fn are_lemons(&mut self, cluster: &str, lemons: Option<TwoClass>) -> bool {
        let Some(TwoClass { share, factor, .. }) = lemons else { return true };
        let at = |key| ["cluster", cluster, "failures", "exponential", "lemons", key];
        let fine = [
            share > Share::new(0.0) && share < Share::new(1.0) || self.no(&at("share"), "must lie between 0 and 1"),
            (1.0..=1_000.0).contains(&factor) || self.no(&at("factor"), "must lie between 1 and 1000"),
        ];
        !fine.contains(&false)
    }

    fn is_a_mixture(&mut self, path: &[&str], mixture: Option<Mixture>) -> bool {
        mixture.is_none_or(|mixture| (0.1..=100.0).contains(&mixture.shape))
            || self.no(path, "must lie between 0.1 and 100")
    }
}

/// What `failures` stands for: nodes that fail by themselves, or the generator that needs to know how many there are.
#[derive(Debug, Clone)]
enum Law {
    Plain(FailureLaw),
    Bursty(Bursty),
    Replay(FaultTrace),
}

fn law(rate: PerSecond, shape: f64, initial_age: InitialAge, mixture: Option<Mixture>) -> Law {
    Law::Plain(match mixture {
        Some(mixture) => FailureLaw::Mixed { rate, shape, initial_age, mixture },
        None => FailureLaw::Weibull { rate, shape, initial_age },
    })
}
