//! What the Director knows of a Volume: the answer to every volume request (spec/03 §3.1).

use types::{MediaId, Nonce, VolTime};

use crate::line_message;
use crate::scan::{self, Fields, MsgError};
use crate::version::SdVersion;

line_message! {
    /// All fields of `1000 OK VolName=…`, in their order. 9.6 SDs take 31 fields, 13 takes 33, 15 takes 37: see
    /// [`VolumeInfo::for_version`].
    VolumeInfo = "1000 OK " {
        "VolName" name: String,
        "VolJobs" jobs: u32,
        "VolFiles" files: u32,
        /// Data blocks of jobs.
        "VolBlocks" blocks: u32,
        /// Everything on the Volume.
        "VolBytes" bytes: u64,
        /// Aligned data.
        "VolABytes" a_bytes: u64,
        "VolHoleBytes" hole_bytes: u64,
        "VolHoles" holes: u32,
        "VolMounts" mounts: u32,
        "VolErrors" errors: u32,
        /// All blocks written.
        "VolWrites" writes: u64,
        "MaxVolBytes" max_bytes: u64,
        "VolCapacityBytes" capacity_bytes: u64,
        "VolStatus" status: String,
        "Slot" slot: i32,
        "MaxVolJobs" max_jobs: u32,
        "MaxVolFiles" max_files: u32,
        "InChanger" in_changer: bool,
        /// Microseconds.
        "VolReadTime" read_time: i64,
        /// Microseconds.
        "VolWriteTime" write_time: i64,
        "EndFile" end_file: u32,
        "EndBlock" end_block: u32,
        /// 0 not yet known, 1 File, 9 Aligned, 14 Cloud.
        "VolType" vol_type: u32,
        /// 0 Bacula, 1 ANSI, 2 IBM.
        "LabelType" label_type: u32,
        "MediaId" media_id: MediaId,
        "ScratchPoolId" scratch_pool_id: u32,
        "VolParts" parts: u32,
        "VolCloudParts" cloud_parts: u32,
        "LastPartBytes" last_part_bytes: u64,
        "Enabled" enabled: u32,
        /// From 13 on.
        "MaxPoolBytes" max_pool_bytes: Option<u64>,
        /// From 13 on.
        "PoolBytes" pool_bytes: Option<u64>,
        "Recycle" recycle: u32,
        /// From 15 on.
        "Protected" protected: Option<u32>,
        /// From 15 on.
        "UseProtect" use_protect: Option<u32>,
        /// From 15 on.
        "VolEncrypted" encrypted: Option<u32>,
        /// Seconds; 15 with an SD of 30008.
        "VolRetention" retention: Option<u64>,
    } "\n"
}

impl VolumeInfo {
    /// The form that an SD of this version parses: it takes a missing field as failure.
    #[must_use]
    pub fn for_version(mut self, version: SdVersion) -> Self {
        if version.has_pool_bytes() {
            self.max_pool_bytes.get_or_insert(0);
            self.pool_bytes.get_or_insert(0);
        } else {
            (self.max_pool_bytes, self.pool_bytes) = (None, None);
        }
        if version.has_protection() {
            self.protected.get_or_insert(0);
            self.use_protect.get_or_insert(0);
            self.encrypted.get_or_insert(0);
            self.retention.get_or_insert(0);
        } else {
            (self.protected, self.use_protect, self.encrypted, self.retention) = (None, None, None, None);
        }
        self
    }
}

/// What a recycling that follows from the answer was decided on (docs/extensions.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumePermit {
    /// Label time that the Director believes in; 0 where the SD has no state.
    pub label_time: VolTime,
    /// Write counter that it believes in.
    pub writes: u64,
    /// A nonce of the SD.
    pub nonce: Nonce,
    /// What was left of the lease, in ms.
    pub lease_ms: u64,
}

/// The Director's answer to a volume request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeReply {
    /// The Volume.
    Volume {
        /// The record.
        info: Box<VolumeInfo>,
        /// With the additions.
        permit: Option<VolumePermit>,
    },
    /// `1901 No Media. <reason>`, `1997 …`, `1998 …`, `1991 …`: no Volume, and why. The whole line.
    Refused(String),
}

impl VolumeReply {
    /// Reads the answer.
    ///
    /// # Errors
    /// An answer with success whose fields cannot be read.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        if !line.starts_with(VolumeInfo::PREFIX.as_bytes()) {
            return Ok(Self::Refused(scan::text(line)));
        }
        let fields = Fields::new(line);
        let permit = match fields.get::<Option<Nonce>>("HfNonce")? {
            None => None,
            Some(nonce) => Some(VolumePermit {
                label_time: fields.get("HfLabelTime")?,
                writes: fields.get("HfWrites")?,
                nonce,
                lease_ms: fields.get("HfLeaseMs")?,
            }),
        };
        Ok(Self::Volume { info: Box::new(VolumeInfo::parse(line)?), permit })
    }

    /// The answer as it is sent; give `info` the form of the SD's version first.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::Refused(text) => format!("{text}\n").into_bytes(),
            Self::Volume { info, permit } => {
                let mut out = info.format();
                if let Some(permit) = permit {
                    out.pop();
                    scan::put(&mut out, "HfLabelTime", &permit.label_time);
                    scan::put(&mut out, "HfWrites", &permit.writes);
                    scan::put(&mut out, "HfNonce", &permit.nonce);
                    scan::put(&mut out, "HfLeaseMs", &permit.lease_ms);
                    out.push(b'\n');
                }
                out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> VolumeInfo {
        let line = b"1000 OK VolName=Vol-0001 VolJobs=3 VolFiles=0 VolBlocks=4 VolBytes=44555 VolABytes=0 VolHoleBytes=0 \
            VolHoles=0 VolMounts=2 VolErrors=0 VolWrites=7 MaxVolBytes=0 VolCapacityBytes=0 VolStatus=Append Slot=0 \
            MaxVolJobs=0 MaxVolFiles=0 InChanger=0 VolReadTime=0 VolWriteTime=511 EndFile=0 EndBlock=44554 VolType=1 \
            LabelType=0 MediaId=1 ScratchPoolId=0 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle=1\n";
        VolumeInfo::parse(line).unwrap()
    }

    #[test]
    fn each_version_gets_its_number_of_fields() {
        let count = |version| {
            let line = info().for_version(SdVersion(version)).format();
            line.iter().filter(|&&b| b == b'=').count()
        };
        assert_eq!([306, 30_007, 30_008].map(count), [31, 33, 37]);
        let old = String::from_utf8(info().for_version(SdVersion(306)).format()).unwrap();
        assert!(old.ends_with("Enabled=1 Recycle=1\n"));
    }

    #[test]
    fn permits_and_refusals_round_trip() {
        let permit = VolumePermit { label_time: VolTime(9), writes: 7, nonce: Nonce(1), lease_ms: u64::MAX };
        for permit in [None, Some(permit)] {
            let reply = VolumeReply::Volume { info: Box::new(info()), permit };
            assert_eq!(VolumeReply::parse(&reply.format()).unwrap(), reply);
        }
        let refused = VolumeReply::Refused("1901 No Media. Pool full.".into());
        assert_eq!(VolumeReply::parse(&refused.format()).unwrap(), refused);
        assert!(VolumeReply::parse(b"1000 OK VolName=x\n").is_err());
    }
}
