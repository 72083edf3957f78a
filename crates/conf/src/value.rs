//! Values as parsed, before they become typed fields.

use std::collections::BTreeMap;
use std::time::Duration;

use types::{JobLevel, JobType, Replace};

use crate::address::ListenAddress;
use crate::fileset::FileSetBlock;
use crate::messages::Destination;
use crate::net_address::NetAddress;
use crate::runscript::RunScript;
use crate::schedule::RunLine;
use crate::source::Span;

/// A parsed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, path, name, address, password hash.
    Text(String),
    /// One of the words of an enum, as the table spells it.
    Word(&'static str),
    /// Yes or no.
    Bool(bool),
    /// Whole number.
    Number(i64),
    /// Bytes, or bytes per second.
    Bytes(u64),
    /// Span of time.
    Time(Duration),
    /// Names or texts.
    List(Vec<String>),
    /// Addresses of an address block.
    Addresses(Vec<ListenAddress>),
    /// Scripts, long and short forms in the order written.
    Scripts(Vec<RunScript>),
    /// Include and Exclude blocks in the order written.
    Blocks(Vec<FileSetBlock>),
    /// Run lines in the order written.
    Runs(Vec<RunLine>),
    /// Message destinations in the order written.
    Destinations(Vec<Destination>),
}

impl Value {
    /// The word of an enum value.
    #[must_use]
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Appends another value of a repeatable directive.
    pub(crate) fn append(&mut self, more: Value) {
        match (self, more) {
            (Self::List(a), Self::List(b)) => a.extend(b),
            (Self::Addresses(a), Self::Addresses(b)) => a.extend(b),
            (Self::Scripts(a), Self::Scripts(b)) => a.extend(b),
            (Self::Blocks(a), Self::Blocks(b)) => a.extend(b),
            (Self::Runs(a), Self::Runs(b)) => a.extend(b),
            (Self::Destinations(a), Self::Destinations(b)) => a.extend(b),
            (slot, more) => *slot = more,
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Where it is written; `None` for a default.
    pub span: Option<Span>,
}

/// The values of one resource, keyed by the table's directive names.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    pub(crate) entries: BTreeMap<&'static str, Entry>,
}

impl Values {
    /// The resource's name; empty when none was given (which is an error of its own).
    #[must_use]
    pub fn name(&self) -> &str {
        match self.entries.get("Name").map(|e| &e.value) {
            Some(Value::Text(name)) => name,
            _ => "",
        }
    }

    /// The typed value of a directive.
    #[must_use]
    pub fn get<T: FromValue>(&self, directive: &str) -> T {
        T::from_value(self.entries.get(directive).map(|e| &e.value))
    }

    /// The value as parsed.
    #[must_use]
    pub fn value(&self, directive: &str) -> Option<&Value> {
        self.entries.get(directive).map(|e| &e.value)
    }

    /// Where a directive was written.
    #[must_use]
    pub fn span(&self, directive: &str) -> Option<Span> {
        self.entries.get(directive).and_then(|e| e.span)
    }
}

/// A Rust type that a directive's value turns into. Absent and mistyped values give the type's zero; the latter cannot
/// happen with a sound table, which a test proves for every directive.
pub trait FromValue: Sized {
    /// Converts.
    fn from_value(value: Option<&Value>) -> Self;
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Option<&Value>) -> Self {
        value.map(|v| T::from_value(Some(v)))
    }
}

macro_rules! from_value {
    ($($ty:ty: $($pattern:pat => $out:expr),+;)*) => {$(
        impl FromValue for $ty {
            fn from_value(value: Option<&Value>) -> Self {
                match value {
                    $(Some($pattern) => $out,)+
                    _ => Self::default(),
                }
            }
        }
    )*};
}

from_value! {
    String: Value::Text(text) => text.clone();
    bool: Value::Bool(flag) => *flag;
    u16: Value::Number(n) => u16::try_from(*n).unwrap_or_default();
    u32: Value::Number(n) => u32::try_from(*n).unwrap_or_default();
    i32: Value::Number(n) => i32::try_from(*n).unwrap_or_default();
    u64: Value::Bytes(n) => *n;
    Duration: Value::Time(span) => *span;
    Vec<String>: Value::List(list) => list.clone();
    NetAddress: Value::Text(text) => NetAddress::parse(text).unwrap_or_default();
    Vec<NetAddress>: Value::List(list) => list.iter().filter_map(|text| NetAddress::parse(text)).collect();
    Vec<ListenAddress>: Value::Addresses(list) => list.clone();
    Vec<RunScript>: Value::Scripts(list) => list.clone();
    Vec<FileSetBlock>: Value::Blocks(list) => list.clone();
    Vec<RunLine>: Value::Runs(list) => list.clone();
    Vec<Destination>: Value::Destinations(list) => list.clone();
}

/// Words of `Type =` in a Job.
pub(crate) const JOB_TYPES: &[&str] = &["Backup", "Admin", "Verify", "Restore", "Migrate", "Copy"];

impl FromValue for JobType {
    fn from_value(value: Option<&Value>) -> Self {
        match value.and_then(Value::word) {
            Some("Admin") => Self::Admin,
            Some("Verify") => Self::Verify,
            Some("Restore") => Self::Restore,
            Some("Migrate") => Self::Migrate,
            Some("Copy") => Self::Copy,
            _ => Self::Backup,
        }
    }
}

/// Words of `Level =`, for backups and verifications (spec/04 §4.2).
pub(crate) const LEVELS: &[&str] = &[
    "Full",
    "Incremental",
    "Differential",
    "Since",
    "Base",
    "VirtualFull",
    "InitCatalog",
    "Catalog",
    "VolumeToCatalog",
    "DiskToCatalog",
    "Data",
];

/// The level of a word of configuration files and consoles, in any case: `Full`, `VirtualFull`, `VolumeToCatalog` …
#[must_use]
pub fn level_from_word(word: &str) -> Option<JobLevel> {
    let canonical = LEVELS.iter().find(|w| w.eq_ignore_ascii_case(word))?;
    Some(match *canonical {
        "Full" => JobLevel::Full,
        "Incremental" => JobLevel::Incremental,
        "Differential" => JobLevel::Differential,
        "Since" => JobLevel::Since,
        "Base" => JobLevel::Base,
        "VirtualFull" => JobLevel::VirtualFull,
        "InitCatalog" => JobLevel::VerifyInit,
        "Catalog" => JobLevel::VerifyCatalog,
        "VolumeToCatalog" => JobLevel::VerifyVolume,
        "DiskToCatalog" => JobLevel::VerifyDisk,
        _ => JobLevel::VerifyData,
    })
}

/// The word of a level in configuration files; empty for none.
#[must_use]
pub const fn level_word(level: JobLevel) -> &'static str {
    match level {
        JobLevel::Full => "Full",
        JobLevel::Incremental => "Incremental",
        JobLevel::Differential => "Differential",
        JobLevel::Since => "Since",
        JobLevel::Base => "Base",
        JobLevel::VirtualFull => "VirtualFull",
        JobLevel::VerifyInit => "InitCatalog",
        JobLevel::VerifyCatalog => "Catalog",
        JobLevel::VerifyVolume => "VolumeToCatalog",
        JobLevel::VerifyDisk => "DiskToCatalog",
        JobLevel::VerifyData => "Data",
        JobLevel::None => "",
    }
}

impl FromValue for JobLevel {
    fn from_value(value: Option<&Value>) -> Self {
        value.and_then(Value::word).and_then(level_from_word).unwrap_or(Self::None)
    }
}

/// Words of `Replace =`.
pub(crate) const REPLACE: &[&str] = &["Always", "IfNewer", "IfOlder", "Never"];

impl FromValue for Replace {
    fn from_value(value: Option<&Value>) -> Self {
        match value.and_then(Value::word) {
            Some("IfNewer") => Self::IfNewer,
            Some("IfOlder") => Self::IfOlder,
            Some("Never") => Self::Never,
            _ => Self::Always,
        }
    }
}
