//! Puts a set of configuration files in place: all of them or none, also over a power cut.
//!
//! Every new file is written beside the one it replaces, under a hidden name, and synced. Then a list of them is written, in one
//! piece: from there on the set counts. Each file is renamed into its place, what it replaces is kept as `FILE.previous`, and
//! the list is removed. A process that ends in between leaves the list; [`finish`] goes on from it before anything is read.

use crate::configuration::{ConfigFiles, Text};
use conf::digest::sha256_hex;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// One file that is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Replacement {
    file: PathBuf,
    staged: PathBuf,
    sha256: String,
}

/// Puts the files of `texts` in place. Returns those that were replaced.
///
/// # Errors
/// In words for the operator; nothing has changed then, or [`finish`] completes it.
pub(crate) fn install(files: &ConfigFiles, texts: &[Text]) -> Result<Vec<PathBuf>, String> {
    finish(files.main())?;
    let mut plan = Vec::new();
    for text in texts {
        let Some(path) = files.path(&text.from) else { continue };
        let file = place(files.main(), &path)?;
        if fs::read(&file).is_ok_and(|bytes| bytes == text.bytes) {
            continue;
        }
        plan.push((
            Replacement { staged: beside(&file, ".", ".holdfast-new"), sha256: text.sha256(), file },
            text,
        ));
    }
    if plan.is_empty() {
        return Ok(Vec::new());
    }
    let staged = plan.iter().try_for_each(|(replacement, text)| stage(files.main(), replacement, text));
    let list: Vec<_> = plan.into_iter().map(|(replacement, _)| replacement).collect();
    if let Err(why) = staged.and_then(|()| write_list(files.main(), &list)) {
        for replacement in &list {
            // What was not staged is not there.
            let _ = fs::remove_file(&replacement.staged);
        }
        return Err(why);
    }
    finish(files.main())?;
    Ok(list.into_iter().map(|replacement| replacement.file).collect())
}

/// Completes what [`install`] began before the process ended; nothing when it had ended well.
///
/// # Errors
/// In words for the operator.
pub(crate) fn finish(main: &Path) -> Result<(), String> {
    let list = list_file(main);
    let text = match fs::read(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("read", &list, &error)),
    };
    let replacements: Vec<Replacement> = serde_json::from_slice(&text)
        .map_err(|error| format!("{}: {error}; remove it and reload", list.display()))?;
    for replacement in &replacements {
        put(replacement).map_err(|error| failed("replace", &replacement.file, &error))?;
    }
    fs::remove_file(&list).and_then(|()| sync(&list)).map_err(|error| failed("remove", &list, &error))
}

/// Where a file of the set really is. Only what lies below the directory of the daemon's own file is ever written.
fn place(main: &Path, path: &Path) -> Result<PathBuf, String> {
    let real = |path: &Path| match path.canonicalize() {
        Ok(real) => Ok(real),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let absolute = std::path::absolute(path).map_err(|error| failed("find", path, &error))?;
            let (Some(dir), Some(name)) = (absolute.parent(), absolute.file_name()) else {
                return Err(format!("{} is no file", path.display()));
            };
            let dir = dir.canonicalize().map_err(|error| failed("find the directory of", path, &error))?;
            Ok(dir.join(name))
        }
        Err(error) => Err(failed("find", path, &error)),
    };
    let (main, file) = (real(main)?, real(path)?);
    let root = main.parent().unwrap_or(&main);
    if file.starts_with(root) {
        return Ok(file);
    }
    Err(format!(
        "{} does not lie below {}, and only what lies there is taken over; copy it by hand, or include it from there",
        file.display(),
        root.display()
    ))
}

fn stage(main: &Path, replacement: &Replacement, text: &Text) -> Result<(), String> {
    let staged = &replacement.staged;
    let write = || {
        sys::durable_write(staged, &text.bytes)?;
        let like = fs::metadata(&replacement.file).or_else(|_| fs::metadata(main))?;
        fs::set_permissions(staged, like.permissions())?;
        let own = fs::metadata(staged)?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            // Without the right to give a file away, it stays with the user that has to read it: this process'.
            let _ = chown(staged, Some(like.uid()), Some(like.gid()));
        }
        fs::File::open(staged)?.sync_all()
    };
    write().map_err(|error| failed("write", staged, &error))
}

fn write_list(main: &Path, list: &[Replacement]) -> Result<(), String> {
    let path = list_file(main);
    let text = serde_json::to_vec(list).map_err(|error| error.to_string())?;
    sys::durable_write(&path, &text).map_err(|error| failed("write", &path, &error))
}

/// Puts one file in place; nothing when that was done before.
fn put(replacement: &Replacement) -> io::Result<()> {
    let Replacement { file, staged, sha256 } = replacement;
    let bytes = match fs::read(staged) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if sha256_hex(&bytes) != *sha256 {
        return Err(io::Error::other(format!("{} is damaged; remove it", staged.display())));
    }
    let spare = beside(file, ".", ".holdfast-old");
    let _ = fs::remove_file(&spare);
    match fs::hard_link(file, &spare) {
        Ok(()) => fs::rename(&spare, beside(file, "", ".previous"))?,
        // A new file replaces nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    fs::rename(staged, file)?;
    sync(file)
}

fn list_file(main: &Path) -> PathBuf {
    // Beside the file itself, not beside a link to it.
    let real = main.canonicalize().unwrap_or_else(|_| main.to_owned());
    beside(&real, ".", ".holdfast-set")
}

fn beside(file: &Path, before: &str, after: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{before}{name}{after}"))
}

fn sync(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), sys::fsync_dir)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> String {
    format!("{what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Origin;

    fn text(from: Origin, text: &str) -> Text {
        Text { from, bytes: text.as_bytes().to_vec() }
    }

    struct Set {
        dir: tempfile::TempDir,
        files: ConfigFiles,
        more: PathBuf,
    }

    fn set() -> Set {
        let dir = tempfile::tempdir().unwrap();
        let (main, more) = (dir.path().join("dir.conf"), dir.path().join("more.conf"));
        fs::write(&main, "one").unwrap();
        fs::write(&more, "two").unwrap();
        Set { files: ConfigFiles::new(main), more, dir }
    }

    impl Set {
        fn new_texts(&self) -> [Text; 2] {
            [text(Origin::Main, "ONE"), text(Origin::File(self.more.display().to_string()), "TWO")]
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.dir.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }

        fn contents(&self) -> [String; 2] {
            [self.files.main(), &self.more].map(|path| fs::read_to_string(path).unwrap())
        }
    }

    #[test]
    fn the_whole_set_is_replaced_and_the_old_one_kept() {
        use std::os::unix::fs::PermissionsExt as _;
        let set = set();
        fs::set_permissions(&set.more, fs::Permissions::from_mode(0o640)).unwrap();
        let replaced = install(&set.files, &set.new_texts()).unwrap();
        assert_eq!(replaced.len(), 2);
        assert_eq!(set.contents(), ["ONE", "TWO"]);
        assert_eq!(set.names(), ["dir.conf", "dir.conf.previous", "more.conf", "more.conf.previous"]);
        assert_eq!(fs::read_to_string(set.dir.path().join("more.conf.previous")).unwrap(), "two");
        assert_eq!(fs::metadata(&set.more).unwrap().permissions().mode() & 0o777, 0o640);
        // What is there already is left alone.
        assert!(install(&set.files, &set.new_texts()).unwrap().is_empty());
        assert_eq!(fs::read_to_string(set.dir.path().join("more.conf.previous")).unwrap(), "two");
    }

    #[test]
    fn one_file_that_cannot_be_written_changes_none() {
        let set = set();
        let outside = tempfile::tempdir().unwrap();
        let other = outside.path().join("other.conf");
        for name in [other.display().to_string(), set.dir.path().join("gone/x.conf").display().to_string()] {
            let why =
                install(&set.files, &[text(Origin::Main, "ONE"), text(Origin::File(name), "x")]).unwrap_err();
            assert!(why.contains("other.conf does not lie below") || why.contains("gone/x.conf"), "{why}");
        }
        let up = format!("{}/../other.conf", set.dir.path().display());
        install(&set.files, &[text(Origin::File(up), "x")]).unwrap_err();
        assert_eq!(set.contents(), ["one", "two"]);
        assert_eq!(set.names(), ["dir.conf", "more.conf"]);
    }

    #[test]
    fn an_end_at_any_point_leaves_the_old_set_or_is_completed() {
        // Before the list is written nothing counts; the next set goes over what lies there.
        let set = set();
        let [one, two] = set.new_texts();
        fs::write(set.dir.path().join(".dir.conf.holdfast-new"), "ON").unwrap();
        finish(set.files.main()).unwrap();
        assert_eq!(set.contents(), ["one", "two"]);
        // Behind it, after any number of files.
        for done in 0..=2 {
            let set = self::set();
            let list: Vec<_> = [(set.files.main().to_owned(), &one), (set.more.clone(), &two)]
                .into_iter()
                .map(|(file, text)| {
                    let replacement = Replacement {
                        staged: beside(&file, ".", ".holdfast-new"),
                        sha256: text.sha256(),
                        file,
                    };
                    stage(set.files.main(), &replacement, text).unwrap();
                    replacement
                })
                .collect();
            write_list(set.files.main(), &list).unwrap();
            list.iter().take(done).for_each(|replacement| put(replacement).unwrap());
            finish(set.files.main()).unwrap();
            assert_eq!(set.contents(), ["ONE", "TWO"], "after {done}");
            assert_eq!(set.names(), ["dir.conf", "dir.conf.previous", "more.conf", "more.conf.previous"]);
        }
    }

    #[test]
    fn a_damaged_file_is_not_put_in_place() {
        let set = set();
        let replacement = Replacement {
            file: set.more.clone(),
            staged: set.dir.path().join(".more.conf.holdfast-new"),
            sha256: sha256_hex(b"TWO"),
        };
        fs::write(&replacement.staged, "TW").unwrap();
        write_list(set.files.main(), &[replacement]).unwrap();
        let why = finish(set.files.main()).unwrap_err();
        assert!(why.contains("damaged"), "{why}");
        assert_eq!(set.contents(), ["one", "two"]);
    }
}
