//! Two configurations of Pacemaker compared by what they say.

use quick_xml::events::{BytesStart, Event};

/// Elements whose ids each tool makes up for itself.
const NAMELESS: &[&str] =
    &["nvpair", "op", "instance_attributes", "meta_attributes", "fencing-level", "cluster_property_set"];

/// Both say the same; else the lines that only one of them has.
pub(crate) fn assert_same(found: &str, expected: &str, what: &str) {
    let (found, expected) = (lines(found), lines(expected));
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let (more, less) = (only(&found, &expected), only(&expected, &found));
    assert!(found == expected, "{what}: more {more:#?}, less {less:#?}");
}

/// Leaves the attributes that count.
fn strip(name: &str, attributes: &mut Vec<(String, String)>) {
    if NAMELESS.contains(&name) {
        attributes.retain(|(key, _)| key != "id");
    }
    if name == "cib" {
        attributes.clear();
    }
    // What `pcs` writes out and is meant without it.
    attributes.retain(|(key, value)| !(key.ends_with("rsc-role") && value == "Started"));
}

/// Each element with all that it is in, sorted: the order of things does not count where it has no meaning.
fn lines(text: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut path: Vec<String> = Vec::new();
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                path.push(step(&element));
                found.push(path.join("/"));
            }
            Event::Empty(element) => found.push(format!("{}/{}", path.join("/"), step(&element))),
            Event::End(_) => drop(path.pop()),
            Event::Eof => break,
            _ => {}
        }
    }
    // Whether a tool writes an empty element at all is its own affair.
    found.retain(|line| !line.ends_with("status[]"));
    found.sort();
    found
}

fn step(element: &BytesStart<'_>) -> String {
    let name = element.name().as_ref().to_owned();
    let mut attributes: Vec<(String, String)> = element
        .attributes()
        .map(|attribute| {
            let attribute = attribute.unwrap();
            let key = attribute.key.as_ref().to_owned();
            (key, quick_xml::escape::unescape(&attribute.value).unwrap().into_owned())
        })
        .collect();
    attributes.sort();
    strip(&name, &mut attributes);
    let list: Vec<_> = attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{name}[{}]", list.join(","))
}
