//! No directive does nothing in silence: what the table says is in effect is read by some crate, all else is warned about.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use crate::Breach;

/// An entry of the directive table as it stands in the source.
struct Entry {
    file: PathBuf,
    line: usize,
    name: String,
    field: String,
    /// Marked as not yet in effect, or as accepted without any effect.
    marked: bool,
}

/// Directives that the configuration itself uses up while it is read.
const CONSUMED: &[&str] = &["JobDefs"];

pub(crate) fn check(root: &Path) -> Result<Vec<Breach>> {
    let mut entries = Vec::new();
    let mut readers = String::new();
    for item in WalkDir::new(root.join("crates")).sort_by_file_name() {
        let item = item?;
        if item.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let content = std::fs::read_to_string(item.path())
            .with_context(|| format!("read {}", item.path().display()))?;
        let file = item.path().strip_prefix(root).unwrap_or(item.path());
        if file.starts_with("crates/conf/src") {
            table_entries(file, &content, &mut entries);
        }
        // What `show` prints has no effect by that alone.
        if !file.starts_with("crates/conf/src/show") && !file.starts_with("crates/xtask") {
            readers.push_str(&content);
        }
    }
    Ok(entries
        .into_iter()
        .filter(|entry| !entry.marked && !is_read(&readers, &entry.field))
        .map(|entry| Breach {
            text: format!(
                "nothing reads `{}` ({}): act on it, or mark it pending()",
                entry.name, entry.field
            ),
            file: entry.file,
            line: entry.line,
        })
        .collect())
}

/// Entries `"Name" => field: Type = Kind…;`; those of resources that are not in effect at all are left out.
fn table_entries(file: &Path, content: &str, entries: &mut Vec<Entry>) {
    let mut resource_pending = false;
    for (at, line) in content.lines().enumerate() {
        let line = line.trim();
        if line.ends_with('{') && line.contains(" = ") && !line.starts_with('"') {
            resource_pending = line.contains(", pending");
        }
        let Some((name, rest)) = line.strip_prefix('"').and_then(|rest| rest.split_once("\" => ")) else {
            continue;
        };
        let Some((field, _)) = rest.split_once(':') else { continue };
        let start = content.lines().take(at).map(|line| line.len() + 1).sum::<usize>();
        let statement = content[start..].split(';').next().unwrap_or_default();
        if !statement.contains("Kind::") {
            continue;
        }
        let marked =
            CONSUMED.contains(&name) || statement.contains("pending()") || statement.contains("ignored()");
        if !resource_pending {
            let (name, field) = (name.to_owned(), field.to_owned());
            entries.push(Entry { file: file.to_path_buf(), line: at + 1, name, field, marked });
        }
    }
}

/// Whether `.field` stands somewhere as a whole word.
fn is_read(text: &str, field: &str) -> bool {
    let access = format!(".{field}");
    text.match_indices(&access).any(|(at, _)| {
        let next = text[at + access.len()..].chars().next();
        next.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_marks_are_found() {
        let table = "    A = Pool \"A\" {\n \"One\" => one: u32 = Kind::Uint;\n \"Two\" => two: u32 = Kind::Uint,\n   pending();\n}\n\
            B = Pool \"B\", pending {\n \"Three\" => three: u32 = Kind::Uint;\n}\n";
        let mut entries = Vec::new();
        table_entries(Path::new("a.rs"), table, &mut entries);
        let found: Vec<_> = entries.iter().map(|e| (e.field.as_str(), e.marked, e.line)).collect();
        assert_eq!(found, [("one", false, 2), ("two", true, 3)]);
        assert!(is_read("x.one;", "one"));
        assert!(!is_read("x.one_more; one", "one"));
    }
}
