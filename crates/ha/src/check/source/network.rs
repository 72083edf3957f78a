//! `ping -q` and `ip -o route` of iputils and iproute2.

/// What a few pings came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::check) struct Pings {
    pub(in crate::check) sent: u32,
    pub(in crate::check) answered: u32,
    /// Mean and longest round trip in milliseconds; none when nothing came back.
    pub(in crate::check) mean_ms: Option<f64>,
    pub(in crate::check) longest_ms: Option<f64>,
}

/// Reads the last two lines of `ping`.
///
/// # Errors
/// One line, when they are not there.
pub(in crate::check) fn parse_ping(text: &str) -> Result<Pings, String> {
    let counts =
        text.lines().find(|line| line.contains("packets transmitted")).ok_or("no statistics in it")?;
    let count = |part: Option<&str>| -> Option<u32> { part?.split_whitespace().next()?.parse().ok() };
    let mut parts = counts.split(',');
    let (sent, answered) = (count(parts.next()), count(parts.next()));
    let (Some(sent), Some(answered)) = (sent, answered) else { return Err("no statistics in it".to_owned()) };
    let times = text.lines().find_map(|line| line.strip_prefix("rtt ")?.split_once("= "));
    let times: Vec<f64> = times
        .map(|(_, times)| times.split(['/', ' ']).filter_map(|time| time.parse().ok()).collect())
        .unwrap_or_default();
    Ok(Pings { sent, answered, mean_ms: times.get(1).copied(), longest_ms: times.get(2).copied() })
}

/// The interface and, where there is one, the gateway of a line of `ip -o route`.
pub(in crate::check) fn parse_route(text: &str) -> Option<(String, Option<String>)> {
    let words: Vec<&str> = text.lines().next()?.split_whitespace().collect();
    let after = |word: &str| {
        let at = words.iter().position(|one| *one == word)?;
        words.get(at + 1).map(|next| (*next).to_owned())
    };
    Some((after("dev")?, after("via")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings() {
        let found = parse_ping(include_str!("../../../fixtures/check/network/ping.txt")).unwrap();
        let expected = Pings { sent: 5, answered: 5, mean_ms: Some(0.254), longest_ms: Some(0.301) };
        assert_eq!(found, expected);
        let lost = "5 packets transmitted, 0 received, +5 errors, 100% packet loss, time 4084ms\n";
        let expected = Pings { sent: 5, answered: 0, mean_ms: None, longest_ms: None };
        assert_eq!(parse_ping(lost), Ok(expected));
        assert!(parse_ping("ping: unknown host").is_err());
    }

    #[test]
    fn routes() {
        let direct = "10.10.0.2 dev eth1 src 10.10.0.1 uid 0 \\    cache \n";
        assert_eq!(parse_route(direct), Some(("eth1".into(), None)));
        let gateway = "default via 10.1.0.1 dev bond0 proto static \n";
        assert_eq!(parse_route(gateway), Some(("bond0".into(), Some("10.1.0.1".into()))));
        assert_eq!(parse_route(""), None);
    }
}
