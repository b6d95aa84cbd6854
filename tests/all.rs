//! All tests from outside, in one binary: one link instead of ten.

mod engine;
mod layers;
mod run;
mod trace;
