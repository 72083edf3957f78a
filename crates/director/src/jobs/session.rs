//! A job's sessions with its daemons: opening them and the commands that all types of jobs share (spec/01 §5.3, §5.4).

use super::job::Job;
use super::outcome::{FdEnd, SdEnd};
use super::traffic::{ClientLedger, ClientTraffic, SessionBack, StorageTraffic};
use crate::catreq::JobContext;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{Answer, ClientConn, Peer, PeerError, StorageConn, Tries, chain};
use crate::reconcile;
use policy::plan::{JobPlan, StoragePlan};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, JobStatus, JobType, Seq, VolSession, bash_spaces};
use wire::frame::Signal;
use wire::scan::{self, Fields};
use wire::version::{FdVersion, SdVersion};

/// How long the other daemon may take to notice that its partner is gone.
pub(crate) const AFTER_LOSS: Duration = Duration::from_secs(30);
/// How long a Storage Daemon may take to take a job on where there is another one.
pub(crate) const ANSWERS_SOON: Duration = Duration::from_secs(5);
/// How long daemons may take to end after a cancel.
const AFTER_CANCEL: Duration = Duration::from_secs(20);

/// Why a job goes no further. The text is for its log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Fail {
    pub(crate) status: JobStatus,
    pub(crate) text: String,
}

impl Fail {
    pub(crate) fn fatal(text: impl Into<String>) -> Self {
        Self { status: JobStatus::FatalError, text: text.into() }
    }
}

impl From<PeerError> for Fail {
    fn from(error: PeerError) -> Self {
        Self::fatal(error.to_string())
    }
}

impl From<DirectorError> for Fail {
    fn from(error: DirectorError) -> Self {
        Self::fatal(chain(&error))
    }
}

impl From<catalog::CatalogError> for Fail {
    fn from(error: catalog::CatalogError) -> Self {
        Self::fatal(format!("Catalog: {}", chain(&error)))
    }
}

/// A job's session with a Storage Daemon.
pub(crate) struct SdSession {
    pub(crate) peer: Peer,
    pub(crate) version: SdVersion,
    pub(crate) session: VolSession,
    /// Secret between SD and FD for this job.
    pub(crate) key: String,
    pub(crate) storage: StoragePlan,
    /// The catalog's side of the session, once the SD has ended.
    pub(crate) back: Option<SessionBack>,
    pub(crate) ssl: u32,
    /// It keeps a journal of the job, and can be attached to.
    pub(crate) holdfast: bool,
}

/// A job's session with a File Daemon.
pub(crate) struct FdSession {
    pub(crate) peer: Peer,
    pub(crate) version: FdVersion,
    pub(crate) holdfast: bool,
    pub(crate) ssl: u32,
    /// What the FD says of itself.
    pub(crate) uname: String,
    /// Last journal record taken from a Holdfast FD.
    pub(crate) last: Arc<AtomicU64>,
}

/// What a catalog session is to know of a job.
pub(crate) async fn context(
    director: &Director,
    job: &Job,
    plan: &JobPlan,
    attempt: Attempt,
    storage: &str,
    version: SdVersion,
    holdfast: bool,
) -> Result<JobContext, Fail> {
    let name = storage.to_owned();
    let row = director.catalog().read(move |r| catalog::storage::get_by_name(r, &name)).await?;
    let start = job.live().start_time.unwrap_or_else(crate::text::now);
    Ok(JobContext {
        job_id: job.id,
        unique_name: job.unique.clone(),
        name: plan.job.clone(),
        job_type: if plan.is_written_copy() { JobType::Backup } else { plan.job_type },
        level: plan.level,
        attempt,
        client: plan.client.name.clone(),
        pool: plan.pool.name.clone(),
        storage: storage.to_owned(),
        storage_id: row.map(|row| row.id).unwrap_or_default(),
        sd_version: version,
        holdfast,
        start_time: start,
        prune_volumes: plan.prune.volumes,
        catalog_files: plan.pool.catalog_files,
    })
}

/// Calls the SD and starts the job there.
pub(crate) async fn open_storage(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    storage: &StoragePlan,
) -> Result<SdSession, Fail> {
    open_storage_as(director, job, &job.plan(), attempt, storage).await
}

/// As [`open_storage`], for a Storage in whose place another one will do: one that does not answer soon is passed over.
pub(crate) async fn open_storage_soon(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    storage: &StoragePlan,
) -> Result<SdSession, Fail> {
    let opening = open_storage(director, job, attempt, storage);
    match tokio::time::timeout(ANSWERS_SOON, opening).await {
        Ok(opened) => opened,
        Err(_) => Err(Fail::fatal(format!(
            "Storage daemon {} did not answer within {} s",
            storage.name,
            ANSWERS_SOON.as_secs()
        ))),
    }
}

/// As [`open_storage`], by another plan than the job's own.
pub(crate) async fn open_storage_as(
    director: &Director,
    job: &Arc<Job>,
    plan: &JobPlan,
    attempt: Attempt,
    storage: &StoragePlan,
) -> Result<SdSession, Fail> {
    let config = director.config();
    let resource = config
        .storage(&storage.name)
        .ok_or_else(|| Fail::fatal(format!("Storage \"{}\" is no longer configured", storage.name)))?;
    let links = director.links();
    let link = links.storage(resource)?;
    let ssl = link.tls_needs.certificates.number();
    let opened = links.open_storage(&link, Tries::Configured).await?;
    if plan.job_type != JobType::Restore {
        reconcile::before_use(director, resource).await?;
    }
    job.hold_storage(link);
    let (version, holdfast) = (opened.version, opened.holdfast);
    let context = context(director, job, plan, attempt, &storage.name, version, holdfast).await?;
    let session = director.catalog_service().open(context).await;
    let session = session.map_err(|error| Fail::fatal(chain(&error)))?;
    let (traffic, back) = StorageTraffic::new(Arc::clone(job), version.generation(), session);
    let (mut peer, _) = Peer::start(format!("Storage daemon {}", storage.name), opened.conn, traffic);
    let line = job_line(job, plan, attempt, holdfast);
    let said = peer.command(line, "3000 OK Job ").await?;
    let fields = Fields::new(said.as_bytes());
    let number = |key| fields.raw(key).and_then(|raw| scan::text(raw).parse().ok());
    let (Some(id), Some(time), Some(key)) = (number("SDid"), number("SDtime"), fields.raw("Authorization"))
    else {
        return Err(Fail::fatal(format!("Storage daemon {} gave no session: {said}", storage.name)));
    };
    Ok(SdSession {
        peer,
        version,
        session: VolSession { id, time },
        key: scan::text(key),
        storage: storage.clone(),
        back: Some(back),
        ssl,
        holdfast,
    })
}

/// Takes over a job that a Holdfast SD holds: the journal is streamed from behind the last record in the catalog
/// (docs/extensions.md §5). Requests up to `settled` wait for no answer. `None`: the SD does not know this attempt.
pub(crate) async fn attach_storage(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    storage: &StoragePlan,
    opened: StorageConn,
    session: VolSession,
    settled: Seq,
) -> Result<Option<SdSession>, Fail> {
    let (version, holdfast) = (opened.version, opened.holdfast);
    let context = context(director, job, &job.plan(), attempt, &storage.name, version, holdfast).await?;
    let catalog = director.catalog_service().open(context).await;
    let mut catalog = catalog.map_err(|error| Fail::fatal(chain(&error)))?;
    catalog.expect_settled(settled);
    let from = catalog.attach_from();
    let answers = catalog.stored_answers().await.map_err(|error| Fail::fatal(chain(&error)))?;
    let (traffic, back) = StorageTraffic::new(Arc::clone(job), version.generation(), catalog);
    let (mut peer, _) = Peer::start(format!("Storage daemon {}", storage.name), opened.conn, traffic);
    let line = format!("attach JobId={} Job={} attempt={attempt} from={from}\n", job.id, job.unique);
    match peer.command(line, "3000 OK attach").await {
        Ok(_) => {}
        Err(PeerError::Refused { said, .. }) if said.starts_with("3983") => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    for answer in answers {
        peer.send(answer).await?;
    }
    Ok(Some(SdSession {
        peer,
        version,
        session,
        key: String::new(),
        storage: storage.clone(),
        back: Some(back),
        ssl: 0,
        holdfast,
    }))
}

/// Takes over a job that a Holdfast FD holds. `None`: the FD does not know this attempt.
pub(crate) async fn attach_client(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    opened: ClientConn,
    uname: String,
) -> Result<Option<FdSession>, Fail> {
    let last = Arc::new(AtomicU64::new(0));
    let ledger = ClientLedger::open(director, job, attempt).await?;
    let from = ledger.attach_from();
    let traffic = ClientTraffic::new(Arc::clone(job), opened.version.generation(), ledger, Arc::clone(&last));
    let name = format!("Client {}", job.plan().client.name);
    let (mut peer, _) = Peer::start(name, opened.conn, traffic);
    let line = format!("attach JobId={} Job={} attempt={attempt} from={from}\n", job.id, job.unique);
    match peer.command(line, "2000 OK attach").await {
        Ok(_) => {}
        Err(PeerError::Refused { said, .. }) if said.starts_with("2983") => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    Ok(Some(FdSession { peer, version: opened.version, holdfast: opened.holdfast, ssl: 0, uname, last }))
}

/// `JobId=…` to the SD (spec/01 §5.3).
fn job_line(job: &Job, plan: &JobPlan, attempt: Attempt, holdfast: bool) -> String {
    let rerun = plan.rerun.filter(|rerun| rerun.session != VolSession::default());
    let session = rerun.map(|rerun| rerun.session).unwrap_or_default();
    let md5 = if plan.job_type == JobType::Restore { "**Dummy**" } else { &plan.fileset.md5 };
    // The written job of a copy is a backup to its Storage Daemon, which calls another one (spec/03 §7.1).
    let written = plan.job_type == JobType::JobCopy;
    let job_type = if written { JobType::Backup } else { plan.job_type };
    let no_attributes = u8::from(job_type == JobType::Backup && !plan.pool.catalog_files);
    let mut more = if holdfast { format!(" attempt={attempt}") } else { String::new() };
    if holdfast && plan.copy.is_some() && plan.bandwidth_bytes_per_s > 0 {
        more.push_str(&format!(" bandwidth={}", plan.bandwidth_bytes_per_s));
    }
    format!(
        "JobId={} job={} job_name={} client_name={} type={} level={} FileSet={} NoAttr={no_attributes} SpoolAttr={} \
         FileSetMD5={md5} SpoolData={} WritePartAfterJob={} PreferMountedVols={} SpoolSize={} rerunning={} \
         VolSessionId={} VolSessionTime={} sd_client={} Authorization=dummy{more}\n",
        job.id,
        bash_spaces(&job.unique),
        bash_spaces(&plan.job),
        bash_spaces(&plan.client.name),
        job_type.code(),
        plan.level.code(),
        bash_spaces(&plan.fileset.name),
        u8::from(plan.spool_attributes),
        u8::from(plan.spool_data),
        u8::from(plan.write_part_after_job),
        u8::from(plan.prefer_mounted),
        plan.spool_bytes_max,
        u8::from(rerun.is_some()),
        session.id,
        session.time,
        u8::from(written),
    )
}

impl SdSession {
    /// Reserves a device. Returns its name, or what the SD said when it has none free and was not to wait.
    pub(crate) async fn reserve(
        &mut self,
        pool: &policy::plan::PoolPlan,
        append: bool,
        wait: bool,
    ) -> Result<Result<String, String>, Fail> {
        // Only SDs from 13 on know the word; a stock 9.6 always waits.
        let wait_word =
            if self.version.0 >= 30_000 { format!(" wait={}", u8::from(wait)) } else { String::new() };
        let storage = &self.storage;
        let line = format!(
            "use storage={} media_type={} pool_name={} pool_type={} append={} copy=0 stripe=0{wait_word}\n",
            bash_spaces(&storage.name),
            bash_spaces(&storage.media_type),
            bash_spaces(&pool.name),
            bash_spaces(&pool.pool_type),
            u8::from(append),
        );
        let devices = storage.devices.iter().map(|device| format!("use device={}\n", bash_spaces(device)));
        let packets: Vec<String> = std::iter::once(line).chain(devices).collect();
        self.peer.list(packets).await?;
        self.peer.signal(Signal::Eod).await?;
        let line = self.peer.line().await?;
        let said = scan::text(&line);
        if !said.starts_with("3000 OK use device") {
            return Ok(Err(said));
        }
        let device = Fields::new(said.as_bytes()).raw("device").map(scan::text).unwrap_or_default();
        Ok(Ok(types::unbash_spaces(&device)))
    }

    /// Sends a bootstrap.
    pub(crate) async fn bootstrap(&mut self, text: &str) -> Result<(), Fail> {
        let lines = text.lines().map(|line| format!("{line}\n"));
        let packets: Vec<String> = std::iter::once("bootstrap\n".to_owned()).chain(lines).collect();
        self.peer.list(packets).await?;
        self.peer.answer(b"bootstrap", "3000 OK bootstrap").await?;
        Ok(())
    }

    /// Where the FD finds this SD.
    pub(crate) fn address_for(&self, plan: &JobPlan) -> String {
        plan.client
            .fd_storage_address
            .clone()
            .or_else(|| self.storage.fd_address.clone())
            .unwrap_or_else(|| self.storage.address.clone())
    }
}

/// Calls the FD; the job is started there by [`FdSession::begin`], once the SD has given its key.
pub(crate) async fn open_client(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
) -> Result<FdSession, Fail> {
    let (config, plan) = (director.config(), job.plan());
    let name = &plan.client.name;
    let resource = config
        .client(name)
        .ok_or_else(|| Fail::fatal(format!("Client \"{name}\" is no longer configured")))?;
    let links = director.links();
    let link = links.client(resource)?;
    let ssl = link.tls_needs.certificates.number();
    let opened = links.open_client(&link, Tries::Configured).await?;
    job.hold_client(link);
    let last = Arc::new(AtomicU64::new(0));
    let ledger = ClientLedger::open(director, job, attempt).await?;
    let traffic = ClientTraffic::new(Arc::clone(job), opened.version.generation(), ledger, Arc::clone(&last));
    let (peer, _) = Peer::start(format!("Client {name}"), opened.conn, traffic);
    Ok(FdSession {
        peer,
        version: opened.version,
        holdfast: opened.holdfast,
        ssl,
        uname: String::new(),
        last,
    })
}

impl FdSession {
    /// `JobId=…` to the FD. Without an SD, session and key are empty.
    pub(crate) async fn begin(
        &mut self,
        job: &Job,
        attempt: Attempt,
        sd: Option<&SdSession>,
    ) -> Result<(), Fail> {
        let session = sd.map(|sd| sd.session).unwrap_or_default();
        let key = sd.map_or("dummy", |sd| sd.key.as_str());
        let attempt = if self.holdfast { format!(" attempt={attempt}") } else { String::new() };
        let line = format!(
            "JobId={} Job={} SDid={} SDtime={} Authorization={key}{attempt}\n",
            job.id, job.unique, session.id, session.time
        );
        let said = self.peer.command(line, "2000 OK Job").await?;
        self.uname = said.trim_start_matches("2000 OK Job").trim().to_owned();
        Ok(())
    }
}

/// How the daemons of a job ended; `None`: lost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ends {
    pub(crate) fd: Option<FdEnd>,
    pub(crate) sd: Option<SdEnd>,
    /// FD lines that are neither messages nor its end (`2000 OK storage end` is not among them).
    pub(crate) refused: Option<String>,
}

/// What a job waits for while data flows.
pub(crate) struct Flow<'a> {
    pub(crate) job: &'a Job,
    pub(crate) sd: Option<&'a mut Peer>,
    pub(crate) fd: Option<&'a mut Peer>,
    /// Return when the FD says `2000 OK storage end` instead of its end (restore from several Storages).
    pub(crate) until_storage_end: bool,
    /// When to give up, whatever is still open.
    pub(crate) limit: Option<Instant>,
}

/// What one daemon said that matters here.
enum Said {
    Fd(FdEnd),
    Sd(SdEnd),
    StorageEnd,
    Lost(&'static str, String),
    Refused(String),
    Other,
}

impl Flow<'_> {
    /// Waits until both daemons have ended, or are lost, or do not end after a cancel.
    pub(crate) async fn wait(&mut self) -> Ends {
        self.follow(false, std::future::pending()).await.0
    }

    /// As [`Flow::wait`], but a lost Storage Daemon ends the wait at once, unless the operator wants the job to end; the text says
    /// how it was lost.
    pub(crate) async fn wait_or_loss(&mut self) -> (Ends, Option<String>) {
        self.follow(true, std::future::pending()).await
    }

    /// As [`Flow::wait_or_loss`], where `missed` ends, saying how, when the Storage Daemon is lost without its connection having broken.
    pub(crate) async fn wait_or_missed(
        &mut self,
        missed: impl Future<Output = String>,
    ) -> (Ends, Option<String>) {
        self.follow(true, missed).await
    }

    async fn follow(
        &mut self,
        return_at_loss: bool,
        missed: impl Future<Output = String>,
    ) -> (Ends, Option<String>) {
        tokio::pin!(missed);
        let mut ends = Ends::default();
        let (mut fd_open, mut sd_open) = (self.fd.is_some(), self.sd.is_some());
        let mut deadline = self.limit;
        // An operator's wish is what brought a limited wait about.
        let mut asked = self.limit.is_some();
        while fd_open || sd_open {
            let said = tokio::select! {
                answer = next(&mut self.fd), if fd_open => from_fd(answer),
                answer = next(&mut self.sd), if sd_open => from_sd(answer),
                problem = &mut missed, if sd_open && !asked => Said::Lost("sd", problem),
                _ = self.job.wished(), if !asked => {
                    asked = true;
                    deadline = Some(Instant::now() + AFTER_CANCEL);
                    Said::Other
                }
                () = until(deadline) => {
                    tracing::warn!(job = %self.job.id, "a daemon did not end its part of the job in time");
                    break;
                }
            };
            match said {
                Said::Fd(end) => {
                    ends.fd = Some(end);
                    fd_open = false;
                }
                Said::Sd(end) => {
                    ends.sd = Some(end);
                    sd_open = false;
                }
                Said::StorageEnd if self.until_storage_end => fd_open = false,
                Said::Lost("sd", problem) if return_at_loss && !asked => return (ends, Some(problem)),
                Said::Lost(who, problem) => {
                    if who == "fd" {
                        fd_open = false;
                    } else {
                        sd_open = false;
                    }
                    if !asked {
                        self.job.messages.fatal(&problem);
                    }
                    deadline.get_or_insert(Instant::now() + AFTER_LOSS);
                }
                Said::Refused(text) => ends.refused = Some(text),
                Said::StorageEnd | Said::Other => {}
            }
        }
        (ends, None)
    }
}

async fn next(peer: &mut Option<&mut Peer>) -> (Answer, String) {
    match peer {
        Some(peer) => (peer.next().await, peer.name().to_owned()),
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn from_fd((answer, name): (Answer, String)) -> Said {
    match answer {
        Answer::Line(line) if line.starts_with(b"2800 ") => match FdEnd::parse(&line) {
            Some(end) => Said::Fd(end),
            None => Said::Refused(scan::text(&line)),
        },
        Answer::Line(line) if line.starts_with(b"2000 OK storage end") => Said::StorageEnd,
        Answer::Line(line) if line.starts_with(b"29") => Said::Refused(scan::text(&line)),
        Answer::Line(_) | Answer::Eod | Answer::Signal(_) => Said::Other,
        Answer::Gone(problem) => {
            Said::Lost("fd", format!("No Job status returned from FD: {name}: {problem}"))
        }
    }
}

fn from_sd((answer, name): (Answer, String)) -> Said {
    match answer {
        Answer::Line(line) if line.starts_with(b"3099 ") => match SdEnd::parse(&line) {
            Some(end) => Said::Sd(end),
            None => Said::Refused(scan::text(&line)),
        },
        Answer::Line(line) if line.starts_with(b"39") => Said::Refused(scan::text(&line)),
        Answer::Line(_) | Answer::Eod | Answer::Signal(_) => Said::Other,
        Answer::Gone(problem) => {
            Said::Lost("sd", format!("Connection to the Storage daemon was lost: {name}: {problem}"))
        }
    }
}
