//! Faults of a real fleet: our own CSV, `node,start_s,end_s,class,domain,planned`, and StepFun's JSON
//! (stepfun-ai/InfiniteHBD-Trace `fault_trace.json`).

use super::error::names;
use super::lines::Hashed;
use super::{TraceError, lines};
use crate::units::{SimTime, Span};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Faults in order of their starts.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultTrace {
    /// Those that were kept.
    pub rows: Vec<FaultRow>,
    /// Rows of a fault already known: the same node again within five minutes, in a file that is no result of ours.
    pub merged: u64,
    /// Planned stops, which are no faults.
    pub planned: u64,
    /// BLAKE3 of the file's bytes.
    pub hash: blake3::Hash,
}

/// One node that is down for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRow {
    /// Which.
    pub node: u32,
    /// Since when.
    pub start: SimTime,
    /// Until when; `None` where the file does not say.
    pub end: Option<SimTime>,
    /// What broke, in the words of `cluster.<name>.bursts`; empty or `node` where the node itself did.
    pub domain: String,
    /// Whether nothing says what stands still: class `hang`.
    pub hangs: bool,
}

/// Symptoms of one fault come within this time of each other (assumed).
const MERGE: Span = Span::from_secs(300);

const COLUMNS: [&str; 6] = ["node", "start_s", "end_s", "class", "domain", "planned"];

impl FaultTrace {
    /// Reads our own format. A file with a column `cluster` beside the six, as results have it, gives the rows of `cluster`, none merged. A
    /// row of class `hang` is one; what else a class says is for people.
    ///
    /// # Errors
    /// The first thing wrong: an unreadable file, a missing column, a cell that is no number, an end before its start.
    pub fn csv(path: &Path, cluster: &str) -> Result<FaultTrace, TraceError> {
        let mut csv = lines::reader(path)?;
        let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
        let line = lines::header(&csv);
        let place = |name: &str| header.iter().position(|column| column == name);
        let mut places = [0; COLUMNS.len()];
        for (slot, name) in places.iter_mut().zip(COLUMNS) {
            let found = || format!("the header {}", names(&header));
            *slot = place(name).ok_or_else(|| TraceError::line(path, line, found(), format!("a column {name}")))?;
        }
        let (mut rows, mut planned) = (Vec::new(), 0);
        let mut record = csv::StringRecord::new();
        while let Some(line) = lines::read(&mut csv, path, &mut record)? {
            let cell = |slot: usize| record.get(places[slot]).unwrap_or_default();
            let wrong = |slot: usize, expected: &str| {
                TraceError::line(path, line, format!("{:?}", cell(slot)), expected).in_column(COLUMNS[slot])
            };
            if place("cluster").is_some_and(|slot| record.get(slot) != Some(cluster)) {
                continue;
            }
            let node = cell(0).parse::<u32>().map_err(|_| wrong(0, "a node number"))?;
            let start = seconds(cell(1)).ok_or_else(|| wrong(1, "seconds of zero or more"))?;
            let end = match cell(2) {
                "" => None,
                text => {
                    Some(seconds(text).filter(|end| *end >= start).ok_or_else(|| wrong(2, "seconds after the start"))?)
                }
            };
            match cell(5) {
                "" | "0" | "false" => {
                    rows.push(FaultRow { node, start, end, domain: cell(4).to_owned(), hangs: cell(3) == "hang" })
                }
                "1" | "true" => planned += 1,
                _ => return Err(wrong(5, "true or false")),
            }
        }
        // Results have each fault once, however soon it comes again.
        let merge = if place("cluster").is_some() { Span::ZERO } else { MERGE };
        Ok(FaultTrace::of(rows, planned, csv.get_ref().hash(), merge))
    }

    /// Reads StepFun's format: starts and ends of faults, paired by node and type in order. Servers are numbered in the order of
    /// their first fault; those that never failed are not in the file.
    ///
    /// # Errors
    /// The first thing wrong: an unreadable file, no such JSON, a time that is no number of days, an end without a start.
    pub fn stepfun(path: &Path) -> Result<FaultTrace, TraceError> {
        let mut text = Hashed::open(path)?;
        let events: Vec<StepFunEvent> =
            serde_json::from_reader(std::io::BufReader::new(&mut text)).map_err(|error| {
                TraceError::line(
                    path,
                    error.line() as u64,
                    error.to_string(),
                    "an array of fault events as StepFun has them",
                )
            })?;
        let (mut nodes, mut open, mut rows) = (BTreeMap::new(), BTreeMap::new(), Vec::<FaultRow>::new());
        for event in events {
            let at = Span::from_secs_f64(event.event_time * 86_400.0);
            if !(0.0..=100_000.0).contains(&event.event_time) {
                return Err(TraceError::file(
                    path,
                    format!("an event_time of {}", event.event_time),
                    "days since the first event",
                ));
            }
            let count = nodes.len() as u32;
            let node = *nodes.entry(event.node_id).or_insert(count);
            let key = (node, event.fault_type.level, event.fault_type.class, event.fault_type.desc);
            let queue: &mut std::collections::VecDeque<usize> = open.entry(key).or_default();
            if event.event_type == "fault_start" {
                queue.push_back(rows.len());
                let start = SimTime::ZERO + at;
                rows.push(FaultRow { node, start, end: None, domain: String::new(), hangs: false });
            } else {
                let started = queue.pop_front();
                let row = started.ok_or_else(|| {
                    TraceError::file(path, "a fault that ends before it starts", "pairs of starts and ends")
                })?;
                rows[row].end = Some(SimTime::ZERO + at);
            }
        }
        Ok(FaultTrace::of(rows, 0, text.hash(), MERGE))
    }

    fn of(mut rows: Vec<FaultRow>, planned: u64, hash: blake3::Hash, merge: Span) -> FaultTrace {
        rows.sort_by(|a, b| (a.start, &a.domain, a.end, a.node).cmp(&(b.start, &b.domain, b.end, b.node)));
        let all = rows.len();
        let mut last = BTreeMap::new();
        rows.retain(|row| {
            last.insert(row.node, row.start).is_none_or(|before: SimTime| row.start.since(before) >= merge)
        });
        FaultTrace { merged: (all - rows.len()) as u64, rows, planned, hash }
    }

    /// How long ago each of `nodes` nodes was last repaired when the trace ends; those without a fault are as old as it is long.
    #[must_use]
    pub fn ages(&self, nodes: u32) -> Vec<Span> {
        let end =
            self.rows.iter().map(|row| row.end.unwrap_or(row.start).max(row.start)).max().unwrap_or(SimTime::ZERO);
        let mut ages = vec![end.since(SimTime::ZERO); nodes as usize];
        for row in &self.rows {
            if let Some(age) = ages.get_mut(row.node as usize) {
                *age = (*age).min(end.since(row.end.unwrap_or(end)));
            }
        }
        ages
    }

    /// One more than the highest node number.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.rows.iter().map(|row| row.node + 1).max().unwrap_or(0)
    }
}

/// Reads `node,age_s`: the age of each node of a cluster.
///
/// # Errors
/// The first thing wrong: an unreadable file, a missing column, a cell that is no number, a node twice or left out.
pub fn node_ages(path: &Path) -> Result<NodeAges, TraceError> {
    let mut csv = lines::reader(path)?;
    let header = csv.headers().map_err(|error| TraceError::reading(path, &error))?.clone();
    let line = lines::header(&csv);
    let place = |name: &str| {
        let found = || format!("the header {}", names(&header));
        let place = header.iter().position(|column| column == name);
        place.ok_or_else(|| TraceError::line(path, line, found(), format!("a column {name}")))
    };
    let places = [place("node")?, place("age_s")?];
    let mut ages = BTreeMap::new();
    let mut record = csv::StringRecord::new();
    while let Some(line) = lines::read(&mut csv, path, &mut record)? {
        let cell = |slot: usize| record.get(places[slot]).unwrap_or_default();
        let wrong = |slot: usize, expected: &str| {
            TraceError::line(path, line, format!("{:?}", cell(slot)), expected).in_column(["node", "age_s"][slot])
        };
        let node = cell(0).parse::<u32>().map_err(|_| wrong(0, "a node number"))?;
        let age = seconds(cell(1)).ok_or_else(|| wrong(1, "seconds of zero or more"))?;
        if ages.insert(node, age.since(SimTime::ZERO)).is_some() {
            return Err(wrong(0, "each node once"));
        }
    }
    let hash = csv.get_ref().hash();
    match (0..).zip(ages.keys()).find(|(expected, node)| expected != *node) {
        Some((missing, _)) => Err(TraceError::file(path, format!("no row of node {missing}"), "each node from 0 on")),
        None => Ok(NodeAges { ages: ages.into_values().collect(), hash }),
    }
}

/// The ages of the nodes of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeAges {
    /// By node.
    pub ages: Vec<Span>,
    /// BLAKE3 of the file's bytes.
    pub hash: blake3::Hash,
}

fn seconds(text: &str) -> Option<SimTime> {
    // A number of seconds with up to nine decimals is read digit by digit: a double would round a year to 4 ns.
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let nanos: u64 = format!("{decimals:0<9}").parse().ok()?;
    Some(SimTime::from_nanos(whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

#[derive(Deserialize)]
struct StepFunEvent {
    node_id: String,
    event_time: f64,
    event_type: String,
    fault_type: StepFunType,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StepFunType {
    level: String,
    class: String,
    desc: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("writable");
        file
    }

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    #[test]
    fn a_trace_tells_how_old_its_nodes_are_at_its_end() {
        let header = "node,start_s,end_s,class,domain,planned\n";
        let file = file(&format!("{header}0,10,20,x,,0\n0,1000,1500,x,,0\n2,400,,x,,0\n1,2000,9000,x,,0\n"));
        let trace = FaultTrace::csv(file.path(), "main").expect("sound");
        // It ends at 9,000 s. Node 2 was never repaired: broken, and new when it is.
        assert_eq!(trace.ages(4), [7_500, 0, 0, 9_000].map(Span::from_secs));
    }

    #[test]
    fn ages_are_read_for_each_node() {
        let ages = node_ages(file("age_s,node\n5.5,1\n0,0\n").path()).expect("sound").ages;
        assert_eq!(ages, [Span::ZERO, Span::from_secs_f64(5.5)]);
        for (text, said) in [
            ("node,age_s\n0,1\n2,1\n", "no row of node 1"),
            ("node,age_s\n0,1\n0,1\n", "each node once"),
            ("node,age_s\n0,-1\n", "seconds of zero or more"),
            ("node,age\n0,1\n", "a column age_s"),
        ] {
            let error = node_ages(file(text).path()).expect_err("wrong").to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn our_own_rows_are_read_to_the_nanosecond() {
        let header = "cluster,node,start_s,end_s,class,domain,planned\n";
        let text = format!(
            "{header}main,7,10.000000001,20,law,,false\nother,1,1,2,law,,false\nmain,3,5.5,,law,rack,0\nmain,3,100,,x,,0\nmain,9,1,2,x,,true\n"
        );
        let file = file(&text);
        let trace = FaultTrace::csv(file.path(), "main").expect("sound");
        let row = |node, start, end, domain: &str| FaultRow {
            node,
            start: at(start),
            end,
            domain: domain.to_owned(),
            hangs: false,
        };
        let second = row(7, 10_000_000_001, Some(at(20_000_000_000)), "");
        assert_eq!(trace.rows, [row(3, 5_500_000_000, None, "rack"), second, row(3, 100_000_000_000, None, "")]);
        assert_eq!((trace.merged, trace.planned, trace.nodes()), (0, 1, 8));
        let others =
            super::tests::file(&text.replace("cluster,", "").replace("\nmain,", "\n").replace("\nother,", "\n"));
        assert_eq!(FaultTrace::csv(others.path(), "main").expect("sound").merged, 1, "symptoms of one fault");
    }

    #[test]
    fn wrong_rows_say_where() {
        for (text, said) in [
            ("node,start_s\n", "a column end_s"),
            (
                "node,start_s,end_s,class,domain,planned\nx,1,2,a,,0\n",
                ":2: column node: found \"x\", expected a node number",
            ),
            ("node,start_s,end_s,class,domain,planned\n1,3,2,a,,0\n", ":2: column end_s: found \"2\""),
            ("node,start_s,end_s,class,domain,planned\n1,1e3,2,a,,0\n", ":2: column start_s: found \"1e3\""),
            ("node,start_s,end_s,class,domain,planned\n1,1,2,a,,maybe\n", ":2: column planned: found \"maybe\""),
        ] {
            let file = file(text);
            let error = FaultTrace::csv(file.path(), "main").expect_err("wrong").to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn stepfun_events_are_paired_by_node_and_type() {
        let event = |node: &str, time: f64, what: &str, class: &str| {
            format!(
                "{{\"node_id\":\"{node}\",\"event_time\":{time},\"event_type\":\"{what}\",\"fault_type\":{{\"Level\":\"L\",\"Class\":\"{class}\",\"Desc\":\"d\"}}}}"
            )
        };
        let events = [
            event("b", 0.0, "fault_start", "GPU"),
            event("a", 1.0, "fault_start", "NIC"),
            event("b", 1.5, "fault_start", "NIC"),
            event("b", 2.0, "fault_end", "NIC"),
            event("b", 3.0, "fault_end", "GPU"),
        ];
        let file = file(&format!("[{}]", events.join(",")));
        let trace = FaultTrace::stepfun(file.path()).expect("sound");
        let day = Span::DAY.nanos();
        let found: Vec<_> =
            trace.rows.iter().map(|row| (row.node, row.start.nanos(), row.end.map(SimTime::nanos))).collect();
        assert_eq!(found, [(0, 0, Some(3 * day)), (1, day, None), (0, day * 3 / 2, Some(2 * day))]);
        assert!(FaultTrace::stepfun(file_of_nonsense().path()).is_err());
    }

    fn file_of_nonsense() -> tempfile::NamedTempFile {
        file("[{\"node_id\":1}]")
    }
}
