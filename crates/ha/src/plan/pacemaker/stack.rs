//! From a cluster's domains to resources and constraints.
//!
//! In a domain move, in this order: DRBD's promotion, file systems, PostgreSQL, the Storage Daemon, the Director's promotion,
//! floating addresses. Without a Director the addresses come up before the servers behind them.
//!
//! An agent has 30 seconds to answer, and more where its metadata say so: machines under full load, and emulated ones, were seen to
//! take 20 for what is nothing otherwise, and an agent that is only slow must not cost a service its place.

use conf::TopologyConfig;
use conf::topology::{Catalog, Director, Domain, FenceAction, Node, Storage};

use super::value::{
    Agent, Configuration, Constraint, Level, OrderKind, Pair, Primitive, Resource, Role, Score,
};
use crate::plan::{Cluster, Plan, postgresql};

/// How much a preferred node is liked: less than staying where one is, or each repair would be a second outage.
const PREFERENCE: u32 = 50;
const STICKINESS: u32 = 100;

/// How long Pacemaker waits for more news before it plans. Without it, the coordinator of the cluster (DC) that outlives another node plans
/// at once, finds its own record of the loss still under way (Corosync hands nothing on until the membership is agreed upon, which takes
/// a quorum device 0.2 s), and sleeps a whole second before it looks again, twice: `do_pe_invoke_callback` of pacemaker-controld. So
/// the death of a node that was not the coordinator took 5.3 s, that of the coordinator, whose election comes first, 3.0 s.
const TRANSITION_DELAY: &str = "300ms";

/// Id of what moves below a domain's Director.
fn group_id(domain: &str) -> String {
    format!("group-{domain}")
}

/// What `crm_resource --move` is given for a domain's services to go to another node, all of them after it: the resource, and the option
/// for a role.
pub(crate) fn moved(topology: &TopologyConfig, domain: &Domain) -> (String, &'static str) {
    let in_domain = |of: &str| of == domain.name;
    let has_group = topology.devices_of(&domain.name).next().is_some()
        || topology.catalogs.iter().any(|catalog| in_domain(&catalog.domain))
        || topology.storages.iter().any(|storage| storage.domain.as_deref().is_some_and(in_domain));
    match topology.directors.iter().find(|director| in_domain(&director.domain)) {
        Some(director) if !has_group && domain.floating_addresses.is_empty() => {
            (director_id(&director.name), " --promoted")
        }
        Some(_) if !has_group => (front_id(&domain.name), ""),
        Some(_) | None => (group_id(&domain.name), ""),
    }
}

/// Id of the instances of a Director.
fn director_id(director: &str) -> String {
    format!("director-{director}-clone")
}

/// Id of the addresses in front of a domain's Director.
fn front_id(domain: &str) -> String {
    format!("front-{domain}")
}

pub(super) fn configuration(plan: &Plan<'_>, cluster: &Cluster) -> Configuration {
    let mut out = Configuration {
        properties: properties(plan, cluster),
        resource_defaults: pairs(&[
            ("resource-stickiness", &STICKINESS.to_string()),
            ("migration-threshold", "3"),
            ("failure-timeout", "600"),
        ]),
        nodes: cluster.nodes.clone(),
        ..Configuration::default()
    };
    for node in plan.nodes_of(&cluster.nodes) {
        fencing(plan, node, &mut out);
    }
    for domain in plan.domains_of(cluster) {
        stack(plan, cluster, domain, &mut out);
    }
    out
}

fn pairs(list: &[(&str, &str)]) -> Vec<Pair> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn properties(plan: &Plan<'_>, cluster: &Cluster) -> Vec<Pair> {
    let action = match plan.config.topology.fence_action {
        FenceAction::Off => "off",
        FenceAction::Reboot => "reboot",
    };
    let device = |name: &String| plan.config.fence_device(name).map(|device| device.timeout.as_secs());
    let of_node = |node: &Node| -> u64 { node.fence_levels().into_iter().flatten().filter_map(device).sum() };
    // Every device of the node with the most of them, and as much again for what is tried twice.
    let fencing = plan.nodes_of(&cluster.nodes).map(of_node).max().unwrap_or(0).saturating_mul(2).max(60);
    pairs(&[
        ("stonith-enabled", "true"),
        ("stonith-action", action),
        ("stonith-timeout", &format!("{fencing}s")),
        ("no-quorum-policy", "stop"),
        // Until a node that is alone at its start elects itself.
        ("dc-deadtime", "5s"),
        ("transition-delay", TRANSITION_DELAY),
    ])
}

/// The fence devices of a node: never run by itself, and tried in order where there are several.
fn fencing(plan: &Plan<'_>, node: &Node, out: &mut Configuration) {
    let levels = node.fence_levels();
    for name in levels.iter().flat_map(|level| level.iter()) {
        let Some(device) = plan.config.fence_device(name) else { continue };
        let seconds = device.timeout.as_secs();
        let mut primitive = Primitive {
            id: format!("fence-{name}"),
            agent: Agent::Stonith(device.agent.rsplit('/').next().unwrap_or_default().to_owned()),
            parameters: device.parameters().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            operations: Vec::new(),
        };
        let own = [
            ("pcmk_host_list", node.name.clone()),
            ("pcmk_off_timeout", format!("{seconds}s")),
            ("pcmk_reboot_timeout", format!("{seconds}s")),
            ("pcmk_status_timeout", format!("{seconds}s")),
            ("pcmk_off_retries", (device.retries + 1).to_string()),
        ];
        for (key, value) in own {
            // A site that says it itself knows why.
            if !primitive.parameters.iter().any(|(given, _)| given == key) {
                primitive = primitive.parameter(key, value);
            }
        }
        let primitive = primitive.monitor(60, seconds, None);
        out.constraints.push(Constraint::Location {
            id: format!("not-{}-on-{}", primitive.id, node.name),
            resource: primitive.id.clone(),
            node: node.name.clone(),
            score: Score::Never,
        });
        out.resources.push(Resource::Primitive(primitive));
    }
    if levels.iter().map(|level| level.len()).sum::<usize>() > 1 {
        out.levels.extend(levels.iter().enumerate().map(|(number, level)| Level {
            node: node.name.clone(),
            index: number + 1,
            devices: level.iter().map(|name| format!("fence-{name}")).collect(),
        }));
    }
}

fn stack(plan: &Plan<'_>, cluster: &Cluster, domain: &Domain, out: &mut Configuration) {
    let name = &domain.name;
    let director = plan.director_in(name);
    let mut top_level: Vec<String> = Vec::new();

    let mut clones = Vec::new();
    for device in plan.config.devices_of(name) {
        let id = format!("drbd-{}-clone", device.name);
        out.resources.push(promotable(id.clone(), domain.nodes.len(), drbd(&device.name)));
        clones.push(id);
    }

    let mut members: Vec<Primitive> = plan.config.devices_of(name).map(file_system).collect();
    let addresses = addresses(plan, domain);
    let servers = plan.catalog_in(name).map(pgsql).into_iter().chain(plan.storage_in(name).map(storage));
    let front = if director.is_some() {
        members.extend(servers);
        addresses
    } else {
        // A server that names its address finds it there.
        members.extend(addresses);
        members.extend(servers);
        Vec::new()
    };
    let group = (!members.is_empty()).then(|| group_id(name));
    if let Some(group) = &group {
        out.resources.push(Resource::Group { id: group.clone(), members });
        for clone in &clones {
            out.constraints.push(with(group, None, clone, Some(Role::Promoted)));
            out.constraints.push(order(clone, "promote", group, "start", OrderKind::Mandatory));
        }
    }
    top_level.extend(clones);
    top_level.extend(group.clone());

    if let Some(director) = director {
        let id = director_id(&director.name);
        out.resources.push(promotable(id.clone(), domain.nodes.len(), director_instance(director)));
        if let Some(group) = &group {
            out.constraints.push(with(&id, Some(Role::Promoted), group, None));
            // A catalog that is started again in its place does not cost the Director its role: jobs run on meanwhile.
            out.constraints.push(order(group, "start", &id, "promote", OrderKind::Optional));
        }
        if !front.is_empty() {
            let front_id = front_id(name);
            out.resources.push(Resource::Group { id: front_id.clone(), members: front });
            out.constraints.push(with(&front_id, None, &id, Some(Role::Promoted)));
            // Nor does a Director that is started again take the address away.
            out.constraints.push(order(&id, "promote", &front_id, "start", OrderKind::Optional));
            top_level.push(front_id);
        }
        top_level.push(id);
    }
    places(plan, cluster, domain, &top_level, out);
}

/// Which nodes are for the domain, and which it likes.
fn places(
    plan: &Plan<'_>,
    cluster: &Cluster,
    domain: &Domain,
    resources: &[String],
    out: &mut Configuration,
) {
    let others: Vec<_> = cluster.nodes.iter().filter(|node| !domain.nodes.contains(node)).collect();
    for resource in resources {
        for node in &others {
            out.constraints.push(Constraint::Location {
                id: format!("not-{resource}-on-{node}"),
                resource: resource.clone(),
                node: (*node).clone(),
                score: Score::Never,
            });
        }
    }
    let (group, front) = (group_id(&domain.name), front_id(&domain.name));
    let leading =
        resources.iter().find(|id| **id == group).or_else(|| resources.iter().find(|id| **id == front));
    if let (Some(node), Some(resource)) = (&domain.preferred_node, leading)
        && plan.config.node(node).is_some()
    {
        out.constraints.push(Constraint::Location {
            id: format!("prefer-{resource}-on-{node}"),
            resource: resource.clone(),
            node: node.clone(),
            score: Score::Points(PREFERENCE),
        });
    }
}

fn promotable(id: String, count: usize, primitive: Primitive) -> Resource {
    let meta = pairs(&[
        ("promotable", "true"),
        ("promoted-max", "1"),
        ("promoted-node-max", "1"),
        ("clone-max", &count.to_string()),
        ("clone-node-max", "1"),
        ("notify", "true"),
        ("interleave", "true"),
    ]);
    Resource::Promotable { id, meta, primitive }
}

fn with(resource: &str, role: Option<Role>, with: &str, with_role: Option<Role>) -> Constraint {
    Constraint::With {
        id: format!("{resource}-with-{with}"),
        resource: resource.to_owned(),
        role,
        with: with.to_owned(),
        with_role,
    }
}

fn order(
    first: &str,
    first_action: &'static str,
    then: &str,
    then_action: &'static str,
    kind: OrderKind,
) -> Constraint {
    Constraint::Order {
        id: format!("{first}-before-{then}"),
        first: first.to_owned(),
        first_action,
        then: then.to_owned(),
        then_action,
        kind,
    }
}

/// Times of `ocf:linbit:drbd` as its metadata has them. Start connects, which takes as long as the peer does.
fn drbd(name: &str) -> Primitive {
    Primitive::ocf(format!("drbd-{name}"), "linbit", "drbd")
        .parameter("drbd_resource", name)
        .monitor(5, 30, Some(Role::Promoted))
        .monitor(11, 30, Some(Role::Unpromoted))
        .action("start", 240)
        .action("promote", 90)
        .action("demote", 90)
        .action("notify", 90)
        .action("stop", 100)
}

fn file_system(device: &conf::topology::ReplicatedDevice) -> Primitive {
    Primitive::ocf(format!("fs-{}", device.name), "heartbeat", "Filesystem")
        .parameter("device", format!("/dev/drbd{}", device.minor))
        .parameter("directory", &device.mount_point)
        .parameter("fstype", device.file_system.as_str())
        .parameter("options", &device.mount_options)
        .monitor(10, 40, None)
        .action("start", 60)
        .action("stop", 60)
}

/// Ten minutes to start: a server that died recovers first, and one that is stopped in the middle begins anew.
fn pgsql(catalog: &Catalog) -> Primitive {
    let programs = postgresql::programs(catalog);
    Primitive::ocf(format!("pgsql-{}", catalog.name), "heartbeat", "pgsql")
        .parameter("pgctl", format!("{programs}/pg_ctl"))
        .parameter("psql", format!("{programs}/psql"))
        .parameter("pgdata", &catalog.data_directory)
        .parameter("config", postgresql::config_path(catalog))
        .parameter("socketdir", postgresql::SOCKET_DIRECTORY)
        .parameter("pgport", catalog.port.to_string())
        .parameter("logfile", format!("/var/log/postgresql/{}.log", catalog.name))
        .monitor(5, 30, None)
        .action("start", 600)
        .action("stop", 120)
}

/// A dead Director is noticed within two seconds; its monitor asks the process over its socket, which costs next to nothing.
fn director_instance(director: &Director) -> Primitive {
    Primitive::ocf(format!("director-{}", director.name), "holdfast", "director")
        .parameter("config", &director.config_file)
        .parameter("user", &director.user)
        .parameter("group", &director.group)
        .monitor(2, 30, Some(Role::Promoted))
        .monitor(5, 30, Some(Role::Unpromoted))
        .action("start", 60)
        .action("promote", 60)
        .action("demote", 60)
        .action("notify", 30)
        .action("stop", 120)
}

/// Two minutes to stop: running jobs end at a checkpoint.
fn storage(storage: &Storage) -> Primitive {
    Primitive::ocf(format!("storage-{}", storage.name), "holdfast", "storage")
        .parameter("config", &storage.config_file)
        .parameter("user", &storage.user)
        .parameter("group", &storage.group)
        .monitor(10, 30, None)
        .action("start", 60)
        .action("stop", 120)
}

fn addresses(plan: &Plan<'_>, domain: &Domain) -> Vec<Primitive> {
    // One interface for all nodes: the resource has one set of parameters.
    let named: Vec<_> = plan.nodes_of(&domain.nodes).map(|node| node.interface.as_deref()).collect();
    let interface =
        named.first().copied().flatten().filter(|first| named.iter().all(|nic| *nic == Some(*first)));
    domain
        .floating_addresses
        .iter()
        .enumerate()
        .map(|(number, address)| {
            let mut primitive =
                Primitive::ocf(format!("ip-{}-{}", domain.name, number + 1), "heartbeat", "IPaddr2")
                    .parameter("ip", address.ip().to_string())
                    .parameter("cidr_netmask", address.prefix().to_string());
            if let Some(interface) = interface {
                primitive = primitive.parameter("nic", interface);
            }
            primitive.monitor(10, 30, None).action("start", 30).action("stop", 30)
        })
        .collect()
}
