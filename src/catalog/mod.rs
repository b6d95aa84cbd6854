//! Data sheets: GPUs, nodes, models, engines, grids, tariffs, failure presets and devices, each constant with its source.
//! A scenario names an entry or writes the same fields inline.

mod devices;
mod gpus;
mod models;
mod named;
mod nodes;

pub use devices::{DEVICES, DeviceSheet};
pub use gpus::{GPUS, GpuSheet};
pub use models::{MODELS, ModelSheet};
pub use named::{Entry, Named, find};
pub use nodes::{NODES, NodeSheet};
