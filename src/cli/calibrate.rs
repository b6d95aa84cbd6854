//! `tollway calibrate`: coefficients of one's own engine, and how far they are off.

use super::{BAD_INPUT, print};
use clap::Args;
use std::path::PathBuf;
use tollway::evidence::{Calibrated, Limits, calibrate as fit, entry, mean, median, worst};
use tollway::trace::{BENCH_LAYOUTS, Benchmark};

/// What to calibrate to.
#[derive(Debug, Args)]
#[command(after_help = layouts())]
pub(crate) struct CalibrateArguments {
    /// A benchmark of a serving engine; gzip is unpacked.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Sequences that the engine decoded at once at most; by default what the file says, else all clients.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_535))]
    max_batch: Option<u32>,
    /// Tokens that a step of the engine processed at most; by default what the file says, else 2048.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    token_budget: Option<u32>,
    /// Tokens that its key-value cache held; by default no limit.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(16..))]
    kv_tokens: Option<u64>,
    /// Name of the service in the sections to paste.
    #[arg(long, value_name = "NAME", default_value = "NAME")]
    service: String,
}

/// The layouts, for the help.
fn layouts() -> String {
    let rows: Vec<String> = BENCH_LAYOUTS.iter().map(|(name, columns)| format!("  {name:<17} {columns}")).collect();
    format!(
        "Layouts, told by their columns (watts are those of one GPU; what it ran on: gpu, model, engine, version, precision, tp):\n{}",
        rows.join("\n")
    )
}

/// Runs the command.
pub(crate) fn calibrate(arguments: &CalibrateArguments) -> u8 {
    let name = arguments.file.display();
    let benchmark = match Benchmark::read(&arguments.file) {
        Ok(benchmark) => benchmark,
        Err(error) => {
            eprintln!("error: {error}");
            return BAD_INPUT;
        }
    };
    let limits =
        Limits { max_batch: arguments.max_batch, token_budget: arguments.token_budget, kv_tokens: arguments.kv_tokens };
    let dropped: u64 = benchmark.dropped.iter().map(|(_, count)| count).sum();
    let reasons: String = benchmark.dropped.iter().map(|(reason, count)| format!(", {count} {reason}")).collect();
    let kept = benchmark.rows_read - dropped;
    let mut text = format!(
        "{name} ({})\n{} rows read = {kept} kept + {dropped} dropped{reasons}\n",
        benchmark.layout, benchmark.rows_read
    );
    let mut failed = Vec::new();
    for bench in &benchmark.benches {
        match fit(bench, &limits) {
            Ok(found) => text.push_str(&as_text(&found, &arguments.service)),
            Err(words) => failed.push(words),
        }
    }
    for words in &failed {
        eprintln!("error: {name}: {words}");
    }
    if failed.len() == benchmark.benches.len() { BAD_INPUT } else { print(&text) }
}

fn as_text(found: &Calibrated, service: &str) -> String {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let mut text = format!("\n{}\n", found.rig.words());
    let mut line = |words: String| {
        text.push_str("  ");
        text.push_str(&words);
        text.push('\n');
    };
    if found.queued > 0 {
        line(format!("{} rows left out: their requests queued at the engine", found.queued));
    }
    let (errors, left_out) = (&found.fit.errors, found.fit.left_out.as_deref());
    line(format!(
        "step time: {} points, mean error {}, worst {}",
        errors.len(),
        percent(mean(errors)),
        percent(worst(errors))
    ));
    match left_out {
        Some(left_out) => line(format!(
            "  a point left out of its fit: mean error {}, worst {}",
            percent(mean(left_out)),
            percent(worst(left_out))
        )),
        None => line("  too few points to leave one out: nobody knows how far this fit is off elsewhere".to_owned()),
    }
    for (what, errors) in [
        ("time to first token, simulated", &found.ttft),
        ("median time between tokens", &found.itl),
        ("output tokens a second", &found.speed),
        ("energy per output token", &found.energy),
    ] {
        if !errors.is_empty() {
            line(format!("{what}: median error {}, worst {}", percent(median(errors)), percent(worst(errors))));
        }
    }
    if let Some(power) = &found.power {
        let (errors, left_out) = (&power.errors, &power.left_out);
        line(format!(
            "power: {} points, mean error {}, worst {}; a point left out {}, worst {}",
            errors.len(),
            percent(mean(errors)),
            percent(worst(errors)),
            percent(mean(left_out)),
            percent(worst(left_out))
        ));
    }
    for (what, unit, measured, simulated) in &found.run {
        let differs = (simulated / measured - 1.0) * 100.0;
        line(format!("{what}: measured {measured:.1} {unit}, simulated {simulated:.1} {unit}, {differs:+.1} %"));
    }
    text.push('\n');
    text.push_str(&entry(found, service));
    text
}
