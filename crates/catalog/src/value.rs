//! Values between typed queries and a backend: what SQL knows, no more.

use crate::error::{CatalogError, Result};
use crate::time::{LocalTime, Zone};
use types::{
    Attempt, ClientId, Epoch, FileId, FileIndex, FileSetId, JobId, JobMediaId, MediaId, PathId, PoolId, Seq,
    StorageEpoch, StorageId, Timestamp,
};

/// A parameter or a column's value. Text is bytes: file names need not be UTF-8 and are stored as they are (spec/05 §1.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// Any integer.
    Int(i64),
    /// A floating point number.
    Real(f64),
    /// Text, raw bytes.
    Text(&'a [u8]),
    /// Binary.
    Blob(&'a [u8]),
    /// A local wall-clock time (`ts` columns).
    Time(LocalTime),
}

/// [`Value`] with its bytes.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedValue {
    /// NULL.
    Null,
    /// Any integer.
    Int(i64),
    /// A floating point number.
    Real(f64),
    /// Text, raw bytes.
    Text(Vec<u8>),
    /// Binary.
    Blob(Vec<u8>),
}

impl Value<'_> {
    /// A copy that lives on.
    #[must_use]
    pub fn to_owned_value(&self) -> OwnedValue {
        match *self {
            Value::Null => OwnedValue::Null,
            Value::Int(i) => OwnedValue::Int(i),
            Value::Real(r) => OwnedValue::Real(r),
            Value::Text(t) => OwnedValue::Text(t.to_vec()),
            Value::Blob(b) => OwnedValue::Blob(b.to_vec()),
            Value::Time(t) => OwnedValue::Text(t.to_string().into_bytes()),
        }
    }
}

impl OwnedValue {
    /// Borrowed, as a parameter.
    #[must_use]
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(i) => Value::Int(*i),
            Self::Real(r) => Value::Real(*r),
            Self::Text(t) => Value::Text(t),
            Self::Blob(b) => Value::Blob(b),
        }
    }

    /// The text people see; `NULL` for none.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Int(i) => i.to_string(),
            Self::Real(r) => r.to_string(),
            Self::Text(t) => String::from_utf8_lossy(t).into_owned(),
            Self::Blob(b) => format!("({} bytes)", b.len()),
        }
    }
}

macro_rules! from_int {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Value<'_> {
            fn from(v: $ty) -> Self { Value::Int(i64::from(v)) }
        }
    )*};
}
from_int!(u8, u16, u32, i32, i64, bool);

impl From<u64> for Value<'_> {
    /// SQL integers are signed: values above `i64::MAX` (no real size or count) are held at it.
    fn from(v: u64) -> Self {
        Value::Int(i64::try_from(v).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value<'_> {
    fn from(v: usize) -> Self {
        Value::from(v as u64)
    }
}

impl From<f64> for Value<'_> {
    fn from(v: f64) -> Self {
        Value::Real(v)
    }
}

macro_rules! from_id {
    ($($ty:ty),*) => {$(
        impl From<$ty> for Value<'_> {
            fn from(v: $ty) -> Self { Value::from(v.0) }
        }
    )*};
}
from_id!(
    JobId, ClientId, FileSetId, PoolId, MediaId, StorageId, JobMediaId, FileId, PathId, FileIndex, Attempt,
    Seq
);

impl From<Epoch> for Value<'_> {
    /// Bit for bit: the high half is a timeline that stays far below 2^31.
    fn from(v: Epoch) -> Self {
        Value::Int(v.0.cast_signed())
    }
}

impl From<StorageEpoch> for Value<'_> {
    fn from(v: StorageEpoch) -> Self {
        Value::from(v.0)
    }
}

impl From<Timestamp> for Value<'_> {
    /// As Unix seconds. A `ts` column takes [`LocalTime`] instead.
    fn from(v: Timestamp) -> Self {
        Value::Int(v.0)
    }
}

impl From<LocalTime> for Value<'_> {
    fn from(v: LocalTime) -> Self {
        Value::Time(v)
    }
}

impl From<char> for OwnedValue {
    fn from(v: char) -> Self {
        OwnedValue::Text(v.to_string().into_bytes())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(v: &'a str) -> Self {
        Value::Text(v.as_bytes())
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(v: &'a String) -> Self {
        Value::Text(v.as_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    /// As text: names and paths.
    fn from(v: &'a [u8]) -> Self {
        Value::Text(v)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(v: &'a Vec<u8>) -> Self {
        Value::Text(v)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

/// Builds a parameter list: `params![id, name]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Value::from($value)),*] as &[$crate::Value<'_>] };
}

/// Where a [`Row`] gets its values from; implemented by backends.
pub trait RowSource {
    /// Number of columns.
    fn len(&self) -> usize;
    /// Whether there is no column.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Name of a column, as the database spells it.
    fn name(&self, index: usize) -> &str;
    /// Value of a column; [`Value::Null`] beyond the last.
    fn value(&self, index: usize) -> Value<'_>;
}

/// One row of a result, read by column name.
pub struct Row<'a> {
    source: &'a dyn RowSource,
    zone: &'a Zone,
}

impl<'a> Row<'a> {
    /// For backends.
    #[must_use]
    pub fn new(source: &'a dyn RowSource, zone: &'a Zone) -> Self {
        Self { source, zone }
    }

    /// The value of the column `name` (case does not matter), as `T`.
    ///
    /// # Errors
    /// [`CatalogError::BadValue`] when there is no such column or its value is no `T`.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        let index = (0..self.source.len())
            .find(|&i| self.source.name(i).eq_ignore_ascii_case(name))
            .ok_or_else(|| bad(name, "is missing from the result"))?;
        self.convert(index, name)
    }

    /// The value of the column at `index`: for results of many rows, where looking names up would be the cost.
    ///
    /// # Errors
    /// [`CatalogError::BadValue`] when its value is no `T`.
    pub fn at<T: FromValue>(&self, index: usize) -> Result<T> {
        self.convert(index, "")
    }

    /// The bytes of a text column at `index`, without a copy.
    #[must_use]
    pub fn bytes_at(&self, index: usize) -> &[u8] {
        match self.source.value(index) {
            Value::Text(b) | Value::Blob(b) => b,
            _ => &[],
        }
    }

    /// All columns, for tables of unknown shape.
    #[must_use]
    pub fn source(&self) -> &dyn RowSource {
        self.source
    }

    fn convert<T: FromValue>(&self, index: usize, name: &str) -> Result<T> {
        T::from_value(self.source.value(index), self.zone).map_err(|problem| {
            let column = if name.is_empty() { self.source.name(index) } else { name };
            CatalogError::BadValue { column: column.to_owned(), problem }
        })
    }
}

fn bad(column: &str, problem: &str) -> CatalogError {
    CatalogError::BadValue { column: column.to_owned(), problem: problem.to_owned() }
}

/// A Rust type that a column's value can become.
pub trait FromValue: Sized {
    /// Converts, or says what is wrong ("holds …").
    ///
    /// # Errors
    /// A phrase that follows "column X of a catalog row".
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>, _zone: &Zone) -> std::result::Result<Self, String> {
        match value {
            Value::Int(i) => Ok(i),
            Value::Null => Ok(0),
            // Sums of PostgreSQL are `numeric`, and other programs have written reals where integers belong.
            Value::Real(r) => Ok(r as i64),
            Value::Text(t) => std::str::from_utf8(t)
                .ok()
                .and_then(|t| t.trim().parse().ok())
                .ok_or_else(|| format!("holds {:?}, which is no number", String::from_utf8_lossy(t))),
            Value::Blob(_) | Value::Time(_) => Err("is no number".to_owned()),
        }
    }
}

macro_rules! int_from_value {
    ($($ty:ty),*) => {$(
        impl FromValue for $ty {
            fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
                let wide = i64::from_value(value, zone)?;
                <$ty>::try_from(wide).map_err(|_| format!("holds {wide}, which is out of range"))
            }
        }
    )*};
}
int_from_value!(u8, u16, u32, u64, i32, usize);

macro_rules! id_from_value {
    ($($ty:ident($int:ty)),*) => {$(
        impl FromValue for $ty {
            fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
                <$int>::from_value(value, zone).map($ty)
            }
        }
    )*};
}
id_from_value!(
    JobId(u32),
    ClientId(u32),
    FileSetId(u32),
    PoolId(u32),
    MediaId(u32),
    StorageId(u32),
    JobMediaId(u32),
    FileId(u64),
    PathId(u32),
    FileIndex(i32),
    Attempt(u32),
    Seq(u64),
    StorageEpoch(u64)
);

impl FromValue for Epoch {
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        i64::from_value(value, zone).map(|i| Epoch(i.cast_unsigned()))
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        i64::from_value(value, zone).map(|i| i != 0)
    }
}

impl FromValue for f64 {
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        match value {
            Value::Real(r) => Ok(r),
            other => i64::from_value(other, zone).map(|i| i as f64),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>, _zone: &Zone) -> std::result::Result<Self, String> {
        match value {
            Value::Text(b) | Value::Blob(b) => Ok(b.to_vec()),
            Value::Null => Ok(Vec::new()),
            Value::Int(i) => Ok(i.to_string().into_bytes()),
            Value::Real(r) => Ok(r.to_string().into_bytes()),
            Value::Time(t) => Ok(t.to_string().into_bytes()),
        }
    }
}

impl FromValue for String {
    /// Bytes that are no UTF-8 are replaced: names of resources are UTF-8, only paths are not, and those are read as bytes.
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        let bytes = Vec::<u8>::from_value(value, zone)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }
}

impl FromValue for char {
    /// A letter column; blank when empty.
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        Ok(String::from_value(value, zone)?.chars().next().unwrap_or(' '))
    }
}

macro_rules! letter_from_value {
    ($($ty:ident),*) => {$(
        impl FromValue for types::$ty {
            fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
                let letter = char::from_value(value, zone)?;
                types::$ty::from_letter(letter)
                    .ok_or_else(|| format!("holds {letter:?}, which is no {}", stringify!($ty)))
            }
        }
    )*};
}
letter_from_value!(JobType, JobLevel, JobStatus);

impl FromValue for Timestamp {
    /// Unix seconds.
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        i64::from_value(value, zone).map(Timestamp)
    }
}

impl FromValue for Option<LocalTime> {
    /// `ts` columns: an unset one is NULL in PostgreSQL and 0 in SQLite (spec/05 §3).
    fn from_value(value: Value<'_>, _zone: &Zone) -> std::result::Result<Self, String> {
        match value {
            Value::Null | Value::Int(_) | Value::Real(_) => Ok(None),
            Value::Time(t) => Ok(Some(t)),
            Value::Text(b) | Value::Blob(b) => {
                let text = String::from_utf8_lossy(b);
                if matches!(text.trim(), "" | "0") || text.starts_with("0000-00-00") {
                    return Ok(None);
                }
                LocalTime::parse(&text)
                    .map(Some)
                    .ok_or_else(|| format!("holds {text:?}, which is no date and time"))
            }
        }
    }
}

/// A `ts` column as an instant: `row.get::<Instant>("StartTime")?.0`.
pub struct Instant(pub Option<Timestamp>);

impl FromValue for Instant {
    fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
        Option::<LocalTime>::from_value(value, zone).map(|t| Instant(t.map(|t| zone.instant(t))))
    }
}

macro_rules! option_from_value {
    ($($ty:ty),*) => {$(
        impl FromValue for Option<$ty> {
            fn from_value(value: Value<'_>, zone: &Zone) -> std::result::Result<Self, String> {
                match value {
                    Value::Null => Ok(None),
                    other => <$ty>::from_value(other, zone).map(Some),
                }
            }
        }
    )*};
}
option_from_value!(i64, u32, u64, i32, String, Vec<u8>, JobId, MediaId, StorageId, Timestamp, Epoch, Seq);
