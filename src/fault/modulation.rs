//! `modulation = …` of a cluster: everything that breaks there breaks more often in some hours than in others.

use super::gamma;
use crate::engine::{Entity, Seed, Stream};
use crate::units::{Ratio, SimTime, Span};
use schemars::JsonSchema;
use serde::Deserialize;

/// Factors on every rate of a cluster's faults; they multiply.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Modulation {
    /// By day of the week in UTC, Monday first.
    pub weekday: Option<[Ratio; 7]>,
    /// By hour of the day in UTC, from midnight.
    pub hour: Option<[Ratio; 24]>,
    /// Good and bad times that come by chance.
    pub episodes: Option<Episodes>,
    /// Times that are known.
    pub periods: Vec<Period>,
}

/// `episodes = { shape = 0.85, holding = "0.9 d" }`: a factor drawn from a gamma law of mean 1, and drawn anew after exponential
/// holding times. Those values, with batches, fit the faults of 400 servers (stepfun-ai/InfiniteHBD-Trace, own fit).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Episodes {
    /// Shape of the gamma law: the smaller, the more the times differ.
    pub shape: f64,
    /// Mean time between redraws.
    pub holding: Span,
}

/// `{ from = "10 d", to = "12 d", factor = 3.0 }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First moment, after the scenario's start.
    pub from: Span,
    /// The moment after the last.
    pub to: Span,
    /// What the rates are multiplied by.
    pub factor: Ratio,
}

impl Modulation {
    /// True where every rate stays as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Modulation::default()
    }
}

/// The operational time of a cluster: it passes at the rate factor of the hour, and lives are measured in it.
///
/// A component whose hazard at age a is h(a) fails, under a factor f(t), with hazard f(t) h(A(t)), where A is the integral of f
/// since its renewal: for exponential laws exactly the rate times f. Between changes the factor is constant, so that both
/// directions are a search and a product.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    /// Pieces of constant factor, in order; none where time passes as it is.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// When it begins.
    wall: SimTime,
    /// Operational time by then.
    inner: SimTime,
    factor: f64,
}

/// Hours of a week.
const WEEK: u64 = 168;

impl Clock {
    /// The clock of `modulation` for a run that starts in hour `first` of a week, for the cluster `owner`. Past `horizon` the last
    /// factor holds.
    pub(super) fn new(modulation: &Modulation, first: u32, seed: Seed, owner: Entity, horizon: SimTime) -> Clock {
        if modulation.is_none() {
            return Clock { pieces: Vec::new() };
        }
        let mut episodes = modulation.episodes.map(|episodes| Episode::new(episodes, seed.stream(owner, "episode")));
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut wall, mut inner) = (SimTime::ZERO, SimTime::ZERO);
        loop {
            let factor = modulation.calendar(first, wall) * episodes.as_ref().map_or(1.0, |episode| episode.factor);
            if pieces.last().is_none_or(|last| last.factor != factor) {
                pieces.push(Piece { wall, inner, factor });
            }
            let mut next = modulation.next_change(wall);
            if let Some(episode) = &mut episodes {
                next = next.min(episode.until);
                episode.turn(next);
            }
            if next > horizon {
                return Clock { pieces };
            }
            let last = pieces[pieces.len() - 1];
            (wall, inner) = (next, last.inner + next.since(last.wall).scale(last.factor));
        }
    }

    /// Operational time at `wall`.
    pub(super) fn inner(&self, wall: SimTime) -> SimTime {
        match self.pieces.partition_point(|piece| piece.wall <= wall) {
            0 => wall,
            next => {
                let piece = self.pieces[next - 1];
                piece.inner + wall.since(piece.wall).scale(piece.factor)
            }
        }
    }

    /// When operational time reaches `inner`; [`SimTime::NEVER`] where it stands still before that.
    pub(super) fn wall(&self, inner: SimTime) -> SimTime {
        if inner == SimTime::NEVER {
            return inner;
        }
        match self.pieces.partition_point(|piece| piece.inner <= inner) {
            0 => inner,
            next => {
                let piece = self.pieces[next - 1];
                let end = self.pieces.get(next).map_or(SimTime::NEVER, |after| after.wall);
                if piece.factor == 0.0 {
                    return end;
                }
                (piece.wall + inner.since(piece.inner).scale(1.0 / piece.factor)).min(end)
            }
        }
    }
}

impl Modulation {
    /// The factor at `wall`, episodes apart.
    fn calendar(&self, first: u32, wall: SimTime) -> f64 {
        let hour = (wall.nanos() / Span::HOUR.nanos() + u64::from(first)) % WEEK;
        let mut factor = self.weekday.map_or(1.0, |days| days[hour as usize / 24].as_f64());
        factor *= self.hour.map_or(1.0, |hours| hours[hour as usize % 24].as_f64());
        let after = wall.since(SimTime::ZERO);
        let now = self.periods.iter().filter(|period| period.from <= after && after < period.to);
        now.fold(factor, |factor, period| factor * period.factor.as_f64())
    }

    /// When the calendar can next change after `wall`.
    fn next_change(&self, wall: SimTime) -> SimTime {
        let hourly = self.weekday.is_some() || self.hour.is_some();
        let hour = Span::HOUR.nanos();
        let next_hour = SimTime::from_nanos((wall.nanos() / hour + 1) * hour);
        let edges = self.periods.iter().flat_map(|period| [period.from, period.to]).map(|edge| SimTime::ZERO + edge);
        let edge = edges.filter(|&edge| edge > wall).min().unwrap_or(SimTime::NEVER);
        if hourly { edge.min(next_hour) } else { edge }
    }
}

/// The episode under way.
#[derive(Debug)]
struct Episode {
    law: Episodes,
    chance: Stream,
    factor: f64,
    until: SimTime,
}

impl Episode {
    fn new(law: Episodes, chance: Stream) -> Episode {
        let mut episode = Episode { law, chance, factor: 1.0, until: SimTime::ZERO };
        episode.turn(SimTime::ZERO);
        episode
    }

    /// Draws the next episode where this one has ended by `at`.
    fn turn(&mut self, at: SimTime) {
        if self.until <= at {
            self.factor = gamma::quantile(self.law.shape, self.chance.uniform()) / self.law.shape;
            self.until = at + self.law.holding.scale(self.chance.exponential()).max(Span::SECOND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "cluster.main";

    fn clock(modulation: &Modulation, first: u32, horizon: Span) -> Clock {
        let seed = Seed { seed: 1, replication: 0 };
        Clock::new(modulation, first, seed, Entity::named(OWNER), SimTime::ZERO + horizon)
    }

    fn at(span: Span) -> SimTime {
        SimTime::ZERO + span
    }

    #[test]
    fn known_factors_stretch_time_by_hand() {
        let mut hour = [Ratio::new(1.0); 24];
        hour[1] = Ratio::new(3.0);
        let mut weekday = [Ratio::new(1.0); 7];
        weekday[6] = Ratio::new(0.5);
        let periods = vec![Period { from: Span::HOUR * 2, to: Span::HOUR * 3, factor: Ratio::new(0.0) }];
        let modulation = Modulation { weekday: Some(weekday), hour: Some(hour), episodes: None, periods };
        // Starts on a Sunday at 23:00: half speed, then Monday: 1, standing still, 1, …
        let clock = clock(&modulation, 6 * 24 + 23, Span::DAY * 3);
        for (wall, inner) in [(0.0, 0.0), (1.0, 0.5), (1.5, 1.0), (2.0, 1.5), (2.5, 1.5), (3.0, 1.5), (4.0, 2.5)] {
            let (wall, inner) = (at(Span::HOUR.scale(wall)), at(Span::HOUR.scale(inner)));
            assert_eq!(clock.inner(wall), inner, "at {wall:?}");
            assert!(clock.wall(inner) >= wall && clock.inner(clock.wall(inner)) == inner, "back to {wall:?}");
        }
        assert_eq!(clock.wall(at(Span::HOUR.scale(1.5))), at(Span::HOUR * 3), "nothing breaks while time stands still");
        // A week from Tuesday 01:00 on: the hour of three a day, and half of Sunday.
        let all = self::clock(&Modulation { periods: Vec::new(), ..modulation }, 25, Span::DAY * 7);
        let week = all.inner(at(Span::DAY * 7)).as_secs_f64() / 3_600.0;
        assert!((week - (6.0 * 26.0 + 13.0)).abs() < 1e-6, "{week} h");
    }

    #[test]
    fn episodes_have_mean_one_and_the_variance_of_their_law() {
        let episodes = Some(Episodes { shape: 0.85, holding: Span::DAY.scale(0.9) });
        let clock = clock(&Modulation { episodes, ..Modulation::default() }, 0, Span::DAY * 40_000);
        let days = 40_000;
        let inner = |day: u64| clock.inner(at(Span::DAY * day)).as_secs_f64() / 86_400.0;
        let mean = inner(days) / days as f64;
        // Variance of the mean: 2 holding / (shape x time); three standard errors.
        assert!((mean - 1.0).abs() < 3.0 * (2.0 * 0.9 / 0.85 / days as f64).sqrt(), "mean {mean}");
        let square = clock.pieces.windows(2).map(|two| {
            let length = two[1].wall.since(two[0].wall).as_secs_f64();
            (length, length * two[0].factor * two[0].factor)
        });
        let (time, squares) = square.fold((0.0, 0.0), |(time, sum), (length, square)| (time + length, sum + square));
        let variance = squares / time - 1.0;
        // 1 / shape; 44,000 episodes of a heavy-tailed square.
        assert!((variance - 1.0 / 0.85).abs() < 0.08, "variance {variance}");
    }

    #[test]
    fn without_factors_time_passes_as_it_is() {
        let clock = clock(&Modulation::default(), 0, Span::DAY);
        assert_eq!(clock.inner(at(Span::HOUR)), at(Span::HOUR));
        assert_eq!(clock.wall(SimTime::NEVER), SimTime::NEVER);
    }
}
