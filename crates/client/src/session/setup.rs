//! What a session gathers before the job's main command.

use types::Timestamp;
use wire::msg::dir_fd::LevelWord;

use crate::accurate::AccurateList;
use crate::backup::{Selection, Since};
use crate::fileset::FileSet;
use crate::script::RunScript;
use crate::storage::StorageSession;

/// Gathered so far.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) level: Option<LevelWord>,
    pub(super) accurate_mode: bool,
    pub(super) rerunning: bool,
    /// On this client's clock.
    pub(super) since: Timestamp,
    pub(super) set: FileSet,
    pub(super) accurate: Option<AccurateList>,
    pub(super) storage: Option<StorageSession>,
    /// A key came with `storage`: further storages may follow a restore.
    pub(super) several_storages: bool,
    pub(super) scripts: Vec<RunScript>,
}

impl Setup {
    /// What decides that an entry has changed.
    pub(super) fn selection(&self) -> Selection {
        let since = Since(self.since.0);
        match self.level {
            None | Some(LevelWord::Full | LevelWord::Base) if self.rerunning && self.accurate.is_some() => {
                Selection::Rerun(None)
            }
            None | Some(LevelWord::Full) if self.accurate.is_some() => Selection::Base,
            None | Some(LevelWord::Full | LevelWord::Base) => Selection::Full,
            Some(LevelWord::Differential | LevelWord::Incremental) if self.accurate_mode => {
                Selection::Accurate(since)
            }
            Some(LevelWord::Differential | LevelWord::Incremental)
                if self.rerunning && self.accurate.is_some() =>
            {
                Selection::Rerun(Some(since))
            }
            Some(LevelWord::Differential | LevelWord::Incremental) => Selection::Newer(since),
        }
    }
}
