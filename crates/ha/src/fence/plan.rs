//! What fencing an instance, or switching it on again, is going to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use conf::director::{FenceDevice, Instance};
use lead::fence::{Fencer, Power};

/// The plan, for the operator to see before anything is done. Values of options are not in it: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    instance: String,
    address: String,
    device: String,
    program: PathBuf,
    options: Vec<String>,
    timeout: Duration,
    retries: u32,
    longest: Duration,
    wanted: Power,
}

impl Plan {
    /// For an instance and its device.
    #[must_use]
    pub fn new(instance: &Instance, device: &FenceDevice, fencer: &Fencer, wanted: Power) -> Self {
        Self {
            instance: instance.name.clone(),
            address: instance.address.clone(),
            device: device.name.clone(),
            program: fencer.program().to_owned(),
            options: device.parameters().map(|(key, _)| key.to_owned()).collect(),
            timeout: device.timeout,
            retries: device.retries,
            longest: fencer.longest(),
            wanted,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Instance: {} at {}", self.instance, self.address)?;
        let options =
            if self.options.is_empty() { "without options".to_owned() } else { self.options.join(", ") };
        writeln!(f, "Device:   {}: {} ({options})", self.device, self.program.display())?;
        let wanted = self.wanted;
        writeln!(
            f,
            "Plan:     status; unless it is {wanted}: {wanted}, then status until that says {wanted}"
        )?;
        write!(
            f,
            "Bounds:   {} s a call, {} retries, {} s in all",
            self.timeout.as_secs(),
            self.retries,
            self.longest.as_secs()
        )
    }
}
