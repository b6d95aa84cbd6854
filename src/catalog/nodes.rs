//! Servers: accelerators and the host around them.

use super::{Entry, GpuSheet, Named};
use crate::units::{Dollars, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One server's data sheet.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
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

/// Whole dollars.
const fn dollars(count: i128) -> Dollars {
    Dollars::from_nano(count * 1_000_000_000)
}

/// All servers of the catalog.
pub static NODES: &[Entry<NodeSheet>] = &[
    Entry {
        name: "dgx-a100",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("a100-sxm-80gb")),
            gpus: 8,
            // Assumed: the H100 server's host, scaled by nameplate.
            host_idle: Watts::new(830),
            host_busy: Watts::new(1785),
            // Data sheet.
            rated: Watts::new(6500),
            // List price at launch (NVIDIA, May 2020).
            price: dollars(199_000),
        },
        source: "NVIDIA DGX A100 data sheet and launch price; host assumed",
    },
    Entry {
        name: "dgx-h100",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("h100-sxm")),
            gpus: 8,
            // Idle assumed; busy: 0.76 x 10.2 kW (arXiv:2506.14551) less 8 GPUs at 615 W.
            host_idle: Watts::new(1300),
            host_busy: Watts::new(2800),
            // Data sheet.
            rated: Watts::new(10200),
            // $33,750 a GPU in May 2023 (epoch-research/training-cost-trends, data/Hardware prices.csv).
            price: dollars(270_000),
        },
        source: "NVIDIA DGX H100 data sheet; host: arXiv:2506.14551 (0.76 of nameplate); price: epoch-research/training-cost-trends",
    },
    Entry {
        name: "hgx-h800",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("h800-sxm")),
            gpus: 8,
            // Assumed: as dgx-h100.
            host_idle: Watts::new(1300),
            host_busy: Watts::new(2800),
            // Assumed: as dgx-h100.
            rated: Watts::new(10200),
            // Assumed: as dgx-h100.
            price: dollars(270_000),
        },
        source: "as dgx-h100; host and price assumed",
    },
    Entry {
        name: "dgx-h200",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("h200-sxm")),
            gpus: 8,
            // Assumed: as dgx-h100.
            host_idle: Watts::new(1300),
            host_busy: Watts::new(2800),
            // Data sheet.
            rated: Watts::new(10200),
            // Assumed.
            price: dollars(300_000),
        },
        source: "NVIDIA DGX H200 data sheet; host and price assumed",
    },
    Entry {
        name: "dgx-b200",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("b200-sxm")),
            gpus: 8,
            // Assumed: the H100 server's host, scaled by nameplate.
            host_idle: Watts::new(1820),
            host_busy: Watts::new(3925),
            // Data sheet.
            rated: Watts::new(14300),
            // Assumed: offers of resellers in 2025.
            price: dollars(515_000),
        },
        source: "NVIDIA DGX B200 data sheet; host and price assumed",
    },
    Entry {
        name: "rtx-pro-6000-x8",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("rtx-pro-6000")),
            gpus: 8,
            // Assumed: the H100 server's host, scaled by nameplate.
            host_idle: Watts::new(890),
            host_busy: Watts::new(1920),
            // Assumed: 8 x 600 W and the host.
            rated: Watts::new(7000),
            // Assumed: $8,500 a card times 1.64 from chip to server (epoch-research/training-cost-trends).
            price: dollars(112_000),
        },
        source: "NVIDIA RTX PRO 6000 Blackwell data sheet; host, nameplate and price assumed",
    },
    Entry {
        name: "rtx-pro-6000-x1",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("rtx-pro-6000")),
            gpus: 1,
            // Assumed: a workstation.
            host_idle: Watts::new(100),
            host_busy: Watts::new(250),
            // Assumed.
            rated: Watts::new(1000),
            // Assumed: $8,500 a card times 1.64 from chip to server (epoch-research/training-cost-trends).
            price: dollars(14_000),
        },
        source: "NVIDIA RTX PRO 6000 Blackwell data sheet; host, nameplate and price assumed",
    },
    Entry {
        name: "h100-x1",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("h100-sxm")),
            gpus: 1,
            // An eighth of dgx-h100.
            host_idle: Watts::new(163),
            host_busy: Watts::new(350),
            // An eighth of dgx-h100.
            rated: Watts::new(1275),
            // An eighth of dgx-h100.
            price: dollars(33_750),
        },
        source: "an eighth of dgx-h100",
    },
    Entry {
        name: "dgx-1-v100",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("v100-sxm2")),
            gpus: 8,
            // Assumed: the H100 server's host, scaled by nameplate.
            host_idle: Watts::new(446),
            host_busy: Watts::new(961),
            // Data sheet.
            rated: Watts::new(3500),
            // List price at launch (NVIDIA, 2017).
            price: dollars(149_000),
        },
        source: "NVIDIA DGX-1 data sheet and launch price; host assumed",
    },
    Entry {
        name: "tpu-v3-x4",
        sheet: NodeSheet {
            gpu: Named::Name(Cow::Borrowed("tpu-v3")),
            gpus: 4,
            // Busy: 310 W a chip with its host (arXiv:2104.10350, T5) less 220 W of chip; idle assumed.
            host_idle: Watts::new(200),
            host_busy: Watts::new(360),
            // Assumed: 4 x 450 W and the host.
            rated: Watts::new(2160),
            // Assumed, never sold: half a DGX-1.
            price: dollars(74_500),
        },
        source: "arXiv:2104.10350 Table 4; host split, nameplate and price assumed",
    },
];
