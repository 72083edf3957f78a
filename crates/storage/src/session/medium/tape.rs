//! Going to the end of a tape, after checking where it is (spec/03 §4.5).

use types::VolAddr;
use volume::VolumeLabel;

use super::{MediumError, Placed, Placing, Unfit};
use crate::daemon::guard::owner_of;
use crate::device::{Carrier, Tape, VolumeInfo};
use crate::job::message::Kind;
use crate::session::chain;

impl Placing<'_> {
    /// Goes behind the last block of a tape in use. Marks are counted: a tape knows nothing of bytes.
    ///
    /// What a job that died has left behind the last mark stays where it is, closed with a mark and noted as unowned; the next job
    /// writes behind it.
    pub(super) fn append_to_tape(
        &mut self,
        mut info: VolumeInfo,
        tape: Tape,
        label: VolumeLabel,
    ) -> Result<Placed, MediumError> {
        let state = self.load_state(Some(label.labelled))?;
        let synced = VolAddr(state.as_ref().map_or(0, |state| state.synced_end));
        let known = synced.max(VolAddr::from_file_block(info.files, 0));
        let name = self.volume;
        self.say(Kind::Info, format!("Volume \"{name}\" previously written, moving to end of data."));
        let found = match tape.end(Some(known.file())) {
            Ok(found) => found,
            Err(error) => return Ok(Placed::Unfit(Unfit::End(chain(&error)))),
        };
        if found.at < known {
            return Ok(Placed::Unfit(Unfit::FewerFiles { files: found.at.file(), known: known.file() }));
        }
        let end = if found.is_marked {
            found.at
        } else {
            tape.mark().map_err(|error| self.io_error(error.source))?
        };
        let mut state = state.unwrap_or_default();
        let is_ours = state.seq > 0;
        if is_ours && end > synced {
            tracing::warn!(volume = %name, from = %synced, %end, "an unowned tail on the tape");
            state.add_unowned(synced.0, end.0);
        }
        if end.file() != info.files {
            let text = format!(
                "For Volume \"{name}\":\nThe number of files mismatch! Volume={} Catalog={}\nCorrecting Catalog",
                end.file(),
                info.files
            );
            self.say(Kind::Warning, text);
            info.files = end.file();
        }
        if is_ours {
            info.bytes = info.bytes.max(state.bytes);
            info.blocks = info.blocks.max(state.blocks);
            info.writes = info.writes.max(state.writes);
        }
        state.label_time = label.labelled;
        state.owner = owner_of(self.owner);
        state.bytes = info.bytes;
        state.synced_end = end.0;
        let mounted = self.mounted(label, Carrier::Tape(tape), info, state);
        self.say(Kind::Info, format!("Ready to append to end of Volume \"{name}\" at file={}.", end.file()));
        Ok(Placed::Mounted(Box::new(mounted)))
    }
}
