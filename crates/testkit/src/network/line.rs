//! A slow line between two halves of the switch: every frame is late, and now and then the line stands still.
//!
//! It is a repeater in this process, since not every kernel has `netem`: a thread for each direction reads frames from one
//! interface and sends them out of the other when they are due.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, socket,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Network, SWITCH, ip, run};
use crate::Rng;

/// The bridge of most hosts.
pub(super) const NEAR: &str = "near";
/// The bridge of those behind the line.
pub(super) const FAR: &str = "far";
/// More than the longest frame.
const FRAME_MAX: usize = 4096;
/// Frames under way in one direction; a queue that is full drops, as a router's does.
const QUEUE_MAX: usize = 20_000;
/// How soon a thread sees that it is to end.
const STOP_WITHIN: Duration = Duration::from_millis(50);
/// `PACKET_OUTGOING` of `packet(7)`: a frame that this socket's own interface has sent.
const SENT_BY_US: u8 = 4;

/// How slow a line is.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// How late each frame is, in each direction.
    pub delay: Duration,
    /// Of how many frames one makes the line stand still, on average.
    pub stall_one_in: u64,
    /// For how long; what comes behind waits with it.
    pub stall: Duration,
}

/// Its threads; they end when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    pub(super) fn start(network: &Network, line: Line) -> Result<Self> {
        let switch = network.namespace(SWITCH);
        for side in [NEAR, FAR] {
            let (port, end) = (format!("{side}-port"), format!("{side}-end"));
            ip(&["-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", &end])?;
            ip(&["-n", &switch, "link", "set", &port, "master", side, "up"])?;
            ip(&["-n", &switch, "link", "set", &end, "up"])?;
        }
        // A frame must be one of the wire: of its size, and with its checksum.
        for host in network.hosts.values() {
            let inside = format!("--net={}", host.file().display());
            let options = ["ethtool", "-K", "eth0", "tx", "off", "sg", "off", "tso", "off", "gso", "off"];
            run("nsenter", "util-linux", &[&[inside.as_str()], &options[..]].concat())
                .context("make an interface send plain frames; ethtool is in Debian's package ethtool")?;
        }
        let path = format!("{}/{switch}", super::NAMESPACES);
        let sockets = thread::spawn(move || open_both(&path)).join();
        let [near, far] = sockets.map_err(|_| anyhow::anyhow!("opening the ends of the line panicked"))??;
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for (seed, from, to) in [(1, &near, &far), (2, &far, &near)] {
            let way = Way { from: from.try_clone()?, to: to.try_clone()?, line, rng: Rng::new(seed) };
            let stop = Arc::clone(&stop);
            threads.push(thread::Builder::new().name("slow line".to_owned()).spawn(move || way.run(&stop))?);
        }
        Ok(Self { stop, threads })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of it was printed.
            let _ = thread.join();
        }
    }
}

/// Both ends of the line, in the namespace of the switch. For a thread of its own, which stays there.
fn open_both(switch: &str) -> Result<[OwnedFd; 2]> {
    let namespace = File::open(switch).with_context(|| format!("open {switch}"))?;
    setns(&namespace, CloneFlags::CLONE_NEWNET).context("enter the switch")?;
    Ok([open(&format!("{NEAR}-end"))?, open(&format!("{FAR}-end"))?])
}

fn open(interface: &str) -> Result<OwnedFd> {
    let all = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    )
    .context("open a packet socket")?;
    let link = |address: nix::ifaddrs::InterfaceAddress| {
        let is_it = address.interface_name == interface;
        address.address.filter(|_| is_it).and_then(|address| address.as_link_addr().copied())
    };
    let address: LinkAddr = nix::ifaddrs::getifaddrs()?
        .find_map(link)
        .with_context(|| format!("the switch has no interface {interface}"))?;
    bind(all.as_raw_fd(), &address).with_context(|| format!("bind to {interface}"))?;
    Ok(all)
}

/// One direction.
struct Way {
    from: OwnedFd,
    to: OwnedFd,
    line: Line,
    rng: Rng,
}

impl Way {
    fn run(mut self, stop: &AtomicBool) {
        let mut queue: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut last = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            while let Some((_, frame)) = queue.pop_front_if(|(due, _)| *due <= Instant::now()) {
                // A host that is unplugged gets nothing; the sender learns it as on any wire: not at all.
                let _ = send(self.to.as_raw_fd(), &frame, MsgFlags::empty());
            }
            let wait =
                queue.front().map_or(STOP_WITHIN, |(due, _)| due.saturating_duration_since(Instant::now()));
            if !self.is_readable(wait.min(STOP_WITHIN)) {
                continue;
            }
            while let Some(frame) = self.receive() {
                if queue.len() < QUEUE_MAX {
                    last = last.max(Instant::now() + self.line.delay);
                    if self.rng.below(self.line.stall_one_in) == 1 {
                        last += self.line.stall;
                    }
                    queue.push_back((last, frame));
                }
            }
        }
    }

    fn is_readable(&self, wait: Duration) -> bool {
        let bound = Timespec::try_from(wait).ok();
        let mut ready = [PollFd::new(&self.from, PollFlags::IN)];
        matches!(poll(&mut ready, bound.as_ref()), Ok(1))
    }

    /// The next frame that came in; none when there is none now.
    fn receive(&self) -> Option<Vec<u8>> {
        let mut frame = vec![0; FRAME_MAX];
        loop {
            match recvfrom::<LinkAddr>(self.from.as_raw_fd(), &mut frame) {
                Ok((_, Some(address))) if address.pkttype() == SENT_BY_US => {}
                Ok((length, _)) => {
                    frame.truncate(length);
                    return Some(frame);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return None,
            }
        }
    }
}
