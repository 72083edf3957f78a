//! Whether the clock is kept: `chronyc -c tracking`, `timedatectl show`.

/// What chrony says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::check) struct Tracking {
    /// Its source.
    pub(in crate::check) source: String,
    pub(in crate::check) stratum: u32,
    /// How far the clock is from true time, in seconds.
    pub(in crate::check) offset_s: f64,
    /// `Normal`, `Not synchronised`.
    pub(in crate::check) leap: String,
}

/// Reads the fields of `chronyc -c tracking`, which stand in the order of `chronyc tracking`.
///
/// # Errors
/// One line, when there are others.
pub(in crate::check) fn parse_chrony(text: &str) -> Result<Tracking, String> {
    let fields: Vec<&str> = text.trim().split(',').collect();
    let [_, source, stratum, _, offset, .., leap] = fields.as_slice() else {
        return Err("these are not the fields of chronyc -c tracking".to_owned());
    };
    let wrong = |what: &str| format!("{what} is no number");
    Ok(Tracking {
        source: (*source).to_owned(),
        stratum: stratum.parse().map_err(|_| wrong("the stratum"))?,
        offset_s: offset.parse::<f64>().ok().filter(|s| s.is_finite()).ok_or_else(|| wrong("the offset"))?,
        leap: (*leap).to_owned(),
    })
}

/// `NTPSynchronized=yes` of `timedatectl show`; none when it is not said.
pub(in crate::check) fn parse_timedatectl(text: &str) -> Option<bool> {
    text.lines().find_map(|line| line.trim().strip_prefix("NTPSynchronized=")).map(|word| word == "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony() {
        let text = include_str!("../../../fixtures/check/clock/chronyc-tracking.csv");
        let found = parse_chrony(text).unwrap();
        assert_eq!((found.source.as_str(), found.stratum, found.leap.as_str()), ("192.168.0.1", 3, "Normal"));
        assert!((found.offset_s - 0.000_012_345).abs() < 1e-12);
        assert!(parse_chrony("506 Cannot talk to daemon").is_err());
        assert!(parse_chrony(&text.replace("0.000012345", "nan")).is_err());
    }

    #[test]
    fn timedatectl() {
        assert_eq!(parse_timedatectl("NTP=yes\nNTPSynchronized=yes\n"), Some(true));
        assert_eq!(parse_timedatectl("NTPSynchronized=no"), Some(false));
        assert_eq!(parse_timedatectl("System has not been booted with systemd"), None);
    }
}
