//! Ctrl-C and SIGTERM in a sweep: the record that is being written is finished, and the same command goes on from there.

use super::INTERRUPTED;
use indicatif::ProgressBar;
use std::sync::{Arc, Mutex, MutexGuard};
use tollway::sweep::Store;

/// Held while results are written, which an interruption lets finish.
static WRITING: Mutex<()> = Mutex::new(());

/// From now on an interruption puts `store` in order, says how many of `runs`, where that is known, are on record, and ends the
/// program.
pub(super) fn watch(store: &Arc<Store>, bar: &ProgressBar, runs: Option<u64>) {
    let (store, bar) = (Arc::clone(store), bar.clone());
    let stop = move || {
        let _writing = WRITING.lock();
        let sealed = store.seal();
        bar.finish_and_clear();
        if let Err(error) = sealed.sync() {
            eprintln!("error: {error}");
        }
        let of = runs.map_or(String::new(), |runs| format!(" of {runs}"));
        eprintln!("Stopped: {}{of} runs are on record. The same command goes on from there.", sealed.runs());
        std::process::exit(i32::from(INTERRUPTED));
    };
    ctrlc::set_handler(stop).expect("it is set once");
}

/// Keeps an interruption waiting, for good if the guard is kept till the end of the program.
pub(super) fn not_now() -> MutexGuard<'static, ()> {
    WRITING.lock().expect("nothing panics while it is held")
}
