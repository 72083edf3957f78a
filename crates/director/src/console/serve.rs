//! A console's connection: packets in and out around a session.

use std::sync::Arc;
use std::time::Duration;

use net::{Conn, ConnReader, ConnWriter};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::frame::{Packet, Signal};

use crate::handle::Director;

use super::acl::Acl;
use super::core::Core;
use super::session::{Session, now};
use super::ua::{In, OUT_PACKETS_MAX, Out, Ua};

/// Commands that a console may send ahead of the answers.
const IN_PACKETS_MAX: usize = 64;
/// Packets collected before they are written.
const BATCH: usize = 64;
/// How long a console that has left may take to read what was said last.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves a console whose handshake is done, until it leaves.
///
/// `console` is the name of its Console resource; `None` for the Director's own console.
pub async fn serve(director: Director, conn: Conn, console: Option<String>) {
    let acl = match &console {
        None => Acl::unrestricted(),
        Some(name) => match director.config().console(name) {
            Some(resource) => Acl::of(resource.clone()),
            None => {
                // The handshake knew it; a reload has just taken it away.
                tracing::warn!(console = name, "the console is not in the configuration any more");
                return conn.terminate().await;
            }
        },
    };
    let address = conn.address();
    tracing::info!(%address, console = console.as_deref().unwrap_or("default"), "console connected");
    let (reader, writer, _) = conn.split();
    let (out, to_write) = mpsc::channel(OUT_PACKETS_MAX);
    let (from_read, input) = mpsc::channel(IN_PACKETS_MAX);
    let gone = CancellationToken::new();
    let writing = tokio::spawn(write(writer, to_write));
    let reading = tokio::spawn(read(reader, from_read, gone.clone().drop_guard()));
    session(director, out, input, acl, gone).await;
    reading.abort();
    if tokio::time::timeout(FAREWELL, writing).await.is_err() {
        tracing::debug!(%address, "console did not read its last answer");
    }
    tracing::info!(%address, "console left");
}

async fn session(
    director: Director,
    out: mpsc::Sender<Out>,
    input: mpsc::Receiver<In>,
    acl: Acl,
    gone: CancellationToken,
) {
    let messages = director.clone();
    let ua = Ua::new(out, input, Box::new(move || messages.messages().take_console())).until(gone);
    Session::new(ua, Arc::new(director), acl, now()).run().await;
}

/// Hands on what the console sends. Dropping `_gone` at the end tells a waiting command that nobody waits with it.
async fn read(mut reader: ConnReader, to: mpsc::Sender<In>, _gone: DropGuard) {
    loop {
        let next = match reader.recv().await {
            Ok(Packet::Data(line)) => {
                let text = String::from_utf8_lossy(&line);
                In::Line(text.trim_end_matches(['\0', '\n', '\r']).to_owned())
            }
            Ok(Packet::Signal(Signal::Terminate)) => return,
            Ok(Packet::Signal(signal)) => In::Signal(signal.number()),
            Err(error) => {
                tracing::debug!(%error, "console connection ended");
                return;
            }
        };
        if to.send(next).await.is_err() {
            return;
        }
    }
}

async fn write(mut writer: ConnWriter, mut from: mpsc::Receiver<Out>) {
    let mut batch = Vec::with_capacity(BATCH);
    while from.recv_many(&mut batch, BATCH).await > 0 {
        for out in batch.drain(..) {
            match out {
                Out::Text(text) => writer.queue(text),
                Out::Signal(signal) => writer.queue_signal(Signal::from_number(signal.code())),
            }
        }
        if writer.flush().await.is_err() {
            // Dropping the receiver tells the session that the console is gone.
            return;
        }
    }
    writer.terminate().await;
}

/// Runs one console command of a script and returns the lines it printed. Questions are answered with a period.
pub(crate) async fn run_line(director: &Director, line: &str) -> Vec<String> {
    let (out, mut sent) = mpsc::channel(OUT_PACKETS_MAX);
    let (_, input) = mpsc::channel(1);
    let core: Arc<dyn Core> = Arc::new(director.clone());
    let line = line.to_owned();
    let run = async move {
        let mut ua = Ua::new(out, input, Box::new(Vec::new));
        ua.gui = true;
        let mut session = Session::new(ua, core, Acl::unrestricted(), now());
        // Without a console nobody answers: a dialogue ends as if it had been left.
        let _ = session.line(&line).await;
    };
    let collect = async {
        let mut text = Vec::new();
        while let Some(out) = sent.recv().await {
            if let Out::Text(bytes) = out {
                text.extend(bytes);
            }
        }
        text
    };
    let ((), text) = tokio::join!(run, collect);
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}
