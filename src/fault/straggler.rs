//! `stragglers.<domain> = …` of a cluster: nodes and links that become slow for a while, and slow the whole job that waits for them.
//!
//! A synchronous job goes at the speed of its slowest member. A spell begins at `rate` for each such domain that is not slow, in wall
//! time, and ends after a lognormal time, or when the node is repaired. Worked value: a spell each day with `lasts` of median 1 h and
//! sigma 0 at a speed of 0.9 costs a job that holds one such node 0.1 h in 25, 0.4 % of its time.

use super::burst::ByDomain;
use super::draws::NodeDraws;
use crate::engine::{Calendar, Entity, EventKey, Seed, lognormal};
use crate::units::{PerSecond, Share, SimTime, Span};
use crate::world::{Domain, DomainTree};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// `stragglers` as written: one process for each kind of domain. A slow link is the domain behind it: `node` for its own network
/// card, `switch` for the way out of a leaf switch.
pub type StragglersSection = ByDomain<Straggler>;

/// How one kind of domain becomes slow. No published fleet gives the rate of onset: it has no default.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Straggler {
    /// How often a spell begins, for each such domain that is not slow.
    pub rate: PerSecond,
    /// What is left of the job's speed while one of its nodes is in such a domain.
    #[serde(default = "a_tenth_slower")]
    pub speed: Share,
    /// How long a spell lasts.
    #[serde(default)]
    pub lasts: Lasts,
    /// When a slow node is sent to repair, if it is; unset, the job endures it. Only of `gpu` and `node`.
    pub evict: Option<EvictSlow>,
}

/// `lasts = { median = "20 min", sigma = 1.8 }`: lognormal.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lasts {
    /// Half of the spells are shorter.
    pub median: Span,
    /// Standard deviation of the logarithm; zero, all last as long.
    pub sigma: f64,
}

/// `evict = { detect = "10 min" }`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvictSlow {
    /// From the onset to somebody knowing which node it is. Then, where a spare stands by, the job saves and goes on without it.
    pub detect: Span,
}

fn a_tenth_slower() -> Share {
    // MegaScale, arXiv:2402.15627 section 6.3: some hosts about 10 % slower.
    Share::new(0.9)
}

impl Default for Lasts {
    fn default() -> Lasts {
        // FALCON, arXiv:2410.12588: from tens of seconds to about ten hours. Our reading: 30 s and 10 h lie two standard deviations
        // of the logarithm from the median, their geometric mean.
        Lasts { median: Span::from_secs(1_039), sigma: 1.77 }
    }
}

impl Default for EvictSlow {
    fn default() -> EvictSlow {
        // Assumed: a few windows of a monitor that looks once a minute.
        EvictSlow { detect: Span::from_secs(600) }
    }
}

/// One spell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spell {
    /// When it begins.
    pub at: SimTime,
    /// When it ends by itself.
    pub until: SimTime,
    /// What is slow.
    pub domain: Domain,
    /// All nodes there, whoever holds them.
    pub nodes: Range<u32>,
    /// Which of the cluster's kinds of stragglers it is.
    pub kind: usize,
    /// Which of the domains of its kind.
    pub instance: u32,
}

/// The spells of the domains in which a job has nodes, earliest first.
#[derive(Debug, Clone)]
pub struct Spells {
    tree: DomainTree,
    kinds: Vec<Kind>,
    horizon: SimTime,
    pending: Calendar,
}

#[derive(Debug, Clone)]
struct Kind {
    domain: Domain,
    straggler: Straggler,
    gaps: NodeDraws,
    lengths: NodeDraws,
    /// By instance: when its next spell begins, or the one under way ends; [`SimTime::NEVER`] where nobody watches it.
    next: Vec<SimTime>,
}

impl Spells {
    /// The spells of `stragglers` in `cluster` (`cluster.<name>`); `None` where nothing becomes slow.
    #[must_use]
    pub fn new(
        stragglers: &[(Domain, Straggler)],
        tree: DomainTree,
        seed: Seed,
        cluster: &str,
        horizon: SimTime,
    ) -> Option<Spells> {
        let kind = |&(domain, straggler): &(Domain, Straggler)| {
            let owner = Entity::named(&format!("{cluster}.slow.{}", domain.name()));
            Kind {
                domain,
                straggler,
                gaps: NodeDraws::new(seed, owner, "onset"),
                lengths: NodeDraws::new(seed, owner, "length"),
                next: Vec::new(),
            }
        };
        let kinds: Vec<Kind> = stragglers.iter().map(kind).collect();
        (!kinds.is_empty()).then(|| Spells { tree, kinds, horizon, pending: Calendar::default() })
    }

    /// From `at` on, what `nodes` stand in can become slow.
    pub fn watch(&mut self, nodes: impl Iterator<Item = u32> + Clone, at: SimTime) {
        for kind in 0..self.kinds.len() {
            for node in nodes.clone() {
                for instance in self.tree.instances_at(self.kinds[kind].domain, node) {
                    let slot = instance as usize;
                    let next = &mut self.kinds[kind].next;
                    if slot >= next.len() {
                        next.resize(slot + 1, SimTime::NEVER);
                    }
                    if next[slot] == SimTime::NEVER {
                        self.plan(kind, instance, at);
                    }
                }
            }
        }
    }

    /// `node` goes to repair: until it is watched again, nothing of its own becomes slow.
    pub fn leave(&mut self, node: u32) {
        for kind in self.kinds.iter_mut().filter(|kind| kind.domain <= Domain::Node) {
            for instance in self.tree.instances_at(kind.domain, node) {
                kind.next.get_mut(instance as usize).into_iter().for_each(|next| *next = SimTime::NEVER);
            }
        }
        self.drop_stale();
    }

    /// `spell` has ended by itself.
    pub fn ended(&mut self, spell: &Spell) {
        self.plan(spell.kind, spell.instance, spell.until);
    }

    /// Nothing is watched any more.
    pub fn clear(&mut self) {
        self.pending = Calendar::default();
        self.kinds.iter_mut().for_each(|kind| kind.next.fill(SimTime::NEVER));
    }

    /// When the next spell begins.
    #[must_use]
    pub fn next_time(&self) -> SimTime {
        self.pending.peek().map_or(SimTime::NEVER, |(key, ())| key.time())
    }

    /// The next spell.
    pub fn pop(&mut self) -> Option<Spell> {
        let (key, ()) = self.pending.pop()?;
        let (at, kind, instance) = (key.time(), usize::from(key.class()), key.entity());
        let Kind { domain, straggler, lengths, .. } = &mut self.kinds[kind];
        let (domain, Lasts { median, sigma }) = (*domain, straggler.lasts);
        let length = if sigma > 0.0 { median.scale(lognormal(lengths.next(instance), 0.0, sigma)) } else { median };
        let until = at + length.max(Span::from_nanos(1));
        self.kinds[kind].next[instance as usize] = until;
        self.drop_stale();
        Some(Spell { at, until, domain, nodes: self.tree.nodes_of(domain, instance), kind, instance })
    }

    fn plan(&mut self, kind: usize, instance: u32, from: SimTime) {
        let Kind { straggler, gaps, next, .. } = &mut self.kinds[kind];
        let gap = -libm::log(gaps.next(instance)) / straggler.rate.as_f64();
        let at = from + Span::from_secs_f64(gap).max(Span::from_nanos(1));
        next[instance as usize] = at;
        if at <= self.horizon {
            self.pending.push(EventKey::new(at, kind as u8, instance, 0), ());
        }
    }

    /// Drops what comes first and is no longer meant.
    fn drop_stale(&mut self) {
        while let Some((key, ())) = self.pending.peek() {
            if self.kinds[usize::from(key.class())].next[key.entity() as usize] == key.time() {
                return;
            }
            self.pending.pop();
        }
    }
}
