//! Training jobs.

use super::Check;
use super::faults::MOST_FAILURES;
use super::header::Header;
use super::names::sheet_name;
use crate::catalog::{GpuSheet, MODELS, ModelSheet, Named};
use crate::fault::FaultPlan;
use crate::power::{Hand, NodePower};
use crate::training::{Every, HeldTraining, JobPlan, Progress, Schedule, Short, TrainingSection};
use crate::units::{Bytes, Ratio, Share, Span, Tokens, Watts};
use crate::world::ClusterPlan;

impl Check<'_> {
    /// The checked training jobs; one that is wrong is `None`.
    pub(super) fn jobs(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Vec<Option<JobPlan>> {
        let typed = self.typed;
        let jobs = typed.file.training.iter();
        jobs.map(|(name, section)| self.job(name, section, header, clusters, failures)).collect()
    }

    fn job(
        &mut self,
        name: &str,
        section: &TrainingSection,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Option<JobPlan> {
        let at = |key| ["training", name, key];
        let cluster = self.section(&at("cluster"), "cluster", &section.cluster);
        let model = self.model(&at("model"), &section.model);
        let progress = self.progress(name, section);
        let fine = [
            self.is_plain_name(&["training", name], name),
            self.is_positive(&at("nodes"), section.nodes),
            self.checkpoints_are_sound(name, section),
            self.recovery_is_sound(name, section),
            section.planned.rate <= MOST_FAILURES
                || self.no(&["training", name, "planned", "rate"], "is more than one an hour"),
            section.tokens > Tokens::ZERO || self.no(&at("tokens"), "is zero: there is nothing to train on"),
            section.research_multiplier >= Ratio::new(1.0)
                || self.no(&at("research_multiplier"), "must be at least 1: the final run is part of the development"),
            header.is_none_or(|header| self.is_inside(&at("submit"), section.submit, header)),
        ];
        let plan = cluster.and_then(|index| clusters[index].as_ref());
        let fits = plan.is_none_or(|plan| self.job_fits(name, section, plan));
        if fine.contains(&false) || !fits || !self.typed.sound(&["training", name]) {
            return None;
        }
        let (index, plan, model, progress) = (cluster?, plan?, model?, progress?);
        if !self.is_within_peak(name, section, plan, &model, progress) {
            return None;
        }
        self.note("training", name, "model", sheet_name(&section.model));
        let power = NodePower::new(&plan.node, &plan.gpu);
        let job = JobPlan {
            name: name.to_owned(),
            cluster: index,
            cluster_name: plan.name.clone(),
            model,
            nodes: section.nodes,
            gpus_per_node: plan.node.gpus,
            peak: plan.gpu.peak_16bit,
            power,
            levels: self.hands(plan).iter().map(|hand| held(hand, plan, &power)).collect(),
            power_priority: section.power_priority,
            swing: section.swing.map_or([plan.gpu.tdp.max(plan.gpu.training), half_trough(&plan.gpu)], |swing| {
                [swing.crest, swing.trough]
            }),
            failures: failures[index].clone()?,
            tokens: section.tokens,
            progress,
            submit: section.submit,
            priority: section.priority,
            spares: section.spares,
            recovery: section.recovery.clone(),
            checkpoint: section.checkpoint.clone().into_iter().collect(),
            planned: section.planned,
            research_multiplier: section.research_multiplier,
        };
        self.checkpoints_fit(name, &job).then_some(job)
    }

    /// True where each checkpoint tier of `job` can be written as often as it is taken; else complains.
    fn checkpoints_fit(&mut self, name: &str, job: &JobPlan) -> bool {
        let mut fit = true;
        for tier in &job.checkpoint {
            let alone = JobPlan { checkpoint: vec![tier.clone()], ..job.clone() };
            if let Err(error) = Schedule::new(&alone) {
                let path = ["training", name, "checkpoint", &tier.0];
                let help = "save less often, or make `background` shorter or `bandwidth` larger".to_owned();
                self.complain(&path, format!("`{}`: {error}", path.join(".")), help);
                fit = false;
            }
        }
        fit
    }

    /// The model that `named` stands for, with sizes that a model can have.
    pub(super) fn model(&mut self, path: &[&str], named: &Named<ModelSheet>) -> Option<ModelSheet> {
        let model = self.sheet(path, named, MODELS, "models")?;
        let parameters = model.parameters > 0.0 && model.active_parameters > 0.0;
        let fine = [
            parameters || self.no(path, "needs `parameters` and `active_parameters` above zero"),
            model.active_parameters <= model.parameters || self.no(path, "uses more parameters a token than it has"),
            model.kv_bytes_per_token > Bytes::ZERO || self.no(path, "needs `kv_bytes_per_token` above zero"),
            model.layers > 0 || self.no(path, "needs `layers` above zero"),
        ];
        (!fine.contains(&false)).then_some(model)
    }

    /// The one way in which the speed was given.
    fn progress(&mut self, name: &str, section: &TrainingSection) -> Option<Progress> {
        let path = ["training", name];
        let ways = [
            ("mfu", section.mfu.map(Progress::Mfu)),
            ("tokens_per_second", section.tokens_per_second.map(Progress::TokensPerSecond)),
            ("step", section.step.map(Progress::Step)),
            ("ideal", section.ideal.map(Progress::Ideal)),
        ];
        if ways.iter().any(|(key, _)| !self.typed.sound(&["training", name, key])) {
            return None;
        }
        let given: Vec<(&str, Progress)> = ways.iter().filter_map(|&(key, way)| Some((key, way?))).collect();
        match given[..] {
            [] => {
                let help = "give one of mfu = 0.40, tokens_per_second = \"…/s\", step = { time = …, tokens = … } or ideal = \"… d\"";
                self.refuse(&path, "does not say how fast it trains", help.to_owned());
                None
            }
            [(key, progress)] => self.is_moving(&["training", name, key], progress).then_some(progress),
            [.., (last, _)] => {
                let keys: Vec<String> = given.iter().map(|(key, _)| format!("`{key}`")).collect();
                let message = format!("`{}` gives its speed in several ways: {}", path.join("."), keys.join(", "));
                self.complain(&["training", name, last], message, "keep exactly one of them".to_owned());
                None
            }
        }
    }

    fn is_moving(&mut self, path: &[&str], progress: Progress) -> bool {
        let still = match progress {
            Progress::Mfu(mfu) => mfu.as_f64() <= 0.0,
            Progress::TokensPerSecond(rate) => rate.as_f64() <= 0.0,
            Progress::Step(step) => step.time == Span::ZERO || step.tokens == Tokens::ZERO,
            Progress::Ideal(ideal) => ideal == Span::ZERO,
        };
        !still || self.no(path, "must be above zero")
    }

    /// True where the speed asks for no more than the GPUs' peak; else complains.
    fn is_within_peak(
        &mut self,
        name: &str,
        section: &TrainingSection,
        cluster: &ClusterPlan,
        model: &ModelSheet,
        progress: Progress,
    ) -> bool {
        let (key, tokens_per_second) = match progress {
            Progress::Mfu(_) => return true,
            Progress::TokensPerSecond(rate) => ("tokens_per_second", rate.as_f64()),
            Progress::Step(step) => ("step", step.tokens.count() as f64 / step.time.as_secs_f64()),
            Progress::Ideal(ideal) => ("ideal", section.tokens.count() as f64 / ideal.as_secs_f64()),
        };
        let gpus = f64::from(section.nodes) * f64::from(cluster.node.gpus);
        // 6 FLOPs a parameter and token: arXiv:2001.08361 section 2.1.
        let asked = 6.0 * model.active_parameters * tokens_per_second;
        // 8-bit training reaches past the 16-bit peak, never past the 8-bit one.
        let peak = gpus * cluster.gpu.peak_8bit.as_f64().max(cluster.gpu.peak_16bit.as_f64());
        if asked <= peak {
            return true;
        }
        let message = format!("asks {:.0} % of the peak of its {gpus} GPUs", 100.0 * asked / peak);
        self.refuse(&["training", name, key], message, "use more nodes, or a lower speed".to_owned());
        false
    }

    fn recovery_is_sound(&mut self, name: &str, section: &TrainingSection) -> bool {
        let recovery = &section.recovery;
        let at = |key| ["training", name, "recovery", key];
        let shrink = ["training", name, "spares", "short", "shrink", "replica"];
        let fine = [
            (0.2..=20.0).contains(&recovery.repair_shape)
                || self.no(&at("repair_shape"), "must lie between 0.2 and 20"),
            recovery.crews != Some(0) || self.no(&at("crews"), "must be at least 1: nobody would repair anything"),
            recovery.unfixed < Share::new(1.0) || self.no(&at("unfixed"), "must be below 1: some repair has to help"),
            recovery.retire.is_none_or(|retire| retire.after > 0)
                || self.no(&["training", name, "recovery", "retire", "after"], "must be at least 1"),
            match section.spares.short {
                Short::Shrink { replica, .. } => {
                    replica > 0 && section.nodes.is_multiple_of(replica)
                        || self.no(&shrink, "must divide the job's nodes into whole replicas")
                }
                Short::Wait {} => true,
            },
        ];
        !fine.contains(&false)
    }

    fn checkpoints_are_sound(&mut self, name: &str, section: &TrainingSection) -> bool {
        let mut sound = true;
        for (tier, checkpoint) in &section.checkpoint {
            let at = |key| ["training", name, "checkpoint", tier.as_str(), key];
            sound &= self.is_plain_name(&at("every")[..4], tier);
            sound &= checkpoint.every != Every::Fixed(Span::ZERO) || self.no(&at("every"), "must be above zero");
            sound &= checkpoint.background.is_some()
                || checkpoint.bandwidth.as_f64() > 0.0
                || self.no(&at("bandwidth"), "must be above zero");
            sound &= checkpoint.read_bandwidth.is_none_or(|bandwidth| bandwidth.as_f64() > 0.0)
                || self.no(&at("read_bandwidth"), "must be above zero");
        }
        sound
    }

    /// True where `span` after the start lies before the horizon; else complains.
    pub(super) fn is_inside(&mut self, path: &[&str], span: Span, header: &Header) -> bool {
        let inside = span < header.horizon.since(crate::units::SimTime::ZERO);
        inside || {
            let horizon = header.horizon.since(crate::units::SimTime::ZERO);
            self.refuse(path, format!("is {span} after the start, but the run ends after {horizon}"), None);
            false
        }
    }

    fn job_fits(&mut self, name: &str, section: &TrainingSection, cluster: &ClusterPlan) -> bool {
        let spares = u64::from(section.spares.hot) + u64::from(section.spares.cold);
        let asked = u64::from(section.nodes) + spares;
        if asked <= u64::from(cluster.nodes) {
            return true;
        }
        let with = if spares > 0 { format!(" ({} and {spares} spares)", section.nodes) } else { String::new() };
        let message = format!("asks {asked} nodes{with}, but cluster {:?} has {}", cluster.name, cluster.nodes);
        self.refuse(&["training", name, "nodes"], message, format!("ask at most {} nodes with spares", cluster.nodes));
        false
    }
}

/// A job on `cluster` under `hand`.
fn held(hand: &Hand, cluster: &ClusterPlan, power: &NodePower) -> HeldTraining {
    HeldTraining { time: hand.training_time(cluster.gpu.training), draw: hand.training(power) }
}

/// Half of the design power, as between iterations of GPT-NeoX (POLCA, arXiv:2308.12908; RoBERTa 75 %, Flan-T5 20 %), and no more
/// than the mean.
fn half_trough(gpu: &GpuSheet) -> Watts {
    Watts::from_milli(gpu.tdp.milli() / 2).min(gpu.training)
}
