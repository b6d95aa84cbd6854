//! Devices that only do inference: a laptop on a lap.

use super::Entry;
use crate::units::{Bytes, BytesPerSecond, PerSecond, Ratio, Share, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One device's data sheet.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSheet {
    /// Memory bandwidth.
    pub bandwidth: BytesPerSecond,
    /// Part of the bandwidth that decoding reaches.
    pub efficiency: Share,
    /// Bytes for each parameter.
    pub bytes_per_parameter: Ratio,
    /// Power above idle while it works.
    pub power: Watts,
    /// Prompt tokens a second.
    pub prefill: PerSecond,
    /// Memory, for the key-value cache.
    pub memory: Bytes,
}

/// All devices of the catalog.
pub static DEVICES: &[Entry<DeviceSheet>] = &[Entry {
    name: "laptop-m-class",
    sheet: DeviceSheet {
        // Base M4 class (vendor's data sheet, secondary).
        bandwidth: BytesPerSecond::new(120e9),
        // Assumed: 0.7 of the bandwidth, about 17 tokens/s with a 4.9 GB model.
        efficiency: Share::new(0.7),
        // Llama-3.1-8B at 4.5 bit is a 4.9 GB file: 4.9e9 / 8.03e9.
        bytes_per_parameter: Ratio::new(0.61),
        // Assumed: 25 W above idle.
        power: Watts::new(25),
        // Assumed.
        prefill: PerSecond::new(200.0),
        memory: Bytes::new(16_000_000_000),
    },
    source: "Apple, base M4 memory bandwidth; efficiency, power and prefill assumed",
}];
