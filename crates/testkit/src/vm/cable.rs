//! Network cables: between two machines, or from machines to a hub.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};

/// One end, which a machine's network card has.
#[derive(Debug, Clone)]
pub struct Cable {
    /// UDP ports of loopback that packets come in at here, and there.
    here: u16,
    there: u16,
    /// Last byte of the hardware address.
    number: u8,
}

impl Cable {
    /// Both ends of one. Packets go in datagrams over loopback, so no rights are needed.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn pair() -> Result<(Self, Self)> {
        // Both at once, so that they differ. QEMU takes them a moment later.
        let (one, other) = (free_port()?, free_port()?);
        let (one, other) = (one.local_addr()?.port(), other.local_addr()?.port());
        Ok((Self { here: one, there: other, number: 1 }, Self { here: other, there: one, number: 2 }))
    }

    /// The name at QEMU of a machine's network card.
    pub(super) fn device(card: usize) -> String {
        format!("card{card}")
    }

    /// What QEMU is given.
    pub(super) fn arguments(&self, card: usize) -> [String; 4] {
        let Self { here, there, number } = self;
        let device = Self::device(card);
        [
            "-netdev".to_owned(),
            format!("socket,id=wire{card},udp=127.0.0.1:{there},localaddr=127.0.0.1:{here}"),
            "-device".to_owned(),
            format!("virtio-net-pci,id={device},netdev=wire{card},mac=52:54:00:00:{card:02x}:{number:02x}"),
        ]
    }
}

fn free_port() -> Result<UdpSocket> {
    UdpSocket::bind(("127.0.0.1", 0)).context("find a free UDP port of loopback")
}

/// A hub: what comes in from one machine goes out to all others. It ends when it is dropped.
#[derive(Debug)]
pub struct Hub {
    socket: Arc<UdpSocket>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// UDP ports of the machines.
    ports: Mutex<Vec<u16>>,
    is_over: AtomicBool,
}

/// More than any packet has: QEMU sends none in pieces.
const PACKET_MAX: usize = 1 << 16;

impl Hub {
    /// One without cables.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start() -> Result<Self> {
        let hub = Self { socket: Arc::new(free_port()?), shared: Arc::default() };
        let (socket, shared) = (Arc::clone(&hub.socket), Arc::clone(&hub.shared));
        thread::Builder::new().name("hub".to_owned()).spawn(move || {
            let mut packet = vec![0; PACKET_MAX];
            while !shared.is_over.load(Ordering::SeqCst) {
                // A machine that is off answers with an error, which is that of the next call.
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                let ports = shared.ports.lock().unwrap_or_else(PoisonError::into_inner).clone();
                for port in ports.into_iter().filter(|port| *port != from.port()) {
                    let _ = socket.send_to(&packet[..length], ("127.0.0.1", port));
                }
            }
        })?;
        Ok(hub)
    }

    /// A cable to one more machine.
    ///
    /// # Errors
    /// As above.
    pub fn cable(&self) -> Result<Cable> {
        let here = free_port()?.local_addr()?.port();
        let mut ports = self.shared.ports.lock().unwrap_or_else(PoisonError::into_inner);
        ports.push(here);
        Ok(Cable { here, there: self.socket.local_addr()?.port(), number: u8::try_from(ports.len())? })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread.
        let woken = self.socket.local_addr().and_then(|address| self.socket.send_to(&[], address));
        let _ = woken;
    }
}
