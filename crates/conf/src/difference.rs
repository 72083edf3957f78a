//! What a reload changes, directive by directive; and a normal form to compare whole configurations by.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::digest::sha256_hex;
use crate::table::{ResourceKind, is_secret};
use crate::units::format_time;
use crate::value::{Value, Values};
use crate::{Config, Parsed};

impl Parsed {
    /// The configuration as a text that depends on what it says and not on how it is written: order of resources and
    /// directives, blanks, includes, comments and units do not matter. Defaults are in it. Passwords stand as their
    /// hashes, so the text is as secret as the file.
    #[must_use]
    pub fn normal_form(&self) -> String {
        self.form(|_, _| true)
    }

    /// SHA-256, in hex, of the normal form without the values that each instance of a Director has for itself
    /// ([`Directive::local`](crate::table::Directive::local)).
    #[must_use]
    pub fn hash<C: Config>(&self) -> String {
        let is_shared = |kind: ResourceKind, directive: &str| {
            let table = C::RESOURCES.iter().find(|table| table.kind == kind);
            !table.and_then(|table| table.find(directive)).is_some_and(|entry| entry.local)
        };
        sha256_hex(self.form(is_shared).as_bytes())
    }

    fn form(&self, counts: impl Fn(ResourceKind, &str) -> bool) -> String {
        let mut resources: Vec<_> = self.resources.iter().collect();
        resources.sort_by_key(|(kind, values)| (*kind, values.name().to_owned()));
        let mut out = String::new();
        for (kind, values) in resources {
            let _ = writeln!(out, "{} {:?}", kind.as_str(), values.name());
            for (directive, entry) in values.entries.iter().filter(|(name, _)| counts(*kind, name)) {
                let _ = writeln!(out, "  {directive} = {}", text(&entry.value));
            }
        }
        out
    }

    /// What is different in `new`, a line each: resources added and removed, directives changed. Secrets are not shown.
    #[must_use]
    pub fn difference(&self, new: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kind, values) in &self.resources {
            match new.find(*kind, values.name()) {
                Some(other) => directives(*kind, values, other, &mut lines),
                None => lines.push(format!("{} \"{}\" removed", kind.as_str(), values.name())),
            }
        }
        for (kind, values) in &new.resources {
            if self.find(*kind, values.name()).is_none() {
                lines.push(format!("{} \"{}\" added", kind.as_str(), values.name()));
            }
        }
        lines
    }

    fn find(&self, kind: ResourceKind, name: &str) -> Option<&Values> {
        self.resources
            .iter()
            .find(|(k, values)| *k == kind && values.name() == name)
            .map(|(_, values)| values)
    }
}

fn directives(kind: ResourceKind, old: &Values, new: &Values, lines: &mut Vec<String>) {
    let names: BTreeSet<_> = old.entries.keys().chain(new.entries.keys()).collect();
    for name in names {
        let (before, after) = (old.value(name), new.value(name));
        if before == after {
            continue;
        }
        let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), text);
        // An agent's options hold its password.
        let what = if is_secret(name) || (kind == ResourceKind::FenceDevice && *name == "Option") {
            "changed".to_owned()
        } else {
            format!("{} → {}", show(before), show(after))
        };
        lines.push(format!("{} \"{}\": {name}: {what}", kind.as_str(), old.name()));
    }
}

/// A value in one line.
fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Word(word) => (*word).to_owned(),
        Value::Bool(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bytes(bytes) => bytes.to_string(),
        Value::Time(time) => format_time(*time).trim_end().to_owned(),
        Value::List(list) => list.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", "),
        Value::Runs(runs) => runs.iter().map(|run| format!("{:?}", run.text)).collect::<Vec<_>>().join(", "),
        Value::Addresses(list) => format!("{list:?}"),
        Value::Scripts(list) => format!("{list:?}"),
        Value::Blocks(list) => format!("{list:?}"),
        Value::Destinations(list) => format!("{list:?}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::{DirectorConfig, Loaded, TextLoader, load};

    const TEXT: &str = include_str!("../fixtures/debian/bacula-dir.conf");

    fn read(text: &str) -> Loaded<DirectorConfig> {
        let mut loader = TextLoader::new("t", text);
        load("t", &mut loader).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_way_of_writing_does_not_matter() {
        let other = TEXT
            .replace("Maximum Volumes = 100", "MaximumVolumes=100 # a comment")
            .replace("365 days", "1 year");
        assert_ne!(other, TEXT);
        assert_eq!(read(TEXT).parsed.normal_form(), read(&other).parsed.normal_form());
        assert!(read(TEXT).parsed.difference(&read(&other).parsed).is_empty());
    }

    #[test]
    fn what_is_of_one_instance_does_not_count_in_the_hash() {
        let hash = |text: &str| read(text).parsed.hash::<DirectorConfig>();
        let moved = TEXT
            .replace("DIRport = 9101", "DIRport = 9201")
            .replace("WorkingDirectory = \"/var/lib/bacula\"", "WorkingDirectory = \"/srv/bacula\"");
        assert_ne!(read(&moved).parsed.normal_form(), read(TEXT).parsed.normal_form());
        assert_eq!(hash(&moved), hash(TEXT));
        assert_eq!(hash(TEXT).len(), 64);
        for (old, new) in
            [("XXX_FDPASSWORD_XXX", "new"), ("365 days", "366 days"), ("Name = Scratch", "Name = Spare")]
        {
            assert_ne!(hash(&TEXT.replace(old, new)), hash(TEXT), "{old}");
        }
    }

    #[test]
    fn each_change_is_a_line() {
        let other = TEXT
            .replace("Maximum Volume Bytes = 50G", "Maximum Volume Bytes = 1M")
            .replace("XXX_FDPASSWORD_XXX", "new")
            .replace("sun-sat at 23:10", "sun-sat at 23:20")
            .replace("Name = Scratch", "Name = Spare");
        let lines = read(TEXT).parsed.difference(&read(&other).parsed);
        assert_eq!(
            lines,
            [
                "Schedule \"WeeklyCycleAfterBackup\": Run: \"Full sun-sat at 23:10\" → \"Full sun-sat at 23:20\"",
                "Client \"debian-fd\": Password: changed",
                "Pool \"Default\": Maximum Volume Bytes: 53687091200 → 1048576",
                "Pool \"File\": Maximum Volume Bytes: 53687091200 → 1048576",
                "Pool \"Scratch\" removed",
                "Pool \"Spare\" added",
            ]
        );
    }
}
