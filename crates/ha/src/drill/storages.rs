//! The Storage Daemons that the canary may write to, and how the one that it does write to is taken away: pure.

use conf::director;
use conf::topology::Storage;
use conf::{DirectorConfig, TopologyConfig};

use super::plan::Order;

/// Their unit.
const UNIT: &str = "holdfast-storage.service";

/// A Storage of the canary's group, and where its daemon runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// Name of its Storage resource in the Director's file.
    pub(super) storage: String,
    /// Name of its Node.
    pub(super) node: String,
}

/// Whoever writes the canary is killed, and not started again by its service manager.
///
/// # Errors
/// When the group has no second daemon, or one is at no Node of the topology.
pub(super) fn taken_away(
    topology: &TopologyConfig,
    config: &DirectorConfig,
    canary: &str,
) -> Result<(Order, Vec<Order>), String> {
    let names = group(config, canary);
    let spots = names.iter().map(|name| spot(topology, config, name)).collect::<Result<Vec<_>, _>>()?;
    let mut nodes: Vec<&String> = spots.iter().map(|spot| &spot.node).collect();
    nodes.sort();
    nodes.dedup();
    if nodes.len() < 2 {
        return Err(format!(
            "the Job \"{canary}\" has no second Storage at another Node to go on with: name several in `Storage` (docs/storage-groups.md)"
        ));
    }
    let undo = nodes
        .iter()
        .map(|node| Order::Shell { nodes: vec![(*node).clone()], line: format!("systemctl start {UNIT}") });
    let undo = undo.collect();
    let line = format!("systemctl kill --signal=KILL {UNIT} && systemctl stop {UNIT}");
    Ok((Order::Writer { spots, line }, undo))
}

/// The Storages of a Job's full backups: those of its Pool where that names any.
fn group<'a>(config: &'a DirectorConfig, job: &str) -> &'a [String] {
    let Some(job) = config.jobs.iter().find(|other| other.name == job) else { return &[] };
    let pool = job.full_backup_pool.as_ref().unwrap_or(&job.pool);
    let pool = config.pools.iter().find(|other| other.name == *pool);
    pool.map(|pool| pool.storage.as_slice()).filter(|storages| !storages.is_empty()).unwrap_or(&job.storage)
}

fn spot(topology: &TopologyConfig, config: &DirectorConfig, name: &str) -> Result<Spot, String> {
    let resource = config.storages.iter().find(|storage| storage.name == name);
    let resource = resource.ok_or_else(|| format!("there is no Storage \"{name}\""))?;
    let found = topology.storages.iter().find_map(|storage| {
        let node = storage.node.as_ref()?;
        is_at(topology, storage, node, resource).then(|| node.clone())
    });
    let node = found.ok_or_else(|| {
        format!(
            "the topology has no Storage with a `Node` at {}:{}, where Storage \"{name}\" is",
            resource.address, resource.sd_port
        )
    })?;
    Ok(Spot { storage: name.to_owned(), node })
}

fn is_at(topology: &TopologyConfig, storage: &Storage, node: &str, resource: &director::Storage) -> bool {
    let address = topology.node(node).map(|node| node.address.ip().to_string());
    let is_here = resource.address == *node || Some(&resource.address) == address.as_ref();
    is_here && u32::from(storage.sd_port) == resource.sd_port
}

/// Whether a Storage Daemon's list of its current jobs has this one.
pub(super) fn has_job(said: &str, id: u32) -> bool {
    said.lines().any(|line| line.split_whitespace().next() == Some(&format!("JobId={id}")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_job_is_found_by_its_whole_number() {
        let said = "3000 OK .status\nJobId=12 JobStatus=R JobErrors=0\n";
        assert!(super::has_job(said, 12));
        assert!(!super::has_job(said, 1) && !super::has_job(said, 2));
    }
}
