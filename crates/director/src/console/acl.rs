//! What a restricted console may see and do (spec/01 §6.5).

use conf::director::Console;

use super::glob;

/// The lists of a Console resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AclKind {
    /// `Job ACL`.
    Job,
    /// `Client ACL`.
    Client,
    /// `Storage ACL`.
    Storage,
    /// `Schedule ACL`.
    Schedule,
    /// `Pool ACL`.
    Pool,
    /// `Command ACL`.
    Command,
    /// `FileSet ACL`.
    FileSet,
    /// `Catalog ACL`.
    Catalog,
    /// `Where ACL`.
    Where,
    /// `Plugin Options ACL`.
    PluginOptions,
    /// `Restore Client ACL`; a client of `Client ACL` too.
    RestoreClient,
    /// `Backup Client ACL`; a client of `Client ACL` too.
    BackupClient,
}

/// The rights of one session: everything for the Director's own console, the lists of a named one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Acl {
    console: Option<Console>,
}

impl Acl {
    /// Everything is allowed.
    #[must_use]
    pub(crate) fn unrestricted() -> Self {
        Self { console: None }
    }

    /// What the lists of `console` allow.
    #[must_use]
    pub(crate) fn of(console: Console) -> Self {
        Self { console: Some(console) }
    }

    /// Name of the console; `None` for the Director's own.
    #[must_use]
    pub(crate) fn console_name(&self) -> Option<&str> {
        self.console.as_ref().map(|c| c.name.as_str())
    }

    /// Whether there is no restriction at all.
    #[must_use]
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.console.is_none()
    }

    /// Whether `name` is allowed.
    #[must_use]
    pub(crate) fn allows(&self, kind: AclKind, name: &str) -> bool {
        let Some(console) = &self.console else { return true };
        match kind {
            AclKind::Job => listed(&console.job_acl, name),
            AclKind::Client => {
                listed(&console.client_acl, name)
                    || listed(&console.backup_client_acl, name)
                    || listed(&console.restore_client_acl, name)
            }
            AclKind::Storage => listed(&console.storage_acl, name),
            AclKind::Schedule => listed(&console.schedule_acl, name),
            AclKind::Pool => listed(&console.pool_acl, name),
            AclKind::Command => listed(&console.command_acl, name),
            AclKind::FileSet => listed(&console.fileset_acl, name),
            AclKind::Catalog => listed(&console.catalog_acl, name),
            // An empty prefix, the original place, needs no entry.
            AclKind::Where => name.is_empty() || listed(&console.where_acl, name),
            AclKind::PluginOptions => name.is_empty() || listed(&console.plugin_options_acl, name),
            AclKind::RestoreClient => {
                listed(&console.client_acl, name) || listed(&console.restore_client_acl, name)
            }
            AclKind::BackupClient => {
                listed(&console.client_acl, name) || listed(&console.backup_client_acl, name)
            }
        }
    }

    /// Whether a command may be used. A dot command must be listed with its dot, but for `.quit`, `.api`
    /// and `.session`, which changes nothing.
    #[must_use]
    pub(crate) fn allows_command(&self, command: &str) -> bool {
        matches!(command, ".quit" | ".exit" | ".api" | ".session" | "quit" | "exit")
            || self.allows(AclKind::Command, command)
    }
}

fn listed(list: &[String], name: &str) -> bool {
    match list {
        [all] if all.eq_ignore_ascii_case("*all*") => true,
        list => list.iter().any(|pattern| glob::matches(pattern.as_bytes(), name.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|e| (*e).to_owned()).collect()
    }

    #[test]
    fn lists_allow_by_pattern_and_all_by_its_word() {
        assert!(listed(&list(&["*all*"]), "anything"));
        assert!(listed(&list(&["web-*", "db1"]), "web-7"));
        assert!(!listed(&list(&["web-*", "db1"]), "WEB-7"));
        assert!(!listed(&[], "x"));
    }

    #[test]
    fn the_own_console_may_do_everything() {
        let acl = Acl::unrestricted();
        assert!(acl.allows(AclKind::Job, "x") && acl.allows_command("purge") && acl.is_unrestricted());
    }
}
