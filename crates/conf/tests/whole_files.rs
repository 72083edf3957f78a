//! Whole configurations: Debian's defaults and the recorded laboratory's load unchanged.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use conf::director::{Changer, SelectionType};
use conf::runscript::{RunsWhen, Script, Target};
use conf::{ClientConfig, Config, ConsoleConfig, DirectorConfig, StorageConfig, TextLoader, load};
use types::{JobLevel, JobType};

fn read<C: Config>(name: &str, text: &str) -> C {
    read_with(name, text, &[])
}

/// Reads a configuration that is warned about in these words and no others.
fn read_with<C: Config>(name: &str, text: &str, warnings: &[&str]) -> C {
    let mut loader = TextLoader::new(name, text);
    match load::<C>(name, &mut loader) {
        Ok(loaded) => {
            let found: Vec<_> = loaded.warnings.list.iter().map(|w| w.message.as_str()).collect();
            assert_eq!(found, warnings);
            loaded.config
        }
        Err(findings) => panic!("{findings}"),
    }
}

#[test]
fn debians_defaults_load_without_a_word() {
    let director: DirectorConfig =
        read("bacula-dir.conf", include_str!("../fixtures/debian/bacula-dir.conf"));
    assert_eq!(director.jobs.len(), 3);
    assert_eq!(director.job("BackupClient1").map(|j| j.schedule.as_deref()), Some(Some("WeeklyCycle")));
    assert_eq!(director.storages[0].autochanger, Changer::Of("File1".into()));
    let client: ClientConfig = read("bacula-fd.conf", include_str!("../fixtures/debian/bacula-fd.conf"));
    assert!(client.director("debian-mon").is_some_and(|d| d.monitor));
    let storage: StorageConfig = read("bacula-sd.conf", include_str!("../fixtures/debian/bacula-sd.conf"));
    assert_eq!(storage.autochangers[0].devices, ["FileChgr1-Dev1", "FileChgr1-Dev2"]);
    assert_eq!(storage.devices.len(), 4);
    let console: ConsoleConfig = read("bconsole.conf", include_str!("../fixtures/debian/bconsole.conf"));
    assert_eq!(console.directors[0].dir_port, 9101);
}

#[test]
fn the_laboratory_loads() {
    // The laboratory's catalog was PostgreSQL.
    let warnings = ["Job \"VerifyVol\": jobs of Type Verify are not yet in effect"];
    let text = include_str!("../fixtures/lab-bacula-dir.conf");
    let c: DirectorConfig = read_with("bacula-dir.conf", text, &warnings);
    assert_eq!(c.director.password, "3c852d05a94cd961cc2e2135ecf3788c");
    assert_eq!(c.director.dir_port, 19401);
    assert_eq!(c.director.statistics_retention, Duration::from_secs(5 * 365 * 86_400));
    let slow = c.job("SlowSave").unwrap();
    assert_eq!(
        (slow.job_type, slow.level, slow.priority),
        (JobType::Backup, Some(JobLevel::Incremental), 10)
    );
    assert_eq!(slow.run_scripts.len(), 1);
    assert_eq!(slow.run_scripts[0].script, Script::Command("/bin/sleep 8".into()));
    assert_eq!((slow.run_scripts[0].when, &slow.run_scripts[0].target), (RunsWhen::Before, &Target::Client));
    let catalog = c.job("BackupCatalog").unwrap();
    assert_eq!((catalog.level, catalog.priority, catalog.run_scripts.len()), (Some(JobLevel::Full), 11, 2));
    assert_eq!(catalog.run_scripts[1].target, Target::Director);
    assert_eq!(c.job("CopyDisk").unwrap().selection_type, Some(SelectionType::PoolUncopiedJobs));
    assert_eq!(c.job("VerifyVol").unwrap().verify_job.as_deref(), Some("NightlySave"));
    assert_eq!(c.job("FailScript").unwrap().run_scripts.len(), 3);
    let set = c.fileset("Slow Set").unwrap();
    assert_eq!(set.includes().next().unwrap().options[0].letters(true), "S");
    assert_eq!(set.excludes().next().unwrap(), [b"/opt/lb/src/tmp".to_vec()]);
    assert_eq!(c.fileset("Catalog").unwrap().digest(), "lxIA06R5d+oxMHsi27FhcC");
    assert_eq!(c.fileset("Small Set").unwrap().includes().next().unwrap().options[0].letters(true), "MZ6");
    assert_eq!(c.fileset("Small Set").unwrap().includes().next().unwrap().options[0].letters(false), "M");
    let messages = c.messages_named("Standard").unwrap();
    assert_eq!(messages.destinations.len(), 5);
    assert_eq!(
        messages.mail_command.as_deref(),
        Some("/opt/lb/mail/bsmtp -h localhost -f \"(Bacula) <%r>\" -s \"Bacula: %t %e of %c %l\" %r")
    );
    assert_eq!(messages.destinations[0].command, messages.mail_command);
    assert_eq!(messages.destinations[1].command, messages.operator_command);
    assert_eq!(c.pool("MigSrc").unwrap().migration_high_bytes, 1 << 30);
    assert_eq!(c.console("mon").unwrap().command_acl, ["status", ".status"]);
    let _: ClientConfig = read("bacula-fd.conf", include_str!("../fixtures/lab-bacula-fd.conf"));
    let _: StorageConfig = read("bacula-sd.conf", include_str!("../fixtures/lab-bacula-sd.conf"));
}
