//! POSIX ACLs of Linux: the text of streams 1007 and 1008 (spec/02 §2.3) and the binary form of the
//! `system.posix_acl_*` extended attributes (Linux `posix_acl_xattr.h`: u32 version 2, then u16 tag, u16 perm, u32 id,
//! little-endian).

use std::fmt::Write;

const XATTR_VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

/// Whom an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclTag {
    /// Owner of the file.
    UserObj,
    /// A user by number.
    User(u32),
    /// Group of the file.
    GroupObj,
    /// A group by number.
    Group(u32),
    /// Upper bound for all but owner and others.
    Mask,
    /// Everybody else.
    Other,
}

/// One entry: whom and `rwx` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclEntry {
    /// Whom.
    pub tag: AclTag,
    /// `4` read, `2` write, `1` execute.
    pub perm: u8,
}

/// An access or default ACL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PosixAcl {
    /// In the kernel's order: owner, users by number, group, groups by number, mask, others.
    pub entries: Vec<AclEntry>,
}

/// Why bytes or a text are no ACL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// Not the version we know.
    #[error("ACL has the unknown version {version}")]
    Version {
        /// As found.
        version: u32,
    },
    /// Cut or with a wrong tag.
    #[error("ACL attribute is broken at entry {entry}")]
    Binary {
        /// Index from 0.
        entry: usize,
    },
    /// A line that is no entry.
    #[error("ACL text has the unreadable line \"{line}\"")]
    Line {
        /// The line.
        line: String,
    },
    /// A user or group name that nobody has here.
    #[error("ACL names the unknown {kind} \"{name}\"")]
    UnknownName {
        /// `user` or `group`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// No owner, group or other entry, or named entries without a mask.
    #[error("ACL lacks its {what} entry")]
    Incomplete {
        /// Which.
        what: &'static str,
    },
}

impl PosixAcl {
    /// Whether it says no more than the mode bits do: the three base entries only.
    #[must_use]
    pub fn is_trivial(&self) -> bool {
        self.entries.len() <= 3
    }

    /// Reads the value of an extended attribute.
    ///
    /// # Errors
    /// [`AclError::Version`] or [`AclError::Binary`].
    pub fn from_xattr(bytes: &[u8]) -> Result<Self, AclError> {
        let (head, rest) = bytes.split_first_chunk::<4>().ok_or(AclError::Binary { entry: 0 })?;
        let version = u32::from_le_bytes(*head);
        if version != XATTR_VERSION {
            return Err(AclError::Version { version });
        }
        let entries = rest.chunks(8).enumerate().map(|(i, chunk)| {
            let entry: [u8; 8] = chunk.try_into().map_err(|_| AclError::Binary { entry: i })?;
            let [t0, t1, p0, p1, i0, i1, i2, i3] = entry;
            let id = u32::from_le_bytes([i0, i1, i2, i3]);
            let tag = match u16::from_le_bytes([t0, t1]) {
                0x01 => AclTag::UserObj,
                0x02 => AclTag::User(id),
                0x04 => AclTag::GroupObj,
                0x08 => AclTag::Group(id),
                0x10 => AclTag::Mask,
                0x20 => AclTag::Other,
                _ => return Err(AclError::Binary { entry: i }),
            };
            Ok(AclEntry { tag, perm: (u16::from_le_bytes([p0, p1]) & 7) as u8 })
        });
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// The value of the extended attribute.
    #[must_use]
    pub fn to_xattr(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 8 * self.entries.len());
        out.extend_from_slice(&XATTR_VERSION.to_le_bytes());
        for entry in &self.entries {
            let (tag, id) = match entry.tag {
                AclTag::UserObj => (0x01u16, NO_ID),
                AclTag::User(id) => (0x02, id),
                AclTag::GroupObj => (0x04, NO_ID),
                AclTag::Group(id) => (0x08, id),
                AclTag::Mask => (0x10, NO_ID),
                AclTag::Other => (0x20, NO_ID),
            };
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&u16::from(entry.perm).to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        out
    }

    /// The long text, one entry a line, without the NUL of the stream. `user` and `group` give names; a number is written where they give none.
    pub fn to_text(
        &self,
        user: impl Fn(u32) -> Option<String>,
        group: impl Fn(u32) -> Option<String>,
    ) -> String {
        let mut out = String::new();
        for entry in &self.entries {
            let perms =
                [(4, 'r'), (2, 'w'), (1, 'x')].map(|(bit, c)| if entry.perm & bit != 0 { c } else { '-' });
            let (kind, who) = match entry.tag {
                AclTag::UserObj => ("user", String::new()),
                AclTag::User(id) => ("user", user(id).unwrap_or_else(|| id.to_string())),
                AclTag::GroupObj => ("group", String::new()),
                AclTag::Group(id) => ("group", group(id).unwrap_or_else(|| id.to_string())),
                AclTag::Mask => ("mask", String::new()),
                AclTag::Other => ("other", String::new()),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{kind}:{who}:{}{}{}", perms[0], perms[1], perms[2]);
        }
        out
    }

    /// Reads a text (long or short form, a final NUL allowed). `user` and `group` give numbers of names; plain numbers are taken as they are.
    ///
    /// # Errors
    /// [`AclError::Line`], [`AclError::UnknownName`] or [`AclError::Incomplete`].
    pub fn from_text(
        text: &str,
        user: impl Fn(&str) -> Option<u32>,
        group: impl Fn(&str) -> Option<u32>,
    ) -> Result<Self, AclError> {
        let mut entries = Vec::new();
        for line in text.trim_end_matches('\0').split(['\n', ',']) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            entries.push(parse_line(line, &user, &group)?);
        }
        entries.sort_by_key(|entry| entry.tag);
        let acl = Self { entries };
        acl.check()?;
        Ok(acl)
    }

    fn check(&self) -> Result<(), AclError> {
        let has = |wanted| self.entries.iter().any(|entry| entry.tag == wanted);
        let named = self.entries.iter().any(|entry| matches!(entry.tag, AclTag::User(_) | AclTag::Group(_)));
        let needed = [
            (AclTag::UserObj, "owner", true),
            (AclTag::GroupObj, "group", true),
            (AclTag::Other, "other", true),
            (AclTag::Mask, "mask", named),
        ];
        match needed.into_iter().find(|&(tag, _, needed)| needed && !has(tag)) {
            Some((_, what, _)) => Err(AclError::Incomplete { what }),
            None => Ok(()),
        }
    }
}

fn parse_line(
    line: &str,
    user: &impl Fn(&str) -> Option<u32>,
    group: &impl Fn(&str) -> Option<u32>,
) -> Result<AclEntry, AclError> {
    let bad = || AclError::Line { line: line.to_owned() };
    let (kind, rest) = line.split_once(':').ok_or_else(bad)?;
    let (who, perms) = rest.rsplit_once(':').unwrap_or(("", rest));
    let unknown = |kind| AclError::UnknownName { kind, name: who.to_owned() };
    let tag = match (kind.trim(), who) {
        ("user" | "u", "") => AclTag::UserObj,
        ("user" | "u", who) => {
            AclTag::User(who.parse().ok().or_else(|| user(who)).ok_or_else(|| unknown("user"))?)
        }
        ("group" | "g", "") => AclTag::GroupObj,
        ("group" | "g", who) => {
            AclTag::Group(who.parse().ok().or_else(|| group(who)).ok_or_else(|| unknown("group"))?)
        }
        ("mask" | "m", "") => AclTag::Mask,
        ("other" | "o", "") => AclTag::Other,
        _ => return Err(bad()),
    };
    let mut perm = 0;
    for c in perms.trim().chars() {
        perm |= match c {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            '-' => 0,
            _ => return Err(bad()),
        };
    }
    Ok(AclEntry { tag, perm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEEN: &str = "user::rw-\nuser:1234:r--\ngroup::r--\nmask::r--\nother::r--\n";

    #[test]
    fn the_recorded_text_round_trips_through_the_attribute() {
        let acl = PosixAcl::from_text(&format!("{SEEN}\0"), |_| None, |_| None).unwrap();
        assert_eq!(acl.entries[1], AclEntry { tag: AclTag::User(1234), perm: 4 });
        let back = PosixAcl::from_xattr(&acl.to_xattr()).unwrap();
        assert_eq!(back, acl);
        assert_eq!(back.to_text(|_| None, |_| None), SEEN);
        assert!(!back.is_trivial());
    }

    #[test]
    fn names_are_resolved_and_missing_entries_refused() {
        let text = "user::rwx\nuser:bob:r-x\ngroup::r-x\nmask::r-x\nother::---\n";
        let acl = PosixAcl::from_text(text, |name| (name == "bob").then_some(7), |_| None).unwrap();
        assert_eq!(acl.to_text(|id| (id == 7).then(|| "bob".to_owned()), |_| None), text);
        let unknown = PosixAcl::from_text(text, |_| None, |_| None).unwrap_err();
        assert_eq!(unknown.to_string(), "ACL names the unknown user \"bob\"");
        assert_eq!(
            PosixAcl::from_text("user::rwx\n", |_| None, |_| None),
            Err(AclError::Incomplete { what: "group" })
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            if let Ok(acl) = PosixAcl::from_xattr(&bytes) {
                prop_assert_eq!(PosixAcl::from_xattr(&acl.to_xattr()).unwrap(), acl);
            }
        }
    }
}
