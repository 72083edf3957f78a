//! File relocation: prefixes and suffixes as one expression, and a test of it (spec/04 §7.4).

use regex::Regex;

/// What the three simple forms were set to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Relocation {
    pub(in super::super) strip_prefix: Option<String>,
    pub(in super::super) add_prefix: Option<String>,
    pub(in super::super) add_suffix: Option<String>,
}

impl Relocation {
    /// The expression of the three forms, in Bacula's order: strip, suffix, prefix. `None` when none is set.
    pub(in super::super) fn regex(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(prefix) = &self.strip_prefix {
            parts.push(format!("!{}!!i", escape(prefix)));
        }
        if let Some(suffix) = &self.add_suffix {
            parts.push(format!("!([^/])$!$1{}!", escape(suffix)));
        }
        if let Some(prefix) = &self.add_prefix {
            parts.push(format!("!^!{}!", escape(prefix)));
        }
        (!parts.is_empty()).then(|| parts.join(","))
    }

    /// The line that shows the three forms.
    pub(super) fn line(&self) -> String {
        let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "*None*".to_owned());
        format!(
            "strip_prefix={} add_prefix={} add_suffix={}",
            word(&self.strip_prefix),
            word(&self.add_prefix),
            word(&self.add_suffix)
        )
    }
}

/// The separator must not stand in a part.
fn escape(text: &str) -> String {
    text.replace('!', "\\!")
}

/// One substitution.
struct Step {
    pattern: Regex,
    replacement: String,
    global: bool,
}

/// Reads `<sep>regex<sep>replacement<sep>[i|g]`, several separated by commas. `None` when it cannot be read.
fn parse(expression: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = expression.trim();
    while !rest.is_empty() {
        let separator = rest.chars().next().filter(|c| "!@#%&:/~;=".contains(*c))?;
        let (pattern, after) = part(&rest[separator.len_utf8()..], separator)?;
        let (replacement, after) = part(after, separator)?;
        let options = after.find(',').unwrap_or(after.len());
        let insensitive = after[..options].contains('i');
        let pattern = regex::RegexBuilder::new(&pattern).case_insensitive(insensitive).build().ok()?;
        steps.push(Step {
            pattern,
            replacement: references(&replacement),
            global: after[..options].contains('g'),
        });
        rest = after[options..].trim_start_matches(',');
    }
    (!steps.is_empty()).then_some(steps)
}

fn part(text: &str, separator: char) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == separator {
            return Some((out, &text[at + c.len_utf8()..]));
        }
        if c == '\\' {
            match chars.next() {
                Some((_, next)) if next == separator => out.push(next),
                Some((_, next)) => out.extend(['\\', next]),
                None => return None,
            }
        } else {
            out.push(c);
        }
    }
    None
}

/// `\1` and `$1` as the regex crate wants them: braces, so that a digit may follow.
fn references(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('$' | '\\', Some(digit)) if digit.is_ascii_digit() => {
                chars.next();
                out.push_str(&format!("${{{digit}}}"));
            }
            ('$', _) => out.push_str("$$"),
            (c, _) => out.push(c),
        }
    }
    out
}

/// What becomes of a name. `None` when the expression cannot be read.
pub(super) fn apply(expression: &str, name: &str) -> Option<String> {
    let mut name = name.to_owned();
    for step in parse(expression)? {
        let limit = usize::from(!step.global);
        name = step.pattern.replacen(&name, limit, step.replacement.as_str()).into_owned();
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relocation(strip: &str, prefix: &str, suffix: &str) -> Relocation {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Relocation { strip_prefix: some(strip), add_prefix: some(prefix), add_suffix: some(suffix) }
    }

    #[test]
    fn the_recorded_expression_and_its_test() {
        let regex = relocation("/opt/lb/src", "/new", ".x").regex().unwrap();
        assert_eq!(regex, "!/opt/lb/src!!i,!([^/])$!$1.x!,!^!/new!");
        assert_eq!(apply(&regex, "/opt/lb/src/docs/services").as_deref(), Some("/new/docs/services.x"));
        assert_eq!(apply(&regex, "").as_deref(), Some("/new"));
        assert_eq!(apply(&regex, "/opt/lb/src/docs/").as_deref(), Some("/new/docs/"));
    }

    #[test]
    fn other_separators_references_and_nonsense() {
        assert_eq!(apply("/a(b+)/x\\1y/g", "zabbzab").as_deref(), Some("zxbbyzxby"));
        assert_eq!(apply("nonsense", "x"), None);
        assert_eq!(apply("!(!x!", "x"), None);
        assert_eq!(Relocation::default().regex(), None);
        assert_eq!(relocation("", "/a", "").line(), "strip_prefix=*None* add_prefix=/a add_suffix=*None*");
    }
}
