//! What a seed draws: the catalog, the jobs, the commands, the faults and the events at which they strike.

use testkit::Rng;
use testkit::site::Role;

/// Jobs, each with a tree of its own.
pub(super) const JOBS: [&str; 3] = ["One", "Two", "Three"];
pub(super) const INSTANCES: [&str; 2] = ["a", "b"];

/// Places where a Director ends.
pub(super) const DIRECTOR_PLACES: [&str; 10] = [
    "director-journal-uncommitted",
    "director-journal-committed",
    "director-volume-decided",
    "director-end-uncommitted",
    "director-end-committed",
    "director-activated",
    "director-console-uncommitted",
    "director-label-decided",
    "director-relabel-decided",
    "director-relabel-answered",
];
/// Places where a Storage Daemon ends.
pub(super) const STORAGE_PLACES: [&str; 7] = [
    "storage-volume-written",
    "storage-volume-synced",
    "storage-volume-left",
    "storage-session-written",
    "storage-end-unrecorded",
    "storage-label-truncated",
    "storage-label-written",
];

/// Where the catalog is, and with it who decides which instance is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Catalog {
    /// A file; the lock of the host.
    File,
    /// A server, which can be away; the lease.
    Server,
    /// A server with a synchronous replica, to which it fails over; the lease.
    Pair,
}

/// What can stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Instance(&'static str),
    Daemon(Role),
}

/// A command that the active instance has decided and not sent when it is frozen; it is followed, and woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Label,
    Relabel,
    Truncate,
    /// Nothing is sent; its transaction is open.
    Purge,
}

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    KillInstance(&'static str),
    KillBoth,
    /// Until all is healed.
    Freeze(Who),
    Switchover,
    Demote,
    Kill(Role),
    /// A daemon ends when it comes there.
    Place(&'static str),
    /// The Storage Daemon has not heard of the next epoch when the frozen instance is woken.
    Late {
        command: Late,
        is_unheard: bool,
    },
    /// A server goes away until all is healed; a pair fails over.
    Catalog,
}

/// When it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    AtOnce,
    /// So many more bytes on the Volumes.
    Bytes(u64),
    /// So many more journal records in the catalog.
    Records(u64),
    /// So many jobs that a Storage Daemon holds.
    Underway(u64),
}

/// What a console says meanwhile. `pick` chooses among the jobs or Volumes that there are then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Run(&'static str),
    Restore,
    Cancel,
    Prune,
    Purge,
    Truncate,
    Label,
    Reload,
    /// The line as it is.
    Say(&'static str),
}

/// A command and what it is about, of which there are more or fewer in each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) pick: u64,
}

pub(super) fn catalog(rng: &mut Rng) -> Catalog {
    match rng.below(5) {
        0 | 1 => Catalog::File,
        2 | 3 => Catalog::Server,
        _ => Catalog::Pair,
    }
}

/// A job and its level.
pub(super) fn job(rng: &mut Rng) -> (&'static str, &'static str) {
    let name = JOBS[rng.below(3) as usize];
    (name, if rng.below(4) == 0 { "Incremental" } else { "Full" })
}

pub(super) fn order(rng: &mut Rng) -> Order {
    const STATUS: [&str; 5] =
        ["status dir", "status storage=File1", "status client=kit-fd", "list volumes", "list jobs"];
    let (pick, name) = (rng.next_u64() >> 8, job(rng).0);
    let command = match rng.below(12) {
        0 | 1 => Command::Run(name),
        2 | 3 => Command::Restore,
        4 => Command::Cancel,
        5 => Command::Prune,
        6 => Command::Purge,
        7 => Command::Truncate,
        8 => Command::Label,
        9 => Command::Reload,
        _ => Command::Say(STATUS[(pick % 5) as usize]),
    };
    Order { command, pick }
}

pub(super) fn event(rng: &mut Rng) -> Event {
    match rng.below(4) {
        0 => Event::AtOnce,
        1 => Event::Bytes(1 + rng.below(3_000_000)),
        2 => Event::Records(1 + rng.below(60)),
        _ => Event::Underway(1 + rng.below(3)),
    }
}

pub(super) fn fault(rng: &mut Rng) -> Fault {
    let instance = INSTANCES[rng.below(2) as usize];
    let role = if rng.below(2) == 0 { Role::Storage } else { Role::Client };
    let (director_place, storage_place) = (rng.below(10) as usize, rng.below(7) as usize);
    let (is_unheard, late) = (rng.below(2) == 0, rng.below(7));
    match rng.below(20) {
        0..=3 => Fault::KillInstance(instance),
        4 => Fault::KillBoth,
        5 | 6 => Fault::Freeze(Who::Instance(instance)),
        7 => Fault::Freeze(Who::Daemon(role)),
        8 => Fault::Switchover,
        9 => Fault::Demote,
        10 => Fault::Kill(role),
        11..=13 => Fault::Place(DIRECTOR_PLACES[director_place]),
        14 => Fault::Place(STORAGE_PLACES[storage_place]),
        15 | 16 => Fault::Catalog,
        _ => match late {
            0 | 1 => Fault::Late { command: Late::Label, is_unheard: false },
            2..=4 => Fault::Late { command: Late::Truncate, is_unheard },
            5 => Fault::Late { command: Late::Relabel, is_unheard },
            _ => Fault::Late { command: Late::Purge, is_unheard: false },
        },
    }
}
