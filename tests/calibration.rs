//! `tollway calibrate`: coefficients from benchmarks, and the measured latencies that the ordinary service gives with them.

use crate::shared::shared;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tollway::catalog::{GPUS, MODELS, RooflineRow, find, roofline_row};
use tollway::engine::{Process, Seed};
use tollway::evidence::{Calibrated, Limits, Normal, Point, calibrate, mean, median, worst};
use tollway::ledger::{Book, Count, Grid};
use tollway::power::Roofline;
use tollway::scenario;
use tollway::serving::*;
use tollway::trace::{Bench, BenchRow, Benchmark, Measured, Request};
use tollway::units::{PerSecond, SimTime, Span};
use tollway::world::NodeSet;

fn calibrated(path: &Path) -> Vec<Calibrated> {
    let benchmark = Benchmark::read(path).unwrap();
    benchmark.benches.iter().filter_map(|bench| calibrate(bench, &Limits::default()).ok()).collect()
}

/// One replica of an ordinary service under `arrivals`, until all is answered.
fn serve(step: StepModel, max_batch: u32, arrivals: ArrivalPlan) -> Book {
    let plan = ServicePlan { kv_tokens: 1 << 34, arrivals, ..super::serving::plan(step, max_batch, Vec::new()) };
    let horizon = SimTime::ZERO + Span::DAY * 3;
    let mut cell = Cell::new(Arc::new(plan), 0, Seed { seed: 1, replication: 0 }, Grid { horizon, bin: Span::DAY });
    cell.add_replica(SimTime::ZERO, SimTime::ZERO, NodeSet::single(0));
    cell.open(SimTime::ZERO);
    cell.run_until(horizon);
    let (book, facts) = cell.close(horizon);
    assert_eq!(facts.in_flight, 0);
    book
}

/// Mean times to first token and per output token of a closed loop, 10 requests for each client, in ms.
fn closed_loop(step: StepModel, clients: u32, prompt: u32, output: u32) -> [f64; 2] {
    let lengths = |tokens| Lengths::Tokens(tokens);
    let arrivals = ArrivalPlan::ClosedLoop(ClosedLoop {
        clients,
        requests: Some(u64::from(clients) * 10),
        think: Span::ZERO,
        prompt: lengths(prompt),
        output: lengths(output),
    });
    let book = serve(step, clients.max(256), arrivals);
    assert_eq!(book.counted(Count::Completed), u64::from(clients) * 10);
    let ms = |span: Option<Span>| span.unwrap().as_secs_f64() * 1e3;
    [ms(book.latencies().ttft().mean()), ms(book.latencies().tpot().mean())]
}

/// Errors of simulated times to first token and per output token with `step`, of rows whose requests did not queue.
fn errors(rows: &[tollway::trace::BenchRow], step: StepModel) -> Vec<[f64; 2]> {
    let row = |row: &tollway::trace::BenchRow| {
        let Measured::Loop { clients, prompt, output, ttft_ms: Some(ttft), tpot_ms } = row.measured else {
            return None;
        };
        if ttft > 0.15 * tpot_ms * f64::from(output - 1) {
            return None;
        }
        let [simulated_ttft, simulated_tpot] = closed_loop(step, clients, prompt, output);
        Some([simulated_ttft / ttft - 1.0, simulated_tpot / tpot_ms - 1.0])
    };
    rows.iter().filter_map(row).collect()
}

/// Efficiencies and by how much they usually vary: weights, layer, all-reduce, all-reduce per doubling, cache, prefill, host.
type Usual = [(f64, f64); 7];

/// What first-principles fits of serving engines have seen: the default, and half of the range.
const USUAL: Usual = [(1.33, 0.25), (26.0, 2.0), (8.0, 7.5), (5.0, 2.3), (1.1, 0.35), (1.6, 0.45), (0.04, 0.01)];

/// On B200 no fit tells the layers from their all-reduces: 63 to 69 us together.
const USUAL_B200: Usual = [(1.33, 0.25), (66.0, 3.0), (0.0, 1.0), (0.0, 1.0), (1.1, 0.35), (1.6, 0.45), (0.04, 0.01)];

/// How far rows scatter around one set for all deployments of an engine.
const SCATTER: f64 = 0.07;

/// The set of efficiencies for rows of deployments by least squares, each efficiency kept near what is usual.
fn one_set(rows: &[(&Deployment<'_>, &Point)], usual: &Usual) -> Efficiency {
    let ideal = Efficiency {
        weights: 1.0,
        layer_us: 1.0,
        reduce_us: 0.0,
        reduce_us_per_log2: 0.0,
        cache: 1.0,
        prefill: 1.0,
        host_ms: 1.0,
    };
    let mut best = (f64::INFINITY, ideal);
    // Weights over prefill: where a step leaves the bound of its memory.
    for power in -40..=40 {
        let ratio = 0.83 * libm::pow(1.04, f64::from(power));
        let mut normal = Normal::<6>::EMPTY;
        for (on, point) in rows {
            let step = on.at(&ideal);
            let floor = (f64::from(step.t0) * ratio).round() as u32;
            let [steps, tokens, batch, cached, attended] = point.exposure.multiplied(floor);
            let reduces = if on.gpus > 1 { 2.0 * step.p0_ms * steps } else { 0.0 };
            let doublings = libm::log2(f64::from(on.gpus));
            let prefill = step.d_ms * tokens + step.e_ms * attended;
            let row = [step.p0_ms * steps, reduces, reduces * doublings, step.c_ms * cached, prefill, batch];
            normal.enter(&row.map(|held| held / point.ms), 1.0 / (SCATTER * SCATTER));
        }
        let [weights, layer, reduce, doubling, cache, prefill, host] = *usual;
        let priors = [layer, reduce, doubling, cache, prefill, host, (weights.0 / ratio, weights.1 / ratio)];
        for (place, (value, spread)) in priors.into_iter().enumerate() {
            // The last is the weights', which are the ratio times the prefill.
            let place = if place == 6 { 4 } else { place };
            let mut row = [0.0; 6];
            // A prior of zero is one of a tiny number.
            let value = value.max(0.01);
            row[place] = 1.0 / value;
            normal.enter(&row, (value / spread) * (value / spread));
        }
        let ([layer_us, reduce_us, reduce_us_per_log2, cache, prefill, host_ms], square) = normal.solve();
        if square < best.0 {
            let weights = ratio * prefill;
            best = (square, Efficiency { weights, layer_us, reduce_us, reduce_us_per_log2, cache, prefill, host_ms });
        }
    }
    best.1
}

const DENSE: &str = "calibration/serving_ttft_tpot_dense.csv";

/// The rows in which the time to first token falls with the number of clients in 56 of 141 neighbouring pairs.
fn has_sound_ttft(rig: &tollway::trace::BenchRig) -> bool {
    !(rig.engine == "trtllm" && rig.gpu == "h100_sxm")
}

#[test]
fn closed_loops_of_dense_models_are_within_3_percent_once_calibrated() {
    let Some(path) = shared(DENSE) else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    assert_eq!((benchmark.rows_read, benchmark.benches.len()), (685, 39));
    let (mut ttft, mut tpot, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for bench in &benchmark.benches {
        let found = calibrate(bench, &Limits::default()).unwrap();
        // One fit for each configuration with enough rows for its coefficients.
        if found.fit.errors.len() < 7 {
            println!("left out: {} rows of {}", found.fit.errors.len(), found.rig.words());
            continue;
        }
        let simulated = errors(&bench.rows, found.replica.step);
        assert_eq!(simulated.len(), found.fit.errors.len());
        for (simulated, fitted) in simulated.iter().zip(&found.fit.errors) {
            assert!((simulated[1] - fitted).abs() < 1e-4, "the service and the fit see the same loop");
        }
        tpot.extend(simulated.iter().map(|[_, tpot]| *tpot));
        left_out.extend(found.fit.left_out.unwrap());
        if has_sound_ttft(&found.rig) {
            ttft.extend(simulated.iter().map(|[ttft, _]| *ttft));
        }
    }
    let percent = |share: f64| share * 100.0;
    println!(
        "TPOT of {} rows: mean error {:.2} %, worst {:.1} %",
        tpot.len(),
        percent(mean(&tpot)),
        percent(worst(&tpot))
    );
    println!(
        "  a row left out of its fit: mean {:.2} %, worst {:.1} %",
        percent(mean(&left_out)),
        percent(worst(&left_out))
    );
    println!(
        "TTFT of {} rows: median error {:.1} %, mean {:.1} %",
        ttft.len(),
        percent(median(&ttft)),
        percent(mean(&ttft))
    );
    assert!(mean(&tpot) <= 0.03, "{}", mean(&tpot));
    assert!(median(&ttft) <= 0.20, "{}", median(&ttft));
}

/// ML.ENERGY's saturated engines: power, energy per token and median time between tokens of a model that was fitted to itself.
#[test]
fn saturated_engines_are_as_measured_once_calibrated() {
    let Some(path) = shared("calibration/mlenergy_itl_power.csv") else { return };
    let found = calibrated(&path);
    let medians = |found: &Calibrated| {
        [&found.power.as_ref().unwrap().errors, &found.energy, &found.itl].map(|errors| 100.0 * median(errors))
    };
    for found in &found {
        let [power, energy, itl] = medians(found);
        println!("{}: median errors: power {power:.1} %, J/token {energy:.1} %, ITL {itl:.1} %", found.rig.words());
    }
    for (gpus, model) in [(1, "meta-llama/Llama-3.1-8B-Instruct"), (4, "meta-llama/Llama-3.1-70B-Instruct")] {
        let of = |found: &&Calibrated| found.rig.gpu == "H100" && found.rig.gpus == gpus && found.rig.model == model;
        let [power, energy, itl] = medians(found.iter().find(of).unwrap());
        assert!(power <= 5.0 && energy <= 10.0 && itl <= 10.0, "{model}: {power} {energy} {itl}");
    }
}

#[test]
fn closed_loops_of_dense_models_are_near_with_one_set_for_an_engine() {
    let Some(path) = shared(DENSE) else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    let unknown = benchmark.benches.iter().filter(|bench| bench.rig.precision == "fp4").map(|bench| bench.rows.len());
    println!("left out: {} rows in fp4, which no scenario can name", unknown.sum::<usize>());
    let mut names: Vec<(String, String)> = Vec::new();
    for bench in &benchmark.benches {
        let name = (bench.rig.gpu.clone(), bench.rig.engine.clone());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (mut shipped, mut fitted, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (gpu, engine) in names.iter().filter(|(_, engine)| engine != "sglang") {
        let gpu_name = gpu.replace('_', "-");
        let usual = if gpu == "b200_sxm" { &USUAL_B200 } else { &USUAL };
        let of = |bench: &&Bench| bench.rig.gpu == *gpu && bench.rig.engine == *engine && bench.rig.precision != "fp4";
        let benches: Vec<(Deployment<'_>, Vec<Vec<Point>>)> = benchmark
            .benches
            .iter()
            .filter(of)
            .map(|bench| {
                let precision = if bench.rig.precision == "fp8" { Precision::Fp8 } else { Precision::Bf16 };
                let model_name = if bench.rig.model.contains("70B") { "llama-3.1-70b" } else { "llama-3.1-8b" };
                let (sheet, model) = (find(GPUS, &gpu_name).unwrap(), find(MODELS, model_name).unwrap());
                let (gpus, engine, gpu) = (bench.rig.gpus, engine.as_str(), sheet);
                let on = Deployment { gpu_name: &gpu_name, gpu, gpus, engine, precision, model_name, model };
                (on, calibrate(bench, &Limits::default()).unwrap().points)
            })
            .collect();
        let rows = |skip: usize| -> Vec<(&Deployment<'_>, &Point)> {
            let others = benches.iter().enumerate().filter(|(index, _)| *index != skip);
            others.flat_map(|(_, (on, points))| points.iter().map(move |row| (on, &row[0]))).collect()
        };
        let errors = |(_, points): &(Deployment<'_>, Vec<Vec<Point>>), step: StepModel| -> Vec<f64> {
            points.iter().map(|row| row[0].error(&step)).collect()
        };
        let set = one_set(&rows(usize::MAX), usual);
        let own: Vec<f64> = benches.iter().flat_map(|bench| errors(bench, bench.0.at(&set))).collect();
        let without: Vec<Vec<f64>> = (0..benches.len())
            .map(|skip| errors(&benches[skip], benches[skip].0.at(&one_set(&rows(skip), usual))))
            .collect();
        let of_shipped: Vec<f64> =
            benches.iter().flat_map(|bench| errors(bench, bench.0.first_principles().0)).collect();
        let worst_left_out = without.iter().map(|errors| mean(errors)).fold(0.0, f64::max);
        let flat: Vec<f64> = without.concat();
        println!(
            "{gpu} {engine}: {} rows, shipped {:.1} %, fitted {:.1} %, a configuration left out {:.1} %, the worst {:.0} %\n  {set:?}",
            own.len(),
            100.0 * mean(&of_shipped),
            100.0 * mean(&own),
            100.0 * mean(&flat),
            100.0 * worst_left_out
        );
        // The H100's with vLLM are still those of a formula: 10.4 %.
        let behind = mean(&of_shipped) - mean(&own);
        assert!(behind < 0.002 || gpu == "h100_sxm" && engine == "vllm" && behind < 0.075, "{gpu} {engine}: {behind}");
        shipped.extend(of_shipped);
        fitted.extend(own);
        left_out.extend(flat);
    }
    println!(
        "all {} rows: shipped {:.2} %, fitted {:.2} %, left out {:.2} %",
        shipped.len(),
        100.0 * mean(&shipped),
        100.0 * mean(&fitted),
        100.0 * mean(&left_out)
    );
    assert!(mean(&fitted) <= 0.07, "{}", mean(&fitted));
    assert!(mean(&shipped) <= 0.075, "{}", mean(&shipped));
}

#[test]
fn a_measured_run_of_vllm_comes_out_as_it_was() {
    let Some(path) = shared("traces/vllm_bench_rtxpro6000_llama3.1-8b_requests.jsonl") else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    let found = calibrate(&benchmark.benches[0], &Limits::default()).unwrap();
    assert_eq!((found.replica.max_batch, found.replica.token_budget), (128, 2_048), "as its meta.json says");
    let requests = benchmark.benches[0].requests.iter();
    let requests: Vec<Request> =
        requests.map(|request| Request { at: request.at, prompt: request.prompt, output: request.output }).collect();
    let tokens: u32 = requests.iter().map(|request| request.output).sum();
    let book = serve(found.replica.step, 128, ArrivalPlan::Trace(requests.into()));
    let ms = |span: Option<Span>| span.unwrap().as_secs_f64() * 1e3;
    let makespan = found.run[3].3;
    let latencies = book.latencies();
    // The engine's own record has no time of the API, 3 ms.
    let cases = [
        ("TTFT ms", ms(latencies.ttft().mean()) - 3.0, 7_097.0),
        ("TPOT ms", ms(latencies.tpot().mean()), 32.5),
        ("latency ms", ms(latencies.e2e().mean()) - 3.0, 28_201.0),
        ("makespan s", makespan, 65.93),
        ("tokens/s", f64::from(tokens) / makespan, 2_969.0),
    ];
    for (what, simulated, measured) in cases {
        let off = simulated / measured - 1.0;
        println!("{what}: measured {measured}, simulated {simulated:.1}, {:+.2} %", off * 100.0);
        assert!(off.abs() < 0.10, "{what}: {simulated}, measured {measured}");
    }
}

/// A dense model on H100 as one engine serves it: fitted on one model, the step time and power of another follow from its data
/// sheet alone.
#[test]
fn one_model_predicts_the_other() {
    let Some(path) = shared("calibration/mlenergy_itl_power.csv") else { return };
    let benchmark = Benchmark::read(&path).unwrap();
    let gpu = find(GPUS, "h100-sxm").unwrap();
    let of = |words: &str, gpus| {
        let same = |bench: &&Bench| bench.rig.gpu == "H100" && bench.rig.model.contains(words);
        let bench = benchmark.benches.iter().find(same).unwrap();
        let model_name = if words == "8B" { "llama-3.1-8b" } else { "llama-3.1-70b" };
        let model = find(MODELS, model_name).unwrap();
        let (gpu_name, precision) = ("h100-sxm", Precision::Bf16);
        let on = Deployment { gpu_name, gpu, gpus, engine: "vllm", precision, model_name, model };
        (on, bench, calibrate(bench, &Limits::default()).unwrap().points)
    };
    let (eight, seventy) = (of("8B", 1), of("70B", 4));
    for (known, asked) in [(&eight, &seventy), (&seventy, &eight)] {
        let rows: Vec<(&Deployment<'_>, &Point)> =
            known.2.iter().flat_map(|row| row.iter().map(|point| (&known.0, point))).collect();
        let step = asked.0.at(&one_set(&rows, &USUAL));
        let roof = roof(&known.0, known.1);
        let (mut power, mut energy, mut itl) = (Vec::new(), Vec::new(), Vec::new());
        for (row, points) in asked.1.rows.iter().zip(&asked.2) {
            let Measured::Full { batch, output, speed, .. } = row.measured else { unreachable!("all are full") };
            let predicted = batch / points[0].predicted(&step) * 1e3;
            let watts = watts(&asked.0, &roof, batch, output, predicted);
            power.push(watts / row.watts.unwrap() - 1.0);
            energy.push(watts / predicted / (row.watts.unwrap() / speed) - 1.0);
            itl.push(points[1].error(&step));
        }
        let errors = [&power, &energy, &itl].map(|errors| 100.0 * median(errors));
        println!(
            "{} predicts {}: median errors of power, J/token, ITL {errors:.1?} %",
            known.0.model_name, asked.0.model_name
        );
        // Power misses the 10 % that one hopes for: at the same use of arithmetic and memory an H100 that serves 8B alone draws
        // about 110 W more than one of four that serve 70B and wait for each other, which this form does not know.
        assert!(errors[0] <= 23.0 && errors[1] <= 20.0 && errors[2] <= 20.0, "{errors:?}");
    }
}

fn watts(on: &Deployment<'_>, row: &RooflineRow, batch: f64, output: f64, speed: f64) -> f64 {
    let &Deployment { gpu, gpus, precision, model, .. } = on;
    Roofline { row, gpu, gpus, model, precision, prompt: 150.0, output }.at(batch, PerSecond::new(speed)).as_f64()
}

/// The roofline of power that is nearest to a bench.
fn roof(on: &Deployment<'_>, bench: &Bench) -> RooflineRow {
    let shipped = *roofline_row("h100-sxm");
    let square = |roof: &RooflineRow| -> f64 {
        let error = |row: &BenchRow| {
            let Measured::Full { batch, output, speed, .. } = row.measured else { unreachable!("all are full") };
            watts(on, roof, batch, output, speed) / row.watts.unwrap() - 1.0
        };
        bench.rows.iter().map(|row| error(row) * error(row)).sum()
    };
    let mut best = (f64::INFINITY, shipped);
    for s in 2..=20 {
        for k in 0..=15 {
            for g in 2..=24 {
                let (s, k, g) = (f64::from(s) * 0.05, f64::from(k) * 0.1, f64::from(g) * 0.05);
                let roof = RooflineRow { s, k, g, ..shipped };
                let found = square(&roof);
                if found < best.0 {
                    best = (found, roof);
                }
            }
        }
    }
    best.1
}

/// Closed loops of an invented engine: 6 ms + 0.02 ms a token of at least 100 + 0.03 ms a sequence + 5e-5 ms a cached token.
const INVENTED: StepModel = StepModel { p0_ms: 6.0, d_ms: 0.02, t0: 96, b_ms: 0.03, c_ms: 5e-5, e_ms: 0.0 };

/// A benchmark of the invented engine, in columns of our own.
fn invented() -> String {
    let mut text =
        "gpu,model,engine,version,precision,tp,prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms,watts\n"
            .to_owned();
    for (prompt, output) in [(500, 100), (100, 400), (3_000, 60)] {
        for clients in [1, 4, 16, 64] {
            let [ttft, tpot] = closed_loop(INVENTED, clients, prompt, output);
            let watts = 400.0 + 30.0 * libm::log2(f64::from(clients));
            text.push_str(&format!(
                "x100,giant-9b,vllm,1.2,fp8,2,{prompt},{output},{clients},{ttft:.4},{tpot:.5},{watts:.1}\n"
            ));
        }
    }
    text
}

fn tollway(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_calibrate_prints_is_the_engine_that_was_measured_and_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.csv");
    std::fs::write(&file, invented()).unwrap();
    let (code, text, complaints) = tollway(&["calibrate", file.to_str().unwrap(), "--service", "chat"]);
    assert_eq!((code, complaints.as_str()), (0, ""));
    println!("{text}");
    assert!(text.contains("12 rows read = 12 kept + 0 dropped"));
    assert!(text.contains("giant-9b on 2 x x100, vllm 1.2 fp8"));
    let found = &calibrated(&file)[0];
    assert!(worst(&found.fit.errors) < 0.002 && worst(&found.ttft) < 0.02, "{found:?}");
    assert!((found.replica.step.c_ms / INVENTED.c_ms - 1.0).abs() < 0.05, "{:?}", found.replica.step);
    assert!(mean(&found.power.as_ref().unwrap().errors) < 0.02);
    // Pasted behind a scenario whose service says the rest.
    let good = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/base/good.toml")).unwrap();
    let section = text[text.find("[service.chat.replica]").unwrap()..].to_owned();
    let pasted = good.replace("replica = { gpus = 8 }\n", "") + "\n" + &section;
    let scenario = scenario::parse("pasted", &pasted).unwrap_or_else(|complaints| panic!("{complaints}\n{pasted}"));
    let plan = &scenario.parts().services[0];
    assert_eq!((plan.gpus, plan.step_source.as_str()), (2, "scenario"));
    assert!((plan.step.d_ms / found.replica.step.d_ms - 1.0).abs() < 1e-3);
}

#[test]
fn the_same_benchmark_gives_the_same_words() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.csv");
    std::fs::write(&file, invented()).unwrap();
    let once = || tollway(&["calibrate", file.to_str().unwrap()]);
    assert_eq!(once(), once());
}

/// Each published layout with invented values, and the rig that it names.
const LAYOUTS: [(&str, &str, &str); 6] = [
    (
        "# a comment\nbatch,context_tokens,prompt_tokens,step_ms\n1,512,0,8.1\n64,512,0,11.5\n64,4096,0,22.9\n0,0,2048,47\n",
        "(steps)",
        "a model on 1 x GPU",
    ),
    (
        "gpu,model,tp,step,batch,context_or_prompt_tokens,ms\nx100_sxm,Giant-9B,2,decode,1,512,8.1\nx100_sxm,Giant-9B,2,decode,64,512,11.5\nx100_sxm,Giant-9B,2,prefill,1,2048,47\n",
        "(aisimulate_steps)",
        "Giant-9B on 2 x x100_sxm",
    ),
    (
        "gpu,tp,prompt_tokens,batch,prefill_ms,decode_step_ms,peak_power_frac_tdp\nx100-80gb,4,512,1,40.5,29.1,0.9\nx100-80gb,4,512,8,301.5,31.7,0.9\nx100-80gb,2,512,8,301.5,41.7,0.9\n",
        "(splitwise)",
        "llama-2-70b on 4 x x100-80gb",
    ),
    (
        "gpu,backend,model,tp,decode_a_ms,decode_b_ms_per_seq,decode_c_ms_per_kv_token,prefill_T0_tokens,prefill_d_ms_per_token,prefill_p0_ms,prefill_e_ms_per_token_ctx\nx100,vllm,giant,1,9.5,0.01,4e-5,128,0.03,6.0,1e-6\n",
        "(step_fits)",
        "giant on 1 x x100, vllm",
    ),
    (
        "system,model_path,backend,precision,tp_size,n,a,b,c,d\nx100,giant,vllm,fp8,1,12,9.5,0.04,4e-5,0.03\n",
        "(loop_fits)",
        "giant on 1 x x100, vllm fp8",
    ),
    (
        "gpu_model,model_id,weight_precision,num_gpus,max_num_seqs,avg_batch_size,median_itl_ms,output_throughput_tokens_per_sec,avg_power_watts,avg_output_len\nX100,giant,bfloat16,2,8,7.9,9.0,850,900,300\nX100,giant,bfloat16,2,16,15.9,9.8,1500,960,310\nX100,giant,bfloat16,2,32,31.8,11.5,2500,1010,300\n",
        "(mlenergy)",
        "giant on 2 x X100, vllm bfloat16",
    ),
];

#[test]
fn published_layouts_are_told_by_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    for (text, layout, rig) in LAYOUTS {
        let file = folder.path().join("bench.csv");
        std::fs::write(&file, text).unwrap();
        let (code, said, complaints) = tollway(&["calibrate", file.to_str().unwrap()]);
        assert_eq!((code, complaints.as_str()), (0, ""), "{layout}");
        assert!(said.contains(layout) && said.contains(&format!("\n{rig}\n")), "{layout}: {said}");
        assert!(said.contains("step = { p0 = "), "{layout}: {said}");
    }
}

#[test]
fn what_is_wrong_with_a_benchmark_is_said() {
    let cases = [
        ("time,price\n1,2\n", "found the columns time,price, expected columns of a benchmark"),
        ("node,gpus,bytes,ms\na,2,2048,0.01\n", "times of all-reduce, of which no step follows"),
        ("prompt_tokens,output_tokens,concurrency,tpot_ms\n", "found no row that can be used"),
        (
            "prompt_tokens,output_tokens,concurrency,tpot_ms\n100,20,4,fast\n",
            ":2: column tpot_ms: found \"fast\", expected a time in milliseconds above zero",
        ),
        (
            "prompt_tokens,output_tokens,concurrency,tpot_ms\n100,20,0,9\n",
            ":2: column concurrency: found \"0\", expected a whole number from 1 on",
        ),
        (
            "prompt_tokens,output_tokens,concurrency,ttft_ms,tpot_ms\n100,20,4,900,9\n",
            "requests queued at the engine, so that nobody knows how many ran at once",
        ),
        (
            "{\"input_toks\":3,\"output_toks\":2,\"queued_ts\":5.0,\"first_token_ts\":4.0,\"last_token_ts\":6.0}\n",
            ":1: found times [5.0, 4.0, 6.0], expected queued_ts <= first_token_ts <= last_token_ts",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in cases {
        let file = folder.path().join("bench");
        std::fs::write(&file, text).unwrap();
        let (code, said, complaints) = tollway(&["calibrate", file.to_str().unwrap()]);
        assert_eq!((code, said.as_str()), (2, ""), "{text}");
        assert!(complaints.starts_with("error: ") && complaints.contains(expected), "{text}: {complaints}");
    }
}
