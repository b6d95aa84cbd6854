//! All tests from outside, in one binary: one link instead of ten.

mod catalog;
mod ledger;
mod report;
