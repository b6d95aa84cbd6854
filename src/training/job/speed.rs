//! What decides how fast a running job goes: the lever of power control, and its slowest member.

use super::{Happening, Job, Phase, Step, Transfers};
use crate::engine::Seed;
use crate::fault::{Fault, Spell, Spells, Symptom};
use crate::ledger::{Draw, EventKind, StragglerFacts, Use};
use crate::power::State;
use crate::training::JobPlan;
use crate::training::roster::{Place, cluster_of};
use crate::training::warp::{Drag, Gait, Slow, Warp};
use crate::units::{SimTime, Span};
use crate::world::{Domain, NodeSet};
use std::collections::VecDeque;

/// Who among the nodes of a job is slow.
#[derive(Debug)]
pub(super) struct Stragglers {
    spells: Spells,
    active: Vec<Slowed>,
    facts: StragglerFacts,
}

/// A spell under way.
#[derive(Debug)]
struct Slowed {
    spell: Spell,
    /// When somebody knows which node it is; [`SimTime::NEVER`] where nobody looks, or once its node has gone.
    due: SimTime,
}

impl Stragglers {
    pub(super) fn new(plan: &JobPlan, seed: Seed, horizon: SimTime) -> Option<Stragglers> {
        let failures = &plan.failures;
        let spells = Spells::new(&failures.stragglers, failures.tree, seed, &cluster_of(plan), horizon)?;
        Some(Stragglers { spells, active: Vec::new(), facts: StragglerFacts::default() })
    }

    pub(super) fn watch(&mut self, nodes: impl Iterator<Item = u32> + Clone, at: SimTime) {
        self.spells.watch(nodes, at);
    }

    /// The job has no nodes any more.
    pub(super) fn clear(&mut self) {
        self.spells.clear();
        self.active.clear();
    }

    /// `node` goes to repair, which ends its own spells.
    pub(super) fn forget(&mut self, node: u32) {
        self.spells.leave(node);
        self.active.retain(|slowed| slowed.spell.domain > Domain::Node || slowed.spell.nodes.start != node);
    }

    pub(super) fn add_dragged(&mut self, time: Span) {
        self.facts.lost += time;
    }

    pub(super) fn facts(&self) -> StragglerFacts {
        self.facts
    }
}

/// Stragglers.
impl Job {
    pub(super) fn next_straggling(&self) -> (SimTime, Happening) {
        let Some(stragglers) = &self.stragglers else { return (SimTime::NEVER, Happening::Straggling) };
        let ends = stragglers.active.iter().map(|slowed| slowed.spell.until);
        let due = stragglers.active.iter().map(|slowed| slowed.due.max(self.now));
        let due = if self.can_evict() { due.min() } else { None };
        let next = ends.chain(due).chain([stragglers.spells.next_time()]).min();
        (next.expect("the next spell at least"), Happening::Straggling)
    }

    /// A slow node goes only where a spare stands by; a job that recovers has other worries.
    fn can_evict(&self) -> bool {
        matches!(self.phase, Phase::Running(_)) && self.roster().has_spare()
    }

    /// Spells begin and end at `at`, or somebody finds a slow node.
    pub(super) fn straggling(&mut self, at: SimTime) {
        let can_evict = self.can_evict();
        let roster = self.roster.as_ref().expect("a running job has nodes");
        let stragglers = self.stragglers.as_mut().expect("only stragglers straggle");
        let Stragglers { spells, active, .. } = &mut *stragglers;
        active.retain(|slowed| {
            let lasts = slowed.spell.until > at;
            if !lasts {
                spells.ended(&slowed.spell);
            }
            lasts
        });
        let mut begun = Vec::new();
        while stragglers.spells.next_time() <= at {
            let spell = stragglers.spells.pop().expect("a spell is due");
            let computing = |&node: &u32| roster.place(node) == Place::Computing;
            let slow: Vec<u32> = spell.nodes.clone().filter(computing).collect();
            if !slow.is_empty() {
                stragglers.facts.spells += 1;
                begun.push((NodeSet::of(&slow), spell.domain));
            }
            let (_, straggler) = self.plan.failures.stragglers[spell.kind];
            let due = straggler.evict.map_or(SimTime::NEVER, |evict| spell.at + evict.detect);
            stragglers.active.push(Slowed { spell, due });
        }
        let found: Vec<u32> = if can_evict {
            let due = stragglers.active.iter_mut().filter(|slowed| slowed.due <= at);
            let found = due.map(|slowed| {
                slowed.due = SimTime::NEVER;
                slowed.spell.nodes.start
            });
            found.filter(|&node| matches!(roster.place(node), Place::Computing | Place::StandingBy)).collect()
        } else {
            Vec::new()
        };
        for (nodes, domain) in begun {
            self.log(at, EventKind::Slowed, nodes.to_string(), domain.name().to_owned());
        }
        self.evict_slow(&found, at);
        if matches!(self.phase, Phase::Running(_)) {
            self.warp.turn(at, self.gait());
        }
    }

    /// The slow `nodes` go to repair at `at`; where one of them computes, the job saves and goes on with a spare in its place.
    fn evict_slow(&mut self, nodes: &[u32], at: SimTime) {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.is_empty() {
            return;
        }
        let stops = nodes.iter().any(|&node| self.roster().place(node) == Place::Computing);
        if stops {
            let Phase::Running(since) = self.phase else { unreachable!("only a running job evicts") };
            self.end_stretch(since, at, super::Fate::Kept);
            self.drain(at);
        }
        self.log(at, EventKind::Evicted, NodeSet::of(&nodes).to_string(), "slow".to_owned());
        let fault = Fault {
            at,
            domain: Domain::Node,
            nodes: nodes.clone(),
            repair: None,
            repairs: Vec::new(),
            symptom: Symptom::Slow,
        };
        self.lose(&fault, &nodes, at);
        self.stragglers.as_mut().expect("only stragglers straggle").facts.evicted += nodes.len() as u64;
        if stops {
            let [wait, restart] = [(Use::SpareWait, Span::ZERO), (Use::Planned, self.clocks.planned)];
            self.stop(at, VecDeque::from([wait, restart].map(|(what, length)| Step::new(what, length))));
        }
    }

    /// What the slowest of the computing nodes leaves of the speed: 1 where none is slow.
    pub(super) fn slowest(&self) -> f64 {
        let Some(stragglers) = &self.stragglers else { return 1.0 };
        let computes = |spell: &Spell| spell.nodes.clone().any(|node| self.roster().place(node) == Place::Computing);
        let slow = stragglers.active.iter().filter(|slowed| computes(&slowed.spell));
        let speeds = slow.map(|slowed| self.plan.failures.stragglers[slowed.spell.kind].1.speed.as_f64());
        speeds.fold(1.0, f64::min)
    }
}

/// Power control, and what the nodes draw.
impl Job {
    /// Holds the job at the level of power control that `level` gives for its nodes from `at`, the edge being handled, on.
    pub fn hold(&mut self, at: SimTime, level: &dyn Fn(&NodeSet) -> u8) {
        let Some(roster) = &self.roster else { return };
        let level = level(roster.nodes());
        if level == self.level {
            return;
        }
        self.level = level;
        if matches!(self.phase, Phase::Running(_)) {
            self.warp.turn(at, self.gait());
        }
    }

    /// What its nodes draw at this instant: the nodes granted, the draw, the level of power control, and whether a lever can hold
    /// it. Saves are passed over.
    pub fn draws(&self, visit: &mut dyn FnMut(&NodeSet, Draw, u8, bool)) {
        let Some(roster) = self.roster.as_ref().filter(|roster| !roster.nodes().is_empty()) else { return };
        let computing = roster.computing();
        match self.phase {
            Phase::Running(_) => visit(roster.nodes(), self.training_draw(self.level), self.level, true),
            _ => visit(roster.nodes(), self.per_node.draw(computing, State::Resident), self.level, false),
        }
        visit(roster.nodes(), roster.beside(), self.level, false);
    }

    pub(super) fn run(&mut self, at: SimTime) {
        self.phase = Phase::Running(at);
        self.begin_writes();
        self.warp = Warp::new(at, self.gait());
    }

    /// How fast the job goes: levers and the slowest member multiply.
    pub(super) fn gait(&self) -> Gait {
        let speed = self.slowest();
        let stored = self.transfers.as_ref().map_or(1.0, Transfers::slow);
        Gait {
            slow: Slow::new(self.plan.at_level(self.level).time / speed * stored),
            level: self.level,
            drag: Drag::new(speed),
        }
    }

    pub(super) fn training_draw(&self, level: u8) -> Draw {
        let each = self.plan.at_level(level).draw;
        Draw::new(self.roster().computing() * self.plan.gpus_per_node, each.accelerator, each.host)
    }
}
