//! A tree of files, put in place as a whole.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;

use crate::plan::{Content, Tree};

/// By this file a directory is known to be ours: another one is never replaced.
const MARK: &str = ".holdfast-rendered";

/// Replaces the directory: everything is written and synced beside it, then both change places.
pub(super) fn replace(output: &Path, tree: &Tree) -> Result<()> {
    let parent = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = output.file_name().with_context(|| format!("{} has no name", output.display()))?;
    check(output)?;
    let beside = |what: &str| -> PathBuf { parent.join(format!(".{}.{what}", name.to_string_lossy())) };
    let new = beside("holdfast-new");
    remove(&new)?;
    write(&new, tree).inspect_err(|_| drop(fs::remove_dir_all(&new)))?;
    put_in_place(&new, output, &beside("holdfast-old"))
        .with_context(|| format!("put {} in place", output.display()))?;
    sys::fsync_dir(parent).with_context(|| format!("sync {}", parent.display()))?;
    // After an exchange the former directory has the new one's name.
    remove(&new)
}

/// One moment the former directory is there, the next one the new: both names are exchanged. File systems that cannot do that
/// (NFS) have a moment without any.
fn put_in_place(new: &Path, output: &Path, aside: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    if !output.exists() {
        return Ok(fs::rename(new, output)?);
    }
    match renameat_with(CWD, new, CWD, output, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        result => return Ok(result?),
    }
    remove(aside)?;
    fs::rename(output, aside)?;
    if let Err(error) = fs::rename(new, output) {
        // What was there before is better than nothing.
        let _ = fs::rename(aside, output);
        return Err(error.into());
    }
    remove(aside)
}

fn check(output: &Path) -> Result<()> {
    match fs::read_dir(output) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("read the directory {}", output.display())),
        Ok(_) if output.is_symlink() => {
            bail!("{} is a symbolic link; give the directory itself", output.display())
        }
        Ok(mut entries) => {
            if entries.next().is_none() || output.join(MARK).exists() {
                return Ok(());
            }
            bail!(
                "{} holds files that are not from holdfast ha render; give another directory, or an empty one",
                output.display()
            )
        }
    }
}

/// What an earlier run that was ended in the middle left.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn write(root: &Path, tree: &Tree) -> Result<()> {
    fs::create_dir(root).with_context(|| format!("make the directory {}", root.display()))?;
    // Secrets may be below; single files are opened up by their modes once they are installed.
    fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
    file(&root.join(MARK), "", 0o644)?;
    for (path, entry) in tree.entries() {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make the directory {}", folder.display()))?;
        }
        match &entry.content {
            Content::Text(text) => file(&path, text, entry.mode)?,
            Content::Link(target) => {
                symlink(target, &path).with_context(|| format!("make the link {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn file(path: &Path, text: &str, mode: u32) -> Result<()> {
    let named = || format!("write {}", path.display());
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(named)?;
    file.write_all(text.as_bytes()).with_context(named)?;
    // Not by the mode at opening: the process's mask would take bits away.
    file.set_permissions(fs::Permissions::from_mode(mode)).with_context(named)?;
    file.sync_all().with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.put((*path).to_owned(), (*text).to_owned());
        }
        tree
    }

    #[test]
    fn the_directory_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        let mut first = tree(&[("a/one", "1"), ("two", "2")]);
        first.put("secret".into(), "s".into()).mode(0o600);
        first.link("n", "/usr/lib/agent", "/usr/bin/program");
        replace(&output, &first).unwrap();
        assert_eq!(fs::read_to_string(output.join("a/one")).unwrap(), "1");
        let mode = |path: &str| fs::metadata(output.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/one"), mode("secret")), (0o644, 0o600));
        assert_eq!(
            fs::read_link(output.join("nodes/n/usr/lib/agent")).unwrap(),
            Path::new("/usr/bin/program")
        );
        replace(&output, &tree(&[("two", "3")])).unwrap();
        assert!(!output.join("a").exists(), "what is no longer rendered is gone");
        assert_eq!(fs::read_to_string(output.join("two")).unwrap(), "3");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_directory_of_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        fs::create_dir(&output).unwrap();
        replace(&output, &tree(&[("one", "1")])).unwrap();
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("mine"), "x").unwrap();
        let error = replace(&other, &tree(&[("one", "1")])).unwrap_err();
        assert!(error.to_string().contains("not from holdfast"), "{error}");
        assert!(other.join("mine").exists());
        std::os::unix::fs::symlink(&output, folder.path().join("link")).unwrap();
        assert!(replace(&folder.path().join("link"), &tree(&[])).is_err());
    }
}
