//! Bring-up and everyday work of a cluster of Pacemaker.

use conf::topology::{Catalog, Domain, FenceAction, ReplicatedDevice, WitnessTls};

use super::book::{Book, lines};
use super::overview::install;
use crate::plan::pacemaker::moved;
use crate::plan::{Cluster, Plan, postgresql};

/// `bsd-mailx`: DRBD's handler tells of a split brain by mail.
const PACKAGES: &[&str] = &[
    "pacemaker",
    "corosync",
    "corosync-qdevice",
    "resource-agents",
    "pacemaker-cli-utils",
    "crmsh",
    "fence-agents",
    "drbd-utils",
    "bsd-mailx",
    "nftables",
    "postgresql",
    "holdfast",
];

pub(super) fn bring_up(plan: &Plan<'_>, cluster: &Cluster, book: &mut Book) {
    let Some(first) = cluster.nodes.first() else { return };
    book.heading(&format!("Bring-up of cluster {}", cluster.name));
    book.section("Files");
    book.paragraph("Copy what was rendered to each node, then put it in place. The packages come first: they bring the users. Their services are stopped; Pacemaker starts what is needed.");
    for node in &cluster.nodes {
        install(plan, node, PACKAGES, book);
        let mut stop = lines([
            "for unit in postgresql pacemaker corosync corosync-qdevice drbd; do systemctl disable --now $unit || true; done",
            "modprobe drbd",
            "nft -f /etc/nftables.d/holdfast-ha.nft",
        ]);
        if plan.devices_on(node).next().is_none() {
            stop.retain(|line| !line.contains("modprobe"));
        }
        book.commands(node, &stop);
    }
    if plan.config.topology.heartbeat_encryption {
        book.paragraph("One key for the heartbeats, the same on all nodes of the cluster, mode 0400:");
        let mut key = lines(["corosync-keygen -k /etc/corosync/authkey"]);
        key.extend(
            cluster
                .nodes
                .iter()
                .skip(1)
                .map(|node| format!("scp -p /etc/corosync/authkey {node}:/etc/corosync/authkey")),
        );
        book.commands(first, &key);
    }
    witness(plan, cluster, first, book);
    for domain in plan.domains_of(cluster) {
        for device in plan.config.devices_of(&domain.name) {
            replicated_device(plan, domain, device, book);
        }
        if let Some(catalog) = plan.catalog_in(&domain.name) {
            database(plan, domain, catalog, book);
        }
        for device in plan.config.devices_of(&domain.name) {
            finish_device(domain, device, book);
        }
    }
    start(plan, cluster, book);
}

/// The services of a node of the cluster, in the order of their start.
pub(super) fn units(plan: &Plan<'_>, cluster: &Cluster) -> &'static str {
    match plan.witness(cluster) {
        Some(_) => "corosync corosync-qdevice pacemaker",
        None => "corosync pacemaker",
    }
}

fn witness(plan: &Plan<'_>, cluster: &Cluster, first: &str, book: &mut Book) {
    let Some(quorum) = plan.witness(cluster) else { return };
    book.section("The witness");
    install(plan, &quorum.name, &["corosync-qnetd", "nftables"], book);
    book.commands(
        &quorum.name,
        &lines(["systemctl enable --now corosync-qnetd", "nft -f /etc/nftables.d/holdfast-ha.nft"]),
    );
    if quorum.tls != WitnessTls::Off {
        book.paragraph("Certificates for witness and nodes, made over ssh:");
        let command = format!(
            "corosync-qdevice-net-certutil -Q -n {} {} {}",
            cluster.name,
            quorum.address.unwrap_or_default().ip(),
            cluster.nodes.join(" ")
        );
        book.commands(first, &[command]);
    }
}

fn replicated_device(plan: &Plan<'_>, domain: &Domain, device: &ReplicatedDevice, book: &mut Book) {
    let Some(first) = domain.nodes.first() else { return };
    let name = &device.name;
    book.section(&format!("Replicated Device {name}"));
    book.paragraph(&format!("**This destroys what is on {}.** On both nodes:", device.backing_disk));
    for node in &domain.nodes {
        book.commands(node, &[format!("drbdadm create-md --force {name}"), format!("drbdadm up {name}")]);
    }
    book.paragraph(
        "Then on one, when both are connected. Both disks hold nothing yet, so nothing need be copied:",
    );
    let mount = &device.mount_point;
    let mut steps = vec![
        format!("until drbdadm cstate {name} | grep -q Connected; do sleep 1; done"),
        format!("drbdadm -- --clear-bitmap new-current-uuid {name}/0"),
        format!("drbdadm primary {name}"),
        format!("mkfs.{} /dev/drbd{}", device.file_system.as_str(), device.minor),
        format!("install -d {mount}"),
        format!("mount -o {} /dev/drbd{} {mount}", device.mount_options, device.minor),
    ];
    if let Some(storage) = plan.storage_in(&domain.name) {
        book.paragraph(&format!(
            "`{}` of Storage {} has `Working Directory = {mount}/working` and Archive Devices below {mount}/volumes, the same on both nodes. \
             Its journals are with them, so its unfinished jobs move with it.",
            storage.config_file, storage.name
        ));
        let owned = format!("install -d -o {} -g {} -m 0750", storage.user, storage.group);
        steps.push(format!("{owned} {mount}/working {mount}/volumes"));
    }
    book.commands(first, &steps);
    for node in domain.nodes.iter().skip(1) {
        book.commands(node, &[format!("install -d {mount}")]);
    }
}

fn database(plan: &Plan<'_>, domain: &Domain, catalog: &Catalog, book: &mut Book) {
    let Some(first) = domain.nodes.first() else { return };
    let programs = postgresql::programs(catalog);
    let (data, config) = (&catalog.data_directory, postgresql::config_path(catalog));
    book.section(&format!("Catalog {}", catalog.name));
    let psql = format!("runuser -u postgres -- psql -h {} -p {}", postgresql::SOCKET_DIRECTORY, catalog.port);
    let role = &catalog.db_user;
    let local = plan.director_in(&domain.name).is_some();
    let how = if local {
        "The Director of this domain comes over the socket under its own name and needs no password."
    } else {
        "Directors come over the network: give the role its password with `\\password`, and the Catalog resource in the Director's file the same."
    };
    book.paragraph(how);
    let mut steps = vec![
        format!("install -d -o postgres -g postgres -m 0700 {data}"),
        format!(
            "runuser -u postgres -- {programs}/initdb -D {data} --encoding=UTF8 --locale=C --data-checksums --auth=peer"
        ),
        format!("runuser -u postgres -- {programs}/pg_ctl -D {data} -o '-c config_file={config}' -w start"),
        format!("{psql} -c 'CREATE ROLE {role} LOGIN'"),
        format!(
            "{psql} -c \"CREATE DATABASE {} OWNER {role} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0\"",
            catalog.db_name
        ),
    ];
    if !local {
        steps.push(format!("{psql} -c '\\password {role}'"));
    }
    steps.push(format!("runuser -u postgres -- {programs}/pg_ctl -D {data} -w stop -m fast"));
    book.commands(first, &steps);
}

/// The cluster takes the device from here.
fn finish_device(domain: &Domain, device: &ReplicatedDevice, book: &mut Book) {
    let Some(first) = domain.nodes.first() else { return };
    book.paragraph(&format!("Replicated Device {} is left to the cluster:", device.name));
    book.commands(
        first,
        &[format!("umount {}", device.mount_point), format!("drbdadm down {}", device.name)],
    );
    for node in domain.nodes.iter().skip(1) {
        book.commands(node, &[format!("drbdadm down {}", device.name)]);
    }
}

fn start(plan: &Plan<'_>, cluster: &Cluster, book: &mut Book) {
    let Some(first) = cluster.nodes.first() else { return };
    book.section("Start");
    for node in &cluster.nodes {
        book.commands(node, &[format!("systemctl enable --now {}", units(plan, cluster))]);
    }
    book.paragraph(
        "When all nodes have joined (what is loaded before that may be lost to the empty configuration of the others), once, on one node, one \
         of these; all say the same:",
    );
    let folder = format!("clusters/{}", cluster.name);
    book.commands(
        first,
        &[
            format!(
                "until [ \"$(crm_mon --one-shot --output-as=xml | grep -c 'online=\"true\".* pending=\"false\"')\" = {} ]; do sleep 1; done",
                cluster.nodes.len()
            ),
            format!("cibadmin --replace --scope configuration --xml-file {folder}/cib.xml"),
            format!("# or: crm configure load replace {folder}/configuration.crm"),
            format!("# or: {folder}/configuration.pcs.sh"),
        ],
    );
    book.paragraph("It is up when every resource is started, and this finds nothing:");
    book.commands(
        first,
        &lines([
            "crm_mon --one-shot --inactive",
            "crm_verify --live-check --verbose",
            "corosync-quorumtool -s",
        ]),
    );
    book.section("Before it is relied on");
    book.paragraph("A cluster whose fencing does not work never takes over. Try it while nothing depends on it, one node after the other; each must be off afterwards by its own display:");
    for node in &cluster.nodes {
        let other = cluster.nodes.iter().find(|other| *other != node).unwrap_or(node);
        book.commands(
            other,
            &[
                format!("stonith_admin --fence {node} --timeout 120"),
                format!("stonith_admin --history {node}"),
            ],
        );
    }
}

pub(super) fn operate(plan: &Plan<'_>, cluster: &Cluster, book: &mut Book) {
    let Some(first) = cluster.nodes.first() else { return };
    book.heading(&format!("Switchover in cluster {}", cluster.name));
    book.paragraph("Before: every node online, DRBD `UpToDate/UpToDate`. Running jobs go on.");
    book.commands(first, &lines(["crm_mon --one-shot", "drbdadm status all || cat /proc/drbd"]));
    for domain in plan.domains_of(cluster) {
        let (Some(from), Some(to)) = (domain.nodes.first(), domain.nodes.get(1)) else { continue };
        let (resource, role) = moved(plan.config, domain);
        book.paragraph(&format!("Failover Domain {} from {from} to {to}:", domain.name));
        book.commands(
            from,
            &[
                format!("crm_resource --resource {resource} --move{role} --node {to}"),
                "crm_resource --wait --timeout 120".to_owned(),
                format!("crm_resource --resource {resource} --clear"),
            ],
        );
    }
    book.paragraph(&format!(
        "Everything away from {first}, for maintenance, and back into service (services stay where they are):"
    ));
    book.commands(
        first,
        &[
            format!("crm_attribute --node {first} --name standby --update on --lifetime reboot"),
            "crm_resource --wait --timeout 120".to_owned(),
            "# … the work …".to_owned(),
            format!("crm_attribute --node {first} --name standby --delete --lifetime reboot"),
        ],
    );
    lost_node(plan, cluster, book);
}

fn lost_node(plan: &Plan<'_>, cluster: &Cluster, book: &mut Book) {
    let (Some(first), Some(second)) = (cluster.nodes.first(), cluster.nodes.get(1)) else { return };
    book.heading(&format!("A node of cluster {} is lost", cluster.name));
    book.paragraph(&format!(
        "The other one switches it off and takes over by itself; say {first} is lost. What was done, and whether fencing was confirmed:"
    ));
    book.commands(
        second,
        &[format!("stonith_admin --history {first}"), "crm_mon --one-shot --inactive".to_owned()],
    );
    book.paragraph(&format!(
        "**{first} is `UNCLEAN` and nothing moves**: no Fence Device could confirm that it is off (a site without power, a board that lost it too). Nothing takes over until a person says so. Go and see, or have somebody there pull the plug. Only when {first} is off for certain:"
    ));
    book.commands(second, &[format!("stonith_admin --confirm {first}")]);
    match plan.config.topology.fence_action {
        FenceAction::Off => book.paragraph(&format!(
            "**Back again.** {first} stays off until you start it. Find out why it was shot, start it, and"
        )),
        FenceAction::Reboot => book.paragraph(&format!(
            "**Back again.** {first} is started again by its Fence Device. Find out why it was shot, and"
        )),
    }
    book.commands(
        first,
        &[
            format!("systemctl start {}", units(plan, cluster)),
            "crm_mon --one-shot".to_owned(),
            "drbdadm status all || cat /proc/drbd".to_owned(),
        ],
    );
    book.paragraph("DRBD copies what changed meanwhile. Redundancy is whole when both disks are `UpToDate`; nothing moves back by itself.");
    book.heading(&format!("Failback in cluster {}", cluster.name));
    book.paragraph("A switchover like any other, once both disks are `UpToDate`, at a quiet moment:");
    for domain in plan.domains_of(cluster) {
        let home = domain.preferred_node.as_ref().or(domain.nodes.first());
        let Some(home) = home else { continue };
        let (resource, role) = moved(plan.config, domain);
        book.commands(
            home,
            &[
                format!("crm_resource --resource {resource} --move{role} --node {home}"),
                "crm_resource --wait --timeout 120".to_owned(),
                format!("crm_resource --resource {resource} --clear"),
            ],
        );
    }
}
