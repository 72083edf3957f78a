//! TLS by shared secret and by certificates (spec/01 §4.5–4.6), on OpenSSL: external PSK is what Bacula speaks.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions, SslVerifyMode,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use wire::cram::Secret;
use wire::tls::{TlsKind, TlsNeeds};

use crate::session::Session;

mod names;

/// Identity that a PSK client gives; servers look at the key only (spec/01 §4.6).
const PSK_IDENTITY: &[u8] = b"Client_identity";
/// The PSK is tied to SHA-256, so one of the first two is chosen; AES first, it is in hardware.
const SUITES_13: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
const SUITES_12_PSK: &str = "PSK-AES256-CBC-SHA";
const SUITES_12_CERTIFICATES: &str = "ALL:!ADH:!LOW:!EXP:!MD5:@STRENGTH";

/// Why TLS did not come up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A configured file cannot be used.
    #[error("load {what} from {path}")]
    File {
        /// Certificate, key …
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The reason.
        #[source]
        source: ErrorStack,
    },
    /// The library refused a setting.
    #[error("set up TLS")]
    Setup(#[from] ErrorStack),
    /// Configured to use certificates, without any.
    #[error("TLS with certificates is enabled, but no {missing} is configured; set \"{directive}\"")]
    Missing {
        /// What is missing.
        missing: &'static str,
        /// The directive to set.
        directive: &'static str,
    },
    /// The TLS handshake failed. With PSK: most often the passwords differ.
    #[error("TLS handshake failed: {reason} (with TLS-PSK most often: the passwords of both ends differ)")]
    Handshake {
        /// The library's words.
        reason: String,
    },
    /// The socket failed.
    #[error("TLS handshake")]
    Io(#[from] std::io::Error),
    /// The peer's certificate is for somebody else.
    #[error("the peer's certificate is for {got}; {wanted} is wanted")]
    Name {
        /// What it is for.
        got: String,
        /// What was wanted.
        wanted: String,
    },
    /// TLS was asked for twice.
    #[error("TLS is running already")]
    Twice,
}

impl From<openssl::ssl::Error> for TlsError {
    fn from(error: openssl::ssl::Error) -> Self {
        let reasons = error
            .ssl_error()
            .map(|stack| stack.errors().iter().filter_map(openssl::error::Error::reason).collect());
        let reasons: Vec<&str> = reasons.unwrap_or_default();
        let ended = || {
            error.io_error().map_or_else(|| "the peer closed the connection".to_owned(), ToString::to_string)
        };
        Self::Handshake { reason: if reasons.is_empty() { ended() } else { reasons.join(", ") } }
    }
}

/// Certificates of one resource, as its directives say.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// TLS CA Certificate File.
    pub ca_file: Option<PathBuf>,
    /// TLS CA Certificate Dir.
    pub ca_dir: Option<PathBuf>,
    /// TLS Certificate.
    pub certificate: Option<PathBuf>,
    /// TLS Key.
    pub key: Option<PathBuf>,
    /// TLS DH File (servers, TLS 1.2).
    pub dh_file: Option<PathBuf>,
    /// TLS Verify Peer: as server, demand a certificate of the client.
    pub verify_peer: bool,
    /// TLS Allowed CN; empty means any (as client: the host's name is checked instead).
    pub allowed_cn: Vec<String>,
}

/// What TLS an end offers to one peer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls {
    needs: TlsNeeds,
    certificates: Option<Arc<CertificateContexts>>,
}

struct CertificateContexts {
    client: SslContext,
    server: SslContext,
    allowed_cn: Vec<String>,
}

impl std::fmt::Debug for CertificateContexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateContexts").field("allowed_cn", &self.allowed_cn).finish_non_exhaustive()
    }
}

impl Tls {
    /// No TLS.
    #[must_use]
    pub fn clear() -> Self {
        Self { needs: TlsNeeds::CLEAR, certificates: None }
    }

    /// TLS-PSK welcome: the default.
    #[must_use]
    pub fn psk() -> Self {
        Self { needs: TlsNeeds::PSK, certificates: None }
    }

    /// From the directives; loads the files.
    ///
    /// # Errors
    /// [`TlsError::File`] and [`TlsError::Missing`]: configuration errors, to be reported at start.
    pub fn new(needs: TlsNeeds, certificates: &Certificates) -> Result<Self, TlsError> {
        if needs.certificates == wire::tls::Need::No {
            return Ok(Self { needs, certificates: None });
        }
        Ok(Self { needs, certificates: Some(Arc::new(CertificateContexts::load(certificates)?)) })
    }

    /// From the directives of a program that only connects: a certificate is wanted where one is configured.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn new_client(needs: TlsNeeds, certificates: &Certificates) -> Result<Self, TlsError> {
        if needs.certificates == wire::tls::Need::No {
            return Ok(Self { needs, certificates: None });
        }
        let client = context(certificates, false)?;
        let contexts = CertificateContexts {
            server: client.clone(),
            client,
            allowed_cn: certificates.allowed_cn.clone(),
        };
        Ok(Self { needs, certificates: Some(Arc::new(contexts)) })
    }

    /// What is announced.
    #[must_use]
    pub fn needs(&self) -> TlsNeeds {
        self.needs
    }

    /// A fresh TLS session object of the kind agreed on.
    pub(crate) fn ssl(&self, server: bool, kind: TlsKind, secret: &Secret) -> Result<Ssl, TlsError> {
        match (kind, &self.certificates) {
            (TlsKind::Certificates, Some(contexts)) => {
                Ok(Ssl::new(if server { &contexts.server } else { &contexts.client })?)
            }
            (TlsKind::Certificates, None) => {
                Err(TlsError::Missing { missing: "certificate", directive: "TLS Certificate" })
            }
            (TlsKind::Psk | TlsKind::Clear, _) => {
                let context = psk_context(secret)?;
                Ok(Ssl::new(&context)?)
            }
        }
    }

    /// Checks whom the peer's certificate is for, once TLS is up.
    pub(crate) fn check_peer(
        &self,
        ssl: &openssl::ssl::SslRef,
        server: bool,
        kind: TlsKind,
        host: Option<&str>,
    ) -> Result<(), TlsError> {
        match (kind, &self.certificates, ssl.peer_certificate()) {
            (TlsKind::Certificates, Some(contexts), Some(certificate)) => names::check(
                &names::PeerNames::of(&certificate),
                &contexts.allowed_cn,
                host.filter(|_| !server),
            ),
            (TlsKind::Certificates, Some(contexts), None) if !contexts.allowed_cn.is_empty() => {
                Err(TlsError::Name {
                    got: "nobody (none was sent)".to_owned(),
                    wanted: contexts.allowed_cn.join(" or "),
                })
            }
            _ => Ok(()),
        }
    }
}

impl CertificateContexts {
    fn load(files: &Certificates) -> Result<Self, TlsError> {
        Ok(Self {
            client: context(files, false)?,
            server: context(files, true)?,
            allowed_cn: files.allowed_cn.clone(),
        })
    }
}

fn builder() -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls())?;
    builder.set_options(SslOptions::NO_SSLV2 | SslOptions::NO_SSLV3 | SslOptions::CIPHER_SERVER_PREFERENCE);
    builder
        .set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::AUTO_RETRY);
    // Each session authenticates anew; tickets after the handshake would only be in the way of the first packet.
    builder.set_num_tickets(0)?;
    builder.set_read_ahead(true);
    Ok(builder)
}

fn psk_context(secret: &Secret) -> Result<SslContext, ErrorStack> {
    let mut builder = builder()?;
    builder.set_ciphersuites(SUITES_13)?;
    builder.set_cipher_list(SUITES_12_PSK)?;
    let key = secret.as_bytes().to_vec();
    let fill = |key: &[u8], out: &mut [u8]| match out.get_mut(..key.len()) {
        Some(place) => {
            place.copy_from_slice(key);
            key.len()
        }
        None => 0, // the library refuses an empty key
    };
    let client_key = key.clone();
    builder.set_psk_client_callback(move |_, _, identity, psk| {
        let identity_bytes = PSK_IDENTITY.len();
        if let Some(place) = identity.get_mut(..=identity_bytes) {
            place[..identity_bytes].copy_from_slice(PSK_IDENTITY);
            place[identity_bytes] = 0;
        }
        Ok(fill(&client_key, psk))
    });
    builder.set_psk_server_callback(move |_, _, psk| Ok(fill(&key, psk)));
    Ok(builder.build())
}

fn context(files: &Certificates, server: bool) -> Result<SslContext, TlsError> {
    let mut builder = builder()?;
    builder.set_cipher_list(SUITES_12_CERTIFICATES)?;
    let failed = |what, path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { what, path, source }
    };
    if let Some(file) = &files.ca_file {
        builder.set_ca_file(file).map_err(failed("the CA certificate", file))?;
        if server && let Ok(names) = openssl::x509::X509Name::load_client_ca_file(file) {
            builder.set_client_ca_list(names);
        }
    }
    if let Some(dir) = &files.ca_dir {
        let mut store = openssl::x509::store::X509StoreBuilder::new()?;
        let lookup = store.add_lookup(openssl::x509::store::X509Lookup::hash_dir())?;
        let path = dir.to_string_lossy();
        lookup.add_dir(&path, SslFiletype::PEM).map_err(failed("the CA certificates", dir))?;
        if let Some(file) = &files.ca_file {
            let lookup = store.add_lookup(openssl::x509::store::X509Lookup::file())?;
            lookup.load_cert_file(file, SslFiletype::PEM).map_err(failed("the CA certificate", file))?;
        }
        builder.set_cert_store(store.build());
    }
    if files.ca_file.is_none() && files.ca_dir.is_none() && (!server || files.verify_peer) {
        return Err(TlsError::Missing { missing: "CA certificate", directive: "TLS CA Certificate File" });
    }
    if let Some(file) = &files.certificate {
        builder.set_certificate_chain_file(file).map_err(failed("the certificate", file))?;
        let key = files.key.as_ref().unwrap_or(file);
        builder.set_private_key_file(key, SslFiletype::PEM).map_err(failed("the key", key))?;
        builder
            .check_private_key()
            .map_err(failed("the key (it does not belong to the certificate)", key))?;
    } else if server {
        return Err(TlsError::Missing { missing: "certificate", directive: "TLS Certificate" });
    }
    if let Some(file) = files.dh_file.as_ref().filter(|_| server) {
        let pem = std::fs::read(file)?;
        let dh = openssl::dh::Dh::params_from_pem(&pem).map_err(failed("the DH parameters", file))?;
        builder.set_tmp_dh(&dh)?;
    }
    builder.set_verify(match (server, files.verify_peer) {
        (false, _) => SslVerifyMode::PEER,
        (true, true) => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        (true, false) => SslVerifyMode::NONE,
    });
    Ok(builder.build())
}

/// Starts TLS on a tokio socket and checks whom the peer is.
pub(crate) async fn start(
    stream: TcpStream,
    server: bool,
    kind: TlsKind,
    session: &Session,
) -> Result<SslStream<TcpStream>, TlsError> {
    let ssl = session.tls.ssl(server, kind, &session.secret)?;
    let mut stream = SslStream::new(ssl, stream)?;
    if server {
        Pin::new(&mut stream).accept().await?;
    } else {
        Pin::new(&mut stream).connect().await?;
    }
    session.tls.check_peer(stream.ssl(), server, kind, session.host.as_deref())?;
    Ok(stream)
}
