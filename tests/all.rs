//! All integration tests in one binary: one link instead of many.

mod cli;
mod scenario;
mod trace;
