//! `ocf:holdfast:director`: an instance of a Director. Started it stands by; promoted it is active.
//!
//! What must work also when the configuration can no longer be read (an instance that cannot be stopped is fenced, with its machine)
//! goes by what the start has noted ([`Notes`]).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use conf::DirectorConfig;
use conf::director::Engine;
use lead::order::{self, Order, State};

use super::control::{self, Silence};
use super::environment::Environment;
use super::process::{self, Program};
use super::score::Score;
use super::{Code, Done, Failure, metadata};
use crate::configuration;

/// Where the configuration is when the resource does not say.
const CONFIG: &str = "/etc/bacula/bacula-dir.conf";
/// How long an instance may take to say how it is.
const STATE_LIMIT: Duration = Duration::from_secs(10);
/// How long one that is to act no more may take to show that it hears: it is killed otherwise.
const HEAR_LIMIT: Duration = Duration::from_secs(5);

pub(super) fn act(action: &str, environment: &Environment) -> Done {
    match action {
        "meta-data" => metadata::print(&metadata::DIRECTOR),
        "usage" | "help" => metadata::usage(&metadata::DIRECTOR),
        "validate-all" => validate(environment).map(|_| Code::Success),
        "start" => start(environment),
        "stop" => stop(environment),
        "monitor" | "status" => monitor(environment),
        "promote" => promote(environment),
        "demote" => demote(environment),
        "notify" => notify(environment),
        "" => Err(Failure::new(Code::Args, "which action? See `usage`")),
        _ => Ok(Code::Unimplemented),
    }
}

/// Where a running instance is found, and what Pacemaker was told of it last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notes {
    pid_file: PathBuf,
    control: PathBuf,
    score: Option<String>,
}

impl Notes {
    fn of(config: &DirectorConfig, instance: &str) -> Self {
        let director = &config.director;
        let port = config.instance(instance).map_or(director.dir_port, |instance| instance.dir_port);
        Self {
            pid_file: Path::new(&director.pid_directory).join(format!("bacula-dir.{port}.pid")),
            control: order::socket(Path::new(&director.working_directory), &director.name, instance),
            score: None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (pid_file, control) = (PathBuf::from(lines.next()?), PathBuf::from(lines.next()?));
        Some(Self { pid_file, control, score: lines.next().map(str::to_owned) })
    }

    fn save(&self, environment: &Environment) -> anyhow::Result<()> {
        let file = environment.state_file();
        let what = || format!("write {}", file.display());
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).with_context(what)?;
        }
        let score = self.score.as_deref().unwrap_or_default();
        let text = format!("{}\n{}\n{score}\n", self.pid_file.display(), self.control.display());
        std::fs::write(&file, text).with_context(what)
    }

    /// As the start noted it, else as the configuration says; none when there is neither.
    fn find(environment: &Environment) -> Option<Self> {
        let noted = std::fs::read_to_string(environment.state_file()).ok();
        noted.as_deref().and_then(Self::parse).or_else(|| {
            let (config, instance) = configured(environment).ok()?;
            Some(Self::of(&config, &instance))
        })
    }

    /// Tells Pacemaker the score, when it is another than the last.
    fn score(mut self, score: Score, environment: &Environment) {
        if self.score.as_deref() == Some(score.text()) || !score.tell(environment) {
            return;
        }
        self.score = Some(score.text().to_owned());
        if let Err(error) = self.save(environment) {
            environment.log("WARNING", format!("{error:#}"));
        }
    }
}

fn config_path(environment: &Environment) -> PathBuf {
    PathBuf::from(environment.parameter("config").unwrap_or(CONFIG))
}

/// The configuration and the name of this instance.
fn configured(environment: &Environment) -> Result<(DirectorConfig, String), Failure> {
    let path = config_path(environment);
    if !path.is_file() {
        let why = format!("there is no {}; give the resource's parameter `config`", path.display());
        return Err(Failure::new(Code::Installed, why));
    }
    let config =
        configuration::load(&path).map_err(|error| Failure::new(Code::Configured, format!("{error:#}")))?;
    let host = || {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        host.trim().to_owned()
    };
    let instance = environment.parameter("instance").map_or_else(host, str::to_owned);
    Ok((config, instance))
}

fn validate(environment: &Environment) -> Result<(DirectorConfig, String), Failure> {
    let (config, instance) = configured(environment)?;
    let engine = config.cluster.as_ref().map(|cluster| cluster.engine);
    if engine != Some(Engine::Pacemaker) {
        let why = "the configuration has no Cluster with `Engine = Pacemaker`: this Director decides by itself whether it is active";
        return Err(Failure::new(Code::Configured, why));
    }
    configuration::instance(&config, &instance)
        .map_err(|error| Failure::new(Code::Configured, format!("{error:#}")))?;
    let working = &config.director.working_directory;
    if !Path::new(working).is_dir() {
        let why = format!("the Working Directory {working} does not exist on this node");
        return Err(Failure::new(Code::Installed, why));
    }
    Ok((config, instance))
}

fn start(environment: &Environment) -> Done {
    let (config, instance) = validate(environment)?;
    let notes = Notes::of(&config, &instance);
    notes.save(environment)?;
    if process::holder(&notes.pid_file).is_none() {
        let program = Program {
            role: "director",
            config: &config_path(environment),
            instance: Some(&instance),
            pid_directory: Path::new(&config.director.pid_directory),
        };
        program.start(environment)?;
    }
    let state = control::state(&notes.control, environment.left().min(STATE_LIMIT));
    let state = state.map_err(|silence| Failure::new(Code::Generic, unanswered(&silence)))?;
    warn_without_stonith(environment);
    notes.score(score(&state), environment);
    Ok(Code::Success)
}

/// Without fencing Pacemaker promotes beside an instance that it only believes dead.
fn warn_without_stonith(environment: &Environment) {
    if !environment.is_cluster() {
        return;
    }
    let asked = std::process::Command::new("crm_attribute")
        .args([
            "--type",
            "crm_config",
            "--name",
            "stonith-enabled",
            "--query",
            "--quiet",
            "--default",
            "true",
        ])
        .output();
    if let Ok(said) = asked
        && matches!(String::from_utf8_lossy(&said.stdout).trim(), "false" | "no" | "off" | "0")
    {
        environment.log(
            "WARNING",
            "stonith-enabled is false: an instance that only seems dead may go on beside its successor; the catalog and Holdfast's \
             daemons refuse it, a stock Storage Daemon does not",
        );
    }
}

fn stop(environment: &Environment) -> Done {
    if let Some(notes) = Notes::find(environment) {
        process::stop(&notes.pid_file, environment)?;
    }
    // The next start notes it anew.
    let _ = std::fs::remove_file(environment.state_file());
    Ok(Code::Success)
}

fn score(state: &State) -> Score {
    match state {
        State { held_back: Some(_), .. } => Score::Never,
        State { ordered: true, .. } => Score::Active,
        State { ordered: false, .. } => Score::Standby,
    }
}

fn monitor(environment: &Environment) -> Done {
    let Some(notes) = Notes::find(environment) else { return Ok(Code::NotRunning) };
    let is_alive = process::holder(&notes.pid_file).is_some();
    match control::state(&notes.control, environment.left().min(STATE_LIMIT)) {
        Ok(state) => {
            let code = said(&state, environment);
            notes.score(score(&state), environment);
            Ok(code)
        }
        Err(Silence::Nobody) if !is_alive => Ok(Code::NotRunning),
        Err(silence) => Err(Failure::new(Code::Generic, unanswered(&silence))),
    }
}

/// What the state of an instance is to Pacemaker. A catalog that is away is no failure: a restart would bring nothing, and jobs go on.
fn said(state: &State, environment: &Environment) -> Code {
    match state {
        State { ordered: true, epoch: Some(_), .. } => Code::Promoted,
        State { ordered: true, trouble, .. } => {
            let why = trouble.as_deref().unwrap_or("it is becoming active");
            environment.log("WARNING", format!("promoted, and not active: {why}"));
            Code::DegradedPromoted
        }
        State { held_back: Some(why), .. } => {
            environment.log("WARNING", format!("it would refuse to be promoted: {why}"));
            Code::Degraded
        }
        State { .. } => Code::Success,
    }
}

fn unanswered(silence: &Silence) -> String {
    match silence {
        Silence::Nobody => "the process runs, and nobody listens at its control socket".to_owned(),
        Silence::Refused(why) => format!("the process is stuck: {why}"),
    }
}

fn promote(environment: &Environment) -> Done {
    let Some(notes) = Notes::find(environment) else { return Ok(Code::NotRunning) };
    let limit = environment.left();
    let order = Order::Promote { limit };
    // The instance answers within the limit, if it answers.
    match control::give(&notes.control, order, limit + Duration::from_millis(500)) {
        // The monitor that follows tells Pacemaker the score: nobody is to wait for that now.
        Ok(()) => Ok(Code::Success),
        Err(Silence::Nobody) => Ok(Code::NotRunning),
        Err(Silence::Refused(why)) => Err(Failure::new(Code::Generic, why)),
    }
}

/// An instance that does not obey is killed: a dead one acts no more, and that is what Pacemaker relies on.
fn demote(environment: &Environment) -> Done {
    let Some(notes) = Notes::find(environment) else { return Ok(Code::Success) };
    let hears = control::state(&notes.control, environment.left().min(HEAR_LIMIT));
    match hears.and_then(|_| control::give(&notes.control, Order::Demote, environment.left())) {
        Ok(()) => return Ok(Code::Success),
        Err(Silence::Nobody) => {}
        Err(Silence::Refused(why)) => {
            environment.log("ERROR", format!("demote: {why}; the process is killed"));
        }
    }
    process::kill(&notes.pid_file)?;
    Ok(Code::Success)
}

/// Somebody else was promoted: consoles that wait here are told sooner.
fn notify(environment: &Environment) -> Done {
    let is = |name, value| environment.meta(name) == Some(value);
    if is("notify_type", "post")
        && is("notify_operation", "promote")
        && let Some(notes) = Notes::find(environment)
    {
        // It finds out by itself otherwise.
        let _ = control::give(&notes.control, Order::Look, environment.left().min(STATE_LIMIT));
    }
    Ok(Code::Success)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn only_a_dead_or_stuck_process_fails() {
        let environment = Environment::of(HashMap::new());
        let code = |ordered, epoch: Option<u64>, held: Option<&str>| {
            let state = State { ordered, epoch, trouble: None, held_back: held.map(str::to_owned) };
            (said(&state, &environment), score(&state))
        };
        assert_eq!(code(false, None, None), (Code::Success, Score::Standby));
        assert_eq!(code(true, Some(7), None), (Code::Promoted, Score::Active));
        // The catalog is away: nobody is to be promoted instead for it.
        assert_eq!(code(true, None, None), (Code::DegradedPromoted, Score::Active));
        assert_eq!(code(false, None, Some("another configuration")), (Code::Degraded, Score::Never));
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let variables = [("HA_RSCTMP", dir.path().to_str().unwrap()), ("OCF_RESOURCE_INSTANCE", "dir")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::of(HashMap::from(variables));
        let notes = Notes {
            pid_file: "/run/bacula/bacula-dir.9101.pid".into(),
            control: "/var/lib/bacula/dc1.a.control".into(),
            score: Some("10".to_owned()),
        };
        notes.save(&environment).unwrap();
        assert_eq!(Notes::find(&environment), Some(notes));
    }
}
