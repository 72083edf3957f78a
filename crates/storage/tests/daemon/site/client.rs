//! A File Daemon's side of a session.

use std::net::TcpStream;

use net::blocking::Conn;
use net::{Session, Tls};
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::Hello;
use wire::version::FdVersion;

/// A file to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFile {
    pub name: String,
    pub data: Vec<u8>,
}

/// Files with data that differ by seed; sizes up to `bytes_max`.
pub fn files(count: usize, bytes_max: usize, seed: u64) -> Vec<TestFile> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|n| {
            let len = if bytes_max == 0 { 0 } else { next() as usize % bytes_max };
            let data = std::iter::repeat_with(|| next() as u8).take(len).collect();
            TestFile { name: format!("/data/{seed}/f{n:04}"), data }
        })
        .collect()
}

/// Stream of attribute records, data, and the digest.
pub const ATTRIBUTES: i32 = 1;
pub const DATA: i32 = 2;
pub const DIGEST: i32 = 3;

/// What stands for a digest.
pub fn digest(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 16];
    out[..4].copy_from_slice(&crc32fast::hash(data).to_be_bytes());
    out
}

pub fn attributes(index: usize, file: &TestFile) -> Vec<u8> {
    format!("{index} 3 {}\0gD DYM IGk B A A A {} BAA A A A A A A C\0\0\0{}\0", file.name, file.data.len(), 0)
        .into_bytes()
}

/// A client connected for a job.
pub struct Client {
    pub conn: Conn,
}

impl Client {
    pub fn connect(port: u16, job: &str, key: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let session = Session::new("fd", Secret::from_session_key(key), Tls::clear());
        let hello = Hello::ClientToStorage { job: job.to_owned(), version: FdVersion::CURRENT };
        Self { conn: net::blocking::open(stream, hello, &session).unwrap() }
    }

    pub fn line(&mut self) -> String {
        loop {
            if let Packet::Data(data) = self.conn.reader.recv().unwrap() {
                return String::from_utf8_lossy(&data).into_owned();
            }
        }
    }

    /// Opens an append session; gives the last answer.
    pub fn open_append(&mut self) -> String {
        self.conn.writer.send("append open session\n").unwrap();
        let open = self.line();
        let ticket = open.trim().strip_prefix("3000 OK open ticket = ").unwrap().to_owned();
        self.conn.writer.send(format!("append data {ticket}\n")).unwrap();
        self.line()
    }

    /// Sends a file's streams.
    pub fn send_file(&mut self, index: usize, file: &TestFile) -> Result<(), net::NetError> {
        let w = &mut self.conn.writer;
        let mut stream = |number: i32, pieces: &[&[u8]]| -> Result<(), net::NetError> {
            w.data(format!("{index} {number} 0").as_bytes())?;
            for piece in pieces {
                w.data(piece)?;
            }
            w.signal(Signal::Eod)
        };
        stream(ATTRIBUTES, &[&attributes(index, file)])?;
        if !file.data.is_empty() {
            let pieces: Vec<&[u8]> = file.data.chunks(65_536).collect();
            stream(DATA, &pieces)?;
        }
        stream(DIGEST, &[&digest(&file.data)])
    }

    /// Ends the data; gives the answer.
    pub fn end_data(&mut self) -> String {
        self.conn.writer.signal(Signal::Eod).unwrap();
        self.conn.writer.flush().unwrap();
        self.line()
    }

    /// `append end session`, `append close session`.
    pub fn close_append(mut self) {
        self.conn.writer.send("append end session 1\n").unwrap();
        assert_eq!(self.line(), "3000 OK end\n");
        self.conn.writer.send("append close session 1\n").unwrap();
        assert_eq!(self.line(), "3000 OK close Status = 84\n");
        let _ = self.conn.writer.signal(Signal::Terminate);
        let _ = self.conn.writer.flush();
    }

    /// A whole backup.
    pub fn back_up(mut self, files: &[TestFile]) {
        assert_eq!(self.open_append(), "3000 OK data\n");
        for (n, file) in files.iter().enumerate() {
            self.send_file(n + 1, file).unwrap();
        }
        assert_eq!(self.end_data(), "3000 OK append data\n");
        self.close_append();
    }

    /// A whole restore: the records as they came.
    pub fn restore(mut self) -> Vec<(i32, i32, Vec<u8>)> {
        self.conn.writer.send("read open session = DummyVolume 1 1 0 0 0 0\n").unwrap();
        assert!(self.line().starts_with("3000 OK open ticket = "));
        self.conn.writer.send("read data 1\n").unwrap();
        assert_eq!(self.line(), "3000 OK data\n");
        let mut out = Vec::new();
        loop {
            let header = match self.conn.reader.recv().unwrap() {
                Packet::Signal(Signal::Eod) => break,
                Packet::Signal(_) => continue,
                Packet::Data(data) => String::from_utf8(data.to_vec()).unwrap(),
            };
            let words: Vec<i64> =
                header.strip_prefix("rechdr ").unwrap().split(' ').map(|w| w.parse().unwrap()).collect();
            let Packet::Data(data) = self.conn.reader.recv().unwrap() else {
                panic!("no data behind {header}")
            };
            assert_eq!(data.len() as i64, words[4]);
            out.push((words[2] as i32, words[3] as i32, data.to_vec()));
        }
        self.conn.writer.send("read close session 1\n").unwrap();
        assert_eq!(self.line(), "3000 OK close Status = 82\n");
        out
    }
}
