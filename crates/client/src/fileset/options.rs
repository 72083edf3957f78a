//! Option letters of a FileSet's Options block (spec/02 §6.3).

use attrs::DigestKind;

/// How file data is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// zlib of a level 0 to 9.
    Gzip(u8),
    /// LZO1X.
    Lzo,
    /// ZSTD of a level.
    Zstd(u8),
}

/// Options in force for one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "these are the directives of an Options block, each independent"
)]
pub struct FileOptions {
    /// `exclude = yes`.
    pub exclude: bool,
    /// `onefs = no`.
    pub cross_fs: bool,
    /// `recurse = no`.
    pub no_recurse: bool,
    /// `hardlinks = no`.
    pub no_hardlinks: bool,
    /// `ignorecase = yes`.
    pub ignore_case: bool,
    /// Digest of content.
    pub digest: Option<DigestKind>,
    /// Compression of content.
    pub compression: Option<Compression>,
    /// `sparse = yes`.
    pub sparse: bool,
    /// `mtimeonly = yes`.
    pub mtime_only: bool,
    /// `keepatime = yes`.
    pub keep_atime: bool,
    /// `noatime = yes`.
    pub no_atime: bool,
    /// `aclsupport = yes`.
    pub acl: bool,
    /// `xattrsupport = yes`.
    pub xattr: bool,
    /// `readfifo = yes`.
    pub read_fifo: bool,
    /// `checkfilechanges = yes`.
    pub check_changes: bool,
    /// `honornodumpflag = yes`.
    pub honor_nodump: bool,
    /// Wildbase patterns match the base name.
    pub enhanced_wild: bool,
}

/// What the letters of one `O` line say: options of files, and values that count for the whole Include.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionLetters {
    /// Options of files.
    pub options: FileOptions,
    /// `V…`: verify letters, with the `V`.
    pub verify: Option<String>,
    /// `C…`: accurate letters, with the `C`.
    pub accurate: Option<String>,
    /// `J…`: base job letters, with the `J`.
    pub base_job: Option<String>,
    /// `P<n>`: leading components to cut.
    pub strip_path: Option<u32>,
    /// Letters that no version defines.
    pub unknown: Vec<char>,
}

/// Digests in the order in which one of several wins.
const PRECEDENCE: [DigestKind; 7] = [
    DigestKind::Md5,
    DigestKind::Sha1,
    DigestKind::Sha256,
    DigestKind::Sha512,
    DigestKind::Xxh64,
    DigestKind::Xxh3x64,
    DigestKind::Xxh3x128,
];

/// Of two digests the one that wins.
pub(super) fn stronger_claim(a: Option<DigestKind>, b: Option<DigestKind>) -> Option<DigestKind> {
    PRECEDENCE.into_iter().find(|&kind| a == Some(kind) || b == Some(kind))
}

impl OptionLetters {
    /// Reads the letters of an `O` line.
    #[must_use]
    pub fn parse(letters: &str) -> Self {
        let mut out = Self::default();
        let mut rest = letters.trim();
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            rest = out.letter(letter, rest);
        }
        out
    }

    /// Takes one letter; gives the text behind its argument.
    fn letter<'a>(&mut self, letter: char, rest: &'a str) -> &'a str {
        let options = &mut self.options;
        match letter {
            'a' | 'w' | 'n' | '0' | ' ' | 'p' | 'R' => {}
            'e' => options.exclude = true,
            'f' => options.cross_fs = true,
            'h' => options.no_recurse = true,
            'H' => options.no_hardlinks = true,
            'i' => options.ignore_case = true,
            'M' => options.digest = stronger_claim(options.digest, Some(DigestKind::Md5)),
            'S' => return self.signature(rest),
            'Z' => return self.compression(rest),
            // Deduplication is the Storage Daemon's business: `d0`, `d1`, `d2`.
            'd' => return rest.strip_prefix(['0', '1', '2']).unwrap_or(rest),
            's' => options.sparse = true,
            'm' => options.mtime_only = true,
            'k' => options.keep_atime = true,
            'K' => options.no_atime = true,
            'A' => options.acl = true,
            'X' => options.xattr = true,
            'r' => options.read_fifo = true,
            'W' => options.enhanced_wild = true,
            'c' => options.check_changes = true,
            'N' => options.honor_nodump = true,
            'V' | 'C' | 'J' | 'P' => return self.counted(letter, rest),
            other => self.unknown.push(other),
        }
        rest
    }

    /// `S`, `S1` … `S7`; a lone `S` leaves the next letter alone.
    fn signature<'a>(&mut self, rest: &'a str) -> &'a str {
        let (kind, rest) = match rest.as_bytes().first() {
            Some(b'1') => (DigestKind::Sha1, &rest[1..]),
            Some(b'2') => (DigestKind::Sha256, &rest[1..]),
            Some(b'3') => (DigestKind::Sha512, &rest[1..]),
            Some(b'5') => (DigestKind::Xxh64, &rest[1..]),
            Some(b'6') => (DigestKind::Xxh3x64, &rest[1..]),
            Some(b'7') => (DigestKind::Xxh3x128, &rest[1..]),
            _ => (DigestKind::Sha1, rest),
        };
        self.options.digest = stronger_claim(self.options.digest, Some(kind));
        rest
    }

    fn compression<'a>(&mut self, rest: &'a str) -> &'a str {
        let compression = match rest.as_bytes().first() {
            Some(digit @ b'0'..=b'9') => Compression::Gzip(digit - b'0'),
            Some(b'o') => Compression::Lzo,
            Some(b'r') => Compression::Zstd(1),
            Some(b's') => Compression::Zstd(3),
            Some(b't') => Compression::Zstd(19),
            Some(b'u') => Compression::Zstd(10),
            _ => {
                self.unknown.push('Z');
                return rest;
            }
        };
        self.options.compression = Some(compression);
        &rest[1..]
    }

    /// A letter whose value goes up to a colon.
    fn counted<'a>(&mut self, letter: char, rest: &'a str) -> &'a str {
        let (value, rest) = rest.split_once(':').unwrap_or((rest, ""));
        let text = format!("{letter}{value}");
        match letter {
            'V' => self.verify = Some(text),
            'C' => self.accurate = Some(text),
            'J' => self.base_job = Some(text),
            _ => self.strip_path = value.parse().ok(),
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_lines_are_understood() {
        let first = OptionLetters::parse("MZ6fe");
        assert_eq!(first.options.digest, Some(DigestKind::Md5));
        assert_eq!(first.options.compression, Some(Compression::Gzip(6)));
        assert!(first.options.cross_fs && first.options.exclude);
        let second = OptionLetters::parse("SZoCpms5:Vpins1:Jpm:KsAXHP2:mkci");
        assert_eq!(second.options.digest, Some(DigestKind::Sha1));
        assert_eq!(second.options.compression, Some(Compression::Lzo));
        assert_eq!(second.accurate.as_deref(), Some("Cpms5"));
        assert_eq!(second.verify.as_deref(), Some("Vpins1"));
        assert_eq!(second.base_job.as_deref(), Some("Jpm"));
        assert_eq!(second.strip_path, Some(2));
        let o = &second.options;
        assert!(o.no_atime && o.sparse && o.acl && o.xattr && o.no_hardlinks);
        assert!(o.mtime_only && o.keep_atime && o.check_changes && o.ignore_case);
        assert!(second.unknown.is_empty());
    }

    #[test]
    fn a_lone_s_leaves_the_next_letter_alone() {
        let letters = OptionLetters::parse("SM");
        assert_eq!(letters.options.digest, Some(DigestKind::Md5));
        assert_eq!(OptionLetters::parse("S3").options.digest, Some(DigestKind::Sha512));
        assert_eq!(OptionLetters::parse("Zs").options.compression, Some(Compression::Zstd(3)));
        assert_eq!(OptionLetters::parse("é").unknown, ['é']);
    }
}
