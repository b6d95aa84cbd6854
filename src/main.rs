//! The `tollway` command: arguments and exit codes. What it prints lives in `cli`, what it does in the library.

mod cli;

use clap::{Parser, Subcommand};
use cli::{CalibrateArguments, CheckArguments, CompareArguments, RunArguments, SweepArguments, TraceCommand};
use std::process::ExitCode;
use tollway::scenario::LISTS;

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
    Run(RunArguments),
    /// Vary values of a scenario, run all combinations, and compare them.
    Sweep(SweepArguments),
    /// Show how one result differs from another: two runs, or two cells of sweeps.
    Compare(CompareArguments),
    /// Replay published cases and print published against simulated.
    Validate {
        /// Cases by name; all where none is given.
        #[arg(value_name = "CASE")]
        cases: Vec<String>,
    },
    /// Fit step-time and power coefficients to your own benchmark and print a section to paste.
    Calibrate(CalibrateArguments),
    /// Look into people's traces.
    #[command(subcommand)]
    Trace(TraceCommand),
    /// Check scenario files and say all that is wrong with them.
    Check(CheckArguments),
    /// List what a scenario can name, each with its source.
    List {
        /// One list only.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(LISTS))]
        kind: Option<String>,
    },
    /// Print the JSON schema of scenario files, for editors.
    Schema,
}

fn main() -> ExitCode {
    cli::own_up_to_panics();
    ExitCode::from(match Arguments::parse().command {
        Command::Run(arguments) => cli::run(&arguments),
        Command::Sweep(arguments) => cli::sweep(&arguments),
        Command::Compare(arguments) => cli::compare_results(&arguments),
        Command::Validate { cases } => cli::validate(&cases),
        Command::Calibrate(arguments) => cli::calibrate(&arguments),
        Command::Trace(command) => cli::trace(&command),
        Command::Check(arguments) => cli::check(&arguments),
        Command::List { kind } => cli::list(kind.as_deref()),
        Command::Schema => cli::schema(),
    })
}
