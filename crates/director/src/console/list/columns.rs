//! Columns of the pool and Volume tables, and their cells.

use catalog::media::MediaRow;
use types::Timestamp;

use super::super::fmt::iso_time;
use super::super::table::{Kind, Table};

pub(super) const POOL_SHORT: &[&str] = &[
    "poolid",
    "name",
    "numvols",
    "maxvols",
    "maxvolbytes",
    "volretention",
    "enabled",
    "pooltype",
    "labelformat",
];
pub(super) const POOL_LONG: &[&str] = &[
    "poolid",
    "name",
    "numvols",
    "maxvols",
    "useonce",
    "usecatalog",
    "acceptanyvolume",
    "volretention",
    "voluseduration",
    "maxvoljobs",
    "maxvolbytes",
    "autoprune",
    "recycle",
    "pooltype",
    "labelformat",
    "enabled",
    "scratchpoolid",
    "recyclepoolid",
    "labeltype",
    "actiononpurge",
    "cacheretention",
];
pub(super) const POOL_RECORD: &[&str] = &[
    "poolid",
    "name",
    "numvols",
    "maxvols",
    "useonce",
    "usecatalog",
    "acceptanyvolume",
    "cacheretention",
    "volretention",
    "voluseduration",
    "maxvoljobs",
    "maxvolfiles",
    "maxvolbytes",
    "autoprune",
    "recycle",
    "actiononpurge",
    "pooltype",
    "labeltype",
    "labelformat",
    "enabled",
    "scratchpoolid",
    "recyclepoolid",
    "nextpoolid",
    "migrationhighbytes",
    "migrationlowbytes",
    "migrationtime",
];
pub(super) const POOL_COLUMNS: [(&str, Kind); 26] = {
    use Kind::{Number as N, Text as T};
    [
        ("poolid", N),
        ("name", T),
        ("numvols", N),
        ("maxvols", N),
        ("useonce", N),
        ("usecatalog", N),
        ("acceptanyvolume", N),
        ("cacheretention", N),
        ("volretention", N),
        ("voluseduration", N),
        ("maxvoljobs", N),
        ("maxvolfiles", N),
        ("maxvolbytes", N),
        ("autoprune", N),
        ("recycle", N),
        ("actiononpurge", N),
        ("pooltype", T),
        ("labeltype", N),
        ("labelformat", T),
        ("enabled", N),
        ("scratchpoolid", N),
        ("recyclepoolid", N),
        ("nextpoolid", N),
        ("migrationhighbytes", N),
        ("migrationlowbytes", N),
        ("migrationtime", N),
    ]
};

pub(super) type Cells = Vec<Option<String>>;

pub(super) fn pool_cells(p: &catalog::pool::PoolRow) -> Cells {
    let flag = |on: bool| u8::from(on).to_string();
    let cells = [
        p.id.to_string(),
        p.name.clone(),
        p.num_vols.to_string(),
        p.max_vols.to_string(),
        flag(p.use_once),
        flag(p.use_catalog),
        flag(p.accept_any_volume),
        p.limits.cache_retention.to_string(),
        p.limits.vol_retention.to_string(),
        p.limits.vol_use_duration.to_string(),
        p.limits.max_vol_jobs.to_string(),
        p.limits.max_vol_files.to_string(),
        p.limits.max_vol_bytes.to_string(),
        flag(p.auto_prune),
        flag(p.limits.recycle),
        p.limits.action_on_purge.to_string(),
        p.pool_type.clone(),
        p.label_type.to_string(),
        p.label_format.clone(),
        flag(p.enabled),
        p.scratch_pool_id.to_string(),
        p.recycle_pool_id.to_string(),
        p.next_pool_id.to_string(),
        p.migration_high_bytes.to_string(),
        p.migration_low_bytes.to_string(),
        p.migration_time.to_string(),
    ];
    cells.into_iter().map(Some).collect()
}

pub(super) const MEDIA_SHORT: &[&str] = &[
    "mediaid",
    "volumename",
    "volstatus",
    "enabled",
    "volbytes",
    "volfiles",
    "volretention",
    "recycle",
    "slot",
    "inchanger",
    "mediatype",
    "voltype",
    "volparts",
    "lastwritten",
    "expiresin",
];
pub(super) const MEDIA_ONE: &[&str] = &[
    "mediaid",
    "volumename",
    "volstatus",
    "enabled",
    "volbytes",
    "volfiles",
    "volretention",
    "recycle",
    "slot",
    "inchanger",
    "mediatype",
    "voltype",
    "volparts",
    "expiresin",
];
pub(super) const MEDIA_LONG: &[&str] = &[
    "mediaid",
    "volumename",
    "slot",
    "poolid",
    "mediatype",
    "mediatypeid",
    "firstwritten",
    "lastwritten",
    "labeldate",
    "voljobs",
    "volfiles",
    "volblocks",
    "volparts",
    "volcloudparts",
    "cacheretention",
    "volmounts",
    "volbytes",
    "volabytes",
    "volapadding",
    "volholebytes",
    "volholes",
    "lastpartbytes",
    "volerrors",
    "volwrites",
    "volcapacitybytes",
    "volstatus",
    "enabled",
    "recycle",
    "volretention",
    "voluseduration",
    "maxvoljobs",
    "maxvolfiles",
    "maxvolbytes",
    "inchanger",
    "endfile",
    "endblock",
    "voltype",
    "labeltype",
    "storageid",
    "deviceid",
    "mediaaddressing",
    "volreadtime",
    "volwritetime",
    "locationid",
    "recyclecount",
    "initialwrite",
    "scratchpoolid",
    "recyclepoolid",
    "actiononpurge",
    "expiresin",
    "comment",
];
pub(super) const MEDIA_COLUMNS: [(&str, Kind); 51] = {
    use Kind::{Number as N, Text as T};
    [
        ("mediaid", N),
        ("volumename", T),
        ("slot", N),
        ("poolid", N),
        ("mediatype", T),
        ("mediatypeid", N),
        ("firstwritten", T),
        ("lastwritten", T),
        ("labeldate", T),
        ("voljobs", N),
        ("volfiles", N),
        ("volblocks", N),
        ("volparts", N),
        ("volcloudparts", N),
        ("cacheretention", N),
        ("volmounts", N),
        ("volbytes", N),
        ("volabytes", N),
        ("volapadding", N),
        ("volholebytes", N),
        ("volholes", N),
        ("lastpartbytes", N),
        ("volerrors", N),
        ("volwrites", N),
        ("volcapacitybytes", N),
        ("volstatus", T),
        ("enabled", N),
        ("recycle", N),
        ("volretention", N),
        ("voluseduration", N),
        ("maxvoljobs", N),
        ("maxvolfiles", N),
        ("maxvolbytes", N),
        ("inchanger", N),
        ("endfile", N),
        ("endblock", N),
        ("voltype", N),
        ("labeltype", N),
        ("storageid", N),
        ("deviceid", N),
        ("mediaaddressing", N),
        ("volreadtime", N),
        ("volwritetime", N),
        ("locationid", N),
        ("recyclecount", N),
        ("initialwrite", T),
        ("scratchpoolid", N),
        ("recyclepoolid", N),
        ("actiononpurge", N),
        ("expiresin", N),
        ("comment", T),
    ]
};

pub(super) fn media_cells(m: &MediaRow, now: Timestamp) -> Cells {
    let time = |at: Option<Timestamp>| at.map(|at| iso_time(at.0));
    let zero = || Some("0".to_owned());
    let number = |n: u64| Some(n.to_string());
    vec![
        Some(m.id.to_string()),
        Some(m.volume_name.clone()),
        Some(m.slot.to_string()),
        Some(m.pool_id.to_string()),
        Some(m.media_type.clone()),
        zero(),
        time(m.first_written),
        time(m.last_written),
        time(m.label_date),
        number(m.vol_jobs.into()),
        number(m.vol_files.into()),
        number(m.vol_blocks.into()),
        number(m.vol_parts.into()),
        number(m.vol_cloud_parts.into()),
        number(m.limits.cache_retention),
        number(m.vol_mounts.into()),
        number(m.vol_bytes),
        number(m.vol_abytes),
        number(m.vol_apadding),
        number(m.vol_hole_bytes),
        number(m.vol_holes.into()),
        number(m.last_part_bytes),
        number(m.vol_errors.into()),
        number(m.vol_writes),
        number(m.vol_capacity_bytes),
        Some(m.status.to_string()),
        number(m.enabled.into()),
        number(m.limits.recycle.into()),
        number(m.limits.vol_retention),
        number(m.limits.vol_use_duration),
        number(m.limits.max_vol_jobs.into()),
        number(m.limits.max_vol_files.into()),
        number(m.limits.max_vol_bytes),
        number(m.in_changer.into()),
        number(m.end_file.into()),
        number(m.end_block.into()),
        number(m.vol_type.into()),
        number(m.label_type.into()),
        Some(m.storage_id.to_string()),
        zero(),
        zero(),
        number(m.vol_read_time),
        number(m.vol_write_time),
        zero(),
        number(m.recycle_count.into()),
        time(m.initial_write),
        Some(m.scratch_pool_id.to_string()),
        Some(m.recycle_pool_id.to_string()),
        number(m.limits.action_on_purge.into()),
        number(expires_in(m, now)),
        Some(m.comment.clone()),
    ]
}

/// Seconds until the retention of a Volume is over; 0 when it was never written (spec/05 §7).
pub(super) fn expires_in(m: &MediaRow, now: Timestamp) -> u64 {
    let Some(written) = m.last_written else { return 0 };
    let end = written.0.saturating_add(i64::try_from(m.limits.vol_retention).unwrap_or(i64::MAX));
    u64::try_from(end.saturating_sub(now.0)).unwrap_or(0)
}

pub(super) fn pick(columns: &[(&str, Kind)], rows: Vec<Cells>, shown: &[&str]) -> Table {
    let mut table = Table::new(columns);
    table.rows = rows;
    narrow(&table, shown)
}

/// Only the columns named, in that order.
pub(super) fn narrow(table: &Table, shown: &[&str]) -> Table {
    let at: Vec<usize> =
        shown.iter().filter_map(|name| table.columns.iter().position(|c| c.name == *name)).collect();
    Table {
        columns: at.iter().map(|&i| table.columns[i].clone()).collect(),
        rows: table
            .rows
            .iter()
            .map(|row| at.iter().map(|&i| row.get(i).cloned().flatten()).collect())
            .collect(),
    }
}
