//! The hosts of a site whose daemons have one each. An instance's host has the name of the instance.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::description::Description;
use super::{Role, Site};
use crate::network::{Host, Network};

/// Of the catalog's server.
pub const CATALOG: &str = "catalog";
/// Of the Storage Daemon.
pub const STORAGE: &str = Role::Storage.word();
/// Of the second Storage Daemon.
pub const FAR_STORAGE: &str = Role::FarStorage.word();
/// Of the File Daemon.
pub const CLIENT: &str = Role::Client.word();
/// Of a Director that is no cluster.
pub const DIRECTOR: &str = Role::Director.word();
/// Where consoles run.
pub const CONSOLE: &str = "console";

/// The network of a site that wants one.
pub(super) fn network(description: &Description) -> Result<Option<Network>> {
    if !description.network {
        return Ok(None);
    }
    let others = [CATALOG, STORAGE, CLIENT, DIRECTOR, CONSOLE];
    let far_storage = description.far_storage.map(|_| FAR_STORAGE);
    let hosts: Vec<&str> = others
        .into_iter()
        .chain(far_storage)
        .chain(description.hosts.iter().map(String::as_str))
        .chain(description.instances.iter().map(String::as_str))
        .collect();
    let far = description.far.as_ref();
    let far = far.map(|(names, line)| (names.iter().map(String::as_str).collect::<Vec<_>>(), *line));
    let far = far.as_ref().map(|(names, line)| (names.as_slice(), *line));
    Network::create(&hosts, far).context("make the network of the site").map(Some)
}

impl Site {
    /// The network whose wires are to be cut.
    ///
    /// # Errors
    /// When the site has none ([`super::Builder::network`]).
    pub fn network(&self) -> Result<&Network> {
        self.network.as_ref().context("the site has no network of its own")
    }

    /// Pulls the cable of an instance's host out and then kills the instance: nobody hears of its end.
    ///
    /// # Errors
    /// When it is not running, or the site has no network.
    pub fn cut_power(&mut self, instance: &str) -> Result<()> {
        self.network()?.unplug(instance)?;
        self.kill_instance(instance)
    }

    pub(super) fn host(&self, name: &str) -> Option<&Host> {
        self.network.as_ref().and_then(|network| network.host(name).ok())
    }

    /// The address of what runs at this host.
    pub(super) fn address_of(&self, host: &str) -> Ipv4Addr {
        self.host(host).map_or(self.address, |host| host.address)
    }
}
