//! `holdfast`: one program for every role, also under Bacula's names (`bacula-dir`, `bacula-sd`, `bacula-fd`, `bconsole`)
//! and with Bacula's flags.

mod background;
mod catalog_tool;
mod cli;
mod configtest;
mod daemon;
mod logging;
mod notify;
mod pidfile;
mod roles;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory, Parser};

use cli::{Cli, Command};

fn main() -> ExitCode {
    let arguments = cli::arguments(std::env::args_os());
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Asked-for help goes to the standard output and is a success; wrong usage is exit code 2.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            logging::complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// `holdfast storage forget-director`; the running daemon notices by itself.
fn forget_director(tool: &cli::StorageTool) -> Result<ExitCode> {
    let cli::StorageTool::ForgetDirector { name, config } = tool;
    let config = configtest::load::<conf::StorageConfig>(config)?;
    let count =
        storage::forget_director(&config, name).with_context(|| format!("forget Director \"{name}\""))?;
    anyhow::ensure!(count > 0, "Director \"{name}\" has never had an epoch here");
    Ok(ExitCode::SUCCESS)
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Director(args) => daemon::start::<roles::Director>(&args.common, &args.extra()),
        Command::Storage(cli::StorageArgs { tool: Some(tool), .. }) => forget_director(&tool),
        Command::Storage(args) => daemon::start::<roles::Storage>(&args.common, &roles::Extra::default()),
        Command::Client(args) => daemon::start::<roles::Client>(&args.common, &roles::Extra::default()),
        Command::Console(args) => {
            logging::start_quiet(args.debug.as_deref());
            console::run(&args)
        }
        Command::Demo(args) => demo::run(&args),
        Command::Catalog(command) => catalog_tool::run(&command),
        Command::Ha(command) => {
            logging::start_quiet(None);
            ha::run(&command).map(ExitCode::from)
        }
        Command::Ocf(args) => {
            logging::start_quiet(None);
            Ok(ExitCode::from(ha::ocf::run(&args)))
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "holdfast", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}
