//! Where the configuration comes from, and the texts that it was made of.

use conf::digest::sha256_hex;
use conf::{DirectorConfig, Loader, Parsed, load};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// What the Director acts by.
    pub config: Arc<DirectorConfig>,
    /// SHA-256 of what it says, without what each instance has for itself; 64 hex digits.
    pub hash: String,
    parsed: Parsed,
    texts: Vec<Text>,
}

/// A text of a configuration, as the loader was asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) from: Origin,
    pub(crate) bytes: Vec<u8>,
}

/// Where a text is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The daemon's own file; its path may be another on every host.
    Main,
    /// A file included by this name.
    File(String),
    /// The output of a program (`@|command`).
    Program(String),
}

impl Configuration {
    /// What is different in `new`, a line each. No secrets.
    #[must_use]
    pub fn difference(&self, new: &Self) -> Vec<String> {
        self.parsed.difference(&new.parsed)
    }

    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// Why a running instance cannot change from this configuration to `new`.
    pub(crate) fn keeps(&self, new: &Self, instance: &str) -> Result<(), String> {
        let (old, new) = (&self.config, &new.config);
        if old.director.name != new.director.name {
            return Err("the Director's name cannot change while it runs; restart it".to_owned());
        }
        if old.cluster.is_some() != new.cluster.is_some() {
            return Err(
                "a Director becomes a cluster, or stands alone again, only by a restart; the Cluster resource was added or removed"
                    .to_owned(),
            );
        }
        if new.cluster.is_some() && new.instance(instance).is_none() {
            return Err(format!(
                "the Instance \"{instance}\", which this process is, is missing; stop it first, or keep its Instance resource"
            ));
        }
        Ok(())
    }
}

/// The file that a Director's configuration is read from, with all that it includes.
#[derive(Debug, Clone)]
pub struct ConfigFiles {
    main: PathBuf,
}

impl ConfigFiles {
    /// With the daemon's own file at `main`.
    #[must_use]
    pub fn new(main: impl Into<PathBuf>) -> Self {
        Self { main: main.into() }
    }

    /// The daemon's own file.
    #[must_use]
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// Puts in place what another instance sent and what was only half in place when the process ended; for those that read
    /// the files by themselves.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn complete(&self) -> Result<(), String> {
        crate::cluster::install::finish(&self.main)
    }

    /// Reads and checks all of it. A set of files that another instance sent, and that was being put in place when the
    /// process ended, is put in place first.
    ///
    /// # Errors
    /// Everything that is wrong, in words for the operator.
    pub fn read(&self) -> Result<Configuration, String> {
        self.complete()?;
        self.parse(None)
    }

    /// Checks a set of files as if they were in place. Programs are run here.
    ///
    /// # Errors
    /// As [`ConfigFiles::read`].
    pub(crate) fn check(&self, files: &[Text]) -> Result<Configuration, String> {
        self.parse(Some(files))
    }

    fn parse(&self, instead: Option<&[Text]>) -> Result<Configuration, String> {
        let main = self.main.to_string_lossy();
        let mut recorder = Recorder { main: &main, instead, texts: Vec::new() };
        let loaded = load::<DirectorConfig>(&main, &mut recorder);
        let texts = recorder.texts;
        let loaded = loaded.map_err(|findings| findings.to_string())?;
        Ok(Configuration {
            config: Arc::new(loaded.config),
            hash: loaded.parsed.hash::<DirectorConfig>(),
            parsed: loaded.parsed,
            texts,
        })
    }

    /// The files whose content is not that of `loaded` any more.
    pub(crate) fn edited(&self, loaded: &Configuration) -> Vec<PathBuf> {
        let changed = |text: &Text| {
            let path = self.path(&text.from)?;
            let same = std::fs::read(&path).is_ok_and(|bytes| bytes == text.bytes);
            (!same).then_some(path)
        };
        loaded.texts.iter().filter_map(changed).collect()
    }

    /// The file of a text; none for a program.
    pub(crate) fn path(&self, from: &Origin) -> Option<PathBuf> {
        match from {
            Origin::Main => Some(self.main.clone()),
            Origin::File(name) => Some(PathBuf::from(name)),
            Origin::Program(_) => None,
        }
    }
}

impl Text {
    pub(crate) fn sha256(&self) -> String {
        sha256_hex(&self.bytes)
    }
}

/// Keeps what the loader was asked for. With `instead`, files come from there and from nowhere else.
struct Recorder<'a> {
    main: &'a str,
    instead: Option<&'a [Text]>,
    texts: Vec<Text>,
}

impl Recorder<'_> {
    fn keep(&mut self, from: Origin, bytes: &[u8]) {
        if self.texts.iter().all(|text| text.from != from) {
            self.texts.push(Text { from, bytes: bytes.to_vec() });
        }
    }
}

impl Loader for Recorder<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let from = if path == self.main { Origin::Main } else { Origin::File(path.to_owned()) };
        let bytes = match self.instead {
            None => sys::SystemLoader.read(path)?,
            Some(files) => {
                let sent = files.iter().find(|text| text.from == from);
                sent.map(|text| text.bytes.clone())
                    .ok_or_else(|| "it is not among the files sent".to_owned())?
            }
        };
        self.keep(from, &bytes);
        Ok(bytes)
    }

    fn run(&mut self, command: &str) -> Result<Vec<u8>, String> {
        let bytes = sys::SystemLoader.run(command)?;
        self.keep(Origin::Program(command.to_owned()), &bytes);
        Ok(bytes)
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        sys::SystemLoader.variable(name)
    }
}

/// The configuration that was active last, as the catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LastActive {
    pub(crate) hash: String,
    pub(crate) instance: String,
}

const KIND: &str = "config";

impl LastActive {
    /// Stores that `instance` acts by this configuration from now on.
    pub(crate) fn set(&self, tx: &catalog::WriteTx<'_>, now: types::Timestamp) -> catalog::Result<()> {
        let setting = catalog::operator::Setting {
            kind: KIND.to_owned(),
            name: "active".to_owned(),
            value: format!("{} {}", self.hash, self.instance),
        };
        catalog::operator::set(tx, &setting, now)
    }

    /// None before the first activation.
    pub(crate) fn get(r: &catalog::ReadTx<'_>, director: &str) -> catalog::Result<Option<Self>> {
        let stored = catalog::operator::get(r, director, KIND, "active")?;
        Ok(stored.and_then(|value| {
            let (hash, instance) = value.split_once(' ')?;
            Some(Self { hash: hash.to_owned(), instance: instance.to_owned() })
        }))
    }
}

/// As much of a hash as people need to compare.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTOR: &str = include_str!("../../conf/fixtures/debian/bacula-dir.conf");

    #[test]
    fn all_texts_are_kept_and_edits_of_any_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let (main, more) = (dir.path().join("dir.conf"), dir.path().join("more.conf"));
        let text = format!("{DIRECTOR}@{}\n@|\"echo 'Counter {{ Name = n }}'\"\n", more.display());
        std::fs::write(&main, text).unwrap();
        std::fs::write(&more, "Pool { Name = First; Pool Type = Backup }\n").unwrap();
        let files = ConfigFiles::new(&main);
        let loaded = files.read().unwrap();
        let from: Vec<_> = loaded.texts().iter().map(|text| text.from.clone()).collect();
        assert_eq!(from.len(), 3, "{from:?}");
        assert_eq!(from[..2], [Origin::Main, Origin::File(more.display().to_string())]);
        assert!(matches!(&from[2], Origin::Program(command) if command.contains("echo")));
        assert!(files.edited(&loaded).is_empty());
        std::fs::write(&more, "Pool { Name = Second; Pool Type = Backup }\n").unwrap();
        assert_eq!(files.edited(&loaded), std::slice::from_ref(&more));
        let again = files.read().unwrap();
        assert_ne!(again.hash, loaded.hash);
        assert_eq!(loaded.difference(&again), ["Pool \"First\" removed", "Pool \"Second\" added"]);
        // The set of before is checked without what is on the disk now.
        assert_eq!(files.check(loaded.texts()).unwrap().hash, loaded.hash);
        let without = files.check(&loaded.texts()[..1]).unwrap_err();
        assert!(without.contains("not among the files sent"), "{without}");
    }
}
