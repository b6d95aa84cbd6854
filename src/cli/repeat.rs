//! How many replications a command runs: `--replications 20`, or `--replications 20..400 --until ettr=0.005`.

use clap::Args;
use std::num::NonZeroU64;
use tollway::Stopping;
use tollway::ledger::Goal;

/// How many replications to run.
#[derive(Debug, Args)]
pub(super) struct Repeat {
    /// Run so many replications, each with chance of its own; with --until, at least and at most so many. By default 1, or in a
    /// sweep what the sweep file says.
    #[arg(long, value_name = "N or MIN..MAX")]
    replications: Option<Replicate>,
    /// Go on until the 95 % interval of a figure's mean is that narrow to each side, such as ettr=0.005 or
    /// training.pretrain/cost@B4=0.5%; may be repeated. In a sweep each cell goes on by itself.
    #[arg(long, value_name = "METRIC=HALF_WIDTH")]
    until: Vec<Goal>,
}

/// How many replications: `20`, or `20..400`.
#[derive(Debug, Clone, Copy)]
struct Replicate {
    min: NonZeroU64,
    max: NonZeroU64,
}

impl std::str::FromStr for Replicate {
    type Err = String;
    fn from_str(text: &str) -> Result<Replicate, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let count = |text: &str| {
            text.trim()
                .parse()
                .map_err(|_| format!("expected a number above zero or a range such as 20..400, found {text:?}"))
        };
        let range = Replicate { min: count(min)?, max: count(max)? };
        if range.min > range.max {
            return Err(format!("{} is more than {}: write the smaller number first", range.min, range.max));
        }
        Ok(range)
    }
}

impl Repeat {
    /// When enough replications have run, where that is said; or what contradicts itself.
    pub(super) fn stopping(&self) -> Result<Option<Stopping>, &'static str> {
        let Some(Replicate { min, max }) = self.replications else {
            return if self.until.is_empty() { Ok(None) } else { Err(NO_RANGE) };
        };
        match (min == max, self.until.is_empty()) {
            (true, false) => Err(NO_RANGE),
            (false, true) => Err("--replications with a range needs --until, such as --until ettr=0.005"),
            _ => Ok(Some(Stopping { min, max, goals: self.until.clone() })),
        }
    }
}

const NO_RANGE: &str = "--until needs a range to stop in, such as --replications 20..400";
