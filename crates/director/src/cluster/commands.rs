//! What every instance answers itself, whoever is active: `status cluster`, `cluster …`, `.instance`.

use super::report::{ClusterReport, Report};
use super::seat::{Ask, Role, Seat};
use conf::director::Engine;
use std::time::Duration;
use tokio::time::Instant;

/// How long giving up the role may take.
const GIVE_UP_LIMIT: Duration = Duration::from_secs(10);
/// How long the next instance may take to become active.
const TAKE_LIMIT: Duration = Duration::from_secs(30);

/// A command of this kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Own {
    /// `status cluster [json]`.
    Status { json: bool },
    /// `.instance`.
    Instance,
    /// `cluster switchover [to=NAME]`.
    Switchover { to: Option<String> },
    /// `cluster demote`.
    Demote,
    /// `cluster promote [force]`.
    Promote { force: bool },
    /// `.config …`: another instance speaks of its configuration; answered by [`receive`](super::receive).
    Config(String),
    /// `cluster` with something else behind it.
    Help,
}

impl Own {
    /// The word that a Command ACL must list.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Instance => ".instance",
            Self::Config(_) => ".config",
            Self::Switchover { .. } | Self::Demote | Self::Promote { .. } | Self::Help => "cluster",
        }
    }
}

/// Reads a line; `None` when the active Director is to answer it. What changes the active instance is answered by that one.
pub(crate) fn own(line: &str, active: bool) -> Option<Own> {
    let mut words = line.split_whitespace();
    let (first, second) = (words.next()?, words.next());
    match (first, second) {
        ("status", Some("cluster")) => Some(Own::Status { json: words.any(|word| word == "json") }),
        (".instance", None) => Some(Own::Instance),
        (".config", Some(_)) => {
            Some(Own::Config(line.trim().trim_start_matches(".config").trim_start().to_owned()))
        }
        ("cluster", Some("switchover")) if active => {
            let to = words.find_map(|word| word.strip_prefix("to="));
            Some(Own::Switchover { to: to.map(|name| name.trim_matches('"').to_owned()) })
        }
        ("cluster", Some("demote")) if active => Some(Own::Demote),
        ("cluster", Some("switchover" | "demote")) => None,
        ("cluster", Some("promote")) => Some(Own::Promote { force: words.next() == Some("force") }),
        ("cluster", Some("status")) => Some(Own::Status { json: words.any(|word| word == "json") }),
        ("cluster", _) => Some(Own::Help),
        _ => None,
    }
}

/// Runs it. Returns the text and whether it went well.
pub(crate) async fn run(seat: &Seat, own: Own) -> (String, bool) {
    match own {
        Own::Status { json } => {
            let report = ClusterReport::gather(seat).await;
            let text = if json { print(&report) } else { report.table() };
            (text, report.active().is_some())
        }
        Own::Instance => (print(&Report::own(seat).await), true),
        // The switchboard answers it, which knows the connection.
        Own::Config(_) => (String::new(), false),
        Own::Switchover { to } => told(switchover(seat, to).await),
        Own::Demote => told(demote(seat).await),
        Own::Promote { force } => told(promote(seat, force).await),
        Own::Help => (
            "cluster switchover [to=<instance>] | demote | promote [force] | status [json]\n".to_owned(),
            false,
        ),
    }
}

fn print(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value);
    text.map_or_else(|error| format!("{error}\n"), |text| format!("{text}\n"))
}

/// An answer for another instance.
pub(super) fn told_json(value: &impl serde::Serialize) -> (String, bool) {
    (print(value), true)
}

fn told(result: Result<String, String>) -> (String, bool) {
    match result {
        Ok(text) => (format!("{text}\n"), true),
        Err(why) => (format!("{why}\n"), false),
    }
}

async fn switchover(seat: &Seat, to: Option<String>) -> Result<String, String> {
    clustered(seat)?;
    by_lease(seat, "crm resource move … (pcs resource move …)")?;
    let report = ClusterReport::gather(seat).await;
    let ready = |report: &&Report| {
        report.role == "standby" && to.as_ref().is_none_or(|name| *name == report.instance)
    };
    let Some(heir) = report.instances.iter().find(ready) else {
        let wanted = to.map_or("no instance".to_owned(), |name| format!("instance {name} is not"));
        return Err(format!("Nothing was done: {wanted} standing by.\n{}", report.table()));
    };
    let began = Instant::now();
    let heir = heir.instance.clone();
    seat.ask(|reply| Ask::Switchover { to: Some(heir.clone()), reply }, GIVE_UP_LIMIT).await?;
    let next = next_holder(seat).await?;
    Ok(format!("Instance {next} is active after {:.2} s.", began.elapsed().as_secs_f64()))
}

/// Waits until another instance is active.
async fn next_holder(seat: &Seat) -> Result<String, String> {
    let mut role = seat.watch();
    let other = role.wait_for(|role| match role {
        Role::Standby { holder } => holder.is_some(),
        Role::Active(_) => true,
    });
    match tokio::time::timeout(TAKE_LIMIT, other).await {
        Ok(Ok(role)) => Ok(match &*role {
            Role::Standby { holder: Some(holder) } => holder.clone(),
            Role::Standby { holder: None } | Role::Active(_) => seat.instance().to_owned(),
        }),
        Ok(Err(_)) => Err("this instance is stopping".to_owned()),
        Err(_) => Err(format!(
            "The role was given up, but no instance has taken it within {} s; see \"status cluster\"",
            TAKE_LIMIT.as_secs()
        )),
    }
}

async fn demote(seat: &Seat) -> Result<String, String> {
    clustered(seat)?;
    by_lease(seat, "crm node standby … (pcs node standby …)")?;
    seat.ask(|reply| Ask::Demote { reply }, GIVE_UP_LIMIT).await?;
    Ok(format!(
        "Instance {} has given the role up and stays a standby until \"cluster promote\" or a restart.",
        seat.instance()
    ))
}

async fn promote(seat: &Seat, force: bool) -> Result<String, String> {
    clustered(seat)?;
    if !force {
        by_lease(seat, "crm resource promote … (pcs resource promote …)")?;
    }
    let why = seat.held_back().borrow().by_configuration.clone();
    seat.ask(|reply| Ask::Promote { force, reply }, GIVE_UP_LIMIT).await?;
    if let Some(why) = why.filter(|_| !force) {
        return Err(format!("Instance {} may not become active: {why}.", seat.instance()));
    }
    Ok(format!("Instance {} may become active.", seat.instance()))
}

fn clustered(seat: &Seat) -> Result<(), String> {
    if seat.is_clustered() {
        return Ok(());
    }
    Err("This Director stands alone: its configuration has no Cluster resource.".to_owned())
}

/// A role that Pacemaker gives, it would give back at once.
fn by_lease(seat: &Seat, instead: &str) -> Result<(), String> {
    let engine = seat.config().cluster.as_ref().map(|cluster| cluster.engine);
    match engine {
        Some(Engine::Pacemaker) => Err(format!(
            "Pacemaker decides which instance is active (`Engine = Pacemaker`): use its own command, {instead}."
        )),
        Some(Engine::Lease) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_active_instance_is_left_to_it() {
        assert_eq!(own("status cluster", false), Some(Own::Status { json: false }));
        assert_eq!(own("status cluster json\n", true), Some(Own::Status { json: true }));
        assert_eq!(own("status director", true), None);
        let to_b = Own::Switchover { to: Some("b".to_owned()) };
        assert_eq!(own("cluster switchover to=\"b\"", true), Some(to_b));
        assert_eq!(own("cluster switchover", false), None);
        assert_eq!(own("cluster demote", false), None);
        assert_eq!(own("cluster promote", false), Some(Own::Promote { force: false }));
        assert_eq!(own("cluster promote force", false), Some(Own::Promote { force: true }));
        let offer = Own::Config("offer {\"a\": 1}".to_owned());
        assert_eq!(own(".config offer {\"a\": 1}\n", true), Some(offer));
        assert_eq!(own("cluster", true), Some(Own::Help));
        assert_eq!(own("list jobs", false), None);
    }
}
