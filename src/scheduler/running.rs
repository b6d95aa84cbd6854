//! Who runs, until when by estimate, and so when nodes come free.

use super::Gang;
use crate::units::SimTime;
use crate::world::Need;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// One that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The higher, the later it is preempted.
    pub priority: i32,
    /// When it got its nodes.
    pub started: SimTime,
    /// When it ends, by estimate.
    pub ends: SimTime,
    /// What it holds.
    pub need: Need,
    /// The first of its nodes; the only one of a share.
    pub node: u32,
}

/// When the first in the queue has its nodes, and what it leaves over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// The earliest instant with enough free nodes.
    pub at: SimTime,
    /// Free nodes then that it does not take.
    pub left_over: u32,
}

/// Who gives whole nodes back: a gang, or the last of those that share a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Gang(Gang),
    Shared(u32),
}

/// All that run on one cluster.
#[derive(Debug, Default)]
pub struct Running {
    gangs: BTreeMap<Gang, Run>,
    /// Whole nodes by when they come free.
    releases: BTreeMap<(SimTime, Holder), u32>,
    /// Ends of the gangs on each shared node.
    shared: BTreeMap<u32, Vec<(SimTime, Gang)>>,
    /// Lowest priority first, of equals the last started.
    lowest: BTreeSet<(i32, Reverse<SimTime>, Gang)>,
}

impl Running {
    /// Enters one that starts.
    pub fn start(&mut self, gang: Gang, run: Run) {
        match run.need {
            Need::Nodes(nodes) => drop(self.releases.insert((run.ends, Holder::Gang(gang)), nodes)),
            Need::Share(_) => self.reshare(run.node, |ends| ends.push((run.ends, gang))),
        }
        self.lowest.insert((run.priority, Reverse(run.started), gang));
        let before = self.gangs.insert(gang, run);
        assert!(before.is_none(), "a gang runs once");
    }

    /// Takes one out that gives its nodes back.
    pub fn end(&mut self, gang: Gang) -> Run {
        let run = self.gangs.remove(&gang).expect("who ends has run");
        match run.need {
            Need::Nodes(_) => drop(self.releases.remove(&(run.ends, Holder::Gang(gang)))),
            Need::Share(_) => self.reshare(run.node, |ends| ends.retain(|&(_, other)| other != gang)),
        }
        self.lowest.remove(&(run.priority, Reverse(run.started), gang));
        run
    }

    /// Moves the estimated end of a gang of whole nodes.
    pub fn reestimate(&mut self, gang: Gang, ends: SimTime) {
        let run = self.gangs.get_mut(&gang).expect("who is estimated runs");
        if run.ends != ends {
            let nodes = self.releases.remove(&(run.ends, Holder::Gang(gang))).expect("a gang of whole nodes");
            self.releases.insert((ends, Holder::Gang(gang)), nodes);
            run.ends = ends;
        }
    }

    /// A gang of whole nodes holds `nodes` of them from now on.
    pub fn resize(&mut self, gang: Gang, nodes: u32) {
        let run = self.gangs.get_mut(&gang).expect("who is resized runs");
        run.need = Need::Nodes(nodes);
        self.releases.insert((run.ends, Holder::Gang(gang)), nodes);
    }

    /// One that runs.
    #[must_use]
    pub fn get(&self, gang: Gang) -> Option<&Run> {
        self.gangs.get(&gang)
    }

    /// All, lowest priority first, of equals the last started.
    pub fn lowest_first(&self) -> impl Iterator<Item = (Gang, &Run)> {
        self.lowest.iter().map(|(_, _, gang)| (*gang, &self.gangs[gang]))
    }

    /// Until when the gangs on the shared `node` stay, by estimate.
    #[must_use]
    pub fn shared_until(&self, node: u32) -> SimTime {
        self.shared.get(&node).map_or(SimTime::ZERO, |ends| last(ends))
    }

    /// The gangs on the shared `node`.
    pub fn sharing(&self, node: u32) -> impl Iterator<Item = Gang> {
        self.shared.get(&node).into_iter().flatten().map(|&(_, gang)| gang)
    }

    /// When `wanted` nodes are free, of which `free` are now; `None` where those that run cannot make that many.
    #[must_use]
    pub fn reservation(&self, free: u32, wanted: u32) -> Option<Reservation> {
        let mut releases = self.releases.iter().map(|(&(at, _), &nodes)| (at, nodes)).peekable();
        let mut sum = free;
        while let Some((at, nodes)) = releases.next() {
            sum += nodes;
            let more_then = releases.peek().is_some_and(|&(next, _)| next == at);
            if sum >= wanted && !more_then {
                return Some(Reservation { at, left_over: sum - wanted });
            }
        }
        None
    }

    /// Changes who sits on a shared node, and with it when the node comes free.
    fn reshare(&mut self, node: u32, change: impl FnOnce(&mut Vec<(SimTime, Gang)>)) {
        let ends = self.shared.entry(node).or_default();
        if !ends.is_empty() {
            self.releases.remove(&(last(ends), Holder::Shared(node)));
        }
        change(ends);
        match ends.is_empty() {
            true => drop(self.shared.remove(&node)),
            false => drop(self.releases.insert((last(ends), Holder::Shared(node)), 1)),
        }
    }
}

fn last(ends: &[(SimTime, Gang)]) -> SimTime {
    ends.iter().map(|&(at, _)| at).max().unwrap_or(SimTime::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Span::from_secs(seconds)
    }

    fn run(ends: u64, need: Need, node: u32) -> Run {
        Run { priority: 0, started: SimTime::ZERO, ends: at(ends), need, node }
    }

    #[test]
    fn a_reservation_counts_nodes_when_their_last_holder_ends() {
        let mut running = Running::default();
        running.start(Gang(1), run(100, Need::Nodes(4), 0));
        running.start(Gang(2), run(50, Need::Share(2), 4));
        running.start(Gang(3), run(200, Need::Share(2), 4));
        running.start(Gang(4), run(200, Need::Nodes(3), 5));
        let reservation = |at: SimTime, left_over| Some(Reservation { at, left_over });
        assert_eq!(running.reservation(1, 5), reservation(at(100), 0));
        // At 200 s both the shared node and the gang of three come free.
        assert_eq!(running.reservation(1, 6), reservation(at(200), 3));
        assert_eq!(running.reservation(1, 10), None);
        running.end(Gang(3));
        assert_eq!(running.reservation(0, 1), reservation(at(50), 0));
        running.reestimate(Gang(1), at(10));
        assert_eq!(running.reservation(0, 1), reservation(at(10), 3));
    }
}
