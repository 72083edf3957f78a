//! Matching records against a bootstrap, and where to read next (spec/03 §5.3).

use std::collections::HashMap;
use std::ops::RangeInclusive;

use regex::Regex;
use types::{FileIndex, VolAddr, VolSession};

use crate::bsr::{Bsr, Section};
use crate::label::SessionLabel;

/// Why a bootstrap cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A FileRegex that is no expression.
    #[error("FileRegex \"{regex}\" is no regular expression: {why}")]
    Regex {
        /// The text.
        regex: String,
        /// What is wrong with it.
        why: String,
    },
}

/// What to do with a piece of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// It is wanted, by this section (its place in the bootstrap).
    Wanted(usize),
    /// It is not.
    Skip,
}

/// Where a block stands.
#[derive(Debug, Clone, Copy)]
pub struct BlockPlace<'a> {
    /// Volume that the label names.
    pub volume: &'a str,
    /// First byte (or block).
    pub start: VolAddr,
    /// Last byte (or block).
    pub end: VolAddr,
}

#[derive(Debug)]
struct State {
    section: Section,
    regex: Option<Regex>,
    /// FileIndex whose name FileRegex has refused, or accepted.
    name_verdict: Option<(FileIndex, bool)>,
    last: Option<FileIndex>,
    found: u32,
    is_done: bool,
}

/// Walks the sections of a bootstrap as the Volumes are read.
#[derive(Debug)]
pub struct Selector {
    states: Vec<State>,
    is_positionable: bool,
    /// Current session labels, for JobId, Job and Client.
    labels: HashMap<VolSession, SessionLabel>,
    needs_labels: bool,
    changed: bool,
}

impl Selector {
    /// Nothing read yet.
    ///
    /// # Errors
    /// [`SelectError::Regex`].
    pub fn new(bsr: &Bsr) -> Result<Self, SelectError> {
        let states = bsr.sections.iter().map(State::new).collect::<Result<Vec<_>, _>>()?;
        let needs_labels =
            bsr.sections.iter().any(|s| !(s.job_ids.is_empty() && s.jobs.is_empty() && s.clients.is_empty()));
        Ok(Self {
            states,
            is_positionable: bsr.is_positionable(),
            labels: HashMap::new(),
            needs_labels,
            changed: false,
        })
    }

    /// Whether every section is done: reading can stop.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.states.iter().all(|s| s.is_done)
    }

    /// Whether a section of this Volume is still open.
    #[must_use]
    pub fn wants_volume(&self, volume: &str) -> bool {
        self.states.iter().any(|s| !s.is_done && s.has_volume(volume))
    }

    /// Where reading should go on: the lowest wanted address on the Volume at or behind `from`; `from` itself where any block may be wanted.
    /// `None` when nothing on the Volume is wanted any more.
    #[must_use]
    pub fn next_address(&self, volume: &str, from: VolAddr) -> Option<VolAddr> {
        let mut open = self.states.iter().filter(|s| !s.is_done && s.has_volume(volume)).peekable();
        open.peek()?;
        if !self.is_positionable {
            return Some(from);
        }
        open.filter_map(|s| s.next_address(from)).min()
    }

    /// Whether a section has become done since the last call: then [`Self::next_address`] may have moved.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether any open section may want records of the block's session; a shortcut before looking at its records.
    #[must_use]
    pub fn wants_session(&self, session: VolSession) -> bool {
        self.states.iter().any(|s| !s.is_done && s.matches_session(session))
    }

    /// Closes sections of the Volume that end before `start`.
    pub fn pass_address(&mut self, volume: &str, start: VolAddr) {
        for state in self.states.iter_mut().filter(|s| !s.is_done && s.has_volume(volume)) {
            if !state.section.addresses.is_empty() && state.section.addresses.iter().all(|r| *r.end() < start)
            {
                state.is_done = true;
                self.changed = true;
            }
        }
    }

    /// Closes what is left of a Volume: its end was reached.
    pub fn finish_volume(&mut self, volume: &str) {
        for state in self.states.iter_mut().filter(|s| !s.is_done && s.has_volume(volume)) {
            // A section over several Volumes goes on with the next of them.
            if state.section.volumes.last().is_some_and(|v| v.name == volume) {
                state.is_done = true;
            }
        }
    }

    /// Takes note of a session label, for sections that ask for JobId, Job or Client.
    pub fn note_label(&mut self, session: VolSession, label: &SessionLabel) {
        if self.needs_labels && self.labels.len() < crate::assemble::SESSIONS_PENDING_MAX {
            self.labels.insert(session, label.clone());
        }
    }

    /// Judges a piece of a record with a positive FileIndex.
    ///
    /// `name` is the file name where the piece begins a file's attribute record; only FileRegex looks at it.
    pub fn select(
        &mut self,
        place: BlockPlace<'_>,
        session: VolSession,
        index: FileIndex,
        stream: i32,
        name: Option<&str>,
    ) -> Selection {
        let label = self.labels.get(&session);
        for (position, state) in self.states.iter_mut().enumerate() {
            let was_done = state.is_done;
            let wanted = !was_done && state.matches(place, session, index, stream, name, label);
            self.changed |= state.is_done != was_done;
            if wanted {
                return Selection::Wanted(position);
            }
        }
        Selection::Skip
    }

    /// FileIndexes that a section asks for and that were not found, as ranges; for the report at the end.
    ///
    /// `seen` says whether a FileIndex of the section was delivered.
    pub fn missing(&self, seen: impl Fn(usize, FileIndex) -> bool) -> Vec<(usize, RangeInclusive<i32>)> {
        let mut out: Vec<(usize, RangeInclusive<i32>)> = Vec::new();
        for (position, state) in self.states.iter().enumerate() {
            for range in &state.section.indexes {
                for index in range.clone() {
                    if seen(position, FileIndex(index)) {
                        continue;
                    }
                    match out.last_mut() {
                        Some((p, last)) if *p == position && *last.end() + 1 == index => {
                            *last = *last.start()..=index;
                        }
                        _ => out.push((position, index..=index)),
                    }
                }
            }
        }
        out
    }

    /// A section.
    #[must_use]
    pub fn section(&self, position: usize) -> Option<&Section> {
        self.states.get(position).map(|s| &s.section)
    }
}

impl State {
    fn new(section: &Section) -> Result<Self, SelectError> {
        let regex = match &section.file_regex {
            None => None,
            Some(text) => Some(
                Regex::new(text)
                    .map_err(|e| SelectError::Regex { regex: text.clone(), why: e.to_string() })?,
            ),
        };
        Ok(Self { section: section.clone(), regex, name_verdict: None, last: None, found: 0, is_done: false })
    }

    fn has_volume(&self, volume: &str) -> bool {
        self.section.volumes.iter().any(|v| v.name == volume)
    }

    fn next_address(&self, from: VolAddr) -> Option<VolAddr> {
        if self.section.addresses.is_empty() {
            return self.section.start().map(|s| s.max(from));
        }
        self.section.addresses.iter().filter(|r| *r.end() >= from).map(|r| (*r.start()).max(from)).min()
    }

    fn matches_session(&self, session: VolSession) -> bool {
        let s = &self.section;
        (s.session_times.is_empty() || s.session_times.contains(&session.time))
            && (s.session_ids.is_empty() || s.session_ids.iter().any(|r| r.contains(&session.id)))
    }

    fn matches_address(&mut self, place: BlockPlace<'_>) -> bool {
        let ranges = &self.section.addresses;
        if ranges.is_empty() || ranges.iter().any(|r| *r.start() <= place.end && place.start <= *r.end()) {
            return true;
        }
        if ranges.iter().all(|r| *r.end() < place.start) {
            self.is_done = true;
        }
        false
    }

    fn matches_index(&mut self, index: FileIndex) -> bool {
        let ranges = &self.section.indexes;
        if ranges.is_empty() || ranges.iter().any(|r| r.contains(&index.0)) {
            return true;
        }
        // FileIndexes only grow in a session; with more than one session in the section a later one starts again at 1.
        if self.is_one_session() && ranges.iter().all(|r| *r.end() < index.0) {
            self.is_done = true;
        }
        false
    }

    fn is_one_session(&self) -> bool {
        let s = &self.section;
        s.session_times.len() == 1
            && s.session_ids.len() == 1
            && s.session_ids[0].start() == s.session_ids[0].end()
    }

    fn matches(
        &mut self,
        place: BlockPlace<'_>,
        session: VolSession,
        index: FileIndex,
        stream: i32,
        name: Option<&str>,
        label: Option<&SessionLabel>,
    ) -> bool {
        if !self.has_volume(place.volume)
            || !self.matches_address(place)
            || !self.matches_session(session)
            || !self.matches_index(index)
            || !self.matches_name(index, name)
        {
            return false;
        }
        let is_short_cut = self.section.count.is_some() && !self.section.indexes.is_empty();
        if !is_short_cut && !self.matches_rest(stream, label) {
            return false;
        }
        self.count(index)
    }

    fn matches_name(&mut self, index: FileIndex, name: Option<&str>) -> bool {
        let Some(regex) = &self.regex else { return true };
        if let Some(name) = name {
            self.name_verdict = Some((index, regex.is_match(name)));
        }
        matches!(self.name_verdict, Some((at, true)) if at == index)
    }

    fn matches_rest(&self, stream: i32, label: Option<&SessionLabel>) -> bool {
        let s = &self.section;
        let by_label = |none: bool, test: &dyn Fn(&SessionLabel) -> bool| none || label.is_none_or(test);
        (s.streams.is_empty() || s.streams.contains(&stream))
            && by_label(s.job_ids.is_empty(), &|l| s.job_ids.iter().any(|r| r.contains(&l.job_id)))
            && by_label(s.jobs.is_empty(), &|l| s.jobs.contains(&l.job))
            && by_label(s.clients.is_empty(), &|l| s.clients.contains(&l.client))
    }

    /// Counts a new file; `false` (and done) when the section already has all it selects.
    fn count(&mut self, index: FileIndex) -> bool {
        if self.last == Some(index) {
            return true;
        }
        if self.is_one_session() && self.section.count.is_some_and(|c| self.found >= c) {
            self.is_done = true;
            return false;
        }
        self.found += 1;
        self.last = Some(index);
        true
    }
}
