//! Volume labels and session labels (spec/03 §1.5–1.8).

use types::{FileIndex, VolTime};

use crate::block::{BlockVersion, be32, be64};

/// Id of File, Tape, VTape and FIFO Volumes and of every session label.
pub const ID_BACULA: &str = "Bacula 1.0 immortal\n";
/// Older Id of the same.
pub const ID_BACULA_OLD: &str = "Bacula 0.9 mortal\n";
/// VerNum that is written.
pub const VERSION: u32 = 11;

/// Longest serialised Volume label in bytes (spec/03 §1.7).
pub const LABEL_BYTES_MAX: usize = 2048;

/// The label values of FileIndex (spec/03 §1.5).
pub mod index {
    use types::FileIndex;

    /// Labelled, but never written by a job.
    pub const PRE_LABEL: FileIndex = FileIndex(-1);
    /// A Volume in use.
    pub const VOL_LABEL: FileIndex = FileIndex(-2);
    /// End of media; not written by current versions.
    pub const EOM_LABEL: FileIndex = FileIndex(-3);
    /// Start of session.
    pub const SOS_LABEL: FileIndex = FileIndex(-4);
    /// End of session.
    pub const EOS_LABEL: FileIndex = FileIndex(-5);
}

/// The two kinds of Volume label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelKind {
    /// PRE_LABEL.
    Pre,
    /// VOL_LABEL.
    Volume,
}

impl LabelKind {
    /// The FileIndex that says so.
    #[must_use]
    pub const fn index(self) -> FileIndex {
        match self {
            Self::Pre => index::PRE_LABEL,
            Self::Volume => index::VOL_LABEL,
        }
    }

    /// The kind that a FileIndex says.
    #[must_use]
    pub const fn from_index(index: FileIndex) -> Option<Self> {
        match index.0 {
            -1 => Some(Self::Pre),
            -2 => Some(Self::Volume),
            _ => None,
        }
    }
}

/// What the Id of a Volume label says about the kind of Volume (spec/03 §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeKind {
    /// File, Tape, VTape, FIFO.
    Plain,
    /// Metadata file of an aligned Volume.
    AlignedMetadata,
    /// Data file of an aligned Volume.
    AlignedData,
    /// Dedup metadata.
    Dedup,
    /// Cloud.
    Cloud,
}

/// Why bytes are no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Ends in the middle of a field.
    #[error("the label ends in its field {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// The Id is none of ours.
    #[error("the label has the unknown Id {id:?}")]
    UnknownId {
        /// The Id.
        id: String,
    },
    /// The version is none we read.
    #[error("the label has version {version}, which this program does not read")]
    Version {
        /// VerNum.
        version: u32,
    },
    /// The FileIndex is that of no such label.
    #[error("the record has FileIndex {0}, which is no label of this kind", index.0)]
    Type {
        /// FileIndex.
        index: FileIndex,
    },
}

/// A Volume label. Texts that are not UTF-8 come with replacement characters.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeLabel {
    /// PRE_LABEL or VOL_LABEL.
    pub kind: LabelKind,
    /// Id.
    pub id: String,
    /// VerNum.
    pub version: u32,
    /// When the Volume was labelled. With VerNum < 11 the bits of the old floating-point date.
    pub labelled: VolTime,
    /// When this label record was written.
    pub written: VolTime,
    /// Always 0.0 from VerNum 11 on.
    pub write_date: f64,
    /// Always 0.0 from VerNum 11 on.
    pub write_time: f64,
    /// Name of the Volume.
    pub volume: String,
    /// Empty in all observed cases.
    pub previous_volume: String,
    /// Pool.
    pub pool: String,
    /// `Backup`.
    pub pool_type: String,
    /// Media Type of the device.
    pub media_type: String,
    /// Name of the writing machine.
    pub host: String,
    /// Name of the Storage Daemon, or of a tool.
    pub program: String,
    /// `Ver. <version> <date> `.
    pub program_version: String,
    /// `Build <date> <time> `.
    pub program_date: String,
    /// Empty for plain Volumes.
    pub aligned_volume: String,
    /// Ignore for plain Volumes (spec/03 §1.7, trap), as the next three.
    pub first_data: u64,
    /// See above.
    pub file_alignment: u32,
    /// See above.
    pub padding: u32,
    /// See above.
    pub block_size: u32,
    /// Keys, in BB03 label blocks: encrypted cipher key.
    pub cipher_key: Vec<u8>,
    /// BB03: id of the master key.
    pub master_key_id: Vec<u8>,
}

impl VolumeLabel {
    /// Serialises for a block of `version`: the key fields exist in BB03 only.
    #[must_use]
    pub fn encode(&self, version: BlockVersion) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(&self.id).u32(self.version).u64(self.labelled.0).u64(self.written.0);
        out.f64(self.write_date).f64(self.write_time);
        let texts = [
            &self.volume,
            &self.previous_volume,
            &self.pool,
            &self.pool_type,
            &self.media_type,
            &self.host,
            &self.program,
            &self.program_version,
            &self.program_date,
            &self.aligned_volume,
        ];
        for text in texts {
            out.text(text);
        }
        out.u64(self.first_data).u32(self.file_alignment).u32(self.padding).u32(self.block_size);
        if matches!(version, BlockVersion::Bb03) {
            out.bytes(&self.cipher_key).bytes(&self.master_key_id).u32(0);
        }
        out.0
    }

    /// Reads a Volume label record.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn decode(index: FileIndex, data: &[u8], version: BlockVersion) -> Result<Self, LabelError> {
        let kind = LabelKind::from_index(index).ok_or(LabelError::Type { index })?;
        let mut r = Reader(data);
        let id = r.text("Id")?;
        volume_kind(&id)?;
        let ver = r.u32("VerNum")?;
        if !matches!(ver, 9 | 10 | 11 | 10_000 | 20_000 | 30_000 | 40_000) {
            return Err(LabelError::Version { version: ver });
        }
        let mut label = Self {
            kind,
            id,
            version: ver,
            labelled: VolTime(r.u64("label time")?),
            written: VolTime(r.u64("write time")?),
            write_date: r.f64("write_date")?,
            write_time: r.f64("write_time")?,
            volume: r.text("VolumeName")?,
            previous_volume: r.text("PrevVolumeName")?,
            pool: r.text("PoolName")?,
            pool_type: r.text("PoolType")?,
            media_type: r.text("MediaType")?,
            host: r.text("HostName")?,
            program: r.text("LabelProg")?,
            program_version: r.text("ProgVersion")?,
            program_date: r.text("ProgDate")?,
            aligned_volume: String::new(),
            first_data: 0,
            file_alignment: 0,
            padding: 0,
            block_size: 0,
            cipher_key: Vec::new(),
            master_key_id: Vec::new(),
        };
        // Labels of old versions end here, and nothing below matters for a plain Volume.
        if r.0.is_empty() {
            return Ok(label);
        }
        label.aligned_volume = r.text("AlignedVolumeName")?;
        label.first_data = r.u64("FirstData")?;
        label.file_alignment = r.u32("FileAlignment")?;
        label.padding = r.u32("PaddingSize")?;
        label.block_size = r.u32("BlockSize")?;
        if matches!(version, BlockVersion::Bb03) {
            label.cipher_key = r.bytes("EncCypherKey")?;
            label.master_key_id = r.bytes("MasterKeyId")?;
        }
        Ok(label)
    }

    /// What kind of Volume the Id names.
    #[must_use]
    pub fn volume_kind(&self) -> VolumeKind {
        volume_kind(&self.id).unwrap_or(VolumeKind::Plain)
    }
}

fn volume_kind(id: &str) -> Result<VolumeKind, LabelError> {
    match id {
        ID_BACULA | ID_BACULA_OLD => Ok(VolumeKind::Plain),
        "Bacula 1.0 Metadata\n" => Ok(VolumeKind::AlignedMetadata),
        "Bacula 1.0 Aligned Data\n" => Ok(VolumeKind::AlignedData),
        "Bacula 1.0 Dedup Metadata\n" => Ok(VolumeKind::Dedup),
        "Bacula 1.0 S3 Cloud Data\n" => Ok(VolumeKind::Cloud),
        _ => Err(LabelError::UnknownId { id: id.to_owned() }),
    }
}

/// A session label: start (no `end`) or end of session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionLabel {
    /// VerNum.
    pub version: u32,
    /// JobId in the catalog that the writing Director had.
    pub job_id: u32,
    /// When written.
    pub written: VolTime,
    /// 0.0 from VerNum 11 on.
    pub write_time: f64,
    /// Pool of the writing job.
    pub pool: String,
    /// Its type.
    pub pool_type: String,
    /// Job resource.
    pub job_name: String,
    /// Client resource.
    pub client: String,
    /// Unique job name.
    pub job: String,
    /// FileSet resource.
    pub file_set: String,
    /// ASCII code of the job's type.
    pub job_type: u32,
    /// ASCII code of its level.
    pub job_level: u32,
    /// Digest of the FileSet, as text.
    pub file_set_md5: String,
    /// What an EOS adds.
    pub end: Option<SessionEnd>,
}

/// Fields of an end-of-session label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionEnd {
    /// Files.
    pub files: u32,
    /// Sum of record lengths.
    pub bytes: u64,
    /// Start address of the session on this Volume.
    pub start: types::VolAddr,
    /// Address of the block that holds this label.
    pub end: types::VolAddr,
    /// Errors.
    pub errors: u32,
    /// ASCII code of the status.
    pub status: u32,
}

impl SessionLabel {
    /// The FileIndex of the record.
    #[must_use]
    pub const fn index(&self) -> FileIndex {
        match self.end {
            None => index::SOS_LABEL,
            Some(_) => index::EOS_LABEL,
        }
    }

    /// Serialises in the current version.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.text(ID_BACULA).u32(VERSION).u32(self.job_id).u64(self.written.0).f64(self.write_time);
        for text in [&self.pool, &self.pool_type, &self.job_name, &self.client, &self.job, &self.file_set] {
            out.text(text);
        }
        out.u32(self.job_type).u32(self.job_level).text(&self.file_set_md5);
        if let Some(end) = &self.end {
            out.u32(end.files).u64(end.bytes);
            out.u32(end.start.block()).u32(end.end.block()).u32(end.start.file()).u32(end.end.file());
            out.u32(end.errors).u32(end.status);
        }
        out.0
    }

    /// Reads a session label record.
    ///
    /// # Errors
    /// [`LabelError`].
    pub fn decode(index: FileIndex, data: &[u8]) -> Result<Self, LabelError> {
        if !matches!(index, index::SOS_LABEL | index::EOS_LABEL) {
            return Err(LabelError::Type { index });
        }
        let mut r = Reader(data);
        let id = r.text("Id")?;
        if id != ID_BACULA && id != ID_BACULA_OLD {
            return Err(LabelError::UnknownId { id });
        }
        let version = r.u32("VerNum")?;
        let mut label = Self {
            version,
            job_id: r.u32("JobId")?,
            written: VolTime(r.u64("write time")?),
            write_time: r.f64("write_time")?,
            pool: r.text("PoolName")?,
            pool_type: r.text("PoolType")?,
            job_name: r.text("JobName")?,
            client: r.text("ClientName")?,
            job: String::new(),
            file_set: String::new(),
            job_type: 0,
            job_level: 0,
            file_set_md5: String::new(),
            end: None,
        };
        if version >= 10 {
            label.job = r.text("Job")?;
            label.file_set = r.text("FileSetName")?;
            label.job_type = r.u32("JobType")?;
            label.job_level = r.u32("JobLevel")?;
        }
        if version >= 11 {
            label.file_set_md5 = r.text("FileSetMD5")?;
        }
        if index == index::EOS_LABEL {
            label.end = Some(decode_end(&mut r, version)?);
        }
        Ok(label)
    }
}

fn decode_end(r: &mut Reader<'_>, version: u32) -> Result<SessionEnd, LabelError> {
    let (files, bytes) = (r.u32("JobFiles")?, r.u64("JobBytes")?);
    let (start_block, end_block) = (r.u32("StartBlock")?, r.u32("EndBlock")?);
    let (start_file, end_file) = (r.u32("StartFile")?, r.u32("EndFile")?);
    let errors = r.u32("JobErrors")?;
    let status = if version >= 11 { r.u32("JobStatus")? } else { u32::from(b'T') };
    Ok(SessionEnd {
        files,
        bytes,
        start: types::VolAddr::from_file_block(start_file, start_block),
        end: types::VolAddr::from_file_block(end_file, end_block),
        errors,
        status,
    })
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn text(&mut self, text: &str) -> &mut Self {
        // A NUL inside would end the field early.
        self.0.extend(text.bytes().filter(|b| *b != 0));
        self.0.push(0);
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn f64(&mut self, value: f64) -> &mut Self {
        self.u64(value.to_bits())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], LabelError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(LabelError::Truncated { field })?;
        self.0 = rest;
        Ok(head)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, LabelError> {
        Ok(be32(self.take(4, field)?, 0))
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, LabelError> {
        Ok(be64(self.take(8, field)?, 0))
    }

    fn f64(&mut self, field: &'static str) -> Result<f64, LabelError> {
        Ok(f64::from_bits(self.u64(field)?))
    }

    fn text(&mut self, field: &'static str) -> Result<String, LabelError> {
        let len = self.0.iter().position(|b| *b == 0).ok_or(LabelError::Truncated { field })?;
        let text = String::from_utf8_lossy(&self.0[..len]).into_owned();
        self.0 = &self.0[len + 1..];
        Ok(text)
    }

    fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, LabelError> {
        let len = self.u32(field)? as usize;
        Ok(self.take(len, field)?.to_vec())
    }
}
