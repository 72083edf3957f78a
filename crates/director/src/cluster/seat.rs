//! What this process is in its cluster.

use crate::error::DirectorError;
use crate::handle::{Director, Load};
use crate::text;
use conf::DirectorConfig;
use conf::director::Instance;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use types::Timestamp;

/// Wishes of operators that wait for the one task that serves them.
const ASKS_MAX: usize = 4;

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
    /// Be a candidate again.
    Promote {
        /// Become active at once, whatever stands against it.
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

struct Inner {
    instance: String,
    config: RwLock<Arc<DirectorConfig>>,
    load: Load,
    role: watch::Sender<Role>,
    asks: mpsc::Sender<Ask>,
    last_turn: Mutex<Option<Turn>>,
    held_back: watch::Sender<bool>,
    hindrance: Mutex<Option<String>>,
    started: Timestamp,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    /// A standby of this name. The receiver gets what operators ask.
    pub(crate) fn new(config: DirectorConfig, load: Load, instance: &str) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let inner = Inner {
            instance: instance.to_owned(),
            config: RwLock::new(Arc::new(config)),
            load,
            role: watch::Sender::new(Role::Standby { holder: None }),
            asks,
            last_turn: Mutex::default(),
            held_back: watch::Sender::new(false),
            hindrance: Mutex::default(),
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
        match &*self.inner.role.borrow() {
            Role::Active(director) => director.config(),
            Role::Standby { .. } => self.standing(),
        }
    }

    fn standing(&self) -> Arc<DirectorConfig> {
        Arc::clone(&self.inner.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How the configuration is read anew.
    pub(crate) fn load(&self) -> Load {
        Arc::clone(&self.inner.load)
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
        self.turned(format!("active in epoch {}: {why}", director.epoch()));
        self.inner.role.send_replace(Role::Active(director));
    }

    /// It is a standby now. The configuration stays that of the Director it was.
    pub(crate) fn become_standby(&self, why: &str) {
        let config = self.config();
        *self.inner.config.write().unwrap_or_else(PoisonError::into_inner) = config;
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

    fn turned(&self, what: String) {
        tracing::info!(instance = self.instance(), "{what}");
        *lock(&self.inner.last_turn) = Some(Turn { at: text::now(), what });
    }

    /// The last change of its role.
    pub(crate) fn last_turn(&self) -> Option<Turn> {
        lock(&self.inner.last_turn).clone()
    }

    /// Whether an operator keeps it from becoming active.
    pub(crate) fn held_back(&self) -> watch::Receiver<bool> {
        self.inner.held_back.subscribe()
    }

    /// Keeps it from becoming active, or lets it.
    pub(crate) fn hold_back(&self, held: bool) {
        self.inner.held_back.send_replace(held);
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
    pub(crate) fn reload_standby(&self) -> Result<(), DirectorError> {
        let config = (self.inner.load)().map_err(DirectorError::Reload)?;
        if config.director.name != self.standing().director.name {
            return Err(DirectorError::Reload(
                "the Director's name cannot change while it runs; restart it".to_owned(),
            ));
        }
        *self.inner.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        tracing::info!("configuration of the standby reloaded");
        Ok(())
    }
}
