//! Choosing a device for a job: pure (spec/03 §4.3–4.4).
//!
//! The caller takes a view of the devices, gets candidates in the order of Bacula's passes, and tries them one by one: a candidate
//! with a mounted Volume needs the Director's consent first.

use super::state::Blocked;

/// A device as the decision sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriveView {
    /// Name.
    pub name: String,
    /// `"Name" (path)`.
    pub print_name: String,
    /// Media Type.
    pub media_type: String,
    /// Changer it belongs to.
    pub changer: Option<String>,
    /// Enabled by resource and operator.
    pub is_enabled: bool,
    /// Auto Select.
    pub is_auto_select: bool,
    /// Read Only.
    pub is_read_only: bool,
    /// Maximum Concurrent Jobs; 0 for no limit.
    pub jobs_max: u32,
    /// Jobs that append or have reserved it.
    pub appenders: u32,
    /// Jobs that read.
    pub readers: u32,
    /// Holds one Volume at a time, so that it is not read while it is written.
    pub is_drive: bool,
    /// Pool name and type of those that append.
    pub pool: Option<(String, String)>,
    /// Volume mounted, or reserved by them.
    pub volume: Option<String>,
    /// Most jobs that the mounted Volume still takes; `None` for no limit.
    pub volume_jobs_left: Option<u32>,
    /// Blocked.
    pub blocked: Option<Blocked>,
    /// Bytes written since the start: the "least used" measure.
    pub usage_bytes: u64,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Media Type.
    pub media_type: String,
    /// Device and changer names, in order.
    pub names: Vec<String>,
    /// Append, or read.
    pub is_append: bool,
    /// Pool.
    pub pool: String,
    /// Its type.
    pub pool_type: String,
    /// Prefer Mounted Volumes.
    pub prefer_mounted: bool,
}

/// A device that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// Place in the view.
    pub drive: usize,
    /// Together with the Volume that is in it.
    pub with_volume: bool,
}

/// What came of the decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// In the order to be tried.
    pub candidates: Vec<Candidate>,
    /// Why the others are out: lines of `status`, "Jobs waiting to reserve a drive".
    pub reasons: Vec<String>,
    /// Whether any device would do if it were free.
    pub is_possible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mount {
    /// P, E: a drive whose Volume is used.
    Mounted,
    /// A drive that nobody uses.
    Free,
    /// Any.
    Any,
}

#[derive(Debug, Clone, Copy)]
struct Pass {
    mount: Mount,
    changers_only: bool,
    least_used: bool,
}

const fn pass(mount: Mount, changers_only: bool, least_used: bool) -> Pass {
    Pass { mount, changers_only, least_used }
}

const PREFER_MOUNTED: &[Pass] = &[
    pass(Mount::Mounted, false, true),
    pass(Mount::Mounted, true, true),
    pass(Mount::Free, true, false),
    pass(Mount::Free, false, false),
    pass(Mount::Any, false, false),
];

const PREFER_FREE: &[Pass] = &[
    pass(Mount::Free, true, true),
    pass(Mount::Free, true, false),
    pass(Mount::Free, false, true),
    pass(Mount::Mounted, false, true),
    pass(Mount::Any, false, false),
];

/// Decides for a request over the devices as they are.
#[must_use]
pub fn decide(drives: &[DriveView], request: &Request) -> Decision {
    let named: Vec<(usize, bool)> = wanted(drives, request);
    let mut decision = Decision { is_possible: !named.is_empty(), ..Decision::default() };
    let mut usable = Vec::new();
    for (drive, by_changer) in named {
        match obstacle(&drives[drive], request) {
            None => usable.push((drive, by_changer)),
            Some(reason) => decision.reasons.push(reason),
        }
    }
    let passes = if request.prefer_mounted { PREFER_MOUNTED } else { PREFER_FREE };
    for pass in passes {
        for candidate in in_pass(drives, &usable, *pass, request) {
            if !decision.candidates.contains(&candidate) {
                decision.candidates.push(candidate);
            }
        }
    }
    decision
}

/// Devices that the request names and that fit, each with whether it was named by its changer.
fn wanted(drives: &[DriveView], request: &Request) -> Vec<(usize, bool)> {
    let mut out: Vec<(usize, bool)> = Vec::new();
    for name in &request.names {
        for (place, drive) in drives.iter().enumerate() {
            let by_changer = drive.changer.as_ref() == Some(name);
            let is_named = drive.name == *name || (by_changer && drive.is_auto_select);
            let fits = drive.media_type == request.media_type
                && drive.is_enabled
                && !(request.is_append && drive.is_read_only);
            if is_named && fits && !out.iter().any(|(p, _)| *p == place) {
                out.push((place, by_changer));
            }
        }
    }
    out
}

/// Why a device cannot take the job now.
fn obstacle(drive: &DriveView, request: &Request) -> Option<String> {
    let device = &drive.print_name;
    if drive.blocked == Some(Blocked::Unmounted) {
        let number = if request.is_append { 3604 } else { 3601 };
        return Some(format!("{number} device {device} is BLOCKED due to user unmount."));
    }
    if drive.is_drive && (drive.readers > 0 || (!request.is_append && drive.appenders > 0)) {
        let number = if request.is_append { 3603 } else { 3602 };
        return Some(format!("{number} device {device} is busy."));
    }
    if !request.is_append {
        return None;
    }
    if drive.jobs_max > 0 && drive.appenders >= drive.jobs_max {
        return Some(format!("3609 Max concurrent jobs={} exceeded on device {device}.", drive.jobs_max));
    }
    if drive.appenders > 0 && drive.volume_jobs_left == Some(0) {
        return Some(format!("3611 Volume max jobs exceeded on device {device}."));
    }
    match &drive.pool {
        Some((pool, kind))
            if drive.appenders > 0 && (*pool != request.pool || *kind != request.pool_type) =>
        {
            Some(format!(
                "3608 wants Pool=\"{}\" but have Pool=\"{pool}\" nreserve={} on device {device}.",
                request.pool, drive.appenders
            ))
        }
        Some(_) | None => None,
    }
}

fn in_pass(drives: &[DriveView], usable: &[(usize, bool)], pass: Pass, request: &Request) -> Vec<Candidate> {
    let mut places: Vec<usize> = usable
        .iter()
        .filter(|(_, by_changer)| *by_changer || !pass.changers_only)
        .map(|(place, _)| *place)
        .filter(|place| match pass.mount {
            Mount::Mounted => request.is_append && drives[*place].volume.is_some(),
            Mount::Free => drives[*place].appenders == 0,
            Mount::Any => true,
        })
        .collect();
    if pass.least_used {
        places.sort_by_key(|p| (drives[*p].usage_bytes, drives[*p].appenders));
    }
    let with_volume = |place: usize| match pass.mount {
        Mount::Mounted => true,
        // Whoever joins others gets their Volume.
        Mount::Free | Mount::Any => request.is_append && drives[place].appenders > 0,
    };
    places.into_iter().map(|drive| Candidate { drive, with_volume: with_volume(drive) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drive(name: &str) -> DriveView {
        DriveView {
            name: name.into(),
            print_name: format!("\"{name}\" (/v)"),
            media_type: "File".into(),
            changer: Some("C".into()),
            is_enabled: true,
            is_auto_select: true,
            ..DriveView::default()
        }
    }

    fn busy(name: &str, pool: &str, jobs: u32) -> DriveView {
        DriveView {
            appenders: jobs,
            pool: Some((pool.into(), "Backup".into())),
            volume: Some(format!("V-{name}")),
            ..drive(name)
        }
    }

    fn request() -> Request {
        Request {
            media_type: "File".into(),
            names: vec!["C".into()],
            is_append: true,
            pool: "P".into(),
            pool_type: "Backup".into(),
            prefer_mounted: true,
        }
    }

    fn check(drives: &[DriveView], request: &Request, want: &[(usize, bool)]) -> Decision {
        let decision = decide(drives, request);
        let got: Vec<_> = decision.candidates.iter().map(|c| (c.drive, c.with_volume)).collect();
        assert_eq!(got, want);
        decision
    }

    #[test]
    fn a_mounted_volume_is_preferred_where_wanted() {
        let drives = [drive("D1"), busy("D2", "P", 1)];
        check(&drives, &request(), &[(1, true), (0, false)]);
        check(&drives, &Request { prefer_mounted: false, ..request() }, &[(0, false), (1, true)]);
    }

    #[test]
    fn the_least_used_of_free_drives_comes_first_when_free_ones_are_preferred() {
        let drives =
            [DriveView { usage_bytes: 9, ..drive("D1") }, DriveView { usage_bytes: 3, ..drive("D2") }];
        check(&drives, &Request { prefer_mounted: false, ..request() }, &[(1, false), (0, false)]);
        check(&drives, &request(), &[(0, false), (1, false)]);
    }

    #[test]
    fn another_pool_and_the_limit_of_jobs_keep_a_drive_out() {
        let full = DriveView { jobs_max: 1, ..busy("D2", "P", 1) };
        let decision = check(&[busy("D1", "Q", 1), full], &request(), &[]);
        assert_eq!(
            decision.reasons,
            [
                "3608 wants Pool=\"P\" but have Pool=\"Q\" nreserve=1 on device \"D1\" (/v).",
                "3609 Max concurrent jobs=1 exceeded on device \"D2\" (/v).",
            ]
        );
        assert!(decision.is_possible);
    }

    #[test]
    fn a_free_drive_with_another_pools_volume_is_taken_without_it() {
        let drives = [DriveView { appenders: 0, ..busy("D1", "Q", 0) }];
        check(&drives, &request(), &[(0, true), (0, false)]);
    }

    #[test]
    fn names_media_types_and_switches_decide_who_is_asked() {
        let drives = [
            DriveView { media_type: "Other".into(), ..drive("D1") },
            DriveView { is_enabled: false, ..drive("D2") },
            DriveView { is_auto_select: false, ..drive("D3") },
            DriveView { is_read_only: true, ..drive("D4") },
        ];
        let decision = check(&drives, &request(), &[]);
        assert!(!decision.is_possible);
        check(&drives, &Request { names: vec!["D3".into()], ..request() }, &[(2, false)]);
        check(&drives, &Request { is_append: false, ..request() }, &[(3, false)]);
    }

    #[test]
    fn an_unmounted_drive_waits_for_the_operator() {
        let drives = [DriveView { blocked: Some(Blocked::Unmounted), ..drive("D1") }];
        let decision = check(&drives, &request(), &[]);
        assert_eq!(decision.reasons, ["3604 device \"D1\" (/v) is BLOCKED due to user unmount."]);
        let decision = check(&drives, &Request { is_append: false, ..request() }, &[]);
        assert_eq!(decision.reasons, ["3601 device \"D1\" (/v) is BLOCKED due to user unmount."]);
    }

    #[test]
    fn readers_share_a_device_of_files() {
        let drives = [busy("D1", "Q", 3)];
        check(&drives, &Request { is_append: false, ..request() }, &[(0, false)]);
    }
}
