//! What the daemon must not forget: small durable files beside the Volumes (docs/extensions.md §2, §6, §7).

mod directors;
mod home;
mod job_marks;
mod nonces;
mod session_time;
mod storage_places;
mod volume_state;

pub use directors::{DirectorKey, DirectorRegistry, RegisterError, Registration};
pub use home::Home;
pub use job_marks::JobMarks;
pub use nonces::Nonces;
pub use session_time::{next_session_time, next_session_time_on};
pub use storage_places::{NotServing, StoragePlaces};
pub use volume_state::{Owner, StateFileError, VolumeState};
pub use wire::verdict::LEASE_FOREVER_MS;
