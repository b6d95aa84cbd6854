//! Data sheets: GPUs, nodes, models, engines, grids, tariffs, failure presets and devices, each constant with its source.
//! A scenario names an entry or writes the same fields inline.

mod caps;
mod devices;
mod engines;
mod failures;
mod gpus;
mod grids;
mod models;
mod named;
mod nodes;
mod powers;
mod precision;
mod profiles;
mod tariffs;

pub use caps::{CAPS, CapFactors, CapPoint, CapSheet};
pub use devices::{DEVICES, DeviceSheet};
pub use engines::{ENGINES, EngineRow, step_row};
pub use failures::{FAILURES, FailurePreset};
pub use gpus::{GPUS, GpuSheet};
pub use grids::{CarbonSeries, ConstantGrid, GRIDS, GridSheet, US_WATER};
pub use models::{MODELS, ModelSheet};
pub use named::{Entry, Named, find, names};
pub use nodes::{NODES, NodeSheet};
pub use powers::{
    POWER_TABLES, POWERS, PowerRow, PowerTable, ROOFLINES, RooflineRow, STEP_POWERS, StepPowerRow, power_row,
    power_table, roofline_row, step_power_row,
};
pub use precision::Precision;
pub use profiles::Profile;
pub use tariffs::{Days, Period, PriceSeries, PriceUnit, TARIFFS, TariffSheet, TimeOfUse};
