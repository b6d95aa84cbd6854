//! Random streams: one ChaCha8 stream for each (seed, replication, entity, purpose), so that adding an entity or a draw
//! moves no other's numbers, and sweep cells share common random numbers. One uniform makes one variate.

use super::firsts::{FIRSTS, first_bits};
use super::variate::{self, QuantileTable};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The scenario's seed and the replication it runs as: the root of all chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The scenario's `seed`.
    pub seed: u64,
    /// Which replication of it, from 0.
    pub replication: u64,
}

/// Whose chance it is: a stable hash of a name such as `cluster.main`, and of an index below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity(u64);

impl Entity {
    /// The entity of that name; independent of what else the scenario holds.
    #[must_use]
    pub fn named(name: &str) -> Entity {
        Entity(hash(name))
    }

    /// The `index`-th part of this entity (a node of a cluster, a cell of a service).
    #[must_use]
    pub fn part(self, index: u32) -> Entity {
        // Golden-ratio increment and the SplitMix64 finaliser: a bijection, so parts of one entity never collide
        // (Steele, Lea and Flood, OOPSLA 2014, doi 10.1145/2660193.2660195).
        let mut mixed = self.0.wrapping_add((u64::from(index) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Entity(mixed ^ (mixed >> 31))
    }
}

/// FNV-1a, 64 bits (IETF draft-eastlake-fnv-17, section 2).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Seed {
    /// The stream of `entity` for `purpose`, at its beginning.
    #[must_use]
    pub fn stream(self, entity: Entity, purpose: &'static str) -> Stream {
        let mut key = [0; 32];
        for (part, word) in key.chunks_exact_mut(8).zip([self.seed, self.replication, entity.0, hash(purpose)]) {
            part.copy_from_slice(&word.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// The first uniform draw of the streams of `entity`'s parts `first`, `first + 1`, … for `purpose`, each what
    /// [`stream`](Seed::stream) and [`uniform`](Stream::uniform) give, in a quarter of the time.
    #[must_use]
    pub fn first_uniforms(self, entity: Entity, first: u32, purpose: &'static str) -> [f64; FIRSTS] {
        let mut keys = [[0; FIRSTS]; 8];
        let words = |word: u64| [word as u32, (word >> 32) as u32];
        for lane in 0..FIRSTS {
            let part = entity.part(first.wrapping_add(lane as u32));
            let key = [self.seed, self.replication, part.0, hash(purpose)].map(words);
            keys.iter_mut().zip(key.as_flattened()).for_each(|(row, &word)| row[lane] = word);
        }
        first_bits(&keys).map(uniform)
    }
}

/// Uniform in the open interval (0, 1), with 52 bits: safe under a logarithm and under an inverse distribution.
#[inline]
fn uniform(bits: u64) -> f64 {
    // 2^-52, the spacing of the draws; half a spacing keeps 0 and 1 out. One bit more and the last half is rounded to 1.
    const STEP: f64 = 1.0 / 4_503_599_627_370_496.0;
    ((bits >> 12) as f64 + 0.5) * STEP
}

/// A sequence of independent uniform draws.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in the open interval (0, 1), with 52 bits: safe under a logarithm and under an inverse distribution.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        uniform(self.0.next_u64())
    }

    /// Exponential with mean 1, by inversion.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Normal with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f64 {
        variate::normal_quantile(self.uniform())
    }

    /// Lognormal: the logarithm has mean `mu` and standard deviation `sigma`.
    pub fn lognormal(&mut self, mu: f64, sigma: f64) -> f64 {
        variate::lognormal(self.uniform(), mu, sigma)
    }

    /// Weibull of that `shape` and `scale`.
    pub fn weibull(&mut self, shape: f64, scale: f64) -> f64 {
        variate::weibull(self.uniform(), shape, scale)
    }

    /// A draw of the law compiled into `table`.
    #[inline]
    pub fn draw(&mut self, table: &QuantileTable) -> f64 {
        table.draw(self.uniform())
    }

    /// One of `0..count`, each as likely as any other to within `count` in 2^64.
    pub fn below(&mut self, count: u32) -> u32 {
        assert!(count > 0, "a choice has candidates");
        ((u128::from(self.bits()) * u128::from(count)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_draws_side_by_side_are_those_of_the_streams() {
        let seed = Seed { seed: 0x0123_4567_89AB_CDEF, replication: 3 };
        let cluster = Entity::named("cluster.main");
        for first in [0, 32, 1_000_003] {
            let together = seed.first_uniforms(cluster, first, "failure");
            for (part, uniform) in (first..).zip(together) {
                assert_eq!(uniform, seed.stream(cluster.part(part), "failure").uniform(), "part {part}");
            }
        }
    }
}
