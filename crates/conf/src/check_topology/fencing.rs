//! Who can be switched off by what.

use std::collections::BTreeMap;

use super::{Findings, Site};
use crate::check_cluster::fence_device;
use crate::topology::Engine;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    let mut of_itself = Vec::new();
    site.fence_devices.iter().for_each(|device| fence_device(device.raw, &mut of_itself));
    for (span, message, help) in of_itself {
        findings.error(span, message, help);
    }
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for node in &site.nodes {
        for (number, level) in node.value.fence_levels().into_iter().enumerate() {
            for device in level {
                if let Some(other) = owners.insert(device, &node.value.name) {
                    let message = if other == node.value.name {
                        format!("Node \"{other}\" names the Fence Device \"{device}\" twice")
                    } else {
                        format!(
                            "Node \"{}\" has the Fence Device of Node \"{other}\": \"{device}\"",
                            node.value.name
                        )
                    };
                    // A power strip for both is two devices, each with its own outlet.
                    let help = "give each node a Fence Device of its own that switches off its machine alone; name it once";
                    findings.error(node.at(&format!("Fence Level {}", number + 1)), message, help);
                }
            }
        }
        if node.value.fence_level_1.is_empty() && !node.value.fence_levels().is_empty() {
            let message = format!("Node \"{}\" lacks `Fence Level 1`", node.value.name);
            findings.error(node.header(), message, "number the levels from 1");
        }
    }
    for device in site.fence_devices.iter().filter(|device| !owners.contains_key(device.value.name.as_str()))
    {
        let message = format!("no Node is switched off by Fence Device \"{}\"", device.value.name);
        findings.warning(device.header(), message, "name it in the `Fence Level 1` of a Node, or remove it");
    }
    for domain in &site.domains {
        for node in site.nodes_of(&domain.value).filter(|node| node.value.fence_levels().is_empty()) {
            let name = &node.value.name;
            let help = format!("add a `Fence Device {{ … }}` and `Fence Level 1 = …` to Node \"{name}\"");
            match site.engine() {
                Engine::Pacemaker => {
                    let message = format!(
                        "Node \"{name}\" of Failover Domain \"{}\" has no Fence Device: nothing that ran on it could ever be taken over",
                        domain.value.name
                    );
                    findings.error(node.header(), message, help);
                }
                Engine::Patroni | Engine::Lease => {
                    let message = format!(
                        "Node \"{name}\" of Failover Domain \"{}\" has no Fence Device",
                        domain.value.name
                    );
                    findings.warning(node.header(), message, help);
                }
            }
        }
    }
}
