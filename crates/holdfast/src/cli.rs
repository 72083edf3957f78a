//! The command line: subcommands by name or by the name of the program, with Bacula's flags.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::roles::Extra;

/// A highly available network backup system, drop-in for Bacula
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, disable_help_subcommand = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Each role is also started by Bacula's name for it: as bacula-dir, bacula-sd, bacula-fd or bconsole (a link to this
program), it takes Bacula's flags, so existing unit files and scripts go on working.

Examples:
  holdfast director -t -c /etc/bacula/bacula-dir.conf    check a configuration
  holdfast storage -f -c /etc/bacula/bacula-sd.conf      run a Storage Daemon in the foreground
  echo 'status director' | holdfast console              one command to the Director
  holdfast demo                                          back up and restore a real tree, here and now";

/// What to be.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the Director: jobs, schedules, the catalog (bacula-dir)
    #[command(visible_alias = "dir")]
    Director(DirectorArgs),
    /// Run the Storage Daemon: devices and Volumes (bacula-sd)
    #[command(visible_alias = "sd")]
    Storage(StorageArgs),
    /// Run the File Daemon: the client that is backed up (bacula-fd)
    #[command(visible_alias = "fd")]
    Client(ClientArgs),
    /// Talk to a Director (bconsole)
    Console(console::Args),
    /// Back up and restore a real tree on this machine, compare, and show the figures
    Demo(demo::Args),
    /// Take over an older catalog
    #[command(subcommand)]
    Catalog(crate::catalog_tool::CatalogCommand),
    /// High availability, for the operator: fence an instance
    #[command(subcommand)]
    Ha(ha::Command),
    /// Resource agents for Pacemaker: ocf:holdfast:director, ocf:holdfast:storage
    Ocf(ha::ocf::Args),
    /// Print the completion script of a shell
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Options of the Director.
#[derive(Debug, Args)]
pub(crate) struct DirectorArgs {
    #[command(flatten)]
    pub(crate) common: DaemonArgs,
    /// Run this job at once
    #[arg(short = 'r', value_name = "JOB")]
    run_job: Option<String>,
    /// Which instance of the Cluster this process is; the host's name if not given
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
}

impl DirectorArgs {
    pub(crate) fn extra(&self) -> Extra {
        Extra { run_job: self.run_job.clone(), instance: self.instance.clone() }
    }
}

/// Options of the Storage Daemon.
#[derive(Debug, Args)]
pub(crate) struct StorageArgs {
    #[command(flatten)]
    pub(crate) common: DaemonArgs,
    /// Accepted for compatibility: I/O errors end the job that meets them
    #[arg(short = 'p')]
    proceed: bool,
    /// What to do instead of running the daemon
    #[command(subcommand)]
    pub(crate) tool: Option<StorageTool>,
}

/// Work on the Storage Daemon's durable files.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageTool {
    /// Forget the epochs of a Director that has gone back to Bacula, so that it is served again without them
    ForgetDirector {
        /// Name of the Director resource
        name: String,
        /// Configuration file of the Storage Daemon
        #[arg(short = 'c', value_name = "FILE", default_value = "/etc/bacula/bacula-sd.conf")]
        config: PathBuf,
    },
}

/// Options of the File Daemon.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) common: DaemonArgs,
    /// Accepted for compatibility: capabilities are the service manager's business
    #[arg(short = 'k')]
    keep_readall: bool,
}

/// Options that all daemons have.
#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Configuration file [default: bacula-dir.conf, bacula-sd.conf or bacula-fd.conf in /etc/bacula]
    #[arg(short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Configuration file, as a bare argument
    #[arg(value_name = "CONFIG", conflicts_with = "config")]
    config_bare: Option<PathBuf>,
    /// Debug level: 0 tells state changes, from 1 on steps, from 100 on everything
    #[arg(short = 'd', value_name = "LEVEL")]
    pub(crate) debug: Option<String>,
    /// Stay in the foreground and log to the standard error
    #[arg(short = 'f')]
    pub(crate) foreground: bool,
    /// Group to run as
    #[arg(short = 'g', value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// User to run as
    #[arg(short = 'u', value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Write no PID file
    #[arg(short = 'P')]
    pub(crate) no_pid_file: bool,
    /// Check the configuration, report everything wrong with it, and exit
    #[arg(short = 't')]
    pub(crate) test: bool,
    /// Log steps as well as state changes
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Log everything
    #[arg(short = 'T')]
    pub(crate) trace: bool,
    /// Accepted for compatibility
    #[arg(short = 'm', hide = true)]
    kaboom: bool,
    /// Accepted for compatibility
    #[arg(short = 's', hide = true)]
    no_signals: bool,
}

impl DaemonArgs {
    /// The configuration file: given, or Bacula's usual one.
    pub(crate) fn config(&self, default: &str) -> PathBuf {
        self.config
            .clone()
            .or_else(|| self.config_bare.clone())
            .unwrap_or_else(|| Path::new("/etc/bacula").join(default))
    }
}

/// Bacula's names of the programs.
const NAMES: &[(&str, &str)] = &[
    ("bacula-dir", "director"),
    ("bacula-sd", "storage"),
    ("bacula-fd", "client"),
    ("bconsole", "console"),
    ("bacula-console", "console"),
];

/// The arguments as this program reads them: the role that the program's name stands for put in, and the two of Bacula's
/// flags rewritten that no parser takes (`-?`, `-dt`).
pub(crate) fn arguments(all: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all = all;
    let program = all.next().unwrap_or_else(|| OsString::from("holdfast"));
    let name =
        Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bacula = NAMES.iter().find(|(bacula, _)| *bacula == name).map(|(_, role)| *role);
    let words = bacula.map_or_else(|| agent(Path::new(&program), &name), |role| vec![role]);
    let words = words.into_iter().map(OsString::from);
    let rest = all
        .filter(|argument| argument != "-dt")
        .map(|argument| if argument == "-?" { OsString::from("--help") } else { argument });
    [program].into_iter().chain(words.collect::<Vec<_>>()).chain(rest).collect()
}

/// Directory of this project's resource agents, below `/usr/lib/ocf/resource.d`.
const PROVIDER: &str = "holdfast";
/// Names of resource agents there.
const AGENTS: &[&str] = &["director", "storage"];

/// The words that a resource agent's path stands for: only in its provider's directory is `director` one.
fn agent(program: &Path, name: &str) -> Vec<&'static str> {
    let is_provider = program.parent().and_then(Path::file_name).is_some_and(|parent| parent == PROVIDER);
    let agent = AGENTS.iter().find(|agent| is_provider && **agent == name);
    agent.map(|agent| vec!["ocf", agent]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(arguments(line.split(' ').map(OsString::from))).unwrap()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn baculas_names_and_flags() {
        let Command::Director(args) =
            parse("/usr/sbin/bacula-dir -f -P -u bacula -g tape -c /x/dir.conf -d 100,sql -dt -v").command
        else {
            panic!("not the Director")
        };
        assert!(args.common.foreground && args.common.no_pid_file);
        assert_eq!(args.common.config("bacula-dir.conf"), Path::new("/x/dir.conf"));
        assert_eq!(args.common.debug.as_deref(), Some("100,sql"));
        let Command::Storage(args) = parse("bacula-sd -t /x/sd.conf").command else { panic!("not the SD") };
        assert_eq!(args.common.config("bacula-sd.conf"), Path::new("/x/sd.conf"));
        let Command::Client(args) = parse("bacula-fd -fP").command else { panic!("not the FD") };
        assert_eq!(args.common.config("bacula-fd.conf"), Path::new("/etc/bacula/bacula-fd.conf"));
        assert!(matches!(parse("bconsole -n -c x.conf").command, Command::Console(_)));
        assert!(matches!(
            parse("/usr/lib/ocf/resource.d/holdfast/director monitor").command,
            Command::Ocf(_)
        ));
        assert!(matches!(parse("holdfast ocf storage start").command, Command::Ocf(_)));
        assert!(matches!(parse("holdfast storage -f").command, Command::Storage(_)));
    }
}
