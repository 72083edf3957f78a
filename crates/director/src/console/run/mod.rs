//! `run`: from arguments and dialogue to a job request (spec/04 §8.4).

mod modify;
mod relocate;
mod summary;

use policy::plan::{JobPlan, JobRequest, Overrides, RestoreRequest};
use types::{JobType, Replace, Timestamp};

use super::acl::AclKind;
use super::args::{Args, yes_no};
use super::fmt::parse_time;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt, Sig};

/// A job that is about to be run.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    /// Job and overrides.
    pub(super) request: JobRequest,
    /// Where the bootstrap was written to or is read from, for display.
    pub(super) bootstrap_path: Option<String>,
    /// Client whose backups are restored, for display.
    pub(super) backup_client: Option<String>,
    /// `strip_prefix`, `add_prefix`, `add_suffix`.
    pub(super) relocation: relocate::Relocation,
    /// Run without asking.
    pub(super) yes: bool,
    /// The bootstrap file belongs to the console: gone when the job is not run.
    pub(super) own_bootstrap: bool,
}

/// Keywords of `run` that stand for others or are accepted without effect here.
const IGNORED: [&str; 8] =
    ["cloned", "verifylist", "fdcalled", "jobuser", "jobgroup", "migrationjob", "alljobid", "files"];

impl Session {
    pub(super) async fn run_job(&mut self, args: &Args) -> Done {
        self.use_catalog(false).await?;
        let mut draft = match self.draft(args).await {
            Ok(draft) => draft,
            Err(Halt::Left) => {
                self.ua.send("Job not run.\n").await?;
                return Err(Halt::Failed);
            }
            Err(halt) => return Err(halt),
        };
        if self.needs_restore_jobs(&draft) && !self.ask_restore_job(&mut draft).await? {
            return self.ua.fail("Job not run.\n").await;
        }
        self.run_draft(draft).await
    }

    /// Shows the draft, lets it be changed, and queues the job.
    pub(super) async fn run_draft(&mut self, mut draft: Draft) -> Done {
        loop {
            let Some(plan) = self.plan_of(&draft).await? else { return Err(Halt::Failed) };
            if draft.yes {
                return self.submit(draft).await;
            }
            self.show_summary(&draft, &plan).await?;
            let answer = self.ua.ask("OK to run? (yes/mod/no): ").await?;
            let answer = answer.map(|a| a.to_ascii_lowercase());
            match answer.as_deref() {
                Some(a) if !a.is_empty() && "yes".starts_with(a) => return self.submit(draft).await,
                Some(a) if !a.is_empty() && "mod".starts_with(a) => {
                    match self.modify(&mut draft, &plan).await {
                        Ok(()) | Err(Halt::Left) => {}
                        Err(halt) => return Err(halt),
                    }
                }
                None => break,
                Some(a) if !a.is_empty() && "no".starts_with(a) => break,
                Some(other) => {
                    let text = format!("\nBad response: {other}. You must answer yes, mod, or no.\n\n");
                    self.ua.send(text).await?;
                }
            }
        }
        self.drop_bootstrap(&draft);
        self.ua.send("Job not run.\n").await?;
        Err(Halt::Failed)
    }

    fn drop_bootstrap(&self, draft: &Draft) {
        if let (true, Some(path)) = (draft.own_bootstrap, &draft.bootstrap_path) {
            // A leftover file does no harm: the next one has another number.
            let _ = std::fs::remove_file(path);
        }
    }

    async fn submit(&mut self, draft: Draft) -> Done {
        let core = self.core.clone();
        let result = core.submit(draft.request.clone()).await;
        self.drop_bootstrap(&draft);
        match result {
            Ok(id) => self.ua.send(format!("Job queued. JobId={id}\n")).await,
            Err(error) => self.ua.fail(format!("{}\nJob failed.\n", super::db::chain(&error))).await,
        }
    }

    /// The plan that the draft would become; `None` when it cannot (the user was told).
    async fn plan_of(&mut self, draft: &Draft) -> Done<Option<JobPlan>> {
        let config = self.core.config();
        match policy::plan::plan_job(&config, &draft.request, Timestamp(now())) {
            Ok(plan) => Ok(Some(plan)),
            Err(error) => {
                self.ua.error(format!("{error}\n")).await?;
                Ok(None)
            }
        }
    }

    async fn show_summary(&mut self, draft: &Draft, plan: &JobPlan) -> Done {
        if self.ua.api != 0 {
            self.ua.signal(Sig::RunCmd).await?;
        }
        self.ua.send(summary::text(draft, plan, self.ua.api != 0)).await
    }

    async fn draft(&mut self, args: &Args) -> Done<Draft> {
        let mut draft = Draft { yes: args.has("yes"), ..Draft::default() };
        let job = match self.named(Pick::Job, args, &["job", "jobname"]).await? {
            Some(job) => job,
            None => {
                // `run NightlySave` names the job without a keyword.
                let bare =
                    args.words().iter().find(|w| w.value.is_none() && w.key != "yes").map(|w| w.key.clone());
                match bare.filter(|name| self.visible(Pick::Job).contains(name)) {
                    Some(name) => name,
                    None => {
                        self.ua.send("A job name must be specified.\n").await?;
                        self.pick_from_list(Pick::Job).await?
                    }
                }
            }
        };
        draft.request = JobRequest::new(job.clone());
        for word in args.words() {
            let key = word.key.to_ascii_lowercase();
            let value = word.value.clone().unwrap_or_default();
            if word.value.is_none() && (key == "yes" || word.key == job) {
                continue;
            }
            if !self.take_keyword(&mut draft, &key, &value).await? {
                return self.ua.fail(format!("Invalid keyword: {}\n", word.key)).await;
            }
        }
        self.check_access(&mut draft).await?;
        Ok(draft)
    }

    /// Puts one `key=value` into the draft. `false` for a keyword that `run` does not know.
    pub(super) async fn take_keyword(&mut self, draft: &mut Draft, key: &str, value: &str) -> Done<bool> {
        let text = || (!value.is_empty()).then(|| value.to_owned());
        let is_restore = self.is_restore(draft);
        let over: &mut Overrides = &mut draft.request.overrides;
        match key {
            "job" | "jobname" | "yes" => {}
            "client" | "fd" => over.client = text(),
            "backupclient" => draft.backup_client = text(),
            "restoreclient" => over.restore_client = text(),
            "fileset" => over.fileset = text(),
            "pool" => over.pool = text(),
            "nextpool" => over.next_pool = text(),
            "storage" | "sd" => over.storage = text(),
            "catalog" => over.catalog = text(),
            "comment" => over.comment = text(),
            "mediatype" => over.media_type = text(),
            "pluginoptions" => over.plugin_options = text(),
            "verifyjob" => over.verify_job = text(),
            "ignoreduplicatecheck" => over.ignore_duplicates = yes_no(value).unwrap_or(true),
            "level" => match conf::level_from_word(value) {
                Some(level) => over.level = Some(level),
                None => return self.ua.fail(format!("Level \"{value}\" not valid.\n")).await,
            },
            "priority" => match value.parse().ok().filter(|p| *p > 0) {
                Some(priority) => over.priority = Some(priority),
                None => return self.ua.fail("Priority must be positive nonzero setting it to 10.\n").await,
            },
            "when" | "since" => {
                let Some(at) = parse_time(value) else {
                    return self
                        .ua
                        .fail(format!("Invalid time \"{value}\"; use YYYY-MM-DD HH:MM:SS.\n"))
                        .await;
                };
                if key == "when" { over.when = Some(Timestamp(at)) } else { over.since = Some(Timestamp(at)) }
            }
            "accurate" | "spooldata" => {
                let Some(on) = yes_no(value) else {
                    return self
                        .ua
                        .fail(format!("Invalid value for {key}: \"{value}\"; use yes or no.\n"))
                        .await;
                };
                if key == "accurate" { over.accurate = Some(on) } else { over.spool_data = Some(on) }
            }
            "jobid" if is_restore => return self.restore_of_jobid(draft, value).await.map(|()| true),
            "jobid" => match value.parse() {
                Ok(id) => over.target_job = Some(id),
                Err(_) => return self.ua.fail(format!("Invalid JobId: {value}\n")).await,
            },
            "where" => restore_of(draft).where_ = text(),
            "regexwhere" => restore_of(draft).regex_where = text(),
            "replace" => match replace_of(value) {
                Some(replace) => restore_of(draft).replace = Some(replace),
                None => return self.ua.fail(format!("Invalid replace option: {value}\n")).await,
            },
            "bootstrap" => self.take_bootstrap(draft, value).await?,
            "strip_prefix" => draft.relocation.strip_prefix = text(),
            "add_prefix" => draft.relocation.add_prefix = text(),
            "add_suffix" => draft.relocation.add_suffix = text(),
            other => return Ok(IGNORED.contains(&other)),
        }
        if let Some(regex) = draft.relocation.regex() {
            restore_of(draft).regex_where = Some(regex);
        }
        Ok(true)
    }

    /// Reads a bootstrap file: its text goes into the job's plan.
    pub(super) async fn take_bootstrap(&mut self, draft: &mut Draft, path: &str) -> Done {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                restore_of(draft).bootstrap = Some(text);
                draft.bootstrap_path = Some(path.to_owned());
                Ok(())
            }
            Err(error) => self.ua.fail(format!("read bootstrap {path}: {error}\n")).await,
        }
    }

    /// Takes away what the console's lists do not allow: it is as if it had not been given.
    async fn check_access(&mut self, draft: &mut Draft) -> Done {
        let over = &mut draft.request.overrides;
        let keep = |slot: &mut Option<String>, allowed: bool| {
            if !allowed {
                *slot = None;
            }
        };
        let allows =
            |kind, slot: &Option<String>| slot.as_deref().is_none_or(|name| self.acl.allows(kind, name));
        let checks = [
            allows(AclKind::BackupClient, &over.client),
            allows(AclKind::RestoreClient, &over.restore_client),
            allows(AclKind::FileSet, &over.fileset),
            allows(AclKind::Pool, &over.pool),
            allows(AclKind::Pool, &over.next_pool),
            allows(AclKind::Storage, &over.storage),
            allows(AclKind::PluginOptions, &over.plugin_options),
        ];
        keep(&mut over.client, checks[0]);
        keep(&mut over.restore_client, checks[1]);
        keep(&mut over.fileset, checks[2]);
        keep(&mut over.pool, checks[3]);
        keep(&mut over.next_pool, checks[4]);
        keep(&mut over.storage, checks[5]);
        keep(&mut over.plugin_options, checks[6]);
        let place = over.restore.as_ref().and_then(|r| r.where_.clone().or_else(|| r.regex_where.clone()));
        if let Some(place) = place.filter(|place| !self.acl.allows(AclKind::Where, place)) {
            return self
                .ua
                .fail(format!("No authorization for \"where\" specification \"{place}\".\n"))
                .await;
        }
        Ok(())
    }

    pub(super) fn is_restore(&self, draft: &Draft) -> bool {
        self.core.config().job(&draft.request.job).is_some_and(|job| job.job_type == JobType::Restore)
    }

    /// Whether a Restore job was named without saying what to restore.
    fn needs_restore_jobs(&self, draft: &Draft) -> bool {
        let config = self.core.config();
        let Some(job) = config.job(&draft.request.job) else { return false };
        let given = draft.request.overrides.restore.as_ref().is_some_and(|r| r.bootstrap.is_some());
        job.job_type == JobType::Restore && !given && job.bootstrap.is_none()
    }

    async fn ask_restore_job(&mut self, draft: &mut Draft) -> Done<bool> {
        match self.ua.ask("Please enter a JobId for restore: ").await? {
            Some(answer) => self.restore_of_jobid(draft, &answer).await.map(|()| true),
            None => Ok(false),
        }
    }
}

/// What a relocation makes of a name, for the fuzzer.
pub(super) fn relocated(expression: &str, name: &str) -> Option<String> {
    relocate::apply(expression, name)
}

/// The draft's restore part, made when it is first needed.
pub(super) fn restore_of(draft: &mut Draft) -> &mut RestoreRequest {
    draft.request.overrides.restore.get_or_insert_with(RestoreRequest::default)
}

/// `Always`, `IfNewer`, `IfOlder`, `Never` in any case.
pub(super) fn replace_of(word: &str) -> Option<Replace> {
    Replace::ALL.iter().copied().find(|r| r.as_str().eq_ignore_ascii_case(word))
}
