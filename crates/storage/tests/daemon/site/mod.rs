//! A Storage Daemon on loopback with a Director and clients that the tests play.
#![allow(unreachable_pub, reason = "shared by the test files")]

pub mod client;
pub mod director;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use net::daemon::DaemonControl;

pub const PASSWORD: &str = "sd-secret";

/// Bound of every wait.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running daemon.
pub struct Site {
    pub port: u16,
    pub volumes: PathBuf,
    control: DaemonControl,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    /// Starts a daemon whose Volumes are in `dir/vol`; `more` is added to its Device.
    pub fn start(dir: &Path, more: &str) -> Self {
        Self::start_with(dir, more, "")
    }

    /// The same with more directives of the Storage resource.
    pub fn start_with(dir: &Path, device: &str, storage: &str) -> Self {
        let volumes = dir.join("vol");
        std::fs::create_dir_all(&volumes).unwrap();
        let port = free_port();
        let text = format!(
            "Storage {{ Name = sd; SDPort = {port}; SDAddress = 127.0.0.1; Working Directory = \"{d}\"; Pid Directory = \"{d}\"; {storage} }}\n\
             Director {{ Name = dir; Password = \"{PASSWORD}\" }}\n\
             Device {{ Name = Dev; Media Type = File; Archive Device = \"{v}\"; Label Media = yes; Random Access = yes; \
             Automatic Mount = yes; Removable Media = no; Always Open = no; {device} }}\n\
             Messages {{ Name = m; director = dir = all }}\n",
            d = dir.display(),
            v = volumes.display(),
        );
        let mut loader = conf::TextLoader::new("sd.conf", text);
        let loaded = conf::load::<conf::StorageConfig>("sd.conf", &mut loader);
        let config = loaded.unwrap_or_else(|findings| panic!("{findings}")).config;
        let (context, mut control) = net::daemon::pair();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(storage::run(config.clone(), net::daemon::unchanging(config), context)).unwrap();
        });
        assert!(handle.block_on(control.wait_ready()), "the daemon did not start");
        Self { port, volumes, control, thread: Some(thread) }
    }

    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes.join(name)
    }

    /// Stops it as SIGTERM does.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.control.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            if !std::thread::panicking() {
                result.unwrap();
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port that nobody has, below those that the system gives to outgoing connections: none of these takes it before the daemon does. Each
/// process begins at another one.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = std::process::id().wrapping_mul(16);
    let ports =
        std::iter::repeat_with(|| 10_000 + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000);
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.map(|port| u16::try_from(port).unwrap()).find(is_free).unwrap()
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        // No event: what is waited for is seen from outside only.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Copies a directory as a crash would leave it. What is written last (journals, then Volume states, then data) is copied first, so that
/// no file knows of something that another one does not hold yet.
pub fn copy_as_crashed(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = std::fs::read_dir(from).unwrap().map(|e| e.unwrap()).collect();
    entries.sort_by_key(|e| (!e.file_type().unwrap().is_dir(), e.file_name()));
    for entry in entries {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_as_crashed(&entry.path(), &target);
        } else if std::fs::copy(entry.path(), &target).is_err() {
            // A temporary file that was renamed meanwhile.
            assert!(!entry.path().exists());
        }
    }
}
