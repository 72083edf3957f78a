//! The client's side of a session: commands before and after the data (spec/03 §8).

use net::NetError;
use net::blocking::{Conn, PacketReader, PacketWriter};
use wire::hello::Hello;
use wire::version::{FdVersion, SdVersion};
use wire::{PacketRef, Signal};

/// Why a client's session ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("connection with the client")]
    Net(#[from] NetError),
    /// It said something else than was due.
    #[error("the client sent \"{got}\" where {wanted} was due")]
    Unexpected {
        /// What was due.
        wanted: &'static str,
        /// What came, shortened.
        got: String,
    },
    /// It ended the session.
    #[error("the client ended the session in the middle")]
    Ended,
}

/// The next command line; heartbeats are passed over.
pub(crate) fn recv_line(reader: &mut PacketReader) -> Result<Vec<u8>, ClientError> {
    loop {
        match reader.recv_ref()? {
            PacketRef::Data(data) => return Ok(data.to_vec()),
            PacketRef::Signal(Signal::Terminate | Signal::Eod) => return Err(ClientError::Ended),
            PacketRef::Signal(_) => {}
        }
    }
}

/// The next command, which must begin with `prefix`.
pub(crate) fn expect(reader: &mut PacketReader, prefix: &'static str) -> Result<Vec<u8>, ClientError> {
    let line = recv_line(reader)?;
    if line.starts_with(prefix.as_bytes()) {
        return Ok(line);
    }
    Err(ClientError::Unexpected { wanted: prefix, got: wire::scan::shorten(&line) })
}

/// Tells the client that its job has failed, as far as it still listens.
pub(crate) fn say_failed(writer: &mut PacketWriter, text: &str) {
    let line = text.lines().next().unwrap_or("");
    // The client may be gone: the Director hears of the failure anyway.
    let _ = writer.send(format!("3903 Error append data: {line}\n"));
}

/// Calls a client ("SD Calls Client", spec/01 §2.6).
pub(crate) fn call_client(
    session: &net::Session,
    job: &str,
    target: &net::Target,
    is_canceled: impl Fn() -> bool,
) -> Result<Conn, NetError> {
    let stream = net::blocking::connect(target, is_canceled)?;
    net::blocking::call_client(stream, job, SdVersion::CURRENT, session)
}

/// Calls the other Storage Daemon of a copy (spec/01 §2.7); `job` is the job's name over there.
pub(crate) fn call_storage(
    session: &net::Session,
    job: &str,
    target: &net::Target,
    is_canceled: impl Fn() -> bool,
) -> Result<Conn, NetError> {
    let stream = net::blocking::connect(target, is_canceled)?;
    let hello = Hello::StorageToStorage {
        job: job.to_owned(),
        fd_version: FdVersion::CURRENT,
        version: SdVersion::CURRENT,
    };
    net::blocking::open(stream, hello, session)
}

/// Reads what a peer still says until it hangs up: a File Daemon of 15 writes once more after the data, and counts it as an
/// error of its job when the connection is gone by then; the reading side of a copy must get the last answer.
pub(crate) fn hear_out(reader: &mut PacketReader) {
    const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);
    const PACKETS_MAX: usize = 16;
    if reader.set_timeout(Some(LAST_WORDS)).is_ok() {
        let _ = (0..PACKETS_MAX).find(|_| reader.recv_ref().is_err());
    }
}
