//! What a Storage Daemon asks the catalog (spec/03 §3.2, docs/extensions.md §4).

use super::batch::NamedPiece;
use super::volumes::{FindMedia, GetVolInfo, UpdateMedia, VolumeRequest};
use catalog::jobmedia::{FilePosition, Piece};
use types::{FileIndex, JobId, MediaId, Seq, VolAddr, VolStatus, VolTime};
use wire::scan::{Fields, MsgError, after, text};

/// Pieces in one request; an SD sends after 1000 (spec/03 §3.2).
const ROWS_MAX: usize = 10_000;

/// A message, as far as the catalog is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'p> {
    /// `UpdCat`: its binary part.
    Attributes(&'p [u8]),
    /// `CreateJobMedia` with its rows in the same payload (journal).
    Pieces(Vec<NamedPiece>),
    /// `CreateJobMedia` or `CreateFileMedia` whose rows follow as packets (stock).
    Collect(Collected),
    /// About a Volume; answered.
    Volume(VolumeRequest),
    /// `BlastAttr`: answered, always refused.
    Blast,
    /// `Ckpt`, with the piece that the SD is writing.
    Checkpoint(Option<NamedPiece>),
    /// A `CatReq` that no version has.
    Unknown,
    /// Not for the catalog.
    NotMine,
}

/// Rows that follow a stock SD's request, one a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Collected {
    /// Of `CreateJobMedia`.
    JobMedia(Vec<NamedPiece>),
    /// Of `CreateFileMedia`.
    FileMedia(Vec<FilePosition>),
}

impl Collected {
    /// Adds a packet's row.
    pub(super) fn add(&mut self, packet: &[u8]) -> Result<(), String> {
        let line = text(packet);
        match self {
            Self::JobMedia(rows) if rows.len() < ROWS_MAX => rows.push(numbered_piece(&line)?),
            Self::FileMedia(rows) if rows.len() < ROWS_MAX => rows.push(position(&line)?),
            Self::JobMedia(_) | Self::FileMedia(_) => {
                return Err(format!("more than {ROWS_MAX} rows in one request"));
            }
        }
        Ok(())
    }

    /// The answer once they are stored.
    pub(super) fn reply(&self) -> &'static [u8] {
        match self {
            Self::JobMedia(_) => b"1000 OK CreateJobMedia\n",
            Self::FileMedia(_) => b"1000 OK CreateFileMedia\n",
        }
    }
}

/// `Jrn <seq> <payload>`.
pub(super) fn split_record(packet: &[u8]) -> Option<(Seq, &[u8])> {
    let rest = after(packet, "Jrn ")?;
    let blank = rest.iter().take(21).position(|&b| b == b' ')?;
    let seq = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
    Some((seq, &rest[blank + 1..]))
}

/// Whether a journal's record with this payload is a request, so that an answer is stored for it.
pub(super) fn is_answered(payload: &[u8]) -> bool {
    let Some((verb, _)) = cat_req(payload) else { return false };
    ["FindMedia", "GetVolInfo", "UpdateMedia"].iter().any(|v| verb.starts_with(v.as_bytes()))
}

/// Reads a message. `job` is the connection's: an SD that names another is refused.
pub(super) fn parse(payload: &[u8], job: JobId) -> Result<Request<'_>, String> {
    if let Some(rest) = after(payload, "UpdCat ") {
        check_job(rest, job)?;
        return attributes(rest).map(Request::Attributes);
    }
    if payload.starts_with(b"BlastAttr ") {
        return Ok(Request::Blast);
    }
    if payload.starts_with(b"Ckpt ") {
        return open_piece(payload).map(Request::Checkpoint);
    }
    let Some((verb, line)) = cat_req(payload) else { return Ok(Request::NotMine) };
    check_job(line, job)?;
    request(verb, line).map_err(|e| e.to_string())?.map_or(Ok(Request::Unknown), |r| match r {
        Request::Pieces(_) => embedded_pieces(payload),
        other => Ok(other),
    })
}

/// The verb of a `CatReq` and the line behind `CatReq `.
fn cat_req(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = after(payload, "CatReq ")?;
    let line = rest.split(|&b| b == b'\n').next().unwrap_or(rest);
    let verb = line.split(|&b| b == b' ').find(|t| !t.is_empty() && !is_job(t))?;
    Some((verb, line))
}

fn is_job(token: &[u8]) -> bool {
    token.starts_with(b"JobId=") || token.starts_with(b"Job=")
}

fn check_job(line: &[u8], job: JobId) -> Result<(), String> {
    let first = line.split(|&b| b == b' ').find(|t| !t.is_empty()).unwrap_or_default();
    // Very old SDs name the job by its unique name instead.
    let Some(number) = after(first, "JobId=") else { return Ok(()) };
    let named: Option<JobId> = std::str::from_utf8(number).ok().and_then(|n| n.trim().parse().ok());
    match named {
        Some(named) if named == job => Ok(()),
        _ => Err(format!(
            "JobId {} is named on the connection of JobId {job}",
            String::from_utf8_lossy(number)
        )),
    }
}

/// What follows `FileAttributes `.
fn attributes(rest: &[u8]) -> Result<&[u8], String> {
    const WORD: &[u8] = b"FileAttributes ";
    let head = &rest[..rest.len().min(256)];
    let at = head.windows(WORD.len()).position(|w| w == WORD).ok_or("an UpdCat without FileAttributes")?;
    Ok(&rest[at + WORD.len()..])
}

/// None for a verb that no version has.
fn request(verb: &[u8], line: &[u8]) -> Result<Option<Request<'static>>, MsgError> {
    let fields = Fields::new(line);
    let is = |word: &str| verb.starts_with(word.as_bytes());
    Ok(Some(if is("FindMedia") {
        Request::Volume(VolumeRequest::Find(find_media(&fields)?))
    } else if is("GetVolInfo") {
        Request::Volume(VolumeRequest::Get(GetVolInfo {
            volume: fields.get("VolName")?,
            write: fields.get("write")?,
            nonce: fields.get("nonce")?,
        }))
    } else if is("UpdateMedia") {
        Request::Volume(VolumeRequest::Update(Box::new(update_media(&fields)?)))
    } else if is("CreateJobMedia") {
        Request::Pieces(Vec::new())
    } else if is("CreateFileMedia") {
        Request::Collect(Collected::FileMedia(Vec::new()))
    } else {
        return Ok(None);
    }))
}

/// A journal holds the rows in the same payload, a stock SD sends them as packets.
fn embedded_pieces(payload: &[u8]) -> Result<Request<'_>, String> {
    let mut lines = payload.split(|&b| b == b'\n').skip(1).filter(|line| !text(line).is_empty()).peekable();
    if lines.peek().is_none() {
        return Ok(Request::Collect(Collected::JobMedia(Vec::new())));
    }
    let rows: Vec<NamedPiece> =
        lines.take(ROWS_MAX + 1).map(|line| named_piece(&text(line))).collect::<Result<_, _>>()?;
    match rows.len() {
        0..=ROWS_MAX => Ok(Request::Pieces(rows)),
        _ => Err(format!("more than {ROWS_MAX} rows in one request")),
    }
}

fn find_media(fields: &Fields<'_>) -> Result<FindMedia, MsgError> {
    Ok(FindMedia {
        index: fields.get("FindMedia")?,
        pool: fields.get("pool_name")?,
        media_type: fields.get("media_type")?,
        vol_type: fields.get::<Option<u32>>("vol_type")?.unwrap_or(0),
        create: fields.get::<Option<bool>>("create")?.unwrap_or(true),
        nonce: fields.get("nonce")?,
    })
}

fn update_media(f: &Fields<'_>) -> Result<UpdateMedia, MsgError> {
    let status: String = f.get("VolStatus")?;
    let or_zero = |key| f.get::<Option<u64>>(key).map(Option::unwrap_or_default);
    Ok(UpdateMedia {
        volume: f.get("VolName")?,
        vol_jobs: f.get("VolJobs")?,
        vol_files: f.get("VolFiles")?,
        vol_blocks: f.get("VolBlocks")?,
        vol_bytes: f.get("VolBytes")?,
        vol_abytes: or_zero("VolABytes")?,
        vol_hole_bytes: or_zero("VolHoleBytes")?,
        vol_holes: or_zero("VolHoles")? as u32,
        vol_mounts: f.get("VolMounts")?,
        vol_errors: f.get("VolErrors")?,
        vol_writes: f.get("VolWrites")?,
        max_vol_bytes: or_zero("MaxVolBytes")?,
        end_time: f.get("EndTime")?,
        status: VolStatus::parse(&status).ok_or_else(|| MsgError::field("VolStatus", f.line()))?,
        slot: f.get("Slot")?,
        relabel: f.get("relabel")?,
        in_changer: f.get("InChanger")?,
        vol_read_time: or_zero("VolReadTime")?,
        vol_write_time: or_zero("VolWriteTime")?,
        first_written: f.get::<Option<i64>>("VolFirstWritten")?.unwrap_or(0),
        vol_type: or_zero("VolType")? as u32,
        vol_parts: or_zero("VolParts")? as u32,
        vol_cloud_parts: or_zero("VolCloudParts")? as u32,
        last_part_bytes: or_zero("LastPartBytes")?,
        enabled: f.get("Enabled")?,
        recycle: f.get("Recycle")?,
        protected: f.get("Protected")?,
        use_protect: f.get("UseProtect")?,
        vol_encrypted: f.get("VolEncrypted")?,
        state_seq: f.get("HfVolSeq")?,
        label_time: f.get("HfLabelTime")?,
        write_counter: f.get("HfWrites")?,
    })
}

fn piece(words: &[&str], media_id: MediaId) -> Option<Piece> {
    let number = |at: usize| words.get(at)?.parse::<u32>().ok();
    let index = |at: usize| number(at).map(|n| FileIndex(n.cast_signed()));
    Some(Piece {
        first_index: index(0)?,
        last_index: index(1)?,
        start: VolAddr::from_file_block(number(2)?, number(4)?),
        end: VolAddr::from_file_block(number(3)?, number(5)?),
        media_id,
    })
}

/// `<FirstIndex> <LastIndex> <StartFile> <EndFile> <StartBlock> <EndBlock> <MediaId>`.
fn numbered_piece(line: &str) -> Result<NamedPiece, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let media = words.get(6).and_then(|w| w.parse().ok());
    media
        .and_then(|id| piece(&words, id))
        .map(NamedPiece::numbered)
        .ok_or_else(|| format!("JobMedia row \"{line}\""))
}

/// The same with `<VolumeName> <label time>` in place of the number.
fn named_piece(line: &str) -> Result<NamedPiece, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let wrong = || format!("JobMedia row \"{line}\"");
    let piece = piece(&words, MediaId(0)).ok_or_else(wrong)?;
    let volume = types::unbash_spaces(words.get(6).copied().ok_or_else(wrong)?);
    let label_time = words.get(7).and_then(|w| w.parse().ok()).map(VolTime).ok_or_else(wrong)?;
    Ok(NamedPiece { piece, volume, label_time })
}

/// `open=` of a checkpoint: a row whose blanks are commas; none when nothing is being written, or no file's data yet.
fn open_piece(checkpoint: &[u8]) -> Result<Option<NamedPiece>, String> {
    let Some(row) = Fields::new(checkpoint).raw("open") else { return Ok(None) };
    let named = named_piece(&text(row).replace(',', " "))?;
    Ok((named.piece.last_index.0 > 0).then_some(named))
}

/// `<MediaId> <FileIndex> <BlockAddress> <RecordNo> <FileOffset>`.
fn position(line: &str) -> Result<FilePosition, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |at: usize| words.get(at).and_then(|w| w.parse::<u64>().ok());
    let narrow = |at: usize| number(at).and_then(|n| u32::try_from(n).ok());
    let row = || {
        Some(FilePosition {
            media_id: MediaId(narrow(0)?),
            file_index: FileIndex(i32::try_from(narrow(1)?).ok()?),
            block_address: number(2)?,
            record_no: narrow(3)?,
            file_offset: number(4)?,
        })
    };
    row().ok_or_else(|| format!("FileMedia row \"{line}\""))
}

/// Fuzz entry: no input may panic.
pub fn fuzz_decode(data: &[u8]) {
    let payload = split_record(data).map_or(data, |(_, payload)| payload);
    if let Ok(Request::Attributes(binary)) = parse(payload, JobId(1)) {
        let _ = super::attributes::decode(binary);
    }
    let _ = is_answered(payload);
    let mut collected = Collected::JobMedia(Vec::new());
    let _ = collected.add(data);
    let mut collected = Collected::FileMedia(Vec::new());
    let _ = collected.add(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_each_version_are_read() {
        let find = parse(
            b"CatReq JobId=3 FindMedia=1 pool_name=Full\x01Pool media_type=File1 vol_type=1\n",
            JobId(3),
        );
        let Ok(Request::Volume(VolumeRequest::Find(find))) = find else { panic!("{find:?}") };
        assert_eq!((find.index, find.pool.as_str(), find.create), (1, "Full Pool", true));

        let get = parse(
            b"CatReq JobId=3 GetVolInfo VolName=Vol-1 write=1 nonce=000000000000000000000000000000ff\n",
            JobId(3),
        );
        let Ok(Request::Volume(VolumeRequest::Get(get))) = get else { panic!("{get:?}") };
        assert!(get.write && get.nonce == Some(types::Nonce(255)));

        let update = parse(
            b"CatReq JobId=3 UpdateMedia VolName=V VolJobs=1 VolFiles=0 VolBlocks=2 VolBytes=71428 VolABytes=0 VolHoleBytes=0 VolHoles=0 \
              VolMounts=1 VolErrors=0 VolWrites=3 MaxVolBytes=0 EndTime=1795446447 VolStatus=Read-Only Slot=0 relabel=0 InChanger=0 \
              VolReadTime=0 VolWriteTime=9 VolFirstWritten=0 VolType=1 VolParts=0 VolCloudParts=0 LastPartBytes=0 Enabled=1 Recycle=1\n",
            JobId(3),
        );
        let Ok(Request::Volume(VolumeRequest::Update(update))) = update else { panic!("{update:?}") };
        assert_eq!((update.status, update.vol_bytes, update.protected), (VolStatus::ReadOnly, 71428, None));
    }

    #[test]
    fn a_journal_names_volumes_where_a_stock_sd_numbers_them() {
        let rows = parse(b"CatReq JobId=3 CreateJobMedia\n1 7 0 0 204 71427 Vol-1 99\n", JobId(3)).unwrap();
        let Request::Pieces(rows) = rows else { panic!("{rows:?}") };
        assert_eq!(
            (rows[0].volume.as_str(), rows[0].label_time, rows[0].piece.start),
            ("Vol-1", VolTime(99), VolAddr(204))
        );
        let stock = parse(b"CatReq JobId=3 CreateJobMedia\n", JobId(3)).unwrap();
        let Request::Collect(mut collected) = stock else { panic!("{stock:?}") };
        collected.add(b"1 7 0 0 204 71427 12\n").unwrap();
        let Collected::JobMedia(rows) = collected else { panic!() };
        assert_eq!(rows[0].piece.media_id, MediaId(12));
    }

    #[test]
    fn another_job_and_unknown_verbs_are_told_apart_from_what_is_not_ours() {
        assert!(parse(b"CatReq JobId=4 GetVolInfo VolName=V write=1\n", JobId(3)).is_err());
        assert_eq!(parse(b"CatReq JobId=3 Frobnicate\n", JobId(3)), Ok(Request::Unknown));
        assert_eq!(parse(b"Jmsg JobId=3 type=6 level=1 text", JobId(3)), Ok(Request::NotMine));
        assert_eq!(split_record(b"Jrn 12 Ckpt files=3"), Some((Seq(12), &b"Ckpt files=3"[..])));
        assert_eq!(split_record(b"Jrn x"), None);
    }
}
