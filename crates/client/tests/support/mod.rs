//! A Director and a Storage Daemon that follow a script, around a real File Daemon.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use attrs::{AttrRecord, Stream};
use conf::{ClientConfig, TextLoader};
use net::daemon::DaemonControl;
use net::{Conn, Session, Target, Tls, blocking};
use tokio::task::JoinHandle;
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::{Hello, HelloLine, Listener};
use wire::msg::fd_sd::{Answer, Command, RecordHeader, StreamHeader};
use wire::version::DirVersion;

/// Streams of a backup: FileIndex, stream, packets.
pub(crate) type Streams = Vec<(i32, Stream, Vec<Vec<u8>>)>;

pub(crate) const KEY: &str = "AGEM-PJND-HFMH-ANIN-BBNI-HLDP-FHCL-HLMP";
const WAIT: Duration = Duration::from_secs(60);

/// A File Daemon in this process.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) control: DaemonControl,
    pub(crate) task: JoinHandle<()>,
}

impl Client {
    pub(crate) async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "FileDaemon {{ Name = t-fd; FDPort = {port}; FDAddress = 127.0.0.1; WorkingDirectory = /tmp; Pid Directory = /tmp }}
             Director {{ Name = t-dir; Password = fd }}
             Director {{ Name = mon; Password = mon; Monitor = yes }}
             Messages {{ Name = M; director = t-dir = all, !skipped, !restored }}"
        );
        let mut loader = TextLoader::new("fd.conf", text);
        let config =
            conf::load::<ClientConfig>("fd.conf", &mut loader).unwrap_or_else(|e| panic!("{e}")).config;
        let (context, mut control) = net::daemon::pair();
        let task = tokio::spawn(async move {
            client::run(config.clone(), net::daemon::unchanging(config), context).await.unwrap();
        });
        assert!(control.wait_ready().await);
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), control, task }
    }

    pub(crate) async fn director(&self) -> Director {
        self.director_as("t-dir", "fd", true).await
    }

    pub(crate) async fn director_as(&self, name: &str, password: &str, additions: bool) -> Director {
        let target = Target::new("127.0.0.1", self.address.port());
        let stream = net::connect(&target).await.unwrap();
        let hello = Hello::DirectorToClient { name: name.into(), version: DirVersion::CURRENT };
        let mut session = Session::new(name, Secret::from_password(password), Tls::psk());
        session.additions = additions;
        Director { conn: net::open(stream, hello, &session).await.unwrap(), messages: Vec::new() }
    }
}

/// The Director's side of a session.
pub(crate) struct Director {
    pub(crate) conn: Conn,
    /// Messages received so far.
    pub(crate) messages: Vec<String>,
}

impl Director {
    pub(crate) async fn send(&mut self, line: &str) {
        self.conn.send(line).await.unwrap();
    }

    /// The next packet that is no message; clock questions are answered.
    pub(crate) async fn recv(&mut self) -> Packet {
        loop {
            let packet = self.conn.recv_within(WAIT).await.unwrap();
            match &packet {
                Packet::Data(data) if data.starts_with(b"Jmsg ") => {
                    self.messages.push(String::from_utf8_lossy(data).into_owned());
                }
                Packet::Data(data) if data.starts_with(b"Progress ") => {}
                Packet::Signal(Signal::Heartbeat) => {}
                Packet::Signal(Signal::Btime) => {
                    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                    self.send(&format!("btime {}\n", now.as_micros())).await;
                }
                Packet::Data(_) | Packet::Signal(_) => return packet,
            }
        }
    }

    pub(crate) async fn line(&mut self) -> String {
        match self.recv().await {
            Packet::Data(data) => String::from_utf8_lossy(&data).into_owned(),
            Packet::Signal(signal) => format!("signal {}", signal.number()),
        }
    }

    /// Sends a command and checks the start of its answer.
    pub(crate) async fn ask(&mut self, command: &str, answer: &str) -> String {
        self.send(command).await;
        let line = self.line().await;
        assert!(line.starts_with(answer), "{command:?} was answered {line:?}");
        line
    }

    pub(crate) async fn job(&mut self, id: u32) {
        let job =
            format!("JobId={id} Job=test.2026-11-23_15.04.16_{id:02} SDid=7 SDtime=77 Authorization={KEY}\n");
        self.ask(&job, "2000 OK Job ").await;
    }

    pub(crate) async fn list(&mut self, command: &str, lines: &[String], answer: &str) {
        self.send(command).await;
        for line in lines {
            self.send(line).await;
        }
        self.conn.signal(Signal::Eod).await.unwrap();
        if !answer.is_empty() {
            assert_eq!(self.line().await, answer);
        }
    }

    /// FileSet of one Include with the given lines of options.
    pub(crate) async fn fileset(&mut self, options: &[&str], file: &Path) {
        let mut lines = vec!["I\n".to_owned()];
        lines.extend(options.iter().map(|line| format!("{line}\n")));
        lines.extend(["N\n".to_owned(), format!("F {}", file.display()), "N\n".to_owned(), "N\n".to_owned()]);
        self.list("fileset vss=1\n", &lines, "2000 OK include\n").await;
    }

    pub(crate) async fn storage(&mut self, storage: &Storage, key: bool) {
        let key = if key { format!(" Authorization={KEY}") } else { String::new() };
        let line = format!("storage address=127.0.0.1 port={} ssl=0{key}\n", storage.port);
        self.ask(&line, "2000 OK storage").await;
    }

    /// Everything up to the end line, which is given.
    pub(crate) async fn end(&mut self) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with("2800 End Job ") {
                return line;
            }
            assert!(
                !line.starts_with("signal -4"),
                "the session ended without an end line: {:?}",
                self.messages
            );
        }
    }
}

/// A Storage Daemon that serves one job.
pub(crate) struct Storage {
    pub(crate) port: u16,
    thread: std::thread::JoinHandle<Streams>,
}

impl Storage {
    /// Takes one backup.
    pub(crate) fn taking() -> Self {
        Self::start(|mut conn| take_backup(&mut conn))
    }

    /// Gives the records of a backup to one restore.
    pub(crate) fn giving(streams: Streams) -> Self {
        Self::start(move |mut conn| {
            give_restore(&mut conn, &streams);
            streams
        })
    }

    fn start(serve: impl FnOnce(blocking::Conn) -> Streams + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut hello = vec![0; u32::from_be_bytes(length) as usize];
            stream.read_exact(&mut hello).unwrap();
            let hello = HelloLine::parse(&hello, Listener::Storage).unwrap();
            let session = Session::new("t-sd", Secret::from_session_key(KEY), Tls::psk());
            serve(blocking::accept(stream, hello, &session).unwrap())
        });
        Self { port, thread }
    }

    pub(crate) fn finish(self) -> Streams {
        self.thread.join().unwrap()
    }
}

/// The next command; `None` when the client has closed the connection.
fn command(conn: &mut blocking::Conn) -> Option<Command> {
    loop {
        if let Packet::Data(line) = conn.reader.recv().ok()? {
            return Some(Command::parse(&line).unwrap());
        }
    }
}

fn take_backup(conn: &mut blocking::Conn) -> Streams {
    let mut streams = Streams::new();
    // A client that is cancelled early closes the connection.
    let Some(Command::AppendOpen) = command(conn) else { return streams };
    conn.writer.send(Answer::Ticket(7).format()).unwrap();
    let Some(Command::AppendData(7)) = command(conn) else { return streams };
    conn.writer.send(Answer::Data.format()).unwrap();
    loop {
        let header = match conn.reader.recv() {
            Ok(Packet::Data(header)) => StreamHeader::parse(&header).unwrap(),
            Ok(Packet::Signal(Signal::Eod)) => break,
            Ok(Packet::Signal(_)) => continue,
            // A cancelled client closes the connection.
            Err(_) => return streams,
        };
        let mut packets = Vec::new();
        loop {
            match conn.reader.recv() {
                Ok(Packet::Data(data)) => packets.push(data.to_vec()),
                Ok(Packet::Signal(_)) => break,
                Err(_) => return streams,
            }
        }
        streams.push((header.file_index.get(), Stream(header.stream), packets));
    }
    conn.writer.send(Answer::Append.format()).unwrap();
    assert_eq!(command(conn), Some(Command::AppendEnd(7)));
    conn.writer.send(Answer::End.format()).unwrap();
    assert_eq!(command(conn), Some(Command::AppendClose(7)));
    conn.writer.send(Answer::Close(Some(types::JobStatus::Terminated)).format()).unwrap();
    conn.writer.signal(Signal::Eod).unwrap();
    conn.writer.flush().unwrap();
    streams
}

fn give_restore(conn: &mut blocking::Conn, streams: &Streams) {
    assert!(matches!(command(conn), Some(Command::ReadOpen { .. })));
    conn.writer.send(Answer::Ticket(7).format()).unwrap();
    assert_eq!(command(conn), Some(Command::ReadData(7)));
    conn.writer.send(Answer::Data.format()).unwrap();
    for (index, stream, packets) in streams {
        for packet in packets {
            let header = RecordHeader {
                session: types::VolSession { id: 7, time: 77 },
                file_index: types::FileIndex(*index),
                stream: stream.0,
                len: packet.len() as u32,
            };
            conn.writer.data(&header.format()).unwrap();
            conn.writer.data(packet).unwrap();
        }
    }
    conn.writer.signal(Signal::Eod).unwrap();
    conn.writer.flush().unwrap();
    assert_eq!(command(conn), Some(Command::ReadClose(7)));
    conn.writer.send(Answer::Close(Some(types::JobStatus::Running)).format()).unwrap();
    conn.writer.signal(Signal::Eod).unwrap();
    conn.writer.flush().unwrap();
}

/// Types and last components of the attribute records, sorted.
pub(crate) fn records(streams: &Streams) -> Vec<(i32, String)> {
    let records = streams.iter().filter(|(_, stream, _)| stream.is_attributes());
    let mut out: Vec<_> = records
        .map(|(_, _, packets)| {
            let record = AttrRecord::decode(&packets[0]).unwrap();
            let name = String::from_utf8_lossy(record.name).into_owned();
            let last = name.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
            (record.file_type.number(), last)
        })
        .collect();
    out.sort();
    out
}

/// A whole backup by a stock-like session; gives the streams, the end line and the messages.
pub(crate) async fn backup(
    client: &Client,
    id: u32,
    level: &str,
    options: &[&str],
    tree: &Path,
) -> (Streams, String, Vec<String>) {
    let storage = Storage::taking();
    let mut director = client.director_as("t-dir", "fd", false).await;
    director.job(id).await;
    director.send(&format!("level = {level}  mtime_only=0 \n")).await;
    if level.contains("incremental") {
        director.send("level = since_utime 4000000000 mtime_only=0 prev_job=x\n").await;
    }
    // The clock questions of a since packet are answered while waiting.
    loop {
        match director.line().await.as_str() {
            "2000 OK level\n" => break,
            "signal -1" => {}
            other => panic!("{other}"),
        }
    }
    director.fileset(options, tree).await;
    director.storage(&storage, false).await;
    director.ask("backup FileIndex=0\n", "2000 OK backup").await;
    let end = director.end().await;
    (storage.finish(), end, director.messages)
}

/// A whole restore; gives the end line and the messages.
pub(crate) async fn restore(
    client: &Client,
    id: u32,
    streams: Streams,
    place: &Path,
) -> (String, Vec<String>) {
    let storage = Storage::giving(streams);
    let mut director = client.director().await;
    director.job(id).await;
    director.storage(&storage, true).await;
    let command = format!("restore files=9 replace=a prelinks=0 where={}\n", place.display());
    director.ask(&command, "2000 OK restore").await;
    assert_eq!(director.line().await, "2000 OK storage end\n");
    director.send("endrestore").await;
    let end = director.end().await;
    storage.finish();
    (end, director.messages)
}
