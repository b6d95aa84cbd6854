//! `tollway trace inspect`: the published statistics of the measured traces, and fitted sections that load and generate what they
//! were fitted to.

use crate::shared::shared;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use tollway::engine::Seed;
use tollway::scenario;
use tollway::serving::{Inspection, Source, inspect};
use tollway::trace::{Layout, Request};
use tollway::units::SimTime;

fn close(what: &str, found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{what}: {found}, expected {expected}");
}

#[test]
fn the_conversation_trace_has_its_published_statistics() {
    let Some(path) = shared("traces/AzureLLMInferenceTrace_conv.csv") else { return };
    let found = inspect(&path, &Layout::Auto).unwrap();
    let arrivals = found.arrivals.as_ref().unwrap();
    // Computed from the trace by an independent script.
    close("rate", arrivals.rate, 5.530, 1e-3);
    for (gap, expected) in arrivals.gap.iter().zip([0.1808, 0.1184, 0.565, 0.890]) {
        close("gap", *gap, expected, 6e-3);
    }
    close("CV", arrivals.cv, 1.094, 1e-3);
    for ((width, idc), expected) in arrivals.dispersion.iter().zip([1.385, 3.86, 16.1, 56.1]) {
        close(&format!("IDC {width} s"), idc.unwrap(), expected, 4e-3);
    }
    assert!(arrivals.bursts.is_none(), "people's conversations do not come in bursts: {:?}", arrivals.bursts);
    close("prompt", found.prompt.mean, 1_155.0, 1e-3);
    close("output", found.output.mean, 211.0, 2e-3);
    let at = |percent| found.prompt.quantiles.iter().find(|(known, _)| *known == percent).unwrap().1;
    assert_eq!([50.0, 90.0, 95.0, 99.0, 100.0].map(at), [1_020, 2_735, 4_083, 4_142, 14_050]);
    assert!((found.correlation + 0.11).abs() < 0.005, "{}", found.correlation);
    println!("{}", found.section);
}

/// Hits of a prefix cache over Mooncake's conversations, exact.
#[test]
fn mooncakes_prefixes_are_found_as_published() {
    let Some(path) = shared("traces/mooncake_conversation_trace.jsonl.gz") else { return };
    let found = inspect(&path, &Layout::Auto).unwrap();
    let reuse = found.reuse.unwrap();
    assert_eq!((reuse.blocks, reuse.full_blocks, reuse.distinct, reuse.hits), (288_500, 276_491, 182_790, 105_710));
    let published = [(1, 15_337), (3, 39_101), (5, 59_463), (10, 82_273), (20, 101_324), (50, 104_870)];
    assert_eq!(reuse.by_tokens, published.map(|(millions, hits)| (millions * 1_000_000, hits)));
    let share = reuse.hits as f64 / reuse.full_blocks as f64;
    assert!((share - 0.382).abs() < 0.0005, "{share} of full blocks");
    let arrivals = found.arrivals.unwrap();
    close("rate", arrivals.rate, 3.401, 2e-3);
    assert!((arrivals.at_once - 0.9).abs() < 0.01, "times are ticks: {}", arrivals.at_once);
    for ((_, idc), expected) in arrivals.dispersion[1..].iter().zip([2.10, 2.95, 7.56]) {
        // The published ones were counted with the ticks spread.
        close("IDC", idc.unwrap(), expected, 0.05);
    }
}

/// A service with these arrivals, a section of NAME.
fn service(section: &str) -> Source {
    let text = format!(
        "name = \"pasted\"\nstart = \"2026-01-05T00:00:00Z\"\nduration = \"1 d\"\n\
         [site.hall]\ngrid = \"erco\"\ntariff = {{ flat = \"$0.08/kWh\" }}\n\
         [cluster.pool]\nsite = \"hall\"\nnode = \"dgx-h100\"\nnodes = 4\nfailures = {{ none = {{}} }}\n\
         [service.NAME]\ncluster = \"pool\"\nmodel = \"llama-3.1-8b\"\nreplica = {{ gpus = 1 }}\nscale = {{ min = 1, max = 4 }}\n{section}"
    );
    let scenario = scenario::parse("pasted.toml", &text).unwrap_or_else(|complaints| panic!("{complaints}"));
    let mut source = Source::new(&scenario.services[0], 0, Seed { seed: 17, replication: 0 });
    source.open(SimTime::ZERO);
    source
}

/// Requests of the first `hours`, and a file of them.
fn generate(section: &str, hours: u64) -> (tempfile::TempDir, PathBuf, Vec<Request>) {
    let mut source = service(section);
    let requests: Vec<Request> = std::iter::from_fn(|| source.next())
        .take_while(|request| request.at.nanos() < hours * 3_600_000_000_000)
        .collect();
    let mut text = "arrived_at,num_prefill_tokens,num_decode_tokens\n".to_owned();
    for request in &requests {
        writeln!(text, "{:.6},{},{}", request.at.as_secs_f64(), request.prompt, request.output).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("generated.csv");
    std::fs::write(&path, text).unwrap();
    (folder, path, requests)
}

fn quantile(requests: &[Request], of: fn(&Request) -> u32, share: f64) -> f64 {
    let mut lengths: Vec<u32> = requests.iter().map(of).collect();
    lengths.sort_unstable();
    f64::from(lengths[(share * lengths.len() as f64) as usize])
}

/// Inspects what `section` generates, pastes what was fitted, and inspects what that generates.
fn again(section: &str, hours: u64) -> (Inspection, Inspection) {
    let (_folder, path, before) = generate(section, hours);
    let found = inspect(&path, &Layout::Auto).unwrap();
    let (_folder, path, after) = generate(&found.section, hours);
    // Stated tolerance: 3 % of the quantiles from the 10th to the 99th percentile of lengths.
    for share in [0.1, 0.25, 0.5, 0.75, 0.9, 0.99] {
        for of in [(|request| request.prompt) as fn(&Request) -> u32, |request| request.output] {
            let (one, other) = (quantile(&before, of, share), quantile(&after, of, share));
            assert!((one - other).abs() < 0.03 * one + 1.0, "quantile {share}: {one} and {other}");
        }
    }
    (found, inspect(&path, &Layout::Auto).unwrap())
}

#[test]
fn a_fitted_chat_section_generates_what_it_was_fitted_to() {
    let (found, again) = again("[service.NAME.arrivals.chat]\nrate = \"8 /s\"\nweekly = false", 12);
    let (one, other) = (found.arrivals.unwrap(), again.arrivals.unwrap());
    assert!(one.bursts.is_none() && found.section.contains(".chat]"), "{}", found.section);
    // Stated tolerance: rate 5 % (slow noise of 0.25 over 12 h leaves 2 % a run), CV 3 %, dispersion 30 %.
    close("rate", other.rate, one.rate, 0.05);
    close("CV", other.cv, one.cv, 0.03);
    for ((width, one), (_, other)) in one.dispersion.iter().zip(other.dispersion) {
        close(&format!("dispersion in {width} s"), other.unwrap(), one.unwrap(), 0.3);
    }
    println!("{}", found.section);
}

#[test]
fn a_fitted_burst_section_generates_what_it_was_fitted_to() {
    let (found, again) = again("[service.NAME.arrivals.bursts]\nrate = \"6 /s\"\nweekly = false", 20);
    let (one, other) = (found.arrivals.unwrap(), again.arrivals.unwrap());
    let (bursts, same) = (one.bursts.expect("bursts are seen"), other.bursts.expect("and seen again"));
    // What was asked: 30 s ON, 60 s OFF, 18 a second, CV 1.5; 800 bursts know a mean to 3.5 %.
    close("on", bursts.on.as_secs_f64(), 30.0, 0.15);
    close("off", bursts.off.as_secs_f64(), 60.0, 0.15);
    close("rate in a burst", bursts.rate, 18.0, 0.05);
    close("CV in a burst", bursts.cv, 1.5, 0.05);
    for (what, one, other, tolerance) in [
        ("on", bursts.on.as_secs_f64(), same.on.as_secs_f64(), 0.15),
        ("off", bursts.off.as_secs_f64(), same.off.as_secs_f64(), 0.15),
        ("rate in a burst", bursts.rate, same.rate, 0.05),
        ("rate", one.rate, other.rate, 0.1),
    ] {
        close(what, other, one, tolerance);
    }
}

fn tollway(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments).output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const ROWS: &str = "{\"timestamp\": 0, \"input_length\": 1030, \"output_length\": 10, \"hash_ids\": [0, 1, 2]}\n\
    {\"timestamp\": 1500, \"input_length\": 600, \"output_length\": 0, \"hash_ids\": [0, 1]}\n\
    {\"timestamp\": 3000, \"input_length\": 1030, \"output_length\": 30, \"hash_ids\": [0, 1, 3]}\n";

#[test]
fn what_is_printed_reads_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.jsonl");
    std::fs::write(&path, ROWS).unwrap();
    let path = path.to_str().unwrap();
    let (code, out, _) = tollway(&["trace", "inspect", path]);
    assert_eq!(code, Some(0));
    expect_test::expect![[r#"
        trace.jsonl (mooncake)
        3 rows read = 2 requests kept + 1 dropped, 1 without output

        0.333 requests a second over 3.00 s
        Gaps: mean 3.00 s, half below 3.00 s, 95 % below 3.00 s, 99 % below 3.00 s

        Burstiness, by which a Poisson process has 1
          coefficient of variation of gaps     0.000
          variance over mean in   1 s          0.667
          variance over mean in  10 s              -
          variance over mean in  60 s              -
          variance over mean in 300 s              -

        Tokens       mean    least      5 %     25 %     50 %     75 %     90 %     99 %     most
          prompt    1,030    1,030    1,030    1,030    1,030    1,030    1,030    1,030    1,030
          output       20       10       10       10       10       30       30       30       30
          correlation of prompt and output 0.00

        Prefixes: 6 blocks of 512 tokens, 4 of them full, 4 different
          a cache without limit finds 2 of them, 33.3 % of all and 50.0 % of full blocks
            1 M tokens          2, 100.0 % of that
            3 M tokens          2, 100.0 % of that
            5 M tokens          2, 100.0 % of that
           10 M tokens          2, 100.0 % of that
           20 M tokens          2, 100.0 % of that
           50 M tokens          2, 100.0 % of that

        A generator with these rates and lengths, to paste into a scenario (NAME is the service's):

        [service.NAME.arrivals.chat]
        rate = "0.3333 /s"
        burstiness = 0.1
        noise = 0
        noise_time = "150 s"
        weekly = false
        prompt.quantiles = { percent = [0, 1, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95, 98, 99, 99.5, 100], tokens = [1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030, 1030] }
        output.quantiles = { percent = [0, 1, 5, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 95, 98, 99, 99.5, 100], tokens = [10, 10, 10, 10, 10, 10, 10, 10, 10, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30] }
    "#]].assert_eq(&out.replace(path, "trace.jsonl"));
    let (code, out, _) = tollway(&["trace", "inspect", "--json", path]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["kept"], &json["reuse"]["hit_blocks"]), (Some(0), &2.into(), &2.into()));
    assert_eq!(json["dropped"]["without output"], 1);
    let (code, _, error) = tollway(&["trace", "inspect", "--format", "azure", path]);
    assert_eq!(code, Some(2));
    assert!(error.starts_with("error: --format azure is no known format; these are: auto, azure2023, "), "{error}");
    let (code, _, error) = tollway(&["trace", "inspect", "--columns", "time=a,prompt=b", path]);
    assert_eq!((code, error.as_str()), (Some(2), "error: --columns needs output=NAME\n"));
}
