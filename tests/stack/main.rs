//! The whole stack: Corosync, Pacemaker, fencing, DRBD, PostgreSQL, Directors, a Storage Daemon and floating addresses on two machines with
//! Debian's kernel, and a third one with the witness, a client and a Storage Daemon that stays. Everything is configured by what
//! `holdfast ha render` writes and brought up by its runbook.
#![expect(clippy::print_stdout, reason = "the course of it is for people")]

mod machines;

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use machines::{FILES, Stack};

/// Files of a running job that are in the catalog before its machine dies.
const CHECKPOINTED: usize = 5;

#[test]
fn machines_die_under_running_jobs() -> Result<()> {
    let mut stack = Stack::start()?;
    let done = job(&mut stack, "Small")?;
    ends_well(&mut stack, done)?;

    // Director, catalog and address go to the other machine; client and Storage Daemon of the job stay.
    let running = begin(&mut stack, "ToOffice")?;
    dies(&mut stack, "a", "b")?;
    ends_well(&mut stack, running)?;
    restores(&mut stack, running)?;
    ensure!(stack.status(done)? == 'T', "the job of before is lost");

    // It comes back; now everything is on the other one, the job's Storage Daemon with its Volumes and journals too.
    stack.comes_back("a")?;
    let running = begin(&mut stack, "ToMoved")?;
    dies(&mut stack, "b", "a")?;
    ends_well(&mut stack, running)?;
    let log = stack.console(&[&format!("list joblog jobid={running}")])?;
    let attempts = stack.sql(
        "a",
        &format!(
            "SELECT Attempt, JobFiles, Storage FROM hf_attempt WHERE JobId = {running} AND Storage <> '' ORDER BY Attempt"
        ),
    )?;
    println!("attempts of the moved job: {attempts:?}");
    ensure!(attempts.len() == 2, "{attempts:?}\n{log}");
    let first: usize = attempts[0][1].parse()?;
    ensure!(first >= CHECKPOINTED, "nothing was kept of the first attempt: {attempts:?}\n{log}");
    ensure!(attempts.iter().all(|row| row[2] == "Moved"), "{attempts:?}");
    let rows = stack
        .sql("a", &format!("SELECT count(*), count(DISTINCT FileIndex) FROM File WHERE JobId = {running}"))?;
    ensure!(rows == [[(FILES + 1).to_string(), (FILES + 1).to_string()]], "{rows:?}");
    restores(&mut stack, running)
}

fn job(stack: &mut Stack, name: &str) -> Result<u32> {
    let said = stack.console(&[&format!("run job={name} level=Full yes")])?;
    let id = said.lines().find_map(|line| line.strip_prefix("Job queued. JobId=")).context(said.clone())?;
    Ok(id.trim().parse()?)
}

/// Starts a job and waits until some of its files are acknowledged.
fn begin(stack: &mut Stack, name: &str) -> Result<u32> {
    let id = job(stack, name)?;
    stack.console_until(&format!("list files jobid={id}"), |said| {
        said.lines().filter(|line| line.contains("/file")).count() >= CHECKPOINTED
    })?;
    ensure!(stack.status(id)? == 'R', "the job has ended before its machine died");
    Ok(id)
}

/// Cuts the power of a machine; returns when the Director answers at its address again, with what was the order of things.
fn dies(stack: &mut Stack, machine: &str, other: &str) -> Result<()> {
    let fault = Instant::now();
    stack.machine(machine).switch_off()?;
    stack.console_until("list jobs", |said| said.contains("jobstatus"))?;
    let served = fault.elapsed();
    let fenced =
        stack.switch.fenced().into_iter().rev().find(|off| off.machine == machine && off.at >= fault);
    let fenced = fenced.with_context(|| format!("{machine} was followed and not fenced"))?.at - fault;
    println!(
        "power cut of {machine}: fenced after {:.1} s, first command served after {:.1} s",
        fenced.as_secs_f64(),
        served.as_secs_f64()
    );
    ensure!(fenced < served, "{other} has taken over before {machine} was off");
    println!("{}", stack.machine(other).run(machines::COURSE)?);
    Ok(())
}

fn ends_well(stack: &mut Stack, id: u32) -> Result<()> {
    let since = Instant::now();
    stack.console_until(&format!("llist jobid={id}"), |said| {
        // One that was cut off is Incomplete until it goes on.
        machines::status_in(said).is_some_and(|status| !"RCI".contains(status))
    })?;
    let status = stack.status(id)?;
    if status != 'T' {
        let log = stack.console(&[&format!("list joblog jobid={id}")])?;
        anyhow::bail!("job {id} ended {status}\n{log}\n{}", stack.logs());
    }
    println!("job {id} ended T {:.1} s later", since.elapsed().as_secs_f64());
    Ok(())
}

/// Restores a job and compares it with its tree.
fn restores(stack: &mut Stack, id: u32) -> Result<()> {
    stack.machine("office").run("rm -rf /srv/restored")?;
    let restore = format!("restore jobid={id} client=office-fd where=/srv/restored all done yes");
    let said = stack.console(&[&restore])?;
    let id = said.lines().find_map(|line| line.strip_prefix("Job queued. JobId=")).context(said.clone())?;
    ends_well(stack, id.trim().parse()?)?;
    let said = stack.machine("office").run("diff -r /srv/tree /srv/restored/srv/tree && echo equal")?;
    ensure!(said.trim() == "equal", "{said}");
    println!("restored with 0 differences");
    Ok(())
}
