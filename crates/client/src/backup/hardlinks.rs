//! Hard links: which inodes were saved in this job, under which name (spec/02 §4.2).
//!
//! An inode is registered when its first file *was accepted and sent*, never before: else a first link that is excluded or
//! unreadable would take the data of all further ones with it.

use std::collections::HashMap;

/// The first file of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstLink {
    /// Its FileIndex.
    pub(super) index: i32,
    /// Its stored name.
    pub(super) name: Box<[u8]>,
    /// Stream and raw value of its digest, when it had one.
    pub(super) digest: Option<(attrs::DigestKind, Box<[u8]>)>,
    /// Links of the inode not seen yet.
    left: u64,
}

/// All inodes with more links to come.
#[derive(Debug, Default)]
pub(super) struct HardLinks {
    table: HashMap<(u64, u64), FirstLink>,
}

impl HardLinks {
    /// Registers the first file of an inode.
    pub(super) fn register(&mut self, dev: u64, ino: u64, nlink: u64, index: i32, name: &[u8]) {
        let first = FirstLink { index, name: name.into(), digest: None, left: nlink.saturating_sub(1) };
        self.table.insert((dev, ino), first);
    }

    /// Adds the digest of a registered file, when it is known.
    pub(super) fn set_digest(&mut self, dev: u64, ino: u64, kind: attrs::DigestKind, value: &[u8]) {
        if let Some(first) = self.table.get_mut(&(dev, ino)) {
            first.digest = Some((kind, value.into()));
        }
    }

    /// The first file, if the inode was saved. The last possible link forgets it, so that memory does not grow without need.
    pub(super) fn further(&mut self, dev: u64, ino: u64) -> Option<FirstLink> {
        let first = self.table.get_mut(&(dev, ino))?;
        if first.left <= 1 {
            return self.table.remove(&(dev, ino));
        }
        first.left -= 1;
        Some(first.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_until_all_were_seen() {
        let mut links = HardLinks::default();
        assert_eq!(links.further(1, 2), None);
        links.register(1, 2, 3, 7, b"/first");
        links.set_digest(1, 2, attrs::DigestKind::Md5, b"d");
        let second = links.further(1, 2).unwrap();
        assert_eq!((second.index, &*second.name, second.digest.is_some()), (7, &b"/first"[..], true));
        assert!(links.further(1, 2).is_some());
        assert_eq!(links.further(1, 2), None);
    }
}
