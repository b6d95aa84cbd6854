//! Benchmarks of serving engines: what was run on what, and what was measured. Comma-separated tables of several layouts, told by
//! their header, and vLLM's record of one run as JSON Lines.

use super::error::names;
use super::lines::{self, Hashed};
use super::{TraceError, bench_run};
use crate::units::{SimTime, Span};
use std::path::Path;

/// A benchmark, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Benchmark {
    /// Which layout the file has, of [`BENCH_LAYOUTS`].
    pub layout: &'static str,
    /// Rows read: those kept and those dropped.
    pub rows_read: u64,
    /// Why rows were dropped, and how many.
    pub dropped: Vec<(&'static str, u64)>,
    /// What was measured, by what it ran on, in the order of the file.
    pub benches: Vec<Bench>,
}

/// Measurements of one engine serving one model on so many GPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct Bench {
    /// What was measured.
    pub rig: BenchRig,
    /// Rows of the table; none of a recorded run.
    pub rows: Vec<BenchRow>,
    /// Requests of a recorded run, in order of arrival; none of a table.
    pub requests: Vec<BenchRequest>,
}

/// What a benchmark ran on, in the file's own words; empty where the file is silent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BenchRig {
    /// GPU.
    pub gpu: String,
    /// Model.
    pub model: String,
    /// Serving engine.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Precision of the weights.
    pub precision: String,
    /// GPUs that share the model.
    pub gpus: u32,
    /// Sequences that the engine decoded at once at most, where the file says so.
    pub max_batch: Option<u32>,
    /// Tokens that a step of it processed at most, where the file says so.
    pub token_budget: Option<u32>,
}

impl BenchRig {
    /// What it is, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let or = |text: &str, silent: &str| if text.is_empty() { silent.to_owned() } else { text.to_owned() };
        let engine = [&self.engine, &self.version, &self.precision].map(String::as_str);
        let engine: Vec<&str> = engine.into_iter().filter(|word| !word.is_empty()).collect();
        let with = if engine.is_empty() { String::new() } else { format!(", {}", engine.join(" ")) };
        format!("{} on {} x {}{with}", or(&self.model, "a model"), self.gpus, or(&self.gpu, "GPU"))
    }
}

/// One row of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BenchRow {
    /// Its line in the file.
    pub line: u64,
    /// What was measured.
    pub measured: Measured,
    /// What one GPU drew on average, in watts.
    pub watts: Option<f64>,
}

/// What a row measured, times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measured {
    /// So many clients in a closed loop, each of which asks anew when it has its answer.
    Loop {
        /// Clients.
        clients: u32,
        /// Prompt tokens of a request.
        prompt: u32,
        /// Output tokens of a request, at least two.
        output: u32,
        /// Mean time to first token.
        ttft_ms: Option<f64>,
        /// Mean time per output token after the first.
        tpot_ms: f64,
    },
    /// One step.
    Step {
        /// Sequences that decode in it.
        batch: f64,
        /// Tokens in their caches.
        cached: f64,
        /// Prompt tokens in it.
        prompt: f64,
        /// Sum over these of the tokens of their prompt before them.
        attended: f64,
        /// Its time.
        ms: f64,
    },
    /// A saturated engine.
    Full {
        /// Sequences that decode at once, on average.
        batch: f64,
        /// Output tokens of a request, on average.
        output: f64,
        /// Median time between tokens.
        median_ms: f64,
        /// Output tokens a second.
        speed: f64,
    },
}

/// A request of a recorded run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchRequest {
    /// When it was queued.
    pub at: SimTime,
    /// Prompt tokens.
    pub prompt: u32,
    /// Output tokens, at least one.
    pub output: u32,
    /// From then to its first token.
    pub first: Span,
    /// From then to its last.
    pub last: Span,
}

/// Layouts that are read: name, and how a file shows that it has it.
pub const BENCH_LAYOUTS: [(&str, &str); 9] = [
    ("loops", "prompt_tokens, output_tokens, concurrency, tpot_ms; ttft_ms, watts and what it ran on if known"),
    ("steps", "batch, context_tokens, step_ms; prompt_tokens, watts and what it ran on if known"),
    ("aisimulate", "input_tokens, output_tokens, concurrency, tpot_ms: closed loops of AISimulate's silicon_sample"),
    ("aisimulate_steps", "step, batch, context_or_prompt_tokens, ms: steps composed from AISimulate's tables"),
    ("mlenergy", "avg_batch_size, median_itl_ms, output_throughput_tokens_per_sec: saturated engines of ML.ENERGY"),
    ("splitwise", "prompt_tokens, batch, prefill_ms, decode_step_ms: phases measured for Splitwise"),
    ("step_fits", "decode_a_ms, …, prefill_d_ms, …: coefficients fitted to decode and prefill apart"),
    ("loop_fits", "a, b, c, d: coefficients fitted to closed loops by formula"),
    ("vllm_bench", "JSON Lines of input_toks, output_toks, queued_ts, first_token_ts, last_token_ts: one run of vLLM"),
];

/// Columns by which a header is told, most particular first.
const MARKS: [(&str, &[&str]); 8] = [
    ("loops", &["prompt_tokens", "output_tokens", "concurrency", "tpot_ms"]),
    ("steps", &["batch", "context_tokens", "step_ms"]),
    ("aisimulate", &["input_tokens", "output_tokens", "concurrency", "tpot_ms"]),
    ("aisimulate_steps", &["step", "batch", "context_or_prompt_tokens", "ms"]),
    ("mlenergy", &["avg_batch_size", "median_itl_ms", "output_throughput_tokens_per_sec", "num_gpus"]),
    ("splitwise", &["prompt_tokens", "batch", "prefill_ms", "decode_step_ms"]),
    ("step_fits", &["decode_a_ms", "decode_b_ms_per_seq", "prefill_T0_tokens", "prefill_d_ms_per_token"]),
    ("loop_fits", &["tp_size", "a", "b", "c", "d"]),
];

impl Benchmark {
    /// Reads the benchmark at `path`.
    ///
    /// # Errors
    /// The first thing wrong: an unreadable or empty file, a header of no known layout, or a cell that is no number in its range.
    pub fn read(path: &Path) -> Result<Benchmark, TraceError> {
        let mut text = Hashed::open(path)?;
        if bench_run::is_object(&mut text, path)? {
            return bench_run::read(path, text);
        }
        table(path, text)
    }
}

/// Rows of a table as they are gathered.
struct Gathering {
    benchmark: Benchmark,
}

impl Gathering {
    fn drop(&mut self, reason: &'static str) {
        match self.benchmark.dropped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.benchmark.dropped.push((reason, 1)),
        }
    }

    fn keep(&mut self, rig: BenchRig, row: BenchRow) {
        let benches = &mut self.benchmark.benches;
        match benches.iter_mut().find(|bench| bench.rig == rig) {
            Some(bench) => bench.rows.push(row),
            None => benches.push(Bench { rig, rows: vec![row], requests: Vec::new() }),
        }
    }
}

fn table(path: &Path, text: Hashed) -> Result<Benchmark, TraceError> {
    let mut csv = lines::comma_separated(text, true);
    let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
    let has = |name: &&str| header.iter().any(|known| known == *name);
    let Some((layout, _)) = MARKS.iter().find(|(_, marks)| marks.iter().all(has)) else {
        return Err(unknown(path, lines::header(&csv), &header));
    };
    let benchmark = Benchmark { layout, rows_read: 0, dropped: Vec::new(), benches: Vec::new() };
    let mut gathering = Gathering { benchmark };
    let mut record = csv::StringRecord::new();
    while let Some(line) = lines::read(&mut csv, path, &mut record)? {
        gathering.benchmark.rows_read += 1;
        let row = Cells { path, line, header: &header, record: &record };
        match *layout {
            "loops" => row.closed_loop(&mut gathering, ["prompt_tokens", "engine", "version"])?,
            "aisimulate" => row.closed_loop(&mut gathering, ["input_tokens", "backend", "backend_version"])?,
            "steps" => row.step(&mut gathering)?,
            "aisimulate_steps" => row.composed(&mut gathering)?,
            "mlenergy" => row.saturated(&mut gathering)?,
            "splitwise" => row.phases(&mut gathering)?,
            "step_fits" => row.fitted_steps(&mut gathering)?,
            _ => row.fitted_loops(&mut gathering)?,
        }
    }
    if gathering.benchmark.benches.is_empty() {
        return Err(TraceError::file(path, "no row that can be used", "at least one measurement"));
    }
    Ok(gathering.benchmark)
}

/// What is wrong with a header that shows no known layout.
fn unknown(path: &Path, line: u64, header: &csv::StringRecord) -> TraceError {
    let has = |name: &str| header.iter().any(|known| known == name);
    let why = match () {
        () if has("bytes") && has("ms") => ": times of all-reduce, of which no step follows",
        () if has("quantity") && has("value") => ": single figures, and no step or loop that was timed",
        () => "",
    };
    let layouts: Vec<&str> = BENCH_LAYOUTS.iter().take(2).map(|(_, columns)| *columns).collect();
    let expected = format!("columns of a benchmark: {} (tollway calibrate --help has more)", layouts.join("; or "));
    TraceError::line(path, line, format!("the columns {}{why}", names(header)), expected)
}

/// One row and the names of its columns.
struct Cells<'a> {
    path: &'a Path,
    line: u64,
    header: &'a csv::StringRecord,
    record: &'a csv::StringRecord,
}

impl Cells<'_> {
    /// The cell in that column; empty where the file has none.
    fn text(&self, column: &str) -> &str {
        let place = self.header.iter().position(|name| name == column);
        place.and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    fn bad(&self, column: &str, expected: &str) -> TraceError {
        TraceError::line(self.path, self.line, format!("{:?}", self.text(column)), expected).in_column(column)
    }

    /// A number from `least` on.
    fn number(&self, column: &str, least: f64) -> Result<f64, TraceError> {
        let number = self.text(column).parse::<f64>().ok().filter(|number| number.is_finite() && *number >= least);
        number.ok_or_else(|| self.bad(column, &format!("a number of at least {least}")))
    }

    /// A time in milliseconds, above zero.
    fn milliseconds(&self, column: &str) -> Result<f64, TraceError> {
        let time = self.text(column).parse::<f64>().ok().filter(|time| time.is_finite() && *time > 0.0);
        time.ok_or_else(|| self.bad(column, "a time in milliseconds above zero"))
    }

    /// A whole number from `least` on; `4.0` is one.
    fn count(&self, column: &str, least: u32) -> Result<u32, TraceError> {
        let number = self.text(column).parse::<f64>().ok();
        let number = number.filter(|number| number.fract() == 0.0 && *number >= f64::from(least) && *number <= 1e9);
        number.map(|number| number as u32).ok_or_else(|| self.bad(column, &format!("a whole number from {least} on")))
    }

    /// What the row ran on, by the columns of GPU, model, engine, version, precision and GPUs.
    fn rig(&self, columns: [&str; 6]) -> Result<BenchRig, TraceError> {
        let [gpu, model, engine, version, precision, gpus] = columns;
        let text = |column| self.text(column).to_owned();
        Ok(BenchRig {
            gpu: text(gpu),
            model: text(model),
            engine: text(engine),
            version: text(version),
            precision: text(precision),
            gpus: if self.text(gpus).is_empty() { 1 } else { self.count(gpus, 1)? },
            max_batch: None,
            token_budget: None,
        })
    }

    /// Watts of one GPU, where the row has them.
    fn watts(&self, column: &str) -> Result<Option<f64>, TraceError> {
        if self.text(column).is_empty() { Ok(None) } else { self.number(column, 0.0).map(Some) }
    }

    fn keep(&self, into: &mut Gathering, rig: BenchRig, measured: Measured, watts: Option<f64>) {
        into.keep(rig, BenchRow { line: self.line, measured, watts });
    }

    fn closed_loop(&self, into: &mut Gathering, [prompt, engine, version]: [&str; 3]) -> Result<(), TraceError> {
        let rig = self.rig(["gpu", "model", engine, version, "precision", "tp"])?;
        let output = self.count("output_tokens", 1)?;
        if output == 1 {
            into.drop("of one output token, which have no time per token");
            return Ok(());
        }
        let ttft_ms = if self.text("ttft_ms").is_empty() { None } else { Some(self.milliseconds("ttft_ms")?) };
        let measured = Measured::Loop {
            clients: self.count("concurrency", 1)?,
            prompt: self.count(prompt, 1)?,
            output,
            ttft_ms,
            tpot_ms: self.milliseconds("tpot_ms")?,
        };
        self.keep(into, rig, measured, self.watts("watts")?);
        Ok(())
    }

    fn step(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = self.rig(["gpu", "model", "engine", "version", "precision", "tp"])?;
        let (batch, context) = (self.number("batch", 0.0)?, self.number("context_tokens", 0.0)?);
        let prompt = if self.text("prompt_tokens").is_empty() { 0.0 } else { self.number("prompt_tokens", 0.0)? };
        if batch + prompt == 0.0 {
            into.drop("of steps that hold nothing");
            return Ok(());
        }
        let measured = Measured::Step {
            batch,
            cached: batch * context,
            prompt,
            attended: prompt * prompt / 2.0,
            ms: self.milliseconds("step_ms")?,
        };
        self.keep(into, rig, measured, self.watts("watts")?);
        Ok(())
    }

    fn composed(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = self.rig(["gpu", "model", "backend", "version", "precision", "tp"])?;
        let (batch, tokens) = (self.number("batch", 1.0)?, self.number("context_or_prompt_tokens", 1.0)?);
        let ms = self.milliseconds("ms")?;
        let measured = match self.text("step") {
            "decode" => Measured::Step { batch, cached: batch * tokens, prompt: 0.0, attended: 0.0, ms },
            "prefill" => prompts(batch, tokens, ms),
            _ => return Err(self.bad("step", "decode or prefill")),
        };
        self.keep(into, rig, measured, None);
        Ok(())
    }

    fn saturated(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = BenchRig {
            engine: "vllm".to_owned(),
            ..self.rig(["gpu_model", "model_id", "", "", "weight_precision", "num_gpus"])?
        };
        let measured = Measured::Full {
            batch: self.number("avg_batch_size", 1.0)?,
            output: self.number("avg_output_len", 2.0)?,
            median_ms: self.milliseconds("median_itl_ms")?,
            speed: self.milliseconds("output_throughput_tokens_per_sec")?,
        };
        let all = self.watts("avg_power_watts")?.map(|watts| watts / f64::from(rig.gpus));
        let watts = self.watts("w_per_gpu")?.or(all);
        self.keep(into, rig, measured, watts);
        Ok(())
    }

    fn phases(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = BenchRig { model: "llama-2-70b".to_owned(), ..self.rig(["gpu", "", "", "", "", "tp"])? };
        let (batch, prompt) = (self.number("batch", 1.0)?, self.number("prompt_tokens", 1.0)?);
        // The mean context of 128 tokens of output.
        let cached = batch * (prompt + 64.0);
        let decode =
            Measured::Step { batch, cached, prompt: 0.0, attended: 0.0, ms: self.milliseconds("decode_step_ms")? };
        let prefill = prompts(batch, prompt, self.milliseconds("prefill_ms")?);
        if rig.gpus == 2 {
            into.drop("of prompts on two GPUs, whose times do not grow with their length");
            into.benchmark.rows_read += 1;
        } else {
            into.benchmark.rows_read += 1;
            self.keep(into, rig.clone(), prefill, None);
        }
        self.keep(into, rig, decode, None);
        Ok(())
    }

    /// Steps as the two fits give them, over the range in which they were fitted.
    fn fitted_steps(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = self.rig(["gpu", "model", "backend", "", "", "tp"])?;
        let [a, b, c] = ["decode_a_ms", "decode_b_ms_per_seq", "decode_c_ms_per_kv_token"];
        let [a, b, c] = [self.number(a, 0.0)?, self.number(b, 0.0)?, self.number(c, 0.0)?];
        let [p0, d, e] = ["prefill_p0_ms", "prefill_d_ms_per_token", "prefill_e_ms_per_token_ctx"];
        let [p0, d, e] = [self.number(p0, 0.0)?, self.number(d, 0.0)?, self.number(e, 0.0)?];
        let floor = self.number("prefill_T0_tokens", 0.0)?;
        for batch in [1.0, 4.0, 16.0, 64.0, 256.0] {
            for context in [512.0, 2_048.0, 8_192.0] {
                let cached = batch * context;
                let ms = a + b * batch + c * cached;
                self.keep(into, rig.clone(), Measured::Step { batch, cached, prompt: 0.0, attended: 0.0, ms }, None);
            }
        }
        for prompt in [128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0, 16_384.0_f64] {
            let ms = p0 + d * prompt.max(floor) + e * prompt * prompt / 2.0;
            self.keep(into, rig.clone(), prompts(1.0, prompt, ms), None);
        }
        Ok(())
    }

    /// Closed loops as the formula `a + b B + c B (isl + osl / 2) + d B isl / osl` gives them, over the range of its fit.
    fn fitted_loops(&self, into: &mut Gathering) -> Result<(), TraceError> {
        let rig = self.rig(["system", "model_path", "backend", "", "precision", "tp_size"])?;
        let [a, b, c, d] =
            [self.number("a", 0.0)?, self.number("b", 0.0)?, self.number("c", 0.0)?, self.number("d", 0.0)?];
        for (prompt, output) in [(1_024, 1_024), (1_024, 8_192), (8_192, 1_024)] {
            for clients in [4, 8, 16, 32, 64] {
                let (isl, osl, batch) = (f64::from(prompt), f64::from(output), f64::from(clients));
                let tpot_ms = a + b * batch + c * batch * (isl + osl / 2.0) + d * batch * isl / osl;
                let measured = Measured::Loop { clients, prompt, output, ttft_ms: None, tpot_ms };
                self.keep(into, rig.clone(), measured, None);
            }
        }
        Ok(())
    }
}

/// A step of `batch` whole prompts of `tokens` each.
fn prompts(batch: f64, tokens: f64, ms: f64) -> Measured {
    Measured::Step { batch: 0.0, cached: 0.0, prompt: batch * tokens, attended: batch * tokens * tokens / 2.0, ms }
}
