//! Another TOML file of ours, such as a sweep's, read with the care of a scenario: each error with file, line and caret, all of
//! them at once, unknown keys with what was meant.

use super::complaint::{Complaint, Complaints, Origin, Source};
use super::de::Reader;
use super::node::{Node, Value};
use super::{read, typed};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Where everything in a document was written, and what is wrong with it so far.
#[derive(Debug)]
pub struct Places {
    tree: Node,
    complaints: Complaints,
}

/// The sections of the document `text`, called `name` in messages.
///
/// # Errors
/// Everything that is wrong with it, not only the first.
pub fn document<T: DeserializeOwned>(name: &str, text: &str) -> Result<(T, Places), Complaints> {
    let mut complaints = Complaints::default();
    let source = Source { name: name.to_owned(), text: text.to_owned(), folder: PathBuf::new(), layer: 0 };
    let Some(mut tree) = read::parse(source, &mut complaints) else { return Err(complaints) };
    let whole = tree.clone();
    loop {
        match T::deserialize(Reader { node: &tree, sources: &complaints.sources }) {
            Ok(sections) if complaints.is_empty() => return Ok((sections, Places { tree: whole, complaints })),
            Ok(_) => return Err(complaints),
            Err(mut error) => {
                error.path.reverse();
                // A key that the document itself lacks leaves nothing to take out, and may be missing for what was taken out.
                let ends = error.path.is_empty();
                if !ends || complaints.is_empty() {
                    complaints.add(typed::complaint(&error, &tree));
                }
                if ends {
                    return Err(complaints);
                }
                tree.prune(&error.path);
            }
        }
    }
}

impl Places {
    /// Complains about what stands at `path`, in which a number picks an item of a list; where nothing stands there, about the
    /// nearest thing above.
    pub fn complain(&mut self, path: &[&str], words: impl Into<String>, help: Option<String>) {
        let complaint = Complaint::new(words).at(&place(&self.tree, path)).help(help);
        self.complaints.add(complaint);
    }

    /// What was complained about, if anything.
    ///
    /// # Errors
    /// All of it.
    pub fn finish(self) -> Result<(), Complaints> {
        if self.complaints.is_empty() { Ok(()) } else { Err(self.complaints) }
    }
}

fn place(node: &Node, path: &[&str]) -> Origin {
    let Some((key, rest)) = path.split_first() else { return node.at.clone() };
    match &node.value {
        Value::Table(entries) => match entries.get(*key) {
            Some(entry) if rest.is_empty() && matches!(entry.node.value, Value::Table(_)) => entry.key_at.clone(),
            Some(entry) => place(&entry.node, rest),
            None => node.at.clone(),
        },
        Value::Array(items) => {
            key.parse().ok().and_then(|index: usize| items.get(index)).map_or(node.at.clone(), |item| place(item, rest))
        }
        _ => node.at.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read for its errors only")]
    struct Sections {
        title: String,
        #[serde(default)]
        item: Vec<Item>,
        #[serde(default)]
        picks: BTreeMap<String, toml::Value>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "read for its errors only")]
    struct Item {
        size: u32,
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_place() {
        let text = "title = 1\ntitel = \"x\"\n\n[[item]]\nsize = 1\n[[item]]\nsiez = 2\n";
        let words = document::<Sections>("d.toml", text).unwrap_err().to_string();
        for part in ["d.toml:1:9", "d.toml:2:1", "did you mean `title`?", "d.toml:7:1", "did you mean `size`?"] {
            assert!(words.contains(part), "{part}: {words}");
        }
    }

    #[test]
    fn a_place_is_found_in_a_list() {
        let text = "title = \"x\"\n[[item]]\nsize = 1\n[[item]]\nsize = 2\n";
        let (_, mut places) = document::<Sections>("d.toml", text).unwrap();
        places.complain(&["item", "1", "size"], "two is too many", None);
        assert!(places.finish().unwrap_err().to_string().contains("d.toml:5:8"));
    }
}
