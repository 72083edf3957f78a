//! Pacemaker: one [`Configuration`] for each cluster, printed as XML for `cibadmin` and as commands of `crm` and of `pcs`.

mod crm;
mod pcs;
mod stack;
mod value;
mod xml;

use super::{Plan, Tree};
pub(crate) use stack::moved;

/// Folder of what is loaded into a running cluster once, from any of its nodes.
const CLUSTERS: &str = "clusters";

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for cluster in &plan.clusters {
        let configuration = stack::configuration(plan, cluster);
        let folder = format!("{CLUSTERS}/{}", cluster.name);
        // Options of fence agents are in all of them, and passwords may be among those.
        tree.put(format!("{folder}/cib.xml"), xml::print(&configuration)).mode(0o600);
        tree.put(format!("{folder}/configuration.crm"), crm::print(&configuration)).mode(0o600);
        tree.put(format!("{folder}/configuration.pcs.sh"), pcs::print(&configuration)).mode(0o700);
        for node in &cluster.nodes {
            agents(plan, node, tree);
        }
    }
}

/// The agents are the program itself by another name.
fn agents(plan: &Plan<'_>, node: &str, tree: &mut Tree) {
    const FOLDER: &str = "/usr/lib/ocf/resource.d/holdfast";
    const PROGRAM: &str = "/usr/bin/holdfast";
    if plan.domains_on(node).any(|domain| plan.director_in(&domain.name).is_some()) {
        tree.link(node, &format!("{FOLDER}/director"), PROGRAM);
    }
    if plan.domains_on(node).any(|domain| plan.storage_in(&domain.name).is_some()) {
        tree.link(node, &format!("{FOLDER}/storage"), PROGRAM);
    }
}
