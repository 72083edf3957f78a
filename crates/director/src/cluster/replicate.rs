//! The active instance brings its configuration to the standbys: when it becomes active, after each reload, and when one of
//! them comes (back).

use super::line::Line;
use super::offer::{Answer, Offer, PART_BYTES, SET_BYTES_MAX, SET_FILES_MAX};
use super::seat::Seat;
use crate::configuration::{Configuration, Origin, short};
use crate::handle::Director;
use conf::director::Instance;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often an instance that cannot be reached is tried again.
const REACH_EVERY: Duration = Duration::from_secs(2);
/// How often an instance that is there is asked whether it still has the same.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long one answer may take; the standby checks and writes all files within one.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Serves all other instances of the configuration for as long as this Director is active.
pub(crate) async fn run(seat: Seat, director: Director) {
    let mut served: HashMap<String, (Instance, tokio::task::AbortHandle)> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut reloaded = director.watch_configuration();
    loop {
        let configuration = Arc::clone(&*reloaded.borrow_and_update());
        let peers = &configuration.config.instances;
        served.retain(|_, (peer, task)| {
            let stays = peers.contains(peer);
            if !stays {
                task.abort();
            }
            stays
        });
        for peer in peers.iter().filter(|peer| peer.name != seat.instance()) {
            if !served.contains_key(&peer.name) {
                let task = tasks.spawn(serve(seat.clone(), director.clone(), peer.clone()));
                served.insert(peer.name.clone(), (peer.clone(), task));
            }
        }
        if reloaded.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps one other instance up to date.
async fn serve(seat: Seat, director: Director, peer: Instance) {
    let mut reloaded = director.watch_configuration();
    let mut last = None;
    loop {
        match Line::open(&seat, &peer).await {
            Ok(mut line) => loop {
                let configuration = Arc::clone(&*reloaded.borrow_and_update());
                let answer = bring(&seat, &director, &configuration, &mut line).await;
                note(&peer, &configuration, &answer, &mut last);
                if answer.is_err() {
                    break;
                }
                tokio::select! {
                    () = line.ended() => break,
                    changed = reloaded.changed() => if changed.is_err() {
                        return line.close().await;
                    },
                    () = tokio::time::sleep(ASK_EVERY) => {}
                }
            },
            Err(error) => tracing::debug!(instance = peer.name, error, "not reached with the configuration"),
        }
        tokio::time::sleep(REACH_EVERY).await;
    }
}

/// Says what is new.
fn note(
    peer: &Instance,
    configuration: &Configuration,
    answer: &Result<Answer, String>,
    last: &mut Option<(String, Answer)>,
) {
    let answer = match answer {
        Ok(answer) => (configuration.hash.clone(), answer.clone()),
        Err(error) => return tracing::debug!(instance = peer.name, error, "the way to an instance broke"),
    };
    if last.as_ref() == Some(&answer) {
        return;
    }
    let (instance, hash) = (&peer.name, short(&configuration.hash));
    match &answer.1 {
        Answer::Same | Answer::Send | Answer::More => {
            tracing::info!(instance, hash, "it has the same configuration");
        }
        Answer::Taken => tracing::info!(instance, hash, "it has taken the configuration over"),
        Answer::Differs { why } => tracing::warn!(instance, hash, "it has another configuration: {why}"),
        Answer::Refused { why } => tracing::warn!(instance, hash, "it refused the configuration: {why}"),
    }
    *last = Some(answer);
}

/// Offers the configuration and sends the files when they are wanted.
async fn bring(
    seat: &Seat,
    director: &Director,
    configuration: &Configuration,
    line: &mut Line,
) -> Result<Answer, String> {
    let guard = director.guard();
    guard.check().map_err(|lost| lost.to_string())?;
    let activation = guard.activation().to_string();
    let offer = Offer::of(configuration, seat.instance(), guard.epoch().0, activation);
    if offer.file_bytes() > SET_BYTES_MAX || offer.texts.len() > SET_FILES_MAX {
        return Ok(Answer::Refused {
            why: format!(
                "more than {SET_FILES_MAX} files or {} MiB are not sent; copy them by other means",
                SET_BYTES_MAX >> 20
            ),
        });
    }
    let text = serde_json::to_string(&offer).map_err(|error| error.to_string())?;
    let answer = ask(line, &format!(".config offer {text}")).await?;
    if answer != Answer::Send {
        return Ok(answer);
    }
    let files = configuration.texts().iter().filter(|text| !matches!(text.from, Origin::Program(_)));
    for part in files.flat_map(|text| text.bytes.chunks(PART_BYTES)) {
        let answer = ask(line, &format!(".config part {}", hex::encode(part))).await?;
        if answer != Answer::More {
            return Ok(answer);
        }
    }
    guard.check().map_err(|lost| lost.to_string())?;
    ask(line, ".config commit").await
}

async fn ask(line: &mut Line, command: &str) -> Result<Answer, String> {
    let said = line.ask(command, ANSWER_LIMIT).await?;
    // An older instance says that it does not know the command.
    serde_json::from_slice(&said)
        .map_err(|_| format!("it answered \"{}\"", String::from_utf8_lossy(&said).trim()))
}
