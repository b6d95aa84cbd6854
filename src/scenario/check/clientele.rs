//! The clients of services: classes, patience, and what failures do to requests.

use super::Check;
use crate::serving::{ClassPlan, ClassSection, Clientele, Fidelity, OnFailure, Patience, ServiceSection};
use crate::units::Span;

impl Check<'_> {
    /// The checked clients of a service; `None`, with a complaint, where something is wrong.
    pub(super) fn clientele(&mut self, name: &str, section: &ServiceSection) -> Option<Clientele> {
        let classes = self.classes_are_sound(name, section);
        let patience = section.patience.is_none_or(|patience| self.patience_is_sound(name, &patience));
        if !classes || !patience || !self.requests_are_single(name, section) {
            return None;
        }
        let class = |(class, section): (&String, &ClassSection)| ClassPlan {
            name: class.clone(),
            share: section.share,
            slo: section.slo,
            priority: section.priority,
        };
        Some(Clientele {
            classes: section.class.iter().map(class).collect(),
            patience: section.patience,
            on_failure: section.on_failure,
        })
    }

    fn classes_are_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let mut sound = true;
        for (class, it) in &section.class {
            let at = ["service", name, "class", class];
            sound &= self.is_plain_name(&at, class);
            if it.slo.is_some_and(|slo| slo.ttft == Span::ZERO || slo.tpot == Span::ZERO) {
                sound &= self.no(&["service", name, "class", class, "slo"], "has a limit of zero time");
            }
        }
        let at = ["service", name, "class"];
        if section.class.len() > 256 {
            sound &= self.no(&at, "has more than 256 classes");
        }
        let sum: f64 = section.class.values().map(|class| class.share.as_f64()).sum();
        if !section.class.is_empty() && (sum - 1.0).abs() > 1e-9 {
            let message = format!("has shares that add up to {}", (sum * 1e9).round() / 1e9);
            self.refuse(&at, message, "each request is of one class: let the shares add up to 1".to_owned());
            sound = false;
        }
        sound
    }

    fn patience_is_sound(&mut self, name: &str, patience: &Patience) -> bool {
        let at = |key| ["service", name, "patience", key];
        let fine = [
            patience.answer > Span::ZERO || self.no(&at("answer"), "must be above zero"),
            patience.growth.as_f64() >= 1.0
                || self.no(&at("growth"), "must be at least 1: waits do not become shorter"),
            patience.first_token.is_none_or(|first| first > Span::ZERO)
                || self.no(&at("first_token"), "must be above zero"),
            patience.first_token.is_none_or(|first| first <= patience.answer) || {
                let help = "the first token comes before the last: use a shorter time".to_owned();
                self.refuse(&at("first_token"), format!("is more than `answer` = {}", patience.answer), help);
                false
            },
            patience.longest >= patience.backoff || {
                let message = format!("is {}, less than `backoff` = {}", patience.longest, patience.backoff);
                self.refuse(&at("longest"), message, "no wait is shorter than the first".to_owned());
                false
            },
        ];
        !fine.contains(&false)
    }

    /// True where what is asked of single requests is not asked of response tables; else complains.
    fn requests_are_single(&mut self, name: &str, section: &ServiceSection) -> bool {
        let asked = [
            ("class", !section.class.is_empty(), "sorts single requests"),
            ("patience", section.patience.is_some(), "is that of single clients"),
            ("on_failure", section.on_failure == OnFailure::Fail, "breaks single requests"),
        ];
        let Some((key, _, what)) =
            asked.into_iter().find(|ask| ask.1 && matches!(section.fidelity, Fidelity::Fluid {}))
        else {
            return true;
        };
        let help = "use fidelity = { requests = {} }, over a shorter duration".to_owned();
        self.refuse(&["service", name, key], format!("{what}, which a fluid service does not have"), help);
        false
    }
}
