//! Numbers as text, the same on every machine: plain decimals, no exponent, no trailing zeros, missing = empty.

use std::fmt::Write;

/// A number to 12 significant digits, as the files write it.
#[must_use]
pub fn number(value: f64) -> String {
    figure(Some(value))
}

/// A figure to 12 significant digits, as the shortest decimal.
pub(super) fn figure(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return String::new() };
    let rounded: f64 = format!("{value:.11e}").parse().expect("what we print we can read");
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// A figure to so many decimals, into a buffer that is used again.
pub(super) fn decimals(buffer: &mut String, value: f64, places: usize) -> &str {
    buffer.clear();
    write!(buffer, "{value:.places$}").expect("a string can always be written to");
    if buffer.contains('.') {
        buffer.truncate(buffer.trim_end_matches('0').trim_end_matches('.').len());
    }
    if buffer == "-0" { "0" } else { buffer }
}

/// A figure for people: at least three significant digits, thousands apart.
pub(super) fn people(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    let places = match magnitude {
        m if m >= 99.95 => 0,
        m if m >= 9.995 => 1,
        m if m >= 0.9995 => 2,
        _ => (2 - libm::floor(libm::log10(magnitude)) as i32).clamp(0, 12) as usize,
    };
    thousands(&format!("{value:.places$}"))
}

/// A count for people: no fraction, thousands apart.
pub(super) fn whole(value: f64) -> String {
    thousands(&format!("{value:.0}"))
}

/// Commas between thousands.
fn thousands(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, String::new()), |(w, f)| (w, format!(".{f}")));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_plain() {
        let cases = [
            (Some(0.1 + 0.2), "0.3"),
            (Some(7.372_800_000_000_001), "7.3728"),
            (Some(1.2e11), "120000000000"),
            (Some(8e-7), "0.0000008"),
            (Some(-0.0), "0"),
            (Some(f64::NAN), ""),
            (None, ""),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn decimals_lose_their_zeros_only() {
        let mut buffer = String::new();
        for (value, places, text) in
            [(100.0, 0, "100"), (100.0, 6, "100"), (0.125, 2, "0.12"), (-1e-9, 6, "0"), (1.5, 3, "1.5")]
        {
            assert_eq!(decimals(&mut buffer, value, places), text);
        }
    }

    #[test]
    fn people_read_three_digits() {
        let cases = [
            (34_406_400.4, "34,406,400"),
            (999.96, "1,000"),
            (45.67, "45.7"),
            (1.234, "1.23"),
            (0.000_123_4, "0.000123"),
            (0.0, "0"),
            (-1234.5, "-1,234"),
        ];
        for (value, text) in cases {
            assert_eq!(people(value), text, "for {value}");
        }
    }
}
