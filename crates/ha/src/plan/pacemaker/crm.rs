//! As commands of `crm configure`.

use std::fmt::Write as _;

use super::value::{Agent, Configuration, Constraint, Pair, Primitive, Resource, Role, Score};

pub(super) fn print(configuration: &Configuration) -> String {
    let mut out =
        "# Rendered by holdfast ha render. Load it with: crm configure load replace FILE\n".to_owned();
    for resource in &configuration.resources {
        match resource {
            Resource::Primitive(inner) => primitive(&mut out, inner),
            Resource::Group { id, members } => {
                members.iter().for_each(|member| primitive(&mut out, member));
                let members: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
                let _ = writeln!(out, "group {id} {}", members.join(" "));
            }
            Resource::Promotable { id, meta, primitive: inner } => {
                primitive(&mut out, inner);
                let _ = writeln!(out, "clone {id} {} meta{}", inner.id, pairs(meta));
            }
        }
    }
    configuration.constraints.iter().for_each(|item| constraint(&mut out, item));
    if !configuration.levels.is_empty() {
        out.push_str("fencing_topology");
        let mut node = "";
        for level in &configuration.levels {
            if level.node != node {
                node = &level.node;
                let _ = write!(out, " {node}:");
            }
            let _ = write!(out, " {}", level.devices.join(","));
        }
        out.push('\n');
    }
    let _ = writeln!(out, "property cib-bootstrap-options:{}", pairs(&configuration.properties));
    let _ = writeln!(out, "rsc_defaults rsc-options:{}", pairs(&configuration.resource_defaults));
    out
}

fn primitive(out: &mut String, primitive: &Primitive) {
    let agent = match &primitive.agent {
        Agent::Ocf { provider, kind } => format!("ocf:{provider}:{kind}"),
        Agent::Stonith(kind) => format!("stonith:{kind}"),
    };
    let _ = write!(out, "primitive {} {agent}", primitive.id);
    if !primitive.parameters.is_empty() {
        let _ = write!(out, " \\\n  params{}", pairs(&primitive.parameters));
    }
    for operation in &primitive.operations {
        let role = operation.role.map_or_else(String::new, |role| format!(" role={}", role.as_str()));
        let _ = write!(
            out,
            " \\\n  op {} interval={}s timeout={}s{role}",
            operation.name, operation.interval, operation.timeout
        );
    }
    out.push('\n');
}

fn constraint(out: &mut String, constraint: &Constraint) {
    let with_role = |name: &str, role: Option<Role>| match role {
        Some(role) => format!("{name}:{}", role.as_str()),
        None => name.to_owned(),
    };
    let _ = match constraint {
        Constraint::Location { id, resource, node, score } => {
            let score = match score {
                Score::Never => "-inf".to_owned(),
                Score::Points(points) => points.to_string(),
            };
            writeln!(out, "location {id} {resource} {score}: {node}")
        }
        Constraint::With { id, resource, role, with, with_role: other } => {
            writeln!(out, "colocation {id} inf: {} {}", with_role(resource, *role), with_role(with, *other))
        }
        Constraint::Order { id, first, first_action, then, then_action, kind } => {
            writeln!(out, "order {id} {}: {first}:{first_action} {then}:{then_action}", kind.as_str())
        }
    };
}

fn pairs(pairs: &[Pair]) -> String {
    pairs.iter().map(|(name, value)| format!(" {name}=\"{}\"", quoted(value))).collect()
}

/// Within double quotes, as a shell has them.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
