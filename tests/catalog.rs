//! The catalog: every entry has a name of its own and a source, published figures stand as published, and the grid profiles
//! are the means of the series they came from.

use std::collections::BTreeSet;
use tollway::catalog::{
    DEVICES, ENGINES, Entry, FAILURES, GPUS, GRIDS, GridSheet, MODELS, NODES, Named, NodeSheet, POWERS, Precision,
    ROOFLINES, TARIFFS, TariffSheet, find, power_row, step_row,
};
use tollway::facility::{Constant, Facility};
use tollway::units::{Bytes, Dollars, Ratio, Span, Watts};
use tollway::world::Ownership;

/// Names and sources of one list.
fn entries<T>(list: &'static str, entries: &'static [Entry<T>]) -> Vec<(&'static str, &'static str, &'static str)> {
    entries.iter().map(|entry| (list, entry.name, entry.source)).collect()
}

#[test]
fn every_entry_has_its_own_name_and_a_source() {
    let lists = [
        entries("gpus", GPUS),
        entries("nodes", NODES),
        entries("models", MODELS),
        entries("devices", DEVICES),
        entries("grids", GRIDS),
        entries("tariffs", TARIFFS),
        entries("failures", FAILURES),
    ];
    let mut seen = BTreeSet::new();
    for (list, name, source) in lists.concat() {
        assert!(seen.insert((list, name)), "{list} has {name} twice");
        assert!(!source.is_empty(), "{list}: {name} has no source");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        assert!(name.bytes().all(plain), "{list}: {name} is not written in lower case, digits, - and .");
    }
}

#[test]
fn every_row_is_unique_sourced_and_points_into_the_catalog() {
    let mut seen = BTreeSet::new();
    for row in ENGINES {
        let key = (row.gpu, row.engine, row.precision == Precision::Fp8, row.model, row.tp);
        assert!(seen.insert(key), "two engine rows for {key:?}");
        assert!(!row.source.is_empty(), "{key:?} has no source");
        assert!(find(GPUS, row.gpu).is_some() && find(MODELS, row.model).is_some(), "{key:?}");
        let coefficients = [row.p0_ms, row.b_ms, row.c_ms, row.e_ms];
        assert!(coefficients.iter().all(|ms| *ms >= 0.0) && row.d_ms > 0.0, "{key:?}: {row:?}");
        assert!(row.p0_ms + row.d_ms * f64::from(row.t0) > 1.0, "{key:?} steps in less than a millisecond");
        assert!(row.error.as_f64() < 0.06, "{key:?}");
    }
    for row in POWERS {
        assert!(find(GPUS, row.gpu).is_some_and(|gpu| row.low < row.high && row.high <= gpu.tdp), "{row:?}");
        assert!(find(MODELS, row.model).is_some() && !row.source.is_empty(), "{row:?}");
    }
    assert!(ROOFLINES.iter().all(|row| find(GPUS, row.gpu).is_some() && !row.source.is_empty()));
}

#[test]
fn gpu_states_are_in_order() {
    for Entry { name, sheet: gpu, .. } in GPUS {
        let states = [gpu.idle, gpu.resident, gpu.decode, gpu.prefill, gpu.tdp];
        assert!(states.is_sorted(), "{name}: idle, resident, decode, prefill, TDP are {states:?}");
        assert!(gpu.idle <= gpu.training && gpu.training <= gpu.tdp, "{name}: training");
        assert!(gpu.idle <= gpu.checkpoint && gpu.checkpoint < gpu.training, "{name}: checkpoint");
        assert!(gpu.peak_8bit >= gpu.peak_16bit, "{name}: peaks");
    }
}

#[test]
fn nodes_stay_below_their_nameplate() {
    for Entry { name, sheet: node, .. } in NODES {
        let Named::Name(gpu) = &node.gpu else { panic!("{name} names its GPU") };
        let gpu = find(GPUS, gpu).unwrap_or_else(|| panic!("{name}: no GPU {gpu}"));
        let busy = gpu.training * u64::from(node.gpus) + node.host_busy;
        assert!(busy <= node.rated, "{name} draws {busy} in training, rated {}", node.rated);
        assert!(node.host_idle < node.host_busy, "{name}");
    }
}

#[test]
fn published_figures_stand_as_published() {
    // (model, parameters, bytes of KV cache a token): model cards; 2 x layers x KV width x 2 bytes.
    for (name, parameters, kv) in [
        ("llama-3.1-8b", 8.03e9, 131_072),
        ("llama-3.1-70b", 70.554e9, 327_680),
        ("llama-3.1-405b", 405.853e9, 516_096),
        ("llama-2-7b", 6.738e9, 524_288),
        ("llama-2-13b", 13.016e9, 819_200),
        ("llama-2-70b", 68.977e9, 327_680),
        ("gpt-3-175b", 175e9, 4_718_592),
        ("opt-175b", 175e9, 4_718_592),
        ("bloom-176b", 176.247e9, 4_014_080),
        ("deepseek-v3", 671e9, 70_272),
    ] {
        let model = find(MODELS, name).unwrap();
        assert_eq!((model.parameters, model.kv_bytes_per_token), (parameters, Bytes::new(kv)), "{name}");
    }
    assert_eq!(find(MODELS, "deepseek-v3").unwrap().active_parameters, 37e9);
    // (GPU, dense 16-bit peak, bandwidth, TDP): data sheets.
    for (name, peak, bandwidth, tdp) in [
        ("a100-sxm-80gb", 312e12, 2.039e12, 400),
        ("h100-sxm", 989.5e12, 3.35e12, 700),
        ("h800-sxm", 989.5e12, 3.35e12, 700),
        ("h200-sxm", 989.5e12, 4.8e12, 700),
        ("b200-sxm", 2250e12, 8e12, 1000),
        ("v100-sxm2", 125e12, 0.9e12, 300),
        ("tpu-v3", 123e12, 0.9e12, 450),
    ] {
        let gpu = find(GPUS, name).unwrap();
        assert_eq!((gpu.peak_16bit.as_f64(), gpu.bandwidth.as_f64()), (peak, bandwidth), "{name}");
        assert_eq!(gpu.tdp, Watts::new(tdp), "{name}");
    }
    // Faults a day of 2,048 nodes: 419 in 54 d.
    let llama = find(FAILURES, "llama3-h100").unwrap().rate().as_f64() * 86_400.0;
    assert!((llama * 2_048.0 * 54.0 - 419.1).abs() < 0.1, "{llama}");
    let tariff = find(TARIFFS, "us-industrial-2025").unwrap();
    assert_eq!(*tariff, TariffSheet::Flat("$0.0826/kWh".parse().unwrap()));
}

#[test]
fn step_rows_give_what_was_measured() {
    let step = |gpu, engine, precision, model, tp, batch: f64, context: f64| {
        let row = step_row(gpu, engine, precision, model, tp).expect("a row");
        row.p0_ms + row.d_ms * batch.max(f64::from(row.t0)) + row.b_ms * batch + row.c_ms * batch * context
    };
    // The known answer, and kernel sums of decode steps: (ms, band; one form for decode and
    // prefill is off by at most 8 % on decode steps, 16 % on short prompts).
    for (gpu, model, tp, batch, context, ms, band) in [
        ("h100-sxm", "llama-3.1-8b", 1, 64.0, 1_024.0, 10.1, 0.01),
        ("h100-sxm", "llama-3.1-8b", 1, 256.0, 1_024.0, 19.6, 0.05),
        ("a100-sxm-80gb", "llama-3.1-8b", 1, 64.0, 4_096.0, 33.5, 0.06),
        ("h100-sxm", "llama-3.1-70b", 4, 64.0, 1_024.0, 19.1, 0.08),
        ("h100-sxm", "llama-3.1-70b", 8, 16.0, 1_024.0, 11.1, 0.06),
        ("h100-sxm", "llama-3.1-70b", 8, 256.0, 1_024.0, 20.0, 0.08),
    ] {
        let got = step(gpu, "vllm", Precision::Bf16, model, tp, batch, context);
        assert!(
            (got / ms - 1.0).abs() <= band,
            "{gpu} {model} TP{tp} at {batch} x {context}: {got} ms, published {ms}"
        );
    }
    // Fitted `a` of 70B fp8 serving: what a step costs however small its batch.
    for (gpu, engine, tp, a) in [
        ("h100-sxm", "vllm", 2, 16.4),
        ("h100-sxm", "vllm", 8, 8.8),
        ("h200-sxm", "vllm", 1, 20.4),
        ("h200-sxm", "trtllm", 4, 7.6),
        ("b200-sxm", "vllm", 2, 10.0),
    ] {
        let got = step(gpu, engine, Precision::Fp8, "llama-3.1-70b", tp, 0.0, 0.0);
        assert!((got / a - 1.0).abs() <= 0.03, "{gpu} {engine} TP{tp}: {got} ms, fitted apart {a}");
    }
    assert!(step_row("h100-sxm", "vllm", Precision::Fp8, "llama-3.1-405b", 8).is_none());
}

#[test]
fn power_falls_short_of_the_table_by_no_more_than_it_says() {
    // W a GPU at batches 8, 64, 128, 256, 512: the ML.ENERGY benchmark.
    for (gpu, model, tp, measured) in [
        ("h100-sxm", "llama-3.1-8b", 1, [486.0, 610.0, 669.0, 691.0, 688.0]),
        ("h100-sxm", "llama-3.1-70b", 4, [441.0, 500.0, 546.0, 589.0, 623.0]),
        ("b200-sxm", "llama-3.1-70b", 2, [849.0, 905.0, 957.0, 971.0, 966.0]),
    ] {
        let row = power_row(gpu, model, tp).expect("a curve");
        for (batch, watts) in [8.0, 64.0, 128.0, 256.0, 512.0].into_iter().zip(measured) {
            let error = (row.at(batch).as_f64() / watts - 1.0).abs();
            assert!(error <= row.error.as_f64() + 0.002, "{gpu} {model} at {batch}: {} for {watts}", row.at(batch));
        }
    }
}

#[test]
fn a_grid_or_tariff_is_a_name_or_one_inline_sheet() {
    #[derive(Debug, serde::Deserialize)]
    struct Site {
        grid: Named<GridSheet>,
        #[serde(default)]
        tariff: Option<Named<TariffSheet>>,
    }
    let read = |text: &str| toml::from_str::<Site>(text).map_err(|error| error.message().to_owned());
    let site = read("grid = \"erco\"\ntariff = { flat = \"$0.08/kWh\" }").unwrap();
    assert_eq!(site.grid, Named::Name("erco".into()));
    assert_eq!(site.tariff, Some(Named::Inline(TariffSheet::Flat("$80/MWh".parse().unwrap()))));
    let flat = read("grid = { flat = \"380 gCO2e/kWh\" }").unwrap();
    assert_eq!(flat.grid, Named::Inline(GridSheet::Flat("0.38 kgCO2e/kWh".parse().unwrap())));
    let full = read("grid = { constant = { direct = \"57 gCO2e/kWh\", water = \"0 L/kWh\" } }").unwrap();
    let Named::Inline(GridSheet::Constant(grid)) = full.grid else { panic!("a constant grid") };
    assert_eq!((grid.direct.as_f64(), grid.upstream.as_f64(), grid.water.as_f64()), (57.0, 0.0, 0.0));
    for (text, wrong) in [
        ("grid = { flat = \"380 gCO2e/kWh\", upstream = \"1 gCO2e/kWh\" }", "unexpected key `upstream`"),
        ("grid = { flat = \"380 g\" }", "unknown unit \"g\""),
        ("grid = { constant = { direct = \"1 gCO2e/kWh\", lca = 3 } }", "unknown field `lca`"),
        ("grid = { monthly = 3 }", "unknown variant `monthly`"),
        ("grid = 380", "a catalog name or an inline table"),
    ] {
        let message = read(text).expect_err(text);
        assert!(message.contains(wrong), "{text}: {message}");
    }
}

#[test]
fn an_owned_gpu_hour_costs_what_the_document_works_out() {
    let node = find(NODES, "dgx-h100").unwrap();
    let Some(TariffSheet::Flat(price)) = find(TARIFFS, "us-industrial-2025") else { panic!("a flat tariff") };
    let facility = Facility::Constant(Constant::default());
    // 7.75 kW of 8 GPUs for an hour at PUE 1.15.
    let it = Watts::new(7_750) * Span::HOUR;
    let energy = (*price * (it + facility.overhead(it, 0, Span::HOUR).energy)).as_f64() / 8.0;
    let own = Ownership::default();
    let hour = own.hourly(node).as_f64() + energy;
    // By hand: 1.191 + 0.204 + 0.143 + 0.092 = 1.630, of which energy is 5.6 %.
    assert!((energy - 0.092).abs() < 5e-4 && (hour - 1.630).abs() < 5e-4, "{energy} of {hour}");
    assert!((energy / hour - 0.056).abs() < 5e-4);
    // At a utilisation of 0.7, and a dearer server paid off sooner.
    assert!((hour / 0.7 - 2.329).abs() < 1e-3, "{}", hour / 0.7);
    let dear = NodeSheet { price: Dollars::from_f64(330_000.0), ..node.clone() };
    let sooner = Ownership { server_years: Ratio::new(4.0), ..own };
    let hour = sooner.hourly(&dear).as_f64() + energy;
    assert!((hour - 2.226).abs() < 1e-3, "{hour}");
}

/// Days of each month of 2022.
const DAYS: [f64; 12] = [31.0, 28.0, 31.0, 30.0, 31.0, 30.0, 31.0, 31.0, 30.0, 31.0, 30.0, 31.0];

/// Annual mean direct and life-cycle intensity, g/kWh: computed from the generation by source of US EIA-930, 2022.
const ANNUAL: [(&str, f64, f64); 6] = [
    ("pjm", 380.0, 447.0),
    ("erco", 358.0, 424.0),
    ("ciso", 217.0, 293.0),
    ("miso", 493.0, 559.0),
    ("soco", 432.0, 515.0),
    ("bpat", 27.0, 59.0),
];

#[test]
fn grid_profiles_have_the_annual_means_of_their_series() {
    for (name, direct, lca) in ANNUAL {
        let Some(GridSheet::Monthly(profile)) = find(GRIDS, name) else { panic!("{name} is a profile") };
        let mean = |table: &[[u16; 24]; 12]| {
            let months = table.iter().zip(DAYS);
            months.map(|(day, days)| days * day.iter().map(|grams| f64::from(*grams)).sum::<f64>()).sum::<f64>()
                / 8_760.0
        };
        let (got_direct, got_lca) = (mean(&profile.direct), mean(&profile.lca));
        assert!((got_direct - direct).abs() < 1.0, "{name} direct: {got_direct}, published {direct}");
        assert!((got_lca - lca).abs() < 1.0, "{name} lca: {got_lca}, published {lca}");
        let pairs = profile.direct.iter().flatten().zip(profile.lca.iter().flatten());
        assert!(pairs.into_iter().all(|(direct, lca)| direct <= lca), "{name}: upstream is never negative");
    }
}

#[test]
fn grid_profiles_are_recomputed_from_the_series() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/series/grid_ci_us_2022_hourly.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no hourly series beside the repository (../shared/data)");
        return;
    };
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 8_760);
    for (name, ..) in ANNUAL {
        let Some(GridSheet::Monthly(profile)) = find(GRIDS, name) else { panic!("{name} is a profile") };
        for (kind, table) in [("direct", &profile.direct), ("lca", &profile.lca)] {
            let column = header.iter().position(|cell| *cell == format!("{name}_{kind}")).expect("a column");
            let mut sums = [[0.0; 24]; 12];
            for row in &rows {
                let (month, hour): (usize, usize) = (row[0][5..7].parse().unwrap(), row[0][11..13].parse().unwrap());
                sums[month - 1][hour] += row[column].parse::<f64>().unwrap();
            }
            for (month, hour) in (0..12).flat_map(|month| (0..24).map(move |hour| (month, hour))) {
                let mean = sums[month][hour] / DAYS[month];
                let got = f64::from(table[month][hour]);
                assert!((got - mean).abs() <= 0.5, "{name} {kind}, month {month}, hour {hour}: {got}, mean {mean}");
            }
        }
    }
}
