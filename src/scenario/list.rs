//! `tollway list`: what a scenario can name, each with its source.

use crate::catalog::{DEVICES, Entry, GPUS, MODELS, NODES};

/// One thing that a scenario can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Which list it is on.
    pub kind: &'static str,
    /// What a scenario writes.
    pub name: &'static str,
    /// Where its figures were read; of a policy, the section that takes it and the file it lives in.
    pub source: &'static str,
}

/// The lists there are.
pub const LISTS: &[&str] = &["gpus", "nodes", "models", "devices", "policies"];

/// A policy: its name, the key that takes it, and its file.
const POLICIES: &[(&str, &str)] = &[("fifo", "cluster.<name>.scheduler, src/scheduler")];

/// The entries of the list `kind`, of all lists where `None`; empty for a kind that is not in [`LISTS`].
#[must_use]
pub fn list(kind: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    rows.extend(of("gpus", GPUS));
    rows.extend(of("nodes", NODES));
    rows.extend(of("models", MODELS));
    rows.extend(of("devices", DEVICES));
    rows.extend(POLICIES.iter().map(|&(name, source)| Row { kind: "policies", name, source }));
    rows.retain(|row| kind.is_none_or(|kind| kind == row.kind));
    rows
}

fn of<T>(kind: &'static str, entries: &'static [Entry<T>]) -> impl Iterator<Item = Row> {
    entries.iter().map(move |entry| Row { kind, name: entry.name, source: entry.source })
}
