//! What stands in the halls and who holds it: sites, clusters, nodes in racks and larger domains, and sets of them. Counts, never
//! spends time.

mod cluster;
mod cost;
mod domain;
mod nodes;
mod power;

pub use cluster::{ClusterPlan, Cost};
pub use cost::Ownership;
pub use domain::{Domain, DomainTree, Domains};
pub use nodes::NodeSet;
pub use power::{ClusterPower, Network, Unheld};
