//! Amounts that are conserved: integers fine enough that rounding is below what anyone bills, wide enough for a century of
//! the largest site. Integer sums are exact and do not depend on order.

use super::quantity::{self, quantity};
use super::split::Weights;
use super::time::Span;

/// Divides to the nearest integer, halves away from zero.
pub(super) const fn divide_rounded(numerator: i128, denominator: i128) -> i128 {
    let half = denominator / 2;
    if numerator >= 0 { (numerator + half) / denominator } else { (numerator - half) / denominator }
}

/// Implements the arithmetic and totals that every conserved amount has.
macro_rules! amount {
    ($name:ident, $repr:ty) => {
        impl $name {
            /// Nothing.
            pub const ZERO: $name = $name(0);

            /// `self - other`, or zero where `other` is larger.
            #[must_use]
            pub const fn saturating_sub(self, other: $name) -> $name {
                $name(if other.0 > self.0 { 0 } else { self.0 - other.0 })
            }

            /// True for an amount of exactly zero.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// `self` as a fraction of `whole`; zero where `whole` is zero.
            #[must_use]
            pub fn fraction_of(self, whole: $name) -> f64 {
                if whole.0 == 0 { 0.0 } else { self.0 as f64 / whole.0 as f64 }
            }

            /// Splits `self` in proportion to `weights`, to the last unit: shares are rounded down and the remainder goes, one
            /// unit each, to the largest fractions (ties to the earlier index). With all weights zero the first takes all.
            #[must_use]
            pub fn split(self, weights: &[u128]) -> Vec<$name> {
                let mut parts = vec![$name(0); weights.len()];
                self.cut(&mut Weights::new(weights), |index, part| parts[index] = part);
                parts
            }

            /// As [`split`](Self::split), by compiled weights: hands each part that is not zero to `give`, with its index, in order.
            pub fn cut(self, weights: &mut Weights, mut give: impl FnMut(usize, $name)) {
                let whole = self.0 as i128;
                weights.cut(whole.unsigned_abs(), |index, part| {
                    let part = if whole < 0 { -(part as i128) } else { part as i128 };
                    give(index, $name(part as $repr));
                });
            }
        }
        impl $name {
            /// As [`cut`](Self::cut): the part of the first weight.
            #[must_use]
            #[inline]
            pub fn first_part(self, weights: &mut Weights) -> $name {
                let whole = self.0 as i128;
                let part = weights.first(whole.unsigned_abs()) as i128;
                $name((if whole < 0 { -part } else { part }) as $repr)
            }
        }
        impl std::ops::Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(self.0 + other.0)
            }
        }
        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                self.0 += other.0;
            }
        }
        impl std::ops::Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(self.0 - other.0)
            }
        }
        impl std::ops::SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                self.0 -= other.0;
            }
        }
        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = $name>>(items: I) -> $name {
                items.fold($name::ZERO, |total, item| total + item)
            }
        }
    };
}

/// Power, in integer milliwatts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Watts(u64);
amount!(Watts, u64);
quantity!(Watts, "a power such as \"700 W\" or \"30 MW\"", quantity::POWER);

impl Watts {
    /// Power of a whole number of watts.
    #[must_use]
    pub const fn new(watts: u64) -> Watts {
        Watts(watts * 1000)
    }
    /// Power from integer milliwatts.
    #[must_use]
    pub const fn from_milli(milliwatts: u64) -> Watts {
        Watts(milliwatts)
    }
    /// Power in integer milliwatts.
    #[must_use]
    pub const fn milli(self) -> u64 {
        self.0
    }
    /// Power from watts, to the nearest milliwatt. Negative and NaN give zero.
    #[must_use]
    pub fn from_f64(watts: f64) -> Watts {
        Watts((watts * 1e3).round() as u64)
    }
    /// Power in watts.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }
    fn from_base(watts: f64) -> Result<Watts, &'static str> {
        quantity::unsigned(watts * 1e3).map(Watts)
    }
}

impl std::ops::Mul<u64> for Watts {
    type Output = Watts;
    fn mul(self, count: u64) -> Watts {
        Watts(self.0 * count)
    }
}

impl std::ops::Mul<Span> for Watts {
    type Output = Joules;
    /// Milliwatts times nanoseconds are picojoules, exactly.
    fn mul(self, span: Span) -> Joules {
        Joules(u128::from(self.0) * u128::from(span.nanos()))
    }
}

impl std::fmt::Display for Watts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        quantity::scaled(f, self.as_f64(), "W", &[(1e9, "GW"), (1e6, "MW"), (1e3, "kW")])
    }
}

/// Energy, in integer picojoules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Joules(u128);
amount!(Joules, u128);

/// Picojoules in a kilowatt-hour: 1e3 W x 3,600 s x 1e12.
pub(super) const PICOJOULES_PER_KWH: u128 = 3_600_000_000_000_000_000;

impl Joules {
    /// Energy from integer picojoules.
    #[must_use]
    pub const fn from_pico(picojoules: u128) -> Joules {
        Joules(picojoules)
    }
    /// Energy in integer picojoules.
    #[must_use]
    pub const fn pico(self) -> u128 {
        self.0
    }
    /// Energy in joules.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e12
    }
    /// Energy in kilowatt-hours.
    #[must_use]
    pub fn kwh(self) -> f64 {
        self.0 as f64 / PICOJOULES_PER_KWH as f64
    }
    /// `self` times `factor`, to the nearest picojoule.
    #[must_use]
    pub fn scale(self, factor: f64) -> Joules {
        Joules((self.0 as f64 * factor).round() as u128)
    }
    /// Mean power when spent evenly over `span`; zero over no time.
    #[must_use]
    pub fn mean_over(self, span: Span) -> Watts {
        if span.nanos() == 0 { Watts::ZERO } else { Watts((self.0 / u128::from(span.nanos())) as u64) }
    }
}

/// Money, in integer nanodollars (1e-9 USD). Signed: prices go negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dollars(i128);
amount!(Dollars, i128);
quantity!(Dollars, "an amount of money such as \"$270000\"", quantity::MONEY);

impl Dollars {
    /// Money from integer nanodollars.
    #[must_use]
    pub const fn from_nano(nanodollars: i128) -> Dollars {
        Dollars(nanodollars)
    }
    /// Money in integer nanodollars.
    #[must_use]
    pub const fn nano(self) -> i128 {
        self.0
    }
    /// Money from dollars, to the nearest nanodollar.
    #[must_use]
    pub fn from_f64(dollars: f64) -> Dollars {
        Dollars((dollars * 1e9).round() as i128)
    }
    /// Money in dollars.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    fn from_base(dollars: f64) -> Result<Dollars, &'static str> {
        quantity::signed(dollars * 1e9).map(|nano| Dollars(i128::from(nano)))
    }
}

impl std::fmt::Display for Dollars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}", self.as_f64())
    }
}

/// Greenhouse gas, in integer micrograms of CO2 equivalent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GramsCo2e(u128);
amount!(GramsCo2e, u128);

impl GramsCo2e {
    /// Mass from integer micrograms.
    #[must_use]
    pub const fn from_micro(micrograms: u128) -> GramsCo2e {
        GramsCo2e(micrograms)
    }
    /// Mass in integer micrograms.
    #[must_use]
    pub const fn micro(self) -> u128 {
        self.0
    }
    /// Mass in kilograms.
    #[must_use]
    pub fn kg(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// Water, in integer microlitres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Litres(u128);
amount!(Litres, u128);

impl Litres {
    /// Volume from integer microlitres.
    #[must_use]
    pub const fn from_micro(microlitres: u128) -> Litres {
        Litres(microlitres)
    }
    /// Volume in integer microlitres.
    #[must_use]
    pub const fn micro(self) -> u128 {
        self.0
    }
    /// Volume in litres.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Accelerator time, in GPU-nanoseconds: one for each GPU and nanosecond held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GpuTime(u128);
amount!(GpuTime, u128);

impl GpuTime {
    /// `gpus` held for `span`.
    #[must_use]
    pub fn new(gpus: u32, span: Span) -> GpuTime {
        GpuTime(u128::from(gpus) * u128::from(span.nanos()))
    }
    /// Accelerator time from integer GPU-nanoseconds.
    #[must_use]
    pub const fn from_nanos(gpu_nanos: u128) -> GpuTime {
        GpuTime(gpu_nanos)
    }
    /// Accelerator time in integer GPU-nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> u128 {
        self.0
    }
    /// Accelerator time in GPU-hours.
    #[must_use]
    pub fn gpu_hours(self) -> f64 {
        self.0 as f64 / 3.6e12
    }
    /// Mean GPUs held over `span`; zero over no time.
    #[must_use]
    pub fn mean_over(self, span: Span) -> f64 {
        if span.nanos() == 0 { 0.0 } else { self.0 as f64 / span.nanos() as f64 }
    }
}

/// A count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tokens(u64);
amount!(Tokens, u64);
quantity!(Tokens, "a number of tokens such as 15.6e12 or \"15.6 T\"", quantity::TOKENS, number);

impl Tokens {
    /// That many tokens.
    #[must_use]
    pub const fn new(count: u64) -> Tokens {
        Tokens(count)
    }
    /// The count.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }
    fn from_base(count: f64) -> Result<Tokens, &'static str> {
        quantity::unsigned(count).map(Tokens)
    }
}

impl std::fmt::Display for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} tokens", self.0)
    }
}

/// An amount of data, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u64);
amount!(Bytes, u64);
quantity!(Bytes, "a data size such as \"80 GiB\" or \"5.7 TB\"", quantity::DATA);

impl Bytes {
    /// That many bytes.
    #[must_use]
    pub const fn new(count: u64) -> Bytes {
        Bytes(count)
    }
    /// The count.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.0
    }
    fn from_base(count: f64) -> Result<Bytes, &'static str> {
        quantity::unsigned(count).map(Bytes)
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        quantity::scaled(f, self.0 as f64, "B", &[(1e12, "TB"), (1e9, "GB"), (1e6, "MB")])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kilowatt_for_an_hour_is_a_kilowatt_hour() {
        assert_eq!((Watts::new(1000) * Span::HOUR).pico(), PICOJOULES_PER_KWH);
    }

    #[test]
    fn splitting_keeps_every_unit() {
        for (whole, weights) in [(10, vec![1, 1, 1]), (7, vec![0, 0]), (u64::MAX as u128, vec![3, 5, 7, 0])] {
            let parts = Joules::from_pico(whole).split(&weights);
            assert_eq!(parts.iter().copied().sum::<Joules>(), Joules::from_pico(whole));
        }
        assert_eq!(Dollars::from_nano(-10).split(&[1, 2]), [Dollars::from_nano(-3), Dollars::from_nano(-7)]);
        let vast = Joules::from_pico(u128::MAX >> 2);
        assert_eq!(vast.split(&[u128::MAX >> 3, 1 << 100]).into_iter().sum::<Joules>(), vast);
    }
}
