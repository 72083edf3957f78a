//! Catalog requests of Storage Daemons (spec/03 §3, docs/extensions.md §4).
//!
//! [`CatalogService`] makes one [`CatalogSession`] per job and Storage connection. The job's connection loop hands it every
//! packet; it answers requests, collects attributes in bounded batches, and gives back what is not its business (messages,
//! status, end lines). A stock SD's packets and a Holdfast SD's journal records take the same path; records also carry a
//! sequence number, whose position is committed with their effect, and their answers are stored.
//!
//! ```text
//! loop {
//!     let handled = session.handle(&packet).await?;
//!     for line in &handled.replies { connection.send(line) }       // Ack, Ans, 1000 OK …
//!     for note in &handled.notes { messages.info(note) }
//!     if let Verdict::Pass(payload) = handled.verdict { /* Jmsg, Status, Ckpt, 3010, 3099 … */ }
//! }
//! session.finish(|tx| job::end(tx, …)).await?                      // last batch and the job's end in one transaction
//! ```

mod attributes;
mod batch;
mod find;
mod names;
mod prune;
mod reply;
mod request;
pub mod resources;
mod rules;
mod session;
mod volumes;

pub use prune::{delete_jobs, execute_volume_prune, mark_purged};
pub use request::fuzz_decode;
pub use rules::VolumeRules;
pub(crate) use rules::storages_of_changer;
pub use session::{CatalogSession, Handled, Note, Verdict};

use catalog::{Catalog, CatalogError};
use lead::EpochGuard;
use std::sync::Arc;
use types::{Attempt, JobId, JobLevel, JobType, StorageId, Timestamp};
use wire::version::SdVersion;

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CatReqError {
    /// The catalog did not take it. What was not acknowledged is sent again by a Holdfast SD.
    #[error("catalog")]
    Catalog(#[from] CatalogError),
    /// The SD sent what cannot be understood.
    #[error("storage daemon \"{storage}\" sent a bad catalog request: {problem}")]
    Protocol {
        /// Storage resource.
        storage: String,
        /// What is wrong.
        problem: String,
    },
    /// The catalog has closed this attempt: `Closed` is the answer, the job ends on the SD.
    #[error("attempt {attempt} of JobId {job} is closed")]
    Closed {
        /// Job.
        job: JobId,
        /// Attempt.
        attempt: Attempt,
    },
}

/// The job that a session serves. For a copy, each of its two SD connections has a session with its own job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobContext {
    /// Job whose rows are written.
    pub job_id: JobId,
    /// Its unique name.
    pub unique_name: String,
    /// Name of the Job resource.
    pub name: String,
    /// What it is.
    pub job_type: JobType,
    /// How much it takes.
    pub level: JobLevel,
    /// Attempt, as granted by the catalog.
    pub attempt: Attempt,
    /// Name of the Client resource; empty without one.
    pub client: String,
    /// Pool that is written to (a FindMedia names it too).
    pub pool: String,
    /// Storage resource of this connection.
    pub storage: String,
    /// Its row.
    pub storage_id: StorageId,
    /// Number that the SD announced.
    pub sd_version: SdVersion,
    /// Whether the additions to the protocol are on.
    pub holdfast: bool,
    /// Start of the job: FirstWritten of a Volume whose SD does not tell it.
    pub start_time: Timestamp,
    /// Prune Volumes of the Job or Auto Prune of the Pool: a FindMedia may prune.
    pub prune_volumes: bool,
    /// Store File rows (Catalog Files of the Pool).
    pub catalog_files: bool,
}

/// Makes sessions. Cheap to clone.
#[derive(Clone)]
pub struct CatalogService {
    shared: Arc<Shared>,
}

/// Whether no Volume may be pruned or recycled now.
pub type IsHeld = Arc<dyn Fn() -> bool + Send + Sync>;

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

struct Shared {
    catalog: Catalog,
    guard: EpochGuard,
    rules: VolumeRules,
    is_held: Option<IsHeld>,
    clock: WallClock,
}

impl Shared {
    fn is_held(&self) -> bool {
        self.is_held.as_ref().is_some_and(|is_held| is_held())
    }
}

impl CatalogService {
    /// For an active Director with its configuration's rules on Volumes; a reload makes a new service.
    #[must_use]
    pub fn new(catalog: Catalog, guard: EpochGuard, rules: VolumeRules) -> Self {
        let clock = Arc::new(|| Timestamp(jiff::Timestamp::now().as_second()));
        Self::on_clock(catalog, guard, rules, clock)
    }

    /// [`Self::new`] with another clock.
    #[must_use]
    pub fn on_clock(catalog: Catalog, guard: EpochGuard, rules: VolumeRules, clock: WallClock) -> Self {
        Self { shared: Arc::new(Shared { catalog, guard, rules, is_held: None, clock }) }
    }

    /// Prunes and recycles nothing while that is so.
    #[must_use]
    pub fn held_while(self, is_held: IsHeld) -> Self {
        let (catalog, guard) = (self.shared.catalog.clone(), self.shared.guard.clone());
        let (rules, clock) = (self.shared.rules.clone(), Arc::clone(&self.shared.clock));
        Self { shared: Arc::new(Shared { catalog, guard, rules, is_held: Some(is_held), clock }) }
    }

    /// Begins to serve a connection, also one that is taken over: with a journal it starts behind the committed position.
    ///
    /// # Errors
    /// [`CatReqError::Catalog`].
    pub async fn open(&self, context: JobContext) -> Result<CatalogSession, CatReqError> {
        CatalogSession::open(Arc::clone(&self.shared), context).await
    }
}
