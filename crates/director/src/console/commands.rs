//! The commands: names in the order in which abbreviations find them, and their help (spec/04 §8.2, spec/01 §6.3).

/// A command of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Command {
    /// Whole name.
    pub(crate) name: &'static str,
    /// One line of help.
    pub(crate) help: &'static str,
    /// Its arguments; programs read the keywords out of it for completion.
    pub(crate) usage: &'static str,
}

const fn command(name: &'static str, help: &'static str, usage: &'static str) -> Command {
    Command { name, help, usage }
}

const RUN_USAGE: &str = "job=<job-name> client=<client-name>\n\tfileset=<FileSet-name> level=<level-keyword>\n\t\
    storage=<storage-name> where=<directory-prefix>\n\twhen=<universal-time-specification> pool=<pool-name>\n\t \
    nextpool=<next-pool-name> comment=<text> accurate=<bool> spooldata=<bool> yes";
const RESUME_USAGE: &str = "incomplete job=<job-name> client=<client-name>\n\tfileset=<FileSet-name> \
    level=<level-keyword>\n\tstorage=<storage-name> when=<universal-time-specification>\n\tcomment=<text> \
    spooldata=<bool> jobid=<jobid>";
const ENABLE_USAGE: &str = "job=<name> | client=<name> | schedule=<name> | storage=<name>";
const LIST_USAGE: &str = "jobs [client=<cli>] [jobid=<nn>] [ujobid=<name>] [job=<name>] [joberrors] [jobstatus=<s>] \
    [level=<l>] [jobtype=<t>] [days=<n>] [hours=<n>] [order=<asc/desc>] [limit=<n>]|\n\tjobtotals | pools | volume | \
    media <pool=pool-name> | files [type=<deleted|all>] jobid=<nn> | copies jobid=<nn> |\n\tjoblog jobid=<nn> | \
    jobmedia jobid=<nn> | nextvol job=<name> | storages | filesets | clients";

/// All commands. The order decides what an abbreviation means: `s` is `status`, `r` is `restore`.
pub(crate) const COMMANDS: &[Command] = &[
    command("add", "Add media to a pool", "pool=<pool-name> storage=<storage> jobid=<JobId>"),
    command("autodisplay", "Autodisplay console messages", "on | off"),
    command("automount", "Automount after label", "on | off"),
    command(
        "cancel",
        "Cancel a job",
        "jobid=<number-list> | job=<job-name> | ujobid=<unique-jobid> | inactive client=<client-name> \
         storage=<storage-name> | all",
    ),
    command(
        "cluster",
        "Show or move the active instance",
        "switchover [to=<instance>] | demote | promote [force] | status [json]",
    ),
    command("create", "Create DB Pool from resource", "pool=<pool-name>"),
    command(
        "delete",
        "Delete volume, pool, client or job",
        "volume=<vol-name> | pool=<pool-name> | jobid=<id> | client=<client-name>",
    ),
    command("disable", "Disable a job, client, schedule or storage", ENABLE_USAGE),
    command("enable", "Enable a job, client, schedule or storage", ENABLE_USAGE),
    command(
        "estimate",
        "Performs FileSet estimate, listing gives full listing",
        "fileset=<fs> client=<cli> level=<level> accurate=<yes/no> job=<job> listing",
    ),
    command("exit", "Terminate Bconsole session", ""),
    command("gui", "Non-interactive gui mode", "on | off"),
    command("help", "Print help on specific command", "<command>"),
    command(
        "label",
        "Label a tape",
        "storage=<storage> volume=<vol> pool=<pool> slot=<slot> drive=<nb> barcodes",
    ),
    command("list", "List objects from catalog", LIST_USAGE),
    command("llist", "Full or long list like list command", LIST_USAGE),
    command("messages", "Display pending messages", ""),
    command("memory", "Print current memory usage", ""),
    command(
        "mount",
        "Mount storage",
        "storage=<storage-name> slot=<num> drive=<num> [ device=<device-name> ] [ jobid=<id> | job=<job-name> ]",
    ),
    command(
        "prune",
        "Prune expired records from catalog",
        "files | jobs [client=<client-name>] | client=<client-name> | \n\t[expired] [all | allpools | allfrompool] \
         [pool=<pool>] [mediatype=<type>] volume=<volume-name> [yes]",
    ),
    command(
        "purge",
        "Purge records from catalog",
        "files jobs volume=<vol> [mediatype=<type> pool=<pool> allpools storage=<st> drive=<num>]",
    ),
    command("quit", "Terminate Bconsole session", ""),
    command("query", "Query catalog", "[<query-item-number>]"),
    command(
        "restore",
        "Restore files",
        "where=</path> client=<client> storage=<storage> bootstrap=<file> restorejob=<job> restoreclient=<cli> \
         noautoparent\n\tcomment=<text> jobid=<jobid> jobuser=<user> jobgroup=<grp> copies done select all",
    ),
    command(
        "relabel",
        "Relabel a tape",
        "storage=<storage-name> oldvolume=<old-volume-name>\n\tvolume=<newvolume-name> pool=<pool>",
    ),
    command("release", "Release storage", "storage=<storage-name> [ device=<device-name> ] "),
    command("reload", "Reload conf file", "check"),
    command("run", "Run a job", RUN_USAGE),
    command("restart", "Restart a job", RESUME_USAGE),
    command("resume", "Resume a job", RESUME_USAGE),
    command(
        "status",
        "Report status",
        "all | dir=<dir-name> | director | client=<client-name> |\n\tstorage=<storage-name> |\n\tschedule \
         [job=<job-name>] [client=<cli-name>] [schedule=<sched-name>] [days=<nn>] [limit=<nn>]\n\t\t\
         [time=<universal-time-specification>] |\n\treplication",
    ),
    command("stop", "Stop a job", "jobid=<number-list> job=<job-name> ujobid=<unique-jobid> all"),
    command(
        "setdebug",
        "Sets debug level",
        "level=<nn> tags=<tags> trace=0/1 options=<0tTc> tags=<tags> | client=<client-name> | dir | \
         storage=<storage-name> | all",
    ),
    command(
        "setbandwidth",
        "Sets bandwidth",
        "limit=<speed> client=<client-name> jobid=<number> job=<job-name> ujobid=<unique-jobid>",
    ),
    command(
        "show",
        "Show resource records",
        "job=<xxx> |  pool=<yyy> | fileset=<aaa> | schedule=<sss> | client=<zzz> | storage=<sss> | disabled | all",
    ),
    command("sqlquery", "Use SQL to query catalog", ""),
    command("statistics", "Display daemon statistics data", "all | <metric>"),
    command(
        "storage",
        "Show or change which of a Storage and its cold spare serves",
        "activate=<storage-name> [plan] [missing=<leave|take>] [yes]",
    ),
    command("time", "Print current time", ""),
    command(
        "truncate",
        "Truncate one or more Volumes",
        "volume=<vol> [mediatype=<type> pool=<pool> allpools storage=<st> drive=<num>]",
    ),
    command(
        "unmount",
        "Unmount storage",
        "storage=<storage-name> [ drive=<num> ] [ device=<dev-name> ] | jobid=<id> | job=<job-name>",
    ),
    command(
        "umount",
        "Umount - for old-time Unix guys, see unmount",
        "storage=<storage-name> [ drive=<num> ] [ device=<dev-name> ] | jobid=<id> | job=<job-name>",
    ),
    command(
        "update",
        "Update volume, pool or stats",
        "stats\n\tpool=<poolname>\n\tslots storage=<storage> scan\n\tvolume=<volname> volstatus=<status> \
         volretention=<time-def> cacheretention=<time-def>\n\t pool=<pool> recycle=<yes/no> slot=<number>\n\t \
         inchanger=<yes/no>\n\t maxvolbytes=<size> maxvolfiles=<nb> maxvoljobs=<nb>\n\t enabled=<yes/no> \
         recyclepool=<pool> actiononpurge=<action>\n\t allfrompool=<pool> fromallpools frompool",
    ),
    command("use", "Use catalog xxx", "catalog=<catalog>"),
    command("version", "Print Director version", ""),
    command(
        "wait",
        "Wait until no jobs are running",
        "jobname=<name> | jobid=<nnn> | ujobid=<complete_name>",
    ),
];

/// The commands for programs.
pub(crate) const DOT_COMMANDS: &[&str] = &[
    ".actiononpurge",
    ".api",
    ".backups",
    ".bvfs_cleanup",
    ".bvfs_clear_cache",
    ".bvfs_decode_lstat",
    ".bvfs_get_jobids",
    ".bvfs_get_jobs",
    ".bvfs_get_volumes",
    ".bvfs_lsdirs",
    ".bvfs_lsfiles",
    ".bvfs_restore",
    ".bvfs_update",
    ".bvfs_versions",
    ".catalogs",
    ".clients",
    ".defaults",
    ".estimate",
    ".exit",
    ".filesets",
    ".help",
    ".instance",
    ".jlist",
    ".jobs",
    ".levels",
    ".locations",
    ".ls",
    ".media",
    ".mediatypes",
    ".messages",
    ".msgs",
    ".pools",
    ".quit",
    ".schedule",
    ".session",
    ".sql",
    ".status",
    ".storage",
    ".tags",
    ".types",
    ".volstatus",
];

/// The command that a typed word means: the first in the table that starts with it; case does not matter.
#[must_use]
pub(crate) fn find(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    if word.is_empty() || word == "." {
        return None;
    }
    if word.starts_with('.') {
        return DOT_COMMANDS.iter().copied().find(|name| name.starts_with(&word));
    }
    COMMANDS.iter().map(|c| c.name).find(|name| name.starts_with(&word))
}

/// Answer to `help` and `help <command>`.
#[must_use]
pub(crate) fn help_text(command: Option<&str>) -> String {
    let mut text = String::from("  Command       Description\n  =======       ===========\n");
    let wanted = command.map(str::to_ascii_lowercase);
    for known in COMMANDS.iter().filter(|c| wanted.as_deref().is_none_or(|w| w == c.name)) {
        text.push_str(&format!("  {:<13} {}\n", known.name, known.help));
        if wanted.is_some() {
            text.push_str(&format!("\nArguments:\n\t{}\n", known.usage));
        }
    }
    text.push_str("\nWhen at a prompt, entering a period cancels the command.\n\n");
    text
}

/// Answer to `.help`, `.help all` and `.help item=<command>`.
#[must_use]
pub(crate) fn dot_help_text(all: bool, item: Option<&str>) -> String {
    match item {
        Some(item) => COMMANDS
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(item))
            .map_or_else(String::new, |c| format!("{}\n", c.usage)),
        None if all => COMMANDS.iter().map(|c| format!("{}\n", c.name)).collect(),
        None => COMMANDS.iter().map(|c| format!("{} {} -- {}\n", c.name, c.help, c.usage)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_mean_what_they_mean_in_bacula() {
        for (word, name) in [
            ("li", "list"),
            ("l", "label"),
            ("ll", "llist"),
            ("sta", "status"),
            ("st", "status"),
            ("s", "status"),
            ("r", "restore"),
            ("rel", "relabel"),
            ("ru", "run"),
            ("m", "messages"),
            ("q", "quit"),
            ("STAT", "status"),
            ("u", "unmount"),
            ("um", "umount"),
            ("w", "wait"),
            (".client", ".clients"),
            (".pool", ".pools"),
            (".fileset", ".filesets"),
            (".level", ".levels"),
        ] {
            assert_eq!(find(word), Some(name), "{word}");
        }
        for word in ["foo", "1", ".bogus", ".", "", "cloud", "snapshot"] {
            assert_eq!(find(word), None, "{word}");
        }
    }

    #[test]
    fn help_has_the_recorded_layout() {
        let recorded = include_str!("../../fixtures/console/help.txt");
        let lines: Vec<&str> = recorded.lines().collect();
        // What Bacula's console does not have, or words otherwise.
        let is_own = |line: &str, name: &str| line.trim_start().starts_with(name);
        let own =
            |line: &str| line.contains("able a job") || is_own(line, "cluster ") || is_own(line, "storage ");
        for line in help_text(None).lines().filter(|line| !own(line)) {
            assert!(lines.contains(&line), "{line}");
        }
        assert!(recorded.contains(&help_text(Some("run"))));
        assert!(recorded.contains(&help_text(Some("restore"))));
        assert_eq!(
            dot_help_text(false, Some("wait")),
            "jobname=<name> | jobid=<nnn> | ujobid=<complete_name>\n"
        );
        assert!(dot_help_text(true, None).starts_with("add\nautodisplay\n"));
    }
}
