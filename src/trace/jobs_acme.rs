//! Job traces of the Acme clusters (InternLM/AcmeTrace, CC BY 4.0): `job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,
//! start_time,end_time,…`, columns by name, since one variant inserts some. Times carry an offset, `+08:00` or `+00:00`. A job
//! runs from its start to its end: the column `duration` is not always that.

use super::jobs::{Gathered, JobEnd, JobRow, LoadedJobs, Names, RawJob, find_columns};
use super::{TraceError, lines};
use crate::units::Span;
use std::path::Path;

const COLUMNS: [&str; 7] = ["user", "gpu_num", "type", "state", "submit_time", "start_time", "end_time"];
const USER: usize = 0;
const GPUS: usize = 1;
const TYPE: usize = 2;
const STATE: usize = 3;
const SUBMIT: usize = 4;
const START: usize = 5;
const END: usize = 6;

/// Reads a job trace in the format of Acme, in one streaming pass. Its classes are the types of its jobs.
///
/// # Errors
/// The first thing wrong: an unreadable or empty file, a missing column, a cell that is no time, count or state, or no job left
/// after drops.
pub fn acme(path: &Path) -> Result<LoadedJobs, TraceError> {
    let mut csv = lines::reader(path)?;
    let columns = find_columns(path, csv.headers().map_err(|error| TraceError::reading(path, &error))?, COLUMNS)?;
    let (mut gathered, mut classes) = (Gathered::default(), Names::default());
    let mut record = csv::StringRecord::new();
    while let Some(line) = lines::read(&mut csv, path, &mut record)? {
        take(&JobRow { path, line, record: &record, columns: &columns }, &mut gathered, &mut classes)?;
    }
    gathered.classes = classes.into_vec();
    gathered.finish(path, csv.get_ref().hash())
}

fn take(row: &JobRow<'_>, gathered: &mut Gathered, classes: &mut Names) -> Result<(), TraceError> {
    gathered.rows += 1;
    let gpus: u32 = row.parse(GPUS, "a whole number of GPUs", |text| text.parse().ok())?;
    let end = row.parse(STATE, "COMPLETED, CANCELLED, FAILED, TIMEOUT or NODE_FAIL", state)?;
    let submit = row.parse(SUBMIT, OFFSET_TIME, time)?;
    let times = [START, END].map(|column| row.cell(column).map(|text| !text.is_empty()));
    let ran = times.into_iter().collect::<Result<Vec<bool>, _>>()?.iter().all(|&there| there);
    if gpus == 0 {
        gathered.dropped.no_gpus += 1;
        return Ok(());
    }
    if !ran {
        gathered.dropped.never_ran += 1;
        return Ok(());
    }
    let (started, ended) = (row.parse(START, OFFSET_TIME, time)?, row.parse(END, OFFSET_TIME, time)?);
    match u64::try_from(ended - started) {
        Ok(run) if run > 0 => {
            let class = classes.number(row.cell(TYPE)?);
            let owner = gathered.owners.number(row.cell(USER)?);
            gathered.jobs.push(RawJob { submit, gpus, run: Span::from_nanos(run), end, class, owner });
        }
        _ => gathered.dropped.no_time += 1,
    }
    Ok(())
}

/// What a time looks like.
const OFFSET_TIME: &str = "a time with offset such as 2023-03-01 00:18:22+08:00";

fn time(text: &str) -> Option<i128> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

fn state(text: &str) -> Option<JobEnd> {
    Some(match text {
        "COMPLETED" => JobEnd::Completed,
        "CANCELLED" => JobEnd::Cancelled,
        "FAILED" => JobEnd::Failed,
        "TIMEOUT" => JobEnd::TimedOut,
        "NODE_FAIL" => JobEnd::NodeFailed,
        _ => return None,
    })
}
