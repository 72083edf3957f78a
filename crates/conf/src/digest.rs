//! MD5 as Bacula uses it for passwords and FileSets; SHA-256 to compare configurations by.

use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::Write as _;

/// MD5 of some bytes.
#[must_use]
pub fn md5(data: &[u8]) -> [u8; 16] {
    Md5::digest(data).into()
}

/// The shared secret of a password: its MD5 in lower-case hex, 32 characters (spec/01 §3.1).
#[must_use]
pub fn password_secret(clear: &str) -> String {
    md5(clear.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// SHA-256 of some bytes in lower-case hex, 64 characters.
#[must_use]
pub fn sha256_hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The old base64 of FileSet digests: bytes are sign-extended as they enter the accumulator, and a last group of fewer
/// than six bits is not shifted up (spec/05 §4.3). No padding.
#[must_use]
pub fn legacy_base64(data: &[u8]) -> String {
    let mut out = String::with_capacity(data.len().div_ceil(3) * 4);
    let (mut accumulator, mut bits) = (0u32, 0u32);
    let mut put = |value: u32| out.push(char::from(ALPHABET[(value & 0x3f) as usize]));
    for &byte in data {
        accumulator = (accumulator << 8) | i32::from(byte as i8) as u32;
        bits += 8;
        while bits >= 6 {
            bits -= 6;
            put(accumulator >> bits);
        }
    }
    if bits > 0 {
        put(accumulator & ((1 << bits) - 1));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fileset_digests_match_live_catalogs() {
        let digest = |text: &str| legacy_base64(&md5(text.as_bytes()));
        assert_eq!(digest("/usr/sbin"), "35wO25lkbw+icQACU80RdB");
        assert_eq!(digest("/etc/bacula/scripts"), "lxIA06R5d+oxMHsi27FhcC");
        assert_eq!(digest("/etc"), "GC8VO9lIA5VcIE/m8lgdXB");
        assert_eq!(digest("/srv/demo/tree"), "cS/FwQYi9//r+x/1n4+VQD");
        assert_eq!(digest("/srv/demo/tree/srv/demo/tree/nothere"), "w7YBCSBOZ25PB/+Uvh0t6D");
        assert_eq!(digest("/srv/demo/tree3"), "25+iO4+Lb7+P/5wkd4Yw0D");
    }

    #[test]
    fn a_secret_is_lower_case_hex() {
        assert_eq!(password_secret("dirpw"), "3c852d05a94cd961cc2e2135ecf3788c");
    }
}
