//! Where a site's catalog is.

use anyhow::{Context, Result, bail};

use super::{DATABASE, Site};
use crate::disk::{Disk, SOCKETS};
use crate::network::Host;
use crate::patroni::Patroni;
use crate::postgres::Postgres;

/// Kinds of catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// SQLite, unless the environment says otherwise.
    #[default]
    Either,
    /// SQLite, whatever the environment says.
    Embedded,
    /// One server of PostgreSQL.
    Server,
    /// One with a synchronous replica.
    Pair,
    /// Two under Patroni.
    Patroni,
    /// One on a disk that moves between the instances' nodes.
    Disk,
}

/// A site's catalog.
#[derive(Debug)]
pub(crate) enum Database {
    /// A file of SQLite.
    File,
    /// A server of PostgreSQL.
    Server(Postgres),
    /// One with a synchronous replica, and what `DB Address` says of them.
    Pair { address: String, primary: Postgres, replica: Option<Postgres> },
    /// Two under Patroni.
    Patroni(Patroni),
    /// One on a disk that moves between nodes.
    Disk(Disk),
}

impl Database {
    /// Makes an empty one; a single server runs at `host`, where it has one, and a disk is one of `nodes`.
    pub(super) fn make(kind: Kind, host: Option<Host>, nodes: &[String]) -> Result<Self> {
        Ok(match kind {
            Kind::Either | Kind::Embedded => Self::File,
            Kind::Server => {
                let server = Postgres::start_at(host)?;
                server.create_database(DATABASE)?;
                Self::Server(server)
            }
            Kind::Pair => {
                let primary = Postgres::start()?;
                let replica = primary.synchronous_standby()?;
                primary.create_database(DATABASE)?;
                let address = format!("127.0.0.1:{}, 127.0.0.1:{}", primary.port(), replica.port());
                Self::Pair { address, primary, replica: Some(replica) }
            }
            Kind::Patroni => {
                let cluster = Patroni::start()?;
                cluster.create_database(DATABASE)?;
                Self::Patroni(cluster)
            }
            Kind::Disk => Self::Disk(Disk::make(nodes, DATABASE)?),
        })
    }

    /// `DB Address`, for one that is not a file.
    pub(super) fn address(&self) -> Option<String> {
        match self {
            Self::File => None,
            Self::Server(server) => Some(format!("{}:{}", server.address(), server.port())),
            Self::Pair { address, .. } => Some(address.clone()),
            Self::Patroni(cluster) => Some(cluster.address()),
            Self::Disk(_) => Some(SOCKETS.to_owned()),
        }
    }

    /// Rows of a query; nothing when it is a file.
    pub(super) fn rows(&self, query: &str) -> Option<Result<Vec<Vec<String>>>> {
        match self {
            Self::File => None,
            Self::Server(server) | Self::Pair { primary: server, .. } => Some(server.rows(DATABASE, query)),
            Self::Patroni(cluster) => Some(cluster.rows(DATABASE, query)),
            Self::Disk(disk) => Some(disk.rows(DATABASE, query)),
        }
    }
}

impl Site {
    /// The server that the catalog is on, if it is one server or the primary of a pair.
    pub const fn postgres(&mut self) -> Option<&mut Postgres> {
        match &mut self.database {
            Database::Server(server) | Database::Pair { primary: server, .. } => Some(server),
            Database::File | Database::Patroni(_) | Database::Disk(_) => None,
        }
    }

    /// The disk that the catalog is on, if it moves.
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        match &self.database {
            Database::Disk(disk) => Some(disk),
            Database::File | Database::Server(_) | Database::Pair { .. } | Database::Patroni(_) => None,
        }
    }

    /// Kills the catalog's primary as a power cut would and makes its replica the primary; with Patroni, waits until it has done so.
    /// The old primary of a pair is returned, not running.
    ///
    /// # Errors
    /// When the catalog has no replica, or that is not promoted in time.
    pub fn fail_over_catalog(&mut self) -> Result<Option<Postgres>> {
        match &mut self.database {
            Database::Pair { primary, replica, .. } => {
                primary.kill()?;
                let next = replica.take().context("the replica was promoted before")?;
                next.promote()?;
                Ok(Some(std::mem::replace(primary, next)))
            }
            Database::Patroni(cluster) => cluster.kill_leader().map(|()| None),
            Database::File | Database::Server(_) | Database::Disk(_) => bail!("the catalog has no replica"),
        }
    }

    /// Starts the host that [`Self::fail_over_catalog`] killed under Patroni, and waits until it follows the other.
    ///
    /// # Errors
    /// When it does not in time, or the site has no Patroni.
    pub fn revive_catalog_host(&mut self) -> Result<()> {
        match &mut self.database {
            Database::Patroni(cluster) => cluster.revive(),
            Database::File | Database::Server(_) | Database::Pair { .. } | Database::Disk(_) => {
                bail!("the site has no Patroni")
            }
        }
    }
}
