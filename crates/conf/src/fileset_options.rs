//! The Options block: words and the letters they are sent as (spec/02 §6.3, spec/04 §2.9).

use crate::fileset::Options;
use crate::table::{Directive, Kind, ResourceKind, ResourceTable};

/// How the value of a setting becomes letters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OptionKind {
    /// One of these words.
    Words(&'static [(&'static str, &'static str)]),
    /// Letters from a set, sent as `prefix letters :`.
    Letters { prefix: char, allowed: &'static str },
    /// A number, sent as `prefix number :`.
    Number { prefix: char },
}

const SIGNATURE: &[(&str, &str)] = &[
    ("MD5", "M"),
    ("SHA1", "S"),
    ("SHA256", "S2"),
    ("SHA512", "S3"),
    ("XXHASH64", "S5"),
    ("XXH3_64", "S6"),
    ("XXH3_128", "S7"),
];

const COMPRESSION: &[(&str, &str)] = &[
    ("GZIP", "Z6"),
    ("GZIP1", "Z1"),
    ("GZIP2", "Z2"),
    ("GZIP3", "Z3"),
    ("GZIP4", "Z4"),
    ("GZIP5", "Z5"),
    ("GZIP6", "Z6"),
    ("GZIP7", "Z7"),
    ("GZIP8", "Z8"),
    ("GZIP9", "Z9"),
    ("LZO", "Zo"),
    ("ZSTD", "Zs"),
    ("ZSTD1", "Zr"),
    ("ZSTD3", "Zs"),
    ("ZSTD10", "Zu"),
    ("ZSTD19", "Zt"),
];

/// Yes sends a letter; no sends `0`, "no effect".
macro_rules! yes {
    ($letter:literal) => {
        OptionKind::Words(&[("yes", $letter), ("no", "0")])
    };
}

/// No sends a letter.
macro_rules! no {
    ($letter:literal) => {
        OptionKind::Words(&[("yes", "0"), ("no", $letter)])
    };
}

const VERIFY_LETTERS: &str = "ipnugsamcd5123";
const ACCURATE_LETTERS: &str = "oipnugsamMcdA5123";

const SETTINGS: &[(&str, OptionKind)] = &[
    ("Signature", OptionKind::Words(SIGNATURE)),
    ("Compression", OptionKind::Words(COMPRESSION)),
    ("Encryption", OptionKind::Words(&[("blowfish", "B"), ("3des", "3")])),
    (
        "Dedup",
        OptionKind::Words(&[
            ("None", "d0"),
            ("No", "d0"),
            ("Storage", "d1"),
            ("BothSides", "d2"),
            ("Yes", "d2"),
        ]),
    ),
    ("OneFS", no!("f")),
    ("Recurse", no!("h")),
    ("HardLinks", no!("H")),
    ("Sparse", yes!("s")),
    ("ReadFifo", yes!("r")),
    ("Portable", yes!("p")),
    ("MtimeOnly", yes!("m")),
    ("KeepAtime", yes!("k")),
    ("Exclude", yes!("e")),
    ("AclSupport", yes!("A")),
    ("IgnoreCase", yes!("i")),
    ("HfsPlusSupport", yes!("R")),
    ("NoAtime", yes!("K")),
    ("EnhancedWild", yes!("K")),
    ("CheckFileChanges", yes!("c")),
    ("HonorNoDumpFlag", yes!("N")),
    ("XattrSupport", yes!("X")),
    ("Replace", OptionKind::Words(&[("Always", "a"), ("IfNewer", "w"), ("Never", "n")])),
    ("Verify", OptionKind::Letters { prefix: 'V', allowed: VERIFY_LETTERS }),
    ("Accurate", OptionKind::Letters { prefix: 'C', allowed: ACCURATE_LETTERS }),
    ("BaseJob", OptionKind::Letters { prefix: 'J', allowed: ACCURATE_LETTERS }),
    ("StripPath", OptionKind::Number { prefix: 'P' }),
];

/// The setting of a directive's name; `None` for patterns and lists.
pub(crate) fn setting(name: &str) -> Option<(&'static str, OptionKind)> {
    SETTINGS.iter().copied().find(|(n, _)| *n == name)
}

/// Adds a pattern or list entry to its list.
pub(crate) fn pattern_list(options: &mut Options, name: &str, text: Vec<u8>) {
    match name {
        "Regex" => options.regex.push(text),
        "RegexDir" => options.regex_dir.push(text),
        "RegexFile" => options.regex_file.push(text),
        "Wild" => options.wild.push(text),
        "WildDir" => options.wild_dir.push(text),
        "WildFile" if text.iter().any(|b| matches!(b, b'/' | b'\\')) => options.wild_file.push(text),
        "WildFile" => options.wild_base.push(text),
        "Base" => options.base.push(text),
        "FsType" => options.fs_type.push(text),
        "DriveType" => options.drive_type.push(text),
        _ => options.plugin = Some(text),
    }
}

const LETTERS_DOC: &str = "Letters: i inode, p mode, n links, u uid, g gid, s size, a atime, m mtime, c ctime, d size \
    decrease, 5 MD5, 1 SHA1, 2 SHA256, 3 SHA512.";

/// Directives of an `Options { … }` block.
pub(crate) const BLOCK: ResourceTable = ResourceTable {
    kind: ResourceKind::Block,
    name: "Options",
    aliases: &[],
    doc: "How files of an Include are saved. Several blocks are tried in order; the first whose patterns match counts.",
    groups: &[&[
        Directive::new(
            "Signature",
            Kind::Words(&["MD5", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXH3_64", "XXH3_128"]),
            "Digest kept of each file; checked while restoring.",
        )
        .example("SHA256"),
        Directive::new(
            "Compression",
            Kind::Words(&["GZIP", "GZIP1 … GZIP9", "LZO", "ZSTD", "ZSTD1", "ZSTD3", "ZSTD10", "ZSTD19"]),
            "Compression by the client.",
        )
        .example("ZSTD"),
        Directive::new("Encryption", Kind::Words(&["blowfish", "3des"]), "Accepted for old files.").ignored(),
        Directive::new("Dedup", Kind::Words(&["None", "Storage", "BothSides"]), "Accepted for old files.")
            .ignored(),
        Directive::new("OneFS", Kind::Bool, "Stay in the file system of the entry.").default("yes"),
        Directive::new("Recurse", Kind::Bool, "Go into directories.").default("yes"),
        Directive::new("HardLinks", Kind::Bool, "Save further names of a file as links.").default("yes"),
        Directive::new("Sparse", Kind::Bool, "Leave holes out.").default("no"),
        Directive::new("ReadFifo", Kind::Bool, "Read what comes out of FIFOs that are named as File.")
            .default("no"),
        Directive::new("Portable", Kind::Bool, "Save Windows files in the portable form.").default("no"),
        Directive::new("MtimeOnly", Kind::Bool, "Incrementals look at mtime only, not at ctime.")
            .default("no"),
        Directive::new("KeepAtime", Kind::Bool, "Put the access time back after reading.").default("no"),
        Directive::new("NoAtime", Kind::Bool, "Read without changing the access time.").default("no"),
        Directive::new("Exclude", Kind::Bool, "What matches is not saved.").default("no"),
        Directive::new("IgnoreCase", Kind::Bool, "Patterns ignore case.").default("no"),
        Directive::new("EnhancedWild", Kind::Bool, "Has Bacula's effect, which is that of NoAtime.")
            .default("no"),
        Directive::new("AclSupport", Kind::Bool, "Save access control lists.").default("no"),
        Directive::new("XattrSupport", Kind::Bool, "Save extended attributes.").default("no"),
        Directive::new("HfsPlusSupport", Kind::Bool, "Save resource forks (macOS).").default("no"),
        Directive::new("CheckFileChanges", Kind::Bool, "Report files that change while they are read.")
            .default("no"),
        Directive::new("HonorNoDumpFlag", Kind::Bool, "Leave out files with the no-dump flag.").default("no"),
        Directive::new("Replace", Kind::Words(&["Always", "IfNewer", "Never"]), "Accepted for old files.")
            .ignored(),
        Directive::new("Verify", Kind::Str, LETTERS_DOC).example("pins5"),
        Directive::new("Accurate", Kind::Str, LETTERS_DOC).example("mcs"),
        Directive::new("BaseJob", Kind::Str, LETTERS_DOC).example("pmugcs5"),
        Directive::new("StripPath", Kind::Uint, "Leading components of the path that are taken off.")
            .example("2"),
        Directive::new("Wild", Kind::Str, "Glob on the full path of any entry; repeatable.")
            .example("\"*.o\""),
        Directive::new("WildDir", Kind::Str, "Glob on the full path of directories; repeatable.")
            .example("\"*/.cache\""),
        Directive::new("WildFile", Kind::Str, "Glob on the full path of all else; repeatable.")
            .example("\"*.tmp\""),
        Directive::new(
            "Regex",
            Kind::Str,
            "POSIX extended expression on the full path of any entry; repeatable.",
        ),
        Directive::new("RegexDir", Kind::Str, "As Regex, for directories."),
        Directive::new("RegexFile", Kind::Str, "As Regex, for all else."),
        Directive::new("Base", Kind::Str, "Accepted for old files.").ignored(),
        Directive::new("FsType", Kind::Str, "Save only entries on file systems of this type; repeatable.")
            .example("ext4"),
        Directive::new(
            "DriveType",
            Kind::Str,
            "Save only entries on drives of this type (Windows); repeatable.",
        )
        .example("fixed"),
        Directive::new("Plugin", Kind::Str, "Plugin that handles what matches."),
    ]],
    in_effect: true,
};

/// Directives of an `Include { … }` block.
pub(crate) const INCLUDE: ResourceTable = ResourceTable {
    kind: ResourceKind::Block,
    name: "Include",
    aliases: &[],
    doc: "What a FileSet saves.",
    groups: &[&[
        Directive::new("Options", Kind::Str, "A block that says how; repeatable."),
        Directive::new("File", Kind::Str,
            "A path; `|program` or `<file` for a list made on the Director's host, `\\\\|program` or `\\\\<file` on the client; repeatable.")
            .example("/home"),
        Directive::new("Plugin", Kind::Str, "A plugin's command; repeatable."),
        Directive::new("Exclude Dir Containing", Kind::Str, "Leaves out directories that hold a file of this name.").example(".nobackup"),
    ]],
    in_effect: true,
};

/// Directives of an `Exclude { … }` block.
pub(crate) const EXCLUDE: ResourceTable = ResourceTable {
    kind: ResourceKind::Block,
    name: "Exclude",
    aliases: &[],
    doc: "What a FileSet leaves out.",
    groups: &[&[
        Directive::new("File", Kind::Str, "A glob on the full path; repeatable.").example("/var/tmp")
    ]],
    in_effect: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_directive() {
        for (name, _) in SETTINGS {
            assert!(BLOCK.find(name).is_some_and(|d| d.name == *name), "{name}");
        }
    }
}
