//! A closed loop: so many clients, each of which asks, waits for the whole answer, thinks, and asks again. The rate follows
//! from how fast the service answers: how benchmarks at fixed concurrency load a server.
//!
//! Each cell has its part of the clients. Where its part shrinks, clients leave with their answers; where it grows, new ones ask
//! at once. A client that is turned away asks again after a second.

use super::lengths::{Lengths, Measured, Part, whole};
use crate::engine::{Entity, QuantileTable, Seed, Stream};
use crate::trace::Request;
use crate::units::{SimTime, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// `arrivals = { closed_loop = { clients = 64 } }`
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedLoop {
    /// Clients, each of which has at most one request under way.
    pub clients: u32,
    /// Requests after which no more are sent, over all clients; unset, none.
    pub requests: Option<u64>,
    /// From an answer to the client's next request.
    #[serde(default)]
    pub think: Span,
    /// Prompt lengths.
    #[serde(default = "conversation")]
    pub prompt: Lengths,
    /// Output lengths.
    #[serde(default = "conversation")]
    pub output: Lengths,
}

fn conversation() -> Lengths {
    Lengths::Like(Measured::Conversation)
}

/// After which a client that was turned away asks again.
// Assumed: the first retry of common clients comes after half a second to a second.
const RETRY: Span = Span::SECOND;

/// The clients of a cell.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    section: ClosedLoop,
    prompts: QuantileTable,
    outputs: QuantileTable,
    lengths: Stream,
    /// Clients that it should have, and has.
    wanted: u32,
    have: u32,
    /// Requests that it may still send.
    left: u64,
    /// When clients who think or come anew ask next.
    due: BinaryHeap<Reverse<SimTime>>,
    opened: bool,
}

impl Asking {
    pub(super) fn new(section: &ClosedLoop, cell: Entity, seed: Seed) -> Asking {
        Asking {
            prompts: section.prompt.compile(Part::Prompt),
            outputs: section.output.compile(Part::Output),
            lengths: seed.stream(cell, "closed-length"),
            wanted: 0,
            have: 0,
            left: 0,
            due: BinaryHeap::new(),
            opened: false,
            section: section.clone(),
        }
    }

    /// Its part of the clients from `at` on; slices that tile 0..1 give each client to one cell.
    pub(super) fn take(&mut self, at: SimTime, slice: &Range<f64>) {
        let edge = |share: f64, of: f64| (share * of + 0.5) as u64;
        let part = |of: f64| edge(slice.end, of) - edge(slice.start, of);
        self.wanted = part(f64::from(self.section.clients)) as u32;
        if self.opened {
            self.fill(at);
        } else {
            self.left = self.section.requests.map_or(u64::MAX, |requests| part(requests as f64));
        }
    }

    /// All clients ask at once at `at`.
    pub(super) fn open(&mut self, at: SimTime) {
        if !std::mem::replace(&mut self.opened, true) {
            self.fill(at);
        }
    }

    fn fill(&mut self, at: SimTime) {
        while self.have < self.wanted {
            self.due.push(Reverse(at));
            self.have += 1;
        }
    }

    /// A client has its answer, at `at`, or was turned away.
    pub(super) fn answered(&mut self, at: SimTime, rejected: bool) {
        if self.have > self.wanted {
            self.have -= 1;
            return;
        }
        let pause = if rejected { self.section.think.max(RETRY) } else { self.section.think };
        self.due.push(Reverse(at + pause));
    }

    /// When the next request comes; [`SimTime::NEVER`] where all wait for answers.
    pub(super) fn next_at(&self) -> SimTime {
        let due = self.due.peek().map_or(SimTime::NEVER, |due| due.0);
        if self.left > 0 { due } else { SimTime::NEVER }
    }

    /// The next request.
    pub(super) fn next(&mut self) -> Option<Request> {
        if self.left == 0 {
            return None;
        }
        let Reverse(at) = self.due.pop()?;
        self.left -= 1;
        let prompt = whole(self.prompts.draw(self.lengths.uniform()));
        let output = whole(self.outputs.draw(self.lengths.uniform()));
        Some(Request { at, prompt, output })
    }

    /// Takes back a request that was drawn and has not come: another comes before it.
    pub(super) fn postpone(&mut self, request: Request) -> Request {
        let at = self.due.pop().map_or(request.at, |due| due.0);
        self.due.push(Reverse(request.at));
        Request { at, ..request }
    }
}
