//! What electricity costs.

use super::Entry;
use crate::units::DollarsPerKwh;
use schemars::JsonSchema;
use serde::Deserialize;

/// One tariff.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TariffSheet {
    /// `{ flat = "$0.0826/kWh" }`: the same in every hour.
    Flat(DollarsPerKwh),
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
