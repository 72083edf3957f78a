//! What instances say to each other about their configuration: `.config offer`, `.config part`, `.config commit`.
//!
//! The active instance offers the hash of its configuration, with its epoch and the list of its files. The standby answers in
//! one line of JSON; only when it answers [`Answer::Send`] come the files, one behind the other, as hex in bounded parts, and
//! `commit`, which is answered again.

use crate::configuration::{Configuration, Origin, Text};
use serde::{Deserialize, Serialize};

/// Bytes of files in one `.config part`; twice that on the wire.
pub(super) const PART_BYTES: usize = 64 << 10;
/// Most bytes of files that are taken.
pub(super) const SET_BYTES_MAX: u64 = 64 << 20;
/// Most files that are taken.
pub(super) const SET_FILES_MAX: usize = 10_000;

/// The configuration of the active instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Who offers.
    pub(super) instance: String,
    /// In which epoch, …
    pub(super) epoch: u64,
    /// … and which activation of it.
    pub(super) activation: String,
    /// Hash of the configuration.
    pub(super) hash: String,
    /// Its texts; those of programs are not sent.
    pub(super) texts: Vec<Sent>,
}

/// One text of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    /// Name by which it is included; none for the daemon's own file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) file: Option<String>,
    /// Command, when it is the output of a program.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) program: Option<String>,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// What a standby says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub(super) enum Answer {
    /// It has the same.
    Same,
    /// It wants the files.
    Send,
    /// It goes on to the next part.
    More,
    /// It has put them in place and loaded them.
    Taken,
    /// It has another configuration and takes none over.
    Differs {
        why: String,
    },
    Refused {
        why: String,
    },
}

impl Sent {
    fn of(text: &Text) -> Self {
        let (file, program) = match &text.from {
            Origin::Main => (None, None),
            Origin::File(name) => (Some(name.clone()), None),
            Origin::Program(command) => (None, Some(command.clone())),
        };
        Self { file, program, bytes: text.bytes.len() as u64, sha256: text.sha256() }
    }

    pub(super) fn origin(&self) -> Origin {
        match (&self.file, &self.program) {
            (_, Some(command)) => Origin::Program(command.clone()),
            (Some(name), None) => Origin::File(name.clone()),
            (None, None) => Origin::Main,
        }
    }
}

impl Offer {
    pub(super) fn of(configuration: &Configuration, instance: &str, epoch: u64, activation: String) -> Self {
        let texts = configuration.texts().iter().map(Sent::of).collect();
        Self { instance: instance.to_owned(), epoch, activation, hash: configuration.hash.clone(), texts }
    }

    /// Bytes of the files that follow it.
    pub(super) fn file_bytes(&self) -> u64 {
        let files = self.texts.iter().filter(|text| text.program.is_none());
        files.fold(0, |sum, text| sum.saturating_add(text.bytes))
    }

    /// The texts of the files, cut out of what followed.
    ///
    /// # Errors
    /// When it is not what was offered.
    pub(super) fn cut(&self, mut bytes: &[u8]) -> Result<Vec<Text>, String> {
        let mut texts = Vec::new();
        for sent in self.texts.iter().filter(|text| text.program.is_none()) {
            let len = usize::try_from(sent.bytes).unwrap_or(usize::MAX);
            let Some((own, rest)) = bytes.split_at_checked(len) else {
                return Err("the files are shorter than was offered".to_owned());
            };
            let text = Text { from: sent.origin(), bytes: own.to_vec() };
            if text.sha256() != sent.sha256 {
                let name = sent.file.as_deref().unwrap_or("the main file");
                return Err(format!("{name} did not arrive as it was sent"));
            }
            texts.push(text);
            bytes = rest;
        }
        if bytes.is_empty() { Ok(texts) } else { Err("the files are longer than was offered".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_cut_as_they_were_sent_or_not_at_all() {
        let texts = [
            Text { from: Origin::Main, bytes: b"main".to_vec() },
            Text { from: Origin::Program("p".into()), bytes: b"secret".to_vec() },
            Text { from: Origin::File("f".into()), bytes: b"file".to_vec() },
        ];
        let offer = Offer {
            instance: "a".into(),
            epoch: 1,
            activation: "x".into(),
            hash: "h".into(),
            texts: texts.iter().map(Sent::of).collect(),
        };
        assert_eq!(offer.file_bytes(), 8);
        assert!(!serde_json::to_string(&offer).unwrap().contains("secret"));
        assert_eq!(offer.cut(b"mainfile").unwrap(), [texts[0].clone(), texts[2].clone()]);
        for wrong in [&b"mainfil"[..], b"mainfilee", b"mainfild", b""] {
            offer.cut(wrong).unwrap_err();
        }
    }
}
