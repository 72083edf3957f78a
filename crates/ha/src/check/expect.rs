//! What a topology says should be here.

use conf::TopologyConfig;
use conf::topology::Engine;

/// How many times the round trip of the topology a measured one may take before it is a warning.
const ROUND_TRIP_FACTOR: f64 = 2.0;

/// What a measured round trip may take when no topology says it, in milliseconds: two data centres of one region.
pub(super) const ROUND_TRIP_MS: f64 = 5.0;

/// Another machine.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Peer {
    /// Its name, or its address where that is all that is known.
    pub(super) name: String,
    /// Its address on the replication link.
    pub(super) address: String,
    /// What the mean round trip to it may take, in milliseconds.
    pub(super) round_trip_ms: f64,
}

/// What is expected of this machine. Without a topology nothing is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Expectations {
    pub(super) peers: Vec<Peer>,
    /// Names of checks that may not be `not present`.
    pub(super) required: Vec<&'static str>,
    /// Whether a standby of PostgreSQL's own is the second copy of the catalog.
    pub(super) catalog_replicates: bool,
    /// Nodes that must be fenceable: the other ones of this machine's cluster.
    pub(super) fenced: Vec<String>,
}

impl Expectations {
    /// Of a node.
    ///
    /// # Errors
    /// One line, when the topology has no such node.
    pub(super) fn of(config: &TopologyConfig, node: &str) -> Result<Self, String> {
        if config.node(node).is_none() {
            let known: Vec<&str> = config.nodes.iter().map(|node| node.name.as_str()).collect();
            return Err(format!(
                "there is no Node \"{node}\" in the topology; there are: {}; give --node",
                known.join(", ")
            ));
        }
        let mut expected = Self::default();
        let engine = config.topology.engine;
        for domain in config.domains.iter().filter(|domain| domain.nodes.iter().any(|name| name == node)) {
            for name in domain.nodes.iter().filter(|name| *name != node) {
                let Some(other) = config.node(name) else { continue };
                let address = other.replication_address.unwrap_or(other.address).ip().to_string();
                if !expected.peers.iter().any(|peer| peer.name == *name) {
                    let round_trip_ms = f64::from(domain.link_round_trip_ms) * ROUND_TRIP_FACTOR;
                    expected.peers.push(Peer { name: name.clone(), address, round_trip_ms });
                }
                if !expected.fenced.contains(name) && engine == Engine::Pacemaker {
                    expected.fenced.push(name.clone());
                }
            }
            if config.devices_of(&domain.name).next().is_some() && engine == Engine::Pacemaker {
                expected.require("drbd");
            }
            expected.catalog_replicates |= engine != Engine::Pacemaker
                && config.catalogs.iter().any(|catalog| catalog.domain == domain.name);
        }
        if engine == Engine::Pacemaker && !expected.peers.is_empty() {
            for name in ["quorum", "cluster", "stonith"] {
                expected.require(name);
            }
        }
        if !expected.peers.is_empty() {
            expected.require("link");
        }
        expected.require("clock");
        Ok(expected)
    }

    fn require(&mut self, name: &'static str) {
        if !self.required.contains(&name) {
            self.required.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> TopologyConfig {
        let mut loader = conf::TextLoader::new("holdfast-ha.conf", text);
        conf::load::<TopologyConfig>("holdfast-ha.conf", &mut loader).unwrap().config
    }

    const PAIR: &str = include_str!("../../../../docs/examples/two-nodes.conf");

    #[test]
    fn a_pair_under_pacemaker() {
        let config = load(PAIR);
        let (own, other) = (&config.nodes[0], &config.nodes[1]);
        let expected = Expectations::of(&config, &own.name).unwrap();
        assert_eq!(expected.required, ["drbd", "quorum", "cluster", "stonith", "link", "clock"]);
        assert_eq!(expected.fenced, std::slice::from_ref(&other.name));
        let address = other.replication_address.unwrap().ip().to_string();
        assert_eq!(
            (expected.peers[0].name.as_str(), expected.peers[0].address.as_str()),
            (other.name.as_str(), address.as_str())
        );
        assert!(!expected.catalog_replicates);
    }

    #[test]
    fn under_patroni_the_catalog_replicates() {
        let config = load(include_str!("../../../../docs/examples/patroni.conf"));
        let expected = Expectations::of(&config, &config.nodes[0].name).unwrap();
        assert!(expected.catalog_replicates && expected.fenced.is_empty());
        assert!(!expected.required.contains(&"drbd"));
    }

    #[test]
    fn a_machine_that_is_not_in_it() {
        let why = Expectations::of(&load(PAIR), "elsewhere").unwrap_err();
        assert!(why.starts_with("there is no Node \"elsewhere\" in the topology; there are: "), "{why}");
    }
}
