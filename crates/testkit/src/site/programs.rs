//! Where the programs are: this build's `holdfast`, and real Bacula unpacked by `tests/real/fetch-bacula`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Maker;

/// A program and the arguments that select its role.
#[derive(Debug, Clone)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Arguments before all others: `director` for `holdfast director`.
    pub arguments: Vec<OsString>,
}

/// Finds a program by Bacula's name for it (`bacula-dir`, …, `bconsole`, `bls`).
///
/// # Errors
/// When it is missing; the text says how to get it.
pub fn program(maker: Maker, name: &str) -> Result<Program> {
    match maker {
        Maker::Holdfast => {
            let word = match name {
                "bacula-dir" => "director",
                "bacula-sd" => "storage",
                "bacula-fd" => "client",
                "bconsole" => "console",
                other => other,
            };
            Ok(Program { path: holdfast()?, arguments: vec![word.into()] })
        }
        Maker::Bacula9 => Ok(Program { path: real("9.6.7", name)?, arguments: Vec::new() }),
        Maker::Bacula15 => Ok(Program { path: real("15.0.3", name)?, arguments: Vec::new() }),
    }
}

/// The `holdfast` executable: `HOLDFAST_BIN`, this program itself, or the one of the same build as the running test.
///
/// # Errors
/// When there is none.
pub fn holdfast() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("HOLDFAST_BIN") {
        return Ok(path.into());
    }
    let me = std::env::current_exe().context("find this program")?;
    if me.file_name().is_some_and(|name| name == "holdfast") {
        return Ok(me);
    }
    let found = me.ancestors().skip(1).take(3).map(|dir| dir.join("holdfast")).find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "no holdfast beside {}: build it with `cargo build -p holdfast`, or set HOLDFAST_BIN",
            me.display()
        )
    })
}

/// The folder of one version of real Bacula.
fn real_dir(version: &str) -> Result<PathBuf> {
    let base = match (std::env::var_os("HOLDFAST_REAL"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(dir), _) => PathBuf::from(dir),
        (None, Some(dir)) => PathBuf::from(dir).join("real"),
        (None, None) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/real"),
    };
    let dir = base.join(format!("bacula-{version}"));
    ensure!(
        dir.join("complete").exists(),
        "real Bacula {version} is not in {}: run tests/real/fetch-bacula (needs apt; packages bacula-director, \
         bacula-sd, bacula-fd, bacula-console)",
        dir.display()
    );
    Ok(dir)
}

fn real(version: &str, name: &str) -> Result<PathBuf> {
    let path = real_dir(version)?.join("bin").join(name);
    ensure!(path.is_file(), "real Bacula {version} has no {name} here");
    Ok(path)
}

/// Debian's `disk-changer`.
pub(super) fn disk_changer() -> Result<PathBuf> {
    Ok(real_dir("9.6.7")?.join("root/etc/bacula/scripts/disk-changer"))
}

/// A query file for the Director: real Bacula wants one that exists.
pub(super) fn query_file(site: &Path) -> Result<PathBuf> {
    let path = site.join("etc/query.sql");
    fs::write(&path, "# no queries\n").with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Makes the tables of a real Director's SQLite catalog, from the script in Debian's package.
pub(super) fn create_bacula_catalog(path: &Path) -> Result<()> {
    let script = real_dir("9.6.7")?.join("root/usr/share/bacula-director/make_sqlite3_tables");
    let text = fs::read_to_string(&script).with_context(|| format!("read {}", script.display()))?;
    let Some((_, rest)) = text.split_once("<<END-OF-DATA\n") else { bail!("no SQL in {}", script.display()) };
    let Some((sql, _)) = rest.split_once("\nEND-OF-DATA") else {
        bail!("no end of the SQL in {}", script.display())
    };
    let database = rusqlite::Connection::open(path).with_context(|| format!("make {}", path.display()))?;
    database.execute_batch(sql).context("make the tables of the catalog")
}
