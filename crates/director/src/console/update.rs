//! `update`: Volumes, Pools, statistics (spec/04 §8.2).

use catalog::media::{self, MediaRow};
use catalog::removal;
use types::{Timestamp, VolStatus};

use super::args::{Args, yes_no};
use super::fmt::{duration, parse_duration, parse_size};
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt};

/// Parameters of a Volume: keyword, menu word, question.
const PARAMETERS: [(&str, &str, &str); 16] = [
    ("volstatus", "Volume Status", "Enter new Volume status: "),
    ("volretention", "Volume Retention Period", "Enter Volume Retention period: "),
    ("voluse", "Volume Use Duration", "Enter Volume Use Duration: "),
    ("maxvoljobs", "Maximum Volume Jobs", "Enter new Maximum Jobs: "),
    ("maxvolfiles", "Maximum Volume Files", "Enter new Maximum Files: "),
    ("maxvolbytes", "Maximum Volume Bytes", "Enter new Maximum Bytes: "),
    ("recycle", "Recycle Flag", "Enter new Recycle status (yes/no): "),
    ("slot", "Slot", "Enter new Slot: "),
    ("inchanger", "InChanger Flag", "Set InChanger flag for Volume (yes/no): "),
    ("volfiles", "Volume Files", "Enter new number of Files for Volume: "),
    ("pool", "Pool", "Enter new Pool name: "),
    ("frompool", "Volume from Pool", ""),
    ("enabled", "Enabled", "Enter new Enabled: "),
    ("recyclepool", "RecyclePool", "Enter new RecyclePool name: "),
    ("actiononpurge", "Action On Purge", "Enter new Action On Purge (Truncate, None): "),
    ("cacheretention", "Cache Retention", "Enter Cache Retention period: "),
];

/// Statuses that an operator may set.
const SETTABLE: [VolStatus; 9] = [
    VolStatus::Append,
    VolStatus::Archive,
    VolStatus::Disabled,
    VolStatus::Full,
    VolStatus::Used,
    VolStatus::Cleaning,
    VolStatus::Recycle,
    VolStatus::ReadOnly,
    VolStatus::Error,
];

impl Session {
    pub(super) async fn update(&mut self, args: &Args) -> Done {
        self.use_catalog(false).await?;
        if args.has("stats") || args.has("statistics") {
            return self.update_stats(args).await;
        }
        if args.has("slots") {
            return self.update_slots(args).await;
        }
        if args.has("allfrompool") || args.has("fromallpools") {
            return self.update_all_from_pool(args).await;
        }
        if args.has("volume") {
            return self.update_volume(args).await;
        }
        if args.has("pool") {
            return self.update_pool(args).await;
        }
        let items = ["Volume parameters", "Pool from resource", "Long term statistics"].map(str::to_owned);
        match self.ua.choose("Update choice:", "Choose catalog item to update", &items).await? {
            0 => self.update_volume(args).await,
            1 => self.update_pool(args).await,
            _ => self.update_stats(args).await,
        }
    }

    async fn update_stats(&mut self, args: &Args) -> Done {
        let days = args.get("days").and_then(|d| d.parse::<i64>().ok()).unwrap_or(0);
        let before = Timestamp(now().saturating_sub(days.saturating_mul(86_400)));
        let count = self.write(move |tx| removal::update_stats(tx, before)).await?;
        self.ua.send(format!("Updating {count} job(s).\n")).await
    }

    async fn update_pool(&mut self, args: &Args) -> Done {
        let name = self.pick(Pick::Pool, args, &["pool"]).await?;
        let config = self.core.config();
        let Some(resource) = config.pool(&name) else { return Err(Halt::Failed) };
        let from_resource = crate::catreq::resources::pool_row(resource);
        self.write(move |tx| {
            let mut row = from_resource.clone();
            let old = catalog::pool::get_by_name(tx, &row.name)?;
            let id = match old {
                Some(old) => {
                    // What the catalog itself keeps stays; the resource says the rest.
                    row.num_vols = old.num_vols;
                    row.recycle_pool_id = old.recycle_pool_id;
                    row.scratch_pool_id = old.scratch_pool_id;
                    row.next_pool_id = old.next_pool_id;
                    old.id
                }
                None => catalog::pool::ensure(tx, &row)?,
            };
            row.id = id;
            catalog::pool::update(tx, &row)?;
            catalog::pool::recount(tx, id)
        })
        .await?;
        self.show_pool_record(&name).await?;
        self.ua.send("Pool DB record updated from resource.\n").await
    }

    async fn update_volume(&mut self, args: &Args) -> Done {
        let given: Vec<(&str, String)> = PARAMETERS
            .iter()
            .filter_map(|(key, _, _)| {
                let named = args.get(key).map(str::to_owned);
                named
                    .or_else(|| (*key == "frompool" && args.has(key)).then(String::new))
                    .map(|value| (*key, value))
            })
            .collect();
        if !given.is_empty() && args.get("volume").is_some() {
            let Some(mut volume) = self.pick_volume(args, &["volume"]).await? else {
                return Err(Halt::Failed);
            };
            for (key, value) in given {
                self.change(&mut volume, key, &value).await?;
            }
            return Ok(());
        }
        self.update_by_menu(args).await
    }

    async fn update_by_menu(&mut self, args: &Args) -> Done {
        let mut items: Vec<String> = PARAMETERS.iter().map(|(_, word, _)| (*word).to_owned()).collect();
        items.push("Done".to_owned());
        let mut volume: Option<MediaRow> = None;
        loop {
            let at = self.ua.choose("Parameters to modify:", "Select parameter to modify", &items).await?;
            let Some((key, _, question)) = PARAMETERS.get(at) else {
                return self.ua.send("Selection terminated.\n").await;
            };
            if volume.is_none() {
                volume = self.pick_volume(args, &["volume"]).await?;
            }
            let Some(row) = &mut volume else { return Err(Halt::Failed) };
            self.ua.send(format!("Updating Volume \"{}\"\n", row.volume_name)).await?;
            let value = if question.is_empty() { Some(String::new()) } else { self.ua.ask(question).await? };
            if let Some(value) = value {
                match self.change(row, key, &value).await {
                    // What is wrong was said; the menu comes again.
                    Ok(()) | Err(Halt::Failed) => {}
                    Err(halt) => return Err(halt),
                }
            }
        }
    }

    /// Changes one parameter and says so.
    async fn change(&mut self, volume: &mut MediaRow, key: &str, value: &str) -> Done {
        let mut row = volume.clone();
        let said = match key {
            "pool" => return self.change_pool(volume, value).await,
            "frompool" => return self.change_from_pool(volume).await,
            "recyclepool" => return self.change_recycle_pool(volume, value).await,
            key => set(&mut row, key, value),
        };
        let said = match said {
            Ok(said) => said,
            Err(problem) => return self.ua.fail(format!("{problem}\n")).await,
        };
        let stored = row.clone();
        self.write(move |tx| media::update(tx, &stored)).await?;
        *volume = row;
        self.ua.send(format!("{said}\n")).await
    }

    async fn change_pool(&mut self, volume: &mut MediaRow, pool: &str) -> Done {
        let key = pool.to_owned();
        let Some(target) = self.read(move |r| catalog::pool::get_by_name(r, &key)).await? else {
            return self.ua.fail(format!("Pool \"{pool}\" is not in the catalog.\n")).await;
        };
        if target.max_vols != 0 && target.num_vols >= target.max_vols {
            let text =
                format!("Unable to move: Pool \"{pool}\" has its maximum of {} Volumes.\n", target.max_vols);
            return self.ua.fail(text).await;
        }
        let present = volume.clone();
        *volume = self
            .write(move |tx| {
                let mut row = present.clone();
                media::move_to_pool(tx, &mut row, target.id)?;
                Ok(row)
            })
            .await?;
        self.ua.send(format!("New Pool is: {pool}\n")).await
    }

    async fn change_recycle_pool(&mut self, volume: &mut MediaRow, pool: &str) -> Done {
        let key = pool.to_owned();
        let target = self.read(move |r| catalog::pool::get_by_name(r, &key)).await?;
        let id = match (target, pool) {
            (Some(target), _) => target.id,
            (None, "" | "0" | "*None*") => types::PoolId(0),
            (None, _) => return self.ua.fail(format!("Pool \"{pool}\" is not in the catalog.\n")).await,
        };
        volume.recycle_pool_id = id;
        let row = volume.clone();
        self.write(move |tx| media::update(tx, &row)).await?;
        self.ua.send(format!("New RecyclePool is: {pool}\n")).await
    }

    async fn change_from_pool(&mut self, volume: &mut MediaRow) -> Done {
        let id = volume.pool_id;
        let Some(pool) = self.read(move |r| catalog::pool::get(r, id)).await? else {
            return Err(Halt::Failed);
        };
        volume.limits = pool.limits;
        volume.recycle_pool_id = pool.recycle_pool_id;
        let row = volume.clone();
        self.write(move |tx| media::update(tx, &row)).await?;
        self.ua.send(format!("New Volume defaults set from \"{}\" Pool record.\n", pool.name)).await
    }

    async fn update_all_from_pool(&mut self, args: &Args) -> Done {
        let only = match args.get("allfrompool").map(str::to_owned) {
            Some(name) => Some(name),
            None if args.has("fromallpools") => None,
            None => Some(self.pick_from_list(Pick::Pool).await?),
        };
        let mut pools = self.read(catalog::pool::list).await?;
        pools.retain(|pool| only.as_ref().is_none_or(|name| *name == pool.name));
        if pools.is_empty() {
            return self.ua.fail("No such Pool is in the catalog.\n").await;
        }
        for pool in pools {
            let name = pool.name.clone();
            self.write(move |tx| {
                for mut row in media::list(tx, Some(pool.id))? {
                    row.limits = pool.limits.clone();
                    row.recycle_pool_id = pool.recycle_pool_id;
                    media::update(tx, &row)?;
                }
                Ok(())
            })
            .await?;
            self.ua.send(format!("All Volume defaults updated from \"{name}\" Pool record.\n")).await?;
        }
        Ok(())
    }
}

/// Sets one parameter; the line that says so, or what is wrong.
fn set(row: &mut MediaRow, key: &str, value: &str) -> Result<String, String> {
    let invalid = |what: &str| format!("Invalid {what}: \"{value}\"");
    let flag = |what: &str| yes_no(value).ok_or_else(|| invalid(what));
    let word = |on: bool| if on { "yes" } else { "no" };
    Ok(match key {
        "volstatus" => {
            let status = SETTABLE.iter().copied().find(|s| s.as_str().eq_ignore_ascii_case(value));
            row.status = status.ok_or_else(|| format!("Invalid VolStatus specified: {value}"))?;
            format!("New Volume status is: {}", row.status)
        }
        "volretention" => {
            row.limits.vol_retention =
                parse_duration(value).ok_or_else(|| invalid("retention period specified"))?;
            format!("New retention period is: {}", duration(row.limits.vol_retention))
        }
        "cacheretention" => {
            row.limits.cache_retention =
                parse_duration(value).ok_or_else(|| invalid("retention period specified"))?;
            format!("New Cache Retention period is: {}", duration(row.limits.cache_retention))
        }
        "voluse" => {
            row.limits.vol_use_duration =
                parse_duration(value).ok_or_else(|| invalid("use duration specified"))?;
            format!("New use duration is: {}", duration(row.limits.vol_use_duration))
        }
        "maxvoljobs" => {
            row.limits.max_vol_jobs = value.parse().map_err(|_| invalid("number of jobs"))?;
            format!("New max jobs is: {}", row.limits.max_vol_jobs)
        }
        "maxvolfiles" => {
            row.limits.max_vol_files = value.parse().map_err(|_| invalid("number of files"))?;
            format!("New max files is: {}", row.limits.max_vol_files)
        }
        "maxvolbytes" => {
            row.limits.max_vol_bytes =
                parse_size(value).ok_or_else(|| invalid("max. bytes specification"))?;
            format!("New Max bytes is: {}", row.limits.max_vol_bytes)
        }
        "recycle" => {
            row.limits.recycle = flag("value for recycle. It must be yes or no")?;
            format!("New Recycle flag is: {}", word(row.limits.recycle))
        }
        "inchanger" => {
            row.in_changer = flag("value for inchanger. It must be yes or no")?;
            format!("New InChanger flag is: {}", word(row.in_changer))
        }
        "slot" => {
            row.slot = value.parse().ok().filter(|s| *s >= 0).ok_or_else(|| invalid("slot"))?;
            format!("New Slot is: {}", row.slot)
        }
        "volfiles" => {
            row.vol_files = value.parse().map_err(|_| invalid("number of files"))?;
            format!("New Volume Files is: {}", row.vol_files)
        }
        "enabled" => {
            row.enabled = match value.to_ascii_lowercase().as_str() {
                "archived" | "2" => 2,
                other => u32::from(
                    yes_no(other)
                        .ok_or_else(|| invalid("Enabled, it must be yes, no, archived, 0, 1, or 2"))?,
                ),
            };
            format!("New Enabled is: {}", row.enabled)
        }
        "actiononpurge" => {
            row.limits.action_on_purge = match value.to_ascii_lowercase().as_str() {
                "truncate" => 1,
                "none" | "" => 0,
                _ => return Err(invalid("action on purge")),
            };
            let word = if row.limits.action_on_purge == 1 { "Truncate" } else { "None" };
            format!("New ActionOnPurge is: {word}")
        }
        other => return Err(format!("Unknown Volume parameter: {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::pool::VolumeLimits;
    use types::PoolId;

    #[test]
    fn changes_say_what_the_recorded_console_says() {
        let mut row = MediaRow::new("V", PoolId(1), "File1", VolumeLimits::default());
        for (key, value, said) in [
            ("volstatus", "Used", "New Volume status is: Used"),
            ("volretention", "30days", "New retention period is: 1 month "),
            ("maxvoljobs", "3", "New max jobs is: 3"),
            ("maxvolbytes", "10G", "New Max bytes is: 10737418240"),
            ("recycle", "no", "New Recycle flag is: no"),
            ("inchanger", "yes", "New InChanger flag is: yes"),
            ("slot", "5", "New Slot is: 5"),
            ("enabled", "archived", "New Enabled is: 2"),
            ("actiononpurge", "truncate", "New ActionOnPurge is: Truncate"),
        ] {
            assert_eq!(set(&mut row, key, value).as_deref(), Ok(said));
            assert!(
                include_str!("../../fixtures/console/admin-prune-purge-delete.txt").contains(said),
                "{said}"
            );
        }
        assert_eq!(row.enabled, 2);
        for value in ["Bogus", "Purged"] {
            assert_eq!(
                set(&mut row, "volstatus", value),
                Err(format!("Invalid VolStatus specified: {value}"))
            );
        }
        assert!(set(&mut row, "slot", "-1").is_err());
    }
}
