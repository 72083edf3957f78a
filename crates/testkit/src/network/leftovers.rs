//! Namespaces of runs that were killed.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::{NAMESPACES, ip, output};

/// What the names of all our namespaces begin with.
const PREFIX: &str = "holdfast";

/// What the names of this process's namespaces begin with: its number, and when it was started, since numbers come again.
///
/// # Errors
/// When `/proc` cannot be read.
pub(super) fn mine() -> Result<String> {
    let me = std::process::id();
    let start = start_of(me).context("read when this process was started")?;
    Ok(format!("{PREFIX}-{me}-{start}"))
}

/// Removes the namespaces of processes that have ended, and ends what still runs there.
///
/// # Errors
/// When a namespace that is to go cannot be removed.
pub(super) fn remove() -> Result<()> {
    for name in fs::read_dir(NAMESPACES).into_iter().flatten().flatten() {
        let Ok(name) = name.file_name().into_string() else { continue };
        if maker(&name).is_none_or(|(pid, start)| start_of(pid).as_deref() == Some(start)) {
            continue;
        }
        for pid in output(&["netns", "pids", &name]).unwrap_or_default().lines() {
            if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
                // One that has ended meanwhile is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if let Err(error) = ip(&["netns", "del", &name])
            && fs::exists(format!("{NAMESPACES}/{name}"))?
        {
            return Err(error); // unless another test has removed it in the same moment
        }
    }
    Ok(())
}

/// Number and start of the process that made a namespace.
fn maker(namespace: &str) -> Option<(u32, &str)> {
    let mut words = namespace.split('-');
    let is_ours = words.next() == Some(PREFIX);
    let pid = words.next()?.parse().ok()?;
    let start = words.next()?;
    is_ours.then_some((pid, start))
}

/// When a process was started, in ticks since the machine was; none when it has ended.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may contain spaces: count from behind it. The start is field 22.
    stat.rsplit(')').next()?.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_in_the_name_and_others_are_left_alone() {
        let name = format!("{}-0-storage", mine().unwrap());
        let (pid, start) = maker(&name).unwrap();
        assert_eq!((pid, Some(start)), (std::process::id(), start_of(pid).as_deref()));
        assert_eq!(maker("lab-1-2-3-a"), None);
        assert_eq!(maker("holdfast"), None);
    }
}
