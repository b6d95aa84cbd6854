//! Who holds the nodes of one cluster: nobody, a gang or replica of whole nodes, several small ones side by side, or the
//! repair shop.

use super::{FreeNodes, NodeSet, SharedNodes};
use std::collections::BTreeMap;

/// What a gang needs, all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whole nodes.
    Nodes(u32),
    /// GPUs of one node, fewer than it has.
    Share(u32),
}

impl Need {
    /// What `gpus` take on nodes of `gpus_per_node`: a share of one, or whole nodes.
    #[must_use]
    pub fn of(gpus: u32, gpus_per_node: u32) -> Need {
        if gpus < gpus_per_node { Need::Share(gpus) } else { Need::Nodes(gpus.div_ceil(gpus_per_node)) }
    }
}

/// The nodes of one cluster, counted by who holds them.
#[derive(Debug)]
pub struct Hall {
    nodes: u32,
    gpus_per_node: u32,
    free: FreeNodes,
    /// Nodes that gangs smaller than a node share.
    shared: SharedNodes,
    /// Nodes that replicas smaller than a node share, by service.
    replicas: BTreeMap<usize, SharedNodes>,
    /// Nodes in whole hands.
    held: u32,
    /// Nodes in repair that nobody holds.
    down: u32,
    changes: u64,
}

impl Hall {
    /// All `nodes` free, in pods of `pod`.
    #[must_use]
    pub fn new(nodes: u32, gpus_per_node: u32, pod: u32) -> Hall {
        Hall {
            nodes,
            gpus_per_node,
            free: FreeNodes::new(nodes, pod),
            shared: SharedNodes::new(gpus_per_node),
            replicas: BTreeMap::new(),
            held: 0,
            down: 0,
            changes: 0,
        }
    }

    /// All its nodes.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    /// GPUs of a node.
    #[must_use]
    pub fn gpus_per_node(&self) -> u32 {
        self.gpus_per_node
    }

    /// Nodes that nobody holds.
    #[must_use]
    pub fn free(&self) -> u32 {
        self.free.len()
    }

    /// Nodes in repair that nobody holds.
    #[must_use]
    pub fn down(&self) -> u32 {
        self.down
    }

    /// Counts every change of hands: the same number, the same hall.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// True where `need` can be granted now.
    #[must_use]
    pub fn fits(&self, need: Need) -> bool {
        match need {
            Need::Nodes(nodes) => nodes <= self.free(),
            Need::Share(gpus) => self.free() > 0 || self.shared.place(gpus).is_some(),
        }
    }

    /// The shared node on which a gang of `gpus` would sit; none where it would open another.
    #[must_use]
    pub fn room_for(&self, gpus: u32) -> Option<u32> {
        self.shared.place(gpus)
    }

    /// Grants what a gang needs; `None` where it does not fit.
    pub fn grant_gang(&mut self, need: Need) -> Option<NodeSet> {
        match need {
            Need::Nodes(nodes) => self.grant(nodes),
            Need::Share(gpus) => grant_share(&mut self.shared, &mut self.free, gpus).inspect(|_| self.changes += 1),
        }
    }

    /// Takes back what a gang was granted.
    pub fn release_gang(&mut self, need: Need, nodes: NodeSet) {
        match need {
            Need::Nodes(_) => self.release(nodes),
            Need::Share(gpus) => self.release_share(gpus, nodes),
        }
    }

    /// Grants `nodes` whole nodes; `None` where fewer are free.
    pub fn grant(&mut self, nodes: u32) -> Option<NodeSet> {
        let granted = self.free.take(nodes)?;
        self.held += nodes;
        self.changes += 1;
        Some(granted)
    }

    /// Takes whole nodes back.
    pub fn release(&mut self, nodes: NodeSet) {
        self.held -= nodes.len();
        self.free.add(&nodes);
        self.changed();
    }

    /// True where nobody holds `node`, and it is whole.
    #[must_use]
    pub fn is_free(&self, node: u32) -> bool {
        self.free.contains(node)
    }

    /// A node that a gang has just given back, or that its last small gang has just left, goes to repair.
    pub fn withdraw(&mut self, node: u32) {
        self.free.remove(node);
        self.down += 1;
        self.changed();
    }

    /// A node comes back from repair.
    pub fn restore(&mut self, node: u32) {
        self.down -= 1;
        self.free.add(&NodeSet::single(node));
        self.changed();
    }

    /// Grants `gpus` to a replica of `service`: whole nodes, or room on a node that its smaller replicas share.
    pub fn grant_replica(&mut self, service: usize, gpus: u32) -> Option<NodeSet> {
        if gpus >= self.gpus_per_node {
            return self.grant(gpus.div_ceil(self.gpus_per_node));
        }
        let shared = self.replicas.entry(service).or_insert_with(|| SharedNodes::new(self.gpus_per_node));
        grant_share(shared, &mut self.free, gpus).inspect(|_| self.changes += 1)
    }

    /// Takes the `gpus` of a replica of `service` back; a shared node is free again when its last replica goes.
    pub fn release_replica(&mut self, service: usize, gpus: u32, nodes: NodeSet) {
        if gpus >= self.gpus_per_node {
            return self.release(nodes);
        }
        let node = nodes.iter().next().expect("a replica has a node");
        let shared = self.replicas.get_mut(&service).expect("a service with small replicas has shared nodes");
        if shared.leave(node, gpus) {
            self.free.add(&nodes);
        }
        self.changed();
    }

    fn release_share(&mut self, gpus: u32, nodes: NodeSet) {
        let node = nodes.iter().next().expect("a small gang has a node");
        if self.shared.leave(node, gpus) {
            self.free.add(&nodes);
        }
        self.changed();
    }

    /// Each node is in one hand: counted at every change that gives one back.
    fn changed(&mut self) {
        self.changes += 1;
        let replicas: u32 = self.replicas.values().map(SharedNodes::len).sum();
        let all = self.free.len() + self.held + self.shared.len() + replicas + self.down;
        assert!(all == self.nodes, "each node is in one hand: {all} of {}", self.nodes);
    }
}

/// Room for `gpus` on a node of `shared`, else on a free one that joins them.
fn grant_share(shared: &mut SharedNodes, free: &mut FreeNodes, gpus: u32) -> Option<NodeSet> {
    let nodes = match shared.place(gpus) {
        Some(node) => NodeSet::single(node),
        None => free.take(1)?,
    };
    shared.enter(nodes.iter().next().expect("one node was found"), gpus);
    Some(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_replicas_share_a_node_and_give_it_back_whole() {
        let mut hall = Hall::new(2, 8, 128);
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

    #[test]
    fn small_gangs_fill_the_fullest_node_that_holds_them() {
        let mut hall = Hall::new(3, 8, 4);
        let mut place = |gpus| hall.grant_gang(Need::Share(gpus)).expect("there is room").to_string();
        // 5 + 3 fill a node, 6 opens another, 1 goes where 2 are left, 4 opens a third.
        assert_eq!([5, 6, 3, 1, 4, 1].map(&mut place), ["0", "1", "0", "1", "2", "1"]);
        assert!(hall.fits(Need::Share(4)) && !hall.fits(Need::Share(5)) && !hall.fits(Need::Nodes(1)));
        hall.release_gang(Need::Share(4), NodeSet::single(2));
        assert!(hall.fits(Need::Nodes(1)));
    }

    #[test]
    fn a_node_in_repair_is_nobodys() {
        let mut hall = Hall::new(4, 8, 4);
        let gang = hall.grant_gang(Need::Nodes(3)).expect("three of four");
        hall.release_gang(Need::Nodes(3), gang);
        hall.withdraw(1);
        assert_eq!((hall.free(), hall.down()), (3, 1));
        assert_eq!(hall.grant(3).expect("three are left").to_string(), "0 2-3");
        hall.restore(1);
        assert_eq!(hall.grant(1).expect("it came back").to_string(), "1");
    }
}
