//! A calibrated replica as a piece of a scenario.

use super::calibrate::Calibrated;
use super::power_fit::PowerForm;
use std::fmt::Write as _;

/// The sections of `service` that say what was calibrated, to paste into a scenario.
#[must_use]
pub fn entry(found: &Calibrated, service: &str) -> String {
    let mut text = format!("[service.{service}.replica]\n");
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes all");
    let rig = &found.rig;
    line(format!("gpus = {}", rig.gpus));
    if !rig.engine.is_empty() {
        line(format!("engine = {:?}", rig.engine));
    }
    match rig.precision.trim_end_matches('*') {
        "" => {}
        "bf16" | "bfloat16" | "fp16" | "float16" => line("precision = \"bf16\"".to_owned()),
        "fp8" | "float8" => line("precision = \"fp8\"".to_owned()),
        other => line(format!("# precision: the benchmark says {other}; a scenario knows bf16 and fp8")),
    }
    if let Some(max_batch) = rig.max_batch {
        line(format!("max_batch = {max_batch}"));
    }
    line(format!("token_budget = {}", found.replica.token_budget));
    let step = &found.replica.step;
    let (p0, d, b) = (short(step.p0_ms), toml(step.d_ms), toml(step.b_ms));
    let (c, e) = (toml(step.c_ms), toml(step.e_ms));
    line(format!("step = {{ p0 = \"{p0} ms\", d_ms = {d}, t0 = {}, b_ms = {b}, c_ms = {c}, e_ms = {e} }}", step.t0));
    match found.power.as_ref().map(|power| power.form) {
        Some(PowerForm::Logistic { low, high, mid, width }) => {
            let (low, high, mid, width) = (short(low), short(high), toml(mid), toml(width));
            line(format!("\n[service.{service}.power.logistic]"));
            line(format!("low = \"{low} W\"\nhigh = \"{high} W\"\nmid = {mid}\nwidth = {width}"));
        }
        Some(PowerForm::StepTime { p0, p1, p2 }) => {
            line(format!("\n[service.{service}.power.step_time]"));
            line(format!("p0 = \"{} W\"\np1_w_ms = {}\np2_w_ms = {}", short(p0), toml(p1), toml(p2)));
        }
        None => {}
    }
    text
}

/// Four significant digits.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().expect("a number that was just printed");
    rounded.to_string()
}

/// Four significant digits, as TOML writes a float.
fn toml(value: f64) -> String {
    let text = short(value);
    let small = value != 0.0 && value.abs() < 1e-3;
    if small {
        return format!("{:e}", text.parse::<f64>().expect("a number that was just printed"));
    }
    if text.contains('.') { text } else { format!("{text}.0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_floats() {
        let cases =
            [(0.0, "0.0"), (12.345_6, "12.35"), (3.957e-5, "3.957e-5"), (3_139.2, "3139.0"), (0.019_92, "0.01992")];
        for (value, expected) in cases {
            assert_eq!(toml(value), expected);
        }
        assert_eq!(short(477.0), "477");
    }
}
