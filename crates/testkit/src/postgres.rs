//! Private PostgreSQL servers: made in a temporary folder, killed with the test, nothing synced to disk.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::network::Host;
use crate::tied::{self, Tied};
use crate::wait;

/// Where Debian keeps the servers' programs, one folder per major version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Whom the server runs as when the test is root, which it refuses: the first that there is.
const USERS: &[&str] = &["postgres", "nobody"];

/// The superuser of the private server, who may come in without a password.
pub const USER: &str = "postgres";

/// Between fields: in no value.
pub(crate) const SEPARATOR: &str = "\x1f";

/// The owner of databases made by [`Postgres::create_database`], without a password and without rights beyond them.
pub const CATALOG_USER: &str = "bacula";

/// A server. Dropping it kills it and removes its folder; it is killed as well when this process dies.
#[derive(Debug)]
pub struct Postgres {
    folder: tempfile::TempDir,
    programs: PathBuf,
    owner: Option<(String, u32, u32)>,
    listen: Listen,
    running: Option<Tied>,
}

/// Where a server runs and listens.
#[derive(Debug, Clone)]
pub struct Listen {
    /// If not in the machine's own network.
    pub host: Option<Host>,
    /// Its address there.
    pub address: Ipv4Addr,
    /// The port there, and of the socket.
    pub port: u16,
}

impl Listen {
    /// On a free port, of loopback or at a host.
    fn anywhere(host: Option<Host>) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let address = host.as_ref().map_or(Ipv4Addr::LOCALHOST, |host| host.address);
        Ok(Self { host, address, port })
    }
}

impl Postgres {
    /// Makes an empty server and starts it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed (the text says which package), or does not start.
    pub fn start() -> Result<Self> {
        Self::start_at(None)
    }

    /// As [`Postgres::start`], at a host of a network.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_at(host: Option<Host>) -> Result<Self> {
        Self::start_on(Listen::anywhere(host)?)
    }

    /// As [`Postgres::start`], where the caller says.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub fn start_on(listen: Listen) -> Result<Self> {
        let mut server = Self::prepare(listen)?;
        server.initialise()?;
        Ok(server)
    }

    fn initialise(&mut self) -> Result<()> {
        let data = self.data();
        self.run(
            "initdb",
            &["-D", path(&data), "-U", USER, "-A", "trust", "-N", "-E", "SQL_ASCII", "--locale=C"],
        )?;
        if let Some(host) = &self.listen.host {
            let line = format!("\nhost all all {}/24 trust\n", host.address);
            let mut access = fs::OpenOptions::new().append(true).open(data.join("pg_hba.conf"))?;
            access.write_all(line.as_bytes()).context("let the network in")?;
        }
        self.configure("")?;
        self.resume()?;
        self.psql("postgres", &format!("CREATE ROLE {CATALOG_USER} LOGIN")).map(drop)
    }

    /// Puts another, empty server in the place of this one: same address, another system identifier.
    ///
    /// # Errors
    /// When it cannot be made or does not start.
    pub fn replace(&mut self) -> Result<()> {
        self.kill()?;
        fs::remove_dir_all(self.data())?;
        self.initialise()
    }

    /// Writes a dump of a database.
    ///
    /// # Errors
    /// Those of `pg_dump`.
    pub fn dump(&self, database: &str, to: &Path) -> Result<()> {
        self.client("pg_dump", &["-Fc", "-f", path(to), database])
    }

    /// Makes a database from a dump.
    ///
    /// # Errors
    /// Those of the server and of `pg_restore`.
    pub fn restore(&self, database: &str, from: &Path) -> Result<()> {
        self.create_database(database)?;
        self.client("pg_restore", &["-d", database, path(from)])
    }

    /// Takes a base backup, for [`Postgres::put_back`].
    ///
    /// # Errors
    /// Those of `pg_basebackup`.
    pub fn base_backup(&self) -> Result<()> {
        let to = self.base();
        let from = format!("host={} port={} user={USER}", self.socket_dir().display(), self.listen.port);
        self.run("pg_basebackup", &["-D", path(&to), "-X", "stream", "-c", "fast", "-N", "-d", &from])
    }

    /// Puts the base backup in the place of the server's data: same system identifier, same timeline, an older state.
    ///
    /// # Errors
    /// When there is none, or the server does not start on it.
    pub fn put_back(&mut self) -> Result<()> {
        self.kill()?;
        fs::remove_dir_all(self.data())?;
        fs::rename(self.base(), self.data()).context("put the base backup back")?;
        self.resume()
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    fn client(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = Command::new(self.programs.join(program))
            .args(["-U", USER, "-p", &self.listen.port.to_string(), "-h"])
            .arg(self.socket_dir())
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// Makes a hot standby of this server and starts it. It follows without delay; [`Postgres::promote`] ends that.
    ///
    /// # Errors
    /// When the copy fails or does not start.
    pub fn standby(&self) -> Result<Self> {
        self.standby_on(Listen::anywhere(None)?)
    }

    fn standby_on(&self, listen: Listen) -> Result<Self> {
        let mut standby = Self::prepare(listen)?;
        let data = standby.data();
        let from = format!(
            "host={} port={} user={USER} application_name=standby",
            self.socket_dir().display(),
            self.listen.port
        );
        standby.run(
            "pg_basebackup",
            &["-D", path(&data), "-R", "-X", "stream", "-c", "fast", "-N", "-d", &from],
        )?;
        standby.configure("")?;
        standby.resume()?;
        Ok(standby)
    }

    /// As [`Self::standby`], and every commit on this server waits for it from now on.
    ///
    /// # Errors
    /// As above.
    pub fn synchronous_standby(&self) -> Result<Self> {
        self.synchronous_standby_on(Listen::anywhere(None)?)
    }

    /// As [`Self::synchronous_standby`], where the caller says.
    ///
    /// # Errors
    /// As above.
    pub fn synchronous_standby_on(&self, listen: Listen) -> Result<Self> {
        let standby = self.standby_on(listen)?;
        self.configure("synchronous_standby_names = 'standby'")?;
        self.psql("postgres", "SELECT pg_reload_conf()")?;
        wait::until("the standby to be synchronous", wait::START, || {
            let state = self.psql("postgres", "SELECT sync_state FROM pg_stat_replication")?;
            Ok((state == "sync").then_some(()))
        })?;
        Ok(standby)
    }

    /// Commits do not wait for a standby any more.
    ///
    /// # Errors
    /// Those of the server.
    pub fn stand_alone(&self) -> Result<()> {
        self.configure("")?;
        self.psql("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    fn prepare(listen: Listen) -> Result<Self> {
        let programs = programs()?;
        let owner = if rustix::process::getuid().is_root() { Some(owner()?) } else { None };
        let folder = tempfile::Builder::new().prefix("holdfast-pg-").tempdir_in("/tmp")?;
        if let Some((_, uid, gid)) = &owner {
            chown(folder.path(), Some(*uid), Some(*gid))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let server = Self { folder, programs, owner, listen, running: None };
        server.own_folder(&server.socket_dir())?;
        Ok(server)
    }

    /// Makes a folder of the server's user.
    pub(crate) fn own_folder(&self, folder: &Path) -> Result<()> {
        fs::create_dir(folder)?;
        if let Some((_, uid, gid)) = &self.owner {
            chown(folder, Some(*uid), Some(*gid))?;
        }
        Ok(())
    }

    /// Writes the settings; `more` are lines of `postgresql.conf`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, more: &str) -> Result<()> {
        let settings = format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\nfull_page_writes = off\n\
             max_connections = 60\nshared_buffers = 32MB\nmax_wal_size = 256MB\nmin_wal_size = 32MB\nwal_level = replica\n\
             max_wal_senders = 4\nhot_standby = on\nlog_min_messages = warning\nautovacuum = off\n{more}\n",
            self.address(),
            self.listen.port,
            self.socket_dir().display()
        );
        fs::write(self.data().join("postgresql.auto.conf"), self.keeping_primary(&settings)?)?;
        Ok(())
    }

    /// Takes a certificate and its key (PEM) into use from the next start on.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn use_tls(&self, certificate: &Path, key: &Path) -> Result<()> {
        for (from, name) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = self.data().join(name);
            fs::copy(from, &to).with_context(|| format!("copy {}", from.display()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600))?;
            if let Some((_, uid, gid)) = &self.owner {
                chown(&to, Some(*uid), Some(*gid))?;
            }
        }
        self.configure("ssl = on")
    }

    /// `pg_basebackup` has written there whom to follow.
    fn keeping_primary(&self, settings: &str) -> Result<String> {
        let present = fs::read_to_string(self.data().join("postgresql.auto.conf")).unwrap_or_default();
        let primary: Vec<&str> =
            present.lines().filter(|line| line.starts_with("primary_conninfo")).collect();
        Ok(format!("{settings}\n{}\n", primary.join("\n")))
    }

    /// Starts a server that was stopped.
    ///
    /// # Errors
    /// When it does not answer in time; the text ends with its log.
    pub fn resume(&mut self) -> Result<()> {
        ensure!(self.running.is_none(), "the server runs already");
        let mut command = self.command("postgres");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.running = Some(Tied::start("postgres", command)?);
        let answered =
            wait::until("PostgreSQL to answer", wait::START, || Ok(self.psql("postgres", "SELECT 1").ok()));
        answered.map(drop).with_context(|| fs::read_to_string(self.log()).unwrap_or_default())
    }

    /// Kills the server as a power cut would.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn kill(&mut self) -> Result<()> {
        // All of its processes: one that is left would hold the folder.
        let Some(running) = self.running.take() else { return Ok(()) };
        let sessions = running.children();
        running.kill()?;
        for session in sessions.iter().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            // One that has seen the server's end is gone already.
            let _ = kill_process(session, Signal::KILL);
        }
        wait::until("the end of the server's sessions", wait::START, || {
            Ok((!sessions.iter().any(|pid| lives(pid))).then_some(()))
        })?;
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
        Ok(())
    }

    /// Sends the server, without its sessions' processes, a signal: `STOP` and `CONT` freeze its accepting of connections.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running.as_ref().context("the server does not run")?;
        running.signal(signal)
    }

    /// Makes a standby the primary.
    ///
    /// # Errors
    /// When it does not become writable in time.
    pub fn promote(&self) -> Result<()> {
        let promoted = self.psql("postgres", "SELECT pg_promote(true, 30)")?;
        ensure!(promoted == "t", "the standby was not promoted");
        Ok(())
    }

    /// Waits until the standby `of` this server has all that was written so far.
    ///
    /// # Errors
    /// When it does not come so far in time.
    pub fn wait_for(&self, of: &Self) -> Result<()> {
        let written = self.psql("postgres", "SELECT pg_current_wal_lsn()")?;
        let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn");
        wait::until("the standby to follow", wait::START, || {
            Ok((of.psql("postgres", &replayed)? == "t").then_some(()))
        })
    }

    /// Makes an empty database as a catalog wants it.
    ///
    /// # Errors
    /// Those of the server.
    pub fn create_database(&self, name: &str) -> Result<()> {
        self.psql("postgres", &create_database(name)).map(drop)
    }

    /// Runs SQL as the superuser; returns what it prints, fields between bars, without the last line end.
    ///
    /// # Errors
    /// Those of the server, in its words.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        self.psql_with(database, sql, "|")
    }

    /// Rows of a query, every value as text.
    ///
    /// # Errors
    /// Those of the server, in its words.
    pub fn rows(&self, database: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        Ok(rows_of(&self.psql_with(database, sql, SEPARATOR)?))
    }

    fn psql_with(&self, database: &str, sql: &str, separator: &str) -> Result<String> {
        let command = Command::new(self.programs.join("psql"));
        psql(command, path(&self.socket_dir()), self.listen.port, database, sql, separator)
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.listen.address
    }

    /// Port there, and of the socket.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.listen.port
    }

    /// Where its socket is.
    #[must_use]
    pub fn socket_dir(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The folder of everything.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A program of the server, as its user, killed with the thread that starts it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = tied::command(self.listen.host.as_ref());
        if let Some((_, uid, gid)) = &self.owner {
            // A killed server leaves its System V segment behind, and a machine has room for 4,096: those of a namespace end with it.
            command.args(["unshare", "--ipc", "setpriv"]).args(tied::as_user(*uid, *gid));
            command.arg("--pdeathsig=KILL");
        }
        command.arg(self.programs.join(program)).current_dir(self.folder.path());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let output = self.command(program).args(arguments).stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            // A test's own error is told by the test; this one would be lost.
            let _ = fs::write(self.log(), error.to_string());
        }
    }
}

/// Makes an empty database as a catalog wants it.
pub(crate) fn create_database(name: &str) -> String {
    format!(
        "CREATE DATABASE {name} OWNER {CATALOG_USER} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
}

/// Runs SQL by `command`, a `psql`, as the superuser on the server at `host` (a directory is that of its socket); returns what it prints.
///
/// # Errors
/// Those of the server, in its words.
pub(crate) fn psql(
    mut command: Command,
    host: &str,
    port: u16,
    database: &str,
    sql: &str,
    separator: &str,
) -> Result<String> {
    let output = command
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", database, "-p"])
        .arg(port.to_string())
        .args(["-h", host, "-F", separator, "-c", sql])
        .env("PGCONNECT_TIMEOUT", "5")
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// What [`psql`] printed with [`SEPARATOR`] between the fields.
pub(crate) fn rows_of(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(SEPARATOR).map(str::to_owned).collect()).collect()
}

/// Whether a process has not ended; one that nobody has asked for its end yet has.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// Whether this machine has PostgreSQL.
#[must_use]
pub fn is_installed() -> bool {
    programs().is_ok()
}

/// The programs of the newest version.
pub(crate) fn programs() -> Result<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("postgres").exists())
        .collect();
    versions.sort();
    match versions.pop() {
        Some((_, bin)) => Ok(bin),
        None => bail!("PostgreSQL is missing: install the package `postgresql`"),
    }
}

/// Name and numbers of the user that the server runs as.
pub(crate) fn owner() -> Result<(String, u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd")?;
    for user in USERS {
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let [name, _, uid, gid, ..] = fields.as_slice()
                && name == user
            {
                return Ok(((*name).to_owned(), uid.parse()?, gid.parse()?));
            }
        }
    }
    bail!("there is none of the users {USERS:?}, and PostgreSQL does not run as root")
}
