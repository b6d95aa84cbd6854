//! What a run is called: a hash of all that its figures depend on, and of nothing else.

use crate::scenario::Scenario;
use std::fmt;

/// The version of the model: a hash of the sources that simulate and of the locked dependencies (`build.rs`).
pub const MODEL: &str = env!("TOLLWAY_MODEL");

/// Name of a cell or of a run. Two runs of one name have the same inputs and the same model, so the same figures; comments,
/// order, units and written-out defaults of a scenario are not in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 16]);

impl Key {
    /// Of all replications of `scenario`.
    #[must_use]
    pub fn of_cell(scenario: &Scenario) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(MODEL.as_bytes());
        hasher.update(scenario.essence().as_bytes());
        Key::cut(hasher.finalize())
    }

    /// Of one replication of the cell of this name.
    #[must_use]
    pub fn of_run(self, replication: u64) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(&replication.to_le_bytes());
        Key::cut(hasher.finalize())
    }

    /// The key that [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Key> {
        let plain = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| u128::from_str_radix(text, 16).ok().map(|number| Key(number.to_be_bytes()))).flatten()
    }

    fn cut(hash: blake3::Hash) -> Key {
        let [head, _] = *hash.as_bytes().as_chunks::<16>().0 else { unreachable!("a hash has 32 bytes") };
        Key(head)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
