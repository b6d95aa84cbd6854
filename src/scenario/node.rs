//! The tree of a scenario as written: TOML values, each with the place it came from. Files and `--set` arguments become
//! trees, and trees are laid over each other.

use super::complaint::{Complaint, Origin};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub at: Origin,
    pub value: Value,
}

/// A TOML value; a date and time is its text.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Table(Table),
    Array(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

/// Keys in alphabetical order.
pub(super) type Table = BTreeMap<String, Entry>;

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key_at: Origin,
    pub node: Node,
}

/// Turns a parsed TOML table into a tree; numbers that no scenario can use are complained about and left out.
pub(super) fn table(source: usize, parsed: &Spanned<DeTable<'_>>, complaints: &mut Vec<Complaint>) -> Node {
    let mut entries = Table::new();
    for (key, value) in parsed.get_ref() {
        let key_at = Origin::new(source, key.span());
        if let Some(node) = node(source, value, complaints) {
            entries.insert(key.get_ref().to_string(), Entry { key_at, node });
        }
    }
    Node { at: Origin::new(source, parsed.span()), value: Value::Table(entries) }
}

fn node(source: usize, parsed: &Spanned<DeValue<'_>>, complaints: &mut Vec<Complaint>) -> Option<Node> {
    let at = Origin::new(source, parsed.span());
    let number = match parsed.get_ref() {
        DeValue::Table(inner) => {
            return Some(table(source, &Spanned::new(parsed.span(), inner.clone()), complaints));
        }
        DeValue::Array(items) => {
            let items = items.iter().filter_map(|item| node(source, item, complaints)).collect();
            return Some(Node { at, value: Value::Array(items) });
        }
        DeValue::String(text) => Ok(Value::Text(text.to_string())),
        DeValue::Boolean(yes) => Ok(Value::Boolean(*yes)),
        DeValue::Datetime(when) => Ok(Value::Text(when.to_string())),
        DeValue::Integer(integer) => whole(integer),
        DeValue::Float(float) => decimal(float),
    };
    match number {
        Ok(value) => Some(Node { at, value }),
        Err(why) => {
            complaints.push(Complaint::new(why).at(&at));
            None
        }
    }
}

fn whole(integer: &DeInteger<'_>) -> Result<Value, String> {
    let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
    parsed.map(Value::Integer).map_err(|_| format!("the whole number {integer} is too large"))
}

fn decimal(float: &DeFloat<'_>) -> Result<Value, String> {
    match float.as_str().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float(value)),
        Ok(_) if float.as_str().ends_with(['n', 'f']) => {
            Err(format!("`{float}` is not a number that a scenario can use"))
        }
        _ => Err(format!("the number {float} is too large")),
    }
}

impl Node {
    /// The entries of a table; nothing else has any.
    pub(super) fn entries(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    pub(super) fn entries_mut(&mut self) -> Option<&mut Table> {
        match &mut self.value {
            Value::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The keys of a tree that is a single chain of keys, down to its value.
    pub(super) fn chain(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut node = self;
        while let Some((key, entry)) = node.entries().and_then(|entries| entries.iter().next()) {
            keys.push(key.clone());
            node = &entry.node;
        }
        keys
    }

    /// Replaces what stands at `path`, which exists.
    pub(super) fn put(&mut self, path: &[String], leaf: Node) {
        match path.split_first() {
            None => *self = leaf,
            Some((key, rest)) => {
                let entry = self.entries_mut().and_then(|entries| entries.get_mut(key));
                entry.expect("the path exists").node.put(rest, leaf);
            }
        }
    }

    /// Lays `over` on top: tables merge key by key, everything else is replaced.
    pub(super) fn lay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Table(below), Value::Table(above)) => {
                for (key, entry) in above {
                    match below.get_mut(&key) {
                        Some(old) => {
                            old.key_at = entry.key_at;
                            old.node.lay(entry.node);
                        }
                        None => {
                            below.insert(key, entry);
                        }
                    }
                }
                self.at = over.at;
            }
            (_, value) => *self = Node { at: over.at, value },
        }
    }

    /// The entry at `path`.
    pub(super) fn entry(&self, path: &[String]) -> Option<&Entry> {
        let (key, rest) = path.split_first()?;
        let entry = self.entries()?.get(key)?;
        if rest.is_empty() { Some(entry) } else { entry.node.entry(rest) }
    }

    /// Takes the entry at `path` out.
    pub(super) fn prune(&mut self, path: &[String]) {
        let (Some((key, rest)), Some(entries)) = (path.split_first(), self.entries_mut()) else { return };
        if rest.is_empty() {
            entries.remove(key);
        } else if let Some(entry) = entries.get_mut(key) {
            entry.node.prune(rest);
        }
    }

    /// Where `path` was written, or the nearest table above it that was.
    pub(super) fn place(&self, path: &[String]) -> Origin {
        (1..=path.len()).rev().find_map(|length| self.entry(&path[..length])).map_or(self.at.clone(), |entry| {
            match entry.node.value {
                Value::Table(_) => entry.key_at.clone(),
                _ => entry.node.at.clone(),
            }
        })
    }

    /// The tree as one TOML assignment a line, sorted, with absolute paths cut to the file's name.
    pub(super) fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical("", &mut text);
        text
    }

    fn write_canonical(&self, prefix: &str, out: &mut String) {
        match self.entries() {
            Some(entries) if !entries.is_empty() || prefix.is_empty() => {
                for (key, entry) in entries {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    entry.node.write_canonical(&format!("{prefix}{dot}{}", canonical_key(key)), out);
                }
            }
            _ => writeln!(out, "{prefix} = {}", self.canonical_value()).expect("writing to a string works"),
        }
    }

    fn canonical_value(&self) -> String {
        match &self.value {
            Value::Text(text) => toml::Value::String(portable(text)).to_string(),
            Value::Integer(integer) => integer.to_string(),
            Value::Float(float) => toml::Value::Float(*float).to_string(),
            Value::Boolean(yes) => yes.to_string(),
            Value::Array(items) => {
                format!("[{}]", items.iter().map(Node::canonical_value).collect::<Vec<_>>().join(", "))
            }
            Value::Table(entries) => {
                let pair = |(key, entry): (&String, &Entry)| {
                    format!("{} = {}", canonical_key(key), entry.node.canonical_value())
                };
                format!("{{{}}}", entries.iter().map(pair).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// `text`, or the file's name where it is an absolute path.
pub(super) fn portable(text: &str) -> String {
    let path = Path::new(text);
    let name = path.file_name().filter(|_| path.is_absolute());
    name.map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// The keys of `path` as [`Node::canonical`] writes them.
pub(super) fn canonical_path(path: &[String]) -> String {
    path.iter().map(|key| canonical_key(key)).collect::<Vec<_>>().join(".")
}

fn canonical_key(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { key.to_owned() } else { toml::Value::String(key.to_owned()).to_string() }
}
