//! `holdfast ha fence`: switches the machine of an instance off, or on again, or tests whether that would work.

mod plan;
pub(crate) mod record;

pub use plan::Plan;

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use conf::DirectorConfig;
use jiff::Timestamp;
use lead::fence::{Fenced, Fencer, Power};

use crate::configuration::{self, File};
use crate::exit::Exit;
use crate::output::{ask, complain, say};
use record::Test;

/// What it does, for its help.
pub(crate) const LONG: &str = "\
Switch the machine of an instance off by the Fence Device of its Instance resource, and say for certain whether it is off.

The device is asked for its status first; a machine that is off is left alone. After `off` the status is asked again, and
only that counts. Nothing is switched on again but by `--on`. The cluster's lease is not touched: a standby follows by itself, and
is not asked.";

const AFTER: &str = "\
Exit codes:
  0  the machine is off (with --on: it is on; with --test: the device works, and its options are right)
  1  it is on, or was not switched off (with --on: it is off; with --test: something would keep fencing from working)
  2  wrong usage, or no confirmation could be asked for
  3  whether it is on or off cannot be told

When fencing was tried, and whether it worked, is kept in the Working Directory for `holdfast ha check`.

Examples:
  holdfast ha fence dc1-a --test               would it work? (after each change, and regularly)
  holdfast ha fence dc1-a                      switch it off, after a question
  holdfast ha fence dc1-a --on                 switch it on again, after a drill or a repair
  holdfast ha fence dc1-a --yes -c FILE        the same in a script, with another configuration file";

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Name of the Instance resource
    #[arg(value_name = "INSTANCE")]
    instance: String,
    /// Switch nothing: read the agent's metadata, hold the options against them, ask for the status, show what would be done
    #[arg(long, conflicts_with = "yes")]
    test: bool,
    /// Switch it on again
    #[arg(long, conflicts_with = "test")]
    on: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    file: File,
}

impl Args {
    const fn wanted(&self) -> Power {
        if self.on { Power::On } else { Power::Off }
    }
}

/// Runs the command.
///
/// # Errors
/// When there is nothing to fence by: the configuration, the instance, its device or the agent's program is missing.
pub fn run(args: &Args) -> Result<Exit> {
    let config = configuration::load(&args.file.path)?;
    let instance = configuration::instance(&config, &args.instance)?;
    let device = configuration::fence_device(&config, instance)?;
    let fencer = Fencer::new(device).with_context(|| format!("Fence Device \"{}\"", device.name));
    let fencer = fencer.inspect_err(|_| remember(&config, args, false))?;
    say(Plan::new(instance, device, &fencer, args.wanted()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (exit, was_tried) = runtime.block_on(async {
        if args.test {
            return anyhow::Ok((test(&fencer, device.parameters().collect()).await?, true));
        }
        match confirmed(args)? {
            Consent::Given if args.on => Ok((switch_on(&fencer).await?, false)),
            Consent::Given => Ok((switch_off(&fencer).await?, true)),
            Consent::Refused => {
                complain("Nothing was done.");
                Ok((Exit::Bad, false))
            }
            Consent::NobodyToAsk => {
                complain("Nothing was done: there is no terminal to ask at. Give --yes, or --test to switch nothing.");
                Ok((Exit::Usage, false))
            }
        }
    })?;
    if was_tried {
        remember(&config, args, exit == Exit::Good);
    }
    Ok(exit)
}

/// Records what was seen of the device, for `holdfast ha check`. That this fails does not change what was seen.
fn remember(config: &DirectorConfig, args: &Args, worked: bool) {
    let test = Test { at: Timestamp::now(), worked, switched_off: !args.test && worked };
    if let Err(error) = record::save(&record::path(config), &args.instance, test) {
        complain(format_args!("The time of this is not recorded for `holdfast ha check`: {error:#}"));
    }
}

/// Whether the operator means it.
enum Consent {
    Given,
    Refused,
    NobodyToAsk,
}

fn confirmed(args: &Args) -> Result<Consent> {
    if args.yes {
        return Ok(Consent::Given);
    }
    if !std::io::stdin().is_terminal() {
        return Ok(Consent::NobodyToAsk);
    }
    let question =
        format!("Type the instance's name to switch its machine {} ({}): ", args.wanted(), args.instance);
    // The name instead of a "y": the wrong machine is the likely mistake.
    let same = ask(&question)?.is_some_and(|answer| answer == args.instance);
    Ok(if same { Consent::Given } else { Consent::Refused })
}

async fn switch_off(fencer: &Fencer) -> Result<Exit> {
    let ended = fencer.off().await;
    say(format_args!("Result:   {ended}"))?;
    Ok(match ended {
        Fenced::Off { .. } => Exit::Good,
        Fenced::StillOn { .. } => Exit::Bad,
        Fenced::Unknown { .. } => Exit::Unknown,
    })
}

async fn switch_on(fencer: &Fencer) -> Result<Exit> {
    let (exit, result) = match fencer.on().await {
        Ok(Power::On) => (Exit::Good, "on: its status says so".to_owned()),
        Ok(Power::Off) => (
            Exit::Bad,
            "still off: the agent reports success for on, but the status does not change".to_owned(),
        ),
        Err(error) => (Exit::Unknown, format!("unknown: {:#}", anyhow::Error::from(error))),
    };
    say(format_args!("Result:   {result}"))?;
    Ok(exit)
}

async fn test(fencer: &Fencer, options: Vec<(&str, &str)>) -> Result<Exit> {
    let findings = match fencer.metadata().await {
        Ok(metadata) => {
            say(format_args!("Metadata: {}: {}", metadata.name, metadata.summary))?;
            metadata.check(options)
        }
        Err(error) => {
            say(format_args!("Metadata: {:#}", anyhow::Error::from(error)))?;
            say("Result:   fencing would not work: the agent cannot be used")?;
            return Ok(Exit::Bad);
        }
    };
    for finding in &findings {
        let word = if finding.is_error() { "wrong" } else { "note" };
        say(format_args!("Options:  {word}: {finding}"))?;
    }
    if findings.is_empty() {
        say("Options:  right, as far as the metadata tell")?;
    }
    let status = fencer.status().await;
    match &status {
        Ok(power) => say(format_args!("Status:   {power}"))?,
        Err(error) => say(format_args!("Status:   unknown: {error}"))?,
    }
    let wrong = findings.iter().filter(|finding| finding.is_error()).count();
    let (exit, result) = verdict(status.ok(), wrong);
    say(format_args!("Result:   {result}"))?;
    Ok(exit)
}

/// What a test comes to; `wrong` counts the options that are.
fn verdict(status: Option<Power>, wrong: usize) -> (Exit, &'static str) {
    match (status, wrong) {
        (None, _) => (Exit::Unknown, "fencing would not work: the device gives no status"),
        (Some(_), 1..) => (Exit::Bad, "fencing may not work: correct the options"),
        (Some(Power::On), 0) => (Exit::Good, "it would be switched off; nothing was done"),
        (Some(Power::Off), 0) => (Exit::Good, "it is off already; nothing was done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_good_only_with_a_status_and_right_options() {
        let code = |status, wrong| verdict(status, wrong).0.code();
        assert_eq!(code(Some(Power::On), 0), 0);
        assert_eq!(code(Some(Power::Off), 0), 0);
        assert_eq!(code(Some(Power::On), 1), 1);
        assert_eq!(code(Some(Power::Off), 2), 1);
        assert_eq!(code(None, 0), 3);
        assert_eq!(code(None, 1), 3);
    }
}
