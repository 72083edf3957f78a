//! `corosync-quorumtool -s`: whether this node's part of the cluster may act.

use super::pair;

/// The votes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Quorum {
    /// None when the text does not say.
    pub(in crate::check) is_quorate: Option<bool>,
    pub(in crate::check) expected: Option<u32>,
    pub(in crate::check) total: Option<u32>,
    /// `2Node`, `WaitForAll`, `Qdevice`.
    pub(in crate::check) flags: Vec<String>,
    /// Names, or numbers where there are none, of who votes; a quorum device is `Qdevice`.
    pub(in crate::check) members: Vec<String>,
    /// Whether a quorum device is a member with its vote.
    pub(in crate::check) has_third_vote: bool,
}

pub(in crate::check) fn parse(text: &str) -> Quorum {
    let mut quorum = Quorum::default();
    let mut in_members = false;
    for line in text.lines() {
        if in_members {
            member(&mut quorum, line);
        } else if line.trim_start().starts_with("Nodeid") {
            in_members = true;
        } else if let Some((key, value)) = pair(line, ':') {
            match key {
                "Quorate" => quorum.is_quorate = Some(value == "Yes"),
                "Expected votes" => quorum.expected = value.parse().ok(),
                "Total votes" => quorum.total = value.parse().ok(),
                "Flags" => quorum.flags = value.split_whitespace().map(str::to_owned).collect(),
                _ => {}
            }
        }
    }
    quorum
}

/// `         1          1 n1`, with a quorum device `1  1  A,V,NMW n1` and `0  1  Qdevice`.
fn member(quorum: &mut Quorum, line: &str) {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "(local)").collect();
    let [id, votes, ..] = words.as_slice() else { return };
    let is_device = words.contains(&"Qdevice");
    if is_device {
        quorum.has_third_vote = votes.parse().is_ok_and(|votes: u32| votes > 0);
    }
    let name = match words.last() {
        _ if is_device => "Qdevice",
        Some(name) if words.len() > 2 => name,
        _ => id,
    };
    quorum.members.push(name.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_nodes_alone() {
        let found = parse(include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.txt"));
        assert_eq!((found.is_quorate, found.expected, found.total), (Some(true), Some(2), Some(2)));
        assert_eq!(found.flags, ["2Node", "Quorate", "WaitForAll"]);
        assert_eq!((found.members, found.has_third_vote), (vec!["n1".to_owned(), "n2".to_owned()], false));
    }

    #[test]
    fn with_a_quorum_device_and_without_quorum() {
        let found = parse(include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.qdevice.txt"));
        assert_eq!((found.is_quorate, found.expected, found.has_third_vote), (Some(true), Some(3), true));
        assert_eq!(found.members, ["n1", "n2", "Qdevice"]);
        let found =
            parse(include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.no-quorum.txt"));
        assert_eq!((found.is_quorate, found.total, found.has_third_vote), (Some(false), Some(1), false));
    }
}
