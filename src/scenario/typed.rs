//! From the tree to the sections as written, collecting every error: a value that fails is complained about and pruned, and
//! reading goes on without it.

use super::complaint::{Complaint, Complaints, Source};
use super::de::{Error, Reader, What};
use super::file::ScenarioFile;
use super::node::{Entry, Node};
use serde::Deserialize;

/// The sections, the tree they were read from, and what had to be pruned.
pub(super) struct Typed {
    /// The sections, without what failed.
    pub file: ScenarioFile,
    /// The tree, without what failed and without superseded choices.
    pub tree: Node,
    pruned: Vec<Vec<String>>,
}

impl Typed {
    /// Reads `tree`, adding all that is wrong to `complaints`.
    pub(super) fn read(mut tree: Node, complaints: &mut Complaints) -> Typed {
        let mut pruned: Vec<Vec<String>> = Vec::new();
        settle_speeds(&mut tree, &complaints.sources);
        settle_markets(&mut tree, &complaints.sources);
        loop {
            let read = ScenarioFile::deserialize(Reader { node: &tree, sources: &complaints.sources });
            let mut error = match read {
                Ok(file) => return Typed { file, tree, pruned },
                Err(error) => error,
            };
            error.path.reverse();
            if let What::Superseded(keys) = &error.what {
                for key in keys {
                    tree.prune(&[error.path.as_slice(), std::slice::from_ref(key)].concat());
                }
                continue;
            }
            assert!(!error.path.is_empty(), "the root of a scenario has no required key: {error}");
            if !follows_from(&error, &pruned) {
                complaints.add(complaint(&error, &tree));
            }
            tree.prune(&error.path);
            pruned.push(error.path);
        }
    }

    /// True where nothing at or under `path` had to be pruned: what it says may be checked further.
    pub(super) fn sound(&self, path: &[&str]) -> bool {
        let under = |pruned: &Vec<String>| pruned.iter().zip(path).all(|(a, b)| a == b);
        !self.pruned.iter().any(under)
    }

    /// True where something at `path` was written, even if it failed.
    pub(super) fn was_written(&self, path: &[&str]) -> bool {
        let keys: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        self.tree.entry(&keys).is_some() || self.pruned.contains(&keys)
    }
}

/// The keys that give a training job's speed, of which a job has one.
pub(super) const SPEEDS: [&str; 4] = ["mfu", "tokens_per_second", "step", "ideal"];

/// Drops the speeds of training jobs that another speed from a higher layer replaces, as a choice would.
fn settle_speeds(tree: &mut Node, sources: &[Source]) {
    let Some(jobs) = tree.entries_mut().and_then(|entries| entries.get_mut("training")) else { return };
    for job in jobs.node.entries_mut().into_iter().flat_map(|jobs| jobs.values_mut()) {
        let Some(keys) = job.node.entries_mut() else { continue };
        let layer = |entry: &Entry| sources[entry.key_at.source].layer;
        let top = SPEEDS.iter().filter_map(|key| keys.get(*key)).map(layer).max();
        keys.retain(|key, entry| !SPEEDS.contains(&key.as_str()) || Some(layer(entry)) == top);
    }
}

/// Drops the kind of grid or tariff that another kind from a higher layer replaces. They may also be catalog names, so that they are
/// not read as plain choices.
fn settle_markets(tree: &mut Node, sources: &[Source]) {
    let Some(sites) = tree.entries_mut().and_then(|entries| entries.get_mut("site")) else { return };
    for site in sites.node.entries_mut().into_iter().flat_map(|sites| sites.values_mut()) {
        for key in ["grid", "tariff"] {
            let kind = site.node.entries_mut().and_then(|site| site.get_mut(key));
            let Some(kinds) = kind.and_then(|kind| kind.node.entries_mut()) else { continue };
            let layer = |entry: &Entry| sources[entry.key_at.source].layer;
            let top = kinds.values().map(layer).max();
            kinds.retain(|_, entry| Some(layer(entry)) == top);
        }
    }
}

/// True where a key is missing only because its value was complained about and pruned.
fn follows_from(error: &Error, pruned: &[Vec<String>]) -> bool {
    let child = |path: &&Vec<String>| path.len() == error.path.len() + 1 && path.starts_with(&error.path);
    match error.what {
        What::MissingKey(key) => pruned.iter().filter(child).any(|path| path.last().is_some_and(|last| last == key)),
        What::NoChoice => pruned.iter().any(|path| child(&path)),
        _ => false,
    }
}

/// The words for `error`, which reading `tree` gave.
pub(super) fn complaint(error: &Error, tree: &Node) -> Complaint {
    let path = error.path.join(".");
    let at = error.at.clone().unwrap_or_else(|| tree.place(&error.path));
    let words = match &error.what {
        What::Value(words) => format!("`{path}`: {words}"),
        What::UnknownKey(key) => match error.path.split_last() {
            Some((_, section)) if !section.is_empty() => format!("unknown key `{key}` in `{}`", section.join(".")),
            _ => format!("unknown key `{key}`"),
        },
        What::MissingKey(key) => format!("`{path}` needs the key `{key}`"),
        What::NoChoice => format!("`{path}` needs a choice"),
        What::Superseded(_) => unreachable!("superseded choices are dropped in silence"),
    };
    let at = if matches!(error.what, What::MissingKey(_)) { tree.place(&error.path) } else { at };
    Complaint::new(words).at(&at).help(error.help.clone())
}
