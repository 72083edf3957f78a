//! From selected files to the bootstrap (spec/03 §5.2).

use std::fmt::Write as _;

use types::{FileIndex, JobId, VolAddr, VolSession};

/// One JobMedia piece with what is known of its Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Volume.
    pub volume: String,
    /// Media type.
    pub media_type: String,
    /// Name of the Storage that has the Volume, when known.
    pub storage: Option<String>,
    /// First device of that Storage, when known.
    pub device: Option<String>,
    /// Changer slot; 0 = none.
    pub slot: u32,
    /// Whether it is in its changer now.
    pub in_changer: bool,
    /// FileIndexes in this piece, first and last.
    pub first_index: FileIndex,
    /// Last of them.
    pub last_index: FileIndex,
    /// Address of its first block.
    pub start: VolAddr,
    /// Address of its last byte.
    pub end: VolAddr,
}

/// What is wanted of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Every file.
    All,
    /// These, ascending and each once.
    Files(Vec<FileIndex>),
    /// These, from first to last.
    Ranges(Vec<(FileIndex, FileIndex)>),
    /// Those whose name matches (jobs whose file rows were pruned).
    Regex(String),
}

/// One job of a restore: its session, its pieces in order (`VolIndex`, `JobMediaId`), and what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSelection {
    /// JobId.
    pub job_id: JobId,
    /// Session that wrote it.
    pub session: VolSession,
    /// Its pieces.
    pub pieces: Vec<Piece>,
    /// What is wanted of it.
    pub wanted: Wanted,
}

/// One section of a bootstrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Where it lies.
    pub piece: Piece,
    /// Session.
    pub session: VolSession,
    /// Runs of FileIndexes, clipped to the piece.
    pub ranges: Vec<(FileIndex, FileIndex)>,
    /// Pattern on names.
    pub regex: Option<String>,
}

impl Section {
    /// FileIndexes that the section selects.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| u64::from(last.get().abs_diff(first.get())) + 1).sum()
    }
}

/// A bootstrap, before it is text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootstrapPlan {
    /// Sections in reading order.
    pub sections: Vec<Section>,
    /// Files selected; one that lies over two pieces counts once.
    pub files: u64,
    /// Jobs of which something is wanted and no piece holds it.
    pub missing: Vec<JobId>,
}

/// Makes the bootstrap for the jobs, in their order.
#[must_use]
pub fn plan_bootstrap(jobs: &[JobSelection]) -> BootstrapPlan {
    let mut plan = BootstrapPlan::default();
    for job in jobs {
        let before = plan.sections.len();
        // Rows without files are written by copies at the start of a Volume; they hold nothing.
        for piece in job.pieces.iter().filter(|p| p.last_index.get() > 0) {
            let (ranges, regex) = match &job.wanted {
                Wanted::All => (vec![(piece.first_index, piece.last_index)], None),
                Wanted::Regex(regex) => (vec![(piece.first_index, piece.last_index)], Some(regex.clone())),
                Wanted::Ranges(ranges) => (clip_ranges(ranges, piece.first_index, piece.last_index), None),
                Wanted::Files(indexes) => (clip(indexes, piece.first_index, piece.last_index), None),
            };
            if !ranges.is_empty() {
                plan.sections.push(Section { piece: piece.clone(), session: job.session, ranges, regex });
            }
        }
        plan.files += files_of(job, &plan.sections[before..]);
        let wants_some = !matches!(&job.wanted, Wanted::Files(indexes) if indexes.is_empty());
        if wants_some && plan.sections.len() == before {
            plan.missing.push(job.job_id);
        }
    }
    plan
}

fn files_of(job: &JobSelection, sections: &[Section]) -> u64 {
    let mut ranges: Vec<_> = sections.iter().flat_map(|s| s.ranges.iter().copied()).collect();
    ranges.sort_unstable();
    let (mut count, mut counted_to) = (0u64, 0i32);
    for (first, last) in ranges {
        let first = first.get().max(counted_to + 1);
        if last.get() >= first {
            count += u64::from(last.get().abs_diff(first)) + 1;
            counted_to = last.get();
        }
    }
    debug_assert!(!matches!(&job.wanted, Wanted::Files(indexes) if count > indexes.len() as u64));
    count
}

/// The parts of ranges that are within `first..=last`.
fn clip_ranges(
    ranges: &[(FileIndex, FileIndex)],
    first: FileIndex,
    last: FileIndex,
) -> Vec<(FileIndex, FileIndex)> {
    let clipped = ranges.iter().map(|&(from, to)| (from.max(first), to.min(last)));
    clipped.filter(|(from, to)| from <= to).collect()
}

/// Runs of consecutive indexes within `first..=last`.
fn clip(indexes: &[FileIndex], first: FileIndex, last: FileIndex) -> Vec<(FileIndex, FileIndex)> {
    let from = indexes.partition_point(|&index| index < first);
    let to = indexes.partition_point(|&index| index <= last);
    let mut ranges: Vec<(FileIndex, FileIndex)> = Vec::new();
    for &index in indexes.get(from..to).unwrap_or_default() {
        match ranges.last_mut() {
            Some((_, end)) if end.get() + 1 == index.get() => *end = index,
            _ => ranges.push((index, index)),
        }
    }
    ranges
}

impl BootstrapPlan {
    /// The text, lines in the order in which Bacula's Director writes them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            section.write(&mut text);
        }
        text
    }

    /// Volumes in the order of reading, each once, with the first piece that names it.
    #[must_use]
    pub fn volumes(&self) -> Vec<&Piece> {
        let mut volumes: Vec<&Piece> = Vec::new();
        for section in &self.sections {
            if !volumes.iter().any(|known| known.volume == section.piece.volume) {
                volumes.push(&section.piece);
            }
        }
        volumes
    }
}

impl Section {
    fn write(&self, out: &mut String) {
        let piece = &self.piece;
        // Writing to a String cannot fail.
        let mut line = |args: std::fmt::Arguments<'_>| {
            let _ = out.write_fmt(args);
            out.push('\n');
        };
        if let Some(storage) = &piece.storage {
            line(format_args!("Storage=\"{storage}\""));
        }
        line(format_args!("Volume=\"{}\"", piece.volume));
        line(format_args!("MediaType=\"{}\"", piece.media_type));
        if let Some(regex) = &self.regex {
            line(format_args!("FileRegex={regex}"));
        }
        if let Some(device) = &piece.device {
            line(format_args!("Device=\"{device}\""));
        }
        if piece.slot > 0 {
            line(format_args!("Slot={}", piece.slot));
        }
        line(format_args!("VolSessionId={}", self.session.id));
        line(format_args!("VolSessionTime={}", self.session.time));
        line(format_args!("VolAddr={}-{}", piece.start, piece.end));
        for (first, last) in &self.ranges {
            if first == last {
                line(format_args!("FileIndex={first}"));
            } else {
                line(format_args!("FileIndex={first}-{last}"));
            }
        }
        line(format_args!("Count={}", self.count()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(volume: &str, first: i32, last: i32, start: u64, end: u64) -> Piece {
        Piece {
            volume: volume.to_owned(),
            media_type: "File1".to_owned(),
            storage: Some("File1".to_owned()),
            device: Some("FileDev1".to_owned()),
            slot: 0,
            in_changer: false,
            first_index: FileIndex(first),
            last_index: FileIndex(last),
            start: VolAddr(start),
            end: VolAddr(end),
        }
    }

    fn selection(pieces: Vec<Piece>, wanted: Wanted) -> JobSelection {
        JobSelection { job_id: JobId(1), session: VolSession { id: 1, time: 1_795_446_221 }, pieces, wanted }
    }

    fn files(indexes: &[i32]) -> Wanted {
        Wanted::Files(indexes.iter().map(|&i| FileIndex(i)).collect())
    }

    #[test]
    fn the_recorded_bootstrap() {
        let plan = plan_bootstrap(&[selection(vec![piece("Vol-0001", 1, 12, 209, 277_568)], Wanted::All)]);
        assert_eq!(
            plan.to_text(),
            "Storage=\"File1\"\nVolume=\"Vol-0001\"\nMediaType=\"File1\"\nDevice=\"FileDev1\"\nVolSessionId=1\n\
             VolSessionTime=1795446221\nVolAddr=209-277568\nFileIndex=1-12\nCount=12\n"
        );
        assert_eq!((plan.files, plan.volumes().len()), (12, 1));
    }

    #[test]
    fn what_is_written_is_read_back_by_the_storage_daemons_decoder() {
        let pieces = vec![piece("PSP-3", 1, 3, 207, 28_878), piece("PSP-4", 3, 9, 207, 8_716)];
        let plan = plan_bootstrap(&[selection(pieces, files(&[2, 3, 5, 6, 9]))]);
        let bsr: volume::bsr::Bsr = plan.to_text().parse().unwrap();
        assert_eq!(bsr.sections.len(), 2);
        let names: Vec<_> = bsr.volumes().iter().map(|v| v.name.to_string()).collect();
        assert_eq!(names, ["PSP-3", "PSP-4"]);
        assert!(bsr.is_positionable());
    }

    #[test]
    fn a_file_over_two_volumes_counts_once() {
        let pieces = vec![piece("PSP-3", 1, 3, 207, 28_878), piece("PSP-4", 3, 4, 207, 8_716)];
        let plan = plan_bootstrap(&[selection(pieces.clone(), Wanted::All)]);
        assert_eq!((plan.sections.len(), plan.files), (2, 4));
        assert_eq!((plan.sections[0].count(), plan.sections[1].count()), (3, 2));
        let plan = plan_bootstrap(&[selection(pieces.clone(), files(&[3]))]);
        assert_eq!((plan.sections.len(), plan.files), (2, 1));
        let plan = plan_bootstrap(&[selection(pieces, files(&[1, 2, 4]))]);
        assert_eq!(plan.sections[0].ranges, [(FileIndex(1), FileIndex(2))]);
        assert_eq!(plan.sections[1].ranges, [(FileIndex(4), FileIndex(4))]);
    }

    #[test]
    fn empty_pieces_are_skipped_and_missing_jobs_told() {
        let plan = plan_bootstrap(&[
            selection(vec![piece("V", 0, 0, 0, 0)], Wanted::All),
            selection(vec![piece("V", 1, 9, 1, 2)], files(&[])),
            selection(vec![piece("V", 1, 9, 1, 2)], Wanted::Regex("x.*".to_owned())),
        ]);
        assert_eq!(plan.missing, [JobId(1)]);
        assert_eq!(plan.sections.len(), 1);
        assert!(plan.to_text().contains("MediaType=\"File1\"\nFileRegex=x.*\nDevice="));
    }
}
