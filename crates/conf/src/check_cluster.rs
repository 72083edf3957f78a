//! What holds among `Cluster`, `Instance` and `Fence Device`.

use std::collections::BTreeMap;

use crate::diag::Severity;
use crate::director::{Engine, Fence};
use crate::parse::{Parser, RawResource};
use crate::source::Span;
use crate::table::ResourceKind;
use crate::value::Value;

/// A finding: where, what, and the remedy.
type Finding = (Span, String, String);

impl Parser<'_> {
    /// The checks of a Director's cluster. Whether it must be fenced when it does not say so is not decided here: that
    /// depends on the catalog and the Storages.
    pub(crate) fn check_cluster(&mut self) {
        let mut findings = Vec::new();
        self.one_cluster(&mut findings);
        self.instances(&mut findings);
        for device in self.of_kind(ResourceKind::FenceDevice) {
            fence_device(device, &mut findings);
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help);
        }
        self.warn_of_engine();
    }

    fn of_kind(&self, kind: ResourceKind) -> impl Iterator<Item = &RawResource> {
        self.resources.iter().filter(move |r| r.table.kind == kind)
    }

    fn one_cluster(&self, findings: &mut Vec<Finding>) {
        let mut clusters = self.of_kind(ResourceKind::Cluster);
        let Some(first) = clusters.next() else {
            if let Some(instance) = self.of_kind(ResourceKind::Instance).next() {
                let message = "there is an Instance and no Cluster".to_owned();
                let help = "add a `Cluster { Name = … }`, or remove the Instance: a Director without a Cluster stands alone";
                findings.push((instance.header, message, help.to_owned()));
            }
            return;
        };
        for other in clusters {
            let message = "there is more than one Cluster resource".to_owned();
            findings.push((other.header, message, "a Director is one cluster; remove this one".to_owned()));
        }
        if self.of_kind(ResourceKind::Instance).next().is_none() {
            let message = format!("Cluster \"{}\" has no Instance", first.values.name());
            let help = "add an `Instance { Name = …; Address = … }` for each process of the Director";
            findings.push((first.header, message, help.to_owned()));
        }
        if is_zero(first, "Lease Time") {
            let span = first.values.span("Lease Time").unwrap_or(first.header);
            findings.push((span, "`Lease Time` is 0".to_owned(), "give at least `1 second`".to_owned()));
        }
        let drift: Option<u32> = first.values.value("Drift Bound").map(|_| first.values.get("Drift Bound"));
        if let Some(drift) = drift.filter(|drift| !(1..=DRIFT_PERCENT_MAX).contains(drift)) {
            let span = first.values.span("Drift Bound").unwrap_or(first.header);
            let message = format!("`Drift Bound` is {drift} percent");
            findings.push((span, message, format!("give 1 to {DRIFT_PERCENT_MAX}")));
        }
    }

    fn instances(&self, findings: &mut Vec<Finding>) {
        let fence = |cluster: &RawResource| cluster.values.value("Fence").and_then(Value::word);
        let required = self
            .of_kind(ResourceKind::Cluster)
            .filter_map(fence)
            .any(|word| word == Fence::Required.as_str());
        let mut places: BTreeMap<(String, u16), &str> = BTreeMap::new();
        let mut devices: BTreeMap<String, &str> = BTreeMap::new();
        for instance in self.of_kind(ResourceKind::Instance) {
            let name = instance.values.name();
            let address: String = instance.values.get("Address");
            let port: Option<u16> =
                instance.values.value("Dir Port").map(|_| instance.values.get("Dir Port"));
            let place = (address, port.unwrap_or(DIR_PORT));
            if let Some(other) = places.get(&place).filter(|_| !place.0.is_empty()) {
                let message = format!(
                    "Instance \"{name}\" has the address and port of Instance \"{other}\": {}:{}",
                    place.0, place.1
                );
                let span = instance.values.span("Address").unwrap_or(instance.header);
                findings.push((span, message, "give each its own `Address` or `Dir Port`".to_owned()));
            }
            places.entry(place).or_insert(name);

            let device: Option<String> = instance.values.get("Fence Device");
            match device {
                Some(device) => {
                    if let Some(other) = devices.get(&device) {
                        // The one that fences would switch off itself.
                        let message = format!(
                            "Instance \"{name}\" has the Fence Device of Instance \"{other}\": \"{device}\""
                        );
                        let span = instance.values.span("Fence Device").unwrap_or(instance.header);
                        let help = "give each instance a Fence Device that switches off its machine alone";
                        findings.push((span, message, help.to_owned()));
                    }
                    devices.entry(device).or_insert(name);
                }
                None if required => {
                    let message =
                        format!("Instance \"{name}\" lacks `Fence Device`, which `Fence = required` needs");
                    let help = "name the Fence Device that switches its machine off, or write `Fence = none`";
                    findings.push((instance.header, message, help.to_owned()));
                }
                None => {}
            }
        }
    }

    /// Pacemaker fences by its own devices: what the configuration says of fencing has no effect then.
    fn warn_of_engine(&mut self) {
        let word = |r: &RawResource, name: &str| Some(r.values.value(name)?.word()?.to_owned());
        let others: Vec<Span> = self
            .of_kind(ResourceKind::Cluster)
            .filter(|r| word(r, "Engine").is_some_and(|word| word == Engine::Pacemaker.as_str()))
            .filter(|r| word(r, "Fence").is_some_and(|word| word == Fence::Required.as_str()))
            .filter_map(|r| r.values.span("Fence"))
            .collect();
        for span in others {
            let message =
                "`Fence = required` has no effect with `Engine = Pacemaker`, which fences by its own devices (STONITH)"
                    .to_owned();
            self.lexer.finding(Severity::Warning, message, Some(span), None);
        }
    }
}

/// The default of an Instance's `Dir Port`; defaults are filled in after the checks.
const DIR_PORT: u16 = 9101;

/// Beyond it a clock is broken, and a takeover would wait for more than two leases.
const DRIFT_PERCENT_MAX: u32 = 100;

/// More would keep a takeover waiting for hours.
const RETRIES_MAX: u32 = 100;

/// What is wrong with a Fence Device by itself.
pub(crate) fn fence_device(device: &RawResource, findings: &mut Vec<Finding>) {
    let at = |directive| device.values.span(directive).unwrap_or(device.header);
    let agent: String = device.values.get("Agent");
    if agent.contains('/') && !agent.starts_with('/') {
        let message = format!("`Agent` \"{agent}\" is a relative path");
        findings.push((at("Agent"), message, "give its name alone or its absolute path".to_owned()));
    }
    if is_zero(device, "Timeout") {
        findings.push((at("Timeout"), "`Timeout` is 0".to_owned(), "give at least `1 second`".to_owned()));
    }
    let retries: u32 = device.values.value("Retries").map_or(0, |_| device.values.get("Retries"));
    if retries > RETRIES_MAX {
        let message = format!("`Retries` is {retries}");
        findings.push((
            at("Retries"),
            message,
            format!("give at most {RETRIES_MAX}: a takeover waits for them"),
        ));
    }
    let mut seen: Vec<String> = Vec::new();
    for option in device.values.get::<Vec<String>>("Option") {
        if let Err((message, help)) = fence_option(&option, &mut seen) {
            findings.push((at("Option"), message, help));
        }
    }
}

/// What a line of an agent's input must be. The text itself is not shown: it may be a password.
fn fence_option(option: &str, seen: &mut Vec<String>) -> Result<(), (String, String)> {
    let form = || "write `Option = \"key=value\"` with a key of the agent's metadata".to_owned();
    let (key, value) = option.split_once('=').ok_or_else(|| ("an `Option` has no `=`".to_owned(), form()))?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(legal) {
        return Err((
            "the key of an `Option` is not made of letters, digits, `_` and `-`".to_owned(),
            form(),
        ));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err((format!("the value of the `Option` {key} has a line break in it"), form()));
    }
    if key == "action" {
        let help = "remove it: which action an agent is called for is said by Holdfast".to_owned();
        return Err(("the `Option` action cannot be set".to_owned(), help));
    }
    if seen.iter().any(|other| other == key) {
        return Err((format!("the `Option` {key} is given twice"), "remove one of them".to_owned()));
    }
    seen.push(key.to_owned());
    Ok(())
}

fn is_zero(resource: &RawResource, directive: &str) -> bool {
    matches!(resource.values.value(directive), Some(Value::Time(time)) if time.is_zero())
}
