//! What a seed draws: sizes, workload, and the faults that happen before all is healed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::message::Pid;

/// Milliseconds of the world's time.
pub type Millis = u64;

/// Faults happen until then.
pub(crate) const FAULTS_END: Millis = 120_000;
/// No run is due any more.
pub(crate) const DUE_END: Millis = 110_000;
/// By then everything must have healed.
pub(crate) const HEALED_BY: Millis = 420_000;

/// How two processes are cut off from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Neither hears the other.
    Both,
    /// The second hears nothing of the first.
    OneWay,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A process ends, and is started anew.
    Crash {
        /// Which.
        pid: Pid,
        /// Its peers are told by the system.
        fin: bool,
        /// With its machine: what was not synced is lost.
        power: bool,
        /// How long it is down.
        down: Millis,
    },
    /// A process stands still.
    Freeze {
        /// Which.
        pid: Pid,
        /// How long.
        span: Millis,
    },
    /// A link is cut.
    Cut {
        /// From.
        a: Pid,
        /// To.
        b: Pid,
        /// Which way.
        cut: Cut,
        /// How long.
        span: Millis,
    },
    /// An operator gives the role to the other instance.
    Switchover,
    /// The catalog's server is away.
    CatalogAway {
        /// How long.
        span: Millis,
    },
    /// A synchronous replica of the catalog becomes the server.
    Failover,
    /// A Director is stopped where it has decided that a Volume may be overwritten and has yet to say so, and the Storage
    /// Daemon hears of no other instance meanwhile.
    FreezeAtPermit {
        /// How long.
        span: Millis,
    },
    /// A Director stands still with a command to a Storage Daemon in its hand.
    FreezeAtCommand {
        /// How long.
        span: Millis,
    },
    /// The answer to a renewal of the lease is late, and after it the catalog cannot be reached.
    LateAnswer {
        /// By how much it is late.
        late: Millis,
        /// How long the link is cut then.
        span: Millis,
    },
}

/// A world before it begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number that it is drawn from.
    pub seed: u64,
    /// Director instances.
    pub instances: usize,
    /// Storage Daemons.
    pub storages: usize,
    /// Drives of each Storage Daemon, all over one directory of Volumes.
    pub drives: usize,
    /// File Daemons; each has one Job.
    pub clients: usize,
    /// Time between two due runs of a Job, in milliseconds.
    pub period: Millis,
    /// Most files of a job.
    pub files_max: u32,
    /// Longest file in bytes.
    pub file_bytes_max: usize,
    /// Maximum Volume Bytes.
    pub volume_bytes: u64,
    /// Volume Retention in seconds.
    pub retention_s: u64,
    /// Maximum Volumes of each Pool.
    pub volumes_max: u32,
    /// Longest time that a message takes over an undisturbed link, in milliseconds.
    pub delay_max: Millis,
    /// Longest time between a decision and its sending, in milliseconds.
    pub think_max: Millis,
    /// Time between two checkpoints of a session, in milliseconds.
    pub checkpoint: Millis,
    /// How much faster than the world's each process's clock goes, in thousandths.
    pub clocks: Vec<i64>,
    /// When what goes wrong.
    pub faults: Vec<(Millis, Fault)>,
}

impl Plan {
    /// Draws the world of a seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> (Self, StdRng) {
        let mut rng = StdRng::seed_from_u64(seed);
        let instances = if rng.random_bool(0.8) { 2 } else { 3 };
        let storages = rng.random_range(1..=2);
        let clients = rng.random_range(1..=3);
        let mut plan = Self {
            seed,
            instances,
            storages,
            drives: 1,
            clients,
            period: rng.random_range(12_000..40_000),
            files_max: rng.random_range(2..14),
            file_bytes_max: rng.random_range(100..2500),
            volume_bytes: rng.random_range(6_000..40_000),
            retention_s: rng.random_range(20..90),
            volumes_max: rng.random_range(2..6),
            delay_max: if rng.random_bool(0.2) { 400 } else { 40 },
            think_max: if rng.random_bool(0.3) { 200 } else { 5 },
            checkpoint: rng.random_range(500..8_000),
            clocks: (0..instances + storages).map(|_| rng.random_range(-60..=60)).collect(),
            faults: Vec::new(),
        };
        let count = rng.random_range(0..9);
        for _ in 0..count {
            let at = rng.random_range(3_000..FAULTS_END - 10_000);
            let fault = plan.draw_fault(&mut rng);
            plan.faults.push((at, fault));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan.drives = if rng.random_bool(0.4) { 2 } else { 1 };
        (plan, rng)
    }

    fn draw_fault(&self, rng: &mut StdRng) -> Fault {
        let director = Pid::Director(rng.random_range(0..self.instances));
        let storage = Pid::Storage(rng.random_range(0..self.storages));
        let client = Pid::Client(rng.random_range(0..self.clients));
        let span =
            if rng.random_bool(0.5) { rng.random_range(200..5_000) } else { rng.random_range(5_000..30_000) };
        let crash = |pid, power, rng: &mut StdRng| Fault::Crash {
            pid,
            fin: rng.random_bool(0.5),
            power,
            down: rng.random_range(500..15_000),
        };
        let cut = if rng.random_bool(0.6) { Cut::Both } else { Cut::OneWay };
        match rng.random_range(0..100) {
            0..18 => crash(director, false, rng),
            18..30 => {
                let power = rng.random_bool(0.5);
                crash(storage, power, rng)
            }
            30..33 => crash(client, false, rng),
            33..48 => Fault::Freeze { pid: director, span },
            48..52 => Fault::Freeze { pid: storage, span: span.min(8_000) },
            52..60 => Fault::Cut { a: director, b: Pid::Catalog, cut, span },
            60..66 => Fault::Cut { a: director, b: storage, cut, span },
            66..68 => Fault::Cut { a: storage, b: director, cut, span },
            68..70 => Fault::Cut { a: client, b: storage, cut, span },
            70..76 => Fault::Switchover,
            76..84 => Fault::FreezeAtPermit { span: span.max(6_000) },
            84..90 => Fault::FreezeAtCommand { span: span.max(6_000) },
            90..94 => Fault::LateAnswer { late: rng.random_range(1_000..2_000), span: span.max(6_000) },
            94..97 => Fault::CatalogAway { span },
            _ => Fault::Failover,
        }
    }
}
