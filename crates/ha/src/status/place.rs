//! Where the instances of a Director are.

use conf::DirectorConfig;
use conf::director::Instance;

/// Where a process of the Director is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name of the instance; of the Director where it stands alone.
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    /// Whether it is a Director without a Cluster.
    pub(crate) alone: bool,
}

/// The instances in the order of the file, or the Director alone.
pub(crate) fn places(config: &DirectorConfig) -> Vec<Place> {
    if config.cluster.is_none() {
        return vec![alone(config)];
    }
    let place = |instance: &Instance| Place {
        name: instance.name.clone(),
        address: instance.address.clone(),
        port: instance.dir_port,
        alone: false,
    };
    config.instances.iter().map(place).collect()
}

/// The first address that it listens at; one that stands for all of the machine is reached over loopback.
fn alone(config: &DirectorConfig) -> Place {
    let director = &config.director;
    let first = director.dir_addresses.first();
    let host = first.map_or(director.dir_address.as_ref(), |address| address.host.as_ref());
    let host = host.filter(|host| !["0.0.0.0", "::"].contains(&host.as_str()));
    Place {
        name: director.name.clone(),
        address: host.cloned().unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: first.and_then(|address| address.port).unwrap_or(director.dir_port),
        alone: true,
    }
}
