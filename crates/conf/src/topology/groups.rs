//! Which nodes are one cluster.

/// Groups of nodes that share domains, directly or over others: each group is a cluster of its own. `domains` are the names
/// of each domain's nodes; groups and nodes come in the order in which they first appear.
pub fn clusters<'a>(domains: impl IntoIterator<Item = &'a [String]>) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for nodes in domains {
        let (joined, mut rest): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| nodes.iter().any(|node| group.contains(node)));
        let at = rest.len();
        let mut group: Vec<String> = joined.into_iter().flatten().collect();
        for node in nodes {
            if !group.contains(node) {
                group.push(node.clone());
            }
        }
        if !group.is_empty() {
            rest.insert(at, group);
        }
        groups = rest;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(domains: &[&[&str]], expected: &[&[&str]]) {
        let domains: Vec<Vec<String>> =
            domains.iter().map(|nodes| nodes.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(clusters(domains.iter().map(Vec::as_slice)), expected);
    }

    #[test]
    fn nodes_that_share_a_domain_are_one_cluster() {
        check(&[&["a", "b"]], &[&["a", "b"]]);
        check(&[&["a", "b"], &["c", "d"]], &[&["a", "b"], &["c", "d"]]);
        check(&[&["a", "b"], &["b", "c"]], &[&["a", "b", "c"]]);
        check(&[&["a", "b"], &["c", "d"], &["d", "b"]], &[&["a", "b", "c", "d"]]);
        check(&[&[]], &[]);
    }
}
