//! The manual's page of directives, generated from the table: `docs/configuration.md`.

use std::fmt::Write as _;

use crate::fileset_options;
use crate::runscript;
use crate::table::{Daemon, Directive, Kind, ResourceKind, ResourceTable, squeeze};
use crate::tls::Tls;
use crate::{ClientConfig, Config, ConsoleConfig, DirectorConfig, StorageConfig, TopologyConfig};

const HEAD: &str = "\
# Configuration

<!-- Generated from the directive table of `crates/conf` (test `manual`). Edit the table, then run the test with
`UPDATE_EXPECT=1`. -->

Holdfast reads Bacula's configuration files as they are: `bacula-dir.conf`, `bacula-sd.conf`, `bacula-fd.conf` and
`bconsole.conf`. `-t` checks a file, says everything that is wrong at once, and exits 0 only when nothing is.

* `Resource { Directive = value }`; a directive ends with its line or with `;`. Case and blanks in names of directives do
  not count; names of resources are compared exactly.
* `#` begins a comment, a `\\` at the end of a line continues it, `@file` and `@|program arguments` insert a text.
* Values with blanks stand in quotes; within them `\\` takes the next character as it is.
* **Sizes**: a number and `k m g t` (powers of 1024) or `kb mb gb tb` (powers of 1000). **Speeds**: the same, per second.
* **Times**: `1 year 2 months 3 days`, `90` (seconds). Units may be cut short; `m` is months, `mi` minutes.
* **Lists** are separated by commas; a repeated directive appends.
* *Since* names the version of Bacula that brought a directive, or Holdfast for our own. Directives marked *not yet in
  effect* are read and checked; using one is answered by a warning. Directives marked *of each instance* may differ between
  the instances of a Director, whose configurations are the same otherwise.
";

/// The whole page.
#[must_use]
pub fn markdown() -> String {
    let mut out = HEAD.to_owned();
    daemon::<DirectorConfig>(&mut out, "bacula-dir.conf");
    out.push_str("\n### Blocks of Job and FileSet\n");
    for table in
        [&runscript::BLOCK, &fileset_options::INCLUDE, &fileset_options::BLOCK, &fileset_options::EXCLUDE]
    {
        resource(&mut out, table, "####");
    }
    daemon::<StorageConfig>(&mut out, "bacula-sd.conf");
    daemon::<ClientConfig>(&mut out, "bacula-fd.conf");
    daemon::<ConsoleConfig>(&mut out, "bconsole.conf");
    topology(&mut out);
    out.push_str("\n## TLS\n\nThese stand in every resource that is a daemon or a peer.\n\n");
    rows(&mut out, Tls::DIRECTIVES.iter());
    out
}

fn daemon<C: Config>(out: &mut String, file: &str) {
    let _ = writeln!(out, "\n## {} (`{file}`)", C::DAEMON.as_str());
    for table in C::RESOURCES.iter().filter(|t| is_first_here(C::DAEMON, t)) {
        if table.name == "JobDefs" {
            let _ = writeln!(out, "\n### JobDefs\n\n{} The directives are those of Job.", text(table.doc));
        } else {
            resource(out, table, "###");
        }
    }
}

/// What `holdfast ha render` reads; Fence Device is described with the Director's file.
fn topology(out: &mut String) {
    out.push_str(
        "\n## Topology (`holdfast-ha.conf`)\n\nRead by `holdfast ha render`: [topology.md](topology.md).\n",
    );
    for table in TopologyConfig::RESOURCES.iter().filter(|table| table.kind != ResourceKind::FenceDevice) {
        resource(out, table, "###");
    }
}

/// Messages and Statistics are the same in three files and described once.
fn is_first_here(daemon: Daemon, table: &ResourceTable) -> bool {
    daemon == Daemon::Director || !matches!(table.name, "Messages" | "Statistics")
}

fn resource(out: &mut String, table: &ResourceTable, level: &str) {
    let _ = write!(out, "\n{level} {}", table.name);
    if !table.aliases.is_empty() {
        let _ = write!(out, " (also {})", table.aliases.join(", "));
    }
    let _ = write!(out, "\n\n{}", text(table.doc));
    if !table.in_effect {
        out.push_str(" **Not yet in effect.**");
    }
    out.push_str("\n\n");
    rows(out, table.directives().filter(|d| !is_everywhere(d)));
}

/// `Name`, `Description` and TLS are described once.
fn is_everywhere(directive: &Directive) -> bool {
    let tls = Tls::DIRECTIVES.iter().any(|t| squeeze(t.name) == squeeze(directive.name));
    tls || directive.kind == Kind::Name || directive.name == "Description"
}

fn rows<'a>(out: &mut String, directives: impl Iterator<Item = &'a Directive>) {
    out.push_str("| Directive | Type | Default | Meaning |\n|---|---|---|---|\n");
    for d in directives {
        let mut name = format!("**{}**", d.name);
        if !d.aliases.is_empty() {
            let _ = write!(name, "<br>also {}", d.aliases.join(", "));
        }
        let default = match (d.required, d.default) {
            (true, _) => "*required*".to_owned(),
            (false, "") => "–".to_owned(),
            (false, default) => format!("`{}`", cell(default)),
        };
        let mut meaning = text(d.doc);
        if !d.example.is_empty() {
            let _ = write!(meaning, " Example: `{}`.", cell(d.example));
        }
        if !d.since.is_empty() {
            let _ = write!(meaning, " *Since {}.*", d.since);
        }
        if d.local {
            meaning.push_str(" *Of each instance.*");
        }
        if !d.in_effect {
            meaning.push_str(" *Not yet in effect.*");
        }
        let _ = writeln!(out, "| {name} | {} | {default} | {} |", cell(&d.kind.describe()), cell(&meaning));
    }
}

/// A doc comment's lines as one.
fn text(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
