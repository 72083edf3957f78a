//! `corosync-cfgtool -s`: Corosync's links to the other nodes.

/// A link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Link {
    /// Its number.
    pub(in crate::check) id: String,
    pub(in crate::check) address: String,
    /// Number of each other node and its state, `connected` or `disconnected`.
    pub(in crate::check) peers: Vec<(String, String)>,
}

pub(in crate::check) fn parse(text: &str) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("LINK ID") {
            let id = rest.split_whitespace().next().unwrap_or_default().to_owned();
            links.push(Link { id, ..Link::default() });
            continue;
        }
        let Some(link) = links.last_mut() else { continue };
        if let Some(address) = line.strip_prefix("addr").and_then(|rest| rest.split_once('=')) {
            address.1.trim().clone_into(&mut link.address);
        } else if let Some(rest) = line.strip_prefix("nodeid:") {
            let mut words = rest.split_whitespace();
            let (Some(node), Some(state)) = (words.next(), words.next()) else { continue };
            if state != "localhost" {
                link.peers.push((node.trim_end_matches(':').to_owned(), state.to_owned()));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_the_other_node() {
        let found = parse(include_str!("../../../fixtures/check/pacemaker/corosync-cfgtool.txt"));
        let peers = vec![("1".to_owned(), "connected".to_owned())];
        assert_eq!(found, [Link { id: "0".into(), address: "10.99.0.12".into(), peers }]);
    }
}
