//! The Run line (spec/04 §3.1): overrides, then words that narrow six sets.

use std::time::Duration;

use crate::lexer::{Mode, Token, TokenKind};
use crate::nearest::nearest;
use crate::parse::{Parser, Reference};
use crate::schedule::{RunLine, RunTimes};
use crate::source::Span;
use crate::table::ResourceKind;
use crate::units::parse_time;
use crate::value::{Value, level_from_word};

const OVERRIDES: &[&str] = &[
    "Level",
    "Pool",
    "FullPool",
    "IncrementalPool",
    "DifferentialPool",
    "NextPool",
    "Storage",
    "Messages",
    "Priority",
    "SpoolData",
    "WritePartAfterJob",
    "Accurate",
    "MaxRunSchedTime",
];

impl Parser<'_> {
    /// Reads a Run line to its end.
    pub(crate) fn run_line(&mut self) -> Option<(Value, Span)> {
        let (tokens, text) = self.run_tokens()?;
        let span = tokens.first()?.span.to(tokens.last()?.span);
        let mut line = RunLine { text, ..empty_line() };
        let before = self.lexer.findings.len();
        let used = self.run_overrides(&tokens, &mut line);
        if tokens.get(used).is_some_and(|t| t.kind == TokenKind::Number) {
            let help = "put `on` before the day: `on 1,15 at 2:00`".to_owned();
            self.lexer.error(tokens[used].span, "a Run line cannot begin with a bare number", help);
            return None;
        }
        let mut words = Words::default();
        for token in &tokens[used..] {
            let word = String::from_utf8_lossy(&token.text).to_ascii_lowercase();
            if let Err((message, help)) = words.word(&word, token.kind == TokenKind::Number) {
                self.lexer.error(token.span, message, help);
            }
        }
        line.when = words.times;
        (self.lexer.findings.len() == before).then_some((Value::Runs(vec![line]), span))
    }

    /// Tokens of the line without commas, and its text with single blanks.
    fn run_tokens(&mut self) -> Option<(Vec<Token>, String)> {
        let (mut tokens, mut text) = (Vec::new(), String::new());
        loop {
            let token = self.lexer.next(Mode::NoIdentifiers);
            match token.kind {
                TokenKind::EndOfLine => break,
                TokenKind::EndOfFile | TokenKind::Close => {
                    self.lexer.unget(token);
                    break;
                }
                TokenKind::Comma => text.push(','),
                TokenKind::Equals => {
                    text.push('=');
                    tokens.push(token);
                }
                TokenKind::Identifier | TokenKind::Number | TokenKind::Quoted | TokenKind::Unquoted => {
                    if !text.is_empty() && !text.ends_with(['=', ',']) {
                        text.push(' ');
                    }
                    text.push_str(&String::from_utf8_lossy(&token.text));
                    tokens.push(token);
                }
                TokenKind::Open => {
                    self.lexer.error(token.span, "a `{` has no place in a Run line", None);
                    self.skip_block();
                    return None;
                }
                TokenKind::Bad => {
                    self.lexer.skip_rest();
                    return None;
                }
            }
        }
        if tokens.is_empty() {
            let span = self.lexer.next(Mode::Normal);
            self.lexer.error(Span { len: 1, ..span.span }, "a Run line needs a value", None);
            self.lexer.unget(span);
            return None;
        }
        Some((tokens, text))
    }

    /// Reads `Name=value` pairs and bare levels; gives the number of tokens used.
    fn run_overrides(&mut self, tokens: &[Token], line: &mut RunLine) -> usize {
        let mut used = 0;
        while let Some(word) = tokens.get(used) {
            let text = String::from_utf8_lossy(&word.text).into_owned();
            if tokens.get(used + 1).is_some_and(|t| t.kind == TokenKind::Equals) {
                let Some(value) = tokens.get(used + 2).filter(|t| t.kind != TokenKind::Equals) else {
                    self.lexer.error(word.span, format!("`{text}` needs a value"), None);
                    return tokens.len();
                };
                self.run_override(&text, word.span, value, line);
                used += 3;
            } else if let Some(level) = level_from_word(&text) {
                line.level = Some(level);
                used += 1;
            } else {
                break;
            }
        }
        used
    }

    fn run_override(&mut self, name: &str, name_span: Span, value: &Token, line: &mut RunLine) {
        let Some(text) = self.utf8(value) else { return };
        let key = OVERRIDES.iter().find(|o| o.eq_ignore_ascii_case(name)).copied();
        match key {
            Some("Level") => match level_from_word(&text) {
                Some(level) => line.level = Some(level),
                None => {
                    let help = nearest(&text, crate::value::LEVELS.iter().copied())
                        .map(|w| format!("did you mean `{w}`?"));
                    self.lexer.error(value.span, format!("`{text}` is no level"), help);
                }
            },
            Some("Pool") => line.pool = self.run_ref(ResourceKind::Pool, text, value.span),
            Some("FullPool") => line.full_pool = self.run_ref(ResourceKind::Pool, text, value.span),
            Some("IncrementalPool") => {
                line.incremental_pool = self.run_ref(ResourceKind::Pool, text, value.span);
            }
            Some("DifferentialPool") => {
                line.differential_pool = self.run_ref(ResourceKind::Pool, text, value.span);
            }
            Some("NextPool") => line.next_pool = self.run_ref(ResourceKind::Pool, text, value.span),
            Some("Storage") => line.storage = self.run_ref(ResourceKind::Storage, text, value.span),
            Some("Messages") => line.messages = self.run_ref(ResourceKind::Messages, text, value.span),
            Some("Priority") => match text.parse() {
                Ok(priority) => line.priority = Some(priority),
                Err(_) => self.lexer.error(value.span, format!("`{text}` is no number"), None),
            },
            Some("SpoolData") => line.spool_data = self.boolean(&text, value.span),
            Some("WritePartAfterJob") => line.write_part_after_job = self.boolean(&text, value.span),
            Some("Accurate") => line.accurate = self.boolean(&text, value.span),
            Some(_) => line.max_run_sched_time = self.run_time(&text, value.span),
            None => {
                let help = nearest(name, OVERRIDES.iter().copied()).map(|w| format!("did you mean `{w}`?"));
                self.lexer.error(name_span, format!("`{name}` cannot be overridden in a Run line"), help);
            }
        }
    }

    fn run_ref(&mut self, kind: ResourceKind, name: String, span: Span) -> Option<String> {
        self.references.push(Reference { kind, name: name.clone(), span, directive: "Run" });
        Some(name)
    }

    fn run_time(&mut self, text: &str, span: Span) -> Option<Duration> {
        match parse_time(text) {
            Ok(time) => Some(time),
            Err(reason) => {
                self.lexer.error(span, format!("`MaxRunSchedTime`: {reason}"), None);
                None
            }
        }
    }
}

fn empty_line() -> RunLine {
    RunLine {
        text: String::new(),
        level: None,
        pool: None,
        full_pool: None,
        incremental_pool: None,
        differential_pool: None,
        next_pool: None,
        storage: None,
        messages: None,
        priority: None,
        spool_data: None,
        write_part_after_job: None,
        accurate: None,
        max_run_sched_time: None,
        when: RunTimes::EVERY_HOUR,
    }
}

type WordError = (String, Option<String>);

/// The sets while words narrow them. The first word of a class empties its set, further ones add.
struct Words {
    times: RunTimes,
    at: bool,
    hours: bool,
    days: bool,
    weekdays: bool,
    months: bool,
    weeks_of_month: bool,
    weeks_of_year: bool,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            times: RunTimes::EVERY_HOUR,
            at: false,
            hours: false,
            days: false,
            weekdays: false,
            months: false,
            weeks_of_month: false,
            weeks_of_year: false,
        }
    }
}

/// A word of a class that ranges may be made of: its position in the set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Weekday(u32),
    Month(u32),
    WeekOfMonth(u32),
}

impl Words {
    fn word(&mut self, word: &str, is_number: bool) -> Result<(), WordError> {
        if is_number {
            let day = day(word)?;
            self.add_days(1 << day);
            return Ok(());
        }
        match word {
            "on" => {}
            "at" => self.at = true,
            "hourly" => {
                self.hours = true;
                self.times.hours = RunTimes::EVERY_HOUR.hours;
            }
            // These three only fill sets that other words may have narrowed: they restrict nothing (spec/04 §3.1).
            "daily" => {
                self.days = true;
                self.times.days = RunTimes::EVERY_HOUR.days;
            }
            "weekly" => {
                self.weeks_of_month = true;
                self.weeks_of_year = true;
                self.times.weeks_of_month = RunTimes::EVERY_HOUR.weeks_of_month;
                self.times.weeks_of_year = RunTimes::EVERY_HOUR.weeks_of_year;
            }
            "monthly" => {
                self.months = true;
                self.times.months = RunTimes::EVERY_HOUR.months;
            }
            "lastday" => {
                self.add_days(0);
                self.times.last_day = true;
            }
            _ if word.contains(':') => self.time(word)?,
            _ if word.contains('-') => self.range(word)?,
            _ => {
                if let Some(week) = week(word)? {
                    self.add_weeks_of_year(1 << week);
                } else {
                    self.add(place(word)?);
                }
            }
        }
        Ok(())
    }

    fn time(&mut self, word: &str) -> Result<(), WordError> {
        if !self.at {
            return Err((
                format!("the time `{word}` needs `at` before it"),
                Some(format!("write `at {word}`")),
            ));
        }
        let bad = || {
            (
                format!("`{word}` is no time"),
                Some("write hours from 0 to 23 and two digits of minutes: `at 23:05`".into()),
            )
        };
        let (time, afternoon) = match (word.strip_suffix("pm"), word.strip_suffix("am")) {
            (Some(time), _) => (time, Some(true)),
            (None, Some(time)) => (time, Some(false)),
            (None, None) => (word, None),
        };
        let (hour, minute) = time.split_once(':').ok_or_else(bad)?;
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if minute.len() != 2 || !digits(minute) || hour.is_empty() || hour.len() > 2 || !digits(hour) {
            return Err(bad());
        }
        let (hour, minute): (u32, u8) =
            (hour.parse().map_err(|_| bad())?, minute.parse().map_err(|_| bad())?);
        let hour = match afternoon {
            Some(true) if hour != 12 => hour + 12,
            Some(false) if hour == 12 => 0,
            _ => hour,
        };
        if hour > 23 || minute > 59 {
            return Err(bad());
        }
        if !self.hours {
            self.times.hours = 0;
            self.hours = true;
        }
        self.times.hours |= 1 << hour;
        self.times.minute = minute;
        Ok(())
    }

    fn range(&mut self, word: &str) -> Result<(), WordError> {
        let bad = || {
            (
                format!("`{word}` is no range"),
                Some("write two days, weekdays, months, weeks or ordinals: `mon-fri`".into()),
            )
        };
        let (first, last) = word.split_once('-').ok_or_else(bad)?;
        if first.starts_with(|c: char| c.is_ascii_digit())
            && last.bytes().all(|b| b.is_ascii_digit())
            && !last.is_empty()
        {
            let bits = wrap(day(first)?, day(last)?, 31);
            self.add_days(bits as u32);
            return Ok(());
        }
        if let Some(first) = week(first)? {
            let last = week(last)?.ok_or_else(bad)?;
            self.add_weeks_of_year(wrap(first, last, 54));
            return Ok(());
        }
        let (from, to) = (place(first).map_err(|_| bad())?, place(last).map_err(|_| bad())?);
        if from == to {
            return Err((format!("both ends of `{word}` are the same"), Some(format!("write `{first}`"))));
        }
        match (from, to) {
            (Place::Weekday(a), Place::Weekday(b)) => self.add_bits(Place::Weekday(0), wrap(a, b, 7)),
            (Place::Month(a), Place::Month(b)) => self.add_bits(Place::Month(0), wrap(a, b, 12)),
            (Place::WeekOfMonth(a), Place::WeekOfMonth(b)) => {
                self.add_bits(Place::WeekOfMonth(0), wrap(a, b, 6));
            }
            (Place::Weekday(_) | Place::Month(_) | Place::WeekOfMonth(_), _) => return Err(bad()),
        }
        Ok(())
    }

    fn add(&mut self, place: Place) {
        let (Place::Weekday(bit) | Place::Month(bit) | Place::WeekOfMonth(bit)) = place;
        self.add_bits(place, 1 << bit);
    }

    fn add_bits(&mut self, class: Place, bits: u64) {
        match class {
            Place::Weekday(_) => {
                if !std::mem::replace(&mut self.weekdays, true) {
                    self.times.weekdays = 0;
                }
                self.times.weekdays |= bits as u8;
            }
            Place::Month(_) => {
                if !std::mem::replace(&mut self.months, true) {
                    self.times.months = 0;
                }
                self.times.months |= bits as u16;
            }
            Place::WeekOfMonth(_) => {
                if !std::mem::replace(&mut self.weeks_of_month, true) {
                    self.times.weeks_of_month = 0;
                }
                self.times.weeks_of_month |= bits as u8;
            }
        }
    }

    fn add_days(&mut self, bits: u32) {
        if !std::mem::replace(&mut self.days, true) {
            self.times.days = 0;
        }
        self.times.days |= bits;
    }

    fn add_weeks_of_year(&mut self, bits: u64) {
        if !std::mem::replace(&mut self.weeks_of_year, true) {
            self.times.weeks_of_year = 0;
        }
        self.times.weeks_of_year |= bits;
    }
}

/// Bits `first` to `last` of a set; over the end when `last` does not come after, so equal ends mean all.
fn wrap(first: u32, last: u32, size: u32) -> u64 {
    let all = (1u64 << size) - 1;
    let from = all & !((1u64 << first) - 1);
    let to = (1u64 << (last + 1)) - 1;
    if first < last { from & to } else { all & (from | to) }
}

/// Bit of a day of the month.
fn day(word: &str) -> Result<u32, WordError> {
    match word.parse::<u32>() {
        Ok(day @ 1..=31) => Ok(day - 1),
        _ => Err((format!("`{word}` is no day of the month"), Some("days are 1 to 31".into()))),
    }
}

/// Week of the year of `w07`; `None` when the word is something else.
fn week(word: &str) -> Result<Option<u32>, WordError> {
    let Some(digits) =
        word.strip_prefix('w').filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
    else {
        return Ok(None);
    };
    match digits.parse::<u32>() {
        Ok(week @ 0..=53) => Ok(Some(week)),
        _ => Err((format!("`{word}` is no week of the year"), Some("weeks are w00 to w53".into()))),
    }
}

const WEEKDAYS: &[&str] = &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const ORDINALS: &[(&str, &str)] = &[
    ("1st", "first"),
    ("2nd", "second"),
    ("3rd", "third"),
    ("4th", "fourth"),
    ("5th", "fifth"),
    ("6th", "sixth"),
];

fn place(word: &str) -> Result<Place, WordError> {
    let named = |names: &[&str]| names.iter().position(|n| *n == word || &n[..3] == word).map(|i| i as u32);
    if let Some(i) = named(WEEKDAYS) {
        return Ok(Place::Weekday(i));
    }
    if let Some(i) = named(MONTHS) {
        return Ok(Place::Month(i));
    }
    if let Some(i) = ORDINALS.iter().position(|(a, b)| *a == word || *b == word) {
        return Ok(Place::WeekOfMonth(i as u32));
    }
    let known = WEEKDAYS.iter().chain(MONTHS).flat_map(|name| [&name[..3], *name]);
    let known = known.chain(ORDINALS.iter().flat_map(|(a, b)| [*a, *b]));
    let known = known.chain(["on", "at", "hourly", "daily", "weekly", "monthly", "lastday"]);
    let known = known.chain(crate::value::LEVELS.iter().copied());
    let help = nearest(word, known).map(|w| format!("did you mean `{w}`?"));
    Err((format!("`{word}` is no word of a Run line"), help))
}
