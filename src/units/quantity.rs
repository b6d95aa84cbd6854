//! Reads and prints quantities: a number and a unit from the closed table of its kind. What a user wrote and what would do
//! are both in the error.

use std::fmt;

/// Why a text is not a quantity of the asked kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}: {why}")]
pub struct QuantityError {
    /// What the user wrote.
    pub found: String,
    /// What would do, with an example.
    pub expected: &'static str,
    /// What is wrong with it.
    pub why: String,
}

/// The units of one kind of quantity and how many base units each is.
pub(super) type Units = &'static [(&'static str, f64)];

// SI prefixes are powers of ten, IEC prefixes (Ki, Mi, …) powers of two: tera is 1e12, never 2^40 (BIPM, SI brochure, 9th ed., ch. 3).
pub(super) const TIME: Units = &[
    ("s", 1.0),
    ("ns", 1e-9),
    ("us", 1e-6),
    ("ms", 1e-3),
    ("min", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
    ("days", 86_400.0),
    ("weeks", 604_800.0),
];
pub(super) const POWER: Units = &[("W", 1.0), ("mW", 1e-3), ("kW", 1e3), ("MW", 1e6), ("GW", 1e9)];
pub(super) const MONEY: Units = &[("USD", 1.0)];
pub(super) const TOKENS: Units = &[("tokens", 1.0), ("k", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)];
pub(super) const DATA: Units = &[
    ("B", 1.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("PB", 1e15),
    ("KiB", 1_024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
];
pub(super) const ENERGY_PRICE: Units = &[("USD/kWh", 1.0), ("USD/MWh", 1e-3)];
pub(super) const HOURLY_PRICE: Units = &[("USD/h", 1.0)];
pub(super) const DEMAND_PRICE: Units = &[("USD/kW", 1.0), ("USD/MW", 1e-3)];
pub(super) const CARBON_INTENSITY: Units = &[("gCO2e/kWh", 1.0), ("kgCO2e/kWh", 1e3), ("kgCO2e/MWh", 1.0)];
pub(super) const HOURLY_CARBON: Units = &[("gCO2e/h", 1.0), ("kgCO2e/h", 1e3)];
pub(super) const WATER_INTENSITY: Units = &[("L/kWh", 1.0), ("L/MWh", 1e-3), ("m3/MWh", 1.0)];
pub(super) const RATE: Units = &[
    ("/s", 1.0),
    ("/min", 1.0 / 60.0),
    ("/h", 1.0 / 3_600.0),
    ("/d", 1.0 / 86_400.0),
    ("req/s", 1.0),
    ("tokens/s", 1.0),
];
pub(super) const FLOPS: Units = &[("FLOP/s", 1.0), ("GFLOP/s", 1e9), ("TFLOP/s", 1e12), ("PFLOP/s", 1e15)];
pub(super) const BANDWIDTH: Units =
    &[("B/s", 1.0), ("MB/s", 1e6), ("GB/s", 1e9), ("TB/s", 1e12), ("GiB/s", 1_073_741_824.0), ("Gbit/s", 1.25e8)];
pub(super) const SHARE: Units = &[("%", 0.01)];
pub(super) const RATIO: Units = &[];

/// `value` as an integer count of the finest unit, or what is wrong with it.
pub(super) fn unsigned(value: f64) -> Result<u64, &'static str> {
    let value = non_negative(value)?.round();
    // 2^63: half of what fits, so that sums of two inputs cannot overflow.
    if value >= 9_223_372_036_854_775_808.0 { Err("is too large") } else { Ok(value as u64) }
}

/// `value` as a signed integer count of the finest unit, or what is wrong with it.
pub(super) fn signed(value: f64) -> Result<i64, &'static str> {
    if !value.is_finite() {
        return Err("is not a finite number");
    }
    if value.abs() >= 9_223_372_036_854_775_808.0 { Err("is too large") } else { Ok(value.round() as i64) }
}

/// `value` where it is finite and not negative.
pub(super) fn non_negative(value: f64) -> Result<f64, &'static str> {
    if !value.is_finite() {
        Err("is not a finite number")
    } else if value < 0.0 {
        Err("is negative")
    } else {
        Ok(value)
    }
}

/// The value of `text` in base units: `[$]number[ unit]`, with the unit from `units`. A `$` in front stands for `USD` in the unit.
/// A bare number is taken only where `bare` says that the kind has one.
pub(super) fn parse(text: &str, units: Units, bare: bool) -> Result<f64, String> {
    let trimmed = text.trim();
    let (dollars, rest) = match trimmed.strip_prefix('$') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, trimmed),
    };
    let (number, unit) = rest.split_at(number_length(rest));
    let value: f64 = number.replace('_', "").parse().map_err(|_| "no number in front".to_owned())?;
    let unit = unit.trim();
    let written = if dollars { format!("USD{unit}") } else { unit.to_owned() };
    if written.is_empty() {
        return if bare { Ok(value) } else { Err(format!("the unit is missing, one of {}", list(units))) };
    }
    match units.iter().find(|(name, _)| *name == written) {
        Some((_, factor)) => Ok(value * factor),
        None if units.is_empty() => Err(format!("a plain number has no unit, found {unit:?}")),
        None => Err(format!("unknown unit {unit:?}, use one of {}", list(units))),
    }
}

/// The value of a quantity of any kind in the base unit of its kind, and that unit: `("30 min")` is 1800 s. None for a text that
/// is none. Data in `B` are bytes: tokens are written as numbers.
#[must_use]
pub fn canonical(text: &str) -> Option<(f64, &'static str)> {
    const KINDS: [Units; 13] = [
        TIME,
        POWER,
        MONEY,
        DATA,
        ENERGY_PRICE,
        HOURLY_PRICE,
        DEMAND_PRICE,
        CARBON_INTENSITY,
        HOURLY_CARBON,
        WATER_INTENSITY,
        RATE,
        FLOPS,
        BANDWIDTH,
    ];
    KINDS.iter().find_map(|units| Some((parse(text, units, false).ok()?, units[0].0)))
}

/// Length of the leading decimal number in `text`, exponent included. "2e3" is a number, "2 eggs" and "2eV" start with one.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while at < bytes.len() && (bytes[at].is_ascii_digit() || matches!(bytes[at], b'.' | b'_')) {
            at += 1;
        }
        at
    };
    let sign = |at: usize| at + usize::from(at < bytes.len() && matches!(bytes[at], b'+' | b'-'));
    let mantissa = digits(sign(0));
    if mantissa < bytes.len() && matches!(bytes[mantissa], b'e' | b'E') {
        let exponent = sign(mantissa + 1);
        if exponent < bytes.len() && bytes[exponent].is_ascii_digit() {
            return digits(exponent);
        }
    }
    mantissa
}

fn list(units: Units) -> String {
    units
        .iter()
        .map(|(name, _)| name.strip_prefix("USD").map_or((*name).to_owned(), |rest| format!("$…{rest}")))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Prints `value` in the largest unit of `larger` that it reaches and that tells it whole (640 min are 10.666… h), else rounded in the
/// largest that it reaches, or in `base` (which for time is the smallest, a billionth). With `{:#}` nothing is rounded.
pub(super) fn scaled(f: &mut fmt::Formatter<'_>, value: f64, base: &str, larger: &[(f64, &str)]) -> fmt::Result {
    // What remains of a double after a division and a product.
    const SAME: f64 = 1e-13;
    let tells = |factor: f64| (round_printed(value / factor) * factor - value).abs() <= SAME * value;
    let reached = || larger.iter().filter(|(factor, _)| value >= *factor);
    let unit = if base == "ns" { 1e-9 } else { 1.0 };
    match reached().find(|(factor, _)| tells(*factor)).or_else(|| reached().next().filter(|_| !f.alternate())) {
        Some((factor, name)) => write!(f, "{} {name}", round_printed(value / factor)),
        None if !f.alternate() || tells(unit) => write!(f, "{} {base}", round_printed(value / unit)),
        None => write!(f, "{value} {}", if base == "ns" { "s" } else { base }),
    }
}

/// Nine significant digits: more than any input has, few enough to hide binary fractions.
fn round_printed(value: f64) -> f64 {
    format!("{value:.8e}").parse().expect("a printed number parses")
}

/// Implements reading (`FromStr`, serde, JSON schema) for a unit type: its kind's words, its table, and whether a bare number will do.
macro_rules! quantity {
    ($name:ident, $expected:literal, $units:expr) => {
        quantity!(@impl $name, $expected, $units, false);
    };
    ($name:ident, $expected:literal, $units:expr, number) => {
        quantity!(@impl $name, $expected, $units, true);
    };
    (@impl $name:ident, $expected:literal, $units:expr, $bare:literal) => {
        impl std::str::FromStr for $name {
            type Err = $crate::units::QuantityError;
            fn from_str(text: &str) -> Result<$name, Self::Err> {
                let base = $crate::units::quantity::parse(text, $units, $bare);
                base.and_then(|value| $name::from_base(value).map_err(|why| format!("the value {why}"))).map_err(|why| {
                    $crate::units::QuantityError { found: text.to_owned(), expected: $expected, why }
                })
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<$name, E> {
                        if !$bare {
                            return Err(E::custom(format!("expected {}, found the bare number {value}: the unit is missing", $expected)));
                        }
                        $name::from_base(value).map_err(|why| E::custom(format!("expected {}, found {value}: the value {why}", $expected)))
                    }
                    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<$name, E> {
                        self.visit_f64(value as f64)
                    }
                    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<$name, E> {
                        self.visit_f64(value as f64)
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }

        impl serde::Serialize for $name {
            /// As a scenario writes it: a number where a bare one will do, else the text with its unit.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let text = format!("{self:#}");
                if !$bare {
                    return serializer.collect_str(&text);
                }
                let base = $crate::units::quantity::parse(&text, $units, true);
                serializer.serialize_f64(base.expect("what we print we can read"))
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let kind = if $bare { serde_json::json!(["number", "string"]) } else { serde_json::json!("string") };
                schemars::json_schema!({ "type": kind, "description": $expected })
            }
        }
    };
}
pub(super) use quantity;

#[cfg(test)]
mod tests {
    use crate::units::*;

    #[test]
    fn reads_what_the_documents_write() {
        assert_eq!("30 min".parse::<Span>(), Ok(Span::from_secs(1_800)));
        assert_eq!("540 d".parse::<Span>(), Ok(Span::DAY * 540));
        assert_eq!("0 s".parse::<Span>(), Ok(Span::ZERO));
        assert_eq!("700 W".parse::<Watts>(), Ok(Watts::new(700)));
        assert_eq!("80 GiB".parse::<Bytes>(), Ok(Bytes::new(80 << 30)));
        assert_eq!("15.6 T".parse::<Tokens>(), Ok(Tokens::new(15_600_000_000_000)));
        assert_eq!("0.35 kgCO2e/kWh".parse::<GramsPerKwh>(), Ok(GramsPerKwh::from_micro(350_000_000)));
        assert_eq!("3000 /s".parse::<PerSecond>(), Ok(PerSecond::new(3000.0)));
        assert_eq!("989.5 TFLOP/s".parse::<FlopsPerSecond>(), Ok(FlopsPerSecond::new(989.5e12)));
    }

    #[test]
    fn says_what_is_wrong_and_what_would_do() {
        let error = |text: &str| text.parse::<Span>().expect_err("not a duration").to_string();
        assert_eq!(
            error("30"),
            "expected a duration such as \"30 min\", \"1 h\" or \"540 d\", found \"30\": the unit is missing, one of s, ns, us, ms, min, h, d, days, weeks"
        );
        assert!(error("30 W").contains("unknown unit \"W\""));
        assert!(error("-3 s").contains("the value is negative"));
        assert!(error("1e30 d").contains("the value is too large"));
        assert!(error("soon").contains("no number in front"));
        assert!("1.2".parse::<Share>().expect_err("above 1").to_string().contains("is above 1"));
    }

    #[test]
    fn any_quantity_has_one_canonical_value() {
        let cases = [
            ("30 min", 1_800.0, "s"),
            ("30 MW", 3e7, "W"),
            ("80 GiB", 85_899_345_920.0, "B"),
            ("$79.6/MWh", 0.0796, "USD/kWh"),
            ("$270000", 270_000.0, "USD"),
            ("0.35 kgCO2e/kWh", 350.0, "gCO2e/kWh"),
            ("6 /min", 0.1, "/s"),
            ("3.35 TB/s", 3.35e12, "B/s"),
        ];
        for (text, value, unit) in cases {
            let (found, of) = canonical(text).expect("a quantity");
            assert!((found - value).abs() <= 1e-12 * value && of == unit, "{text}: {found} {of}");
        }
        for none in ["erco", "2026-01-01T00:00:00Z", "auto", "", "7"] {
            assert_eq!(canonical(none), None, "{none}");
        }
    }

    /// What a scenario gives, its sections say again to the last digit.
    #[test]
    fn sections_say_what_was_read() {
        for text in
            ["640 min", "10 min", "12345678.25 s", "1.7 weeks", "100.3 ms", "38400123456789 ns", "0.1 s", "7 ns"]
        {
            let read: Span = text.parse().expect("a duration");
            let told = serde_json::to_value(read).expect("it is text");
            let (value, unit) = canonical(told.as_str().expect("it is text")).expect("a quantity");
            let expected = read.as_secs_f64();
            assert!((value - expected).abs() <= 1e-15 * expected && unit == "s", "{text}: {told}, {value}");
        }
        assert_eq!(serde_json::to_value(Watts::from_milli(23_456_789_123)).expect("it is text"), "23456789.123 W");
    }

    #[test]
    fn prints_in_a_readable_unit() {
        assert_eq!(Span::from_secs(90).to_string(), "1.5 min");
        assert_eq!(Watts::new(23_500_000).to_string(), "23.5 MW");
        assert_eq!(Bytes::new(5_682_000_000_000).to_string(), "5.682 TB");
        assert_eq!(Span::from_secs(38_400).to_string(), "640 min");
        assert_eq!(Span::from_nanos(100_300_000).to_string(), "100.3 ms");
        assert_eq!(Span::from_nanos(38_400_123_456_789).to_string(), "10.666701 h");
    }
}
