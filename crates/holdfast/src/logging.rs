//! Logs: to the standard error, for a person, the journal or a machine.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::cli::DaemonArgs;

/// Starts the log of a daemon. `RUST_LOG` overrides the level, `HOLDFAST_LOG=json` gives one object a line.
pub(crate) fn start(args: &DaemonArgs) {
    let level = match (args.debug.as_deref().map(debug_level), args.trace, args.verbose) {
        (_, true, _) | (Some(100..), ..) => "trace",
        (Some(1..), ..) | (_, _, 1..) => "debug",
        _ => "info",
    };
    init(level);
}

/// Starts the log of a command for people: only what is odd.
pub(crate) fn start_quiet(debug: Option<&str>) {
    init(match debug.map(debug_level).unwrap_or(0) {
        0 => "error",
        1..100 => "debug",
        100.. => "trace",
    });
}

/// `100` of `100,sql`; what is no number is 0.
fn debug_level(text: &str) -> u32 {
    text.split(',').next().and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn init(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_target(false)
        .with_writer(std::io::stderr);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // The journal puts its own time in front of each line.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let started = match std::env::var("HOLDFAST_LOG").as_deref() {
        Ok("json") => builder.json().try_init(),
        _ if in_journal => builder.with_ansi(false).without_time().try_init(),
        _ => builder.with_ansi(colour).try_init(),
    };
    if started.is_err() {
        say("the log was started twice");
    }
}

/// Tells a person; nothing can be done if nobody listens.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// The last word of a program that failed: the chain of causes, once.
pub(crate) fn complain(error: &anyhow::Error) {
    say(&format!("holdfast: {error:#}"));
}
