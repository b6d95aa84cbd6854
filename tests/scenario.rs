//! Scenario files: what is wrong with the bad ones, word for word, and that the good ones are good.

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tollway::scenario;
use tollway::units::*;

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// `--set` arguments of a bad file: its comment lines `# --set path=value`.
fn sets(file: &Path) -> Vec<String> {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    text.lines().filter_map(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect()
}

/// Every `tests/bad/NAME.toml` is refused with exactly the words of `NAME.stderr`; `UPDATE_GOLDEN=1` writes them anew.
#[test]
fn bad_scenarios_are_refused_in_these_words() {
    let bad = files("tests/bad", "toml");
    assert!(bad.len() >= 40, "{} bad scenarios are too few", bad.len());
    let mut wrong = Vec::new();
    for file in bad {
        let said = match scenario::load(&file, &sets(&file)) {
            Ok(_) => format!("{} was accepted", file.display()),
            Err(complaints) => complaints.to_string(),
        };
        let golden = file.with_extension("stderr");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, format!("{said}\n")).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if expected.trim_end() != said {
            wrong.push(format!("--- {}\nexpected:\n{expected}\nsaid:\n{said}\n", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_message_is_one_sentence_with_a_place() {
    for file in files("tests/bad", "stderr") {
        let text = std::fs::read_to_string(&file).unwrap();
        for message in text.split("\n\n") {
            assert!(message.starts_with("error: "), "{}: {message}", file.display());
            assert!(!message.contains("struct "), "{} speaks Rust: {message}", file.display());
        }
    }
}

/// The merged tree of a good scenario as JSON, through the manifest.
fn as_json(text: &str) -> serde_json::Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

fn shipped() -> Vec<PathBuf> {
    [files("scenarios", "toml"), files("scenarios/validate", "toml")].concat()
}

#[test]
fn shipped_scenarios_are_good() {
    for file in shipped() {
        let scenario = scenario::load(&file, &[]).unwrap_or_else(|complaints| panic!("{complaints}"));
        assert_eq!(Some(scenario.name.as_str()), file.file_stem().and_then(|stem| stem.to_str()));
    }
}

#[test]
fn the_schema_accepts_shipped_scenarios_and_no_unknown_key() {
    let validator = jsonschema::validator_for(&scenario::schema()).unwrap();
    for file in shipped() {
        let json = as_json(&std::fs::read_to_string(&file).unwrap());
        let errors: Vec<String> =
            validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
        for place in ["", "/timeline", "/cluster/main"] {
            let mut wrong = json.clone();
            if let Some(table) = wrong.pointer_mut(place).and_then(serde_json::Value::as_object_mut) {
                table.insert("nodez".to_owned(), 1.into());
                assert!(!validator.is_valid(&wrong), "{}: an unknown key in {place:?} was accepted", file.display());
            }
        }
    }
}

#[test]
fn the_manifest_is_a_scenario_that_gives_the_same_manifest() {
    let folder = tempfile::tempdir().unwrap();
    for file in shipped() {
        let scenario = scenario::load(&file, &["seed=7".to_owned()]).unwrap();
        assert!(scenario.manifest.contains("seed = 7\n"));
        let copy = folder.path().join("copy.toml");
        std::fs::write(&copy, &scenario.manifest).unwrap();
        std::fs::create_dir_all(folder.path().join("fixtures")).unwrap();
        for fixture in files("scenarios/fixtures", "csv") {
            std::fs::copy(&fixture, folder.path().join("fixtures").join(fixture.file_name().unwrap())).unwrap();
        }
        let again = scenario::load(&copy, &[]).unwrap_or_else(|complaints| panic!("{complaints}"));
        assert_eq!(again.manifest, scenario.manifest);
    }
}

#[test]
fn a_set_value_replaces_the_choice_that_stood_there() {
    let good = Path::new("tests/bad/base/good.toml");
    let manifest = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        scenario::load(good, &sets).unwrap_or_else(|complaints| panic!("{complaints}")).manifest
    };
    for set in [
        "service.chat.arrivals={poisson={rate=\"3 /s\",prompt=9,output=9}}",
        "service.chat.arrivals.poisson={rate=\"3 /s\",prompt=9,output=9}",
    ] {
        let text = manifest(&[set]);
        assert!(text.contains("service.chat.arrivals.poisson.prompt = 9\n"), "{text}");
        assert!(!text.contains("service.chat.arrivals.chat"), "{text}");
    }
    assert!(manifest(&["duration=1 d"]).contains("duration = \"1 d\"\n"));
    assert!(manifest(&["training.pretrain.tokens=1e9"]).contains("training.pretrain.tokens = 1000000000.0\n"));
    assert!(manifest(&["start=2026-03-01T00:00:00Z"]).contains("start = \"2026-03-01T00:00:00Z\"\n"));
    for (kind, old) in [
        ("tariff.time_of_use={zone=\"America/Chicago\",base=\"$0.10/kWh\"}", "tariff.flat"),
        ("grid=\"bpat\"", "erco"),
        ("grid.flat=\"50 gCO2e/kWh\"", "erco"),
    ] {
        let text = manifest(&[&format!("site.home.{kind}")]);
        assert!(text.contains(kind.split(['=', '{']).next().unwrap()) && !text.contains(old), "{text}");
    }
    let speed = manifest(&["training.pretrain.ideal=20 d"]);
    assert!(speed.contains("pretrain.ideal") && !speed.contains("pretrain.mfu"), "{speed}");
}

/// A scenario that extends another may change the kind of its tariff and of its grid.
#[test]
fn a_scenario_may_change_the_kind_of_a_market_below_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy("tests/bad/base/good.toml", folder.path().join("good.toml")).unwrap();
    let above = folder.path().join("above.toml");
    let text = "extends = \"good.toml\"\n[site.home]\ngrid = { flat = \"50 gCO2e/kWh\" }\n\
        tariff = { time_of_use = { zone = \"UTC\", base = \"$0.10/kWh\" } }\n";
    std::fs::write(&above, text).unwrap();
    let top = folder.path().join("top.toml");
    let text = "extends = \"above.toml\"\n[site.home]\ngrid = { constant = { direct = \"40 gCO2e/kWh\" } }\n\
        tariff = { flat = \"$0.20/kWh\" }\n";
    std::fs::write(&top, text).unwrap();
    let manifest = scenario::load(&top, &[]).unwrap_or_else(|complaints| panic!("{complaints}")).manifest;
    assert!(manifest.contains("site.home.grid.constant.direct") && !manifest.contains("grid.flat"), "{manifest}");
    assert!(
        manifest.contains("site.home.tariff.flat = \"$0.20/kWh\"") && !manifest.contains("time_of_use"),
        "{manifest}"
    );
}

/// Prints what it read, and reads what it printed, to the nine digits that are printed.
fn round_trips<T: std::str::FromStr<Err = QuantityError> + std::fmt::Display>(text: &str) {
    let read: T = text.parse().unwrap_or_else(|error| panic!("{error}"));
    let printed = read.to_string();
    let again: T = printed.parse().unwrap_or_else(|error| panic!("{text} was printed as {printed}: {error}"));
    assert_eq!(again.to_string(), printed, "from {text}");
}

proptest! {
    #[test]
    fn no_text_makes_a_quantity_panic(text in "\\PC{0,24}") {
        let _ = text.parse::<Span>();
        let _ = text.parse::<Share>();
        let _ = text.parse::<DollarsPerKwh>();
        let _ = text.parse::<Tokens>();
        let _ = text.parse::<PerSecond>();
    }

    #[test]
    fn quantities_are_printed_as_they_are_read(number in 0.0_f64..1e6) {
        round_trips::<Span>(&format!("{number} s"));
        round_trips::<Watts>(&format!("{number} kW"));
        round_trips::<Bytes>(&format!("{number} GB"));
        round_trips::<Tokens>(&format!("{number} M"));
        round_trips::<Dollars>(&format!("${number}"));
        round_trips::<DollarsPerKwh>(&format!("${number}/kWh"));
        round_trips::<DollarsPerHour>(&format!("${number}/h"));
        round_trips::<DollarsPerKw>(&format!("${number}/kW"));
        round_trips::<GramsPerKwh>(&format!("{number} gCO2e/kWh"));
        round_trips::<LitresPerKwh>(&format!("{number} L/kWh"));
        round_trips::<FlopsPerSecond>(&format!("{number} TFLOP/s"));
        round_trips::<BytesPerSecond>(&format!("{number} GB/s"));
        round_trips::<Ratio>(&format!("{number}"));
        round_trips::<Share>(&format!("{}", number / 1e6));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~\n]{0,120}") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("any.toml");
        std::fs::write(&file, &text).unwrap();
        let _ = scenario::load(&file, &[]);
    }

    #[test]
    fn no_set_makes_the_parser_panic(set in "\\PC{0,40}") {
        let _ = scenario::load(Path::new("scenarios/highway.toml"), &[set]);
    }
}
