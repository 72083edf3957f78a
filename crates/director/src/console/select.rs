//! Choosing resources: by argument, by a list of those that the console may see (spec/04 §8.1).

use super::acl::AclKind;
use super::args::Args;
use super::session::Session;
use super::ua::Done;

/// The resource types that a command can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Job resources.
    Job,
    /// Job resources of type Restore.
    RestoreJob,
    /// Client resources.
    Client,
    /// Storage resources.
    Storage,
    /// Pool resources.
    Pool,
    /// FileSet resources.
    FileSet,
    /// Schedule resources.
    Schedule,
}

impl Pick {
    fn acl(self) -> AclKind {
        match self {
            Self::Job | Self::RestoreJob => AclKind::Job,
            Self::Client => AclKind::Client,
            Self::Storage => AclKind::Storage,
            Self::Pool => AclKind::Pool,
            Self::FileSet => AclKind::FileSet,
            Self::Schedule => AclKind::Schedule,
        }
    }

    /// (title, word, question) of the list.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Job => ("The defined Job resources are:", "Job", "Select Job resource"),
            Self::RestoreJob => {
                ("The defined Restore Job resources are:", "Restore Job", "Select Restore Job")
            }
            Self::Client => {
                ("The defined Client resources are:", "Client", "Select Client (File daemon) resource")
            }
            Self::Storage => ("The defined Storage resources are:", "Storage", "Select Storage resource"),
            Self::Pool => ("The defined Pool resources are:", "Pool", "Select Pool resource"),
            Self::FileSet => ("The defined FileSet resources are:", "FileSet", "Select FileSet resource"),
            Self::Schedule => ("The defined Schedule resources are:", "Schedule", "Select Schedule resource"),
        }
    }
}

impl Session {
    /// Names of a type that this console may see, in the order of the configuration.
    pub(super) fn visible(&self, pick: Pick) -> Vec<String> {
        let config = self.core.config();
        let names: Vec<&str> = match pick {
            Pick::Job => config.jobs.iter().map(|r| r.name.as_str()).collect(),
            Pick::RestoreJob => {
                let restores = config.jobs.iter().filter(|j| j.job_type == types::JobType::Restore);
                restores.map(|r| r.name.as_str()).collect()
            }
            Pick::Client => config.clients.iter().map(|r| r.name.as_str()).collect(),
            Pick::Storage => config.storages.iter().map(|r| r.name.as_str()).collect(),
            Pick::Pool => config.pools.iter().map(|r| r.name.as_str()).collect(),
            Pick::FileSet => config.filesets.iter().map(|r| r.name.as_str()).collect(),
            Pick::Schedule => config.schedules.iter().map(|r| r.name.as_str()).collect(),
        };
        names.into_iter().filter(|name| self.acl.allows(pick.acl(), name)).map(str::to_owned).collect()
    }

    /// The resource that one of the keywords names; a list to choose from when none does or the name is not known.
    ///
    /// A name outside the console's lists is treated as if it had not been given (spec/01 §6.5).
    pub(super) async fn pick(&mut self, pick: Pick, args: &Args, keys: &[&str]) -> Done<String> {
        if let Some(name) = self.named(pick, args, keys).await? {
            return Ok(name);
        }
        self.pick_from_list(pick).await
    }

    /// The resource that one of the keywords names, if it is there and may be seen.
    pub(super) async fn named(&mut self, pick: Pick, args: &Args, keys: &[&str]) -> Done<Option<String>> {
        let Some(name) = args.get_any(keys) else { return Ok(None) };
        if self.visible(pick).iter().any(|known| known == name) {
            return Ok(Some(name.to_owned()));
        }
        if self.acl.is_unrestricted() {
            let word = pick.words().1;
            self.ua.error(format!("Error: {word} resource \"{name}\" does not exist.\n")).await?;
        }
        Ok(None)
    }

    /// Lets the user choose a resource.
    pub(super) async fn pick_from_list(&mut self, pick: Pick) -> Done<String> {
        let mut names = self.visible(pick);
        let (title, word, question) = pick.words();
        let at = self.ua.select(title, word, question, &names).await?;
        Ok(names.swap_remove(at))
    }
}
