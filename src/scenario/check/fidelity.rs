//! How closely a service is looked at: what a sample of its cells cannot be asked.

use super::Check;
use crate::serving::{FLUID, Fidelity, Front, SAMPLED, Sampled, ServiceSection, cells};
use crate::units::Share;
use crate::world::ClusterPlan;

impl Check<'_> {
    /// True where the service can be looked at as it asks; else complains.
    pub(super) fn fidelity_is_sound(&mut self, name: &str, section: &ServiceSection, cluster: &ClusterPlan) -> bool {
        let held = self.is_held_replica_by_replica(name, section, cluster);
        match section.fidelity {
            Fidelity::Requests {} | Fidelity::Fluid {} => held,
            Fidelity::Sampled(sampled) => held & self.sample_is_sound(name, section, sampled),
        }
    }

    fn sample_is_sound(&mut self, name: &str, section: &ServiceSection, sampled: Sampled) -> bool {
        let all = cells(section.scale.max);
        let at = ["service", name, "fidelity", "sampled"];
        if sampled.one_in == 0 {
            return self.no(&["service", name, "fidelity", "sampled", "one_in"], "must be at least 1");
        }
        if sampled.one_in > all {
            let plural = if all == 1 { "" } else { "s" };
            let message = format!(
                "keeps one cell in {}, of a service of {all} cell{plural}: one for each 64 of `scale.max` = {} replicas",
                sampled.one_in, section.scale.max
            );
            let help = match all {
                1 => "serve every request: fidelity = { requests = {} }".to_owned(),
                _ => format!("use one_in = {all} or less, or serve every request: fidelity = {{ requests = {{}} }}"),
            };
            self.refuse(&at, message, help);
            return false;
        }
        if matches!(section.front, Front::StaleLoad(_)) && sampled.one_in > 1 {
            let help = "use front = { weighted = {} }, or fidelity = { requests = {} }".to_owned();
            let message = "goes by the loads of all cells, most of which a sample does not have";
            self.refuse(&["service", name, "front", "stale_load"], message, help);
            return false;
        }
        let (kept, asked) = (sampled.keeps(all), section.record.map_or(0.0, Share::as_f64));
        asked <= f64::from(kept) / f64::from(all) || {
            let message = format!("asks for {asked} of all requests, of which {kept} of {all} cells are simulated");
            let help = format!("ask for {kept}/{all} of them or less, or use fidelity = {{ requests = {{}} }}");
            self.refuse(&["service", name, "record"], message, help);
            false
        }
    }

    /// True where racks and rows, if limited, can hold single replicas; else complains.
    fn is_held_replica_by_replica(&mut self, name: &str, section: &ServiceSection, cluster: &ClusterPlan) -> bool {
        let limited = cluster.power.rack_limit.or(cluster.power.row_limit).is_some();
        let what = match section.fidelity {
            Fidelity::Requests {} => return true,
            Fidelity::Sampled(_) => "sampled",
            Fidelity::Fluid {} => "fluid",
        };
        !limited || {
            let help = "limit the site, or serve every request: fidelity = { requests = {} }".to_owned();
            let message = format!("cannot be {what} where racks or rows have limits");
            self.refuse(&["service", name, "fidelity"], message, help);
            false
        }
    }
}

/// What of the requests that are simulated is to be recorded, so that `asked` of all are.
pub(super) fn recorded_share(section: &ServiceSection) -> Option<Share> {
    let asked = section.record?;
    Some(match section.fidelity {
        Fidelity::Requests {} | Fidelity::Fluid {} => asked,
        Fidelity::Sampled(sampled) => {
            let all = cells(section.scale.max);
            Share::new((asked.as_f64() * f64::from(all) / f64::from(sampled.keeps(all))).min(1.0))
        }
    })
}

/// What the manifest says of it.
pub(super) fn fidelity_note(section: &ServiceSection) -> String {
    match section.fidelity {
        Fidelity::Requests {} => "requests".to_owned(),
        Fidelity::Fluid {} => format!("fluid: {}", FLUID.words()),
        Fidelity::Sampled(sampled) => {
            let all = cells(section.scale.max);
            let kept = sampled.keeps(all);
            format!("sampled: {kept} of {all} cells; with 20 replicas kept, {}", SAMPLED.words())
        }
    }
}
