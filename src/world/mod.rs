//! What stands in the halls and who holds it: sites, clusters, nodes in racks and pods, and sets of them. Counts, never
//! spends time.

mod cluster;
mod nodes;

pub use cluster::{ClusterPlan, Cost, Domains};
pub use nodes::NodeSet;
