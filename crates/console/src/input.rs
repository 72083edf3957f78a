//! Where commands come from: a terminal with editing, the standard input, or files (`@input`).

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::complete::Completions;

/// Files that may read each other.
const NESTED_FILES_MAX: usize = 20;

/// The source of commands.
pub(crate) struct Input {
    editor: Option<Editor<Completions, FileHistory>>,
    files: Vec<VecDeque<String>>,
    separator: Option<char>,
    rest: VecDeque<String>,
    history: Option<(PathBuf, usize)>,
}

impl Input {
    /// With editing if that is wanted and input and output are a terminal.
    pub(crate) fn new(editing: bool) -> Self {
        let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
        let config = Config::builder().completion_type(rustyline::CompletionType::List).build();
        let editor = (editing && is_terminal).then(|| Editor::with_config(config).ok()).flatten();
        Self { editor, files: Vec::new(), separator: None, rest: VecDeque::new(), history: None }
    }

    /// Whether a person types.
    pub(crate) fn is_edited(&self) -> bool {
        self.editor.is_some() && self.files.is_empty()
    }

    /// Loads the history; it is saved at the end.
    pub(crate) fn set_history(&mut self, file: Option<PathBuf>, lines: usize) {
        let (Some(editor), Some(file)) = (&mut self.editor, file) else { return };
        // A first start has no history; a broken one is not worth failing for.
        let _ = rustyline::history::History::set_max_len(editor.history_mut(), lines);
        let _ = editor.load_history(&file);
        self.history = Some((file, lines));
    }

    /// Reads commands from a file next.
    pub(crate) fn push_file(&mut self, path: &Path) -> Result<()> {
        if self.files.len() >= NESTED_FILES_MAX {
            bail!("{NESTED_FILES_MAX} files read each other; {} is not read", path.display());
        }
        let text = std::fs::read(path).with_context(|| format!("read commands from {}", path.display()))?;
        self.files.push(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect());
        Ok(())
    }

    /// Whether a line is being taken from a file.
    pub(crate) fn in_file(&self) -> bool {
        !self.files.is_empty()
    }

    /// Character at which a line is cut into several commands (`@separator`).
    pub(crate) fn set_separator(&mut self, separator: Option<char>) {
        self.separator = separator;
    }

    /// The next line; `None` at the end of the input.
    pub(crate) fn line(&mut self, prompt: &str, completions: Option<Completions>) -> Result<Option<String>> {
        if let Some(line) = self.rest.pop_front() {
            return Ok(Some(line));
        }
        while let Some(file) = self.files.last_mut() {
            match file.pop_front() {
                Some(line) => return Ok(Some(self.cut(line))),
                None => drop(self.files.pop()),
            }
        }
        let line = if self.editor.is_some() { self.edited(prompt, completions) } else { plain() }?;
        Ok(line.map(|line| self.cut(line)))
    }

    fn edited(&mut self, prompt: &str, completions: Option<Completions>) -> Result<Option<String>> {
        let Some(editor) = &mut self.editor else { return Ok(None) };
        editor.set_helper(completions);
        match editor.readline(prompt) {
            Ok(line) => {
                if !line.trim().is_empty() {
                    let _ = editor.add_history_entry(line.as_str());
                }
                Ok(Some(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Some(".".to_owned())),
            Err(ReadlineError::Eof) => Ok(None),
            Err(error) => Err(error).context("read from the terminal"),
        }
    }

    fn cut(&mut self, line: String) -> String {
        let Some(separator) = self.separator.filter(|_| !line.starts_with('@')) else {
            return line;
        };
        let mut pieces = line.split(separator).map(|piece| piece.trim().to_owned());
        let first = pieces.next().unwrap_or_default();
        self.rest.extend(pieces.filter(|piece| !piece.is_empty()));
        first
    }

    /// Saves the history.
    pub(crate) fn finish(&mut self) {
        if let (Some(editor), Some((file, _))) = (&mut self.editor, &self.history) {
            // Nobody is served by an error about a history file at the end.
            let _ = editor.save_history(file);
        }
    }
}

/// A line of the standard input, without its end.
fn plain() -> Result<Option<String>> {
    let mut line = Vec::new();
    let count = std::io::stdin().lock().read_until(b'\n', &mut line).context("read the standard input")?;
    if count == 0 {
        return Ok(None);
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
