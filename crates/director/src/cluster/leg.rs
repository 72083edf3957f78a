//! The way from a console to the Director that is active: a session in this process, or a connection to another instance.

use super::seat::{Role, Seat};
use crate::console::{self, Acl};
use crate::handle::Director;
use crate::peer::{chain, tls};
use bytes::Bytes;
use conf::director::Instance;
use net::{ConnReader, ConnWriter, Session, Target};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::{DEFAULT_CONSOLE, Hello};
use wire::version::ConsoleVersion;

/// Packets in flight each way; a slow console holds its Director's session back, nothing else.
const PACKETS_MAX: usize = 256;
/// How long another instance may take to let a console in.
const REACH_LIMIT: Duration = Duration::from_secs(3);
/// How long an instance that is followed may take for its last answer: the one to `cluster switchover` comes when the other one is active.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// A way to a Director. Dropping it ends the session there.
pub(crate) struct Leg {
    /// Instance at its end.
    pub(crate) instance: String,
    to: Option<mpsc::Sender<Packet>>,
    from: mpsc::Receiver<Packet>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

/// What comes out of a leg.
#[derive(Debug)]
pub(crate) enum FromLeg {
    /// For the console.
    Packet(Packet),
    /// The Director has ended the session (`quit`).
    Left,
    /// The Director is not active any more, or cannot be reached.
    Lost,
}

impl Leg {
    /// A session of the Director in this process.
    pub(crate) fn local(instance: &str, director: Director, acl: Acl) -> Self {
        let (to, input) = mpsc::channel(PACKETS_MAX);
        let (output, from) = mpsc::channel(PACKETS_MAX);
        let task = tokio::spawn(run_local(director, acl, input, output));
        Self { instance: instance.to_owned(), to: Some(to), from, _tasks: vec![AbortOnDropHandle::new(task)] }
    }

    /// A connection to the active Director on another instance, as the very console that called here.
    ///
    /// # Errors
    /// Why it cannot be had, in one line.
    pub(crate) async fn remote(seat: &Seat, peer: &Instance, console: Option<&str>) -> Result<Self, String> {
        let (reader, writer) = open(seat, peer, console).await?;
        let (to, input) = mpsc::channel(PACKETS_MAX);
        let (output, from) = mpsc::channel(PACKETS_MAX);
        let over = superseded(seat.watch(), peer.name.clone());
        let tasks = [tokio::spawn(send(writer, input)), tokio::spawn(receive(reader, output, over))];
        let tasks = tasks.into_iter().map(AbortOnDropHandle::new).collect();
        Ok(Self { instance: peer.name.clone(), to: Some(to), from, _tasks: tasks })
    }

    /// Passes a packet on. A leg that is lost says so at the next [`Leg::next`].
    pub(crate) async fn send(&self, packet: Packet) {
        if let Some(to) = &self.to {
            // The receiver is gone when the leg is lost.
            let _ = to.send(packet).await;
        }
    }

    /// The console has left: the Director's session finishes its command and ends.
    pub(crate) fn hang_up(&mut self) {
        self.to = None;
    }

    /// The next packet for the console, or the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> FromLeg {
        match self.from.recv().await {
            Some(Packet::Signal(Signal::Terminate)) => FromLeg::Left,
            Some(packet) => FromLeg::Packet(packet),
            None => FromLeg::Lost,
        }
    }
}

/// The local session ends with TERMINATE when the console left, with nothing when the Director lost its role.
async fn run_local(
    director: Director,
    acl: Acl,
    input: mpsc::Receiver<Packet>,
    output: mpsc::Sender<Packet>,
) {
    let guard = director.guard();
    tokio::select! {
        biased;
        why = guard.lost() => tracing::debug!(%why, "a console session ends with the role"),
        () = console::session(director, acl, input, output.clone()) => {
            let _ = output.send(Packet::Signal(Signal::Terminate)).await;
        }
    }
}

async fn send(mut writer: ConnWriter, mut from: mpsc::Receiver<Packet>) {
    while let Some(packet) = from.recv().await {
        match packet {
            Packet::Data(data) => writer.queue(data),
            Packet::Signal(signal) => writer.queue_signal(signal),
        }
        if from.is_empty() && writer.flush().await.is_err() {
            return;
        }
    }
    writer.terminate().await;
}

async fn receive(mut reader: ConnReader, to: mpsc::Sender<Packet>, over: impl Future<Output = ()>) {
    tokio::pin!(over);
    loop {
        let packet = tokio::select! {
            biased;
            packet = reader.recv() => packet,
            () = &mut over => return tracing::debug!("the way to a former active instance is given up"),
        };
        match packet {
            Ok(packet) => {
                let ended = packet == Packet::Signal(Signal::Terminate);
                if to.send(packet).await.is_err() || ended {
                    return;
                }
            }
            Err(error) => return tracing::debug!(%error, "the way to the active instance broke"),
        }
    }
}

/// Ends when another instance than `name` has been active for [`LAST_ANSWER`]: one whose power was cut never ends a connection by itself.
async fn superseded(mut role: watch::Receiver<Role>, name: String) {
    let is_over = |role: &Role| match role {
        Role::Active(_) => true,
        Role::Standby { holder } => holder.as_ref().is_some_and(|holder| *holder != name),
    };
    if role.wait_for(is_over).await.is_err() {
        // This process ends, and the connection with it.
        std::future::pending::<()>().await;
    }
    // No event tells whether there is anybody left to answer.
    tokio::time::sleep(LAST_ANSWER).await;
}

/// Connects to another instance as a console of the configuration that both have.
///
/// # Errors
/// As [`Leg::remote`].
pub(super) async fn open(
    seat: &Seat,
    peer: &Instance,
    console: Option<&str>,
) -> Result<(ConnReader, ConnWriter), String> {
    let config = seat.config();
    let (password, tls_of) = match console {
        None => (&config.director.password, &config.director.tls),
        Some(name) => {
            let console = config
                .console(name)
                .ok_or_else(|| format!("Console \"{name}\" is not configured any more"))?;
            (&console.password, &console.tls)
        }
    };
    let (tls, _) = tls(tls_of, "Instance", &peer.address).map_err(|error| chain(&error))?;
    let name = console.unwrap_or(DEFAULT_CONSOLE);
    let session = Session::new(name, Secret::from_configured(password), tls).for_host(&peer.address);
    let target = Target::new(peer.address.as_str(), peer.dir_port).retrying(REACH_LIMIT, Duration::ZERO);
    let hello = Hello::Console { name: name.to_owned(), version: ConsoleVersion::CURRENT };
    let reach = async {
        let stream = net::connect(&target).await?;
        net::open(stream, hello, &session).await
    };
    match tokio::time::timeout(REACH_LIMIT, reach).await {
        Ok(Ok(conn)) => {
            let (reader, writer, _) = conn.split();
            Ok((reader, writer))
        }
        Ok(Err(error)) => {
            Err(format!("instance {} at {}:{}: {}", peer.name, peer.address, peer.dir_port, chain(&error)))
        }
        Err(_) => Err(format!(
            "instance {} at {}:{} does not answer within {} s",
            peer.name,
            peer.address,
            peer.dir_port,
            REACH_LIMIT.as_secs()
        )),
    }
}

/// A line as a packet.
pub(super) fn line(text: impl Into<String>) -> Packet {
    Packet::Data(Bytes::from(text.into()))
}
