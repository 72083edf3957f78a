//! Local wall-clock times, as the catalog's `ts` columns hold them (spec/05 §4.4).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fmt;
use types::Timestamp;

/// `YYYY-MM-DD HH:MM:SS` without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(DateTime);

impl LocalTime {
    /// Reads the catalog's text; fractions of a second are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let whole = text.get(..19).unwrap_or(text);
        let (date, time) = whole.split_once([' ', 'T'])?;
        format!("{date}T{time}").parse().ok().map(Self)
    }

    /// Seconds since the start of the year 2000 on the same clock; none beyond the year 9999.
    #[must_use]
    pub fn from_2000(seconds: i64) -> Option<Self> {
        let start = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);
        start.checked_add(jiff::SignedDuration::from_secs(seconds)).ok().map(Self)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = &self.0;
        write!(
            f,
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }
}

/// The zone in which the catalog's wall-clock times are meant: the Director's own.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// The system's zone, read once when the catalog is opened.
    #[must_use]
    pub fn system() -> Self {
        Self(TimeZone::system())
    }

    /// UTC, for tests.
    #[must_use]
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// A zone by its IANA name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(Self)
    }

    /// Wall-clock time of an instant.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> LocalTime {
        let instant = jiff::Timestamp::from_second(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        LocalTime(self.0.to_datetime(instant))
    }

    /// Instant of a wall-clock time. One that happens twice is taken as the first, one that never happens is moved
    /// forward; nothing orders by these values (JobTDate does).
    #[must_use]
    pub fn instant(&self, at: LocalTime) -> Timestamp {
        let instant = self.0.to_ambiguous_timestamp(at.0).compatible();
        Timestamp(instant.map_or(0, jiff::Timestamp::as_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clock_times_round_trip_outside_the_repeated_hour() {
        let zone = Zone::named("Europe/Berlin").expect("the time zone data knows Berlin");
        let at = Timestamp(1_795_446_447);
        let local = zone.local(at);
        assert_eq!(local.to_string(), "2026-11-23 16:07:27");
        assert_eq!(LocalTime::parse("2026-11-23 16:07:27"), Some(local));
        assert_eq!(LocalTime::parse("2026-11-23 16:07:27.123456"), Some(local));
        assert_eq!(zone.instant(local), at);
        assert_eq!(LocalTime::parse("0"), None);
    }
}
