//! A file that is hashed while it is read, so that the hash is of exactly what was parsed.

use super::TraceError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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
