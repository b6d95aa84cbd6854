//! Looks and decides who gets which nodes; changes nothing itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `scheduler = …` of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Scheduler {
    /// In order of submission; the first that does not fit makes all behind it wait.
    Fifo {},
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler::Fifo {}
    }
}

impl Scheduler {
    /// How many of the `waiting` gangs (nodes wanted, in order of submission) start now on `free` nodes.
    #[must_use]
    pub fn starts(self, waiting: &[u32], free: u32) -> usize {
        match self {
            Scheduler::Fifo {} => {
                let mut left = free;
                waiting.iter().take_while(|&&wanted| take(&mut left, wanted)).count()
            }
        }
    }
}

/// Takes `wanted` out of `left` where it holds that many.
fn take(left: &mut u32, wanted: u32) -> bool {
    let fits = wanted <= *left;
    if fits {
        *left -= wanted;
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_never_overtakes() {
        for (waiting, free, expected) in [(vec![4, 4], 8, 2), (vec![4, 5, 1], 8, 1), (vec![9, 1], 8, 0), (vec![], 8, 0)]
        {
            assert_eq!(Scheduler::default().starts(&waiting, free), expected, "{waiting:?} on {free}");
        }
    }
}
