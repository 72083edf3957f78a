//! The first line of a session and the greeting that ends its handshake (spec/01 §2.3–2.8, docs/extensions.md §1).

use types::{NAME_BYTES_MAX, bash_spaces, unbash_spaces};

use crate::scan::{self, Fields};
use crate::tls::TlsNeeds;
use crate::version::{
    BACULA_LEVEL, BACULA_LEVEL_DATE, ConsoleVersion, DirVersion, FdVersion, PRODUCT, SdVersion,
};

/// The daemon that accepted a connection: it decides how a first line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// A Director's port: consoles, and clients that call.
    Director,
    /// A Storage Daemon's port: Directors, clients, other Storage Daemons.
    Storage,
    /// A client's port: Directors, and Storage Daemons that call.
    Client,
}

impl Listener {
    /// Shortest and longest Hello that Bacula takes, in bytes. The Director's upper limit of 142 is widened: a name of
    /// 127 bytes with `tlspsk=` would not fit.
    const fn hello_bytes(self) -> (usize, usize) {
        match self {
            Self::Director => (16, 500),
            Self::Storage | Self::Client => (25, 500),
        }
    }
}

/// Who calls and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hello {
    /// Console → Director. Name `*UserAgent*` is the default console.
    Console {
        /// Console resource.
        name: String,
        /// Its number.
        version: ConsoleVersion,
    },
    /// Client → Director, to be called back on the same connection.
    ClientCalls {
        /// Client resource.
        name: String,
        /// Its number (1).
        version: u32,
    },
    /// Director → SD.
    DirectorToStorage {
        /// Director resource.
        name: String,
        /// Its number.
        version: DirVersion,
    },
    /// Director → FD.
    DirectorToClient {
        /// Director resource.
        name: String,
        /// Its number.
        version: DirVersion,
    },
    /// FD → SD, for a job.
    ClientToStorage {
        /// Full job name.
        job: String,
        /// The FD's number.
        version: FdVersion,
    },
    /// SD → SD, for a job.
    StorageToStorage {
        /// Full job name on the reading SD.
        job: String,
        /// FD number that the SD speaks as.
        fd_version: FdVersion,
        /// Its number.
        version: SdVersion,
    },
    /// SD → FD ("SD calls client"); the FD answers with [`Hello::ClientToStorage`].
    StorageCalls {
        /// Full job name.
        job: String,
        /// The SD's number.
        version: SdVersion,
    },
    /// `Ping` to a client: answered without authentication.
    Ping,
}

/// Name of the default console.
pub const DEFAULT_CONSOLE: &str = "*UserAgent*";
/// Answer of a client to [`Hello::Ping`].
pub const PING_OK: &[u8] = b"2000 Ping OK\n";

/// A Hello line with its optional fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloLine {
    /// Who calls.
    pub hello: Hello,
    /// `tlspsk=`; absent from 9.6 peers.
    pub tls: Option<TlsNeeds>,
    /// `holdfast=`; 0 when absent.
    pub holdfast: u32,
}

/// Why a first packet is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// Too short or too long.
    #[error("first packet of {len} bytes is no Hello")]
    Length {
        /// In bytes.
        len: usize,
    },
    /// Nothing that this daemon knows.
    #[error("not understood: {line}")]
    Unknown {
        /// The line, shortened.
        line: String,
    },
}

impl HelloLine {
    /// A line of a Holdfast daemon; `additions` puts the marker.
    #[must_use]
    pub fn new(hello: Hello, tls: TlsNeeds, additions: bool) -> Self {
        Self { hello, tls: Some(tls), holdfast: if additions { crate::version::HOLDFAST } else { 0 } }
    }

    /// Reads a first packet as the given daemon does.
    ///
    /// # Errors
    /// [`HelloError`]; to be answered as [`crate::dialogue::handshake::refuse_hello`] says.
    pub fn parse(line: &[u8], at: Listener) -> Result<Self, HelloError> {
        if at == Listener::Client && line.starts_with(b"Ping") {
            return Ok(Self { hello: Hello::Ping, tls: None, holdfast: 0 });
        }
        let (min, max) = at.hello_bytes();
        if !(min..=max).contains(&line.len()) {
            return Err(HelloError::Length { len: line.len() });
        }
        let hello = match at {
            Listener::Director => at_director(line),
            Listener::Storage => at_storage(line),
            Listener::Client => at_client(line),
        };
        let hello = hello.ok_or_else(|| HelloError::Unknown { line: scan::shorten(line) })?;
        let fields = Fields::new(line);
        let tls = fields.get::<Option<u32>>("tlspsk").ok().flatten().map(TlsNeeds::from_number);
        let holdfast = fields.get::<Option<u32>>("holdfast").ok().flatten().unwrap_or(0);
        Ok(Self { hello, tls, holdfast })
    }

    /// The line as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let text = match &self.hello {
            Hello::Console { name, version } => format!("Hello {} calling {}", bash_spaces(name), version.0),
            Hello::ClientCalls { name, version } => {
                format!("Hello {} fdcallsdir {version}", bash_spaces(name))
            }
            Hello::DirectorToStorage { name, version } => {
                format!("Hello SD: Bacula Director {} calling {}", bash_spaces(name), version.0)
            }
            Hello::DirectorToClient { name, version } => {
                format!("Hello Director {} calling {}", bash_spaces(name), version.0)
            }
            Hello::ClientToStorage { job, version } => {
                format!("Hello Bacula SD: Start Job {job} {}", version.0)
            }
            Hello::StorageToStorage { job, fd_version, version } => {
                format!("Hello Bacula SD: Start Job {job} {} {}", fd_version.0, version.0)
            }
            Hello::StorageCalls { job, version } => {
                format!("Hello FD: Bacula Storage calling Start Job {job} {}", version.0)
            }
            Hello::Ping => "Ping".to_owned(),
        };
        let mut out = text.into_bytes();
        scan::put(&mut out, "tlspsk", &self.tls.map(TlsNeeds::number));
        scan::put(&mut out, "holdfast", &(self.holdfast > 0).then_some(self.holdfast));
        out.push(b'\n');
        out
    }
}

/// The words of a line, with names' spaces put back.
fn words(line: &[u8]) -> Vec<String> {
    Fields::new(line).tokens().map(|word| unbash_spaces(&scan::text(word))).collect()
}

fn number(words: &[String], index: usize) -> u32 {
    words.get(index).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX
}

fn at_director(line: &[u8]) -> Option<Hello> {
    let words = words(scan::after(line, "Hello ")?);
    let name = words.first().filter(|name| is_name(name))?.clone();
    match words.get(1)?.as_str() {
        "fdcallsdir" => Some(Hello::ClientCalls { name, version: number(&words, 2) }),
        "calling" => Some(Hello::Console { name, version: ConsoleVersion(number(&words, 2)) }),
        _ => None,
    }
}

fn at_storage(line: &[u8]) -> Option<Hello> {
    if let Some(rest) = scan::after(line, "Hello SD: Bacula Director ") {
        let words = words(rest);
        let name = words.first().filter(|name| is_name(name))?.clone();
        (words.get(1)? == "calling").then_some(())?;
        return Some(Hello::DirectorToStorage { name, version: DirVersion(number(&words, 2)) });
    }
    let rest =
        ["Hello Bacula SD: Start Job ", "Hello FD: Bacula Storage calling Start Job ", "Hello Start Job "]
            .iter()
            .find_map(|prefix| scan::after(line, prefix))?;
    let words = words(rest);
    let job = words.first().filter(|job| is_name(job))?.clone();
    let fd_version = FdVersion(number(&words, 1));
    match words.get(2).and_then(|word| word.parse().ok()) {
        Some(version) => Some(Hello::StorageToStorage { job, fd_version, version: SdVersion(version) }),
        None => Some(Hello::ClientToStorage { job, version: fd_version }),
    }
}

fn at_client(line: &[u8]) -> Option<Hello> {
    if let Some(rest) = scan::after(line, "Hello FD: Bacula Storage calling Start Job ") {
        let words = words(rest);
        let job = words.first().filter(|job| is_name(job))?.clone();
        return Some(Hello::StorageCalls { job, version: SdVersion(number(&words, 1)) });
    }
    let rest = scan::after(line, "Hello Director ").or_else(|| scan::after(line, "Hello "))?;
    let words = words(rest);
    let name = words.first().filter(|name| is_name(name))?.clone();
    (words.get(1)? == "calling").then_some(())?;
    Some(Hello::DirectorToClient { name, version: DirVersion(number(&words, 2)) })
}

/// The acceptor's last line of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// `1000 OK: …` of a Director to a console or a calling client.
    Director {
        /// Director's number; 0 when left out.
        version: DirVersion,
        /// The text after the number: name, version, date.
        text: String,
    },
    /// `2000 OK Hello …` of an FD.
    Client {
        /// FD's number; 0 when left out.
        version: FdVersion,
        /// `holdfast=`, 0 when absent.
        holdfast: u32,
    },
    /// `3000 OK Hello …` of an SD.
    Storage {
        /// SD's number; 0 when left out.
        version: SdVersion,
        /// `holdfast=`, 0 when absent.
        holdfast: u32,
    },
}

impl Greeting {
    /// The greeting of a Director of this name.
    #[must_use]
    pub fn of_director(name: &str) -> Self {
        let text = format!("{name} {PRODUCT} Version: {BACULA_LEVEL} ({BACULA_LEVEL_DATE})");
        Self::Director { version: DirVersion::CURRENT, text }
    }

    /// Reads a greeting of any daemon; `None` for any other text, which is a refusal.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if let Some(rest) = scan::after(line, "1000 OK:") {
            let text = scan::text(rest);
            let text = text.trim_start();
            let (first, after) = text.split_once(' ').unwrap_or((text, ""));
            return Some(match first.parse() {
                Ok(version) => Self::Director { version: DirVersion(version), text: after.to_owned() },
                Err(_) => Self::Director { version: DirVersion(0), text: text.to_owned() },
            });
        }
        let holdfast = Fields::new(line).get::<Option<u32>>("holdfast").ok().flatten().unwrap_or(0);
        if let Some(rest) = scan::after(line, "2000 OK Hello") {
            return Some(Self::Client { version: FdVersion(number(&words(rest), 0)), holdfast });
        }
        let rest = scan::after(line, "3000 OK Hello")?;
        Some(Self::Storage { version: SdVersion(number(&words(rest), 0)), holdfast })
    }

    /// The line as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mark = |n: u32| if n > 0 { format!(" holdfast={n}") } else { String::new() };
        match self {
            Self::Director { version, text } => format!("1000 OK: {} {text}\n", version.0),
            Self::Client { version, holdfast } => format!("2000 OK Hello {}{}\n", version.0, mark(*holdfast)),
            Self::Storage { version, holdfast } => {
                format!("3000 OK Hello {}{}\n", version.0, mark(*holdfast))
            }
        }
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "reads better at the calls")]
    fn check(line: &str, at: Listener, hello: Hello) {
        let parsed = HelloLine::parse(line.as_bytes(), at).unwrap();
        assert_eq!(parsed.hello, hello);
        assert_eq!(parsed.format(), line.as_bytes());
    }

    #[test]
    fn recorded_hello_lines_of_every_pair() {
        let agent = DEFAULT_CONSOLE.to_owned();
        check(
            "Hello *UserAgent* calling 100\n",
            Listener::Director,
            Hello::Console { name: agent.clone(), version: ConsoleVersion(100) },
        );
        check(
            "Hello *UserAgent* calling 200 tlspsk=0\n",
            Listener::Director,
            Hello::Console { name: agent, version: ConsoleVersion(200) },
        );
        check(
            "Hello mon\u{1}con calling 100\n",
            Listener::Director,
            Hello::Console { name: "mon con".into(), version: ConsoleVersion(100) },
        );
        check(
            "Hello a1-fd fdcallsdir 1 tlspsk=0\n",
            Listener::Director,
            Hello::ClientCalls { name: "a1-fd".into(), version: 1 },
        );
        check(
            "Hello SD: Bacula Director a1-dir calling 103\n",
            Listener::Storage,
            Hello::DirectorToStorage { name: "a1-dir".into(), version: DirVersion(103) },
        );
        check(
            "Hello SD: Bacula Director a1-dir calling 10002 tlspsk=100 holdfast=2\n",
            Listener::Storage,
            Hello::DirectorToStorage { name: "a1-dir".into(), version: DirVersion(10_002) },
        );
        check(
            "Hello Director a1-dir calling 10002 tlspsk=0\n",
            Listener::Client,
            Hello::DirectorToClient { name: "a1-dir".into(), version: DirVersion(10_002) },
        );
        let job = "Copy.2026-11-23_15.07.49_13".to_owned();
        check(
            "Hello Bacula SD: Start Job Copy.2026-11-23_15.07.49_13 214\n",
            Listener::Storage,
            Hello::ClientToStorage { job: job.clone(), version: FdVersion(214) },
        );
        check(
            "Hello Bacula SD: Start Job Copy.2026-11-23_15.07.49_13 15 tlspsk=100 holdfast=2\n",
            Listener::Storage,
            Hello::ClientToStorage { job: job.clone(), version: FdVersion(15) },
        );
        check(
            "Hello Bacula SD: Start Job Copy.2026-11-23_15.07.49_13 214 306\n",
            Listener::Storage,
            Hello::StorageToStorage { job: job.clone(), fd_version: FdVersion(214), version: SdVersion(306) },
        );
        check(
            "Hello Bacula SD: Start Job Copy.2026-11-23_15.07.49_13 15 30008 tlspsk=0\n",
            Listener::Storage,
            Hello::StorageToStorage {
                job: job.clone(),
                fd_version: FdVersion(15),
                version: SdVersion(30_008),
            },
        );
        check(
            "Hello FD: Bacula Storage calling Start Job Copy.2026-11-23_15.07.49_13 306\n",
            Listener::Client,
            Hello::StorageCalls { job, version: SdVersion(306) },
        );
    }

    #[test]
    fn old_forms_without_a_number_are_read() {
        let parsed = HelloLine::parse(b"Hello Director a1-dir calling\n", Listener::Client).unwrap();
        assert_eq!(parsed.hello, Hello::DirectorToClient { name: "a1-dir".into(), version: DirVersion(0) });
        let parsed = HelloLine::parse(b"Hello a1-dir calling 103 extra\n", Listener::Client).unwrap();
        assert_eq!(parsed.hello, Hello::DirectorToClient { name: "a1-dir".into(), version: DirVersion(103) });
        assert_eq!(HelloLine::parse(b"Ping", Listener::Client).unwrap().hello, Hello::Ping);
    }

    #[test]
    fn what_is_no_hello_is_refused() {
        assert_eq!(
            HelloLine::parse(b"Hello x calling 1\n", Listener::Client),
            Err(HelloError::Length { len: 18 })
        );
        assert!(HelloLine::parse(&[b'x'; 501], Listener::Storage).is_err());
        assert!(HelloLine::parse(b"Hello SD: Bacula Director \n", Listener::Storage).is_err());
        assert!(
            HelloLine::parse(
                &[b"Hello ".as_slice(), &[b'n'; 128], b" calling 1\n"].concat(),
                Listener::Director
            )
            .is_err()
        );
    }

    #[test]
    fn greetings() {
        for line in [
            "3000 OK Hello 306\n",
            "3000 OK Hello 30008 holdfast=2\n",
            "2000 OK Hello 214\n",
            "1000 OK: 103 a1-dir Version: 9.6.7 (10 December 2020)\n",
        ] {
            assert_eq!(Greeting::parse(line.as_bytes()).unwrap().format(), line.as_bytes());
        }
        assert_eq!(
            Greeting::parse(b"3000 OK Hello\n"),
            Some(Greeting::Storage { version: SdVersion(0), holdfast: 0 })
        );
        assert_eq!(Greeting::parse(b"1999 You are not authorized.\n"), None);
    }
}
