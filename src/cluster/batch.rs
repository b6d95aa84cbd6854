//! The workloads as control moves them: their jobs are submitted, end, and lose nodes that fail under them.

use super::floor::Floor;
use crate::batch::{Cut, Jobs, WorkloadPlan};
use crate::engine::{Entity, Seed};
use crate::fault::{Fault, FaultQueue, RepairShop, Returned};
use crate::ledger::{Book, Grid, WorkloadFacts};
use crate::scheduler::{Gang, Waiting};
use crate::units::{SimTime, Span};
use crate::world::{ClusterPlan, NodeSet};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Who a gang is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// The training job of that index.
    Training(usize),
    /// A job of the workload of that index.
    Workload(usize, u32),
}

/// The number of a member: training jobs first, so that they go first among equals.
pub(super) fn gang(member: Member) -> Gang {
    match member {
        Member::Training(index) => Gang(index as u64),
        Member::Workload(index, job) => Gang((index as u64 + 1) << 32 | u64::from(job)),
    }
}

/// The member of a number.
pub(super) fn member(Gang(number): Gang) -> Member {
    match (number >> 32) as usize {
        0 => Member::Training(number as usize),
        index => Member::Workload(index - 1, number as u32),
    }
}

/// All workloads.
#[derive(Debug)]
pub(super) struct Batch {
    workloads: Vec<Workload>,
    /// By cluster; none where no workload runs.
    breakdowns: Vec<Option<Breakdowns>>,
}

#[derive(Debug)]
struct Workload {
    jobs: Jobs,
    shop: RepairShop,
}

/// Failures of the nodes of a cluster, whoever holds them, and which job of a workload holds which whole node. Nodes that no
/// such job holds are not hit: training jobs and services know failures of their own.
#[derive(Debug)]
struct Breakdowns {
    faults: FaultQueue,
    holders: Vec<Option<Gang>>,
}

impl Batch {
    pub(super) fn new(plans: &[Arc<WorkloadPlan>], clusters: &[ClusterPlan], seed: Seed, grid: Grid) -> Batch {
        let workload = |plan: &Arc<WorkloadPlan>| Workload {
            jobs: Jobs::new(Arc::clone(plan), seed, grid),
            shop: RepairShop::new(plan.repair.policy(), seed, Entity::named(&cluster_of(plan))),
        };
        let breakdowns = |(index, cluster): (usize, &ClusterPlan)| {
            let plan = plans.iter().find(|plan| plan.cluster == index)?;
            Some(Breakdowns::new(plan, cluster.nodes, seed, grid))
        };
        Batch {
            workloads: plans.iter().map(workload).collect(),
            breakdowns: clusters.iter().enumerate().map(breakdowns).collect(),
        }
    }

    /// The next instant at which something happens to one of the jobs or to a node.
    pub(super) fn next_edge(&self) -> SimTime {
        let jobs = self.workloads.iter().map(|workload| workload.jobs.next_time().min(workload.shop.next_time()));
        let faults = self.breakdowns.iter().flatten().map(|breakdowns| breakdowns.faults.next_time());
        jobs.chain(faults).min().unwrap_or(SimTime::NEVER)
    }

    /// Takes back the nodes of jobs that have ended and of repairs, lets nodes fail, and puts new jobs into the queues.
    pub(super) fn at_edge(&mut self, now: SimTime, floors: &mut [Floor]) {
        for index in 0..self.workloads.len() {
            let floor = &mut floors[self.workloads[index].jobs.plan().cluster];
            while let Some((job, nodes)) = self.workloads[index].jobs.end_due(now) {
                self.take_back(Member::Workload(index, job), nodes, floor);
            }
            self.take_back_repaired(index, now, floor);
        }
        for (cluster, floor) in floors.iter_mut().enumerate() {
            while let Some(fault) = self.breakdowns[cluster].as_mut().and_then(|breakdowns| breakdowns.due(now)) {
                self.fail(cluster, &fault, now, floor);
            }
        }
        for index in 0..self.workloads.len() {
            let cluster = self.workloads[index].jobs.plan().cluster;
            while let Some(job) = self.workloads[index].jobs.submit_due(now) {
                self.queue(index, job, &mut floors[cluster]);
            }
        }
    }

    fn queue(&self, index: usize, job: u32, floor: &mut Floor) {
        let jobs = &self.workloads[index].jobs;
        floor.submit(Waiting {
            gang: gang(Member::Workload(index, job)),
            priority: jobs.plan().priority,
            submitted: jobs.submitted(job),
            need: jobs.need(job),
            estimate: jobs.estimate(job),
        });
    }

    /// A job gets its nodes.
    pub(super) fn start(&mut self, index: usize, job: u32, now: SimTime, nodes: NodeSet) {
        let jobs = &mut self.workloads[index].jobs;
        if let Some(breakdowns) = &mut self.breakdowns[jobs.plan().cluster] {
            breakdowns.hold(&nodes, Some(gang(Member::Workload(index, job))));
        }
        jobs.start(job, now, nodes);
    }

    /// A job gives its nodes to a gang of higher priority and waits again.
    pub(super) fn preempt(&mut self, index: usize, job: u32, now: SimTime, floor: &mut Floor) {
        let nodes = self.workloads[index].jobs.cut(job, now, Cut::Preempted);
        self.take_back(Member::Workload(index, job), nodes, floor);
        self.queue(index, job, floor);
    }

    /// The jobs of workloads on `nodes` of `cluster` save where they do and wait again: maintenance begins.
    pub(super) fn vacate(&mut self, cluster: usize, nodes: Range<u32>, now: SimTime, floor: &mut Floor) {
        let Some(breakdowns) = &self.breakdowns[cluster] else { return };
        let gangs: BTreeSet<Gang> = nodes.flat_map(|node| breakdowns.gangs_on(node, floor)).collect();
        for gang in gangs {
            let Member::Workload(index, job) = member(gang) else { unreachable!("only jobs of workloads are listed") };
            self.preempt(index, job, now, floor);
        }
    }

    fn take_back(&mut self, member: Member, nodes: NodeSet, floor: &mut Floor) {
        if let Member::Workload(index, _) = member
            && let Some(breakdowns) = &mut self.breakdowns[self.workloads[index].jobs.plan().cluster]
        {
            breakdowns.hold(&nodes, None);
        }
        floor.end(gang(member), nodes);
    }

    fn take_back_repaired(&mut self, index: usize, now: SimTime, floor: &mut Floor) {
        let Workload { jobs, shop } = &mut self.workloads[index];
        while shop.next_time() <= now {
            let at = shop.next_time();
            let Some(Returned { node, fixed }) = shop.pop() else { continue };
            jobs.end_repair(node, at);
            floor.hall.restore(node);
            let breakdowns = self.breakdowns[jobs.plan().cluster].as_mut().expect("a workload runs here");
            if !fixed {
                breakdowns.faults.relapse(node, jobs.plan().repair.relapse);
            }
            breakdowns.renew(node, at);
        }
    }

    /// `fault` takes nodes: whoever of the workloads sits on one loses all its nodes and waits again, and the node goes to repair.
    fn fail(&mut self, cluster: usize, fault: &Fault, now: SimTime, floor: &mut Floor) {
        let breakdowns = self.breakdowns[cluster].as_mut().expect("a workload runs here");
        let mut hit: Vec<(Gang, u32)> = Vec::new();
        let mut taken: Vec<(u32, usize)> = Vec::new();
        for &node in &fault.nodes {
            let gangs = breakdowns.gangs_on(node, floor);
            match gangs.first().map(|&first| member(first)) {
                Some(Member::Workload(index, _)) => taken.push((node, index)),
                Some(Member::Training(_)) => unreachable!("only jobs of workloads are listed"),
                None => breakdowns.renew(node, now),
            }
            for gang in gangs {
                if !hit.iter().any(|&(known, _)| known == gang) {
                    hit.push((gang, node));
                }
            }
        }
        for (gang, node) in hit {
            let Member::Workload(index, job) = member(gang) else { unreachable!("only jobs of workloads are listed") };
            let nodes = self.workloads[index].jobs.cut(job, now, Cut::NodeFailed(node));
            self.take_back(Member::Workload(index, job), nodes, floor);
            self.queue(index, job, floor);
        }
        for (node, index) in taken {
            self.repair(cluster, node, index, fault.repair_of(node), now, floor);
        }
    }

    /// `node`, which failed under a job of the workload `index`, goes to repair or is rebooted where it stands.
    fn repair(
        &mut self,
        cluster: usize,
        node: u32,
        index: usize,
        length: Option<Span>,
        now: SimTime,
        floor: &mut Floor,
    ) {
        let breakdowns = self.breakdowns[cluster].as_mut().expect("a workload runs here");
        let Workload { jobs, shop } = &mut self.workloads[index];
        match length {
            None if shop.is_instant() => return breakdowns.renew(node, now),
            None => shop.admit(node, now),
            Some(length) => shop.admit_for(length, node, now),
        }
        breakdowns.faults.leave(node);
        floor.hall.withdraw(node);
        jobs.begin_repair(node, now);
    }

    /// Books and facts of the workloads, in their order.
    pub(super) fn close(self, horizon: SimTime) -> Vec<(Book, WorkloadFacts)> {
        self.workloads.into_iter().map(|workload| workload.jobs.close(horizon)).collect()
    }
}

impl Breakdowns {
    fn new(plan: &WorkloadPlan, nodes: u32, seed: Seed, grid: Grid) -> Breakdowns {
        let mut faults = FaultQueue::new(&plan.failures, seed, &cluster_of(plan), grid.horizon);
        faults.reserve(nodes);
        faults.watch(0..nodes, SimTime::ZERO);
        (0..nodes).for_each(|node| faults.join(node, SimTime::ZERO));
        Breakdowns { faults, holders: vec![None; nodes as usize] }
    }

    /// The next fault that has come by `now`.
    fn due(&mut self, now: SimTime) -> Option<Fault> {
        let is_due = self.faults.next_time() <= now && self.faults.next_time() != SimTime::NEVER;
        is_due.then(|| self.faults.pop().expect("a failure is due"))
    }

    /// The jobs of workloads on `node`.
    fn gangs_on(&self, node: u32, floor: &Floor) -> Vec<Gang> {
        let sharing: Vec<Gang> = floor.running.sharing(node).collect();
        if sharing.is_empty() { self.holders[node as usize].into_iter().collect() } else { sharing }
    }

    /// `node` is whole again: as good as new where it failed by itself.
    fn renew(&mut self, node: u32, at: SimTime) {
        self.faults.leave(node);
        self.faults.mend(node, at);
        self.faults.join(node, at);
    }

    fn hold(&mut self, nodes: &NodeSet, holder: Option<Gang>) {
        nodes.iter().for_each(|node| self.holders[node as usize] = holder);
    }
}

/// Whose streams the failures and repairs of the nodes are.
fn cluster_of(plan: &WorkloadPlan) -> String {
    format!("cluster.{}", plan.cluster_name)
}
