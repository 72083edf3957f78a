//! Where job and daemon messages go (spec/04 §9).

use std::sync::Mutex;
use tokio::sync::Notify;

/// Routes messages to their destinations and keeps those for the console until a session takes them.
#[derive(Default)]
pub struct MessageCenter {
    console: Mutex<Vec<String>>,
    arrived: Notify,
}

impl MessageCenter {
    /// Whether messages for the console wait (`You have messages.`).
    #[must_use]
    pub fn console_pending(&self) -> bool {
        !self.console.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    /// Takes all messages that wait for the console, oldest first; each ends in a line feed.
    #[must_use]
    pub fn take_console(&self) -> Vec<String> {
        std::mem::take(&mut *self.console.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Returns when a message for the console arrives after the call. Cancel safe.
    pub async fn console_arrived(&self) {
        self.arrived.notified().await;
    }
}
