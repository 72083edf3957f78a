//! `holdfast ha status`: the instances' own words, and one verdict for people and monitors.

mod ask;
mod place;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use conf::DirectorConfig;

use crate::configuration::{self, File};
use crate::drill::history;
use crate::drill::record::Drill;
use crate::exit::Exit;
use crate::output::{complain, say};
use ask::{Pair, ask};
pub(crate) use ask::{Word, ask_within, command, one_line};
pub(crate) use place::{Place, places};
pub(crate) use verdict::{Asked, Grade, is_active, verdict};

const AFTER: &str = "\
Each instance of the configuration is asked at its Address and Dir Port, as the default console (with the Password and \
TLS of the Director resource), for at most 5 seconds. A Director without a Cluster is asked whether it is active.

With --check, one line for a monitor and its exit code:
  0  OK        one instance is active, all others stand by with the same configuration
  1  WARNING   one is active; a standby is missing or held back, or its configuration is another one
  2  CRITICAL  no instance is active, or more than one is
  3  UNKNOWN   the configuration cannot be read
Without it, a line for each instance, one for each Storage with a cold spare, one for the last `holdfast ha drill` of each \
scenario, and the verdict; the exit codes are the same. With --json, one JSON object with the same.

Examples:
  holdfast ha status --check
  holdfast ha status -c /etc/bacula/bacula-dir.conf";

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// One line and an exit code for a monitor
    #[arg(long)]
    check: bool,
    /// One JSON object: `grade`, `text`, `instances`, `drills`
    #[arg(long, conflicts_with = "check")]
    json: bool,
    /// History of drills (default: in the Working Directory)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    #[command(flatten)]
    file: File,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let config = match configuration::load(&args.file.path) {
        Ok(config) => Arc::new(config),
        Err(error) => {
            let why = one_line(&format!("{error:#}"));
            if args.json {
                say(json(Grade::Unknown, &why, &[], &[]))?;
            } else {
                say(format_args!("{}: {why}", Grade::Unknown))?;
            }
            return Ok(Exit::Unknown);
        }
    };
    let asked = survey(&config)?;
    let (grade, text) = verdict(&asked);
    if args.json {
        say(json(grade, &text, &asked, &drills(&config, args)))?;
        return Ok(grade.into());
    }
    if !args.check {
        say(format_args!("Director \"{}\"", config.director.name))?;
        for (place, word) in &asked {
            say(format_args!("  {}", line(place, word)))?;
        }
        let leader = asked.iter().find(|one| is_active(one)).and_then(|(_, word)| word.as_ref().ok());
        for pair in leader.iter().flat_map(|word| &word.storage_pairs) {
            let Pair { serving, resting, storage_epoch } = pair;
            say(format_args!(
                "  Storage \"{serving}\" serves, \"{resting}\" rests, since storage epoch {storage_epoch}"
            ))?;
        }
        for drill in drills(&config, args) {
            say(format_args!("  {}", history::line(&drill)))?;
        }
    }
    say(format_args!("{grade}: {text}"))?;
    Ok(grade.into())
}

/// The last drill of each scenario. A history that cannot be read does not change what the instances say.
fn drills(config: &DirectorConfig, args: &Args) -> Vec<Drill> {
    let path = args.history.clone().unwrap_or_else(|| history::path(config));
    match history::last(&path) {
        Ok(last) => last.into_values().collect(),
        Err(error) => {
            complain(format_args!("The drills are not shown: {error:#}"));
            Vec::new()
        }
    }
}

fn json(grade: Grade, text: &str, asked: &[Asked], drills: &[Drill]) -> serde_json::Value {
    let instance = |(place, word): &Asked| match word {
        Ok(word) => serde_json::json!({
            "instance": place.name, "address": place.address, "port": place.port, "role": word.role,
            "epoch": word.epoch, "jobs": word.jobs, "version": word.version,
        }),
        Err(why) => serde_json::json!({
            "instance": place.name, "address": place.address, "port": place.port, "unreachable": why,
        }),
    };
    serde_json::json!({
        "grade": grade.to_string(),
        "text": text,
        "instances": asked.iter().map(instance).collect::<Vec<_>>(),
        "drills": drills,
    })
}

/// The word of each instance, or why there is none.
///
/// # Errors
/// When the runtime cannot be started.
pub(crate) fn survey(config: &Arc<DirectorConfig>) -> Result<Vec<Asked>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start the runtime")?;
    let asked = runtime.block_on(look(config));
    // A name that is still being looked up does not hold the answer back.
    runtime.shutdown_background();
    Ok(asked)
}

/// As [`survey`], where a runtime runs already.
pub(crate) async fn look(config: &Arc<DirectorConfig>) -> Vec<Asked> {
    let asked = ask_all(config).await;
    // The role may have moved between two answers; what stays is a fault.
    if asked.iter().filter(|one| is_active(one)).count() > 1 { ask_all(config).await } else { asked }
}

/// Asks all instances at once.
async fn ask_all(config: &Arc<DirectorConfig>) -> Vec<Asked> {
    let mut tasks = Vec::new();
    for place in places(config) {
        let (config, to) = (Arc::clone(config), place.clone());
        tasks.push((place, tokio::spawn(async move { ask(&config, &to).await })));
    }
    let mut asked = Vec::new();
    for (place, task) in tasks {
        let word = task.await.unwrap_or_else(|error| Err(format!("ask it: {error}")));
        let word = word.and_then(|word| is_itself(&place, word));
        asked.push((place, word));
    }
    asked
}

/// Whether the instance that answers is the one that the configuration has there. One that stands alone has no name to go by.
fn is_itself(place: &Place, word: Word) -> Result<Word, String> {
    if place.alone || word.instance == place.name {
        return Ok(word);
    }
    Err(format!("instance {} answers at {}:{}", word.instance, place.address, place.port))
}

/// One instance for people.
fn line(place: &Place, word: &Result<Word, String>) -> String {
    let Place { name, address, port, .. } = place;
    match word {
        Ok(word) => {
            let epoch = word.epoch.map(|epoch| format!(", epoch {epoch}")).unwrap_or_default();
            let fence = word.fence.as_ref().map(|fence| format!(", fence {fence}")).unwrap_or_default();
            let (role, jobs, version) = (&word.role, word.jobs, &word.version);
            format!("{name} ({address}:{port}): {role}{epoch}, jobs {jobs}, version {version}{fence}")
        }
        Err(why) => format!("{name} ({address}:{port}): unreachable: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_at_the_place_of_another_is_told() {
        let place = Place { name: "b".into(), address: "10.1.0.1".into(), port: 9101, alone: false };
        let word = Word { instance: "c".into(), role: "active".into(), ..Word::default() };
        let why = is_itself(&place, word.clone()).unwrap_err();
        assert_eq!(why, "instance c answers at 10.1.0.1:9101");
        is_itself(&Place { alone: true, ..place }, word).unwrap();
    }
}
