//! Which files of the selected jobs: the tree, or names given one by one.

use std::collections::BTreeMap;

use attrs::EncodedStat;
use catalog::{file, selection};
use types::{JobId, Timestamp};

use super::super::fmt::commas;
use super::super::session::{Session, now};
use super::super::tree::{Stat, Tree, TreeError};
use super::super::tree_shell::select_files;
use super::super::ua::{Done, Halt};
use super::keywords::Keywords;
use super::pick_jobs::join;
use super::{Chosen, Selection};

/// Names read from one `<file`: more are refused, not cut off in silence.
const NAMES_MAX: usize = 1_000_000;
/// Progress marks shown while a tree is built.
const TICKS: u64 = 50;

impl Session {
    /// Finds the files and directories of the command line.
    pub(super) async fn name_files(&mut self, keywords: &Keywords, selection: &mut Selection) -> Done {
        if selection.client.is_none() && selection.jobs.is_empty() {
            selection.client = self.visible_client(None).await?;
        }
        selection.named.get_or_insert_with(BTreeMap::new);
        for name in &keywords.files {
            self.name_file(name, keywords.before, selection).await?;
        }
        for name in &keywords.directories {
            self.name_directory(name, selection).await?;
        }
        Ok(())
    }

    /// Adds one file by its full name, or all that a `<file` lists.
    pub(super) async fn name_file(
        &mut self,
        name: &str,
        before: Option<i64>,
        selection: &mut Selection,
    ) -> Done {
        if let Some(table) = name.strip_prefix('?') {
            return self.name_kept(table, selection).await;
        }
        for name in self.expand(name).await? {
            let (path, base) = match name.rfind('/') {
                Some(at) => name.split_at(at + 1),
                None => ("", name.as_str()),
            };
            let (path, base) = (path.as_bytes().to_vec(), base.as_bytes().to_vec());
            let (client, jobs) = (selection.client.clone().unwrap_or_default(), selection.jobs.clone());
            let until = Timestamp(before.unwrap_or_else(|| now() + 1));
            let found =
                self.read(move |r| selection::find_file(r, &client, &jobs, until, &path, &base)).await?;
            match found {
                Some((job, index)) => {
                    selection.named.get_or_insert_with(BTreeMap::new).entry(job).or_default().push(index);
                }
                None => self.ua.error(format!("No database record found for: {name}\n")).await?,
            }
        }
        Ok(())
    }

    /// Adds what `.bvfs_restore` kept under a name.
    async fn name_kept(&mut self, table: &str, selection: &mut Selection) -> Done {
        let table = table.to_owned();
        let rows = self.read(move |r| catalog::bvfs::selection(r, &table)).await?;
        let named = selection.named.get_or_insert_with(BTreeMap::new);
        for (job, index) in rows {
            named.entry(job).or_default().push(index);
        }
        Ok(())
    }

    /// Adds the files directly in a directory, and its own entry.
    pub(super) async fn name_directory(&mut self, name: &str, selection: &mut Selection) -> Done {
        if selection.jobs.is_empty() {
            return self.ua.error("No JobId specified cannot continue.\n").await;
        }
        for name in self.expand(name).await? {
            let path = format!("{}/", name.trim_end_matches('/')).into_bytes();
            let jobs = selection.jobs.clone();
            let found = self.read(move |r| selection::files_in_directory(r, &jobs, &path)).await?;
            if found.is_empty() {
                self.ua.error(format!("No database record found for: {name}\n")).await?;
            }
            let named = selection.named.get_or_insert_with(BTreeMap::new);
            for (job, index) in found {
                named.entry(job).or_default().push(index);
            }
        }
        Ok(())
    }

    /// The name itself, or the lines of the file behind `<`.
    async fn expand(&mut self, name: &str) -> Done<Vec<String>> {
        let Some(list) = name.strip_prefix('<') else { return Ok(vec![name.to_owned()]) };
        let text = match std::fs::read_to_string(list) {
            Ok(text) => text,
            Err(error) => {
                self.ua.error(format!("Cannot open file {list}: ERR={error}\n")).await?;
                return Ok(Vec::new());
            }
        };
        let names: Vec<String> = text.lines().map(str::to_owned).filter(|n| !n.is_empty()).collect();
        if names.len() > NAMES_MAX {
            return self.ua.fail(format!("{list} holds more than {NAMES_MAX} names; split it.\n")).await;
        }
        Ok(names)
    }

    /// What is to be restored. `None` when the user gave up.
    pub(super) async fn choose_files(
        &mut self,
        keywords: &Keywords,
        selection: &Selection,
    ) -> Done<Option<Chosen>> {
        if let Some(named) = &selection.named {
            let mut named = named.clone();
            for indexes in named.values_mut() {
                indexes.sort_unstable();
                indexes.dedup();
            }
            return Ok(Some(Chosen::Files(named)));
        }
        self.ua
            .send(format!("\nBuilding directory tree for JobId(s) {} ...  ", join(&selection.jobs)))
            .await?;
        let jobs = selection.jobs.clone();
        let purged = self.read(move |r| selection::without_files(r, &jobs)).await?;
        if !purged.is_empty() {
            return self.choose_without_tree().await;
        }
        let Some(mut tree) = self.build_tree(keywords, selection).await? else { return Err(Halt::Failed) };
        let marked = if keywords.all { " and marked for extraction" } else { "" };
        self.ua
            .send(format!("\n{} files inserted into the tree{marked}.\n", commas(tree.inserted())))
            .await?;
        let owners = super::super::owners::SystemOwners::load();
        if !keywords.done && !select_files(&mut self.ua, &mut tree, &owners).await? {
            self.ua.send("Restore not done.\n").await?;
            return Ok(None);
        }
        Ok(Some(Chosen::Files(tree.selection())))
    }

    async fn build_tree(&mut self, keywords: &Keywords, selection: &Selection) -> Done<Option<Tree>> {
        let jobs = selection.jobs.clone();
        let (all, auto_parent) = (keywords.all, !keywords.no_auto_parent);
        let built = self.read_long(move |r| build(r, &jobs, all, auto_parent)).await?;
        match built {
            Ok((tree, rows)) => {
                let ticks = if rows >= TICKS { TICKS } else { 0 };
                self.ua.send("+".repeat(ticks as usize)).await?;
                Ok(Some(tree))
            }
            Err(error) => {
                self.ua.error(format!("\n{error}\n")).await?;
                Ok(None)
            }
        }
    }

    /// The jobs' file rows are gone: all of the data, or what matches an expression.
    async fn choose_without_tree(&mut self) -> Done<Option<Chosen>> {
        self.ua
            .send(
                "\n\nFor one or more of the JobIds selected, no files were found,\nso file selection is not possible.\n\
                 Most likely your retention policy pruned the files.\n",
            )
            .await?;
        let all = self.ua.ask_yes_no("\nDo you want to restore all the files? (yes|no): ").await?;
        match all {
            Some(true) => Ok(Some(Chosen::Everything)),
            Some(false) => {
                let question = "\nRegexp matching files to restore? (empty to abort): ";
                let answer = self.ua.ask(question).await?.filter(|a| !a.is_empty());
                Ok(answer.map(Chosen::Matching))
            }
            None => Ok(None),
        }
    }
}

/// Reads the rows into a tree; an inner error is the tree's own bound.
fn build(
    r: &catalog::ReadTx<'_>,
    jobs: &[JobId],
    all: bool,
    auto_parent: bool,
) -> catalog::Result<Result<(Tree, u64), TreeError>> {
    let mut tree = Tree::new();
    tree.auto_parent = auto_parent;
    let mut full = None;
    let mut rows = 0;
    file::for_each_newest(r, jobs, |row, _| {
        rows += 1;
        if full.is_none() {
            let stat = stat_of(row.lstat.as_bytes());
            full = tree.insert(&row.path, &row.name, row.job_id, row.file_index, stat).err();
        }
        Ok(())
    })?;
    if let Some(error) = full {
        return Ok(Err(error));
    }
    if all {
        tree.mark_all();
    }
    Ok(Ok((tree, rows)))
}

/// What the tree shows of an encoded status; zeros where it cannot be read (rows of other programs).
fn stat_of(lstat: &[u8]) -> Stat {
    let Ok(stat) = EncodedStat::decode(lstat) else { return Stat::default() };
    Stat {
        mode: stat.mode,
        nlink: stat.nlink as u32,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        mtime: stat.mtime,
        link_fi: stat.link_fi,
    }
}
