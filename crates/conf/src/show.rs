//! Resources as the console's `show` prints them; scripts match the layout, misspellings included.
//!
//! Recorded from Bacula 9.6.7: `fixtures/show.txt`. What only a running Director knows comes in as [`Live`].

mod job;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::DirectorConfig;
use crate::director::{
    ActionOnPurge, Catalog, Changer, Client, Console, Counter, Director, LabelType, Pool, Storage,
};
use crate::fileset::{FileSet, FileSetBlock, Include, Options};
use crate::messages::Messages;
use crate::schedule::{RunLine, Schedule};
use crate::table::ResourceKind;
use crate::units::format_time;
use crate::value::level_word;

/// What a running Director adds to its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// Catalog keys of Storages by name; 0 when absent.
    pub storage_ids: BTreeMap<String, u32>,
    /// Running jobs of Jobs, Clients and Storages by name; 0 when absent.
    pub running: BTreeMap<(ResourceKind, String), u32>,
    /// Name of the database behind the catalogs: `SQLite3`.
    pub catalog_driver: String,
}

/// The keywords of `show` with the resources that they print, in the order of `show all`.
const KEYWORDS: &[(&str, ResourceKind)] = &[
    ("directors", ResourceKind::Director),
    ("clients", ResourceKind::Client),
    ("counters", ResourceKind::Counter),
    ("devices", ResourceKind::Device),
    ("jobs", ResourceKind::Job),
    ("storages", ResourceKind::Storage),
    ("catalogs", ResourceKind::Catalog),
    ("schedules", ResourceKind::Schedule),
    ("filesets", ResourceKind::FileSet),
    ("pools", ResourceKind::Pool),
    ("messages", ResourceKind::Messages),
    ("statistics", ResourceKind::Statistics),
];

/// The kind of resource that a keyword of `show` means: `pools`, `pool`, `consoles` …
#[must_use]
pub fn keyword(word: &str) -> Option<ResourceKind> {
    let lower = word.to_ascii_lowercase();
    let plain = |word: &str| word.trim_end_matches('s').to_owned();
    KEYWORDS.iter().find(|(k, _)| *k == lower || plain(k) == lower).map(|(_, kind)| *kind)
}

/// Text of `show help`.
#[must_use]
pub fn help() -> String {
    let mut out = "Keywords for the show command are:\n".to_owned();
    for (word, _) in KEYWORDS {
        let _ = writeln!(out, "{word}");
    }
    out.push_str("all\nhelp\n");
    out
}

/// Prints resources of one configuration.
#[derive(Debug, Clone, Copy)]
pub struct Show<'a> {
    config: &'a DirectorConfig,
    live: &'a Live,
}

impl<'a> Show<'a> {
    /// A printer.
    #[must_use]
    pub const fn new(config: &'a DirectorConfig, live: &'a Live) -> Self {
        Self { config, live }
    }

    /// All resources of a kind, or the one of a name; `None` when there is none.
    #[must_use]
    pub fn kind(&self, kind: ResourceKind, name: Option<&str>) -> Option<String> {
        let wanted = |resource: &str| name.is_none_or(|name| name == resource);
        let c = self.config;
        let text: String = match kind {
            ResourceKind::Director if wanted(&c.director.name) => self.director(&c.director, ""),
            ResourceKind::Client => join(&c.clients, |r| wanted(&r.name), |r| self.client(r, "")),
            ResourceKind::Counter => join(&c.counters, |r| wanted(&r.name), |r| self.counter(r, "")),
            ResourceKind::Job => join(&c.jobs, |r| wanted(&r.name), |r| self.job(r)),
            ResourceKind::Storage | ResourceKind::Autochanger => {
                join(&c.storages, |r| wanted(&r.name), |r| self.storage(r, ""))
            }
            ResourceKind::Catalog => join(&c.catalogs, |r| wanted(&r.name), |r| self.catalog(r, "")),
            ResourceKind::Schedule => join(&c.schedules, |r| wanted(&r.name), |r| self.schedule(r, "")),
            ResourceKind::FileSet => join(&c.filesets, |r| wanted(&r.name), |r| self.fileset(r, "")),
            ResourceKind::Pool => join(&c.pools, |r| wanted(&r.name), |r| self.pool(r, "")),
            ResourceKind::Messages => join(&c.messages, |r| wanted(&r.name), |r| self.messages(r, "")),
            ResourceKind::Console => join(&c.consoles, |r| wanted(&r.name), |r| self.console(r)),
            ResourceKind::Statistics => {
                join(&c.statistics, |r| wanted(&r.name), |r| format!("Statistics: name={}\n", r.name))
            }
            ResourceKind::Director
            | ResourceKind::Device
            | ResourceKind::JobDefs
            | ResourceKind::Cloud
            | ResourceKind::Cluster
            | ResourceKind::Instance
            | ResourceKind::FenceDevice
            | ResourceKind::Topology
            | ResourceKind::DataCentre
            | ResourceKind::Node
            | ResourceKind::Quorum
            | ResourceKind::Domain
            | ResourceKind::ReplicatedDevice
            | ResourceKind::Block => String::new(),
        };
        (!text.is_empty()).then_some(text)
    }

    /// `show all`.
    #[must_use]
    pub fn all(&self) -> String {
        KEYWORDS.iter().filter_map(|(_, kind)| self.kind(*kind, None)).collect()
    }

    fn running(&self, kind: ResourceKind, name: &str) -> u32 {
        self.live.running.get(&(kind, name.to_owned())).copied().unwrap_or(0)
    }

    fn director(&self, d: &Director, lead: &str) -> String {
        let mut out = format!(
            "{lead}Director: name={} MaxJobs={} FDtimeout={} SDtimeout={}\n   query_file={}\n",
            d.name,
            d.maximum_concurrent_jobs,
            d.fd_connect_timeout.as_secs(),
            d.sd_connect_timeout.as_secs(),
            d.query_file
        );
        if let Some(messages) = self.config.daemon_messages() {
            out.push_str(&self.messages(messages, ARROW));
        }
        out
    }

    fn client(&self, c: &Client, lead: &str) -> String {
        let mut out = format!(
            "{lead}Client: Name={} Enabled={} Address={} FDport={} MaxJobs={} NumJobs={}\n      \
             JobRetention={} FileRetention={} AutoPrune={}\n",
            c.name,
            u8::from(c.enabled),
            or_none(c.address.as_deref()),
            c.fd_port,
            c.maximum_concurrent_jobs,
            self.running(ResourceKind::Client, &c.name),
            format_time(c.job_retention),
            format_time(c.file_retention),
            u8::from(c.auto_prune)
        );
        if let Some(catalog) = self.config.catalog(&c.catalog) {
            out.push_str(&self.catalog(catalog, ARROW));
        }
        out
    }

    fn catalog(&self, c: &Catalog, lead: &str) -> String {
        format!(
            "{lead}Catalog: name={} address={} DBport={} db_name={}\n      db_driver={} db_user={} MutliDBConn={}\n",
            c.name,
            or_none(c.db_address.as_deref()),
            c.db_port,
            c.db_name,
            c.db_driver.as_deref().unwrap_or(&self.live.catalog_driver),
            or_none(c.db_user.as_deref()),
            u8::from(c.multiple_connections)
        )
    }

    fn storage(&self, s: &Storage, lead: &str) -> String {
        let id = self.live.storage_ids.get(&s.name).copied().unwrap_or(0);
        let word = if lead.is_empty() && s.is_autochanger() { "Autochanger" } else { "Storage" };
        let mut out = format!(
            "{lead}{word}: name={} address={} SDport={} MaxJobs={} NumJobs={}\n      \
             DeviceName={} MediaType={} StorageId={id} Autochanger={}\n",
            s.name,
            s.address,
            s.sd_port,
            s.maximum_concurrent_jobs,
            self.running(ResourceKind::Storage, &s.name),
            s.device.join(","),
            s.media_type,
            u8::from(s.is_autochanger())
        );
        if s.is_autochanger() {
            let group = match &s.autochanger {
                Changer::Of(name) => self.live.storage_ids.get(name).copied().unwrap_or(0),
                Changer::Yes | Changer::No => id,
            };
            let shared = match &s.shared_storage {
                Changer::Of(name) => name,
                Changer::Yes => &s.name,
                Changer::No => "*none*",
            };
            let _ = writeln!(out, "      AC group={group} ShareStore={shared}");
        }
        out
    }

    fn pool(&self, p: &Pool, lead: &str) -> String {
        let label_type = match p.label_type {
            None | Some(LabelType::Bacula) => 0,
            Some(LabelType::Ansi) => 1,
            Some(LabelType::Ibm) => 2,
        };
        let action = match p.action_on_purge {
            None => 0,
            Some(ActionOnPurge::Truncate) => 1,
        };
        let mut out = format!("{lead}Pool: name={} PoolType={}\n", p.name, p.pool_type);
        let lines = [
            format!(
                "use_cat={} use_once={} cat_files={}",
                u8::from(p.use_catalog),
                u8::from(p.use_volume_once),
                u8::from(p.catalog_files)
            ),
            format!(
                "max_vols={} auto_prune={} VolRetention={}",
                p.maximum_volumes,
                u8::from(p.auto_prune),
                format_time(p.volume_retention)
            ),
            format!(
                "VolUse={} recycle={} LabelFormat={}",
                format_time(p.volume_use_duration),
                u8::from(p.recycle),
                or_none(p.label_format.as_deref())
            ),
            format!("CleaningPrefix={} LabelType={label_type}", or_none(p.cleaning_prefix.as_deref())),
            // Sic: "Recyle" is what every version prints.
            format!(
                "RecyleOldest={} PurgeOldest={} ActionOnPurge={action}",
                u8::from(p.recycle_oldest_volume),
                u8::from(p.purge_oldest_volume)
            ),
            format!(
                "MaxVolJobs={} MaxVolFiles={} MaxVolBytes={}",
                p.maximum_volume_jobs, p.maximum_volume_files, p.maximum_volume_bytes
            ),
            format!(
                "MigTime={} MigHiBytes={} MigLoBytes={}",
                format_time(p.migration_time),
                p.migration_high_bytes,
                p.migration_low_bytes
            ),
            format!("CacheRetention={}", format_time(p.cache_retention)),
            format!(
                "JobRetention={} FileRetention={}",
                format_time(p.job_retention),
                format_time(p.file_retention)
            ),
        ];
        lines.iter().for_each(|line| indented(&mut out, line));
        let references = [
            ("NextPool", &p.next_pool),
            ("RecyclePool", &p.recycle_pool),
            ("ScratchPool", &p.scratch_pool),
            ("Catalog", &p.catalog),
        ];
        for (word, name) in references.into_iter().filter_map(|(word, name)| Some((word, name.as_ref()?))) {
            indented(&mut out, &format!("{word}={name}"));
        }
        for storage in p.storage.iter().filter_map(|name| self.config.storage(name)) {
            out.push_str(&self.storage(storage, ARROW));
        }
        out
    }

    fn fileset(&self, f: &FileSet, lead: &str) -> String {
        let mut out = format!(
            "{lead}FileSet: name={} IgnoreFileSetChanges={}\n",
            f.name,
            u8::from(f.ignore_fileset_changes)
        );
        // Includes first, whatever the order written: that is how they are sent, too.
        f.includes().for_each(|include| include_lines(&mut out, include));
        for files in f.blocks.iter().filter_map(|b| match b {
            FileSetBlock::Exclude(files) => Some(files),
            FileSetBlock::Include(_) => None,
        }) {
            byte_lines(&mut out, "E", files);
            indented(&mut out, "N");
        }
        out
    }

    fn schedule(&self, s: &Schedule, lead: &str) -> String {
        let mut out = format!("{lead}Schedule: Name={} Enabled={}\n", s.name, u8::from(s.enabled));
        s.runs.iter().for_each(|run| self.run_lines(&mut out, run));
        out
    }

    fn run_lines(&self, out: &mut String, run: &RunLine) {
        let _ = writeln!(out, "  --> Run Level={}", run.level.map_or("", level_word));
        if let Some(time) = run.max_run_sched_time {
            let _ = writeln!(out, "      MaxRunSchedTime={}", time.as_secs());
        }
        if let Some(priority) = run.priority {
            let _ = writeln!(out, "      Priority={priority}");
        }
        let flags = [
            ("SpoolData", run.spool_data),
            ("WritePartAfterJob", run.write_part_after_job),
            ("Accurate", run.accurate),
        ];
        for (word, flag) in flags.into_iter().filter_map(|(word, flag)| Some((word, flag?))) {
            let _ = writeln!(out, "      {word}={}", u8::from(flag));
        }
        let when = &run.when;
        // Position 31 stands for the last day of the month.
        let days = u64::from(when.days) | (u64::from(when.last_day) << 31);
        for (word, set) in [
            ("hour", u64::from(when.hours)),
            ("mday", days),
            ("month", u64::from(when.months)),
            ("wday", u64::from(when.weekdays)),
            ("wom", u64::from(when.weeks_of_month)),
            ("woy", when.weeks_of_year),
        ] {
            let positions = (0..64).filter(|p| set & (1 << p) != 0);
            let list: String = positions.map(|p| format!("{p} ")).collect();
            let _ = writeln!(out, "      {word}={list}");
        }
        let _ = writeln!(out, "      mins={}", when.minute);
        const NESTED: &str = "     --> ";
        for pool in [&run.pool, &run.next_pool, &run.full_pool, &run.incremental_pool, &run.differential_pool]
        {
            if let Some(pool) = pool.as_ref().and_then(|name| self.config.pool(name)) {
                out.push_str(&self.pool(pool, NESTED));
            }
        }
        if let Some(storage) = run.storage.as_ref().and_then(|name| self.config.storage(name)) {
            out.push_str(&self.storage(storage, NESTED));
        }
        if let Some(messages) = run.messages.as_ref().and_then(|name| self.config.messages_named(name)) {
            out.push_str(&self.messages(messages, NESTED));
        }
    }

    fn messages(&self, m: &Messages, lead: &str) -> String {
        let mut out = format!("{lead}Messages: name={}\n", m.name);
        for (word, command) in [("mailcmd", &m.mail_command), ("opcmd", &m.operator_command)] {
            if let Some(command) = command {
                indented(&mut out, &format!("{word}={command}"));
            }
        }
        out
    }

    fn counter(&self, c: &Counter, lead: &str) -> String {
        let mut out = format!("{lead}Counter: name={} min={} max={}\n", c.name, c.minimum, c.maximum);
        if let Some(catalog) = c.catalog.as_ref().and_then(|name| self.config.catalog(name)) {
            out.push_str(&self.catalog(catalog, ARROW));
        }
        if let Some(wrap) = &c.wrap_counter {
            let _ = writeln!(out, "  --> WrapCounter={wrap}");
        }
        out
    }

    fn console(&self, c: &Console) -> String {
        format!("Console: name={} SSL={}\n", c.name, u8::from(c.tls.enable))
    }
}

/// What stands before a resource that is printed inside another one.
const ARROW: &str = "  --> ";

fn join<T>(list: &[T], wanted: impl Fn(&T) -> bool, print: impl Fn(&T) -> String) -> String {
    list.iter().filter(|r| wanted(r)).map(print).collect()
}

fn or_none(text: Option<&str>) -> &str {
    text.unwrap_or("*None*")
}

fn indented(out: &mut String, line: &str) {
    let _ = writeln!(out, "      {line}");
}

fn byte_lines(out: &mut String, code: &str, list: &[Vec<u8>]) {
    for item in list {
        indented(out, &format!("{code} {}", String::from_utf8_lossy(item)));
    }
}

fn include_lines(out: &mut String, include: &Include) {
    for options in &include.options {
        indented(out, &format!("O {}", options.letters(true)));
        pattern_lines(out, options);
        indented(out, "N");
    }
    if let Some(name) = &include.exclude_dir_containing {
        byte_lines(out, "Z", std::slice::from_ref(name));
    }
    if !include.files.is_empty() {
        byte_lines(out, "I", &include.files);
        indented(out, "N");
    }
    if !include.plugins.is_empty() {
        byte_lines(out, "P", &include.plugins);
        indented(out, "N");
    }
}

fn pattern_lines(out: &mut String, options: &Options) {
    for (code, list) in [
        ("R", &options.regex),
        ("RD", &options.regex_dir),
        ("RF", &options.regex_file),
        ("W", &options.wild),
        ("WD", &options.wild_dir),
        ("WF", &options.wild_file),
        ("WB", &options.wild_base),
        ("B", &options.base),
        ("X", &options.fs_type),
        ("XD", &options.drive_type),
    ] {
        byte_lines(out, code, list);
    }
    if let Some(plugin) = &options.plugin {
        byte_lines(out, "G", std::slice::from_ref(plugin));
    }
}
