//! What the demo shows.

use std::fmt::Write as _;
use std::time::Duration;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) stored: Option<u64>,
    pub(crate) took: Duration,
    pub(crate) result: String,
}

/// The table: what, how many files, how much, how fast, what is stored for it, how it ended.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<26} {:>9} {:>10} {:>10} {:>9} {:>12}  {}\n",
        "", "files", "data", "stored", "time", "speed", "result"
    );
    for row in rows {
        let stored = row.stored.map_or_else(|| "-".to_owned(), human);
        let seconds = row.took.as_secs_f64();
        let speed = if row.bytes == 0 || seconds < 0.001 {
            "-".to_owned()
        } else {
            format!("{}/s", human((row.bytes as f64 / seconds) as u64))
        };
        let _ = writeln!(
            text,
            "{:<26} {:>9} {:>10} {:>10} {:>7.2} s {:>12}  {}",
            row.what,
            row.files,
            human(row.bytes),
            stored,
            seconds,
            speed,
            row.result
        );
    }
    text
}

/// Bytes for people, in units of 1000.
pub(crate) fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_with_a_fitting_unit() {
        assert_eq!(human(0), "0 B");
        assert_eq!(human(999), "999 B");
        assert_eq!(human(1_500), "1.5 kB");
        assert_eq!(human(2_340_000_000), "2.3 GB");
        assert_eq!(human(5_000_000_000_000), "5.0 TB");
    }
}
