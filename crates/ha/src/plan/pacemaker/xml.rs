//! As XML: what `cibadmin` loads and `crm_verify` checks.

use std::fmt::Write as _;

use super::value::{Agent, Configuration, Constraint, Pair, Primitive, Resource, Role};

/// The schema of Pacemaker 2.1, which later versions read as well.
const HEAD: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" admin_epoch="1" epoch="1" num_updates="0">"#;

pub(super) fn print(configuration: &Configuration) -> String {
    let mut out = Out { text: format!("{HEAD}\n"), depth: 1 };
    out.block("configuration", &[], |out| {
        out.block("crm_config", &[], |out| {
            out.block("cluster_property_set", &[("id", "cib-bootstrap-options")], |out| {
                pairs(out, "cib-bootstrap-options", &configuration.properties);
            });
        });
        out.block("nodes", &[], |out| {
            for (number, node) in configuration.nodes.iter().enumerate() {
                out.leaf("node", &[("id", &(number + 1).to_string()), ("uname", node)]);
            }
        });
        out.block("resources", &[], |out| configuration.resources.iter().for_each(|r| resource(out, r)));
        out.block("constraints", &[], |out| {
            configuration.constraints.iter().for_each(|c| constraint(out, c));
        });
        levels(out, configuration);
        out.block("rsc_defaults", &[], |out| {
            out.block("meta_attributes", &[("id", "rsc-options")], |out| {
                pairs(out, "rsc-options", &configuration.resource_defaults);
            });
        });
    });
    out.leaf("status", &[]);
    out.text.push_str("</cib>\n");
    out.text
}

fn levels(out: &mut Out, configuration: &Configuration) {
    if configuration.levels.is_empty() {
        return;
    }
    out.block("fencing-topology", &[], |out| {
        for level in &configuration.levels {
            out.leaf(
                "fencing-level",
                &[
                    ("id", &format!("level-{}-{}", level.node, level.index)),
                    ("target", &level.node),
                    ("index", &level.index.to_string()),
                    ("devices", &level.devices.join(",")),
                ],
            );
        }
    });
}

fn resource(out: &mut Out, resource: &Resource) {
    match resource {
        Resource::Primitive(inner) => primitive(out, inner),
        Resource::Group { id, members } => {
            out.block("group", &[("id", id)], |out| members.iter().for_each(|member| primitive(out, member)));
        }
        Resource::Promotable { id, meta, primitive: inner } => {
            out.block("clone", &[("id", id)], |out| {
                let set = format!("{id}-meta");
                out.block("meta_attributes", &[("id", &set)], |out| pairs(out, &set, meta));
                primitive(out, inner);
            });
        }
    }
}

fn primitive(out: &mut Out, primitive: &Primitive) {
    let id = primitive.id.as_str();
    let attributes: Vec<(&str, &str)> = match &primitive.agent {
        Agent::Ocf { provider, kind } => {
            vec![("id", id), ("class", "ocf"), ("provider", provider), ("type", kind)]
        }
        Agent::Stonith(kind) => vec![("id", id), ("class", "stonith"), ("type", kind)],
    };
    out.block("primitive", &attributes, |out| {
        let set = format!("{id}-parameters");
        out.block("instance_attributes", &[("id", &set)], |out| pairs(out, &set, &primitive.parameters));
        out.block("operations", &[], |out| {
            for operation in &primitive.operations {
                let id = format!("{id}-{}-{}", operation.name, operation.interval);
                let (interval, timeout) =
                    (format!("{}s", operation.interval), format!("{}s", operation.timeout));
                let mut attributes = vec![
                    ("id", id.as_str()),
                    ("name", operation.name),
                    ("interval", &interval),
                    ("timeout", &timeout),
                ];
                attributes.extend(operation.role.map(|role| ("role", role.as_str())));
                out.leaf("op", &attributes);
            }
        });
    });
}

fn constraint(out: &mut Out, constraint: &Constraint) {
    match constraint {
        Constraint::Location { id, resource, node, score } => {
            let score = score.text();
            out.leaf("rsc_location", &[("id", id), ("rsc", resource), ("node", node), ("score", &score)]);
        }
        Constraint::With { id, resource, role, with, with_role } => {
            let mut attributes = vec![("id", id.as_str()), ("rsc", resource)];
            attributes.extend(role.map(|role| ("rsc-role", Role::as_str(role))));
            attributes.push(("with-rsc", with));
            attributes.extend(with_role.map(|role| ("with-rsc-role", Role::as_str(role))));
            attributes.push(("score", "INFINITY"));
            out.leaf("rsc_colocation", &attributes);
        }
        Constraint::Order { id, first, first_action, then, then_action, kind } => out.leaf(
            "rsc_order",
            &[
                ("id", id),
                ("first", first),
                ("first-action", first_action),
                ("then", then),
                ("then-action", then_action),
                ("kind", kind.as_str()),
            ],
        ),
    }
}

fn pairs(out: &mut Out, set: &str, pairs: &[Pair]) {
    for (name, value) in pairs {
        out.leaf("nvpair", &[("id", &format!("{set}-{name}")), ("name", name), ("value", value)]);
    }
}

/// XML as it grows.
struct Out {
    text: String,
    depth: usize,
}

impl Out {
    fn block(&mut self, name: &str, attributes: &[(&str, &str)], inner: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
        inner(self);
        self.depth -= 1;
        let _ = writeln!(self.text, "{}</{name}>", "  ".repeat(self.depth));
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.open(name, attributes);
        self.text.push_str("/>\n");
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        let _ = write!(self.text, "{}<{name}", "  ".repeat(self.depth));
        for (key, value) in attributes {
            let _ = write!(self.text, " {key}=\"{}\"", escaped(value));
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_an_agent_cannot_leave_its_attribute() {
        let mut out = Out { text: String::new(), depth: 0 };
        pairs(&mut out, "s", &[("passwd".to_owned(), "a\"/><x y='&'>".to_owned())]);
        let expected =
            "<nvpair id=\"s-passwd\" name=\"passwd\" value=\"a&quot;/&gt;&lt;x y='&amp;'&gt;\"/>\n";
        assert_eq!(out.text, expected);
    }
}
