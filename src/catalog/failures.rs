//! How often nodes interrupted published runs.

use super::Entry;
use crate::units::PerSecond;

/// Unplanned interruptions of one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailurePreset {
    /// Memoryless.
    Exponential {
        /// Long-run interruptions of one node of 8 accelerators (4 in `tpu-v4`).
        rate: PerSecond,
    },
    /// Lemons, batches, good and bad times, as `failures = { bursty = {} }` has them.
    Bursty {
        /// Long-run interruptions of one node.
        rate: PerSecond,
    },
}

impl FailurePreset {
    /// Long-run interruptions of one node.
    #[must_use]
    pub fn rate(&self) -> PerSecond {
        match *self {
            FailurePreset::Exponential { rate } | FailurePreset::Bursty { rate } => rate,
        }
    }
}

/// All failure presets of the catalog. Planned interruptions belong to the job and are not in these rates.
pub static FAILURES: &[Entry<FailurePreset>] = &[
    exponential(
        "llama3-h100",
        3.79e-3,
        "419 unexpected interruptions of 2,048 nodes in 54 d, arXiv:2407.21783 section 3.3.4",
    ),
    exponential("rsc-1", 6.5e-3, "2,000 A100 nodes, 11 months, arXiv:2410.21680 (secondary)"),
    exponential(
        "byterobust-dense",
        1.44e-3,
        "128 explicit and 27 implicit of 1,200 Hopper nodes in 90 d, ByteRobust, arXiv:2509.16293",
    ),
    exponential(
        "stepfun",
        4.18e-3,
        "584 faults of 400 servers in 348.98 d, stepfun-ai/InfiniteHBD-Trace (Apache-2.0); mean only, the trace is bursty",
    ),
    Entry {
        name: "stepfun-bursty",
        sheet: FailurePreset::Bursty { rate: PerSecond::per_day(584.0 / (400.0 * 348.98)) },
        source: "584 faults of 400 servers in 348.98 d, stepfun-ai/InfiniteHBD-Trace (Apache-2.0); lemons, batches and episodes, own fit",
    },
    exponential("tpu-v4", 0.8e-3, "0.08 % of 4-chip hosts a day, Zu et al., NSDI 2024 (secondary)"),
    exponential("opt-bad-cloud", 1.56e-2, "about 2 of 128 machines a day, facebookresearch/metaseq OPT-175B logbook"),
    exponential("bloom", 3.0e-3, "about one GPU a week of 48 nodes, bigscience-workshop/bigscience train/tr11-176B-ml"),
];

const fn exponential(name: &'static str, per_day: f64, source: &'static str) -> Entry<FailurePreset> {
    Entry { name, sheet: FailurePreset::Exponential { rate: PerSecond::per_day(per_day) }, source }
}
