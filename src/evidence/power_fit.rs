//! Watts of one GPU by batch from measured points: a logistic curve in log2 of the batch, and energy per step and sequence.

use super::fit::mean;
use super::least::Normal;

/// A mean power that was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerPoint {
    /// Sequences that decoded.
    pub batch: f64,
    /// Watts of one GPU.
    pub watts: f64,
    /// Time of a step.
    pub step_ms: f64,
}

/// Power by batch.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerFit {
    /// The form that predicts points which it was not fitted to better.
    pub form: PowerForm,
    /// Its relative errors.
    pub errors: Vec<f64>,
    /// And of each point by a fit to all others.
    pub left_out: Vec<f64>,
}

/// A form of power by batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PowerForm {
    /// `low + (high - low) / (1 + exp(-(log2 B - mid) / width))` watts.
    Logistic {
        /// Small batches.
        low: f64,
        /// Large batches.
        high: f64,
        /// Binary logarithm of the batch in the middle.
        mid: f64,
        /// Steepness.
        width: f64,
    },
    /// `p0 + (p1 + p2 B) / t` watts for steps of `t` ms.
    StepTime {
        /// Watts at all times.
        p0: f64,
        /// Energy of a step.
        p1: f64,
        /// And of each sequence in it.
        p2: f64,
    },
}

impl PowerForm {
    fn watts(&self, batch: f64, step_ms: f64) -> f64 {
        match *self {
            PowerForm::Logistic { low, high, mid, width } => low + (high - low) * rise(batch, mid, width),
            PowerForm::StepTime { p0, p1, p2 } => p0 + (p1 + p2 * batch) / step_ms,
        }
    }
}

impl PowerFit {
    /// Watts of one GPU with `batch` sequences at steps of `step_ms`.
    #[must_use]
    pub fn watts(&self, batch: f64, step_ms: f64) -> f64 {
        self.form.watts(batch, step_ms)
    }
}

fn rise(batch: f64, mid: f64, width: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-(libm::log2(batch) - mid) / width))
}

/// The better of both forms; none below five points, from which neither can be told.
#[must_use]
pub fn fit_power(points: &[PowerPoint]) -> Option<PowerFit> {
    if points.len() < 5 {
        return None;
    }
    let of = |fit: fn(&[PowerPoint]) -> PowerForm| {
        let error = |form: &PowerForm, point: &PowerPoint| form.watts(point.batch, point.step_ms) / point.watts - 1.0;
        let form = fit(points);
        let without = |index: usize| {
            let mut others = points.to_vec();
            let point = others.remove(index);
            error(&fit(&others), &point)
        };
        let errors = points.iter().map(|point| error(&form, point)).collect();
        PowerFit { form, errors, left_out: (0..points.len()).map(without).collect() }
    };
    let (logistic, step_time) = (of(logistic), of(step_time));
    Some(if mean(&step_time.left_out) < mean(&logistic.left_out) { step_time } else { logistic })
}

fn step_time(points: &[PowerPoint]) -> PowerForm {
    let mut normal = Normal::<3>::EMPTY;
    for point in points {
        let row = [1.0, 1.0 / point.step_ms, point.batch / point.step_ms];
        normal.enter(&row.map(|held| held / point.watts), 1.0);
    }
    let [p0, p1, p2] = normal.solve().0;
    PowerForm::StepTime { p0, p1, p2 }
}

/// Middle and width on a grid that closes in on the best, both ends by least squares.
fn logistic(points: &[PowerPoint]) -> PowerForm {
    let ends = |mid: f64, width: f64| {
        let mut normal = Normal::<2>::EMPTY;
        for point in points {
            let rise = rise(point.batch, mid, width);
            // The high end is the low one and what is added to it, so that it is not below.
            normal.enter(&[1.0 / point.watts, rise / point.watts], 1.0);
        }
        normal.solve()
    };
    let (mut mid, mut width, mut least) = (6.0, 1.0, f64::INFINITY);
    let (mut mid_step, mut width_factor) = (0.5, 1.25_f64);
    for _ in 0..4 {
        let (around, wide) = (mid, width);
        for i in -12..=12 {
            let mut candidate = wide;
            (0..8).for_each(|_| candidate /= width_factor);
            for _ in -8..=8 {
                let at = around + f64::from(i) * mid_step;
                let (_, square) = ends(at, candidate);
                if square < least * (1.0 - 1e-9) {
                    (mid, width, least) = (at, candidate, square);
                }
                candidate *= width_factor;
            }
        }
        mid_step /= 8.0;
        width_factor = width_factor.sqrt().sqrt();
    }
    let ([low, more], _) = ends(mid, width);
    PowerForm::Logistic { low, high: low + more, mid, width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::fit::worst;

    fn points(form: PowerForm) -> Vec<PowerPoint> {
        let batches = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        // Not straight: else a constant, a step and a sequence cannot be told apart.
        let step_ms = |batch: f64| 6.5 + 0.08 * batch + 0.5 * batch.sqrt();
        batches
            .map(|batch| PowerPoint { batch, watts: form.watts(batch, step_ms(batch)), step_ms: step_ms(batch) })
            .into()
    }

    #[test]
    fn both_forms_are_found_again() {
        let made = PowerForm::Logistic { low: 477.0, high: 695.0, mid: 5.47, width: 0.86 };
        let found = fit_power(&points(made)).unwrap();
        assert!(worst(&found.errors) < 1e-3, "{found:?}");
        let made = PowerForm::StepTime { p0: 20.0, p1: 3_139.0, p2: 59.0 };
        let found = fit_power(&points(made)).unwrap();
        assert!(worst(&found.errors) < 1e-6, "{found:?}");
        assert!(matches!(found.form, PowerForm::StepTime { p0, .. } if (p0 - 20.0).abs() < 1e-3), "{found:?}");
    }

    #[test]
    fn few_points_are_no_curve() {
        let made = PowerForm::StepTime { p0: 20.0, p1: 3_139.0, p2: 59.0 };
        assert_eq!(fit_power(&points(made)[..4]), None);
    }
}
