//! The engine of one host: several instances on one machine and one local catalog file (DESIGN §4, "On SQLite").
//!
//! Who holds the [`HostLock`] is active. The holder writes a growing beat into the lock's file; a candidate that has seen it
//! unchanged for the lease time, on its own clock, kills the holder's process: a frozen process cannot wake up beside its
//! successor then, and the kernel gives the lock to the next. A process that ends in any other way has given its lock back
//! already, so the candidate needs no lease time to follow it.

use crate::lock::{Holder, HostLock, LockError};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a candidate looks at the lock. The kernel has no event for a lock that was given back which a task could both
/// wait for and stop waiting for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// An instance that wants to become active on its host.
#[derive(Debug)]
pub struct HostCandidate {
    path: PathBuf,
    instance: String,
    lease: Duration,
    seen: watch::Sender<Option<Holder>>,
}

impl HostCandidate {
    /// For the lock file at `path`; a holder whose beat stands still for `lease` is taken for frozen.
    #[must_use]
    pub fn new(path: &Path, instance: &str, lease: Duration) -> Self {
        Self { path: path.to_owned(), instance: instance.to_owned(), lease, seen: watch::Sender::new(None) }
    }

    /// Who holds the lock, as it was last seen; none before the first look.
    #[must_use]
    pub fn seen(&self) -> watch::Receiver<Option<Holder>> {
        self.seen.subscribe()
    }

    /// Waits until this instance holds the lock. Cancel safe.
    ///
    /// A lock that was handed to another instance by name is left to it for the lease time.
    ///
    /// # Errors
    /// [`LockError::Io`] when the file cannot be used.
    pub async fn take(&self) -> Result<HostLock, LockError> {
        let mut watched = Watched::new(Instant::now());
        loop {
            let now = Instant::now();
            let holder = HostLock::holder(&self.path)?;
            watched.see(holder.clone(), now);
            let reserved = holder.as_ref().is_some_and(|holder| holder.is_left_to_other(&self.instance));
            if !reserved || watched.unchanged(now) >= self.lease {
                match HostLock::take(&self.path, &self.instance) {
                    Ok(lock) => return Ok(lock),
                    Err(LockError::Held { .. }) => {}
                    Err(error @ LockError::Io { .. }) => return Err(error),
                }
            }
            if let Some(frozen) = watched.frozen(self.lease, now) {
                end(&frozen);
                watched = Watched::new(now);
            }
            self.note(holder);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Only sees who holds the lock ([`HostCandidate::seen`]), for as long as the lock's file can be read. Cancel safe.
    pub async fn watch(&self) -> LockError {
        loop {
            match HostLock::holder(&self.path) {
                Ok(holder) => self.note(holder),
                Err(error) => return error,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn note(&self, holder: Option<Holder>) {
        self.seen.send_if_modified(|seen| {
            let changed = !same_holder(seen.as_ref(), holder.as_ref());
            *seen = holder;
            changed
        });
    }
}

fn same_holder(a: Option<&Holder>, b: Option<&Holder>) -> bool {
    let key = |holder: Option<&Holder>| holder.map(|h| (h.instance.clone(), h.process));
    key(a) == key(b)
}

/// Since when the lock's text has been the same.
struct Watched {
    holder: Option<Holder>,
    since: Instant,
}

impl Watched {
    fn new(now: Instant) -> Self {
        Self { holder: None, since: now }
    }

    fn see(&mut self, holder: Option<Holder>, now: Instant) {
        if self.holder != holder {
            *self = Self { holder, since: now };
        }
    }

    fn unchanged(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// The holder, when it has not moved for `lease`.
    fn frozen(&self, lease: Duration, now: Instant) -> Option<Holder> {
        let holder = self.holder.clone().filter(|holder| holder.process.is_some())?;
        (self.unchanged(now) >= lease).then_some(holder)
    }
}

/// Kills the process of a holder that does not move. The lock is held, so the process that wrote its number is alive and no
/// other can have that number.
fn end(holder: &Holder) {
    let Some(pid) = holder.process.and_then(Pid::from_raw) else { return };
    match kill_process(pid, Signal::KILL) {
        Ok(()) => tracing::warn!(
            instance = holder.instance,
            process = pid.as_raw_nonzero(),
            "killed the frozen active instance"
        ),
        Err(error) => tracing::error!(
            instance = holder.instance, process = pid.as_raw_nonzero(), %error,
            "the active instance does not move and cannot be killed; kill it by hand, or run both instances as one user"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    const LEASE: Duration = Duration::from_millis(300);

    async fn bounded<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), what).await.expect("in time")
    }

    #[tokio::test]
    async fn a_lock_that_was_given_back_is_taken_and_the_holder_was_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bacula.db.lock");
        let first = HostLock::take(&path, "a").unwrap();
        let candidate = HostCandidate::new(&path, "b", Duration::from_secs(60));
        let mut seen = candidate.seen();
        let give_back = async {
            let holder = seen.wait_for(Option::is_some).await.unwrap().clone().unwrap();
            assert_eq!(holder.instance, "a");
            drop(first);
        };
        let (taken, ()) = bounded(async { tokio::join!(candidate.take(), give_back) }).await;
        drop(taken.unwrap());
    }

    #[tokio::test]
    async fn a_lock_left_to_another_instance_waits_for_it_before_a_third_takes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bacula.db.lock");
        HostLock::take(&path, "a").unwrap().leave_to("b");
        let c = HostCandidate::new(&path, "c", Duration::from_secs(60));
        let b = HostCandidate::new(&path, "b", Duration::from_secs(60));
        let first = bounded(async {
            tokio::select! {
                biased;
                lock = c.take() => ("c", lock),
                lock = b.take() => ("b", lock),
            }
        });
        assert_eq!(first.await.0, "b");
    }

    #[tokio::test]
    async fn a_holder_that_stands_still_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bacula.db.lock");
        // A holder that never beats: flock(1) keeps the lock while its command runs.
        let mut frozen = Command::new("flock")
            .arg(&path)
            .args([
                "sh",
                "-c",
                "printf 'instance a, process %s, beat 1\\n' $PPID > \"$0\"; echo held; exec cat",
            ])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(frozen.stdout.take().unwrap()), &mut said)
            .unwrap();
        assert_eq!(said, "held\n");
        let candidate = HostCandidate::new(&path, "b", LEASE);
        let take = async {
            let taken = candidate.take().await;
            drop(taken.unwrap());
        };
        // flock's child inherits the lock; it ends at the end of its input.
        let killed = async {
            let status = tokio::task::spawn_blocking(move || {
                let input = frozen.stdin.take();
                let status = frozen.wait().unwrap();
                drop(input);
                status
            });
            let status = status.await.unwrap();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        };
        bounded(async { tokio::join!(take, killed) }).await;
    }
}
