//! Files as values.

use std::collections::BTreeMap;

/// Folder of the machines' own files.
pub(crate) const NODES: &str = "nodes";

/// Files by their path below the directory that is written. Sorted, so that any two trees compare line by line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) content: Content,
    /// Permissions.
    pub(crate) mode: u32,
    /// User and group that own it on its machine.
    pub(crate) owner: (String, String),
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// A symbolic link, by what it points to.
    Link(String),
}

impl Tree {
    /// A file of a machine at its absolute path there, `root:root`, readable by all.
    pub(crate) fn file(&mut self, machine: &str, path: &str, text: String) -> &mut Entry {
        self.put(format!("{NODES}/{machine}{path}"), text)
    }

    /// A symbolic link on a machine.
    pub(crate) fn link(&mut self, machine: &str, path: &str, target: &str) {
        self.put(format!("{NODES}/{machine}{path}"), String::new()).content =
            Content::Link(target.to_owned());
    }

    /// A file that is no machine's.
    pub(crate) fn put(&mut self, path: String, text: String) -> &mut Entry {
        let owner = ("root".to_owned(), "root".to_owned());
        let entry = Entry { content: Content::Text(text), mode: 0o644, owner };
        match self.entries.entry(path) {
            std::collections::btree_map::Entry::Vacant(slot) => slot.insert(entry),
            std::collections::btree_map::Entry::Occupied(slot) => {
                let slot = slot.into_mut();
                *slot = entry;
                slot
            }
        }
    }

    /// All files, by path.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Names of the machines that have files.
    pub(crate) fn machines(&self) -> Vec<String> {
        let below =
            |path: &str| Some(path.strip_prefix(NODES)?.strip_prefix('/')?.split('/').next()?.to_owned());
        let mut machines: Vec<_> = self.entries.keys().filter_map(|path| below(path)).collect();
        machines.dedup();
        machines
    }

    /// A machine's files by their absolute paths there.
    pub(crate) fn of_machine(&self, machine: &str) -> Vec<(String, &Entry)> {
        let prefix = format!("{NODES}/{machine}");
        let at =
            |path: &str| path.strip_prefix(&prefix).filter(|rest| rest.starts_with('/')).map(str::to_owned);
        self.entries.iter().filter_map(|(path, entry)| Some((at(path)?, entry))).collect()
    }
}

impl Entry {
    /// With a mode.
    pub(crate) fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = mode;
        self
    }

    /// With an owner.
    pub(crate) fn owner(&mut self, user: &str, group: &str) -> &mut Self {
        self.owner = (user.to_owned(), group.to_owned());
        self
    }

    /// The text; empty for a link.
    pub(crate) fn text(&self) -> &str {
        match &self.content {
            Content::Text(text) => text,
            Content::Link(_) => "",
        }
    }
}
