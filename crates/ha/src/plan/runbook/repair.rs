//! Split brain, replaced machines, cold spares.

use conf::topology::{Domain, ReplicatedDevice};

use super::book::{Book, lines};
use super::cluster::units;
use crate::plan::Plan;

pub(super) fn pacemaker(plan: &Plan<'_>, book: &mut Book) {
    for domain in &plan.config.domains {
        for device in plan.config.devices_of(&domain.name) {
            split_brain(domain, device, book);
        }
    }
    for node in plan.config.nodes.iter().filter(|node| plan.cluster_of(&node.name).is_some()) {
        replace(plan, &node.name, book);
    }
}

/// The node whose changes are given up comes second in the commands; people decide which it is.
pub(super) fn split_brain(domain: &Domain, device: &ReplicatedDevice, book: &mut Book) {
    let (Some(keeps), Some(gives)) = (domain.nodes.first(), domain.nodes.get(1)) else { return };
    let name = &device.name;
    book.heading(&format!("Split brain of Replicated Device {name}"));
    book.paragraph(&format!(
        "Both sides were written to while they did not see each other; both are `StandAlone` (or one of them `WFConnection`), and the kernel's log says `Split-Brain detected`. With fencing that works it does not happen. DRBD discards nothing by itself: you decide whose changes are given up. Keep the side where the services run (`crm_mon --one-shot`); if in doubt, first copy the other side's disk ({}).",
        device.backing_disk
    ));
    book.commands(
        keeps,
        &[
            format!("drbdadm cstate {name}; drbdadm role {name}; drbdadm dstate {name}"),
            "dmesg | grep -i split-brain".to_owned(),
        ],
    );
    book.paragraph(&format!("Here {keeps} keeps its data and {gives} gives up what it wrote. First {gives}, which must not be Primary:"));
    book.commands(
        gives,
        &[
            format!("drbdadm disconnect {name} || true"),
            format!("drbdadm secondary {name}"),
            format!("drbdadm connect --discard-my-data {name}"),
        ],
    );
    book.paragraph(&format!("Then {keeps}, where it is not waiting for the connection already:"));
    book.commands(keeps, &[format!("drbdadm cstate {name} | grep -q WFConnection || {{ drbdadm disconnect {name} || true; drbdadm connect {name}; }}")]);
    book.paragraph("Whole again when both disks are `UpToDate`:");
    book.commands(
        keeps,
        &[format!("until drbdadm dstate {name} | grep -q UpToDate/UpToDate; do sleep 1; done")],
    );
    book.paragraph("A location constraint named `drbd-fence-by-handler-…` that DRBD made meanwhile goes away with the resynchronization. If one stays although both disks are `UpToDate`, remove it with `cibadmin --delete --xml-text '<rsc_location id=\"…\"/>'`.");
}

fn replace(plan: &Plan<'_>, node: &str, book: &mut Book) {
    let Some(other) =
        plan.cluster_of(node).and_then(|cluster| cluster.nodes.iter().find(|name| *name != node))
    else {
        return;
    };
    book.heading(&format!("Replacing node {node}"));
    book.paragraph(&format!("A new machine takes the name and the addresses of {node}; the services run on {other} meanwhile. The old one is off and stays off. Install the packages and the files as at the bring-up; then"));
    let mut steps = lines(["install -d -m 0755 /etc/corosync"]);
    if plan.config.topology.heartbeat_encryption {
        steps.push(format!("scp -p {other}:/etc/corosync/authkey /etc/corosync/authkey"));
    }
    for device in plan.devices_on(node) {
        steps.push(format!("install -d {}", device.mount_point));
        // The peer has everything: all of it is copied.
        steps.push(format!("drbdadm create-md --force {}", device.name));
    }
    if let Some(cluster) = plan.cluster_of(node) {
        steps.push(format!("systemctl enable --now {}", units(plan, cluster)));
    }
    book.commands(node, &steps);
    if let Some(quorum) = plan.cluster_of(node).and_then(|cluster| plan.witness(cluster))
        && quorum.tls != conf::topology::WitnessTls::Off
    {
        book.paragraph(&format!("The witness wants a certificate of the new machine: `corosync-qdevice-net-certutil`, as at the bring-up, with {node} alone before its services start."));
    }
    book.paragraph("The disks are copied as a whole; until they are `UpToDate` there is no redundancy.");
    book.commands(other, &lines(["crm_mon --one-shot", "drbdadm status all || cat /proc/drbd"]));
}

/// Replicated Devices where no cluster manager promotes them.
pub(super) fn devices_by_hand(plan: &Plan<'_>, book: &mut Book) {
    for domain in &plan.config.domains {
        for device in plan.config.devices_of(&domain.name) {
            let (Some(first), Some(second)) = (domain.nodes.first(), domain.nodes.get(1)) else { continue };
            let name = &device.name;
            book.heading(&format!("Replicated Device {name}"));
            book.paragraph(&format!(
                "Nothing promotes it by itself. **This destroys what is on {}.** On both nodes:",
                device.backing_disk
            ));
            for node in &domain.nodes {
                book.commands(
                    node,
                    &[
                        format!("drbdadm create-md --force {name}"),
                        format!("drbdadm up {name}"),
                        format!("install -d {}", device.mount_point),
                    ],
                );
            }
            book.commands(
                first,
                &[
                    format!("until drbdadm cstate {name} | grep -q Connected; do sleep 1; done"),
                    format!("drbdadm -- --clear-bitmap new-current-uuid {name}/0"),
                    format!("drbdadm primary {name}"),
                    format!("mkfs.{} /dev/drbd{}", device.file_system.as_str(), device.minor),
                    format!(
                        "mount -o {} /dev/drbd{} {}",
                        device.mount_options, device.minor, device.mount_point
                    ),
                ],
            );
            book.paragraph(&format!("{first} is lost, and **off for certain**: {second} takes the device."));
            book.commands(
                second,
                &[
                    format!("drbdadm primary {name}"),
                    format!(
                        "mount -o {} /dev/drbd{} {}",
                        device.mount_options, device.minor, device.mount_point
                    ),
                ],
            );
            split_brain(domain, device, book);
        }
    }
}

/// Storage Daemons that stay at a node; their cold spares start only when they are needed.
pub(super) fn storages(plan: &Plan<'_>, book: &mut Book) {
    for storage in plan.config.storages.iter().filter(|storage| storage.cold_spare_for.is_none()) {
        let Some(node) = &storage.node else { continue };
        book.heading(&format!("Bring-up of Storage {}", storage.name));
        let mut steps = Vec::new();
        for device in plan.devices_on(node) {
            steps.push(format!("chown {}:{} {}", storage.user, storage.group, device.mount_point));
        }
        steps.push(format!("holdfast storage -t -c {}", storage.config_file));
        steps.push("systemctl enable --now holdfast-storage".to_owned());
        book.paragraph(&format!("`{}` has its Archive Device and its Working Directory where its Volumes are replicated, if they are.", storage.config_file));
        book.commands(node, &steps);
    }
}

pub(super) fn cold_spares(plan: &Plan<'_>, book: &mut Book) {
    for spare in &plan.config.storages {
        let Some(main) = &spare.cold_spare_for else { continue };
        book.heading(&format!("Cold spare {} of Storage {main}", spare.name));
        let place = |name: &str| {
            let storage = plan.config.storages.iter().find(|storage| storage.name == name);
            storage
                .and_then(|storage| storage.node.clone().or_else(|| storage.domain.clone()))
                .unwrap_or_default()
        };
        book.paragraph(&format!(
            "{main} is at {}, {} at {}. The Director's file says `Cold Spare For = {main}` in the Storage resource of {}. When {main} is lost and will not come back soon, let the daemon of {} start with its Volumes, then in a console:",
            place(main), spare.name, place(&spare.name), spare.name, spare.name
        ));
        let on = spare.node.clone().unwrap_or_else(|| spare.name.clone());
        book.commands(
            &on,
            &[
                format!("holdfast storage -t -c {}", spare.config_file),
                "systemctl enable --now holdfast-storage".to_owned(),
                format!("echo 'storage activate={} plan' | holdfast console", spare.name),
                format!("echo 'storage activate={} yes' | holdfast console", spare.name),
            ],
        );
        book.paragraph(&format!("The way back, once {main} has what was written meanwhile: `storage activate={main} plan`, then `storage activate={main}`."));
    }
}
