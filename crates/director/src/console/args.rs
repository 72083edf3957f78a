//! The command line of a console: words, `keyword=value`, quotes (spec/04 §8.1).

/// One word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arg {
    /// Keyword as typed, without its value.
    pub(crate) key: String,
    /// What follows the first `=`; `None` without one.
    pub(crate) value: Option<String>,
}

/// A command line, split. The first word is the command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Args {
    words: Vec<Arg>,
    raw: String,
}

/// Words of one line that are kept; what follows is ignored, so that a line cannot hold memory without bound.
const WORDS_MAX: usize = 1000;

impl Args {
    /// Splits `line` at blanks. Double quotes hold blanks together wherever they stand in a word; a backslash takes the next
    /// character as it is; an open quote ends with the line.
    #[must_use]
    pub(crate) fn parse(line: &str) -> Self {
        let mut words = Vec::new();
        let mut chars = line.trim().chars().peekable();
        while words.len() < WORDS_MAX {
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            if chars.peek().is_none() {
                break;
            }
            words.push(next_word(&mut chars));
        }
        Self { words, raw: line.trim().to_owned() }
    }

    /// The first word, or an empty text.
    #[must_use]
    pub(crate) fn command(&self) -> &str {
        self.words.first().map_or("", |w| w.key.as_str())
    }

    /// The line behind the command word.
    #[must_use]
    pub(crate) fn rest(&self) -> &str {
        self.raw.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start())
    }

    /// The words behind the command.
    #[must_use]
    pub(crate) fn words(&self) -> &[Arg] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Whether a keyword stands there, with or without a value; case does not matter.
    #[must_use]
    pub(crate) fn has(&self, key: &str) -> bool {
        self.words().iter().any(|w| w.key.eq_ignore_ascii_case(key))
    }

    /// The first non-empty value of a keyword.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.words()
            .iter()
            .filter(|w| w.key.eq_ignore_ascii_case(key))
            .find_map(|w| w.value.as_deref())
            .filter(|v| !v.is_empty())
    }

    /// The first value among several spellings of one keyword.
    #[must_use]
    pub(crate) fn get_any(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Puts another keyword at the end, as if it had been typed.
    pub(crate) fn push(&mut self, key: &str, value: Option<&str>) {
        self.words.push(Arg { key: key.to_owned(), value: value.map(str::to_owned) });
    }
}

fn next_word(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Arg {
    let (mut key, mut value) = (String::new(), None::<String>);
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if let Some(next) = chars.next() {
                    value.as_mut().unwrap_or(&mut key).push(next);
                }
            }
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => break,
            '=' if value.is_none() && !quoted => value = Some(String::new()),
            c => value.as_mut().unwrap_or(&mut key).push(c),
        }
    }
    Arg { key, value }
}

/// Reads a list of numbers such as `1,3-5`; `None` when a part is no number or a range runs backwards.
///
/// `count_max` bounds the result.
#[must_use]
pub(crate) fn number_list(text: &str, count_max: usize) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (first.trim().parse().ok()?, last.trim().parse().ok()?),
            None => {
                let number: u32 = part.parse().ok()?;
                (number, number)
            }
        };
        if first > last || numbers.len() + (last - first) as usize >= count_max {
            return None;
        }
        numbers.extend(first..=last);
    }
    (!numbers.is_empty()).then_some(numbers)
}

/// Reads yes or no as Bacula does: `yes`, `true`, `1`, `on` and their opposites, in any case.
#[must_use]
pub(crate) fn yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "on" => Some(true),
        "no" | "n" | "false" | "0" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(&str, Option<&str>)]) {
        let args = Args::parse(line);
        let got: Vec<_> = args.words.iter().map(|w| (w.key.as_str(), w.value.as_deref())).collect();
        assert_eq!(got, expected, "{line}");
    }

    #[test]
    fn words_values_quotes_and_escapes() {
        check("run job=NightlySave yes", &[("run", None), ("job", Some("NightlySave")), ("yes", None)]);
        check(
            r#"restore fileset="Small Set" before="2026-11-23 15:07:50""#,
            &[("restore", None), ("fileset", Some("Small Set")), ("before", Some("2026-11-23 15:07:50"))],
        );
        check(
            r#"x "two words" a=\"q\" b=1=2"#,
            &[("x", None), ("two words", None), ("a", Some("\"q\"")), ("b", Some("1=2"))],
        );
        check(r#"x a="open end"#, &[("x", None), ("a", Some("open end"))]);
        check("  ", &[]);
    }

    #[test]
    fn keywords_in_any_case_and_lists() {
        let args = Args::parse("list JobId=1,3-5 jobid= LIMIT=2");
        assert_eq!(args.get("jobid"), Some("1,3-5"));
        assert_eq!(args.get("limit"), Some("2"));
        assert_eq!(args.rest(), "JobId=1,3-5 jobid= LIMIT=2");
        assert_eq!(number_list("1,3-5", 100), Some(vec![1, 3, 4, 5]));
        assert_eq!(number_list("5-3", 100), None);
        assert_eq!(number_list("1-4000000000", 100), None);
        assert_eq!(number_list("1,x", 100), None);
    }
}
