//! Speculative decoding as a rate of acceptance: a small model drafts some tokens, one step of the large one checks them all, and
//! keeps those before the first that it would not have chosen, and one of its own.
//!
//! Each drafted token is accepted with the same chance `a`, so a step of `n` drafted tokens gives `(1 - a^(n + 1)) / (1 - a)` on
//! average (Leviathan, Kalman, Matias 2023, arXiv:2211.17192, equation 1; worked value: 4 tokens at 0.8 give 3.36). Every sequence
//! gains that mean, in whole tokens whose remainder is carried from step to step: a mean, without the luck of single sequences. What
//! a step checks counts as its tokens, and the drafts take their part of a decode step's time for each token drafted.

use crate::units::{Ratio, Share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `speculation = { acceptance = 0.8 }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Speculation {
    /// Chance that a drafted token is accepted.
    pub acceptance: Share,
    /// Tokens drafted for each step.
    #[serde(default = "default_draft")]
    pub draft: u32,
    /// Time to draft a token, over the time of a decode step without drafts.
    #[serde(default = "default_cost")]
    pub cost: Ratio,
}

fn default_draft() -> u32 {
    // Round default: four, in the middle of the lengths that arXiv:2211.17192 tries.
    4
}
fn default_cost() -> Ratio {
    // arXiv:2211.17192 section 3.5: below 0.05 where the draft model is far smaller.
    Ratio::new(0.05)
}

impl Speculation {
    /// Mean tokens of a sequence and step.
    #[must_use]
    pub fn tokens_per_step(&self) -> f64 {
        // The sum that the closed form stands for holds at an acceptance of 1 too.
        let accepted = (0..self.draft).scan(1.0, |chance, _| {
            *chance *= self.acceptance.as_f64();
            Some(*chance)
        });
        1.0 + accepted.sum::<f64>()
    }

    /// Tokens that a sequence has computed in each step.
    pub(super) fn checked(&self) -> u32 {
        self.draft + 1
    }

    /// How tokens follow from steps.
    pub(super) fn gain(&self) -> Gain {
        Gain { rate: (self.tokens_per_step() * f64::from(1_u32 << PARTS)).round() as u64, carry: 0 }
    }
}

/// Bits of a part of a token.
const PARTS: u32 = 16;

/// Tokens that each sequence gains by steps, and what is left of the last, in parts of 2^-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gain {
    rate: u64,
    carry: u64,
}

impl Gain {
    /// A token a step.
    pub(super) const ONE: Gain = Gain { rate: 1 << PARTS, carry: 0 };

    /// Tokens of the next `steps` steps.
    pub(super) fn tokens(self, steps: u64) -> u64 {
        (u128::from(self.carry) + u128::from(self.rate) * u128::from(steps) >> PARTS) as u64
    }

    /// `steps` steps are over; their tokens.
    pub(super) fn pass(&mut self, steps: u64) -> u64 {
        let parts = u128::from(self.carry) + u128::from(self.rate) * u128::from(steps);
        self.carry = (parts & ((1 << PARTS) - 1)) as u64;
        (parts >> PARTS) as u64
    }

    /// The fewest steps that give `tokens`.
    pub(super) fn steps_for(self, tokens: u64) -> u64 {
        let parts = (u128::from(tokens) << PARTS).saturating_sub(u128::from(self.carry));
        parts.div_ceil(u128::from(self.rate)) as u64
    }

    /// The most steps that give no more than `tokens`.
    pub(super) fn steps_within(self, tokens: u64) -> u64 {
        let parts = (u128::from(tokens + 1) << PARTS) - 1 - u128::from(self.carry);
        (parts / u128::from(self.rate)) as u64
    }

    /// Sum over the next `steps` steps of the tokens gained before each.
    pub(super) fn sum(self, steps: u64) -> u128 {
        floor_sum(steps.into(), 1 << PARTS, self.rate.into(), self.carry.into())
    }

    /// Tokens a step, as a number.
    pub(super) fn as_f64(self) -> f64 {
        self.rate as f64 / f64::from(1_u32 << PARTS)
    }
}

/// The sum of `floor((a i + b) / m)` for `i` from 0 to `n - 1`, by the descent of Euclid's algorithm (Graham, Knuth, Patashnik,
/// Concrete Mathematics, section 3.5).
fn floor_sum(mut n: u128, mut m: u128, mut a: u128, mut b: u128) -> u128 {
    let mut sum = 0;
    loop {
        sum += n * n.saturating_sub(1) / 2 * (a / m) + n * (b / m);
        (a, b) = (a % m, b % m);
        let top = a * n + b;
        if top < m {
            return sum;
        }
        (n, b) = (top / m, top % m);
        (m, a) = (a, m);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_step_gives_the_published_mean() {
        let tokens = |draft, acceptance| {
            Speculation { draft, acceptance: Share::new(acceptance), cost: Ratio::new(0.0) }.tokens_per_step()
        };
        // (1 - 0.8^5) / 0.2 = 3.3616; (1 - 0.5^8) / 0.5 = 1.9921875.
        assert!((tokens(4, 0.8) - 3.3616).abs() < 1e-9);
        assert!((tokens(7, 0.5) - 1.992_187_5).abs() < 1e-9);
        assert_eq!((tokens(4, 0.0), tokens(4, 1.0)), (1.0, 5.0));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_single_steps(rate in 1_u64 << PARTS..20 << PARTS, carry in 0_u64..1 << PARTS, steps in 0_u64..400) {
            let gain = Gain { rate, carry };
            let (mut one_by_one, mut tokens, mut sum) = (gain, 0, 0_u128);
            for done in 0..steps {
                prop_assert_eq!(gain.tokens(done), tokens);
                sum += u128::from(tokens);
                tokens += one_by_one.pass(1);
            }
            let mut at_once = gain;
            prop_assert_eq!(at_once.pass(steps), tokens);
            prop_assert_eq!(at_once, one_by_one);
            prop_assert_eq!(gain.sum(steps), sum);
            prop_assert!(gain.tokens(gain.steps_for(tokens)) >= tokens && gain.steps_for(tokens) <= steps);
            prop_assert!(gain.tokens(gain.steps_within(tokens)) <= tokens && gain.steps_within(tokens) >= steps);
        }
    }
}
