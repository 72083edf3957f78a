//! Values of directives, by type (spec/04 §1.3).

use crate::address::{Family, ListenAddress};
use crate::diag::Severity;
use crate::digest::password_secret;
use crate::lexer::{Mode, Token, TokenKind};
use crate::nearest::nearest;
use crate::net_address::NetAddress;
use crate::parse::{Parser, Reference};
use crate::source::Span;
use crate::table::{Directive, Kind, ResourceKind, squeeze};
use crate::units::{UnitError, parse_size, parse_speed, parse_time};
use crate::value::{Value, Values};

/// Longest name and `Str128` in bytes.
const NAME_BYTES_MAX: usize = 127;

/// Ports that address blocks may name.
const SERVICES: &[(&str, i64)] = &[("bacula-dir", 9101), ("bacula-fd", 9102), ("bacula-sd", 9103)];

impl Parser<'_> {
    /// Reads the value after `=` up to the end of its line; `None` after a reported mistake.
    ///
    /// `values` are those of the resource so far: a destination binds the mail command before it.
    pub(crate) fn value(&mut self, directive: &'static Directive, values: &Values) -> Option<(Value, Span)> {
        match directive.kind {
            Kind::RefList(kind) => self.list(directive, Some(kind)),
            Kind::StrList | Kind::Acl | Kind::NetList => self.list(directive, None),
            Kind::AddrBlock => self.addresses(directive),
            Kind::Run => self.run_line(),
            Kind::Destination(kind) => self.destination(kind, values),
            Kind::RunScript | Kind::Include | Kind::Exclude => None,
            Kind::Size | Kind::Speed | Kind::Time => self.quantity(directive),
            Kind::Name
            | Kind::Str
            | Kind::Str128
            | Kind::Command
            | Kind::Path
            | Kind::Password
            | Kind::Bool
            | Kind::Uint
            | Kind::Int
            | Kind::Words(_)
            | Kind::Ref(_)
            | Kind::Addr
            | Kind::Net
            | Kind::Port
            | Kind::Changer
            | Kind::ShortScript(_) => {
                let token = self.text_token(directive.name)?;
                let span = token.span;
                let value = self.scalar(directive, &token);
                if directive.is_secret() {
                    self.lexer.sources.mask(span);
                }
                self.finish_line();
                value.map(|v| (v, span))
            }
        }
    }

    /// A token that carries text, or a reported mistake.
    pub(crate) fn text_token(&mut self, directive: &str) -> Option<Token> {
        let token = self.lexer.next(Mode::Normal);
        if token.kind.is_text() {
            return Some(token);
        }
        if token.kind != TokenKind::Bad {
            let span =
                if token.kind == TokenKind::EndOfLine { Span { len: 1, ..token.span } } else { token.span };
            self.lexer.error(span, format!("`{directive}` needs a value"), None);
        }
        self.lexer.unget(token);
        self.lexer.skip_rest();
        None
    }

    /// Skips what stands after a value in its line, and says that it is ignored.
    pub(crate) fn finish_line(&mut self) {
        if let Some(span) = self.lexer.skip_rest() {
            let help = "put the value in quotes if it belongs to it".to_owned();
            self.lexer.finding(Severity::Warning, "this text is ignored".into(), Some(span), Some(help));
        }
    }

    /// A token's text, or a reported mistake where it is not UTF-8.
    pub(crate) fn utf8(&mut self, token: &Token) -> Option<String> {
        match String::from_utf8(token.text.clone()) {
            Ok(text) => Some(text),
            Err(_) => {
                self.lexer.error(token.span, "the text is not UTF-8", None);
                None
            }
        }
    }

    fn scalar(&mut self, directive: &'static Directive, token: &Token) -> Option<Value> {
        let text = self.utf8(token)?;
        match directive.kind {
            Kind::Name => self.name(text, token.span).map(Value::Text),
            Kind::Str128 if text.len() > NAME_BYTES_MAX => {
                let message = format!(
                    "`{}` has {} bytes; at most {NAME_BYTES_MAX} are allowed",
                    directive.name,
                    text.len()
                );
                self.lexer.error(token.span, message, None);
                None
            }
            Kind::Str | Kind::Str128 | Kind::Command | Kind::Addr => Some(Value::Text(text)),
            Kind::Net => self.net_address(&text, token.span).map(|()| Value::Text(text)),
            Kind::Path => Some(Value::Text(self.expand(&text))),
            Kind::Password => Some(Value::Text(password_secret(&text))),
            Kind::Bool => self.boolean(&text, token.span).map(Value::Bool),
            Kind::Uint => self.integer(directive, &text, token.span, 0, i64::from(u32::MAX)),
            Kind::Int => self.integer(directive, &text, token.span, i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Port => match SERVICES.iter().find(|(name, _)| *name == text) {
                Some((_, port)) => Some(Value::Number(*port)),
                None => self.integer(directive, &text, token.span, 1, i64::from(u16::MAX)),
            },
            Kind::Words(words) => self.word(directive, words, &text, token.span),
            Kind::Ref(kind) => Some(self.reference(directive, kind, text, token.span)),
            Kind::Changer => match yes_no(&text) {
                Some(flag) => Some(Value::Bool(flag)),
                None => Some(self.reference(directive, ResourceKind::Storage, text, token.span)),
            },
            Kind::ShortScript(form) => Some(Value::Scripts(vec![form.script(text)])),
            Kind::Size
            | Kind::Speed
            | Kind::Time
            | Kind::RefList(_)
            | Kind::StrList
            | Kind::Acl
            | Kind::AddrBlock
            | Kind::NetList
            | Kind::RunScript
            | Kind::Include
            | Kind::Exclude
            | Kind::Run
            | Kind::Destination(_) => None,
        }
    }

    fn name(&mut self, text: String, span: Span) -> Option<String> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '-' | '_' | ' ');
        if text.is_empty() {
            self.lexer.error(span, "a name must not be empty", None);
        } else if text.len() > NAME_BYTES_MAX {
            let message = format!("a name has {} bytes; at most {NAME_BYTES_MAX} are allowed", text.len());
            self.lexer.error(span, message, None);
        } else if let Some(bad) = text.chars().find(|c| !legal(*c)) {
            let help = "names hold letters, digits, `: . - _`, and blanks when quoted".to_owned();
            self.lexer.error(span, format!("a name must not hold {bad:?}"), help);
        } else {
            return Some(text);
        }
        None
    }

    fn reference(
        &mut self,
        directive: &'static Directive,
        kind: ResourceKind,
        name: String,
        span: Span,
    ) -> Value {
        self.references.push(Reference { kind, name: name.clone(), span, directive: directive.name });
        Value::Text(name)
    }

    /// Reports what is no address with prefix.
    fn net_address(&mut self, text: &str, span: Span) -> Option<()> {
        if NetAddress::parse(text).is_some() {
            return Some(());
        }
        let help = "write the address and how many bits of it are the network's: `10.1.0.11/24`".to_owned();
        self.lexer.error(span, format!("`{text}` is no IP address with prefix"), help);
        None
    }

    /// Yes or no, or a reported mistake.
    pub(crate) fn boolean(&mut self, text: &str, span: Span) -> Option<bool> {
        let flag = yes_no(text);
        if flag.is_none() {
            let help = "write yes, no, true or false".to_owned();
            self.lexer.error(span, format!("`{text}` is neither yes nor no"), help);
        }
        flag
    }

    fn integer(
        &mut self,
        directive: &Directive,
        text: &str,
        span: Span,
        min: i64,
        max: i64,
    ) -> Option<Value> {
        match leading_integer(text) {
            Some(number) if (min..=max).contains(&number) => Some(Value::Number(number)),
            Some(_) => {
                let message = format!("`{}` must be from {min} to {max}", directive.name);
                self.lexer.error(span, message, None);
                None
            }
            None => {
                self.lexer.error(span, format!("`{}`: `{text}` is no number", directive.name), None);
                None
            }
        }
    }

    /// One of some words, or a reported mistake with the nearest one.
    fn word(
        &mut self,
        directive: &Directive,
        words: &'static [&'static str],
        text: &str,
        span: Span,
    ) -> Option<Value> {
        let key = squeeze(text);
        if let Some(word) = words.iter().find(|w| squeeze(w) == key) {
            return Some(Value::Word(word));
        }
        let help = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        self.lexer.error(span, format!("`{text}` is no value of `{}`", directive.name), help);
        None
    }

    /// A size, speed or time: tokens are joined over blanks, as in `1 year 2 months`.
    fn quantity(&mut self, directive: &'static Directive) -> Option<(Value, Span)> {
        let first = self.text_token(directive.name)?;
        if first.kind == TokenKind::Quoted {
            self.lexer.error(first.span, format!("`{}` must not be in quotes", directive.name), None);
            self.lexer.skip_rest();
            return None;
        }
        let mut text = first.text;
        let mut span = first.span;
        while self.lexer.at_blank() {
            let token = self.lexer.next(Mode::Normal);
            if !matches!(token.kind, TokenKind::Number | TokenKind::Identifier | TokenKind::Unquoted) {
                self.lexer.unget(token);
                break;
            }
            text.extend_from_slice(&token.text);
            span = span.to(token.span);
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let value = match directive.kind {
            Kind::Size => parse_size(&text).map(Value::Bytes),
            Kind::Speed => parse_speed(&text).map(Value::Bytes),
            _ => parse_time(&text).map(Value::Time),
        };
        // What follows a comma or the first size never counted in Bacula either; it is not worth a warning of its own.
        self.lexer.skip_rest();
        match value {
            Ok(value) => Some((value, span)),
            Err(reason) => {
                self.lexer.error(
                    span,
                    format!("`{}`: {reason}", directive.name),
                    unit_help(directive.kind, &reason),
                );
                None
            }
        }
    }

    fn list(&mut self, directive: &'static Directive, kind: Option<ResourceKind>) -> Option<(Value, Span)> {
        let mut list = Vec::new();
        let mut span: Option<Span> = None;
        loop {
            let token = self.text_token(directive.name)?;
            let text = self.utf8(&token)?;
            span = Some(span.map_or(token.span, |s| s.to(token.span)));
            if directive.is_secret() {
                self.lexer.sources.mask(token.span);
            }
            if let Some(kind) = kind {
                self.references.push(Reference {
                    kind,
                    name: text.clone(),
                    span: token.span,
                    directive: directive.name,
                });
            }
            if directive.kind != Kind::NetList || self.net_address(&text, token.span).is_some() {
                list.push(text);
            }
            let next = self.lexer.next(Mode::Normal);
            match next.kind {
                TokenKind::Comma => {}
                TokenKind::EndOfLine => break,
                TokenKind::Close | TokenKind::EndOfFile => {
                    self.lexer.unget(next);
                    break;
                }
                TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Unquoted
                | TokenKind::Open
                | TokenKind::Equals
                | TokenKind::Bad => {
                    let help = if directive.is_secret() {
                        "put quotes around each text".to_owned()
                    } else {
                        "put commas between the names, and quotes around a name with blanks".to_owned()
                    };
                    self.lexer.error(
                        next.span,
                        format!("`{}`: the list ends before this", directive.name),
                        help,
                    );
                    let rest = self.lexer.skip_rest();
                    if directive.is_secret() {
                        self.lexer.sources.mask(rest.map_or(next.span, |rest| next.span.to(rest)));
                    }
                    return None;
                }
            }
        }
        span.map(|span| (Value::List(list), span))
    }

    fn addresses(&mut self, directive: &'static Directive) -> Option<(Value, Span)> {
        let open = self.next_beyond_lines();
        if open.kind != TokenKind::Open {
            let help = format!("write `{} = {{ ip = {{ addr = …; port = … }} }}`", directive.name);
            self.lexer.error(open.span, format!("`{}` needs a block", directive.name), help);
            self.lexer.unget(open);
            self.lexer.skip_rest();
            return None;
        }
        let mut list = Vec::new();
        loop {
            let token = self.next_beyond_lines();
            match token.kind {
                TokenKind::Close => return Some((Value::Addresses(list), open.span.to(token.span))),
                TokenKind::Identifier | TokenKind::Unquoted => list.extend(self.address(directive, &token)),
                TokenKind::EndOfFile => {
                    self.lexer.unget(token);
                    return None;
                }
                TokenKind::EndOfLine
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Open
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::Bad => {
                    self.lexer.error(token.span, "ip, ipv4 or ipv6 is expected here", None);
                    self.skip_block();
                    return None;
                }
            }
        }
    }

    fn address(&mut self, directive: &'static Directive, word: &Token) -> Option<ListenAddress> {
        let family = match word.text.to_ascii_lowercase().as_slice() {
            b"ip" => Family::Any,
            b"ipv4" => Family::V4,
            b"ipv6" => Family::V6,
            _ => {
                self.lexer.error(word.span, "ip, ipv4 or ipv6 is expected here", None);
                Family::Any
            }
        };
        let equals = self.next_beyond_lines();
        let open = if equals.kind == TokenKind::Equals { self.next_beyond_lines() } else { equals };
        if open.kind != TokenKind::Open {
            self.lexer.error(
                open.span,
                "a `{` is expected here",
                "write `ip = { addr = …; port = … }`".to_owned(),
            );
            self.lexer.unget(open);
            self.lexer.skip_rest();
            return None;
        }
        let mut address = ListenAddress { family, host: None, port: None };
        loop {
            let token = self.next_beyond_lines();
            match token.kind {
                TokenKind::Close => return Some(address),
                TokenKind::Identifier | TokenKind::Unquoted => {
                    if !self.address_part(directive, &token, &mut address) {
                        self.skip_block();
                        return None;
                    }
                }
                TokenKind::EndOfFile
                | TokenKind::EndOfLine
                | TokenKind::Number
                | TokenKind::Quoted
                | TokenKind::Open
                | TokenKind::Equals
                | TokenKind::Comma
                | TokenKind::Bad => {
                    self.lexer.error(token.span, "addr or port is expected here", None);
                    self.lexer.unget(token);
                    self.skip_block();
                    return None;
                }
            }
        }
    }

    /// `addr = …` or `port = …`; false after a mistake.
    fn address_part(
        &mut self,
        directive: &'static Directive,
        word: &Token,
        address: &mut ListenAddress,
    ) -> bool {
        let equals = self.lexer.next(Mode::Normal);
        if equals.kind != TokenKind::Equals {
            self.lexer.error(equals.span, "an `=` is expected here", None);
            self.lexer.unget(equals);
            return false;
        }
        let Some(value) = self.text_token(directive.name) else { return false };
        let Some(text) = self.utf8(&value) else { return false };
        match word.text.to_ascii_lowercase().as_slice() {
            b"addr" | b"address" if address.host.is_none() => {
                address.host = Some(text);
                true
            }
            b"port" if address.port.is_none() => {
                let port = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, p)| *p);
                let port = port.or_else(|| leading_integer(&text)).and_then(|p| u16::try_from(p).ok());
                address.port = port.filter(|p| *p > 0);
                if address.port.is_none() {
                    self.lexer.error(
                        value.span,
                        format!("`{text}` is no port"),
                        "write a number from 1 to 65535".to_owned(),
                    );
                }
                true
            }
            _ => {
                self.lexer.error(word.span, "addr or port, each once, is expected here", None);
                false
            }
        }
    }

    /// `~` and `$VAR` of a path, unless it is a program. Backquotes are left: a shell run while parsing is a trap.
    fn expand(&mut self, text: &str) -> String {
        if text.starts_with('|') || !text.contains(['~', '$']) {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        if let Some(after) = text.strip_prefix('~')
            && (after.is_empty() || after.starts_with('/'))
            && let Some(home) = self.lexer.loader().variable("HOME")
        {
            out.push_str(&home);
            rest = after;
        }
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let (name, after) = variable_name(rest);
            match self.lexer.loader().variable(name).filter(|_| !name.is_empty()) {
                Some(value) => {
                    out.push_str(&value);
                    rest = after;
                }
                None => out.push('$'),
            }
        }
        out.push_str(rest);
        out
    }
}

/// The variable that a text after `$` begins with: `NAME` or `{NAME}`; and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}

fn yes_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// A number checked as a decimal (`4.7`, `1e3`) and taken as an integer (`4`, `1`), as Bacula does (spec/04 §1.3).
fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse::<f64>().ok().filter(|n| n.is_finite())?;
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') {
        return None;
    }
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text[sign..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |n| n + sign);
    text[..digits].parse().ok()
}

fn unit_help(kind: Kind, reason: &UnitError) -> Option<String> {
    match (kind, reason) {
        (_, UnitError::TooLarge(_)) => None,
        (Kind::Time, UnitError::Unit(word)) => {
            let units = ["seconds", "minutes", "hours", "days", "weeks", "months", "quarters", "years"];
            Some(match nearest(word, units.into_iter()) {
                Some(unit) => format!("did you mean `{unit}`?"),
                None => format!("units are {}", units.join(", ")),
            })
        }
        (Kind::Time, UnitError::NoNumber(_)) => Some("write a number with a unit, such as `30 days`".into()),
        (Kind::Speed, _) => Some("units are k/s, kb/s, m/s, mb/s".into()),
        (_, _) => Some("units are k, kb, m, mb, g, gb, t, tb".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::leading_integer;

    #[test]
    fn integers_as_bacula_reads_them() {
        assert_eq!(leading_integer("7"), Some(7));
        assert_eq!(leading_integer("1e3"), Some(1));
        assert_eq!(leading_integer("4.7"), Some(4));
        assert_eq!(leading_integer("-3"), Some(-3));
        for text in ["1x", "0x10", "", "inf", "nan", ".5"] {
            assert_eq!(leading_integer(text), None, "{text}");
        }
    }
}
