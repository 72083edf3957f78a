//! A network cable between two machines.

use std::net::UdpSocket;

use anyhow::Result;

/// One end.
#[derive(Debug, Clone)]
pub struct Cable {
    /// UDP ports of loopback that packets come in at here, and there.
    here: u16,
    there: u16,
    /// Last byte of the hardware address.
    number: u8,
}

impl Cable {
    /// Name of the network card at QEMU.
    pub(super) const DEVICE: &str = "card0";

    /// Both ends of one. Packets go in datagrams over loopback, so no rights are needed.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn pair() -> Result<(Self, Self)> {
        // Both at once, so that they differ. QEMU takes them a moment later.
        let (one, other) = (UdpSocket::bind(("127.0.0.1", 0))?, UdpSocket::bind(("127.0.0.1", 0))?);
        let (one, other) = (one.local_addr()?.port(), other.local_addr()?.port());
        Ok((Self { here: one, there: other, number: 1 }, Self { here: other, there: one, number: 2 }))
    }

    /// What QEMU is given.
    pub(super) fn arguments(&self) -> [String; 4] {
        let Self { here, there, number } = self;
        [
            "-netdev".to_owned(),
            format!("socket,id=wire0,udp=127.0.0.1:{there},localaddr=127.0.0.1:{here}"),
            "-device".to_owned(),
            format!("virtio-net-pci,id={},netdev=wire0,mac=52:54:00:00:00:{number:02x}", Self::DEVICE),
        ]
    }
}
