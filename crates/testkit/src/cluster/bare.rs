//! Nodes without Pacemaker and Corosync, for what is brought up by its runbook.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};

use super::node::{self, Places};
use super::{Cluster, wait};
use crate::site::{Maker, Site, program};

/// Starts services as their units say.
const SYSTEMCTL: &str = include_str!("systemctl");

impl Cluster {
    /// Starts nodes of these names, each at the host of its name. `/etc`, `/usr` and `/var` are each node's own, over those of this machine, and
    /// `holdfast` is where its package has it. Nothing runs there: `systemctl` starts what units and drop-ins say, and when a node is
    /// switched on again what is enabled, behind `/etc/rc.local`. The agent `fence_switch` finds the power switch at `/run/switch`,
    /// whoever calls it.
    ///
    /// What `holdfast-director` prints is the [log of the instance](Site::instance_log) that has the node's name.
    ///
    /// # Errors
    /// When a node does not start; the text ends with its log.
    pub fn bare(site: &Site, names: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-cluster-").tempdir_in("/tmp")?;
        let holdfast = std::path::absolute(program(Maker::Holdfast, "bacula-dir")?.path)?;
        let places = Places {
            folder: folder.path().to_path_buf(),
            site: site.dir().to_path_buf(),
            holdfast,
            init: node::BARE,
            disk: None,
        };
        for name in names {
            let files = places.files(name);
            fs::create_dir_all(&files)?;
            fs::write(files.join("systemctl"), SYSTEMCTL)?;
        }
        let cluster = Self::switched_on(site, names, places, None, folder)?;
        fs::set_permissions(cluster.switch(), Permissions::from_mode(0o666))?;
        for name in &cluster.names {
            wait::until(&format!("node {name} to be up"), wait::START, || {
                Ok(cluster.run(name, "test -e /run/up").ok().map(drop))
            })
            .with_context(|| cluster.logs())?;
        }
        Ok(cluster)
    }
}
