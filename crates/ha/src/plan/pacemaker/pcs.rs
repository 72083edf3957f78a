//! As a script of `pcs` commands.

use std::fmt::Write as _;

use super::value::{Agent, Configuration, Constraint, Pair, Primitive, Resource, Role, Score};

const HEAD: &str = "\
#!/bin/sh
# Rendered by holdfast ha render. Run on one node of the cluster, once, while nothing is configured. With a file as the
# argument it changes that file (a CIB) instead of the cluster.
set -eu
if [ $# -gt 0 ]; then
  cib=$1
else
  cib=$(mktemp)
  trap 'rm -f \"$cib\"' EXIT
  pcs cluster cib \"$cib\"
fi
";

const TAIL: &str = "[ $# -gt 0 ] || pcs cluster cib-push \"$cib\" --config\n";

pub(super) fn print(configuration: &Configuration) -> String {
    let mut out = HEAD.to_owned();
    // pcs takes whole seconds alone for a delay; Pacemaker takes the milliseconds that are there.
    command(&mut out, &format!("property set --force{}", pairs(&configuration.properties)));
    // Nothing else is forced: an agent that is not installed is to be found here, not at the first failover.
    command(&mut out, &format!("resource defaults update{}", pairs(&configuration.resource_defaults)));
    for resource in &configuration.resources {
        match resource {
            Resource::Primitive(inner) => primitive(&mut out, inner, ""),
            Resource::Group { id, members } => {
                members.iter().for_each(|member| primitive(&mut out, member, ""));
                let members: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
                command(&mut out, &format!("resource group add {id} {}", members.join(" ")));
            }
            Resource::Promotable { id, meta, primitive: inner } => {
                // `promotable` says the first of them.
                let meta: Vec<Pair> = meta.iter().filter(|(name, _)| name != "promotable").cloned().collect();
                primitive(&mut out, inner, &format!(" \\\n  promotable {id}{}", pairs(&meta)));
            }
        }
    }
    configuration.constraints.iter().for_each(|item| constraint(&mut out, item));
    for level in &configuration.levels {
        let devices = level.devices.join(" ");
        command(&mut out, &format!("stonith level add {} {} {devices}", level.index, level.node));
    }
    out.push_str(TAIL);
    out
}

fn command(out: &mut String, text: &str) {
    let _ = writeln!(out, "pcs -f \"$cib\" {text}");
}

/// `clone` is what makes several of it.
fn primitive(out: &mut String, primitive: &Primitive, clone: &str) {
    let (what, agent) = match &primitive.agent {
        Agent::Ocf { provider, kind } => ("resource", format!("ocf:{provider}:{kind}")),
        Agent::Stonith(kind) => ("stonith", kind.clone()),
    };
    let mut text = format!("{what} create {} {agent}{}", primitive.id, pairs(&primitive.parameters));
    for operation in &primitive.operations {
        let role = operation.role.map_or_else(String::new, |role| format!(" role={}", role.as_str()));
        let _ = write!(
            text,
            " \\\n  op {} interval={}s timeout={}s{role}",
            operation.name, operation.interval, operation.timeout
        );
    }
    text.push_str(clone);
    text.push_str(" \\\n  --no-default-ops");
    command(out, &text);
}

fn constraint(out: &mut String, constraint: &Constraint) {
    let with_role = |name: &str, role: Option<Role>| match role {
        Some(role) => format!("{} {name}", role.as_str()),
        None => name.to_owned(),
    };
    let text = match constraint {
        Constraint::Location { id, resource, node, score } => {
            let score = match score {
                Score::Never => "-INFINITY".to_owned(),
                Score::Points(points) => points.to_string(),
            };
            format!("constraint location add {id} {resource} {node} {score}")
        }
        Constraint::With { id, resource, role, with, with_role: other } => {
            format!(
                "constraint colocation add {} with {} INFINITY id={id}",
                with_role(resource, *role),
                with_role(with, *other)
            )
        }
        Constraint::Order { id, first, first_action, then, then_action, kind } => {
            format!(
                "constraint order {first_action} {first} then {then_action} {then} kind={} id={id}",
                kind.as_str()
            )
        }
    };
    command(out, &text);
}

fn pairs(pairs: &[Pair]) -> String {
    pairs.iter().map(|(name, value)| format!(" {}", quoted(&format!("{name}={value}")))).collect()
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_an_agent_is_one_word() {
        assert_eq!(quoted("ip=10.1.9.1"), "ip=10.1.9.1");
        assert_eq!(quoted("passwd=it's; $(x)"), r"'passwd=it'\''s; $(x)'");
    }
}
