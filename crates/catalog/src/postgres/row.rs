//! Rows: binary values of the types that catalogs and people's own queries have.

use crate::time::LocalTime;
use crate::value::{RowSource, Value};
use std::error::Error;
use std::fmt::Write as _;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Row, Statement};

/// How a column's bytes are read.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Two, four or eight bytes.
    Integer,
    Oid,
    Bool,
    Float4,
    Float8,
    /// Bytes of text.
    Text,
    Bytes,
    Timestamp,
    /// Shown as text that is made from the bytes.
    Made(fn(&[u8]) -> Option<String>),
}

/// The columns of a statement.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    kinds: Vec<Kind>,
    /// Whether a column is [`Kind::Made`].
    has_made: bool,
}

impl Columns {
    /// Of a prepared statement; the error names the first column of a type that is not known here.
    pub(super) fn of(statement: &Statement) -> Result<Self, String> {
        let mut columns = Self { names: Vec::new(), kinds: Vec::new(), has_made: false };
        for column in statement.columns() {
            let kind = kind_of(column.type_()).ok_or_else(|| {
                format!(
                    "column {name} is of type {ty}, which is not shown here; write CAST({name} AS text)",
                    name = column.name(),
                    ty = column.type_()
                )
            })?;
            columns.names.push(column.name().to_owned());
            columns.kinds.push(kind);
            columns.has_made |= matches!(kind, Kind::Made(_));
        }
        Ok(columns)
    }
}

fn kind_of(ty: &Type) -> Option<Kind> {
    Some(match *ty {
        Type::INT2 | Type::INT4 | Type::INT8 => Kind::Integer,
        Type::OID | Type::XID => Kind::Oid,
        Type::BOOL => Kind::Bool,
        Type::FLOAT4 => Kind::Float4,
        Type::FLOAT8 => Kind::Float8,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::CHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
            Kind::Text
        }
        Type::BYTEA => Kind::Bytes,
        Type::TIMESTAMP => Kind::Timestamp,
        Type::TIMESTAMPTZ => Kind::Made(|raw| timestamp(raw).map(|t| format!("{t}+00"))),
        Type::DATE => Kind::Made(date),
        Type::NUMERIC => Kind::Made(numeric),
        Type::INTERVAL => Kind::Made(interval),
        Type::UUID => Kind::Made(|raw| uuid::Uuid::from_slice(raw).ok().map(|u| u.to_string())),
        // Also `pg_lsn`-like numbers and `void`, which functions return.
        Type::PG_LSN => Kind::Made(lsn),
        Type::VOID => Kind::Text,
        _ => return None,
    })
}

/// A row of a result.
pub(super) struct PgRow<'a> {
    row: &'a Row,
    columns: &'a Columns,
    made: Vec<Option<String>>,
}

impl<'a> PgRow<'a> {
    pub(super) fn new(row: &'a Row, columns: &'a Columns) -> Self {
        let made = if columns.has_made {
            (0..columns.kinds.len()).map(|i| made(row, i, columns.kinds[i])).collect()
        } else {
            Vec::new()
        };
        Self { row, columns, made }
    }
}

fn made(row: &Row, index: usize, kind: Kind) -> Option<String> {
    match kind {
        Kind::Made(make) => raw(row, index).and_then(make),
        _ => None,
    }
}

impl RowSource for PgRow<'_> {
    fn len(&self) -> usize {
        self.columns.names.len()
    }

    fn name(&self, index: usize) -> &str {
        self.columns.names.get(index).map_or("", String::as_str)
    }

    fn value(&self, index: usize) -> Value<'_> {
        let Some(kind) = self.columns.kinds.get(index) else { return Value::Null };
        let Some(raw) = raw(self.row, index) else { return Value::Null };
        let value = match kind {
            Kind::Integer => integer(raw).map(Value::Int),
            Kind::Oid => fixed(raw).map(|b| Value::Int(u32::from_be_bytes(b).into())),
            Kind::Bool => raw.first().map(|b| Value::Int(i64::from(*b != 0))),
            Kind::Float4 => fixed(raw).map(|b| Value::Real(f32::from_be_bytes(b).into())),
            Kind::Float8 => fixed(raw).map(|b| Value::Real(f64::from_be_bytes(b))),
            Kind::Text => Some(Value::Text(raw)),
            Kind::Bytes => Some(Value::Blob(raw)),
            Kind::Timestamp => timestamp(raw).map(Value::Time),
            Kind::Made(_) => {
                self.made.get(index).and_then(|text| text.as_ref()).map(|text| Value::Text(text.as_bytes()))
            }
        };
        value.unwrap_or(Value::Null)
    }
}

/// The bytes of a column; none for NULL.
fn raw(row: &Row, index: usize) -> Option<&[u8]> {
    row.try_get::<_, Option<Raw<'_>>>(index).ok().flatten().map(|raw| raw.0)
}

struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

fn fixed<const N: usize>(raw: &[u8]) -> Option<[u8; N]> {
    raw.try_into().ok()
}

fn integer(raw: &[u8]) -> Option<i64> {
    match raw.len() {
        2 => fixed(raw).map(|b| i16::from_be_bytes(b).into()),
        4 => fixed(raw).map(|b| i32::from_be_bytes(b).into()),
        _ => fixed(raw).map(i64::from_be_bytes),
    }
}

/// Microseconds since 2000-01-01; the two infinities are no time.
fn timestamp(raw: &[u8]) -> Option<LocalTime> {
    let micros = fixed(raw).map(i64::from_be_bytes)?;
    LocalTime::from_2000(micros.div_euclid(1_000_000))
}

/// Days since 2000-01-01.
fn date(raw: &[u8]) -> Option<String> {
    let days = fixed(raw).map(i32::from_be_bytes)?;
    let midnight = LocalTime::from_2000(i64::from(days) * 86_400)?.to_string();
    midnight.split(' ').next().map(str::to_owned)
}

/// Microseconds, days, months.
fn interval(raw: &[u8]) -> Option<String> {
    let micros = raw.get(..8).and_then(fixed).map(i64::from_be_bytes)?;
    let days = raw.get(8..12).and_then(fixed).map(i32::from_be_bytes)?;
    let months = raw.get(12..16).and_then(fixed).map(i32::from_be_bytes)?;
    let mut text = String::new();
    if months != 0 {
        let _ = write!(text, "{months} mons ");
    }
    if days != 0 {
        let _ = write!(text, "{days} days ");
    }
    let seconds = micros.unsigned_abs() / 1_000_000;
    let sign = if micros < 0 { "-" } else { "" };
    let _ = write!(text, "{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(text)
}

fn lsn(raw: &[u8]) -> Option<String> {
    let lsn = fixed(raw).map(u64::from_be_bytes)?;
    Some(format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff))
}

/// Groups of four decimal digits: count, weight of the first, sign, digits behind the point, then the groups.
fn numeric(raw: &[u8]) -> Option<String> {
    let short = |at: usize| raw.get(at..at + 2).and_then(fixed).map(u16::from_be_bytes);
    let (count, weight) = (short(0)?, short(2)?.cast_signed());
    let (sign, scale) = (short(4)?, usize::from(short(6)?));
    let mut text = String::new();
    match sign {
        0x0000 => {}
        0x4000 => text.push('-'),
        0xC000 => return Some("NaN".to_owned()),
        _ => return Some(if sign == 0xF000 { "-Infinity" } else { "Infinity" }.to_owned()),
    }
    // Groups of zeros at either end are left out.
    let group = |at: i32| match u16::try_from(at) {
        Ok(at) if at < count => short(8 + 2 * usize::from(at)),
        _ => Some(0),
    };
    let whole = i32::from(weight.max(-1)) + 1;
    if whole == 0 {
        text.push('0');
    }
    for at in 0..whole {
        let digits = group(at)?;
        let _ = if at == 0 { write!(text, "{digits}") } else { write!(text, "{digits:04}") };
    }
    if scale > 0 {
        let mut fraction = String::new();
        for at in (i32::from(weight) + 1..).take(scale.div_ceil(4)) {
            let digits = group(at)?;
            let _ = write!(fraction, "{digits:04}");
        }
        fraction.truncate(scale);
        let _ = write!(text, ".{fraction}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_numeric(groups: &[u16], weight: i16, negative: bool, scale: u16, expected: &str) {
        let sign = if negative { 0x4000 } else { 0 };
        let head = [groups.len() as u16, weight.cast_unsigned(), sign, scale];
        let raw: Vec<u8> = head.iter().chain(groups).flat_map(|v| v.to_be_bytes()).collect();
        assert_eq!(numeric(&raw).as_deref(), Some(expected));
    }

    #[test]
    fn numbers_of_any_size_are_read() {
        check_numeric(&[], 0, false, 0, "0");
        check_numeric(&[1, 2345], 1, false, 0, "12345");
        check_numeric(&[12], 2, false, 0, "1200000000");
        check_numeric(&[3, 1400], 0, true, 2, "-3.14");
        check_numeric(&[5000], -1, false, 1, "0.5");
        check_numeric(&[12], -2, false, 8, "0.00000012");
        check_numeric(&[7], 0, false, 3, "7.000");
        assert_eq!(numeric(&[0, 1]), None);
    }

    #[test]
    fn times_are_counted_from_2000() {
        assert_eq!(timestamp(&0_i64.to_be_bytes()).unwrap().to_string(), "2000-01-01 00:00:00");
        assert_eq!(timestamp(&(-1_i64).to_be_bytes()).unwrap().to_string(), "1999-12-31 23:59:59");
        assert_eq!(timestamp(&i64::MAX.to_be_bytes()), None);
        assert_eq!(date(&366_i32.to_be_bytes()).as_deref(), Some("2001-01-01"));
    }
}
