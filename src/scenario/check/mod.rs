//! Checks the sections against each other and the catalog, and builds the plans of the other rooms.

mod header;

use super::complaint::{Complaint, Complaints};
use super::read::Input;
use super::typed::Typed;
use super::Scenario;

/// The sections under check, and where complaints go.
struct Check<'a> {
    typed: &'a Typed,
    complaints: &'a mut Complaints,
}

/// The scenario that `typed` describes; `None` where something is wrong, which `complaints` then hold.
pub(super) fn check(typed: &Typed, inputs: Vec<Input>, complaints: &mut Complaints) -> Option<Scenario> {
    let mut check = Check { typed, complaints };
    let header = check.header();
    let _ = inputs;
    let _ = header;
    None
}

impl Check<'_> {
    /// Complains about `path`.
    fn complain(&mut self, path: &[&str], message: impl Into<String>, help: impl Into<Option<String>>) {
        let keys: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        let at = self.typed.tree.place(&keys);
        self.complaints.add(Complaint::new(message).at(&at).help(help));
    }

    /// Complains about the value at `path`, which the message names in front.
    fn refuse(&mut self, path: &[&str], why: impl std::fmt::Display, help: impl Into<Option<String>>) {
        self.complain(path, format!("`{}` {why}", path.join(".")), help);
    }
}
