//! What an FD says to the Director.

use types::JobStatus;

use crate::line_message;
use crate::msg::common::{Jmsg, Progress, Reply};
use crate::msg::holdfast::Record;
use crate::scan::{self, Fields, MsgError};
use crate::version::Generation;

line_message! {
    /// `2800 End Job …`: exactly one, at the end of a job. Old FDs leave the last two, or the last four fields out.
    EndJob = "2800 End Job " {
        "TermCode" status: JobStatus,
        "JobFiles" files: u64,
        "ReadBytes" read_bytes: u64,
        "JobBytes" job_bytes: u64,
        "Errors" errors: u64,
        "VSS" vss: Option<bool>,
        "Encrypt" encrypt: Option<bool>,
        /// Payload bytes sent to the SD.
        "CommBytes" comm_bytes: Option<u64>,
        /// The same after compression of packets.
        "CompressCommBytes" compressed_comm_bytes: Option<u64>,
    } "\n"
}

/// `2000 OK Job …` without line feed: what the Director stores as the client's Uname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReply {
    /// `15.0.3 (25Mar25) x86_64-pc-linux-gnu,debian,trixie/sid[;plugins]`.
    pub uname: String,
}

impl JobReply {
    /// Reads the answer.
    ///
    /// # Errors
    /// Any other answer.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "2000 OK Job ").ok_or_else(|| MsgError::unknown(line))?;
        Ok(Self { uname: scan::text(rest) })
    }

    /// The answer as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        format!("2000 OK Job {}", self.uname).into_bytes()
    }

    /// Whether the client's version (of an FD whose number was not seen) is of the old generation.
    #[must_use]
    pub fn generation(&self) -> Generation {
        let major: u32 = self.uname.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        if major >= 13 { Generation::New } else { Generation::Old }
    }
}

/// Comparison of clocks that an FD makes on a since packet: it sends BTIME ten times (spec/01 §5.5).
#[derive(Debug, Clone, Default)]
pub struct SinceClock {
    offsets_us: Vec<i64>,
    rounds: u32,
    last_remote_us: i64,
}

impl SinceClock {
    /// Questions asked.
    pub const ROUNDS: u32 = 10;
    /// The first two are for warming up.
    const IGNORED: u32 = 2;

    /// The Director's answer to BTIME.
    #[must_use]
    pub fn answer(now_us: i64) -> Vec<u8> {
        format!("btime {now_us}\n").into_bytes()
    }

    /// Notes an answer that was asked for at `start_us` and came at `end_us` (local clock).
    ///
    /// # Errors
    /// Another line.
    pub fn sample(&mut self, line: &[u8], start_us: i64, end_us: i64) -> Result<(), MsgError> {
        let rest = scan::after(line, "btime ").ok_or_else(|| MsgError::unknown(line))?;
        let remote: i64 = scan::text(rest).trim().parse().map_err(|_| MsgError::field("btime", line))?;
        self.rounds += 1;
        let forward = end_us >= start_us && remote >= self.last_remote_us;
        self.last_remote_us = remote;
        if self.rounds > Self::IGNORED && forward {
            let half = (end_us - start_us) / 2;
            self.offsets_us.push(start_us.saturating_sub(remote).saturating_sub(half));
        }
        Ok(())
    }

    /// Whole seconds to be added to the since time: how far the local clock is ahead.
    #[must_use]
    pub fn adjustment_seconds(&self) -> i64 {
        if self.offsets_us.is_empty() {
            return 0;
        }
        let sum: i128 = self.offsets_us.iter().map(|&offset| i128::from(offset)).sum();
        (sum / self.offsets_us.len() as i128 / 1_000_000) as i64
    }
}

/// A packet of an FD, sorted by what the Director does with it (spec/01 §5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromClient {
    /// Starts with a digit: the answer being waited for.
    Reply(Reply),
    /// The job's end.
    EndJob(EndJob),
    /// A job message.
    Jmsg(Jmsg),
    /// Progress.
    Progress(Progress),
    /// A journal record (docs/extensions.md §4).
    Record(Record),
    /// A record about snapshots, its text.
    Snapshot(String),
    /// An event record, its text.
    Events(String),
    /// Any other text: listings, estimates.
    Text(String),
}

impl FromClient {
    /// Sorts a packet of an FD of the given generation.
    #[must_use]
    pub fn parse(line: &[u8], generation: Generation) -> Self {
        let text = || scan::text(line);
        let parsed = match line {
            [b'J', b'm', b's', b'g', b' ', ..] => Jmsg::parse(line, generation).map(Self::Jmsg),
            [b'J', b'r', b'n', b' ', ..] => Record::parse(line).map(Self::Record),
            [b'P', b'r', b'o', b'g', b'r', ..] => Progress::parse(line).map(Self::Progress),
            _ if line.starts_with(EndJob::PREFIX.as_bytes()) => EndJob::parse(line).map(Self::EndJob),
            _ if line.starts_with(b"CatReq ") => Ok(Self::Snapshot(text())),
            _ if line.starts_with(b"Events: ") => Ok(Self::Events(text())),
            // Four digits and a blank: a listing may start with a digit as well.
            [a, b, c, d, b' ' | b'\n', ..] if [a, b, c, d].iter().all(|b| b.is_ascii_digit()) => {
                Reply::parse(line).map(Self::Reply)
            }
            _ => Ok(Self::Text(text())),
        };
        parsed.unwrap_or_else(|_| Self::Text(text()))
    }
}

/// `2000 OK estimate files=… bytes=…`: numbers with thousands commas.
#[must_use]
pub fn parse_estimate(line: &[u8]) -> Option<(u64, u64)> {
    let fields = Fields::new(scan::after(line, "2000 OK estimate ")?);
    let number = |key| scan::text(fields.raw(key)?).replace(',', "").parse().ok();
    Some((number("files")?, number("bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_by_the_mean() {
        let mut clock = SinceClock::default();
        for round in 0..10i64 {
            // The local clock is 5 s ahead; each round trip takes 200 µs, the answer is made in its middle.
            let start = 1_000_000_000 + round * 1000;
            let offset = if round < 2 { 60_000_000 } else { 5_000_400 };
            clock.sample(&SinceClock::answer(start - offset), start, start + 200).unwrap();
        }
        assert_eq!(clock.adjustment_seconds(), 5);
        assert!(clock.sample(b"1000 OK", 0, 0).is_err());
    }

    #[test]
    fn end_lines_of_all_ages() {
        let full = b"2800 End Job TermCode=84 JobFiles=8 ReadBytes=13914 JobBytes=13914 Errors=0 VSS=0 Encrypt=0 CommBytes=14995 CompressCommBytes=12840\n";
        let end = EndJob::parse(full).unwrap();
        assert_eq!((end.status, end.comm_bytes), (JobStatus::Terminated, Some(14_995)));
        assert_eq!(end.format(), full);
        let old = b"2800 End Job TermCode=84 JobFiles=8 ReadBytes=13914 JobBytes=13914 Errors=0\n";
        assert_eq!(EndJob::parse(old).unwrap().format(), old);
    }

    #[test]
    fn listings_that_start_with_digits_are_text() {
        let text = FromClient::parse(b"2026-11-23 x\n", Generation::New);
        assert_eq!(text, FromClient::Text("2026-11-23 x".into()));
        assert!(matches!(FromClient::parse(b"2000 OK level\n", Generation::New), FromClient::Reply(_)));
    }
}
