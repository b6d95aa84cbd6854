//! The result folder: written aside in the same parent, renamed when complete.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Why results cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The folder holds something that we did not write.
    #[error("{}: the folder is not empty and holds no manifest.json of tollway; choose another with --out", .0.display())]
    NotOurs(PathBuf),
    /// Something that is no folder stands there.
    #[error("{}: is not a folder; choose another with --out", .0.display())]
    NotAFolder(PathBuf),
    /// The folder cannot be written.
    #[error("{}: cannot be written: {source}", dir.display())]
    Unwritable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written to its end.
    #[error("{file}: cannot be written: {source}")]
    Unfinished {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
}

impl OutputError {
    /// The file `name` could not be written to its end.
    pub(super) fn unfinished(name: &str, source: impl Into<io::Error>) -> OutputError {
        OutputError::Unfinished { file: name.to_owned(), source: source.into() }
    }
}

/// Whether a run may write its results to `dir`: it does not exist yet, is empty, or holds results of ours, and its parent can
/// be written. Leaves nothing behind. [`write`](super::write) checks again; call this before a long run.
pub fn check(dir: &Path) -> Result<(), OutputError> {
    refuse_strangers(dir)?;
    let existing = parent(dir).ancestors().find(|folder| folder.exists()).unwrap_or(Path::new(".")).to_owned();
    // The kind alone: the error's own text names a file that the user never asked for.
    let unwritable = |error: io::Error| OutputError::Unwritable { dir: dir.to_owned(), source: error.kind().into() };
    tempfile::Builder::new().prefix(".tollway-").tempfile_in(existing).map(drop).map_err(unwritable)
}

/// Our manifest names the program.
fn is_ours(dir: &Path) -> bool {
    let program = |manifest: serde_json::Value| manifest.get("program").is_some_and(|program| program == "tollway");
    fs::read(dir.join("manifest.json")).is_ok_and(|text| serde_json::from_slice(&text).is_ok_and(program))
}

fn refuse_strangers(dir: &Path) -> Result<(), OutputError> {
    if !dir.exists() {
        return Ok(());
    }
    if !dir.is_dir() {
        return Err(OutputError::NotAFolder(dir.to_owned()));
    }
    let mut entries = fs::read_dir(dir).map_err(|source| OutputError::Unwritable { dir: dir.to_owned(), source })?;
    if entries.next().is_none() || is_ours(dir) { Ok(()) } else { Err(OutputError::NotOurs(dir.to_owned())) }
}

/// The folder above, `.` for a bare name.
fn parent(dir: &Path) -> &Path {
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A result folder being written, in a hidden sibling that vanishes unless it is published.
pub(super) struct Folder {
    target: PathBuf,
    aside: tempfile::TempDir,
}

impl Folder {
    /// Opens a folder aside of `target`.
    pub(super) fn aside(target: &Path) -> Result<Folder, OutputError> {
        refuse_strangers(target)?;
        let unwritable = |source| OutputError::Unwritable { dir: target.to_owned(), source };
        fs::create_dir_all(parent(target)).map_err(unwritable)?;
        let aside = tempfile::Builder::new().prefix(".tollway-").tempdir_in(parent(target)).map_err(unwritable)?;
        fs::create_dir(aside.path().join("new")).map_err(unwritable)?;
        Ok(Folder { target: target.to_owned(), aside })
    }

    /// Writes one CSV file.
    pub(super) fn csv(
        &self,
        name: &str,
        fill: impl FnOnce(&mut BufWriter<File>) -> csv::Result<()>,
    ) -> Result<(), OutputError> {
        self.csvs(&[name], |mut to| fill(&mut to[0]))
    }

    /// Writes several CSV files side by side.
    pub(super) fn csvs(
        &self,
        names: &[&str],
        fill: impl FnOnce(Vec<BufWriter<File>>) -> csv::Result<()>,
    ) -> Result<(), OutputError> {
        let unfinished = |source| OutputError::Unfinished { file: names.join(", "), source };
        let files = names.iter().map(|name| self.create(name).map(BufWriter::new));
        let files = files.collect::<io::Result<Vec<_>>>().map_err(unfinished)?;
        fill(files).map_err(|error| unfinished(io::Error::from(error)))
    }

    /// Opens one file, to be written in turns.
    pub(super) fn open(&self, name: &str) -> Result<BufWriter<File>, OutputError> {
        self.create(name).map(BufWriter::new).map_err(|source| OutputError::unfinished(name, source))
    }

    /// Writes one JSON file.
    pub(super) fn json(&self, name: &str, value: &impl Serialize) -> Result<(), OutputError> {
        let unfinished = |source| OutputError::Unfinished { file: name.to_owned(), source };
        let mut text = serde_json::to_string_pretty(value).map_err(|error| unfinished(error.into()))?;
        text.push('\n');
        self.create(name).and_then(|mut file| file.write_all(text.as_bytes())).map_err(unfinished)
    }

    /// Puts the folder on the disk and then in its place. At any instant, a power cut's included, the old results stand there or
    /// the new ones.
    pub(super) fn publish(self) -> Result<(), OutputError> {
        let unwritable = |source| OutputError::Unwritable { dir: self.target.clone(), source };
        let new = self.aside.path().join("new");
        settle(&new).map_err(unwritable)?;
        refuse_strangers(&self.target)?;
        if !self.target.exists() {
            fs::rename(&new, &self.target).map_err(unwritable)?;
        } else if swap(&new, &self.target).is_err() {
            self.replace(&new)?;
        }
        sync_folder(parent(&self.target)).map_err(unwritable)
    }

    /// Where two folders cannot change places at once: a kill between the renames leaves the old results beside their place, under
    /// a name that says what they are.
    fn replace(&self, new: &Path) -> Result<(), OutputError> {
        let unwritable = |source| OutputError::Unwritable { dir: self.target.clone(), source };
        let mut old = self.target.clone().into_os_string();
        old.push(".old");
        let old = PathBuf::from(old);
        refuse_strangers(&old)?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(unwritable)?;
        }
        fs::rename(&self.target, &old).map_err(unwritable)?;
        fs::rename(new, &self.target).map_err(unwritable)?;
        fs::remove_dir_all(&old).map_err(unwritable)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        File::create_new(self.aside.path().join("new").join(name))
    }
}

/// Puts the files of `folder`, and their names, on the disk itself.
fn settle(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        // Some systems put only what may be written on the disk.
        File::options().write(true).open(entry?.path())?.sync_all()?;
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Lets two folders change places at one instant, where the file system can.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn swap(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn swap(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn publish(dir: &Path, text: &str) -> Result<(), OutputError> {
        let folder = Folder::aside(dir)?;
        folder.json("manifest.json", &serde_json::json!({ "program": "tollway", "text": text }))?;
        folder.publish()
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn results_replace_results_and_leave_nothing_else() {
        let scratch = scratch();
        let dir = scratch.path().join("deep").join("run");
        for text in ["first", "second"] {
            check(&dir).expect("free or ours");
            publish(&dir, text).expect("free or ours");
        }
        assert!(fs::read_to_string(dir.join("manifest.json")).expect("a manifest").contains("second"));
        assert_eq!(names(dir.parent().expect("a parent")), ["run"]);
    }

    #[test]
    fn results_are_there_at_any_instant() {
        let scratch = scratch();
        let dir = scratch.path().join("run");
        publish(&dir, "0").expect("free");
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Somebody who looks all the time: what one would find after a kill.
            let looks = scope.spawn(|| {
                let mut looks = 0;
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    assert!(dir.join("manifest.json").exists(), "the results were away for an instant");
                    looks += 1;
                }
                looks
            });
            (1..200).for_each(|text: i32| publish(&dir, &text.to_string()).expect("ours"));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(looks.join().expect("it never was away") > 0);
        });
        assert_eq!(names(scratch.path()), ["run"]);
    }

    #[test]
    fn without_a_swap_the_old_results_stand_beside() {
        let scratch = scratch();
        let dir = scratch.path().join("run");
        publish(&dir, "first").expect("free");
        // A kill between the renames of an earlier time.
        publish(&scratch.path().join("run.old"), "older").expect("free");
        let folder = Folder::aside(&dir).expect("ours");
        folder.json("manifest.json", &serde_json::json!({ "program": "tollway", "text": "second" })).expect("written");
        folder.replace(&folder.aside.path().join("new")).expect("ours");
        drop(folder);
        assert!(fs::read_to_string(dir.join("manifest.json")).expect("a manifest").contains("second"));
        assert_eq!(names(scratch.path()), ["run"]);
    }

    #[test]
    fn an_unpublished_folder_leaves_nothing() {
        let scratch = scratch();
        let folder = Folder::aside(&scratch.path().join("run")).expect("free");
        folder.json("manifest.json", &"half").expect("written");
        drop(folder);
        assert!(names(scratch.path()).is_empty());
    }

    #[test]
    fn strangers_are_refused_and_left_alone() {
        let scratch = scratch();
        let cases: [(&str, &[(&str, &str)]); 3] = [
            ("thesis", &[("chapter.tex", "years of work")]),
            ("other", &[("manifest.json", "{\"program\": \"npm\"}")]),
            ("broken", &[("manifest.json", "{")]),
        ];
        for (name, files) in cases {
            let dir = scratch.path().join(name);
            fs::create_dir(&dir).expect("created");
            files.iter().for_each(|(file, text)| fs::write(dir.join(file), text).expect("written"));
            for refusal in [check(&dir), publish(&dir, "ours")] {
                assert!(matches!(refusal, Err(OutputError::NotOurs(_))), "{name}: {refusal:?}");
            }
            assert_eq!(names(&dir), files.iter().map(|(file, _)| *file).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let scratch = scratch();
        let file = scratch.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(check(&file), Err(OutputError::NotAFolder(_))));
        let below = file.join("run");
        assert!(matches!(check(&below), Err(OutputError::Unwritable { .. })), "{:?}", check(&below));
        assert!(matches!(publish(&below, "ours"), Err(OutputError::Unwritable { .. })));
    }

    #[test]
    fn checking_leaves_nothing() {
        let scratch = scratch();
        check(&scratch.path().join("a").join("b")).expect("can be created");
        assert!(names(scratch.path()).is_empty());
    }
}
