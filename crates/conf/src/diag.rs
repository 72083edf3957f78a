//! Diagnostics: everything wrong with a configuration, all at once.

use std::fmt;

use crate::source::{Sources, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is used all the same.
    Warning,
    /// The configuration is refused.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// What is wrong, naming the thing.
    pub message: String,
    /// Where, if it is at a place.
    pub span: Option<Span>,
    /// Words under the underlined text.
    pub label: String,
    /// What to do: the nearest right word, a remedy.
    pub help: Option<String>,
}

/// All findings of one configuration with the texts they point into.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostics {
    /// The texts.
    pub sources: Sources,
    /// The findings, in the order of the texts.
    pub list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Whether any finding is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// Number of errors and of warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.list.iter().filter(|d| d.severity == Severity::Error).count();
        (errors, self.list.len() - errors)
    }
}

impl fmt::Display for Diagnostics {
    /// One line per finding: `file:line:column: error: message; help`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some((source, span)) = diagnostic.span.and_then(|s| Some((self.sources.get(s.file)?, s))) {
                let (line, column) = self.sources.line_column(span);
                write!(f, "{}:{line}:{column}: ", source.name)?;
            }
            let word = match diagnostic.severity {
                Severity::Warning => "warning",
                Severity::Error => "error",
            };
            write!(f, "{word}: {}", diagnostic.message)?;
            if let Some(help) = &diagnostic.help {
                write!(f, "; {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
