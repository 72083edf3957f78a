//! Secrets that the topology does not hold: a name stands where the site puts them.

use super::tree::Tree;

/// How a placeholder begins and ends.
const OPEN: &str = "@HOLDFAST:";
const CLOSE: char = '@';

/// Where a secret goes that only the site knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Placeholder {
    /// Its text, as it stands in the files.
    pub(crate) text: String,
    /// The files that it stands in.
    pub(crate) files: Vec<String>,
}

/// A secret: the topology's own, or a placeholder of a name of letters, digits, `-` and `_`.
pub(crate) fn secret(given: Option<&String>, name: &str) -> String {
    given.cloned().unwrap_or_else(|| format!("{OPEN}{name}{CLOSE}"))
}

/// All placeholders of a tree, by their text.
pub(crate) fn placeholders(tree: &Tree) -> Vec<Placeholder> {
    let mut found: Vec<Placeholder> = Vec::new();
    for (path, entry) in tree.entries() {
        for text in in_text(entry.text()) {
            let known = found.iter_mut().find(|placeholder| placeholder.text == text);
            match known {
                Some(placeholder) if placeholder.files.iter().any(|file| file == path) => {}
                Some(placeholder) => placeholder.files.push(path.to_owned()),
                None => found.push(Placeholder { text: text.to_owned(), files: vec![path.to_owned()] }),
            }
        }
    }
    found.sort();
    found
}

/// Whether a line of a machine is the rendered one, with anything where a placeholder stands.
pub(crate) fn matches(rendered: &str, real: &str) -> bool {
    let Some((before, rest)) = rendered.split_once(OPEN) else { return rendered == real };
    let Some((_, after)) = rest.split_once(CLOSE) else { return rendered == real };
    let Some(tail) = real.strip_prefix(before) else { return false };
    // What follows the secret may hold placeholders of its own.
    (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| matches(after, &tail[at..]))
}

fn in_text(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(OPEN).filter_map(|(at, _)| {
        let end = text[at + OPEN.len()..].find(CLOSE)?;
        Some(&text[at..=at + OPEN.len() + end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_stands_for_any_text() {
        let line = format!("password: {}", secret(None, "pg-superuser"));
        assert!(matches(&line, "password: s3cret"));
        assert!(matches(&line, &line));
        assert!(!matches(&line, "passwort: s3cret"));
        assert!(matches(&format!("{line} # end"), "password: x # end"));
        assert!(!matches(&format!("{line} # end"), "password: x # fin"));
        assert!(matches("plain", "plain") && !matches("plain", "other"));
    }

    #[test]
    fn placeholders_are_found_with_their_files() {
        let mut tree = Tree::default();
        tree.put("one".into(), format!("x {} {}", secret(None, "a"), secret(None, "b")));
        tree.put("two".into(), format!("{} {}", secret(None, "a"), secret(Some(&"given".to_owned()), "c")));
        let found = placeholders(&tree);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].text, "@HOLDFAST:a@");
        assert_eq!(found[0].files, ["one", "two"]);
    }
}
