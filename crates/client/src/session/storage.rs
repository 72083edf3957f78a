//! The way to the Storage Daemon: called, or waited for (spec/01 §2.6).

use std::sync::Arc;
use std::time::Duration;

use net::blocking;
use net::{Session, Target};
use wire::cram::Secret;
use wire::hello::Hello;
use wire::msg::dir_fd::StorageAddress;
use wire::version::{FdVersion, Generation};

use super::{DirectorSession, Next};
use crate::job::Job;
use crate::message::{JobLog, MessageKind};
use crate::storage::{StorageSession, chain};

/// Time between attempts to reach a Storage Daemon.
const STORAGE_RETRY: Duration = Duration::from_secs(10);
/// How long the call of a Storage Daemon is waited for (spec/01 §2.6).
const STORAGE_CALL_WAIT: Duration = Duration::from_secs(30 * 60);

impl DirectorSession {
    pub(super) async fn storage(&mut self, address: StorageAddress) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let key = address.key.clone().filter(|key| key != "dummy");
        if key.is_some() {
            self.setup.several_storages = true;
        }
        let Some(key) = key.or_else(|| job.identity.key.clone()) else {
            self.fatal("The Director gave no key for the Storage daemon.\n");
            return self.bad_storage().await;
        };
        let daemon = Arc::clone(&self.daemon);
        let (thread_job, host, port) = (Arc::clone(&job), address.address.clone(), address.port);
        let opened = if port == 0 {
            let Some(stream) = self.wait_for_call(&job).await else {
                self.fatal("The Storage daemon did not call.\n");
                return self.bad_storage().await;
            };
            self.blocking(move || open_storage(&daemon, &thread_job, stream, &key, &host)).await
        } else {
            self.blocking(move || {
                let target = Target {
                    source: daemon
                        .config
                        .daemon
                        .fd_source_address
                        .as_ref()
                        .and_then(|text| text.parse().ok()),
                    keepalive: daemon.config.daemon.heartbeat_interval,
                    ..Target::new(host.clone(), port)
                }
                .retrying(STORAGE_RETRY, daemon.config.daemon.sd_connect_timeout);
                let stream = blocking::connect(&target, || thread_job.stop.is_ending())?;
                open_storage(&daemon, &thread_job, stream, &key, &host)
            })
            .await
        };
        match opened {
            Some(Ok((session, encrypted))) => {
                self.setup.storage = Some(session);
                if job.identity.generation == Generation::New {
                    let how = if encrypted { "with TLS" } else { "without encryption" };
                    let (host, port) = (&address.address, address.port);
                    job.message(MessageKind::Info, &format!("Connected to Storage at {host}:{port} {how}\n"));
                }
                self.answer("2000 OK storage\n").await
            }
            Some(Err(error)) => {
                let what = if error.is_authentication() {
                    "Failed to authenticate Storage daemon".to_owned()
                } else {
                    format!("Failed to connect to Storage daemon: {}:{}", address.address, address.port)
                };
                self.fatal(&format!("{what}. ERR={}\n", chain(&error)));
                self.bad_storage().await
            }
            None => self.bad_storage().await,
        }
    }

    pub(super) async fn bad_storage(&mut self) -> Next {
        self.answer("2902 Bad storage\n").await;
        Next::End
    }

    /// The connection that the Storage Daemon opens.
    pub(super) async fn wait_for_call(&mut self, job: &Arc<Job>) -> Option<std::net::TcpStream> {
        let waiting = Arc::clone(job);
        let (done, result) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let wait = async {
                loop {
                    if let Some(stream) = waiting.take_call() {
                        return Some(stream);
                    }
                    if waiting.stop.is_ending() {
                        return None;
                    }
                    waiting.called_changed.notified().await;
                }
            };
            // Nobody waits any more when the session has ended.
            let _ = done.send(tokio::time::timeout(STORAGE_CALL_WAIT, wait).await.ok().flatten());
        });
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(result, direct).await.flatten()
    }
}

/// Opens the session with a Storage Daemon on a connected socket; says whether it is encrypted.
fn open_storage(
    daemon: &crate::daemon::Daemon,
    job: &Arc<Job>,
    stream: std::net::TcpStream,
    key: &str,
    host: &str,
) -> Result<(StorageSession, bool), net::NetError> {
    let version = match job.identity.generation {
        Generation::Old => FdVersion::V9_6,
        Generation::New => FdVersion::CURRENT,
    };
    let hello = Hello::ClientToStorage { job: job.identity.name.clone(), version };
    let secret = Secret::from_session_key(key);
    let session =
        Session::new(daemon.config.daemon.name.clone(), secret, daemon.storage_tls.clone()).for_host(host);
    let conn = blocking::open(stream, hello, &session)?;
    job.set_closer(Some(conn.closer()?));
    let encrypted = conn.peer().tls != wire::tls::TlsKind::Clear;
    Ok((StorageSession::new(conn), encrypted))
}
