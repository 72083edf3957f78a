//! The menu that changes a job before it is run (spec/04 §8.4).

use policy::plan::JobPlan;
use types::{JobType, Timestamp};

use super::super::fmt::parse_time;
use super::super::select::Pick;
use super::super::session::Session;
use super::super::ua::Done;
use super::{Draft, relocate, restore_of};

/// What can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Level,
    Storage,
    Job,
    FileSet,
    Client,
    RestoreClient,
    When,
    Priority,
    Pool,
    NextPool,
    VerifyJob,
    Bootstrap,
    Where,
    Relocation,
    Replace,
    JobId,
    PluginOptions,
}

impl Item {
    fn word(self) -> &'static str {
        match self {
            Self::Level => "Level",
            Self::Storage => "Storage",
            Self::Job => "Job",
            Self::FileSet => "FileSet",
            Self::Client => "Client",
            Self::RestoreClient => "Restore Client",
            Self::When => "When",
            Self::Priority => "Priority",
            Self::Pool => "Pool",
            Self::NextPool => "NextPool",
            Self::VerifyJob => "Verify Job",
            Self::Bootstrap => "Bootstrap",
            Self::Where => "Where",
            Self::Relocation => "File Relocation",
            Self::Replace => "Replace",
            Self::JobId => "JobId",
            Self::PluginOptions => "Plugin Options",
        }
    }
}

fn items(plan: &JobPlan) -> Vec<Item> {
    let client = if plan.job_type == JobType::Restore { Item::RestoreClient } else { Item::Client };
    let mut items =
        vec![Item::Level, Item::Storage, Item::Job, Item::FileSet, client, Item::When, Item::Priority];
    match plan.job_type {
        JobType::Backup => {
            items.push(Item::Pool);
            if plan.level_asked == types::JobLevel::VirtualFull {
                items.push(Item::NextPool);
            }
            items.push(Item::PluginOptions);
        }
        JobType::Verify => items.extend([Item::Pool, Item::VerifyJob]),
        JobType::Copy | JobType::Migrate => items.extend([Item::Pool, Item::NextPool]),
        JobType::Restore => items.extend([
            Item::Bootstrap,
            Item::Where,
            Item::Relocation,
            Item::Replace,
            Item::JobId,
            Item::PluginOptions,
        ]),
        JobType::Admin
        | JobType::JobCopy
        | JobType::MigratedJob
        | JobType::Console
        | JobType::System
        | JobType::Archive
        | JobType::Scan => {}
    }
    items
}

impl Session {
    /// Lets one thing be changed.
    ///
    /// # Errors
    /// [`super::Halt::Left`] when a dialogue was left.
    pub(super) async fn modify(&mut self, draft: &mut Draft, plan: &JobPlan) -> Done {
        let items = items(plan);
        let words: Vec<String> = items.iter().map(|item| item.word().to_owned()).collect();
        let at = self.ua.choose("Parameters to modify:", "Select parameter to modify", &words).await?;
        match items[at] {
            Item::Level => self.modify_level(draft, plan.job_type).await,
            Item::Storage => {
                let name = self.pick_from_list(Pick::Storage).await?;
                draft.request.overrides.storage = Some(name);
                Ok(())
            }
            Item::Job => {
                draft.request.job = self.pick_from_list(Pick::Job).await?;
                Ok(())
            }
            Item::FileSet => {
                draft.request.overrides.fileset = Some(self.pick_from_list(Pick::FileSet).await?);
                Ok(())
            }
            Item::Client => {
                draft.request.overrides.client = Some(self.pick_from_list(Pick::Client).await?);
                Ok(())
            }
            Item::RestoreClient => {
                draft.request.overrides.restore_client = Some(self.pick_from_list(Pick::Client).await?);
                Ok(())
            }
            Item::When => self.modify_when(draft).await,
            Item::Priority => self.modify_priority(draft).await,
            Item::Pool => {
                draft.request.overrides.pool = Some(self.pick_from_list(Pick::Pool).await?);
                Ok(())
            }
            Item::NextPool => {
                draft.request.overrides.next_pool = Some(self.pick_from_list(Pick::Pool).await?);
                Ok(())
            }
            Item::VerifyJob => {
                draft.request.overrides.verify_job = Some(self.pick_from_list(Pick::Job).await?);
                Ok(())
            }
            Item::Bootstrap => self.modify_bootstrap(draft).await,
            Item::Where => self.modify_where(draft).await,
            Item::Relocation => self.modify_relocation(draft).await,
            Item::Replace => self.modify_replace(draft).await,
            Item::JobId => self.modify_jobid(draft).await,
            Item::PluginOptions => self.modify_plugin_options(draft).await,
        }
    }

    async fn modify_level(&mut self, draft: &mut Draft, job_type: JobType) -> Done {
        let words: &[&str] = match job_type {
            JobType::Backup => &["Full", "Incremental", "Differential", "Since", "VirtualFull"],
            JobType::Verify => &["InitCatalog", "Catalog", "DiskToCatalog", "VolumeToCatalog", "Data"],
            JobType::Restore
            | JobType::Admin
            | JobType::Copy
            | JobType::Migrate
            | JobType::JobCopy
            | JobType::MigratedJob
            | JobType::Console
            | JobType::System
            | JobType::Archive
            | JobType::Scan => {
                return self.ua.warn("Level not appropriate for this Job. Cannot be changed.\n").await;
            }
        };
        let items: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let at = self.ua.choose("Levels:", "Select level", &items).await?;
        draft.request.overrides.level = conf::level_from_word(words[at]);
        Ok(())
    }

    async fn modify_when(&mut self, draft: &mut Draft) -> Done {
        let question = "Please enter desired start time as YYYY-MM-DD HH:MM:SS (return for now): ";
        let Some(answer) = self.ua.ask(question).await? else { return Ok(()) };
        if answer.is_empty() {
            draft.request.overrides.when = None;
            return Ok(());
        }
        match parse_time(&answer) {
            Some(at) => draft.request.overrides.when = Some(Timestamp(at)),
            None => self.ua.warn("Invalid time, using current time.\n").await?,
        }
        Ok(())
    }

    async fn modify_priority(&mut self, draft: &mut Draft) -> Done {
        let Some(priority) = self.ua.ask_number("Enter new Priority: ").await? else { return Ok(()) };
        match u32::try_from(priority).ok().filter(|p| *p > 0) {
            Some(priority) => draft.request.overrides.priority = Some(priority),
            None => self.ua.warn("Priority must be a positive integer.\n").await?,
        }
        Ok(())
    }

    async fn modify_bootstrap(&mut self, draft: &mut Draft) -> Done {
        let Some(path) = self.ua.ask("Please enter the Bootstrap file name: ").await? else { return Ok(()) };
        match self.take_bootstrap(draft, &path).await {
            // What is wrong with the file was said; the old one stays.
            Ok(()) | Err(super::Halt::Failed) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    async fn modify_where(&mut self, draft: &mut Draft) -> Done {
        let question = "Please enter the full path prefix for restore (/ for none): ";
        let Some(place) = self.ua.ask(question).await? else { return Ok(()) };
        let place = if place == "/" { String::new() } else { place };
        if !self.acl.allows(super::AclKind::Where, &place) {
            return self.ua.warn("No authorization for \"where\" specification.\n").await;
        }
        draft.relocation = relocate::Relocation::default();
        let restore = restore_of(draft);
        restore.regex_where = None;
        restore.where_ = Some(place);
        Ok(())
    }

    async fn modify_replace(&mut self, draft: &mut Draft) -> Done {
        let items: Vec<String> = types::Replace::ALL.iter().map(|r| r.as_str().to_owned()).collect();
        let at = self.ua.choose("Replace:", "Select replace option", &items).await?;
        restore_of(draft).replace = types::Replace::ALL.get(at).copied();
        Ok(())
    }

    async fn modify_jobid(&mut self, draft: &mut Draft) -> Done {
        let Some(answer) = self.ua.ask("Please enter a JobId for restore: ").await? else { return Ok(()) };
        match self.restore_of_jobid(draft, &answer).await {
            Ok(()) | Err(super::Halt::Failed) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    async fn modify_plugin_options(&mut self, draft: &mut Draft) -> Done {
        let Some(options) = self.ua.ask("Please Plugin Options string: ").await? else { return Ok(()) };
        draft.request.overrides.plugin_options = (!options.is_empty()).then_some(options);
        Ok(())
    }

    async fn modify_relocation(&mut self, draft: &mut Draft) -> Done {
        let items = [
            "Strip prefix",
            "Add prefix",
            "Add file suffix",
            "Enter a regexp",
            "Test filename manipulation",
            "Use this ?",
        ]
        .map(str::to_owned);
        let mut forms = draft.relocation.clone();
        let mut typed: Option<String> = None;
        loop {
            self.ua.send(format!("{}\n", forms.line())).await?;
            let title = "This will replace your current Where value";
            match self.ua.choose(title, "Select parameter to modify", &items).await? {
                0 => forms.strip_prefix = self.ask_part("Please enter the path prefix to strip: ").await?,
                1 => {
                    let prefix = self.ask_part("Please enter the path prefix to add (/ for none): ").await?;
                    forms.add_prefix = prefix.filter(|p| p != "/");
                }
                2 => {
                    let suffix = self.ask_part("Please enter the file suffix to add: ").await?;
                    forms.add_suffix = suffix.filter(|s| s != "/");
                }
                3 => typed = self.ask_part("Please enter a valid regexp (!from!to!): ").await?,
                4 => {
                    let regex = typed.clone().or_else(|| forms.regex()).unwrap_or_default();
                    self.test_relocation(&forms, &regex).await?;
                }
                _ => break,
            }
        }
        let restore = restore_of(draft);
        restore.regex_where = typed.or_else(|| forms.regex());
        restore.where_ = None;
        draft.relocation = forms;
        Ok(())
    }

    async fn ask_part(&mut self, question: &str) -> Done<Option<String>> {
        Ok(self.ua.ask(question).await?.filter(|answer| !answer.is_empty()))
    }

    async fn test_relocation(&mut self, forms: &relocate::Relocation, regex: &str) -> Done {
        self.ua
            .send(format!("{} result={regex}\nEnter a period (.) to stop this test\n", forms.line()))
            .await?;
        while let Some(name) = self.ua.ask("Please enter filename to test: ").await? {
            match relocate::apply(regex, &name) {
                Some(result) => self.ua.send(format!("{name} -> {result}\n")).await?,
                None => self.ua.warn(format!("Cannot use \"{regex}\" to relocate files.\n")).await?,
            }
        }
        Ok(())
    }
}
