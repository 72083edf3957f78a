//! Jobs: their state machine, the queue, and the registry of those that live.

mod registry;
mod view;

pub use view::{JobView, WaitReason};

pub(crate) use registry::Registry;
