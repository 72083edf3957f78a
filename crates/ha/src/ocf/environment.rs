//! What Pacemaker tells an agent, and how an agent speaks to its log.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::output;

/// Where agents keep what must not outlive a restart of the machine, when nothing else is said.
const STATE_DIRECTORY: &str = "/run/resource-agents";
/// How long an action may take when Pacemaker does not say.
const LIMIT: Duration = Duration::from_secs(60);
/// What an action leaves of its time, so that it can answer itself rather than being killed.
const MARGIN: Duration = Duration::from_secs(2);

/// The variables that concern an agent.
#[derive(Debug)]
pub(super) struct Environment {
    variables: HashMap<String, String>,
    began: Instant,
}

impl Environment {
    /// Those of this process.
    pub(super) fn read() -> Self {
        let wanted = |name: &str| name.starts_with("OCF_") || name.starts_with("HA_");
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| wanted(name));
        Self::of(variables.collect())
    }

    pub(super) fn of(variables: HashMap<String, String>) -> Self {
        Self { variables, began: Instant::now() }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter of the resource.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.variable(&format!("OCF_RESKEY_{name}"))
    }

    /// What Pacemaker adds to them.
    pub(super) fn meta(&self, name: &str) -> Option<&str> {
        self.variable(&format!("OCF_RESKEY_CRM_meta_{name}"))
    }

    /// The resource, without the number of a clone: those are interchangeable.
    pub(super) fn resource(&self) -> &str {
        let name = self.variable("OCF_RESOURCE_INSTANCE").unwrap_or("holdfast");
        name.split_once(':').map_or(name, |(name, _)| name)
    }

    /// Whether Pacemaker runs this agent, not a person or a tester.
    pub(super) fn is_cluster(&self) -> bool {
        self.parameter("crm_feature_set").is_some()
    }

    /// How much of the action's time is left.
    pub(super) fn left(&self) -> Duration {
        let said = self.meta("timeout").and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let limit = said.unwrap_or(LIMIT);
        let usable = limit.saturating_sub(MARGIN).max(limit / 2);
        usable.saturating_sub(self.began.elapsed())
    }

    /// A file of this resource that does not outlive a restart of the machine.
    pub(super) fn state_file(&self) -> PathBuf {
        let directory = self.variable("HA_RSCTMP").unwrap_or(STATE_DIRECTORY);
        PathBuf::from(directory).join(format!("holdfast-{}", self.resource().replace('/', "_")))
    }

    /// Says something in Pacemaker's log, which takes an agent's standard error.
    pub(super) fn log(&self, severity: &str, text: impl std::fmt::Display) {
        output::complain(format_args!("{}: {severity}: {text}", self.resource()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_its_resource_and_some_time_is_left_to_answer() {
        let variables = [
            ("OCF_RESOURCE_INSTANCE", "dir:1"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("OCF_RESKEY_user", ""),
            ("HA_RSCTMP", "/run/x"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::of(HashMap::from(variables));
        assert_eq!(environment.resource(), "dir");
        assert_eq!(environment.parameter("user"), None, "an empty one is none");
        assert_eq!(environment.state_file(), PathBuf::from("/run/x/holdfast-dir"));
        assert!(
            environment.left() <= Duration::from_secs(18) && environment.left() > Duration::from_secs(10)
        );
        assert!(!environment.is_cluster());
    }
}
