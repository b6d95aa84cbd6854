//! Training jobs.

use super::Check;
use super::faults::MOST_FAILURES;
use super::header::Header;
use super::names::sheet_name;
use crate::catalog::{GpuSheet, MODELS, ModelSheet, Named};
use crate::fault::FaultPlan;
use crate::ledger::SitePlan;
use crate::power::{Hand, NodePower};
use crate::training::{
    Checkpoint, Every, HeldTraining, JobPlan, Recovery, Schedule, ShiftPlan, ShiftSection, Short, Store, StoreSection,
    TrainingSection,
};
use crate::units::{Bytes, Ratio, Share, Span, Tokens, Watts};
use crate::world::ClusterPlan;
use std::sync::Arc;

impl Check<'_> {
    /// The checked training jobs; one that is wrong is `None`.
    pub(super) fn jobs(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
        sites: &[Option<SitePlan>],
    ) -> Vec<Option<JobPlan>> {
        let typed = self.typed;
        let jobs = typed.file.training.iter();
        let planned = jobs.map(|(name, section)| {
            let job = self.job(name, section, header, clusters, failures)?;
            let shift = match &section.shift {
                None => None,
                Some(shift) => {
                    let site = sites[clusters[job.cluster].as_ref()?.site].as_ref()?;
                    Some(self.shift(name, shift, site, header?)?)
                }
            };
            Some(JobPlan { shift, ..job })
        });
        planned.collect()
    }

    /// When a job waits at `site`.
    fn shift(&mut self, name: &str, section: &ShiftSection, site: &SitePlan, header: &Header) -> Option<ShiftPlan> {
        let hours = 0..header.hours();
        let (policy, shift, signal): (_, _, Vec<f64>) = match section {
            ShiftSection::Carbon(shift) => {
                ("carbon", shift, hours.map(|hour| site.market.direct(hour).as_f64()).collect())
            }
            ShiftSection::Marginal(shift) => {
                let signal = hours.map(|hour| site.market.marginal(hour).map_or(0.0, |grams| grams.as_f64()));
                ("marginal", shift, signal.collect())
            }
            ShiftSection::Price(shift) => {
                ("price", shift, hours.map(|hour| site.market.price(hour).as_f64()).collect())
            }
        };
        let at = |key| ["training", name, "shift", policy, key];
        if shift.window < Span::HOUR || !shift.window.nanos().is_multiple_of(Span::HOUR.nanos()) {
            self.no(&at("window"), "must be a whole number of hours");
            return None;
        }
        if signal.windows(2).all(|pair| pair[0] == pair[1]) {
            let why =
                format!("waits for hours of another {policy}, but at site {:?} every hour has the same", site.name);
            let help = match section {
                ShiftSection::Carbon(_) => "give the site a grid that changes by the hour, such as \"ciso\"",
                ShiftSection::Marginal(_) => "give the site marginal = { path = …, column = … }",
                ShiftSection::Price(_) => "give the site a tariff that changes by the hour: `time_of_use` or `series`",
            };
            let help = help.to_owned();
            self.refuse(&at("")[..4], why, help);
            return None;
        }
        Some(ShiftPlan::new(shift, &signal))
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
        let progress = self.at_scale(name, section, plan, &model, progress)?;
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
            recovery: self.recovery(name, section),
            checkpoint: section.checkpoint.clone().into_iter().collect(),
            stores: self.stores(&section.cluster)?,
            planned: section.planned,
            shift: None,
            research_multiplier: section.research_multiplier,
        };
        (self.sizes_fit(name, section, &job) && self.checkpoints_fit(name, &job)).then_some(job)
    }

    /// The stores of the cluster `name`.
    fn stores(&mut self, name: &str) -> Option<Arc<[Store]>> {
        let stores = &self.typed.file.cluster.get(name)?.storage;
        let mut sound = true;
        for (store, section) in stores {
            sound &= self.is_plain_name(&["cluster", name, "storage", store], store);
            sound &= section.bandwidth.as_f64() > 0.0
                || self.no(&["cluster", name, "storage", store, "bandwidth"], "must be above zero");
        }
        let plan =
            |(name, section): (&String, &StoreSection)| Store { name: name.clone(), bandwidth: section.bandwidth };
        sound.then(|| stores.iter().map(plan).collect())
    }

    /// True where the `tier` of a job lies in a store that its cluster has, or in none; else complains.
    fn is_stored(&mut self, name: &str, section: &TrainingSection, tier: &str, checkpoint: &Checkpoint) -> bool {
        let Some(store) = &checkpoint.store else { return true };
        let at = |key| ["training", name, "checkpoint", tier, key];
        let Some(cluster) = self.typed.file.cluster.get(&section.cluster) else { return true };
        if !cluster.storage.contains_key(store) {
            let message = format!("is {store:?}, but cluster {:?} has no such `storage`", section.cluster);
            let help = format!("write [cluster.{}.storage.{store}], with its `bandwidth`", section.cluster);
            self.refuse(&at("store"), message, help);
            return false;
        }
        checkpoint.interference == Share::new(0.0)
            || self.no(&at("interference"), "is of a write whose length is known: none in a `store` that is shared")
    }

    /// True where all that `job` does goes with each of the numbers of nodes that its phases have; else complains.
    fn sizes_fit(&mut self, name: &str, section: &TrainingSection, job: &JobPlan) -> bool {
        let sizes: Vec<u32> = job.sizes().map(|(nodes, _)| nodes).collect();
        let path = ["training", name, "phases"];
        let fewest = sizes.iter().copied().min().unwrap_or(job.nodes);
        if sizes.len() > 1 && job.failures.symptoms.silent > Share::new(0.0) {
            let message = "differ in their nodes, but the cluster's `symptoms` have silent corruption, which would take the job back behind a border";
            let help = "give all phases the nodes of the job, or set `silent = 0`".to_owned();
            self.refuse(&path, message, help);
            return false;
        }
        if let Short::Shrink { replica, .. } = section.spares.short
            && let Some(nodes) = sizes.iter().find(|nodes| !nodes.is_multiple_of(replica))
        {
            self.refuse(&path, format!("have one of {nodes} nodes, no whole number of replicas of {replica}"), None);
            return false;
        }
        if section.recovery.evict.is_some_and(|evict| evict.group > fewest) {
            self.refuse(&path, format!("have one of {fewest} nodes, fewer than `recovery.evict.group`"), None);
            return false;
        }
        true
    }

    /// True where each checkpoint tier of `job` can be written as often as it is taken; else complains.
    fn checkpoints_fit(&mut self, name: &str, job: &JobPlan) -> bool {
        let mut fit = true;
        for tier in &job.checkpoint {
            let alone = |nodes| JobPlan { checkpoint: vec![tier.clone()], nodes, ..job.clone() };
            let wrong = job.sizes().find_map(|(nodes, _)| Schedule::new(&alone(nodes)).err());
            if let Some(error) = wrong {
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
            model.experts.is_none_or(|experts| (1..experts.of).contains(&experts.chosen))
                || self.no(path, "has `experts` of which a token chooses none, or all"),
            model.experts.is_none_or(|experts| {
                let chosen = f64::from(experts.chosen) / f64::from(experts.of);
                chosen >= 1.0 || model.active_parameters >= chosen * model.parameters
            }) || self.no(path, "has fewer active parameters than the `experts` that a token chooses"),
        ];
        (!fine.contains(&false)).then_some(model)
    }

    /// The recovery of a job: what it does not say of repairs, its cluster may.
    fn recovery(&self, name: &str, section: &TrainingSection) -> Recovery {
        let mut recovery = section.recovery.clone();
        let cluster = self.typed.file.cluster.get(&section.cluster);
        let Some(repair) = cluster.and_then(|cluster| cluster.repair) else { return recovery };
        let unsaid = |key| !self.typed.was_written(&["training", name, "recovery", key]);
        if unsaid("repair") {
            recovery.repair = repair.mean;
        }
        if unsaid("repair_shape") {
            recovery.repair_shape = repair.shape;
        }
        if unsaid("crews") {
            recovery.crews = repair.crews;
        }
        if unsaid("unfixed") {
            recovery.unfixed = repair.unfixed;
        }
        if unsaid("requalify") {
            recovery.requalify = repair.requalify;
        }
        if unsaid("relapse") {
            recovery.relapse = repair.relapse;
        }
        recovery
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
            recovery.evict.is_none_or(|evict| evict.group > 0 && evict.group <= section.nodes)
                || self.no(&["training", name, "recovery", "evict", "group"], "must be from 1 to the job's nodes"),
            recovery.evict.is_none_or(|evict| evict.miss < Share::new(1.0))
                || self
                    .no(&["training", name, "recovery", "evict", "miss"], "must be below 1: some node has to be found"),
            recovery.retire.is_none_or(|retire| retire.after > 0)
                || self.no(&["training", name, "recovery", "retire", "after"], "must be at least 1"),
            match section.spares.short {
                Short::Shrink { replica, .. } => {
                    replica > 0 && section.nodes.is_multiple_of(replica)
                        || self.no(&shrink, "must divide the job's nodes into whole replicas")
                }
                Short::Wait {} => true,
                Short::Preempt { .. } => self.has_somebody_below(name, section),
            },
        ];
        !fine.contains(&false)
    }

    /// True where the cluster can give the job nodes: some that nobody asked for, or those of a lower priority; else complains.
    fn has_somebody_below(&mut self, name: &str, section: &TrainingSection) -> bool {
        let file = &self.typed.file;
        let Some(cluster) = file.cluster.get(&section.cluster) else { return true };
        let jobs = file.training.iter().filter(|(other, job)| *other != name && job.cluster == section.cluster);
        let mut below = jobs.map(|(_, job)| job.priority).chain(
            file.workload
                .values()
                .filter(|workload| workload.cluster == section.cluster)
                .map(|workload| workload.priority),
        );
        let asked = section.nodes.saturating_add(section.spares.hot).saturating_add(section.spares.cold);
        if below.any(|priority| priority < section.priority) || asked < cluster.nodes {
            return true;
        }
        let help = "give the cluster nodes that nobody asks for, or a job of a lower `priority`".to_owned();
        let message = format!("takes nodes of others, but cluster {:?} has none to give", section.cluster);
        self.refuse(&["training", name, "spares", "short", "preempt"], message, help);
        false
    }

    fn checkpoints_are_sound(&mut self, name: &str, section: &TrainingSection) -> bool {
        let mut sound = true;
        for (tier, checkpoint) in &section.checkpoint {
            let at = |key| ["training", name, "checkpoint", tier.as_str(), key];
            sound &= self.is_plain_name(&at("every")[..4], tier);
            sound &= self.is_stored(name, section, tier, checkpoint);
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
        let spares = section.spares.total();
        let nodes = section.most_nodes();
        let asked = nodes + spares;
        if asked <= u64::from(cluster.nodes) {
            return true;
        }
        let with = if spares > 0 { format!(" ({nodes} and {spares} spares)") } else { String::new() };
        let message = format!("asks {asked} nodes{with}, but cluster {:?} has {}", cluster.name, cluster.nodes);
        let key = if nodes > u64::from(section.nodes) { "phases" } else { "nodes" };
        self.refuse(&["training", name, key], message, format!("ask at most {} nodes with spares", cluster.nodes));
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
