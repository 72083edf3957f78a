//! Calling daemons: connect, handshake, registration of the Director (docs/extensions.md §1, §2).

use super::chain;
use crate::error::DirectorError;
use conf::director::{Client, Director, Storage};
use net::{Certificates, Conn, Session, Target, Tls};
use policy::spare::{Standing, Standings};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use types::{ActivationId, CatalogId, Epoch, Nonce, StorageEpoch};
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::{Greeting, Hello};
use wire::msg::holdfast::StoragePlace;
use wire::scan::{self, Fields};
use wire::tls::TlsNeeds;
use wire::version::{DirVersion, FdVersion, HOLDFAST_PLACES, SdVersion};

/// How long a daemon may take to answer a command of the console's kind.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of one answer kept; `status` of a busy daemon has hundreds.
const ANSWER_LINES_MAX: usize = 100_000;

/// As whom this Director calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) epoch: Epoch,
    pub(crate) activation: ActivationId,
    pub(crate) catalog: CatalogId,
    pub(crate) instance: String,
}

/// What a Holdfast daemon said to the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Good for one destructive command (SD).
    pub(crate) nonce: Option<Nonce>,
}

/// How this Director calls anyone.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    director: String,
    source: Option<IpAddr>,
    fd_timeout: Duration,
    sd_timeout: Duration,
    identity: Identity,
    standings: Arc<Standings>,
}

/// Where a Storage Daemon is and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct StorageLink {
    pub(crate) name: String,
    pub(crate) tls_needs: TlsNeeds,
    target: Target,
    session: Session,
    /// The pair it belongs to.
    standing: Option<Standing>,
}

/// Where a File Daemon is and how to speak to it.
#[derive(Debug, Clone)]
pub(crate) struct ClientLink {
    pub(crate) name: String,
    pub(crate) tls_needs: TlsNeeds,
    target: Target,
    session: Session,
}

/// A session with a Storage Daemon for a console command.
#[derive(Debug)]
pub struct StorageConn {
    /// The session; a job's or console's commands go through it.
    pub conn: Conn,
    /// The daemon's number.
    pub version: SdVersion,
    /// Holdfast's additions are on.
    pub holdfast: bool,
    /// Why the daemon lets nothing be read or written: its Storage does not serve.
    pub(crate) refused: Option<String>,
    /// The storage epoch that the daemon knows, where it keeps one of this Storage.
    pub place_epoch: Option<StorageEpoch>,
    nonce: Option<Nonce>,
}

/// A session with a File Daemon.
#[derive(Debug)]
pub struct ClientConn {
    /// The session.
    pub conn: Conn,
    /// The daemon's number.
    pub version: FdVersion,
    /// Holdfast's additions are on.
    pub holdfast: bool,
}

impl Links {
    pub(crate) fn new(director: &Director, identity: Identity) -> Self {
        Self {
            director: director.name.clone(),
            source: director.dir_source_address.as_deref().and_then(|address| address.parse().ok()),
            fd_timeout: director.fd_connect_timeout,
            sd_timeout: director.sd_connect_timeout,
            identity,
            standings: Arc::default(),
        }
    }

    /// Says to Storage Daemons which of a pair serves, and uses only that.
    pub(crate) fn among(self, standings: Arc<Standings>) -> Self {
        Self { standings, ..self }
    }

    /// The way to a Storage of the configuration.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] when its certificates cannot be loaded.
    pub(crate) fn storage(&self, storage: &Storage) -> Result<StorageLink, DirectorError> {
        let peer = format!("Storage \"{}\"", storage.name);
        let port = u16::try_from(storage.sd_port).unwrap_or(9103);
        let (tls, tls_needs) = tls(&storage.tls, &peer, &storage.address)?;
        Ok(StorageLink {
            name: storage.name.clone(),
            tls_needs,
            target: self.target(&storage.address, port, storage.heartbeat_interval),
            session: self.session(&storage.password, tls, &storage.address),
            standing: self.standings.of(&storage.name).cloned(),
        })
    }

    /// The way to a Client of the configuration.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] when its certificates cannot be loaded.
    pub(crate) fn client(&self, client: &Client) -> Result<ClientLink, DirectorError> {
        let peer = format!("Client \"{}\"", client.name);
        let address = client.address.clone().unwrap_or_default();
        let port = u16::try_from(client.fd_port).unwrap_or(9102);
        let (tls, tls_needs) = tls(&client.tls, &peer, &address)?;
        Ok(ClientLink {
            name: client.name.clone(),
            tls_needs,
            target: self.target(&address, port, client.heartbeat_interval),
            session: self.session(&client.password, tls, &address),
        })
    }

    fn target(&self, address: &str, port: u16, keepalive: Duration) -> Target {
        let mut target = Target::new(address, port);
        target.source = self.source;
        target.keepalive = keepalive;
        target
    }

    fn session(&self, password: &str, tls: Tls, address: &str) -> Session {
        Session::new(&self.director, Secret::from_configured(password), tls).for_host(address)
    }

    /// Opens a session with a Storage Daemon.
    ///
    /// # Errors
    /// [`DirectorError::Connect`]; [`DirectorError::Stale`] when another activation of this Director is newer;
    /// [`DirectorError::NotServing`] when the other Storage of its pair serves.
    pub(crate) async fn open_storage(
        &self,
        link: &StorageLink,
        tries: Tries,
    ) -> Result<StorageConn, DirectorError> {
        let resting = link.standing.as_ref().filter(|standing| standing.serving != link.name);
        if let Some(standing) = resting {
            return Err(DirectorError::NotServing(standing.why_not()));
        }
        let mut conn = self.visit_storage(link, tries).await?;
        match conn.refused.take() {
            None => Ok(conn),
            Some(said) => {
                conn.terminate().await;
                Err(DirectorError::NotServing(format!("Storage daemon {}: {said}", link.name)))
            }
        }
    }

    /// As [`Self::open_storage`], to ask and look only: also of a pair's Storage that does not serve.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn visit_storage(
        &self,
        link: &StorageLink,
        tries: Tries,
    ) -> Result<StorageConn, DirectorError> {
        let hello = Hello::DirectorToStorage { name: self.director.clone(), version: DirVersion::CURRENT };
        let peer = format!("Storage daemon {}", link.name);
        let target = tries.of(&link.target, self.sd_timeout);
        let mut conn = open(&target, &link.session, hello, &peer).await?;
        let Greeting::Storage { version, .. } = conn.peer().greeting else {
            return Err(failed(&peer, &link.target, "it is no Storage Daemon"));
        };
        let holdfast = conn.peer().holdfast > 0;
        let nonce = if holdfast { self.register(&mut conn, &peer, &link.target).await?.nonce } else { None };
        let mut opened = StorageConn { conn, version, holdfast, refused: None, place_epoch: None, nonce };
        if let Some(standing) =
            link.standing.as_ref().filter(|_| opened.conn.peer().holdfast >= HOLDFAST_PLACES)
        {
            opened.tell_place(standing, &link.name).await?;
        }
        Ok(opened)
    }

    /// Opens a data session with a Storage Daemon as the client of a job would, to read.
    ///
    /// # Errors
    /// [`DirectorError::Connect`].
    pub(crate) async fn open_data(
        &self,
        storage: &Storage,
        job: &str,
        key: &str,
        version: FdVersion,
    ) -> Result<Conn, DirectorError> {
        let link = self.storage(storage)?;
        let hello = Hello::ClientToStorage { job: job.to_owned(), version };
        let session = Session { secret: Secret::from_session_key(key), ..link.session.clone() };
        let peer = format!("Storage daemon {}", link.name);
        let target = Tries::Configured.of(&link.target, self.sd_timeout);
        open(&target, &session.without_additions(), hello, &peer).await
    }

    /// Opens a session with a File Daemon; as [`Self::open_storage`].
    ///
    /// # Errors
    /// As [`Self::open_storage`].
    pub(crate) async fn open_client(
        &self,
        link: &ClientLink,
        tries: Tries,
    ) -> Result<ClientConn, DirectorError> {
        let hello = Hello::DirectorToClient { name: self.director.clone(), version: DirVersion::CURRENT };
        let peer = format!("Client {}", link.name);
        let mut conn = open(&tries.of(&link.target, self.fd_timeout), &link.session, hello, &peer).await?;
        let Greeting::Client { version, .. } = conn.peer().greeting else {
            return Err(failed(&peer, &link.target, "it is no File Daemon"));
        };
        let holdfast = conn.peer().holdfast > 0;
        if holdfast {
            self.register(&mut conn, &peer, &link.target).await?;
        }
        Ok(ClientConn { conn, version, holdfast })
    }

    async fn register(
        &self,
        conn: &mut Conn,
        peer: &str,
        target: &Target,
    ) -> Result<Registered, DirectorError> {
        let Identity { epoch, activation, catalog, instance } = &self.identity;
        let line = format!(
            "director epoch={} activation={activation} catalog={catalog} instance={}\n",
            epoch.0,
            types::bash_spaces(instance)
        );
        let exchange = async {
            conn.send(line).await?;
            conn.recv_within(ANSWER_TIMEOUT).await
        };
        let packet = exchange.await.map_err(|error| failed(peer, target, &chain(&error)))?;
        let said = packet.data().map(|data| scan::text(data)).unwrap_or_default();
        match said.get(..4) {
            Some("3000" | "2000") => {
                let nonce = Fields::new(said.as_bytes()).raw("nonce").map(scan::text);
                Ok(Registered { nonce: nonce.and_then(|nonce| nonce.parse().ok()) })
            }
            Some("3981" | "2981") => Err(DirectorError::Stale { peer: peer.to_owned(), said }),
            _ => Err(failed(peer, target, &format!("it refused the registration: {said}"))),
        }
    }
}

async fn open(target: &Target, session: &Session, hello: Hello, peer: &str) -> Result<Conn, DirectorError> {
    let stream = net::connect(target).await.map_err(|error| failed(peer, target, &chain(&error)))?;
    net::open(stream, hello, session).await.map_err(|error| failed(peer, target, &chain(&error)))
}

/// For how long a daemon that refuses the connection, or does not answer, is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tries {
    /// Once: whoever asks has another way, or asks again later.
    Once,
    /// 5 seconds, in which a daemon that is restarted is back: whoever asks has another way, which costs more.
    Soon,
    /// 15 seconds: a person waits.
    Console,
    /// As configured for jobs (SD Connect Timeout, FD Connect Timeout).
    Configured,
}

impl Tries {
    fn of(self, target: &Target, configured: Duration) -> Target {
        let limit = match self {
            Self::Once => Duration::ZERO,
            Self::Soon => Duration::from_secs(5),
            Self::Console => Duration::from_secs(15),
            Self::Configured => configured,
        };
        let every = if limit > Duration::from_secs(15) { 10 } else { 1 };
        target.clone().retrying(Duration::from_secs(every), limit)
    }
}

fn failed(peer: &str, target: &Target, problem: &str) -> DirectorError {
    DirectorError::Connect {
        peer: peer.to_owned(),
        address: format!("{}:{}", target.host, target.port),
        problem: problem.to_owned(),
    }
}

/// TLS of a resource's directives.
pub(crate) fn tls(tls: &conf::tls::Tls, peer: &str, address: &str) -> Result<(Tls, TlsNeeds), DirectorError> {
    let needs = TlsNeeds::from_directives(tls.enable, tls.require, tls.psk_enable);
    let path = |text: &Option<String>| text.as_ref().map(Into::into);
    let certificates = Certificates {
        ca_file: path(&tls.ca_certificate_file),
        ca_dir: path(&tls.ca_certificate_dir),
        certificate: path(&tls.certificate),
        key: path(&tls.key),
        dh_file: path(&tls.dh_file),
        verify_peer: tls.verify_peer,
        allowed_cn: tls.allowed_cn.clone(),
    };
    let made = Tls::new(needs, &certificates).map_err(|error| DirectorError::Connect {
        peer: peer.to_owned(),
        address: address.to_owned(),
        problem: chain(&error),
    })?;
    Ok((made, needs))
}

impl StorageConn {
    /// Says which of a pair serves; the daemon keeps it (docs/extensions.md §11).
    async fn tell_place(&mut self, standing: &Standing, here: &str) -> Result<(), DirectorError> {
        let place = StoragePlace {
            role: standing.main.clone(),
            epoch: standing.epoch,
            serving: standing.serving.clone(),
            here: here.to_owned(),
        };
        let said = self.line(place.format()).await?;
        if said.starts_with("3000") {
            self.place_epoch = Some(standing.epoch);
            return Ok(());
        }
        let known = said.split_once("storage epoch ").map(|(_, rest)| rest);
        let known = known.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        self.place_epoch = known.map(StorageEpoch);
        self.refused = Some(said);
        Ok(())
    }

    /// Sends a command and returns the lines of its answer up to the end-of-data signal, trailing feeds and NULs taken off.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] when the session breaks or the daemon does not answer for a minute.
    pub async fn command(&mut self, line: impl AsRef<[u8]>) -> Result<Vec<String>, DirectorError> {
        command(&mut self.conn, line.as_ref()).await
    }

    /// Sends a command whose answer is one line, and returns it, trailing feed and NUL taken off.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn line(&mut self, line: impl AsRef<[u8]>) -> Result<String, DirectorError> {
        let sent = self.conn.send(line).await;
        sent.map_err(|error| broken(&self.conn, &chain(&error)))?;
        let packet = self.conn.recv_within(ANSWER_TIMEOUT).await;
        let packet = packet.map_err(|error| broken(&self.conn, &chain(&error)))?;
        Ok(packet
            .data()
            .map(|data| scan::text(data).trim_end_matches(['\0', '\n']).to_owned())
            .unwrap_or_default())
    }

    /// A nonce for one destructive command (docs/extensions.md §3); `None` with a stock daemon.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn nonce(&mut self) -> Result<Option<Nonce>, DirectorError> {
        if !self.holdfast || self.nonce.is_some() {
            return Ok(self.nonce.take());
        }
        let sent = self.conn.send("nonce\n").await;
        sent.map_err(|error| broken(&self.conn, &chain(&error)))?;
        let packet = self.conn.recv_within(ANSWER_TIMEOUT).await;
        let packet = packet.map_err(|error| broken(&self.conn, &chain(&error)))?;
        let said = packet.data().map(|data| scan::text(data)).unwrap_or_default();
        Ok(Fields::new(said.as_bytes()).raw("nonce").and_then(|nonce| scan::text(nonce).parse().ok()))
    }

    /// Ends the session politely.
    pub async fn terminate(self) {
        self.conn.terminate().await;
    }
}

impl ClientConn {
    /// Sends a command and returns the lines of its answer up to the end-of-data signal.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] when the session breaks or the daemon does not answer for a minute.
    pub async fn command(&mut self, line: impl AsRef<[u8]>) -> Result<Vec<String>, DirectorError> {
        command(&mut self.conn, line.as_ref()).await
    }

    /// Says for which job the session is, as a console's session does before its command (spec/01 §5.4). Returns what the
    /// daemon says of itself.
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn console_job(&mut self, unique_name: &str) -> Result<String, DirectorError> {
        let line = format!("JobId=0 Job={unique_name} SDid=0 SDtime=0 Authorization=dummy\n");
        let exchange = async {
            self.conn.send(line).await?;
            self.conn.recv_within(ANSWER_TIMEOUT).await
        };
        let packet = exchange.await.map_err(|error| broken(&self.conn, &chain(&error)))?;
        Ok(packet.data().map(|data| scan::text(data)).unwrap_or_default())
    }

    /// Sends packets that have one answer together, and returns it.
    ///
    /// # Errors
    /// As [`Self::command`]; an answer other than `2000` is an error, too.
    pub async fn lines(&mut self, lines: Vec<String>) -> Result<String, DirectorError> {
        for line in lines {
            self.conn.queue(line);
        }
        let sent = self.conn.flush().await;
        sent.map_err(|error| broken(&self.conn, &chain(&error)))?;
        self.answer().await
    }

    /// Sends a FileSet: its command, its packets, an end of data; waits for the answer.
    ///
    /// # Errors
    /// As [`Self::lines`].
    pub async fn fileset(&mut self, command: String, packets: Vec<Vec<u8>>) -> Result<String, DirectorError> {
        self.conn.queue(command);
        for packet in packets {
            self.conn.queue(packet);
        }
        self.conn.queue_signal(Signal::Eod);
        let sent = self.conn.flush().await;
        sent.map_err(|error| broken(&self.conn, &chain(&error)))?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<String, DirectorError> {
        loop {
            let packet = self.conn.recv_within(ANSWER_TIMEOUT).await;
            let packet = packet.map_err(|error| broken(&self.conn, &chain(&error)))?;
            let answered = match packet {
                Packet::Data(data) => {
                    let said = scan::text(&data);
                    return if said.starts_with("2000") { Ok(said) } else { Err(broken(&self.conn, &said)) };
                }
                // The client compares its clock with ours before it takes a time (spec/01 §5.5).
                Packet::Signal(Signal::Btime) => {
                    let now = jiff::Timestamp::now().as_microsecond();
                    self.conn.send(format!("btime {now}\n")).await
                }
                Packet::Signal(Signal::Terminate) => {
                    return Err(broken(&self.conn, "the daemon has ended the session"));
                }
                Packet::Signal(_) => Ok(()),
            };
            answered.map_err(|error| broken(&self.conn, &chain(&error)))?;
        }
    }

    /// Ends the session politely.
    pub async fn terminate(self) {
        self.conn.terminate().await;
    }
}

fn broken(conn: &Conn, problem: &str) -> DirectorError {
    DirectorError::Connect {
        peer: "the daemon".to_owned(),
        address: conn.address().to_string(),
        problem: problem.to_owned(),
    }
}

async fn command(conn: &mut Conn, line: &[u8]) -> Result<Vec<String>, DirectorError> {
    conn.send(line).await.map_err(|error| broken(conn, &chain(&error)))?;
    let mut lines = Vec::new();
    loop {
        let packet = conn.recv_within(ANSWER_TIMEOUT).await.map_err(|error| broken(conn, &chain(&error)))?;
        match packet {
            Packet::Data(data) if lines.len() < ANSWER_LINES_MAX => {
                // Bacula's Storage Daemon counts a byte or two behind a text's NUL into some packets.
                let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
                let text = String::from_utf8_lossy(&data[..end]);
                lines.push(text.strip_suffix('\n').unwrap_or(&text).to_owned());
            }
            Packet::Data(_) => return Err(broken(conn, "the answer is too long")),
            Packet::Signal(Signal::Eod | Signal::Terminate) => return Ok(lines),
            Packet::Signal(_) => {}
        }
    }
}
