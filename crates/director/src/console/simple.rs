//! Small commands: switches, `version`, `use`, `reload`, `show`, `enable`, `disable`, `statistics`.

use types::Timestamp;

use super::args::Args;
use super::core::Switch;
use super::fmt::commas;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Ua};

/// Version that the Director tells consoles, that of its greeting; scripts and Bacula's console look at it (spec/04 §8.1).
pub(super) fn version() -> String {
    format!("{} ({})", wire::version::BACULA_LEVEL, wire::version::BACULA_LEVEL_DATE)
}

/// System and distribution, as in the greeting of `version` and the status header.
pub(super) fn platform() -> String {
    format!("{}-pc-linux-gnu holdfast {}", std::env::consts::ARCH, env!("CARGO_PKG_VERSION"))
}

impl Session {
    pub(super) async fn set_switch(&mut self, args: &Args, set: impl FnOnce(&mut Ua, bool)) -> Done {
        let word = args.words().first().map(|w| w.key.clone());
        let word = match word {
            Some(word) => word,
            None => match self.ua.ask("ON or OFF? ").await? {
                Some(word) => word,
                None => return Ok(()),
            },
        };
        match super::args::yes_no(&word) {
            Some(on) => {
                set(&mut self.ua, on);
                Ok(())
            }
            None => self.ua.fail(format!("Expected on or off, got: {word}\n")).await,
        }
    }

    pub(super) async fn version(&mut self) -> Done {
        let config = self.core.config();
        self.ua.send(format!("{} Version: {} {} \n", config.director.name, version(), platform())).await
    }

    pub(super) async fn use_command(&mut self, args: &Args) -> Done {
        let config = self.core.config();
        let wanted = args.get("catalog").or_else(|| args.words().first().map(|w| w.key.as_str()));
        let known = match wanted {
            Some(name) if !name.is_empty() && name != "catalog" => config.catalog(name),
            Some(_) | None => config.catalogs.first(),
        };
        let Some(catalog) = known else {
            return self.ua.fail(format!("Catalog \"{}\" not found.\n", wanted.unwrap_or(""))).await;
        };
        self.use_catalog(wanted.is_none()).await?;
        self.ua.send(format!("Using Catalog name={} DB={}\n", catalog.name, catalog.db_name)).await
    }

    /// `reload [check]`: what is different goes to the console; `check` takes nothing.
    pub(super) async fn reload(&mut self, args: &Args) -> Done {
        let core = self.core.clone();
        let only_check = args.has("check");
        match core.reload(only_check).await {
            Ok(changes) => {
                for line in &changes {
                    self.ua.send(format!("{line}\n")).await?;
                }
                let end = match (only_check, changes.is_empty()) {
                    (true, true) => "The configuration is right; nothing would change.\n",
                    (true, false) => "The configuration is right; nothing was changed yet.\n",
                    (false, true) => "Configuration reloaded; nothing is different.\n",
                    (false, false) => "Configuration reloaded.\n",
                };
                self.ua.send(end.to_owned()).await
            }
            Err(error) => self.ua.fail(format!("{error}\n")).await,
        }
    }

    pub(super) async fn enable(&mut self, args: &Args, on: bool) -> Done {
        if args.has("storage") {
            return self.mount(args, if on { "enable" } else { "disable" }).await;
        }
        let (switch, pick, word) = if args.has("client") {
            (Switch::Client, Pick::Client, "Client")
        } else if args.has("schedule") {
            (Switch::Schedule, Pick::Schedule, "Schedule")
        } else {
            (Switch::Job, Pick::Job, "Job")
        };
        let name = self.pick(pick, args, &[switch.word(), "jobname"]).await?;
        let (kind, key) = (switch.word(), name.clone());
        let stored = self
            .write(move |tx| {
                let setting = catalog::operator::Setting {
                    kind: kind.to_owned(),
                    name: key.clone(),
                    value: if on { "enabled" } else { "disabled" }.to_owned(),
                };
                catalog::operator::set(tx, &setting, Timestamp(now()))
            })
            .await;
        stored?;
        self.core.notify_schedule();
        self.ua.send(format!("{word} \"{name}\" {}\n", if on { "enabled" } else { "disabled" })).await
    }

    /// Names that an operator has switched off.
    pub(super) async fn disabled(&mut self, switch: Switch) -> Done<Vec<String>> {
        let director = self.core.config().director.name.clone();
        let settings = self.read(move |r| catalog::operator::list(r, &director)).await?;
        let of_kind = settings.into_iter().filter(|s| s.kind == switch.word() && s.value == "disabled");
        Ok(of_kind.map(|s| s.name).collect())
    }

    pub(super) async fn show(&mut self, args: &Args) -> Done {
        let Some(word) = args.words().first() else {
            return self.ua.send("Keywords for the show command are:\ndirectors\nclients\ncounters\njobs\nstorages\ncatalogs\nschedules\nfilesets\npools\nmessages\nconsoles\ndisabled\nall\nhelp\n").await;
        };
        let (key, name) = (word.key.to_ascii_lowercase(), word.value.clone());
        if key == "disabled" {
            return self.show_disabled().await;
        }
        let config = self.core.config();
        let text = super::show::render(&config, &key, name.as_deref(), &self.acl);
        match text {
            Some(text) => self.ua.send(text).await,
            None => {
                let what = name.map_or(key.clone(), |name| format!("{key}={name}"));
                self.ua.fail(format!("Resource {what} not found.\n")).await
            }
        }
    }

    async fn show_disabled(&mut self) -> Done {
        for (switch, title) in [
            (Switch::Job, "Disabled Jobs:"),
            (Switch::Client, "Disabled Clients:"),
            (Switch::Schedule, "Disabled Scheduled:"),
        ] {
            let names = self.disabled(switch).await?;
            if !names.is_empty() {
                let list: String = names.iter().map(|name| format!("   {name}\n")).collect();
                self.ua.send(format!("{title}\n{list}")).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn statistics(&mut self, args: &Args) -> Done {
        if args.has("client") || args.has("storage") {
            return self
                .ua
                .fail("statistics of clients and storages are not available here; ask the Director's own.\n")
                .await;
        }
        let config = self.core.config();
        let counts = self.read(|r| catalog::listing::free(r, STATISTICS_SQL)).await?;
        let living = self.core.jobs().len();
        let mut lines = vec![
            ("dir.config.clients", config.clients.len().to_string()),
            ("dir.config.jobs", config.jobs.len().to_string()),
            ("dir.config.filesets", config.filesets.len().to_string()),
            ("dir.config.pools", config.pools.len().to_string()),
            ("dir.config.schedules", config.schedules.len().to_string()),
            ("dir.config.storages", config.storages.len().to_string()),
            ("jobs.running.all", living.to_string()),
        ];
        let values = counts.rows.into_iter().next().unwrap_or_default();
        for (name, value) in STATISTICS_NAMES.iter().zip(values) {
            lines.push((name, value.unwrap_or_else(|| "0".to_owned())));
        }
        let wanted = args.words().iter().map(|w| w.key.as_str()).find(|w| w.contains('.'));
        let text: String = lines
            .iter()
            .map(|(name, value)| format!("bacula.{name}={value}\n"))
            .filter(|line| wanted.is_none_or(|w| line.contains(w)))
            .collect();
        self.ua.send(text).await
    }

    /// What `status` says of the daemon's memory: its resident size, in Bacula's place for the heap.
    pub(super) fn heap_line() -> String {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let resident = pages.split(' ').nth(1).and_then(|p| p.parse::<u64>().ok()).unwrap_or(0) * 4096;
        let bytes = commas(resident);
        format!(" Heap: heap={bytes} smbytes={bytes} max_bytes={bytes} bufs=0 max_bufs=0\n")
    }
}

const STATISTICS_NAMES: [&str; 13] = [
    "jobs.all",
    "jobs.success.all",
    "jobs.error.all",
    "jobs.warning.all",
    "jobs.files",
    "jobs.bytes",
    "volumes.all",
    "volumes.available",
    "volumes.bytes",
    "volumes.errors.all",
    "volumes.full.all",
    "volumes.used.all",
    "volumes.purged.all",
];

const STATISTICS_SQL: &str = "SELECT (SELECT count(*) FROM Job), (SELECT count(*) FROM Job WHERE JobStatus = 'T'), \
    (SELECT count(*) FROM Job WHERE JobStatus IN ('E', 'f', 'A', 'e')), (SELECT count(*) FROM Job WHERE JobStatus = 'W'), \
    (SELECT COALESCE(SUM(JobFiles), 0) FROM Job), (SELECT COALESCE(SUM(JobBytes), 0) FROM Job), (SELECT count(*) FROM Media), \
    (SELECT count(*) FROM Media WHERE VolStatus IN ('Append', 'Recycle', 'Purged')), \
    (SELECT COALESCE(SUM(VolBytes), 0) FROM Media), (SELECT count(*) FROM Media WHERE VolStatus = 'Error'), \
    (SELECT count(*) FROM Media WHERE VolStatus = 'Full'), (SELECT count(*) FROM Media WHERE VolStatus = 'Used'), \
    (SELECT count(*) FROM Media WHERE VolStatus = 'Purged')";
