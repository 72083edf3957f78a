//! Console commands: each is answered with lines and EOD (spec/03 §2.5–2.7).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wire::Signal;
use wire::scan::Fields;

use super::Daemon;
use super::status;
use crate::device::Device;
use crate::job::{Line, StopRequest};
use crate::ledger::{DirectorKey, Registration};

/// One console command of a Director.
pub(crate) struct Console<'a> {
    pub(crate) daemon: &'a Arc<Daemon>,
    pub(crate) key: DirectorKey,
    pub(crate) line: &'a Line,
    pub(crate) registration: Option<&'a Registration>,
}

impl Console<'_> {
    /// Executes a command. The order of the tests is that of Bacula's table: longer words that begin like shorter ones come first.
    pub(crate) fn command(&self, text: &str) {
        let is = |word: &str| text.starts_with(word);
        if is("cancel") {
            self.stop_job(text, StopRequest::Cancel);
        } else if is("stop") {
            self.stop_job(text, StopRequest::Stop);
        } else if is(".status") {
            status::dot_status(self.daemon, self.line, text);
        } else if is("status") {
            status::full_status(self.daemon, self.line);
        } else if is("setbandwidth=") {
            self.set_bandwidth(text);
        } else if is("setdebug=") {
            self.set_debug(text);
        } else if is("autochanger") {
            self.autochanger(text);
        } else if is("statistics") {
            status::statistics(self.daemon, self.line, text);
        } else if is("label") {
            self.label(text);
        } else if is("relabel") {
            self.relabel(text);
        } else if is("mount") {
            self.mount(text);
        } else if is("unmount") {
            self.unmount(text);
        } else if is("release") {
            self.release(text);
        } else if is("enable") {
            self.enable(text, true);
        } else if is("disable") {
            self.enable(text, false);
        } else if is("readlabel") {
            self.read_label(text);
        } else if is("truncate") {
            self.say("3900 Truncate cache for volume \"\" failed. ERR=Not implemented: the devices are no cloud devices.\n");
        } else if is("upload") {
            self.say("3999 Error with the upload: ERR=Not implemented: the devices are no cloud devices.\n");
        } else if is("prunecache") {
            self.say("3900 Not yet implemented\n");
        } else if is("cloudlist") {
            self.say("3900 Error cannot get cloud Volume list. ERR=Not implemented\n");
        } else {
            self.say("3900 Invalid command:\n");
            return;
        }
        let _ = self.line.signal(Signal::Eod);
    }

    pub(crate) fn say(&self, text: &str) {
        // A Director that is gone is noticed by the receiving side.
        let _ = self.line.send(text.as_bytes());
    }

    fn stop_job(&self, text: &str, request: StopRequest) {
        let Some(name) = text.split_whitespace().find_map(|w| w.strip_prefix("Job=")) else {
            return self.say("3903 Error scanning cancel command.\n");
        };
        let job = self.daemon.jobs.of_director(&self.key, name);
        let Some(job) = job.filter(|j| j.state().phase != crate::job::JobPhase::Ended) else {
            return self.say(&format!("3904 Job {name} not found.\n"));
        };
        job.request_stop(request);
        for device in &self.daemon.devices {
            device.notify();
        }
        self.daemon.notify_devices();
        let what = if request == StopRequest::Stop { "stopped" } else { "canceled" };
        self.say(&format!("3000 JobId={} Job=\"{name}\" marked to be {what}.\n", job.spec.id));
    }

    /// `setbandwidth=<bytes/s> Job=<name>`, as a File Daemon has it: for the reading job of a copy.
    fn set_bandwidth(&self, text: &str) {
        let f = Fields::new(text.as_bytes());
        let name = f.raw("Job").map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
        let Ok(limit) = f.get::<u64>("setbandwidth") else {
            return self.say(&format!("3991 Bad setbandwidth command: {}\n", text.trim_end()));
        };
        match self.daemon.jobs.of_director(&self.key, &name) {
            Some(job) => job.bandwidth_bytes_per_s.store(limit, Ordering::Relaxed),
            None => self.say(&format!("3904 Job {name} not found.\n")),
        }
        self.say("3000 OK Bandwidth\n");
    }

    fn set_debug(&self, text: &str) {
        let f = Fields::new(text.as_bytes());
        let level = f.get::<i64>("setdebug").unwrap_or(0);
        let trace = f.get::<i64>("trace").unwrap_or(0);
        let word =
            |key: &str| f.raw(key).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
        self.daemon.debug_level.store(u32::try_from(level).unwrap_or(0), Ordering::Relaxed);
        self.say(&format!(
            "3000 OK setdebug={level} trace={trace} options={} tags={}\n",
            word("options"),
            word("tags")
        ));
    }

    /// The device that a command names as its first word, with `drive=`.
    pub(crate) fn device_of(&self, text: &str) -> Option<&Arc<Device>> {
        let name = types::unbash_spaces(text.split_whitespace().nth(1)?);
        let drive = Fields::new(text.as_bytes()).get::<i32>("drive").unwrap_or(-1);
        let found = self.daemon.device_or_drive(&name, drive);
        if found.is_none() {
            self.say(&format!("3999 Device \"{name}\" not found or could not be opened.\n"));
        }
        found
    }
}
