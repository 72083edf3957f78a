//! The accurate list: what the catalog knows of the client's files (spec/02 §7.2), held compactly.
//!
//! Directories are kept once; an entry is a few numbers and texts in one byte buffer, and the index holds eight bytes a
//! slot. 200,000 files of a usual tree take about 25 MiB.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use attrs::AccurateEntry;

/// Largest list, in bytes of entries: offsets have 32 bits.
const ARENA_BYTES_MAX: usize = u32::MAX as usize - (1 << 20);
const FREE: u32 = u32::MAX;

/// The list is larger than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the accurate list has more than {ARENA_BYTES_MAX} bytes; run the job without Accurate, or split its FileSet"
)]
pub struct TooLarge;

/// An entry as the comparison needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<'a> {
    /// Handle for [`AccurateList::mark`].
    pub id: u32,
    /// Encoded stat.
    pub lstat: &'a [u8],
    /// Digest as base64, or empty.
    pub digest: &'a [u8],
    /// Sequence number of a delta.
    pub delta_seq: i32,
}

/// The list.
pub struct AccurateList {
    hasher: RandomState,
    dir_ids: HashMap<Box<[u8]>, u32>,
    dirs: Vec<Box<[u8]>>,
    arena: Vec<u8>,
    /// Offset into the arena and high bits of the hash; the length is a power of two.
    slots: Vec<(u32, u32)>,
    len: usize,
}

impl Default for AccurateList {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            dir_ids: HashMap::new(),
            dirs: Vec::new(),
            arena: Vec::new(),
            slots: vec![(FREE, 0); 64],
            len: 0,
        }
    }
}

/// Where an entry's seen mark is, from its start.
const SEEN: usize = 0;

impl AccurateList {
    /// Count of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry; a later one of the same name replaces the earlier.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn insert(&mut self, entry: &AccurateEntry<'_>) -> Result<(), TooLarge> {
        let size = entry.name.len() + entry.lstat.len() + entry.digest.len() + 32;
        if self.arena.len() + size > ARENA_BYTES_MAX {
            return Err(TooLarge);
        }
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let (dir, name) = split_name(entry.name);
        let dir = self.dir_id(dir);
        let hash = self.hash(dir, name);
        let slot = self.find_slot(hash, dir, name);
        if self.slots[slot].0 == FREE {
            self.len += 1;
        }
        self.slots[slot] = (self.arena.len() as u32, high(hash));
        self.arena.push(0);
        push_number(&mut self.arena, u64::from(dir));
        for field in [name, entry.lstat, entry.digest] {
            push_number(&mut self.arena, field.len() as u64);
            self.arena.extend_from_slice(field);
        }
        push_number(&mut self.arena, entry.delta_seq.max(0) as u64);
        Ok(())
    }

    /// Looks a name up; directories have their trailing slash.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Known<'_>> {
        let (dir, name) = split_name(name);
        let dir = *self.dir_ids.get(dir)?;
        let slot = self.find_slot(self.hash(dir, name), dir, name);
        let at = self.slots[slot].0;
        (at != FREE).then(|| {
            let (_, _, known) = self.entry(at);
            known
        })
    }

    /// Marks an entry as found on disk.
    pub fn mark(&mut self, id: u32) {
        self.arena[id as usize + SEEN] = 1;
    }

    /// Calls `each` with name and entry of all that are marked, or of all that are not, until it gives `false`.
    pub fn for_each(&self, marked: bool, mut each: impl FnMut(&[u8], Known<'_>) -> bool) {
        let mut path = Vec::new();
        for &(at, _) in self.slots.iter().filter(|slot| slot.0 != FREE) {
            if (self.arena[at as usize + SEEN] != 0) != marked {
                continue;
            }
            let (dir, name, known) = self.entry(at);
            path.clear();
            path.extend_from_slice(&self.dirs[dir as usize]);
            path.extend_from_slice(name);
            if !each(&path, known) {
                return;
            }
        }
    }

    fn dir_id(&mut self, dir: &[u8]) -> u32 {
        if let Some(&id) = self.dir_ids.get(dir) {
            return id;
        }
        let id = self.dirs.len() as u32;
        self.dirs.push(dir.into());
        self.dir_ids.insert(dir.into(), id);
        id
    }

    fn hash(&self, dir: u32, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(dir);
        hasher.write(name);
        hasher.finish()
    }

    /// The slot of an entry, or the free one where it would go.
    fn find_slot(&self, hash: u64, dir: u32, name: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (at, tag) = self.slots[slot];
            if at == FREE {
                return slot;
            }
            if tag == high(hash) {
                let (entry_dir, entry_name, _) = self.entry(at);
                if entry_dir == dir && entry_name == name {
                    return slot;
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![(FREE, 0); old.len() * 2];
        let mask = self.slots.len() - 1;
        for (at, tag) in old.into_iter().filter(|slot| slot.0 != FREE) {
            let (dir, name, _) = self.entry(at);
            let mut slot = self.hash(dir, name) as usize & mask;
            while self.slots[slot].0 != FREE {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = (at, tag);
        }
    }

    /// Directory, name and the rest of the entry at an offset.
    fn entry(&self, at: u32) -> (u32, &[u8], Known<'_>) {
        let mut rest = &self.arena[at as usize + 1..];
        let dir = take_number(&mut rest) as u32;
        let name = take_bytes(&mut rest);
        let lstat = take_bytes(&mut rest);
        let digest = take_bytes(&mut rest);
        let delta_seq = take_number(&mut rest) as i32;
        (dir, name, Known { id: at, lstat, digest, delta_seq })
    }
}

fn high(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Splits behind the last slash that is not the final one: `/a/b/` is the name `b/` in `/a/`.
fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    let body = path.strip_suffix(b"/").unwrap_or(path);
    let at = body.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    path.split_at(at)
}

fn push_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_number(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0, 0);
    while let Some((&byte, tail)) = rest.split_first() {
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
        shift += 7;
    }
    value
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let len = take_number(rest) as usize;
    let (bytes, tail) = rest.split_at(len);
    *rest = tail;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(name: &'a str, lstat: &'a str) -> AccurateEntry<'a> {
        AccurateEntry { name: name.as_bytes(), lstat: lstat.as_bytes(), digest: b"abc", delta_seq: 3 }
    }

    #[test]
    fn names_are_found_marked_and_listed() {
        let mut list = AccurateList::default();
        for i in 0..5000 {
            list.insert(&entry(&format!("/dir{}/file{i}", i % 7), &format!("L{i}"))).unwrap();
        }
        list.insert(&entry("/dir1/", "D")).unwrap();
        list.insert(&entry("/", "R")).unwrap();
        list.insert(&entry("/dir1/file1", "NEW")).unwrap();
        assert_eq!(list.len(), 5002);
        let known = list.get(b"/dir1/file1").unwrap();
        assert_eq!((known.lstat, known.digest, known.delta_seq), (&b"NEW"[..], &b"abc"[..], 3));
        assert_eq!(list.get(b"/dir1/").unwrap().lstat, b"D");
        assert_eq!(list.get(b"/dir1"), None);
        assert_eq!(list.get(b"/").unwrap().lstat, b"R");
        for i in 1..5000 {
            let id = list.get(format!("/dir{}/file{i}", i % 7).as_bytes()).unwrap().id;
            list.mark(id);
        }
        let mut unseen = Vec::new();
        list.for_each(false, |name, _| {
            unseen.push(String::from_utf8(name.to_vec()).unwrap());
            true
        });
        unseen.sort();
        assert_eq!(unseen, ["/", "/dir0/file0", "/dir1/"]);
    }

    #[test]
    fn two_hundred_thousand_entries_are_compact() {
        let lstat = "P4A m+QD IGk C A A A DIN BAA g BrBFav BrBFXD BrBFXD A A C";
        let mut list = AccurateList::default();
        for i in 0..200_000 {
            list.insert(&entry(&format!("/srv/data/some/dir{:04}/file-{i:06}", i / 100), lstat)).unwrap();
        }
        let bytes = list.arena.capacity() + list.slots.capacity() * 8 + list.dirs.len() * 120;
        assert!(bytes < 40 << 20, "{bytes}");
    }
}
