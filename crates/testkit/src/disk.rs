//! A disk that several nodes reach and one at a time may have, with a PostgreSQL server's data on it.
//!
//! It stands for a Replicated Device where there is no DRBD: a directory that the nodes of a [cluster](crate::cluster) mount.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::postgres::{self, Postgres, SEPARATOR};

/// Where a server that a cluster manager starts has its socket, on each node.
pub(crate) const SOCKETS: &str = "/var/run/postgresql";
/// The port of its socket's name.
const PORT: u16 = 5432;

/// The disk. Its server runs where the cluster manager starts it.
#[derive(Debug)]
pub struct Disk {
    server: Postgres,
    nodes: Vec<String>,
}

impl Disk {
    /// Makes one with a server that has an empty database, for nodes of these names.
    pub(crate) fn make(nodes: &[String], database: &str) -> Result<Self> {
        let mut server = Postgres::start()?;
        server.create_database(database)?;
        server.kill()?;
        // Its settings are those that are rendered.
        fs::write(server.data().join("postgresql.auto.conf"), "")?;
        let disk = Self { server, nodes: nodes.to_vec() };
        for name in nodes {
            disk.server.own_folder(&disk.sockets(name))?;
        }
        Ok(disk)
    }

    /// The directory that it is.
    pub(crate) fn path(&self) -> &Path {
        self.server.folder()
    }

    /// A node's [`SOCKETS`], as they are reached from outside of it.
    fn sockets(&self, node: &str) -> PathBuf {
        self.server.socket_dir().join(node)
    }

    /// Rows of a query to the server, on whichever node it runs.
    pub(crate) fn rows(&self, database: &str, query: &str) -> Result<Vec<Vec<String>>> {
        let mut last = None;
        for name in &self.nodes {
            // Nobody else may come in without a password.
            let command = self.server.command("psql");
            let sockets = self.sockets(name);
            let sockets = sockets.to_str().unwrap_or_default();
            match postgres::psql(command, sockets, PORT, database, query, SEPARATOR) {
                Ok(said) => return Ok(postgres::rows_of(&said)),
                Err(error) => last = Some(error.context(format!("at node {name}"))),
            }
        }
        Err(last.context("the disk is of no node")?)
    }

    /// What nodes were refused because another one had the disk, a line each: a want of fencing.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn refusals(&self) -> Result<Vec<String>> {
        let path = self.path().join("refused");
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(fs::read_to_string(path)?.lines().map(str::to_owned).collect())
    }
}
