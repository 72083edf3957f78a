//! The catalog under Patroni, and under streaming replication by hand.

use conf::topology::{Catalog, Domain};

use super::book::{Book, lines};
use super::overview::install;
use crate::plan::streaming::{REPLICATION_ROLE, replication_ip};
use crate::plan::{Plan, etcd, patroni, postgresql};

fn catalogs<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = (&'a Catalog, &'a Domain)> {
    plan.config.catalogs.iter().filter_map(|catalog| Some((catalog, plan.config.domain(&catalog.domain)?)))
}

pub(super) fn patroni_bring_up(plan: &Plan<'_>, book: &mut Book) {
    book.heading("Bring-up of etcd");
    book.paragraph("On every member at about the same time; the first start waits for a majority.");
    let members = etcd::members(plan);
    for member in &members {
        install(plan, &member.name, &["etcd-server", "etcd-client", "nftables"], book);
        book.commands(
            &member.name,
            &lines([
                "systemctl enable etcd",
                "systemctl restart etcd",
                "nft -f /etc/nftables.d/holdfast-ha.nft",
            ]),
        );
    }
    let endpoints: Vec<_> = members.iter().map(etcd::client).collect();
    if let Some(member) = members.first() {
        book.commands(
            &member.name,
            &[format!("ETCDCTL_API=3 etcdctl --endpoints {} endpoint health", endpoints.join(","))],
        );
    }
    for (catalog, domain) in catalogs(plan) {
        book.heading(&format!("Bring-up of Catalog {}", catalog.name));
        for node in &domain.nodes {
            install(plan, node, &["patroni", "postgresql"], book);
            book.commands(
                node,
                &[
                    "systemctl disable --now postgresql".to_owned(),
                    format!("install -d -o postgres -g postgres -m 0700 {}", catalog.data_directory),
                    "runuser -u postgres -- patroni --validate-config /etc/patroni/config.yml".to_owned(),
                    "systemctl enable --now patroni".to_owned(),
                ],
            );
        }
        let Some(node) = domain.nodes.first() else { continue };
        book.paragraph(
            "One node is the leader, the other its `Sync Standby`. Then the database, on the leader:",
        );
        book.commands(node, &[patronictl(plan, catalog, "list")]);
        book.commands(node, &create_database(catalog));
    }
}

fn patronictl(plan: &Plan<'_>, catalog: &Catalog, what: &str) -> String {
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    let tail = if rest.is_empty() { String::new() } else { format!(" {rest}") };
    format!("patronictl -c /etc/patroni/config.yml {verb} {}{tail}", patroni::scope(plan, catalog))
}

fn create_database(catalog: &Catalog) -> Vec<String> {
    let psql = format!("runuser -u postgres -- psql -h {} -p {}", postgresql::SOCKET_DIRECTORY, catalog.port);
    vec![
        format!("{psql} -c 'CREATE ROLE {} LOGIN'", catalog.db_user),
        format!("{psql} -c '\\password {}'", catalog.db_user),
        format!(
            "{psql} -c \"CREATE DATABASE {} OWNER {} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0\"",
            catalog.db_name, catalog.db_user
        ),
    ]
}

pub(super) fn patroni_operate(plan: &Plan<'_>, book: &mut Book) {
    for (catalog, domain) in catalogs(plan) {
        let (Some(first), Some(second)) = (domain.nodes.first(), domain.nodes.get(1)) else { continue };
        let ttl = catalog.patroni_ttl.as_secs();
        book.heading(&format!("Switchover of Catalog {}", catalog.name));
        book.paragraph("The Director's role ends with the old primary's timeline and is taken again in the new one; running jobs go on.");
        book.commands(
            first,
            &[
                patronictl(
                    plan,
                    catalog,
                    &format!("switchover --master {first} --candidate {second} --force"),
                ),
                patronictl(plan, catalog, "list"),
            ],
        );
        book.heading(&format!("A node of Catalog {} is lost", catalog.name));
        book.paragraph(&format!("The synchronous replica is promoted after the leader's key ran out: {ttl} s and a few more. It needs two of the members of etcd. When the node comes back, Patroni makes it a replica (`pg_rewind`). If it cannot:"));
        book.commands(second, &[patronictl(plan, catalog, &format!("reinit {first} --force"))]);
        book.heading(&format!("Split brain of Catalog {}", catalog.name));
        book.paragraph("Patroni lets only the holder of the key in etcd be writable. If two servers are writable all the same (an old primary started by hand), stop the one that `patronictl list` does not call the leader, and reinitialize it as above. A Director uses the server of the higher timeline, and says so.");
        book.heading(&format!("Replacing a node of Catalog {}", catalog.name));
        book.paragraph(&format!("A new machine takes the name and the addresses of the old one, here {first}. Its member of etcd is another one, though:"));
        let members = etcd::members(plan);
        if let Some(member) = members.iter().find(|member| member.name == *first) {
            let ip = member.ip;
            book.commands(
                second,
                &[
                    format!("ETCDCTL_API=3 etcdctl member remove \"$(ETCDCTL_API=3 etcdctl member list | awk -F', ' '$3 == \"{first}\" {{ print $1 }}')\""),
                    format!("ETCDCTL_API=3 etcdctl member add {first} --peer-urls=http://{}", etcd::endpoint(ip, 2380)),
                ],
            );
            book.paragraph(&format!("On {first} install packages and files as at the bring-up, put `ETCD_INITIAL_CLUSTER_STATE=existing` into `/etc/default/etcd`, start etcd, then Patroni: it copies the data by itself."));
            book.commands(first, &lines(["systemctl enable --now etcd patroni"]));
        }
        book.heading(&format!("Failback of Catalog {}", catalog.name));
        book.paragraph("A switchover the other way, when `patronictl list` shows the replica as `Sync Standby` without lag.");
    }
}

pub(super) fn streaming_bring_up(plan: &Plan<'_>, book: &mut Book) {
    for (catalog, domain) in catalogs(plan) {
        let Some(first) = domain.nodes.first() else { continue };
        let programs = postgresql::programs(catalog);
        let (data, config) = (&catalog.data_directory, postgresql::config_path(catalog));
        let unit = format!("holdfast-catalog-{}", catalog.name);
        book.heading(&format!("Bring-up of Catalog {}", catalog.name));
        for node in &domain.nodes {
            install(plan, node, &["postgresql", "nftables"], book);
            book.commands(
                node,
                &[
                    "systemctl disable --now postgresql".to_owned(),
                    format!("install -d -o postgres -g postgres -m 0700 {data}"),
                    "nft -f /etc/nftables.d/holdfast-ha.nft".to_owned(),
                ],
            );
        }
        book.paragraph(&format!("The primary first. Commits wait for a replica once it is set so; until there is one, it is switched off for this session. Give `{REPLICATION_ROLE}` the password that is in `{}`.", postgresql::path(catalog, "pgpass")));
        let psql = format!(
            "runuser -u postgres -- env PGOPTIONS='-c synchronous_commit=local' psql -h {} -p {}",
            postgresql::SOCKET_DIRECTORY,
            catalog.port
        );
        let mut steps = vec![
            format!(
                "runuser -u postgres -- {programs}/initdb -D {data} --encoding=UTF8 --locale=C --data-checksums --auth=peer"
            ),
            format!("systemctl enable --now {unit}"),
            format!(
                "{psql} -c 'CREATE ROLE {REPLICATION_ROLE} REPLICATION LOGIN' -c '\\password {REPLICATION_ROLE}'"
            ),
        ];
        steps.extend(create_database(catalog).into_iter().map(|line| {
            line.replace(
                "runuser -u postgres -- psql",
                "runuser -u postgres -- env PGOPTIONS='-c synchronous_commit=local' psql",
            )
        }));
        book.commands(first, &steps);
        for node in plan.nodes_of(&domain.nodes).skip(1) {
            book.paragraph("The replica copies it:");
            book.commands(&node.name, &replica(plan, catalog, first));
        }
        book.paragraph(&format!(
            "Whole when the primary shows the replica with `sync_state` `quorum` (settings: {config}):"
        ));
        book.commands(first, &[format!("runuser -u postgres -- psql -p {} -c 'SELECT application_name, state, sync_state FROM pg_stat_replication'", catalog.port)]);
    }
}

/// Commands that make a server the replica of another.
fn replica(plan: &Plan<'_>, catalog: &Catalog, from: &str) -> Vec<String> {
    let host = plan.config.node(from).map(replication_ip).map_or_else(String::new, |ip| ip.to_string());
    let (data, pass) = (&catalog.data_directory, postgresql::path(catalog, "pgpass"));
    vec![
        format!("systemctl stop holdfast-catalog-{}", catalog.name),
        format!("find {data} -mindepth 1 -delete"),
        format!(
            "runuser -u postgres -- env PGPASSFILE={pass} pg_basebackup -h {host} -p {} -U {REPLICATION_ROLE} -D {data} -X stream -c fast",
            catalog.port
        ),
        format!("runuser -u postgres -- touch {data}/standby.signal"),
        format!("systemctl enable --now holdfast-catalog-{}", catalog.name),
    ]
}

pub(super) fn streaming_operate(plan: &Plan<'_>, book: &mut Book) {
    for (catalog, domain) in catalogs(plan) {
        let (Some(first), Some(second)) = (domain.nodes.first(), domain.nodes.get(1)) else { continue };
        let promote = format!("runuser -u postgres -- psql -p {} -c 'SELECT pg_promote()'", catalog.port);
        book.heading(&format!("The primary of Catalog {} is lost", catalog.name));
        book.paragraph(&format!("Nobody is promoted by itself. Make sure that {first} is off, or its server stopped, and stays so; then"));
        book.commands(second, std::slice::from_ref(&promote));
        book.paragraph("Commits of the new primary wait for a replica, and there is none: until there is, let them be local, knowing that the loss of this node now loses data.");
        book.commands(second, &[format!("runuser -u postgres -- psql -p {} -c \"ALTER SYSTEM SET synchronous_standby_names = ''\" -c 'SELECT pg_reload_conf()'", catalog.port)]);
        book.paragraph("The instances of the Director find the server that can be written by themselves.");
        book.heading(&format!("Switchover and failback of Catalog {}", catalog.name));
        book.paragraph(&format!(
            "Stop the primary ({first}), promote the replica ({second}), make the old primary its replica:"
        ));
        book.commands(first, &[format!("systemctl stop holdfast-catalog-{}", catalog.name)]);
        book.commands(second, &[promote]);
        book.commands(first, &replica(plan, catalog, second));
        book.paragraph("Then commits wait for it again:");
        book.commands(second, &[format!("runuser -u postgres -- psql -p {} -c 'ALTER SYSTEM RESET synchronous_standby_names' -c 'SELECT pg_reload_conf()'", catalog.port)]);
        book.heading(&format!("Split brain of Catalog {}", catalog.name));
        book.paragraph("Two servers can be written: the old primary was started after the other was promoted. A Director uses the one of the higher timeline, and says so. Stop the other one at once and make it a replica as above; what was committed on it alone is lost to the catalog, and its jobs come back from the Storage Daemons' journals.");
        book.heading(&format!("Replacing a node of Catalog {}", catalog.name));
        book.paragraph("A new machine takes the name and the addresses of the old one. Install packages and files as at the bring-up, then make it a replica as above.");
    }
}
