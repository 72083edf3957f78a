//! What can only be said when the whole file has been read: JobDefs, references, duplicates, required directives.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::Severity;
use crate::director::Driver;
use crate::lexer::{Lexer, Mode};
use crate::messages::{Destination, DestinationKind};
use crate::nearest::nearest;
use crate::parse::{Parser, RawResource, has_own_entry};
use crate::source::{Span, TextLoader};
use crate::table::{Daemon, Directive, ResourceKind};
use crate::value::{Entry, Value, Values};

/// Words of `DB SSL Mode`, which are libpq's.
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl Parser<'_> {
    /// Runs all checks and completes the resources with JobDefs and defaults.
    pub(crate) fn check(&mut self) {
        self.check_names();
        self.check_references();
        self.check_pending();
        self.merge_job_defs();
        self.check_required();
        match self.daemon {
            Daemon::Director => self.check_director(),
            Daemon::Storage => self.check_storage(),
            Daemon::Client => self.check_client(),
            Daemon::Console => self.check_at_least_one(ResourceKind::Director),
            Daemon::Topology => self.check_topology(),
        }
        self.fill_defaults();
    }

    /// Two resources of one kind must not have one name; two Directors of one Director's file make no sense at all.
    fn check_names(&mut self) {
        let mut seen: BTreeMap<(ResourceKind, &str), Span> = BTreeMap::new();
        let mut findings = Vec::new();
        for resource in self.resources.iter().filter(|r| !r.values.name().is_empty()) {
            let (kind, name) = (resource.table.kind, resource.values.name());
            let span = resource.values.span("Name").unwrap_or(resource.header);
            match seen.get(&(kind, name)) {
                Some(first) => {
                    let line = self.lexer.sources.line_column(*first).0;
                    let message = format!("there are two {} resources named \"{name}\"", resource.table.name);
                    findings.push((
                        span,
                        message,
                        format!("the first one is in line {line}; rename one of them"),
                    ));
                }
                None => {
                    seen.insert((kind, name), span);
                }
            }
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help);
        }
    }

    fn check_references(&mut self) {
        let references = std::mem::take(&mut self.references);
        let known: BTreeSet<_> = self.resources.iter().map(|r| (r.table.kind, r.values.name())).collect();
        let dangling: Vec<_> =
            references.into_iter().filter(|r| !known.contains(&(r.kind, r.name.as_str()))).collect();
        for reference in dangling {
            let names =
                self.resources.iter().filter(|r| r.table.kind == reference.kind).map(|r| r.values.name());
            let help = nearest(&reference.name, names).map(|name| format!("did you mean `{name}`?"));
            let help = help.or_else(|| self.elsewhere(&reference.name));
            let message = format!(
                "`{}`: there is no {} named \"{}\"",
                reference.directive,
                reference.kind.as_str(),
                reference.name
            );
            self.lexer.error(reference.span, message, help);
        }
    }

    /// A resource of another kind with that name.
    fn elsewhere(&self, name: &str) -> Option<String> {
        let other = self.resources.iter().find(|r| r.values.name() == name)?;
        Some(format!("there is a {} of that name", other.table.name))
    }

    /// Warns of directives that are known but not acted upon, unless they say what happens anyway.
    fn check_pending(&mut self) {
        let mut warnings = Vec::new();
        for resource in &self.resources {
            if !resource.table.in_effect {
                warnings.push((
                    resource.header,
                    format!("the resource {} is not yet in effect", resource.table.name),
                ));
                continue;
            }
            for directive in resource.table.directives().filter(|d| !d.in_effect && has_own_entry(d)) {
                let Some(entry) = resource.values.entries.get(directive.name) else { continue };
                let Some(span) = entry.span else { continue };
                if default_value(directive).as_ref() != Some(&entry.value) {
                    warnings.push((span, format!("`{}` is not yet in effect", directive.name)));
                }
            }
        }
        for (span, message) in warnings {
            self.lexer.finding(Severity::Warning, message, Some(span), None);
        }
    }

    /// Copies into each Job what it does not say and its JobDefs does; scripts are added (spec/04 §1.5).
    fn merge_job_defs(&mut self) {
        let defs: Vec<Values> = self
            .resources
            .iter()
            .filter(|r| r.table.kind == ResourceKind::JobDefs)
            .map(|r| r.values.clone())
            .collect();
        for job in self.resources.iter_mut().filter(|r| r.table.kind == ResourceKind::Job) {
            let name: String = job.values.get("JobDefs");
            if let Some(defs) = defs.iter().find(|d| !name.is_empty() && d.name() == name) {
                merge(&mut job.values, defs);
            }
        }
    }

    fn check_required(&mut self) {
        let mut findings = Vec::new();
        for resource in self.resources.iter().filter(|r| r.table.kind != ResourceKind::JobDefs) {
            for directive in resource.table.directives().filter(|d| d.required) {
                if !resource.values.entries.contains_key(directive.name)
                    && !self.was_attempted(resource, directive)
                {
                    let message = format!(
                        "{} \"{}\" lacks `{}`",
                        resource.table.name,
                        resource.values.name(),
                        directive.name
                    );
                    let example = if directive.example.is_empty() { "…" } else { directive.example };
                    findings.push((
                        resource.header,
                        message,
                        format!("add `{} = {example}`", directive.name),
                    ));
                }
            }
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help);
        }
        let nameless: Vec<_> = self
            .resources
            .iter()
            .filter(|r| r.table.kind == ResourceKind::JobDefs && r.values.name().is_empty())
            .map(|r| r.header)
            .collect();
        for span in nameless {
            self.lexer.error(span, "a JobDefs lacks `Name`", None);
        }
    }

    /// Whether a mistake in this very directive has been reported already: then it is not missing as well.
    fn was_attempted(&self, resource: &RawResource, directive: &Directive) -> bool {
        let quoted = format!("`{}`", directive.name);
        self.lexer.findings.iter().any(|finding| {
            let after = finding
                .span
                .is_some_and(|s| s.file == resource.header.file && s.start >= resource.header.start);
            let name_is_bad = directive.name == "Name" && finding.message.contains("a name ");
            let meant =
                finding.help.as_ref().is_some_and(|h| h.contains("did you mean") && h.contains(&quoted));
            after && (finding.message.contains(&quoted) || meant || name_is_bad)
        })
    }

    fn count(&self, kind: ResourceKind) -> usize {
        self.resources.iter().filter(|r| r.table.kind == kind).count()
    }

    pub(crate) fn check_at_least_one(&mut self, kind: ResourceKind) {
        if self.count(kind) == 0 {
            let message = format!("there is no {} resource", self.table_name(kind));
            let help = format!("add a `{} {{ … }}`", self.table_name(kind));
            self.lexer.finding(Severity::Error, message, None, Some(help));
        }
    }

    fn table_name(&self, kind: ResourceKind) -> &'static str {
        self.tables.iter().find(|t| t.kind == kind).map_or(kind.as_str(), |t| t.name)
    }

    /// The resource that stands for the daemon itself: exactly one.
    fn check_exactly_one(&mut self, kind: ResourceKind) {
        self.check_at_least_one(kind);
        let second = self.resources.iter().filter(|r| r.table.kind == kind).nth(1).map(|r| r.header);
        if let Some(span) = second {
            let message = format!("there is more than one {} resource", self.table_name(kind));
            self.lexer.error(
                span,
                message,
                "the daemon is described by exactly one; remove this one".to_owned(),
            );
        }
    }

    fn check_director(&mut self) {
        self.check_exactly_one(ResourceKind::Director);
        for kind in [ResourceKind::Job, ResourceKind::Messages, ResourceKind::Catalog] {
            self.check_at_least_one(kind);
        }
        self.check_single_or_block("Dir Addresses", &["Dir Port", "Dir Address"]);
        let mut findings = Vec::new();
        for resource in &self.resources {
            match resource.table.kind {
                ResourceKind::Job => self.job_findings(resource, &mut findings),
                ResourceKind::Client => {
                    let calls =
                        matches!(resource.values.value("Allow FD Connections"), Some(Value::Bool(true)));
                    let address = resource.table.find("Address");
                    let attempted = address.is_some_and(|d| self.was_attempted(resource, d));
                    if resource.values.value("Address").is_none() && !calls && !attempted {
                        let message = format!("Client \"{}\" lacks `Address`", resource.values.name());
                        findings.push((resource.header, message, "add `Address = host`"));
                    }
                }
                ResourceKind::Catalog => {
                    let driver: String = resource.values.get("DB Driver");
                    if !driver.is_empty() && Driver::parse(&driver).is_none() {
                        // A site that expects its server's catalog must not get an empty file instead.
                        let message =
                            format!("Catalog \"{}\": there is no driver `{driver}`", resource.values.name());
                        let span = resource.values.span("DB Driver").unwrap_or(resource.header);
                        findings.push((span, message, "write `DB Driver = PostgreSQL` or `SQLite3`"));
                    }
                    let mode: String = resource.values.get("DB SSL Mode");
                    if !mode.is_empty() && !SSL_MODES.contains(&mode.to_ascii_lowercase().as_str()) {
                        let message =
                            format!("Catalog \"{}\": there is no TLS mode `{mode}`", resource.values.name());
                        let span = resource.values.span("DB SSL Mode").unwrap_or(resource.header);
                        let help = "write `disable`, `prefer`, `require`, `verify-ca` or `verify-full`";
                        findings.push((span, message, help));
                    }
                }
                _ => {}
            }
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help.to_owned());
        }
        self.check_levels();
        self.check_unsupported_jobs();
        self.check_cluster();
        self.check_cold_spares();
        self.check_tls();
    }

    /// Warns of a level that the type of job does not have: it would fail when it runs.
    fn check_levels(&mut self) {
        const VERIFY: &[&str] = &["InitCatalog", "Catalog", "VolumeToCatalog", "DiskToCatalog", "Data"];
        let mut warnings = Vec::new();
        for job in self.resources.iter().filter(|r| r.table.kind == ResourceKind::Job) {
            let word = |directive| job.values.value(directive).and_then(Value::word);
            let (Some(kind), Some(level)) = (word("Type"), word("Level")) else { continue };
            if (kind == "Verify" && !VERIFY.contains(&level)) || (kind == "Backup" && VERIFY.contains(&level))
            {
                let message =
                    format!("Job \"{}\": a job of Type {kind} has no Level {level}", job.values.name());
                warnings.push((job.header, message));
            }
        }
        for (span, message) in warnings {
            let help = "give the Job a `Level` of its own".to_owned();
            self.lexer.finding(Severity::Warning, message, Some(span), Some(help));
        }
    }

    /// Warns of jobs that are known and cannot be run yet: they would fail when they are started.
    fn check_unsupported_jobs(&mut self) {
        const TYPES: &[&str] = &["Verify"];
        const LEVELS: &[&str] = &["VirtualFull"];
        let mut warnings = Vec::new();
        for job in self.resources.iter().filter(|r| r.table.kind == ResourceKind::Job) {
            let word = |directive| job.values.value(directive).and_then(Value::word).unwrap_or_default();
            let (kind, level, name) = (word("Type"), word("Level"), job.values.name());
            if TYPES.contains(&kind) {
                let span = job.values.span("Type").unwrap_or(job.header);
                warnings.push((span, format!("Job \"{name}\": jobs of Type {kind} are not yet in effect")));
            } else if LEVELS.contains(&level) {
                let span = job.values.span("Level").unwrap_or(job.header);
                warnings.push((span, format!("Job \"{name}\": the Level {level} is not yet in effect")));
            }
        }
        for (span, message) in warnings {
            self.lexer.finding(Severity::Warning, message, Some(span), None);
        }
    }

    fn job_findings(&self, job: &RawResource, findings: &mut Vec<(Span, String, &'static str)>) {
        let name = job.values.name();
        let kind = job.values.value("Type").and_then(Value::word).unwrap_or_default();
        let pool: String = job.values.get("Pool");
        let pool_values =
            self.resources.iter().find(|r| r.table.kind == ResourceKind::Pool && r.values.name() == pool);
        let has_storage = job.values.value("Storage").is_some()
            || pool_values.is_none_or(|p| p.values.value("Storage").is_some());
        if !has_storage && kind != "Admin" {
            let message = format!("Job \"{name}\" has no Storage, nor has its Pool");
            findings.push((job.header, message, "add `Storage = name` to the Job or to the Pool"));
        }
        if matches!(kind, "Backup" | "Copy" | "Migrate") {
            for directive in ["Pool", "Next Pool"] {
                let target: String = job.values.get(directive);
                if target == "Scratch" {
                    let message = format!("Job \"{name}\" writes to the Pool \"Scratch\"");
                    let span = job.values.span(directive).unwrap_or(job.header);
                    findings.push((
                        span,
                        message,
                        "name another Pool: Scratch only lends its Volumes to others",
                    ));
                }
            }
        }
        if matches!(kind, "Copy" | "Migrate") && job.values.value("Selection Type").is_none() {
            let message = format!("Job \"{name}\" lacks `Selection Type`");
            findings.push((job.header, message, "add `Selection Type = PoolUncopiedJobs` or another one"));
        }
    }

    fn check_storage(&mut self) {
        /// Larger blocks are refused by Bacula, whose readers allocate what a block's header says.
        const BLOCK_BYTES_MAX: u64 = 20_000_000;
        self.check_exactly_one(ResourceKind::Storage);
        self.check_at_least_one(ResourceKind::Director);
        self.check_at_least_one(ResourceKind::Device);
        self.check_single_or_block("SD Addresses", &["SD Port", "SD Address"]);
        let mut findings = Vec::new();
        for device in self.resources.iter().filter(|r| r.table.kind == ResourceKind::Device) {
            let at = |directive| device.values.span(directive).unwrap_or(device.header);
            let max: u64 = device.values.get("Maximum Block Size");
            let min: u64 = device.values.get("Minimum Block Size");
            if max > BLOCK_BYTES_MAX {
                let message = format!("`Maximum Block Size` of {max} bytes is above {BLOCK_BYTES_MAX}");
                findings.push((at("Maximum Block Size"), message));
            }
            if min > max && max > 0 {
                findings.push((
                    at("Minimum Block Size"),
                    "`Minimum Block Size` is above `Maximum Block Size`".to_owned(),
                ));
            }
        }
        for (span, message) in findings {
            self.lexer.error(span, message, None);
        }
        self.check_device_types();
        self.check_destinations();
        self.check_tls();
    }

    /// Warns of kinds of Devices that are known and not served.
    fn check_device_types(&mut self) {
        let devices = self.resources.iter().filter(|r| r.table.kind == ResourceKind::Device);
        let others: Vec<_> = devices
            .filter_map(|r| Some((r.values.value("Device Type")?.word()?, r.values.span("Device Type")?)))
            .filter(|(word, _)| !matches!(*word, "File" | "Tape" | "VTape"))
            .collect();
        for (word, span) in others {
            let message = format!("`Device Type` {word} is not yet in effect: the Device is not used");
            self.lexer.finding(Severity::Warning, message, Some(span), None);
        }
    }

    fn check_client(&mut self) {
        self.check_exactly_one(ResourceKind::Client);
        self.check_at_least_one(ResourceKind::Director);
        self.check_single_or_block("FD Addresses", &["FD Port", "FD Address"]);
        self.check_destinations();
        self.check_tls();
    }

    /// Warns of destinations that the peers of a Director do not serve: they send all their messages to it.
    fn check_destinations(&mut self) {
        let mut spans = Vec::new();
        for messages in self.resources.iter().filter(|r| r.table.kind == ResourceKind::Messages) {
            let list: Vec<Destination> = messages.values.get("Mail");
            if list.iter().any(|d| d.kind != DestinationKind::Director) {
                spans.push(messages.header);
            }
        }
        for span in spans {
            let message = "destinations other than `director` are not yet in effect here".to_owned();
            let help = "the Director's Messages say where its jobs' messages go".to_owned();
            self.lexer.finding(Severity::Warning, message, Some(span), Some(help));
        }
    }

    /// An address block excludes the single address and port.
    fn check_single_or_block(&mut self, block: &str, singles: &[&str]) {
        let mut findings = Vec::new();
        for resource in self.resources.iter().filter(|r| r.values.value(block).is_some()) {
            for single in singles {
                if let Some(span) = resource.values.span(single) {
                    findings.push((span, format!("`{single}` cannot stand beside `{block}`")));
                }
            }
        }
        for (span, message) in findings {
            self.lexer.error(span, message, "put the address and port into the block".to_owned());
        }
    }

    /// TLS with certificates needs a certificate with its key, and something to check the peer's against.
    fn check_tls(&mut self) {
        let mut findings = Vec::new();
        for resource in &self.resources {
            let has = |directive| resource.values.value(directive).is_some();
            let enabled = |directive| matches!(resource.values.value(directive), Some(Value::Bool(true)));
            if !enabled("TLS Enable") && !enabled("TLS Require") && !enabled("TLS Authenticate") {
                continue;
            }
            let span = ["TLS Enable", "TLS Require", "TLS Authenticate"]
                .iter()
                .find_map(|d| resource.values.span(d));
            let span = span.unwrap_or(resource.header);
            let psk = !matches!(resource.values.value("TLS PSK Enable"), Some(Value::Bool(false)));
            let any_file = has("TLS Certificate") || has("TLS Key") || has("TLS CA Certificate File");
            if psk && !any_file && !has("TLS CA Certificate Dir") {
                // Without any certificate the password keys the connection.
                continue;
            }
            if has("TLS Certificate") != has("TLS Key") {
                findings.push((span, "`TLS Certificate` and `TLS Key` belong together", "give both"));
            }
            if !has("TLS CA Certificate File") && !has("TLS CA Certificate Dir") {
                findings.push((
                    span,
                    "TLS has nothing to check certificates against",
                    "add `TLS CA Certificate File`",
                ));
            }
        }
        for (span, message, help) in findings {
            self.lexer.error(span, message, help.to_owned());
        }
    }

    pub(crate) fn fill_defaults(&mut self) {
        for table in self.tables {
            let directives = table.directives().filter(|d| has_own_entry(d));
            let defaults: Vec<_> = directives.filter_map(|d| Some((d.name, default_value(d)?))).collect();
            let same = |r: &&mut RawResource| std::ptr::eq(r.table, *table);
            for resource in self.resources.iter_mut().filter(same) {
                for (name, value) in &defaults {
                    let default = || Entry { value: value.clone(), span: None };
                    resource.values.entries.entry(name).or_insert_with(default);
                }
            }
        }
    }
}

/// The value of a directive's default, read by the same code as the files.
pub(crate) fn default_value(directive: &'static Directive) -> Option<Value> {
    if directive.default.is_empty() {
        return None;
    }
    read_value(directive, directive.default)
}

/// The value that a text would give a directive; `None` when it is not one.
pub(crate) fn read_value(directive: &'static Directive, text: &str) -> Option<Value> {
    let mut loader = TextLoader::default();
    let lexer = Lexer::new("default", text.as_bytes().to_vec(), &mut loader);
    let mut parser = Parser::new(lexer, Daemon::Director, &[]);
    if directive.kind.is_block() {
        parser.lexer.next(Mode::Normal);
        return parser.block(directive).filter(|_| parser.lexer.findings.is_empty());
    }
    let value = parser.value(directive, &Values::default());
    value.map(|(value, _)| value).filter(|_| parser.lexer.findings.is_empty())
}

fn merge(job: &mut Values, defs: &Values) {
    /// Lists that start things of their own: inherited, each job would start them again.
    const NOT_INHERITED: &[&str] = &["Name", "Description", "JobDefs", "Run", "Tag"];
    for (directive, entry) in &defs.entries {
        if NOT_INHERITED.contains(directive) {
            continue;
        }
        match job.entries.get_mut(directive) {
            None => {
                job.entries.insert(directive, entry.clone());
            }
            Some(own) if matches!(entry.value, Value::Scripts(_)) => own.value.append(entry.value.clone()),
            Some(_) => {}
        }
    }
}
