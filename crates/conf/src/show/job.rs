//! `show job=…`: a Job with everything that it names.

use std::fmt::Write as _;

use types::JobType;

use super::{ARROW, Show};
use crate::director::{Job, SelectionType};
use crate::runscript::{RunScript, RunsWhen, Target};
use crate::table::ResourceKind;
use crate::value::level_word;

impl Show<'_> {
    pub(super) fn job(&self, j: &Job) -> String {
        let mut out = self.job_head(j);
        self.job_sources(&mut out, j);
        job_settings(&mut out, j);
        for storage in j.storage.iter().filter_map(|name| self.config.storage(name)) {
            out.push_str(&self.storage(storage, ARROW));
        }
        j.run_scripts.iter().for_each(|script| script_lines(&mut out, script));
        let pools = [
            Some(&j.pool),
            j.full_backup_pool.as_ref(),
            j.virtual_full_backup_pool.as_ref(),
            j.incremental_backup_pool.as_ref(),
            j.differential_backup_pool.as_ref(),
            j.next_pool.as_ref(),
        ];
        for pool in pools.into_iter().flatten().filter_map(|name| self.config.pool(name)) {
            out.push_str(&self.pool(pool, ARROW));
        }
        if let Some(verify) = &j.verify_job {
            // Bacula ends this line without a newline.
            let _ = write!(out, "  --> JobToVerify {verify}");
        }
        if let Some(pattern) = &j.selection_pattern {
            let _ = writeln!(out, "  --> SelectionPattern={pattern}");
        }
        if let Some(messages) = self.config.messages_named(&j.messages) {
            out.push_str(&self.messages(messages, ARROW));
        }
        out
    }

    fn job_head(&self, j: &Job) -> String {
        let mut out = format!(
            "Job: name={} JobType={} level={} Priority={} Enabled={}\n     \
             MaxJobs={} NumJobs={} Resched={} Times={} Interval={} Spool={} WritePartAfterJob={}\n",
            j.name,
            j.job_type.code(),
            j.level.map_or("", level_word),
            j.priority,
            u8::from(j.enabled),
            j.maximum_concurrent_jobs,
            self.running(ResourceKind::Job, &j.name),
            u8::from(j.reschedule_on_error),
            j.reschedule_times,
            with_commas(j.reschedule_interval.as_secs()),
            u8::from(j.spool_data),
            u8::from(j.write_part_after_job)
        );
        match j.job_type {
            JobType::Backup => {
                let _ = writeln!(out, "     Accurate={}", u8::from(j.accurate));
            }
            JobType::Restore => {
                let _ = writeln!(out, "     PrefixLinks={}", u8::from(j.prefix_links));
            }
            JobType::Copy | JobType::Migrate => {
                let number = j.selection_type.map_or(0, selection_number);
                let _ = writeln!(out, "     SelectionType={number}");
            }
            JobType::Verify
            | JobType::Admin
            | JobType::JobCopy
            | JobType::MigratedJob
            | JobType::Console
            | JobType::System
            | JobType::Archive
            | JobType::Scan => {}
        }
        out
    }

    fn job_sources(&self, out: &mut String, j: &Job) {
        if let Some(client) = self.config.client(&j.client) {
            out.push_str(&self.client(client, ARROW));
        }
        if let Some(fileset) = self.config.fileset(&j.fileset) {
            out.push_str(&self.fileset(fileset, ARROW));
        }
        if let Some(schedule) = j.schedule.as_ref().and_then(|name| self.config.schedule(name)) {
            out.push_str(&self.schedule(schedule, ARROW));
        }
    }
}

fn job_settings(out: &mut String, j: &Job) {
    let texts = [
        ("Where", &j.restore_where),
        ("RegexWhere", &j.regex_where),
        ("Bootstrap", &j.bootstrap),
        ("WriteBootstrap", &j.write_bootstrap),
        ("PluginOptions", &j.plugin_options),
    ];
    for (word, text) in texts.into_iter().filter_map(|(word, text)| Some((word, text.as_ref()?))) {
        let _ = writeln!(out, "  --> {word}={text}");
    }
    let times = [
        ("MaxRunTime", j.max_run_time),
        ("MaxWaitTime", j.max_wait_time),
        ("MaxStartDelay", j.max_start_delay),
        ("MaxRunSchedTime", j.max_run_sched_time),
    ];
    for (word, time) in times.into_iter().filter(|(_, time)| !time.is_zero()) {
        let _ = writeln!(out, "  --> {word}={}", time.as_secs());
    }
    if !j.base.is_empty() {
        j.base.iter().for_each(|base| {
            let _ = writeln!(out, "  --> Base Job={base}");
        });
    }
}

fn script_lines(out: &mut String, script: &RunScript) {
    let target = match &script.target {
        Target::Director => "",
        Target::Client => "%c",
        Target::Named(name) => name,
    };
    let when = match script.when {
        RunsWhen::Never => 0,
        RunsWhen::After => 1,
        RunsWhen::Before => 2,
        RunsWhen::Always => 3,
        RunsWhen::AfterVss | RunsWhen::AfterSnapshot => 4,
    };
    let _ = write!(
        out,
        " --> RunScript\n  --> Command={}\n  --> Target={target}\n  --> RunOnSuccess={}\n  --> RunOnFailure={}\n  \
         --> FailJobOnError={}\n  --> RunWhen={when}\n",
        script.script.text(),
        u8::from(script.on_success),
        u8::from(script.on_failure),
        u8::from(script.fail_job_on_error)
    );
}

const fn selection_number(selection: SelectionType) -> u8 {
    match selection {
        SelectionType::SmallestVolume => 1,
        SelectionType::OldestVolume => 2,
        SelectionType::PoolOccupancy => 3,
        SelectionType::PoolTime => 4,
        SelectionType::PoolUncopiedJobs => 5,
        SelectionType::Client => 6,
        SelectionType::Volume => 7,
        SelectionType::Job => 8,
        SelectionType::SqlQuery => 9,
    }
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
