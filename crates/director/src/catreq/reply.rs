//! The volume information reply, in the form of the SD's version (spec/03 §3.1).

use super::volumes::Guarded;
use catalog::media::MediaRow;
use std::fmt::Write;
use types::bash_spaces;
use wire::version::SdVersion;

/// What the reply says besides the row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Extra {
    /// Of the Pool; 0 = unlimited.
    pub(super) max_pool_bytes: u64,
    /// In the Pool.
    pub(super) pool_bytes: u64,
    /// For a Holdfast SD: what a recycling is bound to.
    pub(super) guarded: Option<Guarded>,
}

/// 31 fields for 9.6, 33 for 13, 37 for 15; a pattern that is not of its version an SD takes as a failure.
pub(super) fn volume_reply(m: &MediaRow, extra: &Extra, version: SdVersion) -> String {
    let mut out = format!(
        "1000 OK VolName={} VolJobs={} VolFiles={} VolBlocks={} VolBytes={} VolABytes={} VolHoleBytes={} VolHoles={} \
         VolMounts={} VolErrors={} VolWrites={} MaxVolBytes={} VolCapacityBytes={} VolStatus={} Slot={} MaxVolJobs={} \
         MaxVolFiles={} InChanger={} VolReadTime={} VolWriteTime={} EndFile={} EndBlock={} VolType={} LabelType={} \
         MediaId={} ScratchPoolId={} VolParts={} VolCloudParts={} LastPartBytes={} Enabled={}",
        bash_spaces(&m.volume_name),
        m.vol_jobs,
        m.vol_files,
        m.vol_blocks,
        m.vol_bytes,
        m.vol_abytes,
        m.vol_hole_bytes,
        m.vol_holes,
        m.vol_mounts,
        m.vol_errors,
        m.vol_writes,
        m.limits.max_vol_bytes,
        m.vol_capacity_bytes,
        m.status,
        m.slot,
        m.limits.max_vol_jobs,
        m.limits.max_vol_files,
        u8::from(m.in_changer),
        m.vol_read_time,
        m.vol_write_time,
        m.end_file,
        m.end_block,
        m.vol_type,
        m.label_type,
        m.id,
        m.scratch_pool_id,
        m.vol_parts,
        m.vol_cloud_parts,
        m.last_part_bytes,
        m.enabled,
    );
    if version.has_pool_bytes() {
        put(&mut out, format_args!(" MaxPoolBytes={} PoolBytes={}", extra.max_pool_bytes, extra.pool_bytes));
    }
    put(&mut out, format_args!(" Recycle={}", u8::from(m.limits.recycle)));
    if version.has_protection() {
        put(
            &mut out,
            format_args!(
                " Protected={} UseProtect={} VolEncrypted={} VolRetention={}",
                u8::from(m.protected),
                u8::from(m.use_protect),
                u8::from(m.vol_encrypted),
                m.limits.vol_retention
            ),
        );
    }
    if let Some(g) = &extra.guarded {
        put(
            &mut out,
            format_args!(
                " HfLabelTime={} HfWrites={} HfNonce={} HfLeaseMs={}",
                g.label_time, g.write_counter, g.nonce, g.lease_ms
            ),
        );
    }
    out.push('\n');
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::pool::VolumeLimits;
    use types::PoolId;

    #[test]
    fn each_version_gets_its_number_of_fields() {
        let row = MediaRow::new("Vol-0001", PoolId(1), "File1", VolumeLimits::default());
        let fields = |n| volume_reply(&row, &Extra::default(), SdVersion(n)).matches('=').count();
        assert_eq!([306, 30_007, 30_008].map(fields), [31, 33, 37]);
        let old = volume_reply(&row, &Extra::default(), SdVersion(306));
        assert!(old.ends_with(" Enabled=1 Recycle=0\n"), "{old}");
    }
}
