//! tollway
pub mod catalog;
pub mod engine;
pub mod facility;
pub mod fault;
pub mod ledger;
pub mod market;
pub mod power;
pub mod scenario;
pub mod serving;
pub mod trace;
pub mod training;
pub mod units;
pub mod world;
