//! What a Director says to a job's journal (docs/extensions.md §4).

use types::Attempt;

/// A word of a Director.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalWord<'p> {
    /// `Ack <seq> [replicated]`: the catalog has the records up to this one, perhaps twice.
    Acked {
        /// The record.
        seq: u64,
        /// It is on a synchronous standby too.
        is_replicated: bool,
    },
    /// `Ans <seq> <reply>`.
    Answered {
        /// The request's record.
        seq: u64,
        /// The reply.
        reply: &'p [u8],
    },
    /// `Closed <attempt>`: nothing of it is wanted any more.
    Closed(Attempt),
    /// One of these, without its number.
    Unclear,
}

impl<'p> JournalWord<'p> {
    /// Reads a packet; none when it is another command.
    #[must_use]
    pub fn parse(packet: &'p [u8]) -> Option<Self> {
        if let Some(rest) = packet.strip_prefix(b"Ack ") {
            let text = wire::scan::text(rest);
            let mut words = text.split_whitespace();
            let seq = words.next().and_then(|word| word.parse().ok());
            let is_replicated = words.next() == Some("replicated");
            return Some(seq.map_or(Self::Unclear, |seq| Self::Acked { seq, is_replicated }));
        }
        if let Some(rest) = packet.strip_prefix(b"Ans ") {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let seq = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
            let reply = rest.get(digits + 1..).unwrap_or_default();
            return Some(seq.map_or(Self::Unclear, |seq| Self::Answered { seq, reply }));
        }
        let rest = packet.strip_prefix(b"Closed ")?;
        let attempt = wire::scan::text(rest).trim().parse();
        Some(attempt.map_or(Self::Unclear, |attempt| Self::Closed(Attempt(attempt))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_and_nonsense_is_no_command() {
        let check = |packet: &'static str, word| assert_eq!(JournalWord::parse(packet.as_bytes()), word);
        check("Ack 7\n", Some(JournalWord::Acked { seq: 7, is_replicated: false }));
        check("Ack 7 replicated\n", Some(JournalWord::Acked { seq: 7, is_replicated: true }));
        check("Ack x", Some(JournalWord::Unclear));
        check("Ans 12 1000 OK a\n", Some(JournalWord::Answered { seq: 12, reply: b"1000 OK a\n" }));
        check("Ans 12", Some(JournalWord::Answered { seq: 12, reply: b"" }));
        check("Closed 2\n", Some(JournalWord::Closed(Attempt(2))));
        check("run", None);
    }
}
