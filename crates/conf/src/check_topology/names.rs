//! Names and texts that go into files of other programs: what those could not hold is refused here.

use super::{Findings, Item, Site};
use crate::source::Span;

/// Longest host name, and longest name of a resource: ids of Pacemaker are made of them.
const NAME_BYTES_MAX: usize = 63;

/// Domains and services by the ids that they get in Pacemaker.
const HELP: &str =
    "letters, digits, `-` and `_`, beginning with a letter: it becomes a host name, a file's name or an id";

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    let mut names: Vec<(&'static str, &str, Span)> = Vec::new();
    collect("Topology", &site.topology, |r| &r.name, &mut names);
    collect("Node", &site.nodes, |r| &r.name, &mut names);
    collect("Quorum", &site.quorum, |r| &r.name, &mut names);
    collect("Fence Device", &site.fence_devices, |r| &r.name, &mut names);
    collect("Failover Domain", &site.domains, |r| &r.name, &mut names);
    collect("Replicated Device", &site.devices, |r| &r.name, &mut names);
    collect("Director", &site.directors, |r| &r.name, &mut names);
    collect("Catalog", &site.catalogs, |r| &r.name, &mut names);
    collect("Storage", &site.storages, |r| &r.name, &mut names);
    for (kind, name, span) in names {
        if !is_id(name) && !name.is_empty() {
            findings.error(span, format!("{kind} \"{name}\" has a name that cannot be used"), HELP);
        }
    }
    witness_is_no_node(site, findings);
    texts(site, findings);
}

fn collect<'a, T>(
    kind: &'static str,
    items: &'a [Item<'a, T>],
    name: impl Fn(&'a T) -> &'a String,
    names: &mut Vec<(&'static str, &'a str, Span)>,
) {
    names.extend(items.iter().map(|item| (kind, name(&item.value).as_str(), item.at("Name"))));
}

fn is_id(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    name.len() <= NAME_BYTES_MAX
        && name.bytes().all(legal)
        && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
}

/// Each machine gets a directory of its name.
fn witness_is_no_node(site: &Site<'_>, findings: &mut Findings) {
    for quorum in site.quorum.iter().filter(|quorum| site.node(&quorum.value.name).is_some()) {
        let message = format!("Quorum \"{}\" has the name of a Node", quorum.value.name);
        findings.error(quorum.at("Name"), message, "name it as the witness's host");
    }
}

/// Paths, users and options are put into files without quotes where the format has none.
fn texts(site: &Site<'_>, findings: &mut Findings) {
    let mut texts: Vec<(&'static str, &str, Span)> = Vec::new();
    for device in &site.devices {
        path("Backing Disk", &device.value.backing_disk, device, findings);
        path("Mount Point", &device.value.mount_point, device, findings);
        if device.value.meta_disk != "internal" {
            path("Meta Disk", &device.value.meta_disk, device, findings);
        }
        texts.push(("Mount Options", &device.value.mount_options, device.at("Mount Options")));
        if let Some(secret) = &device.value.shared_secret
            && (secret.is_empty() || secret.len() > 64 || !secret.bytes().all(is_plain_secret))
        {
            // 64 bytes: SHARED_SECRET_MAX of DRBD.
            let help = "1 to 64 letters, digits and signs, without blanks, quotes and `\\`";
            findings.error(device.at("Shared Secret"), "`Shared Secret` cannot be used by DRBD", help);
        }
    }
    for director in &site.directors {
        path("Config File", &director.value.config_file, director, findings);
        texts.push(("User", &director.value.user, director.at("User")));
        texts.push(("Group", &director.value.group, director.at("Group")));
    }
    for catalog in &site.catalogs {
        path("Data Directory", &catalog.value.data_directory, catalog, findings);
        texts.push(("DB Name", &catalog.value.db_name, catalog.at("DB Name")));
        texts.push(("DB User", &catalog.value.db_user, catalog.at("DB User")));
        for (directive, secret) in [
            ("Replication Password", &catalog.value.replication_password),
            ("Superuser Password", &catalog.value.superuser_password),
        ] {
            if secret.as_deref().is_some_and(|s| s.is_empty() || !s.bytes().all(is_plain_secret)) {
                let help = "letters, digits and signs, without blanks, quotes and `\\`";
                findings.error(catalog.at(directive), format!("`{directive}` cannot be used"), help);
            }
        }
    }
    for storage in &site.storages {
        path("Config File", &storage.value.config_file, storage, findings);
        texts.push(("User", &storage.value.user, storage.at("User")));
        texts.push(("Group", &storage.value.group, storage.at("Group")));
    }
    for node in &site.nodes {
        if let Some(interface) = &node.value.interface {
            texts.push(("Interface", interface, node.at("Interface")));
        }
    }
    for (directive, text, span) in texts {
        if text.is_empty() || !text.bytes().all(|b| is_plain(b) && b != b'/') {
            let help = "letters, digits, and `_ . , = : @ + -`";
            findings.error(span, format!("`{directive}` cannot be `{}`", text.escape_default()), help);
        }
    }
}

fn path<T>(directive: &str, text: &str, item: &Item<'_, T>, findings: &mut Findings) {
    let absolute = text.starts_with('/') && text.len() > 1 && !text.ends_with('/');
    let up = text.split('/').any(|part| matches!(part, ".." | "."));
    // A path that is missing is reported as that.
    if !text.is_empty() && (!absolute || up || text.contains("//") || !text.bytes().all(is_plain)) {
        let message = format!("`{directive}` cannot be `{}`", text.escape_default());
        let help = "write an absolute path of letters, digits, `_ . , = : @ + -` without a `/` at the end";
        findings.error(item.at(directive), message, help);
    }
}

const fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'.' | b',' | b'=' | b':' | b'@' | b'+' | b'-')
}

const fn is_plain_secret(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'`')
}
