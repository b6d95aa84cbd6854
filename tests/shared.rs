//! The reference data beside the project, for the tests that need it.

use std::path::{Path, PathBuf};

/// A file under `../shared/data`, or `None` after printing why the test is skipped.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {name} is not in ../shared/data");
    None
}
