//! A request trace as a run reads it: checked once, then kept in order of time, in memory while it is small and else in a
//! temporary file that is read in blocks, so that a week of 27 million requests takes no more memory than an hour.
//!
//! What only prefix caches and session routers ask for stands beside the requests, by row: the conversation, and the chained
//! hashes of the prompt's prefixes. Files without such columns cost nothing.

use super::{Dropped, Request, Row};
use crate::units::{SimTime, Span, Tokens};
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex};

/// Requests up to which a trace stays in memory: 64 MiB of them.
const IN_MEMORY: u64 = 1 << 22;
/// Bytes of one request in the file: time, prompt, output.
const RECORD: usize = 16;
/// Requests that a cursor reads at a time.
const BLOCK: u64 = 4_096;

/// A request trace, checked. `rows_read` = `kept` + all of `dropped`.
#[derive(Clone)]
pub struct RequestTrace {
    rows: Rows,
    /// Of all rows, with their conversations and prefixes.
    hash: blake3::Hash,
    sessions: Arc<[u64]>,
    blocks: Arc<Blocks>,
    /// Tokens of a block that has a prefix hash, where the file has hashes.
    pub block_tokens: Option<u32>,
    /// Rows read.
    pub rows_read: u64,
    /// Rows that became requests.
    pub kept: u64,
    /// Rows that did not, by reason.
    pub dropped: Dropped,
    /// Time of the last request, from the first row.
    pub span: Span,
    /// Prompt tokens of the requests kept.
    pub prompt_tokens: Tokens,
    /// Output tokens of the requests kept.
    pub output_tokens: Tokens,
}

#[derive(Debug, Clone)]
enum Rows {
    Memory(Arc<[Request]>),
    File(Arc<Mutex<File>>),
}

/// Prefix hashes of all rows, end to end.
#[derive(Debug, Default)]
struct Blocks {
    ids: Vec<u64>,
    /// Where each row's begin; one more than rows.
    starts: Vec<usize>,
}

/// Two traces of one text have the same rows: they stand for themselves by their hash, not by where they are kept.
impl fmt::Debug for RequestTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestTrace { hash, rows_read, kept, dropped, .. } = self;
        write!(f, "RequestTrace({}, {rows_read} read, {kept} kept, {dropped:?})", hash.to_hex())
    }
}

impl From<Vec<Request>> for RequestTrace {
    /// The trace of exactly these requests, in order of time.
    fn from(requests: Vec<Request>) -> RequestTrace {
        let mut builder = TraceBuilder::default();
        for Request { at, prompt, output } in requests {
            let row = Row { at, prompt, output, ..Row::default() };
            builder.push(&row).expect("a list that fits memory is not spooled, or the disk has room for it");
        }
        let rows = builder.count;
        builder.finish(rows, Dropped::default()).expect("a list was written whole")
    }
}

impl RequestTrace {
    /// Reads requests from the first on.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { rows: self.rows.clone(), count: self.kept, block: Vec::new(), first: 0 }
    }

    /// Conversation of the request at `index`, where the file knows conversations: equal numbers belong together.
    #[must_use]
    pub fn session(&self, index: u64) -> Option<u64> {
        self.sessions.get(index as usize).copied()
    }

    /// The trace with each request as often as `times` says of its index, with its conversation and hashes.
    #[must_use]
    pub fn repeated(&self, times: impl Fn(u64) -> usize) -> RequestTrace {
        const ROOM: &str = "what was read once fits memory, or the disk has room for it";
        let mut builder = TraceBuilder::with_blocks_of(self.block_tokens);
        let mut cursor = self.cursor();
        for index in 0..self.kept {
            let Request { at, prompt, output } = cursor.get(index).expect("a trace has as many requests as it kept");
            let blocks = self.blocks(index).into();
            let row = Row { at, prompt, output, session: self.session(index), blocks };
            (0..times(index)).for_each(|_| builder.push(&row).expect(ROOM));
        }
        let rows = builder.count;
        builder.finish(rows, Dropped::default()).expect(ROOM)
    }

    /// Chained hashes of the prefixes of the request at `index`; none where the file has none.
    #[must_use]
    pub fn blocks(&self, index: u64) -> &[u64] {
        let Blocks { ids, starts } = &*self.blocks;
        let index = index as usize;
        match (starts.get(index), starts.get(index + 1)) {
            (Some(&from), Some(&to)) => &ids[from..to],
            _ => &[],
        }
    }
}

/// Reads the requests of a trace by index, fast where the indices ascend.
#[derive(Debug, Clone)]
pub struct Cursor {
    rows: Rows,
    count: u64,
    block: Vec<Request>,
    /// Index of the first in the block.
    first: u64,
}

impl Cursor {
    /// The request at `index`; `None` past the last.
    #[inline]
    pub fn get(&mut self, index: u64) -> Option<Request> {
        match &self.rows {
            Rows::Memory(requests) => requests.get(index as usize).copied(),
            Rows::File(_) if index >= self.count => None,
            Rows::File(_) => Some(self.filed(index)),
        }
    }

    /// The first index of `from..to` whose request comes after `at`; `to` where none does.
    #[must_use]
    pub fn first_after(&mut self, from: u64, to: u64, at: SimTime) -> u64 {
        let (mut low, mut high) = (from, to.min(self.count).max(from));
        while low < high {
            let middle = low + (high - low) / 2;
            let is_after = match &self.rows {
                Rows::Memory(requests) => requests[middle as usize].at > at,
                Rows::File(file) => read_block(file, middle, 1)[0].at > at,
            };
            (low, high) = if is_after { (low, middle) } else { (middle + 1, high) };
        }
        low
    }

    fn filed(&mut self, index: u64) -> Request {
        if index < self.first || index >= self.first + self.block.len() as u64 {
            let Rows::File(file) = &self.rows else { unreachable!("asked of files only") };
            self.block = read_block(file, index, BLOCK.min(self.count - index));
            self.first = index;
        }
        self.block[(index - self.first) as usize]
    }
}

fn read_block(file: &Mutex<File>, index: u64, count: u64) -> Vec<Request> {
    let mut bytes = vec![0; count as usize * RECORD];
    let mut file = file.lock().expect("no reader fails while it reads");
    file.seek(SeekFrom::Start(index * RECORD as u64))
        .and_then(|_| file.read_exact(&mut bytes))
        .expect("the temporary copy of a trace can be read as long as the run lasts");
    bytes.chunks_exact(RECORD).map(unpack).collect()
}

fn pack(request: &Request) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    bytes[..8].copy_from_slice(&request.at.nanos().to_le_bytes());
    bytes[8..12].copy_from_slice(&request.prompt.to_le_bytes());
    bytes[12..].copy_from_slice(&request.output.to_le_bytes());
    bytes
}

fn unpack(bytes: &[u8]) -> Request {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let at = SimTime::from_nanos(u64::from(word(0)) | u64::from(word(4)) << 32);
    Request { at, prompt: word(8), output: word(12) }
}

/// A conversation, told from none.
fn session_bytes(session: u64) -> [u8; 9] {
    let mut bytes = [1; 9];
    bytes[1..].copy_from_slice(&session.to_le_bytes());
    bytes
}

/// Takes rows in order of time, and makes them a trace.
#[derive(Debug, Default)]
pub struct TraceBuilder {
    hasher: blake3::Hasher,
    memory: Vec<Request>,
    file: Option<BufWriter<File>>,
    sessions: Vec<u64>,
    blocks: Blocks,
    block_tokens: Option<u32>,
    count: u64,
    last: SimTime,
    prompt: u64,
    output: u64,
}

impl TraceBuilder {
    /// A trace whose prefix hashes are of that many tokens each.
    #[must_use]
    pub fn with_blocks_of(tokens: Option<u32>) -> TraceBuilder {
        TraceBuilder { block_tokens: tokens, ..TraceBuilder::default() }
    }

    /// Adds a row, not before the last.
    ///
    /// # Errors
    /// A temporary folder without room.
    pub fn push(&mut self, row: &Row) -> io::Result<()> {
        assert!(row.at >= self.last, "rows come in order of time");
        let request = Request { at: row.at, prompt: row.prompt, output: row.output };
        self.hash(&request, row);
        match &mut self.file {
            Some(file) => file.write_all(&pack(&request))?,
            None => self.memory.push(request),
        }
        if self.memory.len() as u64 >= IN_MEMORY {
            let mut file = BufWriter::new(tempfile::tempfile()?);
            self.memory.iter().try_for_each(|request| file.write_all(&pack(request)))?;
            (self.memory, self.file) = (Vec::new(), Some(file));
        }
        if let Some(session) = row.session {
            // A row without one, between rows with, is alone: a number that no file uses.
            self.sessions.resize(self.count as usize, u64::MAX);
            self.sessions.push(session);
        }
        if !row.blocks.is_empty() {
            self.blocks.starts.resize(self.count as usize + 1, self.blocks.ids.len());
            self.blocks.ids.extend_from_slice(&row.blocks);
            self.blocks.starts.push(self.blocks.ids.len());
        }
        self.count += 1;
        self.last = row.at;
        self.prompt += u64::from(row.prompt);
        self.output += u64::from(row.output);
        Ok(())
    }

    fn hash(&mut self, request: &Request, row: &Row) {
        self.hasher.update(&pack(request));
        if row.session.is_some() || !row.blocks.is_empty() {
            // Whose they are, so that they cannot be taken for another row's.
            self.hasher.update(&self.count.to_le_bytes());
            self.hasher.update(&row.session.map_or([0; 9], session_bytes));
            self.hasher.update(&(row.blocks.len() as u64).to_le_bytes());
            row.blocks.iter().for_each(|block| {
                self.hasher.update(&block.to_le_bytes());
            });
        }
    }

    /// The trace, of a file of `rows_read` rows of which some were `dropped`.
    ///
    /// # Errors
    /// A temporary folder without room.
    pub fn finish(self, rows_read: u64, dropped: Dropped) -> io::Result<RequestTrace> {
        assert!(rows_read == self.count + dropped.total(), "each row is kept or dropped for one reason");
        let rows = match self.file {
            Some(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                Rows::File(Arc::new(Mutex::new(file)))
            }
            None => Rows::Memory(self.memory.into()),
        };
        Ok(RequestTrace {
            rows,
            hash: self.hasher.finalize(),
            sessions: self.sessions.into(),
            blocks: Arc::new(self.blocks),
            block_tokens: self.block_tokens,
            rows_read,
            kept: self.count,
            dropped,
            span: self.last.since(SimTime::ZERO),
            prompt_tokens: Tokens::new(self.prompt),
            output_tokens: Tokens::new(self.output),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(index: u64) -> Request {
        Request {
            at: SimTime::from_nanos(index / 3 * 1_000),
            prompt: index as u32 % 977 + 1,
            output: index as u32 % 31 + 1,
        }
    }

    #[test]
    fn a_trace_too_long_for_memory_reads_the_same() {
        let mut builder = TraceBuilder::default();
        let count = IN_MEMORY + 10_000;
        for index in 0..count {
            let Request { at, prompt, output } = request(index);
            builder.push(&Row { at, prompt, output, ..Row::default() }).unwrap();
        }
        let trace = builder.finish(count, Dropped::default()).unwrap();
        assert!(matches!(trace.rows, Rows::File(_)), "{} requests are not kept in memory", trace.kept);
        let mut cursor = trace.cursor();
        for index in (0..count).step_by(1_777).chain([count - 1, 5, 0, IN_MEMORY - 1, IN_MEMORY]) {
            assert_eq!(cursor.get(index), Some(request(index)), "{index}");
        }
        assert_eq!(cursor.get(count), None);
        for index in [3, IN_MEMORY / 3 * 3, count / 3 * 3 - 3] {
            assert_eq!(cursor.first_after(0, count, request(index).at), index + 3, "three share each instant");
        }
    }

    #[test]
    fn the_text_of_a_trace_follows_from_its_rows() {
        let text = |rows: &[Row]| {
            let mut builder = TraceBuilder::default();
            rows.iter().for_each(|row| builder.push(row).unwrap());
            format!("{:?}", builder.finish(rows.len() as u64, Dropped::default()).unwrap())
        };
        let row = |prompt, session, blocks: &[u64]| Row {
            prompt,
            output: 1,
            session,
            blocks: blocks.into(),
            ..Row::default()
        };
        let rows = || [row(1, None, &[]), row(2, Some(3), &[4, 5])];
        assert_eq!(text(&rows()), text(&rows()));
        let others = [
            [row(2, None, &[]), row(2, Some(3), &[4, 5])],
            [row(1, None, &[]), row(2, Some(4), &[4, 5])],
            [row(1, None, &[]), row(2, None, &[4, 5])],
            [row(1, None, &[]), row(2, Some(3), &[4, 6])],
            [row(1, Some(3), &[]), row(2, None, &[4, 5])],
        ];
        for other in others {
            assert_ne!(text(&rows()), text(&other), "{other:?}");
        }
    }

    #[test]
    fn sessions_and_blocks_stand_beside_their_rows() {
        let row =
            |session, blocks: &[u64]| Row { prompt: 1, output: 1, session, blocks: blocks.into(), ..Row::default() };
        let mut builder = TraceBuilder::default();
        for row in [row(None, &[]), row(Some(7), &[1, 2]), row(None, &[]), row(Some(8), &[1])] {
            builder.push(&row).unwrap();
        }
        let trace = builder.finish(4, Dropped::default()).unwrap();
        assert_eq!([1, 3].map(|index| trace.session(index)), [Some(7), Some(8)]);
        assert_eq!([0, 1, 2, 3, 4].map(|index| trace.blocks(index)), [&[][..], &[1, 2], &[], &[1], &[]]);
        let plain = RequestTrace::from(vec![request(1)]);
        assert_eq!((plain.session(0), plain.blocks(0)), (None, &[][..]));
    }
}
