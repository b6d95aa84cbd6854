//! `tollway trace inspect`: what a request trace looks like, for people and as JSON.

use super::{BAD_INPUT, print};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use tollway::serving::{Arrivals, Inspection, LengthFigures, Reuse, inspect};
use tollway::trace::{ColumnMap, FORMATS, Layout};

/// What to do with a trace.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Print counts, rates, lengths, burstiness and drops of a request trace, and a generator to paste into a scenario.
    Inspect(InspectArguments),
}

/// What to inspect.
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// A request trace; gzip is unpacked.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its format, of `tollway list formats`; by default what its first lines show.
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// Columns of a CSV: time=NAME,unit=s|ms|us|ns|date,prompt=NAME,output=NAME,session=NAME; a column's number from 1 does
    /// for its name.
    #[arg(long, value_name = "COLUMNS", conflicts_with = "format")]
    columns: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn trace(command: &TraceCommand) -> u8 {
    let TraceCommand::Inspect(arguments) = command;
    let layout = match layout(arguments) {
        Ok(layout) => layout,
        Err(words) => {
            eprintln!("error: {words}");
            return BAD_INPUT;
        }
    };
    match inspect(&arguments.file, &layout) {
        Ok(found) if arguments.json => print(&format!("{:#}\n", as_json(&found))),
        Ok(found) => print(&as_text(&arguments.file.display().to_string(), &found)),
        Err(error) => {
            eprintln!("error: {error}");
            BAD_INPUT
        }
    }
}

fn layout(arguments: &InspectArguments) -> Result<Layout, String> {
    if let Some(columns) = &arguments.columns {
        return self::columns(columns).map(Layout::Columns);
    }
    match arguments.format.as_deref() {
        None | Some("auto") => Ok(Layout::Auto),
        Some("csv") => Err("--format csv needs --columns time=NAME,prompt=NAME,output=NAME instead".to_owned()),
        Some(name) => {
            let found = FORMATS.iter().find(|(_, known, _)| *known == name);
            let names = || FORMATS.map(|(_, name, _)| name).join(", ");
            found
                .map(|(format, ..)| Layout::Named(*format))
                .ok_or_else(|| format!("--format {name} is no known format; these are: auto, {}", names()))
        }
    }
}

fn columns(text: &str) -> Result<ColumnMap, String> {
    let (mut time, mut unit, mut session, mut prompt, mut output) = (None, "s".to_owned(), None, None, None);
    for part in text.split(',') {
        let (key, name) = part.split_once('=').ok_or_else(|| format!("--columns: {part:?} is no key=column"))?;
        let name = name.to_owned();
        match key.trim() {
            "time" => time = Some(name),
            "unit" if ColumnMap::knows_unit(&name) => unit = name,
            "unit" => return Err(format!("--columns: {name:?} is no unit of time; use s, ms, us, ns or date")),
            "prompt" => prompt = Some(name),
            "output" => output = Some(name),
            "session" => session = Some(name),
            other => return Err(format!("--columns: {other:?} is none of time, unit, prompt, output, session")),
        }
    }
    let missing = |what| format!("--columns needs {what}=NAME");
    let (prompt, output) = (prompt.ok_or_else(|| missing("prompt"))?, output.ok_or_else(|| missing("output"))?);
    Ok(ColumnMap { time, unit, prompt, output, session, header: true })
}

/// Percentiles that people read.
const SHOWN: [f64; 8] = [0.0, 5.0, 25.0, 50.0, 75.0, 90.0, 99.0, 100.0];

fn as_text(name: &str, found: &Inspection) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").expect("a string takes all");
    let dropped = found.dropped.reasons().into_iter().filter(|(_, count)| *count > 0);
    let reasons: String = dropped.map(|(reason, count)| format!(", {} {reason}", whole(count))).collect();
    line(format!("{name} ({})", found.format.name()));
    let (read, kept, dropped) = (whole(found.rows_read), whole(found.kept), whole(found.dropped.total()));
    line(format!("{read} rows read = {kept} requests kept + {dropped} dropped{reasons}"));
    match &found.arrivals {
        Some(arrivals) => arrivals_as_text(&mut line, arrivals),
        None => line("\nThe file says how long requests are, and not when they came.".to_owned()),
    }
    line(String::new());
    let head: String = SHOWN.iter().map(|percent| format!("{:>9}", of_percent(*percent))).collect();
    line(format!("Tokens       mean{head}"));
    for (part, lengths) in [("prompt", &found.prompt), ("output", &found.output)] {
        let cells: String = SHOWN.iter().map(|percent| format!("{:>9}", whole(at(lengths, *percent)))).collect();
        line(format!("  {part}{:>9}{cells}", whole(lengths.mean.round() as u64)));
    }
    line(format!("  correlation of prompt and output {:.2}", found.correlation));
    if let Some((sessions, turns)) = found.sessions {
        line(format!("\n{} conversations of {:.2} requests each", whole(sessions), turns.as_f64()));
    }
    if let Some(reuse) = found.reuse.as_ref().filter(|reuse| reuse.blocks > 0) {
        reuse_as_text(&mut line, reuse);
    }
    line("\nA generator with these rates and lengths, to paste into a scenario (NAME is the service's):\n".to_owned());
    line(found.section.trim_end().to_owned());
    text
}

fn arrivals_as_text(line: &mut impl FnMut(String), arrivals: &Arrivals) {
    let [mean, half, most, nearly_all] = arrivals.gap.map(time);
    line(format!("\n{:.3} requests a second over {}", arrivals.rate, time(arrivals.span.as_secs_f64())));
    line(format!("Gaps: mean {mean}, half below {half}, 95 % below {most}, 99 % below {nearly_all}"));
    if arrivals.at_once > 0.5 {
        let share = arrivals.at_once * 100.0;
        line(format!(
            "  {share:.0} % of the gaps are zero: the file's times are coarse ticks (`spread_ticks = true` spreads them)"
        ));
    }
    line("\nBurstiness, by which a Poisson process has 1".to_owned());
    line(format!("  coefficient of variation of gaps  {:>8.3}", arrivals.cv));
    for (width, found) in arrivals.dispersion {
        let found = found.map_or("-".to_owned(), |found| format!("{found:.3}"));
        line(format!("  variance over mean in {width:>3} s       {found:>8}"));
    }
    if let Some(bursts) = arrivals.bursts {
        let [on, off, threshold] = [bursts.on, bursts.off, bursts.threshold].map(|span| time(span.as_secs_f64()));
        line(format!(
            "  bursts of {on} on average at {:.3} /s (gaps of CV {:.2}), then {off} of silence; a gap above {threshold} is one",
            bursts.rate, bursts.cv
        ));
    }
}

fn reuse_as_text(line: &mut impl FnMut(String), reuse: &Reuse) {
    let percent = |part: u64, of: u64| format!("{:.1} %", part as f64 * 100.0 / of.max(1) as f64);
    let Reuse { block_tokens, blocks, full_blocks, distinct, hits, .. } = *reuse;
    line(format!(
        "\nPrefixes: {} blocks of {block_tokens} tokens, {} of them full, {} different",
        whole(blocks),
        whole(full_blocks),
        whole(distinct)
    ));
    let shares = format!("{} of all and {} of full blocks", percent(hits, blocks), percent(hits, full_blocks));
    line(format!("  a cache without limit finds {} of them, {shares}", whole(hits)));
    for (tokens, found) in &reuse.by_tokens {
        line(format!("  {:>3} M tokens {:>10}, {} of that", tokens / 1_000_000, whole(*found), percent(*found, hits)));
    }
}

fn as_json(found: &Inspection) -> Value {
    let lengths = |lengths: &LengthFigures| {
        let quantile = |(percent, tokens): &(f64, u32)| json!({ "percent": percent, "tokens": tokens });
        json!({ "mean": lengths.mean, "quantiles": lengths.quantiles.iter().map(quantile).collect::<Vec<_>>() })
    };
    let arrivals = found.arrivals.as_ref().map(|arrivals| {
        let window = |(width, found): (u64, Option<f64>)| json!({ "window_s": width, "dispersion": found });
        json!({
            "span_s": arrivals.span.as_secs_f64(),
            "rate_per_s": arrivals.rate,
            "gap_s": { "mean": arrivals.gap[0], "p50": arrivals.gap[1], "p95": arrivals.gap[2], "p99": arrivals.gap[3] },
            "gap_cv": arrivals.cv,
            "zero_gap_fraction": arrivals.at_once,
            "dispersion": arrivals.dispersion.map(window),
            "bursts": arrivals.bursts.map(|bursts| json!({
                "threshold_s": bursts.threshold.as_secs_f64(),
                "on_s": bursts.on.as_secs_f64(),
                "off_s": bursts.off.as_secs_f64(),
                "rate_per_s": bursts.rate,
                "gap_cv": bursts.cv,
            })),
        })
    });
    let reuse = found.reuse.as_ref().filter(|reuse| reuse.blocks > 0).map(|reuse| {
        let size = |(tokens, hits): &(u64, u64)| json!({ "cache_tokens": tokens, "hit_blocks": hits });
        json!({
            "block_tokens": reuse.block_tokens,
            "blocks": reuse.blocks,
            "full_blocks": reuse.full_blocks,
            "distinct_blocks": reuse.distinct,
            "hit_blocks": reuse.hits,
            "by_cache": reuse.by_tokens.iter().map(size).collect::<Vec<_>>(),
        })
    });
    json!({
        "format": found.format.name(),
        "rows_read": found.rows_read,
        "kept": found.kept,
        "dropped": found.dropped.reasons().into_iter().map(|(reason, count)| (reason.to_owned(), count.into())).collect::<serde_json::Map<_, Value>>(),
        "arrivals": arrivals,
        "prompt": lengths(&found.prompt),
        "output": lengths(&found.output),
        "correlation": found.correlation,
        "sessions": found.sessions.map(|(count, turns)| json!({ "count": count, "mean_turns": turns.as_f64() })),
        "reuse": reuse,
        "section": found.section,
    })
}

fn at(lengths: &LengthFigures, percent: f64) -> u64 {
    let found = lengths.quantiles.iter().find(|(known, _)| *known == percent);
    u64::from(found.expect("percentiles shown are among those kept").1)
}

fn of_percent(percent: f64) -> String {
    match percent {
        0.0 => "least".to_owned(),
        100.0 => "most".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    match seconds {
        0.0 => "0 s".to_owned(),
        ..0.001 => format!("{:.3} ms", seconds * 1e3),
        ..1.0 => format!("{:.1} ms", seconds * 1e3),
        ..120.0 => format!("{seconds:.2} s"),
        ..7_200.0 => format!("{:.1} min", seconds / 60.0),
        ..172_800.0 => format!("{:.1} h", seconds / 3_600.0),
        _ => format!("{:.1} d", seconds / 86_400.0),
    }
}

/// A count with commas between thousands.
fn whole(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or("")).collect();
    groups.join(",")
}
