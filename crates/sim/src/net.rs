//! Connections: in order on each, each link with its delay, cut in both directions or in one.

use std::collections::{BTreeMap, VecDeque};

use crate::message::{ConnId, Message, Pid};
use crate::plan::Millis;

/// After this time without an answer from the other side a connection is given up, as keepalives and user timeouts have it.
pub(crate) const DEAD_AFTER: Millis = 10_000;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) pid: Pid,
    pub(crate) life: u32,
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
    /// On their way, by who sends: with the time of sending.
    pub(crate) way: [VecDeque<(Millis, Message)>; 2],
    /// When the last one is sent, by side.
    pub(crate) said: [Millis; 2],
    /// When the last one arrives.
    pub(crate) last: [Millis; 2],
    pub(crate) is_open: bool,
}

/// All connections and links.
#[derive(Debug, Default)]
pub(crate) struct Net {
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    next: u64,
    /// Directed links that are cut, and how often.
    cut: BTreeMap<(Pid, Pid), u32>,
}

impl Net {
    pub(crate) fn open(&mut self, from: End, to: End) -> ConnId {
        self.next += 1;
        let id = ConnId(self.next);
        let conn =
            Conn { ends: [from, to], way: Default::default(), said: [0; 2], last: [0; 2], is_open: true };
        self.conns.insert(id, conn);
        id
    }

    pub(crate) fn is_cut(&self, from: Pid, to: Pid) -> bool {
        self.cut.get(&(from, to)).is_some_and(|count| *count > 0)
    }

    pub(crate) fn cut(&mut self, from: Pid, to: Pid) {
        *self.cut.entry((from, to)).or_default() += 1;
    }

    pub(crate) fn mend(&mut self, from: Pid, to: Pid) {
        if let Some(count) = self.cut.get_mut(&(from, to)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The side of a process, and its peer.
    pub(crate) fn side(&self, conn: ConnId, pid: Pid) -> Option<(usize, End)> {
        let conn = self.conns.get(&conn)?;
        let side = conn.ends.iter().position(|end| end.pid == pid)?;
        Some((side, conn.ends[1 - side]))
    }

    /// The open connections of a process.
    pub(crate) fn of(&self, pid: Pid) -> Vec<ConnId> {
        let is_its = |conn: &Conn| conn.is_open && conn.ends.iter().any(|end| end.pid == pid);
        self.conns.iter().filter(|(_, conn)| is_its(conn)).map(|(id, _)| *id).collect()
    }
}
