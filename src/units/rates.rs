//! Prices, intensities, speeds and shares: what an amount is multiplied by. Prices and intensities are integers so that a
//! bill is exact; speeds and shares are model inputs and stay `f64`.

use super::amounts::{Bytes, Dollars, GpuTime, GramsCo2e, Joules, Litres, PICOJOULES_PER_KWH, divide_rounded};
use super::quantity::{self, quantity};
use super::time::Span;

const NANOS_PER_HOUR: u128 = 3_600_000_000_000;

/// `(amount * rate + rounding) / unit`, rounded down.
fn per(amount: u128, rate: u64, unit: u128, rounding: u128) -> u128 {
    let rate = u128::from(rate);
    match amount.checked_mul(rate).and_then(|product| product.checked_add(rounding)) {
        Some(product) => product / unit,
        // 1e9 kWh at 1e12 micro-units a kWh, and more, by parts.
        None => amount / unit * rate + (amount % unit * rate + rounding) / unit,
    }
}

/// Micro-units (of gas or water) for `energy` at `micro_per_kwh`.
fn per_kwh(energy: Joules, micro_per_kwh: u64) -> u128 {
    per(energy.pico(), micro_per_kwh, PICOJOULES_PER_KWH, PICOJOULES_PER_KWH / 2)
}

/// A price of energy, in integer nanodollars per kilowatt-hour; may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DollarsPerKwh(i64);
quantity!(DollarsPerKwh, "an energy price such as \"$0.0826/kWh\" or \"$79.6/MWh\"", quantity::ENERGY_PRICE);

impl DollarsPerKwh {
    /// A price from integer nanodollars per kilowatt-hour.
    #[must_use]
    pub const fn from_nano(nanodollars: i64) -> DollarsPerKwh {
        DollarsPerKwh(nanodollars)
    }
    /// The price in dollars per kilowatt-hour.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    fn from_base(dollars: f64) -> Result<DollarsPerKwh, &'static str> {
        quantity::signed(dollars * 1e9).map(DollarsPerKwh)
    }
}

impl std::ops::Mul<Joules> for DollarsPerKwh {
    type Output = Dollars;
    /// To the nearest nanodollar.
    fn mul(self, energy: Joules) -> Dollars {
        let bill = per_kwh(energy, self.0.unsigned_abs()) as i128;
        Dollars::from_nano(if self.0 < 0 { -bill } else { bill })
    }
}

impl std::fmt::Display for DollarsPerKwh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}/kWh", self.as_f64())
    }
}

/// A price of time, in integer nanodollars per hour (of one GPU, where it prices GPUs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DollarsPerHour(i64);
quantity!(DollarsPerHour, "a price per hour such as \"$2.10/h\"", quantity::HOURLY_PRICE);

impl DollarsPerHour {
    /// A price from integer nanodollars per hour.
    #[must_use]
    pub const fn from_nano(nanodollars: i64) -> DollarsPerHour {
        DollarsPerHour(nanodollars)
    }
    /// A price from dollars per hour, to the nearest nanodollar.
    #[must_use]
    pub fn from_f64(dollars: f64) -> DollarsPerHour {
        DollarsPerHour((dollars * 1e9).round() as i64)
    }
    /// The price in dollars per hour.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    fn from_base(dollars: f64) -> Result<DollarsPerHour, &'static str> {
        quantity::unsigned(dollars * 1e9)
            .and_then(|nano| i64::try_from(nano).map_err(|_| "is too large"))
            .map(DollarsPerHour)
    }
}

impl std::ops::Mul<GpuTime> for DollarsPerHour {
    type Output = Dollars;
    /// To the nearest nanodollar.
    fn mul(self, time: GpuTime) -> Dollars {
        let cost = per(time.nanos(), self.0.unsigned_abs(), NANOS_PER_HOUR, NANOS_PER_HOUR / 2) as i128;
        Dollars::from_nano(if self.0 < 0 { -cost } else { cost })
    }
}

impl std::fmt::Display for DollarsPerHour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}/h", self.as_f64())
    }
}

/// A price of peak power, in integer nanodollars per kilowatt (and billing month).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DollarsPerKw(i64);
quantity!(DollarsPerKw, "a price per kilowatt such as \"$20.7/kW\"", quantity::DEMAND_PRICE);

impl DollarsPerKw {
    /// A price from dollars per kilowatt, to the nearest nanodollar.
    #[must_use]
    pub fn from_f64(dollars: f64) -> DollarsPerKw {
        DollarsPerKw((dollars * 1e9).round() as i64)
    }
    /// The price in dollars per kilowatt.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
    fn from_base(dollars: f64) -> Result<DollarsPerKw, &'static str> {
        quantity::unsigned(dollars * 1e9)
            .and_then(|nano| i64::try_from(nano).map_err(|_| "is too large"))
            .map(DollarsPerKw)
    }
}

impl std::ops::Mul<super::Watts> for DollarsPerKw {
    type Output = Dollars;
    /// To the nearest nanodollar.
    fn mul(self, peak: super::Watts) -> Dollars {
        Dollars::from_nano(divide_rounded(i128::from(self.0) * i128::from(peak.milli()), 1_000_000))
    }
}

impl std::fmt::Display for DollarsPerKw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "${}/kW", self.as_f64())
    }
}

/// Carbon intensity, in integer micrograms of CO2 equivalent per kilowatt-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GramsPerKwh(u64);
quantity!(
    GramsPerKwh,
    "a carbon intensity such as \"380 gCO2e/kWh\" or \"0.35 kgCO2e/kWh\"",
    quantity::CARBON_INTENSITY
);

impl GramsPerKwh {
    /// An intensity from integer micrograms per kilowatt-hour.
    #[must_use]
    pub const fn from_micro(micrograms: u64) -> GramsPerKwh {
        GramsPerKwh(micrograms)
    }
    /// An intensity from grams per kilowatt-hour, to the nearest microgram.
    #[must_use]
    pub fn from_f64(grams: f64) -> GramsPerKwh {
        GramsPerKwh((grams * 1e6).round() as u64)
    }
    /// The intensity in grams per kilowatt-hour.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    fn from_base(grams: f64) -> Result<GramsPerKwh, &'static str> {
        quantity::unsigned(grams * 1e6).map(GramsPerKwh)
    }
}

impl std::ops::Mul<Joules> for GramsPerKwh {
    type Output = GramsCo2e;
    /// To the nearest microgram.
    fn mul(self, energy: Joules) -> GramsCo2e {
        GramsCo2e::from_micro(per_kwh(energy, self.0))
    }
}

impl std::fmt::Display for GramsPerKwh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} gCO2e/kWh", self.as_f64())
    }
}

/// Carbon of having something for an hour, in integer micrograms of CO2 equivalent (of one GPU, where it is of GPUs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GramsPerHour(u64);
quantity!(GramsPerHour, "carbon per hour such as \"20 gCO2e/h\"", quantity::HOURLY_CARBON);

impl GramsPerHour {
    /// Carbon from grams per hour, to the nearest microgram.
    #[must_use]
    pub fn from_f64(grams: f64) -> GramsPerHour {
        GramsPerHour((grams * 1e6).round() as u64)
    }
    fn from_base(grams: f64) -> Result<GramsPerHour, &'static str> {
        quantity::unsigned(grams * 1e6).map(GramsPerHour)
    }
}

impl std::ops::Mul<GpuTime> for GramsPerHour {
    type Output = GramsCo2e;
    /// Rounded down to the microgram.
    fn mul(self, time: GpuTime) -> GramsCo2e {
        GramsCo2e::from_micro(per(time.nanos(), self.0, NANOS_PER_HOUR, 0))
    }
}

impl std::fmt::Display for GramsPerHour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} gCO2e/h", self.0 as f64 / 1e6)
    }
}

/// Water use effectiveness, in integer microlitres per kilowatt-hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LitresPerKwh(u64);
quantity!(LitresPerKwh, "a water intensity such as \"0.30 L/kWh\"", quantity::WATER_INTENSITY);

impl LitresPerKwh {
    /// An intensity from integer microlitres per kilowatt-hour.
    #[must_use]
    pub const fn from_micro(microlitres: u64) -> LitresPerKwh {
        LitresPerKwh(microlitres)
    }
    /// The intensity in litres per kilowatt-hour.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    fn from_base(litres: f64) -> Result<LitresPerKwh, &'static str> {
        quantity::unsigned(litres * 1e6).map(LitresPerKwh)
    }
}

impl std::ops::Mul<Joules> for LitresPerKwh {
    type Output = Litres;
    /// To the nearest microlitre.
    fn mul(self, energy: Joules) -> Litres {
        Litres::from_micro(per_kwh(energy, self.0))
    }
}

impl std::fmt::Display for LitresPerKwh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} L/kWh", self.as_f64())
    }
}

/// How often something happens, per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct PerSecond(f64);
quantity!(PerSecond, "a rate such as \"3000 /s\", \"73.7e3 tokens/s\" or \"0.0038 /d\"", quantity::RATE);

impl PerSecond {
    /// That many a second.
    #[must_use]
    pub const fn new(per_second: f64) -> PerSecond {
        PerSecond(per_second)
    }
    /// That many a day.
    #[must_use]
    pub const fn per_day(per_day: f64) -> PerSecond {
        PerSecond(per_day / 86_400.0)
    }
    /// How many a second.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
    fn from_base(per_second: f64) -> Result<PerSecond, &'static str> {
        quantity::non_negative(per_second).map(PerSecond)
    }
}

impl std::fmt::Display for PerSecond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 != 0.0 && self.0 < 0.01 { write!(f, "{} /d", self.0 * 86_400.0) } else { write!(f, "{} /s", self.0) }
    }
}

/// Arithmetic speed, in floating-point operations per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct FlopsPerSecond(f64);
quantity!(FlopsPerSecond, "an arithmetic speed such as \"989.5 TFLOP/s\"", quantity::FLOPS);

impl FlopsPerSecond {
    /// That many operations a second.
    #[must_use]
    pub const fn new(flops: f64) -> FlopsPerSecond {
        FlopsPerSecond(flops)
    }
    /// How many operations a second.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
    fn from_base(flops: f64) -> Result<FlopsPerSecond, &'static str> {
        quantity::non_negative(flops).map(FlopsPerSecond)
    }
}

impl std::fmt::Display for FlopsPerSecond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        quantity::scaled(f, self.0, "FLOP/s", &[(1e15, "PFLOP/s"), (1e12, "TFLOP/s"), (1e9, "GFLOP/s")])
    }
}

/// Data speed, in bytes per second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct BytesPerSecond(f64);
quantity!(BytesPerSecond, "a bandwidth such as \"3.35 TB/s\"", quantity::BANDWIDTH);

impl BytesPerSecond {
    /// That many bytes a second.
    #[must_use]
    pub const fn new(bytes: f64) -> BytesPerSecond {
        BytesPerSecond(bytes)
    }
    /// How many bytes a second.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
    /// Time to move `data`; [`Span`] saturates where the bandwidth is zero.
    #[must_use]
    pub fn time_for(self, data: Bytes) -> Span {
        Span::from_secs_f64(data.count() as f64 / self.0)
    }
    fn from_base(bytes: f64) -> Result<BytesPerSecond, &'static str> {
        quantity::non_negative(bytes).map(BytesPerSecond)
    }
}

impl std::fmt::Display for BytesPerSecond {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        quantity::scaled(f, self.0, "B/s", &[(1e12, "TB/s"), (1e9, "GB/s"), (1e6, "MB/s")])
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Share(f64);
quantity!(Share, "a share from 0 to 1 such as 0.40 or \"40 %\"", quantity::SHARE, number);

impl Share {
    /// A share; panics outside 0 to 1.
    #[must_use]
    pub const fn new(share: f64) -> Share {
        assert!(share >= 0.0 && share <= 1.0, "a share lies between 0 and 1");
        Share(share)
    }
    /// The share as a fraction.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
    fn from_base(share: f64) -> Result<Share, &'static str> {
        let share = quantity::non_negative(share)?;
        if share > 1.0 { Err("is above 1") } else { Ok(Share(share)) }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A factor of zero or more, such as PUE or a multiplier.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Ratio(f64);
quantity!(Ratio, "a number of zero or more such as 1.15", quantity::RATIO, number);

impl Ratio {
    /// A factor; panics where negative or not finite.
    #[must_use]
    pub const fn new(ratio: f64) -> Ratio {
        assert!(ratio >= 0.0 && ratio < f64::INFINITY, "a ratio is finite and not negative");
        Ratio(ratio)
    }
    /// The factor.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
    fn from_base(ratio: f64) -> Result<Ratio, &'static str> {
        quantity::non_negative(ratio).map(Ratio)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Watts;
    use super::*;

    #[test]
    fn amounts_past_128_bits_are_multiplied_by_parts() {
        let kwh = 10_u128.pow(15);
        assert_eq!(per(kwh * PICOJOULES_PER_KWH, u64::MAX, PICOJOULES_PER_KWH, 0), kwh * u128::from(u64::MAX));
        // 2.5 units round up, with and without a whole part too large to multiply at once.
        assert_eq!(per(5, 1, 2, 1), 3);
        assert_eq!(per(u128::MAX, 3, 4, 1), 3 * (u128::MAX / 4) + 2);
    }

    #[test]
    fn bills_are_exact() {
        let day = Watts::new(30_000_000) * Span::DAY;
        let price: DollarsPerKwh = "$0.0826/kWh".parse().expect("a price");
        assert_eq!((price * day).as_f64(), 59_472.0);
        let credit: DollarsPerKwh = "$-10/MWh".parse().expect("a negative price");
        assert_eq!((credit * day).as_f64(), -7_200.0);
        let rent: DollarsPerHour = "$2.00/h".parse().expect("a price");
        assert_eq!((rent * GpuTime::new(8, Span::DAY)).as_f64(), 384.0);
    }
}
