//! Which Director, and logged in as whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use conf::ConsoleConfig;
use conf::console::{Console, Director};
use net::{Certificates, Session, Target, Tls};
use wire::cram::Secret;
use wire::hello::DEFAULT_CONSOLE;
use wire::tls::TlsNeeds;

use crate::input::Input;

/// Reads the file; warnings go to the standard error.
pub(crate) fn load(path: &Path) -> Result<ConsoleConfig> {
    use std::io::IsTerminal;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let loaded = conf::load::<ConsoleConfig>(&path.to_string_lossy(), &mut sys::SystemLoader);
    let loaded = loaded.map_err(|findings| anyhow::anyhow!("{}", findings.render(colour)))?;
    if !loaded.warnings.list.is_empty() {
        eprint!("{}", loaded.warnings.render(colour));
    }
    if loaded.config.directors.is_empty() {
        bail!("no Director resource is in {}; one with Name, Address and Password is needed", path.display());
    }
    Ok(loaded.config)
}

/// The Director asked for, the only one, or one chosen from a list.
pub(crate) fn director(config: &ConsoleConfig, name: Option<&str>, input: &mut Input) -> Result<Director> {
    if let Some(name) = name {
        let found = config.directors.iter().find(|director| director.name == name);
        let known: Vec<&str> = config.directors.iter().map(|director| director.name.as_str()).collect();
        return found
            .cloned()
            .with_context(|| format!("no Director \"{name}\" is defined; there is {}", known.join(", ")));
    }
    if let [only] = config.directors.as_slice() {
        return Ok(only.clone());
    }
    println!("Available Directors:");
    for (index, director) in config.directors.iter().enumerate() {
        println!("{:2}:  {} at {}:{}", index + 1, director.name, director.address, director.dir_port);
    }
    loop {
        let line = input
            .line("Select Director by entering a number: ", None)?
            .context("no Director was selected")?;
        match line
            .trim()
            .parse::<usize>()
            .ok()
            .and_then(|number| config.directors.get(number.checked_sub(1)?))
        {
            Some(director) => return Ok(director.clone()),
            None => println!("Please enter a number between 1 and {}", config.directors.len()),
        }
    }
}

/// Everything that a session needs.
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) session: Session,
    pub(crate) history_file: Option<PathBuf>,
    pub(crate) history_lines: usize,
    pub(crate) rc_file: Option<PathBuf>,
}

/// As the console asked for, the one of this Director, the first that is of no Director, or the default console.
pub(crate) fn login(config: &ConsoleConfig, director: &Director, console: Option<&str>) -> Result<Login> {
    let chosen = match console {
        Some(name) => {
            let found = config.consoles.iter().find(|console| console.name == name);
            Some(found.with_context(|| format!("no Console \"{name}\" is defined in the configuration"))?)
        }
        None => {
            let of = |wanted: Option<&str>| {
                config.consoles.iter().find(|console| console.director.as_deref() == wanted)
            };
            of(Some(&director.name)).or_else(|| of(None))
        }
    };
    let tls = client_tls(chosen.map_or(&director.tls, |console| &console.tls))?;
    let secret = Secret::from_configured(chosen.map_or(&director.password, |console| &console.password));
    let port = u16::try_from(director.dir_port).context("DirPort is no port number")?;
    let mut target = Target::new(director.address.as_str(), port)
        .retrying(Duration::from_secs(5), Duration::from_secs(15));
    target.keepalive = chosen.map_or(director.heartbeat_interval, |console| console.heartbeat_interval);
    Ok(Login {
        name: chosen.map_or_else(|| DEFAULT_CONSOLE.to_owned(), |console| console.name.clone()),
        target,
        session: Session::new("bconsole", secret, tls).for_host(director.address.as_str()),
        history_file: history_file(chosen, director),
        history_lines: usize::try_from(chosen.map_or(director.history_file_size, |c| c.history_file_size))
            .unwrap_or(0),
        rc_file: chosen
            .and_then(|console| console.rc_file.as_deref())
            .map(expand)
            .or_else(|| home(".bconsolerc")),
    })
}

/// As the default console, with TLS-PSK welcome.
pub(crate) fn local_login(host: &str, port: u16, password: &str) -> Login {
    Login {
        name: DEFAULT_CONSOLE.to_owned(),
        target: Target::new(host, port),
        session: Session::new("bconsole", Secret::from_configured(password), Tls::psk()),
        history_file: None,
        history_lines: 0,
        rc_file: None,
    }
}

fn history_file(console: Option<&Console>, director: &Director) -> Option<PathBuf> {
    let configured =
        console.and_then(|console| console.history_file.as_deref()).or(director.history_file.as_deref());
    configured.map(expand).or_else(|| home(".bconsole_history"))
}

fn home(file: &str) -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| Path::new(&home).join(file))
}

fn expand(path: &str) -> PathBuf {
    path.strip_prefix("~/").and_then(home).unwrap_or_else(|| PathBuf::from(path))
}

/// TLS as a console that connects with these settings has it.
///
/// # Errors
/// When a certificate or key cannot be used.
pub fn client_tls(settings: &conf::tls::Tls) -> Result<Tls> {
    let path = |path: &Option<String>| path.as_ref().map(PathBuf::from);
    let certificates = Certificates {
        ca_file: path(&settings.ca_certificate_file),
        ca_dir: path(&settings.ca_certificate_dir),
        certificate: path(&settings.certificate),
        key: path(&settings.key),
        dh_file: None,
        verify_peer: settings.verify_peer,
        allowed_cn: settings.allowed_cn.clone(),
    };
    let needs = TlsNeeds::from_directives(settings.enable, settings.require, settings.psk_enable);
    Tls::new_client(needs, &certificates).context("set up TLS as configured")
}
