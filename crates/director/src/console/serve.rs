//! A session of the Director's console over packets.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use wire::frame::{Packet, Signal};

use crate::handle::Director;

use super::acl::Acl;
use super::core::Core;
use super::session::{Session, now};
use super::ua::{In, OUT_PACKETS_MAX, Out, Ua};

/// Commands that a console may send ahead of the answers.
const IN_PACKETS_MAX: usize = 64;

/// Serves commands until the console leaves, by `quit` or by dropping its sender.
pub(crate) async fn session(
    director: Director,
    acl: Acl,
    input: mpsc::Receiver<Packet>,
    output: mpsc::Sender<Packet>,
) {
    let (out, to_write) = mpsc::channel(OUT_PACKETS_MAX);
    let (from_read, lines) = mpsc::channel(IN_PACKETS_MAX);
    let gone = CancellationToken::new();
    let reading = read(input, from_read, gone.clone().drop_guard());
    let _reading = AbortOnDropHandle::new(tokio::spawn(reading));
    let messages = director.clone();
    let ua = Ua::new(out, lines, Box::new(move || messages.messages().take_console())).until(gone);
    tokio::join!(Session::new(ua, Arc::new(director), acl, now()).run(), write(to_write, output));
}

/// Hands on what the console sends. Dropping `_gone` at the end tells a waiting command that nobody waits with it.
async fn read(mut from: mpsc::Receiver<Packet>, to: mpsc::Sender<In>, _gone: DropGuard) {
    while let Some(packet) = from.recv().await {
        let next = match packet {
            Packet::Data(line) => {
                let text = String::from_utf8_lossy(&line);
                In::Line(text.trim_end_matches(['\0', '\n', '\r']).to_owned())
            }
            Packet::Signal(signal) => In::Signal(signal.number()),
        };
        if to.send(next).await.is_err() {
            return;
        }
    }
}

/// Dropping `from` when the console takes nothing more tells the session that it is gone.
async fn write(mut from: mpsc::Receiver<Out>, to: mpsc::Sender<Packet>) {
    while let Some(out) = from.recv().await {
        let packet = match out {
            Out::Text(text) => Packet::Data(text.into()),
            Out::Signal(signal) => Packet::Signal(Signal::from_number(signal.code())),
        };
        if to.send(packet).await.is_err() {
            return;
        }
    }
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
