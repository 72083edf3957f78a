//! The power switch of the nodes: a Unix socket outside of all of them, as a management network is.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};

use super::node::Node;

/// How long a machine is off in a `reboot`.
const OFF_FOR: Duration = Duration::from_millis(500);

/// A node was switched off.
#[derive(Debug, Clone)]
pub struct Off {
    /// When nothing of it ran any more.
    pub at: Instant,
    /// The same, as logs tell the time.
    pub wall: SystemTime,
    /// Which node.
    pub node: String,
    /// By a fence agent, which may have found it off.
    pub fenced: bool,
}

/// The nodes, as switch and test share them.
#[derive(Debug, Default)]
pub(super) struct Power {
    nodes: Mutex<BTreeMap<String, Node>>,
    offs: Mutex<Vec<Off>>,
    /// Nobody reaches the switch.
    is_cut_off: AtomicBool,
    /// The test is over.
    is_over: AtomicBool,
}

impl Power {
    pub(super) fn nodes(&self) -> MutexGuard<'_, BTreeMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offs(&self) -> MutexGuard<'_, Vec<Off>> {
        self.offs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches a node off, if it is on.
    pub(super) fn switch_off(&self, name: &str, fenced: bool) -> Result<()> {
        self.with(name, Node::switch_off)?;
        let off = Off { at: Instant::now(), wall: SystemTime::now(), node: name.to_owned(), fenced };
        self.offs().push(off);
        Ok(())
    }

    pub(super) fn cut_off(&self, is_cut_off: bool) {
        self.is_cut_off.store(is_cut_off, Ordering::SeqCst);
    }

    /// Does something with one node.
    pub(super) fn with<T>(&self, name: &str, work: impl FnOnce(&mut Node) -> Result<T>) -> Result<T> {
        work(self.nodes().get_mut(name).with_context(|| format!("there is no node {name}"))?)
    }

    /// Serves fence agents in a thread of its own, which ends with [`Self::end`].
    pub(super) fn serve(self: &Arc<Self>, socket: &Path) -> Result<()> {
        let listener = UnixListener::bind(socket).with_context(|| format!("open {}", socket.display()))?;
        let power = Arc::clone(self);
        thread::Builder::new().name("power switch".to_owned()).spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if power.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let power = Arc::clone(&power);
                thread::spawn(move || power.answer(stream));
            }
        })?;
        Ok(())
    }

    /// Everything is off, and stays so.
    pub(super) fn end(&self, socket: &Path) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(socket); // wakes the thread
        for node in self.nodes().values_mut() {
            // What does not end here ends with this process.
            let _ = node.switch_off();
        }
    }

    fn answer(&self, mut stream: UnixStream) {
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_err() {
            return;
        }
        if self.is_cut_off.load(Ordering::SeqCst) || self.is_over.load(Ordering::SeqCst) {
            return; // a connection that breaks
        }
        let (action, node) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let said = self.act(action, node).unwrap_or_else(|error| format!("failed: {error:#}"));
        let _ = stream.write_all(format!("{said}\n").as_bytes());
        drop(stream);
        if action == "reboot" && said == "ok" {
            // No event: a machine takes its time, and so the cluster sees that it was off.
            thread::sleep(OFF_FOR);
            if !self.is_over.load(Ordering::SeqCst) {
                let _ = self.with(node, Node::switch_on);
            }
        }
    }

    fn act(&self, action: &str, node: &str) -> Result<String> {
        match action {
            "off" | "reboot" => {
                self.switch_off(node, true)?;
                Ok("ok".to_owned())
            }
            "on" => self.with(node, Node::switch_on).map(|()| "ok".to_owned()),
            "status" => self.with(node, |node| Ok(if node.is_on() { "ok on" } else { "off" }.to_owned())),
            _ => Ok("ok".to_owned()),
        }
    }
}
