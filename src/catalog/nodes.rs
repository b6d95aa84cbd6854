//! Servers: accelerators and the host around them.

use super::{Entry, GpuSheet, Named};
use crate::units::{Dollars, Watts};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;

/// One server's data sheet.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSheet {
    /// Its accelerator.
    pub gpu: Named<GpuSheet>,
    /// How many.
    pub gpus: u32,
    /// Everything but the accelerators (CPU, memory, NICs, fans, power supplies), with all accelerators idle.
    pub host_idle: Watts,
    /// The same with all accelerators busy; between the two it is linear in how many are busy.
    pub host_busy: Watts,
    /// Nameplate of the whole server.
    pub rated: Watts,
    /// Purchase price of the whole server, network apart.
    pub price: Dollars,
}

/// All servers of the catalog.
pub static NODES: &[Entry<NodeSheet>] = &[Entry {
    name: "dgx-h100",
    sheet: NodeSheet {
        gpu: Named::Name(Cow::Borrowed("h100-sxm")),
        gpus: 8,
        host_idle: Watts::new(1_300),
        host_busy: Watts::new(2_800),
        rated: Watts::new(10_200),
        price: Dollars::from_nano(270_000_000_000_000),
    },
    source: "NVIDIA DGX H100 data sheet; host: arXiv:2506.14551 (0.76 of nameplate); price: epoch-research/training-cost-trends",
}];
