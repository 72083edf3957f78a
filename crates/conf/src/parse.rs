//! Tokens to resources: braces, directives, recovery after mistakes (spec/04 §1.1).

use crate::diag::Severity;
use crate::lexer::{Lexer, Mode, Token, TokenKind};
use crate::nearest::nearest;
use crate::source::Span;
use crate::table::{Daemon, Directive, Kind, ResourceKind, ResourceTable, squeeze};
use crate::value::{Entry, Value, Values};

/// A resource as parsed: not yet checked, defaults not yet filled in.
#[derive(Debug, Clone)]
pub(crate) struct RawResource {
    pub(crate) table: &'static ResourceTable,
    pub(crate) values: Values,
    /// The word before the brace.
    pub(crate) header: Span,
}

/// A name that must resolve.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) kind: ResourceKind,
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) directive: &'static str,
}

/// The parser of one file with its includes.
pub(crate) struct Parser<'a> {
    pub(crate) lexer: Lexer<'a>,
    pub(crate) daemon: Daemon,
    pub(crate) tables: &'static [&'static ResourceTable],
    pub(crate) resources: Vec<RawResource>,
    pub(crate) references: Vec<Reference>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(lexer: Lexer<'a>, daemon: Daemon, tables: &'static [&'static ResourceTable]) -> Self {
        Self { lexer, daemon, tables, resources: Vec::new(), references: Vec::new() }
    }

    /// Reads all resources; findings are in the lexer.
    pub(crate) fn run(&mut self) {
        loop {
            let token = self.lexer.next(Mode::Normal);
            match token.kind {
                TokenKind::EndOfLine | TokenKind::Bad => {}
                TokenKind::EndOfFile => return,
                TokenKind::Identifier | TokenKind::Unquoted => self.resource(&token),
                TokenKind::Close => {
                    let help = "a brace too many, or one that was closed too early above".to_owned();
                    self.lexer.error(token.span, "a `}` outside of any resource", help);
                }
                TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Open
                | TokenKind::Equals
                | TokenKind::Comma => {
                    self.lexer.error(token.span, "a resource's name is expected here", None);
                    self.skip_statement();
                }
            }
        }
    }

    /// The table of a resource's word in this daemon's file.
    pub(crate) fn table(&self, word: &str) -> Option<&'static ResourceTable> {
        self.tables.iter().copied().find(|t| t.is_called(word))
    }

    fn resource(&mut self, word: &Token) {
        let name = String::from_utf8_lossy(&word.text).into_owned();
        let table = self.table(&name);
        if table.is_none() {
            let words =
                self.tables.iter().flat_map(|t| std::iter::once(t.name).chain(t.aliases.iter().copied()));
            let help = nearest(&name, words).map(|w| format!("did you mean `{w}`?"));
            let message = format!("`{name}` is no resource of a {}'s configuration", self.daemon.as_str());
            self.lexer.error(word.span, message, help);
        }
        let open = self.next_beyond_lines();
        if open.kind != TokenKind::Open {
            if table.is_some() {
                self.lexer.error(open.span, format!("a `{{` is expected after `{name}`"), None);
            }
            self.lexer.unget(open);
            self.skip_statement();
            return;
        }
        let Some(table) = table else {
            self.skip_block();
            return;
        };
        let mut values = Values::default();
        self.body(table, word.span, &mut values);
        self.resources.push(RawResource { table, values, header: word.span });
    }

    fn body(&mut self, table: &'static ResourceTable, header: Span, values: &mut Values) {
        loop {
            let token = self.lexer.next(Mode::Normal);
            match token.kind {
                TokenKind::EndOfLine | TokenKind::Bad => {}
                TokenKind::Close => return,
                TokenKind::EndOfFile => {
                    let help = "add the missing `}`".to_owned();
                    self.lexer.error(header, format!("this {} is not closed", table.name), help);
                    return;
                }
                TokenKind::Identifier | TokenKind::Unquoted => {
                    if !self.directive(table, &token, values, header) {
                        return;
                    }
                }
                TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Open
                | TokenKind::Equals
                | TokenKind::Comma => {
                    self.lexer.error(token.span, "a directive's name is expected here", None);
                    self.lexer.skip_rest();
                }
            }
        }
    }

    /// One directive; false when it turned out that the resource was never closed and the next one begins here.
    fn directive(
        &mut self,
        table: &'static ResourceTable,
        word: &Token,
        values: &mut Values,
        header: Span,
    ) -> bool {
        let name = String::from_utf8_lossy(&word.text).into_owned();
        let Some(directive) = table.find(&name) else {
            let next = self.lexer.next(Mode::Normal);
            let opens = next.kind == TokenKind::Open;
            self.lexer.unget(next);
            if opens && self.table(&name).is_some() {
                let help = format!("add a `}}` before this {name}");
                self.lexer.error(header, format!("this {} is not closed", table.name), help);
                self.resource(word);
                return false;
            }
            self.unknown(table, &name, word.span);
            self.lexer.skip_rest();
            return true;
        };
        if directive.kind.is_block() {
            let open = self.next_beyond_lines();
            if open.kind != TokenKind::Open {
                let help = format!("write `{} {{ … }}`, without `=`", directive.name);
                self.lexer.error(open.span, format!("a `{{` is expected after `{}`", directive.name), help);
                self.lexer.unget(open);
                self.skip_statement();
                return true;
            }
            if let Some(value) = self.block(directive) {
                self.store(directive, value, word.span, values);
            }
            return true;
        }
        let equals = self.lexer.next(Mode::Normal);
        if equals.kind != TokenKind::Equals {
            let span = if equals.kind == TokenKind::EndOfLine { word.span } else { equals.span };
            self.lexer.error(span, format!("an `=` is expected after `{}`", directive.name), None);
            self.lexer.unget(equals);
            self.lexer.skip_rest();
            return true;
        }
        if let Some((value, span)) = self.value(directive, values) {
            self.store(directive, value, span, values);
        }
        true
    }

    /// Reports a directive that the resource does not have: where it belongs, or the nearest one that it has.
    pub(crate) fn unknown(&mut self, table: &ResourceTable, name: &str, span: Span) {
        let elsewhere: Vec<_> =
            self.tables.iter().filter(|t| t.find(name).is_some()).map(|t| t.name).collect();
        let near = nearest(
            name,
            table.directives().flat_map(|d| std::iter::once(d.name).chain(d.aliases.iter().copied())),
        );
        let help = match (near, elsewhere.as_slice()) {
            (None, []) => None,
            (Some(near), []) => Some(format!("did you mean `{near}`?")),
            (_, homes) => Some(format!("it belongs in {}", homes.join(" or "))),
        };
        let written = self.lexer.written(span).unwrap_or_else(|| name.to_owned());
        self.lexer.error(span, format!("`{written}` is no directive of {}", table.name), help);
    }

    /// Stores a value, appending where the directive repeats; reports a repetition that would lose the first value.
    fn store(&mut self, directive: &'static Directive, value: Value, span: Span, values: &mut Values) {
        let key = storage_key(directive);
        let Some(entry) = values.entries.get_mut(key) else {
            values.entries.insert(key, Entry { value, span: Some(span) });
            return;
        };
        if directive.kind.appends() {
            entry.value.append(value);
            return;
        }
        let first = entry.span;
        match directive.kind {
            Kind::Command => {}
            Kind::Bool
            | Kind::Uint
            | Kind::Int
            | Kind::Size
            | Kind::Speed
            | Kind::Time
            | Kind::Words(_)
            | Kind::Port => {
                let message = format!("`{}` is given twice; this one counts", directive.name);
                self.lexer.finding(Severity::Warning, message, Some(span), None);
            }
            _ => {
                let at = first.map(|s| self.lexer.sources.line_column(s).0);
                let help = at.map(|line| format!("the first one is in line {line}; remove one of them"));
                self.lexer.error(span, format!("`{}` is given twice", directive.name), help);
            }
        }
        values.entries.insert(key, Entry { value, span: Some(span) });
    }

    /// The next token that is no end of line.
    pub(crate) fn next_beyond_lines(&mut self) -> Token {
        loop {
            let token = self.lexer.next(Mode::Normal);
            if token.kind != TokenKind::EndOfLine {
                return token;
            }
        }
    }

    /// Skips the rest of a block whose brace is open.
    pub(crate) fn skip_block(&mut self) {
        let mut depth = 1u32;
        while depth > 0 {
            let token = self.lexer.next(Mode::Normal);
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth -= 1,
                TokenKind::EndOfFile => return,
                TokenKind::EndOfLine
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Unquoted
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::Bad => {}
            }
        }
    }

    /// Skips to the end of the line, over a block that begins in it.
    fn skip_statement(&mut self) {
        loop {
            let token = self.lexer.next(Mode::Normal);
            match token.kind {
                TokenKind::EndOfLine => return,
                TokenKind::Open => return self.skip_block(),
                TokenKind::EndOfFile | TokenKind::Close => {
                    self.lexer.unget(token);
                    return;
                }
                TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Unquoted
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::Bad => {}
            }
        }
    }
}

/// The directive under whose name a value is kept: one-line scripts, Exclude blocks and destinations share a list each.
pub(crate) fn storage_key(directive: &'static Directive) -> &'static str {
    match directive.kind {
        Kind::ShortScript(_) => "Run Script",
        Kind::Exclude => "Include",
        Kind::Destination(_) => "Mail",
        _ => directive.name,
    }
}

/// Whether a directive's own entry says that it was written: not for the shared lists.
pub(crate) fn has_own_entry(directive: &'static Directive) -> bool {
    squeeze(storage_key(directive)) == squeeze(directive.name)
}
