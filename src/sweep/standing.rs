//! Whether the results of a sweep stand as they were written: then there is nothing to write again. A note beside the records says
//! what the results were made of and what is in each file; a result that somebody deleted or changed is written anew.

use super::{Done, Every};
use crate::report::sweep_files;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The version of everything that writes: a hash of all sources and of the locked dependencies (`build.rs`).
const PROGRAM: &str = env!("TOLLWAY_PROGRAM");

/// What the results were made of, and what stands in them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    made_of: String,
    /// Name and hash of each file.
    files: Vec<(String, String)>,
}

impl Done {
    /// A hash of all that the results of the sweep are made of: the program, `manifest`, the columns asked for, and every value and
    /// error of every run.
    #[must_use]
    pub fn made_of(&self, manifest: &str, every: Every) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        text(PROGRAM);
        text(manifest);
        text(if every == Every::Parameter { "every parameter" } else { "axes" });
        text(if cfg!(feature = "xlsx") { "workbook" } else { "no workbook" });
        for (cell, result) in self.plan.cells.iter().zip(&self.results.cells) {
            // The cell's name stands for all that its runs give, and for each of its parameters.
            text(&cell.key.to_string());
            cell.values.iter().for_each(|value| text(value));
            result.errors.iter().for_each(|error| text(error.as_deref().unwrap_or("")));
        }
        for sample in self.results.cells.iter().flat_map(|cell| cell.replications.samples()) {
            for value in sample.values.iter() {
                hasher.update(&value.unwrap_or(f64::NAN).to_bits().to_le_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl Standing {
    /// What stands in the folder `out`, made of `made_of`; none where a file is missing.
    #[must_use]
    pub fn of(out: &Path, made_of: String, is_search: bool) -> Option<Standing> {
        let names: Vec<&str> = sweep_files(is_search).collect();
        let hash = |name: &&str| {
            let content = fs::read(out.join(name)).ok()?;
            Some(((*name).to_owned(), blake3::hash(&content).to_hex().to_string()))
        };
        let files = names.par_iter().map(hash).collect::<Option<_>>()?;
        Some(Standing { made_of, files })
    }

    /// Whether `note` says the same.
    #[must_use]
    pub fn is_noted(&self, note: &Path) -> bool {
        let noted = fs::read(note).ok().and_then(|text| serde_json::from_slice::<Standing>(&text).ok());
        noted.as_ref() == Some(self)
    }

    /// Notes it.
    ///
    /// # Errors
    /// The note cannot be written.
    pub fn note(&self, note: &Path) -> io::Result<()> {
        fs::write(note, serde_json::to_string_pretty(self).expect("names and hashes are text"))
    }
}
