//! What this process is in its cluster.

use super::fencing::Fencing;
use crate::configuration::{ConfigFiles, Configuration, short};
use crate::error::DirectorError;
use crate::handle::Director;
use crate::text;
use conf::DirectorConfig;
use conf::director::Instance;
use lead::protocol::Fence;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant as Moment};
use tokio::sync::{mpsc, oneshot, watch};
use types::Timestamp;

/// Wishes of operators that wait for the one task that serves them.
const ASKS_MAX: usize = 4;
/// How long a configuration that was refused is not asked for again.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// What this instance is.
#[derive(Clone)]
pub(crate) enum Role {
    /// It relays consoles; `holder` is the instance that is active, as far as this one has seen.
    Standby {
        /// None when nobody is, or nobody was seen yet.
        holder: Option<String>,
    },
    /// It is the Director.
    Active(Director),
}

/// A change of this instance's role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When.
    pub(crate) at: Timestamp,
    /// What it became, and why: `active in epoch 7: instance a ended`.
    pub(crate) what: String,
}

/// What an operator wants of the role.
pub(crate) enum Ask {
    /// Give it to another instance, to this one if named.
    Switchover {
        /// Name of the instance.
        to: Option<String>,
        /// Told once the role was given up, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Give it up, and do not take it again before [`Ask::Promote`] or a restart.
    Demote {
        /// As above.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// A cluster manager's order, which stands until the next one.
    Order {
        /// Whether to be active.
        active: bool,
        /// Told when an order to be active was heard, one to stand by was carried out.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Be a candidate again.
    Promote {
        /// Become active at once, whatever stands against it; also with another configuration than the last active
        /// instance had.
        force: bool,
        /// As above.
        reply: oneshot::Sender<Result<(), String>>,
    },
}

/// This instance. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Seat {
    inner: Arc<Inner>,
}

/// What keeps an instance from becoming active.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HeldBack {
    /// An operator does.
    pub(crate) by_operator: bool,
    /// Its configuration is not that of the last active instance: why, in words.
    pub(crate) by_configuration: Option<String>,
}

impl HeldBack {
    /// Whether anything does.
    pub(crate) const fn is_held(&self) -> bool {
        self.by_operator || self.by_configuration.is_some()
    }
}

/// What a standby knows about the configuration of others.
#[derive(Default)]
struct Heard {
    /// Highest epoch that a configuration came from, with its activation.
    epoch: Option<(u64, String)>,
    /// Hash and instance of what the active one has.
    expected: Option<(String, String)>,
    /// Hash of a configuration that was refused, since when, why.
    refused: Option<(String, Moment, String)>,
    /// Files that are edited and not loaded, as it was logged last.
    edited: Vec<PathBuf>,
    /// An operator lets it become active with what it has.
    forced: bool,
}

struct Inner {
    instance: String,
    configuration: RwLock<Arc<Configuration>>,
    files: ConfigFiles,
    heard: Mutex<Heard>,
    role: watch::Sender<Role>,
    asks: mpsc::Sender<Ask>,
    last_turn: Mutex<Option<Turn>>,
    held_back: watch::Sender<HeldBack>,
    hindrance: Mutex<Option<String>>,
    fencing: Mutex<Option<String>>,
    /// Whether a cluster manager wants it to be active, and why it is not all the same.
    ordered: watch::Sender<(bool, Option<String>)>,
    started: Timestamp,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    /// A standby of this name. The receiver gets what operators ask.
    pub(crate) fn new(
        configuration: Configuration,
        files: ConfigFiles,
        instance: &str,
    ) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let inner = Inner {
            instance: instance.to_owned(),
            configuration: RwLock::new(Arc::new(configuration)),
            files,
            heard: Mutex::default(),
            role: watch::Sender::new(Role::Standby { holder: None }),
            asks,
            last_turn: Mutex::default(),
            held_back: watch::Sender::new(HeldBack::default()),
            hindrance: Mutex::default(),
            fencing: Mutex::default(),
            ordered: watch::Sender::new((false, None)),
            started: text::now(),
        };
        (Self { inner: Arc::new(inner) }, asked)
    }

    /// Name of this instance.
    pub(crate) fn instance(&self) -> &str {
        &self.inner.instance
    }

    /// When this process started.
    pub(crate) fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// The configuration as this instance has it: the active Director's own, or that of a standby.
    pub(crate) fn config(&self) -> Arc<DirectorConfig> {
        Arc::clone(&self.configuration().config)
    }

    /// As [`Seat::config`], with its hash and texts.
    pub(crate) fn configuration(&self) -> Arc<Configuration> {
        match &*self.inner.role.borrow() {
            Role::Active(director) => director.configuration(),
            Role::Standby { .. } => {
                Arc::clone(&self.inner.configuration.read().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }

    /// Where the configuration is read from.
    pub(crate) fn files(&self) -> &ConfigFiles {
        &self.inner.files
    }

    /// The instances of the configuration; none when the Director stands alone.
    pub(crate) fn peers(&self) -> Vec<Instance> {
        self.config().instances.clone()
    }

    /// Whether the Director has a Cluster resource.
    pub(crate) fn is_clustered(&self) -> bool {
        self.config().cluster.is_some()
    }

    /// What it is now.
    pub(crate) fn role(&self) -> Role {
        self.inner.role.borrow().clone()
    }

    /// Sees every change of the role.
    pub(crate) fn watch(&self) -> watch::Receiver<Role> {
        self.inner.role.subscribe()
    }

    /// It is the Director now.
    pub(crate) fn become_active(&self, director: Director, why: &str) {
        let mut heard = lock(&self.inner.heard);
        *heard = Heard { epoch: Some((director.epoch().0, director.activation())), ..Heard::default() };
        drop(heard);
        self.turned(format!("active in epoch {}: {why}", director.epoch()));
        self.inner.role.send_replace(Role::Active(director));
    }

    /// It is a standby now. The configuration stays that of the Director it was.
    pub(crate) fn become_standby(&self, why: &str) {
        self.put(self.configuration());
        self.turned(format!("standby: {why}"));
        self.inner.role.send_replace(Role::Standby { holder: None });
    }

    /// A standby has seen who is active.
    pub(crate) fn saw_holder(&self, seen: Option<&str>) {
        self.inner.role.send_if_modified(|role| match role {
            Role::Standby { holder } if holder.as_deref() != seen => {
                *holder = seen.map(str::to_owned);
                true
            }
            Role::Standby { .. } | Role::Active(_) => false,
        });
    }

    /// Why this instance does not take over by itself, as the engine sees it; none when nothing stands against it.
    pub(crate) fn hindered(&self, why: Option<String>) {
        *lock(&self.inner.hindrance) = why;
    }

    /// As [`Self::hindered`] was told last.
    pub(crate) fn hindrance(&self) -> Option<String> {
        lock(&self.inner.hindrance).clone()
    }

    /// Whether the former active instance is switched off at a takeover, and why.
    pub(crate) fn set_fencing(&self, fencing: &Fencing) {
        let word = match fencing.fence {
            Fence::None => "none",
            Fence::Required => "required",
        };
        *lock(&self.inner.fencing) = Some(format!("{word}: {}", fencing.why));
    }

    /// As [`Self::set_fencing`] was told; none where leadership is the lock of a host.
    pub(crate) fn fencing(&self) -> Option<String> {
        lock(&self.inner.fencing).clone()
    }

    /// What a cluster manager orders, and why it is not done yet.
    pub(crate) fn set_ordered(&self, active: bool, trouble: Option<String>) {
        self.inner.ordered.send_replace((active, trouble));
    }

    /// As [`Self::set_ordered`] was told.
    pub(crate) fn ordered(&self) -> watch::Receiver<(bool, Option<String>)> {
        self.inner.ordered.subscribe()
    }

    fn turned(&self, what: String) {
        tracing::info!(instance = self.instance(), "{what}");
        *lock(&self.inner.last_turn) = Some(Turn { at: text::now(), what });
    }

    /// The last change of its role.
    pub(crate) fn last_turn(&self) -> Option<Turn> {
        lock(&self.inner.last_turn).clone()
    }

    /// What keeps it from becoming active.
    pub(crate) fn held_back(&self) -> watch::Receiver<HeldBack> {
        self.inner.held_back.subscribe()
    }

    /// An operator keeps it from becoming active, or lets it.
    pub(crate) fn hold_back(&self, held: bool) {
        self.inner.held_back.send_modify(|held_back| held_back.by_operator = held);
    }

    /// Puts an operator's wish to the task that owns the role, and waits for what became of it.
    ///
    /// # Errors
    /// Why it was not done, in words for the operator.
    pub(crate) async fn ask(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Ask,
        limit: Duration,
    ) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        let stopping = || "this instance is stopping".to_owned();
        self.inner.asks.send(make(reply)).await.map_err(|_| stopping())?;
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|_| stopping())?,
            Err(_) => Err(format!(
                "it was not done within {} s; see the log of instance {}",
                limit.as_secs(),
                self.instance()
            )),
        }
    }

    /// Reads the configuration of a standby anew. All of it is taken, or none.
    ///
    /// # Errors
    /// [`DirectorError::Reload`] says what is wrong.
    pub(crate) async fn reload_standby(&self) -> Result<(), DirectorError> {
        let files = self.files().clone();
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let new = read.unwrap_or_else(|error| Err(error.to_string())).map_err(DirectorError::Reload)?;
        let old = self.configuration();
        old.keeps(&new, self.instance()).map_err(DirectorError::Reload)?;
        for line in old.difference(&new) {
            tracing::info!("configuration: {line}");
        }
        tracing::info!(hash = short(&new.hash), "configuration of the standby reloaded");
        self.load_standby(new);
        Ok(())
    }

    /// A standby goes on with another configuration.
    pub(crate) fn load_standby(&self, new: Configuration) {
        lock(&self.inner.heard).refused = None;
        self.put(Arc::new(new));
        self.judge();
    }

    fn put(&self, configuration: Arc<Configuration>) {
        *self.inner.configuration.write().unwrap_or_else(PoisonError::into_inner) = configuration;
    }

    /// Whether the one that speaks in this epoch may be listened to: nobody has spoken in a higher one, and nobody else in this.
    ///
    /// # Errors
    /// Who has.
    pub(crate) fn hear(&self, epoch: u64, activation: &str) -> Result<(), String> {
        let mut heard = lock(&self.inner.heard);
        match &heard.epoch {
            Some((known, _)) if *known > epoch => {
                Err(format!("epoch {epoch} is over; this instance knows epoch {known}"))
            }
            Some((known, other)) if *known == epoch && other != activation => {
                Err(format!("epoch {epoch} is that of another activation"))
            }
            Some(_) | None => {
                heard.epoch = Some((epoch, activation.to_owned()));
                Ok(())
            }
        }
    }

    /// The active instance has a configuration of this hash. One that has another does not become active.
    pub(crate) fn expect_configuration(&self, hash: &str, instance: &str) {
        let is_own = self.configuration().hash == hash;
        let mut heard = lock(&self.inner.heard);
        heard.expected = Some((hash.to_owned(), instance.to_owned()));
        if is_own {
            heard.refused = None;
        }
        drop(heard);
        self.judge();
    }

    /// An operator lets it become active with the configuration that it has.
    pub(crate) fn force_configuration(&self) {
        lock(&self.inner.heard).forced = true;
        self.judge();
    }

    /// Whether an operator has said so.
    pub(crate) fn is_forced(&self) -> bool {
        lock(&self.inner.heard).forced
    }

    /// Compares the own configuration with the one expected.
    fn judge(&self) {
        let own = self.configuration().hash.clone();
        let heard = lock(&self.inner.heard);
        let other = heard.expected.as_ref().filter(|(hash, _)| !heard.forced && *hash != own);
        let why = other.map(|(hash, instance)| {
            format!(
                "configuration {} is not that of the active Director ({}, instance {instance}): not to become active without \
                 \"cluster promote force\"",
                short(&own),
                short(hash)
            )
        });
        drop(heard);
        self.inner.held_back.send_if_modified(|held| {
            if held.by_configuration == why {
                return false;
            }
            match &why {
                Some(why) => tracing::warn!(instance = self.instance(), "{why}"),
                None => tracing::info!(
                    instance = self.instance(),
                    "the configuration is that of the active Director"
                ),
            }
            held.by_configuration = why;
            true
        });
    }

    /// A configuration of this hash was not taken over.
    pub(crate) fn refuse(&self, hash: &str, why: &str) {
        lock(&self.inner.heard).refused = Some((hash.to_owned(), Moment::now(), why.to_owned()));
    }

    /// Why a configuration of this hash was not taken over a short while ago.
    pub(crate) fn refused(&self, hash: &str) -> Option<String> {
        let heard = lock(&self.inner.heard);
        let (known, since, why) = heard.refused.as_ref()?;
        (known == hash && since.elapsed() < REFUSED_FOR).then(|| why.clone())
    }

    /// What was not taken over, for `status cluster`.
    pub(crate) fn last_refused(&self) -> Option<String> {
        lock(&self.inner.heard).refused.as_ref().map(|(_, _, why)| why.clone())
    }

    /// Files of the configuration that have been edited and not loaded. The log tells of each change.
    pub(crate) async fn edited(&self) -> Vec<PathBuf> {
        let (files, loaded) = (self.files().clone(), self.configuration());
        let edited = tokio::task::spawn_blocking(move || files.edited(&loaded)).await.unwrap_or_default();
        let mut heard = lock(&self.inner.heard);
        if heard.edited != edited {
            for file in &edited {
                tracing::warn!(
                    instance = self.instance(), file = %file.display(),
                    "edited since it was read; a reload takes it, another configuration of the active instance replaces it"
                );
            }
            heard.edited.clone_from(&edited);
        }
        edited
    }
}
