//! Which Volume a session takes next: what it asks its Director, one request after the other (spec/03 §3.2, §4.5). Pure.
//!
//! The right to mount is not held meanwhile: a Director may be away for half an hour, and a drive serves several. What was seen of the drive
//! when the search began is looked at once more, with the right, before anything is done ([`Search::is_still_so`]).

use types::{JobId, VolumeName, bash_spaces};

use crate::device::{VOL_TYPE_FILE, VolumeInfo, VolumeReply};

/// Volumes that are tried before the operator is asked.
const TRIES_MAX: u32 = 5;

/// A drive, as far as the search sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriveSeen {
    /// The open Volume that other jobs write there, with its generation.
    pub shared: Option<(VolumeName, u64)>,
    /// How many Volumes have been put into it.
    pub mounts: u64,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the Director this, and give its answer to [`Search::answered`].
    Ask(String),
    /// Write the Volume of this generation with the other jobs.
    Join(u64),
    /// Put this Volume into the drive.
    Mount(VolumeName, Box<VolumeInfo>),
    /// The job may not have the Volume in the drive: it waits until the others are done.
    Busy,
    /// The Director refuses the Volume that it had found itself: another try, if [`Search::may_try`].
    Next,
    /// The Director has no Volume.
    Nothing,
}

/// A search for a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    job: JobId,
    finding: Finding,
    /// Generation of the Volume that the job has just left, full.
    left: Option<u64>,
    /// The Volume that was reserved for the job.
    wanted: Option<VolumeName>,
    seen: DriveSeen,
    asked: Asked,
    tries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Join(u64),
    Find,
    Info(VolumeName),
}

impl Search {
    /// For a job whose Volumes `finding` finds.
    #[must_use]
    pub fn new(finding: Finding, left: Option<u64>, wanted: Option<VolumeName>) -> Self {
        let (job, seen) = (finding.job, DriveSeen::default());
        Self { job, finding, left, wanted, seen, asked: Asked::Nothing, tries: 0 }
    }

    /// Begins a try with the drive as it is.
    pub fn begin(&mut self, seen: DriveSeen) -> Step {
        self.seen = seen;
        self.finding.begin();
        if let Some((volume, generation)) = self.shared() {
            let line = self.may_write(volume);
            self.asked = Asked::Join(generation);
            return Step::Ask(line);
        }
        match self.wanted.take() {
            Some(name) => self.look_at(name),
            None => self.find(),
        }
    }

    /// The Volume that the job could share. The one that it has left is no use to it.
    fn shared(&self) -> Option<(&VolumeName, u64)> {
        let shared = self.seen.shared.as_ref()?;
        (Some(shared.1) != self.left).then_some((&shared.0, shared.1))
    }

    fn may_write(&self, volume: &VolumeName) -> String {
        format!("CatReq JobId={} GetVolInfo VolName={volume} write=1", self.job)
    }

    fn find(&mut self) -> Step {
        self.asked = Asked::Find;
        Step::Ask(self.finding.request())
    }

    fn look_at(&mut self, name: VolumeName) -> Step {
        let line = self.may_write(&name);
        self.asked = Asked::Info(name);
        Step::Ask(line)
    }

    /// Takes the answer to what was asked; `may_take` says whether the job may have a Volume, which is its own from there on.
    pub fn answered(&mut self, reply: VolumeReply, may_take: impl FnOnce(&VolumeName) -> bool) -> Step {
        match (std::mem::replace(&mut self.asked, Asked::Nothing), reply) {
            (Asked::Nothing, _) => Step::Nothing,
            (Asked::Join(generation), VolumeReply::Found(_)) => Step::Join(generation),
            (Asked::Join(_), VolumeReply::Refused(_)) => Step::Busy,
            (Asked::Find, reply) => match self.finding.answered(reply, may_take) {
                Found::Another => self.find(),
                Found::Volume(name) => self.look_at(name),
                Found::Nothing => Step::Nothing,
            },
            (Asked::Info(name), VolumeReply::Found(info)) => Step::Mount(name, info),
            (Asked::Info(_), VolumeReply::Refused(_)) => Step::Next,
        }
    }

    /// Whether the drive is as it was when the try began: nobody has put another Volume into it, or begun to write. Else it is tried anew.
    #[must_use]
    pub fn is_still_so(&self, now: &DriveSeen) -> bool {
        self.seen == *now
    }

    /// Another Volume is tried first: the one that somebody has put into the drive.
    pub fn want(&mut self, volume: Option<VolumeName>) {
        self.wanted = volume.or_else(|| self.wanted.take());
    }

    /// After a try that came to nothing: whether the next one may follow at once. If not, something must happen first.
    pub fn may_try(&mut self) -> bool {
        self.tries = (self.tries + 1) % TRIES_MAX;
        self.tries != 0
    }

    /// Something has happened: it is tried as often as at first.
    pub fn rested(&mut self) {
        self.tries = 0;
    }
}

/// `FindMedia`: the Director's best Volume, then its next best, until one will do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    job: JobId,
    pool: String,
    media_type: String,
    index: u32,
    index_max: u32,
    last: String,
    /// Only Volumes that have a slot will do, and none can be made.
    in_changer: bool,
    /// VolType of the device.
    vol_type: u32,
}

/// What became of an answer to `FindMedia`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This one does not do: the next best is asked for.
    Another,
    /// This one.
    Volume(VolumeName),
    /// There is none.
    Nothing,
}

impl Finding {
    /// For a job and its pool; at most the `index_max` best Volumes are asked for.
    #[must_use]
    pub fn new(job: JobId, pool: &str, media_type: &str, index_max: u32) -> Self {
        let (pool, media_type) = (bash_spaces(pool), bash_spaces(media_type));
        let (last, vol_type) = (String::new(), VOL_TYPE_FILE);
        Self { job, pool, media_type, index: 1, index_max, last, in_changer: false, vol_type }
    }

    /// For a drive of a changer: what is not in the changer cannot be loaded, and is passed over. A Director may offer it when it has
    /// none that is.
    #[must_use]
    pub fn in_changer(self) -> Self {
        Self { in_changer: true, ..self }
    }

    /// For a device whose Volumes have another VolType than files.
    pub fn of_type(self, vol_type: u32) -> Self {
        Self { vol_type, ..self }
    }

    fn begin(&mut self) {
        self.index = 1;
        self.last.clear();
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> String {
        format!(
            "CatReq JobId={} FindMedia={} pool_name={} media_type={} vol_type={} create={} use_protect=0 vol_encrypted=0",
            self.job,
            self.index,
            self.pool,
            self.media_type,
            self.vol_type,
            u8::from(!self.in_changer),
        )
    }

    /// Takes the answer; `may_take` as in [`Search::answered`].
    pub fn answered(&mut self, reply: VolumeReply, may_take: impl FnOnce(&VolumeName) -> bool) -> Found {
        let VolumeReply::Found(info) = reply else { return Found::Nothing };
        // A Director that has no further one names the same again.
        if info.name == self.last {
            return Found::Nothing;
        }
        self.last.clone_from(&info.name);
        let is_in_reach = !self.in_changer || (info.in_changer && info.slot > 0);
        let is_of_our_kind = (info.vol_type == 0 || info.vol_type == self.vol_type) && is_in_reach;
        match VolumeName::new(info.name) {
            Ok(name) if is_of_our_kind && may_take(&name) => Found::Volume(name),
            Ok(_) | Err(_) if self.index < self.index_max => {
                self.index += 1;
                Found::Another
            }
            Ok(_) | Err(_) => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(left: Option<u64>, wanted: Option<&str>) -> Search {
        let finding = Finding::new(JobId(7), "My Pool", "File", 3);
        Search::new(finding, left, wanted.map(|name| VolumeName::new(name).unwrap()))
    }

    fn found(name: &str) -> VolumeReply {
        VolumeReply::parse(
            format!("1000 OK VolName={name} VolBytes=0 VolStatus=Append VolType=1 MediaId=1\n").as_bytes(),
        )
    }

    fn drive(shared: Option<(&str, u64)>, mounts: u64) -> DriveSeen {
        let shared = shared.map(|(name, generation)| (VolumeName::new(name).unwrap(), generation));
        DriveSeen { shared, mounts }
    }

    fn check_asks(step: &Step, what: &str) {
        assert!(matches!(step, Step::Ask(line) if line.contains(what)), "{step:?} does not ask {what}");
    }

    #[test]
    fn the_volume_in_the_drive_is_shared_where_the_director_consents() {
        let mut search = search(Some(3), None);
        check_asks(&search.begin(drive(Some(("V", 4)), 4)), "GetVolInfo VolName=V write=1");
        assert_eq!(search.answered(found("V"), |_| false), Step::Join(4));
        check_asks(&search.begin(drive(Some(("V", 4)), 4)), "GetVolInfo");
        assert_eq!(search.answered(VolumeReply::Refused(String::new()), |_| true), Step::Busy);
        // The one that was left is not.
        check_asks(&search.begin(drive(Some(("V", 3)), 3)), "FindMedia=1 pool_name=My\u{1}Pool");
    }

    #[test]
    fn a_volume_that_another_drive_has_is_passed_over() {
        let mut search = search(None, None);
        check_asks(&search.begin(drive(None, 0)), "FindMedia=1");
        check_asks(&search.answered(found("V"), |_| false), "FindMedia=2");
        check_asks(&search.answered(found("W"), |_| true), "GetVolInfo VolName=W write=1");
        assert!(
            matches!(search.answered(found("W"), |_| true), Step::Mount(name, _) if name.as_str() == "W")
        );
        // One that is named again is the last.
        check_asks(&search.begin(drive(None, 0)), "FindMedia=1");
        check_asks(&search.answered(found("V"), |_| false), "FindMedia=2");
        assert_eq!(search.answered(found("V"), |_| false), Step::Nothing);
    }

    #[test]
    fn a_drive_takes_no_volume_that_is_not_in_its_changer() {
        let mut finding = Finding::new(JobId(7), "P", "File", 3).in_changer();
        assert!(finding.request().contains(" create=0 "), "{}", finding.request());
        let with = |name: &str, place: &str| {
            let line =
                format!("1000 OK VolName={name} VolBytes=0 VolStatus=Append VolType=1 MediaId=1 {place}\n");
            VolumeReply::parse(line.as_bytes())
        };
        for away in ["Slot=0 InChanger=1", "Slot=2 InChanger=0"] {
            finding.begin();
            assert_eq!(finding.answered(with("V", away), |_| true), Found::Another);
            let found = finding.answered(with("W", "Slot=3 InChanger=1"), |_| true);
            assert_eq!(found, Found::Volume(VolumeName::new("W").unwrap()));
        }
    }

    #[test]
    fn the_reserved_volume_is_tried_first_and_once() {
        let mut search = search(None, Some("R"));
        check_asks(&search.begin(drive(None, 0)), "GetVolInfo VolName=R write=1");
        assert_eq!(search.answered(VolumeReply::Refused(String::new()), |_| true), Step::Next);
        assert!(search.may_try());
        check_asks(&search.begin(drive(None, 0)), "FindMedia=1");
        assert_eq!(search.answered(VolumeReply::Refused(String::new()), |_| true), Step::Nothing);
    }

    #[test]
    fn a_drive_that_has_changed_is_looked_at_anew() {
        let mut search = search(None, None);
        let _ = search.begin(drive(None, 1));
        assert!(search.is_still_so(&drive(None, 1)));
        assert!(!search.is_still_so(&drive(None, 2)));
        assert!(!search.is_still_so(&drive(Some(("V", 1)), 1)));
    }

    #[test]
    fn after_five_tries_something_must_happen() {
        let mut search = search(None, None);
        let tries = (0..5).map(|_| search.may_try()).collect::<Vec<_>>();
        assert_eq!(tries, [true, true, true, true, false]);
    }
}
