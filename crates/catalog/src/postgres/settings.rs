//! Where the database is and how to get in: the Catalog resource's directives.

use super::Limits;
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

/// Where Debian's and most other packages have the socket.
const SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// PostgreSQL's own.
const DEFAULT_PORT: u16 = 5432;

/// A database and how to get in.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Hosts (names, addresses, each with `:port` where it differs) or directories of sockets, with commas; empty = the
    /// system's socket.
    pub address: String,
    /// Port of those that name none; 0 = 5432.
    pub port: u16,
    /// User; empty = the database's name.
    pub user: String,
    /// Password, in the clear.
    pub password: String,
    /// Name of the database.
    pub database: String,
    /// TLS on the way to the server.
    pub tls: Tls,
    /// Name of the Director resource.
    pub director: String,
    /// Name of this instance.
    pub instance: String,
    /// The lease that an instance holds its role by: what a dead or frozen instance has left open at the server ends within it, and a
    /// server that does not answer is given up within it.
    pub lease: Option<Duration>,
}

/// TLS on the way to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Whether, and what is checked.
    pub mode: TlsMode,
    /// Authorities that may have signed the server's certificate (PEM); none = the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate (PEM).
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    pub key: Option<PathBuf>,
}

/// Whether TLS is used, and what of the server is checked; the words are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server offers it, unchecked.
    #[default]
    Prefer,
    /// Always; the certificate is checked when an authority is given.
    Require,
    /// Always, signed by an authority.
    VerifyCa,
    /// Always, signed by an authority and for this host.
    VerifyFull,
}

impl TlsMode {
    /// The mode of libpq's word (`DB SSL Mode`), in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "disable" => Self::Disable,
            "" | "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

impl Tls {
    pub(super) fn connector(&self) -> Result<MakeTlsConnector, String> {
        let text = |what: &str, path: &Path, e: openssl::error::ErrorStack| {
            format!("{what} {}: {e}", path.display())
        };
        let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
        if let Some(ca) = &self.ca {
            builder.set_ca_file(ca).map_err(|e| text("read DB SSL CA", ca, e))?;
        }
        if let Some(cert) = &self.cert {
            builder.set_certificate_chain_file(cert).map_err(|e| text("read DB SSL Cert", cert, e))?;
        }
        if let Some(key) = &self.key {
            builder
                .set_private_key_file(key, SslFiletype::PEM)
                .map_err(|e| text("read DB SSL Key", key, e))?;
        }
        let checked = match self.mode {
            TlsMode::Disable | TlsMode::Prefer => false,
            TlsMode::Require => self.ca.is_some(),
            TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        };
        builder.set_verify(if checked { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
        let mut connector = MakeTlsConnector::new(builder.build());
        let checks_name = self.mode == TlsMode::VerifyFull;
        connector.set_callback(move |configuration, _host| {
            configuration.set_verify_hostname(checks_name);
            Ok(())
        });
        Ok(connector)
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

impl PostgresSettings {
    pub(super) fn describe(&self) -> String {
        let hosts: Vec<String> = self.hosts().iter().map(ToString::to_string).collect();
        format!("{} on {}", self.database, hosts.join(","))
    }

    /// At least one.
    pub(super) fn hosts(&self) -> Vec<Host> {
        let port = if self.port == 0 { DEFAULT_PORT } else { self.port };
        let named = self.address.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut hosts: Vec<Host> = named.map(|part| host(part, port)).collect();
        if hosts.is_empty() {
            hosts.push(Host { name: SOCKET_DIRECTORY.to_owned(), port });
        }
        hosts
    }

    pub(super) fn config(&self, host: &Host, label: &str, limits: Limits) -> Config {
        let mut config = Config::new();
        config
            .host(&host.name)
            .port(host.port)
            .dbname(&self.database)
            .user(if self.user.is_empty() { &self.database } else { &self.user })
            .application_name(label)
            .ssl_mode(self.tls.mode.ssl_mode())
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .keepalives(true)
            .keepalives_idle(limits.probe * 3)
            .keepalives_interval(limits.probe)
            .keepalives_retries(3);
        if let Some(network) = limits.network {
            // Keepalives are of no use while something sent is not confirmed.
            config.tcp_user_timeout(network);
        }
        if !self.password.is_empty() {
            config.password(&self.password);
        }
        config
    }
}

/// `name`, `name:port`, `[v6]:port`, an IPv6 address, or a directory.
fn host(text: &str, port: u16) -> Host {
    let split = match text.rsplit_once(':') {
        Some((name, digits)) if !text.starts_with('/') && (!name.contains(':') || name.ends_with(']')) => {
            digits.parse().ok().map(|port| (name, port))
        }
        _ => None,
    };
    let (name, port) = split.unwrap_or((text, port));
    Host { name: name.trim_start_matches('[').trim_end_matches(']').to_owned(), port }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(address: &str, port: u16) -> PostgresSettings {
        PostgresSettings {
            address: address.to_owned(),
            port,
            user: String::new(),
            password: "secret".to_owned(),
            database: "bacula".to_owned(),
            tls: Tls::default(),
            director: "dir".to_owned(),
            instance: "a".to_owned(),
            lease: None,
        }
    }

    #[track_caller]
    fn check(address: &str, port: u16, expected: &[(&str, u16)]) {
        let hosts = settings(address, port).hosts();
        let found: Vec<_> = hosts.iter().map(|h| (h.name.as_str(), h.port)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn addresses_are_hosts_with_ports_or_directories() {
        check("", 0, &[("/var/run/postgresql", 5432)]);
        check("db1, db2:5433", 5000, &[("db1", 5000), ("db2", 5433)]);
        check("::1,[fe80::1]:77,10.0.0.1", 0, &[("::1", 5432), ("fe80::1", 77), ("10.0.0.1", 5432)]);
        check("/run/pg:1", 3, &[("/run/pg:1", 3)]);
    }

    #[test]
    fn a_description_holds_no_password() {
        assert_eq!(settings("db1,db2", 0).describe(), "bacula on db1:5432,db2:5432");
    }
}
