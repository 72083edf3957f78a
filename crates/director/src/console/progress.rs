//! How far the last command of a session got, kept in the catalog: after a failover the console is told whether it took effect
//! (DESIGN §4, Console).

use catalog::operator::{self, Setting};
use types::Timestamp;

use super::args::Args;
use super::session::{Session, now};
use super::ua::Done;

/// Kind of these rows among the operator's settings.
const KIND: &str = "console";
/// Rows of sessions that ended with their instance are kept for so long, in seconds.
const KEPT_S: i64 = 7 * 86_400;

/// Commands that change nothing that outlives them.
const READING: &[&str] = &[
    "autodisplay",
    "automount",
    "estimate",
    "exit",
    "gui",
    "help",
    "list",
    "llist",
    "memory",
    "messages",
    "query",
    "quit",
    "show",
    "status",
    "time",
    "use",
    "version",
    "wait",
];

/// A session of a clustered Director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Followed {
    /// Names it over all instances.
    id: String,
    /// Commands that it has sent to any instance.
    count: u64,
}

impl Session {
    /// `.session id=<hex> count=<n>` names the session; `.session last id=<hex> count=<n>` tells how far its command number n got:
    /// `none`, `begun` or `done`.
    pub(super) async fn dot_session(&mut self, args: &Args) -> Done {
        let (Some(id), Some(count)) = (args.get("id"), args.get("count").and_then(|n| n.parse().ok())) else {
            return self.ua.fail("id= and count= are needed.\n").await;
        };
        let followed = Followed { id: id.to_owned(), count };
        if !args.has("last") {
            self.followed = Some(followed);
            return Ok(());
        }
        let (director, name) = (self.core.config().director.name.clone(), followed.id.clone());
        let read = self.catalog().read(move |r| operator::get(r, &director, KIND, &name)).await;
        match read {
            Ok(value) => self.ua.send(state(value.as_deref(), followed.count)).await,
            Err(error) => self.ua.fail(format!("{error}\n")).await,
        }
    }

    /// A command begins: its row is written before it does anything. `false` when it could not be, and so must not begin.
    pub(super) async fn command_begins(&self, command: &str) -> bool {
        self.remember(command, "begun").await
    }

    /// Counts the lines that the console sends as commands, as the instance that relays them does.
    pub(super) fn count_line(&mut self) {
        if let Some(followed) = &mut self.followed {
            followed.count += 1;
        }
    }

    /// It has ended, well or not.
    pub(super) async fn command_ended(&self, command: &str) {
        self.remember(command, "done").await;
    }

    async fn remember(&self, command: &str, state: &str) -> bool {
        let Some(followed) = &self.followed else { return true };
        if command.starts_with('.') || READING.contains(&command) {
            return true;
        }
        let Ok(epoch) = self.core.epoch() else { return false };
        let setting = Setting {
            kind: KIND.to_owned(),
            name: followed.id.clone(),
            value: format!("{} {state}", followed.count),
        };
        let at = Timestamp(now());
        let catalog = self.catalog();
        let written = catalog.write(epoch, move |tx| {
            operator::forget_before(tx, KIND, Timestamp(at.0 - KEPT_S))?;
            operator::set(tx, &setting, at)
        });
        match written.await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "the state of a console command was not written");
                false
            }
        }
    }
}

fn state(value: Option<&str>, count: u64) -> &'static str {
    match value.and_then(|value| value.split_once(' ')) {
        Some((number, "done")) if number.parse() == Ok(count) => "done\n",
        Some((number, _)) if number.parse() == Ok(count) => "begun\n",
        Some(_) | None => "none\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_row_of_that_very_command_counts() {
        assert_eq!(state(Some("3 done"), 3), "done\n");
        assert_eq!(state(Some("3 begun"), 3), "begun\n");
        assert_eq!(state(Some("2 done"), 3), "none\n");
        assert_eq!(state(None, 1), "none\n");
    }
}
