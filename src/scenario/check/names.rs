//! Names that point at something: catalog entries, and other sections of the scenario.

use super::Check;
use crate::catalog::{Entry, Named};
use crate::scenario::complaint::instead;

impl Check<'_> {
    /// The sheet that `named`, written at `path`, stands for.
    pub(super) fn sheet<T: Clone>(
        &mut self,
        path: &[&str],
        named: &Named<T>,
        entries: &'static [Entry<T>],
        list: &str,
    ) -> Option<T> {
        match named {
            Named::Inline(sheet) => Some(sheet.clone()),
            Named::Name(name) => self.entry(path, name, entries, list).cloned(),
        }
    }

    /// The catalog entry `name`, written at `path`.
    pub(super) fn entry<T>(
        &mut self,
        path: &[&str],
        name: &str,
        entries: &'static [Entry<T>],
        list: &str,
    ) -> Option<&'static T> {
        let found = entries.iter().find(|entry| entry.name == name);
        if found.is_none() {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
            let help = instead(name, &names, "the catalog has").map(|help| format!("{help} (`tollway list {list}`)"));
            self.refuse(path, format!("{name:?} is not in the catalog"), help);
        }
        found.map(|entry| &entry.sheet)
    }

    /// The index of `[kind.name]` among the sections of its kind; complains at `path` where there is none.
    pub(super) fn section(&mut self, path: &[&str], kind: &str, name: &str) -> Option<usize> {
        let names = self.names(kind);
        let index = names.iter().position(|known| known == name);
        if index.is_none() && !self.typed.was_written(&[kind, name]) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let help = match known.is_empty() {
                true => Some(format!("add a section [{kind}.{name}]")),
                false => instead(name, &known, "the scenario has"),
            };
            self.refuse(path, format!("names the {} {name:?}, which does not exist", noun(kind)), help);
        }
        index
    }

    fn names(&self, kind: &str) -> Vec<String> {
        let file = &self.typed.file;
        match kind {
            "site" => file.site.keys().cloned().collect(),
            "cluster" => file.cluster.keys().cloned().collect(),
            "training" => file.training.keys().cloned().collect(),
            "workload" => file.workload.keys().cloned().collect(),
            "service" => file.service.keys().cloned().collect(),
            "device" => file.device.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

/// The catalog name, `custom` for an inline sheet.
pub(super) fn sheet_name<T>(named: &Named<T>) -> &str {
    match named {
        Named::Name(name) => name,
        Named::Inline(_) => "custom",
    }
}

/// What a message calls a section of this kind.
pub(super) fn noun(kind: &str) -> &str {
    match kind {
        "training" => "training job",
        kind => kind,
    }
}
