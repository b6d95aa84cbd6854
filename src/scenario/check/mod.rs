//! Checks the sections against each other and the catalog, and builds the plans of the other rooms. A section that is wrong
//! becomes `None`, so that its neighbours are still checked.

mod arrivals;
mod capping;
mod clientele;
mod comparison;
mod devices;
mod faults;
mod fidelity;
mod header;
mod jobs;
mod market;
mod names;
mod options;
mod places;
mod power;
mod progress;
mod scaling;
mod series;
mod services;
mod workloads;

use super::complaint::{Complaint, Complaints};
use super::node::{canonical_path, portable};
use super::read::{DataFile, Input, unreadable};
use super::typed::Typed;
use super::{Note, Scenario, Sections};
use crate::trace::{ServeGen, TraceError};
use std::path::Path;
use std::sync::Arc;

/// The sections under check, and where complaints go.
struct Check<'a> {
    typed: &'a Typed,
    complaints: &'a mut Complaints,
    inputs: Vec<Input>,
    data: Vec<DataFile>,
    notes: Vec<Note>,
}

/// The scenario that `typed` describes; `None` where something is wrong, which `complaints` then hold.
pub(super) fn check(typed: &Typed, inputs: Vec<Input>, complaints: &mut Complaints) -> Option<Scenario> {
    let mut check = Check { typed, complaints, inputs, data: Vec::new(), notes: Vec::new() };
    let header = check.header();
    check.has_something_to_run();
    let clusters = check.clusters();
    let failures = check.failures(header.as_ref(), &clusters);
    let sites = check.sites(header.as_ref(), &clusters);
    let capping = check.capping(header.as_ref(), &clusters);
    let jobs = check.jobs(header.as_ref(), &clusters, &failures, &sites);
    let workloads = check.workloads(header.as_ref(), &clusters, &failures);
    let services = check.services(header.as_ref(), &clusters, &failures);
    check.tenants_fit(&clusters);
    let devices = check.devices(&clusters);
    let published = check.published();
    let reruns = check.reruns();
    let (header, inputs, data, notes) = (header?, check.inputs, check.data, check.notes);
    Some(Scenario {
        name: header.name,
        seed: typed.file.seed,
        replication: 0,
        start: header.start,
        horizon: header.horizon,
        step: header.step,
        timelines: typed.file.timeline.files.clone(),
        sites: all(sites)?,
        capping: all(capping)?,
        clusters: all(clusters)?,
        maintenance: typed
            .file
            .cluster
            .values()
            .map(|cluster| cluster.maintenance.values().copied().collect())
            .collect(),
        schedulers: typed.file.cluster.values().map(|cluster| cluster.scheduler).collect(),
        jobs: all(jobs)?,
        workloads: all(workloads)?.into_iter().map(Arc::new).collect(),
        services: all(services)?.into_iter().map(Arc::new).collect(),
        devices: all(devices)?,
        published: all(published)?,
        reruns,
        manifest: typed.tree.canonical(),
        sections: Sections(Arc::new(typed.file.clone())),
        inputs,
        data,
        notes,
    })
}

fn keys(path: &[&str]) -> Vec<String> {
    path.iter().map(|key| (*key).to_owned()).collect()
}

fn all<T>(items: Vec<Option<T>>) -> Option<Vec<T>> {
    items.into_iter().collect()
}

impl Check<'_> {
    fn has_something_to_run(&mut self) {
        if !["training", "workload", "service"].iter().any(|kind| self.typed.was_written(&[kind])) {
            let help = "add a section [training.<name>], [workload.<name>] or [service.<name>]".to_owned();
            self.complain(&[], "the scenario has no training job, workload or service: nothing would happen", help);
        }
    }

    /// The data file `name`, which the key `path` of the table of `at` names, as `read` reads it, entered among the inputs;
    /// complains at `at` where it is no good.
    fn data<T>(
        &mut self,
        at: &[&str],
        name: &str,
        read: impl FnOnce(&Path) -> Result<T, TraceError>,
        hash: impl FnOnce(&T) -> blake3::Hash,
    ) -> Option<T> {
        let table = at.split_last().map_or(&[][..], |(_, table)| table);
        let named = keys(&[table, &["path"]].concat());
        let at = self.typed.tree.place(&keys(at));
        let file = self.complaints.sources[self.typed.tree.place(&named).source].folder.join(name);
        let read = match std::fs::File::open(&file) {
            Err(error) => Err(unreadable(&file, &error)),
            Ok(_) if file.is_dir() => Err(format!("{} is a folder, not a file", file.display())),
            Ok(_) => read(&file).map_err(|error| error.to_string()),
        };
        match read {
            Ok(data) => {
                let file = DataFile { key: canonical_path(&named), file };
                if !self.data.contains(&file) {
                    self.data.push(file);
                }
                self.inputs.push(Input { path: portable(name), blake3: hash(&data).to_hex().to_string() });
                Some(data)
            }
            Err(why) => {
                self.complaints.add(Complaint::new(why).at(&at));
                None
            }
        }
    }

    /// The clients in the folder or archive that the value at `path` names, entered among the inputs; complains where there are none.
    fn clients(&mut self, path: &[&str], name: &str) -> Option<ServeGen> {
        let at = self.typed.tree.place(&keys(path));
        let file = self.complaints.sources[at.source].folder.join(name);
        if !file.is_dir() {
            return self.data(path, name, ServeGen::read, |read| read.hash);
        }
        match ServeGen::read(&file) {
            Ok(read) => {
                self.inputs.push(Input { path: portable(name), blake3: read.hash.to_hex().to_string() });
                Some(read)
            }
            Err(why) => {
                self.complaints.add(Complaint::new(why.to_string()).at(&at));
                None
            }
        }
    }

    fn note(&mut self, kind: &str, name: &str, key: &'static str, value: impl Into<String>) {
        self.notes.push(Note { subject: format!("{kind}.{name}"), key, value: value.into() });
    }

    /// Complains about `path`.
    fn complain(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<Option<String>>) {
        let at = self.typed.tree.place(&keys(path));
        self.complaints.add(Complaint::new(message).at(&at).help(help));
    }

    /// Complains about the value at `path`, which the message names in front.
    fn refuse(&mut self, path: &[&str], why: impl std::fmt::Display, help: impl Into<Option<String>>) {
        self.complain(path, format!("`{}` {why}", path.join(".")), help);
    }
}
