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
    /// Makes several instances of one Director a cluster of which one is active.
    Cluster = Cluster "Cluster", pending {
        /// What decides who is active.
        "Engine" => engine: Engine = Kind::Words(Engine::WORDS), default("Lease");
        /// How long an instance stays active without renewing.
        "Lease Time" => lease_time: Duration = Kind::Time, default("3 seconds");
        /// Whether the old active instance is switched off before a takeover; chosen by what is safe when absent.
        "Fence" => fence: Option<Fence> = Kind::Words(Fence::WORDS);
    }
}

resource! {
    /// One process of the Director's cluster.
    Instance = Instance "Instance", pending {
        /// Where the other instances and consoles reach it.
        "Address" => address: String = Kind::Addr, required(), example("10.1.0.1");
        /// Its port.
        "Dir Port" => dir_port: u16 = Kind::Port, default("9101");
        /// How it is switched off.
        "Fence Device" => fence_device: Option<String> = Kind::Ref(ResourceKind::FenceDevice);
    }
}

resource! {
    /// A ClusterLabs fence agent and its options.
    FenceDevice = FenceDevice "Fence Device", pending {
        /// Program of the agent.
        "Agent" => agent: String = Kind::Str, required(), example("fence_ipmilan");
        /// A line for the agent's standard input; repeatable.
        "Option" => options: Vec<String> = Kind::StrList, example("\"ip=10.1.9.1\"");
        /// How long one call may take.
        "Timeout" => timeout: Duration = Kind::Time, default("60 seconds");
        /// How often a failed call is made again.
        "Retries" => retries: u32 = Kind::Uint, default("2");
    }
}
