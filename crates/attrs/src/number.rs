//! Numbers in "Bacula base64": most significant digit first, no padding (spec/02 §3.2).

/// The 64 digits.
pub(crate) const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Value of each byte as a digit; what is no digit counts as 0, as in the original.
pub(crate) const VALUES: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut i = 0;
    while i < 64 {
        table[DIGITS[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Appends `value`. `i64::MIN` has no encoding in the original and is written as its neighbour, `-(2^63 - 1)`.
pub fn encode_number(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut rest = value.checked_abs().unwrap_or(i64::MAX) as u64;
    // 11 digits hold 66 bits.
    let mut digits = [0u8; 11];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = DIGITS[(rest & 63) as usize];
        rest >>= 6;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// `value` as text of its own.
#[must_use]
pub fn number_text(value: i64) -> String {
    let mut out = Vec::with_capacity(12);
    encode_number(value, &mut out);
    out.into_iter().map(char::from).collect()
}

/// Reads a number up to a space, a NUL or the end; gives it and the count of bytes read.
///
/// Unknown characters count as digit 0 and too many digits wrap, as in the original (spec/02 §3.2); nothing panics.
#[must_use]
pub fn decode_number(text: &[u8]) -> (i64, usize) {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut value = 0u64;
    let mut at = start;
    while let Some(&byte) = text.get(at) {
        if byte == b' ' || byte == 0 {
            break;
        }
        value = (value << 6) | u64::from(VALUES[usize::from(byte)]);
        at += 1;
    }
    let value = value as i64;
    (if negative { value.wrapping_neg() } else { value }, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_recorded_vectors_hold_in_both_directions() {
        let mut seen = 0;
        for line in include_str!("../fixtures/base64-vectors.txt").lines() {
            let words: Vec<_> = line.split(' ').collect();
            let [number, text] = words[..] else { continue };
            let Ok(number) = number.parse::<i64>() else { continue };
            assert_eq!(number_text(number), text);
            assert_eq!(decode_number(text.as_bytes()), (number, text.len()));
            seen += 1;
        }
        assert_eq!(seen, 22);
    }

    proptest! {
        #[test]
        fn any_number_comes_back(value in (i64::MIN + 1)..) {
            prop_assert_eq!(decode_number(number_text(value).as_bytes()).0, value);
        }
    }
}
