//! A standby is offered the configuration of the active instance.

use super::offer::{Answer, Offer, SET_BYTES_MAX, SET_FILES_MAX};
use super::seat::{Role, Seat};
use crate::configuration::{Configuration, Text, short};

/// What one connection has brought so far.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    set: Option<(Offer, Vec<u8>)>,
}

impl Incoming {
    /// Answers `.config` and what stands behind it.
    pub(super) async fn answer(&mut self, seat: &Seat, words: &str) -> Answer {
        let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
        let answered = match verb {
            "offer" => self.offer(seat, rest).await,
            "part" => self.part(rest),
            "commit" => self.commit(seat).await,
            _ => Err("it is .config offer, part or commit".to_owned()),
        };
        answered.unwrap_or_else(|why| Answer::Refused { why })
    }

    async fn offer(&mut self, seat: &Seat, text: &str) -> Result<Answer, String> {
        self.set = None;
        let offer: Offer = serde_json::from_str(text).map_err(|error| format!("the offer: {error}"))?;
        admit(seat, &offer)?;
        // Said in the log when it is new.
        let edited = seat.edited().await;
        let own = seat.configuration();
        let answer = if own.hash == offer.hash || (!edited.is_empty() && is_on_disk(seat, &offer).await) {
            Answer::Same
        } else if !own.config.director.replicate_configuration {
            Answer::Differs { why: differs(&own, &offer) }
        } else if let Some(why) = seat.refused(&offer.hash) {
            Answer::Refused { why }
        } else {
            // Until it is taken over, the catalog knows that this is not the last one's configuration.
            self.set = Some((offer, Vec::new()));
            return Ok(Answer::Send);
        };
        seat.expect_configuration(&offer.hash, &offer.instance);
        Ok(answer)
    }

    fn part(&mut self, text: &str) -> Result<Answer, String> {
        let Some((offer, bytes)) = &mut self.set else {
            return Err("no files are expected; offer them first".to_owned());
        };
        let part = hex::decode(text.trim()).map_err(|error| format!("a part: {error}"))?;
        if (bytes.len() + part.len()) as u64 > offer.file_bytes() {
            self.set = None;
            return Err("the files are longer than was offered".to_owned());
        }
        bytes.extend_from_slice(&part);
        Ok(Answer::More)
    }

    async fn commit(&mut self, seat: &Seat) -> Result<Answer, String> {
        let (offer, bytes) = self.set.take().ok_or("no files are expected; offer them first")?;
        let texts = offer.cut(&bytes)?;
        // Another one may have become active meanwhile.
        admit(seat, &offer)?;
        let taken = take(seat, &offer, texts).await;
        seat.expect_configuration(&offer.hash, &offer.instance);
        match taken {
            Ok(()) => Ok(Answer::Taken),
            Err(why) => {
                tracing::error!(instance = offer.instance, "the configuration was not taken over: {why}");
                seat.refuse(&offer.hash, &why);
                Err(why)
            }
        }
    }
}

/// Whether the one that offers may.
fn admit(seat: &Seat, offer: &Offer) -> Result<(), String> {
    if !seat.is_clustered() {
        return Err("this Director stands alone: its configuration has no Cluster resource".to_owned());
    }
    if let Role::Active(director) = seat.role() {
        return Err(format!("instance {} is active itself, in epoch {}", seat.instance(), director.epoch()));
    }
    if offer.texts.len() > SET_FILES_MAX || offer.file_bytes() > SET_BYTES_MAX {
        return Err(format!("at most {SET_FILES_MAX} files and {} MiB are taken", SET_BYTES_MAX >> 20));
    }
    seat.hear(offer.epoch, &offer.activation)
}

/// Whether the files here say the same already, by whatever brought them (a shared or replicated file system): then they are
/// loaded.
async fn is_on_disk(seat: &Seat, offer: &Offer) -> bool {
    let (files, own, instance) = (seat.files().clone(), seat.configuration(), seat.instance().to_owned());
    let hash = offer.hash.clone();
    let read = tokio::task::spawn_blocking(move || {
        let new = files.read().ok()?;
        (new.hash == hash && own.keeps(&new, &instance).is_ok()).then_some(new)
    });
    let Ok(Some(new)) = read.await else { return false };
    tracing::info!(hash = short(&new.hash), "the files here are those of the active instance; loaded");
    seat.load_standby(new);
    true
}

/// Checks the set wholly, puts its files in place and loads it.
async fn take(seat: &Seat, offer: &Offer, texts: Vec<Text>) -> Result<(), String> {
    let (files, offered, own, instance) =
        (seat.files().clone(), offer.clone(), seat.configuration(), seat.instance().to_owned());
    let took = tokio::task::spawn_blocking(move || {
        let new = files.check(&texts)?;
        own.keeps(&new, &instance)?;
        if new.hash != offered.hash {
            return Err(disagreement(&new, &offered));
        }
        let edited = files.edited(&own);
        let replaced = super::install::install(&files, &texts)?;
        for file in edited.iter().filter(|file| replaced.contains(file)) {
            tracing::warn!(file = %file.display(), "edited here on the side and replaced; the edit is in FILE.previous");
        }
        Ok((new, replaced))
    });
    let (new, replaced) = took.await.map_err(|error| error.to_string())??;
    for line in seat.configuration().difference(&new) {
        tracing::info!("configuration: {line}");
    }
    tracing::info!(
        from = offer.instance,
        epoch = offer.epoch,
        hash = short(&new.hash),
        files = replaced.len(),
        "configuration of the active instance taken over"
    );
    seat.load_standby(new);
    Ok(())
}

/// Why the same files say something else here.
fn disagreement(new: &Configuration, offer: &Offer) -> String {
    let other = new.texts().iter().find_map(|text| {
        let sent = offer.texts.iter().find(|sent| sent.origin() == text.from)?;
        (sent.sha256 != text.sha256()).then_some(sent.program.as_deref()?)
    });
    let why = match other {
        Some(program) => format!("the program `{program}` has another output here"),
        None => "environment, programs or version differ".to_owned(),
    };
    format!(
        "the files give configuration {} here and {} at instance {}: {why}",
        short(&new.hash),
        short(&offer.hash),
        offer.instance
    )
}

fn differs(own: &Configuration, offer: &Offer) -> String {
    format!(
        "configuration {} here, {} at the active instance {}; copy its files and reload, or set Replicate Configuration",
        short(&own.hash),
        short(&offer.hash),
        offer.instance
    )
}
