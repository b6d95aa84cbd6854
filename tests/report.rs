//! The output contract: files, headers, sums and the printed table.

use crate::ledger::small_world;
use expect_test::expect;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tollway::ledger::Timeline;
use tollway::report::{self, Manifest, Note, RunRecord, Timelines};
use tollway::units::Span;

fn manifest() -> Manifest {
    Manifest {
        program: "tollway",
        version: "0.1.0".to_owned(),
        name: "small".to_owned(),
        seed: 1,
        replication: 0,
        start: "2026-01-01T00:00:00Z".to_owned(),
        duration_s: 36_000.0,
        step_s: 3_600.0,
        inputs: Vec::new(),
        notes: vec![Note {
            subject: "service.chat".to_owned(),
            key: "fidelity".to_owned(),
            value: "requests".to_owned(),
        }],
        scenario: vec!["name = \"small\"".to_owned()],
    }
}

fn record() -> RunRecord {
    RunRecord {
        wall_s: 1.0,
        cpu_s: Some(2.0),
        peak_memory_bytes: None,
        threads: 2,
        events: 10,
        windows: 1,
        requests: 401,
        requests_per_cpu_s: Some(200.5),
    }
}

fn hourly(files: &BTreeSet<Timeline>) -> Timelines<'_> {
    Timelines { step: Span::HOUR, files }
}

/// Runs `look` on a folder with the results of the small world.
fn with_results(look: impl FnOnce(&Path)) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let dir = scratch.path().join("small");
    report::write(&dir, &small_world(1.0), hourly(&Timeline::ALL.into()), &manifest(), &record()).expect("written");
    look(&dir);
}

/// The rows of a file, by column.
fn rows(dir: &Path, file: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(dir.join(file)).expect("a file");
    reader.deserialize().collect::<Result<_, _>>().expect("rows")
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().expect("a number")
}

#[test]
fn headers() {
    with_results(|dir| {
        let mut headers = String::new();
        for file in ["summary", "comparison", "sensitivity", "power", "utilisation", "cost", "carbon", "events"] {
            let text = std::fs::read_to_string(dir.join(file).with_extension("csv")).expect("a file");
            headers += &format!("{file}: {}\n", text.lines().next().expect("a header"));
        }
        expect![[r#"
            summary: subject,metric,value,unit,boundary
            comparison: boundary,axis,training,inference,ratio,per_request,per_1k_tokens,crossover_day,crossover_requests,crossover_tokens,crossover_days_open,research_multiplier,per_1k_prompt_tokens
            sensitivity: factor,value,method,boundary,axis,crossover_day,crossover_requests,crossover_tokens,crossover_days_open
            power: time_s,time_utc,site,cluster,tenant,part,accelerator_kw,host_kw,facility_kw,losses_kw,cooling_kw,psu_kw,rectifier_kw,pdu_kw,ups_kw,transformer_kw,power_kw,energy_kwh,meter_kw
            utilisation: time_s,time_utc,site,cluster,tenant,part,gpus_count,gpus_fraction,arrived_count,completed_count,rejected_count,failed_count,prompt_tokens,output_tokens
            cost: time_s,time_utc,site,cluster,tenant,part,holding_usd,energy_usd,cost_usd
            carbon: time_s,time_utc,site,cluster,tenant,part,carbon_kgco2e,upstream_kgco2e,embodied_kgco2e,water_l,water_offsite_l,market_kgco2e
            events: time_s,time_utc,subject,event,nodes,detail
        "#]].assert_eq(&headers);
    });
}

#[test]
fn the_first_rows_of_the_power_timeline() {
    with_results(|dir| {
        let text = std::fs::read_to_string(dir.join("power.csv")).expect("a file");
        let rows: Vec<&str> = text.lines().skip(1).take(7).collect();
        expect![[r#"
            0,2026-01-01T00:00:00Z,hall,main,training.pretrain,active,8,2,0,,,,,,,,10,10,17.76
            0,2026-01-01T00:00:00Z,hall,main,training.pretrain,spare,0.8,0.8,0,,,,,,,,1.6,1.6,17.76
            0,2026-01-01T00:00:00Z,hall,main,service.chat,active,0,0,0,,,,,,,,0,0,17.76
            0,2026-01-01T00:00:00Z,hall,main,service.chat,warm_idle,0,0,0,,,,,,,,0,0,17.76
            0,2026-01-01T00:00:00Z,hall,main,idle,unallocated,1.6,1.6,0,,,,,,,,3.2,3.2,17.76
            0,2026-01-01T00:00:00Z,hall,,facility,losses_and_cooling,0,0,2.96,,,,,,,,2.96,2.96,17.76
            0,2026-01-01T00:00:00Z,,,device.laptop,active,0,0,0,,,,,,,,0,0,0"#]]
        .assert_eq(&rows.join("\n"));
    });
}

#[test]
fn columns_are_unique_and_end_in_a_known_unit() {
    const PLAIN: [&str; 39] = [
        "category",
        "factor",
        "method",
        "per_1k_prompt_tokens",
        "bucket",
        "ml_goodput",
        "subject",
        "metric",
        "value",
        "unit",
        "boundary",
        "axis",
        "training",
        "inference",
        "ratio",
        "per_request",
        "per_1k_tokens",
        "crossover_day",
        "crossover_requests",
        "crossover_tokens",
        "crossover_days_open",
        "time_utc",
        "site",
        "cluster",
        "tenant",
        "part",
        "event",
        "nodes",
        "detail",
        "research_multiplier",
        "step_time_factor",
        "node",
        "class",
        "domain",
        "planned",
        "failure_gap_cv",
        "failure_dispersion_hour",
        "failure_dispersion_day",
        "failure_dispersion_week",
    ];
    const UNITS: [&str; 16] = [
        "_s",
        "_ms",
        "_w",
        "_kw",
        "_kwh",
        "_mwh",
        "_usd",
        "_kgco2e",
        "_l",
        "_gib",
        "_tokens",
        "_gpu_h",
        "_per_s",
        "_count",
        "_fraction",
        "tokens",
    ];
    with_results(|dir| {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_none_or(|extension| extension != "csv") {
                continue;
            }
            let mut reader = csv::Reader::from_path(&path).expect("a file");
            let header = reader.headers().expect("a header").clone();
            let mut seen = std::collections::BTreeSet::new();
            for column in &header {
                assert!(seen.insert(column.to_owned()), "{}: {column} twice", path.display());
                let known =
                    PLAIN.contains(&column) || column == "gpu_h" || UNITS.iter().any(|unit| column.ends_with(unit));
                assert!(known, "{}: {column} says no unit", path.display());
            }
        }
    });
}

#[test]
fn rows_of_a_site_add_up_to_its_meter() {
    with_results(|dir| {
        let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        let mut total = 0.0;
        for row in rows(dir, "power.csv").iter().filter(|row| row["site"] == "hall") {
            let sum = sums.entry(row["time_s"].clone()).or_insert((0.0, number(row, "meter_kw")));
            sum.0 += number(row, "power_kw");
            total += number(row, "energy_kwh");
        }
        assert_eq!(sums.len(), 10);
        for (time, (sum, meter)) in sums {
            assert!((sum - meter).abs() < 1e-5, "at {time} s: {sum} kW of {meter} kW");
        }
        assert!((total - 113.28).abs() < 1e-6, "{total} kWh");
    });
}

#[test]
fn gpus_of_a_cluster_add_up_in_each_interval() {
    with_results(|dir| {
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for row in rows(dir, "utilisation.csv").iter().filter(|row| row["cluster"] == "main") {
            *sums.entry(row["time_s"].clone()).or_default() += number(row, "gpus_count");
        }
        assert!(sums.values().all(|&gpus| gpus == 32.0), "{sums:?}");
    });
}

#[test]
fn timelines_add_up_to_the_summary() {
    let cases = [
        ("cost.csv", "cost_usd", "cost"),
        ("carbon.csv", "carbon_kgco2e", "carbon"),
        ("carbon.csv", "water_offsite_l", "water_offsite"),
    ];
    with_results(|dir| {
        for (file, column, metric) in cases {
            let total: f64 =
                rows(dir, file).iter().filter(|row| row["site"] == "hall").map(|row| number(row, column)).sum();
            let summary = rows(dir, "summary.csv");
            let figure =
                summary.iter().find(|row| row["subject"] == "site.hall" && row["metric"] == metric).expect("a figure");
            assert!((total - number(figure, "value")).abs() < 1e-6, "{column}: {total} against {}", figure["value"]);
        }
    });
}

#[test]
fn interruptions_are_the_failure_rows() {
    with_results(|dir| {
        let events = rows(dir, "events.csv");
        let failures =
            events.iter().filter(|row| row["subject"] == "training.pretrain" && row["event"] == "failure").count();
        let jobs = rows(dir, "jobs.csv");
        assert_eq!(number(&jobs[0], "interruptions_count"), failures as f64);
        assert_eq!((jobs.len(), rows(dir, "services.csv").len()), (1, 2));
        assert_eq!(number(&jobs[0], "use_spare_gpu_h"), 16.0);
        assert_eq!(number(&jobs[0], "energy_b4_kwh"), 27.84);
    });
}

#[test]
fn buckets_add_up_to_the_meters_and_bear_googles_names() {
    with_results(|dir| {
        let (buckets, summary) = (rows(dir, "buckets.csv"), rows(dir, "summary.csv"));
        for (column, metric) in
            [("gpu_h", "gpu_hours"), ("energy_kwh", "energy"), ("cost_usd", "cost"), ("water_l", "water")]
        {
            let placed = buckets.iter().filter(|row| !row["subject"].starts_with("device."));
            let sum: f64 = placed.map(|row| number(row, column)).sum();
            let figure =
                summary.iter().find(|row| row["subject"] == "total" && row["metric"] == metric).expect("a figure");
            assert!((sum - number(figure, "value")).abs() < 1e-6, "{column}: {sum} against {}", figure["value"]);
        }
        let name =
            |bucket: &str| buckets.iter().find(|row| row["bucket"] == bucket).expect("a bucket")["ml_goodput"].clone();
        assert_eq!((name("productive"), name("spare")), ("GOODPUT".to_owned(), String::new()));
    });
}

#[test]
fn the_data_package_describes_every_column() {
    with_results(|dir| {
        let text = std::fs::read_to_string(dir.join("datapackage.json")).expect("a file");
        let package: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let resources = package["resources"].as_array().expect("resources");
        assert_eq!(resources.len(), 13);
        for resource in resources {
            let file = resource["path"].as_str().expect("a path");
            let mut reader = csv::Reader::from_path(dir.join(file)).expect("a file");
            let fields = resource["schema"]["fields"].as_array().expect("fields");
            let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().expect("a name")).collect();
            assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), names, "{file}");
            assert!(fields.iter().all(|field| field["description"] != ""), "{file}");
        }
    });
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    with_results(|one| {
        with_results(|two| {
            let mut files = 0;
            for entry in std::fs::read_dir(one).expect("a folder") {
                let name = entry.expect("an entry").file_name();
                let read = |dir: &Path| std::fs::read(dir.join(&name)).expect("a file");
                assert_eq!(read(one), read(two), "{}", name.display());
                files += 1;
            }
            assert_eq!(files, 16);
        });
    });
}

/// Both ways of adding up: rows with the overhead apart, and rows with their shares of it.
#[test]
fn everything_belongs_to_exactly_one_row() {
    with_results(|dir| {
        let rows = rows(dir, "attribution.csv");
        let of = |category: &str, column: &str| -> f64 {
            rows.iter().filter(|row| row["category"] == category).map(|row| number(row, column)).sum()
        };
        let placed = ["job", "service", "spare", "repair", "idle"];
        for (own, share, metered) in [
            ("energy_kwh", "share_kwh", 113.28),
            ("energy_usd", "share_usd", 11.328),
            ("carbon_kgco2e", "share_kgco2e", 45.312),
            ("upstream_kgco2e", "share_upstream_kgco2e", 5.664),
            ("water_offsite_l", "share_offsite_l", 113.28 * 4.52),
        ] {
            let held: f64 = placed.iter().map(|category| of(category, own)).sum();
            let shares: f64 = placed.iter().map(|category| of(category, share)).sum();
            assert!((held + of("overhead", own) - metered).abs() < 1e-9, "{own}");
            assert!((held + shares - metered).abs() < 1e-9, "{share}");
        }
        assert_eq!(
            [of("job", "energy_kwh"), of("service", "energy_kwh"), of("spare", "energy_kwh")],
            [20.0, 26.4, 3.2]
        );
        assert_eq!([of("device", "energy_kwh"), of("device", "energy_usd")], [0.025, 0.0025]);
        let boundaries: Vec<&str> = rows.iter().map(|row| row["boundary"].as_str()).collect();
        assert_eq!(boundaries, ["B2", "B3", "B2", "B3", "", "B4", "B2"]);
    });
}

#[test]
fn timelines_too_long_for_a_spreadsheet_suggest_a_step() {
    let accounts = small_world(1.0);
    let all = Timeline::ALL.into();
    let fine = |files| Timelines { step: Span::from_nanos(100_000_000), files };
    expect![[r#"
        power.csv, utilisation.csv, cost.csv and carbon.csv have up to 2520000 rows each and spreadsheets open the first 1048576; for one that holds them all, run with --set timeline.step="1 min""#]]
    .assert_eq(&report::too_long_for_a_spreadsheet(&accounts, fine(&all)).expect("a word"));
    let one = BTreeSet::from([Timeline::Power]);
    assert!(
        report::too_long_for_a_spreadsheet(&accounts, fine(&one)).is_some_and(|word| word.starts_with("power.csv has"))
    );
    assert_eq!(report::too_long_for_a_spreadsheet(&accounts, fine(&BTreeSet::new())), None);
    assert_eq!(report::too_long_for_a_spreadsheet(&accounts, hourly(&Timeline::ALL.into())), None);
}

/// 10 hours of a job that starts and a job that ends, by 5 s: pages of some 8,000 rows, made by one thread or by three.
#[test]
fn timelines_are_the_same_by_any_number_of_threads() {
    let text = r#"
        name = "pages"
        start = "2026-01-01T00:00:00Z"
        duration = "10 h"
        timeline = { step = "5 s" }
        [site.hall]
        grid = "erco"
        tariff = { flat = "$0.08/kWh" }
        [cluster.main]
        site = "hall"
        node = "dgx-h100"
        nodes = 4
        failures = { exponential = { rate = "3 /d" } }
        [training.one]
        cluster = "main"
        model = "llama-3.1-8b"
        nodes = 1
        tokens = 1e9
        ideal = "5 h"
        spares = { hot = 1 }
        [training.two]
        cluster = "main"
        model = "llama-3.1-8b"
        nodes = 1
        tokens = 1e9
        ideal = "20 h"
        submit = "3 h"
    "#;
    let scenario = tollway::scenario::parse("pages.toml", text).unwrap_or_else(|complaints| panic!("{complaints}"));
    let accounts = tollway::simulate(&scenario, |_| ()).accounts;
    fn timelines(files: &BTreeSet<Timeline>) -> Timelines<'_> {
        Timelines { step: Span::from_secs(5), files }
    }
    let written = |threads: usize| {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let dir = scratch.path().join("pages");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| report::write(&dir, &accounts, timelines(&scenario.timelines), &manifest(), &record()))
            .expect("written");
        let read = |file| std::fs::read_to_string(dir.join(file)).expect("a file");
        ["power.csv", "utilisation.csv", "cost.csv", "carbon.csv"].map(read)
    };
    let one = written(1);
    let rows = one[0].lines().count() as u64 - 1;
    assert_eq!(rows, accounts.timeline_rows(scenario.step));
    assert!(rows > 3 * 8_192, "{rows} rows are too few for several pages");
    assert!(one == written(3), "three threads write other bytes than one");
    let times: Vec<&str> = one[0].lines().skip(1).map(|row| row.split(',').next().expect("a time")).collect();
    let in_order = times.windows(2).all(|pair| pair[0].parse::<u64>().unwrap() <= pair[1].parse::<u64>().unwrap());
    assert!(in_order && times.last() == Some(&"35995"), "the last row begins at {:?}", times.last());
}

/// The others cost nothing where nobody wants them, and the data package does not speak of them.
#[test]
fn only_the_timelines_that_are_asked_for_are_written() {
    with_results(|all| {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let dir = scratch.path().join("few");
        let files = BTreeSet::from([Timeline::Power, Timeline::Carbon]);
        report::write(&dir, &small_world(1.0), hourly(&files), &manifest(), &record()).expect("written");
        for (file, is_there) in
            [("power.csv", true), ("utilisation.csv", false), ("cost.csv", false), ("carbon.csv", true)]
        {
            assert_eq!(dir.join(file).exists(), is_there, "{file}");
            let package = std::fs::read_to_string(dir.join("datapackage.json")).expect("a file");
            assert_eq!(package.contains(file), is_there, "{file}");
            if is_there {
                assert!(std::fs::read(dir.join(file)).ok() == std::fs::read(all.join(file)).ok(), "{file}");
            }
        }
    });
}

#[test]
fn the_printed_table() {
    let models = [
        ("training.pretrain", "llama-3.1-405b"),
        ("service.chat", "llama-3.1-405b"),
        ("device.laptop", "llama-3.1-8b"),
    ];
    let models = models.map(|(subject, model)| (subject.to_owned(), model.to_owned()));
    let table = report::table(&small_world(1.0), &models);
    assert!(table.lines().count() <= 50 && table.lines().all(|line| line.len() <= 100), "{table}");
    expect![[r#"
        The road:   pretrain (llama-3.1-405b), 8 GPUs for 2.00 hours, interrupted 1 time
        The drives: chat (llama-3.1-405b), 400 requests answered in 8.00 hours on 8 GPUs
        Failures:   by the serial clock
        Simulated:  every request

        All that they held and drew       road (training)   drives (inference)   drives : road
          GPU time, GPU-hours                        32.0                 64.0        2.00 : 1
          electricity, MWh                         0.0278               0.0317        1.14 : 1
          money, US dollars                          50.8                 99.2        1.95 : 1
          CO2e, tonnes                             0.0111               0.0127        1.14 : 1
          water, cubic metres                       0.134                0.153        1.14 : 1

        A single drive                        one request     1,000 tokens out
          GPU time, GPU-seconds                       576               28,800
          electricity, Wh                            79.2                3,960
          money, US cents                            24.8                1,240
          CO2e, grams                                31.7                1,584
          water, millilitres                          382               19,087

        When had all drives together used more than the road?
          GPU time                    day 0.250, 0.167 days after opening, after 400 requests
          electricity                 day 0.333, 0.250 days after opening, after 400 requests
          money                       day 0.251, 0.168 days after opening, after 400 requests
          CO2e                        day 0.333, 0.250 days after opening, after 400 requests
          water                       day 0.333, 0.250 days after opening, after 400 requests

        On which day, if one thing were otherwise?
                                               GPU time electricity       money        CO2e       water
          research: road x 1.00                   0.250       0.333       0.251       0.333       0.333
          research: road x 1.50                   0.333       never       0.338       never       never
          research: road x 2.00                   0.417       never       never       never       never
          research: road x 3.00                   never       never       never       never       never
          drives' grid: carbon x 0.500                                                never
          drives' grid: carbon x 2.00                                                 0.180

        The same prompt on your own: laptop (llama-3.1-8b) - another model, other answers
          0.278 Wh, 0.00278 cents of electricity, 0.111 g CO2e
          first word after 2.00 s, all after 40.0 s

        The road emitted as much as 0.128 car trips from New York to Boston (87 kg each, EPA 2023)
        and used as much electricity as 0.00260 US homes in a year (10,715 kWh each, EIA 2020).

        The drives emitted as much as 0.146 car trips from New York to Boston (87 kg each, EPA 2023)
        and used as much electricity as 0.00296 US homes in a year (10,715 kWh each, EIA 2020).
        One such car trip is 2,746 drives.
    "#]]
    .assert_eq(&table);
}

#[test]
fn json_says_what_the_files_say() {
    let json: serde_json::Value = serde_json::from_str(&report::json(&small_world(1.0))).expect("one JSON object");
    with_results(|dir| {
        for (key, file) in [("summary", "summary.csv"), ("comparison", "comparison.csv")] {
            let (said, written) = (json[key].as_array().expect("rows"), rows(dir, file));
            assert_eq!(said.len(), written.len(), "{file}");
            for (said, written) in said.iter().zip(written) {
                for (column, cell) in written {
                    let same = match &said[&column] {
                        serde_json::Value::Null => cell.is_empty(),
                        serde_json::Value::Number(number) => number.as_f64() == cell.parse().ok(),
                        value => value.as_str() == Some(&cell),
                    };
                    assert!(same, "{file} {column}: {} against {cell}", said[&column]);
                }
            }
        }
    });
}
