//! A job without spares that takes nodes of its cluster: what it wants, what it gets, and what it gives back.

use super::{Job, Phase, Stall};
use crate::ledger::EventKind;
use crate::training::{FailureClock, GivenBack, Short};
use crate::units::{SimTime, Span};
use crate::world::NodeSet;

impl Job {
    /// How many nodes it waits for that the cluster would have to give; none unless `spares.short` says that it takes them.
    #[must_use]
    pub fn wants(&self) -> u32 {
        match &self.phase {
            Phase::Stalled(stall) if self.attach().is_some() && self.is_waiting(stall) => self.roster().missing(),
            _ => 0,
        }
    }

    /// Nodes that it holds.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.roster().held()
    }

    /// Nodes that it holds beyond what it asked for.
    fn beyond(&self) -> u32 {
        self.roster().held().saturating_sub(self.plan.granted_nodes())
    }

    /// The earliest instant at which it can want nodes of the cluster that it does not want yet, or have some to give back: never
    /// later than it will.
    #[must_use]
    pub fn earliest_trade(&self) -> SimTime {
        if self.attach().is_none() {
            return SimTime::NEVER;
        }
        let wants = match &self.phase {
            Phase::Queued | Phase::Finished(_) => return SimTime::NEVER,
            Phase::Running(_) => self.next_loss(),
            Phase::Stalled(stall) if self.is_waiting(stall) => SimTime::NEVER,
            Phase::Stalled(stall) => self.next_call(stall).min(self.next_loss()),
        };
        let gives = if self.beyond() > 0 { self.roster().next_repaired() } else { SimTime::NEVER };
        wants.min(gives)
    }

    /// `nodes`, no more than it [wants](Job::wants), take the places of lost ones at `at`.
    pub fn take_in(&mut self, at: SimTime, nodes: NodeSet) {
        assert!((1..=self.wants()).contains(&nodes.len()), "a job takes what it lacks");
        self.book_stall(at);
        self.book_roster(at);
        self.log(at, EventKind::TookNodes, nodes.to_string(), String::new());
        self.tally.taken += u64::from(nodes.len());
        let clock = self.failure_clock(at);
        self.faults.watch(nodes.iter(), clock);
        nodes.iter().for_each(|node| self.faults.join(node, clock));
        if let Some(stragglers) = &mut self.stragglers {
            stragglers.watch(nodes.iter(), at);
        }
        let attach = self.attach().expect("only a job that takes nodes wants them");
        let roster = self.roster.as_mut().expect("a running job has nodes");
        roster.take_in(nodes, at, attach);
        let held = roster.held();
        self.tally.hold(held, at);
        for kind in 0..self.plan.failures.maintenance.len() {
            self.hear_next(kind, at);
        }
    }

    /// Nodes that it gives back at `at`: those that stand by and that it did not ask for.
    pub fn part_with(&mut self, at: SimTime) -> GivenBack {
        let beyond = self.beyond();
        if beyond == 0 {
            return GivenBack::default();
        }
        self.book_roster(at);
        let roster = self.roster.as_mut().expect("a running job has nodes");
        let parted = roster.part_with(beyond);
        let held = roster.held();
        self.tally.hold(held, at);
        let unfixed = self.faults.hand_over(|node| parted.iter().any(|other| other == node));
        GivenBack { nodes: parted, in_repair: Vec::new(), unfixed }
    }

    /// It is about to get `nodes`, which somebody else had in repair and did not fix.
    pub fn inherit(&mut self, nodes: &[u32]) {
        nodes.iter().for_each(|&node| self.faults.inherit(node, self.plan.recovery.relapse));
    }

    /// Until a node that it takes is up; `None` where it takes none.
    fn attach(&self) -> Option<Span> {
        if let Short::Preempt { attach } = self.plan.spares.short { Some(attach) } else { None }
    }

    /// The earliest instant at which a node that breaks from now on could be missed.
    fn next_loss(&self) -> SimTime {
        let seen = self.next_break() + self.clocks.detect.min(self.clocks.detect_hang);
        let uncovered = self.corruptions.iter().map(|corruption| corruption.due).min().unwrap_or(SimTime::NEVER);
        let at_once = matches!(&self.phase, Phase::Stalled(stall) if stall.waits_for_spares())
            && self.plan.recovery.failure_clock == FailureClock::Serial;
        // On that clock what breaks while spares come up is replaced with them.
        let failed =
            if at_once { self.next_failure().min(uncovered) } else { seen.min(uncovered) + self.clocks.localise };
        let drained = match &self.phase {
            Phase::Stalled(stall) => self.next_drain().max(self.step_end(stall)),
            _ => self.next_drain(),
        };
        failed.min(drained)
    }

    /// The earliest instant at which a node can break: where none does while the job stands still, when it may run again.
    fn next_break(&self) -> SimTime {
        match &self.phase {
            Phase::Stalled(stall) if self.plan.recovery.failure_clock == FailureClock::Uptime => {
                let runs = self.step_end(stall) + stall.steps.iter().skip(1).map(|step| step.length).sum();
                self.next_failure().min(runs)
            }
            _ => self.next_failure(),
        }
    }

    /// When the next step begins that calls spares.
    fn next_call(&self, stall: &Stall) -> SimTime {
        let mut at = self.step_end(stall);
        for step in stall.steps.iter().skip(1) {
            if step.what == crate::ledger::Use::SpareWait {
                return at;
            }
            at += step.length;
        }
        SimTime::NEVER
    }
}
