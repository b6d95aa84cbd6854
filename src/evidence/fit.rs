//! Coefficients of the step time from measured times, by least squares on the relative error, none below zero.

use super::least::Normal;
use crate::serving::{Exposure, StepModel};

/// A time that was measured, and what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// What the steps in it held.
    pub exposure: Exposure,
    /// The time, in milliseconds.
    pub ms: f64,
    /// How far such times scatter around any fit, as a share.
    pub scatter: f64,
}

impl Point {
    /// The time that `step` gives.
    #[must_use]
    pub fn predicted(&self, step: &StepModel) -> f64 {
        let coefficients = [step.p0_ms, step.d_ms, step.b_ms, step.c_ms, step.e_ms];
        self.exposure.multiplied(step.t0).iter().zip(coefficients).map(|(held, each)| held * each).sum()
    }

    /// Predicted over measured, less one.
    #[must_use]
    pub fn error(&self, step: &StepModel) -> f64 {
        self.predicted(step) / self.ms - 1.0
    }
}

/// Coefficients, and how far they are from what they were fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The coefficients.
    pub step: StepModel,
    /// Relative errors of the first point of each row.
    pub errors: Vec<f64>,
    /// And by a fit to all other rows; none with fewer than three.
    pub left_out: Option<Vec<f64>>,
}

/// Floors that are tried: every 8 tokens, up to where GPUs of today have left the bound of their memory.
fn floors() -> impl Iterator<Item = u32> {
    (0..=512).step_by(8)
}

/// Fits to `rows`, each of one or more points. A point counts by its scatter, and less where it lies further off than three times
/// that from a fit to the first points alone: such a time has a cause that no step has.
#[must_use]
pub fn fit(rows: &[Vec<Point>]) -> Fit {
    let first: Vec<Vec<Point>> = rows.iter().map(|row| row[..1].to_vec()).collect();
    let alone = best(&tables(&first, None), None);
    let tables = tables(rows, Some(&alone));
    let step = best(&tables, None);
    let error = |row: usize, step: &StepModel| rows[row][0].error(step);
    let left_out = (rows.len() > 2).then(|| (0..rows.len()).map(|row| error(row, &best(&tables, Some(row)))).collect());
    Fit { errors: (0..rows.len()).map(|row| error(row, &step)).collect(), step, left_out }
}

/// Sums at one floor: of all rows, and of each.
struct Table {
    t0: u32,
    all: Normal<5>,
    each: Vec<Normal<5>>,
}

/// Sums at each floor; what lies far from `alone` counts less.
fn tables(rows: &[Vec<Point>], alone: Option<&StepModel>) -> Vec<Table> {
    let weight = |point: &Point| {
        let off = alone.map_or(0.0, |alone| point.error(alone).abs() / (3.0 * point.scatter));
        1.0 / (point.scatter * off.max(1.0))
    };
    let weights: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(weight).collect()).collect();
    let table = |t0| {
        let (mut all, mut each) = (Normal::EMPTY, Vec::new());
        for (row, weights) in rows.iter().zip(&weights) {
            let mut own = Normal::EMPTY;
            for (point, weight) in row.iter().zip(weights) {
                own.enter(&point.exposure.multiplied(t0).map(|held| held / point.ms), weight * weight);
            }
            all.add(&own, 1.0);
            each.push(own);
        }
        Table { t0, all, each }
    };
    floors().map(table).collect()
}

/// The coefficients at the floor with the least sum of squares, the lowest such; without row `without`.
fn best(tables: &[Table], without: Option<usize>) -> StepModel {
    let (mut least, mut step) = (f64::INFINITY, None);
    for table in tables {
        let mut sums = table.all;
        if let Some(row) = without {
            sums.add(&table.each[row], -1.0);
        }
        let ([p0_ms, d_ms, b_ms, c_ms, e_ms], square) = sums.solve();
        if square < least * (1.0 - 1e-9) {
            least = square;
            step = Some(StepModel { p0_ms, d_ms, t0: table.t0, b_ms, c_ms, e_ms });
        }
    }
    step.expect("a sum of squares is finite")
}

/// Mean of the absolute values.
#[must_use]
pub fn mean(errors: &[f64]) -> f64 {
    errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len().max(1) as f64
}

/// Median of the absolute values; of an even number the upper.
#[must_use]
pub fn median(errors: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The largest absolute value.
#[must_use]
pub fn worst(errors: &[f64]) -> f64 {
    errors.iter().fold(0.0, |worst, error| error.abs().max(worst))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::{Rig, StepLoad};

    const STEP: StepModel =
        StepModel { p0_ms: 2.69, d_ms: 0.019_92, t0: 224, b_ms: 0.005_32, c_ms: 3.96e-5, e_ms: 8.2e-7 };

    /// Steps and closed loops that were made with coefficients give these coefficients back.
    #[test]
    fn coefficients_are_found_again() {
        let mut points = Vec::new();
        for batch in [0.0, 1.0, 16.0, 64.0, 256.0] {
            for prompt in [0.0, 128.0, 512.0, 2_048.0] {
                for context in [512.0, 4_096.0] {
                    let load = StepLoad { batch, cached: batch * context, prompt, attended: prompt * prompt / 2.0 };
                    if batch + prompt > 0.0 {
                        let ms = STEP.time(load).as_secs_f64() * 1e3;
                        points.push(vec![Point { exposure: Exposure::of_step(load), ms, scatter: 0.02 }]);
                    }
                }
            }
        }
        let rig = Rig { step: STEP, token_budget: 2_048, max_batch: 256, kv_tokens: 1 << 30 };
        for clients in [4, 64] {
            let seen = rig.closed_loop(clients, clients * 10, |_| (1_000, 100));
            let point = |exposure| {
                let point = Point { exposure, ms: 1.0, scatter: 0.02 };
                Point { ms: point.predicted(&STEP), ..point }
            };
            points.push(vec![point(seen.tpot()), point(seen.ttft())]);
        }
        let found = fit(&points);
        assert_eq!(found.step.t0, 224);
        let near = |found: f64, made: f64| (found / made - 1.0).abs() < 1e-3;
        assert!(near(found.step.p0_ms, STEP.p0_ms) && near(found.step.d_ms, STEP.d_ms), "{:?}", found.step);
        assert!(near(found.step.c_ms, STEP.c_ms) && near(found.step.e_ms, STEP.e_ms), "{:?}", found.step);
        assert!(worst(&found.errors) < 1e-5 && worst(&found.left_out.unwrap()) < 1e-3);
    }

    #[test]
    fn errors_are_summed_up() {
        let errors = [0.1, -0.3, 0.2];
        assert!((mean(&errors) - 0.2).abs() < 1e-12);
        assert_eq!((median(&errors), worst(&errors)), (0.2, 0.3));
    }
}
