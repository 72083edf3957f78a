//! The `.bvfs_*` commands: jobs as a browsable file system for GUIs (spec/01 §6.3).

use attrs::EncodedStat;
use catalog::bvfs as query;
use types::{JobId, PathId};

use super::args::{Args, number_list};
use super::jobs::JOB_IDS_MAX;
use super::session::Session;
use super::ua::Done;

/// Files that one `.bvfs_restore` can name.
const FILES_MAX: usize = 1_000_000;
/// Rows of a directory listing when no limit is given.
const ROWS: u32 = 2000;

impl Session {
    pub(super) async fn bvfs(&mut self, command: &str, args: &Args) -> Done {
        match command {
            ".bvfs_update" => self.bvfs_update(args).await,
            ".bvfs_clear_cache" => {
                if !args.has("yes") {
                    return self.ua.fail("Use .bvfs_clear_cache yes to clear the cache.\n").await;
                }
                self.write(query::clear_cache).await
            }
            ".bvfs_get_jobids" => self.bvfs_jobids(args).await,
            ".bvfs_get_jobs" => self.bvfs_jobs(args).await,
            ".bvfs_get_volumes" => self.bvfs_volumes(args).await,
            ".bvfs_lsdirs" => self.bvfs_lsdirs(args).await,
            ".bvfs_lsfiles" => self.bvfs_lsfiles(args).await,
            ".bvfs_versions" => self.bvfs_versions(args).await,
            ".bvfs_decode_lstat" => self.bvfs_decode(args).await,
            ".bvfs_restore" => self.bvfs_restore(args).await,
            ".bvfs_cleanup" => {
                let Some(name) = args.get("path").map(str::to_owned) else {
                    return self.ua.fail("Can't find path argument\n").await;
                };
                self.write(move |tx| query::drop_selection(tx, &name)).await
            }
            other => self.ua.fail(format!("{other}: is an invalid command.\n")).await,
        }
    }

    async fn job_list(&mut self, args: &Args) -> Done<Vec<JobId>> {
        let ids = args.get("jobid").and_then(|list| number_list(list, JOB_IDS_MAX));
        match ids {
            Some(ids) => Ok(ids.into_iter().map(JobId).collect()),
            None => self.ua.fail("Can't find jobid argument\n").await,
        }
    }

    /// Makes the tree of directories of jobs; of all that have none yet when no job is named.
    async fn bvfs_update(&mut self, args: &Args) -> Done {
        let jobs = match args.get("jobid") {
            Some(_) => self.job_list(args).await?,
            None => self.read(query::jobs_without_cache).await?,
        };
        for job in jobs {
            self.write(move |tx| query::update(tx, job)).await?;
        }
        Ok(())
    }

    /// The jobs that a restore up to this job needs; with `all` those of every job of the client at that time.
    async fn bvfs_jobids(&mut self, args: &Args) -> Done {
        let job = match (args.get("jobid"), args.get("ujobid")) {
            (Some(id), _) => id.parse::<JobId>().ok(),
            (None, Some(name)) => {
                let name = name.to_owned();
                self.read(move |r| catalog::job::get_by_unique_name(r, &name)).await?.map(|row| row.id)
            }
            (None, None) => None,
        };
        let Some(job) = job else { return self.ua.fail("Can't find jobid argument\n").await };
        let jobs = self.chain_ending_with(job).await?;
        self.ua.send(format!("{}\n", super::restore::join(&jobs))).await
    }

    async fn bvfs_jobs(&mut self, args: &Args) -> Done {
        let Some(client) = args.get("client").map(str::to_owned) else {
            return self.ua.fail("Can't find client argument\n").await;
        };
        for (job, tdate, start, name) in self.read(move |r| query::jobs_of_client(r, &client)).await? {
            self.ua.send(format!("{job} {tdate} {} {name}\n", start.replace(' ', "_"))).await?;
        }
        Ok(())
    }

    async fn bvfs_volumes(&mut self, args: &Args) -> Done {
        let jobs = self.job_list(args).await?;
        for job in jobs {
            for volume in self.read(move |r| catalog::media::list_of_job(r, job)).await? {
                self.ua.send(format!("{}\n", volume.volume_name)).await?;
            }
        }
        Ok(())
    }

    async fn path_of(&mut self, args: &Args) -> Done<Option<PathId>> {
        if let Some(id) = args.get("pathid") {
            return Ok(id.parse().ok());
        }
        let path = args.get("path").unwrap_or("").to_owned();
        self.read(move |r| catalog::file::find_path(r, path.as_bytes())).await
    }

    async fn bvfs_lsdirs(&mut self, args: &Args) -> Done {
        let jobs = self.job_list(args).await?;
        let (limit, offset) = page(args);
        let Some(path) = self.path_of(args).await? else { return Ok(()) };
        let known = jobs.clone();
        let rows = self.read(move |r| query::directories(r, &known, path, limit, offset)).await?;
        for row in rows {
            let mut line =
                format!("{}\t0\t{}\t{}\t{}\t", row.path_id, row.file_id, row.job_id, row.lstat).into_bytes();
            line.extend(row.name);
            line.push(b'\n');
            self.ua.send_bytes(&line).await?;
        }
        Ok(())
    }

    async fn bvfs_lsfiles(&mut self, args: &Args) -> Done {
        let jobs = self.job_list(args).await?;
        let (limit, offset) = page(args);
        let pattern = args.get_any(&["pattern", "filename"]).map(str::to_owned);
        let Some(path) = self.path_of(args).await? else { return Ok(()) };
        let rows = self.read(move |r| query::files(r, &jobs, path, limit, offset)).await?;
        for row in rows {
            if pattern.as_ref().is_some_and(|p| !super::glob::matches(p.as_bytes(), &row.name)) {
                continue;
            }
            // The FileId stands in for the FilenameId, which this schema does not have.
            let mut line =
                format!("{}\t{}\t{}\t{}\t{}\t", row.path_id, row.file_id, row.file_id, row.job_id, row.lstat)
                    .into_bytes();
            line.extend(row.name);
            line.push(b'\n');
            self.ua.send_bytes(&line).await?;
        }
        Ok(())
    }

    async fn bvfs_versions(&mut self, args: &Args) -> Done {
        let client = args.get("client").map(str::to_owned);
        let file = args.get_any(&["fnid", "filenameid"]).and_then(|id| id.parse::<u64>().ok());
        let (Some(client), Some(file)) = (client, file) else {
            return self.ua.fail("Can't find client or fnid argument\n").await;
        };
        let Some(path) = self.path_of(args).await? else { return Ok(()) };
        let rows = self.read(move |r| query::versions(r, &client, path, types::FileId(file))).await?;
        for v in rows {
            self.ua
                .send(format!(
                    "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
                    v.path_id,
                    file,
                    v.file_id,
                    v.job_id,
                    v.lstat,
                    v.digest,
                    v.volume,
                    u8::from(v.in_changer)
                ))
                .await?;
        }
        Ok(())
    }

    /// Keeps what a GUI picked under the name `path=b2<n>`, for `restore file=?b2<n>`.
    async fn bvfs_restore(&mut self, args: &Args) -> Done {
        let numbers = |key: &str| args.get(key).map(|list| number_list(list, FILES_MAX).unwrap_or_default());
        let links =
            args.get("hardlink").map(|list| list.split(',').filter_map(|n| n.trim().parse().ok()).collect());
        let links: Vec<u32> = links.unwrap_or_default();
        let picked = query::Picked {
            files: numbers("fileid")
                .unwrap_or_default()
                .into_iter()
                .map(|id| types::FileId(id.into()))
                .collect(),
            directories: numbers("dirid").unwrap_or_default().into_iter().map(PathId).collect(),
            hard_links: links
                .chunks_exact(2)
                .map(|pair| (JobId(pair[0]), types::FileIndex(i32::try_from(pair[1]).unwrap_or(0))))
                .collect(),
            jobs: numbers("jobid").unwrap_or_default().into_iter().map(JobId).collect(),
        };
        let Some(name) = args.get("path").map(str::to_owned) else {
            return self.ua.fail("Can't find path argument\n").await;
        };
        self.write(move |tx| query::keep_selection(tx, &name, &picked)).await?;
        self.ua.send("OK\n").await
    }

    async fn bvfs_decode(&mut self, args: &Args) -> Done {
        let Some(stat) = args.get("lstat").and_then(|text| EncodedStat::decode(text.as_bytes()).ok()) else {
            return self.ua.fail("Can't find lstat argument\n").await;
        };
        let text = format!(
            "st_nlink={}\nst_mode={}\nperm={}\nst_uid={}\nst_gid={}\nst_size={}\nst_blocks={}\nst_ino={}\nst_ctime={}\n\
             st_mtime={}\nst_atime={}\nst_dev={}\nLinkFI={}\n",
            stat.nlink,
            stat.mode,
            super::tree_shell::mode_text(stat.mode),
            stat.uid,
            stat.gid,
            stat.size,
            stat.blocks,
            stat.ino,
            stat.ctime,
            stat.mtime,
            stat.atime,
            stat.dev,
            stat.link_fi
        );
        self.ua.send(text).await
    }
}

fn page(args: &Args) -> (u32, u32) {
    let number = |key: &str, default| args.get(key).and_then(|n| n.parse().ok()).unwrap_or(default);
    (number("limit", ROWS), number("offset", 0))
}
