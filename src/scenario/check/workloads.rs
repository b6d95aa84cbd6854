//! Workloads.

use super::Check;
use super::header::Header;
use crate::batch::{JobTraceSection, JobsSection, Kalos, Source, WorkloadPlan, WorkloadSection};
use crate::fault::FaultPlan;
use crate::power::NodePower;
use crate::trace::{self, LoadedJobs};
use crate::units::{PerSecond, Ratio, Span};
use crate::world::ClusterPlan;

/// More than anybody submits, and as many as a run of a day can hold in memory.
const MOST_JOBS: PerSecond = PerSecond::new(100.0);

/// Jobs, their classes and owners.
struct Jobs {
    source: Source,
    classes: Vec<String>,
    owners: Vec<String>,
}

impl Check<'_> {
    /// The checked workloads; one that is wrong is `None`.
    pub(super) fn workloads(
        &mut self,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Vec<Option<WorkloadPlan>> {
        let typed = self.typed;
        let workloads = typed.file.workload.iter();
        workloads.map(|(name, section)| self.workload(name, section, header, clusters, failures)).collect()
    }

    fn workload(
        &mut self,
        name: &str,
        section: &WorkloadSection,
        header: Option<&Header>,
        clusters: &[Option<ClusterPlan>],
        failures: &[Option<FaultPlan>],
    ) -> Option<WorkloadPlan> {
        let at = |key| ["workload", name, key];
        let typed = self.typed;
        let cluster = self.section(&at("cluster"), "cluster", &section.cluster);
        let fine = [
            self.is_plain_name(&["workload", name], name),
            section.estimate >= Ratio::new(1.0)
                || self.no(
                    &at("estimate"),
                    "must be at least 1: a job that outlives its estimate breaks the queue's promises",
                ),
            section.checkpoint != Some(Span::ZERO) || self.no(&at("checkpoint"), "must be above zero"),
        ];
        let plan = cluster.and_then(|index| clusters[index].as_ref());
        if fine.contains(&false) || !self.typed.sound(&["workload", name]) {
            return None;
        }
        let (index, plan) = (cluster?, plan?);
        let jobs = self.jobs_of(name, &section.jobs, header?, plan)?;
        let mut repair =
            typed.file.cluster.get(&section.cluster).and_then(|cluster| cluster.repair).unwrap_or_default();
        repair.mean = section.repair.unwrap_or(repair.mean);
        Some(WorkloadPlan {
            name: name.to_owned(),
            cluster: index,
            cluster_name: plan.name.clone(),
            source: jobs.source,
            classes: jobs.classes,
            owners: jobs.owners,
            gpus_per_node: plan.node.gpus,
            power: NodePower::new(&plan.node, &plan.gpu),
            failures: failures[index].clone()?,
            priority: section.priority,
            estimate: section.estimate,
            checkpoint: section.checkpoint,
            restart: section.restart,
            repair,
            listing: section.listing,
        })
    }

    fn jobs_of(&mut self, name: &str, section: &JobsSection, header: &Header, cluster: &ClusterPlan) -> Option<Jobs> {
        match section {
            JobsSection::Kalos(mix) => self.kalos(name, *mix, header, cluster),
            JobsSection::Trace(JobTraceSection::Acme { path }) => {
                let at = ["workload", name, "jobs", "trace", "acme", "path"];
                let loaded = self.data(&at, path, trace::acme, |loaded| loaded.hash)?;
                self.recorded(name, loaded, cluster)
            }
            JobsSection::Trace(JobTraceSection::Philly { path }) => {
                let at = ["workload", name, "jobs", "trace", "philly", "path"];
                let loaded = self.data(&at, path, trace::philly, |loaded| loaded.hash)?;
                self.recorded(name, loaded, cluster)
            }
        }
    }

    fn kalos(&mut self, name: &str, mix: Kalos, header: &Header, cluster: &ClusterPlan) -> Option<Jobs> {
        let at = |key| ["workload", name, "jobs", "kalos", key];
        let largest = Kalos::MOST_GPUS;
        let fine = [
            self.is_a_rate(&at("rate"), mix.rate, MOST_JOBS),
            mix.sweep >= Ratio::new(1.0) || self.no(&at("sweep"), "must be at least 1: a sweep has a job"),
            cluster.gpus() >= largest || {
                let message =
                    format!("has jobs of {largest} GPUs, but cluster {:?} has {}", cluster.name, cluster.gpus());
                let nodes = largest.div_ceil(cluster.node.gpus);
                self.refuse(&at("rate")[..4], message, format!("use a cluster of at least {nodes} nodes"));
                false
            },
        ];
        let classes = Kalos::classes().map(str::to_owned).collect();
        let source = Source::Kalos(mix, hours_since_monday(header.start));
        (!fine.contains(&false)).then_some(Jobs { source, classes, owners: Vec::new() })
    }

    /// The jobs of a trace that can run on `cluster`; notes how many rows became none.
    fn recorded(&mut self, name: &str, loaded: LoadedJobs, cluster: &ClusterPlan) -> Option<Jobs> {
        let fits = |gpus: u32| gpus <= cluster.gpus();
        let too_large = loaded.jobs.iter().filter(|job| !fits(job.gpus)).count() as u64;
        let dropped = loaded.dropped;
        let note = format!(
            "{} of {}: {} without GPUs, {} that never ran, {} of no length, {too_large} larger than the cluster",
            dropped.total() + too_large,
            loaded.rows_read,
            dropped.no_gpus,
            dropped.never_ran,
            dropped.no_time,
        );
        self.note("workload", name, "dropped_rows", note);
        let LoadedJobs { jobs, classes, owners, .. } = loaded;
        let jobs = if too_large > 0 { jobs.iter().copied().filter(|job| fits(job.gpus)).collect() } else { jobs };
        if jobs.is_empty() {
            let help = "use a larger cluster".to_owned();
            self.refuse(&["workload", name, "jobs"], format!("has no job that fits cluster {:?}", cluster.name), help);
            return None;
        }
        if let Some(class) = classes.iter().find(|class| !is_plain(class)) {
            let help = "name types with letters, digits, `-` and `_`".to_owned();
            self.refuse(
                &["workload", name, "jobs"],
                format!("has jobs of type {class:?}, which cannot stand in a table"),
                help,
            );
            return None;
        }
        Some(Jobs {
            source: Source::Trace(jobs),
            classes: classes.iter().map(|class| class.to_lowercase()).collect(),
            owners,
        })
    }
}

fn is_plain(class: &str) -> bool {
    !class.is_empty() && class.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
}

/// Hours since Monday 00:00 UTC.
fn hours_since_monday(start: jiff::Timestamp) -> u32 {
    let start = start.to_zoned(jiff::tz::TimeZone::UTC);
    let (day, hour) = (start.weekday().to_monday_zero_offset(), start.hour());
    u32::from(day.unsigned_abs()) * 24 + u32::from(hour.unsigned_abs())
}
