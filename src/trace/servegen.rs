//! ServeGen's measured clients: for each client the rate and burstiness of its requests in windows of 10 minutes, and its length
//! distributions in windows of 6 hours (alibaba/ServeGen, Apache-2.0; arXiv:2505.09999). A folder, or a tar archive of one, gzip
//! or not, of `chunk-N-trace.csv` (`start,rate,cv,pattern,shape,scale`, no header) and `chunk-N-dataset.json`.
//!
//! Shape times scale often misses the rate, so the rate and the coefficient of variation are what counts. A length distribution
//! is a text that holds a Python dictionary; it is read, never run. Windows whose client has no lengths are dropped and counted.

use super::{TraceError, lines};
use crate::units::Span;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// All clients.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeGen {
    /// Clients with requests and lengths, in the order of their numbers.
    pub clients: Vec<MeasuredClient>,
    /// Windows of all clients.
    pub windows_read: u64,
    /// Windows in which requests come.
    pub kept: u64,
    /// Windows without requests.
    pub silent: u64,
    /// Windows of clients whose lengths are absent.
    pub without_lengths: u64,
    /// BLAKE3 of the file's bytes; of names and contents, where it is a folder.
    pub hash: blake3::Hash,
}

/// One client.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredClient {
    /// Its windows, in order of time, silent ones included.
    pub windows: Vec<RateWindow>,
    /// Its lengths, in order of time, never none.
    pub lengths: Vec<LengthWindow>,
}

/// What a client does in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateWindow {
    /// From the first window's start.
    pub start: Span,
    /// Requests a second.
    pub rate: f64,
    /// Coefficient of variation of the gaps.
    pub cv: f64,
    /// Gaps are Weibull's; else Gamma's.
    pub weibull: bool,
}

/// Lengths of a client from an instant on.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthWindow {
    /// From the first window's start.
    pub start: Span,
    /// Prompts.
    pub prompt: Shares,
    /// Outputs; requests without output failed, and are left out.
    pub output: Shares,
}

/// A distribution of lengths: each with the share of those up to it, ascending to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares(Vec<(u32, f32)>);

impl Shares {
    /// The length at the probability `u`.
    #[must_use]
    pub fn at(&self, u: f64) -> u32 {
        let index = self.0.partition_point(|(_, below)| f64::from(*below) <= u);
        self.0[index.min(self.0.len() - 1)].0
    }

    /// Each length and its share.
    pub fn each(&self) -> impl Iterator<Item = (u32, f64)> {
        let before = std::iter::once(0.0).chain(self.0.iter().map(|(_, below)| f64::from(*below)));
        self.0.iter().zip(before).map(|((tokens, below), before)| (*tokens, f64::from(*below) - before))
    }
}

/// Seconds of a window of rates.
const WINDOW: u64 = 600;
/// Largest file of an archive that is read: the longest seen are of 4 MiB.
const LARGEST: u64 = 256 << 20;

impl ServeGen {
    /// Length of a window.
    pub const WINDOW: Span = Span::from_secs(WINDOW);

    /// Reads the folder or archive at `path`.
    ///
    /// # Errors
    /// The first thing wrong: an unreadable file, a row or a dictionary that is none, or no client with requests and lengths.
    pub fn read(path: &Path) -> Result<ServeGen, TraceError> {
        let mut parts = Parts::default();
        let hash = if path.is_dir() { folder(path, &mut parts)? } else { archive(path, &mut parts)? };
        let mut found = ServeGen { clients: Vec::new(), windows_read: 0, kept: 0, silent: 0, without_lengths: 0, hash };
        for (number, windows) in parts.windows {
            let asking = windows.iter().filter(|window| window.rate > 0.0).count() as u64;
            found.windows_read += windows.len() as u64;
            found.silent += windows.len() as u64 - asking;
            match parts.lengths.remove(&number).filter(|lengths| !lengths.is_empty()) {
                Some(lengths) if asking > 0 => {
                    found.kept += asking;
                    found.clients.push(MeasuredClient { windows, lengths });
                }
                _ => found.without_lengths += asking,
            }
        }
        assert!(found.windows_read == found.kept + found.silent + found.without_lengths, "each window is somewhere");
        if found.clients.is_empty() {
            let expected = "chunk-N-trace.csv and chunk-N-dataset.json of at least one client with requests";
            return Err(TraceError::file(path, format!("{} windows and no client", found.windows_read), expected));
        }
        Ok(found)
    }
}

/// What was read of each client, by its number.
#[derive(Default)]
struct Parts {
    windows: BTreeMap<u32, Vec<RateWindow>>,
    lengths: BTreeMap<u32, Vec<LengthWindow>>,
}

impl Parts {
    /// Takes a file of the folder or archive; other files than the clients' are passed over.
    fn take(&mut self, path: &Path, text: &str) -> Result<(), TraceError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((number, kind)) = name.strip_prefix("chunk-").and_then(|rest| rest.split_once('-')) else {
            return Ok(());
        };
        let Ok(number) = number.parse() else { return Ok(()) };
        match kind {
            "trace.csv" => {
                self.windows.insert(number, windows(path, text)?);
            }
            "dataset.json" => {
                self.lengths.insert(number, lengths(path, text)?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn folder(path: &Path, parts: &mut Parts) -> Result<blake3::Hash, TraceError> {
    let unreadable = |error: std::io::Error| TraceError::unreadable(path, &error);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let bytes = std::fs::read(file).map_err(|error| TraceError::unreadable(file, &error))?;
        hasher.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update(&bytes);
        parts.take(file, &in_utf8(file, bytes)?)?;
    }
    Ok(hasher.finalize())
}

/// A tar archive (POSIX.1-1988 ustar: blocks of 512 bytes, a header before each file; name at 0, size in octal at 124, type at
/// 156, prefix at 345).
fn archive(path: &Path, parts: &mut Parts) -> Result<blake3::Hash, TraceError> {
    let mut bytes = lines::Hashed::open(path)?;
    let no_archive = |found: &str| TraceError::file(path, found, "a folder, or a tar archive of one");
    let mut header = [0; 512];
    while fill(&mut bytes, &mut header).map_err(|error| TraceError::unreadable(path, &error))? {
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        let field = |from: usize, to: usize| {
            let field = &header[from..to];
            let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim().to_owned()
        };
        let size = u64::from_str_radix(&field(124, 136), 8).ok().filter(|size| *size <= LARGEST);
        let size = size.ok_or_else(|| no_archive("bytes that are no tar header"))?;
        let padded = size.div_ceil(512) * 512;
        let mut content = Vec::new();
        let read = bytes.by_ref().take(padded).read_to_end(&mut content);
        read.map_err(|error| TraceError::unreadable(path, &error))?;
        if (content.len() as u64) < padded {
            return Err(no_archive("an archive that ends inside a file"));
        }
        content.truncate(size as usize);
        if matches!(header[156], 0 | b'0') {
            let file = path.join(field(0, 100));
            parts.take(&file, &in_utf8(&file, content)?)?;
        }
    }
    Ok(bytes.hash())
}

/// Fills `block`; false at the end, where a part of a block counts as none.
fn fill(bytes: &mut impl Read, block: &mut [u8]) -> std::io::Result<bool> {
    let mut filled = 0;
    while filled < block.len() {
        match bytes.read(&mut block[filled..])? {
            0 => return Ok(false),
            more => filled += more,
        }
    }
    Ok(true)
}

fn in_utf8(path: &Path, bytes: Vec<u8>) -> Result<String, TraceError> {
    String::from_utf8(bytes).map_err(|_| TraceError::file(path, "bytes that are not UTF-8", "text in UTF-8"))
}

fn windows(path: &Path, text: &str) -> Result<Vec<RateWindow>, TraceError> {
    let mut windows = Vec::new();
    for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
        let cells: Vec<&str> = row.split(',').map(str::trim).collect();
        let wrong = |found: String, expected: &str| TraceError::line(path, line, found, expected);
        let [start, rate, cv, pattern, ..] = cells.as_slice() else {
            return Err(wrong(format!("a row of {} cells", cells.len()), "start,rate,cv,pattern,shape,scale"));
        };
        let number = |text: &str, column: &str| {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            number.ok_or_else(|| wrong(format!("{text:?}"), "a number of zero or more").in_column(column))
        };
        let (start, rate, cv) = (number(start, "start")?, number(rate, "rate")?, number(cv, "cv")?);
        if start != (windows.len() as u64 * WINDOW) as f64 {
            let due = format!("the next window's, {}", windows.len() as u64 * WINDOW);
            return Err(wrong(start.to_string(), &due).in_column("start"));
        }
        let weibull = match *pattern {
            "Gamma" | "" => false,
            "Weibull" => true,
            other => return Err(wrong(format!("{other:?}"), "Gamma, Weibull or nothing").in_column("pattern")),
        };
        windows.push(RateWindow { start: Span::from_secs(start as u64), rate, cv, weibull });
    }
    Ok(windows)
}

fn lengths(path: &Path, text: &str) -> Result<Vec<LengthWindow>, TraceError> {
    let wrong = |found: String, expected: &str| TraceError::file(path, found, expected);
    let expected = "an object of windows, each with input_tokens and output_tokens as texts";
    let read: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string(), expected))?;
    let mut windows = Vec::new();
    for (start, fields) in read {
        let seconds = start.parse().map_err(|_| wrong(format!("a window {start:?}"), "its start in seconds"))?;
        let field = |name: &str| fields.get(name).map_or(Ok(None), |text| shares(path, &start, name, text));
        if let (Some(prompt), Some(output)) = (field("input_tokens")?, field("output_tokens")?) {
            windows.push(LengthWindow { start: Span::from_secs(seconds), prompt, output });
        }
    }
    windows.sort_by_key(|window| window.start);
    Ok(windows)
}

/// A Python dictionary of lengths and their probabilities; `None` where it is empty.
fn shares(path: &Path, start: &str, name: &str, text: &str) -> Result<Option<Shares>, TraceError> {
    let wrong = |found: &str| {
        let place = format!("{found:?} in {name} of window {start}");
        TraceError::file(path, place, "a dictionary such as {45: 0.25, 46: 0.75}")
    };
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let inner = inner.ok_or_else(|| wrong(&text.chars().take(20).collect::<String>()))?;
    let mut each = BTreeMap::new();
    for pair in inner.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let parsed = pair.split_once(':').and_then(|(tokens, share)| {
            let tokens = tokens.trim().parse::<f64>().ok().filter(|tokens| (0.0..=4e9).contains(tokens))?;
            let share = share.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))?;
            Some((tokens as u32, share))
        });
        let (tokens, share) = parsed.ok_or_else(|| wrong(pair))?;
        *each.entry(tokens).or_insert(0.0) += share;
    }
    // A request without tokens failed: what is left is scaled up.
    each.remove(&0);
    let total: f64 = each.values().sum();
    if total <= 0.0 {
        return Ok(None);
    }
    let mut below = 0.0;
    let each = each.into_iter().map(|(tokens, share)| {
        below += share;
        (tokens, (below / total) as f32)
    });
    Ok(Some(Shares(each.collect())))
}
