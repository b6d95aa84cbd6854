//! `failures = …` of a cluster: how often its nodes interrupt what runs on them.

use super::burst::{Blast, Burst};
use super::lemons::Difference;
use super::modulation::Episodes;
use super::replay::{FaultFile, FaultPath};
use crate::units::{PerSecond, Share, Span};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, IntoDeserializer, VariantAccess};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// `failures` as written: `"rsc-1"`, a catalog preset by its name, or a law.
#[derive(Debug, Clone, PartialEq)]
pub enum FailureSection {
    /// A catalog preset.
    Named(String),
    /// A law with its settings.
    Law(LawSection),
}

/// A failure law as written.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LawSection {
    /// Nothing breaks.
    None {},
    /// A catalog preset.
    Preset(String),
    /// Memoryless: `{ exponential = { rate = "0.0038 /d" } }`, for each node.
    Exponential {
        /// Failures of one node.
        rate: PerSecond,
        /// How the nodes' rates differ; unset, they do not.
        mixture: Option<Mixture>,
        /// A few nodes that fail much more often than the rest, instead of a mixture.
        lemons: Option<TwoClass>,
    },
    /// Rising or falling with age since the last failure.
    Weibull {
        /// Long-run failures of one node.
        rate: PerSecond,
        /// Shape: below 1 infant and bursty, above 1 wear-out.
        shape: f64,
        /// Age of the nodes at the start.
        #[serde(default)]
        initial_age: AgeSection,
        /// How the nodes' rates differ; unset, they do not.
        mixture: Option<Mixture>,
    },
    /// As one real fleet fails: lemons, batches, good and bad times.
    Bursty(Bursty),
    /// The faults of a file.
    Trace(FaultFile),
}

/// What `failures` can name beside the presets of the catalog.
const LAWS: &[&str] = &["none", "preset", "exponential", "weibull", "bursty", "trace"];

impl<'de> Deserialize<'de> for FailureSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FailureSection, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = FailureSection;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a preset's name or a failure law")
            }
            fn visit_enum<A: de::EnumAccess<'de>>(self, choice: A) -> Result<FailureSection, A::Error> {
                let (name, settings) = choice.variant::<String>()?;
                if LAWS.contains(&name.as_str()) {
                    return LawSection::deserialize(Chosen { name, settings, law: PhantomData })
                        .map(FailureSection::Law);
                }
                match settings.unit_variant() {
                    Ok(()) => Ok(FailureSection::Named(name)),
                    Err(_) => Err(de::Error::unknown_variant(&name, LAWS)),
                }
            }
        }
        deserializer.deserialize_enum("FailureSection", LAWS, Visitor)
    }
}

/// A law whose name has been read.
struct Chosen<'de, V> {
    name: String,
    settings: V,
    law: PhantomData<&'de ()>,
}

impl<'de, A: de::VariantAccess<'de>> Deserializer<'de> for Chosen<'de, A> {
    type Error = A::Error;

    fn deserialize_any<W: de::Visitor<'de>>(self, visitor: W) -> Result<W::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier enum option newtype_struct ignored_any
    }
}

impl<'de, V: de::VariantAccess<'de>> de::EnumAccess<'de> for Chosen<'de, V> {
    type Error = V::Error;
    type Variant = V;

    fn variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, V), V::Error> {
        Ok((seed.deserialize(self.name.into_deserializer())?, self.settings))
    }
}

impl Serialize for FailureSection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FailureSection::Named(name) => serializer.serialize_str(name),
            FailureSection::Law(law) => law.serialize(serializer),
        }
    }
}

impl JsonSchema for FailureSection {
    fn schema_name() -> Cow<'static, str> {
        "FailureSection".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let law = generator.subschema_for::<LawSection>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "description": "a catalog preset (tollway list failures)" }, law] })
    }
}

/// A fleet that fails as 400 servers did for a year, but for its rate: a gamma mixture of nodes, most faults single and the rest in
/// batches of random nodes, all in good and bad times. The defaults are fitted to that trace (stepfun-ai/InfiniteHBD-Trace,
/// Apache-2.0, own fit): coefficient of variation of the time between faults 1.74, index of
/// dispersion 2.04 by the hour, 3.37 by the day, 4.86 by the week.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bursty {
    /// Long-run failures of one node.
    pub rate: PerSecond,
    /// How the nodes' rates differ.
    pub mixture: Mixture,
    /// Share of the faults that come in batches.
    pub batched: Share,
    /// Fewest nodes of a batch.
    pub least: u32,
    /// Mean of what comes on top, geometric from zero.
    pub extra: f64,
    /// Over how long a batch fails.
    pub spread: Span,
    /// Good and bad times.
    pub episodes: Episodes,
}

impl Default for Bursty {
    fn default() -> Bursty {
        // All from stepfun-ai/InfiniteHBD-Trace (Apache-2.0), own fit: 584 faults of 400 servers in 348.98 d.
        Bursty {
            rate: PerSecond::per_day(584.0 / (400.0 * 348.98)),
            mixture: Mixture { shape: 0.93 },
            batched: Share::new(0.27),
            least: 2,
            extra: 1.57,
            spread: Span::from_secs(600),
            episodes: Episodes { shape: 0.85, holding: Span::from_secs(77_760) },
        }
    }
}

impl Bursty {
    /// The nodes' own failures, and the batches of a cluster of `nodes` nodes.
    #[must_use]
    pub fn parts(&self, nodes: u32) -> (FailureLaw, Burst) {
        let of = |share: f64| PerSecond::new(self.rate.as_f64() * share);
        let (batched, size) = (self.batched.as_f64(), f64::from(self.least) + self.extra);
        let (initial_age, mixture) = (InitialAge::Stationary, self.mixture);
        let law = FailureLaw::Mixed { rate: of(1.0 - batched), shape: 1.0, initial_age, mixture };
        let rate = of(batched * f64::from(nodes) / size);
        let hits = Blast::Batch { least: self.least, extra: self.extra };
        (law, Burst { rate, hits, spread: self.spread, repair: None })
    }
}

/// `mixture = { shape = 0.93 }`: each node keeps a rate of its own, the given one times a gamma variate of mean 1, so that a few
/// lemons fail much more often than the rest. 0.93 fits the faults of 400 servers (stepfun-ai/InfiniteHBD-Trace, own fit): their
/// counts are negative binomial, and the worst tenth of the nodes holds 40.6 % of the faults.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// Shape of the gamma law: the smaller, the more the nodes differ.
    pub shape: f64,
}

/// `lemons = { share = 0.15, factor = 5 }`: some nodes fail that much more often than the rest, so that the mean node has the rate given.
/// 15 % and 5 are the defaults of AIReSim (karthikp-ubc/airesim config.yaml).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoClass {
    /// Share of the nodes that are lemons.
    pub share: Share,
    /// How much more often one fails than another node.
    pub factor: f64,
    /// Whether a repair that fixes a lemon makes it a node like the rest; one that does not fix leaves any node what it was, and
    /// `recovery.relapse` does not apply.
    #[serde(default)]
    pub cured: bool,
}

/// `initial_age` as written: how old the nodes are when the run starts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AgeSection {
    /// All new.
    New,
    /// As in a fleet that has run for ever.
    #[default]
    Stationary,
    /// Each as old as a file says: `{ trace = { ages = { path = "ages.csv" } } }`.
    Trace(AgeFile),
}

impl AgeSection {
    /// What the law says of all nodes; those of a file have ages of their own.
    #[must_use]
    pub fn of_all(&self) -> InitialAge {
        match self {
            AgeSection::New => InitialAge::New,
            AgeSection::Stationary | AgeSection::Trace(_) => InitialAge::Stationary,
        }
    }
}

/// Where the ages of the nodes come from.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AgeFile {
    /// A row for each node of the cluster: `node,age_s`, seconds since it was new or last repaired.
    Ages(FaultPath),
    /// The past that a fault trace tells, whose end is the start of the run: the time since each node's last repair. A node without a
    /// fault is as old as the trace is long, at least.
    Past(FaultFile),
}

/// How old the nodes are when the run starts, files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitialAge {
    /// All new.
    New,
    /// As in a fleet that has run for ever.
    #[default]
    Stationary,
}

/// A checked failure law of one node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FailureLaw {
    /// Nothing breaks.
    None,
    /// Weibull with long-run `rate`; shape 1 is exponential.
    Weibull {
        /// Long-run failures of one node.
        rate: PerSecond,
        /// Shape.
        shape: f64,
        /// Age at the start.
        initial_age: InitialAge,
    },
    /// The same, with a rate of its own for each node.
    Mixed {
        /// Long-run failures of the mean node.
        rate: PerSecond,
        /// Shape of a node's own law.
        shape: f64,
        /// Age at the start.
        initial_age: InitialAge,
        /// How the nodes' rates differ.
        mixture: Mixture,
    },
    /// Exponential, with a few nodes that fail more often.
    TwoClass {
        /// Long-run failures of the mean node.
        rate: PerSecond,
        /// Those nodes.
        lemons: TwoClass,
    },
}

impl FailureLaw {
    /// How the nodes' rates differ; `None` where they do not.
    pub(super) fn difference(&self) -> Option<Difference> {
        match *self {
            FailureLaw::None | FailureLaw::Weibull { .. } => None,
            FailureLaw::Mixed { mixture, .. } => Some(Difference::Gamma(mixture)),
            FailureLaw::TwoClass { lemons, .. } => Some(Difference::TwoClass(lemons)),
        }
    }

    /// Long-run failures of one node, the mean one where they differ.
    #[must_use]
    pub fn rate(&self) -> PerSecond {
        match *self {
            FailureLaw::None => PerSecond::new(0.0),
            FailureLaw::Weibull { rate, .. } | FailureLaw::Mixed { rate, .. } | FailureLaw::TwoClass { rate, .. } => {
                rate
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Seed;
    use crate::fault::{FaultPlan, FaultQueue, Modulation};
    use crate::units::SimTime;
    use crate::world::{Domain, DomainTree, Domains};

    /// Wall times of all faults of 400 servers in 348.98 d, each mended at once.
    fn faults_of_a_year(seed: u64) -> Vec<f64> {
        let bursty = Bursty::default();
        let (law, batches) = bursty.parts(400);
        let plan = FaultPlan {
            bursts: vec![(Domain::Site, batches)],
            modulation: Modulation { episodes: Some(bursty.episodes), ..Modulation::default() },
            tree: DomainTree { nodes: 400, gpus_per_node: 8, sizes: Domains::default() },
            ..law.into()
        };
        let horizon = SimTime::ZERO + Span::DAY.scale(348.98);
        let mut queue = FaultQueue::new(&plan, Seed { seed, replication: 0 }, "cluster.main", horizon);
        queue.watch(0..400, SimTime::ZERO);
        (0..400).for_each(|node| queue.join(node, SimTime::ZERO));
        let mut days = Vec::new();
        while let Some(fault) = queue.pop() {
            for node in fault.nodes {
                days.push(queue.wall(fault.at).as_secs_f64() / 86_400.0);
                queue.mend(node, fault.at);
                queue.join(node, fault.at);
            }
        }
        days
    }

    fn dispersion(days: &[f64], window: f64) -> f64 {
        let windows = (348.98 / window) as usize;
        let mut counts = vec![0.0; windows];
        for day in days {
            if let Some(count) = counts.get_mut((day / window) as usize) {
                *count += 1.0;
            }
        }
        let mean = counts.iter().sum::<f64>() / windows as f64;
        counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / windows as f64 / mean
    }

    #[test]
    fn the_bursty_fleet_has_the_moments_of_the_trace() {
        let (mut count, mut cv, mut dispersions) = (0.0, 0.0, [0.0; 3]);
        let seeds = 100;
        for seed in 0..seeds {
            let days = faults_of_a_year(seed);
            let gaps: Vec<f64> = days.windows(2).map(|two| two[1] - two[0]).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
            count += days.len() as f64 / seeds as f64;
            cv += variance.sqrt() / mean / seeds as f64;
            for (sum, window) in dispersions.iter_mut().zip([1.0 / 24.0, 1.0, 7.0]) {
                *sum += dispersion(&days, window) / seeds as f64;
            }
        }
        // The fit to StepFun's faults, within the 20 and 3 % of its row.
        assert!((count / 584.0 - 1.0).abs() < 0.03, "{count} faults");
        assert!((cv / 1.74 - 1.0).abs() < 0.2, "coefficient of variation {cv}");
        for (found, expected) in dispersions.into_iter().zip([2.04, 3.37, 4.86]) {
            assert!((found / expected - 1.0).abs() < 0.2, "index of dispersion {found}, not {expected}");
        }
    }
}
