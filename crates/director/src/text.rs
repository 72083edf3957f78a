//! Numbers and times as Bacula's console and reports show them.

use jiff::tz::TimeZone;
use types::Timestamp;

/// `275,263`.
#[must_use]
pub fn commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `275.2 K`: powers of 1000, four significant digits, cut and not rounded; below 1000 the bare number and a blank.
#[must_use]
pub fn with_suffix(number: u64) -> String {
    const UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
    let mut unit = 0;
    let mut divisor = 1_u64;
    while number / divisor >= 1000 && unit + 1 < UNITS.len() {
        divisor *= 1000;
        unit += 1;
    }
    if unit == 0 {
        return format!("{number} ");
    }
    let whole = number / divisor;
    let thousandths = number % divisor / (divisor / 1000);
    let decimals = 4 - whole.to_string().len();
    let fraction = format!("{thousandths:03}");
    format!("{whole}.{} {}", &fraction[..decimals], UNITS[unit])
}

/// `275,263 (275.2 KB)`.
#[must_use]
pub fn bytes(number: u64) -> String {
    format!("{} ({}B)", commas(number), with_suffix(number))
}

fn local(at: Timestamp) -> jiff::ZonedDateTime {
    jiff::Timestamp::from_second(at.0).unwrap_or_default().to_zoned_datetime(TimeZone::system())
}

fn shown(at: Timestamp, format: &str) -> String {
    local(at).strftime(format).to_string()
}

/// `23-Nov-2026 15:07:24`, for reports.
#[must_use]
pub fn report_time(at: Timestamp) -> String {
    shown(at, "%d-%b-%Y %H:%M:%S")
}

/// `2026-11-23 15:07:24`, as the catalog has it.
#[must_use]
pub fn catalog_time(at: Timestamp) -> String {
    shown(at, "%Y-%m-%d %H:%M:%S")
}

/// `23-Nov 15:07`, the beginning of a message line.
#[must_use]
pub fn message_time(at: Timestamp) -> String {
    shown(at, "%d-%b %H:%M")
}

/// `2026-11-23_15.07.24`, in unique job names (spec/01 §7.1).
#[must_use]
pub fn job_name_time(at: Timestamp) -> String {
    shown(at, "%Y-%m-%d_%H.%M.%S")
}

/// `1 min 5 secs`: a span as reports show it; `1 sec` at least when `at_least_one`.
#[must_use]
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86400, "year"),
        (30 * 86400, "month"),
        (86400, "day"),
        (3600, "hour"),
        (60, "min"),
        (1, "sec"),
    ];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (length, word) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            parts.push(format!("{count} {word}{}", if count == 1 { "" } else { "s" }));
        }
    }
    if parts.is_empty() { "0 secs".to_owned() } else { parts.join(" ") }
}

/// `6 months `: a retention as the console shows it, each unit followed by a blank (spec/04 §1.3).
#[must_use]
pub fn retention(seconds: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (365 * 86400, "year"),
        (30 * 86400, "month"),
        (86400, "day"),
        (3600, "hour"),
        (60, "min"),
        (1, "sec"),
    ];
    let mut rest = seconds;
    let mut text = String::new();
    for (length, word) in UNITS {
        let count = rest / length;
        rest %= length;
        if count > 0 {
            text.push_str(&format!("{count} {word}{} ", if count == 1 { "" } else { "s" }));
        }
    }
    if text.is_empty() { "0 secs ".to_owned() } else { text }
}

/// The present time.
#[must_use]
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_to_four_digits() {
        assert_eq!(bytes(275_263), "275,263 (275.2 KB)");
        assert_eq!(bytes(89_557), "89,557 (89.55 KB)");
        assert_eq!(bytes(924_651), "924,651 (924.6 KB)");
        assert_eq!(bytes(19), "19 (19 B)");
        assert_eq!(bytes(0), "0 (0 B)");
        assert_eq!(bytes(1_048_576), "1,048,576 (1.048 MB)");
        assert_eq!(with_suffix(u64::MAX), "18.44 E");
    }

    #[test]
    fn spans_name_their_units() {
        assert_eq!(span(1), "1 sec");
        assert_eq!(span(0), "0 secs");
        assert_eq!(span(3725), "1 hour 2 mins 5 secs");
        assert_eq!(retention(180 * 86400), "6 months ");
        assert_eq!(retention(365 * 86400), "1 year ");
    }
}
