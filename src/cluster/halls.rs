//! The nodes of one cluster that nobody holds, and those that small replicas share.

use crate::world::NodeSet;
use std::collections::BTreeMap;

/// Free and shared nodes of one cluster.
#[derive(Debug)]
pub(super) struct Hall {
    gpus_per_node: u32,
    free: NodeSet,
    /// GPUs in use on each node that replicas smaller than a node share, by (service, node).
    shared: BTreeMap<(usize, u32), u32>,
}

impl Hall {
    /// All `nodes` free.
    pub(super) fn new(nodes: u32, gpus_per_node: u32) -> Hall {
        Hall { gpus_per_node, free: NodeSet::first(nodes), shared: BTreeMap::new() }
    }

    /// Nodes that nobody holds.
    pub(super) fn free(&self) -> u32 {
        self.free.len()
    }

    /// Grants `nodes` whole nodes; `None` where fewer are free.
    pub(super) fn grant(&mut self, nodes: u32) -> Option<NodeSet> {
        self.free.take(nodes)
    }

    /// Takes whole nodes back.
    pub(super) fn release(&mut self, nodes: NodeSet) {
        self.free.add(nodes);
    }

    /// Grants `gpus` to a replica of `service`: whole nodes, or room on a node that its smaller replicas share.
    pub(super) fn grant_replica(&mut self, service: usize, gpus: u32) -> Option<NodeSet> {
        if gpus >= self.gpus_per_node {
            return self.grant(gpus.div_ceil(self.gpus_per_node));
        }
        let room = self.gpus_per_node - gpus;
        let mut own = self.shared.range_mut((service, 0)..=(service, u32::MAX));
        if let Some((&(_, node), used)) = own.find(|(_, used)| **used <= room) {
            *used += gpus;
            return Some(NodeSet::single(node));
        }
        let node = self.free.take(1)?;
        let index = node.iter().next().expect("one node was taken");
        self.shared.insert((service, index), gpus);
        Some(node)
    }

    /// Takes the `gpus` of a replica of `service` back; a shared node is free again when its last replica goes.
    pub(super) fn release_replica(&mut self, service: usize, gpus: u32, nodes: NodeSet) {
        if gpus >= self.gpus_per_node {
            return self.release(nodes);
        }
        let node = nodes.iter().next().expect("a replica has a node");
        let used = self.shared.get_mut(&(service, node)).expect("a shared node is on the list while in use");
        *used -= gpus;
        if *used == 0 {
            self.shared.remove(&(service, node));
            self.free.add(nodes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_replicas_share_a_node_and_give_it_back_whole() {
        let mut hall = Hall::new(2, 8);
        let replicas: Vec<_> = (0..5).map(|_| hall.grant_replica(0, 2).expect("two nodes hold five")).collect();
        assert_eq!(hall.free(), 0);
        assert_eq!(replicas[3], replicas[0]);
        assert_ne!(replicas[4], replicas[0]);
        assert_eq!(hall.grant_replica(1, 8), None);
        for nodes in replicas {
            hall.release_replica(0, 2, nodes);
        }
        assert_eq!(hall.grant_replica(1, 16).expect("both nodes are free").len(), 2);
    }
}
