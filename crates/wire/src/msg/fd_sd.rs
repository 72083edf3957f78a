//! FD ↔ SD, also SD ↔ SD: capabilities, session commands, record headers (spec/01 §2.6, §5.8–5.9; spec/03 §8).

use types::{FileIndex, JobStatus, VolSession};

use crate::line_message;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// What an SD says it can do, before authentication. All zero but for `hash`: no deduplication.
    SdCaps = "sdcaps: " {
        /// Deduplication.
        "dedup" dedup: i64,
        /// Kind of hash.
        "hash" hash: i64,
        /// Block size.
        "dedup_block" dedup_block: u64,
        /// Smallest block.
        "min_dedup_block" min_dedup_block: u64,
        /// Largest block.
        "max_dedup_block" max_dedup_block: u64,
    } "\n"
}

impl SdCaps {
    /// What the community's daemons send: no deduplication.
    #[must_use]
    pub fn none() -> Self {
        Self { dedup: 0, hash: 1, dedup_block: 65_536, min_dedup_block: 1024, max_dedup_block: 66_556 }
    }
}

line_message! {
    /// The FD's answer to [`SdCaps`]; a writing SD leaves `proxy` out.
    FdCaps = "fdcaps: " {
        /// Deduplication.
        "dedup" dedup: i64,
        /// Rehydration.
        "rehydration" rehydration: i64,
        /// Whether the Director resource is "Remote".
        "proxy" proxy: Option<bool>,
    } "\n"
}

impl FdCaps {
    /// Nothing special, with or without the last field.
    #[must_use]
    pub fn none(with_proxy: bool) -> Self {
        Self { dedup: 0, rehydration: 0, proxy: with_proxy.then_some(false) }
    }
}

/// A command of the data session, FD → SD. Tickets are opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Opens a session for writing.
    AppendOpen,
    /// Data follows.
    AppendData(u32),
    /// The data is over.
    AppendEnd(u32),
    /// Closes a session for writing.
    AppendClose(u32),
    /// Opens a session for reading; what is read is in the SD's bootstrap, the fields are of old times.
    ReadOpen {
        /// Always `DummyVolume`.
        volume: String,
        /// The job's session.
        session: VolSession,
    },
    /// Asks for the data.
    ReadData(u32),
    /// Closes a session for reading.
    ReadClose(u32),
    /// Interactive reading ([13]+).
    ReadControl(u32),
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// An unknown command, or no ticket.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let ticket =
            |rest: &[u8]| scan::text(rest).trim().parse().map_err(|_| MsgError::field("ticket", line));
        if scan::trim(line) == b"append open session" {
            return Ok(Self::AppendOpen);
        }
        if let Some(rest) = scan::after(line, "read open session = ") {
            return Self::parse_read_open(rest, line);
        }
        type Make = fn(u32) -> Command;
        let make: [(&str, Make); 6] = [
            ("append data ", Self::AppendData),
            ("append end session ", Self::AppendEnd),
            ("append close session ", Self::AppendClose),
            ("read data ", Self::ReadData),
            ("read close session ", Self::ReadClose),
            ("read control ", Self::ReadControl),
        ];
        for (prefix, make) in make {
            if let Some(rest) = scan::after(line, prefix) {
                return Ok(make(ticket(rest)?));
            }
        }
        Err(MsgError::unknown(line))
    }

    fn parse_read_open(rest: &[u8], line: &[u8]) -> Result<Self, MsgError> {
        let words: Vec<String> = Fields::new(rest).tokens().map(scan::text).collect();
        let number = |index: usize, name| {
            words.get(index).and_then(|word| word.parse().ok()).ok_or_else(|| MsgError::field(name, line))
        };
        let session = VolSession { id: number(1, "VolSessionId")?, time: number(2, "VolSessionTime")? };
        Ok(Self::ReadOpen { volume: words[0].clone(), session })
    }

    /// The command as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::AppendOpen => "append open session\n".to_owned(),
            Self::AppendData(ticket) => format!("append data {ticket}\n"),
            Self::AppendEnd(ticket) => format!("append end session {ticket}\n"),
            Self::AppendClose(ticket) => format!("append close session {ticket}\n"),
            Self::ReadOpen { volume, session } => {
                format!("read open session = {volume} {} {} 0 0 0 0\n", session.id, session.time)
            }
            Self::ReadData(ticket) => format!("read data {ticket}\n"),
            Self::ReadClose(ticket) => format!("read close session {ticket}\n"),
            Self::ReadControl(ticket) => format!("read control {ticket}\n"),
        }
        .into_bytes()
    }
}

/// Answer to `append data` and `read data`; also both SDs' announcement of a copy.
pub const OK_DATA: &[u8] = b"3000 OK data\n";
/// Answer to the final end of data.
pub const OK_APPEND: &[u8] = b"3000 OK append data\n";
/// Answer to `append end session`.
pub const OK_END: &[u8] = b"3000 OK end\n";

/// An answer of the SD in the data session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `3000 OK open ticket = n`.
    Ticket(u32),
    /// `3000 OK data`.
    Data,
    /// `3000 OK append data`.
    Append,
    /// `3000 OK end`.
    End,
    /// `3000 OK close Status = n`; `None` for a code that is no status.
    Close(Option<JobStatus>),
    /// `2000 OK` to a poll.
    Poll,
    /// Anything else: `3903 Error append data: …` and the like.
    Error(String),
}

impl Answer {
    /// Reads an answer; what is not understood is an error with its text.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let text = scan::text(line);
        let number = |rest: &str| rest.trim().parse::<u32>().ok();
        if let Some(ticket) = text.strip_prefix("3000 OK open ticket = ").and_then(number) {
            return Self::Ticket(ticket);
        }
        if let Some(code) = text.strip_prefix("3000 OK close Status = ").and_then(number) {
            return Self::Close(JobStatus::from_code(code));
        }
        match text.as_str() {
            "3000 OK data" => Self::Data,
            "3000 OK append data" => Self::Append,
            "3000 OK end" => Self::End,
            "2000 OK" => Self::Poll,
            _ => Self::Error(text),
        }
    }

    /// The answer as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::Ticket(ticket) => format!("3000 OK open ticket = {ticket}\n").into_bytes(),
            Self::Data => OK_DATA.to_vec(),
            Self::Append => OK_APPEND.to_vec(),
            Self::End => OK_END.to_vec(),
            Self::Close(status) => {
                let code = status.unwrap_or(JobStatus::ErrorTerminated).code();
                format!("3000 OK close Status = {code}\n").into_bytes()
            }
            Self::Poll => b"2000 OK\n".to_vec(),
            Self::Error(text) => format!("{text}\n").into_bytes(),
        }
    }
}

/// Header of a stream on its way to be stored: `<FileIndex> <stream> <n>`, no line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHeader {
    /// The file.
    pub file_index: FileIndex,
    /// Stream number with its flags.
    pub stream: i32,
    /// 0 or a hint of the size in bytes.
    pub size: i64,
}

impl StreamHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// Less than two numbers, or other text.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let [file_index, stream, size] = numbers(line)?;
        Ok(Self {
            file_index: FileIndex(i32::try_from(file_index).map_err(|_| MsgError::field("FileIndex", line))?),
            stream: i32::try_from(stream).map_err(|_| MsgError::field("stream", line))?,
            size,
        })
    }

    /// The header as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        format!("{} {} {}", self.file_index, self.stream, self.size).into_bytes()
    }
}

/// Header of a record on its way to be restored: `rechdr <sessid> <sesstime> <FileIndex> <stream> <length>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Session that wrote it.
    pub session: VolSession,
    /// The file.
    pub file_index: FileIndex,
    /// Stream number with its flags.
    pub stream: i32,
    /// Bytes of the data packet that follows.
    pub len: u32,
}

impl RecordHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// Other text, or numbers out of range.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "rechdr ").ok_or_else(|| MsgError::unknown(line))?;
        let [id, time, file_index, stream, len] = numbers(rest)?;
        let wrong = |field| MsgError::field(field, line);
        Ok(Self {
            session: VolSession {
                id: u32::try_from(id).map_err(|_| wrong("VolSessionId"))?,
                time: u32::try_from(time).map_err(|_| wrong("VolSessionTime"))?,
            },
            file_index: FileIndex(i32::try_from(file_index).map_err(|_| wrong("FileIndex"))?),
            stream: i32::try_from(stream).map_err(|_| wrong("stream"))?,
            len: u32::try_from(len).map_err(|_| wrong("length"))?,
        })
    }

    /// The header as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let VolSession { id, time } = self.session;
        format!("rechdr {id} {time} {} {} {}", self.file_index, self.stream, self.len).into_bytes()
    }
}

/// Blank-separated numbers; parsed by hand, since this runs once a record.
fn numbers<const N: usize>(line: &[u8]) -> Result<[i64; N], MsgError> {
    let mut out = [0i64; N];
    let mut words = scan::trim(line).split(|&b| b == b' ').filter(|word| !word.is_empty());
    for slot in &mut out {
        let word = words.next().ok_or_else(|| MsgError::field("number", line))?;
        let (digits, negative) = match word.strip_prefix(b"-") {
            Some(digits) => (digits, true),
            None => (word, false),
        };
        if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(MsgError::field("number", line));
        }
        let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        *slot = if negative { -value } else { value };
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = StreamHeader::parse(b"2 2 12").unwrap();
        assert_eq!((header.file_index, header.stream, header.size), (FileIndex(2), 2, 12));
        assert_eq!(header.format(), b"2 2 12");
        let line = b"rechdr 1 1795446398 6 17 32";
        assert_eq!(RecordHeader::parse(line).unwrap().format(), line);
        assert_eq!(StreamHeader::parse(b"5 -2 0").unwrap().stream, -2);
        for bad in ["", "1", "1 2", "a 2 3", "99999999999 1 0", "1 2 3333333333333333333333", "- 1 2"] {
            assert!(StreamHeader::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(RecordHeader::parse(b"rechdr -1 2 3 4 5").is_err());
    }

    #[test]
    fn answers() {
        assert_eq!(Answer::parse(b"3000 OK open ticket = 3\n"), Answer::Ticket(3));
        assert_eq!(Answer::parse(b"3000 OK close Status = 84\n"), Answer::Close(Some(JobStatus::Terminated)));
        assert_eq!(Answer::parse(b"3000 error\n"), Answer::Error("3000 error".into()));
    }
}
