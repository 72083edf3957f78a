//! Binary `COPY`: rows as the server's own wire form.

use crate::port::{Column, Holds};
use crate::value::Value;
use bytes::{BufMut, BytesMut};

/// Bytes that go to the server at a time.
pub(super) const CHUNK: usize = 256 * 1024;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// The statement that the rows follow.
pub(super) fn statement(table: &str, columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "))
}

/// What comes before the first row: signature, no flags, no extension.
pub(super) fn begin(out: &mut BytesMut) {
    out.put_slice(SIGNATURE);
    out.put_i32(0);
    out.put_i32(0);
}

/// What comes behind the last row.
pub(super) fn end(out: &mut BytesMut) {
    out.put_i16(-1);
}

/// Appends one row; the error says which value does not fit its column.
pub(super) fn row(out: &mut BytesMut, columns: &[Column], values: &[Value<'_>]) -> Result<(), String> {
    out.put_i16(columns.len() as i16);
    for (column, value) in columns.iter().zip(values) {
        let misfit = || format!("column {} cannot hold {value:?}", column.name);
        match (column.holds, value) {
            (_, Value::Null) => out.put_i32(-1),
            (Holds::Small, Value::Int(i)) => {
                out.put_i32(2);
                out.put_i16(i16::try_from(*i).map_err(|_| misfit())?);
            }
            (Holds::Int, Value::Int(i)) => {
                out.put_i32(4);
                out.put_i32(i32::try_from(*i).map_err(|_| misfit())?);
            }
            (Holds::Big, Value::Int(i)) => {
                out.put_i32(8);
                out.put_i64(*i);
            }
            (Holds::Text, Value::Text(bytes)) => {
                out.put_i32(i32::try_from(bytes.len()).map_err(|_| misfit())?);
                out.put_slice(bytes);
            }
            _ => return Err(misfit()),
        }
    }
    Ok(())
}
