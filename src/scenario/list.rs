//! `tollway list`: what a scenario can name, each with its source.

use crate::catalog::{CAPS, DEVICES, ENGINES, Entry, FAILURES, GPUS, GRIDS, MODELS, NODES, POWER_TABLES, TARIFFS};
use crate::trace::FORMATS;

/// One thing that a scenario can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which list it is on.
    pub kind: &'static str,
    /// What a scenario writes; of a measured row, the deployment that it applies to.
    pub name: String,
    /// Where its figures were read; of a policy, the section that takes it and the file it lives in.
    pub source: &'static str,
}

/// The lists there are.
pub const LISTS: &[&str] = &[
    "gpus", "nodes", "models", "engines", "powers", "caps", "grids", "tariffs", "failures", "devices", "formats",
    "policies",
];

/// Every policy: its name, the key that takes it, and the file it lives in.
const POLICIES: &[(&str, &str)] = &[
    ("flat", "site.<name>.grid and site.<name>.tariff, src/market/mod.rs"),
    ("time_of_use", "site.<name>.tariff, src/market/tariff.rs"),
    ("constant", "site.<name>.grid and site.<name>.facility, src/market/mod.rs and src/facility/constant.rs"),
    ("series", "site.<name>.grid, tariff and facility, src/market/{carbon,tariff}.rs and src/facility/series.rs"),
    ("weather", "site.<name>.facility, src/facility/weather.rs"),
    ("none", "cluster.<name>.failures, src/fault/law.rs"),
    ("preset", "cluster.<name>.failures, src/fault/law.rs"),
    ("exponential", "cluster.<name>.failures, src/fault/law.rs"),
    ("weibull", "cluster.<name>.failures, src/fault/law.rs"),
    ("whole", "cluster.<name>.bursts.<domain>.hits, src/fault/burst.rs"),
    ("share", "cluster.<name>.bursts.<domain>.hits, src/fault/burst.rs"),
    ("batch", "cluster.<name>.bursts.<domain>.hits, src/fault/burst.rs"),
    ("csv", "cluster.<name>.failures.trace, src/trace/faults.rs"),
    ("stepfun", "cluster.<name>.failures.trace, src/trace/faults.rs"),
    ("bursty", "cluster.<name>.failures, src/fault/law.rs"),
    ("ages", "cluster.<name>.failures.weibull.initial_age.trace, src/fault/law.rs"),
    ("past", "cluster.<name>.failures.weibull.initial_age.trace, src/fault/law.rs"),
    ("wait", "training.<name>.spares.short, src/training/section.rs"),
    ("shrink", "training.<name>.spares.short, src/training/section.rs"),
    ("preempt", "training.<name>.spares.short, src/training/section.rs"),
    ("owned", "cluster.<name>.cost, src/world/cost.rs"),
    ("rented", "cluster.<name>.cost, src/world/cluster.rs"),
    ("fifo", "cluster.<name>.scheduler, src/scheduler/fifo.rs"),
    ("priority", "cluster.<name>.scheduler, src/scheduler/priority.rs"),
    ("backfill", "cluster.<name>.scheduler, src/scheduler/backfill.rs"),
    ("kalos", "workload.<name>.jobs, src/batch/kalos.rs"),
    ("acme", "workload.<name>.jobs.trace, src/trace/jobs_acme.rs"),
    ("philly", "workload.<name>.jobs.trace, src/trace/jobs_philly.rs"),
    ("carbon", "training.<name>.shift, src/training/shift.rs"),
    ("marginal", "training.<name>.shift, src/training/shift.rs"),
    ("price", "training.<name>.shift, src/training/shift.rs"),
    ("after", "service.<name>.opens, src/serving/section.rs"),
    ("at", "service.<name>.opens, src/serving/section.rs"),
    ("measured", "service.<name>.power, src/power/section.rs"),
    ("table", "service.<name>.power, src/power/section.rs"),
    ("logistic", "service.<name>.power, src/power/section.rs"),
    ("step_time", "service.<name>.power, src/power/section.rs"),
    ("roofline", "service.<name>.power, src/power/roofline.rs"),
    ("piecewise", "service.<name>.power, src/power/section.rs"),
    ("linear", "service.<name>.power, src/power/section.rs"),
    ("square_root", "service.<name>.power, src/power/section.rs"),
    ("cubic", "service.<name>.power, src/power/section.rs"),
    ("polca", "site.<name>.capping, src/power/control.rs"),
    ("track", "site.<name>.capping, src/power/control.rs"),
    ("windows", "site.<name>.demand_response, src/power/demand.rs"),
    ("signal", "site.<name>.demand_response, src/power/demand.rs"),
    ("lumped", "site.<name>.facility.weather.conversion, src/facility/conversion.rs"),
    ("chain", "site.<name>.facility.weather.conversion, src/facility/conversion.rs"),
    ("share", "cluster.<name>.power.network, src/world/power.rs"),
    ("switches", "cluster.<name>.power.network, src/world/power.rs"),
    ("fixed", "service.<name>.scale.policy, src/serving/autoscaler.rs"),
    ("target_load", "service.<name>.scale.policy, src/serving/autoscaler.rs"),
    ("slo", "service.<name>.scale.policy, src/serving/autoscaler.rs"),
    ("schedule", "service.<name>.scale.policy, src/serving/autoscaler.rs"),
    ("round_robin", "service.<name>.router, src/serving/router.rs"),
    ("random", "service.<name>.router, src/serving/router.rs"),
    ("power_of_two", "service.<name>.router, src/serving/router.rs"),
    ("least_loaded", "service.<name>.router, src/serving/router.rs"),
    ("least_kv", "service.<name>.router, src/serving/router.rs"),
    ("session_sticky", "service.<name>.router, src/serving/router.rs"),
    ("prefix_affinity", "service.<name>.router, src/serving/router.rs"),
    ("weighted", "service.<name>.front, src/cluster/service.rs"),
    ("stale_load", "service.<name>.front, src/cluster/service.rs"),
    ("chunked", "service.<name>.replica.prefill, src/serving/replica.rs"),
    ("first", "service.<name>.replica.prefill, src/serving/replica.rs"),
    ("chat", "service.<name>.arrivals, src/serving/chat.rs"),
    ("poisson", "service.<name>.arrivals, src/serving/arrivals.rs"),
    ("bursts", "service.<name>.arrivals, src/serving/bursts.rs"),
    ("ramp", "service.<name>.arrivals, src/serving/ramp.rs"),
    ("flash_crowd", "service.<name>.arrivals, src/serving/ramp.rs"),
    ("clients", "service.<name>.arrivals, src/serving/clients.rs"),
    ("reasoning", "service.<name>.arrivals, src/serving/clients.rs"),
    ("sessions", "service.<name>.arrivals, src/serving/sessions.rs"),
    ("closed_loop", "service.<name>.arrivals, src/serving/closed.rs"),
    ("servegen", "service.<name>.arrivals, src/serving/servegen.rs"),
    ("trace", "service.<name>.arrivals and workload.<name>.jobs, src/serving/replay.rs and src/batch/section.rs"),
    ("like", "prompt and output of service.<name>.arrivals.<any>, src/serving/lengths.rs"),
    ("tokens", "prompt and output of service.<name>.arrivals.<any>, src/serving/lengths.rs"),
    ("lognormal", "prompt and output of service.<name>.arrivals.<any>, src/serving/lengths.rs"),
    ("mixture", "prompt and output of service.<name>.arrivals.<any>, src/serving/lengths.rs"),
    ("quantiles", "prompt and output of service.<name>.arrivals.<any>, src/serving/lengths.rs"),
    ("auto", "service.<name>.arrivals.trace: any format below, by its first lines, src/trace/requests/mod.rs"),
    ("azure2023", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("azure2024", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("azure_lmm2025", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("burstgpt", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("mooncake", "service.<name>.arrivals.trace, src/trace/requests/object.rs"),
    ("bailian", "service.<name>.arrivals.trace, src/trace/requests/object.rs"),
    ("vidur", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("splitwise", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("llmservingsim", "service.<name>.arrivals.trace, src/trace/requests/object.rs"),
    ("vllm_bench", "service.<name>.arrivals.trace, src/trace/requests/object.rs"),
    ("csv", "service.<name>.arrivals.trace, src/trace/requests/table.rs"),
    ("requests", "service.<name>.fidelity, src/serving/cell.rs"),
    ("sampled", "service.<name>.fidelity, src/serving/sampled.rs"),
    ("fluid", "service.<name>.fidelity, src/serving/fluid.rs"),
];

/// The entries of the list `kind`, of all lists where `None`; empty for a kind that is not in [`LISTS`].
#[must_use]
pub fn list(kind: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(of("gpus", GPUS));
    rows.extend(of("nodes", NODES));
    rows.extend(of("models", MODELS));
    rows.extend(ENGINES.iter().map(|row| {
        let name = format!("{} {} {} {:?} tp{} {}", row.model, row.gpu, row.engine, row.precision, row.tp, row.version);
        Row { kind: "engines", name: name.trim_end().to_lowercase(), source: row.source }
    }));
    rows.extend(POWER_TABLES.iter().map(|row| {
        let name = format!("{} {} tp{}", row.model, row.gpu, row.tp);
        Row { kind: "powers", name, source: row.source }
    }));
    rows.extend(of("caps", CAPS));
    rows.extend(of("grids", GRIDS));
    rows.extend(of("tariffs", TARIFFS));
    rows.extend(of("failures", FAILURES));
    rows.extend(of("devices", DEVICES));
    rows.extend(FORMATS.iter().map(|&(_, name, source)| Row { kind: "formats", name: name.to_owned(), source }));
    rows.extend(POLICIES.iter().map(|&(name, source)| Row { kind: "policies", name: name.to_owned(), source }));
    rows.retain(|row| kind.is_none_or(|kind| kind == row.kind));
    rows
}

fn of<T>(kind: &'static str, entries: &'static [Entry<T>]) -> impl Iterator<Item = Row> {
    entries.iter().map(move |entry| Row { kind, name: entry.name.to_owned(), source: entry.source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::schema;
    use serde_json::Value;
    use std::collections::BTreeSet;

    /// The keys of every choice in `schema`.
    fn choices(schema: &Value, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(object) => {
                let variants = object.get("oneOf").and_then(Value::as_array).into_iter().flatten();
                found.extend(variants.filter_map(|variant| Some(variant.pointer("/required/0")?.as_str()?.to_owned())));
                object.values().for_each(|inner| choices(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| choices(inner, found)),
            _ => {}
        }
    }

    #[test]
    fn every_choice_that_a_scenario_has_is_listed_and_no_other() {
        let mut of_schema = BTreeSet::new();
        choices(&schema(), &mut of_schema);
        let listed: BTreeSet<String> = list(Some("policies")).iter().map(|row| row.name.clone()).collect();
        assert_eq!(listed, of_schema);
    }
}
