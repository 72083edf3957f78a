//! The dialogue: a line, its answer, the next line.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context, Result};

use crate::complete::{Completions, TREE_PROMPT};
use crate::config::Login;
use crate::connect::{End, Link};
use crate::input::Input;
use crate::local::{self, Local};
use crate::output::Output;

/// Prompt of the top level on a terminal.
const PROMPT: &str = "*";

pub(crate) struct Session {
    link: Rc<RefCell<Link>>,
    input: Input,
    output: Output,
    rc_file: Option<PathBuf>,
    state: End,
    script_failed: bool,
}

impl Session {
    pub(crate) fn new(link: Link, mut input: Input, login: &Login) -> Self {
        input.set_history(login.history_file.clone(), login.history_lines);
        let rc_file = login.rc_file.clone().filter(|file| file.exists());
        let link = Rc::new(RefCell::new(link));
        Self { link, input, output: Output::default(), rc_file, state: End::Ready, script_failed: false }
    }

    /// Goes on until the input or the Director ends.
    pub(crate) fn run(mut self) -> Result<ExitCode> {
        if let Some(file) = self.rc_file.take() {
            self.input.push_file(&file)?;
        }
        let mut leaving = false;
        while let Some(line) = self.next_line()? {
            if let Some(local) = Local::parse(&line) {
                if local == Local::Quit {
                    break;
                }
                self.local(local)?;
                continue;
            }
            if !self.input.is_edited() {
                // As Bacula's console does: the transcript of a script shows what was sent.
                self.output.write(format!("{line}\n").as_bytes())?;
            }
            leaving = is_leaving(&line);
            self.exchange(&line)?;
            if self.state == End::Closed {
                break;
            }
        }
        self.input.finish();
        self.output.flush()?;
        if self.state == End::Closed && !leaving {
            anyhow::bail!("the Director closed the connection");
        }
        if self.state != End::Closed
            && let Ok(link) = Rc::try_unwrap(self.link)
        {
            link.into_inner().close();
        }
        Ok(if self.script_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn next_line(&mut self) -> Result<Option<String>> {
        self.output.flush()?;
        let tail = self.output.take_tail();
        let in_tree = self.state == End::Question && tail == TREE_PROMPT;
        let prompt = if self.state == End::Ready { format!("{tail}{PROMPT}") } else { tail };
        let completes = self.state == End::Ready || in_tree;
        let completions = completes.then(|| Completions::new(Rc::clone(&self.link), in_tree));
        self.input.line(&prompt, completions)
    }

    fn exchange(&mut self, line: &str) -> Result<()> {
        let mut link = self.link.borrow_mut();
        link.send(line.as_bytes())?;
        self.state = receive(&mut link, &mut self.output)?;
        Ok(())
    }

    fn local(&mut self, local: Local) -> Result<()> {
        match local {
            Local::Input(file) => {
                if let Err(error) = self.input.push_file(Path::new(&file)) {
                    self.wrong(&format!("{error:#}"))?;
                }
            }
            Local::Output(None) | Local::Tee(None) => self.output.close(),
            Local::Output(Some(file)) => self.open_output(&file, false)?,
            Local::Tee(Some(file)) => self.open_output(&file, true)?,
            // No event: the operator's script asked for the pause.
            Local::Sleep(duration) => std::thread::sleep(duration),
            Local::Time => {
                let now = jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::system());
                let now = now.strftime("%d-%b-%Y %H:%M:%S").to_string();
                self.say(&now)?;
            }
            Local::Version => {
                let version = format!(
                    "{} console {} (speaks as Bacula {})",
                    wire::version::PRODUCT,
                    wire::version::PRODUCT_VERSION,
                    wire::version::BACULA_LEVEL
                );
                self.say(&version)?;
            }
            Local::Echo(text) => self.say(&text)?,
            Local::Exec(command) => match local::exec(&command) {
                Ok(text) => self.output.write(&text)?,
                Err(problem) => self.wrong(&problem)?,
            },
            Local::Separator(separator) => self.input.set_separator(separator),
            Local::PutFile { key, file } => self.put_file(&key, &file)?,
            Local::Help => self.output.write(local::HELP.as_bytes())?,
            Local::Wrong(problem) => self.wrong(&problem)?,
            Local::Comment | Local::Quit => {}
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.output.write(format!("{text}\n").as_bytes()).context("write the output")
    }

    /// An error of this program: shown, and remembered for the exit code.
    fn wrong(&mut self, problem: &str) -> Result<()> {
        self.script_failed |= !self.input.is_edited() || self.input.in_file();
        self.say(problem)
    }

    fn open_output(&mut self, file: &str, tee: bool) -> Result<()> {
        match self.output.open(Path::new(file), tee) {
            Ok(()) => Ok(()),
            Err(error) => self.wrong(&format!("Cannot open {file} for output: {error}")),
        }
    }

    fn put_file(&mut self, key: &str, file: &str) -> Result<()> {
        let bytes = match local::read_bounded(Path::new(file)) {
            Ok(bytes) => bytes,
            Err(problem) => return self.wrong(&problem),
        };
        let mut link = self.link.borrow_mut();
        link.send(format!(".putfile key=\"{key}\"").as_bytes())?;
        link.send_data(&bytes)?;
        self.state = receive(&mut link, &mut self.output)?;
        Ok(())
    }
}

/// Shows an answer as it comes.
fn receive(link: &mut Link, output: &mut Output) -> Result<End> {
    let mut failed = None;
    let end = link.receive(|text| {
        let written = output.write(text).and_then(|()| output.flush());
        if failed.is_none() {
            failed = written.err();
        }
    })?;
    match failed {
        // Whoever read our output has enough; that is no failure.
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(End::Closed),
        Some(error) => Err(error).context("write the output"),
        None => Ok(end),
    }
}

/// Whether the Director will close after this.
fn is_leaving(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default().trim_start_matches('.').to_lowercase();
    // Abbreviations too; one letter is enough for the Director only where nothing else starts with it.
    word.len() >= 2 && ("quit".starts_with(&word) || "exit".starts_with(&word)) || word == "q"
}
