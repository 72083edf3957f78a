//! Where a saved path goes: `where=`, `regexwhere=` and links (spec/02 §7.6, §7.7).

use regex::bytes::{Captures, Regex, RegexBuilder};

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not of the form `!regex!replacement!`.
    #[error("regexwhere \"{text}\" is no list of !regex!replacement! expressions")]
    Form {
        /// As given.
        text: String,
    },
    /// A regular expression that does not compile.
    #[error("regex \"{pattern}\" of regexwhere cannot be compiled: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
}

/// One `!regex!replacement!options`.
#[derive(Debug, Clone)]
struct Expression {
    regex: Regex,
    replacement: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(Vec<u8>),
    Group(usize),
    Mtime,
}

/// A list of expressions, applied one after the other.
#[derive(Debug, Clone)]
pub struct RegexWhere {
    expressions: Vec<Expression>,
}

/// Characters that may separate the parts of an expression.
const SEPARATORS: &[u8] = b"!:;|,&%=~/<#";

impl RegexWhere {
    /// Reads the text of `regexwhere=`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let form = || NameError::Form { text: text.to_owned() };
        let mut rest = text.as_bytes();
        let mut expressions = Vec::new();
        while let Some(&separator) = rest.first() {
            if !SEPARATORS.contains(&separator) {
                return Err(form());
            }
            let (pattern, tail) = take_part(&rest[1..], separator).ok_or_else(form)?;
            let (replacement, tail) = take_part(tail, separator).ok_or_else(form)?;
            let options = tail.iter().take_while(|&&b| matches!(b, b'i' | b'g')).count();
            let fold = tail[..options].contains(&b'i');
            expressions
                .push(Expression { regex: compile(&pattern, fold)?, replacement: pieces(&replacement) });
            // One character, by convention a comma, stands before the next expression.
            rest = tail.get(options + 1..).unwrap_or_default();
        }
        if expressions.is_empty() { Err(form()) } else { Ok(Self { expressions }) }
    }

    /// Applies all expressions; `mtime` is for `$m`.
    #[must_use]
    pub fn apply(&self, name: &[u8], mtime: i64) -> Vec<u8> {
        let mut name = name.to_vec();
        for expression in &self.expressions {
            let Some(captures) = expression.regex.captures(&name) else { continue };
            let whole = captures.get(0).map_or(0..0, |m| m.range());
            let mut out = name[..whole.start].to_vec();
            fill(&expression.replacement, &captures, mtime, &mut out);
            out.extend_from_slice(&name[whole.end..]);
            name = out;
        }
        name
    }
}

/// Takes bytes up to an unescaped separator: `\S` is a plain separator, `\\` a backslash, others stay as they are.
fn take_part(bytes: &[u8], separator: u8) -> Option<(Vec<u8>, &[u8])> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b if b == separator => return Some((out, &bytes[at + 1..])),
            b'\\' if bytes.get(at + 1) == Some(&separator) => {
                out.push(separator);
                at += 2;
            }
            b'\\' if bytes.get(at + 1) == Some(&b'\\') => {
                out.extend_from_slice(b"\\\\");
                at += 2;
            }
            b => {
                out.push(b);
                at += 1;
            }
        }
    }
    None
}

fn compile(pattern: &[u8], fold: bool) -> Result<Regex, NameError> {
    let pattern = String::from_utf8_lossy(pattern).into_owned();
    RegexBuilder::new(&pattern)
        .unicode(false)
        .case_insensitive(fold)
        .multi_line(true)
        .build()
        .map_err(|error| NameError::Regex { reason: error.to_string().replace('\n', " "), pattern })
}

fn pieces(replacement: &[u8]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(&byte) = replacement.get(at) {
        let next = replacement.get(at + 1).copied();
        let piece = match (byte, next) {
            (b'$' | b'\\', Some(digit @ b'0'..=b'9')) => Some(Piece::Group(usize::from(digit - b'0'))),
            (b'$', Some(b'm')) => Some(Piece::Mtime),
            _ => None,
        };
        match piece {
            Some(piece) => {
                if !text.is_empty() {
                    out.push(Piece::Text(std::mem::take(&mut text)));
                }
                out.push(piece);
                at += 2;
            }
            None => {
                text.push(byte);
                at += if byte == b'\\' && next == Some(b'\\') { 2 } else { 1 };
            }
        }
    }
    if !text.is_empty() {
        out.push(Piece::Text(text));
    }
    out
}

fn fill(pieces: &[Piece], captures: &Captures<'_>, mtime: i64, out: &mut Vec<u8>) {
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text),
            Piece::Group(number) => {
                out.extend_from_slice(captures.get(*number).map_or(&[], |m| m.as_bytes()));
            }
            Piece::Mtime => out.extend_from_slice(mtime.to_string().as_bytes()),
        }
    }
}

/// How names of the backup become names on this machine.
#[derive(Debug, Clone)]
pub enum Names {
    /// Below a directory; empty for the original place.
    Where(Vec<u8>),
    /// By expressions.
    Regex(RegexWhere),
}

impl Names {
    /// `where=`; `/` means the same as nothing.
    #[must_use]
    pub fn below(place: &str) -> Self {
        Self::Where(if place == "/" { Vec::new() } else { place.as_bytes().to_vec() })
    }

    /// The directory that nothing may leave; `None` for the original place and for expressions.
    #[must_use]
    pub fn root(&self) -> Option<&[u8]> {
        match self {
            Self::Where(place) if !place.is_empty() => Some(place),
            Self::Where(_) | Self::Regex(_) => None,
        }
    }

    /// Where a saved path goes.
    #[must_use]
    pub fn output(&self, name: &[u8], mtime: i64) -> Vec<u8> {
        match self {
            Self::Where(place) if place.is_empty() => name.to_vec(),
            Self::Where(place) => {
                let mut out = place.clone();
                if place.last() != Some(&b'/') && name.first() != Some(&b'/') {
                    out.push(b'/');
                }
                out.extend_from_slice(name);
                out
            }
            Self::Regex(expressions) => expressions.apply(name, mtime),
        }
    }

    /// Where a link of the backup points to: like a path, but for relative ones below a directory.
    #[must_use]
    pub fn link(&self, target: &[u8], mtime: i64) -> Vec<u8> {
        match self {
            Self::Where(_) if target.first() != Some(&b'/') => target.to_vec(),
            Self::Where(_) | Self::Regex(_) => self.output(target, mtime),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expressions: &str, name: &str) -> String {
        let names = Names::Regex(RegexWhere::parse(expressions).unwrap());
        String::from_utf8(names.output(name.as_bytes(), 42)).unwrap()
    }

    #[test]
    fn expressions_of_the_console_are_understood() {
        assert_eq!(check("!/prod!/rect!", "/prod/a"), "/rect/a");
        assert_eq!(check("!/prod!!i", "/PROD/a"), "/a");
        assert_eq!(check("!/prod!!,!([^/])$!$1.old!,!^!/new!", "/prod/a"), "/new/a.old");
        assert_eq!(check("/\\/etc/\\/tmp/", "/etc/x"), "/tmp/x");
        assert_eq!(check("!a!b!g", "/a/a"), "/b/a");
        assert_eq!(check("!^(.*)$!\\1.$m!", "/x"), "/x.42");
        assert_eq!(check("!none!x!", "/y"), "/y");
    }

    #[test]
    fn broken_expressions_are_refused() {
        for text in ["", "x", "!a", "!a!b", "abc!"] {
            assert!(matches!(RegexWhere::parse(text), Err(NameError::Form { .. })), "{text}");
        }
        assert!(matches!(RegexWhere::parse("!(!x!"), Err(NameError::Regex { .. })));
    }

    #[test]
    fn where_is_joined_with_one_slash() {
        let below = |place: &str, name: &str| {
            String::from_utf8(Names::below(place).output(name.as_bytes(), 0)).unwrap()
        };
        assert_eq!(below("/r", "/a"), "/r/a");
        assert_eq!(below("/r", "a"), "/r/a");
        assert_eq!(below("/", "/a"), "/a");
        assert_eq!(Names::below("/r").link(b"../x", 0), b"../x");
        assert_eq!(Names::below("/r").link(b"/x", 0), b"/r/x");
    }
}
