//! What the catalog says of a Volume (spec/03 §3.1), and what is reported back (§3.2 UpdateMedia).

use types::{MediaId, Nonce, VolTime};
use wire::scan::Fields;

/// A Volume as the catalog has it; read by keyword, so that the forms of all versions are taken (spec/03 §11).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeInfo {
    /// Name.
    pub name: String,
    /// VolJobs.
    pub jobs: u32,
    /// VolFiles.
    pub files: u32,
    /// VolBlocks: data blocks of jobs.
    pub blocks: u64,
    /// VolBytes: all bytes.
    pub bytes: u64,
    /// VolMounts.
    pub mounts: u32,
    /// VolErrors.
    pub errors: u32,
    /// VolWrites: all blocks.
    pub writes: u64,
    /// MaxVolBytes; 0 for no limit.
    pub bytes_max: u64,
    /// VolStatus.
    pub status: String,
    /// Slot.
    pub slot: i32,
    /// MaxVolJobs; 0 for no limit.
    pub jobs_max: u32,
    /// InChanger.
    pub in_changer: bool,
    /// VolReadTime in microseconds.
    pub read_time_us: u64,
    /// VolWriteTime in microseconds.
    pub write_time_us: u64,
    /// VolType; 0 while unknown.
    pub vol_type: u32,
    /// MediaId.
    pub media_id: MediaId,
    /// Enabled.
    pub enabled: u32,
    /// Recycle.
    pub recycle: u32,
    /// When it was first written by a job, seconds.
    pub first_written: u64,
    /// The Director's permission to overwrite, where it gave one (docs/extensions.md §3).
    pub permit: Option<Permit>,
}

/// What a destructive command was planned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// Label time that the Director believes; 0 where it knows none.
    pub label_time: VolTime,
    /// Write counter that it believes.
    pub writes: u64,
    /// A nonce of this daemon.
    pub nonce: Nonce,
    /// Lease that was left when it checked, in milliseconds.
    pub lease_ms: u64,
}

/// The answer to FindMedia, GetVolInfo or UpdateMedia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeReply {
    /// The Volume.
    Found(Box<VolumeInfo>),
    /// Refused, with the Director's words.
    Refused(String),
}

impl VolumeReply {
    /// Reads the answer.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let refused = || Self::Refused(wire::scan::text(line));
        if !line.starts_with(b"1000 OK ") {
            return refused();
        }
        VolumeInfo::parse(line).map_or_else(refused, |info| Self::Found(Box::new(info)))
    }
}

impl VolumeInfo {
    fn parse(line: &[u8]) -> Option<Self> {
        let f = Fields::new(line);
        let number = |key: &'static str| f.get::<u64>(key).unwrap_or(0);
        let small = |key: &'static str| u32::try_from(number(key)).unwrap_or(u32::MAX);
        let text = |key: &'static str| f.raw(key).map(|v| types::unbash_spaces(&String::from_utf8_lossy(v)));
        let permit = match (f.get("HfLabelTime"), f.get("HfWrites"), f.get("HfNonce"), f.get("HfLeaseMs")) {
            (Ok(label_time), Ok(writes), Ok(nonce), Ok(lease_ms)) => {
                Some(Permit { label_time, writes, nonce, lease_ms })
            }
            _ => None,
        };
        Some(Self {
            name: text("VolName").filter(|n| !n.is_empty())?,
            jobs: small("VolJobs"),
            files: small("VolFiles"),
            blocks: number("VolBlocks"),
            bytes: f.get("VolBytes").ok()?,
            mounts: small("VolMounts"),
            errors: small("VolErrors"),
            writes: number("VolWrites"),
            bytes_max: number("MaxVolBytes"),
            status: text("VolStatus")?,
            slot: f.get("Slot").unwrap_or(0),
            jobs_max: small("MaxVolJobs"),
            in_changer: number("InChanger") != 0,
            read_time_us: number("VolReadTime"),
            write_time_us: number("VolWriteTime"),
            vol_type: small("VolType"),
            media_id: f.get("MediaId").ok()?,
            enabled: small("Enabled"),
            recycle: small("Recycle"),
            first_written: 0,
            permit,
        })
    }

    /// The UpdateMedia request without what Holdfast adds, and without the line feed.
    #[must_use]
    pub fn update_request(&self, job: types::JobId, end_time: u64, is_relabel: bool) -> String {
        format!(
            "CatReq JobId={job} UpdateMedia VolName={} VolJobs={} VolFiles={} VolBlocks={} VolBytes={} VolABytes=0 \
             VolHoleBytes=0 VolHoles=0 VolMounts={} VolErrors={} VolWrites={} MaxVolBytes={} EndTime={end_time} \
             VolStatus={} Slot={} relabel={} InChanger={} VolReadTime={} VolWriteTime={} VolFirstWritten={} VolType={} \
             VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled={} Recycle={} Protected=0 UseProtect=0 VolEncrypted=0",
            types::bash_spaces(&self.name),
            self.jobs,
            self.files,
            self.blocks,
            self.bytes,
            self.mounts,
            self.errors,
            self.writes,
            self.bytes_max,
            self.status,
            self.slot,
            u32::from(is_relabel),
            u32::from(self.in_changer),
            self.read_time_us,
            self.write_time_us,
            self.first_written,
            self.vol_type,
            self.enabled,
            self.recycle,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "1000 OK VolName=Vol-0001 VolJobs=1 VolFiles=0 VolBlocks=2 VolBytes=44555 VolABytes=0 VolHoleBytes=0 \
        VolHoles=0 VolMounts=1 VolErrors=0 VolWrites=3 MaxVolBytes=1000 VolCapacityBytes=0 VolStatus=Append Slot=0 MaxVolJobs=4 \
        MaxVolFiles=0 InChanger=0 VolReadTime=0 VolWriteTime=7 EndFile=0 EndBlock=44554 VolType=1 LabelType=0 MediaId=5 \
        ScratchPoolId=0 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1";

    #[test]
    fn volume_replies_of_all_versions() {
        let tails = [
            " Recycle=1\n",
            " MaxPoolBytes=0 PoolBytes=0 Recycle=1\n",
            " MaxPoolBytes=0 PoolBytes=0 Recycle=1 Protected=0 UseProtect=0 VolEncrypted=0 VolRetention=86400\n",
        ];
        for tail in tails {
            let VolumeReply::Found(info) = VolumeReply::parse(format!("{LINE}{tail}").as_bytes()) else {
                panic!()
            };
            assert_eq!(
                (info.name.as_str(), info.bytes, info.status.as_str()),
                ("Vol-0001", 44_555, "Append")
            );
            assert_eq!(
                (info.media_id, info.bytes_max, info.jobs_max, info.recycle),
                (MediaId(5), 1000, 4, 1)
            );
            assert_eq!(info.permit, None);
        }
        let own = format!("{LINE} Recycle=1 HfLabelTime=12 HfWrites=3 HfNonce={:032x} HfLeaseMs=900\n", 255);
        let VolumeReply::Found(info) = VolumeReply::parse(own.as_bytes()) else { panic!() };
        let permit = Permit { label_time: VolTime(12), writes: 3, nonce: Nonce(255), lease_ms: 900 };
        assert_eq!(info.permit, Some(permit));
        assert_eq!(
            VolumeReply::parse(b"1901 No Media. x\n"),
            VolumeReply::Refused("1901 No Media. x".into())
        );
        assert!(matches!(VolumeReply::parse(b"1000 OK nothing\n"), VolumeReply::Refused(_)));
    }
}
