//! The menu of ways to find the jobs of a restore (spec/04 §7.1).

use catalog::listing;
use types::JobId;

use super::super::args::number_list;
use super::super::fmt::parse_time;
use super::super::jobs::JOB_IDS_MAX;
use super::super::session::Session;
use super::super::ua::{Done, Halt};
use super::Selection;
use super::keywords::Keywords;

const INTRODUCTION: &str = "
First you select one or more JobIds that contain files
to be restored. You will be presented several methods
of specifying the JobIds. Then you will be allowed to
select which files from those JobIds are to be restored.

";

const ITEMS: [&str; 13] = [
    "List last 20 Jobs run",
    "List Jobs where a given File is saved",
    "Enter list of comma separated JobIds to select",
    "Enter SQL list command",
    "Select the most recent backup for a client",
    "Select backup for a client before a specified time",
    "Enter a list of files to restore",
    "Enter a list of files to restore before a specified time",
    "Find the JobIds of the most recent backup for a client",
    "Find the JobIds for a backup for a client before a specified time",
    "Enter a list of directories to restore for found JobIds",
    "Select full restore to a specified Job date",
    "Cancel",
];

/// Jobs that menu items 1 and 2 show.
const JOBS_SHOWN: u32 = 20;

const FILES_HINT: &str = "Enter file names with paths, or < to enter a filename
containing a list of file names with paths, and terminate
them with a blank line.
";
const DIRECTORIES_HINT: &str = "Enter full directory names or start the name
with a < to indicate it is a filename containing a list
of directories and terminate them with a blank line.
";

impl Session {
    /// Shows the menu until jobs or files are selected. `None` when the user left.
    pub(super) async fn restore_menu(&mut self, keywords: &Keywords) -> Done<Option<Selection>> {
        self.ua.send(INTRODUCTION).await?;
        let items = ITEMS.map(str::to_owned);
        loop {
            let title = "To select the JobIds, you have the following choices:";
            let item = self.ua.choose(title, "Select item: ", &items).await?;
            match self.menu_item(keywords, item).await {
                Ok(Outcome::Again) | Err(Halt::Failed) => {}
                Ok(Outcome::Selected(selection)) => {
                    if selection.named.is_none() {
                        self.say_jobs(keywords, &selection).await?;
                    }
                    return Ok(Some(selection));
                }
                Ok(Outcome::Cancelled) => return Ok(None),
                Err(halt) => return Err(halt),
            }
        }
    }

    async fn menu_item(&mut self, keywords: &Keywords, item: usize) -> Done<Outcome> {
        match item + 1 {
            1 => {
                let listing = self.read(|r| listing::last_backups(r, JOBS_SHOWN)).await?;
                self.show_listing(listing, false).await.map(|()| Outcome::Again)
            }
            2 => self.menu_jobs_with_file(keywords).await,
            3 => self.menu_job_list().await,
            4 => self.menu_sql().await,
            5 => self.select_chain(keywords, None).await.map(Outcome::of),
            6 => match self.ask_date().await? {
                Some(before) => self.select_chain(keywords, Some(before)).await.map(Outcome::of),
                None => Ok(Outcome::Cancelled),
            },
            7 => self.menu_files(keywords, None).await,
            8 => match self.ask_date().await? {
                Some(before) => self.menu_files(keywords, Some(before)).await,
                None => Ok(Outcome::Cancelled),
            },
            9 => self.select_chain(keywords, None).await.map(|_| Outcome::Again),
            10 => match self.ask_date().await? {
                Some(before) => self.select_chain(keywords, Some(before)).await.map(|_| Outcome::Again),
                None => Ok(Outcome::Cancelled),
            },
            11 => self.menu_directories(keywords).await,
            12 => match self.ua.ask("Enter JobId to get the state to restore: ").await? {
                Some(answer) => match answer.parse::<JobId>() {
                    Ok(job) => self.chain_to(job).await.map(Outcome::of),
                    Err(_) => self.ua.fail(format!("Invalid JobId: {answer}\n")).await,
                },
                None => Ok(Outcome::Cancelled),
            },
            _ => Ok(Outcome::Cancelled),
        }
    }

    async fn menu_jobs_with_file(&mut self, keywords: &Keywords) -> Done<Outcome> {
        let Some(client) = self.visible_client(keywords.client.as_deref()).await? else {
            return Ok(Outcome::Cancelled);
        };
        let Some(name) = self.ua.ask("Enter Filename (no path):").await? else {
            return Ok(Outcome::Cancelled);
        };
        let listing =
            self.read(move |r| listing::jobs_with_file(r, &client, name.as_bytes(), JOBS_SHOWN)).await?;
        self.show_listing(listing, false).await.map(|()| Outcome::Again)
    }

    async fn ask_job_list(&mut self) -> Done<Option<Vec<JobId>>> {
        let Some(answer) = self.ua.ask("Enter JobId(s), comma separated, to restore: ").await? else {
            return Ok(None);
        };
        let Some(ids) = number_list(&answer, JOB_IDS_MAX) else {
            return self.ua.fail(format!("Invalid JobId list: {answer}\n")).await;
        };
        let jobs: Vec<JobId> = ids.into_iter().map(JobId).collect();
        if self.known_jobs(&jobs).await? { Ok(Some(jobs)) } else { Err(Halt::Failed) }
    }

    async fn menu_job_list(&mut self) -> Done<Outcome> {
        let Some(jobs) = self.ask_job_list().await? else { return Ok(Outcome::Cancelled) };
        Ok(Outcome::Selected(Selection { jobs, ..Selection::default() }))
    }

    async fn menu_sql(&mut self) -> Done<Outcome> {
        if !self.acl.allows_command("sqlquery") {
            return self.ua.fail("SQL query not authorized.\n").await;
        }
        let Some(sql) = self.ua.ask("Enter SQL list command: ").await? else { return Ok(Outcome::Cancelled) };
        self.show_sql(&sql).await.map(|()| Outcome::Again)
    }

    async fn ask_date(&mut self) -> Done<Option<i64>> {
        self.ua
            .send("The restored files will the most current backup\nBEFORE the date you specify below.\n\n")
            .await?;
        loop {
            let Some(answer) = self.ua.ask("Enter date as YYYY-MM-DD HH:MM:SS :").await? else {
                return Ok(None);
            };
            match parse_time(&answer) {
                Some(at) => return Ok(Some(at)),
                None => self.ua.error("Improper date format.\n").await?,
            }
        }
    }

    async fn menu_files(&mut self, keywords: &Keywords, before: Option<i64>) -> Done<Outcome> {
        let Some(client) = self.visible_client(keywords.client.as_deref()).await? else {
            return Ok(Outcome::Cancelled);
        };
        let mut selection = Selection { client: Some(client), ..Selection::default() };
        selection.named = Some(std::collections::BTreeMap::new());
        self.ua.send(FILES_HINT).await?;
        while let Some(name) = self.ua.ask("Enter full filename: ").await? {
            if name.is_empty() {
                break;
            }
            self.name_file(&name, before, &mut selection).await?;
        }
        Ok(Outcome::Selected(selection))
    }

    async fn menu_directories(&mut self, keywords: &Keywords) -> Done<Outcome> {
        let Some(client) = self.visible_client(keywords.client.as_deref()).await? else {
            return Ok(Outcome::Cancelled);
        };
        let Some(jobs) = self.ask_job_list().await? else { return Ok(Outcome::Cancelled) };
        let mut selection = Selection { client: Some(client), jobs, ..Selection::default() };
        selection.named = Some(std::collections::BTreeMap::new());
        self.ua.send(DIRECTORIES_HINT).await?;
        while let Some(name) = self.ua.ask("Enter directory name: ").await? {
            if name.is_empty() {
                break;
            }
            self.name_directory(&name, &mut selection).await?;
        }
        Ok(Outcome::Selected(selection))
    }
}

/// What a menu item led to.
enum Outcome {
    Again,
    Selected(Selection),
    Cancelled,
}

impl Outcome {
    fn of(selection: Option<Selection>) -> Self {
        selection.map_or(Self::Again, Self::Selected)
    }
}
