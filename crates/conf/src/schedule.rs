//! The `Schedule` resource and its Run lines (spec/04 §3).

use std::time::Duration;

use types::JobLevel;

use crate::table::{Kind, resource};

/// One `Run =` line: what it overrides and when it fires. Which instants that gives is `policy::schedule`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLine {
    /// The line as written, blanks normalised; with the Schedule's name it identifies the line across reloads.
    pub text: String,
    /// `Level=` or a bare level word.
    pub level: Option<JobLevel>,
    /// `Pool=`.
    pub pool: Option<String>,
    /// `FullPool=`.
    pub full_pool: Option<String>,
    /// `IncrementalPool=`.
    pub incremental_pool: Option<String>,
    /// `DifferentialPool=`.
    pub differential_pool: Option<String>,
    /// `NextPool=`.
    pub next_pool: Option<String>,
    /// `Storage=`.
    pub storage: Option<String>,
    /// `Messages=`.
    pub messages: Option<String>,
    /// `Priority=`.
    pub priority: Option<u32>,
    /// `SpoolData=`.
    pub spool_data: Option<bool>,
    /// `WritePartAfterJob=`.
    pub write_part_after_job: Option<bool>,
    /// `Accurate=`.
    pub accurate: Option<bool>,
    /// `MaxRunSchedTime=`.
    pub max_run_sched_time: Option<Duration>,
    /// When it fires.
    pub when: RunTimes,
}

/// The six sets and the minute of a Run line, as bits. All classes must match, except that `last_day` is an alternative
/// to day, weekday and weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunTimes {
    /// Bit h: hour h, 0 to 23.
    pub hours: u32,
    /// Bit d: day of the month d + 1.
    pub days: u32,
    /// The last day of the month.
    pub last_day: bool,
    /// Bit w: weekday w, 0 is Sunday.
    pub weekdays: u8,
    /// Bit m: month m + 1.
    pub months: u16,
    /// Bit w: week of the month w, that is days 7w + 1 to 7w + 7.
    pub weeks_of_month: u8,
    /// Bit w: week of the year w, 0 to 53; week 1 holds January 4th, weeks start on Monday.
    pub weeks_of_year: u64,
    /// The one minute of each hour.
    pub minute: u8,
}

impl RunTimes {
    /// Every hour of every day at minute 0: what a Run line without any word means.
    pub const EVERY_HOUR: Self = Self {
        hours: (1 << 24) - 1,
        days: (1 << 31) - 1,
        last_day: false,
        weekdays: (1 << 7) - 1,
        months: (1 << 12) - 1,
        weeks_of_month: (1 << 6) - 1,
        weeks_of_year: (1 << 54) - 1,
        minute: 0,
    };
}

resource! {
    /// When jobs start by themselves.
    Schedule = Schedule "Schedule" {
        /// Overrides and times; each line stands for itself.
        "Run" => runs: Vec<RunLine> = Kind::Run, example("Full 1st sun at 23:05");
        /// No: jobs with this Schedule are not started.
        "Enabled" => enabled: bool = Kind::Bool, default("yes");
    }
}
