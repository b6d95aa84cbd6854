//! The commands behind `main`: what is printed, the clock, threads, progress.

mod calibrate;
mod check;
mod compare;
mod interrupt;
mod repeat;
mod run;
mod shards;
mod sweep;
mod trace;
mod usage;
mod validate;

pub(crate) use calibrate::{CalibrateArguments, calibrate};
pub(crate) use check::{CheckArguments, check, list, schema};
pub(crate) use compare::{CompareArguments, compare_results};
pub(crate) use run::{RunArguments, run};
pub(crate) use sweep::{SweepArguments, sweep};
pub(crate) use trace::{TraceCommand, trace};
pub(crate) use validate::validate;

use std::io::{ErrorKind, IsTerminal, Write};
use tollway::scenario::Complaints;
use tollway::sweep::catches_panics;

/// All went well.
pub(crate) const DONE: u8 = 0;
/// The fault is ours.
pub(crate) const OUR_FAULT: u8 = 1;
/// The input is wrong; nothing was written.
pub(crate) const BAD_INPUT: u8 = 2;
/// A published case lies outside its band.
pub(crate) const OUTSIDE: u8 = 3;
/// Some runs failed or are missing; the others are there.
pub(crate) const INCOMPLETE: u8 = 3;
/// Stopped from outside; the same command goes on (EX_TEMPFAIL of sysexits.h).
pub(crate) const INTERRUPTED: u8 = 75;

/// Says all that is wrong with the input, in colour on a terminal.
pub(crate) fn complain(complaints: &Complaints) -> u8 {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if colour { complaints.coloured() } else { complaints.to_string() };
    eprintln!("{text}");
    BAD_INPUT
}

/// Writes to standard output; a reader that has seen enough is no fault.
pub(crate) fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => DONE,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => DONE,
        Err(error) => {
            eprintln!("error: cannot write to standard output: {error}");
            OUR_FAULT
        }
    }
}

/// Says on a panic whose fault it is, and ends with the exit code for it.
pub(crate) fn own_up_to_panics() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A run of a sweep may fail alone.
        if !catches_panics() {
            tell(panic);
            eprintln!("{OWN_UP}");
            std::process::exit(i32::from(OUR_FAULT));
        }
    }));
}

/// Whose fault a panic is.
const OWN_UP: &str = "This is a fault of tollway, not of the scenario. Please report it with the scenario file.";
