//! Names of the machines, for `/etc/hosts`: a cluster must not need a name server to find itself, and crmsh does nothing with a
//! node whose name it cannot resolve.

use std::fmt::Write as _;

use super::{Plan, Tree};

/// Lines that go into `/etc/hosts`, which is the site's own.
pub(super) const PATH: &str = "/etc/holdfast/hosts";

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    let mut text = String::new();
    let nodes = plan.config.nodes.iter().map(|node| (node.address, &node.name));
    let witness = plan.config.quorum.iter().filter_map(|quorum| Some((quorum.address?, &quorum.name)));
    for (address, name) in nodes.chain(witness) {
        let _ = writeln!(text, "{} {name}", address.ip());
    }
    for node in &plan.config.nodes {
        tree.file(&node.name, PATH, text.clone());
    }
}

/// The command that puts them there, once.
pub(super) fn command() -> String {
    format!("grep -vxFf /etc/hosts {PATH} >> /etc/hosts || true")
}
