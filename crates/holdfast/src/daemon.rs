//! The life of a daemon: check, background, identity, PID file, serve, signals, stop.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use net::daemon::{self, Change, DaemonControl};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::DaemonArgs;
use crate::pidfile::PidFile;
use crate::roles::{Extra, Role, RunJob};
use crate::{background, configtest, logging, notify};

/// Checks the configuration (`-t`), goes to the background, or serves.
///
/// # Errors
/// What kept the daemon from starting, or ended it.
pub(crate) fn start<R: Role>(args: &DaemonArgs, extra: &Extra) -> Result<ExitCode> {
    let path = args.config(&format!("{}.conf", R::PROGRAM));
    let path = std::path::absolute(&path).unwrap_or(path);
    R::prepare(&path)?;
    let config: R::Config = configtest::load(&path)?;
    if args.test {
        R::check(&config)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.foreground && !background::is_background() {
        let log = Path::new(R::working_directory(&config)).join(format!("{}.log", R::name(&config)));
        return background::start(&log);
    }
    logging::start(args);
    if background::is_background() {
        background::detach();
    }
    let result = serve::<R>(args, extra, config, path);
    if let (true, Err(error)) = (background::is_background(), &result) {
        background::tell_failure(error);
    }
    result.map(|()| ExitCode::SUCCESS)
}

fn serve<R: Role>(args: &DaemonArgs, extra: &Extra, config: R::Config, path: PathBuf) -> Result<()> {
    sys::raise_open_files();
    // Before the PID file and every other file: all of them then belong to the daemon's user.
    if args.user.is_some() || args.group.is_some() {
        let who = args.user.as_deref().or(args.group.as_deref()).unwrap_or_default();
        sys::run_as(args.user.as_deref(), args.group.as_deref()).with_context(|| format!("run as {who}"))?;
    }
    let pid_file = pid_file::<R>(args, extra, &config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    let result = runtime.block_on(until_stopped::<R>(extra, config, path));
    drop(pid_file);
    tracing::info!(daemon = R::PROGRAM, "stopped");
    result
}

fn pid_file<R: Role>(args: &DaemonArgs, extra: &Extra, config: &R::Config) -> Result<Option<PidFile>> {
    if args.no_pid_file {
        return Ok(None);
    }
    let directory = Path::new(R::pid_directory(config));
    if args.foreground && !directory.is_dir() {
        // A service manager or a test knows its process; a missing directory is no reason to refuse.
        tracing::warn!(directory = %directory.display(), "the Pid Directory does not exist; no PID file is written");
        return Ok(None);
    }
    PidFile::create(directory, R::PROGRAM, R::port(config, extra.instance.as_deref())).map(Some)
}

/// Signals that a daemon obeys.
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).context("catch signals");
        Ok(Self {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    /// Waits for a request to stop; requests to reload are passed on.
    async fn serve(mut self, control: &mut DaemonControl, job: Option<RunJob>) {
        let mut job = job;
        loop {
            tokio::select! {
                change = control.next_change() => match change {
                    Change::Ready => is_ready(job.take()),
                    Change::Status(text) => notify::status(&text),
                    Change::Reloaded => notify::ready(),
                    // The daemon returns by itself, with its reason.
                    Change::Ended => return std::future::pending().await,
                },
                _ = self.hup.recv() => {
                    tracing::info!("reload asked for by SIGHUP");
                    notify::reloading();
                    control.request_reload();
                }
                _ = self.term.recv() => break tracing::info!("stopping: SIGTERM"),
                _ = self.int.recv() => break tracing::info!("stopping: SIGINT"),
            }
        }
        notify::stopping();
        control.stop.cancel();
        self.wait_impatient().await;
    }

    /// A second signal while stopping ends the process at once.
    async fn wait_impatient(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
        tracing::warn!("ended at once by a second signal");
        std::process::exit(1);
    }
}

/// The ports are open: everybody who waits for it is told.
fn is_ready(job: Option<RunJob>) {
    notify::ready();
    if background::is_background() {
        background::tell_ready();
    }
    if let Some(job) = job {
        tokio::task::spawn_blocking(move || run_job(&job));
    }
}

async fn until_stopped<R: Role>(extra: &Extra, config: R::Config, path: PathBuf) -> Result<()> {
    let signals = Signals::new()?;
    let (mut context, mut control) = daemon::pair();
    context.instance.clone_from(&extra.instance);
    let job = extra.run_job.as_deref().and_then(|job| R::run_job(&config, extra.instance.as_deref(), job));
    let name = R::name(&config).to_owned();
    tracing::info!(daemon = R::PROGRAM, name, version = wire::version::PRODUCT_VERSION, "starting");
    let running = R::run(config, path, context);
    tokio::pin!(running);
    tokio::select! {
        result = &mut running => return result.with_context(|| format!("{} \"{name}\"", R::PROGRAM)),
        () = signals.serve(&mut control, job) => {}
    }
    running.await.with_context(|| format!("{} \"{name}\"", R::PROGRAM))
}

/// Starts a job through the Director's own port, as its default console (`-r`).
fn run_job(job: &RunJob) {
    let result = console::one_command("127.0.0.1", job.port, &job.password, &job.command);
    match result {
        Ok(answer) => tracing::info!(answer = answer.trim(), "job started by -r"),
        Err(error) => tracing::error!("start the job given with -r: {error:#}"),
    }
}
