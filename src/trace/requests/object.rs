//! Request traces as JSON Lines: one object a line.
//!
//! Hashes of prompt prefixes come with Mooncake's and Bailian's traces, chained: equal numbers mean equal prompts up to there.
//! LLMServingSim's token ids are chained to such hashes here.

use super::{Clock, Raw, RequestFormat, Row};
use crate::trace::TraceError;
use crate::trace::lines::{self, Hashed};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::path::Path;

/// Tokens of a block of Bailian's hashes, and of those that are made here.
pub(super) const BLOCK: u32 = 16;

/// Tokens of a block of Mooncake's hashes.
const MOONCAKE_BLOCK: u32 = 512;

#[derive(Deserialize)]
struct Mooncake<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    input_length: u32,
    output_length: u32,
    hash_ids: Vec<u64>,
}

#[derive(Deserialize)]
struct Bailian<'a> {
    chat_id: u64,
    parent_chat_id: i64,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    input_length: u32,
    output_length: u32,
    hash_ids: Vec<u64>,
}

#[derive(Deserialize)]
struct Llmservingsim<'a> {
    input_toks: u32,
    output_toks: u32,
    #[serde(borrow)]
    arrival_time_ns: &'a RawValue,
    input_tok_ids: Option<Vec<u64>>,
}

#[derive(Deserialize)]
struct VllmBench<'a> {
    input_toks: u32,
    output_toks: u32,
    #[serde(borrow)]
    arrival_time: &'a RawValue,
}

/// The rows of a JSON Lines trace.
pub(super) struct Objects {
    format: RequestFormat,
    text: Hashed,
    line: u64,
    buffer: String,
    /// The buffer holds a line that was read ahead.
    ahead: bool,
    /// The first chat of each chat's conversation.
    roots: BTreeMap<u64, u64>,
}

impl Objects {
    /// The objects in `text`, in the format that the keys of the first show.
    pub(super) fn recognise(path: &Path, text: Hashed) -> Result<Objects, TraceError> {
        let mut objects = Objects::named(RequestFormat::Mooncake, text);
        lines::read_line(&mut objects.text, path, &mut objects.line, &mut objects.buffer)?;
        let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&objects.buffer)
            .map_err(|error| TraceError::line(path, objects.line, error.to_string(), "one JSON object a line"))?;
        let marks = [
            ("chat_id", RequestFormat::Bailian),
            ("hash_ids", RequestFormat::Mooncake),
            ("queued_ts", RequestFormat::VllmBench),
            ("arrival_time_ns", RequestFormat::Llmservingsim),
        ];
        let Some((_, format)) = marks.iter().find(|(mark, _)| keys.contains_key(*mark)) else {
            let found = format!("the keys {}", keys.keys().cloned().collect::<Vec<_>>().join(", "));
            let expected = "the keys of a known format (`tollway list formats` names them)";
            return Err(TraceError::line(path, objects.line, found, expected));
        };
        Ok(Objects { format: *format, ahead: true, ..objects })
    }

    /// The objects in `text` in that format.
    pub(super) fn named(format: RequestFormat, text: Hashed) -> Objects {
        Objects { format, text, line: 0, buffer: String::new(), ahead: false, roots: BTreeMap::new() }
    }

    pub(super) fn format(&self) -> RequestFormat {
        self.format
    }

    pub(super) fn time_key(&self) -> &'static str {
        match self.format {
            RequestFormat::Llmservingsim => "arrival_time_ns",
            RequestFormat::VllmBench => "arrival_time",
            _ => "timestamp",
        }
    }

    pub(super) fn hash(&self) -> blake3::Hash {
        self.text.hash()
    }

    pub(super) fn next(&mut self, path: &Path) -> Result<Option<Raw>, TraceError> {
        let more = std::mem::take(&mut self.ahead)
            || lines::read_line(&mut self.text, path, &mut self.line, &mut self.buffer)?.is_some();
        if !more {
            return Ok(None);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let raw = self.parse(&buffer, path);
        self.buffer = buffer;
        raw.map(Some)
    }

    fn parse(&mut self, text: &str, path: &Path) -> Result<Raw, TraceError> {
        let line = self.line;
        let object = |error: serde_json::Error| {
            // The parser's own place is within the line.
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            TraceError::line(path, line, format!("{words} at character {}", error.column()), expected(self.format))
        };
        let time = |key: &str, value: &RawValue, power: i32| {
            let text = value.get();
            Clock::Number(power)
                .nanos(text)
                .map(Some)
                .ok_or_else(|| TraceError::line(path, line, text, Clock::Number(power).expected()).in_column(key))
        };
        let row = |prompt, output, blocks| Row { prompt, output, blocks, ..Row::default() };
        match self.format {
            RequestFormat::Bailian => {
                let read: Bailian<'_> = serde_json::from_str(text).map_err(object)?;
                let parent = u64::try_from(read.parent_chat_id).ok();
                let root = parent.map_or(read.chat_id, |parent| self.roots.get(&parent).copied().unwrap_or(parent));
                self.roots.insert(read.chat_id, root);
                let row = Row { session: Some(root), ..row(read.input_length, read.output_length, read.hash_ids) };
                Ok(Raw { line, time: time("timestamp", read.timestamp, 9)?, row })
            }
            RequestFormat::Llmservingsim => {
                let read: Llmservingsim<'_> = serde_json::from_str(text).map_err(object)?;
                let blocks = chained(&read.input_tok_ids.unwrap_or_default());
                let row = row(read.input_toks, read.output_toks, blocks);
                Ok(Raw { line, time: time("arrival_time_ns", read.arrival_time_ns, 0)?, row })
            }
            RequestFormat::VllmBench => {
                let read: VllmBench<'_> = serde_json::from_str(text).map_err(object)?;
                let row = row(read.input_toks, read.output_toks, Vec::new());
                Ok(Raw { line, time: time("arrival_time", read.arrival_time, 9)?, row })
            }
            _ => {
                let read: Mooncake<'_> = serde_json::from_str(text).map_err(object)?;
                let blocks = read.input_length.div_ceil(MOONCAKE_BLOCK) as usize;
                if read.hash_ids.len() != blocks {
                    let found = format!("{} hashes for {} tokens", read.hash_ids.len(), read.input_length);
                    let expected = format!("{blocks}, one for each {MOONCAKE_BLOCK} tokens");
                    return Err(TraceError::line(path, line, found, expected).in_column("hash_ids"));
                }
                let row = row(read.input_length, read.output_length, read.hash_ids);
                Ok(Raw { line, time: time("timestamp", read.timestamp, 6)?, row })
            }
        }
    }
}

fn expected(format: RequestFormat) -> &'static str {
    match format {
        RequestFormat::Bailian => {
            "an object with chat_id, parent_chat_id, timestamp (s), input_length, output_length and hash_ids"
        }
        RequestFormat::Llmservingsim => "an object with input_toks, output_toks and arrival_time_ns",
        RequestFormat::VllmBench => "an object with input_toks, output_toks and arrival_time (s)",
        _ => "an object with timestamp (ms), input_length, output_length and hash_ids",
    }
}

/// Hashes of the prefixes of `tokens`, one for each full block.
fn chained(tokens: &[u64]) -> Vec<u64> {
    let mut chain = 0_u64;
    let block = |block: &[u64]| {
        for token in block {
            // SplitMix64's finaliser over the chain so far (Steele, Lea and Flood, OOPSLA 2014).
            chain = (chain ^ token).wrapping_add(0x9E37_79B9_7F4A_7C15);
            chain = (chain ^ (chain >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            chain = (chain ^ (chain >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chain ^= chain >> 31;
        }
        chain
    };
    tokens.chunks_exact(BLOCK as usize).map(block).collect()
}
