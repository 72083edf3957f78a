//! Entries of accurate lists, Director to File Daemon (spec/02 §7.2).

/// What the catalog knows of a file, borrowed from its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccurateEntry<'a> {
    /// Full path; directories end in a slash.
    pub name: &'a [u8],
    /// Encoded stat.
    pub lstat: &'a [u8],
    /// Digest as base64, or empty.
    pub digest: &'a [u8],
    /// Sequence number of a delta.
    pub delta_seq: i32,
}

impl<'a> AccurateEntry<'a> {
    /// Appends the packet; it has no final NUL.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        for field in [self.name, self.lstat, self.digest] {
            out.extend_from_slice(field);
            out.push(0);
        }
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{}", self.delta_seq);
    }

    /// Reads a packet; digest and delta may be missing. `None` without a name and an encoded stat.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut fields = bytes.split(|&b| b == 0);
        let name = fields.next().filter(|name| !name.is_empty())?;
        let lstat = fields.next()?;
        let digest = fields.next().unwrap_or_default();
        let delta = fields.next().unwrap_or_default();
        let delta_seq =
            std::str::from_utf8(delta).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        // A catalog without a digest holds the figure 0.
        let digest = if digest == b"0" { &[] } else { digest };
        Some(Self { name, lstat, digest, delta_seq })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back() {
        let entry = AccurateEntry { name: b"/a/", lstat: b"P4A B", digest: b"b1kC", delta_seq: 2 };
        let mut out = Vec::new();
        entry.encode_into(&mut out);
        assert_eq!(out, b"/a/\0P4A B\0b1kC\x002");
        assert_eq!(AccurateEntry::decode(&out), Some(entry));
        let short = AccurateEntry::decode(b"/a\0P4A").unwrap();
        assert_eq!((short.digest, short.delta_seq), (&b""[..], 0));
        assert_eq!(AccurateEntry::decode(b"/a"), None);
    }
}
