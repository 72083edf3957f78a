//! Names that a backup must keep as they are.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::write_old;

/// Names with bytes that something on the way could trip over.
pub(super) fn odd_names() -> Vec<OsString> {
    let mut names: Vec<Vec<u8>> = vec![
        b"not-utf8-\xff\xfe\xe9.txt".to_vec(),
        b"latin1-\xe4\xf6\xfc".to_vec(),
        b"new\nline".to_vec(),
        b"tab\there".to_vec(),
        b" leading and trailing space ".to_vec(),
        b"quote\"'`quote".to_vec(),
        b"back\\slash".to_vec(),
        b"dollar$HOME %p %n *?[x]{a,b}".to_vec(),
        b"-rf".to_vec(),
        b"...".to_vec(),
        b"semi;colon&amp|pipe".to_vec(),
        "\u{1F5C4} archive \u{212B}ngstr\u{f6}m".as_bytes().to_vec(),
        b"control-\x01\x1b[31m\x7f".to_vec(),
        vec![b'n'; 255],
    ];
    let mut long = vec![b'L'; 250];
    long.extend_from_slice(b".long");
    names.push(long);
    names.into_iter().map(OsString::from_vec).collect()
}

/// A file in each of these names, and a directory with a file.
pub(super) fn make_odd_names(root: &Path, mtime: i64) -> Result<()> {
    let dir = root.join("names");
    fs::create_dir(&dir)?;
    for (index, name) in odd_names().into_iter().enumerate() {
        let path = dir.join(&name);
        if index % 3 == 2 {
            fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
            write_old(&path.join("inside"), b"inside an oddly named folder\n", mtime)?;
        } else {
            write_old(&path, format!("file {index}\n").as_bytes(), mtime)?;
        }
    }
    Ok(())
}

/// A chain of one-letter folders, and one of the longest names down to a path of `path_max` bytes.
pub(super) fn make_deep(root: &Path, depth: usize, path_max: usize, mtime: i64) -> Result<()> {
    let mut path = root.join("deep");
    for _ in 0..depth {
        path.push("d");
    }
    fs::create_dir_all(&path)
        .with_context(|| format!("make {depth} nested folders in {}", root.display()))?;
    write_old(&path.join("bottom"), b"as deep as it goes\n", mtime)?;

    let mut path: PathBuf = root.join("long");
    while path.as_os_str().len() + 1 + 200 < path_max {
        path.push("p".repeat(200));
    }
    fs::create_dir_all(&path).with_context(|| format!("make the long path in {}", root.display()))?;
    let left = path_max.saturating_sub(path.as_os_str().len() + 1).clamp(1, 255);
    write_old(&path.join("e".repeat(left)), b"at the end of a long path\n", mtime)
}
