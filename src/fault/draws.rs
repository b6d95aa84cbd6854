//! The n-th draw of a node, without keeping a generator for each of ten thousand nodes.

use crate::engine::{Entity, FIRSTS, Seed};

/// One stream for each node of a cluster for one purpose, opened when drawn from and closed again. Keyed by the cluster's name
/// and the node's index: who holds the node, and what else stands in the halls, moves no draw.
#[derive(Debug, Clone)]
pub(super) struct NodeDraws {
    seed: Seed,
    cluster: Entity,
    purpose: &'static str,
    /// Draws taken so far, by node; shorter than the cluster until its last nodes are met.
    taken: Vec<u32>,
    /// The first draws of the block of nodes met last, and the block.
    firsts: Option<(u32, [f64; FIRSTS])>,
}

impl NodeDraws {
    pub(super) fn new(seed: Seed, cluster: Entity, purpose: &'static str) -> NodeDraws {
        NodeDraws { seed, cluster, purpose, taken: Vec::new(), firsts: None }
    }

    /// The next uniform draw of `node`. Costs one ChaCha block, and 3 ns for each earlier draw of a node: few nodes fail often.
    pub(super) fn next(&mut self, node: u32) -> f64 {
        let taken = self.take(node);
        let mut stream = self.seed.stream(self.cluster.part(node), self.purpose);
        for _ in 0..taken {
            stream.bits();
        }
        stream.uniform()
    }

    /// The first draw of `node`, cheap where its neighbours draw theirs too.
    pub(super) fn first(&mut self, node: u32) -> f64 {
        assert!(self.take(node) == 0, "a node draws for the first time once");
        let (block, lane) = (node / FIRSTS as u32, node as usize % FIRSTS);
        match self.firsts {
            Some((met, firsts)) if met == block => firsts[lane],
            _ => {
                let firsts = self.seed.first_uniforms(self.cluster, block * FIRSTS as u32, self.purpose);
                self.firsts = Some((block, firsts));
                firsts[lane]
            }
        }
    }

    /// Counts a draw of `node` and returns how many it had taken.
    fn take(&mut self, node: u32) -> u32 {
        let slot = node as usize;
        if slot >= self.taken.len() {
            self.taken.resize(slot + 1, 0);
        }
        let taken = self.taken[slot];
        self.taken[slot] += 1;
        taken
    }

    /// True until the first draw of `node`.
    pub(super) fn is_fresh(&self, node: u32) -> bool {
        self.taken.get(node as usize).is_none_or(|&taken| taken == 0)
    }
}
