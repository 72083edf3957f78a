//! The daemon: start, serve, reload, stop.

mod activate;
mod candidate;

pub(crate) use activate::{Start, activate};

use crate::cluster::{Ask, HeldBack, Seat, replicate};
use crate::configuration::{ConfigFiles, Configuration};
use crate::database;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use crate::{listen, ordered};
use candidate::{Candidate, reach_catalog};
use conf::DirectorConfig;
use conf::director::{Cluster, Engine, Instance};
use lead::{Claim, HostLock, Lost};
use net::daemon::DaemonContext;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// How long an instance that could not become active waits before it tries again.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why the Director did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration does not fit this machine or this version.
    #[error("{0}")]
    Config(String),
    /// The catalog cannot be used.
    #[error("open the catalog")]
    Catalog(#[from] catalog::CatalogError),
    /// Another Director is active.
    #[error("start Director \"{director}\"")]
    Lead {
        /// Name of the Director resource.
        director: String,
        /// Why.
        #[source]
        source: lead::LeadError,
    },
    /// The port cannot be opened, or the catalog does not take the resources.
    #[error(transparent)]
    Director(#[from] DirectorError),
    /// A port cannot be opened.
    #[error("open the console port")]
    Listen(#[from] net::NetError),
    /// The socket for a cluster manager's orders cannot be had.
    #[error("open the control socket {}", path.display())]
    Control {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The last active instance had another configuration.
    #[error("{0}")]
    OtherConfiguration(OtherConfiguration),
    /// The right to act has ended.
    #[error("this Director is no longer active: {0}")]
    Lost(Lost),
}

/// An instance does not follow one that had another configuration (DESIGN §4, I10).
#[derive(Debug, thiserror::Error)]
#[error(
    "this instance has configuration {own}, and instance {instance}, which was active last, had {last}; give it the same and \
     reload (SIGHUP), or say \"cluster promote force\" here"
)]
pub struct OtherConfiguration {
    own: String,
    last: String,
    pub(crate) last_whole: String,
    pub(crate) instance: String,
}

/// Runs this instance until it is told to stop. Jobs that run then go on, and are adopted by the next active instance.
///
/// A Director that stands alone is active or does not start. An instance of a cluster is a standby first, becomes active when
/// nobody else is, and a standby again when it has lost the role.
///
/// # Errors
/// [`RunError`] says what keeps it from running and what to do.
pub async fn run(files: ConfigFiles, mut context: DaemonContext) -> Result<(), RunError> {
    let name = instance(context.instance.as_deref());
    let configuration = files.read().map_err(RunError::Config)?;
    let config = Arc::clone(&configuration.config);
    let listeners =
        listen::bind(&config.director, config.cluster.as_ref(), own_instance(&config, &name)?).await?;
    let (seat, asked) = Seat::new(configuration, files, &name);
    let serving = AbortOnDropHandle::new(tokio::spawn(listen::serve(seat.clone(), listeners)));
    let ended = match seat.config().cluster.clone() {
        None => alone(&seat, asked, &mut context).await,
        Some(cluster) if cluster.engine == Engine::Pacemaker => {
            ordered::serve(&seat, &cluster, asked, &mut context).await
        }
        Some(cluster) => among(&seat, &cluster, asked, &mut context).await,
    };
    drop(serving);
    ended
}

/// The Instance resource of this process; none without a Cluster.
fn own_instance<'a>(config: &'a DirectorConfig, name: &str) -> Result<Option<&'a Instance>, RunError> {
    if config.cluster.is_none() {
        return Ok(None);
    }
    config.instance(name).map(Some).ok_or_else(|| {
        let known: Vec<&str> = config.instances.iter().map(|instance| instance.name.as_str()).collect();
        RunError::Config(format!(
            "this process is instance \"{name}\", which the Cluster does not have; start it with --instance and one of: {}",
            known.join(", ")
        ))
    })
}

/// The console port of this process: that of its Instance resource, where it has one.
#[must_use]
pub fn port(config: &DirectorConfig, said: Option<&str>) -> u16 {
    let own = own_instance(config, &instance(said)).ok().flatten();
    own.map_or(config.director.dir_port, |instance| instance.dir_port)
}

async fn alone(
    seat: &Seat,
    mut asked: mpsc::Receiver<Ask>,
    context: &mut DaemonContext,
) -> Result<(), RunError> {
    loop {
        let Some(director) = start_with(seat.configuration(), seat.files().clone(), context).await? else {
            return Ok(());
        };
        seat.become_active(director.clone(), "it stands alone");
        context.set_ready();
        context.set_status("active");
        match hold(&director, &mut asked, context).await {
            Ending::Stopped => return Ok(()),
            // It begins anew with the catalog that is there now, above the epochs that the Storage Daemons know.
            Ending::Lost(why @ (Lost::CatalogWentBack | Lost::Superseded(_))) => {
                tracing::warn!("{why}; this Director becomes active anew");
                seat.become_standby(&why.to_string());
                director.stand_down().await;
            }
            Ending::Lost(why) => return Err(RunError::Lost(why)),
            // Refused before it comes here; see `cluster::commands`.
            Ending::Asked { reply, .. } => {
                let _ = reply.send(Err("this Director stands alone".to_owned()));
                return Ok(());
            }
        }
    }
}

async fn among(
    seat: &Seat,
    cluster: &Cluster,
    mut asked: mpsc::Receiver<Ask>,
    context: &mut DaemonContext,
) -> Result<(), RunError> {
    context.set_ready();
    let Some(candidate) = Candidate::new(seat, cluster, context).await? else { return Ok(()) };
    loop {
        context.set_status("standby");
        let scout = candidate.scout(seat);
        let Some(claim) = stand_by(seat, &candidate, &mut asked, context).await? else { return Ok(()) };
        drop(scout);
        let (configuration, files) = (seat.configuration(), seat.files().clone());
        let start =
            Start { configuration, files, catalog: candidate.catalog(), only_same: !seat.is_forced() };
        let activated = activate(start, claim, seat.instance(), context).await;
        let director = match activated {
            Ok(director) => director,
            Err(RunError::OtherConfiguration(other)) => {
                // It waits for another instance, another configuration, or an operator's word.
                seat.expect_configuration(&other.last_whole, &other.instance);
                continue;
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "this instance could not become active; it tries again");
                tokio::select! {
                    () = context.stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(AGAIN_AFTER) => continue,
                }
            }
        };
        seat.become_active(director.clone(), "nobody else was");
        context.set_status("active");
        director.spawn(replicate::run(seat.clone(), director.clone()));
        match hold(&director, &mut asked, context).await {
            Ending::Stopped => return Ok(()),
            Ending::Lost(why) => {
                seat.become_standby(&why.to_string());
                director.stand_down().await;
            }
            Ending::Asked { heir, hold_back, reply } => {
                seat.hold_back(hold_back);
                seat.become_standby("an operator asked for it");
                director.give_up(heir.as_deref(), hold_back).await;
                let _ = reply.send(Ok(()));
            }
        }
    }
}

/// Waits until this instance may become active; `None` when the daemon stops.
async fn stand_by(
    seat: &Seat,
    candidate: &Candidate,
    asked: &mut mpsc::Receiver<Ask>,
    context: &mut DaemonContext,
) -> Result<Option<Claim>, RunError> {
    let (mut seen, mut held_back) = (candidate.watch(), seat.held_back());
    let take = async {
        loop {
            // One that may not become active goes on seeing who is.
            tokio::select! {
                biased;
                _ = held_back.wait_for(|held| !held.is_held()) => {}
                error = candidate.look_on() => return Err(error),
            }
            candidate.hold_back(false).await;
            tokio::select! {
                biased;
                _ = held_back.wait_for(HeldBack::is_held) => {}
                taken = candidate.take() => return taken,
            }
            candidate.hold_back(true).await;
        }
    };
    tokio::pin!(take);
    let stop = context.stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            ask = asked.recv() => match ask {
                Some(Ask::Promote { force, reply }) => {
                    if force {
                        seat.force_configuration();
                    }
                    seat.hold_back(false);
                    candidate.hold_back(false).await;
                    if force {
                        candidate.force().await;
                    }
                    let _ = reply.send(Ok(()));
                }
                Some(Ask::Order { reply, .. }) => {
                    let _ = reply.send(Err("no cluster manager gives orders here".to_owned()));
                }
                Some(Ask::Demote { reply } | Ask::Switchover { reply, .. }) => {
                    let _ = reply.send(Err("this instance is not active".to_owned()));
                }
                None => return Ok(None),
            },
            () = context.reload_asked() => {
                if let Err(error) = seat.reload_standby().await {
                    tracing::error!("{error}; the old configuration stays");
                }
                context.reload_done();
            }
            view = seen.next() => {
                // What this instance wrote itself is of a time that is over.
                let holder = view.holder.filter(|holder| holder != seat.instance());
                seat.saw_holder(holder.as_deref());
                seat.hindered(view.hindrance);
            }
            taken = &mut take => {
                let claim = taken.map_err(|error| RunError::Lead {
                    director: seat.config().director.name.clone(),
                    source: error.into(),
                })?;
                return Ok(Some(claim));
            }
        }
    }
}

/// How the time as the active instance ended.
pub(crate) enum Ending {
    Stopped,
    Lost(Lost),
    Asked { heir: Option<String>, hold_back: bool, reply: oneshot::Sender<Result<(), String>> },
}

/// Serves as the active instance.
pub(crate) async fn hold(
    director: &Director,
    asked: &mut mpsc::Receiver<Ask>,
    context: &mut DaemonContext,
) -> Ending {
    let (guard, stop) = (director.guard(), context.stop.clone());
    let replaced = database::replaced(director.catalog_file());
    tokio::pin!(replaced);
    let ending = loop {
        tokio::select! {
            () = stop.cancelled() => break Ending::Stopped,
            file = &mut replaced => {
                tracing::error!(file = %file.display(), "the catalog's file was replaced under this Director, which stops acting on it");
                director.guard().end(Lost::CatalogWentBack);
                break Ending::Lost(Lost::CatalogWentBack);
            }
            why = guard.lost(), if !superseded(director, &guard) => break Ending::Lost(why),
            ask = asked.recv() => match ask {
                Some(Ask::Switchover { to, reply }) => break Ending::Asked { heir: to, hold_back: false, reply },
                Some(Ask::Demote { reply }) => break Ending::Asked { heir: None, hold_back: true, reply },
                Some(Ask::Order { active: false, reply }) => break Ending::Asked { heir: None, hold_back: false, reply },
                Some(Ask::Promote { reply, .. } | Ask::Order { active: true, reply }) => {
                    let _ = reply.send(Ok(()));
                }
                None => break Ending::Stopped,
            },
            () = context.reload_asked() => {
                if let Err(error) = director.reload().await {
                    tracing::error!("{error}; the old configuration stays");
                    director.messages().daemon(conf::messages::MessageType::Error, &error.to_string());
                }
                context.reload_done();
            }
        }
    };
    if matches!(ending, Ending::Stopped) {
        tracing::info!(jobs = director.jobs().len(), "stopping; running jobs are left to be adopted");
        director.give_up(None, false).await;
    }
    ending
}

/// Whether a later activation of this very process has taken the place of this guard.
fn superseded(director: &Director, guard: &lead::EpochGuard) -> bool {
    director.epoch() != guard.epoch()
}

/// Starts everything but the console port: for a Director that stands alone, and for programs that hold it themselves.
///
/// # Errors
/// As [`run`].
pub async fn start(files: ConfigFiles, context: &DaemonContext) -> Result<Director, RunError> {
    let configuration = files.read().map_err(RunError::Config)?;
    let started = start_with(Arc::new(configuration), files, context).await?;
    started.ok_or_else(|| {
        RunError::Config("the daemon was stopped before it could reach its catalog".to_owned())
    })
}

/// `None` when the daemon stops before the catalog can be reached.
async fn start_with(
    configuration: Arc<Configuration>,
    files: ConfigFiles,
    context: &DaemonContext,
) -> Result<Option<Director>, RunError> {
    let (name, config) = (instance(context.instance.as_deref()), &configuration.config);
    let lock = database::lock_file(config)?;
    let lock = HostLock::take(&lock, &name)
        .map_err(|error| RunError::Lead { director: config.director.name.clone(), source: error.into() })?;
    let catalog = if database::is_on_a_server(config)? {
        // A server may start later than its Director, as after a power cut.
        let Some(catalog) = reach_catalog(config, &name, context).await? else { return Ok(None) };
        Some(catalog)
    } else {
        None
    };
    let start = Start { configuration, files, catalog, only_same: false };
    activate(start, Claim::Lock(lock), &name, context).await.map(Some)
}

/// Name of this instance: as said at the start, else the host's.
fn instance(said: Option<&str>) -> String {
    if let Some(name) = said {
        return name.to_owned();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "localhost".to_owned(),
        host => host.to_owned(),
    }
}
