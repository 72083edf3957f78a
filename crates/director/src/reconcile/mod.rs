//! A catalog that may have gone back in time (DESIGN §4 "Reconciliation"): an asynchronous replica was promoted, an old dump or
//! file was put back.
//!
//! At each activation every Storage Daemon is asked what it knows of this Director and catalog ([`ask`]). A sign that the catalog
//! has gone back ([`policy::reconcile::sign`]) makes it a reconciliation: a plan for each daemon, logged and executed in one
//! transaction ([`settle`]); jobs that only the daemon knows get their rows back ([`replay`]) and are adopted like any other.
//! Until it is over nothing is pruned, recycled or overwritten ([`Reconciliation::hold`]). Where there is no sign, only labels that were
//! being written are settled ([`labels`]).
//!
//! An activation does not wait for a daemon that does not answer. No job writes there before it was asked ([`before_use`]).

mod ask;
pub(crate) mod labels;
mod replay;
mod settle;

use crate::cluster::Seat;
use crate::error::DirectorError;
use crate::handle::{Director, lock};
use crate::peer::{Identity, Tries, chain};
pub(crate) use ask::held_volumes;
use ask::{Heard, Place};
use conf::DirectorConfig;
use conf::director::Storage;
use conf::messages::MessageType;
use lead::{LeaseCandidate, Lost};
use policy::reconcile::Doubt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use types::{ActivationId, CatalogId, Epoch, JobId};

/// How long an activation waits for answers when nothing says that the catalog has gone back, and when something does; not for one
/// that refuses the connection.
const FIRST_ROUND: Duration = Duration::from_secs(1);
const FIRST_ROUND_IN_DOUBT: Duration = Duration::from_secs(5);
/// How long a daemon may take later on, and how often one that does not answer is asked again.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How often a standby asks the Storage Daemons for epochs, and how long it waits for one.
const SCOUT_EVERY: Duration = Duration::from_secs(10);
const SCOUT_LIMIT: Duration = Duration::from_secs(5);
/// Rounds in which daemons may name ever higher epochs.
const ROUNDS_MAX: u32 = 4;

/// The switch of a test in which no Storage Daemon has heard of the one who follows.
pub(crate) const CUT_OFF: &str = "storages-not-asked";

/// How far the Storage Daemons have been asked in this activation, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Reconciliation {
    state: Mutex<State>,
    /// One asks at a time.
    turn: tokio::sync::Mutex<()>,
    /// Something was asked, or is to be adopted.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    has_begun: bool,
    asked: BTreeSet<Place>,
    /// Why some have not answered.
    silent: BTreeMap<Place, (String, String)>,
    /// That the catalog may have gone back, or has, and how that is known.
    doubt: Option<(Doubt, String)>,
    /// The highest JobId before this reconciliation.
    baseline: Option<JobId>,
    /// Jobs that are being replayed.
    waiting: BTreeSet<JobId>,
    /// Those of them that were found after the activation, and have yet to be adopted.
    to_adopt: Vec<JobId>,
    /// Jobs whose end an earlier life of the catalog knew.
    replayed: BTreeSet<JobId>,
}

impl Reconciliation {
    /// Why nothing may be pruned, recycled or overwritten now; none when it may.
    pub(crate) fn hold(&self) -> Option<String> {
        let state = lock(&self.state);
        if !state.has_begun {
            return Some("the Storage daemons have not been asked yet what they hold".to_owned());
        }
        let (doubt, why) = state.doubt.as_ref()?;
        let has = match doubt {
            Doubt::May => "may have",
            Doubt::Did => "has",
        };
        let mut open: Vec<String> = state
            .silent
            .values()
            .map(|(storage, why)| format!("Storage daemon {storage} has not been asked yet ({why})"))
            .collect();
        open.extend(state.waiting.iter().map(|job| format!("JobId {job} is being replayed")));
        let open = if open.is_empty() { String::new() } else { format!(": {}", open.join(", ")) };
        Some(format!("the catalog {has} gone back in time ({why}) and is being reconciled{open}"))
    }

    /// A job's end was known to the catalog before it went back, or its records were confirmed: its daemons and scripts are not
    /// asked for more than the journal.
    pub(crate) fn note_replayed(&self, job: JobId) {
        lock(&self.state).replayed.insert(job);
    }

    /// As [`Self::note_replayed`] was told.
    pub(crate) fn is_replayed(&self, job: JobId) -> bool {
        lock(&self.state).replayed.contains(&job)
    }

    fn is_asked(&self, place: &Place) -> bool {
        lock(&self.state).asked.contains(place)
    }

    fn doubt(&self) -> Option<Doubt> {
        lock(&self.state).doubt.as_ref().map(|(doubt, _)| *doubt)
    }

    /// Takes the graver of two doubts. Whether it is graver than before: then all have to be asked again.
    fn raise_doubt(&self, doubt: Doubt, why: String) -> bool {
        let mut state = lock(&self.state);
        let graver = state.doubt.as_ref().is_none_or(|(known, _)| *known < doubt);
        if graver {
            state.doubt = Some((doubt, why));
            state.asked.clear();
        }
        graver
    }

    fn note_silent(&self, place: &Place, storage: &str, why: String) {
        lock(&self.state).silent.insert(place.clone(), (storage.to_owned(), why));
    }

    fn note_asked(&self, place: &Place) {
        let mut state = lock(&self.state);
        state.silent.remove(place);
        state.asked.insert(place.clone());
    }

    fn first_waiting(&self) -> Option<JobId> {
        lock(&self.state).waiting.first().copied()
    }
}

/// Asks all Storage Daemons at an activation; `hint` says why the catalog may have gone back, where the engine thinks so.
/// Raises the epoch above any that a daemon knows.
///
/// # Errors
/// [`DirectorError::Catalog`]; [`DirectorError::NotActive`] when this activation has to give way to one in a higher epoch.
pub(crate) async fn begin(director: &Director, hint: Option<String>) -> Result<(), DirectorError> {
    let reconciliation = director.reconciliation();
    let _turn = reconciliation.turn.lock().await;
    let begun = settle::begun(director, hint).await?;
    {
        let mut state = lock(&reconciliation.state);
        state.baseline = begun.baseline;
        state.doubt = begun.doubt;
    }
    for _ in 0..ROUNDS_MAX {
        let limit = if reconciliation.doubt().is_some() { FIRST_ROUND_IN_DOUBT } else { FIRST_ROUND };
        if round(director, Tries::Once, limit, false).await? {
            break;
        }
    }
    lock(&reconciliation.state).has_begun = true;
    if let Some(why) = reconciliation.hold() {
        warn(director, &format!("{why}. Until that is over nothing is pruned, recycled or overwritten."));
    }
    Ok(())
}

/// Asks what has not been asked, adopts what is found then, and ends the reconciliation when there is nothing left to do.
pub(crate) async fn run(director: Director) {
    let reconciliation = director.reconciliation();
    loop {
        let is_over = match step(&director).await {
            Ok(is_over) => is_over,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "ask the Storage daemons what they hold");
                false
            }
        };
        let replay = async {
            match reconciliation.first_waiting() {
                // None when it has ended already.
                Some(job) => drop(director.wait(job).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = reconciliation.changed.notified() => {}
            () = replay => {}
            () = tokio::time::sleep(ASK_EVERY), if !is_over => {}
        }
    }
}

async fn step(director: &Director) -> Result<bool, DirectorError> {
    look(director).await?;
    let found = std::mem::take(&mut lock(&director.reconciliation().state).to_adopt);
    for job in found {
        crate::jobs::adopt::take_up_one(director, job).await?;
    }
    over(director).await
}

async fn look(director: &Director) -> Result<(), DirectorError> {
    let _turn = director.reconciliation().turn.lock().await;
    round(director, Tries::Once, ANSWER_LIMIT, true).await.map(drop)
}

/// Makes sure that a Storage was asked before a job writes there.
///
/// # Errors
/// As [`begin`]; [`DirectorError::Connect`] when it does not answer.
pub(crate) async fn before_use(director: &Director, storage: &Storage) -> Result<(), DirectorError> {
    let (reconciliation, place) = (director.reconciliation(), Place::of(storage));
    if reconciliation.is_asked(&place) {
        return Ok(());
    }
    let _turn = reconciliation.turn.lock().await;
    for _ in 0..ROUNDS_MAX {
        if reconciliation.is_asked(&place) {
            return Ok(());
        }
        round(director, Tries::Console, ANSWER_LIMIT, true).await?;
    }
    if reconciliation.is_asked(&place) {
        return Ok(());
    }
    let silent = lock(&reconciliation.state).silent.get(&place).cloned();
    let (peer, problem) = silent.unwrap_or_else(|| (storage.name.clone(), "it has not answered".to_owned()));
    Err(DirectorError::Connect {
        peer: format!("Storage daemon {peer}, to ask what it holds"),
        address: place.to_string(),
        problem,
    })
}

/// The Volumes that a Storage Daemon has, with the bytes that are safe on each; `None` of a stock one, which does not say.
///
/// # Errors
/// Why it does not answer, in words.
pub(crate) async fn volumes_at(
    director: &Director,
    storage: &Storage,
    limit: Duration,
) -> Result<Option<BTreeMap<String, u64>>, String> {
    let heard = ask::ask(director, storage, Tries::Soon, limit).await.map_err(|silent| silent.why)?;
    let volumes = heard.volumes.into_iter().map(|(name, entry)| (name, entry.bytes)).collect();
    Ok(heard.checks_epochs.then_some(volumes))
}

/// Asks all that were not asked yet, and does what follows. Whether that was all: otherwise there are reasons to ask again.
async fn round(
    director: &Director,
    tries: Tries,
    limit: Duration,
    is_late: bool,
) -> Result<bool, DirectorError> {
    let reconciliation = director.reconciliation();
    let mut asking = Vec::new();
    for storage in ask::places(&director.config()) {
        let place = Place::of(&storage);
        if !reconciliation.is_asked(&place) {
            let of = director.clone();
            let asked = tokio::spawn(async move { ask::ask(&of, &storage, tries, limit).await });
            asking.push((place, asked));
        }
    }
    let (mut heard, mut seen) = (Vec::new(), None);
    for (place, asked) in asking {
        match asked.await {
            Ok(Ok(answer)) => heard.push((place, answer)),
            Ok(Err(ask::Silent { storage, epoch: Some(epoch), why })) => {
                reconciliation.note_silent(&place, &storage, why);
                let said = format!("Storage daemon {storage} knows epoch {epoch}");
                seen = seen.max(Some((epoch, said)));
            }
            Ok(Err(ask::Silent { storage, epoch: None, why })) => {
                tracing::warn!(
                    storage,
                    why,
                    "this Storage daemon does not say what it holds; nothing is written there before"
                );
                reconciliation.note_silent(&place, &storage, why);
            }
            Err(error) => reconciliation.note_silent(&place, "", error.to_string()),
        }
    }
    if let Some((epoch, said)) = seen {
        outrun(director, epoch, &said, is_late).await?;
        reconciliation.raise_doubt(Doubt::Did, said);
        return Ok(false);
    }
    let baseline = lock(&reconciliation.state).baseline;
    if let Some(sign) = settle::first_sign(director, &heard, baseline).await?
        && reconciliation.raise_doubt(Doubt::Did, sign.to_string())
        && is_late
    {
        // Those that were asked before are asked again.
        return Ok(false);
    }
    reconcile(director, heard, is_late).await?;
    Ok(true)
}

/// A daemon knows a higher epoch.
async fn outrun(director: &Director, epoch: Epoch, said: &str, is_late: bool) -> Result<(), DirectorError> {
    tracing::warn!(%epoch, "{said}: the catalog has gone back in time, or another Director of this name has the same catalog");
    // By a lock the epoch is raised at once, but only where no job carries the old one yet.
    if is_late && director.guard().is_lock() {
        director.guard().end(Lost::Superseded(epoch));
        return Err(DirectorError::NotActive(said.to_owned()));
    }
    director.raise_epoch(epoch).await
}

/// Executes what follows from answers.
async fn reconcile(
    director: &Director,
    heard: Vec<(Place, Heard)>,
    is_late: bool,
) -> Result<(), DirectorError> {
    let reconciliation = director.reconciliation();
    settle::note_makes(director, &heard).await?;
    for (place, heard) in heard {
        if let Some(doubt) = reconciliation.doubt() {
            let baseline = lock(&reconciliation.state).baseline;
            let settled = settle::settle(director, heard, doubt, baseline).await?;
            {
                let mut state = lock(&reconciliation.state);
                state.baseline = Some(settled.baseline);
                state.waiting.extend(&settled.replayed);
                state.replayed.extend(&settled.replayed);
                if is_late {
                    state.to_adopt.extend(settled.replayed);
                }
            }
            warn(director, &settled.said);
        } else {
            for said in labels::settle(director, &place, &heard).await? {
                warn(director, &said);
            }
        }
        reconciliation.note_asked(&place);
        reconciliation.changed.notify_one();
    }
    Ok(())
}

/// Whether there is nothing left to do; then the catalog forgets that there was.
async fn over(director: &Director) -> Result<bool, DirectorError> {
    let reconciliation = director.reconciliation();
    let has_doubt = {
        let mut state = lock(&reconciliation.state);
        if !state.to_adopt.is_empty() {
            return Ok(false);
        }
        state.waiting.retain(|job| director.registry().get(*job).is_some());
        // A Storage that was taken out of the configuration is not waited for.
        let places: BTreeSet<Place> = ask::places(&director.config()).iter().map(Place::of).collect();
        state.silent.retain(|place, _| places.contains(place));
        if !state.waiting.is_empty() || !places.iter().all(|place| state.asked.contains(place)) {
            return Ok(false);
        }
        state.doubt.is_some()
    };
    if has_doubt {
        settle::forget(director).await?;
        let mut state = lock(&reconciliation.state);
        (state.doubt, state.baseline) = (None, None);
        drop(state);
        warn(
            director,
            "the catalog is reconciled with all Storage daemons. Volumes that were set Read-Only stay so: look at them \
             (list volumes), and give them back with \"update volume=NAME volstatus=Used\" when you know what is on them.",
        );
    }
    Ok(true)
}

/// As whom a standby asks.
fn scouting(instance: &str, catalog: CatalogId) -> Identity {
    let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
    Identity { epoch: Epoch(0), activation, catalog, instance: instance.to_owned() }
}

/// Lets a standby hear what epochs the Storage Daemons know, as long as it stands by (DESIGN §2.5): a catalog that has gone back
/// is known for one before anything is taken over on its word.
pub(crate) async fn scout(seat: Seat, catalog: CatalogId, lease: Arc<LeaseCandidate>) {
    let identity = scouting(seat.instance(), catalog);
    loop {
        let seen = ask::scout(&seat.config(), &identity, SCOUT_LIMIT).await.epoch;
        if seen > Epoch(0) {
            lease.heard(seen).await;
        }
        tokio::time::sleep(SCOUT_EVERY).await;
    }
}

/// Which Storage Daemons check epochs, by the name of the Storage; those that do not answer soon are left out.
pub(crate) async fn checking(
    config: &DirectorConfig,
    instance: &str,
    catalog: CatalogId,
) -> BTreeMap<String, bool> {
    ask::scout(config, &scouting(instance, catalog), SCOUT_LIMIT).await.checks
}

/// Told in the log and to the operator.
fn warn(director: &Director, text: &str) {
    tracing::warn!("{text}");
    director.messages().daemon(MessageType::Warning, text);
}
