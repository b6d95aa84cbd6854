//! The two designs that draw: shares from 0 to 1 along each axis, evenly spread over all axes at once.

use super::sobol;
use crate::engine::{Entity, Seed, Stream};

/// The chance of one axis of a design.
fn stream(seed: u64, axis: usize, purpose: &'static str) -> Stream {
    Seed { seed, replication: 0 }.stream(Entity::named("sweep").part(axis as u32), purpose)
}

/// `count` points along `axes` axes: each axis is cut into `count` strata, each stratum holds one point, at a uniform place in
/// it, and the strata of different axes meet in random order (McKay, Beckman and Conover, 1979, Technometrics 21, 239-245).
pub(super) fn latin_hypercube(count: usize, axes: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut points = vec![Vec::with_capacity(axes); count];
    for axis in 0..axes {
        let mut stream = stream(seed, axis, "latin hypercube");
        let mut strata: Vec<usize> = (0..count).collect();
        // Fisher and Yates, from the last to the second.
        for last in (1..count).rev() {
            strata.swap(last, stream.below(last as u32 + 1) as usize);
        }
        let share = |stratum: usize, within: f64| (stratum as f64 + within) / count as f64;
        points.iter_mut().zip(strata).for_each(|(point, stratum)| point.push(share(stratum, stream.uniform())));
    }
    points
}

/// The first `count` points of the Sobol sequence along `axes` axes, each axis shifted by random bits, which keeps the evenness
/// and takes the points off the corner (a digital shift; Owen, 2020, arXiv:2008.08051, on why the first point stays).
pub(super) fn sobol(count: usize, axes: usize, seed: u64) -> Vec<Vec<f64>> {
    let shifts: Vec<u32> = (0..axes).map(|axis| (stream(seed, axis, "sobol").bits() >> 32) as u32).collect();
    let share = |bits: u32| (f64::from(bits) + 0.5) / 4_294_967_296.0;
    let point = |point: Vec<u32>| point.iter().zip(&shifts).map(|(bits, shift)| share(bits ^ shift)).collect();
    sobol::points(count, axes).into_iter().map(point).collect()
}
