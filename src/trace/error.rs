//! Why a file cannot be used, as a sentence that its owner can act on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where a file is wrong, what was found there and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TraceError {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Line in it, from 1; none where the whole file is meant.
    pub line: Option<u64>,
    /// Column name; none where the whole line is meant.
    pub column: Option<String>,
    /// What was found.
    pub found: String,
    /// What would do.
    pub expected: String,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ": column {column}")?;
        }
        write!(f, ": found {}, expected {}", self.found, self.expected)
    }
}

impl TraceError {
    /// The whole file is wrong for the use that is made of it.
    #[must_use]
    pub fn of_file(file: &Path, found: impl Into<String>, expected: impl Into<String>) -> TraceError {
        TraceError { file: file.to_owned(), line: None, column: None, found: found.into(), expected: expected.into() }
    }

    /// The whole file is wrong.
    pub(super) fn file(file: &Path, found: impl Into<String>, expected: impl Into<String>) -> TraceError {
        TraceError::of_file(file, found, expected)
    }

    /// One line is wrong.
    pub(super) fn line(file: &Path, line: u64, found: impl Into<String>, expected: impl Into<String>) -> TraceError {
        TraceError { line: Some(line), ..TraceError::file(file, found, expected) }
    }

    /// The same, in `column`.
    pub(super) fn in_column(self, column: &str) -> TraceError {
        TraceError { column: Some(column.to_owned()), ..self }
    }

    /// The operating system gave up, or what looked like gzip is damaged.
    pub(super) fn unreadable(file: &Path, error: &io::Error) -> TraceError {
        TraceError::file(file, error.to_string(), "a readable file")
    }

    /// The operating system or the CSV layer gave up.
    pub(super) fn reading(file: &Path, error: &csv::Error) -> TraceError {
        let line = error.position().map(csv::Position::line);
        let found = match error.kind() {
            csv::ErrorKind::Io(io) => return TraceError::unreadable(file, io),
            csv::ErrorKind::Utf8 { .. } => "bytes that are not UTF-8".to_owned(),
            _ => error.to_string(),
        };
        TraceError { line, ..TraceError::file(file, found, "comma-separated text in UTF-8") }
    }
}

/// Words for the names in a header, in order.
pub(super) fn names(header: &csv::StringRecord) -> String {
    if header.iter().all(str::is_empty) { "no columns".to_owned() } else { header.iter().collect::<Vec<_>>().join(",") }
}
