//! One console's session, connected to whichever instance is active.

use super::commands::{self, Own};
use super::leg::{FromLeg, Leg, line};
use super::receive::Incoming;
use super::seat::{Role, Seat};
use crate::console::Acl;
use net::{Conn, ConnReader, ConnWriter};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wire::frame::{Packet, Signal};

/// Packets waiting each way.
const PACKETS_MAX: usize = 64;
/// Packets collected before they are written.
const BATCH: usize = 64;
/// How long a console that has left may take to read what was said last.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a command waits for an instance to become active.
const ACTIVE_LIMIT: Duration = Duration::from_secs(60);
/// How often an instance that is active by all accounts but did not let the console in is tried again.
const TRY_EVERY: Duration = Duration::from_millis(250);

const CMD_FAILED: i32 = -14;
const CMD_OK: i32 = -15;
const CMD_BEGIN: i32 = -16;
const MAIN_PROMPT: i32 = -18;

/// Serves a console whose handshake is done, until it leaves.
///
/// `console` is the name of its Console resource; `None` for the Director's own console.
pub(crate) async fn serve(seat: Seat, conn: Conn, console: Option<String>) {
    let address = conn.address();
    tracing::info!(%address, console = console.as_deref().unwrap_or("default"), "console connected");
    let (reader, writer, _) = conn.split();
    let (out, to_write) = mpsc::channel(PACKETS_MAX);
    let (from_read, input) = mpsc::channel(PACKETS_MAX);
    let polite = Arc::new(AtomicBool::new(true));
    let writing = tokio::spawn(write(writer, to_write, Arc::clone(&polite)));
    let reading = AbortOnDropHandle::new(tokio::spawn(read(reader, from_read)));
    let last = out.clone();
    let board = Switchboard {
        seat,
        console,
        out,
        input,
        leg: None,
        api: 0,
        settings: Vec::new(),
        command: None,
        count: 0,
        session: uuid::Uuid::new_v4().simple().to_string(),
        relayed: false,
        incoming: Incoming::default(),
    };
    let over = board.run().await;
    // Without a goodbye, the instance that relays takes the end for what it is.
    polite.store(matches!(over, Over::Left), Ordering::Release);
    // With the last sender gone, the writer ends when everything is written.
    drop(last);
    drop(reading);
    if tokio::time::timeout(FAREWELL, writing).await.is_err() {
        tracing::debug!(%address, "console did not read its last answer");
    }
    tracing::info!(%address, "console left");
}

async fn read(mut reader: ConnReader, to: mpsc::Sender<Packet>) {
    loop {
        match reader.recv().await {
            Ok(Packet::Signal(Signal::Terminate)) => return,
            Ok(packet) => {
                if to.send(packet).await.is_err() {
                    return;
                }
            }
            Err(error) => return tracing::debug!(%error, "console connection ended"),
        }
    }
}

async fn write(mut writer: ConnWriter, mut from: mpsc::Receiver<Packet>, polite: Arc<AtomicBool>) {
    let mut batch = Vec::with_capacity(BATCH);
    while from.recv_many(&mut batch, BATCH).await > 0 {
        for packet in batch.drain(..) {
            match packet {
                Packet::Data(data) => writer.queue(data),
                Packet::Signal(signal) => writer.queue_signal(signal),
            }
        }
        if writer.flush().await.is_err() {
            // Dropping the receiver tells the session that the console is gone.
            return;
        }
    }
    if polite.load(Ordering::Acquire) {
        writer.terminate().await;
    }
}

/// How a session ended.
enum Over {
    Left,
    /// A relayed session whose instance is not active any more.
    Lost,
}

struct Switchboard {
    seat: Seat,
    console: Option<String>,
    out: mpsc::Sender<Packet>,
    input: mpsc::Receiver<Packet>,
    leg: Option<Leg>,
    /// As the console set it with `.api`.
    api: u8,
    /// Lines that set up a session, to be said again to the next Director.
    settings: Vec<String>,
    /// The command that has no end yet.
    command: Option<String>,
    /// Commands passed on so far.
    count: u64,
    /// Names this session among all.
    session: String,
    /// Another instance relays it to this one: it is not relayed on.
    relayed: bool,
    /// What another instance brings of its configuration.
    incoming: Incoming,
}

impl Switchboard {
    async fn run(mut self) -> Over {
        loop {
            let event = match &mut self.leg {
                Some(leg) => tokio::select! {
                    biased;
                    from = leg.next() => Event::Leg(from),
                    packet = self.input.recv() => Event::Console(packet),
                },
                None => Event::Console(self.input.recv().await),
            };
            let over = match event {
                Event::Console(Some(Packet::Data(data))) => {
                    let text = String::from_utf8_lossy(&data);
                    let text = text.trim_end_matches(['\0', '\n', '\r']).to_owned();
                    self.line(text, Packet::Data(data)).await
                }
                Event::Console(Some(packet @ Packet::Signal(_))) => self.signal(packet).await,
                Event::Console(None) => return self.hang_up().await,
                Event::Leg(FromLeg::Packet(packet)) => self.answer(packet).await,
                Event::Leg(FromLeg::Left) => Some(Over::Left),
                Event::Leg(FromLeg::Lost) => self.lost().await,
            };
            if let Some(over) = over {
                return over;
            }
        }
    }

    /// The console has left: its last command goes on to its end.
    async fn hang_up(mut self) -> Over {
        if let Some(mut leg) = self.leg.take() {
            leg.hang_up();
            while let FromLeg::Packet(packet) = leg.next().await {
                // The connection may still be read to its end.
                let _ = self.out.send(packet).await;
            }
        }
        Over::Left
    }

    async fn signal(&mut self, packet: Packet) -> Option<Over> {
        match &self.leg {
            Some(leg) => leg.send(packet).await,
            None => self.put(Packet::Signal(Signal::Poll)).await,
        }
        None
    }

    async fn line(&mut self, text: String, packet: Packet) -> Option<Over> {
        if self.command.is_some() {
            // An answer to a question, or typed ahead.
            if let Some(leg) = &self.leg {
                leg.send(packet).await;
            }
            return None;
        }
        if let Some(own) = commands::own(&text, matches!(self.seat.role(), Role::Active(_)))
            && self.acl().is_some_and(|acl| acl.allows_command(own.word()))
            && (self.console.is_none() || !matches!(own, Own::Config(_)))
        {
            self.answer_own(own).await;
            return None;
        }
        if self.leg.is_none() && matches!(text.trim(), "quit" | "exit" | ".quit" | ".exit") {
            // No Director is needed to leave.
            return Some(Over::Left);
        }
        if text.starts_with(".session ") && text.contains(" relayed=") {
            self.relayed = true;
        }
        if let Err(why) = self.connect().await {
            if self.relayed {
                return Some(Over::Lost);
            }
            self.say(&format!("{why}\n")).await;
            self.end(false).await;
            return None;
        }
        self.note(&text);
        self.count += 1;
        self.command = Some(text);
        if let Some(leg) = &self.leg {
            leg.send(packet).await;
        }
        None
    }

    /// Keeps what the next Director has to be told again.
    fn note(&mut self, text: &str) {
        let word = text.split_whitespace().next().unwrap_or_default();
        if word == ".api" {
            self.api = text.split_whitespace().nth(1).map_or(1, |mode| mode.parse().unwrap_or(1));
        }
        if matches!(word, ".api" | "gui" | "autodisplay" | "automount") {
            self.settings.retain(|line| line.split_whitespace().next() != Some(word));
            self.settings.push(text.to_owned());
        }
    }

    /// Makes sure that there is a way to the active Director.
    async fn connect(&mut self) -> Result<(), String> {
        if self.leg.is_some() {
            return Ok(());
        }
        let mut role = self.seat.watch();
        let limit = Instant::now() + ACTIVE_LIMIT;
        let mut problem = None;
        loop {
            let now = role.borrow_and_update().clone();
            match self.reach(now).await {
                Ok(Some(leg)) => {
                    let instance = leg.instance.clone();
                    self.leg = Some(leg);
                    self.introduce().await;
                    if self.leg.is_some() {
                        return Ok(());
                    }
                    problem = Some(format!("instance {instance} is not active after all"));
                }
                Ok(None) => {}
                Err(why) => problem = Some(why),
            }
            if self.relayed || Instant::now() >= limit {
                break;
            }
            tokio::select! {
                _ = role.changed() => {}
                () = tokio::time::sleep(TRY_EVERY) => {}
            }
        }
        let why = problem.map(|problem| format!(" ({problem})")).unwrap_or_default();
        Err(format!(
            "No instance of Director \"{}\" is active{why}. \"status cluster\" shows what is there; the command was not run.",
            self.seat.config().director.name
        ))
    }

    async fn reach(&self, role: Role) -> Result<Option<Leg>, String> {
        match role {
            Role::Active(director) => {
                let acl = self.acl().ok_or("this console is not in the configuration any more")?;
                Ok(Some(Leg::local(self.seat.instance(), director, acl)))
            }
            Role::Standby { holder: Some(holder) } if !self.relayed && holder != self.seat.instance() => {
                let peers = self.seat.peers();
                let Some(peer) = peers.iter().find(|peer| peer.name == holder) else {
                    return Err(format!("instance {holder}, which is active, has no Instance resource here"));
                };
                Leg::remote(&self.seat, peer, self.console.as_deref()).await.map(Some)
            }
            Role::Standby { .. } => Ok(None),
        }
    }

    fn acl(&self) -> Option<Acl> {
        match &self.console {
            None => Some(Acl::unrestricted()),
            Some(name) => self.seat.config().console(name).map(|console| Acl::of(console.clone())),
        }
    }

    /// Tells a new Director which session this is and how it is set up. Nothing of its answers is for the console.
    async fn introduce(&mut self) {
        // Settings first: the count is of the lines that come behind it.
        let mut lines = self.settings.clone();
        if self.seat.is_clustered() && !self.relayed {
            let relayed = match self.leg.as_ref().map(|leg| leg.instance.as_str()) {
                Some(instance) if instance != self.seat.instance() => {
                    format!(" relayed={}", self.seat.instance())
                }
                Some(_) | None => String::new(),
            };
            lines.push(format!(".session id={} count={}{relayed}", self.session, self.count));
        }
        for text in lines {
            self.ask(&text).await;
        }
    }

    /// Sends a line of its own and returns the text of the answer.
    async fn ask(&mut self, text: &str) -> String {
        let mut said = String::new();
        let Some(leg) = &mut self.leg else { return said };
        leg.send(line(format!("{text}\n"))).await;
        loop {
            match leg.next().await {
                FromLeg::Packet(Packet::Data(data)) => said.push_str(&String::from_utf8_lossy(&data)),
                FromLeg::Packet(Packet::Signal(signal)) => {
                    if matches!(signal, Signal::Eod) || matches!(signal.number(), CMD_OK | CMD_FAILED) {
                        return said;
                    }
                }
                FromLeg::Left | FromLeg::Lost => {
                    self.leg = None;
                    return said;
                }
            }
        }
    }

    async fn answer(&mut self, packet: Packet) -> Option<Over> {
        if let Packet::Signal(signal) = packet
            && (matches!(signal, Signal::Eod) || matches!(signal.number(), CMD_OK | CMD_FAILED))
        {
            self.command = None;
        }
        self.put(packet).await;
        None
    }

    /// The Director at the other end is not active any more. A command that had no end yet is looked up at the next one.
    async fn lost(&mut self) -> Option<Over> {
        let old = self.leg.take();
        if self.relayed {
            return Some(Over::Lost);
        }
        let command = self.command.take()?;
        let old = old.map(|leg| leg.instance).unwrap_or_default();
        self.say(&format!("\nInstance {old} is not active any more; waiting for the next one.\n")).await;
        match self.connect().await {
            Ok(()) => {
                let now = self.leg.as_ref().map(|leg| leg.instance.clone()).unwrap_or_default();
                let state =
                    self.ask(&format!(".session last id={} count={}", self.session, self.count)).await;
                self.say(&format!("Instance {now} is active. {}\n", outcome(&command, state.trim()))).await;
            }
            Err(why) => self.say(&format!("{why}\n")).await,
        }
        self.end(false).await;
        None
    }

    async fn answer_own(&mut self, own: Own) {
        if self.api != 0 {
            self.put(Packet::Signal(Signal::from_number(CMD_BEGIN))).await;
        }
        let (text, ok) = match own {
            Own::Config(words) => commands::told_json(&self.incoming.answer(&self.seat, &words).await),
            own => commands::run(&self.seat, own).await,
        };
        self.say(&text).await;
        self.end(ok).await;
    }

    async fn end(&self, ok: bool) {
        let end = match (self.api, ok) {
            (0, _) => return self.put(Packet::Signal(Signal::Eod)).await,
            (_, true) => CMD_OK,
            (_, false) => CMD_FAILED,
        };
        self.put(Packet::Signal(Signal::from_number(end))).await;
        self.put(Packet::Signal(Signal::from_number(MAIN_PROMPT))).await;
    }

    async fn say(&self, text: &str) {
        if !text.is_empty() {
            self.put(line(text)).await;
        }
    }

    async fn put(&self, packet: Packet) {
        // A console that has gone shows at the next read.
        let _ = self.out.send(packet).await;
    }
}

enum Event {
    Console(Option<Packet>),
    Leg(FromLeg),
}

/// What became of a command whose Director went away in its midst; `state` is what the catalog holds of it.
fn outcome(command: &str, state: &str) -> String {
    match state {
        "done" => format!("Your last command took effect: {command}"),
        "begun" => format!(
            "Your last command had begun and may have taken effect in part; look before you repeat it: {command}"
        ),
        "none" => format!("Your last command changed nothing; repeat it if you still want it: {command}"),
        _ => format!(
            "Whether your last command took effect is not known; look before you repeat it: {command}"
        ),
    }
}
