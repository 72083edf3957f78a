//! What an agent says of itself: actions, parameters, advised timeouts.

use std::fmt::Write as _;

use super::{Code, Done};
use crate::output;

/// A parameter of a resource.
struct Parameter {
    name: &'static str,
    default: Option<&'static str>,
    short: &'static str,
    long: &'static str,
}

/// An action, with the timeout and interval that are advised, in seconds.
struct Action {
    name: &'static str,
    timeout: u32,
    interval: Option<u32>,
    role: Option<&'static str>,
}

/// An agent.
pub(super) struct Metadata {
    name: &'static str,
    short: &'static str,
    long: &'static str,
    parameters: &'static [Parameter],
    actions: &'static [Action],
}

const fn action(name: &'static str, timeout: u32) -> Action {
    Action { name, timeout, interval: None, role: None }
}

const fn monitor(interval: u32, role: Option<&'static str>) -> Action {
    Action { name: "monitor", timeout: 20, interval: Some(interval), role }
}

const fn parameter(
    name: &'static str,
    default: Option<&'static str>,
    short: &'static str,
    long: &'static str,
) -> Parameter {
    Parameter { name, default, short, long }
}

const USER: Parameter =
    parameter("user", None, "user to run as", "User that the daemon runs as; root when not given.");
const GROUP: Parameter = parameter(
    "group",
    None,
    "group to run as",
    "Group that the daemon runs as; that of the user when not given.",
);
const BINARY: Parameter = parameter(
    "binary",
    None,
    "program of the daemon",
    "Absolute path of the holdfast program; the one that this agent is a link to when not given.",
);

/// `ocf:holdfast:director`.
pub(super) const DIRECTOR: Metadata = Metadata {
    name: "director",
    short: "An instance of a Holdfast Director",
    long: "Runs an instance of a Holdfast Director whose Cluster has Engine = Pacemaker. Started it stands by and relays consoles; it needs no \
           catalog for that. Promoted it is active: it raises the epoch in the catalog and takes over the jobs that run. Clone it with \
           promotable=true and notify=true, and order its promotion behind the start of the catalog's database.",
    parameters: &[
        parameter(
            "config",
            Some("/etc/bacula/bacula-dir.conf"),
            "configuration file",
            "Configuration file of the Director, the same on all nodes.",
        ),
        parameter(
            "instance",
            None,
            "name of the instance",
            "Name of the Instance resource of the node; the node's host name when not given.",
        ),
        USER,
        GROUP,
        BINARY,
    ],
    actions: &[
        action("start", 60),
        action("stop", 60),
        action("promote", 60),
        action("demote", 60),
        action("notify", 20),
        monitor(10, Some("Unpromoted")),
        monitor(5, Some("Promoted")),
        action("meta-data", 5),
        action("validate-all", 20),
    ],
};

/// `ocf:holdfast:storage`.
pub(super) const STORAGE: Metadata = Metadata {
    name: "storage",
    short: "A Holdfast Storage Daemon",
    long: "Runs a Holdfast Storage Daemon. Its Volumes and Working Directory are on a file system that moves with it, as one on DRBD: order \
           the resource behind it. Jobs that were writing go on from their last checkpoint when the daemon is back.",
    parameters: &[
        parameter(
            "config",
            Some("/etc/bacula/bacula-sd.conf"),
            "configuration file",
            "Configuration file of the Storage Daemon, the same on all nodes.",
        ),
        USER,
        GROUP,
        BINARY,
    ],
    actions: &[
        action("start", 60),
        action("stop", 60),
        monitor(10, None),
        action("meta-data", 5),
        action("validate-all", 20),
    ],
};

/// Prints it as the resource agent API wants it.
pub(super) fn print(metadata: &Metadata) -> Done {
    output::say(xml(metadata).trim_end())?;
    Ok(Code::Success)
}

/// Prints how the agent is called.
pub(super) fn usage(metadata: &Metadata) -> Done {
    let mut names: Vec<&str> = metadata.actions.iter().map(|action| action.name).collect();
    names.dedup();
    output::say(format_args!("usage: {} {{{}}}", metadata.name, names.join("|")))?;
    Ok(Code::Success)
}

fn xml(metadata: &Metadata) -> String {
    let Metadata { name, short, long, parameters, actions } = metadata;
    let mut text = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n\
         <resource-agent name=\"{name}\" version=\"{}\">\n<version>1.0</version>\n\
         <longdesc lang=\"en\">{long}</longdesc>\n<shortdesc lang=\"en\">{short}</shortdesc>\n<parameters>\n",
        env!("CARGO_PKG_VERSION"),
    );
    // Writing to a String cannot fail.
    for Parameter { name, default, short, long } in *parameters {
        let default = default.map(|value| format!(" default=\"{value}\"")).unwrap_or_default();
        let _ = writeln!(
            text,
            "<parameter name=\"{name}\" unique=\"0\" required=\"0\">\n<longdesc lang=\"en\">{long}</longdesc>\n\
             <shortdesc lang=\"en\">{short}</shortdesc>\n<content type=\"string\"{default}/>\n</parameter>"
        );
    }
    text.push_str("</parameters>\n<actions>\n");
    for Action { name, timeout, interval, role } in *actions {
        let interval = interval.map(|seconds| format!(" interval=\"{seconds}s\"")).unwrap_or_default();
        let role = role.map(|role| format!(" role=\"{role}\"")).unwrap_or_default();
        let _ = writeln!(text, "<action name=\"{name}\" timeout=\"{timeout}s\"{interval}{role}/>");
    }
    text.push_str("</actions>\n</resource-agent>\n");
    text
}
