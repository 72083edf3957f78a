//! The configuration files of a site, in the language that Bacula and Holdfast share.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

use super::Site;
use super::daemon::Role;
use super::{library, programs};
use crate::postgres::CATALOG_USER;

/// Names of the resources that every site has.
#[derive(Debug, Clone, Copy)]
pub struct Names;

impl Names {
    /// The Director.
    pub const DIRECTOR: &str = "kit-dir";
    /// The Storage Daemon's own name.
    pub const STORAGE_DAEMON: &str = "kit-sd";
    /// The Client.
    pub const CLIENT: &str = "kit-fd";
    /// The backup Job.
    pub const JOB: &str = "Backup";
    /// The restore Job.
    pub const RESTORE: &str = "RestoreFiles";
    /// The FileSet of the backup Job.
    pub const FILE_SET: &str = "Tree";
    /// The Pool; its Volumes are `Vol-0001`, …
    pub const POOL: &str = "File";
    /// The Storage of the Pool; `File2` is a second one on the same daemon.
    pub const STORAGE: &str = "File1";
}

/// The file with the further resources of an instance that has files of its own.
const EXTRA: &str = "extra.conf";

pub(super) fn write(site: &Site) -> Result<()> {
    for dir in [
        "etc",
        "log",
        "director",
        "storage",
        "far-storage",
        "client",
        "volumes/file1",
        "volumes/file2",
        "volumes/far",
        "restored",
        "run",
        "failpoints",
    ] {
        let path = site.dir().join(dir);
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
    }
    if site.description.library {
        library::make(site)?;
    }
    let put = |name: &str, text: String| {
        let path = site.config_file(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    };
    if !site.description.own_files {
        put(Role::Director.config(), director(site)?)?;
    }
    let d = &site.description;
    for name in d.instances.iter().filter(|_| d.own_files) {
        let folder = site.instance_folder(name);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        for (file, text) in [(Role::Director.config(), director(site)?), (EXTRA, d.extra.join("\n"))] {
            fs::write(folder.join(file), text).with_context(|| format!("write {file} of instance {name}"))?;
        }
    }
    put(Role::Storage.config(), storage(site, &lines(&d.storage_daemon), &d.device.join("\n  "))?)?;
    if d.far_storage.is_some() {
        put(Role::FarStorage.config(), far_storage(site))?;
    }
    put(Role::Client.config(), client(site)?)?;
    put("bconsole.conf", console(site, Role::Director.word(), Role::Director.port()))?;
    for (index, name) in d.instances.iter().enumerate() {
        put(&console_file(name), console(site, name, instance_port(index)))?;
    }
    // Real Volume tools read a Storage Daemon's file too, but not the directives that only Holdfast knows.
    put("tools.conf", storage(site, "", "")? + &library::for_tools(site))
}

fn lines(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = write!(text, "\n  {line}");
        text
    })
}

/// The rest of the Catalog resource.
fn catalog(site: &Site) -> String {
    match site.database.address() {
        None => r#"dbuser = ""; dbpassword = """#.to_owned(),
        Some(address) => format!("dbaddress = \"{address}\"; dbuser = {CATALOG_USER}; dbpassword = \"\""),
    }
}

fn director(site: &Site) -> Result<String> {
    let (d, dir) = (&site.description, site.dir().display());
    let address = site.address_of(Role::Director.word());
    let (client_address, storage_address) =
        (site.address_of(Role::Client.word()), site.address_of(Role::Storage.word()));
    let query = programs::query_file(site.dir())?.display().to_string();
    let (dir_port, fd_port, sd_port) = (Role::Director.port(), Role::Client.port(), Role::Storage.port());
    // An instance listens at the address of its Instance resource.
    let listen = if d.instances.is_empty() { format!("\n  DirAddress = {address}") } else { String::new() };
    let at_once = d.jobs_at_once.unwrap_or(10);
    let (database, catalog) = (super::DATABASE, catalog(site));
    let mut text = String::new();
    write!(
        text,
        r#"Director {{
  Name = kit-dir
  DIRport = {dir_port}{listen}
  QueryFile = "{query}"
  WorkingDirectory = "{dir}/director"
  PidDirectory = "{dir}/run"
  Maximum Concurrent Jobs = {}
  Password = "console-password"
  Messages = Daemon{}
}}
JobDefs {{
  Name = Defaults
  Type = Backup
  Level = Incremental
  Client = kit-fd
  FileSet = Tree
  Storage = File1
  Messages = Standard
  Pool = File
  Priority = 10
  Reschedule Incomplete Jobs = no
}}
Job {{
  Name = Backup
  JobDefs = Defaults{}
}}
Job {{
  Name = RestoreFiles
  Type = Restore
  Client = kit-fd
  FileSet = Tree
  Storage = File1
  Pool = File
  Messages = Standard
  Where = "{dir}/restored"
}}
Client {{
  Name = kit-fd
  Address = {client_address}
  FDPort = {fd_port}
  Catalog = MyCatalog
  Password = "client-password"
  File Retention = 60 days
  Job Retention = 6 months
  AutoPrune = no
  Maximum Concurrent Jobs = {at_once}{}
}}
Storage {{ Name = File1; Address = {storage_address}; SDPort = {sd_port}; Password = "storage-password"; Device = FileDev1; Media Type = File1; Maximum Concurrent Jobs = {at_once} }}
Storage {{ Name = File2; Address = {storage_address}; SDPort = {sd_port}; Password = "storage-password"; Device = FileDev2; Media Type = File2; Maximum Concurrent Jobs = {at_once} }}
Catalog {{ Name = MyCatalog; dbname = "{database}"; {catalog} }}
Messages {{
  Name = Standard
  console = all, !skipped, !saved
  append = "{dir}/log/jobs.log" = all, !skipped
  catalog = all
}}
Messages {{
  Name = Daemon
  console = all, !skipped, !saved
  append = "{dir}/log/daemon.log" = all, !skipped
}}
Pool {{
  Name = File
  Pool Type = Backup
  Recycle = yes
  AutoPrune = no
  Volume Retention = 365 days
  Label Format = "Vol-"
  Maximum Volumes = 100{}
}}
Pool {{ Name = Scratch; Pool Type = Backup }}
"#,
        d.jobs_at_once.unwrap_or(20),
        lines(&d.director_resource),
        lines(&d.job),
        lines(&d.client_resource),
        lines(&d.pool),
    )?;
    text.push_str(&file_set(site)?);
    text.push_str(&far_resources(site));
    if d.library {
        text.push_str(&library::director(site));
    }
    if d.lone_drive {
        text.push_str(&library::drive_of_director(site));
    }
    text.push_str(&cluster(site));
    if d.own_files {
        let _ = writeln!(text, "@{EXTRA}");
        return Ok(text);
    }
    for extra in &d.extra {
        text.push_str(extra);
        text.push('\n');
    }
    Ok(text)
}

/// The Director's resources of the second Storage Daemon.
fn far_resources(site: &Site) -> String {
    if site.description.far_storage.is_none() {
        return String::new();
    }
    let (address, port) = (site.address_of(Role::FarStorage.word()), Role::FarStorage.port());
    let at_once = site.description.jobs_at_once.unwrap_or(10);
    if site.description.cold_spare {
        return format!(
            "Storage {{ Name = Spare; Address = {address}; SDPort = {port}; Password = \"storage-password\"; Device = FarDev; \
             Media Type = File1; Maximum Concurrent Jobs = {at_once}; Cold Spare For = File1 }}\n"
        );
    }
    format!(
        r#"Storage {{ Name = Far; Address = {address}; SDPort = {port}; Password = "storage-password"; Device = FarDev; Media Type = Far; Maximum Concurrent Jobs = {at_once} }}
Pool {{ Name = Far; Pool Type = Backup; Storage = Far; Label Format = "Far-"; Maximum Volumes = 100; Recycle = yes; AutoPrune = no; Volume Retention = 365 days }}
"#
    )
}

fn cluster(site: &Site) -> String {
    let d = &site.description;
    if d.instances.is_empty() {
        return String::new();
    }
    let mut text = format!("Cluster {{\n  Name = kit{}\n}}\n", lines(&d.cluster));
    for (index, name) in d.instances.iter().enumerate() {
        let (address, port) = (site.address_of(name), instance_port(index));
        let fence = d.fence_devices.get(name);
        let fence = fence.map(|device| format!("; Fence Device = {device}")).unwrap_or_default();
        let _ = writeln!(text, "Instance {{ Name = {name}; Address = {address}; Dir Port = {port}{fence} }}");
    }
    text
}

/// The console port of an instance, by its place in the description.
pub(super) fn instance_port(index: usize) -> u16 {
    Role::Director.port() + 10 * u16::try_from(index).unwrap_or(0)
}

fn file_set(site: &Site) -> Result<String> {
    let d = &site.description;
    let mut text = "FileSet {\n  Name = Tree\n  Include {\n".to_owned();
    for block in &d.blocks {
        writeln!(text, "    Options {{ {block} }}")?;
    }
    text.push_str("    Options {\n");
    if !d.options.iter().any(|line| line.to_ascii_lowercase().contains("signature")) {
        text.push_str("      signature = MD5\n");
    }
    if !d.options.iter().any(|line| line.to_ascii_lowercase().replace(' ', "").contains("aclsupport")) {
        text.push_str("      aclsupport = yes\n      xattrsupport = yes\n");
    }
    for line in &d.options {
        writeln!(text, "      {line}")?;
    }
    text.push_str("    }\n");
    for file in &d.files {
        writeln!(text, "    File = {file}")?;
    }
    text.push_str("  }\n");
    if !d.excludes.is_empty() {
        text.push_str("  Exclude {\n");
        for path in &d.excludes {
            writeln!(text, "    File = \"{path}\"")?;
        }
        text.push_str("  }\n");
    }
    text.push_str("}\n");
    Ok(text)
}

fn storage(site: &Site, daemon_lines: &str, device_lines: &str) -> Result<String> {
    let (dir, port) = (site.dir().display(), Role::Storage.port());
    let address = site.address_of(Role::Storage.word());
    let jobs = site.description.jobs_at_once;
    let (at_once, all_at_once) = (jobs.unwrap_or(10), jobs.unwrap_or(20));
    let mut text = format!(
        r#"Storage {{
  Name = kit-sd
  SDPort = {port}
  SDAddress = {address}
  WorkingDirectory = "{dir}/storage"
  Pid Directory = "{dir}/run"
  Maximum Concurrent Jobs = {all_at_once}{daemon_lines}
}}
Director {{ Name = kit-dir; Password = "storage-password" }}
Messages {{ Name = Standard; director = kit-dir = all }}
"#
    );
    for number in [1, 2] {
        write!(
            text,
            r#"Device {{
  Name = FileDev{number}
  Media Type = File{number}
  Archive Device = "{dir}/volumes/file{number}"
  LabelMedia = yes
  Random Access = yes
  AutomaticMount = yes
  RemovableMedia = no
  AlwaysOpen = no
  Maximum Concurrent Jobs = {at_once}
  {device_lines}
}}
"#
        )?;
    }
    if site.description.library {
        text.push_str(&library::storage(site));
    }
    if site.description.lone_drive {
        text.push_str(&library::drive_of_storage(site));
    }
    Ok(text)
}

fn far_storage(site: &Site) -> String {
    let (dir, port) = (site.dir().display(), Role::FarStorage.port());
    let address = site.address_of(Role::FarStorage.word());
    let d = &site.description;
    let at_once = d.jobs_at_once.unwrap_or(10);
    let media_type = if d.cold_spare { "File1" } else { "Far" };
    // Both Storage Daemons have the same directives, but for those that only ours knows.
    let is_stock = d.far_storage.is_some_and(super::Maker::is_bacula);
    let more = if is_stock { String::new() } else { lines(&d.storage_daemon) };
    let device = if is_stock { String::new() } else { d.device.join("\n  ") };
    format!(
        r#"Storage {{
  Name = far-sd
  SDPort = {port}
  SDAddress = {address}
  WorkingDirectory = "{dir}/far-storage"
  Pid Directory = "{dir}/run"
  Maximum Concurrent Jobs = 20{more}
}}
Director {{ Name = kit-dir; Password = "storage-password" }}
Messages {{ Name = Standard; director = kit-dir = all }}
Device {{
  Name = FarDev
  Media Type = {media_type}
  Archive Device = "{dir}/volumes/far"
  LabelMedia = yes
  Random Access = yes
  AutomaticMount = yes
  RemovableMedia = no
  AlwaysOpen = no
  Maximum Concurrent Jobs = {at_once}
  {device}
}}
"#
    )
}

fn client(site: &Site) -> Result<String> {
    let (dir, port) = (site.dir().display(), Role::Client.port());
    let address = site.address_of(Role::Client.word());
    Ok(format!(
        r#"Director {{ Name = kit-dir; Password = "client-password" }}
FileDaemon {{
  Name = kit-fd
  FDport = {port}
  FDAddress = {address}
  WorkingDirectory = "{dir}/client"
  Pid Directory = "{dir}/run"
  Maximum Concurrent Jobs = {}{}
}}
Messages {{ Name = Standard; director = kit-dir = all, !skipped, !restored }}
"#,
        site.description.jobs_at_once.unwrap_or(20),
        lines(&site.description.file_daemon)
    ))
}

/// The console's file for one instance.
pub(super) fn console_file(instance: &str) -> String {
    format!("bconsole-{instance}.conf")
}

fn console(site: &Site, host: &str, port: u16) -> String {
    let address = site.address_of(host);
    format!(
        "Director {{ Name = kit-dir; DIRport = {port}; Address = {address}; Password = \"console-password\" }}\n"
    )
}
