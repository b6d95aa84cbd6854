//! Numbers as text, the same on every machine: plain decimals, no exponent, no trailing zeros, missing = empty.

use std::fmt::Write as _;
use std::io::Write as _;

/// A number to 12 significant digits, as the files write it.
#[must_use]
pub fn number(value: f64) -> String {
    figure(Some(value))
}

/// A figure to 12 significant digits, as the shortest decimal.
pub(super) fn figure(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return String::new() };
    if value == 0.0 {
        return "0".to_owned();
    }
    decimal(value)
}

/// The decimal digits of what `{:.11e}` prints, with the point in its place. A decimal of 15 digits or fewer is the shortest of its
/// number, so that nothing has to be read back; below the normal numbers that does not hold.
fn decimal(value: f64) -> String {
    const DIGITS: usize = 12;
    if !value.is_normal() {
        let rounded: f64 = format!("{value:.11e}").parse().expect("what we print we can read");
        return if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() };
    }
    let mut text = [0_u8; 24];
    let mut rest = &mut text[..];
    write!(rest, "{:.11e}", value.abs()).expect("twelve digits and an exponent fit");
    let length = 24 - rest.len();
    let printed = std::str::from_utf8(&text[..length]).expect("numbers are ASCII");
    let (mantissa, exponent) = printed.split_once('e').expect("it has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    let mut digits = [0_u8; DIGITS];
    digits.iter_mut().zip(mantissa.bytes().filter(|byte| *byte != b'.')).for_each(|(digit, byte)| *digit = byte);
    let digits = std::str::from_utf8(&digits).expect("digits are ASCII").trim_end_matches('0');
    let mut decimal = String::with_capacity(24);
    if value < 0.0 {
        decimal.push('-');
    }
    let zeros = |decimal: &mut String, count: usize| (0..count).for_each(|_| decimal.push('0'));
    match usize::try_from(exponent) {
        Err(_) => {
            decimal.push_str("0.");
            zeros(&mut decimal, exponent.unsigned_abs() as usize - 1);
            decimal.push_str(digits);
        }
        Ok(exponent) if exponent + 1 >= digits.len() => {
            decimal.push_str(digits);
            zeros(&mut decimal, exponent + 1 - digits.len());
        }
        Ok(exponent) => {
            decimal.push_str(&digits[..=exponent]);
            decimal.push('.');
            decimal.push_str(&digits[exponent + 1..]);
        }
    }
    decimal
}

/// A figure to so many decimals, into a buffer that is used again.
pub(super) fn decimals(buffer: &mut String, value: f64, places: usize) -> &str {
    buffer.clear();
    push_decimals(buffer, value, places);
    buffer
}

/// Writes a figure to so many decimals, at most nine, behind what `text` holds.
pub(super) fn push_decimals(text: &mut String, value: f64, places: usize) {
    // Most of what a timeline says of spares and of repair is nothing.
    if value == 0.0 {
        return text.push('0');
    }
    match scaled(value, places) {
        Some(digits) => push_scaled(text, value < 0.0 && digits > 0, digits, places),
        None => {
            let from = text.len();
            write!(text, "{value:.places$}").expect("a string can always be written to");
            if text[from..].contains('.') {
                text.truncate(from + text[from..].trim_end_matches('0').trim_end_matches('.').len());
            }
            if &text[from..] == "-0" {
                text.replace_range(from.., "0");
            }
        }
    }
}

/// The digits of `value` with so many decimals, where one multiplication tells them for sure: it is off by half a unit in its last
/// place at most, so that only a product within that of a tie, or one too large for it, needs the long way. Ten times quicker.
fn scaled(value: f64, places: usize) -> Option<u64> {
    const TENS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    // Below 2^50 a double has three bits or more behind the point.
    const LARGEST: f64 = 1_125_899_906_842_624.0;
    let product = value.abs() * TENS.get(places)?;
    // Not a number is not below it either.
    if product >= LARGEST || product.is_nan() {
        return None;
    }
    let (digits, rest) = (product as u64, product - product.trunc());
    if (rest - 0.5).abs() <= product * f64::EPSILON { None } else { Some(digits + u64::from(rest > 0.5)) }
}

/// Writes `digits` with the last `places` of them behind the point, without trailing zeros.
fn push_scaled(text: &mut String, is_negative: bool, mut digits: u64, mut places: usize) {
    while places > 0 && digits.is_multiple_of(10) {
        (digits, places) = (digits / 10, places - 1);
    }
    // 20 digits, the point, a zero before it and a sign.
    let mut written = [b'0'; 24];
    let mut at = written.len();
    let mut left = 0;
    while digits > 0 || left <= places {
        if left == places && places > 0 {
            at -= 1;
            written[at] = b'.';
        }
        at -= 1;
        written[at] = b'0' + (digits % 10) as u8;
        (digits, left) = (digits / 10, left + 1);
    }
    if is_negative {
        at -= 1;
        written[at] = b'-';
    }
    text.push_str(std::str::from_utf8(&written[at..]).expect("digits are text"));
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
    use proptest::prelude::*;

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

    /// The decimal that is shortest is the one with no digit too many.
    #[test]
    fn figures_are_their_rounded_numbers_shortest_decimals() {
        let shortest = |value: f64| {
            let rounded: f64 = format!("{value:.11e}").parse().unwrap();
            if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
        };
        // Every power of ten, its neighbours, and digits that round up into the next.
        for exponent in -320..=308 {
            for digits in ["1", "9.99999999999", "9.999999999999", "1.00000000001", "1.23456789012345", "5", "2.5"] {
                let value: f64 = format!("{digits}e{exponent}").parse().unwrap();
                if value.is_finite() {
                    assert_eq!(figure(Some(value)), shortest(value), "{digits}e{exponent}");
                    assert_eq!(figure(Some(-value)), shortest(-value), "-{digits}e{exponent}");
                }
            }
        }
        let mut bits: u64 = 1;
        for _ in 0..20_000 {
            // Knuth's multiplier: numbers from all over.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(figure(Some(value)), shortest(value), "{value:e}");
            }
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

    proptest! {
        /// The quick way writes what the standard library does.
        #[test]
        fn decimals_are_those_of_the_standard_library(
            value in prop_oneof![-1e3..1e3, -1e-5..1e-5, -1e12..1e12, any::<f64>(), (-4_000_i32..4_000).prop_map(|n| f64::from(n) / 128.0)],
            places in 0_usize..10,
        ) {
            let mut slow = format!("{value:.places$}");
            if slow.contains('.') {
                slow.truncate(slow.trim_end_matches('0').trim_end_matches('.').len());
            }
            let slow = if slow == "-0" { "0".to_owned() } else { slow };
            let mut buffer = String::new();
            prop_assert_eq!(decimals(&mut buffer, value, places), slow);
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
