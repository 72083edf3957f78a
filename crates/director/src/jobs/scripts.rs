//! RunScripts (spec/04 §4.8): those of the client are sent to it, those of the Director are run here.

use super::job::Job;
use super::session::{Fail, FdSession};
use crate::handle::Director;
use crate::messages::Codes;
use crate::messages::codes::expand;
use catalog::script::ScriptRow;
use policy::plan::{JobPlan, ScriptAction, ScriptPlan, ScriptTarget, ScriptWhen};
use std::process::Stdio;
use sys::split_command;
use tokio::io::{AsyncBufReadExt, BufReader};
use types::{Attempt, JobStatus, bash_spaces};

/// Sends the client's scripts and lets those run that come before the job. Their start is recorded before that, as that of the
/// Director's own; the client does not say which of them ended how.
pub(crate) async fn send_to_client(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    fd: &mut FdSession,
) -> Result<(), Fail> {
    let plan = job.plan();
    let history = History::read(director, job).await?;
    let mut sent = false;
    let mut starting = Vec::new();
    for (position, script) in plan.scripts.iter().enumerate() {
        let ScriptAction::Command(command) = &script.action else { continue };
        let is_before = matches!(script.when, ScriptWhen::Before | ScriptWhen::Always);
        // Those that run after the job are the client's alone: it runs them when the job ends there, Director or not.
        let number = number(position, !is_before);
        if !is_of_client(script, &plan) || !history.allows(job, script, number, attempt, "ClientRunScript") {
            continue;
        }
        if is_before {
            starting.push(number);
        }
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
        let (id, now) = (job.id, crate::text::now());
        let noted = director.catalog().write(director.epoch(), move |tx| {
            starting.iter().try_for_each(|script| catalog::script::started(tx, id, attempt, *script, now))
        });
        noted.await?;
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
    let history = History::read(director, job).await?;
    let run = Run { director, job, attempt, history: &history, label: "BeforeJob", codes };
    for (position, script) in plan.scripts.iter().enumerate() {
        let before = matches!(script.when, ScriptWhen::Before | ScriptWhen::Always);
        let number = number(position, false);
        if !before
            || script.target != ScriptTarget::Director
            || !history.allows(job, script, number, attempt, run.label)
        {
            continue;
        }
        if run.run(script, number).await.is_err() && script.fail_job {
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
    let history = match History::read(director, job).await {
        Ok(history) => history,
        // Without it no script can be told from one that may run but once.
        Err(fail) => return job.messages.error(&format!("AfterJob: {}", fail.text)),
    };
    let run = Run { director, job, attempt, history: &history, label: "AfterJob", codes };
    for (position, script) in plan.scripts.iter().enumerate() {
        let after = matches!(script.when, ScriptWhen::After | ScriptWhen::Always);
        let wanted = if good { script.on_success } else { script.on_failure };
        let number = number(position, true);
        if after
            && wanted
            && script.target == ScriptTarget::Director
            && history.allows(job, script, number, attempt, run.label)
        {
            // What fails here is in the log; the job has ended.
            let _ = run.run(script, number).await;
        }
    }
}

/// A script and whether it is its run after the job, as one number: scripts of `Runs When = Always` have two runs.
fn number(position: usize, is_after: bool) -> u32 {
    let position = u32::try_from(position).unwrap_or(u32::MAX / 2).min(catalog::script::AFTER - 1);
    if is_after { position | catalog::script::AFTER } else { position }
}

/// What was started for a job before: by earlier attempts, and in this one by a Director that died.
struct History(Vec<ScriptRow>);

impl History {
    async fn read(director: &Director, job: &Job) -> Result<Self, Fail> {
        let id = job.id;
        Ok(Self(director.catalog().read(move |r| catalog::script::list(r, id)).await?))
    }

    /// The last start of a script, if there was one.
    fn last(&self, number: u32) -> Option<&ScriptRow> {
        self.0.iter().rfind(|row| row.script == number)
    }

    /// Whether a script is to run. One that was started and is not to run twice is named in the job's messages.
    fn allows(&self, job: &Job, script: &ScriptPlan, number: u32, attempt: Attempt, label: &str) -> bool {
        let Some(last) = self.last(number) else { return true };
        let is_ended = last.exit_code.is_some();
        if last.attempt == attempt && is_ended {
            return false;
        }
        let how = if is_ended { "" } else { ", and how it ended is not known" };
        let before = format!("It was started before, in attempt {}{how}.", last.attempt);
        if script.run_again {
            job.messages.info(&format!("{label}: a script runs again. {before}"));
        } else {
            job.messages.warning(&format!("{label}: a script with Run Again = no is left out. {before}"));
        }
        script.run_again
    }
}

/// A run of scripts of the Director.
struct Run<'a> {
    director: &'a Director,
    job: &'a Job,
    attempt: Attempt,
    history: &'a History,
    label: &'a str,
    codes: &'a Codes,
}

impl Run<'_> {
    /// Runs one script. Start and end are recorded with the attempt: they run at least once (DESIGN §4 "Scripts").
    async fn run(&self, script: &ScriptPlan, number: u32) -> Result<(), ()> {
        let (id, attempt, now) = (self.job.id, self.attempt, crate::text::now());
        let (catalog, epoch) = (self.director.catalog(), self.director.epoch());
        let noted = catalog.write(epoch, move |tx| catalog::script::started(tx, id, attempt, number, now));
        if let Err(error) = noted.await {
            let label = self.label;
            self.job
                .messages
                .error(&format!("{label}: the start was not recorded, so it is not run: {error}"));
            return Err(());
        }
        let expanded = |line: &str| expand(line, Some(self.codes), "");
        let code = match &script.action {
            ScriptAction::Console(line) => {
                console(self.director, self.job, self.label, &expanded(line)).await
            }
            ScriptAction::Command(line) => self.command(&expanded(line), number).await,
        };
        let now = crate::text::now();
        let ended =
            catalog.write(epoch, move |tx| catalog::script::ended(tx, id, attempt, number, code, now));
        if let Err(error) = ended.await {
            tracing::warn!(job = %id, %error, "the end of a script was not recorded");
        }
        if code == 0 { Ok(()) } else { Err(()) }
    }

    async fn command(&self, line: &str, number: u32) -> i32 {
        let (job, label) = (self.job, self.label);
        job.messages.info(&format!("shell command: run {label} \"{line}\""));
        let environment = [
            ("HOLDFAST_ATTEMPT", self.attempt.to_string()),
            ("HOLDFAST_REPEAT", u8::from(self.history.last(number).is_some()).to_string()),
        ];
        match output_to_log(job, environment, label, line).await {
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
}

async fn console(director: &Director, job: &Job, label: &str, line: &str) -> i32 {
    job.messages.info(&format!("console command: run {label} \"{line}\""));
    let lines = director.console_line(line).await;
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        job.messages.info(&format!("{label}: {}", line.trim_end()));
    }
    0
}

/// Runs a program; each line of its output is a message of the job. It ends with the job's cancellation.
async fn output_to_log(
    job: &Job,
    environment: [(&str, String); 2],
    label: &str,
    line: &str,
) -> std::io::Result<std::process::ExitStatus> {
    let words = split_command(line);
    let (program, arguments) = words
        .split_first()
        .ok_or_else(|| std::io::Error::new(std::io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .envs(environment)
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
