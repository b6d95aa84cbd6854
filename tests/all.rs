//! All integration tests in one binary, one file a subject.

mod engine;
mod layers;
