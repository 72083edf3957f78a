//! The configuration files and commands of a page of documentation.
//!
//! A code block is a file where its first line says `conf file=PATH hosts=ADDRESS,…`, and what is started at hosts where it says
//! `sh hosts=ADDRESS,…`: one command a line, and behind `#` the address and port at which the daemon listens.

use anyhow::{Context, Result, bail, ensure};

use crate::site::Role;

/// A file, and the hosts that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File<'a> {
    pub path: &'a str,
    pub hosts: Vec<&'a str>,
    pub text: String,
}

/// A daemon, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start<'a> {
    pub host: &'a str,
    pub role: Role,
    pub config: &'a str,
    pub instance: Option<&'a str>,
    pub port: u16,
}

/// What a page says, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document<'a> {
    pub files: Vec<File<'a>>,
    pub starts: Vec<Start<'a>>,
}

impl<'a> Document<'a> {
    /// # Errors
    /// For a block or a command that is not understood; the text names it.
    pub(super) fn read(page: &'a str) -> Result<Self> {
        let mut found = Self::default();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else { continue };
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let attribute = |name: &str| info.split(' ').find_map(|word| word.strip_prefix(name));
            let hosts: Option<Vec<&str>> = attribute("hosts=").map(|hosts| hosts.split(',').collect());
            match (info.split(' ').next(), hosts) {
                (Some("conf"), Some(hosts)) => {
                    let path = attribute("file=").with_context(|| format!("no file= in “{line}”"))?;
                    found.files.push(File { path, hosts, text: block.join("\n") + "\n" });
                }
                (Some("sh"), Some(hosts)) => {
                    for (host, command) in
                        hosts.iter().flat_map(|host| block.iter().map(move |c| (*host, *c)))
                    {
                        found.starts.push(start(host, command).with_context(|| format!("in “{command}”"))?);
                    }
                }
                _ => {}
            }
        }
        ensure!(!found.files.is_empty() && !found.starts.is_empty(), "the page has nothing to start");
        Ok(found)
    }
}

fn start<'a>(host: &'a str, command: &'a str) -> Result<Start<'a>> {
    let (command, listens) = command.split_once('#').context("where it listens is missing")?;
    let (address, port) = listens.trim().split_once(':').context("an address without a port")?;
    ensure!(address == host, "it listens at another host");
    let port = port.parse()?;
    let words: Vec<&str> = command.split_whitespace().collect();
    let (role, config, instance) = match *words.as_slice() {
        ["holdfast", "director", "-c", config, "--instance", name] => (Role::Director, config, Some(name)),
        ["holdfast", "storage", "-c", config] => (Role::Storage, config, None),
        ["holdfast", "client", "-c", config] => (Role::Client, config, None),
        _ => bail!("no daemon is started"),
    };
    Ok(Start { host, role, config, instance, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_commands_are_found() {
        let page = "Text\n```conf file=/etc/x.conf hosts=10.0.0.1,10.0.0.2\nA {\n}\n```\n    indented\n```sh hosts=10.0.0.1\n\
                    holdfast director -c /etc/x.conf --instance a  # 10.0.0.1:9101\n```\n```\nplain\n```\n";
        let found = Document::read(page).unwrap();
        let hosts = vec!["10.0.0.1", "10.0.0.2"];
        assert_eq!(found.files, [File { path: "/etc/x.conf", hosts, text: "A {\n}\n".to_owned() }]);
        let start = Start {
            host: "10.0.0.1",
            role: Role::Director,
            config: "/etc/x.conf",
            instance: Some("a"),
            port: 9101,
        };
        assert_eq!(found.starts, [start]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let page =
            "```conf file=/x hosts=10.0.0.1\n```\n```sh hosts=10.0.0.1\nrm -rf /  # 10.0.0.1:9101\n```\n";
        let error = format!("{:#}", Document::read(page).unwrap_err());
        assert!(error.contains("rm -rf /"), "{error}");
        assert!(Document::read("nothing").is_err());
    }
}
