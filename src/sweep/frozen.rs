//! A sweep in a folder, for many machines: `plan.jsonl` with every cell's resolved scenario, the data files under `inputs/`, and
//! the records of whoever runs a share of it under `records/`. The plan appears with one rename; all else is only ever added.

use super::axis::Value;
use super::{Axis, Cell, Key, MODEL, Plan, SweepError};
use crate::Stopping;
use crate::scenario::{self, Input, Scenario};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

const PLAN: &str = "plan.jsonl";

/// A sweep that lies in a folder.
#[derive(Debug)]
pub struct Frozen {
    folder: PathBuf,
    head: Head,
    cells: Vec<FrozenCell>,
    /// Hash of the plan, to tell whether two folders hold the same.
    hash: blake3::Hash,
}

/// The first line of a plan.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    program: String,
    model: String,
    name: String,
    replications: NonZeroU64,
    baseline: usize,
    cells: usize,
    axes: Vec<(String, Vec<String>)>,
    /// What the baseline's scenario was read from.
    inputs: Vec<(String, String)>,
    /// The baseline's resolved scenario, from which the other cells differ.
    scenario: Vec<String>,
}

/// Each further line of a plan.
#[derive(Debug, Serialize, Deserialize)]
struct FrozenCell {
    key: String,
    values: Vec<String>,
    /// Lines of the baseline's scenario that this one lacks.
    without: Vec<String>,
    /// Lines of its own.
    with: Vec<String>,
    /// Keys that name data files, and where these lie in the folder.
    data: Vec<(String, String)>,
}

fn refuse(path: &Path, why: impl Display) -> SweepError {
    SweepError::Sweep(format!("{}: {why}", path.display()))
}

impl Plan {
    /// Puts the sweep, called `name`, into `folder`. A plan that stands there already is replaced and its records stay: those of
    /// runs that both have are used again.
    ///
    /// # Errors
    /// The folder holds something else or cannot be written, or a data file has gone.
    pub fn freeze(&self, name: &str, folder: &Path) -> Result<(), SweepError> {
        if self.search().is_some() {
            let words = "a goal search decides the next run by the last, so there is nothing to share out; sweep it on one machine";
            return Err(SweepError::Sweep(words.to_owned()));
        }
        if !self.replications.goals.is_empty() {
            return Err(SweepError::Sweep(format!(
                "machines that share a plan do not hear of each other's results, so none can say when a cell has replications \
                 enough; say how many, such as --replications {}, or sweep on one machine",
                self.replications.most()
            )));
        }
        let stranger = folder.exists() && !folder.join(PLAN).exists() && !is_empty(folder);
        if stranger {
            let why = format!("the folder is not empty and holds no {PLAN} of tollway; choose another with --out");
            return Err(refuse(folder, why));
        }
        for inside in ["records", "logs"] {
            fs::create_dir_all(folder.join(inside)).map_err(|error| refuse(folder, error))?;
        }
        let base = &self.cells[self.baseline].scenario;
        let head = Head {
            program: "tollway".to_owned(),
            model: MODEL.to_owned(),
            name: name.to_owned(),
            replications: self.replications.max,
            baseline: self.baseline,
            cells: self.cells.len(),
            axes: self.axes.iter().map(|axis| (axis.path.clone(), labels(axis))).collect(),
            inputs: base.inputs.iter().map(|input| (input.path.clone(), input.blake3.clone())).collect(),
            scenario: base.manifest.lines().map(str::to_owned).collect(),
        };
        let mut copied = BTreeSet::new();
        let mut lines = vec![serde_json::to_string(&head).expect("a plan is JSON")];
        for cell in &self.cells {
            let frozen = freeze_cell(cell, base, folder, &mut copied)?;
            lines.push(serde_json::to_string(&frozen).expect("a cell is JSON"));
        }
        publish(folder, &lines).map_err(|error| refuse(folder, error))
    }
}

fn labels(axis: &Axis) -> Vec<String> {
    axis.values.iter().map(|value| value.label.clone()).collect()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn freeze_cell(
    cell: &Cell,
    base: &Scenario,
    folder: &Path,
    copied: &mut BTreeSet<String>,
) -> Result<FrozenCell, SweepError> {
    let lines = |scenario: &'_ Scenario| -> BTreeSet<String> { scenario.manifest.lines().map(str::to_owned).collect() };
    let (own, base) = (lines(&cell.scenario), lines(base));
    let data = cell.scenario.data.iter().map(|data| {
        assert!(own.iter().any(|line| line.starts_with(&format!("{} = ", data.key))), "a data file is named by a key");
        Ok((data.key.clone(), copy(&data.file, folder, copied)?))
    });
    Ok(FrozenCell {
        key: cell.key.to_string(),
        values: cell.values.clone(),
        without: base.difference(&own).cloned().collect(),
        with: own.difference(&base).cloned().collect(),
        data: data.collect::<Result<_, SweepError>>()?,
    })
}

/// Copies a data file into the folder, under its hash and name, once; says where it lies there.
fn copy(file: &Path, folder: &Path, copied: &mut BTreeSet<String>) -> Result<String, SweepError> {
    let content = fs::read(file).map_err(|error| refuse(file, error))?;
    let name = file.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy());
    let place = format!("inputs/{}/{name}", &blake3::hash(&content).to_hex()[..16]);
    if copied.insert(place.clone()) {
        let to = folder.join(&place);
        fs::create_dir_all(to.parent().expect("it lies in a folder"))
            .and_then(|()| replace(&to, |file| file.write_all(&content)))
            .map_err(|error| refuse(&to, error))?;
    }
    Ok(place)
}

/// Writes the plan; the folder has the old one or the new one at any instant.
fn publish(folder: &Path, lines: &[String]) -> io::Result<()> {
    replace(&folder.join(PLAN), |file| lines.iter().try_for_each(|line| writeln!(file, "{line}")))
}

/// Writes a file aside, puts it on the disk and renames it. Not by way of a temporary file, whose mode 0600 would keep everybody
/// else on the cluster from reading it.
fn replace(to: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut aside = to.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let mut file = BufWriter::new(File::create(&aside)?);
    fill(&mut file)?;
    file.into_inner()?.sync_all()?;
    fs::rename(&aside, to)?;
    #[cfg(unix)]
    File::open(to.parent().expect("it lies in a folder"))?.sync_all()?;
    Ok(())
}

impl Frozen {
    /// The sweep that lies in `folder`.
    ///
    /// # Errors
    /// There is none, it is not whole, or another version of the model planned it.
    pub fn open(folder: &Path) -> Result<Frozen, SweepError> {
        let file = folder.join(PLAN);
        let text = fs::read_to_string(&file).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                refuse(folder, "holds no plan of a sweep; `tollway sweep plan FILE --out DIR` makes one")
            }
            _ => refuse(&file, error),
        })?;
        let lines: Vec<&str> = text.lines().collect();
        let broken = || refuse(&file, "is no whole plan; plan again");
        let (first, rest) = lines.split_first().ok_or_else(broken)?;
        let head: Head = serde_json::from_str(first).map_err(|_| broken())?;
        if head.model != MODEL {
            let why = "another version of tollway planned it; run and collect it with that one, or plan again";
            return Err(refuse(folder, why));
        }
        let cells: Result<Vec<FrozenCell>, _> = rest.par_iter().map(|line| serde_json::from_str(line)).collect();
        let cells = cells.map_err(|_| broken())?;
        if cells.len() != head.cells || head.baseline >= cells.len() || !text.ends_with('\n') {
            return Err(broken());
        }
        Ok(Frozen { folder: folder.to_owned(), head, cells, hash: blake3::hash(text.as_bytes()) })
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its records lie.
    #[must_use]
    pub fn records(&self) -> PathBuf {
        self.folder.join("records")
    }

    /// Name of the sweep.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// How many cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.cells.len()
    }

    /// Runs of each cell.
    #[must_use]
    pub fn replications(&self) -> NonZeroU64 {
        self.head.replications
    }

    /// How many runs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.cells.len() as u64 * self.head.replications.get()
    }

    /// Whether `other` holds the same sweep.
    #[must_use]
    pub fn is_same(&self, other: &Frozen) -> bool {
        self.hash == other.hash
    }

    /// The `index`-th run, cell by cell: its cell and replication.
    #[must_use]
    pub fn run(&self, index: u64) -> (usize, u64) {
        let per_cell = self.head.replications.get();
        (usize::try_from(index / per_cell).expect("cells are in memory"), index % per_cell)
    }

    /// Name of a run.
    ///
    /// # Errors
    /// The plan was changed by hand.
    pub fn key(&self, cell: usize, replication: u64) -> Result<Key, SweepError> {
        Ok(self.cell_key(cell)?.of_run(replication))
    }

    fn cell_key(&self, cell: usize) -> Result<Key, SweepError> {
        Key::parse(&self.cells[cell].key).ok_or_else(|| self.changed(cell))
    }

    fn changed(&self, cell: usize) -> SweepError {
        refuse(&self.folder, format!("cell {cell} is not what was planned; plan again"))
    }

    /// The values of a cell, as `path=value`.
    #[must_use]
    pub fn label(&self, cell: usize) -> String {
        let pairs =
            self.head.axes.iter().zip(&self.cells[cell].values).map(|((path, _), value)| format!("{path}={value}"));
        pairs.collect::<Vec<_>>().join(", ")
    }

    /// The checked scenario of a cell, which is what was planned to the last bit.
    ///
    /// # Errors
    /// The folder was changed since.
    pub fn cell(&self, index: usize) -> Result<Cell, SweepError> {
        let frozen = &self.cells[index];
        let without: BTreeSet<&String> = frozen.without.iter().collect();
        let base = self.head.scenario.iter().filter(|line| !without.contains(line));
        let lines: Vec<&String> = base.chain(&frozen.with).collect();
        let here = |line: &String| {
            let of_line = |(key, place): &(String, String)| {
                let value = toml::Value::String(place.clone());
                line.starts_with(&format!("{key} = ")).then(|| format!("{key} = {value}\n"))
            };
            frozen.data.iter().find_map(of_line).unwrap_or_else(|| format!("{line}\n"))
        };
        let text: String = lines.iter().map(|line| here(line)).collect();
        let wrong = |why| SweepError::Cell { cell: self.label(index), words: format!("{why}") };
        let mut scenario = scenario::parse_at(&self.folder.join("plan.toml"), &text).map_err(wrong)?;
        // As the sweep's own machine would write it.
        scenario.manifest = lines.iter().map(|line| format!("{line}\n")).collect();
        let input = |(path, blake3): &(String, String)| Input { path: path.clone(), blake3: blake3.clone() };
        scenario.inputs = self.head.inputs.iter().map(input).collect();
        let key = Key::of_cell(&scenario);
        if key != self.cell_key(index)? {
            return Err(self.changed(index));
        }
        Ok(Cell { values: frozen.values.clone(), scenario, key })
    }

    /// The whole sweep, as it was planned.
    ///
    /// # Errors
    /// The folder was changed since.
    pub fn thaw(&self) -> Result<Plan, SweepError> {
        // All of them first, so that the complaint is about the first on any number of threads.
        let cells: Vec<Result<Cell, SweepError>> =
            (0..self.cells.len()).into_par_iter().map(|index| self.cell(index)).collect();
        let axis = |(path, labels): &(String, Vec<String>)| Axis {
            path: path.clone(),
            values: labels.iter().map(|label| Value::named(label)).collect(),
        };
        Ok(Plan {
            axes: self.head.axes.iter().map(axis).collect(),
            cells: cells.into_iter().collect::<Result<_, _>>()?,
            replications: Stopping::at(self.head.replications),
            baseline: self.head.baseline,
            search: None,
        })
    }
}
