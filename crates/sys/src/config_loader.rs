//! The files, programs and environment behind a configuration: the real [`conf::Loader`].

use std::io::Read;
use std::process::{Command, Stdio};

use conf::Loader;

/// Most bytes taken from one file or program.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Reads files relative to the process's working directory and runs programs without a shell.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLoader;

impl Loader for SystemLoader {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let file = std::fs::File::open(path).map_err(|e| phrase(&e))?;
        bounded(file)
    }

    fn run(&mut self, command: &str) -> Result<Vec<u8>, String> {
        let words = split_command(command);
        let (program, arguments) = words.split_first().ok_or_else(|| "no program is named".to_owned())?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| phrase(&e))?;
        let output = child.stdout.take().map_or_else(|| Ok(Vec::new()), bounded);
        let status = child.wait().map_err(|e| phrase(&e))?;
        if !status.success() {
            return Err(format!("the program failed: {status}"));
        }
        output
    }

    fn variable(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

fn bounded(from: impl Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    from.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text).map_err(|e| phrase(&e))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(format!("more than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The system's words without the number that Rust adds: `No such file or directory`.
fn phrase(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// Words of a command as Bacula's launcher splits them: at blanks, with `'…'`, `"…"` and `\` honoured, and without a
/// shell (spec/04 §9.3).
#[must_use]
pub fn split_command(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', _) => word.get_or_insert_default().extend(chars.next()),
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_ascii_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_split_as_bacula_splits_them() {
        let command = r#"bsmtp -h localhost -f "\(Bacula\) \<root@localhost\>" -s "Bacula: OK" root '' x"#;
        let words = split_command(command);
        assert_eq!(
            words,
            [
                "bsmtp",
                "-h",
                "localhost",
                "-f",
                "(Bacula) <root@localhost>",
                "-s",
                "Bacula: OK",
                "root",
                "",
                "x"
            ]
        );
    }

    #[test]
    fn programs_and_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("part.conf");
        std::fs::write(&path, "text").unwrap();
        assert_eq!(SystemLoader.read(path.to_str().unwrap()), Ok(b"text".to_vec()));
        assert_eq!(SystemLoader.read("/nonexistent"), Err("No such file or directory".into()));
        assert_eq!(SystemLoader.run("sh -c 'echo a; echo b >&2'"), Ok(b"a\n".to_vec()));
        assert!(SystemLoader.run("false").is_err());
        assert!(SystemLoader.run("").is_err());
    }
}
