//! What a cluster manager's agent says to a running instance over its control socket, and what it hears (`Engine = Pacemaker`).
//!
//! One request a connection: a line, answered by lines up to the end of the connection. `promote` and `demote` are answered by `ok`, or
//! by `no` and why; `state` by a line for each thing there is to say ([`State`]); unknown ones are skipped, so that agent and instance
//! may be of neighbouring versions.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest request and answer, in bytes.
pub const LINE_MAX: usize = 4096;

/// A request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// How it is.
    State,
    /// Be active. Answered when it is; the order is withdrawn when it cannot be within the limit.
    Promote {
        /// How long it may take.
        limit: Duration,
    },
    /// Act no more. Answered when nothing that it began is on its way any more.
    Demote,
    /// Another instance may have become active: look who is.
    Look,
}

/// How an instance is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// It was ordered to be active, and not to stop since.
    pub ordered: bool,
    /// It is active, in this epoch.
    pub epoch: Option<u64>,
    /// Why it is not active though ordered to.
    pub trouble: Option<String>,
    /// Why it would refuse to become active.
    pub held_back: Option<String>,
}

/// Where the socket of an instance is.
#[must_use]
pub fn socket(working_directory: &Path, director: &str, instance: &str) -> PathBuf {
    working_directory.join(format!("{director}.{instance}.control"))
}

impl Order {
    /// Reads a request; none when it is not one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let order = match (words.next()?, words.next()) {
            ("state", None) => Self::State,
            ("promote", Some(limit)) => Self::Promote { limit: Duration::from_millis(limit.parse().ok()?) },
            ("demote", None) => Self::Demote,
            ("look", None) => Self::Look,
            _ => return None,
        };
        words.next().is_none().then_some(order)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State => f.write_str("state"),
            Self::Promote { limit } => write!(f, "promote {}", limit.as_millis()),
            Self::Demote => f.write_str("demote"),
            Self::Look => f.write_str("look"),
        }
    }
}

impl State {
    /// Reads the answer to [`Order::State`]; none when it is cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut state = Self::default();
        let mut is_whole = false;
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("ordered", word) => state.ordered = word == "active",
                ("epoch", number) => state.epoch = Some(number.parse().ok()?),
                ("trouble", why) => state.trouble = Some(why.to_owned()),
                ("held-back", why) => state.held_back = Some(why.to_owned()),
                ("ok", "") => is_whole = true,
                _ => {}
            }
        }
        is_whole.then_some(state)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(f, "ordered {}", if self.ordered { "active" } else { "standby" })?;
        if let Some(epoch) = self.epoch {
            writeln!(f, "epoch {epoch}")?;
        }
        if let Some(why) = &self.trouble {
            writeln!(f, "trouble {}", one_line(why))?;
        }
        if let Some(why) = &self.held_back {
            writeln!(f, "held-back {}", one_line(why))?;
        }
        writeln!(f, "ok")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_states_survive_the_socket_and_others_are_no_requests() {
        let promote = Order::Promote { limit: Duration::from_millis(1500) };
        for order in [Order::State, promote, Order::Demote, Order::Look] {
            assert_eq!(Order::parse(&format!("{order}\n")), Some(order));
        }
        for line in ["", "promote", "promote soon", "demote now", "state 1 2", "stop"] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
        let state = State {
            ordered: true,
            epoch: Some(7 << 32),
            trouble: Some("the catalog\nis away".to_owned()),
            held_back: None,
        };
        let said = state.to_string();
        let heard = State::parse(&format!("later news\n{said}")).unwrap();
        assert_eq!(heard, State { trouble: Some("the catalog is away".to_owned()), ..state });
        assert_eq!(State::parse("ordered active\nepoch 3\n"), None, "cut off");
    }
}
