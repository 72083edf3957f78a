//! Putting split records together again, one state per session (spec/03 §1.4).

use std::borrow::Cow;
use std::collections::HashMap;

use types::{FileIndex, VolSession};

use crate::block::Piece;

/// Sessions that may have a split record pending at once; more is a damaged or hostile Volume.
pub const SESSIONS_PENDING_MAX: usize = 1024;

/// What is known of a record's completeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Integrity {
    /// All bytes are there.
    Whole,
    /// The beginning is missing: the Volume was entered in the middle, or a block before was lost.
    HeadMissing,
    /// The end is missing: a later block was lost.
    TailMissing,
}

/// A record as the File Daemon sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its session.
    pub session: VolSession,
    /// File number, or a label.
    pub index: FileIndex,
    /// Stream id; the JobId for session labels.
    pub stream: i32,
    /// Its bytes.
    pub data: Cow<'a, [u8]>,
    /// Whether all of them.
    pub integrity: Integrity,
}

#[derive(Debug)]
struct Pending {
    index: FileIndex,
    stream: i32,
    data: Vec<u8>,
    /// Bytes still to come.
    missing: u32,
    integrity: Integrity,
}

/// Reassembles records of any number of interleaved sessions.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: HashMap<VolSession, Pending>,
}

impl Assembler {
    /// Nothing pending.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of its session. Gives up to two records: one that turns out to have lost its end, and one that is complete.
    pub fn push<'a>(&mut self, piece: &Piece<'a>) -> (Option<Record<'static>>, Option<Record<'a>>) {
        let continues = self.pending.get(&piece.session).is_some_and(|p| {
            piece.is_continuation()
                && p.index == piece.index
                && p.stream == piece.stream_id()
                && p.missing == piece.remaining
        });
        if continues {
            return (None, self.continue_pending(piece));
        }
        let broken = self.abandon(piece.session);
        let integrity = if piece.is_continuation() { Integrity::HeadMissing } else { Integrity::Whole };
        if piece.is_last() {
            return (broken, Some(record(piece, Cow::Borrowed(piece.data), integrity)));
        }
        if self.pending.len() < SESSIONS_PENDING_MAX {
            let pending = Pending {
                index: piece.index,
                stream: piece.stream_id(),
                data: piece.data.to_vec(),
                missing: piece.remaining - piece.data.len() as u32,
                integrity,
            };
            self.pending.insert(piece.session, pending);
        }
        (broken, None)
    }

    /// Gives up the pending record of a session, because a block of it was lost.
    pub fn abandon(&mut self, session: VolSession) -> Option<Record<'static>> {
        self.pending.remove(&session).map(|p| Record {
            session,
            index: p.index,
            stream: p.stream,
            data: Cow::Owned(p.data),
            integrity: Integrity::TailMissing,
        })
    }

    /// Gives up all pending records: the end was reached.
    pub fn abandon_all(&mut self) -> Vec<Record<'static>> {
        let mut sessions: Vec<_> = self.pending.keys().copied().collect();
        sessions.sort_unstable();
        sessions.into_iter().filter_map(|s| self.abandon(s)).collect()
    }

    /// Whether a record of the session waits for its end.
    #[must_use]
    pub fn is_pending(&self, session: VolSession) -> bool {
        self.pending.contains_key(&session)
    }

    fn continue_pending<'a>(&mut self, piece: &Piece<'a>) -> Option<Record<'a>> {
        let pending = self.pending.get_mut(&piece.session)?;
        pending.data.extend_from_slice(piece.data);
        pending.missing -= piece.data.len() as u32;
        if pending.missing > 0 {
            return None;
        }
        let done = self.pending.remove(&piece.session)?;
        Some(record(piece, Cow::Owned(done.data), done.integrity))
    }
}

fn record<'a>(piece: &Piece<'a>, data: Cow<'a, [u8]>, integrity: Integrity) -> Record<'a> {
    Record { session: piece.session, index: piece.index, stream: piece.stream_id(), data, integrity }
}
