//! Who is active, as a standby without a catalog learns it: the others are asked.

use crate::cluster::{Role, Seat, other_active};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often, unless it is told to look at once.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Keeps the seat of a standby up to date.
pub(super) async fn run(seat: Seat, look: Arc<Notify>) {
    loop {
        if matches!(seat.role(), Role::Standby { .. }) {
            let holder = other_active(&seat).await;
            seat.saw_holder(holder.as_deref());
        }
        tokio::select! {
            () = look.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}
