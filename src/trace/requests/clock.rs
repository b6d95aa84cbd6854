//! Times as files write them, in integer nanoseconds, without a detour over floating point.

use jiff::Timestamp;
use jiff::civil::DateTime;

/// How a file writes its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Date and time of day without a zone.
    Naive,
    /// Date and time of day with an offset or `Z`.
    Offset,
    /// A date and time of day of either kind.
    Date,
    /// A number of units of that many powers of ten nanoseconds: 9 for seconds, 0 for nanoseconds.
    Number(i32),
}

impl Clock {
    /// The unit that a column map calls it.
    pub(super) fn of_unit(unit: &str) -> Option<Clock> {
        match unit {
            "s" => Some(Clock::Number(9)),
            "ms" => Some(Clock::Number(6)),
            "us" => Some(Clock::Number(3)),
            "ns" => Some(Clock::Number(0)),
            "date" => Some(Clock::Date),
            _ => None,
        }
    }

    /// `text` in nanoseconds since an epoch of the file's own.
    pub(super) fn nanos(self, text: &str) -> Option<i128> {
        match self {
            Clock::Naive => naive(text),
            Clock::Offset => offset(text),
            Clock::Date => naive(text).or_else(|| offset(text)),
            Clock::Number(power) => decimal(text, power),
        }
    }

    /// What it takes, in words.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Clock::Naive => "a time without zone such as 2023-11-16 18:15:46.6805900",
            Clock::Offset => "a time with its offset such as 2024-05-12 00:00:00.009930+00:00",
            Clock::Date => "a date and time such as 2024-05-12 00:00:00",
            Clock::Number(_) => "a number",
        }
    }
}

fn offset(text: &str) -> Option<i128> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_nanosecond)
}

/// `YYYY-MM-DD HH:MM:SS` and decimals, nothing after: an offset would make it another format.
fn naive(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let is_naive = bytes.len() >= 19
        && (bytes[10] == b' ' || bytes[10] == b'T')
        && bytes[19..].iter().enumerate().all(|(at, byte)| if at == 0 { *byte == b'.' } else { byte.is_ascii_digit() });
    let time = if is_naive { text.parse::<DateTime>().ok()? } else { return None };
    Some(time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_nanos())
}

/// A decimal number times ten to the `power`, to the nearest whole.
fn decimal(text: &str, power: i32) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|tens| tens.abs() <= 30)?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit()) {
        return None;
    }
    // Twenty decimals reach far below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(20)];
    let digits = format!("{whole}{fraction}");
    let value: i128 = if digits.len() <= 38 { digits.parse().ok()? } else { return None };
    let shift = power + exponent - fraction.len() as i32;
    let ten = |power: u32| 10_i128.checked_pow(power);
    let value = match u32::try_from(shift) {
        Ok(up) => value.checked_mul(ten(up)?)?,
        Err(_) => {
            let unit = ten(shift.unsigned_abs())?;
            (value + unit / 2) / unit
        }
    };
    // Beyond the years that any clock shows, differences would not fit the simulator's.
    (value < 1 << 100).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_nanoseconds_exactly() {
        for (text, power, expected) in [
            ("0", 9, Some(0)),
            ("1777142838.338653", 9, Some(1_777_142_838_338_653_000)),
            ("3500", 6, Some(3_500_000_000)),
            ("1.5e3", 9, Some(1_500_000_000_000)),
            ("2e-9", 9, Some(2)),
            ("0.0000000014", 9, Some(1)),
            ("-0.25", 9, Some(-250_000_000)),
            ("12345678901", 0, Some(12_345_678_901)),
            (".5", 9, Some(500_000_000)),
            ("", 9, None),
            (".", 9, None),
            ("nan", 9, None),
            ("1_000", 9, None),
            ("1e400", 9, None),
        ] {
            assert_eq!(decimal(text, power), expected, "{text}");
        }
    }

    #[test]
    fn dates_with_and_without_offset_are_told_apart() {
        let naive = "2024-05-12 00:00:00.5";
        let zoned = ["2024-05-12 00:00:00.500000+00:00", "2024-05-12T02:00:00.5+02:00", "2024-05-12T00:00:00.5Z"];
        assert_eq!(Clock::Naive.nanos(naive), Some(1_715_472_000_500_000_000));
        assert_eq!(Clock::Offset.nanos(naive), None);
        for zoned in zoned {
            assert_eq!(Clock::Offset.nanos(zoned), Some(1_715_472_000_500_000_000), "{zoned}");
            assert_eq!(Clock::Naive.nanos(zoned), None, "{zoned}");
            assert_eq!(Clock::Date.nanos(zoned), Clock::Date.nanos(naive));
        }
        assert_eq!(Clock::Offset.nanos("2024-05-12 00:00:00+00:00"), Some(1_715_472_000_000_000_000));
    }
}
