//! The layering of the rooms: a table of who may use whom, and a scan of the sources that names each arrow outside it by
//! file and line. A new arrow is a design decision: change the table here and in ARCHITECTURE.md in the same commit.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use, in the order in which they build on each other.
const ROOMS: [(&str, &[&str]); 18] = [
    ("units", &[]),
    ("engine", &["units"]),
    ("catalog", &["units"]),
    ("trace", &["units"]),
    ("world", &["units", "catalog"]),
    ("fault", &["units", "engine", "catalog", "trace", "world"]),
    ("power", &["units", "catalog"]),
    ("facility", &["units", "catalog", "trace"]),
    ("market", &["units", "catalog", "trace"]),
    ("scheduler", &["units", "world", "market"]),
    ("ledger", &["units", "facility", "market"]),
    ("training", PROCESS),
    ("serving", PROCESS),
    (
        "cluster",
        &[
            "units",
            "engine",
            "catalog",
            "trace",
            "world",
            "fault",
            "power",
            "facility",
            "market",
            "scheduler",
            "ledger",
            "training",
            "serving",
        ],
    ),
    (
        "scenario",
        &[
            "units",
            "engine",
            "catalog",
            "trace",
            "world",
            "fault",
            "power",
            "facility",
            "market",
            "scheduler",
            "ledger",
            "training",
            "serving",
            "cluster",
        ],
    ),
    ("report", &["units", "ledger"]),
    ("evidence", &["units", "trace", "ledger", "training", "serving", "scenario", "simulate"]),
    ("sweep", &["units", "engine", "ledger", "scenario", "report", "simulate"]),
];

/// What joins the rooms and may use them all; no room may use it, `lib.rs::simulate` apart where the table says so.
const JOINERS: [&str; 3] = ["lib", "main", "cli"];

/// What a logical process may use: not the scheduler, which decides about it, and not its fellow.
const PROCESS: &[&str] = &["units", "engine", "catalog", "trace", "world", "fault", "power", "ledger"];

/// Items that a room may not use although it may use the room they stand in: a scenario knows what is counted, not what
/// it adds up to.
const WITHHELD: [(&str, &str); 1] = [("scenario", "ledger::close")];

/// A use of one room by another that the table does not have.
#[derive(Debug, PartialEq, Eq)]
struct Arrow {
    file: PathBuf,
    line: usize,
    from: String,
    to: String,
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, line, from, to) = (self.file.display(), self.line, &self.from, &self.to);
        write!(f, "{file}:{line}: `{from}` may not use `{to}`")
    }
}

#[test]
fn arrows_point_as_the_table_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut arrows = Vec::new();
    for file in rust_files(&source) {
        let inside = file.strip_prefix(&source).expect("files are found below the source");
        if let Some(room) = room_of(inside) {
            assert!(ROOMS.iter().any(|(name, _)| *name == room), "{}: `{room}` has no row", inside.display());
            let text = fs::read_to_string(&file).expect("a source file is readable");
            arrows.extend(forbidden(&room, inside, &text));
        }
    }
    let list: Vec<String> = arrows.iter().map(Arrow::to_string).collect();
    assert!(arrows.is_empty(), "arrows outside the table:\n{}", list.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    for (at, (room, may_use)) in ROOMS.iter().enumerate() {
        for used in *may_use {
            let above = ROOMS[..at].iter().any(|(name, _)| name == used);
            assert!(above || *used == "simulate", "`{room}` uses `{used}`, which does not stand above it");
        }
    }
}

/// Each way to write an arrow, planted in a file of one room: (room, source, the arrows to find as "line to").
const PLANTED: [(&str, &str, &[&str]); 16] = [
    ("engine", "use crate::units::SimTime;\n", &[]),
    ("engine", "\nuse crate::power::NodePower;\n", &["2 power"]),
    ("power", "use crate::{catalog::Gpu, engine, units::{Watts, Span},\n ledger::Book};", &["1 engine", "2 ledger"]),
    ("training", "fn f() -> crate::scheduler::Fifo {}", &["1 scheduler"]),
    ("training", "use crate :: scheduler as x;", &["1 scheduler"]),
    ("serving", "use crate::{\n    // the fellow\n    training::Job,\n};", &["3 training"]),
    ("ledger", "use super::super::world::Cluster;", &["1 world"]),
    ("ledger", "use super::book::Book; use super::super::units::Watts;", &[]),
    ("units", "macro_rules! m { () => { $crate::engine::run() } }", &["1 engine"]),
    ("units", "//! [`crate::engine`]\n/* crate::power /* crate::world */ */ const S: &str = \"crate::fault\";", &[]),
    (
        "units",
        "const S: &str = r#\"crate::fault \"quoted\"#; const Q: char = '\"'; use crate::fault::Law;",
        &["1 fault"],
    ),
    ("units", "#[cfg(test)]\nmod tests { use crate::fault::Law; }\nfn f<'a>(_: &'a crate::power::X) {}", &["3 power"]),
    ("units", "#[cfg(test)]\nuse crate::fault::Law;\nuse crate::market::Price;", &["3 market"]),
    ("scenario", "use crate::ledger::{SitePlan, close};", &["1 ledger::close"]),
    ("report", "use crate::{ledger::close, simulate};", &["1 simulate"]),
    ("evidence", "use crate::{cli, simulate};", &["1 cli"]),
];

#[test]
fn a_planted_arrow_is_found() {
    for (room, text, expected) in PLANTED {
        let found = forbidden(room, &Path::new(room).join("planted.rs"), text);
        let lines: Vec<String> = found.iter().map(|arrow| format!("{} {}", arrow.line, arrow.to)).collect();
        assert_eq!(lines, expected, "in `{room}`: {text}");
    }
    let arrow = forbidden("training", Path::new("training/job.rs"), "\nuse crate::scheduler::Fifo;").remove(0);
    assert_eq!(arrow.to_string(), "training/job.rs:2: `training` may not use `scheduler`");
}

/// All `.rs` files below `folder`, in the order of their names.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a source folder is readable");
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder lists its entries").path()).collect();
    entries.sort();
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    entries.into_iter().flat_map(below).filter(|path| path.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// The room of a file: its first folder or its own name; none for what joins the rooms.
fn room_of(inside: &Path) -> Option<String> {
    let first = Path::new(inside.components().next()?.as_os_str());
    let room = first.file_stem()?.to_str()?.to_owned();
    (!JOINERS.contains(&room.as_str())).then_some(room)
}

/// The arrows from `room` in `text` that the table does not have.
fn forbidden(room: &str, file: &Path, text: &str) -> Vec<Arrow> {
    let row = ROOMS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, may_use)| may_use);
    let withheld = |path: &str| WITHHELD.contains(&(room, path));
    let mut arrows = Vec::new();
    for (line, path) in crate_paths(&code_only(text), module_depth(file)) {
        let first = path.split("::").next().unwrap_or_default();
        let known = first == "simulate" || JOINERS.contains(&first) || ROOMS.iter().any(|(name, _)| *name == first);
        let outside = known && first != room && !row.contains(&first);
        if outside || withheld(&path) {
            let to = if outside { first.to_owned() } else { path };
            arrows.push(Arrow { file: file.to_owned(), line, from: room.to_owned(), to });
        }
    }
    arrows
}

/// How many `super::` lead from a file's module to the root of the crate.
fn module_depth(file: &Path) -> usize {
    let is_folder = file.file_stem().is_some_and(|name| name == "mod");
    file.components().count() - usize::from(is_folder)
}

/// Every path from the root of the crate in `code`, without the root, with the line where its first segment stands.
fn crate_paths(code: &str, depth: usize) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut paths = Vec::new();
    for at in 0..tokens.len() {
        let roots = match word(at) {
            "crate" => 1,
            "super" if at == 0 || word(at - 1) != "::" => depth,
            _ => continue,
        };
        let climbs = (0..roots).all(|i| word(at + 2 * i) == word(at) && word(at + 2 * i + 1) == "::");
        if climbs {
            expand(&tokens, at + 2 * roots, String::new(), &mut paths);
        }
    }
    paths
}

/// Adds the paths of the use tree that starts at token `at`, each behind `prefix`, and returns the token after the tree.
fn expand(tokens: &[(usize, String)], mut at: usize, prefix: String, paths: &mut Vec<(usize, String)>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    if word(at) == "{" {
        at += 1;
        while at < tokens.len() && word(at) != "}" {
            at = expand(tokens, at, prefix.clone(), paths);
            // Skips `as name` and the comma.
            while at < tokens.len() && !matches!(word(at), "," | "}") {
                at += 1;
            }
            at += usize::from(word(at) == ",");
        }
        return at + 1;
    }
    let path = if prefix.is_empty() { word(at).to_owned() } else { format!("{prefix}::{}", word(at)) };
    if word(at + 1) == "::" && (word(at + 2) == "{" || is_name(word(at + 2))) {
        return expand(tokens, at + 2, path, paths);
    }
    if let Some((line, _)) = tokens.get(at) {
        paths.push((*line, path));
    }
    at + 1
}

fn is_name(token: &str) -> bool {
    token.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Names, `::` and single other characters, each with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let (mut tokens, mut line, mut rest) = (Vec::new(), 1, code);
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match first {
            c if is_part(c) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push((line, rest[..length].to_owned()));
        }
        line += usize::from(first == '\n');
        rest = &rest[length..];
    }
    tokens
}

/// `text` with comments, strings and items under `#[cfg(test)]` blanked out, line for line.
fn code_only(text: &str) -> String {
    let (mut code, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let skipped = skipped_length(rest);
        let taken = if skipped > 0 { skipped } else { rest.chars().next().map_or(0, char::len_utf8) };
        let kept = |c: char| if skipped > 0 && c != '\n' { ' ' } else { c };
        code.extend(rest[..taken].chars().map(kept));
        rest = &rest[taken..];
    }
    without_tests(code)
}

/// How long the comment, string or character is that `rest` starts with; 0 where it starts with code.
fn skipped_length(rest: &str) -> usize {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if let Some(text) = rest.strip_prefix('"') {
        let mut escaped = false;
        let closes = |c: char| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        };
        text.find(closes).map_or(rest.len(), |at| at + 2)
    } else if let Some(hashes) = raw_string_hashes(rest) {
        until(&format!("\"{}", "#".repeat(hashes)), hashes + 2)
    } else if rest.starts_with("'\\") {
        until("'", 3)
    } else if rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
        rest.char_indices().nth(2).map_or(0, |(at, _)| at + 1)
    } else {
        0
    }
}

/// The number of hashes of a raw string that `rest` starts with.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut open) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..rest.len().min(at + 2)] {
            b"/*" => open += 1,
            b"*/" => open -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if open == 0 {
            return at;
        }
    }
    rest.len()
}

/// `code` with every item under `#[cfg(test)]` blanked out, up to its closing brace or semicolon.
fn without_tests(mut code: String) -> String {
    const MARK: &str = "#[cfg(test)]";
    while let Some(start) = code.find(MARK) {
        let (mut depth, mut end) = (0_usize, code.len());
        for (at, c) in code[start + MARK.len()..].char_indices() {
            depth += usize::from(c == '{');
            depth = depth.saturating_sub(usize::from(c == '}'));
            if depth == 0 && (c == '}' || c == ';') {
                end = start + MARK.len() + at + 1;
                break;
            }
        }
        let blank: String = code[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        code.replace_range(start..end, &blank);
    }
    code
}
