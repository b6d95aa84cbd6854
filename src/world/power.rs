//! `[cluster.<name>.power]`: what a cluster draws beside the load of its nodes.

use crate::catalog::{CapSheet, GpuSheet, Named, NodeSheet};
use crate::units::{Share, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `power = { network = { share = "3 %" }, unheld = "off", gpu_limit = "560 W" }`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterPower {
    /// Switches between the nodes; unset, they are not counted. Part of the hosts in every output.
    pub network: Option<Network>,
    /// What nodes do that nobody holds.
    pub unheld: Unheld,
    /// A standing power limit on each accelerator.
    pub gpu_limit: Option<Watts>,
    /// What the nodes of a rack may draw together; `site.<name>.capping` holds them to it.
    pub rack_limit: Option<Watts>,
    /// What the nodes behind one power distribution unit, those of a row, may draw together; `site.<name>.capping` holds them to it.
    pub row_limit: Option<Watts>,
    /// How accelerators answer a cap.
    pub response: Named<CapSheet>,
}

impl Default for ClusterPower {
    fn default() -> ClusterPower {
        ClusterPower {
            network: None,
            unheld: Unheld::Idle,
            gpu_limit: None,
            rack_limit: None,
            row_limit: None,
            // Many loads of one kind of GPU: the middle of what was measured.
            response: Named::Name(Cow::Borrowed("zeus-median")),
        }
    }
}

/// How much the network draws.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Network {
    /// This share on top of what nodes draw, load for load. 3 % is what we would assume.
    Share(Share),
    /// So many switches of so many watts, spread over the nodes.
    Switches {
        /// How many.
        count: u32,
        /// What each draws, whatever the traffic. RAPS has 250 W (ExaDigiT/RAPS config/frontier.yaml).
        each: Watts,
    },
}

/// The states of a node that nobody holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unheld {
    /// Powered, without a model.
    #[default]
    Idle,
    /// Powered off.
    Off,
}

impl ClusterPower {
    /// `node` of a cluster of `nodes`, with its part of the network in its host and in its nameplate.
    ///
    /// The share follows the node's power, which is linear in the activity of its accelerators as the host is. Worked value: 3 % of
    /// a training node of 8 x 600 W and 2.8 kW are 228 W.
    #[must_use]
    pub fn with_network(&self, node: &NodeSheet, gpu: &GpuSheet, nodes: u32) -> NodeSheet {
        let count = u64::from(node.gpus);
        let (idle, busy, rated) = match self.network {
            None => (Watts::ZERO, Watts::ZERO, Watts::ZERO),
            Some(Network::Share(share)) => {
                let part = |watts: Watts| Watts::from_f64(watts.as_f64() * share.as_f64());
                (part(gpu.idle * count + node.host_idle), part(gpu.training * count + node.host_busy), part(node.rated))
            }
            Some(Network::Switches { count, each }) => {
                let part = Watts::from_milli(each.milli() * u64::from(count) / u64::from(nodes.max(1)));
                (part, part, part)
            }
        };
        NodeSheet {
            host_idle: node.host_idle + idle,
            host_busy: node.host_busy + busy,
            rated: node.rated + rated,
            ..node.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{GPUS, NODES, find};

    #[test]
    fn a_network_draws_its_share_of_the_nodes_or_what_its_switches_do() {
        let (node, gpu) = (find(NODES, "dgx-h100").unwrap(), find(GPUS, "h100-sxm").unwrap());
        let with = |network| {
            let power = ClusterPower { network, ..ClusterPower::default() };
            let node = power.with_network(node, gpu, 128);
            [node.host_idle, node.host_busy, node.rated].map(|watts| watts.as_f64())
        };
        assert_eq!(with(None), [1_300.0, 2_800.0, 10_200.0]);
        // 3 % of 576 + 1,300 W, of 4,800 + 2,800 W, and of the nameplate.
        assert_eq!(with(Some(Network::Share(Share::new(0.03)))), [1_356.28, 3_028.0, 10_506.0]);
        // 16 switches of 250 W over 128 nodes.
        let switches = Network::Switches { count: 16, each: Watts::new(250) };
        assert_eq!(with(Some(switches)), [1_331.25, 2_831.25, 10_231.25]);
    }
}
