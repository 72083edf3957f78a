//! Two PostgreSQL servers under Patroni, with three members of etcd, on loopback: what sites run that let their catalog fail over
//! by itself. Each host has an address and a process namespace of its own, so that killing one ends all of it at once.
//!
//! It wants root and Debian's packages `patroni`, `etcd-server` and `postgresql`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::postgres::{self, CATALOG_USER, SEPARATOR, USER};
use crate::site::address;
use crate::tied::{self, Tied};
use crate::wait;

/// Ports on every host's own address, below the range of outgoing connections.
const DATABASE_PORT: u16 = 21_632;
const REST_PORT: u16 = 21_633;
const CLIENT_PORT: u16 = 21_634;
const PEER_PORT: u16 = 21_635;

/// Seconds: the shortest that Patroni 3.0 holds (`loop_wait + 2 * retry_timeout <= ttl`).
const TTL: u32 = 5;
const LOOP_WAIT: u32 = 1;
const RETRY_TIMEOUT: u32 = 2;

/// Until both servers run and one follows the other; initdb, a base backup and two elections are in it.
const READY: Duration = Duration::from_secs(90);
/// Until the other server is the leader: the leader's key in etcd must run out first, etcd's own election may come before.
const FAILOVER: Duration = Duration::from_secs(60);

/// The cluster. Dropping it kills all of it, as the end of this process does.
#[derive(Debug)]
pub struct Patroni {
    folder: tempfile::TempDir,
    programs: PathBuf,
    owner: (u32, u32),
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct Host {
    address: Ipv4Addr,
    _claim: TcpListener,
    etcd: Option<Tied>,
    /// Not on the third host, which only votes.
    patroni: Option<Tied>,
}

impl Patroni {
    /// Starts three hosts with etcd, two of them with PostgreSQL, and waits until one is the synchronous replica of the other.
    ///
    /// # Errors
    /// When a program is missing (the text says which package) or they do not become ready; the text ends with their logs.
    pub fn start() -> Result<Self> {
        ensure!(
            rustix::process::getuid().is_root(),
            "hosts with Patroni are process namespaces, which only root makes"
        );
        let programs = postgres::programs()?;
        let (_, uid, gid) = postgres::owner()?;
        let folder = tempfile::Builder::new().prefix("holdfast-patroni-").tempdir_in("/tmp")?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let mut hosts = Vec::new();
        for _ in 0..3 {
            let (address, claim) = address::claim()?;
            hosts.push(Host { address, _claim: claim, etcd: None, patroni: None });
        }
        let mut cluster = Self { folder, programs, owner: (uid, gid), hosts };
        for number in 0..3 {
            cluster.start_etcd(number)?;
        }
        for number in 0..2 {
            cluster.start_patroni(number)?;
        }
        cluster.wait_ready()?;
        let leader = cluster.leader()?.context("the leader is gone again")?;
        cluster.psql(leader, "postgres", &format!("CREATE ROLE {CATALOG_USER} LOGIN"))?;
        Ok(cluster)
    }

    /// Both servers, as `DB Address` takes them.
    #[must_use]
    pub fn address(&self) -> String {
        let servers = self.hosts[..2].iter().map(|host| format!("{}:{DATABASE_PORT}", host.address));
        servers.collect::<Vec<_>>().join(", ")
    }

    /// Makes an empty database as a catalog wants it.
    ///
    /// # Errors
    /// Those of the server.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let leader = self.leader()?.context("no server is the leader")?;
        self.psql(leader, "postgres", &postgres::create_database(name)).map(drop)
    }

    /// Rows of a query on the leader, every value as text.
    ///
    /// # Errors
    /// When there is no leader, and those of the server, in its words.
    pub fn rows(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let leader = self.leader()?.context("no server is the leader")?;
        Ok(postgres::rows_of(&self.psql(leader, database, sql)?))
    }

    /// Kills the host of the leader as a power cut would, and waits until the other server is the leader.
    ///
    /// # Errors
    /// When nobody becomes it in time.
    pub fn kill_leader(&mut self) -> Result<()> {
        let leader = self.leader()?.context("no server is the leader")?;
        let host = &mut self.hosts[leader];
        for process in [host.patroni.take(), host.etcd.take()].into_iter().flatten() {
            process.kill()?;
        }
        wait::until("the other server to become the leader", FAILOVER, || {
            Ok(self.leader()?.filter(|&now| now != leader).map(drop))
        })
        .with_context(|| self.logs())
    }

    /// Starts the host that [`Self::kill_leader`] killed, and waits until it follows.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn revive(&mut self) -> Result<()> {
        let gone = self.hosts.iter().position(|host| host.etcd.is_none()).context("every host runs")?;
        self.start_etcd(gone)?;
        self.start_patroni(gone)?;
        self.wait_ready()
    }

    /// The server that is the leader now and can be written.
    fn leader(&self) -> Result<Option<usize>> {
        for host in self.hosts.iter().filter(|host| host.patroni.is_some()) {
            let members = members(host.address)?;
            let leads = |member: &&Value| member["role"] == "leader" && member["state"] == "running";
            let Some(name) = members.iter().find(leads).and_then(|member| member["name"].as_str()) else {
                continue;
            };
            let number = name.strip_prefix("host").and_then(|number| number.parse().ok());
            // One that was killed is the leader for its neighbours until its key has run out.
            return Ok(number.filter(|&number: &usize| self.hosts[number].patroni.is_some()));
        }
        Ok(None)
    }

    fn wait_ready(&self) -> Result<()> {
        wait::until("Patroni's servers", READY, || {
            let Some(leader) = self.leader()? else { return Ok(None) };
            let members = members(self.hosts[leader].address)?;
            let follows = members.iter().any(|member| {
                member["role"] == "sync_standby"
                    && (member["state"] == "running" || member["state"] == "streaming")
            });
            Ok(follows.then_some(()))
        })
        .with_context(|| self.logs())
    }

    fn psql(&self, host: usize, database: &str, sql: &str) -> Result<String> {
        let address = self.hosts[host].address.to_string();
        let command = Command::new(self.programs.join("psql"));
        postgres::psql(command, &address, DATABASE_PORT, database, sql, SEPARATOR)
    }

    /// A program on a host: the first process of a namespace, so that all that it starts ends with it.
    fn on_host(&self, program: &str, arguments: &[String], log: &str) -> Result<Tied> {
        let (uid, gid) = self.owner;
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join(log))?;
        let mut command = tied::command(None);
        // The shell stays the namespace's first process: the order to die with `unshare` is lost when a process changes its user.
        command.args(["unshare", "--ipc", "--pid", "--mount-proc", "--fork", "--kill-child"]);
        command.args(["sh", "-c", "\"$@\"; exit $?", "host", "setpriv"]);
        command.args(tied::as_user(uid, gid));
        command.arg(program).args(arguments).current_dir(self.folder.path());
        command.env("HOME", self.folder.path()).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Tied::start(program, command)
    }

    /// A folder of the servers' user.
    fn own_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        if !folder.exists() {
            fs::create_dir(&folder)?;
            chown(&folder, Some(self.owner.0), Some(self.owner.1))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        Ok(folder)
    }

    fn start_etcd(&mut self, number: usize) -> Result<()> {
        let program = installed("etcd", "etcd-server")?;
        let folder = self.own_folder(&format!("etcd{number}"))?;
        let address = self.hosts[number].address;
        let cluster = self.hosts.iter().enumerate();
        let cluster: Vec<String> = cluster
            .map(|(number, host)| format!("etcd{number}=http://{}:{PEER_PORT}", host.address))
            .collect();
        let is_new = !folder.join("member").exists();
        let arguments = [
            format!("--name=etcd{number}"),
            format!("--data-dir={}", folder.display()),
            format!("--listen-peer-urls=http://{address}:{PEER_PORT}"),
            format!("--initial-advertise-peer-urls=http://{address}:{PEER_PORT}"),
            format!("--listen-client-urls=http://{address}:{CLIENT_PORT}"),
            format!("--advertise-client-urls=http://{address}:{CLIENT_PORT}"),
            format!("--initial-cluster={}", cluster.join(",")),
            format!("--initial-cluster-state={}", if is_new { "new" } else { "existing" }),
            "--unsafe-no-fsync".to_owned(),
        ];
        self.hosts[number].etcd = Some(self.on_host(&program, &arguments, "etcd.log")?);
        Ok(())
    }

    fn start_patroni(&mut self, number: usize) -> Result<()> {
        let program = installed("patroni", "patroni")?;
        let folder = self.own_folder(&format!("host{number}"))?;
        let file = folder.join("patroni.yml");
        // Every JSON text is a YAML text.
        fs::write(&file, serde_json::to_vec_pretty(&self.settings(number, &folder))?)?;
        let arguments = [file.display().to_string()];
        self.hosts[number].patroni =
            Some(self.on_host(&program, &arguments, &format!("host{number}.log"))?);
        Ok(())
    }

    fn settings(&self, number: usize, folder: &Path) -> Value {
        let address = self.hosts[number].address;
        let etcd: Vec<String> =
            self.hosts.iter().map(|host| format!("{}:{CLIENT_PORT}", host.address)).collect();
        let rest = format!("{address}:{REST_PORT}");
        let database = format!("{address}:{DATABASE_PORT}");
        json!({
            "scope": "catalog",
            "name": format!("host{number}"),
            "restapi": { "listen": rest, "connect_address": rest },
            "etcd3": { "hosts": etcd },
            "bootstrap": {
                "dcs": {
                    "ttl": TTL, "loop_wait": LOOP_WAIT, "retry_timeout": RETRY_TIMEOUT,
                    "synchronous_mode": true,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "parameters": {
                            "max_connections": 60, "shared_buffers": "32MB", "wal_log_hints": "on",
                            "fsync": "off", "synchronous_commit": "on",
                            "wal_receiver_timeout": "3s", "wal_sender_timeout": "3s",
                        },
                    },
                },
                "initdb": [{ "encoding": "SQL_ASCII" }, { "locale": "C" }],
                "pg_hba": ["host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust", "local all all trust"],
            },
            "postgresql": {
                "listen": database, "connect_address": database,
                "data_dir": folder.join("data"), "bin_dir": self.programs, "pgpass": folder.join("pgpass"),
                "authentication": {
                    "superuser": { "username": USER, "password": "none" },
                    "replication": { "username": "replicator", "password": "none" },
                    "rewind": { "username": USER, "password": "none" },
                },
                "parameters": { "unix_socket_directories": folder },
            },
            "watchdog": { "mode": "off" },
        })
    }

    /// The ends of the logs.
    fn logs(&self) -> String {
        let names = ["host0.log", "host1.log", "etcd.log"];
        let end = |name: &str| {
            let text = fs::read(self.folder.path().join(name)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        names.map(end).concat()
    }
}

/// The members as Patroni on this host sees them; none while it does not answer.
fn members(host: Ipv4Addr) -> Result<Vec<Value>> {
    const LIMIT: Duration = Duration::from_secs(2);
    let mut stream = match TcpStream::connect_timeout(&(host, REST_PORT).into(), LIMIT) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).with_context(|| format!("connect to Patroni at {host}")),
    };
    stream.set_read_timeout(Some(LIMIT))?;
    let mut answer = Vec::new();
    let asked = stream
        .write_all(b"GET /cluster HTTP/1.0\r\n\r\n")
        .and_then(|()| stream.read_to_end(&mut answer).map(drop));
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| &answer[at + 4..]);
    let (Ok(()), Some(body)) = (asked, body) else { return Ok(Vec::new()) };
    // Without etcd it answers with an error page.
    let report: Value = serde_json::from_slice(body).unwrap_or_default();
    Ok(report["members"].as_array().cloned().unwrap_or_default())
}

/// A program's path.
fn installed(program: &str, package: &str) -> Result<String> {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output()?;
    if !found.status.success() {
        bail!("{program} is missing: install the package `{package}`");
    }
    Ok(String::from_utf8_lossy(&found.stdout).trim().to_owned())
}
