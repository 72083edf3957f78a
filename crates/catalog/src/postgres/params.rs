//! Parameters: a [`Value`] as whatever type the prepared statement wants.

use crate::value::Value;
use bytes::{BufMut, BytesMut};
use std::error::Error;
use std::fmt::Write as _;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// A value as a bound parameter. It goes in text form, which the server reads as the type of the parameter: one integer of
/// ours fits `smallint`, `integer`, `bigint` and `numeric` alike, or is refused by the server as out of range.
#[derive(Debug)]
pub(super) struct Bound<'a>(pub(super) &'a Value<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match *self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Int(i) => write!(out, "{i}")?,
            Value::Real(r) => write!(out, "{r}")?,
            Value::Text(bytes) | Value::Blob(bytes) => out.put_slice(bytes),
            Value::Time(time) => write!(out, "{time}")?,
        }
        Ok(IsNull::No)
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }

    fn encode_format(&self, ty: &Type) -> Format {
        // The text form of `bytea` would need escaping.
        if *ty == Type::BYTEA { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}
