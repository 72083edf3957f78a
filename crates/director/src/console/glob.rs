//! Shell patterns as `fnmatch` with no flags takes them: `*`, `?`, `[a-z]`, `[!x]`, backslash; `*` also matches `/`.

/// Whether `text` matches `pattern` as a whole.
#[must_use]
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, and one more byte of the text under it.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match step(pattern, p, text[t]) {
            Step::Star => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Step::Taken(next) => {
                p = next;
                t += 1;
            }
            Step::Mismatch => match retry {
                Some((after, at)) => {
                    retry = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

enum Step {
    Star,
    Taken(usize),
    Mismatch,
}

fn step(pattern: &[u8], p: usize, byte: u8) -> Step {
    match pattern.get(p) {
        None => Step::Mismatch,
        Some(b'*') => Step::Star,
        Some(b'?') => Step::Taken(p + 1),
        Some(b'[') => match class(pattern, p, byte) {
            Some((true, next)) => Step::Taken(next),
            Some((false, _)) => Step::Mismatch,
            None if byte == b'[' => Step::Taken(p + 1),
            None => Step::Mismatch,
        },
        Some(b'\\') if p + 1 < pattern.len() => taken_if(pattern[p + 1] == byte, p + 2),
        Some(&b) => taken_if(b == byte, p + 1),
    }
}

fn taken_if(condition: bool, next: usize) -> Step {
    if condition { Step::Taken(next) } else { Step::Mismatch }
}

/// Reads the class that starts at `[`; `None` when it is not closed (then `[` is an ordinary character).
fn class(pattern: &[u8], start: usize, byte: u8) -> Option<(bool, usize)> {
    let mut p = start + 1;
    let negated = matches!(pattern.get(p), Some(b'!' | b'^'));
    p += usize::from(negated);
    let first = p;
    let mut hit = false;
    loop {
        let mut low = *pattern.get(p)?;
        if low == b']' && p > first {
            return Some((hit != negated, p + 1));
        }
        if low == b'\\' {
            p += 1;
            low = *pattern.get(p)?;
        }
        p += 1;
        let mut high = low;
        if pattern.get(p) == Some(&b'-') && pattern.get(p + 1).is_some_and(|&b| b != b']') {
            high = *pattern.get(p + 1)?;
            p += 2;
        }
        hit |= (low..=high).contains(&byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*.bin", "rand.bin", true),
            ("s*", "services.hard", true),
            ("s*", "empty", false),
            ("?[a-c]*[!0-9]", "xb1z", true),
            ("?[a-c]*[!0-9]", "xb19", false),
            ("a/*", "a/b/c", true),
            ("[", "[", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("*a*b*c", "xxaxxbxxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("docs/services.hard", "services.hard", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches("*a".repeat(50).as_bytes(), "b".repeat(5000).as_bytes()));
    }
}
