//! Texts of a configuration and positions in them.

/// A place in one of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Which text, as [`Sources`] numbers them.
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Span {
    /// From here to the end of another span of the same text (else this span).
    #[must_use]
    pub const fn to(self, end: Span) -> Span {
        if self.file != end.file || end.start + end.len < self.start {
            return self;
        }
        Span { file: self.file, start: self.start, len: end.start + end.len - self.start }
    }
}

/// A text that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path, or `|command`.
    pub name: String,
    /// Content.
    pub text: Vec<u8>,
}

/// All texts of one configuration, the main file first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    list: Vec<Source>,
}

impl Sources {
    /// Adds a text; the number stands for it in spans.
    pub fn add(&mut self, name: impl Into<String>, text: Vec<u8>) -> u32 {
        self.list.push(Source { name: name.into(), text });
        u32::try_from(self.list.len() - 1).unwrap_or(u32::MAX)
    }

    /// Puts `*` for the letters of a secret, so that no finding about its neighbours shows it.
    pub(crate) fn mask(&mut self, span: Span) {
        let Some(source) = self.list.get_mut(span.file as usize) else { return };
        let range = span.start as usize..(span.start + span.len) as usize;
        let secret = source.text.get_mut(range).into_iter().flatten();
        secret.filter(|byte| !matches!(byte, b'"' | b'\n')).for_each(|byte| *byte = b'*');
    }

    /// The text of a number.
    #[must_use]
    pub fn get(&self, file: u32) -> Option<&Source> {
        self.list.get(file as usize)
    }

    /// All texts.
    #[must_use]
    pub fn all(&self) -> &[Source] {
        &self.list
    }

    /// Line and column of a span's start, both from 1.
    #[must_use]
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let Some(source) = self.get(span.file) else { return (1, 1) };
        let before = &source.text[..(span.start as usize).min(source.text.len())];
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
        (line, column)
    }
}

/// What the language needs from outside: files, programs and the environment. The real one is `sys::SystemLoader`.
pub trait Loader {
    /// Content of the file at `path`, relative to the daemon's working directory.
    ///
    /// # Errors
    /// A phrase such as `No such file or directory`.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// Standard output of a program given with its arguments, quotes honoured, no shell (spec/04 §1.2).
    ///
    /// # Errors
    /// A phrase: why it could not run or how it failed.
    fn run(&mut self, command: &str) -> Result<Vec<u8>, String>;

    /// Value of an environment variable; `HOME` serves `~`.
    fn variable(&mut self, name: &str) -> Option<String>;
}

/// A loader for tests and tools: texts by name, no programs, no environment.
#[derive(Debug, Clone, Default)]
pub struct TextLoader {
    /// Texts by name; names that start with `|` are outputs of programs.
    pub texts: Vec<(String, Vec<u8>)>,
}

impl TextLoader {
    /// With one text.
    #[must_use]
    pub fn new(name: &str, text: impl Into<Vec<u8>>) -> Self {
        Self { texts: vec![(name.to_owned(), text.into())] }
    }

    fn find(&self, name: &str) -> Result<Vec<u8>, String> {
        let found = self.texts.iter().find(|(n, _)| n == name);
        found.map(|(_, text)| text.clone()).ok_or_else(|| "No such file or directory".to_owned())
    }
}

impl Loader for TextLoader {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        self.find(path)
    }

    fn run(&mut self, command: &str) -> Result<Vec<u8>, String> {
        self.find(&format!("|{command}"))
    }

    fn variable(&mut self, _name: &str) -> Option<String> {
        None
    }
}
