//! `arrivals = { servegen = { path = "…" } }`: the clients that ServeGen measured, each walked through its own windows.
//!
//! A client's gaps are a Gamma or Weibull renewal process with the window's coefficient of variation, in time rescaled by the
//! window's rate; its lengths are drawn from its distribution of the time, of the nearest time that has one. So bursts and drifts
//! are the clients' own. After the last window nobody asks. Every cell walks all clients and takes its slice of their requests by
//! hash; a change of the slices holds from each cell's next request on.

use super::arrivals::hashed;
use super::clients::Law;
use super::lengths::{Lengths, PERCENT, Quantiles};
use crate::engine::{Entity, Seed, Stream};
use crate::trace::{MeasuredClient, RateWindow, Request, ServeGen};
use crate::units::{PerSecond, SimTime, Span};
use schemars::JsonSchema;
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::sync::Arc;

/// `arrivals = { servegen = { path = "servegen.tar.gz", rate = "20 /s" } }`
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Servegen {
    /// A folder of `chunk-N-trace.csv` and `chunk-N-dataset.json`, or a tar archive of one.
    pub path: String,
    /// Mean requests a second over all windows; unset, as measured.
    pub rate: Option<PerSecond>,
    /// Begin that far into the measurement, at the start of the window that holds it.
    #[serde(default)]
    pub from: Span,
}

/// Measured clients, and how fast they are walked.
#[derive(Debug, Clone)]
pub struct MeasuredClients {
    clients: Arc<ServeGen>,
    /// On each client's rate.
    factor: f64,
    /// First window that counts.
    first: usize,
    lengths: Arc<[Lengths; 2]>,
}

impl MeasuredClients {
    /// The clients as `section` asks; `None` where it begins after their end.
    pub(crate) fn new(clients: ServeGen, section: &Servegen) -> Option<MeasuredClients> {
        let first = (section.from.nanos() / ServeGen::WINDOW.nanos()) as usize;
        let mut all = MeasuredClients {
            clients: Arc::new(clients),
            factor: 1.0,
            first,
            lengths: Arc::new([Lengths::Tokens(1), Lengths::Tokens(1)]),
        };
        let measured = all.rate();
        if measured <= 0.0 {
            return None;
        }
        all.lengths = Arc::new(laws(&all.clients, first));
        all.factor = section.rate.map_or(1.0, |rate| rate.as_f64() / measured);
        Some(all)
    }

    /// Mean requests a second of all clients together.
    pub(crate) fn rate(&self) -> f64 {
        let windows = self.clients.clients.iter().map(|client| client.windows.len()).max().unwrap_or(0);
        let rates =
            |client: &MeasuredClient| client.windows.iter().skip(self.first).map(|window| window.rate).sum::<f64>();
        let sum: f64 = self.clients.clients.iter().map(rates).sum();
        sum * self.factor / windows.saturating_sub(self.first).max(1) as f64
    }

    /// Laws of prompts and outputs over all clients and windows, each client with the weight of its requests.
    pub(crate) fn lengths(&self) -> &[Lengths; 2] {
        &self.lengths
    }
}

/// The same, of `clients` from their window `first` on.
fn laws(clients: &ServeGen, first: usize) -> [Lengths; 2] {
    let mut shares = [BTreeMap::new(), BTreeMap::new()];
    for client in &clients.clients {
        let mut weights = vec![0.0; client.lengths.len()];
        client.windows.iter().skip(first).for_each(|window| weights[lengths_at(client, window.start)] += window.rate);
        for (window, weight) in client.lengths.iter().zip(weights).filter(|(_, weight)| *weight > 0.0) {
            for (shares, law) in shares.iter_mut().zip([&window.prompt, &window.output]) {
                law.each().for_each(|(tokens, share)| *shares.entry(tokens).or_insert(0.0) += share * weight);
            }
        }
    }
    shares.map(|shares| {
        let total: f64 = shares.values().sum();
        let at = |percent: &f64| {
            let (mut below, mut last) = (0.0, 1);
            for (&tokens, share) in &shares {
                (below, last) = (below + share, tokens);
                if below >= percent / 100.0 * total * (1.0 - 1e-12) {
                    break;
                }
            }
            f64::from(last)
        };
        Lengths::Quantiles(Quantiles { percent: PERCENT.to_vec(), tokens: PERCENT.iter().map(at).collect() })
    })
}

/// Index of the client's lengths at `at` into the measurement: of the window that holds it or the nearest before, else of the
/// first.
fn lengths_at(client: &MeasuredClient, at: Span) -> usize {
    client.lengths.partition_point(|window| window.start <= at).saturating_sub(1)
}

/// Where a client stands.
#[derive(Debug, Clone)]
struct Walker {
    window: usize,
    /// Nanoseconds into its window.
    offset: f64,
    /// Its gaps in the window of that index.
    law: Option<(usize, Law)>,
    gaps: Stream,
    lengths: Stream,
}

impl Walker {
    /// Gaps in the present window; a coefficient of variation is kept between 0.5 and 20.
    fn law_of(&mut self, window: &RateWindow) -> &Law {
        if self.law.as_ref().is_none_or(|(of, _)| *of != self.window) {
            let cv = window.cv.clamp(0.5, 19.9);
            let law = if window.weibull { Law::weibull(cv) } else { Law::gamma(cv) };
            self.law = Some((self.window, law));
        }
        &self.law.as_ref().expect("it was made above").1
    }
}

/// All clients, walked through their windows.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    measured: MeasuredClients,
    walkers: Vec<Walker>,
    /// When each client asks next, from the first window that counts.
    next: BinaryHeap<Reverse<(SimTime, u32)>>,
    drawn: u64,
    salt: u64,
    pub(super) slice: Range<f64>,
    pub(super) opened: Option<SimTime>,
}

impl Walk {
    pub(super) fn new(measured: &MeasuredClients, service: Entity, slice: Range<f64>, seed: Seed) -> Walk {
        let walker = |index| {
            let entity = service.part(index);
            let (gaps, lengths) = (seed.stream(entity, "client-gap"), seed.stream(entity, "client-length"));
            Walker { window: measured.first, offset: 0.0, law: None, gaps, lengths }
        };
        let count = measured.clients.clients.len() as u32;
        let mut walk = Walk {
            measured: measured.clone(),
            walkers: (0..count).map(walker).collect(),
            next: BinaryHeap::new(),
            drawn: 0,
            salt: seed.stream(service, "front").bits(),
            slice,
            opened: None,
        };
        (0..count).for_each(|index| walk.step(index, Law::first));
        walk
    }

    /// Moves a client on by a gap that `draw` draws, and notes when it asks; a client at its end is left out.
    fn step(&mut self, index: u32, draw: fn(&Law, &mut Stream) -> f64) {
        let (walker, client) = (&mut self.walkers[index as usize], &self.measured.clients.clients[index as usize]);
        let mut units = None;
        while let Some(window) = client.windows.get(walker.window) {
            let length = ServeGen::WINDOW.nanos() as f64;
            if window.rate > 0.0 {
                if units.is_none() {
                    let law = walker.law_of(window).clone();
                    units = Some(draw(&law, &mut walker.gaps));
                }
                let left = units.unwrap_or_default();
                let nanos_per_unit = 1e9 / (window.rate * self.measured.factor);
                let offset = walker.offset + left * nanos_per_unit;
                if offset < length {
                    walker.offset = offset;
                    let window = (walker.window - self.measured.first) as u64;
                    let at = SimTime::ZERO + ServeGen::WINDOW * window + Span::from_nanos(offset as u64);
                    return self.next.push(Reverse((at, index)));
                }
                units = Some((left - (length - walker.offset) / nanos_per_unit).max(0.0));
            }
            (walker.window, walker.offset) = (walker.window + 1, 0.0);
        }
    }

    /// The next request of the slice.
    pub(super) fn next(&mut self) -> Option<Request> {
        let opened = self.opened?;
        if self.slice.is_empty() {
            return None;
        }
        loop {
            let Reverse((at, index)) = self.next.pop()?;
            let client = &self.measured.clients.clients[index as usize];
            let into = at.since(SimTime::ZERO) + ServeGen::WINDOW * self.measured.first as u64;
            let law = &client.lengths[lengths_at(client, into)];
            let lengths = &mut self.walkers[index as usize].lengths;
            let (prompt, output) = (law.prompt.at(lengths.uniform()), law.output.at(lengths.uniform()));
            self.step(index, |law, gaps| law.gap(gaps.exponential()));
            self.drawn += 1;
            if self.slice.contains(&hashed(self.salt, self.drawn)) {
                return Some(Request { at: opened + at.since(SimTime::ZERO), prompt, output });
            }
        }
    }
}
