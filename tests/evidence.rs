//! Published cases: each row's standing, and the same figure from `validate` and from `run`.

use std::collections::BTreeSet;
use std::path::Path;
use tollway::evidence::{self, CASES, Standing, facts};
use tollway::scenario;

/// Ids of a table of published facts, where it lies next to the checkout.
fn given(file: &str) -> Option<BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts").join(file);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_path(path).expect("a table");
    Some(reader.records().map(|row| row.expect("a row")[0].to_owned()).collect())
}

#[test]
fn every_published_row_has_a_standing() {
    for (table, file) in [("training", "training_validation.csv"), ("energy", "energy_validation.csv")] {
        let listed: BTreeSet<String> =
            facts().filter(|fact| fact.table == table).map(|fact| fact.id.to_owned()).collect();
        assert!(listed.len() > 50, "{table}: {} rows", listed.len());
        if let Some(given) = given(file) {
            assert_eq!(listed, given, "{table}");
        }
    }
    assert!(facts().all(|fact| !fact.reason.is_empty()));
}

#[test]
fn what_is_called_reproduced_has_a_case_that_simulates_it() {
    let mut simulated = BTreeSet::new();
    for case in CASES {
        let scenario = scenario::parse(case.name, case.text).expect("a published case is sound");
        let published = scenario.published.iter().filter(|published| published.kind == scenario::Kind::Reproduced);
        simulated.extend(published.flat_map(|published| [published.id.clone(), case.name.to_owned()]));
    }
    let claimed = facts().filter(|fact| fact.standing == Standing::Reproduced);
    let without: Vec<&str> = claimed.map(|fact| fact.id).filter(|id| !simulated.contains(*id)).collect();
    assert_eq!(without, [""; 0], "called reproduced without a case");
}

#[test]
fn every_case_lies_in_its_band() {
    for case in CASES {
        let scenario = scenario::parse(case.name, case.text).expect("a published case is sound");
        let findings = evidence::replay(&scenario);
        assert!(!findings.is_empty(), "{} publishes nothing", case.name);
        for finding in findings {
            assert!(finding.passes(), "{}: {finding:?}", case.name);
        }
    }
}

#[test]
fn every_file_is_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/validate");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("readable").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, CASES.iter().map(|case| case.name.to_owned()).collect());
}
