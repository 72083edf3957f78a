//! What holds among a Storage and its `Cold Spare For`.

use std::collections::BTreeMap;

use crate::parse::{Parser, RawResource};
use crate::table::ResourceKind;

impl Parser<'_> {
    /// A pair is a Storage and one other with the same Media Type: what one has written the other can read.
    pub(crate) fn check_cold_spares(&mut self) {
        let storages = || self.resources.iter().filter(|r| r.table.kind == ResourceKind::Storage);
        let main_of = |r: &RawResource| r.values.get::<Option<String>>("Cold Spare For");
        let mut findings = Vec::new();
        let mut spares: BTreeMap<String, &str> = BTreeMap::new();
        for spare in storages() {
            let Some(main) = main_of(spare) else { continue };
            let name = spare.values.name();
            let resource = storages().find(|r| r.values.name() == main);
            let media_type = |r: &RawResource| r.values.get::<String>("Media Type");
            let (message, help) = if main == name {
                (format!("Storage \"{name}\" is its own cold spare"), "name the Storage whose place it takes")
            } else if let Some(other) = spares.get(&main) {
                (
                    format!("Storage \"{main}\" has two cold spares, \"{other}\" and \"{name}\""),
                    "a Storage has one cold spare; remove the other",
                )
            } else if resource.is_some_and(|r| main_of(r).is_some()) {
                (
                    format!("Storage \"{main}\", whose place \"{name}\" takes, is a cold spare itself"),
                    "name the Storage that jobs and Pools use",
                )
            } else if resource.is_some_and(|r| media_type(r) != media_type(spare)) {
                (
                    format!(
                        "Storage \"{name}\" has another Media Type than \"{main}\", whose place it takes"
                    ),
                    "give both the same `Media Type`: one has to read what the other has written",
                )
            } else {
                spares.insert(main, name);
                continue;
            };
            let span = spare.values.span("Cold Spare For").unwrap_or(spare.header);
            findings.push((span, message, help));
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help.to_owned());
        }
    }
}
