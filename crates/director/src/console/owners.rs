//! Names of users and groups on the Director's host, for `dir` in the restore tree.

use std::collections::HashMap;

use super::tree_shell::Owners;

/// `/etc/passwd` and `/etc/group`, read once for a tree.
#[derive(Debug, Default)]
pub(super) struct SystemOwners {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl SystemOwners {
    /// Reads both files; a host without them shows numbers.
    pub(super) fn load() -> Self {
        let read = |path| std::fs::read_to_string(path).map(|text| names(&text)).unwrap_or_default();
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }
}

/// Name and number are the first and third field of both files.
fn names(text: &str) -> HashMap<u32, String> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?.parse().ok()?;
        Some((id, name.to_owned()))
    };
    text.lines().rev().filter_map(line).collect()
}

impl Owners for SystemOwners {
    fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }
}
