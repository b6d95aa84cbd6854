//! `[training.<name>]` as written: each policy's struct is its section and holds its own defaults.

use super::step::{ScaleLoss, StepModel};
use crate::catalog::{ModelSheet, Named};
use crate::fault::RepairSection;
use crate::power::Priority;
use crate::units::{Bytes, BytesPerSecond, PerSecond, Ratio, Share, Span, Tokens, Watts};
use crate::world::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A training job.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingSection {
    /// The cluster it runs on.
    pub cluster: String,
    /// What it trains: a catalog name or an inline sheet.
    pub model: Named<ModelSheet>,
    /// Nodes that compute; spares come on top.
    pub nodes: u32,
    /// Tokens to train on.
    pub tokens: Tokens,
    /// Model FLOPs utilisation while it runs, at this number of GPUs; the default way to give its speed.
    pub mfu: Option<Share>,
    /// Speed as tokens a second of the whole job, instead of `mfu`.
    pub tokens_per_second: Option<PerSecond>,
    /// Speed as the time of one optimizer step, instead of `mfu`.
    pub step: Option<StepTime>,
    /// Speed as the time that all tokens take without any interruption, instead of `mfu`.
    pub ideal: Option<Span>,
    /// Speed by a small model of the step, fitted to one that was measured, instead of `mfu`.
    pub step_model: Option<StepModel>,
    /// What `mfu` loses with scale, where it was measured at another number of GPUs; also that of phases.
    pub scale_loss: Option<ScaleLoss>,
    /// Phases at speeds of their own, such as a ramp of the batch, before the rest goes on at the job's.
    #[serde(default)]
    pub phases: Vec<PhaseSection>,
    /// What slows the job all along, by name: its speed is multiplied by each, `rate = { thermal = 0.98, cap = 0.95 }`.
    #[serde(default)]
    pub rate: BTreeMap<String, Share>,
    /// When power control holds it: before or after others.
    #[serde(default = "first_to_be_held")]
    pub power_priority: Priority,
    /// How far its iterations swing, for sizing the supply; unset, from the design power to half of it.
    pub swing: Option<Swing>,
    /// When it is submitted, after the scenario's start.
    #[serde(default)]
    pub submit: Span,
    /// The higher, the sooner it gets nodes and the later it loses them, on a cluster whose scheduler ranks by priority.
    #[serde(default)]
    pub priority: i32,
    /// Spare nodes that the job reserves.
    #[serde(default)]
    pub spares: Spares,
    /// What follows a failure.
    #[serde(default)]
    pub recovery: Recovery,
    /// Checkpoint tiers by name.
    #[serde(default)]
    pub checkpoint: BTreeMap<String, Checkpoint>,
    /// Planned interruptions.
    #[serde(default)]
    pub planned: Planned,
    /// May wait for cleaner or cheaper hours; unset, it never waits.
    pub shift: Option<super::ShiftSection>,
    /// All energy, money and time of developing the model, over that of this run; counts in the comparison only.
    #[serde(default = "default_research_multiplier")]
    pub research_multiplier: Ratio,
}

impl TrainingSection {
    /// The most nodes that compute in any of its phases.
    #[must_use]
    pub fn most_nodes(&self) -> u64 {
        let phases = self.phases.iter().filter_map(|phase| phase.nodes);
        u64::from(phases.fold(self.nodes, u32::max))
    }
}

impl Spares {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        u64::from(self.hot) + u64::from(self.cold)
    }
}

fn default_research_multiplier() -> Ratio {
    // Development took 0.503 of the final runs' energy (arXiv:2503.05804v1, row olmo_dev_share).
    Ratio::new(1.5)
}

fn first_to_be_held() -> Priority {
    Priority::Low
}

/// `swing = { crest = "700 W", trough = "350 W" }`: what one GPU draws within an iteration. Iterations are never simulated; this
/// is your figure, and it only sizes the supply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Swing {
    /// While all GPUs compute.
    pub crest: Watts,
    /// While all wait for each other.
    pub trough: Watts,
}

/// `step = { time = "105.5 s", tokens = 4194304 }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepTime {
    /// Time of one optimizer step.
    pub time: Span,
    /// Tokens of one step, the global batch.
    pub tokens: Tokens,
}

/// `phases = [{ tokens = 20e9, nodes = 512, mfu = 0.2 }]`: exactly one speed for each.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseSection {
    /// Tokens of the phase.
    pub tokens: Tokens,
    /// Nodes that compute in it; unset, as many as in the job. Where the number changes the job saves, gives all its nodes back, queues
    /// again at its place for those of the next phase and restarts as after a planned stop; that copy is kept for good. Without a speed
    /// of its own such a phase has the job's `mfu` or `step_model`, at its number of GPUs.
    pub nodes: Option<u32>,
    /// Model FLOPs utilisation.
    pub mfu: Option<Share>,
    /// Tokens a second of the whole job.
    pub tokens_per_second: Option<PerSecond>,
    /// Time of one step.
    pub step: Option<StepTime>,
}

/// How the speed was given, once checked.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Model FLOPs utilisation.
    Mfu(Share),
    /// Tokens a second of the whole job.
    TokensPerSecond(PerSecond),
    /// Time of one step.
    Step(StepTime),
    /// Time of all tokens.
    Ideal(Span),
    /// One speed after the other, and what slows them all.
    Phased {
        /// In order; together all tokens.
        phases: Vec<Phase>,
        /// Part of the speed that is left, above 0 and at most 1.
        rate: f64,
    },
}

/// Tokens trained at one speed.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// How many.
    pub tokens: Tokens,
    /// On how many nodes.
    pub nodes: u32,
    /// How fast.
    pub progress: Progress,
}

/// Spare nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spares {
    /// Powered and ready: replaces a broken node at once.
    pub hot: u32,
    /// Powered down to bare idle: replaces a broken node after `recovery.attach_cold`.
    pub cold: u32,
    /// What the job does when they have run out.
    pub short: Short,
}

/// What a job does without enough nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Short {
    /// Waits for a repair.
    Wait {},
    /// Goes on with fewer data-parallel replicas; the whole nodes of a broken one stand by, and a replica comes back once enough do.
    Shrink {
        /// Nodes of one replica.
        replica: u32,
        /// For how long a replica that comes back stops the job.
        #[serde(default = "rejoin")]
        rejoin: Span,
    },
    /// Takes whole nodes of its cluster that nobody holds, else those of the running jobs of lowest priority below its own, which save
    /// and wait again; what comes back from repair goes to the cluster in their place. Never those of services.
    Preempt {
        /// Until a node that it takes is up.
        #[serde(default = "takeover")]
        attach: Span,
    },
}

impl Default for Short {
    fn default() -> Short {
        Short::Wait {}
    }
}

fn takeover() -> Span {
    // Assumed, round: health check of a node that runs.
    Span::MINUTE
}

fn rejoin() -> Span {
    // Assumed, round; 60 to 300 s.
    Span::from_secs(120)
}

/// The clocks of a failure. Repair and its outcome run beside the job's own recovery.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Recovery {
    /// From the failure to somebody knowing.
    pub detect: Span,
    /// From a hang to somebody knowing: the time-out of a collective, or an inspection that is quicker.
    pub detect_hang: Span,
    /// Finding the broken node.
    pub localise: Span,
    /// Rescheduling, initialising and reloading the checkpoint, unless its tier says how long that takes; unset, 454 s + 105 s x log2(GPUs / 2048).
    pub restart: Option<Span>,
    /// From the reload until the job steps at full speed again: caches, compilation, data loading; counted as standing still. Unset, none.
    pub warm_up: Span,
    /// What a cold spare takes to come up.
    pub attach_cold: Span,
    /// Mean time to repair a node and return it.
    pub repair: Span,
    /// Weibull shape of that time: 1 is exponential, 0.45 fits StepFun's down times with their long tail.
    pub repair_shape: f64,
    /// Nodes that are repaired at once; unset, as many as are broken.
    pub crews: Option<u32>,
    /// Share of the repairs that do not fix the node; AIReSim assumes 0.24.
    pub unfixed: Share,
    /// Test of a node after its repair, which finds those that are not fixed and sends them back; zero, there is none.
    pub requalify: Span,
    /// Mean time until a node fails again that came back without being fixed.
    pub relapse: Span,
    /// What is taken out when a node fails, where localisation says no more than a group or errs; unset, exactly that node.
    pub evict: Option<Suspects>,
    /// When a node that fails again and again is given up.
    pub retire: Option<Retire>,
    /// Which moments count towards the time between failures.
    pub failure_clock: FailureClock,
}

impl Default for Recovery {
    fn default() -> Recovery {
        let repair = RepairSection::default();
        Recovery {
            // ByteRobust: explicit failures are seen within a minute (arXiv:2509.16293v4 Tables 3 and 4).
            detect: Span::MINUTE,
            // PyTorch's collective time-out of 10 minutes.
            detect_hang: Span::from_secs(600),
            // ByteRobust section 2.2: 2 to 15 minutes.
            localise: Span::from_secs(300),
            restart: None,
            warm_up: Span::ZERO,
            // Assumed: boot and health check.
            attach_cold: Span::from_secs(600),
            repair: repair.mean,
            repair_shape: repair.shape,
            crews: repair.crews,
            unfixed: repair.unfixed,
            requalify: repair.requalify,
            relapse: repair.relapse,
            evict: None,
            retire: None,
            failure_clock: FailureClock::Wall,
        }
    }
}

/// `evict = { group = 16, miss = 0.05, test = "1 h" }`: localisation finds the group of nodes that a failed one belongs to, such as a
/// pipeline, and takes all of it out (ByteRobust, arXiv:2509.16293, evicts whole groups on purpose); at times it takes out another.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suspects {
    /// Computing nodes that are taken out together: those of the same group, numbered through the job's nodes.
    pub group: u32,
    /// How often another group is taken out, at random, while the broken node stays and fails again after `relapse`. Assumed where given:
    /// no publication has it.
    #[serde(default = "never")]
    pub miss: Share,
    /// Test that a node passes which was taken out and had nothing.
    #[serde(default = "an_hour")]
    pub test: Span,
}

fn never() -> Share {
    Share::new(0.0)
}

fn an_hour() -> Span {
    // Assumed, round; ByteRobust's full stress tests take more than 8 h.
    Span::HOUR
}

/// `retire = { after = 3, within = "30 d", replacement = "14 d" }`: nodes that fail too often are taken out for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retire {
    /// At this many failures of its own a node is given up.
    pub after: u32,
    /// Failures longer ago do not count; unset, all do.
    pub within: Option<Span>,
    /// Until another node stands in its place; unset, none ever does.
    pub replacement: Option<Span>,
}

/// When a job's failures may strike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureClock {
    /// At any time; stalls of failures during a stall add up one after the other.
    Serial,
    /// At any time; a failure during recovery starts recovery again.
    Wall,
    /// Only while the job runs. Faults of a file come when it says, whatever the clock.
    Uptime,
}

impl FailureClock {
    /// Name in the scenario and the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FailureClock::Serial => "serial",
            FailureClock::Wall => "wall",
            FailureClock::Uptime => "uptime",
        }
    }
}

/// One checkpoint tier.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Useful time between checkpoints.
    pub every: Every,
    /// Time for which training stops at each.
    pub blocking: Span,
    /// Time after the blocking part until the copy is durable; unset, bytes over bandwidth.
    pub background: Option<Span>,
    /// How much slower training is while the copy is written in the background; unset, no slower. 1 % is a round value, 0 to 5 % are seen.
    pub interference: Share,
    /// Write bandwidth of the store, for `background`.
    pub bandwidth: BytesPerSecond,
    /// Time to read this tier's copy at a restart, on top of `recovery.restart`; unset, bytes over `read_bandwidth`.
    pub restore: Option<Span>,
    /// Read bandwidth of the store, for `restore`; with both unset, `recovery.restart` holds the reload.
    pub read_bandwidth: Option<BytesPerSecond>,
    /// Size of one checkpoint; unset, 14 bytes a parameter.
    pub size: Option<Bytes>,
    /// Copies kept, the newest ones; unset, all. Corruption rolls back to before it began, as far as they reach.
    pub retention: Option<u64>,
    /// The store of its cluster, of `cluster.<name>.storage`, that it lies in: its writes and reads share the bandwidth with all others
    /// there; unset, they share with nobody. Alone each takes what it takes without. A tier with `background = "0 s"` writes while training stops for `blocking`.
    pub store: Option<String>,
    /// The largest domain whose loss the copy survives: `node` where it lies in a peer's memory, `site` in a remote store.
    pub survives: Domain,
}

impl Default for Checkpoint {
    fn default() -> Checkpoint {
        Checkpoint {
            every: Every::Auto,
            // Round default; ByteRobust 0.01-0.04 s, BLOOM 40 s (training_validation.csv).
            blocking: Span::from_secs(2),
            background: None,
            interference: Share::new(0.0),
            // Llama 3, section 3.3.1: 2 TB/s sustained.
            bandwidth: BytesPerSecond::new(2e12),
            restore: None,
            read_bandwidth: None,
            size: None,
            retention: None,
            store: None,
            survives: Domain::Site,
        }
    }
}

/// `storage.lustre = { bandwidth = "200 GB/s" }` of a cluster: a store whose bandwidth checkpoints and restarts of its training jobs share,
/// each getting as much as any other, none more than it takes alone.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// Of all that is written and read at once.
    pub bandwidth: BytesPerSecond,
}

/// Interval between checkpoints: `"auto"` (Daly's higher-order optimum) or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Daly's higher-order optimum.
    Auto,
    /// As given.
    Fixed(Span),
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Every, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Every::Auto);
        }
        text.parse().map(Every::Fixed).map_err(|error: crate::units::QuantityError| {
            serde::de::Error::custom(format!("{error}; or write \"auto\""))
        })
    }
}

impl Serialize for Every {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Every::Auto => serializer.serialize_str("auto"),
            Every::Fixed(span) => span.serialize(serializer),
        }
    }
}

impl JsonSchema for Every {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Every".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "\"auto\" or a duration such as \"30 min\"" })
    }
}

/// Planned interruptions: drained first, so no work is lost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Planned {
    /// How often.
    pub rate: PerSecond,
    /// How long each; unset, the restart time.
    pub length: Option<Span>,
}

impl Default for Planned {
    fn default() -> Planned {
        Planned { rate: PerSecond::new(0.0), length: None }
    }
}
