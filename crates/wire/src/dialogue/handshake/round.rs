//! The two rounds of CRAM-MD5 as seen from either side (spec/01 §3.4).

use bytes::Bytes;

use super::{HandshakeError, Output, send, unexpected};
use crate::cram::{AUTH_FAILED, AUTH_OK, Challenge, Secret};
use crate::frame::Packet;
use crate::scan;

/// Answers a challenge; the challenge is kept for its `ssl=`.
pub(super) fn answer(secret: &Secret, packet: &Packet) -> Result<(Challenge, Output), HandshakeError> {
    let line = packet.data().ok_or_else(|| unexpected("waiting for the peer's challenge", packet))?;
    let Some(challenge) = Challenge::parse(line) else {
        return Err(
            match line.starts_with(b"1999") || line.starts_with(b"2999") || line.starts_with(b"3999") {
                true => HandshakeError::Refused { said: scan::text(line) },
                false => unexpected("waiting for the peer's challenge", packet),
            },
        );
    };
    let answer = Output::Send(Bytes::from(challenge.answer(secret)));
    Ok((challenge, answer))
}

/// Reads the verdict on our answer: anything but exactly `1000 OK auth\n` is a refusal.
pub(super) fn verdict(packet: &Packet) -> Result<(), HandshakeError> {
    match packet {
        Packet::Data(line) if line.as_ref() == AUTH_OK => Ok(()),
        Packet::Data(line) => Err(HandshakeError::Refused { said: scan::text(line) }),
        Packet::Signal(_) => Err(unexpected("waiting for the verdict on our answer", packet)),
    }
}

/// Judges the peer's answer to our challenge; the packet that says so.
pub(super) fn judge(
    challenge: &Challenge,
    secret: &Secret,
    packet: &Packet,
) -> Result<Output, HandshakeError> {
    match packet {
        Packet::Data(answer) if challenge.accepts(secret, answer) => Ok(send(AUTH_OK)),
        Packet::Data(answer) if answer.starts_with(b"1999") => {
            Err(HandshakeError::Refused { said: scan::text(answer) })
        }
        Packet::Data(_) => Err(HandshakeError::WrongPassword),
        Packet::Signal(_) => Err(unexpected("waiting for the answer to our challenge", packet)),
    }
}

/// The packet that refuses an answer.
pub(super) fn refusal() -> Output {
    send(AUTH_FAILED)
}
