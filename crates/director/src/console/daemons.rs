//! Commands that a Storage or File Daemon carries out: their answers are shown as they come.

use conf::director::{Client, Storage};
use types::bash_spaces;

use crate::peer::{ClientConn, StorageConn};

use super::args::Args;
use super::fmt::{parse_speed, with_suffix};
use super::select::Pick;
use super::session::Session;
use super::ua::Done;

impl Session {
    pub(super) fn storage_resource(&self, name: &str) -> Option<Storage> {
        self.core.config().storage(name).cloned()
    }

    pub(super) fn client_resource(&self, name: &str) -> Option<Client> {
        self.core.config().client(name).cloned()
    }

    /// Connects to a Storage, saying so; `None` when it cannot be reached (the user was told).
    ///
    /// `dots`: commands on Volumes end the line with ` ...`, status does not.
    pub(super) async fn open_storage(&mut self, name: &str, dots: bool) -> Done<Option<StorageConn>> {
        let Some(storage) = self.storage_resource(name) else {
            self.ua.error(format!("Error: Storage resource \"{name}\" does not exist.\n")).await?;
            return Ok(None);
        };
        let end = if dots { " ..." } else { "" };
        let (address, port) = (&storage.address, storage.sd_port);
        self.ua.send(format!("Connecting to Storage daemon {name} at {address}:{port}{end}\n")).await?;
        let core = self.core.clone();
        // A Storage that does not serve may be looked at, and not used.
        let opened = if dots { core.connect_storage(name) } else { core.visit_storage(name) };
        match self.ua.unless_gone(None, opened).await? {
            Some(Ok(conn)) => Ok(Some(conn)),
            Some(Err(error)) => {
                tracing::info!(storage = name, %error, "console command cannot reach its Storage");
                let problem = super::db::chain(&error);
                self.ua.error(format!("\nFailed to connect to Storage {name}.\n{problem}\n====\n")).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Connects to a client, saying so; `None` when it cannot be reached (the user was told).
    pub(super) async fn open_client(&mut self, name: &str) -> Done<Option<ClientConn>> {
        let Some(client) = self.client_resource(name) else {
            self.ua.error(format!("Error: Client resource \"{name}\" does not exist.\n")).await?;
            return Ok(None);
        };
        let (address, port) = (client.address.as_deref().unwrap_or(""), client.fd_port);
        self.ua.send(format!("Connecting to Client {name} at {address}:{port}\n")).await?;
        let core = self.core.clone();
        match self.ua.unless_gone(None, core.connect_client(name)).await? {
            Some(Ok(conn)) => Ok(Some(conn)),
            Some(Err(error)) => {
                tracing::info!(client = name, %error, "console command cannot reach its client");
                self.ua.send(format!("Failed to connect to Client {name}.\n====\n")).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Shows the lines of an answer, or why there is none.
    pub(super) async fn relay(&mut self, answer: Result<Vec<String>, crate::DirectorError>) -> Done {
        match answer {
            Ok(lines) => {
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                self.ua.send(text).await
            }
            Err(error) => self.ua.error(format!("{}\n", super::db::chain(&error))).await,
        }
    }

    /// Sends one command to a Storage and shows the answer.
    pub(super) async fn storage_command(&mut self, name: &str, line: &str) -> Done {
        let Some(mut conn) = self.open_storage(name, true).await? else { return Ok(()) };
        let answer = conn.command(line).await;
        self.relay(answer).await?;
        conn.terminate().await;
        Ok(())
    }

    /// `mount`, `unmount`, `release`, and `enable`/`disable` of a Storage's device.
    pub(super) async fn mount(&mut self, args: &Args, verb: &str) -> Done {
        let Some(storage) = self.storage_of_job(args).await? else { return Ok(()) };
        let Some(resource) = self.storage_resource(&storage) else { return Ok(()) };
        let device = args.get("device").map_or_else(|| first_device(&resource), str::to_owned);
        let drive = self.drive(args, &resource).await?;
        let Some(drive) = drive else { return Ok(()) };
        let slot = args.get("slot").and_then(|s| s.parse::<i32>().ok()).unwrap_or(-1);
        let line = format!("{verb} {} drive={drive} slot={slot}\n", bash_spaces(&device));
        self.storage_command(&storage, &line).await
    }

    /// The Storage that is meant: by name, by the job that uses it, else chosen.
    async fn storage_of_job(&mut self, args: &Args) -> Done<Option<String>> {
        let jobs = self.core.jobs();
        let by_id = args.get("jobid").and_then(|id| id.parse::<types::JobId>().ok());
        let by_name = args.get("job");
        if by_id.is_some() || by_name.is_some() {
            let job = jobs.iter().find(|job| Some(job.job_id) == by_id || Some(job.name.as_str()) == by_name);
            return match job.and_then(|job| job.storages.first()) {
                Some(storage) => Ok(Some(storage.clone())),
                None => {
                    self.ua.error("The job is not running.\n").await?;
                    Ok(None)
                }
            };
        }
        self.pick(Pick::Storage, args, &["storage", "store"]).await.map(Some)
    }

    /// The drive of an autochanger: given, or asked for; −1 for other devices.
    pub(super) async fn drive(&mut self, args: &Args, storage: &Storage) -> Done<Option<i64>> {
        if let Some(drive) = args.get("drive").and_then(|d| d.parse().ok()) {
            return Ok(Some(drive));
        }
        if !storage.is_autochanger() || args.has("yes") {
            return Ok(Some(-1));
        }
        let Some(answer) = self.ua.ask("Enter autochanger drive[0]: ").await? else { return Ok(None) };
        Ok(Some(answer.parse().unwrap_or(0)))
    }

    pub(super) async fn setdebug(&mut self, args: &Args) -> Done {
        let level = match args.get("level").and_then(|l| l.parse::<i64>().ok()) {
            Some(level) => level,
            None => match self.ua.ask_number("Enter new debug level: ").await? {
                Some(level) => i64::try_from(level).unwrap_or(i64::MAX),
                None => return Ok(()),
            },
        };
        let number = |key: &str, default: i64| args.get(key).and_then(|v| v.parse().ok()).unwrap_or(default);
        let (trace, hangup, blowup) = (number("trace", -1), number("hangup", 0), number("blowup", 0));
        let (options, tags) = (args.get("options").unwrap_or(""), args.get("tags").unwrap_or(""));
        let line = format!(
            "setdebug={level} trace={trace} hangup={hangup} blowup={blowup} options={options} tags={tags}\n"
        );
        for target in self.daemons(args, "Select daemon type to set debug level").await? {
            match target {
                Daemon::Director => {
                    tracing::info!(level, "setdebug: the level of the Director's log is set by RUST_LOG");
                }

                Daemon::Client(name) => {
                    let Some(mut conn) = self.open_client(&name).await? else { continue };
                    let answer = conn.lines(vec![line.clone()]).await;
                    self.relay(answer.map(|said| vec![said])).await?;
                    conn.terminate().await;
                }
                Daemon::Storage(name) => {
                    let Some(mut conn) = self.open_storage(&name, false).await? else { continue };
                    let answer = conn.line(line.clone()).await;
                    self.relay(answer.map(|said| vec![said])).await?;
                    conn.terminate().await;
                }
            }
        }
        Ok(())
    }

    /// The daemons that the arguments mean, or one kind chosen from a list.
    async fn daemons(&mut self, args: &Args, question: &str) -> Done<Vec<Daemon>> {
        if args.has("all") {
            return Ok(self.all_daemons());
        }
        if args.has("dir") || args.has("director") {
            return Ok(vec![Daemon::Director]);
        }
        if args.has("client") || args.has("fd") {
            return Ok(vec![Daemon::Client(self.pick(Pick::Client, args, &["client", "fd"]).await?)]);
        }
        if args.has("storage") || args.has("store") {
            return Ok(vec![Daemon::Storage(self.pick(Pick::Storage, args, &["storage", "store"]).await?)]);
        }
        let items = ["Director", "Storage", "Client", "All"].map(str::to_owned);
        Ok(match self.ua.choose("Available daemons are: ", question, &items).await? {
            0 => vec![Daemon::Director],
            1 => vec![Daemon::Storage(self.pick_from_list(Pick::Storage).await?)],
            2 => vec![Daemon::Client(self.pick_from_list(Pick::Client).await?)],
            _ => self.all_daemons(),
        })
    }

    fn all_daemons(&self) -> Vec<Daemon> {
        let mut all = vec![Daemon::Director];
        all.extend(self.visible(Pick::Storage).into_iter().map(Daemon::Storage));
        all.extend(self.visible(Pick::Client).into_iter().map(Daemon::Client));
        all
    }

    pub(super) async fn setbandwidth(&mut self, args: &Args) -> Done {
        let limit = match args.get_any(&["limit", "speed"]) {
            Some(limit) => limit.to_owned(),
            None => match self.ua.ask("Enter new bandwidth limit: ").await? {
                Some(limit) => limit,
                None => return Ok(()),
            },
        };
        let Some(bytes) = parse_speed(&limit) else {
            return self.ua.fail(format!("Invalid value: {limit} is no speed, such as 1mb/s.\n")).await;
        };
        let by_id = args.get("jobid").and_then(|id| id.parse::<types::JobId>().ok());
        let by_name = args.get("job").map(str::to_owned);
        let by_unique = args.get("ujobid").map(str::to_owned);
        let jobs = self.core.jobs();
        let job = jobs.into_iter().find(|job| {
            Some(job.job_id) == by_id
                || by_name.as_deref() == Some(job.name.as_str())
                || by_unique.as_deref() == Some(job.job.as_str())
        });
        if (by_id.is_some() || by_name.is_some() || by_unique.is_some()) && job.is_none() {
            return self.ua.fail("The job is not running.\n").await;
        }
        let (client, unique) = match job {
            Some(job) => (job.client, job.job),
            None => (self.pick(Pick::Client, args, &["client"]).await?, "*".to_owned()),
        };
        let target = if unique == "*" { String::new() } else { unique };
        let Some(mut conn) = self.open_client(&client).await? else { return Ok(()) };
        let answer = conn.lines(vec![format!("setbandwidth={bytes} Job={target}\n")]).await;
        conn.terminate().await;
        if let Err(error) = answer {
            return self.ua.fail(format!("{}\n", super::db::chain(&error))).await;
        }
        let on =
            if target.is_empty() { "running and future jobs".to_owned() } else { format!("Job {target}") };
        self.ua.send(format!("2000 OK Limiting bandwidth to {}B/s on {on}\n", with_suffix(bytes))).await
    }
}

/// A daemon that a command goes to.
enum Daemon {
    Director,
    Client(String),
    Storage(String),
}

/// First device of a Storage resource.
pub(super) fn first_device(storage: &Storage) -> String {
    storage.device.first().cloned().unwrap_or_default()
}
