//! `storage address=`: the writing side of a copy calls the reading one (spec/03 §2.8).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wire::scan::Fields;

use super::Daemon;
use crate::job::message::Kind;
use crate::job::{Job, Line, StopRequest};
use crate::session::chain;

/// Time between attempts.
const CALL_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Where the other Storage Daemon is, and which of its jobs is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageAddress {
    host: String,
    port: u16,
    job: String,
    key: String,
}

impl StorageAddress {
    /// Reads `storage address= port= ssl= Job= Authentication=`.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let f = Fields::new(line);
        let text = |key: &str| f.raw(key).map(|v| String::from_utf8_lossy(v).into_owned());
        Some(Self {
            host: text("address")?,
            port: f.get("port").ok()?,
            job: text("Job")?,
            key: text("Authentication")?,
        })
    }
}

/// Calls the other Storage Daemon and answers the Director.
pub(super) fn call_storage(daemon: &Arc<Daemon>, job: &Arc<Job>, line: &Line, to: &StorageAddress) {
    let limit = daemon.config().storage.client_connect_timeout;
    let target = net::Target::new(to.host.clone(), to.port).retrying(CALL_EVERY, limit);
    let tls = super::listener::tls_of(&daemon.config().storage.tls);
    let called = tls.map_err(|e| chain(&e)).and_then(|tls| {
        let secret = wire::cram::Secret::from_session_key(&to.key);
        let session = net::Session::new(daemon.name(), secret, tls);
        let is_over = || job.stop.get() != StopRequest::None || !line.is_open();
        crate::session::call_storage(&session, &to.job, &target, is_over).map_err(|e| chain(&e))
    });
    let answer = match called {
        Ok(conn) => {
            job.outbox.message(Kind::Info, &format!("Connected to Storage at {}:{}", to.host, to.port));
            if !job.has_client.swap(true, Ordering::AcqRel) {
                job.give_client(conn);
            }
            "2000 OK storage\n"
        }
        Err(error) => {
            let text = format!(
                "Could not connect to the Storage Daemon at {}:{} to copy from it: {error}. This machine must reach it there, \
                 see its Storage resource.",
                to.host, to.port
            );
            job.outbox.message(Kind::Fatal, &text);
            "2902 Bad storage\n"
        }
    };
    // A Director that has gone is noticed by the receiving side.
    let _ = line.send(answer.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_line() {
        let line = b"storage address=127.0.0.1 port=19113 ssl=0 Job=Copy.2026-11-23_15.05.41_17 \
                     Authentication=EIMN-KAAP-MFJE-NNIB-IAAN-ICDB-GBGD-NLGK\n";
        let address = StorageAddress::parse(line).unwrap();
        assert_eq!((address.host.as_str(), address.port), ("127.0.0.1", 19113));
        assert_eq!(address.job, "Copy.2026-11-23_15.05.41_17");
        assert_eq!(address.key, "EIMN-KAAP-MFJE-NNIB-IAAN-ICDB-GBGD-NLGK");
        assert_eq!(StorageAddress::parse(b"storage address=127.0.0.1 port=19113 ssl=0\n"), None);
    }
}
