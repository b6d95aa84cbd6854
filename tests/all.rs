//! All tests from outside, in one binary: one link instead of ten.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrivals;
mod budget;
mod calibration;
mod capping;
mod catalog;
mod cli;
mod clientele;
mod compare;
mod engine;
mod evidence;
mod experiments;
mod faults;
mod fidelity;
mod fluid;
mod gallery;
mod inspect;
mod jobs;
mod layers;
mod ledger;
mod localise;
mod maintenance;
mod mixed;
mod power;
mod records;
mod recovery;
mod replicas;
mod report;
mod requests;
mod routing;
mod run;
mod scenario;
mod scheduler;
mod servegen;
mod serving;
mod shards;
mod sizes;
mod spares;
mod storage;
mod stragglers;
mod sweep;
mod trace;
mod training;
mod workbook;
mod worlds;
