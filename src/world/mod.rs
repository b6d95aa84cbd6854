//! What stands in the halls and who holds it: sites, clusters, nodes in racks and larger domains, and sets of them. Counts, never
//! spends time.

mod cluster;
mod cost;
mod domain;
mod free;
mod hall;
mod nodes;
mod power;
mod shared;

pub use cluster::{ClusterPlan, Cost};
pub use cost::Ownership;
pub use domain::{Domain, DomainTree, Domains};
pub use free::FreeNodes;
pub use hall::{Hall, Need};
pub use nodes::NodeSet;
pub use power::{ClusterPower, Network, Unheld};
pub use shared::SharedNodes;
