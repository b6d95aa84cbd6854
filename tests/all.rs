//! All tests from outside, in one binary: one link instead of ten.

mod cli;
mod engine;
mod layers;
mod run;
mod scenario;
mod trace;
mod training;
