//! Diagnostics: everything wrong with a configuration, all at once.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

use crate::source::{Source, Sources, Span};

/// Most findings that are rendered: a file of another kind altogether has one in each line.
const RENDERED_MAX: usize = 100;

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

    /// The findings as a person wants to see them: each with its line and the text underlined, and a closing count.
    ///
    /// `colour` is for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(110).with_context_lines(1);
        let sources: Vec<_> = self.sources.all().iter().map(named_source).collect();
        let mut out = String::new();
        for finding in self.list.iter().take(RENDERED_MAX) {
            let report = Report { finding, source: finding.span.and_then(|s| sources.get(s.file as usize)) };
            // Writing to a String cannot fail; the plain line is there in case the renderer finds a reason all the same.
            if handler.render_report(&mut out, &report).is_err() {
                out.push_str(&format!("{}\n", finding.message));
            }
        }
        if self.list.len() > RENDERED_MAX {
            out.push_str(&format!("… and {} more\n", self.list.len() - RENDERED_MAX));
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// `2 errors, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        let (errors, warnings) = self.counts();
        format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))
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

/// A text as the renderer wants it: byte for byte, so that positions stay true where it is not UTF-8.
fn named_source(source: &Source) -> NamedSource<String> {
    let text = match std::str::from_utf8(&source.text) {
        Ok(text) => text.to_owned(),
        Err(_) => source.text.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '?' }).collect(),
    };
    NamedSource::new(&source.name, text)
}

/// One finding as the renderer wants it.
#[derive(Debug)]
struct Report<'a> {
    finding: &'a Diagnostic,
    source: Option<&'a NamedSource<String>>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.finding.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|s| s as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.finding.span?;
        let label = (!self.finding.label.is_empty()).then(|| self.finding.label.clone());
        let labeled = LabeledSpan::new(label, span.start as usize, (span.len as usize).max(1));
        Some(Box::new(std::iter::once(labeled)))
    }
}
