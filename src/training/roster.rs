//! Which of a job's nodes compute, stand by, or are in repair; and what the ones beside the computing nodes spend.

use super::pace::Pace;
use super::{JobPlan, Retire, Short};
use crate::engine::{Entity, Seed};
use crate::fault::{RepairPolicy, RepairShop};
use crate::ledger::{Book, Draw, Use};
use crate::power::{NodePower, State};
use crate::units::{SimTime, Span};
use crate::world::NodeSet;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The nodes of a running job.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    /// Everything granted, to be handed back.
    granted: NodeSet,
    computing: u32,
    /// Nodes that the job computes with now: fewer than `wanted` where it has shrunk.
    target: u32,
    wanted: u32,
    short: Short,
    /// By node.
    places: Vec<Place>,
    hot_slots: u32,
    hot: VecDeque<u32>,
    cold: VecDeque<u32>,
    shop: RepairShop,
    retire: Option<Retire>,
    /// Failures of its own that count against each node.
    record: BTreeMap<u32, VecDeque<SimTime>>,
    /// Nodes given up whose replacements are on their way.
    ordered: BTreeSet<u32>,
    /// Nodes given up for good.
    retired: u32,
    attach_cold: Span,
    /// When the last node that took a place is up.
    attached: SimTime,
    per_node: PerNode,
    /// Until when spares and repairs are in the book.
    booked: SimTime,
}

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In somebody else's hands.
    Elsewhere,
    Computing,
    StandingBy,
    InRepair,
}

/// Why a node leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It failed by itself.
    Own,
    /// Its domain failed, and is mended as a whole after that time, or node by node.
    Domain(Option<Span>),
}

/// A node that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Back {
    pub node: u32,
    pub how: How,
}

/// How a node comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Mended,
    /// Its repair did not fix it.
    Unfixed,
    /// Another one in its place.
    Replaced,
}

/// What a job gives back to its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GivenBack {
    /// All its nodes.
    pub nodes: NodeSet,
    /// Which of them are in repair, and until when.
    pub in_repair: Vec<(SimTime, u32)>,
    /// Which of them are not fixed, or will not be when they come back, and fail again before long.
    pub unfixed: Vec<u32>,
}

/// Power of a whole node by state.
#[derive(Debug, Clone, Copy)]
pub(super) struct PerNode {
    gpus: u32,
    power: NodePower,
}

impl PerNode {
    pub(super) fn new(plan: &JobPlan) -> PerNode {
        PerNode { gpus: plan.gpus_per_node, power: plan.power }
    }

    /// `nodes` nodes in `state`.
    pub(super) fn draw(&self, nodes: u32, state: State) -> Draw {
        let each = self.power.draw(state);
        Draw::new(nodes * self.gpus, each.accelerator, each.host)
    }
}

impl Roster {
    /// Takes `granted` over at `at`: the first nodes compute, the next stand by hot, the last cold.
    pub(super) fn new(plan: &JobPlan, granted: NodeSet, at: SimTime, seed: Seed) -> Roster {
        let recovery = &plan.recovery;
        let policy = RepairPolicy {
            mean: recovery.repair,
            shape: recovery.repair_shape,
            crews: recovery.crews,
            unfixed: recovery.unfixed,
            requalify: recovery.requalify,
        };
        let shop = RepairShop::new(policy, seed, Entity::named(&cluster_of(plan)));
        Roster::staffed(plan, granted, at, shop)
    }

    fn staffed(plan: &JobPlan, granted: NodeSet, at: SimTime, shop: RepairShop) -> Roster {
        assert!(granted.len() == plan.granted_nodes(), "a job is granted exactly the nodes that it asked for");
        let mut places = vec![Place::Elsewhere; granted.iter().last().map_or(0, |node| node as usize + 1)];
        for (index, node) in granted.iter().enumerate() {
            places[node as usize] = if index < plan.nodes as usize { Place::Computing } else { Place::StandingBy };
        }
        let mut spares = granted.iter().skip(plan.nodes as usize);
        let hot = spares.by_ref().take(plan.spares.hot as usize).collect();
        let cold = spares.collect();
        Roster {
            computing: plan.nodes,
            target: plan.nodes,
            wanted: plan.nodes,
            short: plan.spares.short,
            places,
            hot_slots: plan.spares.hot,
            hot,
            cold,
            shop,
            retire: plan.recovery.retire,
            record: BTreeMap::new(),
            ordered: BTreeSet::new(),
            retired: 0,
            attach_cold: plan.recovery.attach_cold,
            attached: at,
            per_node: PerNode::new(plan),
            booked: at,
            granted,
        }
    }

    /// The roster after it gave its nodes up, on `granted` at `at`; the repair shop draws on.
    pub(super) fn moved_to(self, plan: &JobPlan, granted: NodeSet, at: SimTime) -> Roster {
        assert!(self.granted.is_empty(), "a job moves after it gave its nodes up");
        Roster::staffed(plan, granted, at, self.shop)
    }

    /// Everything granted, and which of it is in repair until when; nothing is left.
    pub(super) fn give_up(&mut self) -> GivenBack {
        let (mut in_repair, mut unfixed) = (Vec::new(), Vec::new());
        while !self.shop.is_empty() {
            let at = self.shop.next_time();
            let Some(Back { node, how }) = self.next_back() else { continue };
            in_repair.push((at, node));
            if how == How::Unfixed {
                unfixed.push(node);
            }
        }
        GivenBack { nodes: std::mem::take(&mut self.granted), in_repair, unfixed }
    }

    /// True where a node stands by.
    pub(super) fn has_spare(&self) -> bool {
        !self.hot.is_empty() || !self.cold.is_empty()
    }

    /// How many nodes would complete it.
    pub(super) fn missing(&self) -> u32 {
        self.target - self.computing
    }

    /// Nodes that it holds.
    pub(super) fn held(&self) -> u32 {
        self.granted.len()
    }

    /// `nodes` of the cluster, up after `attach`, take the places of lost ones at `at`.
    pub(super) fn take_in(&mut self, nodes: NodeSet, at: SimTime, attach: Span) {
        let last = nodes.iter().last().map_or(0, |node| node as usize + 1);
        self.places.resize(self.places.len().max(last), Place::Elsewhere);
        nodes.iter().for_each(|node| self.take_place(node, at + attach));
        self.granted.add(nodes);
    }

    /// Gives away at most `count` nodes that stand by, cold before hot.
    pub(super) fn part_with(&mut self, count: u32) -> NodeSet {
        let mut parted = NodeSet::default();
        while parted.len() < count {
            let Some(node) = self.cold.pop_back().or_else(|| self.hot.pop_back()) else { break };
            self.places[node as usize] = Place::Elsewhere;
            self.granted.remove(node);
            parted.add(NodeSet::single(node));
        }
        parted
    }

    /// The nodes that compute at the start.
    pub(super) fn first(&self) -> impl Iterator<Item = u32> {
        self.granted.iter().take(self.wanted as usize)
    }

    /// All nodes granted.
    pub(super) fn nodes(&self) -> &NodeSet {
        &self.granted
    }

    /// What spares and nodes in repair draw together.
    pub(super) fn beside(&self) -> Draw {
        let hot = self.per_node.draw(self.hot.len() as u32, State::Resident);
        let cold = self.per_node.draw(self.cold.len() as u32, State::Idle);
        Draw {
            gpus: hot.gpus + cold.gpus + self.per_node.draw(self.shop.len(), State::Off).gpus,
            accelerator: hot.accelerator + cold.accelerator,
            host: hot.host + cold.host,
        }
    }

    /// Nodes that compute, or would if the job ran.
    pub(super) fn computing(&self) -> u32 {
        self.computing
    }

    /// True where a computing node has gone and nothing has taken its place.
    pub(super) fn is_short(&self) -> bool {
        self.computing < self.target
    }

    /// When the last spare called is up; where the job is still short, when the next node returns that could help.
    pub(super) fn complete_at(&self) -> SimTime {
        if self.is_short() { self.shop.next_time().max(self.attached) } else { self.attached }
    }

    pub(super) fn next_repaired(&self) -> SimTime {
        self.shop.next_time()
    }

    /// True where a failed node stays: a reboot in place mends it.
    pub(super) fn keeps_failed(&self) -> bool {
        self.shop.is_instant() && self.retire.is_none()
    }

    /// How fast the job goes with the nodes that compute.
    pub(super) fn pace(&self) -> Pace {
        Pace::of(self.computing, self.wanted)
    }

    /// The most nodes in whole replicas that compute or could; at least one replica's.
    fn reachable(&self, replica: u32) -> u32 {
        let here = self.computing + (self.hot.len() + self.cold.len()) as u32;
        (here / replica * replica).clamp(replica, self.wanted)
    }

    /// Nodes in whole replicas that the job could compute with beyond those that it does.
    pub(super) fn replicas_to_gain(&self) -> u32 {
        match self.short {
            Short::Wait {} | Short::Preempt { .. } => 0,
            Short::Shrink { replica, .. } => self.reachable(replica).saturating_sub(self.computing),
        }
    }

    /// Shrinks or grows to the whole replicas that there are nodes for; returns the nodes that compute no more.
    pub(super) fn settle_for_what_there_is(&mut self) -> Vec<u32> {
        let Short::Shrink { replica, .. } = self.short else { return Vec::new() };
        self.target = self.reachable(replica);
        let over = self.computing.saturating_sub(self.target) as usize;
        if over == 0 {
            return Vec::new();
        }
        let computing = self.granted.iter().filter(|&node| self.place(node) == Place::Computing);
        let mut computing: Vec<u32> = computing.collect();
        let dropped = computing.split_off(computing.len() - over);
        for &node in &dropped {
            self.computing -= 1;
            self.places[node as usize] = Place::StandingBy;
            self.hot.push_back(node);
        }
        dropped
    }

    /// Everything granted.
    pub(super) fn granted(&self) -> impl Iterator<Item = u32> + Clone {
        self.granted.iter()
    }

    /// Where `node` is.
    pub(super) fn place(&self, node: u32) -> Place {
        self.places.get(node as usize).copied().unwrap_or(Place::Elsewhere)
    }

    /// A computing node or a spare leaves at `at` for `cause`.
    pub(super) fn lose(&mut self, node: u32, cause: Cause, at: SimTime) {
        match self.place(node) {
            Place::Computing => self.computing -= 1,
            Place::StandingBy => {
                self.hot.retain(|&spare| spare != node);
                self.cold.retain(|&spare| spare != node);
            }
            Place::InRepair | Place::Elsewhere => unreachable!("a node that breaks was whole and here"),
        }
        self.places[node as usize] = Place::InRepair;
        match cause {
            Cause::Domain(Some(length)) => self.shop.admit_for(length, node, at),
            Cause::Own if self.is_given_up(node, at) => self.give_up_on(node, at),
            Cause::Own | Cause::Domain(None) => self.shop.admit(node, at),
        }
    }

    /// Counts a failure of `node` and says whether it was one too many.
    fn is_given_up(&mut self, node: u32, at: SimTime) -> bool {
        let Some(Retire { after, within, .. }) = self.retire else { return false };
        let failures = self.record.entry(node).or_default();
        failures.push_back(at);
        while within.is_some_and(|within| failures.front().is_some_and(|&first| at.since(first) > within)) {
            failures.pop_front();
        }
        failures.len() >= after as usize
    }

    fn give_up_on(&mut self, node: u32, at: SimTime) {
        self.record.remove(&node);
        match self.retire.and_then(|retire| retire.replacement) {
            Some(replacement) => {
                self.ordered.insert(node);
                self.shop.admit_for(replacement, node, at);
            }
            None => self.retired += 1,
        }
    }

    /// Lets the next thing happen in the repair shop; the node that comes back, if one does.
    pub(super) fn next_back(&mut self) -> Option<Back> {
        let back = self.shop.pop()?;
        let node = back.node;
        Some(match (self.ordered.remove(&node), back.fixed) {
            (true, _) => Back { node, how: How::Replaced },
            (false, true) => Back { node, how: How::Mended },
            (false, false) => Back { node, how: How::Unfixed },
        })
    }

    /// `node`, which is up at `up`, takes the place of a lost one.
    pub(super) fn take_place(&mut self, node: u32, up: SimTime) {
        assert!(self.is_short(), "a place is free");
        self.computing += 1;
        self.places[node as usize] = Place::Computing;
        self.attached = self.attached.max(up);
    }

    /// `node` stands by, hot where a slot is free, or where a replica waits for it.
    pub(super) fn stand_by(&mut self, node: u32) {
        self.places[node as usize] = Place::StandingBy;
        let awaited = matches!(self.short, Short::Shrink { .. });
        let hot_free = awaited || (self.hot.len() as u32) < self.hot_slots;
        if hot_free { &mut self.hot } else { &mut self.cold }.push_back(node);
    }

    /// A spare to take a lost node's place, hot before cold; a cold one is up after its start.
    pub(super) fn call_spare(&mut self, at: SimTime) -> Option<u32> {
        if let Some(node) = self.hot.pop_front() {
            self.take_place(node, at);
            return Some(node);
        }
        let node = self.cold.pop_front()?;
        self.take_place(node, at + self.attach_cold);
        Some(node)
    }

    /// Enters what spares and nodes in repair have spent until `at`. Called before any of them moves.
    pub(super) fn book(&mut self, book: &mut Book, at: SimTime) {
        let beside = if self.target < self.wanted { Use::Degraded } else { Use::Spare };
        let stand_by = [
            (beside, self.hot.len() as u32, State::Resident),
            (beside, self.cold.len() as u32, State::Idle),
            (Use::Repair, self.shop.len() + self.retired, State::Off),
        ];
        for (what, nodes, state) in stand_by {
            if nodes > 0 {
                book.spend(what, self.booked, at, self.per_node.draw(nodes, state));
            }
        }
        self.booked = at;
    }
}

/// Whose streams the failures and repairs of the job's nodes are.
pub(super) fn cluster_of(plan: &JobPlan) -> String {
    format!("cluster.{}", plan.cluster_name)
}
