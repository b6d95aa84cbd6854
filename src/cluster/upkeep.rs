//! Maintenance of nodes that no training job holds: jobs of workloads leave, and free nodes go out. Training jobs drain by themselves.

use super::batch::Batch;
use super::floor::Floor;
use crate::fault::{Maintenance, Work};
use crate::units::{SimTime, Span};
use crate::world::DomainTree;

/// The maintenance of one cluster, as control carries it out.
#[derive(Debug)]
pub(super) struct Upkeep {
    cluster: usize,
    tree: DomainTree,
    /// Each kind, and what it does next.
    kinds: Vec<(Maintenance, Option<Work>)>,
}

impl Upkeep {
    pub(super) fn new(cluster: usize, tree: DomainTree, kinds: impl Iterator<Item = Maintenance>) -> Upkeep {
        let first = |kind: Maintenance| (kind, kind.next(&tree, SimTime::ZERO, |_| true));
        Upkeep { cluster, tree, kinds: kinds.map(first).collect() }
    }

    /// When work begins next.
    pub(super) fn next_edge(&self) -> SimTime {
        let begins = self.kinds.iter().flat_map(|(_, next)| next).map(|work| work.begins);
        begins.min().unwrap_or(SimTime::NEVER)
    }

    /// Work that begins by `now` takes the nodes that nobody, or only a workload, holds.
    pub(super) fn at_edge(&mut self, now: SimTime, floors: &mut [Floor], batch: &mut Batch) {
        let floor = &mut floors[self.cluster];
        for (kind, next) in &mut self.kinds {
            while let Some(work) = next.take_if(|work| work.begins <= now) {
                batch.vacate(self.cluster, work.nodes.clone(), now, floor);
                floor.take_out(work.nodes, work.ends);
                *next = kind.next(&self.tree, work.announced + Span::from_nanos(1), |_| true);
            }
        }
    }
}
