//! How much room the Devices have, for a Director that chooses among Storages by it (docs/extensions.md §12).

use std::os::unix::fs::MetadataExt;

use wire::msg::holdfast::DeviceSpace;

use super::Daemon;
use super::reserving::is_served;
use crate::device::Device;

/// Free and total bytes of a device's file system; `None` for tapes, and where the file system cannot be asked.
pub(super) fn bytes(device: &Device) -> Option<(u64, u64)> {
    if device.kind.is_tape() {
        return None;
    }
    let found = rustix::fs::statvfs(device.directory()).ok()?;
    Some((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}

/// The Devices that may be written to and know their space.
pub(super) fn of_devices(daemon: &Daemon) -> Vec<DeviceSpace> {
    daemon.devices.iter().filter_map(|device| of_device(daemon, device)).collect()
}

fn of_device(daemon: &Daemon, device: &Device) -> Option<DeviceSpace> {
    let is_writable = device.state().is_enabled && !device.config.read_only && is_served(device);
    let (free_bytes, _) = bytes(device).filter(|_| is_writable)?;
    Some(DeviceSpace {
        device: device.name().to_owned(),
        changer: device.changer.map(|place| daemon.changers[place].name.clone()).unwrap_or_default(),
        filesystem: std::fs::metadata(device.directory()).ok()?.dev(),
        free_bytes,
    })
}
