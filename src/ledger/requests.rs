//! Requests one by one, for `requests.csv`. Each cell keeps a log of its own and spools it to a temporary file as it goes, so that
//! memory does not grow with requests and the order is the cell's own, whatever the threads.

use crate::units::{Share, SimTime, Span};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With its last token, inside every limit of the SLO.
    WithinSlo,
    /// With its last token, too late.
    Late,
    /// At the door.
    Rejected,
    /// Its client hung up, and did not ask again.
    TimedOut,
    /// A failure broke it, and its client did not ask again.
    Broken,
}

impl End {
    const ALL: [End; 5] = [End::WithinSlo, End::Late, End::Rejected, End::TimedOut, End::Broken];

    /// Name in the outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            End::WithinSlo | End::Late => "completed",
            End::Rejected => "rejected",
            End::TimedOut => "timed_out",
            End::Broken => "broken",
        }
    }

    /// True where it ended with its last token.
    #[must_use]
    pub const fn is_complete(self) -> bool {
        matches!(self, End::WithinSlo | End::Late)
    }
}

/// One request that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When it arrived.
    pub arrived: SimTime,
    /// Time to first token; zero where there was none.
    pub ttft: Span,
    /// Time to last token; zero where there was none.
    pub e2e: Span,
    /// Prompt tokens.
    pub prompt: u32,
    /// Output tokens.
    pub output: u32,
    /// Its class, an index.
    pub class: u8,
    /// How it ended.
    pub end: End,
}

/// Bytes of a request in the temporary file.
const RECORD: usize = 34;

impl Request {
    fn pack(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        let times = [self.arrived.nanos(), self.ttft.nanos(), self.e2e.nanos()];
        bytes.chunks_exact_mut(8).zip(times).for_each(|(cell, time)| cell.copy_from_slice(&time.to_le_bytes()));
        bytes[24..28].copy_from_slice(&self.prompt.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.output.to_le_bytes());
        bytes[32] = self.end as u8;
        bytes[33] = self.class;
        bytes
    }

    fn unpack(bytes: &[u8; RECORD]) -> Request {
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        Request {
            arrived: SimTime::from_nanos(long(0)),
            ttft: Span::from_nanos(long(8)),
            e2e: Span::from_nanos(long(16)),
            prompt: word(24),
            output: word(28),
            end: End::ALL[usize::from(bytes[32])],
            class: bytes[33],
        }
    }
}

/// The requests of one cell, or a seeded sample of them, in the order in which they ended.
#[derive(Debug, Clone)]
pub struct RequestLog {
    /// A request is kept where its draw lies below this; draws are 64 bits wide.
    below: u128,
    key: u64,
    seen: u64,
    kept: u64,
    spool: Arc<Mutex<Spool>>,
}

/// Where requests wait to be written: nothing before the first, then a temporary file without a name.
#[derive(Debug, Default)]
struct Spool {
    file: Option<BufWriter<File>>,
    failed: Option<io::Error>,
}

impl RequestLog {
    /// An empty log that keeps a `share` of what it sees, drawn by `key`.
    #[must_use]
    pub fn new(share: Share, key: u64) -> RequestLog {
        // 2^64 as a float is exact; a share of one keeps all.
        let below = (share.as_f64() * 18_446_744_073_709_551_616.0) as u128;
        RequestLog { below, key, seen: 0, kept: 0, spool: Arc::default() }
    }

    /// Enters a request that ended. A full disk is told when the log is read.
    pub fn enter(&mut self, request: &Request) {
        let drawn = u128::from(mixed(self.key, self.seen)) < self.below;
        self.seen += 1;
        if drawn {
            self.kept += 1;
            let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
            if spool.failed.is_none() {
                spool.failed = spool.write(&request.pack()).err();
            }
        }
    }

    /// How many requests it kept.
    #[must_use]
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// Calls `each` with every request kept, in order.
    ///
    /// # Errors
    /// Where the temporary file could not be written or read, or `each` fails.
    pub fn for_each<E: From<io::Error>>(&self, mut each: impl FnMut(&Request) -> Result<(), E>) -> Result<(), E> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &spool.failed {
            return Err(io::Error::from(error.kind()).into());
        }
        let Some(writer) = &mut spool.file else { return Ok(()) };
        writer.flush()?;
        writer.get_mut().seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(writer.get_ref());
        let mut bytes = [0; RECORD];
        for _ in 0..self.kept {
            reader.read_exact(&mut bytes)?;
            each(&Request::unpack(&bytes))?;
        }
        Ok(())
    }
}

impl Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(BufWriter::with_capacity(1 << 16, tempfile::tempfile()?));
        }
        self.file.as_mut().expect("it was opened above").write_all(bytes)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014) on a counter that starts at `key`.
fn mixed(key: u64, count: u64) -> u64 {
    let mut bits = key.wrapping_add(count.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(index: u64) -> Request {
        Request {
            arrived: SimTime::from_nanos(index * 1_000),
            ttft: Span::from_nanos(index + 5),
            e2e: Span::from_nanos(index * 7),
            prompt: index as u32,
            output: u32::MAX - index as u32,
            end: End::ALL[index as usize % 5],
            class: index as u8,
        }
    }

    fn read(log: &RequestLog) -> Vec<Request> {
        let mut all = Vec::new();
        log.for_each(|request| -> io::Result<()> {
            all.push(*request);
            Ok(())
        })
        .unwrap();
        all
    }

    #[test]
    fn what_is_entered_is_read_again() {
        let mut log = RequestLog::new(Share::new(1.0), 7);
        assert_eq!(read(&log), []);
        (0..10_000).for_each(|index| log.enter(&request(index)));
        assert_eq!(read(&log), (0..10_000).map(request).collect::<Vec<_>>());
        assert_eq!(read(&log).len(), 10_000, "and once more");
    }

    #[test]
    fn a_sample_is_a_share_of_all_by_its_key() {
        let sample = |share, key| {
            let mut log = RequestLog::new(Share::new(share), key);
            (0..20_000).for_each(|index| log.enter(&request(index)));
            assert_eq!(log.kept() as usize, read(&log).len());
            read(&log)
        };
        // 2,000 of 20,000 with a standard deviation of 42.
        assert!((1_800..2_200).contains(&sample(0.1, 1).len()), "{}", sample(0.1, 1).len());
        assert_eq!(sample(0.1, 1), sample(0.1, 1));
        assert_ne!(sample(0.1, 1), sample(0.1, 2));
        assert_eq!(sample(0.0, 1), []);
    }
}
