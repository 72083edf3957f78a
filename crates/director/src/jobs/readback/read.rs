//! Reads the attributes and digests of a session back from a stock SD, as the job's client would read them.

use crate::catreq::CatalogSession;
use crate::handle::Director;
use crate::jobs::job::Job;
use crate::jobs::session::{Ends, Fail, Flow, SdSession, context, open_storage_as};
use crate::peer::chain;
use bytes::Bytes;
use catalog::attempt::AttemptRow;
use catalog::jobmedia::JobMediaRow;
use net::Conn;
use policy::plan::StoragePlan;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use types::{FileIndex, JobType, VolSession};
use wire::frame::{Packet, Signal};
use wire::msg::fd_sd::{Answer, Command, RecordHeader};
use wire::version::{FdVersion, Generation};

/// Streams that the catalog gets (spec/03 §3.4), in a bootstrap's form.
const STREAMS: &str = "1,3,5,10,17,18,28,34,36,37,39,40,41";
/// How long the SD may be silent: it may have to skip the data of large files.
const SILENCE: Duration = Duration::from_secs(600);
/// The last address that a bootstrap of every version takes.
const FAR_END: u64 = i64::MAX as u64;

/// Which files were seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    last: i32,
    /// The first that was passed over.
    gap: Option<i32>,
}

impl Seen {
    fn note(&mut self, index: FileIndex) {
        if index.0 > self.last + 1 {
            self.gap.get_or_insert(self.last + 1);
        }
        self.last = self.last.max(index.0);
    }

    /// The first of files 1 to `files` that is not there.
    pub(super) fn missing(self, files: u64) -> Option<u64> {
        let last = u64::try_from(self.last).unwrap_or(0);
        let gap = self.gap.and_then(|gap| u64::try_from(gap).ok());
        gap.or((last < files).then_some(last + 1))
    }
}

/// What is to be read: each Volume of the job from where the job begins on it.
pub(super) fn bootstrap(rows: &[JobMediaRow], session: VolSession) -> String {
    let mut text = String::new();
    let mut volumes: Vec<&str> = Vec::new();
    for row in rows {
        if volumes.contains(&row.volume_name.as_str()) {
            continue;
        }
        volumes.push(&row.volume_name);
        let of_volume = rows.iter().filter(|other| other.piece.media_id == row.piece.media_id);
        let start = of_volume.map(|other| other.piece.start.0).min().unwrap_or(0);
        let _ = writeln!(text, "Volume=\"{}\"\nMediaType=\"{}\"", row.volume_name, row.media_type);
        if row.slot > 0 {
            let _ = writeln!(text, "Slot={}", row.slot);
        }
        let _ = writeln!(text, "VolSessionId={}\nVolSessionTime={}", session.id, session.time);
        let _ = writeln!(text, "VolAddr={start}-{FAR_END}\nStream={STREAMS}");
    }
    text
}

/// Runs a reading session over the bootstrap; attributes go into the catalog. The session is over and holds the catalog's side
/// for the end transaction.
pub(super) async fn run(
    director: &Director,
    job: &Arc<Job>,
    attempt: &AttemptRow,
    storage: &StoragePlan,
    bootstrap: &str,
) -> Result<(SdSession, Seen), Fail> {
    let mut plan = (*job.plan()).clone();
    plan.job_type = JobType::Restore;
    plan.rerun = None;
    let mut sd = open_storage_as(director, job, &plan, attempt.attempt, storage).await?;
    let reading = sd.session;
    // From here on it stands for the session that was written.
    sd.session = attempt.session;
    if let Err(said) = sd.reserve(&plan.pool, false, true).await? {
        return Err(Fail::fatal(format!("Storage daemon didn't accept Device to read back from: {said}")));
    }
    sd.bootstrap(bootstrap).await?;
    sd.peer.send("run").await?;
    let context = context(director, job, &plan, attempt.attempt, &storage.name, sd.version, false).await?;
    let catalog = director.catalog_service().open(context).await;
    let mut catalog = catalog.map_err(|error| Fail::fatal(chain(&error)))?;
    catalog.expect_repeats();
    let data = connect(director, job, storage, &sd).await?;
    let mut reader = Reader { data, catalog, job, wanted: attempt.session, seen: Seen::default() };
    let read = reader.read(reading).await;
    let mut flow = Flow { job, sd: Some(&mut sd.peer), fd: None, until_storage_end: false, limit: None };
    let Ends { sd: end, .. } = flow.wait().await;
    let seen = read?;
    match end {
        Some(end) if end.status.is_success() => Ok((sd, seen)),
        Some(end) => Err(Fail::fatal(format!(
            "Storage daemon {} ended the reading with status {}",
            storage.name, end.status
        ))),
        None => Err(Fail::fatal(format!("Storage daemon {} was lost while it was read back", storage.name))),
    }
}

async fn connect(
    director: &Director,
    job: &Job,
    storage: &StoragePlan,
    sd: &SdSession,
) -> Result<Conn, Fail> {
    let config = director.config();
    let resource = config.storage(&storage.name);
    let resource = resource
        .ok_or_else(|| Fail::fatal(format!("Storage \"{}\" is no longer configured", storage.name)))?;
    let version = match sd.version.generation() {
        Generation::Old => FdVersion::V9_6,
        Generation::New => FdVersion::CURRENT,
    };
    Ok(director.links().open_data(resource, &job.unique, &sd.key, version).await?)
}

struct Reader<'a> {
    data: Conn,
    catalog: CatalogSession,
    job: &'a Job,
    /// The session that is read.
    wanted: VolSession,
    seen: Seen,
}

impl Reader<'_> {
    /// The dialogue of a restoring client (spec/02 §1.3).
    async fn read(&mut self, own: VolSession) -> Result<Seen, Fail> {
        let open = Command::ReadOpen { volume: "DummyVolume".to_owned(), session: own };
        let ticket = match self.ask(&open).await? {
            Answer::Ticket(ticket) => ticket,
            other => return Err(unexpected(&other)),
        };
        match self.ask(&Command::ReadData(ticket)).await? {
            Answer::Data => {}
            other => return Err(unexpected(&other)),
        }
        while let Some(header) = self.packet().await? {
            let header = RecordHeader::parse(&header).map_err(|error| Fail::fatal(error.to_string()))?;
            let data = self.packet().await?.unwrap_or_default();
            if data.len() != header.len as usize {
                let text = format!("a record of {} bytes was announced with {}", data.len(), header.len);
                return Err(Fail::fatal(text));
            }
            self.record(header, &data).await?;
        }
        let flushed = self.catalog.flush().await.map(drop);
        flushed.map_err(|error| Fail::fatal(chain(&error)))?;
        // The SD tells the Director how it ended, on the other connection.
        let _ = self.ask(&Command::ReadClose(ticket)).await;
        let _ = self.data.signal(Signal::Terminate).await;
        Ok(self.seen)
    }

    /// One record, as the SD would have sent it when it was written.
    async fn record(&mut self, header: RecordHeader, data: &[u8]) -> Result<(), Fail> {
        if header.session != self.wanted {
            return Ok(());
        }
        self.seen.note(header.file_index);
        let mut packet = format!("UpdCat JobId={} FileAttributes ", self.job.id).into_bytes();
        let VolSession { id, time } = header.session;
        let (index, stream) = (header.file_index.0.cast_unsigned(), header.stream.cast_unsigned());
        for word in [id, time, index, stream, header.len] {
            packet.extend_from_slice(&word.to_be_bytes());
        }
        packet.extend_from_slice(data);
        let handled = self.catalog.handle(&packet).await.map(drop);
        handled.map_err(|error| Fail::fatal(chain(&error)))
    }

    async fn ask(&mut self, command: &Command) -> Result<Answer, Fail> {
        self.data.send(command.format()).await.map_err(|error| Fail::fatal(chain(&error)))?;
        Ok(match self.packet().await? {
            Some(line) => Answer::parse(&line),
            None => Answer::Error("the end of the data".to_owned()),
        })
    }

    /// The next packet; none at the end of the data.
    async fn packet(&mut self) -> Result<Option<Bytes>, Fail> {
        loop {
            let packet = self.data.recv_within(SILENCE).await;
            match packet.map_err(|error| Fail::fatal(format!("read back: {}", chain(&error))))? {
                Packet::Data(data) => return Ok(Some(data)),
                Packet::Signal(Signal::Eod | Signal::Terminate) => return Ok(None),
                Packet::Signal(_) => {}
            }
        }
    }
}

fn unexpected(answer: &Answer) -> Fail {
    let said = String::from_utf8_lossy(&answer.format()).trim_end().to_owned();
    Fail::fatal(format!("the Storage daemon does not let the session be read back: {said}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::jobmedia::Piece;
    use types::{JobId, JobMediaId, MediaId, StorageId, VolAddr};

    fn row(media: u32, start: u64, last: i32) -> JobMediaRow {
        JobMediaRow {
            id: JobMediaId(0),
            job_id: JobId(1),
            piece: Piece {
                first_index: FileIndex(0),
                last_index: FileIndex(last),
                start: VolAddr(start),
                end: VolAddr(start),
                media_id: MediaId(media),
            },
            vol_index: 1,
            volume_name: format!("Vol-{media}"),
            media_type: "File1".to_owned(),
            slot: 0,
            in_changer: false,
            storage_id: StorageId(1),
        }
    }

    #[test]
    fn each_volume_is_read_from_where_the_job_begins() {
        let rows = [row(1, 204, 0), row(1, 900, 7), row(2, 204, 0)];
        let text = bootstrap(&rows, VolSession { id: 3, time: 1_795_446_370 });
        let one = |volume| {
            format!(
                "Volume=\"Vol-{volume}\"\nMediaType=\"File1\"\nVolSessionId=3\nVolSessionTime=1795446370\n\
                 VolAddr=204-9223372036854775807\nStream={STREAMS}\n"
            )
        };
        assert_eq!(text, one(1) + &one(2));
    }

    #[test]
    fn whole_is_only_what_has_no_gap_and_reaches_the_end() {
        let seen = |indexes: &[i32]| {
            let mut seen = Seen::default();
            indexes.iter().for_each(|index| seen.note(FileIndex(*index)));
            seen
        };
        assert_eq!(seen(&[1, 1, 2, 3]).missing(3), None);
        assert_eq!(seen(&[1, 2]).missing(3), Some(3));
        assert_eq!(seen(&[1, 3]).missing(3), Some(2));
        assert_eq!(seen(&[2, 3]).missing(3), Some(1));
        assert_eq!(seen(&[]).missing(1), Some(1));
        assert_eq!(seen(&[]).missing(0), None);
    }
}
