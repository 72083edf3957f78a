//! Messages that daemons send for a job (spec/01 §5.1, spec/03 §3.3).

use conf::messages::MessageType;
use types::{JobId, Timestamp};
use wire::scan;
use wire::version::Generation;

/// A message of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Jmsg {
    /// The job by number, when it was named so.
    pub(crate) job: Option<JobId>,
    pub(crate) kind: MessageType,
    pub(crate) time: Timestamp,
    /// `<daemon> JobId <n>: text`, ending in a line feed.
    pub(crate) text: String,
}

/// Reads `Jmsg JobId=<n>|Job=<name> type=<n> level=<time> text`; the numbers of types differ between generations.
pub(crate) fn parse_jmsg(line: &[u8], generation: Generation) -> Option<Jmsg> {
    let text = String::from_utf8_lossy(scan::after(line, "Jmsg ")?).into_owned();
    let text = text.trim_end_matches('\0');
    let (job, rest) = text.split_once(' ')?;
    let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
    let (time, text) = rest.strip_prefix("level=")?.split_once(' ').unwrap_or((rest, ""));
    let job = job.strip_prefix("JobId=").and_then(|id| id.parse().ok());
    let feed = if text.ends_with('\n') { "" } else { "\n" };
    Some(Jmsg {
        job,
        kind: message_type(kind.parse().ok()?, generation),
        time: Timestamp(time.trim_start_matches("level=").parse().unwrap_or(0)),
        text: format!("{text}{feed}"),
    })
}

/// The type of a number on the wire; one that is not known counts as information.
fn message_type(number: u32, generation: Generation) -> MessageType {
    let number = match generation {
        Generation::Old if number >= 3 => number + 1,
        Generation::Old | Generation::New => number,
    };
    match number {
        1 => MessageType::Abort,
        2 => MessageType::Debug,
        3 => MessageType::Events,
        4 => MessageType::Fatal,
        5 => MessageType::Error,
        6 => MessageType::Warning,
        8 => MessageType::Saved,
        9 => MessageType::NotSaved,
        10 => MessageType::Skipped,
        11 => MessageType::Mount,
        12 => MessageType::ErrorTerm,
        13 => MessageType::Terminate,
        14 => MessageType::Restored,
        15 => MessageType::Security,
        16 => MessageType::Alert,
        17 => MessageType::VolMgmt,
        18 => MessageType::Verified,
        _ => MessageType::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generations_count_differently() {
        let line = b"Jmsg JobId=3 type=6 level=1795446327 a1-sd JobId 3: Ready\n";
        let old = parse_jmsg(line, Generation::Old).unwrap();
        assert_eq!((old.job, old.kind, old.time.0), (Some(JobId(3)), MessageType::Info, 1_795_446_327));
        assert_eq!(old.text, "a1-sd JobId 3: Ready\n");
        assert_eq!(parse_jmsg(line, Generation::New).unwrap().kind, MessageType::Warning);
        let by_name = parse_jmsg(b"Jmsg Job=x type=4 level=0 sd: t\0", Generation::Old).unwrap();
        assert_eq!((by_name.job, by_name.kind), (None, MessageType::Error));
        assert_eq!(parse_jmsg(b"Jmsg JobId=1 type=x", Generation::Old), None);
    }
}
