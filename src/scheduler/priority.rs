//! `scheduler = { priority = { preempt = true } }`

use super::{Decision, View, first_that_fits, victim};
use crate::world::Need;
use schemars::JsonSchema;
use serde::Deserialize;

/// The highest priority first, equals in order of submission; the first that does not fit makes all behind it wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Priority {
    /// Whether the first takes the nodes of running gangs of lower priority: they save, wait again and go on where they stood.
    pub preempt: bool,
}

impl Priority {
    pub(super) fn next(self, view: &View<'_>) -> Option<Decision> {
        first_that_fits(view).or_else(|| {
            let first = view.queue.first().filter(|_| self.preempt)?;
            let short = match first.need {
                Need::Nodes(nodes) => nodes - view.hall.free(),
                Need::Share(_) => 1,
            };
            victim(view.running, first.priority, short).map(Decision::Preempt)
        })
    }
}
