//! Where electricity comes from: carbon intensity, and the water of its generation.

use super::Entry;
use super::profiles::{self, Profile};
use crate::units::{GramsPerKwh, LitresPerKwh};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One grid's data sheet.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GridSheet {
    /// `{ flat = "380 gCO2e/kWh" }`: the same in every hour, no upstream known, water of the US mean.
    Flat(GramsPerKwh),
    /// `{ constant = { direct = "…", upstream = "…", water = "…" } }`: the same in every hour.
    Constant(ConstantGrid),
    /// `{ series = { path = "grid.csv", direct = "de_direct", lca = "de_lca" } }`: an intensity for each hour.
    Series(CarbonSeries),
    /// A mean day of each month; catalog only.
    #[serde(skip)]
    Monthly(&'static Profile),
}

/// `{ constant = { direct = "380 gCO2e/kWh", upstream = "67 gCO2e/kWh" } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantGrid {
    /// Stack emissions of the generators (Scope 2).
    pub direct: GramsPerKwh,
    /// Fuel upstream and life cycle of the generators (Scope 3).
    #[serde(default)]
    pub upstream: GramsPerKwh,
    /// Water consumed where the energy is generated.
    #[serde(default = "us_water")]
    pub water: LitresPerKwh,
}

/// Hourly intensities of a file in gCO2e/kWh, of any year: paired by month, class of day and hour (UTC).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CarbonSeries {
    /// Comma-separated hourly file, first column `utc`; the path starts from the scenario's folder.
    pub path: String,
    /// Column of stack emissions (Scope 2), in g/kWh.
    pub direct: String,
    /// Column of stack emissions, fuel upstream and life cycle together, in g/kWh; nothing upstream is known without it.
    pub lca: Option<String>,
    /// Water consumed where the energy is generated.
    #[serde(default = "us_water")]
    pub water: LitresPerKwh,
}

/// Water consumed where the energy of US data centers is generated, hydro evaporation included.
// LBNL, 2024 US Data Center Energy Usage Report p. 57: 800e9 L for 176 TWh in 2023.
pub const US_WATER: LitresPerKwh = LitresPerKwh::from_micro(4_520_000);

fn us_water() -> LitresPerKwh {
    US_WATER
}

impl GridSheet {
    /// Water consumed where the energy is generated, for each unit of facility energy.
    #[must_use]
    pub const fn water(&self) -> LitresPerKwh {
        match self {
            GridSheet::Flat(_) | GridSheet::Monthly(_) => US_WATER,
            GridSheet::Constant(grid) => grid.water,
            GridSheet::Series(series) => series.water,
        }
    }
}

const EIA: &str = "month-by-hour means of 2022, own computation. Source: U.S. Energy Information Administration (EIA-930 generation, \
    FAQ 74 factors); upstream IPCC AR5 WG3 Annex III; water LBNL 2024 p. 57";

/// All grids of the catalog.
pub static GRIDS: &[Entry<GridSheet>] = &[
    Entry { name: "pjm", sheet: GridSheet::Monthly(&profiles::PJM), source: EIA },
    Entry { name: "erco", sheet: GridSheet::Monthly(&profiles::ERCO), source: EIA },
    Entry { name: "ciso", sheet: GridSheet::Monthly(&profiles::CISO), source: EIA },
    Entry { name: "miso", sheet: GridSheet::Monthly(&profiles::MISO), source: EIA },
    Entry { name: "soco", sheet: GridSheet::Monthly(&profiles::SOCO), source: EIA },
    Entry { name: "bpat", sheet: GridSheet::Monthly(&profiles::BPAT), source: EIA },
];
