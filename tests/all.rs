//! All integration tests, in one binary so that they link once.

mod catalog;
mod fluid;
mod serving;
mod trace;
