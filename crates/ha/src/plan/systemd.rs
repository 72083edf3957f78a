//! systemd: what starts by itself, and what only the cluster starts.

use conf::topology::Engine;

use super::{Plan, Tree};

/// A unit that Pacemaker stands for: started by systemd as well, it would run twice, or on the wrong node.
const GUARD: &str = "\
# Rendered by holdfast ha render. Pacemaker starts this service, on the node where it belongs. Make the file only on a machine
# that has left the cluster.
[Unit]
ConditionPathExists=/etc/holdfast/started-by-systemd
";

/// What Pacemaker's resources need and do not start.
const DEPENDENCIES: &str = "\
# Rendered by holdfast ha render.
[Unit]
After=network-online.target time-sync.target systemd-modules-load.service systemd-tmpfiles-setup.service
Wants=network-online.target
";

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    match plan.engine {
        Engine::Pacemaker => pacemaker(plan, tree),
        Engine::Patroni => {
            patroni(plan, tree);
            instances(plan, tree);
        }
        Engine::Lease => {
            streaming(plan, tree);
            instances(plan, tree);
        }
    }
    if plan.engine != Engine::Pacemaker {
        storages(plan, tree);
    }
    for node in plan.config.nodes.iter().filter(|node| plan.devices_on(&node.name).next().is_some()) {
        let text = "# Rendered by holdfast ha render.\ndrbd\n".to_owned();
        tree.file(&node.name, "/etc/modules-load.d/holdfast-ha.conf", text);
    }
}

fn drop_in(tree: &mut Tree, node: &str, unit: &str, text: &str) {
    tree.file(node, &format!("/etc/systemd/system/{unit}.d/holdfast-ha.conf"), text.to_owned());
}

fn pacemaker(plan: &Plan<'_>, tree: &mut Tree) {
    for node in plan.clusters.iter().flat_map(|cluster| &cluster.nodes) {
        drop_in(tree, node, "resource-agents-deps.target", DEPENDENCIES);
        let domains: Vec<_> = plan.domains_on(node).collect();
        let any = |has: &dyn Fn(&str) -> bool| domains.iter().any(|domain| has(&domain.name));
        if any(&|domain| plan.director_in(domain).is_some()) {
            drop_in(tree, node, "holdfast-director.service", GUARD);
        }
        if any(&|domain| plan.storage_in(domain).is_some()) {
            drop_in(tree, node, "holdfast-storage.service", GUARD);
        }
        if any(&|domain| plan.catalog_in(domain).is_some()) {
            drop_in(tree, node, "postgresql.service", GUARD);
            drop_in(tree, node, "postgresql@.service", GUARD);
        }
        if plan.devices_on(node).next().is_some() {
            drop_in(tree, node, "drbd.service", GUARD);
        }
    }
}

/// Each node's instance of its Director.
fn instances(plan: &Plan<'_>, tree: &mut Tree) {
    for director in &plan.config.directors {
        let Some(domain) = plan.config.domain(&director.domain) else { continue };
        for node in &domain.nodes {
            let text = format!(
                "# Rendered by holdfast ha render: the instance of this node.\n\
                 [Service]\n\
                 User={}\n\
                 Group={}\n\
                 ExecStartPre=\n\
                 ExecStartPre=/usr/bin/holdfast director -t -c {}\n\
                 ExecStart=\n\
                 ExecStart=/usr/bin/holdfast director -f -P -c {} --instance {node}\n\
                 # A standby that cannot be active yet is not a failure; one that died is started again whatever it said.\n\
                 Restart=always\n",
                director.user, director.group, director.config_file, director.config_file
            );
            drop_in(tree, node, "holdfast-director.service", &text);
        }
    }
}

/// A Storage Daemon whose Volumes are on a Replicated Device that a person mounts: without it, it would write below the mount
/// point, where nobody looks for them.
fn storages(plan: &Plan<'_>, tree: &mut Tree) {
    for node in plan.config.storages.iter().filter_map(|storage| storage.node.as_ref()) {
        let mounted: String = plan
            .devices_on(node)
            .map(|device| format!("ConditionPathIsMountPoint={}\n", device.mount_point))
            .collect();
        if !mounted.is_empty() {
            let text = format!(
                "# Rendered by holdfast ha render: only where its Volumes are mounted.\n[Unit]\n{mounted}"
            );
            drop_in(tree, node, "holdfast-storage.service", &text);
        }
    }
}

fn patroni(plan: &Plan<'_>, tree: &mut Tree) {
    const AFTER: &str = "\
# Rendered by holdfast ha render.
[Unit]
After=network-online.target etcd.service time-sync.target
Wants=network-online.target

[Service]
# PostgreSQL must not run on without its Patroni: another node may lead by then.
KillMode=mixed
TimeoutStopSec=120
";
    for catalog in &plan.config.catalogs {
        let Some(domain) = plan.config.domain(&catalog.domain) else { continue };
        for node in &domain.nodes {
            drop_in(tree, node, "patroni.service", AFTER);
            let guard = GUARD.replace("Pacemaker starts", "Patroni starts");
            drop_in(tree, node, "postgresql.service", &guard);
            drop_in(tree, node, "postgresql@.service", &guard);
        }
    }
}

/// A unit for the server with the rendered settings; Debian's own knows only clusters below `/etc/postgresql`.
fn streaming(plan: &Plan<'_>, tree: &mut Tree) {
    for catalog in &plan.config.catalogs {
        let Some(domain) = plan.config.domain(&catalog.domain) else { continue };
        let programs = super::postgresql::programs(catalog);
        let text = format!(
            "# Rendered by holdfast ha render: Catalog \"{}\".\n\
             [Unit]\n\
             Description=PostgreSQL for catalog {}\n\
             After=network-online.target\n\
             Wants=network-online.target\n\
             Conflicts=postgresql.service\n\
             \n\
             [Service]\n\
             Type=notify\n\
             User=postgres\n\
             ExecStart={programs}/postgres -c config_file={}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             KillMode=mixed\n\
             KillSignal=SIGINT\n\
             TimeoutStartSec=infinity\n\
             TimeoutStopSec=120\n\
             Restart=on-failure\n\
             OOMScoreAdjust=-900\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            catalog.name,
            catalog.name,
            super::postgresql::config_path(catalog)
        );
        for node in &domain.nodes {
            let unit = format!("/etc/systemd/system/holdfast-catalog-{}.service", catalog.name);
            tree.file(node, &unit, text.clone());
        }
    }
}
