//! The examples of `docs/examples`, rendered as an operator would: looked at, and given to the programs they are for.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod accepted;
mod golden;
mod xml;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser as _;

/// Topologies in `docs/examples`.
const EXAMPLES: [&str; 4] = ["two-nodes", "separate-catalog", "patroni", "lease"];

#[derive(Debug, clap::Parser)]
struct Cli {
    #[command(subcommand)]
    command: ha::Command,
}

/// `holdfast ha WORDS…`.
fn ha(words: &[&str]) -> anyhow::Result<ha::Exit> {
    let cli = Cli::try_parse_from(std::iter::once("ha").chain(words.iter().copied()))?;
    ha::run(&cli.command)
}

/// Those, and one with what they do not have.
const ALL: [&str; 5] = ["two-nodes", "separate-catalog", "patroni", "lease", "wide"];

fn example(name: &str) -> PathBuf {
    let folder = if name == "wide" { "tests/rendered" } else { "../../docs/examples" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(format!("{name}.conf"))
}

/// An example in a directory of its own.
struct Rendered {
    folder: tempfile::TempDir,
}

impl Rendered {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        ha(&["render", example(name).to_str().unwrap(), "--output", output.to_str().unwrap()]).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Files below the root whose paths end so, sorted.
    fn ending(&self, end: &str) -> Vec<PathBuf> {
        files(&self.root()).into_iter().filter(|path| path.to_str().unwrap().ends_with(end)).collect()
    }

    /// A file beside what was rendered.
    fn scratch(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// All files and links below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Runs a program for at most three minutes; one that is missing fails the test with its package.
fn run(package: &str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/lib/drbd"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is missing: install {package}"));
    let mut command = Command::new("timeout");
    command.arg("180").arg(found).args(arguments).envs(environment.iter().copied());
    command.output().unwrap()
}

/// The same, and it must succeed; gives its standard output.
fn accepts(package: &str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = run(package, program, arguments, environment);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{out}{complaints}", output.status);
    out
}
