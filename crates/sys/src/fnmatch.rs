//! File name patterns with the exact meaning of `fnmatch(3)` on bytes (spec/02 §6.4).
//!
//! Written here rather than called: no NUL-terminated copies for each of millions of names, and no exponential patterns.

/// How a pattern is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GlobFlags {
    /// Ignore the case of ASCII letters.
    pub fold_case: bool,
    /// `*`, `?` and sets do not match `/`.
    pub pathname: bool,
}

/// Whether the whole of `text` matches `pattern`: `*`, `?`, `[set]` (`!` or `^` negates), `\` escapes.
///
/// A `[` without `]` is a plain character; there is no special treatment of leading dots.
#[must_use]
pub fn glob_match(pattern: &[u8], text: &[u8], flags: GlobFlags) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, one more byte swallowed by it.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if let Some(next) = match_one(pattern, p, text[t], flags) {
            p = next;
            t += 1;
            continue;
        }
        match retry {
            Some((star, at)) if !(flags.pathname && text[at] == b'/') => {
                retry = Some((star, at + 1));
                p = star;
                t = at + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Matches one byte against the pattern's element at `p`; gives where the next element is.
fn match_one(pattern: &[u8], p: usize, byte: u8, flags: GlobFlags) -> Option<usize> {
    let same = |a: u8, b: u8| if flags.fold_case { a.eq_ignore_ascii_case(&b) } else { a == b };
    match *pattern.get(p)? {
        b'?' => (!(flags.pathname && byte == b'/')).then_some(p + 1),
        b'[' => match match_set(pattern, p, byte, flags) {
            Some((matched, next)) => (matched && !(flags.pathname && byte == b'/')).then_some(next),
            None => same(b'[', byte).then_some(p + 1),
        },
        b'\\' if p + 1 < pattern.len() => same(pattern[p + 1], byte).then_some(p + 2),
        // A pattern that ends in a backslash matches nothing, as with glibc.
        b'\\' => None,
        plain => same(plain, byte).then_some(p + 1),
    }
}

/// Matches a set that starts at `p`; `None` when there is no closing bracket.
fn match_set(pattern: &[u8], p: usize, byte: u8, flags: GlobFlags) -> Option<(bool, usize)> {
    let mut at = p + 1;
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    at += usize::from(negated);
    let first = at;
    let fold = |b: u8| if flags.fold_case { b.to_ascii_lowercase() } else { b };
    let mut matched = false;
    loop {
        let mut low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((matched != negated, at + 1));
        }
        if low == b'['
            && pattern.get(at + 1) == Some(&b':')
            && let Some((name, next)) = class_name(pattern, at)
        {
            matched |= in_class(name, byte, flags);
            at = next;
            continue;
        }
        if low == b'\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&b'-') && pattern.get(at + 1).is_some_and(|&b| b != b']') {
            at += 1;
            high = *pattern.get(at)?;
            if high == b'\\' {
                at += 1;
                high = *pattern.get(at)?;
            }
            at += 1;
        }
        matched |= (fold(low)..=fold(high)).contains(&fold(byte));
    }
}

fn class_name(pattern: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = &pattern[at + 2..];
    let end = rest.windows(2).position(|two| two == b":]")?;
    rest[..end].iter().all(u8::is_ascii_lowercase).then_some((&rest[..end], at + 2 + end + 2))
}

fn in_class(name: &[u8], byte: u8, flags: GlobFlags) -> bool {
    match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase() || flags.fold_case && byte.is_ascii_lowercase(),
        b"lower" => byte.is_ascii_lowercase() || flags.fold_case && byte.is_ascii_uppercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => (0x20..0x7f).contains(&byte),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::CString;

    /// The system's answer. No test sets a locale, so it works on bytes.
    fn system(pattern: &[u8], text: &[u8], flags: GlobFlags) -> bool {
        let (pattern, text) = (CString::new(pattern).unwrap(), CString::new(text).unwrap());
        let mut bits = 0;
        if flags.fold_case {
            bits |= libc::FNM_CASEFOLD;
        }
        if flags.pathname {
            bits |= libc::FNM_PATHNAME;
        }
        // SAFETY: both are NUL-terminated and outlive the call.
        #[allow(unsafe_code)]
        unsafe {
            libc::fnmatch(pattern.as_ptr(), text.as_ptr(), bits) == 0
        }
    }

    #[test]
    fn the_promises_of_the_specification_hold() {
        let plain = GlobFlags::default();
        for (pattern, text, expected) in [
            ("*.txt", "/a/b/c.txt", true),
            ("/srv/*", "/srv/a/b", true),
            ("/srv/?", "/srv/", false),
            ("[!a]b", "cb", true),
            ("[^a]b", "ab", false),
            ("[a", "[a", true),
            ("\\*", "*", true),
            ("*", ".hidden", true),
            ("", "", true),
            ("a*b*c", "aXXbYYc", true),
        ] {
            assert_eq!(glob_match(pattern.as_bytes(), text.as_bytes(), plain), expected, "{pattern} {text}");
            assert_eq!(system(pattern.as_bytes(), text.as_bytes(), plain), expected, "{pattern} {text}");
        }
        assert!(glob_match(b"*.TXT", b"a.txt", GlobFlags { fold_case: true, pathname: false }));
        assert!(!glob_match(b"*.txt", b"a/b.txt", GlobFlags { fold_case: false, pathname: true }));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = b"*a".repeat(60);
        assert!(!glob_match(&[&pattern[..], b"b"].concat(), &[b'a'; 3000], GlobFlags::default()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn it_agrees_with_the_system(pattern in "[ab*?/\\[\\]!-]{0,8}", text in "[ab/\\]!-]{0,8}", fold_case: bool) {
            let flags = GlobFlags { fold_case, pathname: false };
            prop_assert_eq!(glob_match(pattern.as_bytes(), text.as_bytes(), flags), system(pattern.as_bytes(), text.as_bytes(), flags));
        }
    }
}
