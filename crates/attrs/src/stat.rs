//! The encoded stat ("lstat"), 16 or 17 numbers (spec/02 §3.3, spec/05 §4.1).

use crate::number::{decode_number, encode_number};

/// Why a text is no encoded stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatError {
    /// Fewer than the thirteen fields every writer gives.
    #[error("encoded stat has {fields} fields; at least 13 are needed")]
    TooShort {
        /// Fields found.
        fields: usize,
    },
}

/// A decoded lstat. Times are Unix seconds; `blocks` are of 512 bytes; `size` is in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncodedStat {
    /// Device of the file system.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
    /// Type and permission bits with Unix values.
    pub mode: u32,
    /// Count of links.
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device of a device node.
    pub rdev: u64,
    /// Size in bytes.
    pub size: u64,
    /// Preferred unit of I/O.
    pub blksize: u64,
    /// Allocated units of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: i64,
    /// Last change of content; may be negative.
    pub mtime: i64,
    /// Last change of the inode.
    pub ctime: i64,
    /// FileIndex of the record with the data of a hard link, else 0.
    pub link_fi: i32,
    /// BSD file flags.
    pub flags: u32,
    /// Number of the data stream, without high bits.
    pub data_stream: i32,
    /// Windows attributes, written by Windows clients only.
    pub win_attrs: Option<i64>,
}

impl EncodedStat {
    /// Appends the text: fields separated by single blanks, no terminator.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let fields = [
            self.dev as i64,
            self.ino as i64,
            i64::from(self.mode),
            self.nlink as i64,
            i64::from(self.uid),
            i64::from(self.gid),
            self.rdev as i64,
            self.size as i64,
            self.blksize as i64,
            self.blocks as i64,
            self.atime,
            self.mtime,
            self.ctime,
            i64::from(self.link_fi),
            i64::from(self.flags),
            i64::from(self.data_stream),
        ];
        for (i, field) in fields.into_iter().enumerate() {
            if i > 0 {
                out.push(b' ');
            }
            encode_number(field, out);
        }
        if let Some(win) = self.win_attrs {
            out.push(b' ');
            encode_number(win, out);
        }
    }

    /// The text as a value of its own.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80);
        self.encode(&mut out);
        out
    }

    /// Reads a text; fields 14 to 17 may be missing (old writers), what follows them is ignored.
    ///
    /// # Errors
    /// [`StatError::TooShort`] when one of the first thirteen fields is missing.
    pub fn decode(text: &[u8]) -> Result<Self, StatError> {
        let mut fields = [0i64; 17];
        let mut count = 0;
        let mut at = 0;
        while count < fields.len() {
            while text.get(at) == Some(&b' ') {
                at += 1;
            }
            if at >= text.len() || text[at] == 0 {
                break;
            }
            let (value, read) = decode_number(&text[at..]);
            fields[count] = value;
            count += 1;
            at += read;
        }
        if count < 13 {
            return Err(StatError::TooShort { fields: count });
        }
        let [
            dev,
            ino,
            mode,
            nlink,
            uid,
            gid,
            rdev,
            size,
            blksize,
            blocks,
            atime,
            mtime,
            ctime,
            link,
            flags,
            data,
            win,
        ] = fields;
        Ok(Self {
            dev: dev as u64,
            ino: ino as u64,
            mode: mode as u32,
            nlink: nlink as u64,
            uid: uid as u32,
            gid: gid as u32,
            rdev: rdev as u64,
            size: size as u64,
            blksize: blksize as u64,
            blocks: blocks as u64,
            atime,
            mtime,
            ctime,
            link_fi: link as i32,
            flags: flags as u32,
            data_stream: data as i32,
            win_attrs: (count == 17).then_some(win),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_worked_example_decodes() {
        let text = b"P4A msLf IGk D A A A M BAA I BrBFXe BrBFVc BrBFVc H A C";
        let stat = EncodedStat::decode(text).unwrap();
        assert_eq!((stat.dev, stat.ino, stat.mode, stat.nlink), (65024, 10142431, 0o100644, 3));
        assert_eq!((stat.size, stat.link_fi, stat.data_stream), (12, 7, 2));
        assert_eq!(stat.to_text(), text);
    }

    #[test]
    fn old_rows_may_lack_the_last_fields() {
        let stat = EncodedStat::decode(b"P4A msLf IGk D A A A M BAA I BrBFXe BrBFVc BrBFVc").unwrap();
        assert_eq!((stat.link_fi, stat.flags, stat.data_stream), (0, 0, 0));
        assert_eq!(EncodedStat::decode(b"P4A  msLf"), Err(StatError::TooShort { fields: 2 }));
    }

    proptest! {
        #[test]
        fn any_stat_comes_back(dev: u32, ino in 0..i64::MAX as u64, mode: u32, size in 0..i64::MAX as u64, mtime in -1i64 << 40..1i64 << 40, link_fi: i32, win in proptest::option::of(-9i64..9)) {
            let stat = EncodedStat { dev: u64::from(dev), ino, mode, size, mtime, link_fi, win_attrs: win, ..EncodedStat::default() };
            prop_assert_eq!(EncodedStat::decode(&stat.to_text()), Ok(stat));
        }
    }
}
