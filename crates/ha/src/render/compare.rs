//! A machine's files against what is rendered for it.

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::difference;
use crate::plan::{Content, Entry, Tree, matches};

/// A configuration is smaller; what is larger is something else.
const BYTES_MAX: u64 = 1 << 20;

/// A file that is not as rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    path: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Missing,
    /// It is no file, or another link.
    Other(String),
    /// It has another mode: here, rendered.
    Mode(u32, u32),
    Lines(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::Missing => write!(f, "{path}: is not there"),
            What::Other(what) => write!(f, "{path}: {what}"),
            What::Mode(here, rendered) => {
                write!(f, "{path}: has the mode {here:04o}, rendered is {rendered:04o}")
            }
            What::Lines(lines) => write!(f, "{path}:\n{}", lines.trim_end()),
        }
    }
}

/// All differences, by path.
pub(super) fn machine(tree: &Tree, machine: &str, root: &Path) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    for (path, entry) in tree.of_machine(machine) {
        let real = root.join(path.trim_start_matches('/'));
        let what = match &entry.content {
            Content::Link(target) => link(&real, target)?,
            Content::Text(text) => file(&real, text, entry)?,
        };
        found.extend(what.into_iter().map(|what| Difference { path: path.clone(), what }));
    }
    Ok(found)
}

fn link(real: &Path, target: &str) -> Result<Vec<What>> {
    match fs::read_link(real) {
        Ok(found) if found == Path::new(target) => Ok(Vec::new()),
        Ok(found) => Ok(vec![What::Other(format!("points to {}, rendered is {target}", found.display()))]),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(vec![What::Missing]),
        // What readlink says of anything that is no link.
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            Ok(vec![What::Other(format!("is no link to {target}"))])
        }
        Err(error) => Err(error).with_context(|| format!("read the link {}", real.display())),
    }
}

fn file(real: &Path, text: &str, entry: &Entry) -> Result<Vec<What>> {
    let metadata = match fs::metadata(real) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![What::Missing]),
        Err(error) => return Err(error).with_context(|| format!("look at {}", real.display())),
    };
    if !metadata.is_file() {
        return Ok(vec![What::Other("is no file".to_owned())]);
    }
    let mut bytes = Vec::new();
    let open = fs::File::open(real).with_context(|| format!("open {}", real.display()))?;
    open.take(BYTES_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("read {}", real.display()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Ok(vec![What::Other(format!("is larger than {BYTES_MAX} bytes"))]);
    }
    let here = String::from_utf8_lossy(&bytes);
    let mut found = Vec::new();
    let lines = difference::lines(&here, text, |here, rendered| matches(rendered, here));
    if !lines.is_empty() {
        found.push(What::Lines(lines));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode != entry.mode {
        found.push(What::Mode(mode, entry.mode));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_compared_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let mut tree = Tree::default();
        tree.file("a", "/etc/one.conf", "password = @HOLDFAST:x@\nport = 1\n".into()).mode(0o600);
        tree.link("a", "/usr/lib/agent", "/usr/bin/program");
        tree.file("b", "/etc/other", "not this node's\n".into());
        let shown = || {
            let found = machine(&tree, "a", root).unwrap();
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(shown(), "/etc/one.conf: is not there\n/usr/lib/agent: is not there");
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        let one = root.join("etc/one.conf");
        fs::write(&one, "password = geheim\nport = 2\n").unwrap();
        fs::set_permissions(&one, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(root.join("usr/lib/agent"), "").unwrap();
        assert_eq!(
            shown(),
            "/etc/one.conf:\n password = geheim\n-port = 2\n+port = 1\n/etc/one.conf: has the mode 0644, rendered is 0600\n/usr/lib/agent: is no link to /usr/bin/program"
        );
        fs::write(&one, "password = geheim\nport = 1\n").unwrap();
        fs::set_permissions(&one, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(root.join("usr/lib/agent")).unwrap();
        std::os::unix::fs::symlink("/usr/bin/program", root.join("usr/lib/agent")).unwrap();
        assert_eq!(shown(), "");
    }
}
