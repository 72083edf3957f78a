//! `%` codes of commands and names (spec/04 §9.3). Pure.

/// What the codes stand for. `None` as a whole means "no job": every code is `*none*`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Codes {
    pub(crate) client: String,
    pub(crate) client_address: String,
    pub(crate) director: String,
    /// `OK`, `Error`, `Canceled` …
    pub(crate) exit: String,
    pub(crate) errors: u32,
    pub(crate) job_id: u32,
    /// Unique name.
    pub(crate) job: String,
    /// Resource name.
    pub(crate) name: String,
    pub(crate) level: String,
    pub(crate) job_type: String,
    pub(crate) since: String,
    pub(crate) volumes: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) read_bytes: u64,
    pub(crate) priority: u32,
    pub(crate) fileset: String,
    pub(crate) pool: String,
    pub(crate) storage: String,
    pub(crate) spooling: bool,
    pub(crate) cloned: bool,
    pub(crate) previous_job: u32,
}

/// Replaces the codes in `template`. `recipients` is `%r`.
#[must_use]
pub(crate) fn expand(template: &str, codes: Option<&Codes>, recipients: &str) -> String {
    conf::command::expand(template, |code| match code {
        'r' => Some(recipients.to_owned()),
        code => value(code, codes),
    })
}

fn value(code: char, codes: Option<&Codes>) -> Option<String> {
    if code == 'P' {
        return Some(std::process::id().to_string());
    }
    let known = "cdDeEijnltsvFbRofphwxCmI".contains(code);
    let Some(codes) = codes else {
        return known.then(|| "*none*".to_owned());
    };
    let yes_no = |value: bool| if value { "yes" } else { "no" }.to_owned();
    Some(match code {
        'c' => codes.client.clone(),
        'd' | 'D' => codes.director.clone(),
        'e' => codes.exit.clone(),
        'E' => codes.errors.to_string(),
        'i' => codes.job_id.to_string(),
        'j' => codes.job.clone(),
        'n' => codes.name.clone(),
        'l' => codes.level.clone(),
        't' => codes.job_type.clone(),
        's' => codes.since.clone(),
        'v' => codes.volumes.clone(),
        'F' => codes.files.to_string(),
        'b' => codes.bytes.to_string(),
        'R' => codes.read_bytes.to_string(),
        'o' => codes.priority.to_string(),
        'f' => codes.fileset.clone(),
        'p' => codes.pool.clone(),
        'h' => codes.client_address.clone(),
        'w' => codes.storage.clone(),
        'x' => yes_no(codes.spooling),
        'C' => yes_no(codes.cloned),
        'm' => codes.previous_job.to_string(),
        'I' => "0".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sys::split_command;

    #[test]
    fn the_recorded_mail_command_gives_the_recorded_arguments() {
        let codes = Codes {
            job_type: "Backup".into(),
            exit: "OK".into(),
            client: "lab-fd".into(),
            level: "Full".into(),
            ..Codes::default()
        };
        let command = r#"/opt/bsmtp -h localhost -f "\(Bacula\) \<%r\>" -s "Bacula: %t %e of %c %l" %r"#;
        let words = split_command(&expand(command, Some(&codes), "root@localhost"));
        assert_eq!(
            words,
            [
                "/opt/bsmtp",
                "-h",
                "localhost",
                "-f",
                "(Bacula) <root@localhost>",
                "-s",
                "Bacula: Backup OK of lab-fd Full",
                "root@localhost"
            ]
        );
    }

    #[test]
    fn without_a_job_the_codes_are_none_and_unknown_ones_stay() {
        assert_eq!(expand("%n %z %% 5%", None, ""), "*none* %z % 5%");
    }
}
