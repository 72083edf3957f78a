//! `Write Bootstrap`: after each backup, what is needed to restore it without a catalog (spec/04 §7.3).

use super::job::Job;
use crate::handle::Director;
use crate::messages::Codes;
use crate::messages::codes::expand;
use crate::text;
use catalog::jobmedia::JobMediaRow;
use policy::plan::JobPlan;
use std::fmt::Write as _;
use std::process::Stdio;
use sys::split_command;
use tokio::io::AsyncWriteExt;
use types::{JobLevel, Timestamp, VolSession};

/// Writes the job's bootstrap to where its directive says. A failure is an error in the job's log.
pub(crate) async fn write(
    director: &Director,
    job: &Job,
    codes: &Codes,
    session: VolSession,
    end: Timestamp,
) {
    let plan = job.plan();
    let Some(target) = &plan.write_bootstrap else { return };
    let id = job.id;
    let pieces = director.catalog().read(move |r| catalog::jobmedia::list(r, id)).await;
    let written = match pieces {
        Ok(pieces) => put(&expand(target, Some(codes), ""), &bsr(&plan, &pieces, session, end), &plan).await,
        Err(error) => Err(std::io::Error::other(error.to_string())),
    };
    if let Err(error) = written {
        job.messages.error(&format!("Could not write the bootstrap {target}: ERR={error}"));
    }
}

fn bsr(plan: &JobPlan, pieces: &[JobMediaRow], session: VolSession, end: Timestamp) -> String {
    let since =
        plan.since.as_ref().map(|s| format!(", since={}", text::catalog_time(s.time))).unwrap_or_default();
    let mut bsr = format!("# {} - {} - {}{since}\n", text::report_time(end), plan.job, plan.level);
    for row in pieces.iter().filter(|row| row.piece.last_index.get() > 0) {
        let piece = row.piece;
        let _ = writeln!(bsr, "Volume=\"{}\"\nMediaType=\"{}\"", row.volume_name, row.media_type);
        if row.slot > 0 {
            let _ = writeln!(bsr, "Slot={}", row.slot);
        }
        let _ = writeln!(bsr, "VolSessionId={}\nVolSessionTime={}", session.id, session.time);
        let _ = writeln!(bsr, "VolAddr={}-{}", piece.start, piece.end);
        let _ = writeln!(bsr, "FileIndex={}-{}", piece.first_index, piece.last_index);
    }
    bsr
}

/// A Full truncates the file, other levels append; `|program` gets the text on its standard input.
async fn put(target: &str, bsr: &str, plan: &JobPlan) -> std::io::Result<()> {
    if let Some(command) = target.strip_prefix('|') {
        return feed(command, bsr).await;
    }
    let full = matches!(plan.level, JobLevel::Full | JobLevel::VirtualFull);
    let mut options = tokio::fs::OpenOptions::new();
    options.create(true).write(true).truncate(full).append(!full);
    let mut file = options.open(target).await?;
    file.write_all(bsr.as_bytes()).await?;
    file.sync_all().await
}

async fn feed(command: &str, text: &str) -> std::io::Result<()> {
    let words = split_command(command);
    let (program, arguments) =
        words.split_first().ok_or_else(|| std::io::Error::other("the command is empty"))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).await?;
    }
    let status = child.wait().await?;
    if status.success() {
        Ok(())
    } else {
        Err(std::io::Error::other(format!("{command} ended with {status}")))
    }
}
