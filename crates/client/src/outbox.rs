//! What a job has to tell its Director: messages and the end line, in order (docs/extensions.md §4).
//!
//! For a Director with Holdfast's additions it is a journal: records have numbers and stay until they are acknowledged. For
//! a stock Director they are packets that are gone once sent.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

/// Records kept; more messages are counted as lost while no Director takes them.
const RECORDS_MAX: usize = 10_000;
/// Records sent ahead of the last acknowledgement.
const UNACKED_MAX: u64 = 1024;
/// How long a thread with a message waits for a Director that is there but slow, before the message counts as lost.
const ROOM_WAIT: Duration = Duration::from_secs(120);

#[derive(Debug, Default)]
struct State {
    records: VecDeque<(u64, Bytes)>,
    last: u64,
    sent: u64,
    acked: u64,
    journaled: bool,
    connected: bool,
    ended: bool,
    lost: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
    room: Condvar,
    changed: Notify,
}

impl Outbox {
    /// An empty one; `journaled` keeps records until they are acknowledged.
    #[must_use]
    pub fn new(journaled: bool) -> Self {
        Self {
            state: Mutex::new(State { journaled, connected: true, ..State::default() }),
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds a record. Waits while a connected Director is behind; without one, messages over the bound are lost and counted.
    pub fn push(&self, payload: Bytes) {
        let mut state = self.state();
        while state.records.len() >= RECORDS_MAX && state.connected {
            let (next, wait) =
                self.room.wait_timeout(state, ROOM_WAIT).unwrap_or_else(std::sync::PoisonError::into_inner);
            state = next;
            if wait.timed_out() {
                break;
            }
        }
        if state.records.len() >= RECORDS_MAX || !state.journaled && !state.connected {
            state.lost += 1;
            return;
        }
        state.append(payload);
        drop(state);
        self.changed.notify_one();
    }

    /// Adds the end line, whatever the bound, and ends the queue.
    pub fn push_end(&self, payload: Bytes) {
        let mut state = self.state();
        state.append(payload);
        state.ended = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Messages that were lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Records to be sent now, with their numbers when this is a journal.
    #[must_use]
    pub fn unsent(&self) -> Vec<(Option<u64>, Bytes)> {
        let mut state = self.state();
        if !state.journaled {
            state.sent = state.last;
            let records = state.records.drain(..).map(|(_, payload)| (None, payload)).collect();
            drop(state);
            self.room.notify_all();
            return records;
        }
        let until = state.acked + UNACKED_MAX;
        let from = state.sent;
        let records: Vec<_> = state
            .records
            .iter()
            .filter(|(seq, _)| *seq > from && *seq <= until)
            .map(|(seq, payload)| (Some(*seq), payload.clone()))
            .collect();
        state.sent = records.last().and_then(|(seq, _)| *seq).unwrap_or(from);
        records
    }

    /// Every record up to `seq` is in the catalog.
    pub fn ack(&self, seq: u64) {
        let mut state = self.state();
        let seq = seq.min(state.last);
        while state.records.front().is_some_and(|(have, _)| *have <= seq) {
            state.records.pop_front();
        }
        state.acked = state.acked.max(seq);
        drop(state);
        self.room.notify_all();
        self.changed.notify_one();
    }

    /// A Director takes the records from number `from` on (1 is the first).
    pub fn attach(&self, from: u64) {
        let mut state = self.state();
        state.connected = true;
        state.sent = from.saturating_sub(1).max(state.acked);
        drop(state);
        self.changed.notify_one();
    }

    /// The Director is gone.
    pub fn detach(&self) {
        let mut state = self.state();
        state.connected = false;
        drop(state);
        self.room.notify_all();
    }

    /// Waits for something to send or an acknowledgement. Cancel safe.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether the end line was added.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Whether the end line was added and taken: sent to a stock Director, acknowledged by one with journals.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let state = self.state();
        state.ended && state.records.is_empty()
    }

    /// Number of the last record, and of the last one acknowledged.
    #[must_use]
    pub fn positions(&self) -> (u64, u64) {
        let state = self.state();
        (state.last, state.acked)
    }
}

impl State {
    fn append(&mut self, payload: Bytes) {
        self.last += 1;
        self.records.push_back((self.last, payload));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_keeps_records_until_they_are_acknowledged() {
        let outbox = Outbox::new(true);
        outbox.push("a".into());
        outbox.push("b".into());
        assert_eq!(outbox.unsent().len(), 2);
        assert!(outbox.unsent().is_empty());
        outbox.detach();
        outbox.push("c".into());
        outbox.push_end("end".into());
        outbox.attach(2);
        let again: Vec<_> = outbox.unsent().into_iter().map(|(seq, _)| seq.unwrap()).collect();
        assert_eq!(again, [2, 3, 4]);
        outbox.ack(3);
        assert!(!outbox.is_done());
        outbox.ack(4);
        assert!(outbox.is_done());
        assert_eq!(outbox.positions(), (4, 4));
    }

    #[test]
    fn a_stock_director_gets_each_packet_once_and_what_it_misses_is_counted() {
        let outbox = Outbox::new(false);
        outbox.push("a".into());
        assert_eq!(outbox.unsent(), [(None, "a".into())]);
        outbox.detach();
        outbox.push("b".into());
        assert!(outbox.unsent().is_empty());
        assert_eq!(outbox.lost(), 1);
    }

    #[test]
    fn without_a_director_the_number_of_messages_is_bounded() {
        let outbox = Outbox::new(true);
        outbox.detach();
        for _ in 0..RECORDS_MAX + 5 {
            outbox.push("m".into());
        }
        assert_eq!(outbox.lost(), 5);
        outbox.push_end("end".into());
        assert_eq!(outbox.positions().0, RECORDS_MAX as u64 + 1);
    }
}
