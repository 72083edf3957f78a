//! Resource agents for Pacemaker: `ocf:holdfast:director` (promotable) and `ocf:holdfast:storage`.
//!
//! The agents are this program under the names `…/ocf/resource.d/holdfast/director` and `…/storage`, or `holdfast ocf director ACTION`.
//! Their contract is the [Open Cluster Framework's resource agent API](https://github.com/ClusterLabs/OCF-spec): the action is the argument,
//! parameters come as `OCF_RESKEY_…`, the answer is the exit code ([`Code`]).
//!
//! - [`metadata`]: what an agent says of itself.
//! - [`environment`]: what Pacemaker tells an agent.
//! - [`process`]: a daemon on this machine: whether it runs, start, stop.
//! - [`director`], [`storage`]: the actions.
//! - [`score`]: where Pacemaker had better promote.

mod control;
mod director;
mod environment;
mod metadata;
mod process;
mod score;
mod storage;

use clap::{Args as ClapArgs, ValueEnum};
use environment::Environment;

/// Which resource, and what to do with it.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The resource
    agent: Agent,
    /// What to do; see the meta-data
    action: Option<String>,
}

/// A resource agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Agent {
    /// An instance of a Director; promotable
    Director,
    /// A Storage Daemon
    Storage,
}

/// What an agent answers by its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Success,
    Generic,
    Args,
    Unimplemented,
    /// This machine lacks something: another one may have it.
    Installed,
    /// The configuration is wrong: it is everywhere.
    Configured,
    NotRunning,
    Promoted,
    /// Runs, and is not as it should be; a restart would not help.
    Degraded,
    /// The same, of one that was promoted.
    DegradedPromoted,
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Generic => 1,
            Self::Args => 2,
            Self::Unimplemented => 3,
            Self::Installed => 5,
            Self::Configured => 6,
            Self::NotRunning => 7,
            Self::Promoted => 8,
            Self::Degraded => 190,
            Self::DegradedPromoted => 191,
        }
    }
}

/// Why an action was not done.
#[derive(Debug)]
struct Failure {
    code: Code,
    why: String,
}

impl Failure {
    fn new(code: Code, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Generic, format!("{error:#}"))
    }
}

type Done = Result<Code, Failure>;

/// Does it. The answer is an exit code of the resource agent API.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let environment = Environment::read();
    let action = args.action.as_deref().unwrap_or_default();
    let done = match args.agent {
        Agent::Director => director::act(action, &environment),
        Agent::Storage => storage::act(action, &environment),
    };
    match done {
        Ok(code) => code.number(),
        Err(Failure { code, why }) => {
            environment.log("ERROR", format!("{action}: {why}"));
            code.number()
        }
    }
}
