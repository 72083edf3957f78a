//! Faults are done to a site, and healed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::site::{Act, Role};
use testkit::wait;

use super::draw::{Catalog, Command, DIRECTOR_PLACES, Fault, INSTANCES, Late, Order, STORAGE_PLACES, Who};
use super::watch::SCHEDULED;
use super::{EVENT, HEALED, Run};

/// The place at which the answer to a relabel has come.
const SENT: &str = "director-relabel-answered";
/// The longest that the jobs are waited for whose Volumes a command wants.
const ENDS: Duration = Duration::from_secs(15);
/// The longest that the takeover may take, on a busy machine.
const ACTIVE: Duration = Duration::from_secs(60);
/// So often is an instance waited for that then ends at a place.
const ROUNDS: usize = 8;

/// The switch that keeps the Storage Daemons away from the one who follows, so that they do not hear of its epoch.
const CUT_OFF: &str = "storages-not-asked";

impl Run {
    pub(super) fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillInstance(name) => self.kill_instance(name)?,
            Fault::KillBoth => INSTANCES.iter().try_for_each(|name| self.kill_instance(name))?,
            Fault::Freeze(Who::Instance(name)) if self.site.is_instance_running(name) => {
                self.site.freeze_instance(name)?;
            }
            Fault::Freeze(Who::Daemon(role)) if self.site.is_running(role) => self.site.freeze(role)?,
            Fault::Freeze(_) => {}
            // It may be refused, with nobody there to take over.
            Fault::Switchover => {
                self.order(Order { command: Command::Say("cluster switchover"), pick: 0 })?;
            }
            Fault::Demote => {
                // One of them may just be ending at a place.
                let _ = self.promote();
                let active = self.someone_active()?;
                self.is_demoted = true;
                let _ = self.site.console_of(&active, &["cluster demote"]);
            }
            Fault::Kill(role) if self.site.is_running(role) => {
                self.watch.harm(&self.site);
                self.site.kill(role)?;
            }
            Fault::Kill(_) => {}
            Fault::Place(place) => {
                if STORAGE_PLACES.contains(&place) {
                    self.watch.harm(&self.site);
                    self.armed.push(place);
                }
                self.site.arm(place, Act::Kill)?;
                self.order(Order { command: Command::Run(SCHEDULED), pick: 0 })?;
                // A job comes by, or the place waits for another fault's commands.
                let _ = self.site.wait_reached(place, EVENT);
            }
            Fault::Late { command, is_unheard } => self.come_too_late(command, is_unheard)?,
            Fault::Catalog => self.strike_catalog()?,
        }
        Ok(())
    }

    fn kill_instance(&mut self, name: &str) -> Result<()> {
        if self.site.is_instance_running(name) { self.site.kill_instance(name) } else { Ok(()) }
    }

    fn strike_catalog(&mut self) -> Result<()> {
        match self.catalog {
            Catalog::Pair if !self.is_failed_over => {
                self.is_failed_over = true;
                self.site.fail_over_catalog().map(drop)
            }
            Catalog::Server => {
                self.is_catalog_away = true;
                self.site.postgres().context("the server")?.kill()
            }
            Catalog::File | Catalog::Pair => Ok(()),
        }
    }

    fn revive_catalog(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_catalog_away) {
            self.site.postgres().context("the server")?.resume()?;
        }
        Ok(())
    }

    /// The active instance is frozen where it has decided on a command, followed by the other, and woken.
    fn come_too_late(&mut self, command: Late, is_unheard: bool) -> Result<()> {
        self.heal()?;
        let active = self.someone_active()?;
        let Some((lines, makes)) = self.late_lines(command)? else { return Ok(()) };
        let place = match command {
            Late::Label => "director-label-decided",
            Late::Relabel | Late::Truncate => "director-relabel-decided",
            Late::Purge => "director-console-uncommitted",
        };
        if is_unheard {
            // A job that wants to begin meanwhile fails of it.
            self.watch.harm(&self.site);
            self.site.switch_on(CUT_OFF)?;
        }
        self.site.arm(place, Act::Stop)?;
        self.begin(&active, &lines)?;
        let came = self.site.wait_reached(place, EVENT).is_ok() || !self.site.disarm(place);
        self.note(format_args!("{lines:?}{}", if came { "" } else { " (did not come to it)" }));
        if came {
            self.someone_active().context("after one was frozen")?;
            if is_unheard || self.has_heard() {
                self.watch.late.extend(makes);
            }
            let before = self.contents(&lines)?;
            self.site.arm(SENT, Act::Pass)?;
            self.thaw()?;
            if is_unheard && self.site.is_instance_running(&active) {
                let _ = self.site.wait_reached(SENT, EVENT);
                // Whoever follows cannot reach the Storage Daemon, and no job writes a purged Volume.
                ensure!(
                    self.contents(&lines)? == before,
                    "{HEALED}: I4: {lines:?} was done when the lease had run out"
                );
            }
            let _ = self.site.disarm(SENT);
        }
        if is_unheard {
            self.site.switch_off(CUT_OFF)?;
            self.watch.is_healed(&self.site)?;
        }
        Ok(())
    }

    /// What is on the Volume that the first of these lines purges.
    fn contents(&self, lines: &[String]) -> Result<Option<Vec<u8>>> {
        let volume = lines.first().and_then(|line| line.strip_prefix("purge volume="));
        Ok(volume.map(|name| std::fs::read(self.site.volume_file(name))).transpose()?)
    }

    /// What the console says, and the Volume that is made of it; nothing where there is no Volume for it.
    fn late_lines(&mut self, command: Late) -> Result<Option<(Vec<String>, Option<String>)>> {
        self.count += 1;
        let made = format!("Late-{:04}", self.count);
        if command == Late::Label {
            let line = format!("label storage=File1 drive=0 volume={made} pool=File slot=0");
            return Ok(Some((vec![line], Some(made))));
        }
        self.watch.is_lossy = true;
        if command == Late::Purge {
            let jobs = self
                .site
                .sql("SELECT JobId FROM Job WHERE Type = 'B' AND JobStatus = 'T' AND PurgedFiles = 0")?;
            return Ok(jobs.first().map(|row| (vec![format!("purge files jobid={} yes", row[0])], None)));
        }
        // One that no job writes; when all are written, the jobs end soon.
        let free = "SELECT VolumeName FROM Media WHERE VolBytes > 0 AND VolStatus IN ('Append', 'Full', 'Used') AND MediaId NOT IN \
                    (SELECT MediaId FROM JobMedia JOIN Job ON Job.JobId = JobMedia.JobId WHERE JobStatus IN ('C', 'R')) \
                    AND (VolStatus <> 'Append' OR NOT EXISTS (SELECT 1 FROM Job WHERE JobStatus IN ('C', 'R'))) ORDER BY MediaId";
        let found =
            wait::until("a Volume that is not written", ENDS, || Ok(self.site.sql(free)?.into_iter().next()));
        let Ok(volume) = found.map(|row| row[0].clone()) else { return Ok(None) };
        let purge = format!("purge volume={volume}");
        Ok(Some(match command {
            Late::Relabel => {
                let relabel =
                    format!("relabel storage=File1 drive=0 oldvolume={volume} volume={made} pool=File");
                (vec![purge, relabel], Some(made))
            }
            Late::Truncate | Late::Purge | Late::Label => {
                (vec![purge, "truncate allpools storage=File1 drive=0".to_owned()], None)
            }
        }))
    }

    /// Whether the Storage Daemon comes to know the epoch of the one who is active.
    fn has_heard(&self) -> bool {
        let epoch =
            self.site.sql("SELECT Epoch FROM hf_leader").ok().and_then(|rows| rows.into_iter().next());
        let Some(epoch) = epoch.map(|row| format!("epoch={}", row[0])) else { return false };
        let heard = wait::until("the Storage Daemon to hear of it", EVENT, || {
            let records = self.site.storage_records("directors")?;
            Ok(records.iter().any(|(_, text)| text.lines().any(|line| line == epoch)).then_some(()))
        });
        heard.is_ok()
    }

    /// A console's command, which goes on beside the faults.
    pub(super) fn order(&mut self, order: Order) -> Result<()> {
        let Some(line) = self.line(order) else { return Ok(()) };
        self.note(format_args!("console: {line}"));
        let lines = line.split("; ").map(str::to_owned).collect::<Vec<_>>();
        let active = self.someone_active()?;
        self.begin(&active, &lines)
    }

    /// Nothing where there is nothing to do it to.
    fn line(&mut self, order: Order) -> Option<String> {
        let pick = |query: &str| -> Option<String> {
            let rows = self.site.sql(query).ok()?;
            let at = order.pick.checked_rem(rows.len() as u64)?;
            rows.get(at as usize)?.first().cloned()
        };
        let written = "SELECT VolumeName FROM Media WHERE VolBytes > 0 ORDER BY MediaId";
        let line = match order.command {
            Command::Run(job) => format!("run job={job} level=Full yes"),
            Command::Restore => {
                let job = pick(
                    "SELECT JobId FROM Job WHERE Type = 'B' AND JobStatus = 'T' AND JobFiles > 0 ORDER BY JobId",
                )?;
                let to = self.site.dir().join("driver");
                format!("restore jobid={job} client=kit-fd where={} all done yes", to.display())
            }
            Command::Cancel => {
                let job = pick("SELECT JobId FROM Job WHERE JobStatus IN ('C', 'R') ORDER BY JobId")?;
                self.watch.excuse(job.parse().unwrap_or(0));
                format!("cancel jobid={job} yes")
            }
            Command::Prune => {
                let volume = pick(written)?;
                self.watch.is_lossy = true;
                format!("update volume={volume} volretention=1; prune volume={volume} yes")
            }
            Command::Purge => {
                let volume = pick(written)?;
                self.watch.is_lossy = true;
                format!("purge volume={volume}")
            }
            Command::Truncate => "truncate allpools storage=File1 drive=0".to_owned(),
            Command::Label => {
                self.count += 1;
                format!("label storage=File1 drive=0 volume=Made-{:04} pool=File slot=0", self.count)
            }
            Command::Reload => "reload".to_owned(),
            Command::Say(line) => line.to_owned(),
        };
        Some(line)
    }

    fn begin(&mut self, instance: &str, lines: &[String]) -> Result<()> {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let talk = self.site.begin_console_of(instance, &lines)?;
        self.talks.push((lines.join("; "), talk));
        Ok(())
    }

    /// Lets everything go on that stands still. An instance that the other has ended is started anew by [`Self::heal`].
    fn thaw(&mut self) -> Result<()> {
        for name in INSTANCES {
            if self.site.is_instance_running(name) {
                self.site.thaw_instance(name)?;
            }
        }
        for role in [Role::Storage, Role::Client] {
            if self.site.is_running(role) {
                self.site.thaw(role)?;
            }
        }
        Ok(())
    }

    /// Everything runs again, and no fault waits for its event any more.
    pub(super) fn heal(&mut self) -> Result<()> {
        for place in &DIRECTOR_PLACES {
            let _ = self.site.disarm(place);
        }
        for place in std::mem::take(&mut self.armed) {
            if !self.site.disarm(place) {
                // It has come there, and may have yet to end of it.
                wait::until("the Storage Daemon to end", wait::START, || {
                    Ok((!self.site.is_running(Role::Storage)).then_some(()))
                })?;
            }
        }
        self.revive_catalog()?;
        self.thaw()?;
        for role in [Role::Storage, Role::Client] {
            if !self.site.is_running(role) {
                self.site.start_role(role)?;
            }
        }
        for name in INSTANCES {
            if !self.site.is_instance_running(name) {
                self.site.start_instance(name)?;
            }
        }
        if std::mem::take(&mut self.is_demoted) {
            self.promote()?;
        }
        self.watch.is_healed(&self.site)
    }

    /// Lets every instance that runs become active again.
    fn promote(&mut self) -> Result<()> {
        for name in self.able() {
            self.site.console_of(name, &["cluster promote"])?;
        }
        Ok(())
    }

    /// Instances that run and move.
    fn able(&mut self) -> Vec<&'static str> {
        let able = |name: &&str| self.site.is_instance_running(name) && !self.site.is_instance_frozen(name);
        INSTANCES.into_iter().filter(able).collect()
    }

    /// Sees to it that at least one instance runs and one is active; says which.
    pub(super) fn someone_active(&mut self) -> Result<String> {
        for _ in 0..ROUNDS {
            self.revive_catalog()?;
            for name in INSTANCES {
                if !self.site.is_instance_running(name)
                    && self.site.running_instances().iter().any(|one| one == name)
                {
                    self.site.forget_instance(name)?; // it ended at a place, or was ended by the other
                }
            }
            let able = self.able();
            if able.len() < 2 && std::mem::take(&mut self.is_demoted) {
                self.promote()?;
            }
            match able.first() {
                Some(name) => {
                    self.site.prefer_instance(name);
                    if let Some(active) = self.wait_someone(name, able.len())? {
                        return Ok(active);
                    }
                }
                None => self.heal()?,
            }
        }
        anyhow::bail!("no instance stays active")
    }

    /// Nothing when fewer than these are able: then the other may have been demoted.
    fn wait_someone(&mut self, asked: &str, able: usize) -> Result<Option<String>> {
        wait::until("an active instance", ACTIVE, || {
            if self.able().len() < able {
                return Ok(Some(None));
            }
            let Ok(report) = self.site.cluster_report(asked) else { return Ok(None) };
            let all = report["instances"].as_array().cloned().unwrap_or_default();
            let active = all.iter().find(|one| one["role"] == "active");
            let name = active.and_then(|one| one["instance"].as_str()).map(str::to_owned);
            // One that was frozen just now is reported as it was.
            let moves = name.filter(|name| !self.site.is_instance_frozen(name));
            Ok(moves.map(Some))
        })
    }
}
