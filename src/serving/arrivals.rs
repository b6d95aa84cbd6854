//! Where a cell's requests come from: generated traffic, a trace, or a given list.
//!
//! Generated arrivals are a renewal process in rescaled time: a gap with mean 1 is a stretch of time over which the cell's
//! share of [`RateCurve`] integrates to it, found by inversion. A cell that takes a share p of its service draws its own
//! process, with the gaps that random thinning leaves ([`renewal`](super::renewal)); so a cell more moves no other's
//! arrivals. Each variate has its own stream and is drawn in index order: policies compared share common random numbers.

use super::chat::RateCurve;
use super::renewal::Gaps;
use super::{ArrivalPlan, ServicePlan, lengths};
use crate::engine::{Entity, QuantileTable, Seed, Stream};
use crate::trace::Request;
use crate::units::{SimTime, Span};
use std::ops::Range;
use std::sync::Arc;

/// Replicas that one cell holds at most (models/engine.md, section 5: a larger one falls out of cache and spoils balance).
pub const CELL_REPLICAS: u32 = 64;

/// How many cells a service with that many replicas at most has.
#[must_use]
pub fn cells(max_replicas: u32) -> u32 {
    max_replicas.div_ceil(CELL_REPLICAS).max(1)
}

/// The requests of one cell, in order of time.
#[derive(Debug, Clone)]
pub struct Source {
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Generated(Box<Generated>),
    Listed(Listed),
}

impl Source {
    /// The source of the `cell`-th of a service's cells, closed until [`open`](Source::open). The cells' shares begin equal.
    #[must_use]
    pub fn new(plan: &ServicePlan, cell: u32, seed: Seed) -> Source {
        let cells = cells(plan.scale.max);
        assert!(cell < cells, "cell {cell} of {cells}");
        let kind = match &plan.arrivals {
            ArrivalPlan::Trace(requests) => {
                let slice = f64::from(cell) / f64::from(cells)..f64::from(cell + 1) / f64::from(cells);
                let salt = (cells > 1).then(|| seed.stream(service(plan), "front").bits());
                Kind::Listed(Listed { requests: requests.clone(), next: 0, opened: None, salt, slice })
            }
            generated => Kind::Generated(Box::new(Generated::new(plan, generated, cell, cells, seed))),
        };
        Source { kind }
    }

    /// Exactly `requests`, in order of time, counted from the opening.
    #[must_use]
    pub fn given(requests: impl Into<Arc<[Request]>>) -> Source {
        let requests = requests.into();
        Source { kind: Kind::Listed(Listed { requests, next: 0, opened: None, salt: None, slice: 0.0..1.0 }) }
    }

    /// Opens the doors: arrivals begin after `at`, and a trace's first event happens at `at`. Opening again lets a generated
    /// source that had no share go on from there; it never goes back.
    pub fn open(&mut self, at: SimTime) {
        match &mut self.kind {
            Kind::Generated(generated) => generated.open(at),
            Kind::Listed(listed) => listed.opened = Some(listed.opened.unwrap_or(at)),
        }
    }

    /// This cell's part of the service's arrivals, for the requests drawn from now on. A trace listens to
    /// [`set_slice`](Source::set_slice) only: a share alone does not say which requests are meant.
    pub fn set_share(&mut self, share: f64) {
        if let Kind::Generated(generated) = &mut self.kind {
            generated.set_share(share);
        }
    }

    /// This cell's part of the service's arrivals, as the part of 0..1 into which a request's hash must fall; the slices of
    /// all cells tile 0..1, so that each request of a trace comes to exactly one. Generated arrivals take its width.
    pub fn set_slice(&mut self, slice: Range<f64>) {
        match &mut self.kind {
            Kind::Generated(generated) => generated.set_share(slice.end - slice.start),
            Kind::Listed(listed) => listed.slice = slice,
        }
    }

    /// The next request; `None` where no more come, before the opening, and while the share is zero.
    #[expect(clippy::should_implement_trait, reason = "after None it may go on, which an iterator must not")]
    #[inline]
    pub fn next(&mut self) -> Option<Request> {
        match &mut self.kind {
            Kind::Generated(generated) => generated.next(),
            Kind::Listed(listed) => listed.next(),
        }
    }
}

fn service(plan: &ServicePlan) -> Entity {
    Entity::named(&format!("service.{}", plan.name))
}

/// Lengths of a request.
#[derive(Debug, Clone)]
enum Sizes {
    Same { prompt: u32, output: u32 },
    Drawn { prompts: QuantileTable, outputs: QuantileTable, prompt: Stream, output: Stream },
}

/// A renewal process in rescaled time.
#[derive(Debug, Clone)]
struct Generated {
    curve: RateCurve,
    gaps: Gaps,
    stream: Stream,
    sizes: Sizes,
    share: f64,
    opened: bool,
    /// Start of the step that holds the last arrival, and nanoseconds since.
    base: SimTime,
    offset: f64,
    /// Length of that step in nanoseconds, and what a unit of rescaled time takes in it.
    length: f64,
    nanos_per_unit: f64,
}

impl Generated {
    fn new(plan: &ServicePlan, arrivals: &ArrivalPlan, cell: u32, cells: u32, seed: Seed) -> Generated {
        let entity = service(plan).part(cell);
        let (cv, sizes) = match arrivals {
            ArrivalPlan::Poisson(poisson) => (1.0, Sizes::Same { prompt: poisson.prompt, output: poisson.output }),
            ArrivalPlan::Chat(chat) => (
                chat.burstiness.as_f64(),
                Sizes::Drawn {
                    prompts: lengths::conversation_prompts(),
                    outputs: lengths::conversation_outputs(),
                    prompt: seed.stream(entity, "prompt"),
                    output: seed.stream(entity, "output"),
                },
            ),
            ArrivalPlan::Trace(_) => unreachable!("a trace is a list"),
        };
        let mut generated = Generated {
            curve: RateCurve::new(plan, seed),
            gaps: Gaps::new(cv),
            stream: seed.stream(entity, "gap"),
            sizes,
            share: 1.0,
            opened: false,
            base: SimTime::ZERO,
            offset: 0.0,
            length: 0.0,
            nanos_per_unit: 0.0,
        };
        generated.set_share(1.0 / f64::from(cells));
        generated
    }

    fn open(&mut self, at: SimTime) {
        self.opened = true;
        if at.nanos() > self.base.nanos() + self.offset as u64 {
            self.curve.advance_to(at);
            (self.base, self.offset) = (at, 0.0);
            self.enter_step();
        }
        self.enter_step();
    }

    fn set_share(&mut self, share: f64) {
        if share != self.share {
            self.share = share;
            self.gaps.thin(share);
        }
        self.enter_step();
    }

    /// Recomputes what depends on the step and the share.
    fn enter_step(&mut self) {
        self.length = self.curve.until().since(self.base).nanos() as f64;
        self.nanos_per_unit = 1.0 / (self.share * self.curve.per_nano());
    }

    #[inline]
    fn next(&mut self) -> Option<Request> {
        if !self.opened || self.nanos_per_unit == f64::INFINITY {
            return None;
        }
        let mut units = self.gaps.at(self.stream.uniform());
        loop {
            let offset = self.offset + units * self.nanos_per_unit;
            if offset < self.length {
                self.offset = offset;
                break;
            }
            units -= (self.length - self.offset) / self.nanos_per_unit;
            self.base = self.curve.until();
            self.offset = 0.0;
            self.curve.advance();
            self.enter_step();
        }
        let at = self.base + Span::from_nanos(self.offset as u64);
        let (prompt, output) = self.sizes.draw();
        Some(Request { at, prompt, output })
    }
}

impl Sizes {
    #[inline]
    fn draw(&mut self) -> (u32, u32) {
        match self {
            Sizes::Same { prompt, output } => (*prompt, *output),
            Sizes::Drawn { prompts, outputs, prompt, output } => {
                // A token more than half counts as one; both tables start above 1.
                let tokens = |table: &QuantileTable, stream: &mut Stream| (table.draw(stream.uniform()) + 0.5) as u32;
                (tokens(prompts, prompt), tokens(outputs, output))
            }
        }
    }
}

/// A list of requests, of which a cell takes those whose hash falls into its slice.
#[derive(Debug, Clone)]
struct Listed {
    requests: Arc<[Request]>,
    next: usize,
    opened: Option<SimTime>,
    /// Of the hash; none where one cell takes all.
    salt: Option<u64>,
    slice: Range<f64>,
}

impl Listed {
    fn next(&mut self) -> Option<Request> {
        let opened = self.opened?;
        loop {
            let request = *self.requests.get(self.next)?;
            let mine = self.is_mine(self.next);
            self.next += 1;
            if mine {
                return Some(Request { at: opened + request.at.since(SimTime::ZERO), ..request });
            }
        }
    }

    fn is_mine(&self, index: usize) -> bool {
        self.salt.is_none_or(|salt| {
            // SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) of the index, to 53 bits.
            let mut hash = salt ^ (index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            hash ^= hash >> 31;
            self.slice.contains(&((hash >> 11) as f64 / 9_007_199_254_740_992.0))
        })
    }
}
