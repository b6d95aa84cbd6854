//! A comparison as a sentence: "-5.7 % +- 0.5 % (paired, n = 20)", or "no difference shown".

use crate::ledger::{Paired, Welch};

/// What `paired` shows of a figure in `unit`: the difference and the half-width of its 95 % interval, in per cent of the baseline
/// where that is not zero.
#[must_use]
pub fn sentence(paired: &Paired, unit: &str) -> String {
    let n = paired.difference.n;
    let (unit, difference, half_width) = match paired.percent(paired.difference.mean) {
        Some(percent) => ("%", percent, paired.difference.half_width.and_then(|half_width| paired.percent(half_width))),
        None => (unit, paired.difference.mean, paired.difference.half_width),
    };
    words(unit, difference, half_width, &format!("paired, n = {n}"))
}

/// What `welch` shows of a figure in `unit`, as [`sentence`] says it.
#[must_use]
pub fn welch_sentence(welch: &Welch, unit: &str) -> String {
    let (one, two) = welch.n;
    let (unit, difference, half_width) = match welch.percent(welch.difference) {
        Some(percent) => ("%", percent, welch.half_width.and_then(|half_width| welch.percent(half_width))),
        None => (unit, welch.difference, welch.half_width),
    };
    words(unit, difference, half_width, &format!("not paired, n = {one} and {two}"))
}

fn words(unit: &str, difference: f64, half_width: Option<f64>, how: &str) -> String {
    let Some(half_width) = half_width else {
        return format!("{} {unit} (one run, no interval)", signed(difference, places(difference)));
    };
    if difference.abs() <= half_width {
        return format!("no difference shown ({how})");
    }
    // The interval says how many digits of the difference mean something.
    let places = places(if half_width > 0.0 { half_width } else { difference });
    format!("{} {unit} +- {half_width:.places$} {unit} ({how})", signed(difference, places))
}

fn signed(value: f64, places: usize) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:+.places$}") }
}

/// Decimals that show one significant digit of `value`, two where the first is a 1; none from 10 on.
fn places(value: f64) -> usize {
    let value = value.abs();
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    let exponent = libm::floor(libm::log10(value));
    let first = value / libm::pow(10.0, exponent);
    let digits = if first < 2.0 { 1.0 } else { 0.0 };
    (digits - exponent).clamp(0.0, 12.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Spread;

    fn paired(base: f64, differences: &[f64]) -> Paired {
        let difference = Spread::of(differences).unwrap();
        Paired { base, mean: base + difference.mean, difference }
    }

    #[test]
    fn a_difference_is_said_in_per_cent_with_its_interval() {
        // Mean -5.7, sd 0.2, t(2) = 4.302653: half-width 0.4968.
        assert_eq!(sentence(&paired(100.0, &[-5.5, -5.7, -5.9]), "s"), "-5.7 % +- 0.5 % (paired, n = 3)");
        assert_eq!(sentence(&paired(100.0, &[5.0, -5.7, 1.0]), "s"), "no difference shown (paired, n = 3)");
        assert_eq!(sentence(&paired(0.0, &[3.0, 3.1, 3.2]), "count"), "+3.1 count +- 0.2 count (paired, n = 3)");
        assert_eq!(sentence(&paired(50.0, &[2.0, 2.0]), "s"), "+4 % +- 0 % (paired, n = 2)");
        assert_eq!(sentence(&paired(50.0, &[2.0]), "s"), "+4 % (one run, no interval)");
        assert_eq!(sentence(&paired(50.0, &[0.0]), "s"), "0 % (one run, no interval)");
        assert_eq!(sentence(&paired(1000.0, &[500.0, 512.0, 530.0]), "s"), "+51 % +- 4 % (paired, n = 3)");
    }
}
