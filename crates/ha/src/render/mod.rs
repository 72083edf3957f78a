//! `holdfast ha render`: a topology becomes the configuration of every machine in it, or is compared with this machine's.

mod compare;
mod difference;
mod write;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use conf::TopologyConfig;
use conf::topology::Engine;

use crate::exit::Exit;
use crate::output::{complain, say};
use crate::plan::{Placeholder, Plan, Tree, placeholders, render};

/// What it does, for its help.
pub(crate) const LONG: &str = "\
Make the configuration of every machine from a topology: DRBD, Corosync, Pacemaker, PostgreSQL, Patroni and etcd, the \
Director's instances, systemd, nftables, and a runbook for exactly these machines.

The same topology gives the same bytes. Nothing on this machine is touched but the directory that is written; that is put \
in place as a whole, and what an earlier run left there and is no longer rendered is gone.

With --diff nothing is written: the files of this machine are compared with what would be rendered for it.";

const AFTER: &str = "\
What is written:
  RUNBOOK.md        bring-up, switchover, lost nodes, split brain, replacing a node, failback
  nodes/NAME/…      files of a machine at their paths there
  install/NAME.sh   puts them in place, with modes and owners
  clusters/NAME/…   Pacemaker's configuration, three times: cib.xml, for crm, for pcs

Secrets that the topology does not hold stand as @HOLDFAST:name@. They are listed, and match \
anything with --diff.

Exit codes:
  0  written (with --check: the topology is sound; with --diff: nothing is different)
  1  not written: the topology is refused (with --diff: something is different)
  2  wrong usage

Examples:
  holdfast ha render holdfast-ha.conf --check                  is it sound?
  holdfast ha render holdfast-ha.conf --output rendered        make everything
  holdfast ha render holdfast-ha.conf --output r --engine patroni
  holdfast ha render /etc/holdfast/holdfast-ha.conf --diff     is this node as it should be?";

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// The topology file
    #[arg(value_name = "TOPOLOGY", default_value = "/etc/holdfast/holdfast-ha.conf")]
    topology: PathBuf,
    /// Directory to write; made when it is not there, replaced when it was written by this command
    #[arg(long, short = 'o', value_name = "DIR", required_unless_present_any = ["diff", "check"])]
    output: Option<PathBuf>,
    /// What moves the services, instead of what the file says
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    engine: Option<Engine>,
    /// Compare with the files of this machine
    #[arg(long, conflicts_with = "output")]
    diff: bool,
    /// Only check the topology
    #[arg(long, conflicts_with_all = ["output", "diff"])]
    check: bool,
    /// With --diff: compare as this node (default: this machine's host name)
    #[arg(long, value_name = "NAME", requires = "diff")]
    node: Option<String>,
    /// With --diff: where that node's root directory is
    #[arg(long, value_name = "DIR", default_value = "/", requires = "diff")]
    root: PathBuf,
}

fn engine(text: &str) -> Result<Engine, String> {
    Engine::from_word(text).ok_or_else(|| format!("there are: {}", Engine::WORDS.join(", ").to_lowercase()))
}

/// Runs the command.
///
/// # Errors
/// A topology that is refused, a directory that cannot be written or is not this command's, a node that is not in the topology.
pub fn run(args: &Args) -> Result<Exit> {
    let config = load(&args.topology)?;
    let engine = args.engine.unwrap_or(config.topology.engine);
    let plan = Plan::new(&config, engine).map_err(|missing| {
        anyhow!("the engine {engine} cannot serve this topology\n  {}", missing.join("\n  "))
    })?;
    if args.check {
        say(format!("{}: sound, for the engine {engine}", args.topology.display()))?;
        return Ok(Exit::Good);
    }
    let tree = render(&plan);
    if args.diff {
        return compare_node(&tree, args);
    }
    let output = args.output.as_deref().context("no directory to write was given")?;
    write::replace(output, &tree)?;
    report(output, &tree)?;
    Ok(Exit::Good)
}

/// Reads a topology; warnings are said.
pub(crate) fn load(path: &Path) -> Result<TopologyConfig> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match conf::load::<TopologyConfig>(&path.to_string_lossy(), &mut sys::SystemLoader) {
        Ok(loaded) => {
            if !loaded.warnings.list.is_empty() {
                complain(loaded.warnings.render(colour));
            }
            Ok(loaded.config)
        }
        Err(findings) => bail!("the topology {} is refused\n{}", path.display(), findings.render(colour)),
    }
}

fn compare_node(tree: &Tree, args: &Args) -> Result<Exit> {
    let node = match &args.node {
        Some(node) => node.clone(),
        None => host_name()?,
    };
    if !tree.machines().contains(&node) {
        bail!(
            "there is no machine \"{node}\" in the topology; there are: {}; give --node",
            tree.machines().join(", ")
        );
    }
    let found = compare::machine(tree, &node, &args.root)?;
    for difference in &found {
        say(difference)?;
    }
    match found.len() {
        0 => say(format!("{node}: nothing is different"))?,
        count => complain(format!("{node}: {count} files are different (-: here, +: rendered)")),
    }
    Ok(if found.is_empty() { Exit::Good } else { Exit::Bad })
}

/// The first label: nodes are named by that.
pub(crate) fn host_name() -> Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("read the host's name")?;
    Ok(name.trim().split('.').next().unwrap_or_default().to_owned())
}

fn report(output: &Path, tree: &Tree) -> Result<()> {
    say(format!(
        "{}: {} files for {}",
        output.display(),
        tree.entries().count(),
        tree.machines().join(", ")
    ))?;
    for Placeholder { text, mut files } in placeholders(tree) {
        files.retain(|file| file != "RUNBOOK.md");
        say(format!("  replace {text} in {}", files.join(", ")))?;
    }
    say(format!("  begin with {}", output.join("RUNBOOK.md").display()))
}
