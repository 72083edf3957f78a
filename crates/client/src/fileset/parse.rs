//! Reads the lines of a FileSet (spec/01 §5.6, spec/02 §6.2).

use regex::bytes::{Regex, RegexBuilder};

use super::options::stronger_claim;
use super::{FileOptions, FileSet, Group, Include, OptionId, OptionLetters};

/// Most Options blocks over all Includes.
const GROUPS_MAX: usize = 10_000;

/// Why a line is refused.
#[derive(Debug, thiserror::Error)]
pub enum FileSetError {
    /// A code that no version defines.
    #[error("Invalid FileSet command: {line}")]
    Unknown {
        /// The line.
        line: String,
    },
    /// A regular expression that does not compile.
    #[error("regex \"{pattern}\" of the FileSet cannot be compiled: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More blocks than are allowed.
    #[error("the FileSet has more than {GROUPS_MAX} Options blocks")]
    TooMany,
}

/// Takes lines one by one and gives the FileSet at the end.
#[derive(Debug, Default)]
pub struct FileSetParser {
    set: FileSet,
    in_exclude: bool,
    group_open: bool,
    /// Messages about letters that no version defines.
    pub warnings: Vec<String>,
}

impl FileSetParser {
    /// Takes one packet.
    ///
    /// # Errors
    /// [`FileSetError`]: the job cannot go on.
    pub fn line(&mut self, packet: &[u8]) -> Result<(), FileSetError> {
        let line = trim_end(packet);
        let (code, arg) = match line.iter().position(|&b| b == b' ') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        match code {
            b"" => {}
            b"I" => {
                self.in_exclude = false;
                self.group_open = false;
                self.set.includes.push(Include::default());
            }
            b"E" => {
                self.in_exclude = true;
                self.group_open = false;
            }
            b"N" => self.group_open = false,
            b"F" if self.in_exclude => self.set.excludes.push(arg.to_vec()),
            b"F" => self.include().files.push(arg.to_vec()),
            b"P" => self.include().plugins.push(arg.to_vec()),
            b"Z" => self.include().ignore_dirs.push(arg.to_vec()),
            b"O" => self.options(arg)?,
            b"R" => {
                let regex = self.regex(arg)?;
                self.group()?.regex.push(regex);
            }
            b"RD" => {
                let regex = self.regex(arg)?;
                self.group()?.regex_dir.push(regex);
            }
            b"RF" => {
                let regex = self.regex(arg)?;
                self.group()?.regex_file.push(regex);
            }
            b"W" => self.group()?.wild.push(arg.to_vec()),
            b"WD" => self.group()?.wild_dir.push(arg.to_vec()),
            b"WF" => self.group()?.wild_file.push(arg.to_vec()),
            b"WB" => self.group()?.wild_base.push(arg.to_vec()),
            b"X" => self.group()?.fs_types.push(lossy(arg)),
            b"XD" => self.group()?.drive_types.push(lossy(arg)),
            // Base jobs are the Director's business; readers and writers are obsolete; plugins of options are not supported.
            b"B" | b"D" | b"T" | b"G" => {
                self.group()?;
            }
            _ => return Err(FileSetError::Unknown { line: lossy(line) }),
        }
        Ok(())
    }

    /// The FileSet, with the options of each Include's own entries resolved.
    #[must_use]
    pub fn finish(mut self) -> FileSet {
        for at in 0..self.set.includes.len() {
            let top = union(&self.set, &self.set.includes[at]);
            let id = push_options(&mut self.set, top);
            let include = &mut self.set.includes[at];
            include.top = id;
            let defaults = [(&mut include.accurate, "Cmcs"), (&mut include.base_job, "Jspug5")];
            for (letters, default) in defaults {
                if letters.is_empty() {
                    default.clone_into(letters);
                }
            }
            include.verify.insert(0, 'V');
        }
        self.set
    }

    fn include(&mut self) -> &mut Include {
        if self.set.includes.is_empty() {
            self.set.includes.push(Include::default());
        }
        self.set.includes.last_mut().expect("one was just made")
    }

    fn group(&mut self) -> Result<&mut Group, FileSetError> {
        if !self.group_open {
            if self.set.options.len() >= GROUPS_MAX {
                return Err(FileSetError::TooMany);
            }
            let id = push_options(&mut self.set, FileOptions::default());
            self.include().groups.push(Group { id, ..Group::default() });
            self.group_open = true;
        }
        Ok(self.include().groups.last_mut().expect("a group is open"))
    }

    fn options(&mut self, arg: &[u8]) -> Result<(), FileSetError> {
        let letters = OptionLetters::parse(&lossy(arg));
        let id = self.group()?.id;
        self.set.options[usize::from(id.0)] = letters.options;
        for letter in letters.unknown {
            self.warnings.push(format!("Unknown include/exclude option: {letter}\n"));
        }
        let include = self.include();
        if let Some(verify) = letters.verify {
            include.verify.push_str(&verify);
        }
        if let Some(accurate) = letters.accurate {
            include.accurate = accurate;
        }
        if let Some(base_job) = letters.base_job {
            include.base_job = base_job;
        }
        if let Some(strip) = letters.strip_path {
            include.strip_path = strip;
        }
        Ok(())
    }

    fn regex(&mut self, arg: &[u8]) -> Result<Regex, FileSetError> {
        let id = self.group()?.id;
        let fold = self.set.options[usize::from(id.0)].ignore_case;
        let pattern = lossy(arg);
        // Bytes, not characters: names need not be UTF-8.
        RegexBuilder::new(&pattern)
            .unicode(false)
            .case_insensitive(fold)
            .dot_matches_new_line(true)
            .build()
            .map_err(|error| FileSetError::Regex {
                pattern: pattern.clone(),
                reason: error.to_string().replace('\n', " "),
            })
    }
}

fn push_options(set: &mut FileSet, options: FileOptions) -> OptionId {
    let id = OptionId(u16::try_from(set.options.len()).unwrap_or(u16::MAX));
    set.options.push(options);
    id
}

/// All blocks of an Include together, as its own entries get them.
fn union(set: &FileSet, include: &Include) -> FileOptions {
    let mut out = FileOptions::default();
    for group in &include.groups {
        let o = set.options(group.id);
        out.cross_fs |= o.cross_fs;
        out.no_recurse |= o.no_recurse;
        out.no_hardlinks |= o.no_hardlinks;
        out.ignore_case |= o.ignore_case;
        out.digest = stronger_claim(out.digest, o.digest);
        out.compression = o.compression.or(out.compression);
        out.sparse |= o.sparse;
        out.mtime_only |= o.mtime_only;
        out.keep_atime |= o.keep_atime;
        out.no_atime |= o.no_atime;
        out.acl |= o.acl;
        out.xattr |= o.xattr;
        out.read_fifo |= o.read_fifo;
        out.check_changes |= o.check_changes;
        out.honor_nodump |= o.honor_nodump;
        out.enhanced_wild |= o.enhanced_wild;
    }
    out
}

fn trim_end(packet: &[u8]) -> &[u8] {
    let end = packet.iter().rposition(|b| !b.is_ascii_whitespace() && *b != 0).map_or(0, |at| at + 1);
    &packet[..end]
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{PathKind, Rejected};
    use super::*;

    fn fileset(lines: &[&str]) -> FileSet {
        let mut parser = FileSetParser::default();
        for line in lines {
            parser.line(line.as_bytes()).unwrap();
        }
        parser.finish()
    }

    /// `path` + (`/` for a directory) → accepted by which group, or rejected.
    fn check(set: &FileSet, path: &str) -> Result<u16, Rejected> {
        let (path, kind) = match path.strip_suffix('/') {
            Some(path) => (path, PathKind::Directory),
            None => (path, PathKind::File),
        };
        set.decide(&set.includes[0], path.as_bytes(), kind).map(|id| id.0)
    }

    #[test]
    fn groups_are_tried_in_order_and_an_accept_beats_the_exclude_list() {
        let set = fileset(&[
            "I\n",
            "O MZ6\n",
            "WF *.keep\n",
            "N\n",
            "O Me\n",
            "WD */cache\n",
            "RF \\.o$\n",
            "N\n",
            "O S\n",
            "N\n",
            "F /srv",
            "N\n",
            "N\n",
            "E\n",
            "F *.txt",
            "N\n",
        ]);
        assert_eq!(check(&set, "/srv/a.keep"), Ok(0));
        assert_eq!(check(&set, "/srv/cache/"), Err(Rejected));
        assert_eq!(check(&set, "/srv/cache"), Ok(2));
        assert_eq!(check(&set, "/srv/x.o"), Err(Rejected));
        assert_eq!(check(&set, "/srv/deep/x.txt"), Err(Rejected));
        assert_eq!(check(&set, "/srv/x"), Ok(2));
        // Top-level entries get all blocks together, MD5 before SHA1.
        let top = set.options(set.includes[0].top);
        assert_eq!(top.digest, Some(attrs::DigestKind::Md5));
        assert!(!top.exclude);
        assert!(set.lists(b"/srv/"));
    }

    #[test]
    fn an_excluding_group_without_patterns_rejects_the_rest() {
        let set = fileset(&["I", "O M", "WF *.txt", "N", "O e", "N", "F /srv"]);
        assert_eq!(check(&set, "/srv/a.txt"), Ok(0));
        assert_eq!(check(&set, "/srv/b"), Err(Rejected));
        assert_eq!(check(&set, "/srv/dir/"), Err(Rejected));
    }

    #[test]
    fn case_is_ignored_where_asked() {
        let set = fileset(&["I", "O ie", "W *.TMP", "R foo", "N", "O M", "N", "F /"]);
        assert_eq!(check(&set, "/a.tmp"), Err(Rejected));
        assert_eq!(check(&set, "/FOOBAR"), Err(Rejected));
        assert_eq!(check(&set, "/b"), Ok(1));
    }

    #[test]
    fn what_no_version_defines_is_refused() {
        let mut parser = FileSetParser::default();
        assert!(matches!(parser.line(b"Q what\n"), Err(FileSetError::Unknown { .. })));
        assert!(matches!(parser.line(b"R (\n"), Err(FileSetError::Regex { .. })));
        parser.line(b"O M@\n").unwrap();
        assert_eq!(parser.warnings, ["Unknown include/exclude option: @\n"]);
    }

    #[test]
    fn letters_of_the_include_have_their_defaults() {
        let set = fileset(&["I", "O MVpins1:", "N", "F /a", "I", "O P2:Cpm:", "N", "F /b"]);
        assert_eq!((set.includes[0].verify.as_str(), set.includes[0].accurate.as_str()), ("VVpins1", "Cmcs"));
        assert_eq!((set.includes[1].strip_path, set.includes[1].accurate.as_str()), (2, "Cpm"));
        assert_eq!(set.includes[1].base_job, "Jspug5");
    }
}
