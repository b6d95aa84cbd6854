//! Reads the files of a scenario: the file itself, the bases it extends, and the `--set` arguments on top.

use super::complaint::{Complaint, Complaints, Origin, Source};
use super::node::{self, Node, Value, portable};
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// A file that the scenario was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its path as the scenario or the command line names it; only the file's name where that is absolute.
    pub path: String,
    /// BLAKE3 of its content, hexadecimal.
    pub blake3: String,
}

/// A data file that a value of the scenario names, such as a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// The value's key, as the manifest writes it.
    pub key: String,
    /// Where the file lies.
    pub file: PathBuf,
}

/// One value laid over a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `path=value`.
    pub text: String,
    /// What messages call the place where it was written.
    pub origin: String,
    /// Folder that relative paths in it start from; empty for the working directory.
    pub folder: PathBuf,
}

impl Change {
    /// What a `--set` argument says.
    #[must_use]
    pub fn set(text: &str) -> Change {
        Change { text: text.to_owned(), origin: "--set".to_owned(), folder: PathBuf::new() }
    }
}

/// The merged tree of `file` with `content`, its bases and `changes`, and the files read. `None` where a text could not be read or
/// parsed.
pub(super) fn read(
    file: &Path,
    content: Vec<u8>,
    changes: &[Change],
    complaints: &mut Complaints,
) -> Option<(Node, Vec<Input>)> {
    let before = complaints.len();
    let mut inputs = Vec::new();
    let mut layers = read_chain(file, content, complaints, &mut inputs).into_iter();
    let sets: Vec<(Vec<String>, Node)> =
        changes.iter().zip(1..).filter_map(|(change, layer)| read_set(change, layer, complaints)).collect();
    if complaints.len() > before {
        return None;
    }
    let mut merged = layers.next()?;
    layers.for_each(|layer| merged.lay(layer));
    for (path, set) in sets {
        // A set value replaces the whole value that stood there, so that an inline table leaves nothing of the old one.
        merged.prune(&path);
        merged.lay(set);
    }
    Some((merged, inputs))
}

/// `file` and the bases below it, the lowest base first.
fn read_chain(file: &Path, content: Vec<u8>, complaints: &mut Complaints, inputs: &mut Vec<Input>) -> Vec<Node> {
    let mut layers = Vec::new();
    let mut seen: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut next = Some((file.to_owned(), None));
    let mut content = Some(content);
    while let Some((path, named_at)) = next.take() {
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == identity) {
            complaints.add(cycle(first, named_at.as_ref()));
            break;
        }
        seen.push((identity, path.clone()));
        let at = named_at.as_ref().map(|(_, at)| at);
        let Some(bytes) = content.take().or_else(|| self::content(&path, at, complaints)) else { break };
        let name = named_at.as_ref().map_or_else(|| file_name(&path), |(name, _)| portable(name));
        inputs.push(Input { path: name, blake3: blake3::hash(&bytes).to_hex().to_string() });
        let Some(mut tree) = parse_file(&path, bytes, -(layers.len() as i32), complaints) else { break };
        if let Some(base) = tree.entries_mut().and_then(|entries| entries.remove("extends")) {
            match &base.node.value {
                Value::Text(name) => {
                    let folder = path.parent().unwrap_or(Path::new(""));
                    next = Some((folder.join(name), Some((name.clone(), base.node.at))));
                }
                _ => complaints
                    .add(Complaint::new("`extends` takes the path of one scenario file, in quotes").at(&base.node.at)),
            }
        }
        layers.push(tree);
    }
    layers.reverse();
    layers
}

fn cycle(path: &Path, named_at: Option<&(String, Origin)>) -> Complaint {
    let complaint = Complaint::new(format!("`extends` runs in a circle: {} extends itself", path.display()))
        .help("take one `extends` of the circle out".to_owned());
    match named_at {
        Some((_, at)) => complaint.at(at),
        None => complaint,
    }
}

/// The bytes of the file at `path`, which `named_at` names.
pub(super) fn content(path: &Path, named_at: Option<&Origin>, complaints: &mut Complaints) -> Option<Vec<u8>> {
    let error = match std::fs::read(path) {
        Ok(content) => return Some(content),
        Err(error) => error,
    };
    let complaint = Complaint::new(unreadable(path, &error));
    complaints.add(match named_at {
        Some(at) => complaint.at(at).help("the path starts from the folder of this file".to_owned()),
        None => complaint,
    });
    None
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn parse_file(path: &Path, content: Vec<u8>, layer: i32, complaints: &mut Complaints) -> Option<Node> {
    let text = match String::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
            complaints.add(
                Complaint::new(format!("{} is not UTF-8 text: line {line} holds other bytes", path.display()))
                    .help("a scenario is a TOML text file; save it as UTF-8".to_owned()),
            );
            return None;
        }
    };
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(Source { name: path.display().to_string(), text, folder, layer }, complaints)
}

/// Why a file cannot be read, without the number that the operating system gives.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file {path}"),
        std::io::ErrorKind::IsADirectory => format!("{path} is a folder, not a file"),
        std::io::ErrorKind::PermissionDenied => format!("{path} may not be read: permission denied"),
        _ => format!("cannot read {path}: {error}"),
    }
}

/// The tree of one TOML document; every syntax error is complained about.
pub(super) fn parse(source: Source, complaints: &mut Complaints) -> Option<Node> {
    let index = complaints.sources.len();
    let (parsed, errors) = DeTable::parse_recoverable(&source.text);
    let mut found = Vec::new();
    let mut last_line = None;
    for error in &errors {
        let span = error.span().unwrap_or(source.text.len()..source.text.len());
        // After the first error of a line the parser guesses.
        let line = source.text[..span.start.min(source.text.len())].matches('\n').count();
        if last_line != Some(line) {
            let nothing = source.text[..span.start].trim_end_matches([' ', '\t']).ends_with('=') && span.is_empty();
            let words = if nothing { "a value is missing after `=`".to_owned() } else { syntax(error.message()) };
            found.push(Complaint::new(words).at(&Origin::new(index, span)));
        }
        last_line = Some(line);
        if source.text.lines().nth(line).is_some_and(|line| line.trim_start().starts_with('[')) {
            // What follows a broken header is not where its author put it.
            break;
        }
    }
    let tree = node::table(index, &parsed, &mut found);
    complaints.sources.push(source);
    let sound = errors.is_empty();
    found.into_iter().for_each(|complaint| complaints.add(complaint));
    sound.then_some(tree)
}

fn syntax(message: &str) -> String {
    match message.lines().next().unwrap_or(message) {
        "duplicate key" => "this key stands twice in its table".to_owned(),
        "string values must be quoted, expected literal string" => "a text value must stand in quotes".to_owned(),
        other => format!("this is not TOML: {other}"),
    }
}

/// The path and the tree of one `path=value` argument. A value that is not TOML is a text: `--set duration="1 d"` works in any
/// shell.
fn read_set(change: &Change, layer: i32, complaints: &mut Complaints) -> Option<(Vec<String>, Node)> {
    let index = complaints.sources.len();
    let Change { text: set, origin, folder } = change;
    complaints.sources.push(Source { name: origin.clone(), text: set.clone(), folder: folder.clone(), layer });
    let Some((path, key)) = set.split_once('=').and_then(|(path, _)| Some((path, set_key(index, path)?))) else {
        complaints.add(
            Complaint::new("`--set` takes path=value")
                .at(&Origin::new(index, 0..set.len()))
                .help("for example --set training.pretrain.tokens=1e9".to_owned()),
        );
        return None;
    };
    let chain = key.chain();
    let mut tree = key;
    tree.put(&chain, set_value(index, set, path.len() + 1, &chain, complaints)?);
    Some((chain, tree))
}

/// The tree of the keys before the `=`, with a stand-in for the value.
fn set_key(index: usize, path: &str) -> Option<Node> {
    if path.contains(['\n', '\r', '#']) || path.trim_start().starts_with('[') {
        return None;
    }
    let stand_in = format!("{path}=0");
    DeTable::parse(&stand_in).ok().map(|parsed| node::table(index, &parsed, &mut Vec::new()))
}

/// The value that begins at byte `start` of `set`.
fn set_value(index: usize, set: &str, start: usize, chain: &[String], complaints: &mut Complaints) -> Option<Node> {
    let value = set[start..].trim();
    let at = Origin::new(index, start..set.len());
    if let (false, Ok(parsed)) = (value.contains(['\n', '\r']), DeTable::parse(set)) {
        let mut unusable = Vec::new();
        let tree = node::table(index, &parsed, &mut unusable);
        unusable.into_iter().for_each(|complaint| complaints.add(complaint));
        return tree.entry(chain).map(|entry| entry.node.clone());
    }
    if value.is_empty() || value.starts_with(['{', '[', '"', '\'']) {
        complaints.add(
            Complaint::new("the value after `=` is not a TOML value")
                .at(&at)
                .help("close every bracket and quote, or write a plain text such as duration=1 d".to_owned()),
        );
        return None;
    }
    Some(Node { at, value: Value::Text(value.to_owned()) })
}
