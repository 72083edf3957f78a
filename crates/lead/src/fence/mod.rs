//! Fencing: switching a machine off for certain, through the ClusterLabs fence agents (DESIGN §4).
//!
//! - [`Fencer`]: one Fence Device; what it reports is what `status` said last, never what `off` claimed.
//! - [`agent`]: one call of an agent, bounded in time and output, ended with all that it started.
//! - [`metadata`]: what an agent says of its parameters, and what is wrong with the options given.
//!
//! A call is bounded by the device's `Timeout`, a whole fencing by [`Fencer::longest`]. Options go over the agent's standard
//! input alone: they are in no argument, no environment, no log and no error.
//!
//! Absent on purpose: who is to be fenced and when (that is the lease's claim). Nothing calls [`Fencer::on`] but an operator.

mod agent;
mod metadata;

pub use agent::{AgentError, Program};
pub use metadata::{Finding, Metadata, MetadataError, Parameter};

use agent::{Action, Agent, Answer};
use conf::director::FenceDevice;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Whether a machine has power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It has.
    On,
    /// It has not.
    Off,
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// How a fencing ended.
#[derive(Debug)]
pub enum Fenced {
    /// The machine is off: `status` said so after all else.
    Off {
        /// It was off before anything was done.
        already: bool,
    },
    /// `status` says that the machine is on.
    StillOn {
        /// What the last call of `off` answered, where that was no success.
        off: Option<AgentError>,
    },
    /// `status` could not be had, so the machine may be on or off.
    Unknown {
        /// What the last call of `off` answered, where that was no success.
        off: Option<AgentError>,
        /// Why there is no status.
        status: AgentError,
    },
}

impl Fenced {
    /// Whether the machine is certain to be off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off { .. })
    }
}

impl fmt::Display for Fenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off { already: true } => f.write_str("off: it was off before"),
            Self::Off { already: false } => f.write_str("off: it was switched off, and its status says so"),
            Self::StillOn { off: None } => {
                f.write_str("still on: the agent reports success for off, but the status does not change")
            }
            Self::StillOn { off: Some(error) } => write!(f, "still on: {}", chain(error)),
            Self::Unknown { off: None, status } => write!(f, "unknown: {}", chain(status)),
            Self::Unknown { off: Some(off), status } => {
                write!(f, "unknown: {}; {}", chain(off), chain(status))
            }
        }
    }
}

/// An error with its causes.
fn chain(error: &AgentError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A Fence Device that can be used.
#[derive(Debug, Clone)]
pub struct Fencer {
    device: String,
    agent: Agent,
    retries: u32,
    delay: Duration,
}

impl Fencer {
    /// For a device of the configuration.
    ///
    /// # Errors
    /// [`AgentError::NotFound`] when there is no such agent on this machine.
    pub fn new(device: &FenceDevice) -> Result<Self, AgentError> {
        let program = Program::find(&device.agent)?;
        let agent = Agent::new(program, device.parameters(), device.timeout);
        Ok(Self { device: device.name.clone(), agent, retries: device.retries, delay: device.retry_delay })
    }

    /// Name of the Fence Device.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Where the agent is.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.agent.program()
    }

    /// The longest that [`Fencer::off`] or [`Fencer::on`] can take.
    #[must_use]
    pub fn longest(&self) -> Duration {
        // The status before, with the metadata that an "off" is checked by; then rounds of off or on, status and metadata.
        let calls = 2 + 3 * (self.retries.saturating_add(1));
        let pauses =
            (1..=self.retries).map(|round| self.pause(round)).fold(Duration::ZERO, Duration::saturating_add);
        self.agent.timeout().saturating_mul(calls).saturating_add(pauses)
    }

    /// What the agent says of itself. The device is not asked.
    ///
    /// # Errors
    /// [`AgentError`].
    pub async fn metadata(&self) -> Result<Metadata, AgentError> {
        let answer = self.agent.call(Action::Metadata).await?;
        let answer = self.agent.success(Action::Metadata, answer)?;
        Metadata::parse(&answer.output)
            .map_err(|source| AgentError::Metadata { agent: self.agent.name().to_owned(), source })
    }

    /// Whether the machine has power; a failed call is made again.
    ///
    /// Not cancel safe, but dropping the future ends the agent.
    ///
    /// # Errors
    /// [`AgentError`] of the last try.
    pub async fn status(&self) -> Result<Power, AgentError> {
        let mut round = 0;
        loop {
            match self.status_once().await {
                Ok(power) => return Ok(power),
                Err(error) if round < self.retries && error.may_pass() => {
                    round += 1;
                    tracing::warn!(device = self.device, round, %error, "fence agent failed; it is called again");
                    tokio::time::sleep(self.pause(round)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Switches the machine off, unless it is off, and asks for its status until that says so or the retries are used up.
    ///
    /// Off is never concluded from a successful `off` alone: agents are known to report it too early. Dropping the future
    /// ends the agent; what the machine does then is not known.
    pub async fn off(&self) -> Fenced {
        match self.status_once().await {
            Ok(Power::Off) => return Fenced::Off { already: true },
            Ok(Power::On) => {}
            Err(status) if !status.may_pass() => return Fenced::Unknown { off: None, status },
            // A management board that cannot answer may still obey.
            Err(error) => {
                tracing::warn!(device = self.device, %error, "no status before fencing; it is switched off all the same");
            }
        }
        let mut round = 0;
        loop {
            let ended = self.off_once().await;
            if ended.is_off() || round >= self.retries {
                return ended;
            }
            round += 1;
            tracing::warn!(device = self.device, round, %ended, "fencing not confirmed; it is tried again");
            tokio::time::sleep(self.pause(round)).await;
        }
    }

    /// Switches the machine on, unless it is on, and asks for its status until that says so or the retries are used up: then it is
    /// what the status says.
    ///
    /// Dropping the future ends the agent; what the machine does then is not known.
    ///
    /// # Errors
    /// [`AgentError`] of the last try: the machine is off or may be.
    pub async fn on(&self) -> Result<Power, AgentError> {
        match self.status_once().await {
            Ok(Power::On) => return Ok(Power::On),
            Ok(Power::Off) => {}
            Err(error) if !error.may_pass() => return Err(error),
            Err(error) => {
                tracing::warn!(device = self.device, %error, "no status before; it is switched on all the same");
            }
        }
        let mut round = 0;
        loop {
            let ended = self.on_once().await;
            if matches!(ended, Ok(Power::On)) || round >= self.retries {
                return ended;
            }
            round += 1;
            tracing::warn!(device = self.device, round, "not on yet; it is tried again");
            tokio::time::sleep(self.pause(round)).await;
        }
    }

    async fn on_once(&self) -> Result<Power, AgentError> {
        let on = self.agent.call(Action::On).await;
        let on = on.and_then(|answer| self.agent.success(Action::On, answer));
        match (self.status_once().await?, on) {
            (Power::Off, Err(error)) => Err(error),
            (power, _) => Ok(power),
        }
    }

    async fn off_once(&self) -> Fenced {
        let off = self.agent.call(Action::Off).await;
        let off = off.and_then(|answer| self.agent.success(Action::Off, answer)).err();
        match self.status_once().await {
            Ok(Power::Off) => Fenced::Off { already: false },
            Ok(Power::On) => Fenced::StillOn { off },
            Err(status) => Fenced::Unknown { off, status },
        }
    }

    async fn status_once(&self) -> Result<Power, AgentError> {
        let answer = self.agent.call(Action::Status).await?;
        match answer {
            Answer { code: 0, .. } => Ok(Power::On),
            Answer { code: 2, .. } => {
                // 2 is also what a shell or Python gives for a script that it cannot read. A program that describes itself
                // is an agent in working order, whose 2 means "off".
                self.metadata().await?;
                Ok(Power::Off)
            }
            failed => Err(self.agent.failure(Action::Status, failed)),
        }
    }

    /// Before the `round`th repetition, from 1.
    fn pause(&self, round: u32) -> Duration {
        let factor = 2_u32.saturating_pow(round.saturating_sub(1));
        self.delay.saturating_mul(factor).min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests;
