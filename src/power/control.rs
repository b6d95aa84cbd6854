//! Power control: looks at a meter at control instants and decides how hard to hold the accelerators behind it.
//!
//! A controller stands on a *ladder* of notches. Each notch says which lever holds low-priority tenants and which high-priority
//! ones; the last is the brake. Levers are out of band and act only after a latency.
//!
//! - `polca` (arXiv:2308.12908): above 80 % of the limit low-priority clocks are locked at 1,275 of 1,410 MHz; above 89 % at
//!   1,110, and then high-priority ones at 1,305; above 100 % everybody brakes. Each is taken back 5 points lower.
//! - `track`: the mildest notch that is predicted to hold the meter at a target, low priority first, given back one by one; for
//!   demand response, where the limit falls by much at a known time.

use crate::units::{Ratio, Share, SimTime, Span, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whom power control holds first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// First.
    Low,
    /// Last.
    High,
}

/// `capping = { polca = {} }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CappingSection {
    /// Two thresholds and a brake.
    Polca(Polca),
    /// The mildest caps that hold a target.
    Track(Track),
}

/// Two thresholds and a brake: POLCA, arXiv:2308.12908.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Polca {
    /// Time between looks at the meter; unset, 2 s, and 1 min in runs of more than a week.
    pub tick: Option<Span>,
    /// Part of the limit above which low-priority clocks are locked.
    pub first: Share,
    /// Part of the limit above which they are locked harder, and then high-priority ones are locked.
    pub second: Share,
    /// Part of `power_limit` above which everybody brakes.
    pub brake: Ratio,
    /// How much lower, in parts of the limit, a lever is taken back.
    pub release: Share,
    /// Low-priority clock above `first`, over the maximum.
    pub low_first: Share,
    /// Low-priority clock above `second`.
    pub low_second: Share,
    /// High-priority clock above `second`.
    pub high: Share,
    /// Clock of the brake.
    pub brake_clock: Share,
    /// From a decision to locked clocks, out of band.
    pub lever: Span,
    /// From a decision to the brake.
    pub brake_lever: Span,
}

impl Default for Polca {
    fn default() -> Polca {
        // POLCA section 5: thresholds, clocks on an A100 of 1,410 MHz, out-of-band latency of 40 s, brake within 5 s to 288 MHz.
        Polca {
            tick: None,
            first: Share::new(0.80),
            second: Share::new(0.89),
            brake: Ratio::new(1.0),
            release: Share::new(0.05),
            low_first: Share::new(1_275.0 / 1_410.0),
            low_second: Share::new(1_110.0 / 1_410.0),
            high: Share::new(1_305.0 / 1_410.0),
            brake_clock: Share::new(288.0 / 1_410.0),
            lever: Span::from_secs(40),
            brake_lever: Span::from_secs(5),
        }
    }
}

/// The mildest caps that hold a target.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Track {
    /// Time between looks at the meter; unset, 2 s, and 1 min in runs of more than a week.
    pub tick: Option<Span>,
    /// Part of the limit to stay below.
    pub target: Share,
    /// Part of `power_limit` above which everybody brakes.
    pub brake: Ratio,
    /// How much lower, in parts of the limit, a milder notch must be predicted.
    pub release: Share,
    /// Clocks to choose from, over the maximum, the mildest first.
    pub caps: Vec<Share>,
    /// Clock of the brake.
    pub brake_clock: Share,
    /// From a decision to locked clocks.
    pub lever: Span,
    /// From a decision to the brake.
    pub brake_lever: Span,
}

impl Default for Track {
    fn default() -> Track {
        let polca = Polca::default();
        Track {
            tick: None,
            // Assumed.
            target: Share::new(0.97),
            brake: polca.brake,
            // Assumed.
            release: Share::new(0.03),
            // The points of the measured tables.
            caps: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4].map(Share::new).to_vec(),
            brake_clock: polca.brake_clock,
            lever: polca.lever,
            brake_lever: polca.brake_lever,
        }
    }
}

/// What holds accelerators down at a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lever {
    /// Clocks locked where a fully loaded GPU draws this share of its design power.
    Lock(f64),
    /// Clocks dropped to this share.
    Brake(f64),
}

/// A policy made ready: its levers, and which of them holds whom at each notch.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    /// Level `i` is lever `i - 1`; level 0 is none. The mildest first, the brake last.
    levers: Vec<Lever>,
    /// Levels of low and high priority at each notch.
    notches: Vec<[u8; 2]>,
    law: CappingSection,
}

impl Ladder {
    /// The ladder of `section`.
    #[must_use]
    pub fn new(section: &CappingSection) -> Ladder {
        let (levers, notches) = match section {
            CappingSection::Polca(polca) => {
                let [first, second, high] = [polca.low_first, polca.low_second, polca.high].map(|share| share.as_f64());
                let mut shares = vec![first, second, high];
                shares.sort_by(|a, b| b.total_cmp(a));
                let level = |share: f64| shares.iter().position(|&known| known == share).map_or(0, |at| at as u8 + 1);
                let notches = vec![[0, 0], [level(first), 0], [level(second), 0], [level(second), level(high)], [4, 4]];
                (levers(&shares, polca.brake_clock), notches)
            }
            CappingSection::Track(track) => {
                let shares: Vec<f64> = track.caps.iter().map(|share| share.as_f64()).collect();
                let hardest = shares.len() as u8;
                let low = (0..=hardest).map(|level| [level, 0]);
                let high = (1..=hardest).map(|level| [hardest, level]);
                let brake = [hardest + 1, hardest + 1];
                (levers(&shares, track.brake_clock), low.chain(high).chain([brake]).collect())
            }
        };
        Ladder { levers, notches, law: section.clone() }
    }

    /// The levers, level 1 first.
    #[must_use]
    pub fn levers(&self) -> &[Lever] {
        &self.levers
    }

    /// The level that holds `priority` at `notch`.
    #[must_use]
    pub fn level(&self, notch: usize, priority: Priority) -> u8 {
        self.notches[notch][priority as usize]
    }

    /// Time between looks as written.
    #[must_use]
    pub fn tick(&self) -> Option<Span> {
        match &self.law {
            CappingSection::Polca(polca) => polca.tick,
            CappingSection::Track(track) => track.tick,
        }
    }

    fn brake_notch(&self) -> usize {
        self.notches.len() - 1
    }

    /// Part of the limit for the brake, and how much lower it is taken back.
    fn brake(&self) -> (f64, f64) {
        match &self.law {
            CappingSection::Polca(polca) => (polca.brake.as_f64(), polca.release.as_f64()),
            CappingSection::Track(track) => (track.brake.as_f64(), track.release.as_f64()),
        }
    }

    /// Latency of locks and of the brake.
    fn latencies(&self) -> (Span, Span) {
        match &self.law {
            CappingSection::Polca(polca) => (polca.lever, polca.brake_lever),
            CappingSection::Track(track) => (track.lever, track.brake_lever),
        }
    }

    /// The notch to stand on next, from `notch`, brake apart.
    fn next(&self, notch: usize, seen: &Seen) -> usize {
        match &self.law {
            CappingSection::Polca(polca) => {
                let part = seen.power.fraction_of(seen.limit);
                let (first, second) = (polca.first.as_f64(), polca.second.as_f64());
                let release = polca.release.as_f64();
                match notch {
                    0 | 1 if part > second => 2,
                    2 if part > second => 3,
                    0 if part > first => 1,
                    1 if part < first - release => 0,
                    2 | 3 if part < second - release => notch - 1,
                    _ => notch,
                }
            }
            CappingSection::Track(track) => {
                let limit = seen.limit.as_f64();
                let target = limit * track.target.as_f64();
                let easier = target - limit * track.release.as_f64();
                let hardest = self.brake_notch() - 1;
                let least =
                    |most: f64| (0..hardest).find(|&notch| self.predict(notch, seen) <= most).unwrap_or(hardest);
                let needed = least(target);
                // Levers are given back one by one: what a load draws without them is only a prediction.
                if needed >= notch { needed } else { least(easier).max(notch - 1).min(notch) }
            }
        }
    }

    /// Watts at the meter if all stood at `notch`.
    fn predict(&self, notch: usize, seen: &Seen) -> f64 {
        let [low, high] = self.notches[notch];
        let it = seen.rest + seen.held[0][usize::from(low)] + seen.held[1][usize::from(high)];
        it * seen.power.as_f64() / seen.it.max(f64::MIN_POSITIVE)
    }
}

fn levers(shares: &[f64], brake: Share) -> Vec<Lever> {
    shares.iter().map(|&share| Lever::Lock(share)).chain([Lever::Brake(brake.as_f64())]).collect()
}

/// What a controller sees at a control instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The meter.
    pub power: Watts,
    /// What it may show now.
    pub limit: Watts,
    /// What it may show at all, demand response apart.
    pub hard: Watts,
    /// Watts of the nodes.
    pub it: f64,
    /// Watts of accelerators that levers hold, by priority, if they stood at each level.
    pub held: [Vec<f64>; 2],
    /// The other watts of the nodes.
    pub rest: f64,
}

/// The control of one meter.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    notch: usize,
    /// What is under way, and when it acts.
    pending: Option<(SimTime, usize)>,
}

impl Controller {
    /// With no lever in force.
    #[must_use]
    pub fn new() -> Controller {
        Controller { notch: 0, pending: None }
    }

    /// The notch in force.
    #[must_use]
    pub fn notch(&self) -> usize {
        self.notch
    }

    /// When a lever under way acts; [`SimTime::NEVER`] where none is.
    #[must_use]
    pub fn due(&self) -> SimTime {
        self.pending.map_or(SimTime::NEVER, |(at, _)| at)
    }

    /// Puts what is due at `now` into force; true where the notch changed.
    pub fn act(&mut self, now: SimTime) -> bool {
        let Some((_, notch)) = self.pending.filter(|&(at, _)| at <= now) else { return false };
        self.pending = None;
        std::mem::replace(&mut self.notch, notch) != notch
    }

    /// Looks at `now` and decides; true where it sends the brake.
    pub fn look(&mut self, now: SimTime, ladder: &Ladder, seen: &Seen) -> bool {
        let (brake, release) = ladder.brake();
        let (lever, brake_lever) = ladder.latencies();
        let part = seen.power.fraction_of(seen.hard);
        let last = ladder.brake_notch();
        let braking = self.notch == last || self.pending.is_some_and(|(_, notch)| notch == last);
        if part > brake && !braking {
            self.pending = Some((now + brake_lever, last));
            return true;
        }
        if self.pending.is_some() {
            return false;
        }
        if self.notch == last {
            if part < brake - release {
                self.pending = Some((now + brake_lever, last - 1));
            }
            return false;
        }
        let next = ladder.next(self.notch, seen);
        if next != self.notch {
            self.pending = Some((now + lever, next));
        }
        false
    }
}

impl Default for Controller {
    fn default() -> Controller {
        Controller::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SimTime {
        SimTime::ZERO + Span::from_secs(seconds)
    }

    /// A meter of `power` W behind a limit of 1,000 W, all of it low-priority accelerators.
    fn seen(power: u64, ladder: &Ladder) -> Seen {
        let levels = ladder.levers().len() + 1;
        let held = |watts: u64| (0..levels).map(|level| watts as f64 * (1.0 - 0.1 * level as f64)).collect();
        let limit = Watts::new(1_000);
        Seen { power: Watts::new(power), limit, hard: limit, it: power as f64, held: [held(power), held(0)], rest: 0.0 }
    }

    #[test]
    fn polca_takes_and_gives_back_its_levers() {
        let ladder = Ladder::new(&CappingSection::Polca(Polca::default()));
        assert_eq!(ladder.levers().len(), 4);
        let levels = |notch| [Priority::Low, Priority::High].map(|priority| ladder.level(notch, priority));
        // Level 1 is 1,305 MHz, 2 is 1,275, 3 is 1,110, 4 the brake.
        assert_eq!((0..5).map(levels).collect::<Vec<_>>(), [[0, 0], [2, 0], [3, 0], [3, 1], [4, 4]]);
        let mut control = Controller::new();
        // (second, meter, notch in force then, brake sent)
        for (second, power, notch, sent) in [
            (0, 790, 0, false),
            (2, 810, 0, false),
            (40, 850, 0, false),
            (42, 850, 1, false),
            (44, 895, 1, false),
            (84, 895, 2, false),
            (124, 880, 3, false),
            (126, 830, 3, false),
            (166, 830, 2, false),
            (168, 1_001, 2, true),
            (173, 1_001, 4, false),
            (175, 400, 4, false),
            (180, 400, 3, false),
            (222, 400, 2, false),
        ] {
            control.act(at(second));
            assert_eq!(control.notch(), notch, "at {second} s");
            assert_eq!(control.look(at(second), &ladder, &seen(power, &ladder)), sent, "at {second} s");
        }
    }

    #[test]
    fn tracking_goes_straight_to_the_mildest_notch_that_holds() {
        let ladder = Ladder::new(&CappingSection::Track(Track::default()));
        let mut control = Controller::new();
        // 1,200 W of 2,000: nothing to do. The limit falls to 1,000: 970 W need 0.8, the second lever.
        let with = |power: u64, limit: u64, held: u64| {
            let mut seen = seen(power, &ladder);
            (seen.limit, seen.hard) = (Watts::new(limit), Watts::new(2_000));
            seen.held[0]
                .iter_mut()
                .enumerate()
                .for_each(|(level, watts)| *watts = held as f64 * (1.0 - 0.1 * level as f64));
            seen
        };
        control.look(at(0), &ladder, &with(1_200, 2_000, 1_200));
        assert_eq!(control.due(), SimTime::NEVER);
        control.look(at(10), &ladder, &with(1_200, 1_000, 1_200));
        assert_eq!(control.due(), at(50));
        assert!(control.act(at(50)));
        assert_eq!(control.notch(), 2);
        // Back to the full limit: the levers are let go one by one.
        control.look(at(60), &ladder, &with(960, 2_000, 1_200));
        assert!(control.act(at(100)));
        assert_eq!(control.notch(), 1);
        control.look(at(102), &ladder, &with(1_080, 2_000, 1_200));
        assert!(control.act(at(142)));
        assert_eq!(control.notch(), 0);
    }
}
