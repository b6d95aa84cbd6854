//! The columns of every file: name, type, unit and meaning. Headers and `datapackage.json` both come from here.

use super::sweep::AxisColumn;
use serde_json::{Value, json};
use std::borrow::Cow;

/// One column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: Cow<'static, str>,
    /// A Frictionless field type.
    kind: &'static str,
    unit: &'static str,
    meaning: Cow<'static, str>,
}

/// A column whose words are fixed.
const fn column(name: &'static str, kind: &'static str, unit: &'static str, meaning: &'static str) -> Column {
    Column { name: Cow::Borrowed(name), kind, unit, meaning: Cow::Borrowed(meaning) }
}

impl Column {
    /// A column of numbers that takes a metric of `summary.csv`.
    pub(super) fn of_metric(name: String, unit: &'static str, meaning: String) -> Column {
        Column { name: Cow::Owned(name), kind: "number", unit, meaning: Cow::Owned(meaning) }
    }
}

impl Column {
    pub(super) fn meaning(&self) -> &str {
        &self.meaning
    }
}

#[cfg(feature = "xlsx")]
impl Column {
    pub(super) fn unit(&self) -> &'static str {
        self.unit
    }
    /// Whether its cells are never numbers.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, "string" | "datetime")
    }
    /// Whether its cells are whole numbers.
    pub(super) fn is_whole(&self) -> bool {
        self.kind == "integer"
    }
}

impl Column {
    /// A column with the value that a cell of a sweep has on the axis `path`.
    pub(super) fn of_axis(path: &str) -> Column {
        let meaning = format!("value of `{path}` in the scenario, as the sweep writes it, or its label");
        Column { name: Cow::Owned(path.to_owned()), kind: "any", unit: "", meaning: Cow::Owned(meaning) }
    }

    /// A column with the number behind that value, in `unit`.
    pub(super) fn of_axis_number(path: &str, unit: &'static str) -> Column {
        let meaning = format!("`{path}` as a number; empty where it is none");
        let name = format!("{path}{}", parameter_suffix(unit));
        Column { name: Cow::Owned(name), kind: "number", unit, meaning: Cow::Owned(meaning) }
    }

    /// Both, the second where the values do not say all themselves.
    pub(super) fn of_axis_and_number(axis: &AxisColumn) -> impl Iterator<Item = Column> {
        let number = axis.unit.map(|unit| Column::of_axis_number(&axis.path, unit));
        std::iter::once(Column::of_axis(&axis.path)).chain(number)
    }

    /// A column with the value of the scenario at `path`, in `unit`.
    pub(super) fn of_parameter(path: &str, unit: &'static str) -> Column {
        let meaning =
            format!("`{path}` of the scenario, its default where it is not written; empty where there is none");
        let suffix = if unit.is_empty() { "" } else { parameter_suffix(unit) };
        Column {
            name: Cow::Owned(format!("parameter.{path}{suffix}")),
            kind: "any",
            unit,
            meaning: Cow::Owned(meaning),
        }
    }

    /// The same column, of one subject.
    pub(super) fn of_subject(self, subject: &str) -> Column {
        let meaning = format!("{} of {subject}", self.meaning);
        Column { name: Cow::Owned(format!("{subject}.{}", self.name)), meaning: Cow::Owned(meaning), ..self }
    }
}

/// How a column of a parameter in `unit` ends.
fn parameter_suffix(unit: &str) -> &'static str {
    match unit {
        "" => "_value",
        "s" => "_s",
        "W" => "_w",
        "B" => "_bytes",
        "/s" => "_per_s",
        "B/s" => "_bytes_per_s",
        "FLOP/s" => "_flop_per_s",
        "USD" => "_usd",
        "USD/h" => "_usd_per_h",
        "USD/kW" => "_usd_per_kw",
        "USD/kWh" => "_usd_per_kwh",
        "gCO2e/kWh" => "_gco2e_per_kwh",
        "gCO2e/h" => "_gco2e_per_h",
        "L/kWh" => "_l_per_kwh",
        other => panic!("a column of a parameter in {other} has no ending"),
    }
}

/// A file and its columns.
#[derive(Debug, Clone)]
pub(super) struct Sheet {
    pub(super) file: &'static str,
    pub(super) about: &'static str,
    pub(super) columns: Cow<'static, [Column]>,
}

impl Sheet {
    /// Names of its columns.
    pub(super) fn header(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_ref())
    }

    fn resource(&self) -> Value {
        let field = |column: &Column| {
            let mut field = json!({ "name": column.name, "type": column.kind, "description": column.meaning });
            if !column.unit.is_empty() {
                field["unit"] = json!(column.unit);
            }
            field
        };
        json!({
            "name": self.file.trim_end_matches(".csv"),
            "path": self.file,
            "profile": "tabular-data-resource",
            "description": self.about,
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "schema": {
                "fields": self.columns.iter().map(field).collect::<Vec<_>>(),
                "missingValues": [""],
            },
        })
    }
}

/// The text of `datapackage.json`.
pub(super) fn datapackage(name: &str, sheets: &[Sheet]) -> Value {
    json!({
        "profile": "tabular-data-package",
        "name": name.to_lowercase(),
        "title": format!("tollway: {name}"),
        "description": "Boundaries: B1 accelerators at work, B2 and their hosts, B3 and idle or reserved capacity, \
                        B4 and the facility's losses and cooling. Missing values are empty.",
        "resources": sheets.iter().map(Sheet::resource).collect::<Vec<_>>(),
    })
}

const TIME_S: Column = column("time_s", "number", "s", "start of the interval, since the start of the run");
const TIME_UTC: Column = column("time_utc", "datetime", "", "start of the interval");
const SITE: Column = column("site", "string", "", "name of the site; empty for a device, which stands at none");
const CLUSTER: Column = column("cluster", "string", "", "name of the cluster; empty for a site's losses and cooling");
const TENANT: Column = column(
    "tenant",
    "string",
    "",
    "who: a tenant's subject, `idle` for what nobody held, `facility` for losses and cooling",
);
const PART: Column = column(
    "part",
    "string",
    "",
    "active (boundary B2; its accelerators are B1), spare, repair, warm_idle or paused (B3), losses_and_cooling (B4), or unallocated, which no boundary holds",
);

/// Every headline figure.
pub(super) const SUMMARY: Sheet = Sheet {
    file: "summary.csv",
    about: "Every headline figure, once.",
    columns: Cow::Borrowed(&[
        column(
            "subject",
            "string",
            "",
            "whose figure: training.<name>, service.<name>, device.<name>, cluster.<name>, site.<name>, total",
        ),
        column("metric", "string", "", "which figure"),
        column("value", "number", "", "how much, in the row's unit; empty where there is nothing to say"),
        column("unit", "string", "", "s, ms, kWh, kW, USD, kgCO2e, L, GPU-h, tokens, count, L/kWh, ratio or fraction"),
        column("boundary", "string", "", "B1, B2, B3 or B4; empty where the metric has none"),
    ]),
};

/// Every headline figure over replications.
pub(super) const REPLICATIONS: Sheet = Sheet {
    file: "replications.csv",
    about: "Every figure of summary.csv over all replications; summary.csv and the other files are of replication 0.",
    columns: Cow::Borrowed(&[
        column("subject", "string", "", "whose figure, as in summary.csv"),
        column("metric", "string", "", "which figure"),
        column("unit", "string", "", "unit of the columns from mean on"),
        column("boundary", "string", "", "B1, B2, B3 or B4; empty where the metric has none"),
        column("n", "integer", "count", "replications in which the figure exists"),
        column("mean", "number", "", "mean over those"),
        column("sd", "number", "", "standard deviation of the sample, over n - 1"),
        column("ci95_low", "number", "", "lower end of the 95 % interval of the mean, by Student's t"),
        column("ci95_high", "number", "", "upper end of the same interval"),
        column("p5", "number", "", "5th percentile, interpolated between order statistics"),
        column("p50", "number", "", "median"),
        column("p95", "number", "", "95th percentile"),
    ]),
};

const CELL: Column = column("cell", "integer", "", "number of the cell, from 0; the last axis varies fastest");

/// The first columns of the runs of a sweep; axes follow the first, figures the last.
pub(super) const RUNS: Sheet = Sheet {
    file: "runs.csv",
    about: "One row for each run: where it stands on each axis, and its figures. The same replication met the same chance in every cell.",
    columns: Cow::Borrowed(&[
        CELL,
        column("replication", "integer", "", "which replication of the cell, from 0"),
        column("error", "string", "", "why the run failed and has no figures; empty where it did not"),
    ]),
};

/// The cells of a sweep; axes follow the first column.
pub(super) const CELLS: Sheet = Sheet {
    file: "cells.csv",
    about: "Every figure of each cell over its replications.",
    columns: Cow::Borrowed(&[
        CELL,
        column("subject", "string", "", "whose figure, as in a run's summary.csv"),
        column("metric", "string", "", "which figure"),
        column("unit", "string", "", "unit of the columns from mean on"),
        column("boundary", "string", "", "B1, B2, B3 or B4; empty where the metric has none"),
        column("n", "integer", "count", "replications in which the figure exists"),
        column("mean", "number", "", "mean over those"),
        column("sd", "number", "", "standard deviation of the sample, over n - 1"),
        column("ci95_low", "number", "", "lower end of the 95 % interval of the mean, by Student's t"),
        column("ci95_high", "number", "", "upper end of the same interval"),
        column("p5", "number", "", "5th percentile, interpolated between order statistics"),
        column("p50", "number", "", "median"),
        column("p95", "number", "", "95th percentile"),
    ]),
};

/// The cells of a sweep against its baseline; axes follow the first column.
pub(super) const COMPARISONS: Sheet = Sheet {
    file: "comparisons.csv",
    about: "Every figure of each cell against the baseline's, paired by replication, with 95 % intervals by Student's t.",
    columns: Cow::Borrowed(&[
        CELL,
        column("subject", "string", "", "whose figure, as in a run's summary.csv"),
        column("metric", "string", "", "which figure"),
        column("unit", "string", "", "unit of baseline_mean, mean, difference and half_width"),
        column("boundary", "string", "", "B1, B2, B3 or B4; empty where the metric has none"),
        column("n", "integer", "count", "replications in which both cells have the figure"),
        column("baseline_mean", "number", "", "mean of the baseline over those"),
        column("mean", "number", "", "mean of this cell over those"),
        column("difference", "number", "", "mean of this cell minus baseline"),
        column("half_width", "number", "", "half-width of the difference's 95 % interval"),
        column("difference_pct", "number", "", "difference in per cent of the baseline's mean"),
        column("half_width_pct", "number", "", "half_width in per cent of the baseline's mean"),
        column(
            "verdict",
            "string",
            "",
            "higher or lower where the interval leaves out 0, else `no difference shown`; empty for one pair",
        ),
        column("sentence", "string", "", "the same in words"),
    ]),
};

/// The road against the drives.
pub(super) const COMPARISON: Sheet = Sheet {
    file: "comparison.csv",
    about: "The road (training) against the drives (inference), inside each boundary. Values in the axis's unit.",
    columns: Cow::Borrowed(&[
        column("boundary", "string", "", "B1, B2, B3 or B4, the same on both sides"),
        column(
            "axis",
            "string",
            "",
            "gpu_hours, kwh, usd, kgco2e (location-based, hourly) or l (on site and off site)",
        ),
        column(
            "training",
            "number",
            "",
            "all training jobs, failed work, spares and idle included, without research multiplier",
        ),
        column("inference", "number", "", "all services, idle replicas included"),
        column("ratio", "number", "", "inference over training"),
        column("per_request", "number", "", "inference for each completed request"),
        column("per_1k_tokens", "number", "", "inference for 1,000 output tokens"),
        column(
            "crossover_day",
            "number",
            "d",
            "days since the start of the run when cumulative inference reached training times its research multiplier; empty = never within horizon",
        ),
        column("crossover_requests", "number", "count", "requests completed by then"),
        column("crossover_tokens", "number", "tokens", "output tokens by then"),
        column("crossover_days_open", "number", "d", "days by then since the first service opened"),
        column(
            "research_multiplier",
            "number",
            "",
            "training with the research behind it, over training: what inference has to reach",
        ),
        column("per_1k_prompt_tokens", "number", "", "all inference for 1,000 prompt tokens; not beside per_1k_tokens"),
    ]),
};

/// What a sweep searched for; its axes but the searched one follow the first column.
pub(super) const GOALS: Sheet = Sheet {
    file: "goals.csv",
    about: "What the sweep searched for and found by bisection, one row for each cell of the other axes; the cells that it looked at \
            are those of cells.csv. It supposes that the figure moves one way along the path.",
    columns: Cow::Borrowed(&[
        column("goal", "integer", "", "number of the search, from 0"),
        column("path", "string", "", "what was searched, a path in the scenario"),
        column("find", "string", "", "smallest or largest: which of the values that keep the bound"),
        column("metric", "string", "", "the figure, as SUBJECT/METRIC@BOUNDARY"),
        column("unit", "string", "", "unit of the figure"),
        column("statistic", "string", "", "mean of the replications, or a quantile of them"),
        column("bound", "string", "", "at least or at most"),
        column("threshold", "number", "", "what the figure is to keep"),
        column(
            "verdict",
            "string",
            "",
            "found; always met or never met (at both ends); other way (the figure moves the other way along the path); undecided (a cell \
             has no value)",
        ),
        column("answer_cell", "integer", "", "cell that answers; empty where there is none"),
        column("answer", "any", "", "its value on the path"),
        column("answer_value", "number", "", "the same as a number"),
        column("low_cell", "integer", "", "nearest cell below the crossing; the lower end where there is no crossing"),
        column("low", "any", "", "its value on the path"),
        column("low_value", "number", "", "the same as a number"),
        column("at_low", "number", "", "what the figure is there"),
        column("half_width_low", "number", "", "half-width of its 95 % interval, where it is a mean"),
        column("high_cell", "integer", "", "nearest cell above the crossing; the upper end where there is no crossing"),
        column("high", "any", "", "its value on the path"),
        column("high_value", "number", "", "the same as a number"),
        column("at_high", "number", "", "what the figure is there"),
        column("half_width_high", "number", "", "half-width of its 95 % interval, where it is a mean"),
        column("probes", "integer", "count", "cells that were looked at"),
        column(
            "monotone",
            "string",
            "",
            "no where two neighbours show that the figure does not move one way, beyond what chance explains: there may be other answers",
        ),
        column("sentence", "string", "", "the answer in words"),
    ]),
};

/// What would shift the crossings.
pub(super) const SENSITIVITY: Sheet = Sheet {
    file: "sensitivity.csv",
    about: "When inference would have overtaken training if one thing were otherwise.",
    columns: Cow::Borrowed(&[
        column(
            "factor",
            "string",
            "",
            "research_multiplier (of all jobs), inference_grid (carbon of the services' electricity), traffic (requests) \
             or utilisation (how full replicas run)",
        ),
        column("value", "number", "", "the research multiplier itself; else times what the scenario has"),
        column(
            "method",
            "string",
            "",
            "rescaled: exact, from the run at hand; rerun: a run of its own with that value, under the same chance",
        ),
        column("boundary", "string", "", "B1, B2, B3 or B4, the same on both sides"),
        column("axis", "string", "", "gpu_hours, kwh, usd, kgco2e or l; those that the factor moves"),
        column("crossover_day", "number", "d", "as in comparison.csv; empty = never within horizon"),
        column("crossover_requests", "number", "count", "requests completed by then"),
        column("crossover_tokens", "number", "tokens", "output tokens by then"),
        column("crossover_days_open", "number", "d", "days by then since the first service opened"),
    ]),
};

/// Everything to somebody.
pub(super) const ATTRIBUTION: Sheet = Sheet {
    file: "attribution.csv",
    about: "Every joule, dollar, gram and litre of the run to exactly one row: the rows of a site add up to its meter. Or leave its \
            overhead row out and add the share_ columns, which say whose overhead it is. A service with classes has a row for each, \
            such as service.chat.gold, in the place of its own.",
    columns: Cow::Borrowed(&[
        SITE,
        CLUSTER,
        TENANT,
        PART,
        column("category", "string", "", "job, service, device, spare, repair, idle or overhead"),
        column(
            "boundary",
            "string",
            "",
            "the narrowest boundary that holds the row: B2 for work (B1 is its accelerators), B3 for what stands reserved, B4 for \
             overhead; the share_ columns are B4; empty for what nobody held, which no boundary holds",
        ),
        column("held_gpu_h", "number", "GPU-h", "accelerator time"),
        column("accelerator_kwh", "number", "kWh", "accelerators"),
        column("host_kwh", "number", "kWh", "the hosts' share"),
        column("energy_kwh", "number", "kWh", "accelerators and hosts, or conversion losses and cooling"),
        column("holding_usd", "number", "USD", "rent, or cost of ownership without energy"),
        column("energy_usd", "number", "USD", "energy bill, peaks included; zero where the rent contains it"),
        column("carbon_kgco2e", "number", "kgCO2e", "stack CO2 of the energy, location-based, hourly (scope 2)"),
        column("upstream_kgco2e", "number", "kgCO2e", "fuel upstream of the power plants (scope 3)"),
        column("embodied_kgco2e", "number", "kgCO2e", "making the hardware (scope 3)"),
        column("water_l", "number", "L", "water that the site evaporates"),
        column("water_offsite_l", "number", "L", "water that power plants evaporate for the energy"),
        column("share_kwh", "number", "kWh", "its share of the overhead row's energy, by node energy, bin by bin"),
        column("share_usd", "number", "USD", "its share of the overhead row's bill"),
        column("share_kgco2e", "number", "kgCO2e", "its share of the overhead row's stack CO2"),
        column("share_upstream_kgco2e", "number", "kgCO2e", "its share of the overhead row's fuel upstream"),
        column("share_offsite_l", "number", "L", "its share of the overhead row's water at power plants"),
    ]),
};

/// Power by interval and tenant.
pub(super) const POWER: Sheet = Sheet {
    file: "power.csv",
    about: "Mean power over [t, t + step). In each interval the rows of a site add up to its meter.",
    columns: Cow::Borrowed(&[
        TIME_S,
        TIME_UTC,
        SITE,
        CLUSTER,
        TENANT,
        PART,
        column(
            "accelerator_kw",
            "number",
            "kW",
            "accelerators (B1 on active rows; with the hosts B2; reserved rows B3)",
        ),
        column("host_kw", "number", "kW", "the hosts' share: processors, memory, network, fans"),
        column("facility_kw", "number", "kW", "conversion losses and cooling (what B4 adds)"),
        column(
            "losses_kw",
            "number",
            "kW",
            "conversion losses in facility_kw; empty where the model does not tell them apart",
        ),
        column("cooling_kw", "number", "kW", "cooling in facility_kw; empty where the model does not tell it apart"),
        column("psu_kw", "number", "kW", "power supplies in losses_kw; this and the next four are empty like it"),
        column("rectifier_kw", "number", "kW", "rectifiers in losses_kw"),
        column("pdu_kw", "number", "kW", "power distribution units in losses_kw"),
        column("ups_kw", "number", "kW", "UPS in losses_kw, and the PDUs with it where conversion is lumped"),
        column("transformer_kw", "number", "kW", "transformers in losses_kw"),
        column("power_kw", "number", "kW", "the three together"),
        column("energy_kwh", "number", "kWh", "the three together, times the interval"),
        column("meter_kw", "number", "kW", "the site's meter, the same on each row of the site: do not add it up"),
    ]),
};

/// GPUs and requests by interval and tenant.
pub(super) const UTILISATION: Sheet = Sheet {
    file: "utilisation.csv",
    about: "Mean GPUs held over [t, t + step), and what services counted in it. The rows of a cluster add up to its GPUs.",
    columns: Cow::Borrowed(&[
        TIME_S,
        TIME_UTC,
        SITE,
        CLUSTER,
        TENANT,
        PART,
        column("gpus_count", "number", "count", "mean GPUs held; empty for a device"),
        column("gpus_fraction", "number", "", "of the cluster's GPUs"),
        column(
            "arrived_count",
            "integer",
            "count",
            "requests that arrived; on a tenant's active row only, like the others",
        ),
        column("completed_count", "integer", "count", "requests that got their last token"),
        column("rejected_count", "integer", "count", "requests turned away"),
        column("failed_count", "integer", "count", "requests lost"),
        column("prompt_tokens", "integer", "tokens", "prompt tokens of completed requests"),
        column("output_tokens", "integer", "tokens", "output tokens of completed requests"),
    ]),
};

/// Money by interval and tenant.
pub(super) const COST: Sheet = Sheet {
    file: "cost.csv",
    about: "Money spent over [t, t + step).",
    columns: Cow::Borrowed(&[
        TIME_S,
        TIME_UTC,
        SITE,
        CLUSTER,
        TENANT,
        PART,
        column("holding_usd", "number", "USD", "rent, or cost of ownership without energy"),
        column("energy_usd", "number", "USD", "energy bill; zero where the rent contains it"),
        column("cost_usd", "number", "USD", "the two together"),
    ]),
};

/// Gas and water by interval and tenant.
pub(super) const CARBON: Sheet = Sheet {
    file: "carbon.csv",
    about: "Gas emitted and water evaporated over [t, t + step). The columns are different ledgers: do not net them.",
    columns: Cow::Borrowed(&[
        TIME_S,
        TIME_UTC,
        SITE,
        CLUSTER,
        TENANT,
        PART,
        column("carbon_kgco2e", "number", "kgCO2e", "stack CO2 of the energy, location-based, hourly (scope 2)"),
        column("upstream_kgco2e", "number", "kgCO2e", "fuel upstream of the power plants (scope 3)"),
        column(
            "embodied_kgco2e",
            "number",
            "kgCO2e",
            "making the hardware, by the cluster's `embodied` for each GPU-hour (scope 3)",
        ),
        column("water_l", "number", "L", "water that the site evaporates"),
        column("water_offsite_l", "number", "L", "water that power plants evaporate for the energy"),
        column(
            "market_kgco2e",
            "number",
            "kgCO2e",
            "market-based carbon of the energy (scope 2); empty without contracts",
        ),
    ]),
};

/// Where the time of each tenant went, and what that cost.
pub(super) const BUCKETS: Sheet = Sheet {
    file: "buckets.csv",
    about: "Where time went: each GPU-second in one bucket, with what it took, losses and cooling included, and each second of a training job's own time. The rows of a subject add up to its figures inside B4, those of all subjects but devices to the meters.",
    columns: Cow::Borrowed(&[
        column("subject", "string", "", "whose time: a tenant's, or cluster.<name> for GPUs that nobody held"),
        column("bucket", "string", "", "what it went to"),
        column(
            "ml_goodput",
            "string",
            "",
            "name of the same time in Google's ml-goodput-measurement; empty where that does not count it",
        ),
        column(
            "job_s",
            "number",
            "s",
            "a training job's own time, of its computing nodes together: all of it from submission to finish or horizon; empty of others, and of nodes beside",
        ),
        column("gpu_h", "number", "GPU-h", "accelerator time"),
        column("time_fraction", "number", "", "of the subject's accelerator time"),
        column("energy_kwh", "number", "kWh", "energy at the meter (boundary B4, as all columns here)"),
        column("cost_usd", "number", "USD", "holding and energy"),
        column("carbon_kgco2e", "number", "kgCO2e", "stack CO2 of the energy, location-based, hourly (scope 2)"),
        column("upstream_kgco2e", "number", "kgCO2e", "fuel upstream of the power plants (scope 3)"),
        column("embodied_kgco2e", "number", "kgCO2e", "making the hardware (scope 3)"),
        column("water_l", "number", "L", "water that the site evaporates"),
        column("water_offsite_l", "number", "L", "water that power plants evaporate for the energy"),
    ]),
};

/// What happened when.
pub(super) const EVENTS: Sheet = Sheet {
    file: "events.csv",
    about: "What happened when, in order of time.",
    columns: Cow::Borrowed(&[
        column("time_s", "number", "s", "since the start of the run"),
        column("time_utc", "datetime", "", "when"),
        column("subject", "string", "", "whose event"),
        column(
            "event",
            "string",
            "",
            "started, finished, failure, spare_failure, corrupted, detected, maintenance, preempted, took_nodes, slowed, evicted, restarted, opened or scaled",
        ),
        column("nodes", "string", "", "node numbers, as intervals; empty where no node is meant"),
        column("detail", "string", "", "a figure and its words"),
    ]),
};

/// Every job of the workloads.
pub(super) const QUEUE: Sheet = Sheet {
    file: "queue.csv",
    about: "One row for each job of a workload, in order of submission; only where a workload lists its jobs.",
    columns: Cow::Borrowed(&[
        column("subject", "string", "", "whose job"),
        column("cluster", "string", "", "name of its cluster"),
        column("job", "integer", "", "its number, from 0 in order of submission"),
        column("class", "string", "", "its class"),
        column("owner", "string", "", "its owner; empty where its source names none"),
        column("gpus_count", "integer", "count", "GPUs that it asked for"),
        column("submitted_s", "number", "s", "since the start of the run"),
        column("started_s", "number", "s", "when it first got its nodes; empty if it never did"),
        column("finished_s", "number", "s", "when it ended; empty if it had not by the horizon"),
        column("wait_s", "number", "s", "from submission to its first nodes"),
        column("run_s", "number", "s", "work that it had to do"),
        column("held_s", "number", "s", "how long it held nodes: restarts and lost work included"),
        column("starts_count", "integer", "count", "times that it got nodes"),
        column(
            "status",
            "string",
            "",
            "waiting or running at the horizon; or how it ended: completed, cancelled, failed, timed_out or node_failed",
        ),
    ]),
};

/// Requests one by one.
pub(super) const REQUESTS: Sheet = Sheet {
    file: "requests.csv",
    about: "Requests one by one, or a seeded sample of them, service by service and cell by cell, in the order in which they ended. \
            Requests still inside at the horizon are not here.",
    columns: Cow::Borrowed(&[
        column("subject", "string", "", "whose request: a service's, or of a class such as service.chat.gold"),
        column("cell", "integer", "", "which of the service's cells, from 0"),
        column("arrived_s", "number", "s", "when it arrived, since the start of the run"),
        column("prompt_tokens", "integer", "tokens", "prompt tokens"),
        column("output_tokens", "integer", "tokens", "output tokens"),
        column(
            "ttft_ms",
            "number",
            "ms",
            "time to first token, from when its client first asked; empty where there was no answer",
        ),
        column("tpot_ms", "number", "ms", "time for each output token after the first; empty where there is none"),
        column("e2e_ms", "number", "ms", "time to last token, likewise"),
        column(
            "outcome",
            "string",
            "",
            "completed, or why its client gave up in the end: rejected, timed_out, or broken by a failure",
        ),
        column("within_slo", "boolean", "", "whether it met every limit of the SLO"),
    ]),
};

/// Which node was down when: a fault trace that `failures = { trace = { csv = … } }` reads.
pub(super) const FAULTS: Sheet = Sheet {
    file: "faults.csv",
    about: "Nodes of training jobs that were down, in order of time: a fault trace that a scenario can read.",
    columns: Cow::Borrowed(&[
        column("cluster", "string", "", "name of its cluster"),
        column("node", "integer", "", "node number"),
        column("start_s", "number", "s", "since when, from the start of the run"),
        column(
            "end_s",
            "number",
            "s",
            "until when, past the end of the run too; a node that was given up, until it ends",
        ),
        column("class", "string", "", "how it showed: explicit, hang, silent, slow, planned or suspected"),
        column("domain", "string", "", "what broke: gpu, node, rack, power_unit, switch, cooling_loop or site"),
        column(
            "planned",
            "string",
            "",
            "true where it was taken out without having failed; planned stops of a whole job are in events.csv",
        ),
    ]),
};

/// The first columns of `jobs.csv` and `services.csv`; figures and time buckets follow.
pub(super) const SUBJECT: [Column; 3] = [
    column("subject", "string", "", "whose row"),
    column("site", "string", "", "name of its site; empty for a device"),
    column("cluster", "string", "", "name of its cluster; empty for a device"),
];
