//! Parameters of a session with one peer.

use std::time::{SystemTime, UNIX_EPOCH};

use types::Timestamp;
use wire::cram::{Secret, Seed};
use wire::dialogue::handshake::Local;

use crate::tls::Tls;

/// What this end brings to a handshake.
#[derive(Debug, Clone)]
pub struct Session {
    /// Own resource name.
    pub name: String,
    /// The secret shared with the peer.
    pub secret: Secret,
    /// What TLS this end offers to this peer.
    pub tls: Tls,
    /// Whether Holdfast's additions are offered and taken up (default: yes).
    pub additions: bool,
    /// Host name that the peer's certificate must be for; set for the side that connects.
    pub host: Option<String>,
}

impl Session {
    /// With the additions, without a host name to check.
    #[must_use]
    pub fn new(name: impl Into<String>, secret: Secret, tls: Tls) -> Self {
        Self { name: name.into(), secret, tls, additions: true, host: None }
    }

    /// With the host name that was connected to: the peer's certificate must be for it (spec/01 §4.5).
    #[must_use]
    pub fn for_host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Without Holdfast's additions.
    #[must_use]
    pub fn without_additions(mut self) -> Self {
        self.additions = false;
        self
    }

    pub(crate) fn local(&self) -> Local {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Local {
            name: self.name.clone(),
            secret: self.secret.clone(),
            tls: self.tls.needs(),
            additions: self.additions,
            seed: Seed { random: rand::random(), time: Timestamp(now as i64) },
        }
    }
}
