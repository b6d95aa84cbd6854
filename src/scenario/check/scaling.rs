//! How services scale and route.

use super::Check;
use crate::serving::{
    ArrivalsSection, Fidelity, Front, Router, ScalePolicy, Schedule, ServiceSection, SloScale, cells,
};
use crate::units::Span;

impl Check<'_> {
    pub(super) fn scale_is_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let at = |key| ["service", name, "scale", key];
        let scale = section.scale;
        let policy = match scale.policy {
            ScalePolicy::Fixed {} => true,
            ScalePolicy::TargetLoad(target) => {
                let at = |key| ["service", name, "scale", "policy", "target_load", key];
                let load = target.load.as_f64() > 0.0 || self.no(&at("load"), "must be above zero");
                let slow = target.tick.is_none_or(|tick| tick >= Span::SECOND);
                load & (slow || self.no(&at("tick"), "must be at least 1 s"))
            }
            ScalePolicy::Slo(policy) => self.promise_is_sound(name, section, &policy),
            ScalePolicy::Schedule(schedule) => self.schedule_is_sound(name, section, &schedule),
        };
        let order = scale.min <= scale.max || {
            let message = format!("is {}, more than `max` = {}", scale.min, scale.max);
            self.refuse(&at("min"), message, "`min` replicas always run, and never more than `max`".to_owned());
            false
        };
        let zero = scale.min > 0 || !matches!(section.fidelity, Fidelity::Fluid {}) || {
            let help = "use min = 1, or fidelity = { requests = {} } over a shorter duration".to_owned();
            self.refuse(&at("min"), "is 0: a fluid service has no first request that could wait for a replica", help);
            false
        };
        let fine = [zero, self.is_positive(&at("max"), scale.max), order, policy];
        !fine.contains(&false)
    }

    fn promise_is_sound(&mut self, name: &str, section: &ServiceSection, policy: &SloScale) -> bool {
        let at = |key| ["service", name, "scale", "policy", "slo", key];
        let whole = ["service", name, "scale", "policy", "slo"];
        if matches!(section.fidelity, Fidelity::Fluid {}) {
            let help = "use `target_load`, or fidelity = { requests = {} } over a shorter duration".to_owned();
            self.refuse(&whole, "looks at single requests, which a fluid service does not have", help);
            return false;
        }
        if section.slo.is_none() && section.class.values().all(|class| class.slo.is_none()) {
            let help = "such as slo = { ttft = \"2 s\", tpot = \"50 ms\" } in the service".to_owned();
            self.refuse(&whole, "needs limits to keep", help);
            return false;
        }
        let attainment = policy.attainment.as_f64();
        let fine = [
            attainment > 0.0 && attainment < 1.0 || self.no(&at("attainment"), "must lie between 0 and 1"),
            policy.window >= Span::SECOND || self.no(&at("window"), "must be at least 1 s"),
            policy.tick.is_none_or(|tick| tick >= Span::SECOND) || self.no(&at("tick"), "must be at least 1 s"),
        ];
        !fine.contains(&false)
    }

    fn schedule_is_sound(&mut self, name: &str, section: &ServiceSection, schedule: &Schedule) -> bool {
        let scale = section.scale;
        let (weekdays, weekend) = (Some(schedule.weekdays), schedule.weekend);
        for (key, hours) in [("weekdays", weekdays), ("weekend", weekend)] {
            let outside = |&replicas: &u32| replicas < scale.min || replicas > scale.max;
            if let Some(hour) = hours.and_then(|hours| hours.iter().position(outside)) {
                let replicas = hours.expect("it has an hour")[hour];
                let message = format!("asks for {replicas} replicas at {hour} o'clock");
                let help = format!("`min` = {} and `max` = {} hold at all hours", scale.min, scale.max);
                self.refuse(&["service", name, "scale", "policy", "schedule", key], message, help);
                return false;
            }
        }
        true
    }

    /// True where the routers find what they go by; else complains.
    pub(super) fn routes_are_sound(&mut self, name: &str, section: &ServiceSection) -> bool {
        let key = match section.router {
            Router::SessionSticky {} => Some("session_sticky"),
            Router::PrefixAffinity(_) => Some("prefix_affinity"),
            _ => None,
        };
        let common = matches!(section.arrivals, ArrivalsSection::Sessions(_) | ArrivalsSection::Trace(_));
        if let Some(key) = key.filter(|_| !common) {
            let help = "use arrivals of `sessions` or of a `trace` that has them, or router = { least_loaded = {} }";
            let message = "goes by conversations and beginnings of prompts, which these arrivals do not have";
            self.refuse(&["service", name, "router", key], message, help.to_owned());
            return false;
        }
        let Front::StaleLoad(front) = section.front else { return true };
        let at = |key| ["service", name, "front", "stale_load", key];
        if matches!(section.fidelity, Fidelity::Fluid {}) || cells(section.scale.max) == 1 {
            let message = "chooses between cells, of which this service has one";
            let help = "a service has a cell for each 64 of `scale.max` replicas, and one where it is fluid".to_owned();
            self.refuse(&["service", name, "front", "stale_load"], message, help);
            return false;
        }
        let fine = [
            front.report_every >= Span::from_nanos(1_000_000) || self.no(&at("report_every"), "must be at least 1 ms"),
            (1..=3).contains(&front.choices)
                || self.no(&at("choices"), "must be 1, 2 or 3: more send nearly all requests to one cell"),
        ];
        !fine.contains(&false)
    }
}
