//! The tree that is restored into: finds and makes directories, one component at a time.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use sys::{DirFd, FileKind, FileStat, open_root, stat_at};

/// Open directories kept for the next entry, which is mostly a neighbour.
const OPEN_DIRS: usize = 64;

/// A place for an entry: its directory and its name there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The directory.
    pub dir: Arc<DirFd>,
    /// The last component.
    pub name: Vec<u8>,
}

/// The tree. All paths are absolute, or relative to the working directory.
pub struct RestoreTree {
    /// Nothing may lead out of here; `None`: symlinks that were there before are followed.
    root: Option<Vec<u8>>,
    /// The open directories from the root on to the last one used, with their names.
    stack: Vec<(Vec<u8>, Arc<DirFd>)>,
    /// The directory that `stack` starts at.
    base: Option<(Vec<u8>, Arc<DirFd>)>,
    /// Symlinks that this restore made: never followed.
    made_links: HashSet<(u64, u64)>,
    /// Directories that this restore made, by hash of the path.
    made_dirs: HashSet<u64>,
    hasher: RandomState,
}

impl RestoreTree {
    /// A tree below `root`, or the whole machine.
    #[must_use]
    pub fn new(root: Option<&[u8]>) -> Self {
        Self {
            root: root.map(<[u8]>::to_vec),
            stack: Vec::new(),
            base: None,
            made_links: HashSet::new(),
            made_dirs: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Finds the place of `path`, making the missing directories above it.
    ///
    /// # Errors
    /// The system's, with "leads out" for symlinks that must not be followed.
    pub fn place(&mut self, path: &[u8]) -> io::Result<Place> {
        self.find(path, true)
    }

    /// Finds the place of `path` without making anything.
    ///
    /// # Errors
    /// The system's: "not found" when a directory is missing.
    pub fn existing(&mut self, path: &[u8]) -> io::Result<Place> {
        self.find(path, false)
    }

    /// Whether this restore made the directory.
    #[must_use]
    pub fn has_made_dir(&self, path: &[u8]) -> bool {
        self.made_dirs.contains(&self.path_hash(path))
    }

    /// Remembers a directory that this restore made.
    pub fn made_dir(&mut self, path: &[u8]) {
        let hash = self.path_hash(path);
        self.made_dirs.insert(hash);
    }

    /// Remembers a symlink that this restore made.
    pub fn made_link(&mut self, stat: &FileStat) {
        self.made_links.insert((stat.dev, stat.ino));
    }

    /// A stable number for a path, whatever its trailing slash.
    #[must_use]
    pub fn path_hash(&self, path: &[u8]) -> u64 {
        self.hasher.hash_one(path.strip_suffix(b"/").unwrap_or(path))
    }

    /// Forgets open directories below a path that is being replaced.
    pub fn forget(&mut self) {
        self.stack.clear();
    }

    fn find(&mut self, path: &[u8], make: bool) -> io::Result<Place> {
        let (base, rest) = self.base(path, make)?;
        let mut names: Vec<&[u8]> =
            rest.split(|&b| b == b'/').filter(|n| !n.is_empty() && *n != b".").collect();
        if names.contains(&&b".."[..]) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has a \"..\" in it"));
        }
        let Some(name) = names.pop() else { return Ok(Place { dir: base, name: b".".to_vec() }) };
        let common = self.stack.iter().zip(&names).take_while(|((have, _), want)| have == *want).count();
        self.stack.truncate(common);
        let mut dir = self.stack.last().map_or(base, |(_, dir)| Arc::clone(dir));
        let prefix_len = path.len() - rest.len();
        for (depth, component) in names.iter().enumerate().skip(common) {
            dir = Arc::new(self.enter(&dir, component, &names[..=depth], &path[..prefix_len], make)?);
            if self.stack.len() < OPEN_DIRS && self.stack.len() == depth {
                self.stack.push((component.to_vec(), Arc::clone(&dir)));
            }
        }
        Ok(Place { dir, name: name.to_vec() })
    }

    /// The directory to start from, and the rest of the path.
    fn base<'p>(&mut self, path: &'p [u8], make: bool) -> io::Result<(Arc<DirFd>, &'p [u8])> {
        let start: &[u8] = match &self.root {
            Some(root) if path.starts_with(root) => root,
            _ if path.first() == Some(&b'/') => b"/",
            _ => b".",
        };
        let start = start.to_vec();
        let rest = if start == b"." { path } else { &path[start.len()..] };
        if let Some((have, dir)) = &self.base
            && *have == start
        {
            return Ok((Arc::clone(dir), rest));
        }
        if make && self.root.as_ref() == Some(&start) {
            // The place of the restore is the operator's word: links in it are followed.
            use std::os::unix::ffi::OsStrExt;
            std::fs::create_dir_all(std::ffi::OsStr::from_bytes(&start))?;
        }
        let dir = Arc::new(open_root(&start)?);
        self.stack.clear();
        self.base = Some((start, Arc::clone(&dir)));
        Ok((dir, rest))
    }

    fn enter(
        &mut self,
        dir: &DirFd,
        name: &[u8],
        below: &[&[u8]],
        prefix: &[u8],
        make: bool,
    ) -> io::Result<DirFd> {
        let error = match dir.open_path(name, false) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        if error.kind() == io::ErrorKind::NotFound {
            if !make {
                return Err(error);
            }
            match dir.make_dir(name, 0o755) {
                Ok(()) => {
                    let mut path = prefix.strip_suffix(b"/").unwrap_or(prefix).to_vec();
                    for component in below {
                        path.push(b'/');
                        path.extend_from_slice(component);
                    }
                    self.made_dir(&path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            return dir.open_path(name, false);
        }
        let stat = stat_at(dir, name)?;
        if stat.kind() != FileKind::Symlink {
            return Err(error);
        }
        let leads_out =
            || io::Error::other("a symbolic link in the path leads out of the place of the restore");
        if self.made_links.contains(&(stat.dev, stat.ino)) {
            return Err(leads_out());
        }
        match (&self.root, &self.base) {
            (Some(_), Some((_, base))) => base.open_beneath(&below.join(&b"/"[..])).map_err(|_| leads_out()),
            _ => dir.open_path(name, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn tree(dir: &tempfile::TempDir) -> (RestoreTree, Vec<u8>) {
        let root = dir.path().as_os_str().as_bytes().to_vec();
        (RestoreTree::new(Some(&root)), root)
    }

    #[test]
    fn directories_are_made_and_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let (mut tree, root) = tree(&dir);
        let path = [&root[..], b"/a/b/c"].concat();
        assert!(tree.existing(&path).is_err());
        let place = tree.place(&path).unwrap();
        place.dir.create_file(&place.name).unwrap();
        assert!(dir.path().join("a/b/c").is_file());
        assert!(tree.has_made_dir(&[&root[..], b"/a/b/"].concat()));
        assert!(!tree.has_made_dir(&[&root[..], b"/a/x"].concat()));
        assert!(tree.place(&[&root[..], b"/a/../x"].concat()).is_err());
    }

    #[test]
    fn nothing_is_written_through_a_link_that_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (mut tree, root) = tree(&dir);
        std::os::unix::fs::symlink(outside.path(), dir.path().join("evil")).unwrap();
        std::os::unix::fs::symlink("inner", dir.path().join("good")).unwrap();
        std::fs::create_dir(dir.path().join("inner")).unwrap();
        assert!(tree.place(&[&root[..], b"/evil/x"].concat()).is_err());
        assert!(tree.place(&[&root[..], b"/good/x"].concat()).is_ok());
        // In the original place links that were there are followed, those that were restored are not.
        let mut all = RestoreTree::new(None);
        let path = dir.path().join("evil/x");
        assert!(all.place(path.as_os_str().as_bytes()).is_ok());
        all.forget();
        all.made_link(&sys::stat_path(&dir.path().join("evil")).unwrap());
        assert!(all.place(path.as_os_str().as_bytes()).is_err());
    }

    #[test]
    fn a_path_beyond_the_limit_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (mut tree, root) = tree(&dir);
        let mut path = root;
        for _ in 0..150 {
            path.extend_from_slice(b"/dddddddddddddddddddddddddddddddddddddddddd");
        }
        assert!(path.len() > 4096);
        let place = tree.place(&path).unwrap();
        place.dir.create_file(&place.name).unwrap();
        assert!(tree.existing(&path).is_ok());
    }
}
