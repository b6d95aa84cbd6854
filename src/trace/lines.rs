//! Text files, row by row: hashed while they are read, so that the hash is of exactly what was parsed, unpacked where they are
//! gzip, with the line number of each row for the errors. Lines end with LF or CRLF; blank lines are skipped, and `#` lines of
//! comma-separated files.

use super::TraceError;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// First bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Longest line of a JSON Lines file: 16 MiB are a million block hashes. Longer is not such a file, and would fill memory.
const LONGEST_LINE: u64 = 16 << 20;

/// Opens `path` as comma-separated text with a header.
pub(super) fn reader(path: &Path) -> Result<csv::Reader<Hashed>, TraceError> {
    Ok(comma_separated(Hashed::open(path)?, true))
}

/// Reads `text` as comma-separated.
pub(super) fn comma_separated(text: Hashed, has_header: bool) -> csv::Reader<Hashed> {
    // Ending lines at LF alone keeps the parser's line numbers right; the CR of a CRLF is trimmed with the last cell.
    let terminator = csv::Terminator::Any(b'\n');
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).comment(Some(b'#')).terminator(terminator).trim(csv::Trim::All).has_headers(has_header);
    builder.from_reader(text)
}

/// Line of the header, once it was read.
pub(super) fn header(csv: &csv::Reader<Hashed>) -> u64 {
    (csv.position().line() - 1).max(1)
}

/// Reads the next row into `record`; its line, or `None` after the last.
pub(super) fn read(
    csv: &mut csv::Reader<Hashed>,
    path: &Path,
    record: &mut csv::StringRecord,
) -> Result<Option<u64>, TraceError> {
    loop {
        let before = csv.position().line();
        if !csv.read_record(record).map_err(|error| TraceError::reading(path, &error))? {
            return Ok(None);
        }
        if record.len() > 1 || !record[0].is_empty() {
            // Skipped lines lie between `before` and the row; the last row may lack the end that was counted after it.
            return Ok(Some(before.max(csv.position().line() - 1)));
        }
    }
}

/// Reads the next line that is not blank into `text`, without its end; its number counted in `line`. `None` after the last.
pub(super) fn read_line(
    lines: &mut Hashed,
    path: &Path,
    line: &mut u64,
    text: &mut String,
) -> Result<Option<u64>, TraceError> {
    loop {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.clear();
        let unreadable = |error: io::Error| TraceError::unreadable(path, &error);
        let length = lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes).map_err(unreadable)?;
        *line += 1;
        if length as u64 == LONGEST_LINE && bytes.last() != Some(&b'\n') {
            return Err(TraceError::line(
                path,
                *line,
                "more than 16 MiB without an end of line",
                "one JSON object a line",
            ));
        }
        let not_text = |_| TraceError::line(path, *line, "bytes that are not UTF-8", "text in UTF-8");
        *text = String::from_utf8(bytes).map_err(not_text)?;
        if length == 0 {
            return Ok(None);
        }
        text.truncate(text.trim_end().len());
        if !text.is_empty() {
            return Ok(Some(*line));
        }
    }
}

/// A file being read, unpacked where it is gzip, and the hash of what was read so far.
pub(super) enum Hashed {
    /// As it lies there.
    Plain(Box<BufReader<Bytes>>),
    /// Unpacked.
    Packed(Box<BufReader<MultiGzDecoder<BufReader<Bytes>>>>),
}

impl Hashed {
    /// Opens `path`. A folder or a missing file is an error here, not at the first row.
    pub(super) fn open(path: &Path) -> Result<Hashed, TraceError> {
        let failed = |error: io::Error| TraceError::unreadable(path, &error);
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(TraceError::file(path, "a folder", "a file"));
        }
        let mut bytes = BufReader::with_capacity(1 << 16, Bytes { file, hasher: blake3::Hasher::new() });
        if bytes.fill_buf().map_err(failed)?.starts_with(&GZIP) {
            return Ok(Hashed::Packed(Box::new(BufReader::new(MultiGzDecoder::new(bytes)))));
        }
        Ok(Hashed::Plain(Box::new(bytes)))
    }

    /// Hash of every byte of the file, once all of it was read.
    pub(super) fn hash(&self) -> blake3::Hash {
        let bytes = match self {
            Hashed::Plain(text) => text.get_ref(),
            Hashed::Packed(text) => text.get_ref().get_ref().get_ref(),
        };
        bytes.hasher.finalize()
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Hashed::Plain(text) => text.read(buffer),
            Hashed::Packed(text) => text.read(buffer),
        }
    }
}

impl BufRead for Hashed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Hashed::Plain(text) => text.fill_buf(),
            Hashed::Packed(text) => text.fill_buf(),
        }
    }

    fn consume(&mut self, length: usize) {
        match self {
            Hashed::Plain(text) => text.consume(length),
            Hashed::Packed(text) => text.consume(length),
        }
    }
}

/// The bytes of a file, hashed as they come.
pub(super) struct Bytes {
    file: File,
    hasher: blake3::Hasher,
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
