//! Markdown as it grows.

use std::fmt::Write as _;

pub(super) struct Book {
    out: String,
}

impl Book {
    pub(super) fn new(title: &str) -> Self {
        Self { out: format!("# {title}\n") }
    }

    pub(super) fn heading(&mut self, text: &str) {
        let _ = write!(self.out, "\n## {text}\n");
    }

    pub(super) fn section(&mut self, text: &str) {
        let _ = write!(self.out, "\n### {text}\n");
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let _ = write!(self.out, "\n{text}\n");
    }

    pub(super) fn items(&mut self, items: &[String]) {
        self.out.push('\n');
        for item in items {
            let _ = writeln!(self.out, "- {item}");
        }
    }

    /// Commands as root on a machine, whose name is in the fence: tests find them by it.
    pub(super) fn commands(&mut self, on: &str, lines: &[String]) {
        let _ = write!(self.out, "\n```sh on={on}\n{}\n```\n", lines.join("\n"));
    }

    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line =
            |cells: &mut dyn Iterator<Item = &str>| format!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        let _ = write!(self.out, "\n{}\n|{}\n", line(&mut head.iter().copied()), "---|".repeat(head.len()));
        for row in rows {
            let _ = writeln!(self.out, "{}", line(&mut row.iter().map(String::as_str)));
        }
    }

    pub(super) fn text(self) -> String {
        self.out
    }
}

/// Lines of commands.
pub(super) fn lines<const N: usize>(lines: [&str; N]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
