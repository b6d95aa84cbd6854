//! `scheduler = { fifo = {} }`

use schemars::JsonSchema;
use serde::Deserialize;

/// In order of submission, whatever the priority; the first that does not fit makes all behind it wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fifo {}
