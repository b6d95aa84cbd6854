//! All integration tests, in one binary so that they link once.

mod catalog;
mod serving;
mod trace;
