//! Tells the program the version of its model: a hash of the sources and locked dependencies that a run's figures depend on.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that no run depends on: they write, compare and command runs, and no room that simulates may use them, which
/// `tests/layers.rs` holds.
const OUTSIDE: [&str; 5] = ["cli", "evidence", "main.rs", "report", "sweep"];

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rustc-env=TOLLWAY_MODEL={}", model_version(&root));
    println!("cargo::rustc-env=TOLLWAY_PROGRAM={}", version(&root, &[]));
}

/// The version of the model whose package lies in `root`: everything under `src` but the rooms outside, and `Cargo.lock`, by
/// name and content, line ends apart. 128-bit FNV-1a: it has to tell accidents apart, not attacks, and needs no dependency.
pub(crate) fn model_version(root: &Path) -> String {
    version(root, &OUTSIDE)
}

/// The same of everything but what is `outside`.
fn version(root: &Path, outside: &[&str]) -> String {
    let mut files = Vec::new();
    for entry in entries(&root.join("src")) {
        if !outside.iter().any(|outside| entry.ends_with(outside)) {
            collect(entry, &mut files);
        }
    }
    let lock = root.join("Cargo.lock");
    files.extend(lock.exists().then_some(lock));
    // FNV's offset basis and prime for 128 bits (draft-eastlake-fnv-21, section 5).
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut take = |byte: u8| {
        hash ^= u128::from(byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    };
    for file in files {
        let name = file.strip_prefix(root).expect("files are found below the root");
        name.iter().for_each(|part| part.as_encoded_bytes().iter().copied().chain([b'/']).for_each(&mut take));
        let content = fs::read(&file).expect("a source is readable");
        content.into_iter().filter(|&byte| byte != b'\r').chain([0]).for_each(&mut take);
    }
    format!("{hash:032x}")
}

fn collect(path: PathBuf, files: &mut Vec<PathBuf>) {
    if path.is_dir() {
        entries(&path).into_iter().for_each(|entry| collect(entry, files));
    } else {
        files.push(path);
    }
}

/// What stands in a folder, by name, hidden files and editors' copies apart.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).expect("a source folder is readable");
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.expect("a source folder is readable").path()).collect();
    let hidden = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.') || name.to_string_lossy().ends_with('~'))
    };
    entries.retain(|path| !hidden(path));
    entries.sort();
    entries
}
