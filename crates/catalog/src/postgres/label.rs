//! Names of sessions: who takes over ends those of the instance before (DESIGN §4).

use std::sync::{Mutex, PoisonError};
use types::Epoch;

/// The server cuts longer names.
const NAME_MAX: usize = 63;

/// The name of the sessions of an instance in an epoch: `holdfast/<director>/<instance>/<epoch>`. Where that would be cut, or
/// is not plain text, a digest stands for Director and instance.
#[must_use]
pub fn application_name(director: &str, instance: &str, epoch: Epoch) -> String {
    let name = format!("holdfast/{director}/{instance}/{epoch}");
    if name.len() <= NAME_MAX && name.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return name;
    }
    // FNV-1a, 64 bits: it must only be the same on all instances.
    let digest = format!("{director}\0{instance}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("holdfast/{digest:016x}/{epoch}")
}

/// The present name, and a number that changes with it.
pub(super) struct Label {
    director: String,
    instance: String,
    current: Mutex<(String, u64)>,
}

impl Label {
    pub(super) fn new(director: &str, instance: &str) -> Self {
        let name = application_name(director, instance, Epoch(0));
        Self { director: director.to_owned(), instance: instance.to_owned(), current: Mutex::new((name, 0)) }
    }

    pub(super) fn director(&self) -> &str {
        &self.director
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn current(&self) -> (String, u64) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The name, when it is another than that with the number `known`.
    pub(super) fn newer_than(&self, known: u64) -> Option<(String, u64)> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (current.1 != known).then(|| current.clone())
    }

    pub(super) fn activated(&self, holder: &str, epoch: Epoch) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = (application_name(&self.director, holder, epoch), current.1 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_tell_instances_apart() {
        assert_eq!(application_name("dc1-dir", "a", Epoch(7)), format!("holdfast/dc1-dir/a/{}", Epoch(7)));
        let long = "d".repeat(100);
        let (a, b) = (application_name(&long, "a", Epoch(7)), application_name(&long, "b", Epoch(7)));
        assert!(a.len() <= NAME_MAX && a != b, "{a} {b}");
        assert_ne!(a, application_name(&long, "a", Epoch(8)));
        assert!(application_name("dür", "a", Epoch(1)).is_ascii());
    }
}
