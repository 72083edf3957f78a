//! The FileSet as packets to the FD (spec/01 §5.6).

use policy::plan::{FileSetBlock, FileSetPlan, RawText};
use std::process::Stdio;
use tokio::io::AsyncReadExt;

/// Text that a `|program` may print, or a `<file` hold.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Why the FileSet cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileSetError {
    #[error("FileSet \"{fileset}\": read the list of files {path}: {source}")]
    File { fileset: String, path: String, source: std::io::Error },
    #[error("FileSet \"{fileset}\": program \"{program}\" for the list of files {problem}")]
    Program { fileset: String, program: String, problem: String },
}

/// The command that starts the transfer.
pub(crate) fn command(fileset: &FileSetPlan) -> String {
    let vss = if fileset.vss { " vss=1" } else { "" };
    let snapshot = if fileset.snapshot { " snap=1" } else { "" };
    format!("fileset{vss}{snapshot}\n")
}

/// Reads `|program` and `<file` lists in place of their entries, on the Director's host.
///
/// # Errors
/// [`FileSetError`]: a list that cannot be had must not silently leave files out.
pub(crate) async fn expand(mut fileset: FileSetPlan) -> Result<FileSetPlan, FileSetError> {
    let name = fileset.name.clone();
    for block in fileset.includes.iter_mut().chain(&mut fileset.excludes) {
        let mut files = Vec::with_capacity(block.files.len());
        for file in std::mem::take(&mut block.files) {
            match file.bytes() {
                [b'|', program @ ..] => files.extend(lines(&run(&name, program).await?)),
                [b'<', path @ ..] => files.extend(lines(&read(&name, path).await?)),
                // A backslash hands the program or file to the FD.
                [b'\\', rest @ ..] if matches!(rest, [b'|' | b'<', ..]) => files.push(RawText::from(rest)),
                _ => files.push(file),
            }
        }
        block.files = files;
    }
    Ok(fileset)
}

fn lines(list: &[u8]) -> impl Iterator<Item = RawText> + '_ {
    // The line feed is kept: so a Director sends names that come from a list.
    list.split_inclusive(|&byte| byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .map(RawText::from)
}

async fn read(fileset: &str, path: &[u8]) -> Result<Vec<u8>, FileSetError> {
    let path = String::from_utf8_lossy(path).trim().to_owned();
    let bytes = async {
        let file = tokio::fs::File::open(&path).await?;
        let mut bytes = Vec::new();
        file.take(LIST_BYTES_MAX).read_to_end(&mut bytes).await?;
        Ok(bytes)
    };
    bytes.await.map_err(|source| FileSetError::File { fileset: fileset.to_owned(), path, source })
}

async fn run(fileset: &str, program: &[u8]) -> Result<Vec<u8>, FileSetError> {
    let command = String::from_utf8_lossy(program).into_owned();
    let failed = |problem: String| FileSetError::Program {
        fileset: fileset.to_owned(),
        program: command.trim().to_owned(),
        problem,
    };
    let words = sys::split_command(&command);
    let Some((program, arguments)) = words.split_first() else {
        return Err(failed("is empty".to_owned()));
    };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let output = child.map_err(|error| failed(format!("cannot be run: {error}")))?.wait_with_output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    Ok(output.stdout)
}

/// The packets between the command and its EOD.
pub(crate) fn packets(fileset: &FileSetPlan, compression: bool) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for block in &fileset.includes {
        push_block(&mut out, b"I\n", block, compression);
    }
    for block in &fileset.excludes {
        push_block(&mut out, b"E\n", block, compression);
    }
    out
}

fn push_block(out: &mut Vec<Vec<u8>>, start: &[u8], block: &FileSetBlock, compression: bool) {
    out.push(start.to_vec());
    for name in &block.exclude_dir_containing {
        out.push(line("Z", name.bytes(), true));
    }
    for options in &block.options {
        let letters = if compression { &options.letters } else { &options.letters_uncompressed };
        out.push(format!("O {letters}\n").into_bytes());
        for (code, text) in &options.lines {
            out.push(line(code, text.bytes(), true));
        }
        out.push(b"N\n".to_vec());
    }
    for file in &block.files {
        out.push(line("F", file.bytes(), false));
    }
    out.push(b"N\n".to_vec());
    for plugin in &block.plugins {
        out.push(line("P", plugin.bytes(), false));
    }
    out.push(b"N\n".to_vec());
}

fn line(code: &str, text: &[u8], feed: bool) -> Vec<u8> {
    let mut line = format!("{code} ").into_bytes();
    line.extend_from_slice(text);
    if feed {
        line.push(b'\n');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::plan::FileSetOptions;

    #[test]
    fn packets_are_those_of_the_recorded_session() {
        let fileset = FileSetPlan {
            vss: true,
            includes: vec![FileSetBlock {
                options: vec![FileSetOptions {
                    letters: "MCpins5:".into(),
                    letters_uncompressed: "MCpins5:".into(),
                    lines: vec![("WF".into(), "*.o".into())],
                }],
                files: vec!["/srv/t1/data".into()],
                ..FileSetBlock::default()
            }],
            ..FileSetPlan::default()
        };
        assert_eq!(command(&fileset), "fileset vss=1\n");
        let text: Vec<String> =
            packets(&fileset, true).into_iter().map(|p| String::from_utf8(p).unwrap()).collect();
        assert_eq!(text, ["I\n", "O MCpins5:\n", "WF *.o\n", "N\n", "F /srv/t1/data", "N\n", "N\n"]);
    }

    #[tokio::test]
    async fn lists_of_programs_and_files_are_expanded_here_and_backslashed_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        std::fs::write(&list, "/a\n\n/b").unwrap();
        let files = [format!("<{}", list.display()), "|/bin/echo /c".into(), "\\|prog".into(), "/d".into()];
        let fileset = FileSetPlan {
            includes: vec![FileSetBlock {
                files: files.iter().map(|f| RawText::from(f.as_str())).collect(),
                ..FileSetBlock::default()
            }],
            ..FileSetPlan::default()
        };
        let expanded = expand(fileset.clone()).await.unwrap();
        let names: Vec<&[u8]> = expanded.includes[0].files.iter().map(RawText::bytes).collect();
        assert_eq!(names, [&b"/a\n"[..], b"/b", b"/c\n", b"|prog", b"/d"]);
        let mut missing = fileset;
        missing.includes[0].files = vec!["</nowhere".into()];
        assert!(expand(missing).await.unwrap_err().to_string().contains("/nowhere"));
    }
}
