//! Lines for the operator.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

/// A line of the result. That its reader has gone is no failure.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to the standard output"),
    }
}

/// Asks on the standard error and reads one line; `None` at the end of the input.
pub(crate) fn ask(question: &str) -> Result<Option<String>> {
    write!(io::stderr(), "{question}").context("write to the standard error")?;
    let mut line = String::new();
    let count = io::stdin().read_line(&mut line).context("read the standard input")?;
    Ok((count > 0).then(|| line.trim().to_owned()))
}

/// A complaint.
pub(crate) fn complain(line: impl std::fmt::Display) {
    // Nothing can be done if nobody listens.
    let _ = writeln!(io::stderr(), "{line}");
}
