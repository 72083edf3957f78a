//! Sizes, speeds and spans of time: text to numbers and back (spec/04 §1.3).

use std::time::Duration;

/// Multipliers of sizes; the letters given must begin a unit's name, and the first such unit counts.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("k", 1 << 10),
    ("kb", 1_000),
    ("m", 1 << 20),
    ("mb", 1_000_000),
    ("g", 1 << 30),
    ("gb", 1_000_000_000),
    ("t", 1 << 40),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Units of time in seconds; the first one that begins with the letters given counts, so `m` is months.
const TIME_UNITS: &[(&str, u64)] = &[
    ("n", 60),
    ("seconds", 1),
    ("months", 30 * 86_400),
    ("minutes", 60),
    ("mins", 60),
    ("hours", 3_600),
    ("days", 86_400),
    ("weeks", 7 * 86_400),
    ("quarters", 91 * 86_400),
    ("years", 365 * 86_400),
];

/// Why a text is no size or time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It does not begin with a number.
    #[error("`{0}` does not begin with a number")]
    NoNumber(String),
    /// The word after the number is no unit.
    #[error("`{0}` is no unit")]
    Unit(String),
    /// The number is too large.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

/// Bytes of a size such as `50G`, `1.5 gb`, `12`. Only the first number with its unit counts (`1G2M` is 1 GiB).
///
/// # Errors
/// [`UnitError`].
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let (number, rest) = split_number(text)?;
    let unit: String = rest.trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let mut total = Total::default();
    total.add(&number, if unit.is_empty() { 1 } else { find_unit(SIZE_UNITS, &unit)? });
    total.whole(text)
}

/// Bytes per second of a speed such as `10mb/s`, `500 k`.
///
/// # Errors
/// [`UnitError`].
pub fn parse_speed(text: &str) -> Result<u64, UnitError> {
    // `/s` and what follows a unit are left unread, as in sizes.
    parse_size(text)
}

/// A span such as `1 year 2 months`, `1h30min10s`, `90` (seconds). Whole seconds; a number without unit is seconds.
///
/// # Errors
/// [`UnitError`].
pub fn parse_time(text: &str) -> Result<Duration, UnitError> {
    let mut rest = text.trim();
    let mut total = Total::default();
    if rest.is_empty() {
        return Err(UnitError::NoNumber(text.to_owned()));
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let after = after.trim_start();
        let unit: String = after.chars().take_while(char::is_ascii_alphabetic).collect();
        let factor = if unit.is_empty() { 1 } else { find_unit(TIME_UNITS, &unit)? };
        total.add(&number, factor);
        rest = after[unit.len()..].trim_start();
    }
    total.whole(text).map(Duration::from_secs)
}

fn find_unit(units: &[(&str, u64)], word: &str) -> Result<u64, UnitError> {
    let lower = word.to_ascii_lowercase();
    let found = units.iter().find(|(name, _)| name.starts_with(&lower));
    found.map(|(_, factor)| *factor).ok_or_else(|| UnitError::Unit(word.to_owned()))
}

/// A number as it was written.
enum Number {
    Whole(u64),
    Decimal(f64),
}

/// The number that a text begins with (decimals allowed) and the rest.
fn split_number(text: &str) -> Result<(Number, &str), UnitError> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let number = match digits.parse() {
        Ok(whole) => Number::Whole(whole),
        Err(_) => Number::Decimal(digits.parse().map_err(|_| UnitError::NoNumber(text.to_owned()))?),
    };
    Ok((number, rest))
}

/// Numbers times their units: whole ones exact, since a float holds no more than 53 bits.
#[derive(Default)]
struct Total {
    whole: u128,
    decimal: f64,
}

impl Total {
    fn add(&mut self, number: &Number, factor: u64) {
        match *number {
            Number::Whole(number) => {
                self.whole = self.whole.saturating_add(u128::from(number) * u128::from(factor));
            }
            Number::Decimal(number) => self.decimal += number * factor as f64,
        }
    }

    /// The sum without its fraction.
    fn whole(&self, text: &str) -> Result<u64, UnitError> {
        let too_large = || UnitError::TooLarge(text.to_owned());
        // A float becomes the nearest integer of the type, and no number becomes 0: it is refused first.
        if !self.decimal.is_finite() {
            return Err(too_large());
        }
        let sum = self.whole.saturating_add(self.decimal as u128);
        // i64::MAX, since the catalog keeps these numbers as signed 64-bit integers.
        i64::try_from(sum).map_err(|_| too_large()).map(i64::unsigned_abs)
    }
}

/// A span as Bacula prints it: `6 months `, `1 year 5 days `, `0 secs`; each part but a lone zero ends with a blank.
#[must_use]
pub fn format_time(span: Duration) -> String {
    const PARTS: &[(&str, u64)] = &[
        ("year", 365 * 86_400),
        ("month", 30 * 86_400),
        ("day", 86_400),
        ("hour", 3_600),
        ("min", 60),
        ("sec", 1),
    ];
    let mut rest = span.as_secs();
    if rest == 0 {
        return "0 secs".to_owned();
    }
    let mut out = String::new();
    for (name, size) in PARTS {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            let plural = if count > 1 { "s" } else { "" };
            out.push_str(&format!("{count} {name}{plural} "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_bacula_reads_them() {
        for (text, bytes) in [
            ("10GB", 10_000_000_000),
            ("1.5g", 1_610_612_736),
            ("2kb", 2_000),
            ("3tb", 3_000_000_000_000),
            ("12", 12),
            ("1G2M", 1_073_741_824),
            ("1GB5", 1_000_000_000),
            ("5 KiB", 5_120),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        assert!(parse_size("10kilobytes").is_err());
        assert!(parse_size("-5").is_err());
        assert_eq!(parse_speed("10mb/s"), Ok(10_000_000));
        assert_eq!(parse_speed("5 k"), Ok(5_120));
        assert_eq!(parse_speed("5 /s"), Ok(5));
        assert_eq!(parse_speed("1m/s5"), Ok(1 << 20));
        assert!(parse_speed("10x").is_err());
    }

    #[test]
    fn times_as_bacula_reads_them() {
        for (text, seconds) in [
            ("1 year 2 months 3 days", 36_979_200),
            ("1year2months3days", 36_979_200),
            ("3m", 7_776_000),
            ("3 mi", 180),
            ("2n5", 125),
            ("1h30min10s", 5_410),
            ("1.5 days", 129_600),
            ("1q1w", 8_467_200),
            ("0", 0),
            ("191111111111151110 00", 191_111_111_111_151_110),
            ("0.5 minutes 0.5 seconds 1", 31),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_time("2 hrs"), Err(UnitError::Unit("hrs".into())));
        assert!(parse_time("-5").is_err());
    }

    #[test]
    fn times_print_as_bacula_prints_them() {
        assert_eq!(format_time(Duration::from_secs(180 * 86_400)), "6 months ");
        assert_eq!(format_time(Duration::from_secs(365 * 86_400)), "1 year ");
        assert_eq!(format_time(Duration::ZERO), "0 secs");
        assert_eq!(format_time(Duration::from_secs(3_661)), "1 hour 1 min 1 sec ");
    }
}
