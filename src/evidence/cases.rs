//! The published cases, compiled in.

/// One published case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// File name under `scenarios/validate/`, without `.toml`.
    pub name: &'static str,
    /// The scenario.
    pub text: &'static str,
}

/// A case by its file name.
macro_rules! case {
    ($name:literal) => {
        Case { name: $name, text: include_str!(concat!("../../scenarios/validate/", $name, ".toml")) }
    };
}

/// All published cases, in the order in which `validate` prints them.
pub const CASES: &[Case] = &[
    case!("llama3-405b-54d"),
    case!("llama31-405b-run"),
    case!("byterobust-dense"),
    case!("opt175b-run12"),
    case!("airesim-default"),
    case!("deepseek-v3"),
    case!("dsv3_train_cost"),
    case!("bloomberggpt-50b"),
    case!("bloom176b"),
    case!("bloom_train_energy"),
    case!("bloom_infer_energy"),
    case!("bloomz_parity_560m"),
    case!("bloomz_parity_7b"),
    case!("ds_crossover_days"),
    case!("ds_day6_cost"),
    case!("ds_day6_nodes"),
    case!("ds_day6_revenue"),
    case!("epoch_crossover"),
    case!("epoch_query"),
    case!("ettr-rsc1-16k-60min"),
    case!("ettr-rsc1-4k-60min"),
    case!("ettr-rsc1-8k-30min"),
    case!("fthsdp-sync"),
    case!("gemini_energy"),
    case!("gpt3_train_energy"),
    case!("llama2_7b"),
    case!("llama31_405b"),
    case!("llama31_total"),
    case!("llama32_1b"),
    case!("llama3_8b"),
    case!("llama4_maverick"),
    case!("megascale-175b-6144"),
    case!("megatron-175b-6144"),
    case!("mle_power"),
    case!("rsc1-rate"),
    case!("samsi_cap"),
    case!("stepfun-rates"),
    case!("switch_train_energy"),
    case!("t5_train_energy"),
];
