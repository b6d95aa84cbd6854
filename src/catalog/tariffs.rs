//! What electricity costs.

use super::Entry;
use crate::units::{DollarsPerKw, DollarsPerKwh, Ratio};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One tariff.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TariffSheet {
    /// `{ flat = "$0.0826/kWh" }`: the same in every hour.
    Flat(DollarsPerKwh),
    /// `{ series = { path = "prices.csv", column = "de", unit = "EUR/MWh", usd_per_unit = 1.082 } }`: a price for each hour.
    Series(PriceSeries),
    /// `{ time_of_use = { zone = "America/Los_Angeles", base = "$0.10/kWh", periods = [{ from = 16, to = 21, price = "$0.30/kWh" }] } }`
    TimeOfUse(TimeOfUse),
}

/// Hourly prices of a file, of any year: paired by month, class of day and hour (UTC). They may be negative.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSeries {
    /// Comma-separated hourly file, first column `utc`; the path starts from the scenario's folder.
    pub path: String,
    /// Column of the price.
    pub column: String,
    /// Unit of the column.
    pub unit: PriceUnit,
    /// US dollars for one unit of the file's currency.
    #[serde(default = "one")]
    pub usd_per_unit: Ratio,
}

fn one() -> Ratio {
    Ratio::new(1.0)
}

/// Currency and energy of a column of prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PriceUnit {
    /// US dollars.
    #[serde(rename = "USD/MWh")]
    UsdPerMwh,
    /// US dollars.
    #[serde(rename = "USD/kWh")]
    UsdPerKwh,
    /// Euros.
    #[serde(rename = "EUR/MWh")]
    EurPerMwh,
    /// Euros.
    #[serde(rename = "EUR/kWh")]
    EurPerKwh,
    /// Australian dollars.
    #[serde(rename = "AUD/MWh")]
    AudPerMwh,
}

impl PriceUnit {
    /// As a scenario writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PriceUnit::UsdPerMwh => "USD/MWh",
            PriceUnit::UsdPerKwh => "USD/kWh",
            PriceUnit::EurPerMwh => "EUR/MWh",
            PriceUnit::EurPerKwh => "EUR/kWh",
            PriceUnit::AudPerMwh => "AUD/MWh",
        }
    }

    /// True where no exchange rate is needed.
    #[must_use]
    pub const fn is_dollars(self) -> bool {
        matches!(self, PriceUnit::UsdPerMwh | PriceUnit::UsdPerKwh)
    }

    /// One unit in units of the same currency for each kilowatt-hour.
    #[must_use]
    pub const fn per_kwh(self) -> f64 {
        match self {
            PriceUnit::UsdPerKwh | PriceUnit::EurPerKwh => 1.0,
            PriceUnit::UsdPerMwh | PriceUnit::EurPerMwh | PriceUnit::AudPerMwh => 1e-3,
        }
    }
}

/// Prices by the clock of a time zone, daylight saving included, and a charge on the peak of each month there.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeOfUse {
    /// Name in the IANA time zone database, such as "America/Los_Angeles".
    pub zone: String,
    /// Price in hours that no period holds.
    pub base: DollarsPerKwh,
    /// Hours with prices of their own; the first that holds counts.
    #[serde(default)]
    pub periods: Vec<Period>,
    /// Price of each kilowatt of a month's highest power, the mean over a bin; a month that the run only partly covers counts in part.
    #[serde(default)]
    pub demand: DollarsPerKw,
}

/// `{ months = [6, 7, 8, 9], days = "weekdays", from = 16, to = 21, price = "$0.30/kWh" }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Months 1 to 12; all where empty.
    #[serde(default)]
    pub months: Vec<u8>,
    /// Days of the week.
    #[serde(default)]
    pub days: Days,
    /// First hour of the day, 0 to 23.
    pub from: u8,
    /// Hour at which it ends, 1 to 24; not above `from` where it lasts past midnight.
    pub to: u8,
    /// Price of energy.
    pub price: DollarsPerKwh,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Days {
    /// Monday to Sunday.
    #[default]
    All,
    /// Monday to Friday.
    Weekdays,
    /// Saturday and Sunday.
    Weekends,
}

/// All tariffs of the catalog. Wholesale means leave out network charges, taxes and capacity.
pub static TARIFFS: &[Entry<TariffSheet>] = &[
    flat(
        "us-industrial-2025",
        82_600_000,
        "US industrial mean of 2025, EIA through epoch-research/training-cost-trends",
    ),
    flat(
        "us-industrial-2024",
        77_100_000,
        "US industrial mean of 2024, EIA through epoch-research/training-cost-trends",
    ),
    flat(
        "us-residential-2024",
        164_800_000,
        "US residential mean of 2024, EIA Electric Power Monthly Table 5.3 (not read again: assumed)",
    ),
    // 79.6, 70.6, 50.1 and 35.8 EUR/MWh at $1.082 a euro, the ECB's mean of 2024 (assumed).
    flat("de-lu-wholesale-2024", 86_127_200, DAY_AHEAD),
    flat("dk1-wholesale-2024", 76_389_200, DAY_AHEAD),
    flat("no2-wholesale-2024", 54_208_200, DAY_AHEAD),
    flat("se3-wholesale-2024", 38_735_600, DAY_AHEAD),
    // 95.9 AUD/MWh at $0.664 an Australian dollar, the mean of 2023 (assumed).
    flat("nsw-wholesale-2023", 63_677_600, "mean spot price of 2023, AEMO; exchange rate assumed"),
];

const DAY_AHEAD: &str = "mean day-ahead price of 2024, Energinet (CC BY 4.0); exchange rate assumed";

const fn flat(name: &'static str, nanodollars: i64, source: &'static str) -> Entry<TariffSheet> {
    Entry { name, sheet: TariffSheet::Flat(DollarsPerKwh::from_nano(nanodollars)), source }
}
