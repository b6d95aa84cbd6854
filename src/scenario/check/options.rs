//! How the replicas of a service go about their work: what of it can be, and what response tables cannot tell.

use super::Check;
use crate::serving::{Fidelity, Prefill, ReplicaOptions, Router, ScalePolicy, ServiceSection, cells};

/// Tokens of one block of key-value memory.
const BLOCK: u32 = 16;

impl Check<'_> {
    /// The options of a service's replicas; `None`, with a complaint, where they cannot be.
    pub(super) fn options(&mut self, name: &str, section: &ServiceSection) -> Option<ReplicaOptions> {
        let options = ReplicaOptions {
            prefix_cache: section.replica.prefix_cache,
            prefill: section.replica.prefill,
            speculation: section.replica.speculation,
            experts: None,
            pools: None,
        };
        let fine = [
            self.speculation_is_sound(name, section),
            self.prefix_cache_is_sound(name, &options),
            self.fidelity_knows_options(name, section, &options),
            self.pools_are_sound(name, section),
        ];
        (!fine.contains(&false)).then_some(options)
    }

    fn prefix_cache_is_sound(&mut self, name: &str, options: &ReplicaOptions) -> bool {
        let Some(cache) = options.prefix_cache else { return true };
        cache.block > 0 && cache.block.is_multiple_of(BLOCK) || {
            let message = format!("is {} tokens, which fill no whole blocks of {BLOCK}", cache.block);
            let help = format!("use a multiple of {BLOCK}");
            self.refuse(&["service", name, "replica", "prefix_cache", "block"], message, help);
            false
        }
    }

    /// Each cell has both pools, and what they do not go with is left out.
    fn pools_are_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let Some(pools) = section.pools else { return true };
        let mut sound = true;
        let none = [("prefill", pools.prefill), ("decode", pools.decode)];
        for (key, _) in none.into_iter().filter(|(_, part)| *part == 0) {
            self.refuse(&["service", name, "pools", key], "must be at least 1: a request needs both pools", None);
            sound = false;
        }
        if pools.link.as_f64() <= 0.0 {
            sound = self.no(&["service", name, "pools", "link"], "must be above zero");
        }
        let most = section.scale.max / cells(section.scale.max);
        if sound && !pools.decodes_among(most as usize) {
            let why = format!("leave nobody to decode, with {most} to a cell");
            let help = "give the service more replicas (scale.max), or `decode` a larger part".to_owned();
            self.refuse(&["service", name, "pools"], why, help);
            sound = false;
        }
        let replica = &section.replica;
        let unfit = [
            (
                !matches!(section.scale.policy, ScalePolicy::Fixed {}),
                "an autoscaler",
                "use scale.policy = { fixed = {} }",
            ),
            (section.patience.is_some(), "clients that hang up", "take `patience` out"),
            (
                matches!(section.fidelity, Fidelity::Sampled(_)),
                "a sample of its replicas",
                "serve every request: fidelity = { requests = {} }",
            ),
            (replica.prefix_cache.is_some(), "a prefix cache", "take `replica.prefix_cache` out"),
            (replica.speculation.is_some(), "drafts", "take `replica.speculation` out"),
            (replica.prefill != Prefill::default(), "prompts that go first", "take `replica.prefill` out"),
            (
                matches!(pools.router, Router::SessionSticky {} | Router::PrefixAffinity(_)),
                "a router of those who decode that goes by prompts",
                "use round_robin, random, power_of_two, least_loaded or least_kv there",
            ),
        ];
        for (_, what, instead) in unfit.into_iter().filter(|(unfit, ..)| *unfit) {
            let why = format!("do not go together with {what}");
            self.refuse(&["service", name, "pools"], why, instead.to_owned());
            sound = false;
        }
        sound
    }

    /// A sequence gains at most a block of tokens a step, and one fits the budget.
    fn speculation_is_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let Some(drafts) = section.replica.speculation else { return true };
        let at = |key| ["service", name, "replica", "speculation", key];
        let most = (BLOCK - 1).min(section.replica.token_budget.saturating_sub(1));
        let length = (1..=most).contains(&drafts.draft) || {
            let message = format!("must lie between 1 and {most}, found {}", drafts.draft);
            self.refuse(&at("draft"), message, "engines draft 2 to 8 tokens".to_owned());
            false
        };
        length & (drafts.cost.as_f64() >= 0.0 || self.no(&at("cost"), "must not be negative"))
    }

    /// Response tables are built from requests that have nothing to do with each other, on replicas without options.
    fn fidelity_knows_options(&mut self, name: &str, section: &ServiceSection, options: &ReplicaOptions) -> bool {
        let known = [
            (
                options.prefix_cache.is_none(),
                "a prefix cache: response tables know no prompt from another",
                "take `prefix_cache` out",
            ),
            (
                options.prefill == Prefill::default(),
                "prompts that go first: response tables are of chunked prompts",
                "take `prefill` out",
            ),
        ];
        let known = known.into_iter().chain([(
            options.speculation.is_none(),
            "speculation: response tables are of one token a step",
            "take `speculation` out",
        )]);
        let known = known.chain([(
            section.pools.is_none(),
            "pools: response tables are of replicas that do all",
            "take `pools` out",
        )]);
        let fluid = matches!(section.fidelity, Fidelity::Fluid {});
        let mut sound = true;
        for (_, what, instead) in known.filter(|(known, ..)| fluid && !known) {
            let help = format!("{instead}, or serve every request: fidelity = {{ requests = {{}} }}");
            self.refuse(&["service", name, "fidelity"], format!("cannot be fluid with {what}"), help);
            sound = false;
        }
        sound
    }
}
