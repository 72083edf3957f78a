//! The control socket: orders of a cluster manager's agent on this machine ([`lead::order`] has their form).
//!
//! Only root and the user of this process are served: whoever may order this instance about may also stop it.

use crate::cluster::{Ask, Role, Seat};
use crate::service::RunError;
use conf::DirectorConfig;
use lead::order::{LINE_MAX, Order, State, socket};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};

/// Agents that are served at once; more wait.
const AGENTS_MAX: usize = 16;
/// How long an agent may take to say what it wants, and to take the answer.
const WORD_LIMIT: Duration = Duration::from_secs(5);
/// How long an order may take to be heard, and an order to stop to be carried out: what is on its way ends within a lease.
const ORDER_LIMIT: Duration = Duration::from_secs(60);

/// The socket; its file is removed with it.
pub(super) struct Control {
    path: PathBuf,
    /// Of this process.
    user: u32,
    listener: UnixListener,
}

impl Control {
    /// Opens it. The file of a process that has died is replaced.
    pub(super) fn bind(config: &DirectorConfig, instance: &str) -> Result<Self, RunError> {
        let path = socket(Path::new(&config.director.working_directory), &config.director.name, instance);
        let control = |source| RunError::Control { path: path.clone(), source };
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(control(Error::new(
                ErrorKind::AddrInUse,
                "another process of this instance is running",
            )));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(control(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(control)?;
        // Who is served is decided by the caller's user below; this is for whoever lists the directory.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(control)?;
        let user = std::fs::metadata(&path).map_err(control)?.uid();
        Ok(Self { path, user, listener })
    }

    /// Serves agents for ever.
    pub(super) async fn serve(self, seat: Seat, look: Arc<Notify>) {
        let places = Arc::new(Semaphore::new(AGENTS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (seat, look, user) = (seat.clone(), Arc::clone(&look), self.user);
                    tokio::spawn(async move {
                        serve_one(stream, user, &seat, &look).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(socket = %self.path.display(), %error, "take an order");
                    tokio::time::sleep(WORD_LIMIT).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // One that stays is replaced by the next process.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn serve_one(stream: UnixStream, mine: u32, seat: &Seat, look: &Notify) {
    let caller = stream.peer_cred().map(|of| of.uid());
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(LINE_MAX as u64));
    let read = tokio::time::timeout(WORD_LIMIT, reader.read_line(&mut line)).await;
    let answer = match (caller, read) {
        (Ok(caller), Ok(Ok(_))) if caller == 0 || caller == mine => answer(&line, seat, look).await,
        (Ok(caller), Ok(Ok(_))) => {
            tracing::warn!(user = caller, "an order of a user who may give none was refused");
            "no only root and the user of this daemon give orders\n".to_owned()
        }
        // Nobody to answer.
        (_, _) => return,
    };
    let _ = tokio::time::timeout(WORD_LIMIT, writer.write_all(answer.as_bytes())).await;
}

async fn answer(line: &str, seat: &Seat, look: &Notify) -> String {
    let done = match Order::parse(line) {
        Some(Order::State) => return state(seat).to_string(),
        Some(Order::Look) => {
            look.notify_one();
            Ok(())
        }
        Some(Order::Demote) => {
            tracing::info!("the cluster manager orders this instance to stand by");
            seat.ask(|reply| Ask::Order { active: false, reply }, ORDER_LIMIT).await
        }
        Some(Order::Promote { limit }) => {
            tracing::info!("the cluster manager orders this instance to be active");
            promote(seat, limit).await
        }
        None => Err(format!("\"{}\" is no order", line.trim())),
    };
    match done {
        Ok(()) => "ok\n".to_owned(),
        Err(why) => format!("no {}\n", why.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn state(seat: &Seat) -> State {
    let (ordered, trouble) = seat.ordered().borrow().clone();
    let epoch = match seat.role() {
        Role::Active(director) => Some(director.epoch().0),
        Role::Standby { .. } => None,
    };
    State { ordered, epoch, trouble, held_back: seat.held_back().borrow().by_configuration.clone() }
}

/// Orders it, and waits until it is so. An order that cannot be carried out is withdrawn: the manager goes on to another machine then.
async fn promote(seat: &Seat, limit: Duration) -> Result<(), String> {
    let done = match tokio::time::timeout(limit, become_active(seat)).await {
        Ok(done) => done,
        Err(_) => {
            let why = seat.ordered().borrow().1.clone();
            let why = why.unwrap_or_else(|| "see its log".to_owned());
            Err(format!("it is not active after {} s: {why}", limit.as_secs()))
        }
    };
    if done.is_err() {
        let withdrawn = seat.ask(|reply| Ask::Order { active: false, reply }, ORDER_LIMIT).await;
        if let Err(error) = withdrawn {
            tracing::error!(error, "withdraw an order that could not be carried out");
        }
    }
    done
}

async fn become_active(seat: &Seat) -> Result<(), String> {
    let (mut role, mut held_back) = (seat.watch(), seat.held_back());
    seat.ask(|reply| Ask::Order { active: true, reply }, ORDER_LIMIT).await?;
    let held = async {
        match held_back.wait_for(|held| held.by_configuration.is_some()).await {
            Ok(held) => held.by_configuration.clone().unwrap_or_default(),
            Err(_) => "this instance is stopping".to_owned(),
        }
    };
    tokio::select! {
        biased;
        active = role.wait_for(|role| matches!(role, Role::Active(_))) => {
            active.map(drop).map_err(|_| "this instance is stopping".to_owned())
        }
        why = held => Err(why),
    }
}
