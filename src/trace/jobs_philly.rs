//! The Philly jobs as TitanSched lists them (gaow0007/TitanSched, from msr-fiddle/philly-traces, CC BY 4.0):
//! `timestamp,duration,num_gpus,gpu_time,cluster`, times without zone, durations in seconds, **not** sorted. How a job ended is
//! not in the list: all count as completed. Classes are sizes; owners are the virtual clusters.

use super::jobs::{Gathered, JobEnd, JobRow, LoadedJobs, RawJob, find_columns};
use super::{TraceError, lines};
use crate::units::Span;
use jiff::civil::DateTime;
use std::path::Path;

const COLUMNS: [&str; 4] = ["timestamp", "duration", "num_gpus", "cluster"];
const TIME: usize = 0;
const DURATION: usize = 1;
const GPUS: usize = 2;
const CLUSTER: usize = 3;

/// The classes: one GPU, part of a server of eight, whole servers.
const CLASSES: [&str; 3] = ["single_gpu", "part_of_a_server", "whole_servers"];

/// Reads the Philly list, in one streaming pass.
///
/// # Errors
/// The first thing wrong: an unreadable or empty file, a missing column, a cell that is no time, duration or count, or no job left
/// after drops.
pub fn philly(path: &Path) -> Result<LoadedJobs, TraceError> {
    let mut csv = lines::reader(path)?;
    let columns = find_columns(path, csv.headers().map_err(|error| TraceError::reading(path, &error))?, COLUMNS)?;
    let mut gathered = Gathered { classes: CLASSES.map(str::to_owned).to_vec(), ..Gathered::default() };
    let mut record = csv::StringRecord::new();
    while let Some(line) = lines::read(&mut csv, path, &mut record)? {
        take(&JobRow { path, line, record: &record, columns: &columns }, &mut gathered)?;
    }
    gathered.finish(path, csv.get_ref().hash())
}

fn take(row: &JobRow<'_>, gathered: &mut Gathered) -> Result<(), TraceError> {
    gathered.rows += 1;
    let submit = row.parse(TIME, "a time without zone such as 2017-10-09 07:01:55", time)?;
    let run = row.parse(DURATION, "a duration in seconds", duration)?;
    let gpus: u32 = row.parse(GPUS, "a whole number of GPUs", |text| text.parse().ok())?;
    if gpus == 0 {
        gathered.dropped.no_gpus += 1;
    } else if run == Span::ZERO {
        gathered.dropped.no_time += 1;
    } else {
        let class = match gpus {
            1 => 0,
            2..=7 => 1,
            _ => 2,
        };
        let owner = gathered.owners.number(row.cell(CLUSTER)?);
        gathered.jobs.push(RawJob { submit, gpus, run, end: JobEnd::Completed, class, owner });
    }
    Ok(())
}

fn time(text: &str) -> Option<i128> {
    let time: DateTime = text.parse().ok()?;
    Some(time.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_nanos())
}

/// Seconds with or without decimals, fewer than a century's.
fn duration(text: &str) -> Option<Span> {
    const CENTURY: f64 = 3_155_760_000.0;
    let seconds: f64 = text.parse().ok()?;
    (0.0..CENTURY).contains(&seconds).then(|| Span::from_secs_f64(seconds))
}
