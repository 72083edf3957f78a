//! RunScripts (spec/04 §4.8): those of the client are sent to it, those of the Director are run here.

use super::job::Job;
use super::session::{Fail, FdSession};
use crate::handle::Director;
use crate::messages::Codes;
use crate::messages::codes::{expand, split};
use policy::plan::{JobPlan, ScriptAction, ScriptPlan, ScriptTarget, ScriptWhen};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use types::{Attempt, JobStatus, bash_spaces};

/// Sends the client's scripts and lets those run that come before the job.
pub(crate) async fn send_to_client(job: &Job, fd: &mut FdSession) -> Result<(), Fail> {
    let plan = job.plan();
    let mut sent = false;
    for script in plan.scripts.iter().filter(|script| is_of_client(script, &plan)) {
        let ScriptAction::Command(command) = &script.action else { continue };
        // The FD expands the %-codes.
        let line = format!(
            "Run OnSuccess={} OnFailure={} AbortOnError={} When={} Command={}\n",
            u8::from(script.on_success),
            u8::from(script.on_failure),
            u8::from(script.fail_job),
            when_bits(script.when),
            bash_spaces(command),
        );
        fd.peer.command(line, "2000 OK RunScript").await?;
        sent = true;
    }
    if sent {
        let ran = fd.peer.command("RunBeforeNow\n", "2000 OK RunBeforeNow").await;
        ran.map_err(|error| {
            Fail::fatal(format!("Client \"{}\" RunScript failed: {error}", plan.client.name))
        })?;
    }
    Ok(())
}

fn is_of_client(script: &ScriptPlan, plan: &JobPlan) -> bool {
    match &script.target {
        ScriptTarget::Director => false,
        ScriptTarget::Client => true,
        ScriptTarget::NamedClient(name) => *name == plan.client.name,
    }
}

const fn when_bits(when: ScriptWhen) -> u8 {
    match when {
        ScriptWhen::After => 1,
        ScriptWhen::Before => 2,
        ScriptWhen::Always => 3,
        ScriptWhen::AfterSnapshot => 4,
    }
}

/// Runs the Director's scripts before the job.
///
/// # Errors
/// [`Fail`] with status `E` when one failed that fails the job.
pub(crate) async fn run_before(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    codes: &Codes,
) -> Result<(), Fail> {
    let plan = job.plan();
    for (position, script) in plan.scripts.iter().enumerate() {
        let before = matches!(script.when, ScriptWhen::Before | ScriptWhen::Always);
        if !before || script.target != ScriptTarget::Director || skipped(script, attempt) {
            continue;
        }
        if run(director, job, attempt, position, script, "BeforeJob", codes).await.is_err() && script.fail_job
        {
            return Err(Fail { status: JobStatus::ErrorTerminated, text: String::new() });
        }
    }
    Ok(())
}

/// Runs the Director's scripts after a job that ended so.
pub(crate) async fn run_after(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    codes: &Codes,
    status: JobStatus,
) {
    let plan = job.plan();
    let good = status.is_success();
    for (position, script) in plan.scripts.iter().enumerate() {
        let after = matches!(script.when, ScriptWhen::After | ScriptWhen::Always);
        let wanted = if good { script.on_success } else { script.on_failure };
        if after && wanted && script.target == ScriptTarget::Director && !skipped(script, attempt) {
            // What fails here is in the log; the job has ended.
            let _ = run(director, job, attempt, position, script, "AfterJob", codes).await;
        }
    }
}

fn skipped(script: &ScriptPlan, attempt: Attempt) -> bool {
    attempt > Attempt(1) && !script.run_again
}

/// Runs one script. Start and end are recorded with the attempt: they run at least once (DESIGN §4 "Scripts").
async fn run(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    position: usize,
    script: &ScriptPlan,
    label: &str,
    codes: &Codes,
) -> Result<(), ()> {
    let number = u32::try_from(position).unwrap_or(u32::MAX);
    let id = job.id;
    let now = crate::text::now();
    let catalog = director.catalog();
    let noted =
        catalog.write(director.epoch(), move |tx| catalog::script::started(tx, id, attempt, number, now));
    if let Err(error) = noted.await {
        job.messages.error(&format!("{label}: the start was not recorded, so it is not run: {error}"));
        return Err(());
    }
    let code = match &script.action {
        ScriptAction::Console(line) => console(director, job, label, &expand(line, Some(codes), "")).await,
        ScriptAction::Command(line) => command(job, attempt, label, &expand(line, Some(codes), "")).await,
    };
    let now = crate::text::now();
    let ended =
        catalog.write(director.epoch(), move |tx| catalog::script::ended(tx, id, attempt, number, code, now));
    if let Err(error) = ended.await {
        tracing::warn!(job = %id, %error, "the end of a script was not recorded");
    }
    if code == 0 { Ok(()) } else { Err(()) }
}

async fn console(director: &Director, job: &Job, label: &str, line: &str) -> i32 {
    job.messages.info(&format!("console command: run {label} \"{line}\""));
    let lines = director.console_line(line).await;
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        job.messages.info(&format!("{label}: {}", line.trim_end()));
    }
    0
}

async fn command(job: &Job, attempt: Attempt, label: &str, line: &str) -> i32 {
    job.messages.info(&format!("shell command: run {label} \"{line}\""));
    match output_to_log(job, attempt, label, line).await {
        Ok(status) if status.success() => 0,
        Ok(status) => {
            let code = status.code().unwrap_or(-1);
            let why = match status.code() {
                Some(code) => format!("Child exited with code {code}"),
                None => format!("Child ended by {status}"),
            };
            job.messages.error(&format!("Runscript: {label} returned non-zero status={code}. ERR={why}"));
            code
        }
        Err(error) => {
            job.messages.error(&format!("Runscript: {label} could not execute. ERR={error}"));
            -1
        }
    }
}

/// Runs a program; each line of its output is a message of the job. It ends with the job's cancellation.
async fn output_to_log(
    job: &Job,
    attempt: Attempt,
    label: &str,
    line: &str,
) -> std::io::Result<std::process::ExitStatus> {
    let words = split(line);
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("HOLDFAST_ATTEMPT", attempt.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().map(BufReader::new);
    let err = child.stderr.take().map(BufReader::new);
    let logging = async { tokio::join!(log_lines(job, label, out), log_lines(job, label, err)) };
    tokio::select! {
        status = async { logging.await; child.wait().await } => status,
        _ = job.wished() => Err(std::io::Error::new(std::io::ErrorKind::Interrupted, "the job was canceled")),
    }
}

async fn log_lines(job: &Job, label: &str, output: Option<impl tokio::io::AsyncBufRead + Unpin>) {
    let Some(mut output) = output else { return };
    let mut line = Vec::new();
    while let Ok(1..) = output.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        job.messages.info(&format!("{label}: {}", text.trim_end()));
        line.clear();
    }
}
