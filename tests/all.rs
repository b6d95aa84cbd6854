//! Tests across rooms.
mod ledger;
mod report;
