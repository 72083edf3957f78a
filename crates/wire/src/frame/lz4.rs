//! Raw LZ4 blocks whose expanded size is not told (spec/01 §1.4): measured first, then expanded at once.

use super::PLAIN_BYTES_MAX;

/// `plain` followed by the expanded `block`; `None` for damaged or oversized blocks.
pub(super) fn expand(plain: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let size = expanded_len(block)?;
    let mut out = vec![0; plain.len() + size];
    out[..plain.len()].copy_from_slice(plain);
    let written = lz4_flex::block::decompress_into(block, &mut out[plain.len()..]).ok()?;
    (written == size).then_some(out)
}

/// Walks the sequences of a block without copying: the size that it expands to, at most [`PLAIN_BYTES_MAX`].
fn expanded_len(block: &[u8]) -> Option<usize> {
    let mut rest = block;
    let mut size = 0usize;
    loop {
        let (&token, after) = rest.split_first()?;
        rest = after;
        let literals = length(token >> 4, &mut rest)?;
        rest = rest.get(literals..)?;
        size += literals;
        if size > PLAIN_BYTES_MAX {
            return None;
        }
        if rest.is_empty() {
            return Some(size);
        }
        rest = rest.get(2..)?; // the match's distance
        size += length(token & 15, &mut rest)? + 4;
    }
}

/// A length of four bits, continued in bytes while they are 255.
fn length(nibble: u8, rest: &mut &[u8]) -> Option<usize> {
    let mut len = usize::from(nibble);
    if nibble == 15 {
        loop {
            let (&byte, after) = rest.split_first()?;
            *rest = after;
            len += usize::from(byte);
            if len > PLAIN_BYTES_MAX {
                return None;
            }
            if byte != 255 {
                break;
            }
        }
    }
    Some(len)
}
