//! Running mail and operator commands.

use std::process::Stdio;
use std::time::Duration;
use sys::split_command;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How long a mail program may take; a mail server that hangs must not hold a job.
const MAIL_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a mail command with the text on its standard input. Failure is logged: the text is in the other destinations too.
pub(super) async fn run(command: String, body: String) {
    let words = split_command(&command);
    let Some((program, arguments)) = words.split_first() else {
        tracing::warn!("a mail destination has no Mail Command before it; its messages are not sent");
        return;
    };
    let done = tokio::time::timeout(MAIL_TIMEOUT, feed(program, arguments, &body)).await;
    match done {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::error!(%program, %status, "the mail command failed"),
        Ok(Err(error)) => tracing::error!(%program, %error, "the mail command could not be run"),
        Err(_) => {
            tracing::error!(%program, "the mail command took over {} s and was stopped", MAIL_TIMEOUT.as_secs());
        }
    }
}

/// [`run`] beside the caller.
pub(super) fn spawn(command: String, body: String) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(run(command, body));
    }
}

async fn feed(program: &str, arguments: &[String], body: &str) -> std::io::Result<std::process::ExitStatus> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A program that does not read its input is no failure.
        let _ = input.write_all(body.as_bytes()).await;
    }
    child.wait().await
}
