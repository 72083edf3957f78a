//! LZO1X decompression into a bounded buffer.
//!
//! Written from the description of the byte stream (Linux, `Documentation/staging/lzo.rst`): instructions of a literal
//! run, or of a distance and a length with up to three literals behind them. Every copy is checked.

/// Why data is no LZO1X stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LzoError {
    /// It ends inside an instruction.
    #[error("it ends too early")]
    Cut,
    /// A distance reaches before the start.
    #[error("a copy reaches before the start")]
    Distance,
    /// More output than allowed.
    #[error("it has too many bytes")]
    TooLarge,
    /// Bytes behind the end mark.
    #[error("bytes follow the end mark")]
    Trailing,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<usize, LzoError> {
        let (&byte, rest) = self.rest.split_first().ok_or(LzoError::Cut)?;
        self.rest = rest;
        Ok(usize::from(byte))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], LzoError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(LzoError::Cut)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn word(&mut self) -> Result<usize, LzoError> {
        let low = self.byte()?;
        Ok(low | self.byte()? << 8)
    }

    /// A length: its bits in the instruction, or, when they are 0, a chain of zero bytes that count 255 each.
    fn length(&mut self, bits: usize, mask: usize, base: usize, limit: usize) -> Result<usize, LzoError> {
        if bits != 0 {
            return Ok(bits + base);
        }
        let mut length = mask;
        loop {
            match self.byte()? {
                0 => length += 255,
                last => return Ok(length + last + base),
            }
            if length > limit {
                return Err(LzoError::TooLarge);
            }
        }
    }
}

/// Decompresses `packed` into `out` (emptied first), at most `limit` bytes.
///
/// # Errors
/// [`LzoError`] for anything that is no whole LZO1X stream.
pub fn decompress(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), LzoError> {
    out.clear();
    let mut reader = Reader { rest: packed };
    // How many literals the last instruction copied: 0 to 3, or 4 for a long run.
    let mut state = 0;
    if let Some(&first) = packed.first()
        && first > 17
    {
        reader.byte()?;
        let len = usize::from(first) - 17;
        literals(&mut reader, out, len, limit)?;
        state = len.min(4);
    }
    loop {
        let instruction = reader.byte()?;
        let (distance, length, next) = match instruction {
            0..16 if state == 0 => {
                let len = reader.length(instruction, 15, 3, limit)?;
                literals(&mut reader, out, len, limit)?;
                state = 4;
                continue;
            }
            0..16 => {
                let high = reader.byte()? << 2;
                let low = instruction >> 2;
                let next = instruction & 3;
                if state == 4 { (high + low + 2049, 3, next) } else { (high + low + 1, 2, next) }
            }
            16..32 => {
                let length = reader.length(instruction & 7, 7, 2, limit)?;
                let word = reader.word()?;
                let distance = 16384 + ((instruction & 8) << 11) + (word >> 2);
                if distance == 16384 {
                    return if reader.rest.is_empty() { Ok(()) } else { Err(LzoError::Trailing) };
                }
                (distance, length, word & 3)
            }
            32..64 => {
                let length = reader.length(instruction & 31, 31, 2, limit)?;
                let word = reader.word()?;
                ((word >> 2) + 1, length, word & 3)
            }
            64..128 => {
                let high = reader.byte()? << 3;
                (high + (instruction >> 2 & 7) + 1, 3 + (instruction >> 5 & 1), instruction & 3)
            }
            _ => {
                let high = reader.byte()? << 3;
                (high + (instruction >> 2 & 7) + 1, 5 + (instruction >> 5 & 3), instruction & 3)
            }
        };
        copy_back(out, distance, length, limit)?;
        literals(&mut reader, out, next, limit)?;
        state = next;
    }
}

fn literals(reader: &mut Reader<'_>, out: &mut Vec<u8>, len: usize, limit: usize) -> Result<(), LzoError> {
    if out.len() + len > limit {
        return Err(LzoError::TooLarge);
    }
    out.extend_from_slice(reader.bytes(len)?);
    Ok(())
}

fn copy_back(out: &mut Vec<u8>, distance: usize, length: usize, limit: usize) -> Result<(), LzoError> {
    if out.len() + length > limit {
        return Err(LzoError::TooLarge);
    }
    let mut from = out.len().checked_sub(distance).ok_or(LzoError::Distance)?;
    let mut left = length;
    // The copy may overlap its own output: then it repeats with the period of the distance.
    while left > 0 {
        let take = left.min(out.len() - from);
        out.extend_from_within(from..from + take);
        from += take;
        left -= take;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_block_of_bacula_decompresses() {
        // "hello world\n" as liblzo2 wrote it (spec/02 §5.2): one literal run and the end mark.
        let mut packed = vec![17 + 12];
        packed.extend_from_slice(b"hello world\n");
        packed.extend_from_slice(&[0x11, 0, 0]);
        assert_eq!(packed.len(), 16);
        let mut out = Vec::new();
        decompress(&packed, 100, &mut out).unwrap();
        assert_eq!(out, b"hello world\n");
        assert_eq!(decompress(&packed, 5, &mut out), Err(LzoError::TooLarge));
        assert_eq!(decompress(&packed[..15], 100, &mut out), Err(LzoError::Cut));
        packed.push(0);
        assert_eq!(decompress(&packed, 100, &mut out), Err(LzoError::Trailing));
    }
}
