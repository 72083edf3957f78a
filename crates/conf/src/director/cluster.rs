//! High availability of a Director: `Cluster`, `Instance`, `Fence Device` (Holdfast).

use std::time::Duration;

use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// What decides who is active.
    Engine {
        /// A lease in the catalog.
        Lease = "Lease";
        /// Pacemaker.
        Pacemaker = "Pacemaker";
    }
}

word_enum! {
    /// Whether the old active instance is switched off before a takeover.
    Fence {
        /// Not.
        None = "none";
        /// Always.
        Required = "required";
    }
}

resource! {
    /// Makes several instances of one Director a cluster of which one is active. At most one in the file.
    Cluster = Cluster "Cluster" {
        /// What decides who is active.
        "Engine" => engine: Engine = Kind::Words(Engine::WORDS), default("Lease"), since("Holdfast");
        /// How long an instance stays active without renewing.
        "Lease Time" => lease_time: Duration = Kind::Time, default("3 seconds"), since("Holdfast");
        /// By how many percent of the lease the clocks of two machines may run apart while it lasts, 1 to 100; a standby
        /// waits so much longer before it takes over.
        "Drift Bound" => drift_bound_percent: u32 = Kind::Uint, default("10"), since("Holdfast");
        /// Whether the old active instance is switched off before a takeover ([fencing.md](fencing.md)); chosen by what is
        /// safe when absent.
        "Fence" => fence: Option<Fence> = Kind::Words(Fence::WORDS), since("Holdfast");
        /// An address that a cluster manager gives to the machine of the active instance; repeatable. Every instance listens there, also while
        /// its machine does not have it.
        "Floating Address" => floating_addresses: Vec<String> = Kind::StrList, example("10.1.0.100"), since("Holdfast");
    }
}

resource! {
    /// One process of the Director's cluster; `holdfast director --instance NAME` says which one it is.
    Instance = Instance "Instance" {
        /// Where the other instances and consoles reach it.
        "Address" => address: String = Kind::Addr, required(), example("10.1.0.1"), since("Holdfast");
        /// Its port.
        "Dir Port" => dir_port: u16 = Kind::Port, default("9101"), since("Holdfast");
        /// How its machine is switched off; no other instance may have the same.
        "Fence Device" => fence_device: Option<String> = Kind::Ref(ResourceKind::FenceDevice), example("ipmi-a"),
            since("Holdfast");
    }
}

resource! {
    /// A ClusterLabs fence agent and its options ([fencing.md](fencing.md)).
    FenceDevice = FenceDevice "Fence Device" {
        /// Program of the agent: its name, looked for in `/usr/sbin`, `/sbin` and `PATH`, or its absolute path.
        "Agent" => agent: String = Kind::Str, required(), example("fence_ipmilan"), since("Holdfast");
        /// A line for the agent's standard input, `key=value`; repeatable. Never shown: it may hold a password.
        "Option" => options: Vec<String> = Kind::StrList, example("\"ip=10.1.9.1\""), since("Holdfast");
        /// How long one call may take; the agent and all that it started are killed then.
        "Timeout" => timeout: Duration = Kind::Time, default("60 seconds"), since("Holdfast");
        /// How often a failed call is made again.
        "Retries" => retries: u32 = Kind::Uint, default("2"), since("Holdfast");
        /// Pause before the first repetition; it doubles with each further one, up to 30 seconds.
        "Retry Delay" => retry_delay: Duration = Kind::Time, default("1 second"), since("Holdfast");
    }
}

impl Cluster {
    /// How far the clocks of two machines may run apart while a lease lasts.
    #[must_use]
    pub fn drift_bound(&self) -> Duration {
        self.lease_time.saturating_mul(self.drift_bound_percent) / 100
    }
}

impl FenceDevice {
    /// The options as the agent gets them, key and value, in the order written.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(|option| option.split_once('='))
    }
}
