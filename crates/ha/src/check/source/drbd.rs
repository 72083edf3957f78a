//! DRBD: `/proc/drbd` of version 8.4, `drbdadm status` of all versions.

/// A device and its connection to one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    /// `drbd0` or the resource's name; with a peer's name where there are several.
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) peer_role: String,
    /// State of the connection or, while it stands, of the replication.
    pub(crate) connection: String,
    pub(crate) disk: String,
    pub(crate) peer_disk: String,
    /// `C`; none where it is not said.
    pub(crate) protocol: Option<char>,
}

pub(crate) fn parse_proc(text: &str) -> Vec<Pair> {
    text.lines().filter_map(line_of_proc).collect()
}

/// ` 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----`.
fn line_of_proc(line: &str) -> Option<Pair> {
    let mut words = line.split_whitespace();
    let minor: u32 = words.next()?.strip_suffix(':')?.parse().ok()?;
    let mut pair = Pair { name: format!("drbd{minor}"), ..Pair::default() };
    for word in words {
        match word.split_once(':') {
            Some(("cs", state)) => state.clone_into(&mut pair.connection),
            Some(("ro", both)) => (pair.role, pair.peer_role) = halves(both),
            Some(("ds", both)) => (pair.disk, pair.peer_disk) = halves(both),
            None if matches!(word, "A" | "B" | "C") => pair.protocol = word.chars().next(),
            _ => {}
        }
    }
    // A device that is not up is none.
    (!matches!(pair.connection.as_str(), "" | "Unconfigured")).then_some(pair)
}

fn halves(text: &str) -> (String, String) {
    let (own, peer) = text.split_once('/').unwrap_or((text, ""));
    (own.to_owned(), peer.to_owned())
}

/// The blocks of `drbdadm status`: a resource at the margin, its disks and peers indented by two, a peer's disks by more.
/// The lines of `events2`, which have other words, are passed over.
pub(crate) fn parse_status(text: &str) -> Vec<Pair> {
    let mut found = Vec::new();
    let mut block: Option<Block> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let depth = line.len() - line.trim_start().len();
        if depth == 0 {
            found.extend(block.take().into_iter().flat_map(Block::pairs));
            let name = line.split_whitespace().next().unwrap_or_default();
            let is_resource =
                !name.contains(':') && value(line, "role").is_some() && value(line, "name").is_none();
            block = is_resource.then(|| Block::new(name, line));
        } else if let Some(block) = &mut block {
            block.take_line(line);
        }
    }
    found.extend(block.into_iter().flat_map(Block::pairs));
    found
}

/// The value of `key:value` in a line.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .filter_map(|word| word.split_once(':'))
        .find(|(name, _)| *name == key)
        .map(|(_, v)| v)
}

/// A resource of `drbdadm status`.
struct Block {
    name: String,
    role: String,
    disks: Vec<String>,
    peers: Vec<Peer>,
}

/// A peer of one; with several volumes the worst word of each kind counts, which is the last that is not the good one.
#[derive(Default)]
struct Peer {
    name: String,
    role: String,
    connection: String,
    disk: String,
}

impl Block {
    fn new(name: &str, line: &str) -> Self {
        let role = value(line, "role").unwrap_or_default().to_owned();
        Self { name: name.to_owned(), role, disks: Vec::new(), peers: Vec::new() }
    }

    fn take_line(&mut self, line: &str) {
        if let Some(disk) = value(line, "disk") {
            self.disks.push(disk.to_owned());
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        let role = value(line, "role").map(str::to_owned);
        let connection = value(line, "connection").map(str::to_owned);
        if (role.is_some() || connection.is_some()) && !first.contains(':') {
            let connection = connection.unwrap_or_else(|| "Connected".to_owned());
            let role = role.unwrap_or_else(|| "Unknown".to_owned());
            self.peers.push(Peer { name: first.to_owned(), role, connection, disk: String::new() });
        }
        let Some(peer) = self.peers.last_mut() else { return };
        if let Some(state) = value(line, "replication").filter(|state| *state != "Established") {
            state.clone_into(&mut peer.connection);
        }
        if let Some(disk) =
            value(line, "peer-disk").filter(|disk| peer.disk.is_empty() || *disk != "UpToDate")
        {
            disk.clone_into(&mut peer.disk);
        }
    }

    fn pairs(self) -> Vec<Pair> {
        let bad = self.disks.iter().find(|disk| *disk != "UpToDate");
        let disk = bad.or(self.disks.first()).cloned().unwrap_or_default();
        let several = self.peers.len() > 1;
        let pair = |peer: Peer| Pair {
            name: if several { format!("{} to {}", self.name, peer.name) } else { self.name.clone() },
            role: self.role.clone(),
            peer_role: peer.role,
            connection: peer.connection,
            disk: disk.clone(),
            peer_disk: if peer.disk.is_empty() { "DUnknown".to_owned() } else { peer.disk },
            protocol: None,
        };
        let alone = Pair {
            name: self.name.clone(),
            role: self.role.clone(),
            peer_role: "Unknown".to_owned(),
            connection: "none".to_owned(),
            disk: disk.clone(),
            peer_disk: "DUnknown".to_owned(),
            protocol: None,
        };
        if self.peers.is_empty() { vec![alone] } else { self.peers.into_iter().map(pair).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pair: &Pair) -> String {
        let Pair { name, role, peer_role, connection, disk, peer_disk, protocol } = pair;
        format!("{name} {role}/{peer_role} {connection} {disk}/{peer_disk} {}", protocol.unwrap_or('-'))
    }

    #[track_caller]
    fn check(found: &[Pair], expected: &[&str]) {
        assert_eq!(found.iter().map(words).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn proc_drbd() {
        let text = include_str!("../../../fixtures/check/drbd/proc-drbd.8.4.primary.txt");
        check(&parse_proc(text), &["drbd0 Primary/Secondary Connected UpToDate/UpToDate C"]);
        let text = include_str!("../../../fixtures/check/drbd/proc-drbd.split-brain.txt");
        check(
            &parse_proc(text),
            &[
                "drbd0 Primary/Unknown StandAlone UpToDate/DUnknown C",
                "drbd1 Secondary/Unknown WFConnection UpToDate/Outdated C",
                "drbd2 Secondary/Primary SyncTarget Inconsistent/UpToDate C",
            ],
        );
        check(&parse_proc("version: 9.2.1 (api:2/proto:86-122)\nTransports (api:18):\n"), &[]);
        check(&parse_proc(" 0: cs:Unconfigured\n"), &[]);
    }

    #[test]
    fn drbdadm_status() {
        let text = include_str!("../../../fixtures/check/drbd/drbdadm-status+events2.txt");
        check(&parse_status(text), &["r0 Primary/Secondary Connected UpToDate/UpToDate -"]);
        let text = include_str!("../../../fixtures/check/drbd/drbdadm-status.9.broken.txt");
        check(
            &parse_status(text),
            &[
                "catalog Primary/Unknown Connecting UpToDate/DUnknown -",
                "config Secondary/Primary SyncTarget Inconsistent/UpToDate -",
                "alone Primary/Unknown none UpToDate/DUnknown -",
            ],
        );
    }
}
