//! Bootstrap records: which records of which Volumes a restore wants (spec/03 §5.1, §5.2).

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use types::VolAddr;

/// Longest bootstrap in sections; a Director writes one for each span of each job.
pub const SECTIONS_MAX: usize = 1_000_000;

/// A Volume of a section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BsrVolume {
    /// Its name.
    pub name: String,
    /// Its Media Type, where given.
    pub media_type: Option<String>,
    /// Device to use.
    pub device: Option<String>,
    /// Slot in a changer.
    pub slot: Option<u32>,
}

/// One section: all criteria that are given must hold; a missing one matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Storage that holds the Volumes; for the Director, the SD ignores it.
    pub storage: Option<String>,
    /// The Volumes.
    pub volumes: Vec<BsrVolume>,
    /// VolSessionId.
    pub session_ids: Vec<RangeInclusive<u32>>,
    /// VolSessionTime.
    pub session_times: Vec<u32>,
    /// Addresses.
    pub addresses: Vec<RangeInclusive<VolAddr>>,
    /// VolFile.
    pub files: Vec<RangeInclusive<u32>>,
    /// VolBlock.
    pub blocks: Vec<RangeInclusive<u32>>,
    /// FileIndex.
    pub indexes: Vec<RangeInclusive<i32>>,
    /// How many FileIndexes the section selects.
    pub count: Option<u32>,
    /// POSIX extended expression on file names.
    pub file_regex: Option<String>,
    /// JobId.
    pub job_ids: Vec<RangeInclusive<u32>>,
    /// Unique job names.
    pub jobs: Vec<String>,
    /// Clients.
    pub clients: Vec<String>,
    /// Streams.
    pub streams: Vec<i32>,
}

/// A whole bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bsr {
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// Why a text is no bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bootstrap line {line}: {what}: \"{text}\"")]
pub struct BsrError {
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
    /// The line.
    pub text: String,
}

impl Bsr {
    /// Distinct Volumes over all sections in order of appearance.
    #[must_use]
    pub fn volumes(&self) -> Vec<&BsrVolume> {
        let mut seen = std::collections::HashSet::new();
        self.sections.iter().flat_map(|s| &s.volumes).filter(|v| seen.insert(v.name.as_str())).collect()
    }

    /// Whether every section says where its records are, so that the reader may seek.
    #[must_use]
    pub fn is_positionable(&self) -> bool {
        self.sections.iter().all(|s| s.start().is_some())
    }
}

impl Section {
    /// The lowest address of interest, where the section says.
    #[must_use]
    pub fn start(&self) -> Option<VolAddr> {
        if let Some(start) = self.addresses.iter().map(|r| *r.start()).min() {
            return Some(start);
        }
        let file = self.files.iter().map(|r| *r.start()).min()?;
        let block = self.blocks.iter().map(|r| *r.start()).min()?;
        Some(VolAddr::from_file_block(file, block))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for Bsr {
    type Err = BsrError;

    fn from_str(text: &str) -> Result<Self, BsrError> {
        let mut sections: Vec<Section> = Vec::new();
        let mut current = Section::default();
        for (number, line) in text.lines().enumerate() {
            let fail = |what| BsrError { line: number + 1, what, text: shorten(line) };
            let Some((key, value)) = split_line(line).map_err(fail)? else { continue };
            if key == "volume" && !current.volumes.is_empty() {
                sections.push(std::mem::take(&mut current));
                if sections.len() >= SECTIONS_MAX {
                    return Err(fail("too many sections"));
                }
            }
            set(&mut current, &key, value).map_err(fail)?;
        }
        if !current.is_empty() {
            if current.volumes.is_empty() {
                return Err(BsrError { line: 0, what: "a section without a Volume", text: String::new() });
            }
            sections.push(current);
        }
        Ok(Self { sections })
    }
}

fn shorten(line: &str) -> String {
    line.chars().take(200).collect()
}

/// Key (lower case) and value of a line; `None` for an empty one.
fn split_line(line: &str) -> Result<Option<(String, &str)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (key, value) = line.split_once('=').ok_or("no \"=\"")?;
    Ok(Some((key.trim().to_ascii_lowercase(), value.trim())))
}

fn set(section: &mut Section, key: &str, value: &str) -> Result<(), &'static str> {
    match key {
        "volume" => {
            for name in unquote(value)?.split('|') {
                section.volumes.push(BsrVolume { name: name.to_owned(), ..BsrVolume::default() });
            }
        }
        "mediatype" => for_volumes(section, &unquote(value)?, |v, t| v.media_type = Some(t))?,
        "device" => for_volumes(section, &unquote(value)?, |v, t| v.device = Some(t))?,
        "slot" => {
            let slot = plain(value).parse().map_err(|_| "not a number")?;
            section.volumes.iter_mut().for_each(|v| v.slot = Some(slot));
        }
        "storage" => section.storage = Some(unquote(value)?),
        "volsessionid" => ranges(value, &mut section.session_ids)?,
        "volsessiontime" => list(value, &mut section.session_times)?,
        "voladdr" => {
            let mut raw: Vec<RangeInclusive<u64>> = Vec::new();
            ranges(value, &mut raw)?;
            section.addresses.extend(raw.into_iter().map(|r| VolAddr(*r.start())..=VolAddr(*r.end())));
        }
        "volfile" => ranges(value, &mut section.files)?,
        "volblock" => ranges(value, &mut section.blocks)?,
        "fileindex" => ranges(value, &mut section.indexes)?,
        "count" => section.count = Some(plain(value).parse().map_err(|_| "not a number")?),
        "fileregex" => section.file_regex = Some(value.trim_matches('"').to_owned()),
        "jobid" => ranges(value, &mut section.job_ids)?,
        "job" => names(value, &mut section.jobs)?,
        "client" => names(value, &mut section.clients)?,
        "stream" => list(value, &mut section.streams)?,
        // Accepted and without effect in Bacula too.
        "jobtype" | "joblevel" | "include" | "exclude" => {}
        _ => return Err("unknown keyword"),
    }
    Ok(())
}

fn for_volumes(
    section: &mut Section,
    text: &str,
    set: impl Fn(&mut BsrVolume, String),
) -> Result<(), &'static str> {
    if section.volumes.is_empty() {
        return Err("this keyword must follow Volume");
    }
    section.volumes.iter_mut().for_each(|v| set(v, text.to_owned()));
    Ok(())
}

/// A value without a comment behind it.
fn plain(value: &str) -> &str {
    value.split('#').next().unwrap_or("").trim()
}

fn unquote(value: &str) -> Result<String, &'static str> {
    let Some(inner) = value.strip_prefix('"') else { return Ok(plain(value).to_owned()) };
    let mut out = String::new();
    let mut chars = inner.chars();
    loop {
        match chars.next() {
            None => return Err("a quotation mark is missing"),
            Some('"') => return Ok(out),
            Some('\\') => out.extend(chars.next()),
            Some(c) => out.push(c),
        }
    }
}

fn names(value: &str, out: &mut Vec<String>) -> Result<(), &'static str> {
    for name in value.split(',') {
        out.push(unquote(name.trim())?);
    }
    Ok(())
}

fn list<T: FromStr>(value: &str, out: &mut Vec<T>) -> Result<(), &'static str> {
    for item in plain(value).split(',') {
        out.push(item.trim().parse().map_err(|_| "not a number")?);
    }
    Ok(())
}

fn ranges<T: FromStr + PartialOrd + Copy>(
    value: &str,
    out: &mut Vec<RangeInclusive<T>>,
) -> Result<(), &'static str> {
    for item in plain(value).split(',') {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        let low: T = low.trim().parse().map_err(|_| "not a range of numbers")?;
        let high: T = high.trim().parse().map_err(|_| "not a range of numbers")?;
        if low > high {
            return Err("a range that ends before it begins");
        }
        out.push(low..=high);
    }
    Ok(())
}

/// The text that a Director sends: one criterion a line, in Bacula's order (spec/03 §5.2).
impl fmt::Display for Bsr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sections.iter().try_for_each(|s| s.fmt(f))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(storage) = &self.storage {
            writeln!(f, "Storage={}", quote(storage))?;
        }
        let names: Vec<&str> = self.volumes.iter().map(|v| v.name.as_str()).collect();
        writeln!(f, "Volume={}", quote(&names.join("|")))?;
        let first = self.volumes.first();
        if let Some(media_type) = first.and_then(|v| v.media_type.as_ref()) {
            writeln!(f, "MediaType={}", quote(media_type))?;
        }
        if let Some(regex) = &self.file_regex {
            writeln!(f, "FileRegex={regex}")?;
        }
        if let Some(device) = first.and_then(|v| v.device.as_ref()) {
            writeln!(f, "Device={}", quote(device))?;
        }
        if let Some(slot) = first.and_then(|v| v.slot) {
            writeln!(f, "Slot={slot}")?;
        }
        write_ranges(f, "VolSessionId", &self.session_ids)?;
        for time in &self.session_times {
            writeln!(f, "VolSessionTime={time}")?;
        }
        for r in &self.addresses {
            writeln!(f, "VolAddr={}-{}", r.start(), r.end())?;
        }
        write_ranges(f, "VolFile", &self.files)?;
        write_ranges(f, "VolBlock", &self.blocks)?;
        write_ranges(f, "FileIndex", &self.indexes)?;
        write_ranges(f, "JobId", &self.job_ids)?;
        for job in &self.jobs {
            writeln!(f, "Job={}", quote(job))?;
        }
        for client in &self.clients {
            writeln!(f, "Client={}", quote(client))?;
        }
        for stream in &self.streams {
            writeln!(f, "Stream={stream}")?;
        }
        if let Some(count) = self.count {
            writeln!(f, "Count={count}")?;
        }
        Ok(())
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn write_ranges<T: fmt::Display + PartialEq>(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    ranges: &[RangeInclusive<T>],
) -> fmt::Result {
    ranges.iter().try_for_each(|r| {
        if r.start() == r.end() {
            writeln!(f, "{key}={}", r.start())
        } else {
            writeln!(f, "{key}={}-{}", r.start(), r.end())
        }
    })
}
