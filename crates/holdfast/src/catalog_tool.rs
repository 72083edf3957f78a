//! `holdfast catalog`: what is done to a catalog while no Director uses it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum CatalogCommand {
    /// Copy a SQLite catalog of Bacula 9 or 11 to 15 into a new one for Holdfast; the old one is only read
    Import {
        /// Catalog of Bacula, for example /var/lib/bacula/bacula.db
        old: PathBuf,
        /// File to create: <Working Directory>/<DB Name>.db of the Director
        new: PathBuf,
    },
}

pub(crate) fn run(command: &CatalogCommand) -> Result<ExitCode> {
    match command {
        CatalogCommand::Import { old, new } => {
            let imported = catalog::sqlite::import(old, new)?;
            print(&imported)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Tables with rows, on the standard output; that its reader has gone is no failure.
fn print(imported: &[catalog::sqlite::Imported]) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    for table in imported.iter().filter(|t| t.rows > 0) {
        match writeln!(out, "{:>12} {}", table.rows, table.table) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}
