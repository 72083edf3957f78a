//! What the operating system offers beyond the standard library, behind safe functions: file status and attributes
//! relative to open directories, extended attributes, special files, durable writes, identity of the process.
//!
//! This is the only crate in which `unsafe` is allowed. Errors are [`std::io::Error`]: the callers know what they were
//! doing to which file and say so.

mod config_loader;
mod dir;
mod durable;
pub mod failpoint;
mod fifo;
mod fnmatch;
mod fs_type;
mod identity;
mod node;
mod process;
mod sparse;
mod stat;
mod tape;
mod xattr;

pub use config_loader::{SystemLoader, split_command};
pub use dir::{DirFd, EntryBatch, open_root};
pub use durable::{durable_write, fsync_dir};
pub use fnmatch::{GlobFlags, glob_match};
pub use fs_type::fs_type_name;
pub use identity::{NameCache, group_id, run_as, user_id};
pub use node::{NodeKind, make_fifo, make_node};
pub use process::{
    cpu_time_ms, error_text, is_root, limit_malloc_arenas, raise_open_files, set_umask, trim_heap,
    wait_readable,
};
pub use sparse::{advise_done, advise_sequential, data_extents, has_nodump, next_data, next_hole};
pub use stat::{FileKind, FileStat, stat_at, stat_fd, stat_path};
pub use tape::{TapeFile, TapeOp, TapeState};
pub use xattr::{XattrTarget, XattrValue};
