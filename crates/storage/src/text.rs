//! Numbers and times as Bacula shows them.

use std::time::{SystemTime, UNIX_EPOCH};

/// `1234567` as `1,234,567`.
#[must_use]
pub fn with_commas(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number with a decimal suffix and four digits, as in `276.4 K`; small ones end with a space.
#[must_use]
pub fn with_suffix(n: u64) -> String {
    const SUFFIXES: [&str; 6] = ["", "K", "M", "G", "T", "P"];
    let mut value = n as f64;
    let mut place = 0;
    while value >= 1000.0 && place + 1 < SUFFIXES.len() {
        value /= 1000.0;
        place += 1;
    }
    let suffix = SUFFIXES[place];
    match value {
        _ if place == 0 => format!("{n} "),
        v if v >= 100.0 => format!("{v:.1} {suffix}"),
        v if v >= 10.0 => format!("{v:.2} {suffix}"),
        v => format!("{v:.3} {suffix}"),
    }
}

/// Bytes with a decimal unit, as in `73.17 GB`.
#[must_use]
pub fn with_unit(bytes: u64) -> String {
    format!("{}B", with_suffix(bytes))
}

/// Seconds since 1970.
#[must_use]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Microseconds since 1970, as labels want them.
#[must_use]
pub fn unix_now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}

/// `hh:mm:ss`.
#[must_use]
pub fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `23-Nov-26 15:03` in local time.
#[must_use]
pub fn short_time(unix: u64) -> String {
    local(unix).map_or_else(String::new, |t| t.strftime("%d-%b-%y %H:%M").to_string())
}

/// `23-Nov-2026 15:03` in local time.
#[must_use]
pub fn long_time(unix: u64) -> String {
    local(unix).map_or_else(String::new, |t| t.strftime("%d-%b-%Y %H:%M").to_string())
}

fn local(unix: u64) -> Option<jiff::ZonedDateTime> {
    let at = jiff::Timestamp::from_second(i64::try_from(unix).ok()?).ok()?;
    Some(at.to_zoned_datetime(jiff::tz::TimeZone::system()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(with_commas(0), "0");
        assert_eq!(with_commas(999), "999");
        assert_eq!(with_commas(44_555), "44,555");
        assert_eq!(with_commas(1_234_567), "1,234,567");
        assert_eq!(with_unit(73_170_000_000), "73.17 GB");
        assert_eq!(with_unit(12), "12 B");
        assert_eq!(with_suffix(276_400), "276.4 K");
        assert_eq!(with_suffix(90_930), "90.93 K");
        assert_eq!(with_suffix(103), "103 ");
        assert_eq!(clock(3_725), "01:02:05");
    }
}
