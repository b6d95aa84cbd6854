//! A comma-separated file, row by row: hashed while it is read, so that the hash is of exactly what was parsed, with the line
//! number of each row for the errors. Lines end with LF or CRLF; `#` lines and blank lines are skipped.

use super::TraceError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens `path` as comma-separated text with a header.
pub(super) fn reader(path: &Path) -> Result<csv::Reader<Hashed>, TraceError> {
    // Ending lines at LF alone keeps the parser's line numbers right; the CR of a CRLF is trimmed with the last cell.
    let terminator = csv::Terminator::Any(b'\n');
    let mut builder = csv::ReaderBuilder::new();
    builder.flexible(true).comment(Some(b'#')).terminator(terminator).trim(csv::Trim::All);
    Ok(builder.from_reader(Hashed::open(path)?))
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

/// A file being read, and the hash of what was read so far.
pub(super) struct Hashed {
    file: File,
    hasher: blake3::Hasher,
}

impl Hashed {
    /// Opens `path`. A folder or a missing file is an error here, not at the first row.
    pub(super) fn open(path: &Path) -> Result<Hashed, TraceError> {
        let failed = |error: io::Error| TraceError::file(path, error.to_string(), "a readable file");
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(TraceError::file(path, "a folder", "a file"));
        }
        Ok(Hashed { file, hasher: blake3::Hasher::new() })
    }

    /// Hash of everything read.
    pub(super) fn hash(&self) -> blake3::Hash {
        self.hasher.finalize()
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}
