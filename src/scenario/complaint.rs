//! Complaints: one sentence about each thing that is wrong with a scenario, where it stands, and what would do instead.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

/// Where a key or a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    /// Index of the text among [`Complaints`]' sources.
    pub source: usize,
    /// First byte in that text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Origin {
    /// The bytes `span` of source `source`.
    pub(super) fn new(source: usize, span: Range<usize>) -> Origin {
        Origin { source, start: span.start, end: span.end }
    }
}

/// A text that scenario values come from: a file or a `--set` argument.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// What a message calls it: the path as written, or `--set`.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Folder that its relative paths start from; empty for the working directory.
    pub folder: PathBuf,
    /// Who wins where two set the same: the higher one. Bases lie below the file that extends them, `--set` above all.
    pub layer: i32,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    message: String,
    at: Option<Origin>,
    help: Option<String>,
}

impl Complaint {
    /// `message`, a clear sentence without a full stop.
    pub(super) fn new(message: impl Into<String>) -> Complaint {
        Complaint { message: message.into(), at: None, help: None }
    }
    /// The same, with the place.
    pub(super) fn at(mut self, origin: &Origin) -> Complaint {
        self.at = Some(origin.clone());
        self
    }
    /// The same, with what would do.
    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Complaint {
        self.help = help.into();
        self
    }
}

/// All that is wrong with a scenario, with the texts that the messages quote. Displays as the messages, without colour.
#[derive(Debug, Default)]
pub struct Complaints {
    pub(super) sources: Vec<Source>,
    list: Vec<Complaint>,
}

impl Complaints {
    pub(super) fn add(&mut self, complaint: Complaint) {
        self.list.push(complaint);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True where nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The messages in the order of their places, with terminal colours.
    #[must_use]
    pub fn coloured(&self) -> String {
        self.render(&Renderer::styled())
    }

    fn render(&self, renderer: &Renderer) -> String {
        let mut sorted: Vec<&Complaint> = self.list.iter().collect();
        sorted.sort_by_key(|complaint| complaint.at.clone());
        let mut texts: Vec<String> =
            sorted.iter().map(|complaint| renderer.render(&[self.group(complaint)]).trim_end().to_owned()).collect();
        texts.dedup();
        texts.join("\n\n")
    }

    fn group<'a>(&'a self, complaint: &'a Complaint) -> Group<'a> {
        let title = Level::ERROR.primary_title(complaint.message.as_str());
        let snippet = complaint.at.as_ref().map(|at| {
            let source = &self.sources[at.source];
            let span = first_line(&source.text, at.start..at.end);
            Snippet::source(&source.text).path(source.name.as_str()).annotation(AnnotationKind::Primary.span(span))
        });
        let help = complaint.help.as_ref().map(|help| Level::HELP.message(help.as_str()));
        match (snippet, help) {
            (Some(snippet), Some(help)) => title.element(snippet).element(help),
            (Some(snippet), None) => title.element(snippet),
            (None, Some(help)) => title.element(help),
            (None, None) => Group::with_title(title),
        }
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&Renderer::plain()))
    }
}

impl std::error::Error for Complaints {}

/// `span` up to the end of its first line, inside `text` and on character borders: a caret never underlines a whole table.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let border = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = border(span.start);
    let line_end = text[start..].find(['\r', '\n']).map_or(text.len(), |length| start + length);
    start..border(span.end).clamp(start, line_end)
}

/// The candidate that `word` was meant to be, where one is near.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    // One slip in three letters is a typing error; more is another word.
    let limit = (word.chars().count().max(3) / 3).max(1);
    let near = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    near.filter(|&(distance, _)| distance <= limit).min().map(|(_, candidate)| candidate)
}

/// What to write instead of `word`: the nearest of `candidates`, else all of them, which are `what`.
#[must_use]
pub fn instead(word: &str, candidates: &[&str], what: &str) -> Option<String> {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if candidates.is_empty() => None,
        None => Some(format!("{what}: {}", quoted(candidates))),
    }
}

/// "`a`, `b`, `c`"
pub(super) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let names = ["nodes", "node", "model", "tokens"];
        assert_eq!(nearest("nodess", names), Some("nodes"));
        assert_eq!(nearest("modle", names), Some("model"));
        assert_eq!(nearest("Tokens", names), Some("tokens"));
        assert_eq!(nearest("gpus", names), None);
    }

    #[test]
    fn a_caret_stays_on_its_line() {
        assert_eq!(first_line("a = [\n1\n]", 4..9), 4..5);
        assert_eq!(first_line("é", 1..9), 0..2);
    }
}
