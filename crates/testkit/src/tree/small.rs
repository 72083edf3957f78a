//! Many small files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Rng;

/// Files in one folder of [`small_files`].
const FILES_PER_FOLDER: u64 = 500;
/// The largest of them, bytes.
const SIZE_MAX: u64 = 16 * 1024;

/// What [`small_files`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flat {
    /// Regular files.
    pub files: u64,
    /// Directories, the root included.
    pub directories: u64,
    /// Content of all files, bytes.
    pub bytes: u64,
}

/// Makes `count` files of 0 to 16 KiB of text below `root`, 500 to a folder; the same `seed` gives the same tree.
///
/// # Errors
/// When a file cannot be written.
pub fn small_files(root: &Path, count: u64, seed: u64) -> Result<Flat> {
    let mut rng = Rng::new(seed);
    // One long text of which every file is a part that begins somewhere else: making the bytes anew for each file would
    // take longer than writing them.
    let text = rng.text(4 << 20);
    let mut made = Flat { files: 0, directories: 1, bytes: 0 };
    fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
    let mut folder = root.to_path_buf();
    for index in 0..count {
        if index % FILES_PER_FOLDER == 0 {
            folder = root
                .join(format!("{:02}", index / FILES_PER_FOLDER / 20))
                .join(format!("d{:05}", index / FILES_PER_FOLDER));
            made.directories += if (index / FILES_PER_FOLDER).is_multiple_of(20) { 2 } else { 1 };
            fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let size = rng.below(SIZE_MAX + 1);
        let start = rng.below(text.len() as u64 - SIZE_MAX) as usize;
        let path = folder.join(format!("f{index:07}.txt"));
        fs::write(&path, &text[start..start + size as usize])
            .with_context(|| format!("write {}", path.display()))?;
        made.files += 1;
        made.bytes += size;
    }
    Ok(made)
}
