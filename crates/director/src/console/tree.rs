//! The tree of files that a restore is picked from: built from catalog rows, held compactly, marked by pattern (spec/04 §7.2).

use std::collections::{BTreeMap, HashMap};

use types::{FileIndex, JobId};

use super::glob;

/// A node's number in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeId(u32);

const NONE: u32 = u32::MAX;

/// The parts of a file's status that the tree shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Type and permissions.
    pub(crate) mode: u32,
    /// Number of links.
    pub(crate) nlink: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// Unix seconds of the last change.
    pub(crate) mtime: i64,
    /// FileIndex of the first link of a hard-linked file, 0 for the others (spec/05 §4.1).
    pub(crate) link_fi: i32,
}

impl Stat {
    fn is_regular(&self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeKind {
    /// A directory that only its members tell of; not in any job, not restorable itself.
    Implicit,
    Directory,
    File,
}

/// 28 bytes and the status beside it; names lie in one arena.
#[derive(Debug)]
struct Node {
    parent: u32,
    first_child: u32,
    next: u32,
    name_at: u32,
    name_len: u16,
    job: u16,
    file_index: i32,
    kind: NodeKind,
    marked: bool,
    marked_dir: bool,
}

/// Why a row could not be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TreeError {
    /// More than the tree's 32-bit addresses can hold.
    #[error(
        "the selected jobs hold more files than a restore tree can; restore them in parts, or with \"file=\""
    )]
    TooLarge,
    /// More jobs than the tree can tell apart.
    #[error("a restore tree can hold files of at most 65535 jobs; select fewer")]
    TooManyJobs,
}

/// Files of one or several jobs as a directory tree.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    stats: Vec<Stat>,
    names: Vec<u8>,
    jobs: Vec<JobId>,
    directories: HashMap<(u32, Box<[u8]>), u32>,
    /// First links, by job and FileIndex: only files with more than one link.
    first_links: HashMap<(u16, i32), u32>,
    last_path: (Vec<u8>, u32),
    inserted: u64,
    /// Whether marking a file also marks the directories above it (off with `noautoparent`).
    pub(crate) auto_parent: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The root directory.
    pub(crate) const ROOT: NodeId = NodeId(0);

    /// An empty tree: a root that no job holds.
    #[must_use]
    pub(crate) fn new() -> Self {
        let root = Node {
            parent: NONE,
            first_child: NONE,
            next: NONE,
            name_at: 0,
            name_len: 0,
            job: 0,
            file_index: 0,
            kind: NodeKind::Implicit,
            marked: false,
            marked_dir: false,
        };
        Self {
            nodes: vec![root],
            stats: vec![Stat::default()],
            names: Vec::new(),
            jobs: Vec::new(),
            directories: HashMap::new(),
            first_links: HashMap::new(),
            last_path: (Vec::new(), 0),
            inserted: 0,
            auto_parent: true,
        }
    }

    /// Puts in one catalog row: `path` with its trailing slash, `name` empty for a directory (spec/05 §2.2).
    ///
    /// Rows must come with the newest version of each entry only, ordered by job time, then FileIndex.
    ///
    /// # Errors
    /// [`TreeError`] when the tree's bounds are reached.
    pub(crate) fn insert(
        &mut self,
        path: &[u8],
        name: &[u8],
        job: JobId,
        file_index: FileIndex,
        stat: Stat,
    ) -> Result<(), TreeError> {
        let before = self.nodes.len();
        let directory = self.directory(path)?;
        let id = if name.is_empty() { directory } else { self.add(directory, name)? };
        // A row counts when it brings its node; a directory that its files brought before does not (spec/04 §7.2).
        self.inserted += u64::from(self.nodes.len() > before);
        let job = self.job_number(job)?;
        let node = &mut self.nodes[id as usize];
        node.kind = if name.is_empty() { NodeKind::Directory } else { NodeKind::File };
        node.job = job;
        node.file_index = file_index.get();
        self.stats[id as usize] = stat;
        if stat.nlink > 1 && stat.link_fi == 0 && !name.is_empty() {
            self.first_links.insert((job, file_index.get()), id);
        }
        Ok(())
    }

    fn job_number(&mut self, job: JobId) -> Result<u16, TreeError> {
        // Rows of one job come together: the last one is nearly always it.
        let at = match self.jobs.iter().rposition(|&known| known == job) {
            Some(at) => at,
            None => {
                self.jobs.push(job);
                self.jobs.len() - 1
            }
        };
        u16::try_from(at).map_err(|_| TreeError::TooManyJobs)
    }

    fn directory(&mut self, path: &[u8]) -> Result<u32, TreeError> {
        if self.last_path.0 == path {
            return Ok(self.last_path.1);
        }
        let mut at = 0;
        for part in path.split(|&b| b == b'/').filter(|p| !p.is_empty()) {
            at = match self.directories.get(&(at, Box::from(part))) {
                Some(&id) => id,
                None => {
                    let id = self.add(at, part)?;
                    self.nodes[id as usize].kind = NodeKind::Implicit;
                    self.directories.insert((at, Box::from(part)), id);
                    id
                }
            };
        }
        self.last_path = (path.to_vec(), at);
        Ok(at)
    }

    fn add(&mut self, parent: u32, name: &[u8]) -> Result<u32, TreeError> {
        let id = u32::try_from(self.nodes.len()).ok().filter(|&id| id != NONE).ok_or(TreeError::TooLarge)?;
        let name_at = u32::try_from(self.names.len()).map_err(|_| TreeError::TooLarge)?;
        let name_len = u16::try_from(name.len()).map_err(|_| TreeError::TooLarge)?;
        self.names.extend_from_slice(name);
        let next = std::mem::replace(&mut self.nodes[parent as usize].first_child, id);
        self.nodes.push(Node {
            parent,
            first_child: NONE,
            next,
            name_at,
            name_len,
            job: 0,
            file_index: 0,
            kind: NodeKind::File,
            marked: false,
            marked_dir: false,
        });
        self.stats.push(Stat::default());
        Ok(id)
    }

    /// Nodes that a row of their own brought: the number that the console shows after building.
    #[must_use]
    pub(crate) fn inserted(&self) -> u64 {
        self.inserted
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Name of an entry, without slashes; the root's is empty.
    #[must_use]
    pub(crate) fn name(&self, id: NodeId) -> &[u8] {
        let node = self.node(id);
        let at = node.name_at as usize;
        &self.names[at..at + usize::from(node.name_len)]
    }

    /// Status of an entry; zeros for a directory that no row told of.
    #[must_use]
    pub(crate) fn stat(&self, id: NodeId) -> Stat {
        self.stats[id.0 as usize]
    }

    /// Whether something lies below.
    #[must_use]
    pub(crate) fn has_children(&self, id: NodeId) -> bool {
        self.node(id).first_child != NONE
    }

    /// Whether one can `cd` there.
    #[must_use]
    pub(crate) fn is_directory(&self, id: NodeId) -> bool {
        self.node(id).kind != NodeKind::File || self.has_children(id)
    }

    /// The mark as listings show it: `*` marked, `+` the directory's own entry only, nothing otherwise.
    #[must_use]
    pub(crate) fn mark_sign(&self, id: NodeId) -> &'static str {
        let node = self.node(id);
        match (node.marked, node.marked_dir) {
            (true, _) => "*",
            (false, true) => "+",
            (false, false) => "",
        }
    }

    /// Entries of a directory by name.
    #[must_use]
    pub(crate) fn children(&self, id: NodeId) -> Vec<NodeId> {
        let mut children: Vec<_> = self.links(id).collect();
        children.sort_by(|&a, &b| self.name(a).cmp(self.name(b)));
        children
    }

    fn links(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let mut next = self.node(id).first_child;
        std::iter::from_fn(move || {
            let id = (next != NONE).then_some(NodeId(next))?;
            next = self.node(id).next;
            Some(id)
        })
    }

    /// Full path; directories (also empty ones) end with a slash.
    #[must_use]
    pub(crate) fn path(&self, id: NodeId) -> Vec<u8> {
        let mut parts = Vec::new();
        let mut at = id;
        while at != Self::ROOT {
            parts.push(self.name(at));
            at = NodeId(self.node(at).parent);
        }
        let mut path = Vec::new();
        for part in parts.iter().rev() {
            // A Windows path starts with its drive, not with a slash.
            if !path.is_empty() || !is_drive(part) {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        if self.is_directory(id) {
            path.push(b'/');
        }
        path
    }

    /// Follows `path` from `from`: absolute or relative, with `.` and `..`.
    #[must_use]
    pub(crate) fn find_directory(&self, from: NodeId, path: &[u8]) -> Option<NodeId> {
        let mut at = if path.first() == Some(&b'/') { Self::ROOT } else { from };
        for part in path.split(|&b| b == b'/').filter(|p| !p.is_empty() && *p != b".") {
            at = if part == b".." {
                if at == Self::ROOT { at } else { NodeId(self.node(at).parent) }
            } else {
                let known = self.directories.get(&(at.0, Box::from(part))).copied();
                NodeId(known.filter(|&id| self.is_directory(NodeId(id)))?)
            };
        }
        Some(at)
    }

    /// Marks or unmarks an entry and all below it; returns how many entries of jobs that were.
    ///
    /// Marking a hard link marks the file that it shares its data with; marking anything marks the entries of the
    /// directories above it (unless `auto_parent` is off), since their modes and times are wanted then.
    pub(crate) fn mark(&mut self, id: NodeId, on: bool) -> u64 {
        let count = self.mark_below(id, on);
        if on && self.auto_parent && count > 0 {
            self.mark_parents(id);
        }
        count
    }

    fn mark_below(&mut self, id: NodeId, on: bool) -> u64 {
        let mut count = 0;
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let node = &mut self.nodes[id.0 as usize];
            count += u64::from(node.kind != NodeKind::Implicit);
            node.marked = on;
            node.marked_dir = on && node.kind == NodeKind::Directory;
            if on && node.kind == NodeKind::File {
                self.mark_link_target(id);
            }
            open.extend(self.links(id));
        }
        count
    }

    fn mark_link_target(&mut self, id: NodeId) {
        let link_fi = self.stat(id).link_fi;
        if link_fi == 0 {
            return;
        }
        let target = self.first_links.get(&(self.node(id).job, link_fi)).copied();
        if let Some(target) = target {
            self.nodes[target as usize].marked = true;
            if self.auto_parent {
                self.mark_parents(NodeId(target));
            }
        }
    }

    fn mark_parents(&mut self, id: NodeId) {
        let mut at = self.node(id).parent;
        while at != NONE {
            let node = &mut self.nodes[at as usize];
            node.marked_dir |= node.kind == NodeKind::Directory;
            at = node.parent;
        }
    }

    /// Marks or unmarks the entries of `directory` that match; returns how many entries of jobs that were, those below
    /// included.
    pub(crate) fn mark_matching(&mut self, directory: NodeId, pattern: &[u8], on: bool) -> u64 {
        self.matching(directory, pattern).into_iter().map(|id| self.mark(id, on)).sum()
    }

    /// Marks or unmarks only the directories' own entries; returns how many.
    pub(crate) fn mark_directories(&mut self, directory: NodeId, pattern: &[u8], on: bool) -> u64 {
        let mut count = 0;
        for id in self.matching(directory, pattern) {
            let node = &mut self.nodes[id.0 as usize];
            if node.kind == NodeKind::Directory {
                node.marked_dir = on;
                if !on {
                    node.marked = false;
                }
                count += 1;
            }
        }
        count
    }

    /// Entries of `directory` whose name matches, by name.
    #[must_use]
    pub(crate) fn matching(&self, directory: NodeId, pattern: &[u8]) -> Vec<NodeId> {
        self.children(directory).into_iter().filter(|&id| glob::matches(pattern, self.name(id))).collect()
    }

    /// Marks everything.
    pub(crate) fn mark_all(&mut self) {
        self.mark_below(Self::ROOT, true);
    }

    /// All entries, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len()).map(|at| NodeId(at as u32))
    }

    fn wanted(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match node.kind {
            NodeKind::Implicit => false,
            NodeKind::Directory => node.marked || node.marked_dir,
            NodeKind::File => node.marked,
        }
    }

    /// (entries of jobs, entries marked).
    #[must_use]
    pub(crate) fn count(&self) -> (u64, u64) {
        let total = self.iter().filter(|&id| self.node(id).kind != NodeKind::Implicit).count();
        let marked = self.iter().filter(|&id| self.wanted(id)).count();
        (total as u64, marked as u64)
    }

    /// Bytes of the marked regular files; hard links count each.
    #[must_use]
    pub(crate) fn marked_bytes(&self) -> u64 {
        let files = self.iter().filter(|&id| self.wanted(id)).map(|id| self.stat(id));
        files.filter(Stat::is_regular).fold(0, |sum, stat| sum.saturating_add(stat.size))
    }

    /// The marked entries' FileIndexes, ascending, by job.
    #[must_use]
    pub(crate) fn selection(&self) -> BTreeMap<JobId, Vec<FileIndex>> {
        let mut selection: BTreeMap<JobId, Vec<FileIndex>> = BTreeMap::new();
        for id in self.iter().filter(|&id| self.wanted(id)) {
            let node = self.node(id);
            selection.entry(self.jobs[usize::from(node.job)]).or_default().push(FileIndex(node.file_index));
        }
        for indexes in selection.values_mut() {
            indexes.sort_unstable();
            indexes.dedup();
        }
        selection
    }
}

fn is_drive(part: &[u8]) -> bool {
    part.len() == 2 && part[0].is_ascii_alphabetic() && part[1] == b':'
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The job that the recorded transcript `restore-tree.txt` shows.
    pub(in super::super) fn recorded() -> Tree {
        let mut tree = Tree::new();
        let file = |size| Stat { mode: 0o100_644, nlink: 1, size, ..Stat::default() };
        let directory = Stat { mode: 0o040_755, nlink: 2, size: 4096, ..Stat::default() };
        let rows: [(&str, &str, Stat); 12] = [
            ("/opt/lb/src/tmp/", "", directory),
            ("/opt/lb/src/docs/", "services", Stat { nlink: 2, ..file(12813) }),
            ("/opt/lb/src/docs/", "empty", file(0)),
            ("/opt/lb/src/docs/", "protocols", file(3144)),
            ("/opt/lb/src/docs/", "services.hard", Stat { nlink: 2, link_fi: 2, ..file(12813) }),
            ("/opt/lb/src/docs/", "file with space.txt", file(11)),
            ("/opt/lb/src/docs/", "", directory),
            ("/opt/lb/src/bin/", "rand.bin", file(200_000)),
            ("/opt/lb/src/bin/", "link", Stat { mode: 0o120_777, ..file(16) }),
            ("/opt/lb/src/bin/", "ls", file(151_344)),
            ("/opt/lb/src/bin/", "", directory),
            ("/opt/lb/src/", "", directory),
        ];
        for (i, (path, name, stat)) in rows.iter().enumerate() {
            let index = FileIndex(i32::try_from(i).unwrap() + 1);
            tree.insert(path.as_bytes(), name.as_bytes(), JobId(16), index, *stat).unwrap();
        }
        tree
    }

    #[test]
    fn the_recorded_session_counts_the_same() {
        let mut tree = recorded();
        assert_eq!(tree.inserted(), 9);
        assert_eq!(tree.count(), (12, 0));
        let src = tree.find_directory(Tree::ROOT, b"/opt/lb/src").unwrap();
        assert_eq!(tree.mark_matching(src, b"bin", true), 4);
        assert_eq!(tree.mark_matching(src, b"docs", true), 6);
        assert_eq!(tree.count(), (12, 11));
        assert_eq!(tree.marked_bytes(), 380_125);
        assert_eq!(tree.mark_matching(src, b"docs/services.hard", false), 0);
        let docs = tree.find_directory(src, b"docs").unwrap();
        assert_eq!(tree.mark_matching(docs, b"s*", true), 2);
        assert_eq!(tree.find_directory(docs, b".."), Some(src));
        assert_eq!(tree.mark_directories(src, b"tmp", true), 1);
        assert_eq!(tree.count(), (12, 12));
        let indexes: Vec<i32> = tree.selection()[&JobId(16)].iter().map(|i| i.get()).collect();
        assert_eq!(indexes, (1..=12).collect::<Vec<_>>());
    }

    #[test]
    fn a_hard_link_brings_its_target_and_a_file_its_directories() {
        let mut tree = recorded();
        let docs = tree.find_directory(Tree::ROOT, b"/opt/lb/src/docs").unwrap();
        assert_eq!(tree.mark_matching(docs, b"services.hard", true), 1);
        let indexes: Vec<i32> = tree.selection()[&JobId(16)].iter().map(|i| i.get()).collect();
        assert_eq!(indexes, [2, 5, 7, 12]);

        let mut tree = recorded();
        tree.auto_parent = false;
        tree.mark_matching(docs, b"empty", true);
        assert_eq!(tree.count(), (12, 1));
    }

    #[test]
    fn paths_of_unix_and_windows() {
        let mut tree = Tree::new();
        tree.insert(b"C:/Users/x/", b"a.txt", JobId(1), FileIndex(1), Stat::default()).unwrap();
        tree.insert(b"/", b"", JobId(1), FileIndex(2), Stat::default()).unwrap();
        tree.insert(b"/dir\xff/", b"f", JobId(1), FileIndex(3), Stat::default()).unwrap();
        let paths: Vec<_> = tree.iter().map(|id| tree.path(id)).collect();
        assert!(paths.contains(&b"C:/Users/x/a.txt".to_vec()));
        assert!(paths.contains(&b"/dir\xff/f".to_vec()));
        assert_eq!(tree.path(Tree::ROOT), b"/");
    }

    #[test]
    fn unmarking_all_leaves_nothing() {
        let mut tree = recorded();
        tree.mark_all();
        assert_eq!(tree.count(), (12, 12));
        tree.mark(Tree::ROOT, false);
        assert!(tree.selection().is_empty());
    }
}
