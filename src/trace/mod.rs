//! People's files, checked: rows read, rows kept, drops counted by reason, content hash.

use crate::units::SimTime;

/// One request of a trace or of a generator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// When it arrives.
    pub at: SimTime,
    /// Prompt tokens.
    pub prompt: u32,
    /// Output tokens, at least one.
    pub output: u32,
}
