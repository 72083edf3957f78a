//! `ocf:holdfast:storage`: a Storage Daemon, on the node that has its Volumes.

use std::io::{ErrorKind, Read as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use conf::StorageConfig;

use super::environment::Environment;
use super::process::{self, Program};
use super::{Code, Done, Failure, metadata};

/// Where the configuration is when the resource does not say.
const CONFIG: &str = "/etc/bacula/bacula-sd.conf";
/// How long the daemon may take to see that a caller has hung up.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn act(action: &str, environment: &Environment) -> Done {
    match action {
        "meta-data" => metadata::print(&metadata::STORAGE),
        "usage" | "help" => metadata::usage(&metadata::STORAGE),
        "validate-all" => validate(environment).map(|_| Code::Success),
        "start" => start(environment),
        "stop" => stop(environment),
        "monitor" | "status" => monitor(environment),
        "" => Err(Failure::new(Code::Args, "which action? See `usage`")),
        _ => Ok(Code::Unimplemented),
    }
}

fn config_path(environment: &Environment) -> PathBuf {
    PathBuf::from(environment.parameter("config").unwrap_or(CONFIG))
}

fn configured(environment: &Environment) -> Result<StorageConfig, Failure> {
    let path = config_path(environment);
    if !path.is_file() {
        let why = format!("there is no {}; give the resource's parameter `config`", path.display());
        return Err(Failure::new(Code::Installed, why));
    }
    match conf::load::<StorageConfig>(&path.to_string_lossy(), &mut sys::SystemLoader) {
        Ok(loaded) => Ok(loaded.config),
        Err(findings) => Err(Failure::new(
            Code::Configured,
            format!("the configuration {} is refused\n{}", path.display(), findings.render(false)),
        )),
    }
}

fn validate(environment: &Environment) -> Result<StorageConfig, Failure> {
    let config = configured(environment)?;
    let working = &config.storage.working_directory;
    if !Path::new(working).is_dir() {
        let why = format!(
            "the Working Directory {working} does not exist on this node; where it is on a replicated disk, order the resource behind \
             its file system"
        );
        return Err(Failure::new(Code::Installed, why));
    }
    Ok(config)
}

fn pid_file(config: &StorageConfig) -> PathBuf {
    Path::new(&config.storage.pid_directory).join(format!("bacula-sd.{}.pid", config.storage.sd_port))
}

/// Where the start has noted the PID file, else where the configuration says it is; none when there is neither. A daemon must be
/// stopped also when its configuration, or the disk that it is on, is gone.
fn noted(environment: &Environment) -> Option<PathBuf> {
    let noted = std::fs::read_to_string(environment.state_file()).ok();
    let noted = noted.as_deref().and_then(|text| text.lines().next()).map(PathBuf::from);
    noted.or_else(|| configured(environment).ok().map(|config| pid_file(&config)))
}

fn start(environment: &Environment) -> Done {
    let config = validate(environment)?;
    let pid_file = pid_file(&config);
    let notes = environment.state_file();
    let written = notes.parent().map_or(Ok(()), std::fs::create_dir_all);
    let written = written.and_then(|()| std::fs::write(&notes, format!("{}\n", pid_file.display())));
    written.map_err(|error| Failure::new(Code::Generic, format!("write {}: {error}", notes.display())))?;
    if process::holder(&pid_file).is_none() {
        let program = Program {
            role: "storage",
            config: &config_path(environment),
            instance: None,
            pid_directory: Path::new(&config.storage.pid_directory),
        };
        program.start(environment)?;
    }
    answers(&config, environment.left().min(ANSWER_LIMIT))?;
    Ok(Code::Success)
}

fn stop(environment: &Environment) -> Done {
    if let Some(pid_file) = noted(environment) {
        process::stop(&pid_file, environment)?;
    }
    let _ = std::fs::remove_file(environment.state_file());
    Ok(Code::Success)
}

fn monitor(environment: &Environment) -> Done {
    let is_alive = noted(environment).is_some_and(|pid_file| process::holder(&pid_file).is_some());
    if !is_alive {
        return Ok(Code::NotRunning);
    }
    match configured(environment) {
        Ok(config) => answers(&config, environment.left().min(ANSWER_LIMIT))?,
        // It goes on with the configuration that it has; a restart would end it for good.
        Err(Failure { why, .. }) => {
            environment.log("WARNING", why);
            return Ok(Code::Degraded);
        }
    }
    Ok(Code::Success)
}

/// Whether the daemon sees that somebody calls and hangs up: a frozen one has its calls taken by the kernel, and ends none.
fn answers(config: &StorageConfig, limit: Duration) -> Result<(), Failure> {
    let stuck = |why: String| Failure::new(Code::Generic, why);
    let at = config.storage.listen();
    let at = at.first().ok_or_else(|| stuck("it listens nowhere".to_owned()))?;
    let place = (at.host.as_deref().unwrap_or("127.0.0.1"), at.port.unwrap_or(config.storage.sd_port));
    let shown = format!("{}:{}", place.0, place.1);
    let address = place.to_socket_addrs().ok().and_then(|mut all| all.next());
    let address = address.ok_or_else(|| stuck(format!("{shown} is no address")))?;
    let call = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.shutdown(Shutdown::Write)?;
        match stream.read(&mut [0; 64]) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    };
    call().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            stuck(format!("the process is stuck: no answer at {shown} within {} s", limit.as_secs()))
        }
        _ => stuck(format!("call {shown}: {error}")),
    })
}
