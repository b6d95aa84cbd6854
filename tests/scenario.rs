//! Scenario files: what is wrong with the bad ones, word for word, and that the good ones are good.

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use tollway::scenario;

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

proptest! {
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
