//! What a Copy Job tells its scripts, and what the console lists of its copies, beside Bacula's own.

use anyhow::{Result, ensure};
use holdfast_tests::copies::run;
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, Maker, Site};

/// What one site has said of one copy: the scripts' arguments and the console's lists.
#[derive(Debug, PartialEq)]
struct Said {
    scripts: Vec<String>,
    copies: Vec<String>,
    copies_long: Vec<String>,
}

/// A backup and its copy on the other Storage Daemon, with every kind of script in the Copy Job; then a Copy Job that its script ends.
fn copy_on(builder: Builder) -> Result<Said> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 1000)?;
    let notes = dir.path().join("notes");
    let script = dir.path().join("note");
    std::fs::write(&script, format!("#!/bin/sh\necho \"$@\" >>{}\n", notes.display()))?;
    let note = format!("/bin/sh {}", script.display());
    let codes = "%t %l %n %c %F %b %p %w %o %v %f";
    let jobs = format!(
        r#"
JobDefs {{
  Name = Copies; Type = Copy; Client = kit-fd; FileSet = Tree; Storage = File1; Pool = File; Next Pool = Far; Messages = Standard
  Run After Job = "{note} after {codes} %e"
  Run After Failed Job = "{note} failed {codes} %e"
}}
Job {{
  Name = CopyAll; JobDefs = Copies; Selection Type = PoolUncopiedJobs
  Run Before Job = "{note} before {codes}"
  Client Run Before Job = "{note} client-before"
  Client Run After Job = "{note} client-after"
  RunScript {{ Runs On Client = no; Runs When = AfterVSS; Command = "{note} after-vss" }}
}}
Job {{
  Name = Fails; JobDefs = Copies; Selection Type = Job; Selection Pattern = "Backup"
  RunScript {{ Runs On Client = no; Runs When = Before; Fail Job On Error = yes; Command = "/bin/false" }}
}}
"#
    );
    let site = builder.tree(&tree).extra(jobs).start()?;
    let nothing = site.console(&["list copies"])?;
    ensure!(!nothing.contains("No results") && !nothing.contains("as follows"), "{nothing}");
    expect_good(&site.backup("Full")?)?;
    expect_good(&run(&site, "CopyAll")?)?;
    ensure!(run(&site, "Fails")?.status() == 'E', "{}", site.job_log());
    let said = Said {
        scripts: std::fs::read_to_string(&notes)?.lines().map(str::to_owned).collect(),
        copies: listed(&site, "list copies jobid=1")?,
        copies_long: listed(&site, "llist copies")?,
    };
    site.finish()?;
    Ok(said)
}

/// The words of each line that the console shows, without the rules of the table; the unique name of the job differs by its time.
fn listed(site: &Site, command: &str) -> Result<Vec<String>> {
    let text = site.console(&[command])?;
    let lines =
        text.lines().skip_while(|line| !line.contains("as follows")).take_while(|line| *line != "quit");
    Ok(lines
        .map(|line| {
            line.split_whitespace()
                .filter(|word| !word.starts_with("Backup.") && *word != "|")
                .collect::<Vec<_>>()
        })
        .filter(|words| !words.is_empty() && !words[0].starts_with("+-"))
        .take_while(|words| !words.contains(&"name") && !words.contains(&"Name"))
        .map(|words| words.join(" ").to_lowercase())
        .collect())
}

#[test]
fn scripts_and_lists_of_copies_are_as_with_bacula() -> Result<()> {
    let theirs = copy_on(Site::builder().all(Maker::Bacula9).far_storage(Maker::Bacula9))?;
    ensure!(theirs.scripts.len() == 3 && theirs.copies.len() == 3, "{theirs:#?}");
    let ours = copy_on(our_site().far_storage(Maker::Holdfast))?;
    ensure!(ours == theirs, "ours {ours:#?}\ntheirs {theirs:#?}");
    Ok(())
}
