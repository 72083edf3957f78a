//! The configuration of a cluster as a value. Order counts: things are printed as they stand.

/// A name and its value.
pub(super) type Pair = (String, String);

/// Everything that Pacemaker is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Configuration {
    pub(super) properties: Vec<Pair>,
    pub(super) resource_defaults: Vec<Pair>,
    /// Host names, numbered from 1.
    pub(super) nodes: Vec<String>,
    pub(super) resources: Vec<Resource>,
    pub(super) levels: Vec<Level>,
    pub(super) constraints: Vec<Constraint>,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// One that runs once.
    Primitive(Primitive),
    /// Some that run on one node and start in order.
    Group { id: String, members: Vec<Primitive> },
    /// One that runs on several nodes, promoted on one of them.
    Promotable { id: String, meta: Vec<Pair>, primitive: Primitive },
}

/// What an agent manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primitive {
    pub(super) id: String,
    pub(super) agent: Agent,
    pub(super) parameters: Vec<Pair>,
    pub(super) operations: Vec<Operation>,
}

/// A kind of agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Agent {
    Ocf { provider: &'static str, kind: &'static str },
    Stonith(String),
}

/// When and for how long an agent is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    /// Seconds; 0 for what is not repeated.
    pub(super) interval: u64,
    /// Seconds.
    pub(super) timeout: u64,
    pub(super) role: Option<Role>,
}

/// What an instance of a promotable resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Promoted,
    Unpromoted,
}

impl Role {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "Promoted",
            Self::Unpromoted => "Unpromoted",
        }
    }
}

/// Fence devices that must all succeed, and at which try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) node: String,
    pub(super) index: usize,
    pub(super) devices: Vec<String>,
}

/// What holds between resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Constraint {
    /// A resource's liking of a node.
    Location { id: String, resource: String, node: String, score: Score },
    /// A resource is only where another one is, or is promoted.
    With { id: String, resource: String, role: Option<Role>, with: String, with_role: Option<Role> },
    /// An action comes before another one.
    Order {
        id: String,
        first: String,
        first_action: &'static str,
        then: String,
        then_action: &'static str,
        kind: OrderKind,
    },
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Score {
    Never,
    Points(u32),
}

impl Score {
    /// As Pacemaker writes it.
    pub(super) fn text(self) -> String {
        match self {
            Self::Never => "-INFINITY".to_owned(),
            Self::Points(points) => points.to_string(),
        }
    }
}

/// What an order means when only the first action happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderKind {
    /// The second follows.
    Mandatory,
    /// The second is left alone.
    Optional,
}

impl OrderKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Mandatory => "Mandatory",
            Self::Optional => "Optional",
        }
    }
}

impl Primitive {
    pub(super) fn ocf(id: String, provider: &'static str, kind: &'static str) -> Self {
        let agent = Agent::Ocf { provider, kind };
        Self { id, agent, parameters: Vec::new(), operations: Vec::new() }
    }

    pub(super) fn parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// An action that is not repeated, with its timeout in seconds.
    pub(super) fn action(mut self, name: &'static str, timeout: u64) -> Self {
        self.operations.push(Operation { name, interval: 0, timeout, role: None });
        self
    }

    /// A monitor every so many seconds. Two of one resource must differ in that.
    pub(super) fn monitor(mut self, interval: u64, timeout: u64, role: Option<Role>) -> Self {
        self.operations.push(Operation { name: "monitor", interval, timeout, role });
        self
    }
}
