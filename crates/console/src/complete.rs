//! Completion on a terminal, asked from the Director by dot commands (spec/01 §6.4).

use std::cell::RefCell;
use std::rc::Rc;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use crate::connect::Link;

/// Prompt of the restore tree, as the Director sends it.
pub(crate) const TREE_PROMPT: &str = "$ ";

/// Which values an argument takes: its name, and the command that lists them.
const VALUES: &[(&str, &str)] = &[
    ("client", ".clients"),
    ("backupclient", ".clients"),
    ("restoreclient", ".clients"),
    ("job", ".jobs"),
    ("restore_job", ".jobs type=R"),
    ("restorejob", ".jobs type=R"),
    ("fileset", ".filesets"),
    ("level", ".levels"),
    ("pool", ".pools"),
    ("nextpool", ".pools"),
    ("storage", ".storage"),
    ("schedule", ".schedule"),
    ("volume", ".media"),
    ("oldvolume", ".media"),
    ("volstatus", ".volstatus"),
    ("catalog", ".catalogs"),
    ("actiononpurge", ".actiononpurge"),
    ("tags", ".tags"),
];
/// Commands handled here.
const LOCAL: &[&str] = &[
    "@input",
    "@output",
    "@tee",
    "@sleep",
    "@time",
    "@echo",
    "@exec",
    "@quit",
    "@exit",
    "@version",
    "@separator",
    "@putfile",
    "@help",
];
/// Commands of the restore tree, and what lists their arguments.
const TREE: &[(&str, &str)] = &[
    ("cd", ".lsdir"),
    ("ls", ".ls"),
    ("dir", ".ls"),
    ("mark", ".ls"),
    ("add", ".ls"),
    ("markdir", ".lsdir"),
    ("unmark", ".lsmark"),
    ("delete", ".lsmark"),
    ("unmarkdir", ".lsmark"),
    ("lsmark", ".lsmark"),
    ("find", ""),
    ("count", ""),
    ("estimate", ""),
    ("pwd", ""),
    ("done", ""),
    ("exit", ""),
    ("quit", ""),
    ("help", ""),
    ("du", ""),
];

/// What is completed now.
#[derive(Clone)]
pub(crate) struct Completions {
    link: Rc<RefCell<Link>>,
    in_tree: bool,
}

impl Completions {
    /// For a prompt: of the top level, or of the restore tree.
    pub(crate) fn new(link: Rc<RefCell<Link>>, in_tree: bool) -> Self {
        Self { link, in_tree }
    }

    fn ask(&self, command: &str) -> Vec<String> {
        // A failure shows at the next command; here it only means that nothing is offered.
        let Ok(mut link) = self.link.try_borrow_mut() else { return Vec::new() };
        let answer = link.ask(command).unwrap_or_default();
        answer.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// Candidates for the word that starts at the returned position.
    fn candidates(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(' ').map_or(0, |at| at + 1);
        let word = &line[start..];
        let first = line.split(' ').next().unwrap_or_default();
        if self.in_tree {
            return (start, self.tree(first, start, word));
        }
        if start == 0 {
            let commands = if word.starts_with('@') {
                LOCAL.iter().map(ToString::to_string).collect()
            } else {
                self.ask(".help all")
            };
            return (0, commands);
        }
        if let Some((key, _)) = word.split_once('=') {
            let listed = VALUES.iter().find(|(name, _)| *name == key).map(|(_, command)| self.ask(command));
            let values = listed.unwrap_or_default().into_iter().map(|value| match value.contains(' ') {
                true => format!("\"{value}\""),
                false => value,
            });
            return (start + key.len() + 1, values.collect());
        }
        let help = self.ask(&format!(".help item={first}"));
        (start, arguments(&help.join(" ")))
    }

    /// Commands of the restore tree, or the files that one of them takes.
    fn tree(&self, first: &str, start: usize, word: &str) -> Vec<String> {
        if start == 0 {
            return TREE.iter().map(|(name, _)| (*name).to_owned()).collect();
        }
        let Some((_, list)) = TREE.iter().find(|(name, list)| *name == first && !list.is_empty()) else {
            return Vec::new();
        };
        // The lists are of the current directory: for another one, go there and back.
        let Some((dir, _)) = word.rsplit_once('/') else {
            return names(&self.ask(list));
        };
        let dir = format!("{dir}/");
        let back = self.ask(".pwd").into_iter().find(|line| line.starts_with('/'));
        self.ask(&format!("cd {dir}"));
        let found = names(&self.ask(list)).into_iter().map(|name| format!("{dir}{name}")).collect();
        if let Some(back) = back {
            self.ask(&format!("cd {}", back.trim_end_matches(TREE_PROMPT.trim())));
        }
        found
    }
}

/// File names in a listing of the restore tree: without the marks in front and the prompt behind.
fn names(lines: &[String]) -> Vec<String> {
    let name = |line: &String| line.trim_start_matches(['*', '+', ' ']).to_owned();
    lines.iter().filter(|line| line.as_str() != TREE_PROMPT.trim()).map(name).collect()
}

/// The argument words in a command's help: `client=<name>` gives `client=`, `listing` gives itself.
fn arguments(help: &str) -> Vec<String> {
    let words = help.split([' ', '\t', '|', '[', ']', '(', ')', ',']).filter(|word| !word.is_empty());
    let mut out: Vec<String> = words
        .filter_map(|word| {
            let name: String = word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let has_value = word[name.len()..].starts_with('=');
            (name.len() > 1).then(|| if has_value { format!("{name}=") } else { name })
        })
        .collect();
    out.sort();
    out.dedup();
    out
}

impl Completer for Completions {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.candidates(&line[..pos]);
        let typed = &line[start..pos];
        let fits = words.into_iter().filter(|word| word.to_lowercase().starts_with(&typed.to_lowercase()));
        Ok((start, fits.map(|word| Pair { display: word.clone(), replacement: word }).collect()))
    }
}

impl Hinter for Completions {
    type Hint = String;
}

impl Highlighter for Completions {}
impl Validator for Completions {}
impl Helper for Completions {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_in_help_texts() {
        let help = "run job=<job-name> client=<client-name> level=<level> [yes] | listing";
        assert_eq!(arguments(help), ["client=", "job=", "level=", "listing", "run", "yes"]);
    }
}
