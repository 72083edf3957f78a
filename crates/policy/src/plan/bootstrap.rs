//! A restore's bootstrap by Storage.

/// Splits a bootstrap into stretches of one Storage each, in order, with the Storage's name where it is named. A piece starts
/// with its `Storage=` line or, without one, with its `Volume=` line and belongs to no named Storage.
#[must_use]
pub fn bootstrap_by_storage(bootstrap: &str) -> Vec<(Option<String>, String)> {
    let mut parts: Vec<(Option<String>, String)> = Vec::new();
    let mut named: Option<String> = None;
    let mut fresh = false;
    for line in bootstrap.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = key.trim().to_ascii_lowercase();
        if key == "storage" {
            named = Some(value.trim().trim_matches('"').to_owned());
            fresh = true;
        } else if key == "volume" {
            if !fresh {
                named = None;
            }
            fresh = false;
        }
        match parts.last_mut() {
            Some((name, text)) if *name == named => push(text, line),
            _ => {
                let mut text = String::new();
                push(&mut text, line);
                parts.push((named.clone(), text));
            }
        }
    }
    parts
}

/// The sections of a bootstrap, each with its lines. A section begins with its `Storage=` line or, without one, with its
/// `Volume=` line.
#[must_use]
pub fn bootstrap_sections(bootstrap: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    let mut is_named = false;
    for line in bootstrap.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let key = line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        let begins = key == "storage" || (key == "volume" && !is_named);
        is_named = key == "storage" || (is_named && key != "volume");
        if begins || sections.is_empty() {
            sections.push(String::new());
        }
        if let Some(section) = sections.last_mut() {
            push(section, line);
        }
    }
    sections
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_one_storage_stay_together() {
        let text = "Storage=\"A\"\nVolume=\"v1\"\nFileIndex=1\nStorage=\"A\"\nVolume=\"v2\"\nFileIndex=2\n\
                    Storage=\"B\"\nVolume=\"v3\"\nVolume=\"v4\"\nStorage=\"A\"\nVolume=\"v5\"\n";
        let parts = bootstrap_by_storage(text);
        let names: Vec<Option<&str>> = parts.iter().map(|(name, _)| name.as_deref()).collect();
        assert_eq!(names, [Some("A"), Some("B"), None, Some("A")]);
        assert_eq!(parts[0].1.lines().count(), 6);
        assert_eq!(parts[3].1, "Storage=\"A\"\nVolume=\"v5\"\n");
        assert!(bootstrap_by_storage("# only a comment\n\n").is_empty());
    }
}
