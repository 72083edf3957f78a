//! Runs the Storage Daemon alone in the foreground: `sd FILE`; it stops at end of input or SIGTERM.

use anyhow::Context as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let path = std::env::args().nth(1).context("usage: sd FILE")?;
    let loaded = conf::load::<conf::StorageConfig>(&path, &mut sys::SystemLoader)
        .map_err(|findings| anyhow::anyhow!("{findings}"))?;
    let (context, control) = net::daemon::pair();
    let stop = control.stop.clone();
    tokio::spawn(async move {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        term.recv().await;
        stop.cancel();
        std::io::Result::Ok(())
    });
    storage::run(loaded.config.clone(), net::daemon::unchanging(loaded.config), context)
        .await
        .context("run the Storage Daemon")
}
