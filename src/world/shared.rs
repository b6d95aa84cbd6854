//! Nodes on which several small holders sit side by side, by the room that is left on them.

use std::collections::{BTreeMap, BTreeSet};

/// Nodes shared by holders of less than a node each; finding room costs the GPUs of one node, whatever stands in the halls.
#[derive(Debug, Clone)]
pub struct SharedNodes {
    gpus_per_node: u32,
    /// Nodes by how many of their GPUs are free; the last place is a whole node's and stays empty.
    rooms: Vec<BTreeSet<u32>>,
    /// GPUs in use by node.
    used: BTreeMap<u32, u32>,
}

impl SharedNodes {
    /// No node yet.
    #[must_use]
    pub fn new(gpus_per_node: u32) -> SharedNodes {
        SharedNodes { gpus_per_node, rooms: vec![BTreeSet::new(); gpus_per_node as usize], used: BTreeMap::new() }
    }

    /// How many nodes are shared.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.used.len() as u32
    }

    /// True for none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The node that has room for `gpus` and least beside: the first of equals.
    #[must_use]
    pub fn place(&self, gpus: u32) -> Option<u32> {
        self.rooms.get(gpus as usize..)?.iter().find_map(|nodes| nodes.first()).copied()
    }

    /// Puts a holder of `gpus` on `node`, which joins the shared nodes if it was not among them.
    pub fn enter(&mut self, node: u32, gpus: u32) {
        let used = self.used.get(&node).copied().unwrap_or(0);
        assert!(used + gpus <= self.gpus_per_node, "a GPU is held once");
        self.set(node, used, used + gpus);
    }

    /// Takes a holder of `gpus` off `node`; true where it was the last and the node is shared no more.
    pub fn leave(&mut self, node: u32, gpus: u32) -> bool {
        let used = *self.used.get(&node).expect("a shared node is on the list while in use");
        assert!(gpus <= used, "what is given back was held");
        self.set(node, used, used - gpus);
        used == gpus
    }

    fn set(&mut self, node: u32, before: u32, after: u32) {
        let room = |used: u32| (self.gpus_per_node - used) as usize;
        if before > 0 {
            self.rooms[room(before)].remove(&node);
        }
        if after > 0 {
            self.rooms[room(after)].insert(node);
            self.used.insert(node, after);
        } else {
            self.used.remove(&node);
        }
    }
}
