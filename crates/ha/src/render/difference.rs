//! Two texts, line by line.

/// Lines around a change that are shown.
const CONTEXT: usize = 2;

/// A line of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// What turns `old` into `new`: `-` and `+` lines with some around them; empty when no line differs. `same` compares a line of
/// the old text with one of the new.
pub(super) fn lines(old: &str, new: &str, same: impl Fn(&str, &str) -> bool) -> String {
    let (a, b): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let merged = merge(&a, &b, &same);
    let changed: Vec<usize> = (0..merged.len()).filter(|at| !matches!(merged[*at], Line::Same(_))).collect();
    let near = |at: usize| changed.iter().any(|other| other.abs_diff(at) <= CONTEXT);
    let mut out = String::new();
    let mut gap = false;
    for (at, line) in merged.iter().enumerate() {
        if !near(at) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) {
            out.push_str("@@\n");
        }
        let (sign, text) = match line {
            Line::Same(text) => (' ', text),
            Line::Old(text) => ('-', text),
            Line::New(text) => ('+', text),
        };
        out.push(sign);
        out.push_str(text);
        out.push('\n');
    }
    out
}

/// The longest common subsequence, by the usual table: these files have some hundred lines.
fn merge<'a>(a: &[&'a str], b: &[&'a str], same: &impl Fn(&str, &str) -> bool) -> Vec<Line<'a>> {
    let width = b.len() + 1;
    let mut longest = vec![0u32; (a.len() + 1) * width];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i * width + j] = if same(a[i], b[j]) {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && same(a[i], b[j]) {
            out.push(Line::Same(a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1])
        {
            out.push(Line::Old(a[i]));
            i += 1;
        } else {
            out.push(Line::New(b[j]));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_is_around_them() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        let new = "a\nb\nc\nd\nE\nf\ng\nh\ni\n";
        assert_eq!(lines(old, new, |a, b| a == b), "@@\n c\n d\n-e\n+E\n f\n g\n h\n+i\n");
        assert_eq!(lines(old, old, |a, b| a == b), "");
        assert_eq!(lines("", "x\n", |a, b| a == b), "+x\n");
        assert_eq!(lines("x\n", "", |a, b| a == b), "-x\n");
    }
}
