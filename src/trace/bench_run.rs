//! vLLM's record of one run: JSON Lines of when each request was queued, and when its first and last token came. What the engine
//! was told lies in `…_meta.json` beside `…_requests.jsonl`, where there is one.

use super::TraceError;
use super::bench::{Bench, BenchRequest, BenchRig, Benchmark};
use super::lines::{self, Hashed};
use crate::units::{SimTime, Span};
use serde::Deserialize;
use std::io::BufRead;
use std::path::Path;

/// One request, times in seconds of one clock.
#[derive(Deserialize)]
struct Line {
    input_toks: u32,
    output_toks: u32,
    queued_ts: f64,
    first_token_ts: f64,
    last_token_ts: f64,
}

/// What the engine was told.
#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    model: String,
    #[serde(default)]
    vllm_version: String,
    engine_kwargs: Arguments,
}

#[derive(Deserialize)]
struct Arguments {
    tensor_parallel_size: Option<u32>,
    max_num_seqs: Option<u32>,
    max_num_batched_tokens: Option<u32>,
    dtype: Option<String>,
}

/// True where the text begins with an object of JSON.
pub(super) fn is_object(text: &mut Hashed, path: &Path) -> Result<bool, TraceError> {
    let begin = text.fill_buf().map_err(|error| TraceError::unreadable(path, &error))?;
    Ok(begin.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
}

/// Reads the run.
pub(super) fn read(path: &Path, mut text: Hashed) -> Result<Benchmark, TraceError> {
    const EXPECTED: &str = "input_toks, output_toks, queued_ts, first_token_ts and last_token_ts in each object";
    let (mut line, mut buffer) = (0, String::new());
    let (mut read, mut unfinished, mut rows) = (0, 0, Vec::new());
    while let Some(line) = lines::read_line(&mut text, path, &mut line, &mut buffer)? {
        let row: Line =
            serde_json::from_str(&buffer).map_err(|error| TraceError::line(path, line, error.to_string(), EXPECTED))?;
        read += 1;
        let times = [row.queued_ts, row.first_token_ts, row.last_token_ts];
        if !times.iter().all(|time| time.is_finite()) || !times.is_sorted() {
            let found = format!("times {times:?}");
            return Err(TraceError::line(path, line, found, "queued_ts <= first_token_ts <= last_token_ts"));
        }
        if row.output_toks == 0 || row.input_toks == 0 {
            unfinished += 1;
        } else {
            rows.push(row);
        }
    }
    rows.sort_by(|a, b| a.queued_ts.total_cmp(&b.queued_ts));
    let Some(start) = rows.first().map(|row| row.queued_ts) else {
        return Err(TraceError::file(path, "no request that was answered", "at least one"));
    };
    let requests = rows.iter().map(|row| BenchRequest {
        at: SimTime::ZERO + Span::from_secs_f64(row.queued_ts - start),
        prompt: row.input_toks,
        output: row.output_toks,
        first: Span::from_secs_f64(row.first_token_ts - row.queued_ts),
        last: Span::from_secs_f64(row.last_token_ts - row.queued_ts),
    });
    let bench = Bench { rig: rig(path)?, rows: Vec::new(), requests: requests.collect() };
    let dropped = if unfinished > 0 { vec![("without tokens", unfinished)] } else { Vec::new() };
    Ok(Benchmark { layout: "vllm_bench", rows_read: read, dropped, benches: vec![bench] })
}

/// What the file beside `path` says of the engine.
fn rig(path: &Path) -> Result<BenchRig, TraceError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let meta = name.strip_suffix("requests.jsonl").map(|stem| path.with_file_name(format!("{stem}meta.json")));
    let Some(meta) = meta.filter(|meta| meta.is_file()) else {
        return Ok(BenchRig { engine: "vllm".to_owned(), gpus: 1, ..BenchRig::default() });
    };
    let text = std::fs::read_to_string(&meta).map_err(|error| TraceError::unreadable(&meta, &error))?;
    let told: Meta = serde_json::from_str(&text)
        .map_err(|error| TraceError::file(&meta, error.to_string(), "what vLLM was told, with engine_kwargs"))?;
    Ok(BenchRig {
        gpu: String::new(),
        model: told.model,
        engine: "vllm".to_owned(),
        version: told.vllm_version,
        precision: told.engine_kwargs.dtype.unwrap_or_default(),
        gpus: told.engine_kwargs.tensor_parallel_size.unwrap_or(1).max(1),
        max_batch: told.engine_kwargs.max_num_seqs,
        token_budget: told.engine_kwargs.max_num_batched_tokens,
    })
}
