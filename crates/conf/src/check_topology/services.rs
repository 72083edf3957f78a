//! Directors, Catalogs and Storages: that each has where to run, its data and an address.

use std::collections::BTreeMap;

use super::{Findings, Item, Site};
use crate::topology::{Catalog, Engine, Storage};

/// Versions of PostgreSQL that the catalog runs on.
const POSTGRESQL_MIN: u32 = 13;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    one_of_a_kind(site, findings);
    for catalog in &site.catalogs {
        check_catalog(site, catalog, findings);
    }
    for storage in &site.storages {
        check_storage(site, storage, findings);
    }
    if site.engine() == Engine::Pacemaker {
        addresses(site, findings);
        replicated_storages(site, findings);
    }
}

/// Of one kind at most one per domain: ports, files and units are per machine.
fn one_of_a_kind(site: &Site<'_>, findings: &mut Findings) {
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let directors =
        site.directors.iter().map(|r| ("Director", &r.value.domain, &r.value.name, r.at("Domain")));
    let catalogs = site.catalogs.iter().map(|r| ("Catalog", &r.value.domain, &r.value.name, r.at("Domain")));
    let storages = site
        .storages
        .iter()
        .filter_map(|r| Some(("Storage", r.value.domain.as_ref()?, &r.value.name, r.at("Domain"))));
    for (kind, domain, name, span) in directors.chain(catalogs).chain(storages) {
        if let Some(other) = first.get(&(kind, domain.as_str())) {
            let message =
                format!("Failover Domain \"{domain}\" has two of them, {kind} \"{other}\" and \"{name}\"");
            findings.error(span, message, "give each a domain of its own; domains may have the same nodes");
        }
        first.entry((kind, domain)).or_insert(name);
    }
}

fn check_catalog(site: &Site<'_>, catalog: &Item<'_, Catalog>, findings: &mut Findings) {
    let value = &catalog.value;
    if value.postgresql_version < POSTGRESQL_MIN || value.postgresql_version > 99 {
        let message = format!("`PostgreSQL Version` is {}", value.postgresql_version);
        let help = format!("give a major version, {POSTGRESQL_MIN} or later");
        findings.error(catalog.at("PostgreSQL Version"), message, help);
    }
    if value.patroni_ttl.as_secs() < 5 {
        let message = format!("`Patroni TTL` is {} seconds", value.patroni_ttl.as_secs());
        findings.error(catalog.at("Patroni TTL"), message, "give at least `5 seconds`; 20 outside of tests");
    }
    let mounted = |directory: &str| {
        site.devices.iter().filter(|device| device.value.domain == value.domain).any(|device| {
            let below = directory.strip_prefix(device.value.mount_point.as_str());
            below.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    if site.engine() == Engine::Pacemaker
        && !value.data_directory.is_empty()
        && !mounted(&value.data_directory)
    {
        let message = format!(
            "`Data Directory` of Catalog \"{}\" is on no Replicated Device of Failover Domain \"{}\"",
            value.name, value.domain
        );
        let help =
            "put it into a folder below the `Mount Point` of one: the other node would have other data";
        findings.error(catalog.at("Data Directory"), message, help);
    }
}

fn check_storage(site: &Site<'_>, storage: &Item<'_, Storage>, findings: &mut Findings) {
    let value = &storage.value;
    let name = &value.name;
    match (&value.domain, &value.node) {
        (Some(_), Some(_)) => {
            let message = format!("Storage \"{name}\" has a `Domain` and a `Node`");
            findings.error(storage.at("Node"), message, "leave one of them: it moves, or it stays");
        }
        (None, None) => {
            let message = format!("Storage \"{name}\" has neither `Domain` nor `Node`");
            findings.error(storage.header(), message, "add `Domain = …` if it moves, `Node = …` if it stays");
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let Some(main) = &value.cold_spare_for else { return };
    let span = storage.at("Cold Spare For");
    if main == name {
        findings.error(span, format!("Storage \"{name}\" is its own cold spare"), "name another Storage");
    }
    let other = site.storages.iter().find(|other| other.value.name == *main && other.value.name != *name);
    let Some(other) = other else { return };
    if other.value.cold_spare_for.is_some() {
        let message = format!("Storage \"{main}\", whose place \"{name}\" takes, is a cold spare itself");
        findings.error(span, message, "name the Storage that jobs and Pools use");
    }
    if other.value.node.is_some() && other.value.node == value.node {
        let message = format!("Storage \"{main}\" and its cold spare \"{name}\" are on one node");
        findings.error(span, message, "put the cold spare on another Node");
    }
    let place =
        |node: &Option<String>| node.as_ref().and_then(|n| site.node(n)).map(|n| &n.value.data_centre);
    if let (Some(a), Some(b)) = (place(&other.value.node), place(&value.node))
        && a == b
        && other.value.node != value.node
    {
        let message = format!("Storage \"{main}\" and its cold spare \"{name}\" are in data centre \"{a}\"");
        findings.warning(span, message, "put the cold spare into another data centre");
    }
}

/// Clients reach what moves at an address that moves with it; a Director's consoles may ask any instance.
fn addresses(site: &Site<'_>, findings: &mut Findings) {
    for domain in site.domains.iter().filter(|domain| domain.value.floating_addresses.is_empty()) {
        let name = &domain.value.name;
        let has_director = site.directors.iter().any(|r| r.value.domain == *name);
        let has_catalog = site.catalogs.iter().any(|r| r.value.domain == *name);
        let has_storage = site.storages.iter().any(|r| r.value.domain.as_ref() == Some(name));
        let what = if has_storage {
            "Storage Daemon"
        } else if has_catalog && !has_director {
            "catalog"
        } else {
            continue;
        };
        let message =
            format!("Failover Domain \"{name}\" lacks `Floating Address`: nobody would find its {what}");
        findings.error(domain.header(), message, "add an address of the network in which its nodes serve");
    }
}

/// A Storage Daemon that moves without its Volumes is another one.
fn replicated_storages(site: &Site<'_>, findings: &mut Findings) {
    for storage in &site.storages {
        let Some(domain) = &storage.value.domain else { continue };
        if !site.devices.iter().any(|device| device.value.domain == *domain) {
            let message = format!(
                "Storage \"{}\" moves, and no Replicated Device is in Failover Domain \"{domain}\"",
                storage.value.name
            );
            let help = "its Volumes and journals must move with it: add a Replicated Device, unless both nodes reach one shared disk";
            findings.warning(storage.header(), message, help);
        }
    }
}
