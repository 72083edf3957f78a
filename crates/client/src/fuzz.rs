//! Entry points for fuzzing: any bytes may come in, nothing may panic.

use attrs::AccurateEntry;

use crate::accurate::AccurateList;
use crate::fileset::{FileSetParser, PathKind};
use crate::restore::RegexWhere;

pub use crate::codec::fuzz_unpack;

/// The lines of a FileSet, and a path matched against it.
pub fn fuzz_fileset(data: &[u8]) {
    let mut parser = FileSetParser::default();
    for line in data.split(|&b| b == b'\n').take(200) {
        if parser.line(line).is_err() {
            return;
        }
    }
    let set = parser.finish();
    for include in &set.includes {
        for kind in [PathKind::File, PathKind::Directory] {
            // Either answer is right; only a panic is not.
            let _ = set.decide(include, data, kind);
        }
        assert!(set.options.get(usize::from(include.top.0)).is_some());
    }
}

/// The expressions of `regexwhere=`, applied to a path.
pub fn fuzz_regexwhere(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(expressions) = RegexWhere::parse(text) {
        let _ = expressions.apply(b"/some/path/file.txt", 42);
        let _ = expressions.apply(data, -1);
    }
}

/// Accurate entries, separated by line feeds: what was inserted is found.
pub fn fuzz_accurate(data: &[u8]) {
    let mut list = AccurateList::default();
    for line in data.split(|&b| b == b'\n') {
        let Some(entry) = AccurateEntry::decode(line) else { continue };
        if list.insert(&entry).is_ok() {
            let known = list.get(entry.name).expect("it was just inserted");
            assert_eq!((known.lstat, known.digest), (entry.lstat, entry.digest));
            let id = known.id;
            list.mark(id);
        }
    }
    list.for_each(false, |name, _| panic!("{name:?} was marked"));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_entries_take_anything() {
        let samples: [&[u8]; 6] = [
            b"",
            b"I\nO MZ6\nWF *.[a-\nN\nF /x\nE\nF [!",
            b"!a!b!i,;c;$1$m;g",
            b"/a/b\0P4A B\0abc\x005\n/a/\0x\n/a/b\0other\n",
            b"\xff\xfe\n\0\n",
            b"R (((\n",
        ];
        for sample in samples {
            super::fuzz_fileset(sample);
            super::fuzz_regexwhere(sample);
            super::fuzz_accurate(sample);
            super::fuzz_unpack(sample);
        }
    }
}
