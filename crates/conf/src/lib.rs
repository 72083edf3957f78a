//! Bacula's configuration language: text in, typed resources or diagnostics out.
//!
//! Pure: files, programs and the environment come in through a [`Loader`]. Everything wrong is reported at once, each
//! finding with file, line, the text underlined and the nearest right word; a configuration with errors is never returned.
//!
//! ```
//! use conf::{DirectorConfig, TextLoader, load};
//!
//! let mut loader = TextLoader::new("dir.conf", "Director { Name = d; Pasword = x }");
//! let findings = load::<DirectorConfig>("dir.conf", &mut loader).unwrap_err();
//! assert!(findings.to_string().contains("Password"));
//! ```
//!
//! * [`load`] reads a daemon's file: [`DirectorConfig`], [`StorageConfig`], [`ClientConfig`], [`ConsoleConfig`];
//!   [`TopologyConfig`] is what `holdfast ha` reads.
//! * [`table`] holds one entry per directive, from which parser, checks and the manual (`docs/configuration.md`) come.
//! * [`show`] prints resources as the console's `show` does.
//!
//! Passwords are hashed while they are read ([`digest::password_secret`]); the clear text is not kept. References are kept
//! as names; they resolve, or loading fails. Host names are not resolved here.
//!
//! Absent on purpose: what the directives *do*, checks that need the machine (does a directory exist), defaults that need
//! it (the host's name).

pub mod address;
mod check;
mod check_cluster;
mod check_spare;
mod check_topology;
pub mod client;
pub mod command;
pub mod console;
pub mod diag;
mod difference;
pub mod digest;
pub mod director;
pub mod fileset;
mod fileset_options;
pub mod fuzz;
mod lexer;
pub mod manual;
pub mod messages;
mod nearest;
pub mod net_address;
mod parse;
mod parse_blocks;
mod parse_run;
mod parse_value;
pub mod runscript;
pub mod schedule;
pub mod show;
pub mod source;
pub mod storage;
pub mod table;
pub mod tls;
pub mod topology;
pub mod units;
pub mod value;

pub use client::ClientConfig;
pub use console::ConsoleConfig;
pub use diag::{Diagnostic, Diagnostics, Severity};
pub use digest::password_secret;
pub use director::DirectorConfig;
pub use source::{Loader, Source, Sources, Span, TextLoader};
pub use storage::StorageConfig;
pub use topology::TopologyConfig;
pub use value::{level_from_word, level_word};

use lexer::Lexer;
use parse::Parser;
use table::{Daemon, Resource, ResourceKind, ResourceTable};
use value::Values;

/// A daemon's configuration.
pub trait Config: Sized {
    /// Whose it is.
    const DAEMON: Daemon;
    /// Its resources.
    const RESOURCES: &'static [&'static ResourceTable];

    /// Builds it from checked resources; `None` when the daemon's own resource is missing.
    fn build(parsed: &Parsed) -> Option<Self>;
}

/// Checked resources of a file, in the order written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    pub(crate) resources: Vec<(ResourceKind, Values)>,
}

impl Parsed {
    /// All resources of a type.
    #[must_use]
    pub fn all<T: Resource>(&self) -> Vec<T> {
        self.resources
            .iter()
            .filter(|(kind, _)| *kind == T::TABLE.kind)
            .map(|(_, values)| T::build(values))
            .collect()
    }

    /// The first resource of a type.
    #[must_use]
    pub fn first<T: Resource>(&self) -> Option<T> {
        self.resources.iter().find(|(kind, _)| *kind == T::TABLE.kind).map(|(_, values)| T::build(values))
    }
}

/// A configuration and what is odd about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// The resources it was built from, for comparison with another version of the file.
    pub parsed: Parsed,
    /// Warnings: directives without effect, text that is ignored.
    pub warnings: Diagnostics,
}

/// Reads and checks the configuration in the file at `path`.
///
/// # Errors
/// All findings, when at least one of them is an error.
pub fn load<C: Config>(path: &str, loader: &mut dyn Loader) -> Result<Loaded<C>, Diagnostics> {
    match loader.read(path) {
        Ok(text) => load_text(path, text, loader),
        Err(reason) => {
            let message = format!("cannot read `{path}`: {reason}");
            let finding = Diagnostic {
                severity: Severity::Error,
                message,
                span: None,
                label: String::new(),
                help: None,
            };
            Err(Diagnostics { sources: Sources::default(), list: vec![finding] })
        }
    }
}

/// As [`load`], for a text that has been read already; `name` stands for it in findings.
///
/// # Errors
/// All findings, when at least one of them is an error.
pub fn load_text<C: Config>(
    name: &str,
    text: Vec<u8>,
    loader: &mut dyn Loader,
) -> Result<Loaded<C>, Diagnostics> {
    let mut parser = Parser::new(Lexer::new(name, text, loader), C::DAEMON, C::RESOURCES);
    parser.run();
    parser.check();
    let Parser { lexer, resources, .. } = parser;
    let mut findings = Diagnostics { sources: lexer.sources, list: lexer.findings };
    findings.list.sort_by_key(|f| (f.span.is_none(), f.span.map(|s| (s.file, s.start))));
    let resources = resources.into_iter().map(|r| (r.table.kind, r.values)).collect();
    let parsed = Parsed { resources };
    match C::build(&parsed) {
        Some(config) if !findings.has_errors() => Ok(Loaded { config, parsed, warnings: findings }),
        Some(_) | None => Err(findings),
    }
}
