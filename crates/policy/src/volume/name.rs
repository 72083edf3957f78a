//! Names of Volumes that are made automatically (spec/04 §5.4).

use jiff::civil::DateTime;
use regex::RegexBuilder;
use std::collections::BTreeMap;
use types::VolumeName;

/// Why a Label Format gives no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The template cannot be read.
    #[error("Label Format \"{format}\": {problem}")]
    Format {
        /// The template.
        format: String,
        /// What is wrong.
        problem: String,
    },
    /// The result is no name.
    #[error("Label Format \"{format}\" gives \"{name}\", which is no legal Volume name")]
    Name {
        /// The template.
        format: String,
        /// Its result.
        name: String,
    },
}

/// What a template can refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFacts {
    /// Local time.
    pub now: DateTime,
    /// Built-in variables other than those of the time: `Job`, `Client`, `Pool`, `NumVols` …
    pub values: BTreeMap<String, String>,
    /// Counter resources: value now. `${Name+}` takes the value and increments.
    pub counters: BTreeMap<String, i64>,
}

/// Whether the template is a plain prefix, to which four digits are added.
#[must_use]
pub fn is_simple_format(format: &str) -> bool {
    format.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
}

/// Names to try for a plain prefix: the number starts above the highest MediaId of the catalog.
pub fn simple_names(format: &str, highest_media_id: u32) -> impl Iterator<Item = String> + '_ {
    /// Tries before giving up, as Bacula has it.
    const TRIES: u32 = 100;
    (1..=TRIES).map(move |n| format!("{format}{:04}", highest_media_id.saturating_add(n)))
}

/// Expands a template. Returns the name and the Counters that were incremented, with their new values.
///
/// # Errors
/// [`NameError`].
pub fn expand_label(
    format: &str,
    facts: &LabelFacts,
) -> Result<(VolumeName, BTreeMap<String, i64>), NameError> {
    let mut expansion = Expansion { facts, used: BTreeMap::new() };
    let text = expansion
        .expand(format)
        .map_err(|problem| NameError::Format { format: format.to_owned(), problem })?;
    let name = VolumeName::new(text.clone())
        .map_err(|_| NameError::Name { format: format.to_owned(), name: text })?;
    Ok((name, expansion.used))
}

struct Expansion<'f> {
    facts: &'f LabelFacts,
    used: BTreeMap<String, i64>,
}

impl Expansion<'_> {
    fn expand(&mut self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            let (value, after) = match tail.strip_prefix('{') {
                Some(body) => {
                    let end = closing_brace(body).ok_or("a \"${\" is not closed")?;
                    (self.braced(&body[..end])?, &body[end + 1..])
                }
                None => {
                    let end = name_len(tail);
                    if end == 0 {
                        return Err("a \"$\" is not followed by a name".to_owned());
                    }
                    (self.value(&tail[..end]).unwrap_or_default(), &tail[end..])
                }
            };
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `Name`, `Name+`, `Name:op:op…`.
    fn braced(&mut self, body: &str) -> Result<String, String> {
        let end = name_len(body);
        let (name, mut rest) = body.split_at(end);
        let mut value = self.value(name);
        if let Some(after) = rest.strip_prefix('+') {
            self.increment(name)?;
            rest = after;
        }
        while let Some(tail) = rest.strip_prefix(':') {
            let (op, after) = split_operation(tail);
            value = self.apply(op, value)?;
            rest = after;
        }
        match rest {
            "" => Ok(value.unwrap_or_default()),
            other => Err(format!("\"{other}\" after \"{name}\" is not understood")),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        let t = &self.facts.now;
        Some(match name {
            "Year" => t.year().to_string(),
            "Month" => t.month().to_string(),
            "Day" => t.day().to_string(),
            "Hour" => t.hour().to_string(),
            "Minute" => t.minute().to_string(),
            "Second" => t.second().to_string(),
            "WeekDay" => t.weekday().to_sunday_zero_offset().to_string(),
            other => match (self.facts.values.get(other), self.facts.counters.get(other)) {
                (Some(value), _) => value.clone(),
                (None, Some(count)) => self.used.get(other).unwrap_or(count).to_string(),
                (None, None) => return None,
            },
        })
    }

    fn increment(&mut self, name: &str) -> Result<(), String> {
        let now = self.facts.counters.get(name).ok_or_else(|| format!("there is no Counter \"{name}\""))?;
        let value = self.used.entry(name.to_owned()).or_insert(*now);
        *value += 1;
        Ok(())
    }

    fn apply(&mut self, op: &str, value: Option<String>) -> Result<Option<String>, String> {
        let text = value.clone().unwrap_or_default();
        let is_empty = text.is_empty();
        let Some(first) = op.chars().next() else { return Ok(value) };
        let rest = &op[first.len_utf8()..];
        Ok(Some(match first {
            'l' => text.to_lowercase(),
            'u' => text.to_uppercase(),
            '#' => text.chars().count().to_string(),
            'o' => substring(&text, rest)?,
            's' => substitute(&text, rest)?,
            'p' => pad(&text, rest)?,
            'y' => transliterate(&text, rest)?,
            '-' if is_empty => rest.to_owned(),
            '-' => text,
            '+' if is_empty => String::new(),
            '+' => rest.to_owned(),
            '*' if is_empty => rest.to_owned(),
            '*' => String::new(),
            _ => return Err(format!("operation \"{op}\" is not known")),
        }))
    }
}

fn name_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn closing_brace(body: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Up to the next `:`; the delimiters of `s`, `p` and `y` may enclose one.
fn split_operation(text: &str) -> (&str, &str) {
    let mut delimiter = None;
    let mut seen = 0;
    for (at, c) in text.char_indices() {
        match (at, c) {
            (0, 's' | 'p' | 'y') => {}
            (1, d) if text.starts_with(['s', 'p', 'y']) => {
                delimiter = Some(d);
                seen = 1;
            }
            (_, ':') if delimiter.is_none() || seen >= 3 => return (&text[..at], &text[at..]),
            (_, c) if Some(c) == delimiter => seen += 1,
            _ => {}
        }
    }
    (text, "")
}

fn parts(argument: &str) -> Result<Vec<&str>, String> {
    let delimiter = argument.chars().next().ok_or("an operation has no argument")?;
    Ok(argument[delimiter.len_utf8()..].split(delimiter).collect())
}

fn substring(text: &str, argument: &str) -> Result<String, String> {
    let wrong = || format!("\"o{argument}\" is no substring");
    let number = |t: &str| t.trim().parse::<usize>().map_err(|_| wrong());
    let chars: Vec<char> = text.chars().collect();
    let (start, len) = if let Some((start, len)) = argument.split_once(',') {
        let start = number(start)?;
        (start, if len.is_empty() { chars.len() } else { number(len)? })
    } else {
        let (from, to) = argument.split_once('-').ok_or_else(wrong)?;
        let from = number(from)?;
        let to = if to.is_empty() { chars.len() } else { number(to)? };
        (from, to.saturating_add(1).saturating_sub(from))
    };
    Ok(chars.into_iter().skip(start).take(len).collect())
}

fn substitute(text: &str, argument: &str) -> Result<String, String> {
    let parts = parts(argument)?;
    let [pattern, replacement, flags @ ..] = parts.as_slice() else {
        return Err(format!("\"s{argument}\" is no substitution"));
    };
    let flags = flags.first().copied().unwrap_or("");
    if flags.contains('t') {
        return Ok(text.replacen(pattern, replacement, if flags.contains('g') { usize::MAX } else { 1 }));
    }
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .size_limit(1 << 20)
        .build()
        .map_err(|e| e.to_string())?;
    let limit = usize::from(!flags.contains('g'));
    Ok(regex.replacen(text, limit, *replacement).into_owned())
}

fn pad(text: &str, argument: &str) -> Result<String, String> {
    let wrong = || format!("\"p{argument}\" is no padding; it is written p/width/text/l, r or c");
    let parts = parts(argument)?;
    let [width, filler, side, ..] = parts.as_slice() else { return Err(wrong()) };
    let width: usize = width.parse().map_err(|_| wrong())?;
    let missing = width.min(types_name_max()).saturating_sub(text.chars().count());
    let fill =
        |n: usize| filler.chars().cycle().take(if filler.is_empty() { 0 } else { n }).collect::<String>();
    Ok(match *side {
        // The side is that of the text: to the right means filled on the left.
        "r" => format!("{}{text}", fill(missing)),
        "l" => format!("{text}{}", fill(missing)),
        "c" => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
        _ => return Err(wrong()),
    })
}

/// No name is longer; a wider padding would only cost memory.
const fn types_name_max() -> usize {
    128
}

fn transliterate(text: &str, argument: &str) -> Result<String, String> {
    let parts = parts(argument)?;
    let [from, to, ..] = parts.as_slice() else {
        return Err(format!("\"y{argument}\" is no transliteration"));
    };
    let to: Vec<char> = to.chars().collect();
    let map = |c: char| from.chars().position(|f| f == c).and_then(|i| to.get(i).copied()).unwrap_or(c);
    Ok(text.chars().map(map).collect())
}
