//! What instances say of themselves, and the table made of it.

use super::line::Line;
use super::pairs::{self, Pair};
use super::seat::{Role, Seat};
use crate::configuration::short;
use crate::console::{Kind, Table, iso_time};
use crate::handle::Director;
use conf::director::Instance;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long an instance may take to say how it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// One instance, as `.instance` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Its name.
    pub(crate) instance: String,
    /// `active`, `standby`, `held back` (a standby that an operator, or its configuration, keeps from becoming active) or `unreachable`.
    pub(crate) role: String,
    /// The epoch it is active in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) epoch: Option<u64>,
    /// Milliseconds of lease that it has left; none where leadership has no time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lease_left_ms: Option<u64>,
    /// Who is active, as this one sees it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) holder: Option<String>,
    /// Version of its program.
    #[serde(default)]
    pub(crate) version: String,
    /// Jobs queued or running.
    #[serde(default)]
    pub(crate) jobs: usize,
    /// When the process started, Unix seconds.
    #[serde(default)]
    pub(crate) started: i64,
    /// When its role changed last, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) changed: Option<i64>,
    /// What it became then, and why; or why it is unreachable. What is odd about its configuration stands behind.
    #[serde(default)]
    pub(crate) note: String,
    /// Whether it switches the former active instance off before it follows it, and why; none where leadership is the lock of a host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) fence: Option<String>,
    /// Why the active one prunes, recycles and overwrites nothing now: the catalog is being reconciled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) held: Option<String>,
    /// Hash of its configuration, 64 hex digits; empty when it is not known.
    #[serde(default)]
    pub(crate) config: String,
    /// Whether that is not the active instance's.
    #[serde(default)]
    pub(crate) config_differs: bool,
    /// Files of it that have been edited and not loaded.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) config_edited: Vec<String>,
    /// Why the active instance's configuration was not taken over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) config_refused: Option<String>,
    /// Why it does not become active with the configuration that it has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) config_held_back: Option<String>,
    /// Storages with their cold spares, as the active one knows them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) storage_pairs: Vec<Pair>,
}

/// The cluster, as `status cluster json` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterReport {
    /// Name of the Director.
    pub(crate) director: String,
    /// Its instances, in the order of the configuration.
    pub(crate) instances: Vec<Report>,
}

impl Report {
    /// This instance.
    pub(crate) async fn own(seat: &Seat) -> Self {
        let edited = seat.edited().await;
        let role = seat.role();
        let held_back = seat.held_back().borrow().clone();
        let (word, director, holder) = match &role {
            Role::Active(director) => ("active", Some(director), Some(seat.instance().to_owned())),
            Role::Standby { holder } if held_back.is_held() => ("held back", None, holder.clone()),
            Role::Standby { holder } => ("standby", None, holder.clone()),
        };
        let lease = director.map(|director| director.guard().lease_left_ms()).filter(|&ms| ms != u64::MAX);
        let turn = seat.last_turn();
        Self {
            instance: seat.instance().to_owned(),
            role: word.to_owned(),
            epoch: director.map(|director| director.epoch().0),
            lease_left_ms: lease,
            holder,
            version: wire::version::PRODUCT_VERSION.to_owned(),
            jobs: director.map_or(0, |director| director.jobs().len()),
            started: seat.started().0,
            changed: turn.as_ref().map(|turn| turn.at.0),
            fence: seat.fencing(),
            held: director.and_then(Director::held),
            note: note(turn.map(|turn| turn.what), seat.hindrance().or_else(|| trouble(seat))),
            config: seat.configuration().hash.clone(),
            config_differs: false,
            config_edited: edited.iter().map(|file| file.display().to_string()).collect(),
            config_refused: seat.last_refused(),
            config_held_back: held_back.by_configuration,
            storage_pairs: director.map(|director| pairs::of(&director.standings())).unwrap_or_default(),
        }
    }

    fn unreachable(instance: &str, why: String) -> Self {
        Self {
            instance: instance.to_owned(),
            role: "unreachable".to_owned(),
            epoch: None,
            lease_left_ms: None,
            holder: None,
            version: String::new(),
            jobs: 0,
            started: 0,
            changed: None,
            fence: None,
            held: None,
            note: why,
            config: String::new(),
            config_differs: false,
            config_edited: Vec::new(),
            config_refused: None,
            config_held_back: None,
            storage_pairs: Vec::new(),
        }
    }

    /// Everything there is to say about it, for the table.
    fn remarks(&self) -> String {
        let edited = (!self.config_edited.is_empty())
            .then(|| format!("edited and not loaded: {}", self.config_edited.join(", ")));
        let refused = self.config_refused.as_ref().map(|why| {
            // Findings are many lines; all of them are in the log and in the JSON.
            format!("configuration not taken over: {}", why.lines().next().unwrap_or_default())
        });
        let all =
            [Some(self.note.clone()), self.held.clone(), self.config_held_back.clone(), refused, edited];
        all.into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
    }

    /// Asks another instance.
    pub(crate) async fn of(seat: &Seat, peer: &Instance) -> Self {
        let asked = tokio::time::timeout(ANSWER_LIMIT, ask(seat, peer)).await;
        let late = || Err(format!("no answer within {} s", ANSWER_LIMIT.as_secs()));
        asked.unwrap_or_else(|_| late()).unwrap_or_else(|why| Self::unreachable(&peer.name, why))
    }
}

/// Why it is not active though a cluster manager has ordered it.
fn trouble(seat: &Seat) -> Option<String> {
    let (_, trouble) = seat.ordered().borrow().clone();
    trouble.map(|why| format!("ordered to be active: {why}"))
}

/// The other instance that is active, by its own account; of two, the one of the higher epoch.
pub(crate) async fn other_active(seat: &Seat) -> Option<String> {
    let mut asked = tokio::task::JoinSet::new();
    for peer in seat.peers().into_iter().filter(|peer| peer.name != seat.instance()) {
        let seat = seat.clone();
        asked.spawn(async move { Report::of(&seat, &peer).await });
    }
    let said = asked.join_all().await;
    let active = said.into_iter().filter(|report| report.role == "active");
    active.max_by_key(|report| report.epoch).map(|report| report.instance)
}

fn note(turn: Option<String>, hindrance: Option<String>) -> String {
    [turn, hindrance].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

async fn ask(seat: &Seat, peer: &Instance) -> Result<Report, String> {
    let mut line = Line::open(seat, peer).await?;
    let said = line.ask(".instance", ANSWER_LIMIT).await?;
    line.close().await;
    // An older instance says that it does not know the command.
    serde_json::from_slice(&said)
        .map_err(|_| format!("it answered \"{}\"", String::from_utf8_lossy(&said).trim()))
}

impl ClusterReport {
    /// Asks every other instance, all at once.
    pub(crate) async fn gather(seat: &Seat) -> Self {
        let config = seat.config();
        let mut asked = Vec::new();
        for peer in config.instances.iter().filter(|peer| peer.name != seat.instance()) {
            let (seat, peer) = (seat.clone(), peer.clone());
            asked.push((peer.name.clone(), tokio::spawn(async move { Report::of(&seat, &peer).await })));
        }
        let mut instances = vec![Report::own(seat).await];
        for (name, task) in asked {
            let report = task.await;
            instances.push(report.unwrap_or_else(|error| Report::unreachable(&name, error.to_string())));
        }
        let place = |report: &Report| config.instances.iter().position(|peer| peer.name == report.instance);
        instances.sort_by_key(place);
        let active =
            instances.iter().find(|report| report.role == "active").map(|report| report.config.clone());
        for report in &mut instances {
            report.config_differs =
                active.as_ref().is_some_and(|hash| !report.config.is_empty() && report.config != *hash);
        }
        Self { director: config.director.name.clone(), instances }
    }

    /// The instance that is active, if one says so.
    pub(crate) fn active(&self) -> Option<&Report> {
        self.instances.iter().find(|report| report.role == "active")
    }

    /// The table of `status cluster`.
    pub(crate) fn table(&self) -> String {
        const COLUMNS: [&str; 9] = [
            "Instance",
            "Role",
            "Epoch",
            "Lease left",
            "Jobs",
            "Version",
            "Configuration",
            "Changed",
            "Note",
        ];
        let mut table = Table::new(&COLUMNS.map(|name| (name, Kind::Text)));
        for report in &self.instances {
            let lease = report.lease_left_ms.map(|ms| format!("{:.1} s", ms as f64 / 1000.0));
            table.rows.push(vec![
                Some(report.instance.clone()),
                Some(report.role.clone()),
                report.epoch.map(|epoch| epoch.to_string()),
                lease,
                Some(report.jobs.to_string()),
                Some(report.version.clone()),
                Some(if report.config_differs {
                    format!("{} (differs)", short(&report.config))
                } else {
                    short(&report.config).to_owned()
                }),
                report.changed.map(iso_time),
                Some(report.remarks()),
            ]);
        }
        let fence = self.instances.iter().find_map(|report| report.fence.as_ref());
        let fence = fence.map(|fence| format!("Fence {fence}\n")).unwrap_or_default();
        let pairs = self.active().map(|active| pairs::table(&active.storage_pairs)).unwrap_or_default();
        format!("Director \"{}\"\n{fence}{}{pairs}", self.director, table.horizontal(false))
    }
}
