//! The console program (`holdfast console`, `bconsole`): a line at a time to a Director, its answers to the terminal or a
//! pipe. Line editing, history and completion on a terminal; plain reading of scripts otherwise, with the same output as
//! Bacula's console, since scripts match it.
//!
//! Absent on purpose: knowledge of commands. The Director runs them; the console only carries text and asks it for words
//! to complete.
//!
//! Exit codes: 0 the session ended as asked; 1 it could not be opened, was lost, or a script could not be read; 2 wrong
//! usage.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people and scripts")]

mod complete;
mod config;
mod connect;
mod input;
mod local;
mod output;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

pub use config::client_tls;
pub use connect::Link;

/// Options of `holdfast console`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Configuration file
    #[arg(short = 'c', value_name = "FILE", default_value = "/etc/bacula/bconsole.conf")]
    pub config: PathBuf,
    /// Director to connect to, by its name in the configuration
    #[arg(short = 'D', value_name = "NAME")]
    pub director: Option<String>,
    /// Console resource to log in as
    #[arg(short = 'C', value_name = "NAME")]
    pub console: Option<String>,
    /// List the Directors defined and exit
    #[arg(short = 'l')]
    pub list_directors: bool,
    /// List the Consoles defined and exit
    #[arg(short = 'L')]
    pub list_consoles: bool,
    /// No line editing, for scripts that run on a terminal
    #[arg(short = 'n')]
    pub no_editing: bool,
    /// Accepted for compatibility: signals are never caught
    #[arg(short = 's')]
    pub no_signals: bool,
    /// Longest time that a command may take, in seconds
    #[arg(short = 'u', value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Check the configuration and exit
    #[arg(short = 't')]
    pub test: bool,
    /// Debug level
    #[arg(short = 'd', value_name = "LEVEL")]
    pub debug: Option<String>,
}

/// Runs the console.
///
/// # Errors
/// What kept the session from being opened, or ended it.
pub fn run(args: &Args) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    if args.test {
        return Ok(ExitCode::SUCCESS);
    }
    if args.list_directors {
        for director in &config.directors {
            println!("{}", director.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    if args.list_consoles {
        for console in &config.consoles {
            println!("{}", console.name);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut input = input::Input::new(!args.no_editing);
    let director = config::director(&config, args.director.as_deref(), &mut input)?;
    let login = config::login(&config, &director, args.console.as_deref())?;
    println!("Connecting to Director {}:{}", director.address, director.dir_port);
    let link = Link::open(&login, args.timeout.map(Duration::from_secs))?;
    println!("{}", link.greeting());
    println!("Enter a period to cancel a command.");
    session::Session::new(link, input, &login).run()
}

/// Runs one command on a Director as its default console and gives what it answered.
///
/// `password` is as `conf` keeps it (hashed).
///
/// # Errors
/// What kept the session from being opened, or ended it.
pub fn one_command(host: &str, port: u16, password: &str, command: &str) -> Result<String> {
    let mut link = Link::open(&config::local_login(host, port, password), Some(Duration::from_secs(60)))?;
    let answer = link.ask(command)?;
    link.close();
    Ok(answer)
}
