//! The keywords of `restore`.

use types::JobId;

use super::super::args::{Args, number_list};
use super::super::fmt::parse_time;
use super::super::jobs::JOB_IDS_MAX;

/// What the command line says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Keywords {
    pub(super) client: Option<String>,
    pub(super) fileset: Option<String>,
    pub(super) pool: Option<String>,
    pub(super) jobs: Vec<JobId>,
    pub(super) files: Vec<String>,
    pub(super) directories: Vec<String>,
    /// Unix seconds; chains start before it.
    pub(super) before: Option<i64>,
    /// `select`, or what implies it.
    pub(super) select: bool,
    pub(super) all: bool,
    pub(super) done: bool,
    pub(super) copies: bool,
    pub(super) no_auto_parent: bool,
    pub(super) yes: bool,
    pub(super) bootstrap: Option<String>,
    pub(super) restore_job: Option<String>,
    /// `where=`, `replace=` and the like, for the run dialogue.
    pub(super) run: Vec<(String, String)>,
}

/// Keywords that the run dialogue takes.
const RUN_KEYWORDS: [&str; 13] = [
    "where",
    "regexwhere",
    "replace",
    "when",
    "comment",
    "storage",
    "restoreclient",
    "strip_prefix",
    "add_prefix",
    "add_suffix",
    "priority",
    "mediatype",
    "pluginoptions",
];

/// Keywords that are accepted and change nothing here.
const IGNORED: [&str; 5] = ["jobuser", "jobgroup", "fdcalled", "optimizespeed", "noautoparent"];

impl Keywords {
    /// Reads them.
    ///
    /// # Errors
    /// The line that tells the user what is wrong.
    pub(super) fn read(args: &Args) -> Result<Self, String> {
        let mut k = Self::default();
        for word in args.words() {
            let key = word.key.to_ascii_lowercase();
            let value = word.value.clone().filter(|v| !v.is_empty());
            match (key.as_str(), value) {
                ("client" | "backupclient", value) => k.client = value,
                ("fileset", value) => k.fileset = value,
                ("pool", value) => k.pool = value,
                ("file", Some(file)) => k.files.push(file),
                ("directory", Some(directory)) => k.directories.push(directory),
                ("bootstrap", value) => k.bootstrap = value,
                ("restorejob" | "job", value) => k.restore_job = value,
                ("catalog", _) => {}
                ("jobid", Some(list)) => {
                    let ids = number_list(&list, JOB_IDS_MAX)
                        .ok_or_else(|| format!("Invalid JobId list: {list}"))?;
                    k.jobs.extend(ids.into_iter().map(JobId));
                }
                ("before", Some(time)) => {
                    let at = parse_time(&time)
                        .ok_or_else(|| format!("Improper date format: {time}. Use YYYY-MM-DD HH:MM:SS."))?;
                    k.before = Some(at);
                }
                ("select", _) => k.select = true,
                ("current", _) => k.before = None,
                ("all", None) => k.all = true,
                ("done", None) => k.done = true,
                ("copies", None) => k.copies = true,
                ("noautoparent", None) => k.no_auto_parent = true,
                ("yes", None) => k.yes = true,
                (key, value) if RUN_KEYWORDS.contains(&key) => {
                    k.run.push((key.to_owned(), value.unwrap_or_default()));
                }
                (key, _) if IGNORED.contains(&key) => {}
                _ => return Err(format!("Unknown keyword: {}", word.key)),
            }
        }
        Ok(k)
    }

    /// Whether jobs or files are given, so that no menu is shown.
    pub(super) fn selects(&self) -> bool {
        self.select || !self.jobs.is_empty() || !self.files.is_empty() || !self.directories.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lines_are_understood() {
        let k = Keywords::read(&Args::parse(
            "restore client=lab-fd fileset=\"Small Set\" before=\"2026-11-23 15:07:50\" select all done where=/r yes",
        ));
        let k = k.unwrap();
        assert_eq!((k.client.as_deref(), k.fileset.as_deref()), (Some("lab-fd"), Some("Small Set")));
        assert!(k.select && k.all && k.done && k.yes && k.before.is_some());
        assert_eq!(k.run, [("where".to_owned(), "/r".to_owned())]);
        let k = Keywords::read(&Args::parse("restore jobid=1,3-4 jobid=7 file=/a file=</list done")).unwrap();
        assert_eq!(k.jobs, [1, 3, 4, 7].map(JobId));
        assert_eq!(k.files.len(), 2);
        assert!(k.selects());
        assert!(!Keywords::read(&Args::parse("restore")).unwrap().selects());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, problem) in [
            ("restore bogus=1", "Unknown keyword: bogus"),
            ("restore jobid=x", "Invalid JobId list: x"),
            ("restore before=never select", "Improper date format: never. Use YYYY-MM-DD HH:MM:SS."),
        ] {
            assert_eq!(Keywords::read(&Args::parse(line)), Err(problem.to_owned()));
        }
    }
}
