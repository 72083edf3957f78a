//! Digests: which there are and how they are written as text (spec/02 §3.7, spec/05 §4.2, §4.3).

use crate::number::{DIGITS, VALUES};
use crate::{Stream, StreamKind};

/// A digest of file content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestKind {
    /// MD5, 16 bytes.
    Md5,
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
    /// SHA-512, 64 bytes.
    Sha512,
    /// XXH64, 8 bytes, big-endian.
    Xxh64,
    /// XXH3-64; version 15.0 writes the 16 bytes of XXH3-128 instead, and so do we.
    Xxh3x64,
    /// XXH3-128, 16 bytes, big-endian.
    Xxh3x128,
}

impl DigestKind {
    /// Of a stream number; `None` when the stream is no digest.
    #[must_use]
    pub const fn of_stream(stream: Stream) -> Option<Self> {
        Some(match stream.kind() {
            StreamKind::Md5Digest => Self::Md5,
            StreamKind::Sha1Digest => Self::Sha1,
            StreamKind::Sha256Digest => Self::Sha256,
            StreamKind::Sha512Digest => Self::Sha512,
            StreamKind::Xxhash64Digest => Self::Xxh64,
            StreamKind::Xxh3x64Digest => Self::Xxh3x64,
            StreamKind::Xxh3x128Digest => Self::Xxh3x128,
            _ => return None,
        })
    }

    /// The stream that carries it.
    #[must_use]
    pub const fn stream(self) -> Stream {
        match self {
            Self::Md5 => Stream::MD5_DIGEST,
            Self::Sha1 => Stream::SHA1_DIGEST,
            Self::Sha256 => Stream::SHA256_DIGEST,
            Self::Sha512 => Stream::SHA512_DIGEST,
            Self::Xxh64 => Stream::XXHASH64_DIGEST,
            Self::Xxh3x64 => Stream::XXH3_64_DIGEST,
            Self::Xxh3x128 => Stream::XXH3_128_DIGEST,
        }
    }

    /// Length of the raw value in bytes.
    #[must_use]
    pub const fn raw_bytes(self) -> usize {
        match self {
            Self::Xxh64 => 8,
            Self::Md5 | Self::Xxh3x64 | Self::Xxh3x128 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Name as messages and verify packets have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
            Self::Xxh64 => "XXHASH64",
            Self::Xxh3x64 => "XXH3_64",
            Self::Xxh3x128 => "XXH3_128",
        }
    }
}

/// Base64 without padding: the catalog, accurate lists and verify packets ("compatible").
#[must_use]
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = u32::from(group[0]) << 16
            | u32::from(group.get(1).copied().unwrap_or(0)) << 8
            | u32::from(group.get(2).copied().unwrap_or(0));
        for digit in 0..=group.len() {
            out.push(char::from(DIGITS[(word >> (18 - 6 * digit) & 63) as usize]));
        }
    }
    out
}

/// Reads what [`base64_encode`] writes, padded or not; `None` for anything else.
#[must_use]
pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    let mut out = Vec::with_capacity(end * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for &byte in &text[..end] {
        let value = VALUES[usize::from(byte)];
        if value == 0 && byte != b'A' {
            return None;
        }
        word = (word << 6 | u32::from(value)) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    // A lone last digit cannot hold a byte.
    (bits < 6).then_some(out)
}

/// The legacy form ("non-compatible") of FileSet digests and CRAM-MD5: bytes are sign-extended and the last group is not shifted.
#[must_use]
pub fn base64_encode_legacy(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + 2);
    let (mut reg, mut rem) = (0u32, 0u32);
    let mut bytes = bytes.iter();
    let mut next = bytes.next();
    while let Some(&byte) = next {
        if rem < 6 {
            reg = reg << 8 | (byte as i8) as u32;
            rem += 8;
            next = bytes.next();
        }
        out.push(char::from(DIGITS[(reg >> (rem - 6) & 63) as usize]));
        rem -= 6;
    }
    if rem > 0 {
        out.push(char::from(DIGITS[(reg & ((1 << rem) - 1)) as usize & 63]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from_hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_recorded_digests_have_both_forms() {
        let mut seen = 0;
        for line in include_str!("../fixtures/base64-vectors.txt").lines() {
            let Some((_, rest)) = line.split_once("') ") else { continue };
            let words: Vec<_> = rest.split(' ').collect();
            let raw = from_hex(words[0]);
            assert_eq!(base64_encode(&raw), words[1]);
            assert_eq!(base64_encode_legacy(&raw), words[2]);
            assert_eq!(base64_decode(words[1].as_bytes()), Some(raw));
            seen += 1;
        }
        assert_eq!(seen, 4);
        let usr_sbin = from_hex("de9c0eda99646f08a271000251cd1175");
        assert_eq!(base64_encode_legacy(&usr_sbin), "35wO25lkbw+icQACU80RdB");
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(base64_decode(base64_encode(&bytes).as_bytes()), Some(bytes));
        }
    }
}
