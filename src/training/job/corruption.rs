//! Silent corruption: a job computes nonsense until somebody sees it, and goes back to before it began.

use super::{Fate, Job, Loss, Phase};
use crate::fault::{Fault, Symptom};
use crate::ledger::EventKind;
use crate::units::{SimTime, Span};
use crate::world::Domain;

/// Silent corruption of the job's state that nobody has seen yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Corruption {
    /// The node that computes nonsense; `None` once it has left.
    pub(super) node: Option<u32>,
    /// Since when; [`SimTime::NEVER`] where the state was restored to before it, and the node waits to spoil it again.
    pub(super) onset: SimTime,
    /// When somebody will see it.
    pub(super) due: SimTime,
}

impl Job {
    /// `node` begins to compute nonsense at `at`, and somebody sees it after `latency`.
    pub(super) fn corrupt(&mut self, node: u32, at: SimTime, latency: Span) {
        self.log(at, EventKind::Corrupted, node.to_string(), String::new());
        let onset = if matches!(self.phase, Phase::Running(_)) { at } else { SimTime::NEVER };
        self.corruptions.push(Corruption { node: Some(node), onset, due: at + latency });
    }

    /// Somebody sees the corruption that is due at `at`: back to before it began, without the node.
    pub(super) fn uncovered(&mut self, at: SimTime) {
        let first = self.corruptions.iter().enumerate().min_by_key(|(_, corruption)| corruption.due);
        let (index, &Corruption { node, onset, .. }) = first.expect("a corruption was due");
        self.corruptions.remove(index);
        self.tally.interruptions += 1;
        let lost = match self.phase {
            Phase::Running(since) => self.end_stretch(since, at, Fate::RolledBack(Loss::Since(onset))),
            Phase::Stalled(_) => {
                self.book_stall(at);
                self.lose_copies(Loss::Since(onset))
            }
            Phase::Queued | Phase::Finished(_) => unreachable!("only a running job is looked at"),
        };
        let detail = format!("silent corruption: lost {} s of work", lost.as_secs_f64().round());
        self.log(at, EventKind::Failure, node.map_or(String::new(), |node| node.to_string()), detail);
        if let Some(node) = node {
            let (nodes, symptom) = (vec![node], Symptom::Silent(Span::ZERO));
            let fault = Fault { at, domain: Domain::Node, nodes, repair: None, repairs: Vec::new(), symptom };
            self.lose(&fault, &[node], at);
        }
        self.heal();
        self.begin_recovery(at, Span::ZERO);
    }

    /// After a roll-back: corruption that began later than the copy is gone with the work, unless its node is still here and will
    /// begin again.
    pub(super) fn heal(&mut self) {
        if self.corruptions.is_empty() {
            return;
        }
        let taken = self.copies.newest(&self.schedule).map_or(self.tally.floor.1, |copy| copy.taken);
        self.corruptions.retain_mut(|corruption| {
            if taken <= corruption.onset {
                corruption.onset = SimTime::NEVER;
            }
            corruption.onset < SimTime::NEVER || corruption.node.is_some()
        });
    }
}
