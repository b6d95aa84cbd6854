//! Localisation that takes out more than the broken node, or the wrong ones.

use super::{Job, Place};
use crate::fault::{Fault, Symptom};
use crate::ledger::EventKind;
use crate::training::Suspects;
use crate::units::SimTime;
use crate::world::{Domain, NodeSet};

/// Whom localisation takes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The broken node, and these.
    Found(Vec<u32>),
    /// Only these, which have nothing.
    Missed(Vec<u32>),
}

impl Job {
    /// Whom localisation takes out for `node`, which failed by itself and computes.
    pub(super) fn verdict(&mut self, node: u32) -> Verdict {
        let Some(Suspects { group, miss, .. }) = self.plan.recovery.evict else { return Verdict::Found(Vec::new()) };
        let roster = self.roster.as_ref().expect("a running job has nodes");
        let computing: Vec<u32> = roster.granted().filter(|&node| roster.place(node) == Place::Computing).collect();
        let groups: Vec<&[u32]> = computing.chunks(group as usize).collect();
        let own = groups.iter().position(|nodes| nodes.contains(&node)).expect("it computes");
        let errs = groups.len() > 1 && miss.as_f64() > 0.0 && self.suspicion.uniform() < miss.as_f64();
        if !errs {
            return Verdict::Found(groups[own].iter().copied().filter(|&other| other != node).collect());
        }
        let other = self.suspicion.below(groups.len() as u32 - 1) as usize;
        Verdict::Missed(groups[if other < own { other } else { other + 1 }].to_vec())
    }

    /// `nodes`, which have nothing, leave at `at` for a test.
    pub(super) fn take_for_test(&mut self, nodes: &[u32], at: SimTime) {
        let Some(Suspects { test, .. }) = self.plan.recovery.evict.filter(|_| !nodes.is_empty()) else { return };
        self.tally.suspects += nodes.len() as u64;
        self.log(at, EventKind::Evicted, NodeSet::of(nodes).to_string(), "suspected".to_owned());
        let (repair, symptom) = (Some(test), Symptom::Suspected);
        let fault = Fault { at, domain: Domain::Node, nodes: nodes.to_vec(), repair, repairs: Vec::new(), symptom };
        self.lose(&fault, nodes, at);
    }

    /// `node`, which failed by itself, stays where it is and fails again.
    pub(super) fn overlook(&mut self, node: u32, at: SimTime) {
        self.tally.missed += 1;
        let clock = self.failure_clock(at);
        self.faults.leave(node);
        self.faults.relapse(node, self.plan.recovery.relapse);
        self.faults.join(node, clock);
    }
}
