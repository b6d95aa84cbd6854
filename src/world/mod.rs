//! What stands in the halls and who holds it: sites, clusters, nodes in racks and pods, and sets of them. Counts, never
//! spends time.

mod cluster;
mod cost;
mod nodes;
mod power;

pub use cluster::{ClusterPlan, Cost, Domains};
pub use cost::Ownership;
pub use nodes::NodeSet;
pub use power::{ClusterPower, Network, Unheld};
