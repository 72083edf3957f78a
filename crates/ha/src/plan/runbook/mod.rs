//! The runbook: what people do on exactly this topology, with its names and addresses in each command.

mod book;
mod catalog;
mod cluster;
mod instances;
mod overview;
mod repair;

use conf::topology::Engine;

use super::{Plan, Tree, placeholders};
use book::Book;

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    let mut book = Book::new(&format!("Runbook of {}", plan.config.topology.name));
    overview::write(plan, &mut book);
    overview::secrets(&placeholders(tree), &mut book);
    match plan.engine {
        Engine::Pacemaker => {
            for cluster in &plan.clusters {
                cluster::bring_up(plan, cluster, &mut book);
            }
            for cluster in &plan.clusters {
                cluster::operate(plan, cluster, &mut book);
            }
            repair::pacemaker(plan, &mut book);
        }
        Engine::Patroni => {
            catalog::patroni_bring_up(plan, &mut book);
            instances::bring_up(plan, &mut book);
            repair::devices_by_hand(plan, &mut book);
            repair::storages(plan, &mut book);
            instances::operate(plan, &mut book);
            catalog::patroni_operate(plan, &mut book);
        }
        Engine::Lease => {
            catalog::streaming_bring_up(plan, &mut book);
            instances::bring_up(plan, &mut book);
            repair::devices_by_hand(plan, &mut book);
            repair::storages(plan, &mut book);
            instances::operate(plan, &mut book);
            catalog::streaming_operate(plan, &mut book);
        }
    }
    repair::cold_spares(plan, &mut book);
    overview::afterwards(plan, &mut book);
    tree.put("RUNBOOK.md".to_owned(), book.text());
}
