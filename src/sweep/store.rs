//! Records of runs in a folder: append-only files of whole lines, read when a sweep begins and added to after each run. A kill
//! at any instruction costs the runs in progress and nothing else, as a run on record is never run again.

use super::key::Key;
use super::record::{self, Layouts, Read, Record, Told};
use crate::ledger::Figure;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

/// Why records cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file of records cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of records cannot be written.
    #[error("{}: cannot be written: {source}", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process adds to the same file.
    #[error("{}: another tollway is writing there; wait for it, or choose another folder with --out", .0.display())]
    Busy(PathBuf),
    /// Two records of one run say different things.
    #[error(
        "defect: two records of one run differ, {first} and {second}: {what}. Same inputs must give the same bytes: please \
         report it with the sweep file. To go on, delete the one that is wrong"
    )]
    Defect {
        /// File and line of the one.
        first: String,
        /// And of the other.
        second: String,
        /// What each says.
        what: String,
    },
}

/// Runs on record, and where new ones go.
#[derive(Debug)]
pub struct Store {
    known: RwLock<BTreeMap<Key, Arc<Record>>>,
    /// How many were known when it was opened.
    found: usize,
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Writer {
    /// None where records are kept in memory only.
    path: Option<PathBuf>,
    /// Whether nobody else may add to the file.
    alone: bool,
    /// Opened by the first record.
    file: Option<File>,
    layouts: Layouts,
    /// Layouts that the file has from us.
    written: BTreeSet<String>,
    /// What was added.
    added: BTreeMap<Key, Arc<Record>>,
    /// How many were added.
    count: usize,
}

impl Store {
    /// A store that is gone when the program ends.
    #[must_use]
    pub fn in_memory() -> Store {
        Store::of(BTreeMap::new(), Writer::default())
    }

    /// The records of `folder` that are among `wanted`, or all where none are named; new ones go to its file `name`, which the first of them creates. With
    /// `alone`, a second process that adds to the same file is refused; else both may, and what both ran is there twice.
    ///
    /// # Errors
    /// A file cannot be read, or two records of one run differ.
    pub fn open(folder: &Path, name: &str, alone: bool, wanted: Option<&BTreeSet<Key>>) -> Result<Store, StoreError> {
        let (known, layouts) = gather(&[folder], wanted)?;
        let writer = Writer { path: Some(folder.join(name)), alone, layouts, ..Writer::default() };
        Ok(Store::of(known, writer))
    }

    /// The records of several folders that are among `wanted`; new ones are gone when the program ends.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn read(folders: &[PathBuf], wanted: Option<&BTreeSet<Key>>) -> Result<Store, StoreError> {
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        let (known, layouts) = gather(&folders, wanted)?;
        Ok(Store::of(known, Writer { layouts, ..Writer::default() }))
    }

    fn of(known: BTreeMap<Key, Arc<Record>>, writer: Writer) -> Store {
        Store { found: known.len(), known: RwLock::new(known), writer: Mutex::new(writer) }
    }

    /// The record of a run, found or added.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Arc<Record>> {
        let known = self.known.read().expect("nothing panics while it is held").get(&key).cloned();
        known.or_else(|| self.lock().added.get(&key).cloned())
    }

    /// Lets go of all records, which their takers may outlive; they stay on the disk, and new ones may be added.
    pub fn let_go(&self) {
        *self.known.write().expect("nothing panics while it is held") = BTreeMap::new();
        self.lock().added = BTreeMap::new();
    }

    /// Keeps what a run gave: when this returns, a kill does not undo it.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn add(&self, key: Key, outcome: Result<(Vec<Figure>, u64, u64), String>) -> Result<Arc<Record>, StoreError> {
        let mut writer = self.lock();
        let outcome = outcome.map(|(figures, events, windows)| writer.layouts.told(figures, events, windows));
        let record = Arc::new(Record { key, outcome });
        writer.write(&record)?;
        writer.count += usize::from(writer.added.insert(key, Arc::clone(&record)).is_none());
        Ok(record)
    }

    /// Puts all that was added on the disk itself, so that a power cut does not undo it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.lock().sync()
    }

    /// Waits for the record that is being written, if one is, and holds up all others as long as the guard lives.
    #[must_use]
    pub fn seal(&self) -> Sealed<'_> {
        Sealed { writer: self.lock(), known: self.found }
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("nothing panics while it is held")
    }
}

/// A store to which nothing is added.
#[derive(Debug)]
pub struct Sealed<'a> {
    writer: MutexGuard<'a, Writer>,
    known: usize,
}

impl Sealed<'_> {
    /// How many runs are on record.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.known + self.writer.count
    }

    /// As [`Store::sync`].
    ///
    /// # Errors
    /// The disk refuses.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.writer.sync()
    }
}

impl Writer {
    fn write(&mut self, record: &Record) -> Result<(), StoreError> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let unwritable = |source| StoreError::Unwritable { file: path.clone(), source };
        if self.file.is_none() {
            self.file = Some(open(&path, self.alone)?);
        }
        let mut text = String::new();
        if let Ok(Told { layout, .. }) = &record.outcome
            && self.written.insert(layout.id.clone())
        {
            text = record::layout_line(layout);
        }
        text.push_str(&record::record_line(record));
        let file = self.file.as_mut().expect("it was opened above");
        // One call, so that lines of two processes do not mix on a local disk.
        file.write_all(text.as_bytes()).map_err(unwritable)
    }

    fn sync(&self) -> Result<(), StoreError> {
        let (Some(file), Some(path)) = (&self.file, &self.path) else { return Ok(()) };
        let unwritable = |source| StoreError::Unwritable { file: path.clone(), source };
        file.sync_all().map_err(unwritable)?;
        #[cfg(unix)]
        File::open(path.parent().expect("a record file is in a folder"))
            .and_then(|folder| folder.sync_all())
            .map_err(unwritable)?;
        Ok(())
    }
}

/// Opens a file to add to; a line that a kill tore is ended first, so that the next begins on its own.
fn open(path: &Path, alone: bool) -> Result<File, StoreError> {
    let unwritable = |source| StoreError::Unwritable { file: path.to_owned(), source };
    fs::create_dir_all(path.parent().expect("a record file is in a folder")).map_err(unwritable)?;
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(unwritable)?;
    // A file system without locks has no say.
    if alone && matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(StoreError::Busy(path.to_owned()));
    }
    if file.seek(SeekFrom::End(0)).map_err(unwritable)? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1)).and_then(|_| file.read_exact(&mut last)).map_err(unwritable)?;
        if last != *b"\n" {
            file.write_all(b"\n").map_err(unwritable)?;
        }
    }
    Ok(file)
}

/// All record files of `folder`, by name; none where it does not exist.
fn files(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let unreadable = |source| StoreError::Unreadable { file: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    Ok(paths)
}

type Known = BTreeMap<Key, Arc<Record>>;

fn gather(folders: &[&Path], wanted: Option<&BTreeSet<Key>>) -> Result<(Known, Layouts), StoreError> {
    let mut reading = Reading { wanted, layouts: Layouts::default(), found: BTreeMap::new() };
    for folder in folders {
        for file in files(folder)? {
            reading.file(&file)?;
        }
    }
    let known = reading.found.into_iter().map(|(key, (record, _))| (key, record)).collect();
    Ok((known, reading.layouts))
}

/// Lines that are read side by side.
const BATCH: usize = 1_024;

/// File and line of a record.
type Place = (Arc<Path>, usize);

/// The reading of a folder.
struct Reading<'a> {
    wanted: Option<&'a BTreeSet<Key>>,
    layouts: Layouts,
    /// Each record, and where it stands.
    found: BTreeMap<Key, (Arc<Record>, Place)>,
}

impl Reading<'_> {
    fn file(&mut self, path: &Path) -> Result<(), StoreError> {
        let unreadable = |source| StoreError::Unreadable { file: path.to_owned(), source };
        let name: Arc<Path> = path.into();
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(unreadable)?);
        let mut number = 0;
        loop {
            let mut lines = Vec::with_capacity(BATCH);
            for _ in 0..BATCH {
                let mut line = Vec::new();
                if file.read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                    break;
                }
                lines.push(line);
            }
            if lines.is_empty() {
                return Ok(());
            }
            let read: Vec<Option<Read>> = lines.par_iter().map(|line| self.line(line)).collect();
            for read in read {
                number += 1;
                if let Some(read) = read {
                    self.take(read, (Arc::clone(&name), number))?;
                }
            }
        }
    }

    /// What a line says, where it is whole and of use.
    fn line(&self, line: &[u8]) -> Option<Read> {
        let read = record::read(line.strip_suffix(b"\n")?)?;
        let of_use = match &read {
            Read::Layout(_) => true,
            Read::Run { key, .. } | Read::Failed { key, .. } => self.wanted.is_none_or(|wanted| wanted.contains(key)),
        };
        of_use.then_some(read)
    }

    fn take(&mut self, read: Read, at: Place) -> Result<(), StoreError> {
        let record = match read {
            Read::Layout(layout) => {
                self.layouts.know(layout);
                return Ok(());
            }
            Read::Run { key, layout, events, windows, values } => {
                // The line of its layout was torn: as good as torn itself.
                let Some(layout) = self.layouts.find(&layout) else { return Ok(()) };
                Record { key, outcome: Ok(Told { layout, values, events, windows }) }
            }
            Read::Failed { key, error } => Record { key, outcome: Err(error) },
        };
        match self.found.get(&record.key) {
            None => {
                self.found.insert(record.key, (Arc::new(record), at));
                Ok(())
            }
            Some((known, _)) if **known == record => Ok(()),
            Some((known, first)) => {
                let place = |(path, line): &Place| format!("{}:{line}", path.display());
                let what = known.difference(&record);
                Err(StoreError::Defect { first: place(first), second: place(&at), what })
            }
        }
    }
}
