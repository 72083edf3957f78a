//! Digests of content while it streams by.

use attrs::DigestKind;
use md5::Digest as _;

/// A digest under way.
#[derive(Clone)]
pub enum Digester {
    /// MD5.
    Md5(md5::Md5),
    /// SHA-1.
    Sha1(sha1::Sha1),
    /// SHA-256.
    Sha256(sha2::Sha256),
    /// SHA-512.
    Sha512(Box<sha2::Sha512>),
    /// XXH64.
    Xxh64(xxhash_rust::xxh64::Xxh64),
    /// XXH3, 128 bits; also what version 15.0 writes for its 64-bit kind.
    Xxh3(Box<xxhash_rust::xxh3::Xxh3Default>),
}

impl Digester {
    /// Starts one.
    #[must_use]
    pub fn new(kind: DigestKind) -> Self {
        match kind {
            DigestKind::Md5 => Self::Md5(md5::Md5::new()),
            DigestKind::Sha1 => Self::Sha1(sha1::Sha1::new()),
            DigestKind::Sha256 => Self::Sha256(sha2::Sha256::new()),
            DigestKind::Sha512 => Self::Sha512(Box::new(sha2::Sha512::new())),
            DigestKind::Xxh64 => Self::Xxh64(xxhash_rust::xxh64::Xxh64::new(0)),
            DigestKind::Xxh3x64 | DigestKind::Xxh3x128 => {
                Self::Xxh3(Box::new(xxhash_rust::xxh3::Xxh3Default::new()))
            }
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(d) => d.update(bytes),
            Self::Sha1(d) => d.update(bytes),
            Self::Sha256(d) => d.update(bytes),
            Self::Sha512(d) => d.update(bytes),
            Self::Xxh64(d) => d.update(bytes),
            Self::Xxh3(d) => d.update(bytes),
        }
    }

    /// The raw value.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        match self {
            Self::Md5(d) => d.finalize().to_vec(),
            Self::Sha1(d) => d.finalize().to_vec(),
            Self::Sha256(d) => d.finalize().to_vec(),
            Self::Sha512(d) => d.finalize().to_vec(),
            Self::Xxh64(d) => d.digest().to_be_bytes().to_vec(),
            Self::Xxh3(d) => d.digest128().to_be_bytes().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_length_and_known_values() {
        for kind in [
            DigestKind::Md5,
            DigestKind::Sha1,
            DigestKind::Sha256,
            DigestKind::Sha512,
            DigestKind::Xxh64,
            DigestKind::Xxh3x64,
            DigestKind::Xxh3x128,
        ] {
            assert_eq!(Digester::new(kind).finish().len(), kind.raw_bytes(), "{kind:?}");
        }
        let mut md5 = Digester::new(DigestKind::Md5);
        md5.update(b"hello ");
        md5.update(b"world\n");
        assert_eq!(attrs::base64_encode(&md5.finish()), "b1kCrCNwJL3QwXbLkwY9xA");
    }
}
