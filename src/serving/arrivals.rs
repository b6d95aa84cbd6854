//! Where a cell's requests come from: generated traffic, sessions, a closed loop, a trace, or a given list.
//!
//! Generated arrivals are a renewal process in rescaled time: a gap with mean 1 is a stretch of time over which the cell's
//! share of [`RateCurve`] integrates to it, found by inversion. A cell that takes a share p of its service draws its own
//! process, with the gaps that random thinning leaves ([`renewal`](super::renewal)); so a cell more moves no other's
//! arrivals. Each variate has its own stream and is drawn in index order: policies compared share common random numbers.

use super::clients::Population;
use super::closed::Asking;
use super::curve::RateCurve;
use super::lengths::{Lengths, Part, whole};
use super::renewal::Gaps;
use super::servegen::Walk;
use super::sessions::{Origin, Talks};
use super::{ArrivalPlan, ServicePlan, Sessions};
use crate::engine::{Entity, QuantileTable, Seed, Stream};
use crate::trace::{Cursor, Request, RequestTrace};
use crate::units::{SimTime, Span};
use std::ops::Range;

/// Replicas that one cell holds at most (measured on a prototype: a larger one falls out of cache and spoils balance).
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
    Conversing(Box<Conversing>),
    Asking(Box<Asking>),
    Measured(Box<Walk>),
    Listed(Box<Listed>),
}

impl Source {
    /// The source of the `cell`-th of a service's cells, closed until [`open`](Source::open). The cells' shares begin equal.
    #[must_use]
    pub fn new(plan: &ServicePlan, cell: u32, seed: Seed) -> Source {
        let cells = cells(plan.scale.max);
        assert!(cell < cells, "cell {cell} of {cells}");
        let kind = match &plan.arrivals {
            ArrivalPlan::Trace(requests) => {
                let slice = slice(cell, cells);
                let salt = (cells > 1).then(|| seed.stream(service(plan), "front").bits());
                Kind::Listed(Box::new(Listed { salt, slice, ..Listed::new(requests) }))
            }
            ArrivalPlan::ClosedLoop(section) => {
                let mut asking = Asking::new(section, service(plan).part(cell), seed);
                asking.take(SimTime::ZERO, &slice(cell, cells));
                Kind::Asking(Box::new(asking))
            }
            ArrivalPlan::Servegen(measured) => {
                Kind::Measured(Box::new(Walk::new(measured, service(plan), slice(cell, cells), seed)))
            }
            ArrivalPlan::Sessions(section) => {
                let talks = Talks::new(section, service(plan).part(cell), seed);
                let starts = Generated::new(plan, Beat::starts(plan, section, cell, seed), cell, cells, seed);
                Kind::Conversing(Box::new(Conversing { starts, talks, start: None, origin: Origin::default() }))
            }
            generated => {
                let beat = Beat::new(plan, generated, cell, seed);
                Kind::Generated(Box::new(Generated::new(plan, beat, cell, cells, seed)))
            }
        };
        Source { kind }
    }

    /// Exactly `requests`, in order of time, counted from the opening.
    #[must_use]
    pub fn given(requests: Vec<Request>) -> Source {
        Source { kind: Kind::Listed(Box::new(Listed::new(&requests.into()))) }
    }

    /// Opens the doors: arrivals begin after `at`, and a trace's first event happens at `at`. Opening again lets a generated
    /// source that had no share go on from there; it never goes back.
    pub fn open(&mut self, at: SimTime) {
        match &mut self.kind {
            Kind::Generated(generated) => generated.open(at),
            Kind::Conversing(conversing) => conversing.starts.open(at),
            Kind::Asking(asking) => asking.open(at),
            Kind::Measured(walk) => walk.opened = Some(walk.opened.unwrap_or(at)),
            Kind::Listed(listed) => listed.opened = Some(listed.opened.unwrap_or(at)),
        }
    }

    /// This cell's part of the service's arrivals, for the requests drawn from now on. A trace and a closed loop listen to
    /// [`set_slice`](Source::set_slice) only: a share alone does not say which requests are meant.
    pub fn set_share(&mut self, share: f64) {
        match &mut self.kind {
            Kind::Generated(generated) => generated.set_slice(0.0..share),
            Kind::Conversing(conversing) => conversing.set_slice(0.0..share),
            Kind::Measured(walk) => walk.slice = 0.0..share,
            Kind::Asking(_) | Kind::Listed(_) => {}
        }
    }

    /// This cell's part of the service's arrivals, as the part of 0..1 into which a request's hash must fall; the slices of
    /// all cells tile 0..1, so that each request of a trace comes to exactly one. Generated arrivals take its width.
    pub fn set_slice(&mut self, slice: Range<f64>) {
        match &mut self.kind {
            Kind::Generated(generated) => generated.set_slice(slice),
            Kind::Conversing(conversing) => conversing.set_slice(slice),
            Kind::Asking(asking) => asking.take(SimTime::ZERO, &slice),
            Kind::Measured(walk) => walk.slice = slice,
            Kind::Listed(listed) => listed.slice = slice,
        }
    }

    /// True where requests follow from answers, which the cell then tells it.
    #[must_use]
    pub fn listens(&self) -> bool {
        matches!(self.kind, Kind::Asking(_))
    }

    /// A request of this source has its answer, at `at`, or was `rejected`; [`renew`](Source::renew) the pending one then.
    pub(super) fn answered(&mut self, at: SimTime, rejected: bool) {
        if let Kind::Asking(asking) = &mut self.kind {
            asking.answered(at, rejected);
        }
    }

    /// What comes next now, where `pending` was drawn before an answer came.
    #[must_use]
    pub(super) fn renew(&mut self, pending: Option<Request>) -> Option<Request> {
        match (&mut self.kind, pending) {
            (Kind::Asking(asking), Some(pending)) if asking.next_at() < pending.at => Some(asking.postpone(pending)),
            (Kind::Asking(asking), None) => asking.next(),
            _ => pending,
        }
    }

    /// Where the last request drawn comes from: its conversation, and what of its prompt was said before.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match &self.kind {
            Kind::Conversing(conversing) => conversing.origin,
            Kind::Listed(listed) => listed.origin(),
            Kind::Generated(_) | Kind::Asking(_) | Kind::Measured(_) => Origin::default(),
        }
    }

    /// Changes the slice at `edge`, all requests up to it being handled, where `pending` was drawn already; returns the request
    /// that comes next instead. A trace decides anew who takes what comes after `edge`, so that each request still comes to
    /// exactly one cell; a generated source keeps `pending`, and goes on from `edge` where it had no share.
    #[must_use]
    pub fn reslice(&mut self, edge: SimTime, slice: Range<f64>, pending: Option<Request>) -> Option<Request> {
        if let Kind::Asking(asking) = &mut self.kind {
            asking.take(edge, &slice);
            return self.renew(pending);
        }
        self.set_slice(slice);
        match &mut self.kind {
            Kind::Generated(_) if pending.is_some() => pending,
            Kind::Generated(generated) => {
                if generated.opened {
                    generated.open(edge);
                }
                generated.next()
            }
            Kind::Conversing(_) if pending.is_some() => pending,
            Kind::Conversing(conversing) => {
                if conversing.starts.opened {
                    conversing.starts.open(edge);
                }
                conversing.next()
            }
            Kind::Measured(walk) => pending.or_else(|| walk.next()),
            Kind::Asking(_) => unreachable!("handled above"),
            Kind::Listed(listed) => {
                listed.rewind_to(edge);
                listed.next()
            }
        }
    }

    /// The next request; `None` where no more come, before the opening, and while the share is zero.
    #[expect(clippy::should_implement_trait, reason = "after None it may go on, which an iterator must not")]
    #[inline]
    pub fn next(&mut self) -> Option<Request> {
        match &mut self.kind {
            Kind::Generated(generated) => generated.next(),
            Kind::Conversing(conversing) => conversing.next(),
            Kind::Asking(asking) => asking.next(),
            Kind::Measured(walk) => walk.next(),
            Kind::Listed(listed) => listed.next(),
        }
    }
}

/// The part of 0..1 that the `cell`-th of `cells` begins with.
fn slice(cell: u32, cells: u32) -> Range<f64> {
    f64::from(cell) / f64::from(cells)..f64::from(cell + 1) / f64::from(cells)
}

fn service(plan: &ServicePlan) -> Entity {
    Entity::named(&format!("service.{}", plan.name))
}

/// Lengths of a request.
#[derive(Debug, Clone)]
enum Sizes {
    Same { prompt: u32, output: u32 },
    Drawn(Box<Drawn>),
}

/// Prompt and output laws, and a stream for each.
#[derive(Debug, Clone)]
struct Drawn {
    prompts: QuantileTable,
    outputs: QuantileTable,
    prompt: Stream,
    output: Stream,
    ahead: Ahead<(u32, u32)>,
}

/// How requests follow each other in rescaled time, in which a cell's whole service sends one a unit on average.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one in a cell, and each request is drawn from it")]
enum Beat {
    /// A renewal process, thinned to the cell's share.
    Renewal {
        gaps: Gaps,
        stream: Stream,
        /// Exponential draws, which no rate and no share changes.
        ahead: Ahead<f64>,
        sizes: Sizes,
    },
    /// Many clients, of whose requests the cell takes its slice.
    Clients(Box<Population>),
}

impl Beat {
    fn new(plan: &ServicePlan, arrivals: &ArrivalPlan, cell: u32, seed: Seed) -> Beat {
        let entity = service(plan).part(cell);
        let drawn =
            |prompt: &Lengths, output: &Lengths| Sizes::Drawn(Box::new(Drawn::new(prompt, output, seed, entity)));
        let clients = |section| Beat::Clients(Box::new(Population::new(section, service(plan), seed)));
        let (burstiness, sizes) = match arrivals {
            ArrivalPlan::Poisson(poisson) => (1.0, Sizes::Same { prompt: poisson.prompt, output: poisson.output }),
            ArrivalPlan::Chat(chat) => (chat.burstiness.as_f64(), drawn(&chat.prompt, &chat.output)),
            ArrivalPlan::Bursts(bursts) => (bursts.burstiness.as_f64(), drawn(&bursts.prompt, &bursts.output)),
            ArrivalPlan::Ramp(ramp) => (ramp.burstiness.as_f64(), drawn(&ramp.prompt, &ramp.output)),
            ArrivalPlan::FlashCrowd(crowd) => (crowd.burstiness.as_f64(), drawn(&crowd.prompt, &crowd.output)),
            ArrivalPlan::Clients(section) => return clients(section),
            ArrivalPlan::Reasoning(reasoning) => return clients(&reasoning.clients()),
            ArrivalPlan::Sessions(_)
            | ArrivalPlan::ClosedLoop(_)
            | ArrivalPlan::Servegen(_)
            | ArrivalPlan::Trace(_) => {
                unreachable!("these have sources of their own")
            }
        };
        Beat::renewal(burstiness, sizes, entity, seed)
    }

    /// Session starts: their lengths are drawn with their turns.
    fn starts(plan: &ServicePlan, section: &Sessions, cell: u32, seed: Seed) -> Beat {
        let entity = service(plan).part(cell);
        Beat::renewal(section.burstiness.as_f64(), Sizes::Same { prompt: 1, output: 1 }, entity, seed)
    }

    fn renewal(cv: f64, sizes: Sizes, entity: Entity, seed: Seed) -> Beat {
        Beat::Renewal { gaps: Gaps::new(cv), stream: seed.stream(entity, "gap"), ahead: Ahead::default(), sizes }
    }
}

/// Requests at the beat of a renewal process or of clients, in time rescaled by a rate.
#[derive(Debug, Clone)]
struct Generated {
    curve: RateCurve,
    beat: Beat,
    slice: Range<f64>,
    opened: bool,
    /// Start of the piece that holds the last arrival, and nanoseconds since.
    base: SimTime,
    offset: f64,
    /// Length of that piece in nanoseconds, and what a unit of rescaled time takes in it.
    length: f64,
    nanos_per_unit: f64,
}

impl Generated {
    fn new(plan: &ServicePlan, beat: Beat, cell: u32, cells: u32, seed: Seed) -> Generated {
        let mut generated = Generated {
            curve: RateCurve::new(plan, seed),
            beat,
            slice: 0.0..1.0,
            opened: false,
            base: SimTime::ZERO,
            offset: 0.0,
            length: 0.0,
            nanos_per_unit: 0.0,
        };
        // The very share that a cell is given where all are alike.
        let share = 1.0 / f64::from(cells);
        let from = slice(cell, cells).start;
        generated.thin(share);
        generated.slice = from..from + share;
        generated.enter_piece(share);
        generated
    }

    fn open(&mut self, at: SimTime) {
        self.opened = true;
        if at.nanos() > self.base.nanos() + self.offset as u64 {
            self.curve.advance_to(at);
            (self.base, self.offset) = (at, 0.0);
        }
        self.enter_piece(self.share());
    }

    fn share(&self) -> f64 {
        self.slice.end - self.slice.start
    }

    fn set_slice(&mut self, slice: Range<f64>) {
        let share = slice.end - slice.start;
        if share != self.share() {
            self.thin(share);
        }
        self.slice = slice;
        self.enter_piece(share);
    }

    fn thin(&mut self, share: f64) {
        if let Beat::Renewal { gaps, .. } = &mut self.beat {
            gaps.thin(share);
        }
    }

    /// Recomputes what depends on the piece and the share.
    fn enter_piece(&mut self, share: f64) {
        self.length = self.curve.until().since(self.base).nanos() as f64;
        let part = if matches!(self.beat, Beat::Renewal { .. }) { share } else { 1.0 };
        self.nanos_per_unit = 1.0 / (part * self.curve.per_nano());
    }

    #[inline]
    fn next(&mut self) -> Option<Request> {
        if !self.opened || self.slice.is_empty() {
            return None;
        }
        let (mut units, sizes) = match &mut self.beat {
            Beat::Renewal { gaps, stream, ahead, .. } => (gaps.at(ahead.next(|| stream.exponential())), None),
            Beat::Clients(population) => {
                let (units, prompt, output) = population.next(&self.slice);
                (units, Some((prompt, output)))
            }
        };
        loop {
            // Where the rate is zero a unit takes for ever, and none of it passes.
            let offset = self.offset + units * self.nanos_per_unit;
            if offset < self.length {
                self.offset = offset;
                break;
            }
            units -= (self.length - self.offset) / self.nanos_per_unit;
            if self.curve.is_over() {
                return None;
            }
            self.base = self.curve.until();
            self.offset = 0.0;
            self.curve.advance();
            self.enter_piece(self.share());
        }
        let at = self.base + Span::from_nanos(self.offset as u64);
        let (prompt, output) = match (&mut self.beat, sizes) {
            (Beat::Renewal { sizes, .. }, _) => sizes.draw(),
            (_, sizes) => sizes.expect("clients draw lengths with their requests"),
        };
        Some(Request { at, prompt, output })
    }
}

/// The sessions of a cell: those that start, and the turns of those under way.
#[derive(Debug, Clone)]
struct Conversing {
    starts: Generated,
    talks: Talks,
    /// The next start, drawn already.
    start: Option<Request>,
    origin: Origin,
}

impl Conversing {
    fn next(&mut self) -> Option<Request> {
        loop {
            if self.start.is_none() {
                self.start = self.starts.next();
            }
            let until = self.start.map_or(SimTime::NEVER, |start| start.at);
            if let Some((request, origin)) = self.talks.next_before(until) {
                self.origin = origin;
                return Some(request);
            }
            self.talks.start(self.start.take()?.at);
        }
    }

    fn set_slice(&mut self, slice: Range<f64>) {
        if slice.is_empty() {
            self.start = None;
            self.talks.end();
        }
        self.starts.set_slice(slice);
    }
}

impl Sizes {
    #[inline]
    fn draw(&mut self) -> (u32, u32) {
        match self {
            Sizes::Same { prompt, output } => (*prompt, *output),
            Sizes::Drawn(drawn) => drawn.draw(),
        }
    }
}

impl Drawn {
    fn new(prompt: &Lengths, output: &Lengths, seed: Seed, entity: Entity) -> Drawn {
        Drawn {
            prompts: prompt.compile(Part::Prompt),
            outputs: output.compile(Part::Output),
            prompt: seed.stream(entity, "prompt"),
            output: seed.stream(entity, "output"),
            ahead: Ahead::default(),
        }
    }

    #[inline]
    fn draw(&mut self) -> (u32, u32) {
        self.ahead.next(|| (whole(self.prompt.draw(&self.prompts)), whole(self.output.draw(&self.outputs))))
    }
}

/// Draws made ahead of their use, 32 in a row: in a loop of their own the processor overlaps their logarithms and look-ups.
#[derive(Debug, Clone, Default)]
struct Ahead<T> {
    block: [T; 32],
    left: usize,
}

impl<T: Copy> Ahead<T> {
    #[inline]
    fn next(&mut self, draw: impl FnMut() -> T) -> T {
        if self.left == 0 {
            self.refill(draw);
        }
        self.left -= 1;
        self.block[self.block.len() - 1 - self.left]
    }

    #[inline(never)]
    fn refill(&mut self, mut draw: impl FnMut() -> T) {
        self.block.iter_mut().for_each(|place| *place = draw());
        self.left = self.block.len();
    }
}

/// A list of requests, of which a cell takes those whose hash falls into its slice.
#[derive(Debug, Clone)]
struct Listed {
    trace: RequestTrace,
    requests: Cursor,
    next: u64,
    /// The first request after the last edge.
    fresh: u64,
    opened: Option<SimTime>,
    /// Of the hash; none where one cell takes all.
    salt: Option<u64>,
    slice: Range<f64>,
}

impl Listed {
    /// All of `requests`, for one cell.
    fn new(requests: &RequestTrace) -> Listed {
        let (trace, requests) = (requests.clone(), requests.cursor());
        Listed { trace, requests, next: 0, fresh: 0, opened: None, salt: None, slice: 0.0..1.0 }
    }

    fn next(&mut self) -> Option<Request> {
        let opened = self.opened?;
        if self.slice.is_empty() {
            return None;
        }
        loop {
            let request = self.requests.get(self.next)?;
            let mine = self.is_mine(self.next);
            self.next += 1;
            if mine {
                return Some(Request { at: opened + request.at.since(SimTime::ZERO), ..request });
            }
        }
    }

    /// Makes the first request after `edge` the next.
    fn rewind_to(&mut self, edge: SimTime) {
        if let Some(opened) = self.opened.filter(|opened| *opened <= edge) {
            self.fresh = self.requests.first_after(self.fresh, self.trace.kept, SimTime::ZERO + edge.since(opened));
            self.next = self.fresh;
        }
    }

    fn is_mine(&self, index: u64) -> bool {
        self.salt.is_none_or(|salt| self.slice.contains(&hashed(salt, index)))
    }

    /// Of the request drawn last.
    fn origin(&self) -> Origin {
        let row = self.next.checked_sub(1);
        Origin { session: row.and_then(|row| self.trace.session(row)), reused: 0, row }
    }
}

/// A place in 0..1 for the `index`-th request: SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) to 53 bits.
#[inline]
pub(super) fn hashed(salt: u64, index: u64) -> f64 {
    let mut hash = salt ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::super::tests::{chat, plan};
    use super::*;
    use crate::serving::Chat;
    use crate::units::{PerSecond, Ratio};

    const SEED: Seed = Seed { seed: 7, replication: 0 };

    fn flat(rate: f64, burstiness: f64) -> ArrivalPlan {
        ArrivalPlan::Chat(Chat {
            noise: Ratio::new(0.0),
            weekly: false,
            burstiness: Ratio::new(burstiness),
            ..chat(PerSecond::new(rate))
        })
    }

    /// Arrival times in seconds of an open source, up to `seconds`.
    fn times(source: &mut Source, seconds: f64) -> Vec<f64> {
        source.open(SimTime::ZERO);
        std::iter::from_fn(|| source.next())
            .map(|request| request.at.as_secs_f64())
            .take_while(|at| *at < seconds)
            .collect()
    }

    fn mean_and_cv(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        (mean, variance.sqrt() / mean)
    }

    fn gaps(times: &[f64]) -> impl Iterator<Item = f64> + Clone {
        times.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// Population variance over mean of counts in full windows of `width` seconds.
    fn dispersion(times: &[f64], width: f64) -> f64 {
        let mut counts = vec![0.0; (times.last().unwrap() / width) as usize];
        for time in times {
            if let Some(count) = counts.get_mut((time / width) as usize) {
                *count += 1.0;
            }
        }
        let (mean, cv) = mean_and_cv(counts.iter().copied());
        cv * cv * mean
    }

    #[test]
    fn forty_hours_of_chat_have_the_published_moments() {
        // Moments of Azure's conversation trace of 2023 and of 40 hours at 5.53/s by a prototype: noise on, profile off.
        let (mut cvs, mut idcs) = (Vec::new(), [const { Vec::new() }; 4]);
        for replication in 0..40 {
            let arrivals = ArrivalPlan::Chat(Chat { weekly: false, ..chat(PerSecond::new(5.53)) });
            let mut source = Source::new(&plan(arrivals, 4), 0, Seed { seed: 3, replication });
            let times = times(&mut source, 3_600.0);
            cvs.push(mean_and_cv(gaps(&times)).1);
            for (idc, width) in idcs.iter_mut().zip([1.0, 10.0, 60.0, 300.0]) {
                idc.push(dispersion(&times, width));
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        assert!((mean(&cvs) - 1.08).abs() < 0.02, "CV {}", mean(&cvs));
        for (idc, expected) in idcs.iter().zip([1.31, 3.4, 14.4, 55.0]) {
            assert!((mean(idc) / expected - 1.0).abs() < 0.25, "IDC {} for {expected}", mean(idc));
        }
    }

    #[test]
    fn a_week_of_chat_follows_the_profile() {
        // Azure's week of 2024: 5 % replaying the profile, 20 % with noise.
        for (noise, tolerance) in [(0.0, 0.05), (0.25, 0.2)] {
            let arrivals = ArrivalPlan::Chat(Chat { noise: Ratio::new(noise), ..chat(PerSecond::new(2.0)) });
            let mut source = Source::new(&plan(arrivals, 4), 0, SEED);
            let times = times(&mut source, 604_800.0);
            let mut hours = [0.0; 168];
            times.iter().for_each(|time| hours[(time / 3_600.0) as usize] += 1.0);
            let (mean, cov) = mean_and_cv(hours.iter().copied());
            assert!((mean / 7_200.0 - 1.0).abs() < 0.02, "mean {mean}");
            assert!((cov / 0.291 - 1.0).abs() < tolerance, "CoV {cov} with noise {noise}");
        }
    }

    #[test]
    fn a_thinned_process_has_its_share_and_burstiness() {
        for (cv, share) in [(1.04, 1.0), (1.04, 0.3), (2.0, 0.25), (0.5, 0.5)] {
            let mut source = Source::new(&plan(flat(100.0, cv), 4), 0, SEED);
            source.set_share(share);
            let (mean, found) = mean_and_cv(gaps(&times(&mut source, 4_000.0)));
            let expected = f64::sqrt(1.0 + share * (cv * cv - 1.0));
            assert!((mean * 100.0 * share - 1.0).abs() < 0.02, "CV {cv}, share {share}: mean gap {mean}");
            assert!((found / expected - 1.0).abs() < 0.02, "CV {cv}, share {share}: {found} for {expected}");
        }
    }

    #[test]
    fn lengths_have_the_mean_of_the_trace() {
        // Computed from Azure's conversation trace of 2023.
        let mut source = Source::new(&plan(flat(100.0, 1.0), 4), 0, SEED);
        source.open(SimTime::ZERO);
        let drawn: Vec<Request> = std::iter::from_fn(|| source.next()).take(100_000).collect();
        let mean = |of: fn(&Request) -> u32| drawn.iter().map(|request| f64::from(of(request))).sum::<f64>() / 1e5;
        assert!((mean(|request| request.prompt) / 1155.0 - 1.0).abs() < 0.02);
        assert!((mean(|request| request.output) / 211.0 - 1.0).abs() < 0.02);
        assert!(drawn.iter().all(|request| request.output >= 7 && request.prompt >= 2));
    }

    #[test]
    fn a_change_of_share_holds_for_later_draws_and_no_share_means_none() {
        let mut source = Source::new(&plan(flat(10.0, 1.0), 4), 0, SEED);
        let whole = times(&mut source.clone(), 100.0);
        source.open(SimTime::ZERO);
        let first = source.next().unwrap();
        source.set_share(0.0);
        assert_eq!(source.next(), None);
        let second = source.reslice(SimTime::ZERO + Span::from_secs(50), 0.25..0.75, None).unwrap();
        assert_eq!(first.at.as_secs_f64(), whole[0]);
        let gap = second.at.as_secs_f64() - 50.0;
        assert!((gap - 2.0 * (whole[1] - whole[0])).abs() < 1e-6, "the next gap, twice as long, from the opening");
    }

    #[test]
    fn cells_and_services_do_not_move_each_other() {
        let names = |max| {
            let plan = plan(flat(10.0, 1.04), max);
            let mut source = Source::new(&plan, 0, SEED);
            source.set_share(0.5);
            times(&mut source, 100.0)
        };
        assert_eq!(names(128), names(640), "more cells, same draws of cell 0");
        let mut other = plan(flat(10.0, 1.04), 4);
        other.name = "other".to_owned();
        let times_of = |plan: &ServicePlan| times(&mut Source::new(plan, 0, SEED), 10.0);
        assert_ne!(times_of(&other), times_of(&plan(flat(10.0, 1.04), 4)), "another name, other draws");
    }

    #[test]
    fn cells_share_the_slow_noise_and_open_into_it_at_any_time() {
        let plan = plan(ArrivalPlan::Chat(chat(PerSecond::new(10.0))), 128);
        let mut whole = RateCurve::new(&plan, SEED);
        let hour = |hour: u64| SimTime::ZERO + Span::HOUR * hour;
        let expected: Vec<f64> = (0..30).map(|at| whole.expected(hour(at), hour(at + 1))).collect();
        let mut late = RateCurve::new(&plan, SEED);
        assert_eq!(late.expected(hour(20), hour(21)), expected[20]);
        let counts = |cell| {
            let mut source = Source::new(&plan, cell, SEED);
            source.open(hour(20));
            std::iter::from_fn(|| source.next()).take_while(|request| request.at < hour(21)).count() as f64
        };
        let (a, b) = (counts(0), counts(1));
        assert_ne!(a, b, "each cell draws its own gaps");
        for count in [a, b] {
            // Six standard deviations of a renewal count.
            assert!(
                (count - expected[20] / 2.0).abs() < 6.0 * 1.08 * (expected[20] / 2.0).sqrt(),
                "{count} of {}",
                expected[20]
            );
        }
    }

    #[test]
    fn slices_may_change_and_each_request_of_a_trace_still_comes_to_one_cell() {
        let requests: Vec<Request> =
            (0..1_000_u64).map(|at| Request { at: SimTime::from_nanos(at * 10), prompt: 1, output: 1 }).collect();
        let plan = plan(ArrivalPlan::Trace(requests.into()), 128);
        let mut cells = [0, 1].map(|cell| (Source::new(&plan, cell, SEED), None));
        cells.iter_mut().for_each(|(source, _)| source.open(SimTime::ZERO));
        let mut taken = Vec::new();
        // The edges between the two slices, from each 1,000 ns on; the first cell has nothing at all at first.
        for (window, border) in [0.0, 0.5, 1.0, 0.3, 0.9, 0.0, 1.0, 0.5, 0.5, 0.1].into_iter().enumerate() {
            let edge = SimTime::from_nanos(window as u64 * 1_000);
            for ((source, pending), slice) in cells.iter_mut().zip([0.0..border, border..1.0]) {
                if window == 0 {
                    source.set_slice(slice);
                    *pending = source.next();
                } else {
                    *pending = source.reslice(edge, slice, *pending);
                }
                while let Some(request) = pending.filter(|request| request.at <= edge + Span::from_nanos(1_000)) {
                    taken.push(request.at.nanos());
                    *pending = source.next();
                }
            }
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..1_000).map(|at| at * 10).collect::<Vec<_>>());
    }

    #[test]
    fn each_request_of_a_trace_comes_to_one_cell() {
        let requests: Vec<Request> =
            (0..10_000_u64).map(|at| Request { at: SimTime::from_nanos(at * 1_000), prompt: 1, output: 1 }).collect();
        let plan = plan(ArrivalPlan::Trace(requests.clone().into()), 192);
        let mut all = Vec::new();
        for (cell, slice) in [0.0..0.2, 0.2..0.2, 0.2..1.0].into_iter().enumerate() {
            let mut source = Source::new(&plan, cell as u32, SEED);
            source.set_slice(slice.clone());
            source.open(SimTime::from_nanos(500));
            let mine: Vec<Request> = std::iter::from_fn(|| source.next()).collect();
            let share = mine.len() as f64 / 1e4;
            assert!((share - (slice.end - slice.start)).abs() < 0.02, "cell {cell}: {share}");
            all.extend(mine);
        }
        all.sort_by_key(|request| request.at);
        let expected: Vec<SimTime> = requests.iter().map(|request| request.at + Span::from_nanos(500)).collect();
        assert_eq!(all.iter().map(|request| request.at).collect::<Vec<_>>(), expected);
    }
}
