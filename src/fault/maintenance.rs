//! `maintenance.<name> = …` of a cluster: work that is announced, domain by domain, and takes its nodes out for a while.
//!
//! The `i`-th domain of its kind is announced `apart` after the one before; its work begins `notice` later and lasts `out`. A training job
//! drains at its next checkpoint after the announcement, at the latest when the work begins. Worked value: 8 racks from day 1 on with a
//! notice of 1 h, out for 3 h, one at a time, are done 8 x 4 h later.

use crate::units::{SimTime, Span};
use crate::world::{Domain, DomainTree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `maintenance.firmware = { of = "rack", from = "10 d", out = "4 h" }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// What goes out, one after the other: `node`, `rack`, …; `site` is the whole cluster at once.
    pub of: Domain,
    /// When the first is announced, after the scenario's start.
    pub from: Span,
    /// How long before the work begins each is announced.
    #[serde(default = "an_hour")]
    pub notice: Span,
    /// How long the work on each lasts.
    pub out: Span,
    /// From one announcement to the next; unset, `notice` and `out`, so that one is out at a time.
    pub apart: Option<Span>,
    /// From the beginning of a round to that of the next; unset, there is one.
    pub every: Option<Span>,
}

fn an_hour() -> Span {
    // Assumed: two of the usual half-hourly checkpoints.
    Span::HOUR
}

/// One domain that goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// When it is announced.
    pub announced: SimTime,
    /// When it begins.
    pub begins: SimTime,
    /// When the nodes are back.
    pub ends: SimTime,
    /// What it is.
    pub domain: Domain,
    /// Its nodes, whoever holds them.
    pub nodes: Range<u32>,
}

impl Maintenance {
    /// From one announcement to the next.
    #[must_use]
    pub fn apart(&self) -> Span {
        self.apart.unwrap_or(self.notice + self.out)
    }

    /// Length of a round in a cluster of `tree`.
    #[must_use]
    pub fn round(&self, tree: &DomainTree) -> Span {
        self.apart() * u64::from(tree.nodes.div_ceil(tree.size(self.of)))
    }

    /// The first domain announced after `after`, or at it, that `meant` says is meant.
    #[must_use]
    pub fn next(&self, tree: &DomainTree, after: SimTime, meant: impl Fn(Range<u32>) -> bool) -> Option<Work> {
        let size = tree.size(self.of);
        let instances = u64::from(tree.nodes.div_ceil(size));
        let from = SimTime::ZERO + self.from;
        let since = after.since(from.min(after)).nanos();
        let rounds = self.every.map_or(0, |every| since / every.nanos());
        // The rest of this round, and all of the next.
        for round in rounds..=rounds + u64::from(self.every.is_some()) {
            let begun = from + self.every.map_or(Span::ZERO, |every| every * round);
            let first = match self.apart().nanos() {
                0 => 0,
                apart => after.since(begun.min(after)).nanos().div_ceil(apart),
            };
            for instance in first..instances {
                let announced = begun + self.apart() * instance;
                let start = instance as u32 * size;
                let nodes = start..start.saturating_add(size).min(tree.nodes);
                if announced >= after && meant(nodes.clone()) {
                    let begins = announced + self.notice;
                    return Some(Work { announced, begins, ends: begins + self.out, domain: self.of, nodes });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Domains;

    #[test]
    fn domains_go_out_one_after_the_other_and_again_in_the_next_round() {
        let tree = DomainTree { nodes: 30, gpus_per_node: 8, sizes: Domains::default() };
        let hours = |hours: u64| SimTime::ZERO + Span::HOUR * hours;
        let maintenance = Maintenance {
            of: Domain::Rack,
            from: Span::DAY,
            notice: Span::HOUR,
            out: Span::HOUR * 3,
            apart: None,
            every: Some(Span::DAY * 10),
        };
        assert_eq!(maintenance.round(&tree), Span::HOUR * 32);
        let next = |after, meant: fn(Range<u32>) -> bool| {
            let work = maintenance.next(&tree, after, meant).expect("there is a next one");
            (work.announced, work.begins, work.ends, work.nodes)
        };
        assert_eq!(next(hours(0), |_| true), (hours(24), hours(25), hours(28), 0..4));
        assert_eq!(next(hours(24), |_| true), (hours(24), hours(25), hours(28), 0..4));
        assert_eq!(next(hours(25), |_| true), (hours(28), hours(29), hours(32), 4..8));
        // The last rack is smaller; then comes the next round.
        assert_eq!(next(hours(26), |nodes| nodes.contains(&29)), (hours(52), hours(53), hours(56), 28..30));
        assert_eq!(next(hours(53), |_| true), (hours(264), hours(265), hours(268), 0..4));
        let once = Maintenance { every: None, ..maintenance };
        assert_eq!(once.next(&tree, hours(53), |_| true), None);
    }
}
