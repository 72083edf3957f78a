//! What a change between a Storage and its cold spare does, before it is done.

use super::Standing;
use crate::reconcile::HeldVolume;
use std::collections::BTreeMap;
use std::fmt;
use types::{JobId, MediaId, StorageEpoch, VolTime};

/// A Storage of the pair, as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Name of the resource.
    pub name: String,
    /// Its Devices.
    pub devices: Vec<String>,
    /// Its Media Type.
    pub media_type: String,
}

/// A Volume where the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Key.
    pub id: MediaId,
    /// Name.
    pub name: String,
    /// Its Pool.
    pub pool: String,
    /// Its Media Type.
    pub media_type: String,
    /// When it was labelled; 0 = not known (another program wrote it).
    pub label_time: VolTime,
    /// Number of its newest state; 0 = none is known.
    pub seq: u64,
    /// Bytes on it.
    pub bytes: u64,
    /// Jobs on it.
    pub jobs: u32,
}

/// The operator's word on Volumes that the new place lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// None: they stay where they are, and the main Storage does not come back without them.
    #[default]
    Unsaid,
    /// They stay where they are, also when the main Storage comes back (`missing=leave`).
    Leave,
    /// Those that a stock Storage Daemon wrote are there all the same (`missing=take`): they have no state to be told by.
    Take,
}

/// All that a plan is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Who serves now.
    pub standing: Standing,
    /// The Storage that serves.
    pub from: Side,
    /// The one that is to.
    pub to: Side,
    /// The highest storage epoch that either daemon has named.
    pub named: StorageEpoch,
    /// Volumes at `from`.
    pub volumes: Vec<Located>,
    /// Volumes that the catalog has at `to` already: what was left there before.
    pub waiting: Vec<Located>,
    /// What the daemon of `to` has; `None` = it keeps no inventory (a stock one).
    pub held: Option<Vec<HeldVolume>>,
    /// Jobs at work that use `from`.
    pub jobs: Vec<JobId>,
    /// What was said of Volumes that `to` lacks.
    pub on_missing: OnMissing,
}

impl Located {
    /// Whether a stock Storage Daemon wrote it: an inventory does not have such a Volume, even where it lies.
    fn has_no_state(&self) -> bool {
        self.seq == 0
    }
}

/// Why a Volume cannot be taken over at the new place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// There is no such Volume.
    Absent,
    /// It has the Volume's name and another label.
    OtherLabel,
    /// It is older than the catalog knows it.
    Behind {
        /// Jobs and bytes there.
        held: (u32, u64),
        /// Jobs and bytes by the catalog.
        known: (u32, u64),
    },
    /// Something else was written to it there: the two have grown apart.
    Apart {
        /// Jobs and bytes there.
        held: (u32, u64),
        /// Jobs and bytes by the catalog.
        known: (u32, u64),
    },
    /// The Devices of that Storage take no such Volumes.
    MediaType(String),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |(jobs, bytes): (u32, u64)| format!("{jobs} jobs, {bytes} bytes");
        match self {
            Self::Absent => f.write_str("is not there"),
            Self::OtherLabel => f.write_str("is another Volume of that name there"),
            Self::Behind { held, known } => write!(f, "is older there: {}; here {}", of(*held), of(*known)),
            Self::Apart { held, known } => {
                write!(f, "was written to on its own there: {}; here {}", of(*held), of(*known))
            }
            Self::MediaType(media_type) => write!(f, "has the Media Type {media_type}"),
        }
    }
}

/// A Volume that stays where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The Volume.
    pub volume: Located,
    /// Why.
    pub lack: Lack,
}

/// What speaks against carrying a plan out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// Jobs at work.
    Jobs(Vec<JobId>),
    /// The main Storage lacks Volumes, and nobody has said that they are to be left.
    Missing(usize),
}

/// What is going to be done; its text is shown before it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparePlan {
    /// Who serves now.
    pub before: Standing,
    /// Who serves then.
    pub after: Standing,
    /// The Storage that serves now.
    pub from: Side,
    /// The one that serves then.
    pub to: Side,
    /// Volumes that go over.
    pub moved: Vec<Located>,
    /// Volumes that stay.
    pub missing: Vec<Missing>,
    /// Volumes that lie at the new place already, and are used again.
    pub again: Vec<Located>,
    /// Of those, what is not there any more.
    pub gone: Vec<Located>,
    /// The daemon could not say which Volumes it has.
    pub unasked: bool,
    /// Why it cannot be done as it is.
    pub blockers: Vec<Blocker>,
}

/// Decides.
#[must_use]
pub fn plan(ground: Ground) -> SparePlan {
    let Ground { standing, from, to, named, volumes, waiting, held, jobs, on_missing } = ground;
    let after = standing.changed(named);
    let goes_home = after.is_at_home();
    let unasked = held.is_none();
    let held: Option<BTreeMap<String, HeldVolume>> =
        held.map(|held| held.into_iter().map(|volume| (volume.name.clone(), volume)).collect());
    let lack_of = |volume: &Located| {
        if volume.media_type != to.media_type {
            return Some(Lack::MediaType(volume.media_type.clone()));
        }
        let held = held.as_ref()?;
        match held.get(&volume.name) {
            Some(held) => lack(volume, held, goes_home),
            None if volume.has_no_state() && on_missing == OnMissing::Take => None,
            None => Some(Lack::Absent),
        }
    };
    let (mut moved, mut missing) = (Vec::new(), Vec::new());
    for volume in volumes {
        match lack_of(&volume) {
            Some(lack) => missing.push(Missing { volume, lack }),
            None => moved.push(volume),
        }
    }
    let (gone, again) = waiting.into_iter().partition(|volume| lack_of(volume).is_some());
    let mut blockers = Vec::new();
    if !jobs.is_empty() {
        blockers.push(Blocker::Jobs(jobs));
    }
    if goes_home && !missing.is_empty() && on_missing != OnMissing::Leave {
        blockers.push(Blocker::Missing(missing.len()));
    }
    SparePlan { before: standing, after, from, to, moved, missing, again, gone, unasked, blockers }
}

/// What keeps a Volume from being used as it is at the new place. The way back is strict: what the main Storage did on its own after
/// its place was taken must not pass for what the spare wrote.
fn lack(known: &Located, held: &HeldVolume, is_strict: bool) -> Option<Lack> {
    if known.label_time != VolTime(0) && known.label_time != held.label_time {
        return Some(Lack::OtherLabel);
    }
    let (here, there) = ((known.jobs, known.bytes), (held.jobs, held.bytes));
    if held.seq < known.seq || there.0 < here.0 || there.1 < here.1 {
        return Some(Lack::Behind { held: there, known: here });
    }
    (is_strict && (here != there || held.seq != known.seq && known.seq != 0))
        .then_some(Lack::Apart { held: there, known: here })
}

impl SparePlan {
    /// Whether the catalog is as it was when the plan was made.
    #[must_use]
    pub fn fits(&self, standing: &Standing, volumes: &[Located]) -> bool {
        let mut planned: Vec<&Located> =
            self.moved.iter().chain(self.missing.iter().map(|m| &m.volume)).collect();
        planned.sort_by_key(|volume| volume.id);
        let mut now: Vec<&Located> = volumes.iter().collect();
        now.sort_by_key(|volume| volume.id);
        *standing == self.before && planned == now
    }
}

impl fmt::Display for SparePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (&self.from.name, &self.to.name);
        writeln!(
            f,
            "Storage \"{to}\" takes the place of Storage \"{from}\": storage epoch {} -> {}",
            self.before.epoch, self.after.epoch
        )?;
        writeln!(f, "  Jobs and Pools that name \"{}\" use \"{to}\".", self.before.main)?;
        writeln!(
            f,
            "  Devices: {} -> {} (Media Type {})",
            self.from.devices.join(", "),
            self.to.devices.join(", "),
            self.to.media_type
        )?;
        writeln!(f, "  Volumes: {} go from \"{from}\" to \"{to}\".", self.moved.len())?;
        for (pool, count) in by_pool(&self.moved) {
            writeln!(f, "    {count} of Pool \"{pool}\"")?;
        }
        if self.unasked && !self.moved.is_empty() {
            writeln!(
                f,
                "  The daemon of \"{to}\" is none of Holdfast and cannot say which Volumes it has: look for yourself."
            )?;
        }
        if !self.missing.is_empty() {
            writeln!(
                f,
                "  Missing at \"{to}\": {} Volumes. They stay at \"{from}\" and are not used while \"{to}\" serves; restores take \
                 copies of their jobs where there are any.",
                self.missing.len()
            )?;
        }
        for Missing { volume, lack } in &self.missing {
            writeln!(f, "    {} (Pool \"{}\", {} jobs) {lack}", volume.name, volume.pool, volume.jobs)?;
        }
        let is_untold = |missing: &&Missing| missing.lack == Lack::Absent && missing.volume.has_no_state();
        let untold = self.missing.iter().filter(is_untold).count();
        if untold > 0 {
            writeln!(
                f,
                "    {untold} of them were written by a Storage daemon that is none of Holdfast, and have no state to be found by. Where \
                 you know their files to be at \"{to}\", add \"missing=take\"."
            )?;
        }
        if !self.again.is_empty() {
            writeln!(f, "  {} Volumes that were left at \"{to}\" are used again.", self.again.len())?;
        }
        for volume in &self.gone {
            writeln!(f, "  Volume {} was left at \"{to}\" and is not there as it was.", volume.name)?;
        }
        for blocker in &self.blockers {
            match blocker {
                Blocker::Jobs(jobs) => {
                    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
                    let ids = ids.join(",");
                    writeln!(
                        f,
                        "Not now: jobs use \"{from}\". Wait for them, or \"cancel jobid={ids}\" first."
                    )?;
                }
                Blocker::Missing(count) => writeln!(
                    f,
                    "Not so: \"{to}\" lacks {count} Volumes. Copy them there and ask again, or add \"missing=leave\" to leave \
                     them at \"{from}\"."
                )?,
            }
        }
        Ok(())
    }
}

fn by_pool(volumes: &[Located]) -> BTreeMap<&str, usize> {
    let mut pools = BTreeMap::new();
    for volume in volumes {
        *pools.entry(volume.pool.as_str()).or_default() += 1;
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str) -> Side {
        Side { name: name.into(), devices: vec![format!("{name}-dev")], media_type: "File".into() }
    }

    fn located(id: u32, seq: u64, bytes: u64) -> Located {
        Located {
            id: MediaId(id),
            name: format!("Vol-{id}"),
            pool: "Full".into(),
            media_type: "File".into(),
            label_time: VolTime(9),
            seq,
            bytes,
            jobs: 2,
        }
    }

    fn held(id: u32, seq: u64, bytes: u64) -> HeldVolume {
        HeldVolume { name: format!("Vol-{id}"), label_time: VolTime(9), seq, bytes, jobs: 2 }
    }

    fn ground(standing: Standing, volumes: Vec<Located>, held: Option<Vec<HeldVolume>>) -> Ground {
        let (from, to) = (side(&standing.serving), side(standing.resting()));
        let (named, waiting, jobs) = (StorageEpoch(1), Vec::new(), Vec::new());
        Ground { standing, from, to, named, volumes, waiting, held, jobs, on_missing: OnMissing::Unsaid }
    }

    fn names(volumes: &[Located]) -> Vec<&str> {
        volumes.iter().map(|volume| volume.name.as_str()).collect()
    }

    #[test]
    fn volumes_of_a_stock_storage_go_over_by_the_operators_word() {
        let stock = Located { label_time: VolTime(0), ..located(1, 0, 100) };
        let mut asked =
            ground(Standing::first("sd1", "spare"), vec![stock, located(2, 3, 100)], Some(Vec::new()));
        let planned = plan(asked.clone());
        assert!(planned.moved.is_empty() && planned.missing.len() == 2);
        assert!(planned.to_string().contains("1 of them were written by"), "{planned}");
        asked.on_missing = OnMissing::Take;
        let planned = plan(asked);
        assert_eq!((names(&planned.moved), planned.missing.len()), (vec!["Vol-1"], 1));
        assert!(!planned.to_string().contains("missing=take"), "{planned}");
    }

    #[test]
    fn what_the_spare_has_goes_over_and_what_it_lacks_is_listed() {
        let other = HeldVolume { label_time: VolTime(8), ..held(4, 3, 100) };
        let volumes = vec![located(1, 3, 100), located(2, 3, 100), located(3, 3, 100), located(4, 3, 100)];
        let planned = plan(ground(
            Standing::first("sd1", "spare"),
            volumes.clone(),
            // One is newer than the catalog heard, one older, one absent, one another Volume.
            Some(vec![held(1, 4, 120), held(2, 2, 90), other]),
        ));
        assert_eq!(names(&planned.moved), ["Vol-1"]);
        let lacks: Vec<&Lack> = planned.missing.iter().map(|missing| &missing.lack).collect();
        let behind = Lack::Behind { held: (2, 90), known: (2, 100) };
        assert_eq!(lacks, [&behind, &Lack::Absent, &Lack::OtherLabel]);
        assert!(planned.blockers.is_empty(), "what the spare lacks does not keep it from serving");
        assert_eq!(planned.after.serving, "spare");
        assert!(planned.fits(&Standing::first("sd1", "spare"), &volumes));
        assert!(!planned.fits(&planned.after, &volumes));
        assert!(!planned.fits(&planned.before, &volumes[1..]));
        expect_test::expect![[r#"
            Storage "spare" takes the place of Storage "sd1": storage epoch 1 -> 2
              Jobs and Pools that name "sd1" use "spare".
              Devices: sd1-dev -> spare-dev (Media Type File)
              Volumes: 1 go from "sd1" to "spare".
                1 of Pool "Full"
              Missing at "spare": 3 Volumes. They stay at "sd1" and are not used while "spare" serves; restores take copies of their jobs where there are any.
                Vol-2 (Pool "Full", 2 jobs) is older there: 2 jobs, 90 bytes; here 2 jobs, 100 bytes
                Vol-3 (Pool "Full", 2 jobs) is not there
                Vol-4 (Pool "Full", 2 jobs) is another Volume of that name there
        "#]]
        .assert_eq(&planned.to_string());
    }

    #[test]
    fn the_way_back_wants_all_volumes_as_they_are_or_the_operators_word() {
        let away = Standing::first("sd1", "spare").changed(StorageEpoch(1));
        let volumes = vec![located(1, 5, 100), located(2, 5, 100)];
        // The main Storage went on writing for a while when its place was taken: as much, and something else.
        let mut asked = ground(away, volumes, Some(vec![held(1, 5, 100), held(2, 6, 100)]));
        let planned = plan(asked.clone());
        assert_eq!(names(&planned.moved), ["Vol-1"]);
        assert_eq!(planned.missing[0].lack, Lack::Apart { held: (2, 100), known: (2, 100) });
        assert_eq!(planned.blockers, [Blocker::Missing(1)]);
        assert!(planned.to_string().contains("missing=leave"));
        asked.on_missing = OnMissing::Leave;
        let planned = plan(asked);
        assert!(planned.blockers.is_empty() && planned.after.is_at_home());
        assert_eq!(planned.after.epoch, StorageEpoch(3));
    }

    #[test]
    fn jobs_at_work_are_named_and_epochs_that_daemons_know_are_passed() {
        let mut asked = ground(Standing::first("sd1", "spare"), vec![located(1, 0, 5)], None);
        asked.jobs = vec![JobId(7), JobId(9)];
        asked.named = StorageEpoch(6);
        let planned = plan(asked);
        assert_eq!(planned.blockers, [Blocker::Jobs(vec![JobId(7), JobId(9)])]);
        assert!(planned.to_string().contains("cancel jobid=7,9"));
        assert_eq!(planned.after.epoch, StorageEpoch(7));
        assert!(planned.unasked && names(&planned.moved) == ["Vol-1"]);
    }

    #[test]
    fn what_was_left_at_the_new_place_is_used_again() {
        let away = Standing::first("sd1", "spare").changed(StorageEpoch(1));
        let mut asked = ground(away, Vec::new(), Some(vec![held(1, 5, 100)]));
        asked.waiting = vec![located(1, 5, 100), located(2, 5, 100)];
        let planned = plan(asked);
        assert_eq!((names(&planned.again), names(&planned.gone)), (vec!["Vol-1"], vec!["Vol-2"]));
        assert!(planned.blockers.is_empty());
    }
}
