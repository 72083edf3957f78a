//! What one instance says of itself: `.instance`, asked as the default console.

use std::time::Duration;

use conf::DirectorConfig;
use net::{NetError, Session, Target};
use serde::Deserialize;
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::{DEFAULT_CONSOLE, Hello};
use wire::version::ConsoleVersion;

use super::place::Place;

/// How long an instance may take, from the call to its answer.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest answer taken, in bytes.
const ANSWER_MAX: usize = 1024 * 1024;

/// An instance's answer. Fields that its version does not have yet are taken for absent, those of later ones are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Word {
    /// Its name by its own account.
    pub(crate) instance: String,
    /// `active`, `standby`, `held back`.
    pub(crate) role: String,
    /// The epoch it is active in.
    #[serde(default)]
    pub(crate) epoch: Option<u64>,
    /// Jobs queued or running.
    #[serde(default)]
    pub(crate) jobs: usize,
    /// Version of its program.
    #[serde(default)]
    pub(crate) version: String,
    /// Whether it switches the former active instance off before it follows it, and why.
    #[serde(default)]
    pub(crate) fence: Option<String>,
    /// Why it prunes, recycles and overwrites nothing: the catalog is being reconciled.
    #[serde(default)]
    pub(crate) held: Option<String>,
    /// Hash of its configuration.
    #[serde(default)]
    pub(crate) config: String,
    /// Why it did not take the active instance's configuration over.
    #[serde(default)]
    pub(crate) config_refused: Option<String>,
    /// Why it does not become active with the configuration that it has.
    #[serde(default)]
    pub(crate) config_held_back: Option<String>,
    /// Storages with their cold spares, of an active instance.
    #[serde(default)]
    pub(crate) storage_pairs: Vec<Pair>,
}

/// A Storage and its cold spare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Pair {
    /// Which of them serves.
    pub(crate) serving: String,
    /// Which of them rests.
    pub(crate) resting: String,
    /// The storage epoch since which that is so.
    pub(crate) storage_epoch: u64,
}

/// Asks one instance; the error is one line.
pub(super) async fn ask(config: &DirectorConfig, place: &Place) -> Result<Word, String> {
    ask_within(config, place, LIMIT).await
}

/// As [`ask`], with a limit of the caller's.
pub(crate) async fn ask_within(
    config: &DirectorConfig,
    place: &Place,
    limit: Duration,
) -> Result<Word, String> {
    let said = command(config, place, ".instance", limit).await?;
    // A Director that is not Holdfast's says that it does not know the command.
    serde_json::from_str(&said).map_err(|_| format!("it answered \"{}\" to .instance", one_line(&said)))
}

/// What an instance answers to one command of the default console; the error is one line.
pub(crate) async fn command(
    config: &DirectorConfig,
    place: &Place,
    command: &str,
    limit: Duration,
) -> Result<String, String> {
    match tokio::time::timeout(limit, answer(config, place, command)).await {
        Ok(answer) => answer,
        Err(_) => {
            let (address, port, limit) = (&place.address, place.port, limit.as_secs_f32());
            Err(format!("no answer from {address}:{port} in {limit} s"))
        }
    }
}

async fn answer(config: &DirectorConfig, place: &Place, command: &str) -> Result<String, String> {
    let director = &config.director;
    let tls = console::client_tls(&director.tls).map_err(|error| format!("{error:#}"))?;
    let session = Session::new("holdfast-ha", Secret::from_configured(&director.password), tls);
    let session = session.for_host(&place.address);
    let target = Target::new(place.address.as_str(), place.port);
    let hello = Hello::Console { name: DEFAULT_CONSOLE.to_owned(), version: ConsoleVersion::CURRENT };
    let stream = net::connect(&target).await.map_err(explain)?;
    let conn = net::open(stream, hello, &session).await.map_err(explain)?;
    let (mut reader, mut writer, _) = conn.split();
    writer.send(format!("{command}\n")).await.map_err(explain)?;
    let mut said = Vec::new();
    loop {
        match reader.recv().await.map_err(explain)? {
            Packet::Data(data) if said.len() + data.len() <= ANSWER_MAX => said.extend_from_slice(&data),
            Packet::Data(_) => return Err("its answer is too long".to_owned()),
            Packet::Signal(Signal::Eod | Signal::Terminate) => break,
            Packet::Signal(_) => {}
        }
    }
    writer.terminate().await;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The chain of causes in one line, and what to do where that is known.
fn explain(error: NetError) -> String {
    let hint = error.is_authentication().then_some("; compare Password and TLS of its Director resource");
    let text = format!("{:#}", anyhow::Error::new(error));
    format!("{}{}", one_line(&text), hint.unwrap_or_default())
}

pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
