//! A host as a machine: its cable, and what is left of it after a power cut.

use anyhow::Result;

use super::{Host, NAMESPACES, ip, line, output, run};

/// A handle on one host, which may be used while another thread uses the network.
#[derive(Debug, Clone)]
pub struct Machine {
    host: Host,
    /// Namespace of the switch.
    switch: String,
}

impl Machine {
    pub(super) const fn new(host: Host, switch: String) -> Self {
        Self { host, switch }
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Pulls its cable, or puts it in again.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn set_cable(&self, is_in: bool) -> Result<()> {
        ip(&["-n", &self.switch, "link", "set", &self.host.port, if is_in { "up" } else { "down" }])
    }

    /// Makes it anew, without anything that programs have left in it: as after a power cut. None of them may run any more.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn renew(&self) -> Result<()> {
        ip(&["netns", "del", &self.host.namespace])?;
        // The kernel takes the cable away by and by; a new one wants the name of the port now.
        let _ = output(&["-n", &self.switch, "link", "del", &self.host.port]);
        self.host.make(&self.switch, line::NEAR)
    }

    /// The switch loses every packet of it, in and out; the link stays up.
    ///
    /// # Errors
    /// When `nft` is missing (Debian's package `nftables`) or fails.
    pub fn mute(&self) -> Result<()> {
        let port = &self.host.port;
        let table = format!(
            "table bridge mute_{port} {{ chain forward {{ type filter hook forward priority 0; iifname {port} drop; \
             oifname {port} drop; }}; }}"
        );
        self.nft(&[&table])
    }

    /// Undoes [`Self::mute`].
    ///
    /// # Errors
    /// As above.
    pub fn unmute(&self) -> Result<()> {
        self.nft(&["delete", "table", "bridge", &format!("mute_{}", self.host.port)])
    }

    fn nft(&self, arguments: &[&str]) -> Result<()> {
        let switch = format!("--net={NAMESPACES}/{}", self.switch);
        run("nsenter", "nftables", &[&[switch.as_str(), "nft"], arguments].concat()).map(drop)
    }
}
