//! `[service.<name>]` and `[device.<name>]` as written: each policy's struct is its section and holds its own defaults.

pub use super::bursts::Bursts;
pub use super::chat::Chat;
pub use super::clientele::{ClassPlan, ClassSection, Clientele, OnFailure, Patience};
pub use super::clients::{Clients, Reasoning};
pub use super::closed::ClosedLoop;
pub use super::lengths::{Component, Lengths, Lognormal, Measured, Quantiles};
pub use super::pools::Pools;
pub use super::prefix::PrefixCacheSection;
pub use super::ramp::{FlashCrowd, Ramp, RampPoint};
pub use super::replay::{ColumnsSection, TraceFile, TraceSection};
pub use super::rules::Prefill;
pub use super::sampled::Sampled;
pub use super::servegen::Servegen;
pub use super::sessions::Sessions;
pub use super::speculation::Speculation;
pub use crate::catalog::Precision;
use crate::catalog::{DeviceSheet, ModelSheet, Named};
use crate::ledger::TokenPrices;
use crate::power::{PowerSection, Priority};
use crate::units::{BytesPerSecond, PerSecond, Ratio, Share, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A service.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSection {
    /// The cluster it runs on.
    pub cluster: String,
    /// What it serves: a catalog name or an inline sheet.
    pub model: Named<ModelSheet>,
    /// When its doors open; unset, at the scenario's start.
    pub opens: Option<Opens>,
    /// What one replica is.
    pub replica: ReplicaSection,
    /// When power control holds it: before or after others.
    #[serde(default = "last_to_be_held")]
    pub power_priority: Priority,
    /// The higher, the sooner it gets GPUs where its cluster has too few for all its services; those of lower priority then give up
    /// replicas above their `scale.min`.
    #[serde(default)]
    pub priority: i32,
    /// Which model turns its batch into watts.
    #[serde(default)]
    pub power: PowerSection,
    /// How many replicas, and who decides.
    pub scale: ScaleSection,
    /// Which replica takes a request.
    #[serde(default)]
    pub router: Router,
    /// Some replicas compute prompts, and others decode; unset, all do both.
    pub pools: Option<Pools>,
    /// How requests are shared among its cells, of up to 64 replicas each.
    #[serde(default)]
    pub front: Front,
    /// Who asks, when and how much.
    pub arrivals: ArrivalsSection,
    /// Every request, those of a sample of its cells, or response tables.
    #[serde(default)]
    pub fidelity: Fidelity,
    /// Limits that a request must meet.
    pub slo: Option<Slo>,
    /// What its answers sell for, for its revenue and margin.
    pub price: Option<TokenPrices>,
    /// Requests that may wait in a cell for each ready replica before others are turned away.
    #[serde(default = "default_queue")]
    pub queue: u32,
    /// Classes of its requests, each with limits and a priority of its own; none, all requests are alike.
    #[serde(default)]
    pub class: BTreeMap<String, ClassSection>,
    /// When clients hang up and ask again; unset, they wait for ever and never ask again.
    pub patience: Option<Patience>,
    /// What becomes of requests whose replica fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Part of its requests to write to `requests.csv` one by one: 1 for all, less for a seeded sample; unset, none.
    pub record: Option<Share>,
}

fn last_to_be_held() -> Priority {
    Priority::High
}
fn default_queue() -> u32 {
    // Round default: twice a full batch of vLLM v1 (max_num_seqs 256).
    512
}

/// `opens = { after = "pretrain" }` or `opens = { at = "30 d" }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Opens {
    /// When that training job has finished.
    After(String),
    /// That long after the scenario's start.
    At(Span),
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaSection {
    /// GPUs of one replica: its tensor-parallel width.
    pub gpus: u32,
    /// Serving engine.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// Precision of the weights.
    #[serde(default)]
    pub precision: Precision,
    /// Step-time coefficients, instead of the catalog's row or first principles.
    pub step: Option<StepSection>,
    /// Tokens that one step may process.
    #[serde(default = "default_token_budget")]
    pub token_budget: u32,
    /// Sequences that may decode at once.
    #[serde(default = "default_max_batch")]
    pub max_batch: u32,
    /// Key-value capacity in tokens; unset, what memory leaves beside the weights.
    pub kv_tokens: Option<u64>,
    /// What a step does with prompts that wait.
    #[serde(default)]
    pub prefill: Prefill,
    /// Draft tokens that one step checks together; unset, no.
    pub speculation: Option<Speculation>,
    /// Keep the blocks of prompts and answers while there is room, so that prompts that begin alike are computed once; unset, no.
    pub prefix_cache: Option<PrefixCacheSection>,
    /// Bandwidth at which the weights are loaded at start-up.
    #[serde(default = "default_load_bandwidth")]
    pub load_bandwidth: BytesPerSecond,
    /// From weights loaded to ready.
    #[serde(default = "default_warm_up")]
    pub warm_up: Span,
}

fn default_engine() -> String {
    "vllm".to_owned()
}
fn default_token_budget() -> u32 {
    // vLLM v1 on H100-class cards: max_num_batched_tokens 2,048.
    2_048
}
fn default_max_batch() -> u32 {
    // vLLM v1: max_num_seqs 256.
    256
}
fn default_load_bandwidth() -> BytesPerSecond {
    // Assumed: 2 GB/s a GPU from a parallel file system is typical of start-up times of 1 to 5 minutes.
    BytesPerSecond::new(5e9)
}
fn default_warm_up() -> Span {
    // Assumed: graph capture and warm-up requests.
    Span::from_secs(60)
}

/// Coefficients of the step time `p0 + d max(T + B, T0) + b B + c K + e sum(T ctx)`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSection {
    /// Fixed time of a step.
    pub p0: Span,
    /// For each token of the step (prompt chunk or decoding sequence), in milliseconds.
    pub d_ms: f64,
    /// Tokens below which a step costs no less.
    pub t0: u32,
    /// For each decoding sequence, in milliseconds.
    pub b_ms: f64,
    /// For each token of key-value cache that decoding reads, in milliseconds.
    pub c_ms: f64,
    /// For each prompt token and token of context before it, in milliseconds.
    #[serde(default)]
    pub e_ms: f64,
}

/// How many replicas.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleSection {
    /// Never fewer.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// Who decides in between.
    #[serde(default)]
    pub policy: ScalePolicy,
}

/// Autoscaler.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ScalePolicy {
    /// Always `max`.
    Fixed {},
    /// Keeps outstanding requests per ready replica near a share of the batch at which TPOT meets the SLO.
    TargetLoad(TargetLoad),
    /// More where too few requests met their limits of late, fewer where nearly all did for a while.
    Slo(SloScale),
    /// As many as the hour says.
    Schedule(Schedule),
}

impl Default for ScalePolicy {
    fn default() -> ScalePolicy {
        ScalePolicy::TargetLoad(TargetLoad::default())
    }
}

/// `policy = { target_load = {} }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetLoad {
    /// Outstanding requests per ready replica, over the batch at which TPOT meets the SLO.
    pub load: Share,
    /// Time between decisions; unset, 15 s, and 60 s in runs of more than 7 days.
    pub tick: Option<Span>,
    /// How long the load must stay below before replicas go.
    pub down_after: Span,
    /// Part of the replicas that must be too many before any go; up, none are waited for.
    pub tolerance: Share,
}

impl Default for TargetLoad {
    fn default() -> TargetLoad {
        // shared practice: 0.7 of capacity, down after 5 min (Kubernetes HPA stabilisation window, default 300 s).
        TargetLoad {
            load: Share::new(0.7),
            tick: None,
            down_after: Span::from_secs(300),
            // Kubernetes HPA, --horizontal-pod-autoscaler-tolerance: default 0.1.
            tolerance: Share::new(0.1),
        }
    }
}

/// `policy = { slo = { attainment = 0.95 } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SloScale {
    /// Part of the requests that must meet every limit: 0.95 asks that the 95 % quantiles lie within them.
    pub attainment: Share,
    /// Over the requests that ended in this time.
    pub window: Span,
    /// Part of its replicas that come or go at once, at least one.
    pub step: Share,
    /// How long the part that fails must stay below half of what is allowed before replicas go.
    pub down_after: Span,
    /// Time between decisions; unset, 15 s, and 60 s in runs of more than 7 days.
    pub tick: Option<Span>,
}

impl Default for SloScale {
    fn default() -> SloScale {
        // Assumed: Kubernetes' 5 min before it scales down, and its usual one-minute windows of metrics.
        SloScale {
            attainment: Share::new(0.95),
            window: Span::MINUTE,
            step: Share::new(0.1),
            down_after: Span::from_secs(300),
            tick: None,
        }
    }
}

/// `policy = { schedule = { weekdays = [2, 2, …], weekend = [1, 1, …] } }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Replicas by hour of day (UTC), Monday to Friday.
    pub weekdays: [u32; 24],
    /// The same of Saturday and Sunday; unset, as on weekdays.
    pub weekend: Option<[u32; 24]>,
}

impl Schedule {
    /// Replicas in that hour since Sunday 00:00 UTC.
    pub(super) fn at(&self, hour_of_week: u64) -> u32 {
        let (day, hour) = (hour_of_week / 24 % 7, (hour_of_week % 24) as usize);
        let weekend = matches!(day, 0 | 6);
        self.weekend.filter(|_| weekend).unwrap_or(self.weekdays)[hour]
    }
}

/// Router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Router {
    /// In turn.
    RoundRobin {},
    /// Any, each as likely as the others.
    Random {},
    /// Two at random, and of these the one with fewer outstanding requests.
    PowerOfTwo {},
    /// The fewest outstanding requests; ties in turn.
    LeastLoaded {},
    /// The fewest key-value blocks, those of waiting prompts included; ties in turn.
    LeastKv {},
    /// Every turn of a conversation to the same replica, whatever its load; others to the least loaded.
    SessionSticky {},
    /// Prompts that begin alike to the same replica, unless it is overloaded; others to the least loaded.
    PrefixAffinity(PrefixAffinity),
}

/// `router = { prefix_affinity = {} }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrefixAffinity {
    /// Leading blocks of a trace's prompt that must be the same; a conversation's prompts always begin alike.
    pub blocks: u32,
    /// Outstanding requests more than at the least loaded replica from which on a request goes to the next best.
    pub excess: u32,
}

impl Default for PrefixAffinity {
    fn default() -> PrefixAffinity {
        // Assumed: the first block of a trace is often a system prompt that all share; half of a usual batch of 32.
        PrefixAffinity { blocks: 4, excess: 16 }
    }
}

/// How a service of several cells (more than 64 replicas) shares requests among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Front {
    /// By chance, in proportion to their ready replicas.
    Weighted {},
    /// Each to the least loaded of some cells drawn by chance, by what the cells last reported.
    StaleLoad(StaleLoad),
}

impl Default for Front {
    fn default() -> Front {
        Front::Weighted {}
    }
}

/// `front = { stale_load = { report_every = "1 s" } }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StaleLoad {
    /// Time between reports: loads are up to that old.
    pub report_every: Span,
    /// How many cells are drawn for a request, at most three.
    pub choices: u32,
}

impl Default for StaleLoad {
    fn default() -> StaleLoad {
        // Mitzenmacher (2000), How useful is old information?: two choices lose little to old loads, many herd.
        StaleLoad { report_every: Span::SECOND, choices: 2 }
    }
}

impl Default for Router {
    fn default() -> Router {
        Router::LeastLoaded {}
    }
}

/// Arrivals.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrivalsSection {
    /// Chat traffic: weekly profile x slow log-rate noise x Gamma renewal.
    Chat(Chat),
    /// A constant rate with exponential gaps and given lengths: for known answers and measured replicas.
    Poisson(Poisson),
    /// Dense bursts between long silences, by working hours: code assistants.
    Bursts(Bursts),
    /// A rate through given points.
    Ramp(Ramp),
    /// A crowd that comes at once and goes slowly.
    FlashCrowd(FlashCrowd),
    /// Many tenants, each with a rate, a burstiness and lengths of its own.
    Clients(Clients),
    /// Tenants of a reasoning model: long outputs.
    Reasoning(Reasoning),
    /// Conversations of several turns, whose prompts hold all that was said before.
    Sessions(Sessions),
    /// Clients that wait for each answer before they ask again.
    ClosedLoop(ClosedLoop),
    /// The clients that ServeGen measured, each with its own drifts and bursts.
    Servegen(Servegen),
    /// A request trace.
    Trace(TraceSection),
}

/// `arrivals = { poisson = { rate = "10 /s", prompt = 1000, output = 200 } }`
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poisson {
    /// Requests a second.
    pub rate: PerSecond,
    /// Prompt tokens of each.
    pub prompt: u32,
    /// Output tokens of each.
    pub output: u32,
}

/// Fidelity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fidelity {
    /// Every request.
    Requests {},
    /// Every request of some of its cells, which stand for the others.
    Sampled(Sampled),
    /// Response tables from short exact runs, integrated over time.
    Fluid {},
}

impl Default for Fidelity {
    fn default() -> Fidelity {
        Fidelity::Requests {}
    }
}

/// Limits that a request must meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Time to first token.
    pub ttft: Span,
    /// Time per output token after the first.
    pub tpot: Span,
}

/// A device that answers the same prompts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSection {
    /// Catalog preset or inline sheet.
    pub preset: Named<DeviceSheet>,
    /// What it runs.
    pub model: Named<ModelSheet>,
    /// Prompts that its owner asks a day.
    pub prompts_per_day: Ratio,
    /// Service whose prompts it answers; needed only with several services.
    pub service: Option<String>,
    /// Site whose grid and tariff its owner has, such as a home; unset, the service's. Its facility counts for nothing.
    pub site: Option<String>,
}
