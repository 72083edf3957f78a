//! The runbook that `holdfast ha render` writes, carried out by a test as a person would: each block on the machine that it names.

use anyhow::{Context, Result, ensure};

/// A block of commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Name of the machine.
    pub on: String,
    /// Lines of shell.
    pub script: String,
}

/// The blocks under a heading (its text, without the marks of its level), up to the next one of any level.
///
/// # Errors
/// When there is no such heading, or nothing to do under it.
pub fn steps(runbook: &str, heading: &str) -> Result<Vec<Step>> {
    let mut lines = runbook.lines();
    lines
        .find(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == heading)
        .with_context(|| format!("the runbook has no \"{heading}\""))?;
    let mut found: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for line in lines {
        match line.strip_prefix("```") {
            Some(head) if !is_inside => {
                let on = head
                    .strip_prefix("sh on=")
                    .with_context(|| format!("a block of \"{heading}\": {line}"))?;
                found.push(Step { on: on.to_owned(), script: String::new() });
                is_inside = true;
            }
            Some(_) => is_inside = false,
            None if is_inside => {
                let step = found.last_mut().context("a block")?;
                step.script.push_str(line);
                step.script.push('\n');
            }
            None if line.starts_with('#') => break,
            None => {}
        }
    }
    ensure!(!found.is_empty(), "under \"{heading}\" of the runbook is nothing to do");
    Ok(found)
}
