//! How fast the data path is over loopback: `cargo run --release -p holdfast-net --example throughput`.
//!
//! One thread sends 64 KiB packets, each with the header and end of a stream as an FD does; another receives them.
#![expect(clippy::print_stdout, reason = "a measurement")]

use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use net::{Session, Tls, blocking};
use wire::cram::Secret;
use wire::frame::{PacketRef, Signal};
use wire::hello::{Hello, HelloLine};
use wire::tls::TlsNeeds;
use wire::version::FdVersion;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn pair(tls: &Tls) -> Result<(blocking::Conn, blocking::Conn)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let session = Session::new("bench", Secret::from_password("bench"), tls.clone());
    let hello = Hello::ClientToStorage { job: "Bench.1".to_owned(), version: FdVersion::CURRENT };
    let socket = TcpStream::connect(listener.local_addr()?)?;
    let accepted = listener.accept()?.0;
    let (caller, line) = (session.clone(), HelloLine::new(hello.clone(), session.tls.needs(), true));
    let opened = std::thread::spawn(move || blocking::open(socket, hello, &caller));
    skip_hello(&accepted)?;
    let server = blocking::accept(accepted, line, &session)?;
    let client = opened.join().map_err(|_| "the caller panicked")??;
    Ok((client, server))
}

/// A listener has taken the Hello off the socket before a session is accepted.
fn skip_hello(mut socket: &TcpStream) -> Result<()> {
    use std::io::Read;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut hello = vec![0; u32::from_be_bytes(length) as usize];
    Ok(socket.read_exact(&mut hello)?)
}

fn measure(name: &str, tls: &Tls, payload: usize, total: usize) -> Result<()> {
    let (client, server) = pair(tls)?;
    let (_keep_reader, mut writer, ..) = client.split();
    let (mut reader, _keep_writer, ..) = server.split();
    let count = total / payload;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let sender = std::thread::spawn(move || -> Result<()> {
        let data = vec![7; payload];
        for index in 0..count {
            writer.data(format!("{index} 2 {payload}").as_bytes())?;
            writer.data(&data)?;
            writer.signal(Signal::Eod)?;
        }
        writer.signal(Signal::Terminate)?;
        Ok(writer.flush()?)
    });
    let mut bytes = 0usize;
    loop {
        match reader.recv_ref()? {
            PacketRef::Data(data) => bytes += data.len(),
            PacketRef::Signal(Signal::Terminate) => break,
            PacketRef::Signal(_) => {}
        }
    }
    sender.join().map_err(|_| "the sender panicked")??;
    let seconds = started.elapsed().as_secs_f64();
    // Of both ends together: comparable on a busy machine as well.
    let per_gb = (cpu_seconds() - cpu) / (bytes as f64 / 1e9);
    println!(
        "{name:6} {payload:7} B packets: {:7.0} MB/s, {:9.0} packets/s, {per_gb:5.2} CPU s/GB",
        bytes as f64 / seconds / 1e6,
        count as f64 * 3.0 / seconds
    );
    Ok(())
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() -> Result<()> {
    let psk = Tls::psk();
    assert_eq!(psk.needs(), TlsNeeds::PSK);
    for (payload, total) in [(65_536, 2 << 30), (4096, 512 << 20), (200, 50 << 20)] {
        measure("clear", &Tls::clear(), payload, total)?;
        measure("psk", &psk, payload, total / 2)?;
    }
    Ok(())
}
