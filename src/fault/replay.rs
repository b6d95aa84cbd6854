//! The faults of a file, as the queue replays them.

use super::burst::Fault;
use super::symptom::Symptom;
use crate::trace::{FaultRow, FaultTrace, TraceError};
use crate::units::{PerSecond, Span};
use crate::world::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// `failures = { trace = { csv = { path = "faults.csv" } } }`: the faults of a file, at their times, on their nodes, each back when the
/// file says.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultFile {
    /// Our own format, which results have, too: `node,start_s,end_s,class,domain,planned`.
    Csv(FaultPath),
    /// StepFun's (stepfun-ai/InfiniteHBD-Trace `fault_trace.json`); servers are numbered in the order of their first fault.
    Stepfun(FaultPath),
}

/// Where a trace lies.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultPath {
    /// Its path, from the scenario's folder.
    pub path: String,
}

impl FaultFile {
    /// Name of the format and path of the file.
    #[must_use]
    pub fn file(&self) -> (&'static str, &str) {
        match self {
            FaultFile::Csv(file) => ("csv", &file.path),
            FaultFile::Stepfun(file) => ("stepfun", &file.path),
        }
    }

    /// Reads it, for `cluster`.
    ///
    /// # Errors
    /// The first thing wrong with the file.
    pub fn read(&self, path: &Path, cluster: &str) -> Result<FaultTrace, TraceError> {
        match self {
            FaultFile::Csv(_) => FaultTrace::csv(path, cluster),
            FaultFile::Stepfun(_) => FaultTrace::stepfun(path),
        }
    }
}

/// Faults to replay, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    pub(super) faults: Arc<[Fault]>,
    rate: PerSecond,
}

impl Replay {
    /// The faults of `trace` in a cluster of `nodes` nodes; rows that start together in one domain are one fault.
    ///
    /// # Errors
    /// The name of a domain that there is not.
    pub fn new(trace: &FaultTrace, nodes: u32) -> Result<Replay, String> {
        let mut faults: Vec<Fault> = Vec::new();
        for row in &trace.rows {
            let domain = domain_of(row)?;
            let repair = row.end.map(|end| end.since(row.start));
            match faults.last_mut() {
                Some(last) if (last.at, last.domain) == (row.start, domain) && domain > Domain::Node => {
                    last.nodes.push(row.node);
                    last.repairs.push(repair);
                }
                _ => faults.push(Fault {
                    at: row.start,
                    domain,
                    nodes: vec![row.node],
                    repair,
                    repairs: vec![repair],
                    symptom: if row.hangs { Symptom::Hang } else { Symptom::Explicit },
                }),
            }
        }
        faults.iter_mut().for_each(in_order);
        let length = trace.rows.last().map_or(0.0, |row| row.start.as_secs_f64()).max(1.0);
        let rate = PerSecond::new(trace.rows.len() as f64 / length / f64::from(nodes));
        Ok(Replay { faults: faults.into(), rate })
    }

    /// Failures of one node.
    pub(super) fn rate(&self) -> PerSecond {
        self.rate
    }
}

/// Its nodes ascend, and their repairs go with them.
fn in_order(fault: &mut Fault) {
    let mut pairs: Vec<(u32, Option<Span>)> = fault.nodes.iter().copied().zip(fault.repairs.drain(..)).collect();
    pairs.sort_unstable();
    fault.nodes = pairs.iter().map(|&(node, _)| node).collect();
    if pairs.iter().any(|&(_, repair)| repair != fault.repair) {
        fault.repairs = pairs.into_iter().map(|(_, repair)| repair).collect();
    }
}

fn domain_of(row: &FaultRow) -> Result<Domain, String> {
    if row.domain.is_empty() {
        return Ok(Domain::Node);
    }
    let found = Domain::ALL.into_iter().find(|domain| domain.name() == row.domain);
    found.ok_or_else(|| row.domain.clone())
}
