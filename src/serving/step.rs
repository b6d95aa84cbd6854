//! How long one step of a serving engine takes, and where its coefficients come from: the scenario, a catalog row fitted to
//! measurements, or first principles.
//!
//! The form is `t = p0 + d max(T + B, T0) + b B + c K + e sum(T ctx)` for `B` decoding sequences with `K` tokens in their
//! caches and `T` prompt tokens, each after `ctx` tokens of its own prompt: the mean context of a chunk, as `e` was fitted
//! (fit_step_time_bf16.csv), half the chunk more than what was in the cache before it. Its mean error is 2.0 % on measured serving TPOT of
//! dense models fitted per configuration, 3-9 % from first principles (our own fits). Worked value: H100, 8B,
//! 64 sequences of 1,024 tokens: 10.1 ms.

use super::speculation::Gain;
use super::{Precision, Speculation, StepSection, Touched};
use crate::catalog::{EngineRow, GpuSheet, ModelSheet, step_row};
use crate::power::Slowdown;
use crate::units::{Bytes, BytesPerSecond, Share, Span};
use std::sync::Arc;

/// Step time `p0 + d max(T + B, T0) + b B + c K + e sum(T ctx)`, coefficients in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepModel {
    /// Fixed time of a step.
    pub p0_ms: f64,
    /// For each token of the step.
    pub d_ms: f64,
    /// Tokens below which a step costs no less.
    pub t0: u32,
    /// For each decoding sequence.
    pub b_ms: f64,
    /// For each token of key-value cache that decoding reads.
    pub c_ms: f64,
    /// For each prompt token and token of context before it.
    pub e_ms: f64,
}

/// Mean lengths of a service's requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanLengths {
    /// Prompt tokens.
    pub prompt: f64,
    /// Output tokens.
    pub output: f64,
}

impl StepModel {
    /// Time of one step with `load`.
    #[must_use]
    pub fn time(&self, load: StepLoad) -> Span {
        Span::from_secs_f64(self.milliseconds(load) / 1e3)
    }

    /// Time of one step with `load` while power control slows its phases.
    #[must_use]
    pub fn time_under(&self, load: StepLoad, slow: Slowdown) -> Span {
        Span::from_secs_f64(self.slowed(load, slow) / 1e3)
    }

    /// The largest batch, up to `limits`, whose steady TPOT meets `tpot`: as many sequences decode as start, so a step of `B`
    /// sequences also carries `B prompt / output` prompt tokens. At least 1, even where a lone sequence is too slow.
    #[must_use]
    pub fn batch_within(&self, tpot: Span, lengths: MeanLengths, limits: BatchLimits, slow: Slowdown) -> u32 {
        let held = (lengths.prompt + lengths.output / 2.0).max(1.0);
        let by_cache = ((limits.kv_tokens as f64 / held) as u32).max(1);
        let meets = |batch: u32| self.slowed(StepLoad::steady(batch, lengths), slow) <= tpot.as_secs_f64() * 1e3;
        let (mut good, mut bad) = (1, limits.max_batch.min(by_cache) + 1);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            *(if meets(middle) { &mut good } else { &mut bad }) = middle;
        }
        good
    }

    /// The step that checks drafts, in which every decoding sequence has some tokens computed. On the safe side: what they cost below
    /// the floor counts.
    pub(super) fn drafting(&self, drafts: &Speculation) -> StepModel {
        let more = 1.0 + f64::from(drafts.draft) * drafts.cost.as_f64();
        StepModel {
            p0_ms: self.p0_ms * more,
            b_ms: self.b_ms * more + self.d_ms * f64::from(drafts.draft),
            c_ms: self.c_ms * more,
            ..*self
        }
    }

    /// The coefficients for a replica, and a text that says where they come from: `own` where the scenario gives them, else
    /// the catalog's row for this deployment, else first principles.
    #[must_use]
    pub fn resolve(own: Option<&StepSection>, on: &Deployment) -> (StepModel, String) {
        if let Some(section) = own {
            return (StepModel::from(section), "scenario".to_owned());
        }
        match step_row(on.gpu_name, on.engine, on.precision, on.model_name, on.gpus) {
            Some(row) => (StepModel::from(row), row.words()),
            None => on.first_principles(),
        }
    }

    fn milliseconds(&self, load: StepLoad) -> f64 {
        self.p0_ms
            + self.d_ms * (load.prompt + load.batch).max(f64::from(self.t0))
            + self.b_ms * load.batch
            + self.c_ms * load.cached
            + self.e_ms * load.attended
    }

    /// What prompt tokens add to the step is prefill, the rest is decode.
    fn slowed(&self, load: StepLoad, slow: Slowdown) -> f64 {
        if slow == Slowdown::NONE {
            return self.milliseconds(load);
        }
        let decode = self.milliseconds(StepLoad { prompt: 0.0, attended: 0.0, ..load });
        decode * slow.decode + (self.milliseconds(load) - decode) * slow.prefill
    }
}

impl From<&StepSection> for StepModel {
    fn from(section: &StepSection) -> StepModel {
        StepModel {
            p0_ms: section.p0.as_secs_f64() * 1e3,
            d_ms: section.d_ms,
            t0: section.t0,
            b_ms: section.b_ms,
            c_ms: section.c_ms,
            e_ms: section.e_ms,
        }
    }
}

impl From<&EngineRow> for StepModel {
    fn from(row: &EngineRow) -> StepModel {
        let &EngineRow { p0_ms, d_ms, t0, b_ms, c_ms, e_ms, .. } = row;
        StepModel { p0_ms, d_ms, t0, b_ms, c_ms, e_ms }
    }
}

/// What one step processes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepLoad {
    /// Sequences that decode.
    pub batch: f64,
    /// Tokens in their caches.
    pub cached: f64,
    /// Prompt tokens.
    pub prompt: f64,
    /// Sum over prompt tokens of the tokens of their prompt before them.
    pub attended: f64,
}

impl StepLoad {
    /// The mean step of a steady batch; prompts fit one chunk.
    fn steady(batch: u32, lengths: MeanLengths) -> StepLoad {
        let batch = f64::from(batch);
        StepLoad {
            batch,
            cached: batch * (lengths.prompt + lengths.output / 2.0),
            prompt: batch * lengths.prompt / lengths.output.max(1.0),
            attended: 0.0,
        }
    }
}

/// What bounds a batch whatever its speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Sequences that the engine decodes at once.
    pub max_batch: u32,
    /// Key-value capacity.
    pub kv_tokens: u64,
}

/// A model on the GPUs of one replica.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// Catalog name of the GPU.
    pub gpu_name: &'a str,
    /// The GPU.
    pub gpu: &'a GpuSheet,
    /// Tensor-parallel width.
    pub gpus: u32,
    /// Serving engine, such as `vllm`.
    pub engine: &'a str,
    /// Precision of the weights.
    pub precision: Precision,
    /// Catalog name of the model.
    pub model_name: &'a str,
    /// The model.
    pub model: &'a ModelSheet,
}

impl Deployment<'_> {
    /// The weights of one replica.
    #[must_use]
    pub fn weights(&self) -> Bytes {
        Bytes::new((self.model.parameters * self.precision.bytes() as f64) as u64)
    }

    /// Key-value capacity of one replica: `(0.9 HBM - weights / TP) TP / bytes per token`; zero where the weights do not fit.
    #[must_use]
    pub fn kv_tokens(&self) -> u64 {
        // vLLM v1: gpu_memory_utilization 0.9.
        let usable = Share::new(0.9).as_f64() * self.gpu.memory.count() as f64 * f64::from(self.gpus);
        let left = usable - self.weights().count() as f64;
        (left / self.model.kv_bytes_per_token.count() as f64).max(0.0) as u64
    }

    /// From the grant of GPUs to a ready replica: weights over `load` bandwidth, and `warm_up`.
    #[must_use]
    pub fn start_up(&self, load: BytesPerSecond, warm_up: Span) -> Span {
        load.time_for(self.weights()) + warm_up
    }

    /// True where step times are the scenario's own or a row of the catalog's.
    #[must_use]
    pub fn is_measured(&self, own: Option<&StepSection>) -> bool {
        own.is_some() || step_row(self.gpu_name, self.engine, self.precision, self.model_name, self.gpus).is_some()
    }

    /// Coefficients from data sheets and the efficiencies of the GPU and engine, and which these are.
    #[must_use]
    pub fn first_principles(&self) -> (StepModel, String) {
        let (efficiency, whose) = Efficiency::of(self.gpu_name, self.engine, self.precision);
        (self.at(&efficiency), format!("first principles, {whose}"))
    }

    /// Coefficients from data sheets, each short of its ideal as `efficiency` says.
    #[must_use]
    pub fn at(&self, efficiency: &Efficiency) -> StepModel {
        let tp = f64::from(self.gpus);
        let bandwidth = tp * self.gpu.bandwidth.as_f64();
        let peak = tp
            * match self.precision {
                Precision::Bf16 => self.gpu.peak_16bit.as_f64(),
                Precision::Fp8 => self.gpu.peak_8bit.as_f64(),
            };
        let layers = f64::from(self.model.layers);
        let active_bytes = self.weights().count() as f64 * self.model.active_parameters / self.model.parameters;
        let weights_ms = 1e3 * active_bytes / bandwidth * efficiency.weights;
        let d_ms = 1e3 * 2.0 * self.model.active_parameters / peak * efficiency.prefill;
        StepModel {
            p0_ms: layers * (efficiency.layer_us + efficiency.all_reduce_us(self.gpus)) / 1e3,
            d_ms,
            t0: (weights_ms / d_ms).round() as u32,
            b_ms: efficiency.host_ms,
            c_ms: 1e3 * self.model.kv_bytes_per_token.count() as f64 / bandwidth * efficiency.cache,
            e_ms: 1e3 * self.attention_flops() / (tp * self.gpu.peak_16bit.as_f64()) * efficiency.prefill,
        }
    }

    /// FLOPs of one query over one key, in all layers: 4 x layers x width, the width from `N = 12 layers width^2` (dense
    /// transformer, arXiv:2001.08361 section 2.1).
    fn attention_flops(&self) -> f64 {
        let layers = f64::from(self.model.layers);
        4.0 * layers * (self.model.active_parameters / (12.0 * layers)).sqrt()
    }
}

/// How far a GPU and engine fall short of the data sheet: factors on ideal times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Efficiency {
    /// Reading the weights.
    pub weights: f64,
    /// Each layer, in microseconds.
    pub layer_us: f64,
    /// Each all-reduce, of two a layer, in microseconds.
    pub reduce_us: f64,
    /// And more for each doubling of the GPUs.
    pub reduce_us_per_log2: f64,
    /// Reading the key-value cache.
    pub cache: f64,
    /// Arithmetic of prompt tokens.
    pub prefill: f64,
    /// The host, for each sequence of a step, in milliseconds.
    pub host_ms: f64,
}

/// Mid-range of our own first-principles fits.
const TYPICAL: Efficiency = Efficiency {
    weights: 1.33,
    layer_us: 26.0,
    reduce_us: 8.0,
    reduce_us_per_log2: 5.0,
    cache: 1.1,
    prefill: 1.6,
    host_ms: 0.04,
};

/// One set for each GPU, engine and precision: our own fit of mean TPOT in simulated closed loops (silicon_sample.csv of PyPI
/// aisimulate 0.13.0, Apache-2.0; rows that did not queue), by least squares with each value kept near the usual ones. Mean error
/// 5.7, 4.5, 7.0, 5.3 and 12 % in this order, and 8.0, 5.6, 9.4, 7.4 and 16 % for a configuration left out of its fit. Versions of
/// the engines and types of their caches are mixed in the source: read each set as a band.
const SIMULATED: [(&str, &str, Precision, Efficiency); 5] = [
    // All-reduce is inside the layers.
    ("b200-sxm", "trtllm", Precision::Fp8, fitted(0.998, 58.5, [0.0, 0.0], 0.549, 2.253).with_host(0.0353)),
    ("b200-sxm", "vllm", Precision::Fp8, fitted(1.113, 65.5, [0.0, 0.0], 0.366, 2.825).with_host(0.0541)),
    ("h100-sxm", "trtllm", Precision::Bf16, fitted(1.137, 25.8, [11.2, 4.37], 0.570, 1.734).with_host(0.0397)),
    ("h200-sxm", "trtllm", Precision::Fp8, fitted(1.158, 25.1, [0.0, 4.94], 0.443, 1.910).with_host(0.0629)),
    ("h200-sxm", "vllm", Precision::Fp8, fitted(1.406, 24.5, [10.0, 5.81], 0.985, 0.588).with_host(0.0250)),
];

/// One set for each GPU and engine, fitted by formula to the same rows; off by 7 to 32 % in simulated closed loops. They serve where
/// nothing better is known.
const FITTED: [(&str, &str, Efficiency); 6] = [
    ("h100-sxm", "vllm", fitted(1.25, 26.0, [15.9, 6.4], 0.95, 1.26)),
    ("h100-sxm", "trtllm", fitted(1.50, 26.0, [11.5, 6.5], 0.0, 1.93)),
    ("h200-sxm", "vllm", fitted(1.53, 26.0, [12.6, 7.5], 2.1, 0.5)),
    ("h200-sxm", "trtllm", fitted(1.33, 26.0, [0.6, 7.8], 0.91, 1.20)),
    // All-reduce is inside 63-69 us a layer: the middle.
    ("b200-sxm", "trtllm", fitted(1.01, 66.0, [0.0, 0.0], 1.6, 1.3)),
    ("b200-sxm", "vllm", fitted(1.08, 66.0, [0.0, 0.0], 1.1, 2.1)),
];

const fn fitted(weights: f64, layer_us: f64, reduce: [f64; 2], cache: f64, prefill: f64) -> Efficiency {
    let [reduce_us, reduce_us_per_log2] = reduce;
    Efficiency { weights, layer_us, reduce_us, reduce_us_per_log2, cache, prefill, host_ms: 0.04 }
}

impl Efficiency {
    const fn with_host(self, host_ms: f64) -> Efficiency {
        Efficiency { host_ms, ..self }
    }

    /// The fitted set, or the typical one, and its name.
    fn of(gpu: &str, engine: &str, precision: Precision) -> (Efficiency, String) {
        let simulated = SIMULATED.iter().find(|row| row.0 == gpu && row.1 == engine && row.2 == precision);
        let fitted = FITTED.iter().find(|row| row.0 == gpu && row.1 == engine).map(|row| row.2);
        match simulated.map(|row| row.3).or(fitted) {
            Some(efficiency) => (efficiency, format!("efficiencies of {gpu} with {engine}")),
            None => (TYPICAL, "typical efficiencies".to_owned()),
        }
    }

    /// Two all-reduces of one layer; none on a single GPU.
    fn all_reduce_us(self, gpus: u32) -> f64 {
        if gpus < 2 { 0.0 } else { 2.0 * (self.reduce_us + self.reduce_us_per_log2 * libm::log2(f64::from(gpus))) }
    }
}

/// Fixed point of the replica's clock: 2^-20 ns, so that an error of half a unit in a coefficient stays below a nanosecond
/// over a million tokens.
pub(crate) const FINE_BITS: u32 = 20;

/// A step model compiled to integers of 2^-20 ns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pace {
    p0: u64,
    d: u64,
    /// For each token that prompts add above what decode alone costs: `d`, but under a lever.
    prefill: u64,
    t0: u64,
    b: u64,
    c: u64,
    e: u64,
    /// Tokens that a decoding sequence has computed in each step: one, or those that were drafted and one.
    width: u64,
    /// What drafting adds to a step that decodes, and to it for each token of the step before drafts, as `p0` and `d`.
    draft_p0: u64,
    draft_d: u64,
    /// Of a mixture of experts: time to read the weights that so many tokens touch, by tokens, while a step decodes and while it
    /// takes prompts. More tokens touch no more.
    floors: Option<Arc<[[u64; 2]]>>,
}

/// The steps of a stretch in which no sequence joins or leaves: the `i`-th, from 0, takes `first + i growth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Series {
    /// Time of the first step.
    pub(crate) first: u64,
    /// By how much each step is longer than the one before.
    pub(crate) growth: u64,
    /// By how much steps are longer for each token that sequences have gained since the first, where they do not gain one a step.
    lump: u64,
    gain: Gain,
}

impl Pace {
    /// Rounds each coefficient to the nearest unit, while power control slows the phases: what prompt tokens add to a step is
    /// prefill, the rest is decode.
    pub(crate) fn slowed(model: &StepModel, slow: Slowdown) -> Pace {
        // 1 ms = 10^6 ns, each of 2^20 units.
        let fine = |ms: f64| (ms * 1e6 * f64::from(1_u32 << FINE_BITS)).round() as u64;
        Pace {
            p0: fine(model.p0_ms * slow.decode),
            d: fine(model.d_ms * slow.decode),
            prefill: fine(model.d_ms * slow.prefill),
            t0: u64::from(model.t0),
            b: fine(model.b_ms * slow.decode),
            c: fine(model.c_ms * slow.decode),
            e: fine(model.e_ms * slow.prefill),
            width: 1,
            draft_p0: 0,
            draft_d: 0,
            floors: None,
        }
    }

    /// The same, of a mixture of experts: a lone token's weights take `d t0`, those that more tokens touch as much longer.
    pub(crate) fn touching(self, touched: &Touched) -> Pace {
        let floor = |each: u64, tokens: u64| (each as f64 * self.t0 as f64 * touched.weights(tokens)).round() as u64;
        let floors = (0..=touched.enough()).map(|tokens| [floor(self.d, tokens), floor(self.prefill, tokens)]);
        Pace { floors: Some(floors.collect()), ..self }
    }

    /// Time of the weights and the arithmetic of `tokens` tokens, while a step decodes and while it takes prompts.
    fn work(&self, floors: &[[u64; 2]], tokens: u64) -> [u64; 2] {
        let [decode, prefill] = floors[(tokens as usize).min(floors.len() - 1)];
        [decode.max(self.d * tokens), prefill.max(self.prefill * tokens)]
    }

    /// As [`slowed`](Pace::slowed), with drafts: they take their part of a decode step, each.
    pub(crate) fn drafting(model: &StepModel, slow: Slowdown, drafts: &Speculation) -> Pace {
        let more = f64::from(drafts.draft) * drafts.cost.as_f64();
        let Pace { p0: draft_p0, d: draft_d, .. } =
            Pace::slowed(&StepModel { p0_ms: model.p0_ms * more, d_ms: model.d_ms * more, ..*model }, slow);
        let scaled = StepModel { b_ms: model.b_ms * (1.0 + more), c_ms: model.c_ms * (1.0 + more), ..*model };
        Pace { width: u64::from(drafts.checked()), draft_p0, draft_d, ..Pace::slowed(&scaled, slow) }
    }

    /// Steps of `batch` sequences with `cached` tokens before the first, each step with `chunk` prompt tokens; `attended` is
    /// the sum over these of the context before them in the first step, and grows by `deepening` a step.
    #[inline]
    pub(crate) fn series(&self, batch: u64, cached: u64, chunk: u64, attended: u64, deepening: u64) -> Series {
        let tokens = batch * self.width;
        let alone = tokens.max(self.t0);
        Series {
            first: self.p0
                + self.d * alone
                + self.prefill * ((chunk + tokens).max(self.t0) - alone)
                + self.b * batch
                + self.c * cached
                + self.e * attended,
            growth: self.c * batch + self.e * deepening,
            lump: 0,
            gain: Gain::ONE,
        }
    }

    /// True where steps read weights by the tokens that touch them.
    pub(super) fn is_of_experts(&self) -> bool {
        self.floors.is_some()
    }

    /// As [`series`](Pace::series), where sequences gain tokens as `gain` says.
    pub(super) fn series_of(
        &self,
        [batch, cached]: [u64; 2],
        [chunk, attended, deepening]: [u64; 3],
        gain: Gain,
    ) -> Series {
        let mut plain = self.series(batch, cached, chunk, attended, deepening);
        if let Some(floors) = &self.floors {
            let tokens = batch * self.width;
            let [decode, before] = self.work(floors, tokens);
            plain.first = self.p0 + decode + self.work(floors, chunk + tokens)[1] - before
                + self.b * batch
                + self.c * cached
                + self.e * attended;
        }
        let drafts = if batch > 0 { self.draft_p0 + self.draft_d * batch.max(self.t0) } else { 0 };
        Series { first: plain.first + drafts, growth: self.e * deepening, lump: self.c * batch, gain }
    }
}

impl Default for Series {
    fn default() -> Series {
        Series { first: 0, growth: 0, lump: 0, gain: Gain::ONE }
    }
}

impl Pace {
    /// What [`Pace::series`] took for `attended` and `deepening` where it gave `series`; `e` must not be zero.
    pub(crate) fn context(&self, series: Series, batch: u64, cached: u64, chunk: u64) -> (u64, u64) {
        let without = self.series(batch, cached, chunk, 0, 0);
        ((series.first - without.first) / self.e, (series.growth - without.growth) / self.e)
    }
}

impl Series {
    /// Time of the first `steps` steps.
    #[inline]
    pub(crate) fn total(self, steps: u64) -> u128 {
        // A stretch has no more steps than a request has tokens: below 2^32.
        let pairs = steps * steps.wrapping_sub(1) / 2;
        let even = u128::from(steps) * u128::from(self.first) + u128::from(self.growth) * u128::from(pairs);
        if self.lump == 0 { even } else { even + self.lumps(steps) }
    }

    #[cold]
    fn lumps(self, steps: u64) -> u128 {
        u128::from(self.lump) * self.gain.sum(steps)
    }

    /// The fewest steps that take `elapsed` or longer, and how long they take.
    #[inline]
    pub(crate) fn steps_to(self, elapsed: u128) -> (u64, u128) {
        if elapsed <= u128::from(self.first) {
            return if elapsed == 0 { (0, 0) } else { (1, self.total(1)) };
        }
        // A clock of 2^-20 ns goes round 64 bits in five hours; few stretches take that long.
        let mut steps = self.guess(u64::try_from(elapsed).map_or_else(|_| elapsed as f64, |elapsed| elapsed as f64));
        let mut total = self.total(steps);
        if total < elapsed {
            while total < elapsed {
                steps += 1;
                total = self.total(steps);
            }
            return (steps, total);
        }
        loop {
            let shorter = self.total(steps - 1);
            if shorter < elapsed {
                return (steps, total);
            }
            (steps, total) = (steps - 1, shorter);
        }
    }

    /// The positive root of `growth k^2 / 2 + (first - growth / 2) k = elapsed`, in the form that does not cancel.
    #[inline]
    fn guess(self, elapsed: f64) -> u64 {
        let growth = self.growth as f64 + self.lump as f64 * self.gain.as_f64();
        let slope = self.first as f64 - growth / 2.0;
        let root = (slope * slope + 2.0 * growth * elapsed).sqrt();
        ((2.0 * elapsed / (slope + root)) as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GPUS, MODELS, find};
    use proptest::prelude::*;

    fn deployment<'a>(model_name: &'a str, precision: Precision, gpus: u32) -> Deployment<'a> {
        let gpu = find(GPUS, "h100-sxm").unwrap();
        let model = find(MODELS, model_name).unwrap();
        Deployment { gpu_name: "h100-sxm", gpu, gpus, engine: "vllm", precision, model_name, model }
    }

    #[test]
    fn memory_left_by_the_weights_holds_the_cache() {
        // (0.9 x 80e9 x TP - weights) / bytes per token: 72e9 - 16.06e9 over 131,072; 576e9 - 405.853e9 over 516,096.
        let cases = [("llama-3.1-8b", Precision::Bf16, 1, 426_788), ("llama-3.1-405b", Precision::Fp8, 8, 329_680)];
        for (model, precision, gpus, expected) in cases {
            assert_eq!(deployment(model, precision, gpus).kv_tokens(), expected, "{model}");
        }
        assert_eq!(deployment("llama-3.1-405b", Precision::Bf16, 8).kv_tokens(), 0, "the weights do not fit");
    }

    #[test]
    fn coefficients_say_where_they_come_from() {
        let section =
            StepSection { p0: Span::from_nanos(2_500_000), d_ms: 0.02, t0: 9, b_ms: 0.1, c_ms: 0.2, e_ms: 0.0 };
        let eight = deployment("llama-3.1-8b", Precision::Bf16, 1);
        let (own, source) = StepModel::resolve(Some(&section), &eight);
        assert_eq!((own.p0_ms, own.t0, source.as_str()), (2.5, 9, "scenario"));
        let (row, source) = StepModel::resolve(None, &eight);
        assert_eq!((row.p0_ms, row.t0), (2.69, 224));
        let row = "catalog, llama-3.1-8b on 1 h100-sxm in bf16 by vllm 0.24.0: ";
        assert!(source.starts_with(row) && source.ends_with("; mean error 2.9 %"), "{source}");
        let (_, source) = StepModel::resolve(None, &deployment("llama-3.1-405b", Precision::Fp8, 8));
        assert_eq!(source, "first principles, efficiencies of h100-sxm with vllm");
    }

    #[test]
    fn first_principles_come_near_the_measured_row() {
        let eight = deployment("llama-3.1-8b", Precision::Bf16, 1);
        let (row, guess) = (StepModel::resolve(None, &eight).0, eight.first_principles().0);
        // Without host time, which kernel sums lack.
        let guess = StepModel { b_ms: row.b_ms, ..guess };
        let loads = [(1.0, 1_024.0), (64.0, 65_536.0), (256.0, 262_144.0)];
        for (batch, cached) in loads {
            let load = StepLoad { batch, cached, ..StepLoad::default() };
            let off = guess.milliseconds(load) / row.milliseconds(load) - 1.0;
            assert!(off.abs() < 0.12, "batch {batch}: off by {off:.3}");
        }
        let prompt = StepLoad { prompt: 2_048.0, attended: 2_048.0 * 1_024.0, ..StepLoad::default() };
        assert!((guess.milliseconds(prompt) / row.milliseconds(prompt) - 1.0).abs() < 0.12);
    }

    #[test]
    fn a_step_of_a_mixture_reads_the_experts_that_it_touches() {
        let on = deployment("deepseek-v3", Precision::Fp8, 16);
        let (model, _) = on.first_principles();
        let touched = Touched::of(on.model).unwrap();
        let pace = Pace::slowed(&model, Slowdown::NONE).touching(&touched);
        let ms = |batch: u64| {
            pace.series_of([batch, 0], [0; 3], Gain::ONE).total(1) as f64 / f64::from(1 << FINE_BITS) / 1e6
        };
        // A lone token reads 37e9 weights, 64 read 585.2e9.
        let lone = model.d_ms * f64::from(model.t0);
        for (batch, weights) in [(1, lone), (64, lone * 585.212 / 37.0)] {
            let expected = model.p0_ms + weights + model.b_ms * batch as f64;
            assert!((ms(batch) / expected - 1.0).abs() < 1e-4, "{batch}: {} ms, expected {expected}", ms(batch));
        }
    }

    #[test]
    fn the_batch_within_a_limit_is_the_largest() {
        let model = StepModel { p0_ms: 10.0, d_ms: 0.0, t0: 0, b_ms: 0.5, c_ms: 0.0, e_ms: 0.0 };
        let lengths = MeanLengths { prompt: 1_000.0, output: 200.0 };
        let limits = |max_batch, kv_tokens| BatchLimits { max_batch, kv_tokens };
        let cases = [
            (20_000_000, limits(256, 1_000_000), 20),
            (19_999_999, limits(256, 1_000_000), 19),
            (20_000_000, limits(12, 1_000_000), 12),
            (20_000_000, limits(256, 5_500), 5),
            (1_000_000, limits(256, 1_000_000), 1),
        ];
        for (nanos, limits, expected) in cases {
            assert_eq!(
                model.batch_within(Span::from_nanos(nanos), lengths, limits, Slowdown::NONE),
                expected,
                "{nanos} ns, {limits:?}"
            );
        }
        // Prompts ride along: 5 tokens a sequence and step at 0.1 ms.
        let prefill = StepModel { d_ms: 0.1, ..model };
        assert_eq!(
            prefill.batch_within(Span::from_nanos(20_000_000), lengths, limits(256, 1_000_000), Slowdown::NONE),
            9
        );
    }

    #[test]
    fn a_lever_slows_prefill_and_decode_apart() {
        let model = StepModel { p0_ms: 2.0, d_ms: 0.1, t0: 20, b_ms: 0.05, c_ms: 0.001, e_ms: 0.0001 };
        let load = StepLoad { batch: 10.0, cached: 1_000.0, prompt: 30.0, attended: 435.0 };
        // Decode: 2 + 0.1 x 20 + 0.5 + 1 = 5.5 ms. Prefill: 20 tokens above the floor and attention, 2.0435 ms.
        assert_eq!(model.time(load), Span::from_nanos(7_543_500));
        let slow = Slowdown { prefill: 1.5, decode: 1.1 };
        assert_eq!(model.time_under(load, slow), Span::from_nanos(6_050_000 + 3_065_250));
        let series = Pace::slowed(&model, slow).series(10, 1_000, 30, 435, 0);
        assert_eq!((series.total(1) + (1 << 19)) >> FINE_BITS, 9_115_250);
    }

    proptest! {
        #[test]
        fn the_fewest_steps_are_found(first in 1_u64..1 << 45, growth in 0_u64..1 << 30, steps in 1_u64..100_000, part in 0.0..1.0) {
            let series = Series { first, growth, ..Series::default() };
            let (below, total) = (series.total(steps - 1), series.total(steps));
            let elapsed = below + 1 + ((total - below - 1) as f64 * part) as u128;
            prop_assert_eq!(series.steps_to(elapsed.min(total)), (steps, total));
        }
    }
}
