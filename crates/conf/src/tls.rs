//! TLS directives, shared by every resource that stands for a peer or a daemon (spec/04 §2.1).

use crate::table::{Directive, Kind};
use crate::value::Values;

/// TLS settings of one peer or daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Offer TLS with certificates.
    pub enable: bool,
    /// Refuse peers without TLS.
    pub require: bool,
    /// TLS only while authenticating.
    pub authenticate: bool,
    /// TLS keyed by the password when no certificate is configured.
    pub psk_enable: bool,
    /// Demand a client certificate.
    pub verify_peer: bool,
    /// PEM file of accepted authorities.
    pub ca_certificate_file: Option<String>,
    /// Directory of accepted authorities.
    pub ca_certificate_dir: Option<String>,
    /// PEM file of our certificate.
    pub certificate: Option<String>,
    /// PEM file of our key.
    pub key: Option<String>,
    /// Diffie-Hellman parameters.
    pub dh_file: Option<String>,
    /// Accepted common names of peers; empty for all.
    pub allowed_cn: Vec<String>,
}

impl Tls {
    /// The table's entries.
    pub const DIRECTIVES: &'static [Directive] = &[
        Directive::new("TLS Enable", Kind::Bool, "Offer TLS with certificates to the peer.").default("no"),
        Directive::new("TLS Require", Kind::Bool, "Refuse a peer that will not use TLS.").default("no"),
        Directive::new(
            "TLS Authenticate",
            Kind::Bool,
            "Use TLS for the authentication only; data then goes in the clear.",
        )
        .default("no"),
        Directive::new(
            "TLS PSK Enable",
            Kind::Bool,
            "Use TLS keyed by the password when no certificate is configured.",
        )
        .default("yes")
        .since("11"),
        Directive::new(
            "TLS Verify Peer",
            Kind::Bool,
            "As the server side, demand a certificate from the client side.",
        )
        .default("yes"),
        Directive::new(
            "TLS CA Certificate File",
            Kind::Path,
            "PEM file with the authorities that peers' certificates must come from.",
        )
        .example("/etc/bacula/tls/ca.pem")
        .local(),
        Directive::new(
            "TLS CA Certificate Dir",
            Kind::Path,
            "Directory with such authorities, in OpenSSL's hashed layout.",
        )
        .local(),
        Directive::new("TLS Certificate", Kind::Path, "PEM file with our own certificate.")
            .example("/etc/bacula/tls/cert.pem")
            .local(),
        Directive::new("TLS Key", Kind::Path, "PEM file with the key of our certificate.")
            .example("/etc/bacula/tls/key.pem")
            .local(),
        Directive::new("TLS DH File", Kind::Path, "Diffie-Hellman parameters (server side).").local(),
        Directive::new(
            "TLS Allowed CN",
            Kind::StrList,
            "Common names that a peer's certificate may carry; all when absent.",
        )
        .example("fd1.example.org"),
    ];

    pub(crate) fn build(values: &Values) -> Self {
        Self {
            enable: values.get("TLS Enable"),
            require: values.get("TLS Require"),
            authenticate: values.get("TLS Authenticate"),
            psk_enable: values.get("TLS PSK Enable"),
            verify_peer: values.get("TLS Verify Peer"),
            ca_certificate_file: values.get("TLS CA Certificate File"),
            ca_certificate_dir: values.get("TLS CA Certificate Dir"),
            certificate: values.get("TLS Certificate"),
            key: values.get("TLS Key"),
            dh_file: values.get("TLS DH File"),
            allowed_cn: values.get("TLS Allowed CN"),
        }
    }
}

impl Default for Tls {
    /// What a resource without TLS directives has.
    fn default() -> Self {
        Self {
            enable: false,
            require: false,
            authenticate: false,
            psk_enable: true,
            verify_peer: true,
            ca_certificate_file: None,
            ca_certificate_dir: None,
            certificate: None,
            key: None,
            dh_file: None,
            allowed_cn: Vec::new(),
        }
    }
}
