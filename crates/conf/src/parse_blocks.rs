//! Nested blocks: RunScript, Include, Exclude, Options; and message destinations.

use crate::diag::Severity;
use crate::fileset::{FileSetBlock, Include, OptionSetting, Options};
use crate::fileset_options::{BLOCK as OPTIONS, EXCLUDE, INCLUDE, OptionKind, pattern_list, setting};
use crate::lexer::{Mode, Token, TokenKind};
use crate::messages::{Destination, DestinationKind, MessageType, MessageTypes};
use crate::nearest::nearest;
use crate::parse::Parser;
use crate::runscript::{BLOCK as RUN_SCRIPT, RunScript, RunsWhen, Script, Target};
use crate::source::Span;
use crate::table::{Directive, Kind, ResourceTable, squeeze};
use crate::value::{Value, Values};

impl Parser<'_> {
    /// A block whose brace is open.
    pub(crate) fn block(&mut self, directive: &'static Directive) -> Option<Value> {
        match directive.kind {
            Kind::RunScript => Some(Value::Scripts(self.run_script())),
            Kind::Include => Some(Value::Blocks(vec![FileSetBlock::Include(self.include())])),
            Kind::Exclude => Some(Value::Blocks(vec![FileSetBlock::Exclude(self.exclude())])),
            _ => None,
        }
    }

    /// The next directive's word of a block, or `None` at its end. Sub-blocks have no `=`; `opens` says which they are.
    fn block_word(&mut self, table: &ResourceTable, opens: &[&str]) -> Option<(&'static str, Token)> {
        loop {
            let token = self.lexer.next(Mode::Normal);
            match token.kind {
                TokenKind::EndOfLine | TokenKind::Bad => {}
                TokenKind::Close => return None,
                TokenKind::EndOfFile => {
                    self.lexer.unget(token);
                    return None;
                }
                TokenKind::Identifier | TokenKind::Unquoted => {
                    let name = String::from_utf8_lossy(&token.text).into_owned();
                    let Some(directive) = table.find(&name) else {
                        self.unknown(table, &name, token.span);
                        self.lexer.skip_rest();
                        continue;
                    };
                    let next = if opens.contains(&directive.name) {
                        self.next_beyond_lines()
                    } else {
                        self.lexer.next(Mode::Normal)
                    };
                    let (wanted, shown) = if opens.contains(&directive.name) {
                        (TokenKind::Open, '{')
                    } else {
                        (TokenKind::Equals, '=')
                    };
                    if next.kind == wanted {
                        return Some((directive.name, token));
                    }
                    self.lexer.error(
                        token.span,
                        format!("`{shown}` is expected after `{}`", directive.name),
                        None,
                    );
                    self.lexer.unget(next);
                    self.lexer.skip_rest();
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

    fn run_script(&mut self) -> Vec<RunScript> {
        let mut scripts = Vec::new();
        let mut common = RunScript {
            script: Script::Command(String::new()),
            target: Target::Client,
            when: RunsWhen::Never,
            on_success: true,
            on_failure: false,
            fail_job_on_error: true,
            run_again: true,
        };
        let mut at: Option<Span> = None;
        while let Some((name, word)) = self.block_word(&RUN_SCRIPT, &[]) {
            at.get_or_insert(word.span);
            let Some(token) = self.text_token(name) else { continue };
            let Some(text) = self.utf8(&token) else { continue };
            match name {
                "Command" => scripts.push(Script::Command(text)),
                "Console" => scripts.push(Script::Console(text)),
                "Target" | "Runs On Client" => common.target = target(text),
                "Runs When" => match RunsWhen::from_word(&text) {
                    Some(when) => common.when = when,
                    None => {
                        let help = nearest(&text, RunsWhen::WORDS.iter().copied())
                            .map(|w| format!("did you mean `{w}`?"));
                        self.lexer.error(token.span, format!("`{text}` is no value of `Runs When`"), help);
                    }
                },
                "Runs On Success" => self.set_flag(&text, token.span, &mut common.on_success),
                "Runs On Failure" => self.set_flag(&text, token.span, &mut common.on_failure),
                "Fail Job On Error" => self.set_flag(&text, token.span, &mut common.fail_job_on_error),
                _ => self.set_flag(&text, token.span, &mut common.run_again),
            }
            self.finish_line();
        }
        if let Some(span) = at.filter(|_| common.when == RunsWhen::Never) {
            let help = "add `Runs When = Before` or `After`".to_owned();
            self.lexer.finding(Severity::Warning, "this script never runs".into(), Some(span), Some(help));
        }
        scripts.into_iter().map(|script| RunScript { script, ..common.clone() }).collect()
    }

    fn set_flag(&mut self, text: &str, span: Span, flag: &mut bool) {
        if let Some(value) = self.boolean(text, span) {
            *flag = value;
        }
    }

    fn include(&mut self) -> Include {
        let mut include = Include::default();
        while let Some((name, word)) = self.block_word(&INCLUDE, &["Options"]) {
            if name == "Options" {
                include.options.push(self.options());
                continue;
            }
            let Some(token) = self.text_token(name) else { continue };
            match name {
                "File" => {
                    include.in_order.push(token.text.clone());
                    include.files.push(token.text);
                }
                "Plugin" => {
                    include.in_order.push(token.text.clone());
                    include.plugins.push(token.text);
                }
                _ if include.exclude_dir_containing.is_some() => {
                    self.lexer.error(
                        word.span,
                        format!("`{name}` is given twice"),
                        "remove one of them".to_owned(),
                    );
                }
                _ => include.exclude_dir_containing = Some(token.text),
            }
            self.finish_line();
        }
        include
    }

    fn exclude(&mut self) -> Vec<Vec<u8>> {
        let mut files = Vec::new();
        while let Some((name, _)) = self.block_word(&EXCLUDE, &[]) {
            if let Some(token) = self.text_token(name) {
                files.push(token.text);
                self.finish_line();
            }
        }
        files
    }

    fn options(&mut self) -> Options {
        let mut options = Options::default();
        while let Some((name, _)) = self.block_word(&OPTIONS, &[]) {
            let Some(token) = self.text_token(name) else { continue };
            match setting(name) {
                Some((name, kind)) => {
                    if let Some(letters) = self.letters(name, kind, &token) {
                        options.settings.push(OptionSetting { name, letters });
                    }
                }
                None => pattern_list(&mut options, name, token.text),
            }
            self.finish_line();
        }
        options
    }

    /// The letters of one setting, or a reported mistake.
    fn letters(&mut self, name: &str, kind: OptionKind, token: &Token) -> Option<String> {
        let text = self.utf8(token)?;
        match kind {
            OptionKind::Words(words) => {
                let key = squeeze(&text);
                if let Some((_, letters)) = words.iter().find(|(word, _)| squeeze(word) == key) {
                    return Some((*letters).to_owned());
                }
                let known = words.iter().map(|(word, _)| *word);
                let help = match nearest(&text, known.clone()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("write one of: {}", known.collect::<Vec<_>>().join(", ")),
                };
                self.lexer.error(token.span, format!("`{text}` is no value of `{name}`"), help);
                None
            }
            OptionKind::Letters { prefix, allowed } => {
                if let Some(bad) = text.chars().find(|c| !allowed.contains(*c)) {
                    let help = format!("letters are {allowed}");
                    self.lexer.error(token.span, format!("`{bad}` is no letter of `{name}`"), help);
                    return None;
                }
                Some(format!("{prefix}{text}:"))
            }
            OptionKind::Number { prefix } => match text.parse::<u32>() {
                Ok(number) => Some(format!("{prefix}{number}:")),
                Err(_) => {
                    self.lexer.error(token.span, format!("`{text}` is no number"), None);
                    None
                }
            },
        }
    }

    /// `[address[, address…] =] type, type, !type …` after the first `=` (spec/04 §9.1).
    pub(crate) fn destination(&mut self, kind: DestinationKind, values: &Values) -> Option<(Value, Span)> {
        let mut addresses = Vec::new();
        let mut span: Option<Span> = None;
        while kind.takes_addresses() {
            let token = self.text_token("destination")?;
            span.get_or_insert(token.span);
            addresses.push(self.utf8(&token)?);
            let next = self.lexer.next(Mode::Normal);
            match next.kind {
                TokenKind::Equals => break,
                TokenKind::Comma => {}
                _ => {
                    let help = "write `address = all, !skipped`".to_owned();
                    self.lexer.error(
                        token.span,
                        "an `=` and message types are expected after the address",
                        help,
                    );
                    self.lexer.unget(next);
                    self.lexer.skip_rest();
                    return None;
                }
            }
        }
        let (types, events, last) = self.message_types()?;
        let command = match kind {
            DestinationKind::Mail | DestinationKind::MailOnError | DestinationKind::MailOnSuccess => {
                values.get("Mail Command")
            }
            DestinationKind::Operator => values.get("Operator Command"),
            DestinationKind::File
            | DestinationKind::Append
            | DestinationKind::Console
            | DestinationKind::Stdout
            | DestinationKind::Stderr
            | DestinationKind::Syslog
            | DestinationKind::Director
            | DestinationKind::Catalog => None,
        };
        let span = span.map_or(last, |s| s.to(last));
        Some((Value::Destinations(vec![Destination { kind, addresses, command, types, events }]), span))
    }

    fn message_types(&mut self) -> Option<(MessageTypes, Vec<String>, Span)> {
        let mut types = MessageTypes::default();
        let mut events = Vec::new();
        loop {
            let token = self.text_token("message types")?;
            let text = self.utf8(&token)?;
            let (negated, word) = match text.strip_prefix('!') {
                Some(word) => (true, word),
                None => (false, text.as_str()),
            };
            let lower = word.to_ascii_lowercase();
            if let Some(event) = lower.strip_prefix("events.") {
                types.insert(MessageType::Events);
                events.push(format!("{}{event}", if negated { "!" } else { "" }));
            } else if lower == "all" {
                if negated { types = MessageTypes::default() } else { types.extend(MessageTypes::ALL) }
            } else if let Some(kind) = MessageType::from_word(word) {
                if negated { types.remove(kind) } else { types.insert(kind) }
            } else {
                let words = MessageType::ALL.iter().map(|(w, _)| *w).chain(["all"]);
                let help = nearest(word, words).map(|w| format!("did you mean `{w}`?"));
                self.lexer.error(token.span, format!("`{word}` is no message type"), help);
            }
            let next = self.lexer.next(Mode::Normal);
            if next.kind != TokenKind::Comma {
                self.lexer.unget(next);
                self.finish_line();
                return Some((types, events, token.span));
            }
        }
    }
}

fn target(text: String) -> Target {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "%c" => Target::Client,
        "no" | "false" | "" => Target::Director,
        _ => Target::Named(text),
    }
}
