//! Lives of one kind of component: an absolute next failure for each, moved only when the component itself is renewed.

use super::draws::NodeDraws;
use super::law::FailureLaw;
use super::lemons::Lemons;
use super::lifetime::Lifetime;
use crate::engine::{Entity, Seed};
use crate::units::{SimTime, Span};
use std::sync::Arc;

/// Next failures of all components of one kind, by index; those of a node, a rack or another domain.
#[derive(Debug, Clone)]
pub(super) struct Lives {
    /// Of the mean component.
    lifetime: Option<Lifetime>,
    /// Where components differ.
    lemons: Option<Lemons>,
    /// By component: how old it is at time zero; none where the law says it of all.
    ages: Option<Arc<[Span]>>,
    horizon: SimTime,
    /// Draws above it are first lives that outlast the horizon: four nodes in five of a two-month run need no inverse.
    failed_by_horizon: f64,
    draws: NodeDraws,
    /// Next failure of each component met so far.
    next: Vec<SimTime>,
}

impl Lives {
    /// Components under `law`; the `index`-th draws from the stream of `owner`'s part of that index.
    pub(super) fn new(law: FailureLaw, seed: Seed, owner: Entity, horizon: SimTime) -> Lives {
        let lifetime = Lifetime::new(law);
        Lives {
            lifetime,
            lemons: law.difference().map(|difference| Lemons::new(difference, seed, owner)),
            ages: None,
            horizon,
            failed_by_horizon: lifetime.map_or(0.0, |lifetime| lifetime.failed_by(horizon)),
            draws: NodeDraws::new(seed, owner, "failure"),
            next: Vec::new(),
        }
    }

    /// The same components, each of its own age at time zero.
    pub(super) fn aged(self, ages: Option<Arc<[Span]>>) -> Lives {
        Lives { ages, ..self }
    }

    /// The first failure of `index` in its own life after `at`, each before that taken as repaired at once; `None` where none
    /// comes by the horizon.
    pub(super) fn after(&mut self, index: u32, at: SimTime) -> Option<SimTime> {
        let lifetime = self.lifetime_of(index)?;
        let mut next = if self.draws.is_fresh(index) { self.first(lifetime, index) } else { self.next[index as usize] };
        while next <= at {
            next += lifetime.whole(self.draws.next(index));
        }
        self.set(index, next);
        (next <= self.horizon).then_some(next)
    }

    /// `index` is as good as new at `at`.
    pub(super) fn renew(&mut self, index: u32, at: SimTime) {
        let lifetime = self.lifetime_of(index).expect("a component that failed has a lifetime");
        let next = at + lifetime.whole(self.draws.next(index));
        self.set(index, next);
    }

    /// `index` is mended at `at`: as good as new, and a lemon no more where repairs cure them.
    pub(super) fn mend(&mut self, index: u32, at: SimTime) {
        if let Some(lemons) = &mut self.lemons {
            lemons.cure(index);
        }
        self.renew(index, at);
    }

    /// `index` counts again at `at` without having been fixed: it fails after a time of mean `within`, or, where repairs cure lemons,
    /// as what it was.
    pub(super) fn relapse(&mut self, index: u32, at: SimTime, within: Span) {
        if self.lemons.as_ref().is_some_and(Lemons::are_cured) {
            return self.renew(index, at);
        }
        let next = at + within.scale(-libm::log(self.draws.next(index))).max(Span::from_nanos(1));
        self.set(index, next);
    }

    /// Another component takes the place of `index` at `at`, new, and with a rate of its own where components differ.
    pub(super) fn replace(&mut self, index: u32, at: SimTime) {
        if let Some(lemons) = &mut self.lemons {
            lemons.redraw(index);
        }
        if self.lifetime.is_some() {
            self.renew(index, at);
        }
    }

    /// When `index`, which has been met, fails next.
    pub(super) fn next(&self, index: u32) -> SimTime {
        self.next[index as usize]
    }

    fn first(&mut self, lifetime: Lifetime, index: u32) -> SimTime {
        let uniform = self.draws.first(index);
        if let Some(age) = self.ages.as_ref().and_then(|ages| ages.get(index as usize)) {
            return SimTime::ZERO + lifetime.left_at(*age, uniform);
        }
        let failed_by_horizon = match self.lemons {
            Some(_) => lifetime.failed_by(self.horizon),
            None => self.failed_by_horizon,
        };
        if uniform > failed_by_horizon { SimTime::NEVER } else { SimTime::ZERO + lifetime.first(uniform) }
    }

    fn lifetime_of(&mut self, index: u32) -> Option<Lifetime> {
        let lifetime = self.lifetime?;
        Some(match &mut self.lemons {
            Some(lemons) => lifetime.at_rate(lemons.factor(index)),
            None => lifetime,
        })
    }

    fn set(&mut self, index: u32, next: SimTime) {
        let slot = index as usize;
        if slot >= self.next.len() {
            self.next.resize(slot + 1, SimTime::NEVER);
        }
        self.next[slot] = next;
    }
}
