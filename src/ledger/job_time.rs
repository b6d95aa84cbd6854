//! Where the time of a training job went, from its submission on: each of its seconds in exactly one use, beside the book, which
//! counts GPUs.

use super::Use;
use crate::units::Span;

/// The job's own time by use; together the time from its submission to its finish, or to the horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobTime([Span; Use::ALL.len()]);

impl JobTime {
    /// Its time of `what`.
    #[must_use]
    pub fn of(&self, what: Use) -> Span {
        self.0[what as usize]
    }

    /// Enters `time` of `what`.
    pub fn enter(&mut self, what: Use, time: Span) {
        self.0[what as usize] += time;
    }

    /// `time` of `from` is of `to` after all.
    pub fn move_part(&mut self, from: Use, to: Use, time: Span) {
        assert!(time <= self.of(from), "what is moved was entered");
        self.0[from as usize] = self.of(from).saturating_sub(time);
        self.enter(to, time);
    }

    /// All of it.
    #[must_use]
    pub fn total(&self) -> Span {
        self.0.iter().copied().sum()
    }
}
