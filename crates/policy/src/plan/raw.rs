//! Bytes that are most often text: file names and patterns of a FileSet need not be UTF-8.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes, written in a stored plan as text where they are text, else as `{"hex": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct RawText(pub Vec<u8>);

impl RawText {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for RawText {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for RawText {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Bytes { hex: String },
}

impl Serialize for RawText {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let stored = match std::str::from_utf8(&self.0) {
            Ok(text) => Stored::Text(text.to_owned()),
            Err(_) => Stored::Bytes { hex: self.0.iter().map(|byte| format!("{byte:02x}")).collect() },
        };
        stored.serialize(out)
    }
}

impl<'de> Deserialize<'de> for RawText {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Stored::deserialize(input)? {
            Stored::Text(text) => Ok(Self(text.into_bytes())),
            Stored::Bytes { hex } => {
                from_hex(&hex).map(Self).ok_or_else(|| D::Error::custom("no hexadecimal digits"))
            }
        }
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = hex.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_storing() {
        for bytes in [&b"/etc/passwd"[..], b"/caf\xe9/\xff", b"", b"\"quoted\""] {
            let json = serde_json::to_string(&RawText::from(bytes)).unwrap();
            assert_eq!(serde_json::from_str::<RawText>(&json).unwrap().0, bytes, "{json}");
        }
        assert!(serde_json::from_str::<RawText>("{\"hex\":\"abc\"}").is_err());
    }
}
