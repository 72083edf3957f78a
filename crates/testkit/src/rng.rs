//! A small deterministic generator (SplitMix64): the same seed gives the same tree in every version of this program.

/// Deterministic random numbers for trees and damage; of no cryptographic use.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole output follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 for a `bound` of 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// `len` bytes that no compressor shortens.
    pub fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// `len` bytes of words, which compress about as well as text does.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        const WORDS: [&str; 16] = [
            "volume ",
            "label ",
            "block ",
            "record ",
            "director ",
            "storage ",
            "client ",
            "catalog ",
            "pool ",
            "the ",
            "of ",
            "a ",
            "restore ",
            "backup ",
            "epoch\n",
            "journal ",
        ];
        let mut bytes = Vec::with_capacity(len + 16);
        while bytes.len() < len {
            let mut pick = self.next_u64();
            for _ in 0..16 {
                bytes.extend_from_slice(WORDS[(pick & 15) as usize].as_bytes());
                pick >>= 4;
            }
        }
        bytes.truncate(len);
        bytes
    }
}
