//! `tollway check`, `list` and `schema`: what a scenario may say.

use super::{DONE, complain, print};
use clap::Args;
use std::path::PathBuf;
use tollway::scenario;

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Scenario files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change a value, such as training.pretrain.tokens=1e9; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// Says all that is wrong with each file.
pub(crate) fn check(arguments: &CheckArguments) -> u8 {
    let mut outcome = DONE;
    for file in &arguments.files {
        outcome = outcome.max(match scenario::load(file, &arguments.sets) {
            Ok(_) => print(&format!("{}: fine\n", file.display())),
            Err(complaints) => complain(&complaints),
        });
    }
    outcome
}

/// Prints the catalog and the policies, each entry with its source.
pub(crate) fn list(kind: Option<&str>) -> u8 {
    let rows = scenario::list(kind);
    let width = |kind| rows.iter().filter(|row| row.kind == kind).map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut heading = "";
    for row in &rows {
        if heading != row.kind {
            let gap = if heading.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", row.kind));
            heading = row.kind;
        }
        text.push_str(&format!("  {:width$}  {}\n", row.name, row.source, width = width(row.kind)));
    }
    print(&text)
}

/// Prints the JSON schema of scenario files.
pub(crate) fn schema() -> u8 {
    print(&format!("{:#}\n", scenario::schema()))
}
