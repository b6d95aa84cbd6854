//! The command line: what goes where, and exit codes.

use std::process::{Command, Output};

fn tollway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollway")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn check_is_silent_about_good_files_but_for_a_word() {
    let output = tollway(&["check", "scenarios/highway.toml", "scenarios/azure-replay.toml"]);
    assert_eq!(stderr(&output), "");
    assert_eq!(stdout(&output), "scenarios/highway.toml: fine\nscenarios/azure-replay.toml: fine\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_complains_on_standard_error_without_colour_and_exits_with_2() {
    let output = tollway(&["check", "tests/bad/unknown-key.toml"]);
    assert_eq!(stderr(&output), std::fs::read_to_string("tests/bad/unknown-key.stderr").unwrap());
    assert_eq!((stdout(&output).as_str(), output.status.code()), ("", Some(2)));
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let output = tollway(&["check", "tests/bad/unknown-key.toml", "scenarios/highway.toml", "nowhere.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "scenarios/highway.toml: fine\n");
    assert!(stderr(&output).contains("unknown key `nodez`"), "{}", stderr(&output));
    assert!(stderr(&output).contains("error: there is no file nowhere.toml"), "{}", stderr(&output));
}

#[test]
fn a_folder_is_no_scenario() {
    let output = tollway(&["check", "scenarios"]);
    assert_eq!(
        (stderr(&output).as_str(), output.status.code()),
        ("error: scenarios is a folder, not a file\n", Some(2))
    );
}

#[test]
fn set_reaches_every_file() {
    let output = tollway(&["check", "scenarios/highway.toml", "--set", "training.pretrain.mfu=1.4"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--set:1:23"), "{}", stderr(&output));
}

#[test]
fn bad_arguments_exit_with_2() {
    for arguments in [&["drive"][..], &["check"], &["list", "cars"], &["run"], &["run", "x.toml", "--threads", "0"]] {
        assert_eq!(tollway(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn goals_that_cannot_be_met_are_said_before_anything_is_written() {
    let case = "scenarios/validate/rsc1-rate.toml";
    for (arguments, words) in [
        (&["--replications", "5", "--until", "ettr=0.1"][..], "--until needs a range to stop in"),
        (&["--replications", "5..9"], "--replications with a range needs --until"),
        (&["--replications", "9..5", "--until", "ettr=0.1"], "9 is more than 5"),
        (&["--replications", "2..3", "--until", "etr=0.1"], "--until etr=0.1: no figure of rsc1-rate is named so"),
        (&["--replications", "2..3", "--until", "ettr"], "expected METRIC=HALF_WIDTH"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let output = tollway(&[&["run", case, "--out", out.to_str().unwrap()], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert!(!out.exists(), "{arguments:?}");
    }
}

#[test]
fn list_names_every_kind_with_its_source() {
    let all = stdout(&tollway(&["list"]));
    for kind in tollway::scenario::LISTS {
        let one = stdout(&tollway(&["list", kind]));
        assert!(one.starts_with(kind), "{one}");
        assert!(all.contains(&one), "the list of {kind} is part of the whole list");
        assert!(one.lines().skip(1).all(|line| line.trim_start().contains("  ")), "each line of {one} has a source");
    }
    assert!(all.contains("h100-sxm") && all.contains("least_loaded"), "{all}");
}

#[test]
fn schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&stdout(&tollway(&["schema"]))).unwrap();
    assert!(schema.pointer("/properties/training").is_some());
}
