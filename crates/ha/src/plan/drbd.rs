//! DRBD: one resource file per Replicated Device, the same on both its nodes.

use core::net::IpAddr;
use std::fmt::Write as _;

use conf::topology::{Domain, DrbdVersion, Engine, ReplicatedDevice};

use super::{Plan, Tree};

/// What is true of all resources: the package's own file asks a server of its makers about each installation.
const GLOBAL: &str = "\
# Rendered by holdfast ha render.
global {
  usage-count no;
}

common {
}
";

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for device in &plan.config.devices {
        let Some(domain) = plan.config.domain(&device.domain) else { continue };
        let text = resource(plan, domain, device);
        for node in &domain.nodes {
            tree.file(node, "/etc/drbd.d/global_common.conf", GLOBAL.to_owned());
            let entry = tree.file(node, &format!("/etc/drbd.d/{}.res", device.name), text.clone());
            if device.shared_secret.is_some() {
                entry.mode(0o600);
            }
        }
    }
}

fn resource(plan: &Plan<'_>, domain: &Domain, device: &ReplicatedDevice) -> String {
    let managed = plan.engine == Engine::Pacemaker;
    let tuning = Tuning::new(domain.link_round_trip_ms, domain.link_speed);
    // Version 9 has it among the settings of the connection, version 8.4 among those of the disk.
    let fencing = if managed { "resource-and-stonith" } else { "dont-care" };
    let (net_fencing, disk_fencing) = match device.drbd_version {
        DrbdVersion::V9 => (format!("    fencing {fencing};\n"), String::new()),
        DrbdVersion::V8 => (String::new(), format!("    fencing {fencing};\n")),
    };
    let secret = device.shared_secret.as_ref().map_or_else(String::new, |secret| {
        format!("    cram-hmac-alg sha256;\n    shared-secret \"{secret}\";\n")
    });
    let mut out = format!(
        "# Rendered by holdfast ha render: Replicated Device \"{}\" of Failover Domain \"{}\".\n\
         # Tuned for {} ms and {} bytes/s between the nodes.\n\
         resource {} {{\n",
        device.name, domain.name, domain.link_round_trip_ms, domain.link_speed, device.name
    );
    let _ = write!(
        out,
        "  device minor {};\n  disk {};\n  meta-disk {};\n\n  net {{\n    protocol C;\n{net_fencing}{secret}{}    \
         max-buffers 8000;\n    max-epoch-size 8000;\n    verify-alg crc32c;\n    \
         # Of two sides that went apart the one without changes follows by itself; nothing written is ever discarded.\n    \
         after-sb-0pri discard-zero-changes;\n    after-sb-1pri consensus;\n    after-sb-2pri disconnect;\n  }}\n\n  \
         disk {{\n    on-io-error detach;\n{disk_fencing}{}  }}\n\n",
        device.minor,
        device.backing_disk,
        device.meta_disk,
        tuning.net(),
        tuning.disk()
    );
    out.push_str(&handlers(managed, device.drbd_version));
    for (number, node) in plan.nodes_of(&domain.nodes).enumerate() {
        let ip = node.replication_address.unwrap_or_default().ip();
        let address = match ip {
            IpAddr::V4(ip) => format!("{ip}:{}", device.port),
            IpAddr::V6(ip) => format!("ipv6 [{ip}]:{}", device.port),
        };
        let id = match device.drbd_version {
            DrbdVersion::V9 => format!("    node-id {number};\n"),
            DrbdVersion::V8 => String::new(),
        };
        let _ = writeln!(out, "\n  on {} {{\n    address {address};\n{id}  }}", node.name);
    }
    out.push_str("}\n");
    out
}

/// Who is told when the sides lose each other. Pacemaker keeps the stale side from being promoted, and lets it go again
/// after the resynchronization.
fn handlers(managed: bool, version: DrbdVersion) -> String {
    let mut out = "  handlers {\n    split-brain \"/usr/lib/drbd/notify-split-brain.sh root\";\n".to_owned();
    out.push_str(match (managed, version) {
        (false, _) => "",
        (true, DrbdVersion::V8) => {
            "    fence-peer \"/usr/lib/drbd/crm-fence-peer.sh\";\n    \
             after-resync-target \"/usr/lib/drbd/crm-unfence-peer.sh\";\n"
        }
        (true, DrbdVersion::V9) => {
            "    fence-peer \"/usr/lib/drbd/crm-fence-peer.9.sh\";\n    \
             unfence-peer \"/usr/lib/drbd/crm-unfence-peer.9.sh\";\n"
        }
    });
    out.push_str("  }\n");
    out
}

/// Times and rates that follow from the link.
#[derive(Debug, PartialEq, Eq)]
struct Tuning {
    /// Tenths of a second.
    ping_timeout: u32,
    /// Tenths of a second.
    timeout: u32,
    /// Seconds.
    interval: u32,
    /// Tenths of a second.
    plan_ahead: u32,
    /// KiB on their way at a time.
    fill_kib: u64,
    /// KiB per second.
    speed_kib: u64,
}

impl Tuning {
    fn new(round_trip_ms: u32, speed_bytes: u64) -> Self {
        let tenths = round_trip_ms.div_ceil(100);
        // Four round trips to answer a ping, and a second in any case: scheduling under load takes its time.
        let ping_timeout = (4 * tenths).max(10);
        let timeout = (6 * tenths).max(25);
        // DRBD wants `timeout` below both intervals.
        let interval = timeout / 10 + 1;
        // What is under way when the link is full, twice; DRBD's own start value is 1 MiB.
        let on_the_wire = speed_bytes.saturating_mul(u64::from(round_trip_ms)) / 1000;
        let fill_kib = (on_the_wire.saturating_mul(2) / 1024).clamp(1024, 64 * 1024);
        Self {
            ping_timeout,
            timeout,
            interval,
            plan_ahead: (5 * tenths).max(20),
            fill_kib,
            speed_kib: (speed_bytes / 1024).max(1000),
        }
    }

    fn net(&self) -> String {
        // Bytes under way and as many again; the kernel tunes what is smaller by itself.
        let buffer = if self.fill_kib > 1024 { self.fill_kib.min(10 * 1024) } else { 0 };
        let unit = if buffer == 0 { "" } else { "k" };
        format!(
            "    timeout {};\n    connect-int {};\n    ping-int {};\n    ping-timeout {};\n    sndbuf-size {buffer}{unit};\n    rcvbuf-size {buffer}{unit};\n",
            self.timeout, self.interval, self.interval, self.ping_timeout
        )
    }

    fn disk(&self) -> String {
        format!(
            "    resync-rate {}k;\n    c-plan-ahead {};\n    c-fill-target {}k;\n    c-max-rate {}k;\n    c-min-rate {}k;\n",
            self.speed_kib / 3,
            self.plan_ahead,
            self.fill_kib,
            self.speed_kib / 10 * 9,
            self.speed_kib / 10
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_the_link() {
        for round_trip in [0, 1, 30, 100, 499, 1000] {
            let tuning = Tuning::new(round_trip, 100_000_000);
            assert!(tuning.timeout < 10 * tuning.interval, "{tuning:?}");
            assert!(tuning.ping_timeout * 100 >= 2 * round_trip, "{tuning:?}");
            assert!(tuning.plan_ahead * 100 >= 5 * round_trip, "{tuning:?}");
        }
        let near = Tuning::new(1, 100_000_000);
        assert_eq!((near.timeout, near.ping_timeout, near.fill_kib), (25, 10, 1024));
        let far = Tuning::new(40, 100_000_000);
        assert_eq!(far.fill_kib, 7812);
        assert!(far.net().contains("sndbuf-size 7812k"), "{}", far.net());
    }
}
