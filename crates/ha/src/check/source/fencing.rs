//! `stonith_admin --history '*'`: what Pacemaker fenced, and when.

use jiff::Timestamp;

/// A machine was fenced, or that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) target: String,
    /// `reboot`, `off`.
    pub(crate) action: String,
    pub(crate) succeeded: bool,
    pub(crate) at: Timestamp,
}

pub(crate) fn parse_history(text: &str) -> Vec<Event> {
    text.lines().filter_map(event).collect()
}

/// `reboot of n2 successful: delegate=n1, client=…, origin=n1, completed='2026-11-23 15:57:04Z'`
fn event(line: &str) -> Option<Event> {
    let (head, rest) = line.split_once(": ")?;
    let (action, after) = head.split_once(" of ")?;
    let (target, end) = after.rsplit_once(' ')?;
    let succeeded = match end {
        "successful" => true,
        "failed" => false,
        _ => return None,
    };
    let at = rest.split_once("completed='").or_else(|| rest.split_once("last-failed='"))?.1;
    let at = time(at.split_once('\'')?.0)?;
    Some(Event { target: target.trim().to_owned(), action: action.trim().to_owned(), succeeded, at })
}

/// Pacemaker's `2026-11-23 15:57:04Z` or `2026-11-23 16:57:04 +01:00`.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.trim().split_once(' ')?;
    format!("{date}T{}", clock.replace(' ', "")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_with_their_times() {
        let text = include_str!("../../../fixtures/check/pacemaker/stonith_admin-history.txt");
        let expected = Event {
            target: "n2".into(),
            action: "reboot".into(),
            succeeded: true,
            at: "2026-11-23T15:57:04Z".parse().unwrap(),
        };
        assert_eq!(parse_history(text), [expected]);
        let text = text.replace("successful", "failed").replace("04Z", "04 +01:00");
        let failed = &parse_history(&text)[0];
        assert!(!failed.succeeded && failed.at == "2026-11-23T14:57:04Z".parse().unwrap());
        assert!(parse_history("0 events found\nn1 wishes to reboot n2\n").is_empty());
    }
}
