//! What there is, and what the site puts in.

use conf::topology::{Engine, ThirdVote};

use super::book::{Book, lines};
use crate::plan::{Placeholder, Plan, director, hosts};

pub(super) fn write(plan: &Plan<'_>, book: &mut Book) {
    let engine = match plan.engine {
        Engine::Pacemaker => "Pacemaker moves the services, their data are on DRBD.",
        Engine::Patroni => "Patroni moves the catalog, the Director's own lease moves the Director.",
        Engine::Lease => "The Director's own lease moves the Director; the catalog is promoted by hand.",
    };
    book.paragraph(&format!(
        "Rendered by `holdfast ha render` for this topology; change that and render again. {engine} Commands are for root on the machine that stands above them."
    ));
    machines(plan, book);
    domains(plan, book);
}

fn machines(plan: &Plan<'_>, book: &mut Book) {
    let rows: Vec<Vec<String>> = plan
        .config
        .nodes
        .iter()
        .map(|node| {
            let replication =
                node.replication_address.map_or_else(|| "–".to_owned(), |address| address.to_string());
            let rings: Vec<_> = node.heartbeat_addresses().iter().map(ToString::to_string).collect();
            let levels: Vec<_> = node.fence_levels().iter().map(|level| level.join(" + ")).collect();
            let fenced = if levels.is_empty() { "–".to_owned() } else { levels.join(", else ") };
            let rings = if plan.engine == Engine::Pacemaker { rings.join(", ") } else { "–".to_owned() };
            vec![
                node.name.clone(),
                node.data_centre.clone(),
                node.address.to_string(),
                replication,
                rings,
                fenced,
            ]
        })
        .collect();
    book.table(
        &["node", "data centre", "address", "replication", "heartbeat rings", "switched off by"],
        &rows,
    );
    match &plan.config.quorum {
        Some(quorum) if quorum.third_vote == ThirdVote::Witness && plan.engine != Engine::Lease => {
            book.paragraph(&format!(
                "The third vote is at {} ({}), data centre {}.",
                quorum.name,
                quorum.address.unwrap_or_default().ip(),
                quorum.data_centre.as_deref().unwrap_or("not said")
            ));
        }
        Some(quorum) if quorum.third_vote == ThirdVote::None && plan.engine == Engine::Pacemaker => {
            book.paragraph(
                "**There is no third vote.** When the nodes do not see each other, each shoots the other; measured, in 8 of 10 cases the node that was cut off won. Nothing is written twice, but the service stays unreachable until the network heals. Put a witness at a third site.",
            );
        }
        _ => {}
    }
}

fn domains(plan: &Plan<'_>, book: &mut Book) {
    let rows: Vec<Vec<String>> = plan
        .config
        .domains
        .iter()
        .map(|domain| {
            let name = domain.name.as_str();
            let services = [
                plan.director_in(name).map(|r| format!("Director {}", r.name)),
                plan.catalog_in(name).map(|r| format!("Catalog {}", r.name)),
                plan.storage_in(name).map(|r| format!("Storage {}", r.name)),
            ];
            let devices: Vec<_> = plan
                .config
                .devices_of(name)
                .map(|r| format!("/dev/drbd{} on {} at {}", r.minor, r.backing_disk, r.mount_point))
                .collect();
            let floating: Vec<_> =
                domain.floating_addresses.iter().map(|address| address.ip().to_string()).collect();
            let or_none =
                |list: Vec<String>| if list.is_empty() { "–".to_owned() } else { list.join(", ") };
            vec![
                name.to_owned(),
                domain.nodes.join(", "),
                services.into_iter().flatten().collect::<Vec<_>>().join(", "),
                or_none(devices),
                or_none(floating),
            ]
        })
        .collect();
    book.table(&["failover domain", "nodes", "services", "replicated devices", "floating addresses"], &rows);
}

/// What only the site knows.
pub(super) fn secrets(placeholders: &[Placeholder], book: &mut Book) {
    if placeholders.is_empty() {
        return;
    }
    book.heading("Secrets to put in");
    book.paragraph("The topology does not hold these. Replace each in all its files before anything is installed, or give it in the topology and render again.");
    let rows: Vec<Vec<String>> =
        placeholders.iter().map(|p| vec![format!("`{}`", p.text), p.files.join("<br>")]).collect();
    book.table(&["placeholder", "files"], &rows);
}

/// Steps that every bring-up begins with.
pub(super) fn install(plan: &Plan<'_>, machine: &str, packages: &[&str], book: &mut Book) {
    let is_node = plan.config.node(machine).is_some();
    let mut text = vec![format!("apt-get install {}", packages.join(" "))];
    text.push(format!("sh install/{machine}.sh"));
    text.push("systemctl daemon-reload".to_owned());
    if is_node {
        text.push(hosts::command());
    }
    book.commands(machine, &text);
}

/// What is worth doing regularly, and what to do after a change.
pub(super) fn afterwards(plan: &Plan<'_>, book: &mut Book) {
    book.heading("After a change of the topology");
    book.paragraph("Keep the topology on each node, mode 0600: it may hold secrets. This tells what is different there from what would be rendered; the exit code is 0 when nothing is.");
    if let Some(node) = plan.config.nodes.first() {
        book.commands(&node.name, &lines(["holdfast ha render /etc/holdfast/holdfast-ha.conf --diff"]));
    }
    let includes: Vec<String> = plan
        .config
        .directors
        .iter()
        .map(|d| format!("`{}` holds the line `@{}`.", d.config_file, director::path(d)))
        .collect();
    if !includes.is_empty() {
        book.items(&includes);
    }
}
