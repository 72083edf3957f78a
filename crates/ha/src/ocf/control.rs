//! The agent's end of a Director's control socket.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use lead::order::{LINE_MAX, Order, State};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Silence {
    /// Nobody listens.
    Nobody,
    /// Somebody does, and does not answer, or says no.
    Refused(String),
}

/// Gives an order and waits for its answer.
pub(super) fn give(socket: &Path, order: Order, limit: Duration) -> Result<(), Silence> {
    let said = ask(socket, order, limit)?;
    match said.trim_end() {
        "ok" => Ok(()),
        said => Err(Silence::Refused(said.strip_prefix("no ").unwrap_or(said).to_owned())),
    }
}

/// How the instance is.
pub(super) fn state(socket: &Path, limit: Duration) -> Result<State, Silence> {
    let said = ask(socket, Order::State, limit)?;
    State::parse(&said).ok_or_else(|| Silence::Refused(format!("it answered \"{}\"", said.trim())))
}

fn ask(socket: &Path, order: Order, limit: Duration) -> Result<String, Silence> {
    let until = Instant::now() + limit;
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => Silence::Nobody,
        _ => Silence::Refused(format!("connect to {}: {error}", socket.display())),
    })?;
    let failed = |error: std::io::Error| {
        let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        Silence::Refused(if late {
            format!("no answer within {:.1} s", limit.as_secs_f32())
        } else {
            format!("{}: {error}", socket.display())
        })
    };
    let timeout = |stream: &UnixStream| {
        // A timeout of nothing is none at all.
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).and_then(|()| stream.set_write_timeout(Some(left)))
    };
    timeout(&stream).map_err(failed)?;
    stream.write_all(format!("{order}\n").as_bytes()).map_err(failed)?;
    let (mut said, mut part) = (Vec::new(), [0; 512]);
    while said.len() < LINE_MAX {
        timeout(&stream).map_err(failed)?;
        match stream.read(&mut part).map_err(failed)? {
            0 => break,
            count => said.extend_from_slice(&part[..count]),
        }
        if Instant::now() >= until {
            return Err(failed(ErrorKind::TimedOut.into()));
        }
    }
    Ok(String::from_utf8_lossy(&said).into_owned())
}
