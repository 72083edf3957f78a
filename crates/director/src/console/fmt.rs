//! Numbers, sizes, spans and times as the console shows them (spec/04 §8.5 and the recorded transcripts).

use jiff::{Timestamp, tz::TimeZone};

/// `275263` as `275,263`.
#[must_use]
pub(crate) fn commas(number: impl Into<i128>) -> String {
    let number = number.into();
    group_digits(&number.to_string())
}

/// Groups the digits of a decimal text by three; anything that is no number stays as it is.
#[must_use]
pub(crate) fn group_digits(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + text.len() / 3);
    out.push_str(sign);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// Four significant digits, cut not rounded, and a suffix of powers of 1000: `275.2 K`, `19 ` (the blank is part of it).
#[must_use]
pub(crate) fn with_suffix(number: u64) -> String {
    const SUFFIXES: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if number < 1000 {
        return format!("{number} ");
    }
    let (mut whole, mut part, mut power) = (number, 0, 0);
    while whole >= 1000 {
        part = whole % 1000;
        whole /= 1000;
        power += 1;
    }
    let decimals = match whole {
        0..=9 => format!("{part:03}"),
        10..=99 => format!("{:02}", part / 10),
        _ => format!("{}", part / 100),
    };
    format!("{whole}.{decimals} {}", SUFFIXES[power - 1])
}

/// A span as Bacula spells it: `1 year `, `6 months `, `2 months 3 days `, `0 secs`.
///
/// A year has 365 days, a month 30 (spec/04 §1.3).
#[must_use]
pub(crate) fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (31_536_000, "year"),
        (2_592_000, "month"),
        (86_400, "day"),
        (3_600, "hour"),
        (60, "min"),
        (1, "sec"),
    ];
    let mut rest = seconds;
    let mut out = String::new();
    for (unit, name) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            out.push_str(&format!("{count} {name}{} ", if count == 1 { "" } else { "s" }));
        }
    }
    if out.is_empty() { "0 secs".to_owned() } else { out }
}

fn local(seconds: i64, format: &str) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned_datetime(TimeZone::system()).strftime(format).to_string()
}

/// `23-Nov-26 15:07`, as the status tables show times.
#[must_use]
pub(crate) fn short_time(seconds: i64) -> String {
    local(seconds, "%d-%b-%y %H:%M")
}

/// `23-Nov-2026 15:07:24`.
#[must_use]
pub(crate) fn long_time(seconds: i64) -> String {
    local(seconds, "%d-%b-%Y %H:%M:%S")
}

/// `2026-11-23 15:07:24`, as the catalog and the dialogues show times.
#[must_use]
pub(crate) fn iso_time(seconds: i64) -> String {
    local(seconds, "%Y-%m-%d %H:%M:%S")
}

/// `Mon 23-Nov 23:05`, as `status schedule` shows times.
#[must_use]
pub(crate) fn week_time(seconds: i64) -> String {
    local(seconds, "%a %d-%b %H:%M")
}

/// `Mon 23-Nov-2026 15:07:23`, the answer to `time`.
#[must_use]
pub(crate) fn day_time(seconds: i64) -> String {
    local(seconds, "%a %d-%b-%Y %H:%M:%S")
}

/// Start of the local day that holds the instant.
#[must_use]
pub(crate) fn midnight(seconds: i64) -> i64 {
    parse_time(&local(seconds, "%Y-%m-%d")).unwrap_or(seconds)
}

/// Reads `YYYY-MM-DD[ HH[:MM[:SS]]]` as local time; Unix seconds.
#[must_use]
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.trim().split_once([' ', 'T']).unwrap_or((text.trim(), ""));
    let mut date = date.splitn(3, '-').map(|p| p.parse::<i16>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = [0i8; 3];
    for (slot, part) in clock.iter_mut().zip(time.splitn(3, ':').filter(|p| !p.is_empty())) {
        *slot = part.trim().parse().ok()?;
    }
    let time = jiff::civil::DateTime::new(
        year,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
        clock[0],
        clock[1],
        clock[2],
        0,
    )
    .ok()?;
    Some(time.to_zoned_datetime(TimeZone::system()).ok()?.timestamp().as_second())
}

/// Reads a span with units: `30days`, `1 year 2 months`, `3600` (seconds); units as in the configuration (spec/04 §1.3).
#[must_use]
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = span_unit(&rest[..letters])?;
        rest = rest[letters..].trim_start();
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    Some(total)
}

fn span_unit(word: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("seconds", 1),
        ("months", 2_592_000),
        ("minutes", 60),
        ("mins", 60),
        ("hours", 3600),
        ("days", 86_400),
        ("weeks", 604_800),
        ("years", 31_536_000),
    ];
    let word = word.to_ascii_lowercase();
    match word.as_str() {
        "" | "s" => Some(1),
        // Alone, `m` is a month and `n` a minute (spec/04 §1.3); `q` a quarter.
        "m" => Some(2_592_000),
        "n" => Some(60),
        "q" | "quarter" | "quarters" => Some(7_862_400),
        word => UNITS.iter().find(|(name, _)| name.starts_with(word)).map(|&(_, seconds)| seconds),
    }
}

/// Reads a size: `10G`, `500 MB`, `1kb`; one letter is a power of 1024, with `b` a power of 1000 (spec/04 §1.3).
#[must_use]
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "kb" => 1_000,
        "m" => 1 << 20,
        "mb" => 1_000_000,
        "g" => 1 << 30,
        "gb" => 1_000_000_000,
        "t" => 1 << 40,
        "tb" => 1_000_000_000_000,
        "p" => 1 << 50,
        "pb" => 1_000_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Reads a speed for `setbandwidth`: a size, per second (`1mb/s`, `500 kb/s`).
#[must_use]
pub(crate) fn parse_speed(text: &str) -> Option<u64> {
    let text = text.trim();
    parse_size(text.strip_suffix("/s").unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_to_four_digits() {
        for (number, text) in [
            (0, "0 "),
            (19, "19 "),
            (999, "999 "),
            (1000, "1.000 K"),
            (12_813, "12.81 K"),
            (89_557, "89.55 K"),
            (275_263, "275.2 K"),
            (4_225_571, "4.225 M"),
            (10_179_992, "10.17 M"),
        ] {
            assert_eq!(with_suffix(number), text);
        }
        assert!(with_suffix(u64::MAX).ends_with(" E"));
    }

    #[test]
    fn commas_and_spans() {
        assert_eq!(commas(53_687_091_200u64), "53,687,091,200");
        assert_eq!(commas(-1234), "-1,234");
        assert_eq!(commas(7), "7");
        assert_eq!(duration(31_536_000), "1 year ");
        assert_eq!(duration(2_592_000), "1 month ");
        assert_eq!(duration(15_552_000), "6 months ");
        assert_eq!(duration(0), "0 secs");
    }

    #[test]
    fn spans_sizes_and_speeds_are_read() {
        assert_eq!(parse_duration("30days"), Some(2_592_000));
        assert_eq!(parse_duration("1 year 2 months"), Some(31_536_000 + 2 * 2_592_000));
        assert_eq!(parse_duration("3600"), Some(3600));
        assert_eq!(parse_duration("2 parsecs"), None);
        assert_eq!(parse_duration("99999999999999999999"), None);
        assert_eq!(parse_size("10G"), Some(10_737_418_240));
        assert_eq!(parse_size("10gb"), Some(10_000_000_000));
        assert_eq!(parse_speed("1mb/s"), Some(1_000_000));
    }

    #[test]
    fn times_are_read_back() {
        let seconds = parse_time("2026-11-23 15:07:50").unwrap();
        assert_eq!(iso_time(seconds), "2026-11-23 15:07:50");
        assert_eq!(parse_time("2026-11-23").map(iso_time).as_deref(), Some("2026-11-23 00:00:00"));
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("2026-13-01"), None);
    }
}
