//! Lines of `word key=value key=value …`: parsed tolerantly by key, formatted in Bacula's order.
//!
//! Bacula reads its lines with fixed patterns; real peers add trailing fields, leave others out and double blanks
//! (spec/01 §8 note 4). Looking fields up by key copes with all of that.

use types::{bash_spaces, unbash_spaces};

/// Why a line is not the message that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MsgError {
    /// No message starts like this.
    #[error("unknown message: {line}")]
    Unknown {
        /// The line, shortened.
        line: String,
    },
    /// A field is missing or has no legal value.
    #[error("field \"{field}\" is missing or wrong in: {line}")]
    Field {
        /// Its key.
        field: &'static str,
        /// The line, shortened.
        line: String,
    },
}

impl MsgError {
    /// For a line that no message matches.
    #[must_use]
    pub fn unknown(line: &[u8]) -> Self {
        Self::Unknown { line: shorten(line) }
    }

    /// For a field that cannot be read.
    #[must_use]
    pub fn field(field: &'static str, line: &[u8]) -> Self {
        Self::Field { field, line: shorten(line) }
    }
}

/// The beginning of a line as text for a message, without control characters.
#[must_use]
pub fn shorten(line: &[u8]) -> String {
    let cut = &line[..line.len().min(200)];
    trim(cut).escape_ascii().to_string()
}

/// Without trailing NUL, line feed, carriage return and space (spec/01 §1.1).
#[must_use]
pub fn trim(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\0' | b'\n' | b'\r' | b' '] = line {
        line = rest;
    }
    line
}

/// Trimmed text; bytes that are not UTF-8 are replaced.
#[must_use]
pub fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(trim(line)).into_owned()
}

/// The part after `prefix`, if the line starts with it.
#[must_use]
pub fn after<'a>(line: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    line.strip_prefix(prefix.as_bytes())
}

/// The `key=value` fields of a line.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    line: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Over a line (with or without its line feed).
    #[must_use]
    pub fn new(line: &'a [u8]) -> Self {
        Self { line: trim(line) }
    }

    /// The whole line.
    #[must_use]
    pub fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The raw value of the first field with this key; empty values exist.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&'a [u8]> {
        self.tokens().find_map(|token| token.strip_prefix(key.as_bytes())?.strip_prefix(b"=")).map(trim)
    }

    /// Everything after `key=` to the end of the line.
    #[must_use]
    pub fn rest(&self, key: &str) -> Option<&'a [u8]> {
        let token =
            self.tokens().find(|t| t.strip_prefix(key.as_bytes()).is_some_and(|v| v.starts_with(b"=")))?;
        let start = token.as_ptr() as usize - self.line.as_ptr() as usize;
        self.line.get(start + key.len() + 1..)
    }

    /// A typed value.
    ///
    /// # Errors
    /// [`MsgError::Field`] if it is missing or illegal.
    pub fn get<T: Field>(&self, key: &'static str) -> Result<T, MsgError> {
        T::read(self.raw(key)).ok_or_else(|| MsgError::field(key, self.line))
    }

    /// Blank-separated words.
    pub fn tokens(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.line.split(|&b| b == b' ').filter(|token| !token.is_empty())
    }
}

/// A value of a field.
pub trait Field: Sized {
    /// From the raw value; `None` stands for a missing field, `None` as result for an illegal one.
    fn read(raw: Option<&[u8]>) -> Option<Self>;
    /// Appends the value; `false` if the field is to be left out.
    fn write(&self, out: &mut Vec<u8>) -> bool;
}

/// Appends ` key=value` (without the blank at the start of the line), or nothing for an absent optional field.
pub fn put(out: &mut Vec<u8>, key: &str, value: &impl Field) {
    let before = out.len();
    if out.last().is_some_and(|b| !matches!(b, b' ')) {
        out.push(b' ');
    }
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    if !value.write(out) {
        out.truncate(before);
    }
}

fn as_text(raw: &[u8]) -> Option<&str> {
    std::str::from_utf8(raw).ok()
}

macro_rules! field_by_text {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(raw: Option<&[u8]>) -> Option<Self> {
                as_text(raw?)?.parse().ok()
            }

            fn write(&self, out: &mut Vec<u8>) -> bool {
                out.extend_from_slice(self.to_string().as_bytes());
                true
            }
        }
    )*};
}

field_by_text!(
    u16,
    u32,
    u64,
    i32,
    i64,
    types::JobId,
    types::MediaId,
    types::FileIndex,
    types::Attempt,
    types::Seq,
    types::ActivationId,
    types::CatalogId,
    types::Nonce
);

impl Field for types::Epoch {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        as_text(raw?)?.parse().ok().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        self.0.write(out)
    }
}

impl Field for types::StorageEpoch {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        as_text(raw?)?.parse().ok().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        self.0.write(out)
    }
}

impl Field for types::VolTime {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        as_text(raw?)?.parse().ok().map(Self)
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        self.0.write(out)
    }
}

/// `0` or `1`; any other number is true.
impl Field for bool {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        Some(as_text(raw?)?.parse::<i64>().ok()? != 0)
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        out.push(if *self { b'1' } else { b'0' });
        true
    }
}

/// Text with its spaces bashed on the wire.
impl Field for String {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        Some(unbash_spaces(&String::from_utf8_lossy(raw?)))
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(bash_spaces(self).as_bytes());
        true
    }
}

/// Bytes (a path) with their spaces bashed on the wire.
impl Field for Vec<u8> {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        Some(raw?.iter().map(|&b| if b == 1 { b' ' } else { b }).collect())
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        out.extend(self.iter().map(|&b| if b == b' ' { 1 } else { b }));
        true
    }
}

/// A field that versions differ in: left out when absent.
impl<T: Field> Field for Option<T> {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        Some(raw.and_then(|raw| T::read(Some(raw))))
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        self.as_ref().is_some_and(|value| value.write(out))
    }
}

/// Code of a letter (type, level, status) in decimal.
macro_rules! field_by_code {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(raw: Option<&[u8]>) -> Option<Self> {
                Self::from_code(as_text(raw?)?.parse().ok()?)
            }

            fn write(&self, out: &mut Vec<u8>) -> bool {
                out.extend_from_slice(self.code().to_string().as_bytes());
                true
            }
        }
    )*};
}

field_by_code!(types::JobType, types::JobLevel, types::JobStatus);

/// A message that is one line of fields: a struct with `parse` and `format`.
///
/// `line_message!(Name = "prefix" { "key" field: Type, … } tail)`; the tail is what ends the line (`"\n"` or nothing).
#[macro_export]
macro_rules! line_message {
    ($(#[$doc:meta])* $name:ident = $prefix:literal { $($(#[$fdoc:meta])* $key:literal $field:ident: $type:ty,)* } $tail:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }

        impl $name {
            /// How the line starts.
            pub const PREFIX: &'static str = $prefix;

            /// Reads the line; unknown further fields are ignored.
            ///
            /// # Errors
            /// Another message, or a field that is missing or illegal.
            pub fn parse(line: &[u8]) -> Result<Self, $crate::scan::MsgError> {
                let rest = $crate::scan::after(line, $prefix).ok_or_else(|| $crate::scan::MsgError::unknown(line))?;
                let fields = $crate::scan::Fields::new(rest);
                Ok(Self { $($field: fields.get($key)?,)* })
            }

            /// The line as it is sent.
            #[must_use]
            pub fn format(&self) -> Vec<u8> {
                let mut out = $prefix.as_bytes().to_vec();
                $($crate::scan::put(&mut out, $key, &self.$field);)*
                out.extend_from_slice($tail.as_bytes());
                out
            }
        }
    };
}
