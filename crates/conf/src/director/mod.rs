//! The Director's file: its resources, typed, and how they are looked up.

mod cluster;
mod daemon;
mod job;
mod peers;
mod pool;

pub use cluster::{Cluster, Engine, Fence, FenceDevice, Instance};
pub use daemon::{Catalog, Console, Counter, Director, Driver, Statistics, StatisticsType};
pub use job::{Job, JobDefs, SelectionType, StorageGroupPolicy};
pub use peers::{Changer, Client, Storage};
pub use pool::{ActionOnPurge, LabelType, Pool};

use crate::fileset::FileSet;
use crate::messages::Messages;
use crate::schedule::Schedule;
use crate::table::{Daemon, Resource, ResourceTable};
use crate::{Config, Parsed};

/// A Director's configuration. Resources stand in the order written; names are unique per kind and references resolve,
/// or it would not have been loaded. JobDefs are already merged into the Jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectorConfig {
    /// The daemon.
    pub director: Director,
    /// Jobs, with their JobDefs applied.
    pub jobs: Vec<Job>,
    /// JobDefs as written.
    pub job_defs: Vec<JobDefs>,
    /// Clients.
    pub clients: Vec<Client>,
    /// Storages.
    pub storages: Vec<Storage>,
    /// Catalogs.
    pub catalogs: Vec<Catalog>,
    /// Pools.
    pub pools: Vec<Pool>,
    /// FileSets.
    pub filesets: Vec<FileSet>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// Messages.
    pub messages: Vec<Messages>,
    /// Restricted consoles.
    pub consoles: Vec<Console>,
    /// Counters.
    pub counters: Vec<Counter>,
    /// Statistics.
    pub statistics: Vec<Statistics>,
    /// The cluster, if this Director is one.
    pub cluster: Option<Cluster>,
    /// Its instances.
    pub instances: Vec<Instance>,
    /// Their fence devices.
    pub fence_devices: Vec<FenceDevice>,
}

macro_rules! lookups {
    ($($(#[$doc:meta])* $name:ident in $list:ident -> $ty:ty;)*) => {
        impl DirectorConfig {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self, name: &str) -> Option<&$ty> {
                    self.$list.iter().find(|r| r.name == name)
                }
            )*
        }
    };
}

lookups! {
    /// The Job of a name; case counts.
    job in jobs -> Job;
    /// The Client of a name.
    client in clients -> Client;
    /// The Storage of a name.
    storage in storages -> Storage;
    /// The Catalog of a name.
    catalog in catalogs -> Catalog;
    /// The Pool of a name.
    pool in pools -> Pool;
    /// The FileSet of a name.
    fileset in filesets -> FileSet;
    /// The Schedule of a name.
    schedule in schedules -> Schedule;
    /// The Messages of a name.
    messages_named in messages -> Messages;
    /// The restricted Console of a name.
    console in consoles -> Console;
    /// The Counter of a name.
    counter in counters -> Counter;
    /// The Instance of a name.
    instance in instances -> Instance;
    /// The Fence Device of a name.
    fence_device in fence_devices -> FenceDevice;
}

impl DirectorConfig {
    /// Messages for the daemon itself: those of the Director resource, else the first of the file.
    #[must_use]
    pub fn daemon_messages(&self) -> Option<&Messages> {
        match &self.director.messages {
            Some(name) => self.messages_named(name),
            None => self.messages.first(),
        }
    }
}

impl Config for DirectorConfig {
    const DAEMON: Daemon = Daemon::Director;
    const RESOURCES: &'static [&'static ResourceTable] = &[
        Director::TABLE,
        Job::TABLE,
        JobDefs::TABLE,
        Client::TABLE,
        Storage::TABLE,
        Catalog::TABLE,
        Pool::TABLE,
        FileSet::TABLE,
        Schedule::TABLE,
        Messages::TABLE,
        Console::TABLE,
        Counter::TABLE,
        Statistics::TABLE,
        Cluster::TABLE,
        Instance::TABLE,
        FenceDevice::TABLE,
    ];

    fn build(parsed: &Parsed) -> Option<Self> {
        Some(Self {
            director: parsed.first()?,
            jobs: parsed.all(),
            job_defs: parsed.all(),
            clients: parsed.all(),
            storages: parsed.all(),
            catalogs: parsed.all(),
            pools: parsed.all(),
            filesets: parsed.all(),
            schedules: parsed.all(),
            messages: parsed.all(),
            consoles: parsed.all(),
            counters: parsed.all(),
            statistics: parsed.all(),
            cluster: parsed.first(),
            instances: parsed.all(),
            fence_devices: parsed.all(),
        })
    }
}
