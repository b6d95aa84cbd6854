//! How the replicas of a service go about their work: what of it can be, and what response tables cannot tell.

use super::Check;
use crate::serving::{Fidelity, Prefill, ReplicaOptions, ServiceSection};

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
        };
        let fine = [
            self.speculation_is_sound(name, section),
            self.prefix_cache_is_sound(name, &options),
            self.fidelity_knows_options(name, section, &options),
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
