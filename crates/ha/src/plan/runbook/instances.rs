//! The Director's instances under their own lease.

use super::book::{Book, lines};
use super::overview::install;
use crate::plan::{Plan, director};

pub(super) fn bring_up(plan: &Plan<'_>, book: &mut Book) {
    for r in &plan.config.directors {
        let Some(domain) = plan.config.domain(&r.domain) else { continue };
        book.heading(&format!("Bring-up of Director {}", r.name));
        book.paragraph(&format!("`{}` includes `{}`, whose first lines say what its Catalog resource holds. Give the Catalog the password of its role. On every node:", r.config_file, director::path(r)));
        for node in &domain.nodes {
            install(plan, node, &["holdfast"], book);
            book.commands(
                node,
                &[
                    format!("holdfast director -t -c {}", r.config_file),
                    "systemctl enable --now holdfast-director".to_owned(),
                ],
            );
        }
        if let Some(node) = domain.nodes.first() {
            book.paragraph("One is active, the others stand by:");
            book.commands(node, &[format!("holdfast ha status -c {}", r.config_file)]);
        }
    }
}

pub(super) fn operate(plan: &Plan<'_>, book: &mut Book) {
    for r in &plan.config.directors {
        let Some(domain) = plan.config.domain(&r.domain) else { continue };
        let (Some(first), Some(second)) = (domain.nodes.first(), domain.nodes.get(1)) else { continue };
        book.heading(&format!("Switchover of Director {}", r.name));
        book.paragraph("Running jobs go on. In any console:");
        book.commands(
            first,
            &[
                format!("echo 'cluster switchover to={second}' | holdfast console"),
                format!("holdfast ha status -c {}", r.config_file),
            ],
        );
        book.heading(&format!("A node of Director {} is lost", r.name));
        book.paragraph(&format!(
            "A standby takes over within the lease time ({} s) and its drift bound. If `holdfast ha status` says that nobody is active, it also says why: fencing that was not confirmed, or a catalog that cannot be written. Only when {first} is off for certain:",
            plan.config.topology.lease_time.as_secs()
        ));
        book.commands(
            second,
            &[
                format!("holdfast ha fence {first} -c {}", r.config_file),
                "echo 'cluster promote force' | holdfast console".to_owned(),
            ],
        );
        book.paragraph("The node that comes back stands by; give it the role as at a switchover.");
        book.heading(&format!("Replacing a node of Director {}", r.name));
        book.paragraph("A new machine takes the name and the addresses of the old one. Install packages and files as at the bring-up, and start it: it stands by. Nothing of a Director is on its machine alone.");
        book.commands(first, &lines(["systemctl enable --now holdfast-director"]));
    }
}
