//! CRAM-MD5 (spec/01 §3): HMAC-MD5 over a challenge token, answered in one of two base64 flavours.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use types::Timestamp;

use crate::scan;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Longest challenge token in bytes (spec/01 §3.2).
pub const TOKEN_BYTES_MAX: usize = 499;
/// The acceptance of an answer.
pub const AUTH_OK: &[u8] = b"1000 OK auth\n";
/// The refusal of an answer.
pub const AUTH_FAILED: &[u8] = b"1999 Authorization failed.\n";

/// The shared secret of a session: key of CRAM-MD5 and of TLS-PSK (spec/01 §3.1). Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Of a configured password: the lower-case hexadecimal MD5 of it.
    #[must_use]
    pub fn from_password(password: &str) -> Self {
        let digest = Md5::digest(password.as_bytes());
        Self(digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
    }

    /// Of a password that `conf` has read: it keeps the hexadecimal MD5 and not the clear text.
    #[must_use]
    pub fn from_configured(hashed: &str) -> Self {
        Self(hashed.as_bytes().to_vec())
    }

    /// Of a job: the session key as it travels (spec/01 §7.3).
    #[must_use]
    pub fn from_session_key(key: &str) -> Self {
        Self(key.as_bytes().to_vec())
    }

    /// The bytes used as key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A session key from 16 random bytes: 32 letters `A`..`P` in groups of four (spec/01 §7.3).
#[must_use]
pub fn session_key(random: [u8; 16]) -> String {
    let letters: Vec<char> = random
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(b'A' + nibble))
        .collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// How the 16 bytes of an answer become text (spec/01 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// With sign extension: what every observed daemon sends. Lossy; it can only be compared.
    Legacy,
    /// As everybody else, without padding.
    Standard,
}

/// Unpadded base64 in the given flavour.
#[must_use]
pub fn base64(bytes: &[u8], flavour: Flavour) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 2);
    let (mut register, mut bits) = (0u32, 0u32);
    let mut input = bytes.iter();
    loop {
        if bits < 6 {
            let Some(&byte) = input.next() else { break };
            let value = match flavour {
                Flavour::Legacy => i32::from(byte as i8) as u32,
                Flavour::Standard => u32::from(byte),
            };
            register = (register << 8) | value;
            bits += 8;
        }
        out.push(char::from(ALPHABET[(register >> (bits - 6)) as usize & 63]));
        bits -= 6;
    }
    if bits > 0 {
        let rest = register & ((1 << bits) - 1);
        let index = match flavour {
            Flavour::Legacy => rest,
            Flavour::Standard => rest << (6 - bits),
        };
        out.push(char::from(ALPHABET[index as usize & 63]));
    }
    out
}

/// What makes a challenge unique: the caller's random number and clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// From a good generator.
    pub random: u64,
    /// Now.
    pub time: Timestamp,
}

/// A received or sent challenge line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// With its angle brackets.
    pub token: String,
    /// The challenger's need of certificate TLS; absent in old peers' lines.
    pub ssl: Option<u32>,
    /// `cram-md5c`: the answer is wanted in the standard flavour.
    pub compatible: bool,
}

impl Challenge {
    /// A new challenge by the daemon `name`; blanks in the name would break the peer's scan and become underscores.
    #[must_use]
    pub fn new(name: &str, seed: Seed, ssl: u32) -> Self {
        let name: String = name.chars().map(|c| if c.is_whitespace() { '_' } else { c }).collect();
        Self { token: format!("<{}.{}@{name}>", seed.random, seed.time), ssl: Some(ssl), compatible: false }
    }

    /// Reads `auth cram-md5 %s ssl=%d`, with or without the last field.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (rest, compatible) =
            match (scan::after(line, "auth cram-md5c "), scan::after(line, "auth cram-md5 ")) {
                (Some(rest), _) => (rest, true),
                (None, Some(rest)) => (rest, false),
                (None, None) => return None,
            };
        let fields = scan::Fields::new(rest);
        let token = fields.tokens().next().filter(|token| token.len() <= TOKEN_BYTES_MAX)?;
        let token = std::str::from_utf8(token).ok()?.to_owned();
        Some(Self { token, ssl: fields.get::<Option<u32>>("ssl").ok()?, compatible })
    }

    /// The line as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let kind = if self.compatible { "cram-md5c" } else { "cram-md5" };
        let mut out = format!("auth {kind} {}", self.token).into_bytes();
        scan::put(&mut out, "ssl", &self.ssl);
        out.push(b'\n');
        out
    }

    fn digest(&self, secret: &Secret) -> Vec<u8> {
        let mut mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(self.token.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// The answer packet: base64 text with one NUL that is counted.
    #[must_use]
    pub fn answer(&self, secret: &Secret) -> Vec<u8> {
        let flavour = if self.compatible { Flavour::Standard } else { Flavour::Legacy };
        let mut out = base64(&self.digest(secret), flavour).into_bytes();
        out.push(0);
        out
    }

    /// Whether an answer is right, in either flavour; takes the same time wherever it differs.
    #[must_use]
    pub fn accepts(&self, secret: &Secret, answer: &[u8]) -> bool {
        let digest = self.digest(secret);
        let answer = scan::trim(answer);
        let same = |flavour| constant_time_eq(base64(&digest, flavour).as_bytes(), answer);
        same(Flavour::Legacy) | same(Flavour::Standard)
    }
}

fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'a>(block: &'a str, key: &str) -> &'a str {
        let line = block.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_once("= ").unwrap().1
    }

    #[test]
    fn recorded_vectors() {
        let all = include_str!("../fixtures/cram-md5-vectors.txt");
        let blocks: Vec<&str> = all.split("\n\n").filter(|block| block.contains("challenge")).collect();
        assert_eq!(blocks.len(), 4);
        for block in blocks {
            let secret = Secret::from_session_key(field(block, "key"));
            let line = format!("auth cram-md5 {} ssl=0\n", field(block, "challenge"));
            let mut challenge = Challenge::parse(line.as_bytes()).unwrap();
            assert_eq!(challenge.format(), line.as_bytes());
            assert_eq!(hex::encode(challenge.digest(&secret)), field(block, "hmac-md5"));
            assert_eq!(challenge.answer(&secret), format!("{}\0", field(block, "legacy")).as_bytes());
            assert!(challenge.accepts(&secret, field(block, "standard").as_bytes()));
            challenge.compatible = true;
            assert_eq!(challenge.answer(&secret), format!("{}\0", field(block, "standard")).as_bytes());
            assert!(!challenge.accepts(&secret, b"AAAAAAAAAAAAAAAAAAAAAA"));
            assert!(!challenge.accepts(&Secret::from_password("x"), field(block, "legacy").as_bytes()));
        }
    }

    #[test]
    fn a_password_becomes_its_hex_digest() {
        assert_eq!(Secret::from_password("dirpw").as_bytes(), b"3c852d05a94cd961cc2e2135ecf3788c");
    }

    #[test]
    fn session_keys_have_letters_a_to_p() {
        let key = session_key([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(key, "ABCD-EFGH-IJKL-MNOP-AAAA-AAAA-AAAA-AAPP");
    }

    #[test]
    fn challenge_lines_without_ssl_are_read() {
        let challenge = Challenge::parse(b"auth cram-md5c <1.2@x>\n").unwrap();
        assert_eq!(challenge, Challenge { token: "<1.2@x>".into(), ssl: None, compatible: true });
        assert_eq!(Challenge::parse(b"1999 no"), None);
    }
}
