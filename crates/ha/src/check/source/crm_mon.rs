//! `crm_mon -1 --output-as=xml`: nodes, resources and fencing as Pacemaker sees them.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::{Reader, XmlVersion};

use super::fencing::{Event, time};

/// The cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) has_quorum: bool,
    /// `stonith-enabled`.
    pub(crate) fences: bool,
    pub(crate) is_maintained: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) fenced: Vec<Event>,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) is_online: bool,
    /// Its state is not known, and it is to be fenced.
    pub(crate) is_unclean: bool,
    pub(crate) is_standby: bool,
    pub(crate) is_maintained: bool,
}

/// An instance of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) name: String,
    /// `ocf:holdfast:director`, `stonith:fence_ipmilan`.
    pub(crate) agent: String,
    pub(crate) role: String,
    pub(crate) is_active: bool,
    pub(crate) has_failed: bool,
    pub(crate) is_blocked: bool,
    pub(crate) is_managed: bool,
}

/// Reads it.
///
/// # Errors
/// One line, when it is not what the program writes.
pub(crate) fn parse(text: &str) -> Result<Cluster, String> {
    let mut reader = Reader::from_str(text);
    let mut cluster = Cluster::default();
    let (mut path, mut complete) = (Vec::new(), false);
    loop {
        match reader.read_event().map_err(|error| format!("not XML: {error}"))? {
            Xml::Start(element) => {
                take(&mut cluster, &path, &element)?;
                path.push(name(&element));
            }
            Xml::Empty(element) => take(&mut cluster, &path, &element)?,
            Xml::End(_) => complete |= path.pop().is_some_and(|name| name == "nodes"),
            Xml::Eof => break,
            Xml::Text(_)
            | Xml::GeneralRef(_)
            | Xml::CData(_)
            | Xml::Comment(_)
            | Xml::Decl(_)
            | Xml::PI(_)
            | Xml::DocType(_) => {}
        }
    }
    // Cut short, it may lack the node that is lost.
    if complete && path.is_empty() { Ok(cluster) } else { Err("the cluster's state is cut short".to_owned()) }
}

/// What the program says of a failure of its own, in the same form.
pub(crate) fn failure(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("<error>")?;
    let (words, _) = rest.split_once("</error>")?;
    Some(words.trim().to_owned())
}

fn name(element: &BytesStart<'_>) -> String {
    element.name().as_ref().to_owned()
}

fn take(cluster: &mut Cluster, path: &[String], element: &BytesStart<'_>) -> Result<(), String> {
    let said = attributes(element)?;
    let text = |key: &str| said.get(key).cloned().unwrap_or_default();
    let is = |key: &str| said.get(key).is_some_and(|value| value == "true");
    let parent = path.last().map_or("", String::as_str);
    match (parent, name(element).as_str()) {
        ("summary", "current_dc") => cluster.has_quorum = is("with_quorum"),
        ("summary", "cluster_options") => {
            cluster.fences = is("stonith-enabled");
            cluster.is_maintained = is("maintenance-mode");
        }
        ("nodes", "node") => cluster.nodes.push(Node {
            name: text("name"),
            is_online: is("online"),
            is_unclean: is("unclean"),
            is_standby: is("standby"),
            is_maintained: is("maintenance"),
        }),
        (_, "resource") if said.contains_key("resource_agent") => cluster.resources.push(Resource {
            name: text("id"),
            agent: text("resource_agent"),
            role: text("role"),
            is_active: is("active"),
            has_failed: is("failed"),
            is_blocked: is("blocked"),
            is_managed: is("managed"),
        }),
        ("fence_history", "fence_event") => cluster.fenced.extend(time(&text("completed")).map(|at| Event {
            target: text("target"),
            action: text("action"),
            succeeded: text("status") == "success",
            at,
        })),
        _ => {}
    }
    Ok(())
}

fn attributes(element: &BytesStart<'_>) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|error| format!("not XML: {error}"))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| format!("not XML: {error}"))?;
        found.insert(attribute.key.as_ref().to_owned(), value.into_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_cluster() {
        let found = parse(include_str!("../../../fixtures/check/pacemaker/crm_mon.healthy.xml")).unwrap();
        assert!(found.has_quorum && found.fences && !found.is_maintained && found.fenced.is_empty());
        assert!(found.nodes.len() == 2 && found.nodes.iter().all(|node| node.is_online && !node.is_unclean));
        let names: Vec<_> = found.resources.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["fence-n1", "fence-n2", "vip", "svc", "db", "db"]);
    }

    #[test]
    fn a_cluster_with_a_node_fenced() {
        let found =
            parse(include_str!("../../../fixtures/check/pacemaker/crm_mon.one-node-fenced.xml")).unwrap();
        let online: Vec<_> = found.nodes.iter().map(|node| (node.name.as_str(), node.is_online)).collect();
        assert_eq!(online, [("n1", true), ("n2", false)]);
        assert_eq!((found.fenced[0].target.as_str(), found.fenced[0].succeeded), ("n2", true));
    }

    #[test]
    fn a_failure_in_its_own_words() {
        let text = "<pacemaker-result>\n <status code=\"102\">\n <errors>\n <error>error: Could not connect</error>\n";
        assert_eq!(failure(text).as_deref(), Some("error: Could not connect"));
        assert_eq!(failure(include_str!("../../../fixtures/check/pacemaker/crm_mon.healthy.xml")), None);
    }

    #[test]
    fn what_is_no_state_is_refused() {
        assert!(parse("crm_mon: Connection to cluster failed").is_err());
        let whole = include_str!("../../../fixtures/check/pacemaker/crm_mon.healthy.xml");
        assert!(parse(&whole[..whole.len() / 2]).is_err());
    }
}
