//! Which of a job's nodes compute, stand by, or are in repair; and what the ones beside the computing nodes spend.

use super::JobPlan;
use crate::engine::{Entity, Seed};
use crate::fault::RepairShop;
use crate::ledger::{Book, Draw, Use};
use crate::power::{NodePower, State};
use crate::units::{SimTime, Span};
use crate::world::NodeSet;
use std::collections::VecDeque;

/// The nodes of a running job.
#[derive(Debug, Clone)]
pub(super) struct Roster {
    /// Everything granted, to be handed back.
    granted: NodeSet,
    computing: u32,
    wanted: u32,
    /// By node.
    places: Vec<Place>,
    hot_slots: u32,
    hot: VecDeque<u32>,
    cold: VecDeque<u32>,
    shop: RepairShop,
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
        let shop = RepairShop::new(plan.recovery.repair, seed, Entity::named(&cluster_of(plan)));
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
            wanted: plan.nodes,
            places,
            hot_slots: plan.spares.hot,
            hot,
            cold,
            shop,
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

    /// Everything granted, a node in repair as it is; nothing is left.
    pub(super) fn give_up(&mut self) -> NodeSet {
        while self.shop.pop().is_some() {}
        std::mem::take(&mut self.granted)
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
        self.computing < self.wanted
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
        self.shop.is_instant()
    }

    /// Everything granted.
    pub(super) fn granted(&self) -> impl Iterator<Item = u32> + Clone {
        self.granted.iter()
    }

    /// Where `node` is.
    pub(super) fn place(&self, node: u32) -> Place {
        self.places.get(node as usize).copied().unwrap_or(Place::Elsewhere)
    }

    /// A computing node or a spare breaks at `at` and goes to repair, for `repair` where its domain is mended as a whole.
    pub(super) fn lose(&mut self, node: u32, repair: Option<Span>, at: SimTime) {
        match self.place(node) {
            Place::Computing => self.computing -= 1,
            Place::StandingBy => {
                self.hot.retain(|&spare| spare != node);
                self.cold.retain(|&spare| spare != node);
            }
            Place::InRepair | Place::Elsewhere => unreachable!("a node that breaks was whole and here"),
        }
        self.places[node as usize] = Place::InRepair;
        match repair {
            Some(length) => self.shop.admit_for(length, node, at),
            None => self.shop.admit(node, at),
        }
    }

    /// The next repaired node.
    pub(super) fn repaired(&mut self) -> u32 {
        let (_, node) = self.shop.pop().expect("a repair was due");
        node
    }

    /// `node`, which is up at `up`, takes the place of a lost one.
    pub(super) fn take_place(&mut self, node: u32, up: SimTime) {
        assert!(self.is_short(), "a place is free");
        self.computing += 1;
        self.places[node as usize] = Place::Computing;
        self.attached = self.attached.max(up);
    }

    /// `node` stands by, hot where a slot is free.
    pub(super) fn stand_by(&mut self, node: u32) {
        self.places[node as usize] = Place::StandingBy;
        let hot_free = (self.hot.len() as u32) < self.hot_slots;
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
        let stand_by = [
            (Use::Spare, self.hot.len() as u32, State::Resident),
            (Use::Spare, self.cold.len() as u32, State::Idle),
            (Use::Repair, self.shop.len(), State::Off),
        ];
        for (what, nodes, state) in stand_by {
            if nodes > 0 {
                book.spend(what, self.booked, at, self.per_node.draw(nodes, state));
            }
        }
        self.booked = at;
    }

    /// Everything granted; a node in repair goes back as it is.
    pub(super) fn into_granted(self) -> NodeSet {
        self.granted
    }
}

/// Whose streams the failures and repairs of the job's nodes are.
pub(super) fn cluster_of(plan: &JobPlan) -> String {
    format!("cluster.{}", plan.cluster_name)
}
