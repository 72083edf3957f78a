//! What a fence agent says of itself: the XML of its `metadata` action (ClusterLabs `FenceAgentAPI`), and options held
//! against it.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::fmt;

/// Likeness above which another key is taken for the one that was meant.
const LIKENESS_MIN: f64 = 0.8;

/// Why metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// It is no XML.
    #[error("not the XML that a fence agent writes: {0}")]
    Xml(String),
    /// It describes no fence agent.
    #[error("no <resource-agent> in what it writes; is it a fence agent?")]
    NoAgent,
}

/// A parameter of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameter {
    /// Key of the option.
    pub name: String,
    /// What it is.
    pub summary: String,
    /// Whether the agent cannot do without.
    pub required: bool,
    /// Value when it is not given.
    pub default: Option<String>,
    /// Whether it has a newer name.
    pub deprecated: bool,
    /// The old name that it replaces.
    pub obsoletes: Option<String>,
    /// `string`, `integer`, `boolean`, `second`, `select`.
    pub kind: String,
    /// The values it may have, where they are counted.
    pub choices: Vec<String>,
}

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub summary: String,
    /// Its parameters, in its order.
    pub parameters: Vec<Parameter>,
    /// Its actions.
    pub actions: Vec<String>,
}

/// What is wrong with a device's options. Their values are not shown: they may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The agent cannot do what fencing needs.
    NoAction(&'static str),
    /// It has no such parameter, and ignores it.
    Unknown {
        /// The key.
        key: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// It needs a parameter that is not given.
    Missing {
        /// The key.
        key: String,
        /// What it is.
        summary: String,
    },
    /// The value is none that it takes.
    Value {
        /// The key.
        key: String,
        /// What it takes.
        takes: String,
    },
    /// The parameter has a newer name; it still works.
    Deprecated {
        /// The key.
        key: String,
        /// The newer one.
        newer: Option<String>,
    },
}

impl Finding {
    /// Whether fencing must be expected to fail.
    #[must_use]
    pub fn is_error(&self) -> bool {
        !matches!(self, Self::Deprecated { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAction(action) => write!(f, "the agent has no action {action}; take another agent"),
            Self::Unknown { key, meant: Some(meant) } => {
                write!(f, "the agent has no parameter {key}; did you mean {meant}?")
            }
            Self::Unknown { key, meant: None } => {
                write!(f, "the agent has no parameter {key}; remove it")
            }
            Self::Missing { key, summary } => {
                write!(f, "the parameter {key} is missing ({summary}); add Option = \"{key}=…\"")
            }
            Self::Value { key, takes } => write!(f, "the value of {key} is none that it takes: {takes}"),
            Self::Deprecated { key, newer: Some(newer) } => {
                write!(f, "the parameter {key} is called {newer} now")
            }
            Self::Deprecated { key, newer: None } => write!(f, "the parameter {key} is out of use"),
        }
    }
}

impl Metadata {
    /// Reads what an agent wrote. What stands before the first `<` is left out: some agents write warnings there.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn parse(text: &[u8]) -> Result<Self, MetadataError> {
        let start = text.iter().position(|byte| *byte == b'<').unwrap_or(text.len());
        let text = String::from_utf8_lossy(&text[start..]);
        let mut reader = Reader::from_str(&text);
        let mut found = Found::default();
        loop {
            match reader.read_event().map_err(|error| MetadataError::Xml(error.to_string()))? {
                Event::Start(element) => found.open(&element)?,
                Event::Empty(element) => {
                    found.open(&element)?;
                    found.close(element.name().as_ref());
                }
                Event::End(element) => found.close(element.name().as_ref()),
                Event::Text(words) => found.text(&words),
                Event::GeneralRef(entity) => found.text(entity_text(&entity).as_deref().unwrap_or_default()),
                Event::Eof => break,
                Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        if found.is_agent { Ok(found.metadata) } else { Err(MetadataError::NoAgent) }
    }

    /// Holds options against the parameters; empty when nothing is wrong.
    pub fn check<'a>(&self, options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Finding> {
        let options: Vec<(&str, &str)> = options.into_iter().collect();
        let actions = ["off", "status"].into_iter().filter(|action| !self.has_action(action));
        let mut findings: Vec<Finding> = actions.map(Finding::NoAction).collect();
        findings.extend(options.iter().filter_map(|(key, value)| self.check_option(key, value)));
        findings.extend(self.missing(&options));
        findings
    }

    fn has_action(&self, action: &str) -> bool {
        self.actions.iter().any(|name| name == action)
    }

    fn check_option(&self, key: &str, value: &str) -> Option<Finding> {
        let Some(parameter) = self.parameters.iter().find(|parameter| is_called(parameter, key)) else {
            let meant = self.nearest(key);
            return Some(Finding::Unknown { key: key.to_owned(), meant });
        };
        if let Some(takes) = parameter.refuses(value) {
            return Some(Finding::Value { key: key.to_owned(), takes });
        }
        let newer =
            || self.parameters.iter().find(|other| other.obsoletes.as_deref() == Some(&parameter.name));
        parameter
            .deprecated
            .then(|| Finding::Deprecated { key: key.to_owned(), newer: newer().map(|p| p.name.clone()) })
    }

    fn nearest(&self, key: &str) -> Option<String> {
        let current = self.parameters.iter().filter(|parameter| !parameter.deprecated);
        let likeness = |name: &str| strsim::jaro_winkler(name, key);
        current
            .map(|parameter| (likeness(&parameter.name), &parameter.name))
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, name)| name.clone())
    }

    /// Required parameters without a value. One that has an old and a new name is there under either.
    fn missing(&self, options: &[(&str, &str)]) -> Vec<Finding> {
        let given = |name: &str| options.iter().any(|(key, _)| same_key(key, name));
        let needed = self.parameters.iter().filter(|p| p.required && !p.deprecated && p.default.is_none());
        needed
            .filter(|p| p.name != "action" && !given(&p.name) && !p.obsoletes.as_deref().is_some_and(given))
            .map(|p| Finding::Missing { key: p.name.clone(), summary: p.summary.clone() })
            .collect()
    }
}

impl Parameter {
    /// What it takes, when it does not take `value`.
    fn refuses(&self, value: &str) -> Option<String> {
        if !self.choices.is_empty() {
            let known = self.choices.iter().any(|choice| choice == value);
            return (!known).then(|| self.choices.join(", "));
        }
        let number = value.trim().parse::<f64>().is_ok();
        match self.kind.as_str() {
            "integer" | "second" if !number => Some("a number".to_owned()),
            _ => None,
        }
    }
}

fn is_called(parameter: &Parameter, key: &str) -> bool {
    same_key(&parameter.name, key)
}

/// Agents take `-` and `_` in keys for the same.
fn same_key(a: &str, b: &str) -> bool {
    a.replace('-', "_") == b.replace('-', "_")
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    metadata: Metadata,
    is_agent: bool,
    parameter: Option<Parameter>,
    in_summary: bool,
}

impl Found {
    fn open(&mut self, element: &BytesStart) -> Result<(), MetadataError> {
        match element.name().as_ref() {
            "resource-agent" => {
                self.is_agent = true;
                self.metadata.name = attribute(element, "name")?.unwrap_or_default();
                self.metadata.summary = attribute(element, "shortdesc")?.unwrap_or_default();
            }
            "parameter" => {
                let is = |value: Option<String>| value.is_some_and(|value| value == "1" || value == "true");
                self.parameter = Some(Parameter {
                    name: attribute(element, "name")?.unwrap_or_default(),
                    required: is(attribute(element, "required")?),
                    deprecated: is(attribute(element, "deprecated")?),
                    obsoletes: attribute(element, "obsoletes")?,
                    ..Parameter::default()
                });
            }
            "content" => {
                if let Some(parameter) = &mut self.parameter {
                    parameter.kind = attribute(element, "type")?.unwrap_or_default();
                    parameter.default = attribute(element, "default")?;
                }
            }
            "option" => {
                let value = attribute(element, "value")?;
                if let (Some(parameter), Some(value)) = (&mut self.parameter, value) {
                    parameter.choices.push(value);
                }
            }
            "shortdesc" => self.in_summary = true,
            "action" => self.metadata.actions.extend(attribute(element, "name")?),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "parameter" => {
                if let Some(mut parameter) = self.parameter.take() {
                    let words: Vec<&str> = parameter.summary.split_whitespace().collect();
                    parameter.summary = words.join(" ");
                    self.metadata.parameters.push(parameter);
                }
            }
            "shortdesc" => self.in_summary = false,
            _ => {}
        }
    }

    fn text(&mut self, words: &str) {
        if let (true, Some(parameter)) = (self.in_summary, &mut self.parameter) {
            parameter.summary.push_str(words);
        }
    }
}

/// The character of `&amp;` and its like; none for what a document type would have to define.
fn entity_text(entity: &BytesRef) -> Option<String> {
    if let Ok(Some(character)) = entity.resolve_char_ref() {
        return Some(character.to_string());
    }
    resolve_predefined_entity(entity).map(str::to_owned)
}

fn attribute(element: &BytesStart, name: &str) -> Result<Option<String>, MetadataError> {
    let xml = |error: &dyn fmt::Display| MetadataError::Xml(error.to_string());
    let Some(attribute) = element.try_get_attribute(name).map_err(|error| xml(&error))? else {
        return Ok(None);
    };
    Ok(Some(attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| xml(&error))?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// What `fence_ipmilan` 4.12.1 writes.
    const IPMILAN: &str = include_str!("../../fixtures/fence_ipmilan.xml");

    #[allow(clippy::needless_pass_by_value, reason = "expect! makes a value")]
    fn check(options: &[(&str, &str)], expected: Expect) {
        let metadata = Metadata::parse(IPMILAN.as_bytes()).unwrap();
        let findings = metadata.check(options.iter().copied());
        let lines = findings.iter().map(|f| format!("{}{f}\n", if f.is_error() { "" } else { "(warning) " }));
        expected.assert_eq(&lines.collect::<String>());
    }

    #[test]
    fn metadata_of_a_real_agent() {
        let metadata = Metadata::parse(IPMILAN.as_bytes()).unwrap();
        assert_eq!(metadata.name, "fence_ipmilan");
        assert_eq!(metadata.summary, "Fence agent for IPMI");
        assert!(metadata.has_action("off") && metadata.has_action("status"));
        let auth = metadata.parameters.iter().find(|p| p.name == "auth").unwrap();
        assert_eq!(auth.choices, ["md5", "password", "none"]);
        assert_eq!(auth.summary, "IPMI Lan Auth type.");
        let old = metadata.parameters.iter().find(|p| p.name == "ipaddr").unwrap();
        assert!(old.deprecated);
    }

    #[test]
    fn options_are_held_against_the_metadata() {
        check(&[("ip", "10.1.9.1"), ("lanplus", "1"), ("ipmitool-timeout", "4")], expect![""]);
        check(
            &[
                ("usernam", "op"),
                ("auth", "geheim"),
                ("ipport", "geheim"),
                ("ipaddr", "10.1.9.1"),
                ("zzz", "geheim"),
            ],
            expect![[r#"
                the agent has no parameter usernam; did you mean username?
                the value of auth is none that it takes: md5, password, none
                the value of ipport is none that it takes: a number
                (warning) the parameter ipaddr is called ip now
                the agent has no parameter zzz; remove it
            "#]],
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = r#"<resource-agent name="fence_x"><parameters>
            <parameter name="action" required="1"><content type="string"/></parameter>
            <parameter name="plug" required="1" obsoletes="port"><content type="string"/><shortdesc>Outlet &amp; socket</shortdesc></parameter>
            <parameter name="port" required="1" deprecated="1"><content type="string"/></parameter>
            <parameter name="power_wait" required="1"><content type="second" default="0"/></parameter>
            </parameters><actions><action name="on"/><action name="status"/></actions></resource-agent>"#;
        let metadata = Metadata::parse(text.as_bytes()).unwrap();
        let lines = |options: &[(&str, &str)]| {
            let findings = metadata.check(options.iter().copied());
            findings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let no_action = "the agent has no action off; take another agent";
        let missing = "the parameter plug is missing (Outlet & socket); add Option = \"plug=…\"";
        assert_eq!(lines(&[]), [no_action, missing]);
        let renamed = "the parameter port is called plug now";
        assert_eq!(lines(&[("port", "3")]), [no_action, renamed]);
    }

    #[test]
    fn garbage_is_refused_and_never_panics() {
        for text in [
            "",
            "no xml",
            "<a></b>",
            "<resource-agent",
            "<html></html>",
            "\u{0}<",
            "<resource-agent name='&x;'/>",
        ] {
            assert!(Metadata::parse(text.as_bytes()).is_err(), "{text}");
        }
        for end in 0..IPMILAN.len() {
            let _ = Metadata::parse(&IPMILAN.as_bytes()[..end]);
        }
        let warned = format!("DeprecationWarning: pipes\n{IPMILAN}");
        assert!(Metadata::parse(warned.as_bytes()).is_ok());
    }
}
