//! Whom a certificate is for (spec/01 §4.5).

use openssl::nid::Nid;
use openssl::x509::X509Ref;

use super::TlsError;

/// The names in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PeerNames {
    pub(super) common: Vec<String>,
    pub(super) dns: Vec<String>,
    pub(super) ip: Vec<std::net::IpAddr>,
}

impl PeerNames {
    pub(super) fn of(certificate: &X509Ref) -> Self {
        let entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
        let common = entries.filter_map(|entry| entry.data().to_string().ok()).collect();
        let mut names = Self { common, ..Self::default() };
        for name in certificate.subject_alt_names().iter().flatten() {
            if let Some(dns) = name.dnsname() {
                names.dns.push(dns.to_owned());
            }
            if let Some(ip) = name.ipaddress().and_then(address) {
                names.ip.push(ip);
            }
        }
        names
    }

    fn shown(&self) -> String {
        let ips = self.ip.iter().map(ToString::to_string);
        let all: Vec<String> = self.common.iter().chain(&self.dns).cloned().chain(ips).collect();
        if all.is_empty() { "nobody (it has no names)".to_owned() } else { all.join(", ") }
    }
}

fn address(bytes: &[u8]) -> Option<std::net::IpAddr> {
    match bytes.len() {
        4 => Some(<[u8; 4]>::try_from(bytes).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(bytes).ok()?.into()),
        _ => None,
    }
}

/// An allowed list decides alone; without one a client wants the name of the host that it called.
pub(super) fn check(names: &PeerNames, allowed: &[String], host: Option<&str>) -> Result<(), TlsError> {
    if !allowed.is_empty() {
        let is_allowed = |cn: &String| allowed.iter().any(|name| name.eq_ignore_ascii_case(cn));
        return match names.common.iter().any(is_allowed) {
            true => Ok(()),
            false => Err(TlsError::Name { got: names.shown(), wanted: allowed.join(" or ") }),
        };
    }
    match host {
        None => Ok(()),
        Some(host) if is_for(names, host) || (host == "127.0.0.1" && is_for(names, "localhost")) => Ok(()),
        Some(host) => Err(TlsError::Name { got: names.shown(), wanted: host.to_owned() }),
    }
}

fn is_for(names: &PeerNames, host: &str) -> bool {
    let by_address = host.parse().is_ok_and(|ip: std::net::IpAddr| names.ip.contains(&ip));
    by_address || names.dns.iter().chain(&names.common).any(|name| matches_host(name, host))
}

/// Exact, or `*.` compared from the first dot on.
fn matches_host(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(domain), Some((_, host_domain))) = (name.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    domain.eq_ignore_ascii_case(host_domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(common: &[&str], dns: &[&str]) -> PeerNames {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        PeerNames { common: own(common), dns: own(dns), ip: vec!["10.0.0.1".parse().unwrap()] }
    }

    #[test]
    fn an_allowed_list_decides_alone() {
        let allowed = ["A1-FD".to_owned()];
        assert!(check(&names(&["a1-fd"], &[]), &allowed, Some("elsewhere")).is_ok());
        assert!(check(&names(&["other"], &["a1-fd"]), &allowed, Some("a1-fd")).is_err());
    }

    #[test]
    fn without_a_list_the_host_name_counts() {
        let peer = names(&["fd.example.org"], &["*.lab.example.org", "localhost"]);
        for host in ["fd.example.org", "x.lab.example.org", "10.0.0.1", "127.0.0.1", "LOCALHOST"] {
            assert!(check(&peer, &[], Some(host)).is_ok(), "{host}");
        }
        for host in ["lab.example.org", "x.y.lab.example.org", "10.0.0.2"] {
            assert!(check(&peer, &[], Some(host)).is_err(), "{host}");
        }
        assert!(check(&peer, &[], None).is_ok());
    }
}
