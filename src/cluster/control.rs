//! The sequential control process: at each window edge it sees all others, grants and takes back nodes, opens doors.

use super::Lp;
use super::batch::{Batch, Member, gang, member};
use super::capping::{Capping, CappingPlan, Holder};
use super::floor::{Floor, Move};
use super::service::Service;
use super::storage::Storage;
use super::upkeep::Upkeep;
use crate::batch::WorkloadPlan;
use crate::engine::{self, Seed};
use crate::fault::Maintenance;
use crate::ledger::{CapFacts, Facts, Grid, SitePlan, Tenant};
use crate::power::{NodePower, State};
use crate::scheduler::{Gang, Scheduler, Waiting};
use crate::serving::{Cell, DevicePlan, Fidelity, Fluid, Kept, Laptop, ServicePlan, kept};
use crate::training::{Job, JobPlan, Short};
use crate::units::{SimTime, Span, Watts};
use crate::world::{ClusterPlan, Need, Unheld};
use std::cmp::Reverse;
use std::sync::Arc;

/// What stands and runs, once checked.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Clusters.
    pub clusters: &'a [ClusterPlan],
    /// Who decides on each cluster.
    pub schedulers: &'a [Scheduler],
    /// Training jobs.
    pub jobs: &'a [JobPlan],
    /// Workloads of many jobs.
    pub workloads: &'a [Arc<WorkloadPlan>],
    /// Services.
    pub services: &'a [Arc<ServicePlan>],
    /// Maintenance of each cluster.
    pub maintenance: &'a [Vec<Maintenance>],
    /// Devices.
    pub devices: &'a [DevicePlan],
    /// The root of all chance.
    pub seed: Seed,
    /// Where the clusters stand.
    pub sites: &'a [SitePlan],
    /// Power control of each site.
    pub capping: &'a [Option<CappingPlan>],
    /// The bins of all books.
    pub grid: Grid,
}

/// Where a training job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Not submitted yet.
    Ahead,
    /// In the queue of its cluster.
    Waiting,
    Running,
    Done,
}

/// The control process of a run.
#[derive(Debug)]
pub struct Control<'a> {
    parts: Parts<'a>,
    floors: Vec<Floor>,
    /// Stages of the jobs; job `i` is process `i`.
    stages: Vec<Stage>,
    services: Vec<Service>,
    batch: Batch,
    /// Of the clusters that have maintenance.
    upkeep: Vec<Upkeep>,
    capping: Capping<'a>,
    storage: Storage,
    now: SimTime,
}

/// The processes of a run, jobs first, then services, then devices; and the control that meets them.
#[must_use]
pub fn build(parts: Parts<'_>) -> (Control<'_>, Vec<Lp>) {
    let mut processes: Vec<Lp> =
        parts.jobs.iter().map(|plan| Lp::Job(Box::new(Job::new(plan.clone(), parts.seed, parts.grid)))).collect();
    let mut services = Vec::with_capacity(parts.services.len());
    for (index, plan) in parts.services.iter().enumerate() {
        let first = processes.len();
        let cells = kept(plan, parts.seed);
        processes.extend(cells.iter().map(|&cell| service_process(plan, cell, parts)));
        services.push(Service::new(index, Arc::clone(plan), first, cells));
    }
    processes.extend(parts.devices.iter().map(|device| {
        let owner = &parts.services[device.service];
        Lp::Device(Box::new(Laptop::new(device, owner, parts.seed, parts.grid)))
    }));
    let control = Control {
        parts,
        floors: parts.clusters.iter().zip(parts.schedulers).map(|(plan, policy)| Floor::new(plan, *policy)).collect(),
        stages: vec![Stage::Ahead; parts.jobs.len()],
        upkeep: upkeep(parts),
        capping: Capping::new(parts.sites, parts.capping, parts.clusters, &holders(parts, &services), idle_node),
        services,
        storage: Storage::new(parts.jobs),
        batch: Batch::new(parts.workloads, parts.clusters, parts.seed, parts.grid),
        now: SimTime::ZERO,
    };
    (control, processes)
}

/// The maintenance of the clusters that have some.
fn upkeep(parts: Parts<'_>) -> Vec<Upkeep> {
    let clusters = parts.clusters.iter().zip(parts.maintenance).enumerate().filter(|(_, (_, kinds))| !kinds.is_empty());
    clusters.map(|(index, (plan, kinds))| Upkeep::new(index, plan.domain_tree(), kinds.iter().copied())).collect()
}

/// Jobs and services as power control sees them.
fn holders(parts: Parts<'_>, services: &[Service]) -> Vec<Holder> {
    let jobs = parts.jobs.iter().enumerate().map(|(index, plan)| Holder {
        cluster: plan.cluster,
        priority: plan.power_priority,
        processes: index..index + 1,
    });
    let services = parts.services.iter().zip(services).map(|(plan, service)| Holder {
        cluster: plan.cluster,
        priority: plan.power_priority,
        processes: service.processes(),
    });
    jobs.chain(services).collect()
}

/// What a node of `cluster` draws that nobody holds.
fn idle_node(cluster: &ClusterPlan) -> Watts {
    let state = match cluster.power.unheld {
        Unheld::Idle => State::Idle,
        Unheld::Off => State::Off,
    };
    let each = NodePower::new(&cluster.node, &cluster.gpu).draw(state);
    (each.accelerator + each.host) * u64::from(cluster.node.gpus)
}

fn service_process(plan: &Arc<ServicePlan>, kept: Kept, parts: Parts<'_>) -> Lp {
    match plan.fidelity {
        Fidelity::Fluid {} => Lp::Fluid(Box::new(Fluid::new(Arc::clone(plan), parts.seed, parts.grid))),
        Fidelity::Requests {} | Fidelity::Sampled(_) => {
            let cell = Cell::new(Arc::clone(plan), kept.cell, parts.seed, parts.grid);
            Lp::Cell(Box::new(cell), kept.stands_for)
        }
    }
}

impl engine::Control<Lp> for Control<'_> {
    fn next_edge(&self, processes: &[Lp]) -> SimTime {
        let jobs = self.parts.jobs.iter().enumerate().map(|(index, plan)| match self.stages[index] {
            Stage::Ahead => SimTime::ZERO + plan.submit,
            // Another gang's end is an edge of its own.
            Stage::Waiting => SimTime::NEVER,
            Stage::Running => {
                let job = job(processes, index);
                job.earliest_finish().min(job.earliest_trade()).max(self.now + Span::from_nanos(1))
            }
            Stage::Done => SimTime::NEVER,
        });
        let services = self.services.iter().map(|service| service.next_edge(self.now));
        let repairs = self.floors.iter().map(Floor::next_repaired);
        let upkeep = self.upkeep.iter().map(Upkeep::next_edge);
        let storage = self.storage.next_edge(processes).max(self.now + Span::from_nanos(1));
        let edges = jobs.chain(services).chain(repairs).chain(upkeep).chain([
            self.batch.next_edge(),
            self.capping.next_edge(),
            storage,
        ]);
        edges.min().unwrap_or(SimTime::NEVER)
    }

    fn at_edge(&mut self, now: SimTime, processes: &mut [Lp]) {
        self.now = now;
        self.floors.iter_mut().for_each(|floor| floor.take_back_repaired(now));
        self.take_back_finished(processes);
        self.submit_jobs(processes);
        self.batch.at_edge(now, &mut self.floors);
        self.serve(processes);
        for upkeep in &mut self.upkeep {
            upkeep.at_edge(now, &mut self.floors, &mut self.batch);
        }
        self.trade_nodes(processes);
        for cluster in 0..self.floors.len() {
            self.schedule(cluster, processes);
        }
        self.storage.at_edge(now, processes);
        self.capping.at_edge(now, processes);
    }
}

impl Control<'_> {
    /// Lets every service act, the highest priority first. Where one gets fewer replicas than it wants, those of lower priority on its
    /// cluster add none, and give up what it lacks.
    fn serve(&mut self, processes: &mut [Lp]) {
        let plans = self.parts.services;
        let mut order: Vec<usize> = (0..plans.len()).collect();
        order.sort_by_key(|&index| Reverse(plans[index].priority));
        let outranks = |one: usize, other: usize| {
            plans[one].cluster == plans[other].cluster && plans[one].priority > plans[other].priority
        };
        for &index in &order {
            let plan = &plans[index];
            let job_done = plan.opens_after.is_none_or(|job| self.stages[job] == Stage::Done);
            let may_grow = !order.iter().any(|&other| outranks(other, index) && self.services[other].lacks() > 0);
            let hall = &mut self.floors[plan.cluster].hall;
            self.services[index].at_edge(self.now, job_done, may_grow, hall, processes);
        }
        for &index in &order {
            let hall = &self.floors[plans[index].cluster].hall;
            let mut lacking = self.services[index].lacks().saturating_sub(hall.free() * hall.gpus_per_node());
            for &lower in order.iter().rev().filter(|&&lower| outranks(index, lower)) {
                lacking = self.services[lower].give(lacking, self.now, &plans[index].name, processes);
            }
        }
    }

    /// Gives the nodes of finished jobs back to their halls; those of jobs whose next phase is for another number of nodes, too, which
    /// queue again.
    fn take_back_finished(&mut self, processes: &mut [Lp]) {
        for index in 0..self.stages.len() {
            if self.stages[index] != Stage::Running {
                continue;
            }
            let (job, cluster) = (job_mut(processes, index), self.parts.jobs[index].cluster);
            if job.finished().is_some() {
                self.stages[index] = Stage::Done;
                self.floors[cluster].take_back(gang(Member::Training(index)), job.release());
            } else if job.is_at_border() {
                self.floors[cluster].take_back(gang(Member::Training(index)), job.regroup(self.now));
                self.queue(index, processes);
            }
        }
    }

    /// Takes back what jobs hold beyond what they asked for; then jobs without a spare that may take nodes, the highest priority first,
    /// get free ones, and those of running gangs of lower priority where that completes them.
    fn trade_nodes(&mut self, processes: &mut [Lp]) {
        let takes = |index: &usize| {
            matches!(self.parts.jobs[*index].spares.short, Short::Preempt { .. })
                && self.stages[*index] == Stage::Running
        };
        let mut takers: Vec<usize> = (0..self.stages.len()).filter(takes).collect();
        takers.sort_by_key(|&index| (Reverse(self.parts.jobs[index].priority), index));
        for &index in &takers {
            let parted = job_mut(processes, index).part_with(self.now);
            if !parted.nodes.is_empty() {
                self.floors[self.parts.jobs[index].cluster].take_back_part(parted);
                self.resize(index, processes);
            }
        }
        for index in takers {
            self.complete(index, processes);
        }
    }

    /// Gives the training job `index` the nodes that it lacks, as far as its cluster has them.
    fn complete(&mut self, index: usize, processes: &mut [Lp]) {
        let JobPlan { cluster, priority, .. } = self.parts.jobs[index];
        if self.stages[index] != Stage::Running {
            return;
        }
        let wanted = job(processes, index).wants();
        while let Some(gang) = self.floors[cluster].victim(priority, wanted) {
            self.preempt(cluster, gang, processes);
        }
        let hall = &mut self.floors[cluster].hall;
        let found = wanted.min(hall.free());
        if found > 0 {
            let nodes = hall.grant(found).expect("free nodes were counted");
            let unfixed = self.floors[cluster].unfixed_among(&nodes);
            let job = job_mut(processes, index);
            job.inherit(&unfixed);
            job.take_in(self.now, nodes);
            self.resize(index, processes);
        }
    }

    /// The scheduler learns how many nodes the training job `index` holds.
    fn resize(&mut self, index: usize, processes: &[Lp]) {
        let cluster = self.parts.jobs[index].cluster;
        self.floors[cluster].running.resize(gang(Member::Training(index)), job(processes, index).held());
    }

    /// Puts jobs that are due into the queues of their clusters.
    fn submit_jobs(&mut self, processes: &[Lp]) {
        for index in 0..self.stages.len() {
            if self.stages[index] == Stage::Ahead && SimTime::ZERO + self.parts.jobs[index].submit <= self.now {
                self.queue(index, processes);
            }
        }
    }

    fn queue(&mut self, index: usize, processes: &[Lp]) {
        let plan = &self.parts.jobs[index];
        self.stages[index] = Stage::Waiting;
        self.floors[plan.cluster].submit(Waiting {
            gang: gang(Member::Training(index)),
            priority: plan.priority,
            submitted: SimTime::ZERO + plan.submit,
            need: Need::Nodes(job(processes, index).plan().granted_nodes()),
            estimate: job(processes, index).estimate(),
        });
    }

    /// Carries out what the scheduler of `cluster` decides, until it has nothing left to do.
    fn schedule(&mut self, cluster: usize, processes: &mut [Lp]) {
        for index in 0..self.stages.len() {
            if self.stages[index] == Stage::Running && self.parts.jobs[index].cluster == cluster {
                let ends = job(processes, index).earliest_finish();
                self.floors[cluster].running.reestimate(gang(Member::Training(index)), ends);
            }
        }
        while let Some(next) = self.floors[cluster].next_move(self.now) {
            match next {
                Move::Start(gang, nodes) => match member(gang) {
                    Member::Training(index) => {
                        let unfixed = self.floors[cluster].unfixed_among(&nodes);
                        let job = job_mut(processes, index);
                        job.inherit(&unfixed);
                        job.start(self.now, nodes);
                        self.stages[index] = Stage::Running;
                    }
                    Member::Workload(index, job) => self.batch.start(index, job, self.now, nodes),
                },
                Move::Preempt(gang) => self.preempt(cluster, gang, processes),
            }
        }
    }

    /// Takes the nodes of a running gang, which waits again.
    fn preempt(&mut self, cluster: usize, gang: Gang, processes: &mut [Lp]) {
        match member(gang) {
            Member::Training(index) => {
                let back = job_mut(processes, index).preempt(self.now);
                self.floors[cluster].take_back(gang, back);
                self.queue(index, processes);
            }
            Member::Workload(index, job) => self.batch.preempt(index, job, self.now, &mut self.floors[cluster]),
        }
    }

    /// All tenants with their books, in process order, and what the power control of the sites did.
    #[must_use]
    pub fn close(self, processes: Vec<Lp>) -> (Vec<Tenant>, Vec<CapFacts>) {
        let Parts { clusters, jobs, workloads, services, devices, grid, .. } = self.parts;
        let mut processes = processes.into_iter();
        let mut tenants = Vec::new();
        for (plan, process) in jobs.iter().zip(processes.by_ref()) {
            let (book, facts) = process.into_job().close(grid.horizon);
            let (subject, facts) = (format!("training.{}", plan.name), Facts::Job(facts));
            tenants.push(Tenant {
                subject,
                cluster: Some(plan.cluster),
                site: clusters[plan.cluster].site,
                book,
                facts,
            });
        }
        for (plan, (book, facts)) in workloads.iter().zip(self.batch.close(grid.horizon)) {
            let (subject, facts) = (format!("workload.{}", plan.name), Facts::Workload(facts));
            tenants.push(Tenant {
                subject,
                cluster: Some(plan.cluster),
                site: clusters[plan.cluster].site,
                book,
                facts,
            });
        }
        for (plan, service) in services.iter().zip(self.services) {
            let count = service.processes().len();
            let books = processes.by_ref().take(count).map(|process| process.close_service(grid.horizon));
            let (book, facts) = service.close(books);
            let (subject, facts) = (format!("service.{}", plan.name), Facts::Service(facts));
            tenants.push(Tenant {
                subject,
                cluster: Some(plan.cluster),
                site: clusters[plan.cluster].site,
                book,
                facts,
            });
        }
        for (plan, process) in devices.iter().zip(processes) {
            let (book, facts) = process.close_service(grid.horizon);
            let (subject, facts) = (format!("device.{}", plan.name), Facts::Device(facts));
            tenants.push(Tenant { subject, cluster: None, site: plan.site, book, facts });
        }
        (tenants, self.capping.close(grid.horizon))
    }
}

/// The job that is process `index`.
pub(super) fn job(processes: &[Lp], index: usize) -> &Job {
    match &processes[index] {
        Lp::Job(job) => job,
        _ => unreachable!("jobs come first"),
    }
}

/// The job that is process `index`, to command.
pub(super) fn job_mut(processes: &mut [Lp], index: usize) -> &mut Job {
    match &mut processes[index] {
        Lp::Job(job) => job,
        _ => unreachable!("jobs come first"),
    }
}
