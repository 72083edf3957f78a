//! The dedicated replication link.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::network::Pings;

/// Interface and gateway of a route.
type Route = (String, Option<String>);

/// Whether the way to the peer is another interface than the one of the services.
pub(in crate::check) fn dedicated(peer: &str, to_peer: Option<&Route>, default: Option<&Route>) -> Finding {
    let check = "link.dedicated";
    let Some((interface, gateway)) = to_peer else {
        let remedy = "give this machine an address in the network of the replication link";
        return Finding::new(Verdict::Critical, check, peer, "there is no route to it", remedy);
    };
    let finding =
        |verdict, evidence: String, remedy: &str| Finding::new(verdict, check, peer, evidence, remedy);
    let remedy = "replicate over an interface and a network of its own";
    match (gateway, default) {
        (_, _) if interface == "lo" => finding(
            Verdict::Warning,
            "the address is this machine's own".to_owned(),
            "name the other machine's address",
        ),
        (Some(gateway), _) => {
            finding(Verdict::Warning, format!("over the gateway {gateway} on {interface}"), remedy)
        }
        (None, Some((other, _))) if other == interface => {
            finding(Verdict::Warning, format!("over {interface}, which carries the services too"), remedy)
        }
        (None, _) => finding(Verdict::Ok, format!("over {interface}, which is not the default route's"), ""),
    }
}

/// How far the peer is; `limit_ms` is what its mean round trip may take.
pub(in crate::check) fn round_trip(peer: &str, pings: &Pings, limit_ms: f64) -> Finding {
    let check = "link.round-trip";
    let Pings { sent, answered, mean_ms, longest_ms } = pings;
    let (Some(mean), true) = (mean_ms, *answered > 0) else {
        let evidence = format!("none of {sent} pings was answered");
        return Finding::new(
            Verdict::Critical,
            check,
            peer,
            evidence,
            "look at the link, the peer and its firewall",
        );
    };
    let longest = longest_ms.unwrap_or(*mean);
    let evidence = format!("{mean:.3} ms, longest {longest:.3} ms; {answered} of {sent} answered");
    let finding = |verdict, remedy: &str| Finding::new(verdict, check, peer, &evidence, remedy);
    if answered < sent {
        finding(Verdict::Warning, "the link loses packets: look at its errors (ip -s link)")
    } else if *mean > limit_ms {
        let remedy = format!(
            "more than {limit_ms} ms: each commit waits for it; look for what fills the link, or raise the limit"
        );
        finding(Verdict::Warning, &remedy)
    } else {
        finding(Verdict::Ok, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;

    #[test]
    fn a_link_of_its_own_and_others() {
        let route = |dev: &str, via: Option<&str>| (dev.to_owned(), via.map(str::to_owned));
        let default = route("bond0", Some("10.1.0.1"));
        let of = |to: Option<&Route>| dedicated("n2", to, Some(&default));
        check(
            &[
                of(Some(&route("bond1", None))),
                of(Some(&route("bond0", None))),
                of(Some(&default)),
                of(Some(&route("lo", None))),
                of(None),
            ],
            &[
                "OK link.dedicated n2: over bond1, which is not the default route's",
                "WARNING link.dedicated n2: over bond0, which carries the services too",
                "WARNING link.dedicated n2: over the gateway 10.1.0.1 on bond0",
                "WARNING link.dedicated n2: the address is this machine's own",
                "CRITICAL link.dedicated n2: there is no route to it",
            ],
        );
    }

    #[test]
    fn round_trips() {
        let pings = |answered, mean_ms| Pings { sent: 5, answered, mean_ms, longest_ms: mean_ms };
        check(
            &[
                round_trip("n2", &pings(5, Some(0.25)), 2.0),
                round_trip("n2", &pings(5, Some(7.5)), 2.0),
                round_trip("n2", &pings(4, Some(0.25)), 2.0),
                round_trip("n2", &pings(0, None), 2.0),
            ],
            &[
                "OK link.round-trip n2: 0.250 ms, longest 0.250 ms; 5 of 5 answered",
                "WARNING link.round-trip n2: 7.500 ms, longest 7.500 ms; 5 of 5 answered",
                "WARNING link.round-trip n2: 0.250 ms, longest 0.250 ms; 4 of 5 answered",
                "CRITICAL link.round-trip n2: none of 5 pings was answered",
            ],
        );
    }
}
