//! Measured runs and tables of others, through the whole program: a recorded run of an engine replayed by `tollway run`, closed loops
//! against measured power and speed, and the printed fits of step times and power caps. Each says why it skips without its data.

use crate::shared::shared;
use std::collections::BTreeMap;
use std::process::Command;
use tollway::catalog::{CAPS, find};
use tollway::evidence::{Calibrated, Limits, calibrate, median};
use tollway::ledger::{Accounts, Use};
use tollway::scenario::parse;
use tollway::serving::{Rig, Served, StepModel};
use tollway::simulate;
use tollway::trace::{Benchmark, Measured};

/// One replica on `gpus` GPUs of a DGX H100, with the coefficients that a calibration found.
fn one_replica(found: &Calibrated, model: &str, gpus: u32, max_batch: u32, rest: &str) -> String {
    let StepModel { p0_ms, d_ms, t0, b_ms, c_ms, e_ms } = found.replica.step;
    let budget = found.replica.token_budget;
    format!(
        r#"
name = "measured"
start = "2026-03-02T12:00:00Z"
duration = "1 d"
[site.home]
grid = "miso"
tariff = {{ flat = "$0.08/kWh" }}
[cluster.main]
site = "home"
node = "dgx-h100"
nodes = 1
failures = {{ none = {{}} }}
[service.chat]
cluster = "main"
model = "{model}"
scale = {{ min = 1, max = 1, policy = {{ fixed = {{}} }} }}
queue = 1000000
[service.chat.replica]
gpus = {gpus}
max_batch = {max_batch}
token_budget = {budget}
kv_tokens = 100_000_000
load_bandwidth = "1000 TB/s"
warm_up = "0 s"
step = {{ p0 = "{p0_ms} ms", d_ms = {d_ms:?}, t0 = {t0}, b_ms = {b_ms:?}, c_ms = {c_ms:?}, e_ms = {e_ms:?} }}
{rest}"#
    )
}

/// vLLM's record of 300 requests, replayed by the program with coefficients calibrated on it alone.
#[test]
fn a_recorded_run_is_replayed_as_it_was() {
    let Some(path) = shared("traces/vllm_bench_rtxpro6000_llama3.1-8b_requests.jsonl") else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    let found = calibrate(&benchmark.benches[0], &Limits::default()).unwrap();
    let path = path.canonicalize().unwrap();
    let rest =
        format!("[service.chat]\nrecord = 1.0\narrivals = {{ trace = {{ vllm_bench = {{ path = {path:?} }} }} }}\n");
    // `record` belongs to the service, which is still open above its replica.
    let text = one_replica(&found, "llama-3.1-8b", 1, 128, "");
    let text = text.replace("queue = 1000000\n", &rest.replace("[service.chat]", "queue = 1000000"));
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("replay.toml"), folder.path().join("out"));
    std::fs::write(&file, text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_tollway")).arg("run").arg(&file).arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = |name: &str| -> Vec<BTreeMap<String, String>> {
        let mut reader = csv::Reader::from_path(out.join(name)).unwrap();
        let header = reader.headers().unwrap().clone();
        let row = |record: csv::StringRecord| {
            header.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect()
        };
        reader.records().map(|record| row(record.unwrap())).collect()
    };
    let summary = rows("summary.csv");
    let figure = |metric: &str| -> f64 {
        let found = summary.iter().find(|row| row["subject"] == "service.chat" && row["metric"] == metric);
        found.unwrap_or_else(|| panic!("{metric}"))["value"].parse().unwrap()
    };
    assert_eq!(["completed", "prompt_tokens", "output_tokens"].map(figure), [300.0, 257_239.0, 195_753.0]);
    // All started together: the makespan runs from the first arrival to the last token.
    let requests = rows("requests.csv");
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
    let first = requests.iter().map(|row| number(row, "arrived_s")).fold(f64::INFINITY, f64::min);
    let last = requests.iter().map(|row| number(row, "arrived_s") + number(row, "e2e_ms") / 1e3).fold(0.0, f64::max);
    // The engine's own record has no time of the API, 3 ms.
    for (what, simulated, measured) in [
        ("TTFT, mean", figure("ttft_mean") - 3.0, 7_097.0),
        ("TTFT, p90", figure("ttft_p90") - 3.0, 16_853.0),
        ("TTFT, p99", figure("ttft_p99") - 3.0, 19_755.0),
        ("TPOT, mean", figure("tpot_mean"), 32.5),
        ("TPOT, p50", figure("tpot_p50"), 33.4),
        ("TPOT, p99", figure("tpot_p99"), 37.3),
        ("latency, mean", figure("e2e_mean") - 3.0, 28_201.0),
        ("latency, p99", figure("e2e_p99") - 3.0, 37_639.0),
        ("makespan", last - first, 65.93),
        ("tokens a second", figure("output_tokens") / (last - first), 2_969.0),
    ] {
        let off = simulated / measured - 1.0;
        println!("{what}: measured {measured}, simulated {simulated:.1}, {:+.2} %", off * 100.0);
        assert!(off.abs() < 0.10, "{what}: {simulated}, measured {measured}");
    }
}

/// Closed loops at each measured batch of ML.ENERGY's H100 rows, whole services with their power, each engine calibrated on its rows.
#[test]
fn closed_loops_draw_what_was_measured() {
    let Some(path) = shared("calibration/mlenergy_itl_power.csv") else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    assert_eq!(benchmark.rows_read, 42);
    for (words, model, gpus) in [("8B", "llama-3.1-8b", 1), ("70B", "llama-3.1-70b", 4)] {
        let same = |bench: &&tollway::trace::Bench| bench.rig.gpu == "H100" && bench.rig.model.contains(words);
        let bench = benchmark.benches.iter().find(same).unwrap();
        let found = calibrate(bench, &Limits::default()).unwrap();
        let (mut power, mut energy, mut speed) = (Vec::new(), Vec::new(), Vec::new());
        let mut last: Option<(f64, f64)> = None;
        for row in &bench.rows {
            let Measured::Full { batch, output, speed: tokens_s, .. } = row.measured else {
                unreachable!("all are full")
            };
            let clients = batch.round() as u32;
            let accounts = closed_loop(&found, model, gpus, clients, output.round() as u32);
            let service = accounts.tenants().iter().find(|tenant| tenant.subject == "service.chat").unwrap();
            let serving = service.book.spent(Use::Serving);
            let tokens = accounts.figure("service.chat", "output_tokens", "").unwrap();
            let joules = serving.accelerator.kwh() * 3.6e6 / tokens;
            let watts = serving.accelerator.kwh() * 1e3 / serving.time.gpu_hours();
            let rate = tokens / (serving.time.gpu_hours() * 3_600.0 / f64::from(gpus));
            let measured = f64::from(gpus) * row.watts.unwrap() / tokens_s;
            power.push(watts / row.watts.unwrap() - 1.0);
            energy.push(joules / measured - 1.0);
            speed.push(rate / tokens_s - 1.0);
            if let Some((before, measured_before)) = last.filter(|last| measured < 0.98 * last.1) {
                assert!(
                    joules < before,
                    "{words}, {clients} clients: {joules} after {before} J, as {measured} after {measured_before}"
                );
            }
            last = Some((joules, measured));
        }
        let errors = [&power, &energy, &speed].map(|errors| 100.0 * median(errors));
        println!("{words}: median errors of power, J/token, tokens/s {errors:.1?} %");
        assert!(errors[0] <= 5.0 && errors[1] <= 10.0 && errors[2] <= 10.0, "{words}: {errors:?}");
    }
}

/// Ten requests for each of `clients`, prompts of 150 tokens as the arena's are.
fn closed_loop(found: &Calibrated, model: &str, gpus: u32, clients: u32, output: u32) -> Accounts {
    let arrivals = format!(
        "[service.chat.arrivals.closed_loop]\nclients = {clients}\nrequests = {}\nprompt = {{ tokens = 150 }}\noutput = {{ tokens = {output} }}\n",
        clients * 10
    );
    let text = one_replica(found, model, gpus, clients.max(8), &arrivals);
    simulate(&parse("loop.toml", &text).unwrap_or_else(|wrong| panic!("{wrong:?}")), |_| ()).accounts
}

/// Splitwise's measured decode steps, medians of repeats, against the printed fits `a + b B + c K` in ms and their mean errors in per
/// cent, through a replica that serves the batch.
#[test]
fn measured_decode_steps_follow_their_printed_fits() {
    let Some(path) = shared("traces/splitwise_perf_model_llama2-70b.csv") else { return };
    let fits = [
        ("h100-80gb", 8, 29.9, 0.199, 1.8e-4, 1.9),
        ("h100-80gb", 4, 28.8, 0.264, 1.0e-4, 1.8),
        ("a100-80gb", 8, 44.1, 0.190, 3.4e-4, 1.8),
        ("a100-80gb", 4, 43.3, 0.183, 3.7e-4, 2.4),
        ("h100-80gb", 2, 37.7, 0.136, 0.0, 3.2),
        ("a100-80gb", 2, 57.7, 0.221, 0.0, 4.8),
    ];
    // Times by hardware, tensor parallelism, prompt, batch and output.
    let mut steps: BTreeMap<(String, u32, [u32; 3]), Vec<f64>> = BTreeMap::new();
    for row in csv::Reader::from_path(path).unwrap().records().map(Result::unwrap) {
        let whole = |column: usize| row[column].parse::<u32>().unwrap();
        let key = (row[1].to_owned(), whole(10), [whole(2), whole(3), whole(4)]);
        steps.entry(key).or_default().push(row[8].parse().unwrap());
    }
    assert_eq!((steps.values().map(Vec::len).sum::<usize>(), steps.len()), (945, 171), "rows and medians");
    for (gpu, tp, a, b, c, printed) in fits {
        let step = StepModel { p0_ms: a, d_ms: 0.0, t0: 0, b_ms: b, c_ms: c, e_ms: 0.0 };
        let rig = Rig { step, token_budget: 1 << 30, max_batch: 1_024, kv_tokens: 1 << 30 };
        let mine = steps.iter().filter(|((hardware, width, _), _)| (hardware.as_str(), *width) == (gpu, tp));
        let error = |(&(_, _, [prompt, batch, output]), times): (&(String, u32, [u32; 3]), &Vec<f64>)| {
            let served = rig.closed_loop(batch, batch, |_| (prompt, output)).served;
            let mean = served.iter().filter_map(Served::tpot_ms).sum::<f64>() / f64::from(batch);
            (mean / middle(times.clone()) - 1.0).abs() * 100.0
        };
        let errors: Vec<f64> = mine.map(error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        println!("{gpu} TP{tp}: {mean:.2} % over {}, printed {printed} %", errors.len());
        assert!(errors.len() == 19 && (mean - printed).abs() < 0.1, "{gpu} TP{tp}: {mean}, printed {printed}");
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}

/// The catalog's answer to a power cap is the median over all configurations that Zeus measured, against the limit of 250 W.
#[test]
fn the_answer_to_a_cap_is_the_median_of_what_was_measured() {
    let Some(path) = shared("traces/zeus_summary_power_v100.csv") else { return };
    let mut reader = csv::Reader::from_path(path).unwrap();
    let mut by_rig: BTreeMap<String, BTreeMap<u32, (f64, f64)>> = BTreeMap::new();
    for row in reader.records().map(Result::unwrap) {
        let number = |column: usize| row[column].parse::<f64>().unwrap();
        let rig = [&row[0], &row[1], &row[2], &row[3]].join(",");
        by_rig.entry(rig).or_default().insert(number(4) as u32, (number(5), number(5) * number(6)));
    }
    assert_eq!(by_rig.values().map(BTreeMap::len).sum::<usize>(), 476, "rows");
    let sheet = find(CAPS, "zeus-median").unwrap();
    for limit in [100, 125, 150, 175, 200, 225] {
        let ratio_of = |of: fn(&(f64, f64)) -> f64| {
            let ratio = |limits: &BTreeMap<u32, (f64, f64)>| Some(of(limits.get(&limit)?) / of(limits.get(&250)?));
            middle(by_rig.values().filter_map(ratio).collect())
        };
        let (time, energy) = (ratio_of(|row| row.0), ratio_of(|row| row.1));
        let found = sheet.at(f64::from(limit) / 250.0);
        println!("{limit} W: time {time:.4}, energy {energy:.4}");
        assert!((found.time - time).abs() < 0.0006, "{limit} W: {} for {time}", found.time);
        assert!((found.energy - energy).abs() < 0.0006, "{limit} W: {} for {energy}", found.energy);
    }
}
