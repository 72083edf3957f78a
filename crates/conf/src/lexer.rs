//! Bytes to tokens, with Bacula's irregular rules (spec/04 §1.2).
//!
//! Which token a text is depends on what is being read: identifiers swallow the blanks inside them, unquoted strings end
//! at the first blank. The rules are reproduced because configurations in the field depend on them.

use crate::diag::{Diagnostic, Severity};
use crate::source::{Loader, Sources, Span};

/// Longest token in bytes, as in Bacula.
const TOKEN_BYTES_MAX: usize = 5000;
/// Deepest nesting of includes; deeper ones include themselves.
const INCLUDE_DEPTH_MAX: usize = 20;
/// Most texts of one configuration.
const INCLUDES_MAX: usize = 5000;
/// Most bytes of all texts of one configuration.
const TOTAL_BYTES_MAX: usize = 256 << 20;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// End of a line, or `;`.
    EndOfLine,
    /// End of the last text.
    EndOfFile,
    /// Letters; blanks inside are gone.
    Identifier,
    /// Digits.
    Number,
    /// Text in quotes, escapes resolved.
    Quoted,
    /// Any other text, to the next blank.
    Unquoted,
    /// `{`
    Open,
    /// `}`
    Close,
    /// `=`
    Equals,
    /// `,`
    Comma,
    /// Not a token; a diagnostic has been made.
    Bad,
}

impl TokenKind {
    /// Whether it carries a text that a directive can take.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Identifier | Self::Number | Self::Quoted | Self::Unquoted)
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) text: Vec<u8>,
    pub(crate) span: Span,
}

/// How the next token is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The usual one.
    Normal,
    /// Run lines: letters start an unquoted string, so blanks part words.
    NoIdentifiers,
}

struct Frame {
    file: u32,
    pos: usize,
}

/// The lexer: a stack of texts, the innermost being read.
pub(crate) struct Lexer<'a> {
    loader: &'a mut dyn Loader,
    pub(crate) sources: Sources,
    pub(crate) findings: Vec<Diagnostic>,
    stack: Vec<Frame>,
    pending: Option<Token>,
    total: usize,
}

impl<'a> Lexer<'a> {
    /// Starts with the text of a file.
    pub(crate) fn new(name: &str, text: Vec<u8>, loader: &'a mut dyn Loader) -> Self {
        let mut lexer = Self {
            loader,
            sources: Sources::default(),
            findings: Vec::new(),
            stack: Vec::new(),
            pending: None,
            total: 0,
        };
        if matches!(text.get(..2), Some([0xff, 0xfe] | [0xfe, 0xff])) {
            lexer.finding(
                Severity::Error,
                "the file is in UTF-16".into(),
                None,
                Some("save it as UTF-8".into()),
            );
            return lexer;
        }
        let start = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        lexer.push(name, text, start);
        lexer
    }

    /// The environment and files behind the configuration.
    pub(crate) fn loader(&mut self) -> &mut dyn Loader {
        self.loader
    }

    /// Records a finding.
    pub(crate) fn finding(
        &mut self,
        severity: Severity,
        message: String,
        span: Option<Span>,
        help: Option<String>,
    ) {
        self.findings.push(Diagnostic { severity, message, span, label: String::new(), help });
    }

    /// Records an error at a place.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<Option<String>>) {
        self.finding(Severity::Error, message.into(), Some(span), help.into());
    }

    /// A place as it is written, for findings: a name with the blanks that tokens drop.
    pub(crate) fn written(&self, span: Span) -> Option<String> {
        let text = &self.sources.get(span.file)?.text;
        let end = (span.start + span.len) as usize;
        text.get(span.start as usize..end).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Puts a token back; the next call gives it again, whatever the mode.
    pub(crate) fn unget(&mut self, token: Token) {
        self.pending = Some(token);
    }

    /// Whether a blank follows at once: sizes and times go on over blanks.
    pub(crate) fn at_blank(&self) -> bool {
        self.pending.is_none() && self.byte() == Some(b' ')
    }

    /// The next token.
    pub(crate) fn next(&mut self, mode: Mode) -> Token {
        if let Some(token) = self.pending.take() {
            return token;
        }
        loop {
            let start = self.here();
            let Some(byte) = self.byte() else {
                if self.stack.len() > 1 {
                    self.stack.pop();
                    return self.token(TokenKind::EndOfLine, Vec::new(), start);
                }
                return self.token(TokenKind::EndOfFile, Vec::new(), start);
            };
            match byte {
                b'\n' | b';' => return self.single(TokenKind::EndOfLine),
                b if is_blank(b) => self.skip(1),
                b'#' => self.skip_line(),
                b'{' => return self.single(TokenKind::Open),
                b'}' => return self.single(TokenKind::Close),
                b'=' => return self.single(TokenKind::Equals),
                b',' => return self.single(TokenKind::Comma),
                b'"' => return self.quoted(start),
                b'@' => {
                    if let Some(token) = self.include() {
                        return token;
                    }
                }
                b'\\' if self.byte_at(1).is_none_or(|b| is_blank(b) || b == b'\n') => {
                    self.skip_line();
                    self.skip(1);
                }
                b'0'..=b'9' => return self.number(start),
                b if b.is_ascii_alphabetic() && mode == Mode::Normal => return self.identifier(start),
                _ => return self.unquoted(start, Vec::new()),
            }
        }
    }

    /// Skips to the end of the line or to a closing brace, which is left; gives the span of what was skipped, if any.
    pub(crate) fn skip_rest(&mut self) -> Option<Span> {
        let mut skipped: Option<Span> = None;
        let mut depth = 0u32;
        loop {
            let token = self.next(Mode::Normal);
            match token.kind {
                TokenKind::EndOfLine if depth == 0 => return skipped,
                TokenKind::EndOfFile => {
                    self.unget(token);
                    return skipped;
                }
                TokenKind::Close if depth == 0 => {
                    self.unget(token);
                    return skipped;
                }
                TokenKind::Close => depth -= 1,
                TokenKind::Open => depth += 1,
                TokenKind::EndOfLine
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Unquoted
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::Bad => {}
            }
            skipped = Some(skipped.map_or(token.span, |s| s.to(token.span)));
        }
    }

    fn push(&mut self, name: &str, text: Vec<u8>, pos: usize) {
        self.total += text.len();
        let file = self.sources.add(name, text);
        self.stack.push(Frame { file, pos });
    }

    fn byte(&self) -> Option<u8> {
        self.byte_at(0)
    }

    fn byte_at(&self, offset: usize) -> Option<u8> {
        let frame = self.stack.last()?;
        self.sources.get(frame.file)?.text.get(frame.pos + offset).copied()
    }

    fn skip(&mut self, bytes: usize) {
        if let Some(frame) = self.stack.last_mut() {
            frame.pos += bytes;
        }
    }

    /// To the end of the line, which is left.
    fn skip_line(&mut self) {
        while self.byte().is_some_and(|b| b != b'\n') {
            self.skip(1);
        }
    }

    fn here(&self) -> Span {
        self.stack.last().map_or(Span { file: 0, start: 0, len: 0 }, |frame| Span {
            file: frame.file,
            start: u32::try_from(frame.pos).unwrap_or(u32::MAX),
            len: 0,
        })
    }

    fn token(&mut self, kind: TokenKind, text: Vec<u8>, start: Span) -> Token {
        let span = start.to(self.here());
        if text.len() > TOKEN_BYTES_MAX {
            let message = format!("a value has {} bytes; at most {TOKEN_BYTES_MAX} are allowed", text.len());
            self.error(span, message, None);
            return Token { kind: TokenKind::Bad, text: Vec::new(), span };
        }
        Token { kind, text, span }
    }

    fn single(&mut self, kind: TokenKind) -> Token {
        let start = self.here();
        let text = self.byte().into_iter().collect();
        self.skip(1);
        self.token(kind, text, start)
    }

    fn number(&mut self, start: Span) -> Token {
        let mut text = Vec::new();
        while let Some(byte) = self.byte() {
            if byte.is_ascii_digit() {
                text.push(byte);
                self.skip(1);
            } else if is_blank(byte) || matches!(byte, b'\n' | b',' | b';' | b'}' | b'#') {
                break;
            } else {
                return self.unquoted(start, text);
            }
        }
        self.token(TokenKind::Number, text, start)
    }

    fn identifier(&mut self, start: Span) -> Token {
        let mut text = Vec::new();
        let mut end = start;
        while let Some(byte) = self.byte() {
            if byte.is_ascii_alphabetic() {
                text.push(byte);
                self.skip(1);
                end = self.here();
            } else if is_blank(byte) {
                self.skip(1);
            } else if matches!(byte, b'\n' | b'=' | b'{' | b'}' | b';' | b',' | b'"' | b'#') {
                break;
            } else {
                return self.unquoted(start, text);
            }
        }
        let mut token = self.token(TokenKind::Identifier, text, start);
        token.span = start.to(end);
        token
    }

    fn unquoted(&mut self, start: Span, mut text: Vec<u8>) -> Token {
        while let Some(byte) = self.byte() {
            if is_blank(byte) || matches!(byte, b'\n' | b'=' | b'{' | b'}' | b';' | b',' | b'#') {
                break;
            }
            text.push(byte);
            self.skip(1);
        }
        self.token(TokenKind::Unquoted, text, start)
    }

    fn quoted(&mut self, start: Span) -> Token {
        self.skip(1);
        let mut text = Vec::new();
        loop {
            match self.byte() {
                None => {
                    let span = Span { len: 1, ..start };
                    self.error(span, "a quote is not closed", "add the missing `\"`".to_owned());
                    return Token { kind: TokenKind::Bad, text: Vec::new(), span };
                }
                Some(b'"') => {
                    self.skip(1);
                    return self.token(TokenKind::Quoted, text, start);
                }
                Some(b'\\') => {
                    self.skip(1);
                    text.extend(self.byte());
                    self.skip(1);
                }
                Some(byte) => {
                    text.push(byte);
                    self.skip(1);
                }
            }
        }
    }

    /// Reads `@file` or `@|program`; gives a token only when it fails.
    fn include(&mut self) -> Option<Token> {
        let start = self.here();
        self.skip(1);
        let mut name = Vec::new();
        if self.byte() == Some(b'|') {
            name.push(b'|');
            self.skip(1);
        }
        if self.byte() == Some(b'"') {
            let inner = self.here();
            let token = self.quoted(inner);
            if token.kind == TokenKind::Bad {
                return Some(token);
            }
            name.extend(token.text);
        } else if name.is_empty() {
            name = self.unquoted_name();
        } else {
            while self.byte().is_some_and(|b| b != b'\n') {
                name.extend(self.byte());
                self.skip(1);
            }
        }
        let span = start.to(self.here());
        let name = String::from_utf8_lossy(&name).trim_end().to_owned();
        match self.open(&name) {
            Ok(text) => self.push(&name, text, 0),
            Err(reason) => self.error(span, format!("cannot read `{name}`: {reason}"), None),
        }
        None
    }

    fn unquoted_name(&mut self) -> Vec<u8> {
        let mut name = Vec::new();
        while let Some(byte) = self.byte() {
            if is_blank(byte) || matches!(byte, b'\n' | b'{' | b'}' | b';' | b',' | b'"' | b'#') {
                break;
            }
            name.push(byte);
            self.skip(1);
        }
        name
    }

    fn open(&mut self, name: &str) -> Result<Vec<u8>, String> {
        if self.stack.len() >= INCLUDE_DEPTH_MAX {
            return Err(format!(
                "includes are nested more than {INCLUDE_DEPTH_MAX} deep; does it include itself?"
            ));
        }
        if self.sources.all().len() >= INCLUDES_MAX {
            return Err(format!("more than {INCLUDES_MAX} includes"));
        }
        let text = match name.strip_prefix('|') {
            Some(command) => self.loader.run(command)?,
            None => self.loader.read(name)?,
        };
        if self.total + text.len() > TOTAL_BYTES_MAX {
            return Err(format!("the configuration has more than {TOTAL_BYTES_MAX} bytes"));
        }
        Ok(text)
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}
