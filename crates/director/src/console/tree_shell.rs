//! The dialogue in which files are marked for a restore (spec/04 §7.2).

use super::args::Args;
use super::fmt::{commas, iso_time};
use super::tree::{NodeId, Stat, Tree};
use super::ua::{Done, Sig, Ua};

/// Names of owners and groups for `dir`.
pub(crate) trait Owners: Sync {
    /// Name of a user id.
    fn user(&self, uid: u32) -> String;
    /// Name of a group id.
    fn group(&self, gid: u32) -> String;
}

/// Commands in the order in which a prefix finds them, with their help.
const COMMANDS: [(&str, &str); 19] = [
    ("add", "add dir/file to be restored recursively, wildcards allowed"),
    ("cd", "change current directory"),
    ("count", "count marked files in and below the cd"),
    ("delete", "delete dir/file to be restored recursively in dir"),
    ("dir", "long list current directory, wildcards allowed"),
    ("done", "leave file selection mode"),
    ("estimate", "estimate restore size"),
    ("exit", "same as done command"),
    ("find", "find files, wildcards allowed"),
    ("help", "print help"),
    ("ls", "list current directory, wildcards allowed"),
    ("lsmark", "list the marked files in and below the cd"),
    ("mark", "mark dir/file to be restored recursively, wildcards allowed"),
    ("markdir", "mark directory name to be restored (no files)"),
    ("pwd", "print current working directory"),
    ("unmark", "unmark dir/file to be restored recursively in dir"),
    ("unmarkdir", "unmark directory name only no recursion"),
    ("quit", "quit and do not do restore"),
    ("?", "print help"),
];

/// Forms for programs: names only, no prompt text of their own.
const DOT_COMMANDS: [&str; 6] = [".dir", ".ls", ".lsdir", ".lsmark", ".pwd", ".help"];

const GREETING: &str = "
You are now entering file selection mode where you add (mark) and
remove (unmark) files to be restored. No files are initially added, unless
you used the \"all\" keyword on the command line.
Enter \"done\" to leave this mode.

";

enum Step {
    Stay,
    Done,
    Quit,
}

/// Lets the user mark files. Gives whether the restore goes on (`done`) or was given up (`quit`).
///
/// # Errors
/// [`super::ua::Halt::Gone`].
pub(crate) async fn select_files(ua: &mut Ua, tree: &mut Tree, owners: &dyn Owners) -> Done<bool> {
    ua.send(GREETING).await?;
    if ua.api != 0 {
        ua.signal(Sig::StartRtree).await?;
    }
    let mut shell = Shell { tree, owners, cwd: Tree::ROOT };
    shell.pwd(ua).await?;
    let goes_on = loop {
        let line = ua.ask_in_tree("$ ").await?;
        match shell.run(ua, &line).await? {
            Step::Stay => {}
            Step::Done => break true,
            Step::Quit => break false,
        }
    };
    if ua.api != 0 {
        ua.signal(Sig::EndRtree).await?;
    }
    Ok(goes_on)
}

struct Shell<'a> {
    tree: &'a mut Tree,
    owners: &'a dyn Owners,
    cwd: NodeId,
}

/// The whole name of a command, by its first letters; dot forms likewise.
fn command_of(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let names = COMMANDS.iter().map(|&(name, _)| name).chain(DOT_COMMANDS);
    if word.is_empty() || word == "." {
        return None;
    }
    // A word that is a command itself is that command, though another may begin with it (`ls`, `mark`).
    names.clone().find(|name| *name == word).or_else(|| names.clone().find(|name| name.starts_with(&word)))
}

impl Shell<'_> {
    async fn run(&mut self, ua: &mut Ua, line: &str) -> Done<Step> {
        let args = Args::parse(line);
        if args.command().is_empty() {
            return Ok(Step::Stay);
        }
        if args.command() == "." {
            return Ok(Step::Quit);
        }
        let Some(command) = command_of(args.command()) else {
            ua.warn(format!("Invalid command \"{}\". Enter \"done\" to exit.\n", args.command())).await?;
            return Ok(Step::Stay);
        };
        if ua.api != 0 {
            ua.signal(Sig::CmdBegin).await?;
        }
        let step = self.dispatch(ua, command, &args).await?;
        if ua.api != 0 {
            ua.signal(Sig::CmdOk).await?;
        }
        Ok(step)
    }

    async fn dispatch(&mut self, ua: &mut Ua, command: &str, args: &Args) -> Done<Step> {
        match command {
            "done" | "exit" => return Ok(Step::Done),
            "quit" => return Ok(Step::Quit),
            "add" | "mark" => self.mark(ua, args, true).await?,
            "delete" | "unmark" => self.mark(ua, args, false).await?,
            "markdir" => self.mark_directories(ua, args, true).await?,
            "unmarkdir" => self.mark_directories(ua, args, false).await?,
            "cd" => self.cd(ua, args).await?,
            "count" => self.count(ua).await?,
            "estimate" => self.estimate(ua).await?,
            "find" => self.find(ua, args).await?,
            "ls" | ".ls" => self.ls(ua, args, |_, _| true).await?,
            ".lsdir" => self.ls(ua, args, Tree::is_directory).await?,
            "dir" | ".dir" => self.dir(ua, args).await?,
            "lsmark" | ".lsmark" => self.lsmark(ua, args).await?,
            "pwd" => self.pwd(ua).await?,
            ".pwd" => ua.send_bytes(&self.tree.path(self.cwd)).await?,
            ".help" => self.dot_help(ua).await?,
            // "help", "?"
            _ => self.help(ua).await?,
        }
        Ok(Step::Stay)
    }

    async fn pwd(&self, ua: &Ua) -> Done {
        let mut line = b"cwd is: ".to_vec();
        line.extend(self.tree.path(self.cwd));
        line.push(b'\n');
        ua.send_bytes(&line).await
    }

    async fn cd(&mut self, ua: &Ua, args: &Args) -> Done {
        // A name with blanks needs no quotes here.
        let whole = args.rest().trim().trim_matches('"').to_owned();
        let word = patterns(args).first().cloned().unwrap_or_default();
        let target =
            [word, whole].iter().find_map(|path| self.tree.find_directory(self.cwd, path.as_bytes()));
        match target {
            Some(target) => self.cwd = target,
            None => ua.warn("Invalid path given.\n").await?,
        }
        self.pwd(ua).await
    }

    async fn mark(&mut self, ua: &Ua, args: &Args, on: bool) -> Done {
        let count: u64 =
            patterns(args).iter().map(|p| self.tree.mark_matching(self.cwd, p.as_bytes(), on)).sum();
        let verb = if on { "marked" } else { "unmarked" };
        ua.send(counted(count, "file", "files", verb)).await
    }

    async fn mark_directories(&mut self, ua: &Ua, args: &Args, on: bool) -> Done {
        let count: u64 =
            patterns(args).iter().map(|p| self.tree.mark_directories(self.cwd, p.as_bytes(), on)).sum();
        let verb = if on { "marked" } else { "unmarked" };
        ua.send(counted(count, "directory", "directories", verb)).await
    }

    async fn count(&self, ua: &Ua) -> Done {
        let (total, marked) = self.tree.count();
        ua.send(format!("{} total files/dirs. {} marked to be restored.\n", commas(total), commas(marked)))
            .await
    }

    async fn estimate(&self, ua: &Ua) -> Done {
        let ((total, marked), bytes) = (self.tree.count(), self.tree.marked_bytes());
        let (total, marked, bytes) = (commas(total), commas(marked), commas(bytes));
        ua.send(format!("{total} total files; {marked} marked to be restored; {bytes} bytes.\n")).await
    }

    fn listed(&self, args: &Args) -> Vec<NodeId> {
        let patterns = patterns(args);
        if patterns.is_empty() {
            return self.tree.children(self.cwd);
        }
        patterns.iter().flat_map(|p| self.tree.matching(self.cwd, p.as_bytes())).collect()
    }

    async fn ls(&self, ua: &Ua, args: &Args, show: impl Fn(&Tree, NodeId) -> bool) -> Done {
        let mut out = Vec::new();
        for id in self.listed(args).into_iter().filter(|&id| show(self.tree, id)) {
            self.name_line(id, 0, &mut out);
        }
        ua.send_bytes(&out).await
    }

    fn name_line(&self, id: NodeId, depth: usize, out: &mut Vec<u8>) {
        out.extend(std::iter::repeat_n(b' ', depth * 2));
        out.extend_from_slice(self.tree.mark_sign(id).as_bytes());
        out.extend_from_slice(self.tree.name(id));
        if self.tree.has_children(id) {
            out.push(b'/');
        }
        out.push(b'\n');
    }

    async fn dir(&self, ua: &Ua, args: &Args) -> Done {
        let mut out = Vec::new();
        for id in self.listed(args) {
            let sign = self.tree.mark_sign(id);
            out.extend_from_slice(long_line(&self.tree.stat(id), self.owners, sign).as_bytes());
            out.extend(self.tree.path(id));
            out.push(b'\n');
        }
        ua.send_bytes(&out).await
    }

    async fn lsmark(&self, ua: &Ua, args: &Args) -> Done {
        let mut out = Vec::new();
        let mut open: Vec<(NodeId, usize)> = self.listed(args).into_iter().rev().map(|id| (id, 0)).collect();
        while let Some((id, depth)) = open.pop() {
            let below = self.tree.children(id);
            let marked_below = depth < LSMARK_DEPTH_MAX && (self.is_marked(id) || self.any_marked(&below));
            if self.is_marked(id) || marked_below {
                self.name_line(id, depth, &mut out);
                open.extend(below.into_iter().rev().map(|id| (id, depth + 1)));
            }
        }
        ua.send_bytes(&out).await
    }

    fn is_marked(&self, id: NodeId) -> bool {
        !self.tree.mark_sign(id).is_empty()
    }

    fn any_marked(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().any(|&id| self.is_marked(id))
    }

    async fn find(&self, ua: &Ua, args: &Args) -> Done {
        let patterns = patterns(args);
        if patterns.is_empty() {
            return ua.send("No file specification given.\n").await;
        }
        let mut out = Vec::new();
        for pattern in &patterns {
            for id in self.tree.iter().filter(|&id| id != Tree::ROOT) {
                if super::glob::matches(pattern.as_bytes(), self.tree.name(id)) {
                    out.extend_from_slice(self.tree.mark_sign(id).as_bytes());
                    out.extend(self.tree.path(id));
                    out.push(b'\n');
                }
            }
        }
        ua.send_bytes(&out).await
    }

    async fn help(&self, ua: &Ua) -> Done {
        let mut text = String::from("  Command    Description\n  =======    ===========\n");
        for (name, help) in COMMANDS {
            text.push_str(&format!("  {name:<10} {help}\n"));
        }
        text.push('\n');
        ua.send(text).await
    }

    async fn dot_help(&self, ua: &Ua) -> Done {
        let text: String = COMMANDS.iter().map(|(name, _)| format!("{name}\n")).collect();
        ua.send(text).await
    }
}

/// A guard against trees deeper than any file system makes them.
const LSMARK_DEPTH_MAX: usize = 4096;

fn patterns(args: &Args) -> Vec<String> {
    let words = args.words().iter();
    let text = words.map(|word| match &word.value {
        Some(value) => format!("{}={value}", word.key),
        None => word.key.clone(),
    });
    text.map(|p| if p.len() > 1 { p.trim_end_matches('/').to_owned() } else { p }).collect()
}

fn counted(count: u64, one: &str, many: &str, verb: &str) -> String {
    match count {
        0 => format!("No {many} {verb}.\n"),
        1 => format!("1 {one} {verb}.\n"),
        n => format!("{} {many} {verb}.\n", commas(n)),
    }
}

/// `drwxr-xr-x   2 root     root            4096  2026-11-23 15:03:31 *`: all but the path.
fn long_line(stat: &Stat, owners: &dyn Owners, sign: &str) -> String {
    let (user, group) = (owners.user(stat.uid), owners.group(stat.gid));
    format!(
        "{}  {:2} {user:<8.8} {group:<8.8}{:>12}  {} {}",
        mode_text(stat.mode),
        stat.nlink,
        stat.size,
        iso_time(stat.mtime),
        if sign.is_empty() { " " } else { sign },
    )
}

/// Type and permissions as `ls -l` shows them.
#[must_use]
pub(crate) fn mode_text(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, set, unset) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => set,
            (true, false) => unset,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::recorded;
    use super::super::ua::tests::{scripted, transcript};
    use super::*;

    struct Root;

    impl Owners for Root {
        fn user(&self, _: u32) -> String {
            "root".to_owned()
        }

        fn group(&self, _: u32) -> String {
            "root".to_owned()
        }
    }

    /// What the recorded console showed from the greeting to `done`, with the answers put in.
    fn recorded_session() -> (Vec<String>, String) {
        let fixture = include_str!("../../fixtures/console/restore-tree.txt");
        let start = fixture.find("\nYou are now entering").unwrap();
        let end = fixture.find("Bootstrap records written").unwrap();
        let text = &fixture[start..end];
        let mut answers = Vec::new();
        let mut shown = String::new();
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("$ ") {
                Some(answer) => {
                    answers.push(answer.trim_end().to_owned());
                    shown.push_str("$ ");
                }
                None => shown.push_str(line),
            }
        }
        (answers, shown)
    }

    #[tokio::test]
    async fn the_recorded_session_is_answered_the_same() {
        let (answers, mut expected) = recorded_session();
        // The recording's directory was renamed afterwards: its first steps went `ls` (one entry), `cd tmp`, `cd a4`.
        expected = expected.replacen("$ tmp/\n", "$ opt/\n", 1).replacen(
            "/tmp/\n$ cwd is: /tmp/\n",
            "/opt/\n$ cwd is: /opt/\n",
            1,
        );
        let answers: Vec<&str> = answers
            .iter()
            .map(|a| match a.as_str() {
                "cd tmp" => "cd opt",
                "cd a4" => "cd lb",
                other => other,
            })
            .collect();
        let (mut ua, mut sent) = scripted(&answers);
        let mut tree = recorded();
        assert_eq!(select_files(&mut ua, &mut tree, &Root).await, Ok(true));
        let got = transcript(&mut sent).replace("<SubPrompt>", "");
        // The tree of the test has no times.
        let got = got.replace(&iso_time(0), "2026-11-23 15:03:31");
        assert_eq!(got, expected);
    }

    #[tokio::test]
    async fn unknown_commands_and_leaving() {
        let (mut ua, mut sent) = scripted(&["bogus", "cd nowhere", "quit"]);
        let mut tree = recorded();
        assert_eq!(select_files(&mut ua, &mut tree, &Root).await, Ok(false));
        let text = transcript(&mut sent);
        assert!(text.contains("Invalid command \"bogus\""));
        assert!(text.contains("Invalid path given.\ncwd is: /\n"));
    }

    #[test]
    fn commands_by_their_first_letters() {
        for (word, command) in [
            ("ls", Some("ls")),
            ("l", Some("ls")),
            ("lsm", Some("lsmark")),
            ("m", Some("mark")),
            ("markd", Some("markdir")),
            ("d", Some("delete")),
            ("do", Some("done")),
            (".lsd", Some(".lsdir")),
            ("zz", None),
        ] {
            assert_eq!(command_of(word), command, "{word}");
        }
        assert_eq!(mode_text(0o104_755), "-rwsr-xr-x");
        assert_eq!(mode_text(0o041_777), "drwxrwxrwt");
    }
}
