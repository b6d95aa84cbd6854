//! Gaps of a renewal process with mean 1 and a given coefficient of variation, and what random thinning makes of them.
//!
//! A whole service has Gamma gaps, shape 1/CV^2. A cell that takes a random share p of its
//! requests sees again a renewal process, with squared CV 1 + p (CV^2 - 1) (Kallenberg 1975: thinning drives any renewal
//! process towards Poisson). Its gaps are drawn from w x Gamma quantile + (1 - w) x exponential quantile of the same
//! uniform, with w such that mean and variance are exact; p = 1 is the Gamma law itself.
//!
//! Quantiles are tabulated over e = -ln(1 - u), in which a Gamma quantile is nearly straight, tails included: 2,560
//! straight pieces, 2 ns a draw beside the logarithm. Worked value: CV 1 gives gap = e.

use crate::engine::gamma_quantile;
use std::sync::{Arc, OnceLock};

/// Nodes a unit of e.
const STEPS: usize = 64;
/// 53-bit uniforms reach e = 37.4.
const NODES: usize = 40 * STEPS + 1;

/// Draws gaps with mean 1.
#[derive(Debug, Clone)]
pub(super) struct Gaps {
    /// Gamma quantile at e = i / STEPS, mean exactly 1.
    gamma: Vec<f64>,
    /// The law in use: what a share of the requests sees.
    thinned: Vec<f64>,
    /// Second moment of the mixture as c0 + c1 w + c2 w^2.
    moment: [f64; 3],
}

impl Gaps {
    /// Gaps of the whole process.
    pub(super) fn new(cv: f64) -> Gaps {
        assert!(cv > 0.0 && cv < 20.0, "gaps vary, and with a CV below 20");
        let gamma = gamma_quantiles(1.0 / (cv * cv));
        let [none, half, whole] = [0.0, 0.5, 1.0].map(|weight| second_moment(&mixture(&gamma, weight)));
        let curvature = 2.0 * (whole - 2.0 * half + none);
        let moment = [none, whole - none - curvature, curvature];
        Gaps { thinned: gamma.clone(), gamma, moment }
    }

    /// Keeps each request with probability `share` from now on.
    pub(super) fn thin(&mut self, share: f64) {
        assert!((0.0..=1.0).contains(&share), "a share lies between 0 and 1");
        self.thinned = mixture(&self.gamma, self.weight(share));
    }

    /// The gap where an exponential draw is `e`.
    #[inline]
    pub(super) fn at(&self, e: f64) -> f64 {
        let place = e * STEPS as f64;
        let index = (place as usize).min(NODES - 2);
        let (low, high) = (self.thinned[index], self.thinned[index + 1]);
        low + (high - low) * (place - index as f64)
    }

    /// The w at which the second moment is share x Gamma's + (1 - share) x exponential's.
    fn weight(&self, share: f64) -> f64 {
        let [_, linear, square] = self.moment;
        let wanted = share * (linear + square);
        if square.abs() < 1e-12 {
            return share;
        }
        let root = (linear * linear + 4.0 * square * wanted).max(0.0).sqrt();
        // The root in 0..=1 of square w^2 + linear w = wanted; both forms are exact, this one is stable for a small square.
        (2.0 * wanted / (linear + root.copysign(linear))).clamp(0.0, 1.0)
    }
}

/// Gaps of about that coefficient of variation, 0.5 to 20, to 2.5 %: one of 74 laws 5 % apart, each compiled once.
pub(super) fn gamma_gaps(cv: f64) -> Arc<Gaps> {
    const LAWS: usize = 74;
    static COMPILED: [OnceLock<Arc<Gaps>>; LAWS] = [const { OnceLock::new() }; LAWS];
    let index = ((libm::log(cv / 0.5) / 0.05).round().max(0.0) as usize).min(LAWS - 1);
    COMPILED[index].get_or_init(|| Arc::new(Gaps::new(0.5 * libm::exp(0.05 * index as f64)))).clone()
}

fn mixture(gamma: &[f64], weight: f64) -> Vec<f64> {
    let at = |(index, gamma): (usize, &f64)| weight * gamma + (1.0 - weight) * (index as f64 / STEPS as f64);
    gamma.iter().enumerate().map(at).collect()
}

/// The mean of e is 1; of a piecewise straight g(e): sum of slope x (mass of e beyond the piece's ends).
fn mean(nodes: &[f64]) -> f64 {
    pieces(nodes).fold(nodes[0], |mean, [_, slope, before, after]| mean + slope * (before - after))
}

fn second_moment(nodes: &[f64]) -> f64 {
    let width = 1.0 / STEPS as f64;
    pieces(nodes).fold(nodes[0] * nodes[0], |moment, [low, slope, before, after]| {
        moment + 2.0 * slope * (low * (before - after) + slope * (before - after * (1.0 + width)))
    })
}

/// Each piece's low end, slope, and the chance that e lies beyond its start and its end.
fn pieces(nodes: &[f64]) -> impl Iterator<Item = [f64; 4]> {
    let beyond = |index: usize| libm::exp(-(index as f64) / STEPS as f64);
    nodes
        .windows(2)
        .enumerate()
        .map(move |(index, ends)| [ends[0], (ends[1] - ends[0]) * STEPS as f64, beyond(index), beyond(index + 1)])
}

/// Gamma quantiles of that shape at all nodes, scaled so that the interpolated law has mean 1.
fn gamma_quantiles(shape: f64) -> Vec<f64> {
    // Past e = 30 the probability is within 1e-13 of 1 and carries few digits: the last piece before goes on straight.
    const KNOWN: usize = 30 * STEPS;
    let at = |index: usize| gamma_quantile(shape, -libm::expm1(-(index as f64) / STEPS as f64));
    let mut nodes: Vec<f64> = (0..=KNOWN).map(at).collect();
    let (last, rise) = (nodes[KNOWN], nodes[KNOWN] - nodes[KNOWN - 1]);
    nodes.extend((1..NODES - KNOWN).map(|index| last + rise * index as f64));
    let mean = mean(&nodes);
    nodes.iter().map(|node| node / mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_match_known_laws() {
        // Shape 1 is exponential; shape 4 (CV 0.5) at u = 0.5 and 0.99: 3.67206, 10.0451 (chi-square with 8 degrees of
        // freedom over 2); shape 0.25 (CV 2) at u = 0.9: chi-square with 0.5 degrees over 2 is 0.7689.
        let e = Gaps::new(1.0);
        for u in [0.001, 0.5, 0.99, 0.999_999] {
            assert!((e.at(-libm::log1p(-u)) / -libm::log1p(-u) - 1.0).abs() < 1e-4, "u {u}");
        }
        let quarter = Gaps::new(0.5);
        for (u, expected) in [(0.5, 3.672_06), (0.99, 10.045_1)] {
            assert!(
                (quarter.at(-libm::log1p(-u)) * 4.0 / expected - 1.0).abs() < 2e-3,
                "u {u}: {}",
                quarter.at(-libm::log1p(-u)) * 4.0
            );
        }
    }

    #[test]
    fn thinning_keeps_the_mean_and_sets_the_variance() {
        for cv in [0.5, 0.9, 1.04, 1.5, 3.0] {
            for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
                let mut gaps = Gaps::new(cv);
                gaps.thin(share);
                let mean = mean(&gaps.thinned);
                let squared_cv = second_moment(&gaps.thinned) - 1.0;
                let expected = 1.0 + share * (cv * cv - 1.0);
                assert!((mean - 1.0).abs() < 1e-9, "CV {cv}, share {share}: mean {mean}");
                assert!(
                    (squared_cv / expected - 1.0).abs() < 0.01,
                    "CV {cv}, share {share}: {squared_cv} for {expected}"
                );
            }
        }
    }
}
