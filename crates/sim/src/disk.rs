//! A disk that forgets what was not synced when its machine loses power.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::RngExt;
use rand::rngs::StdRng;
use storage::disk::{Disk, DiskFile};

/// The disk of one machine.
#[derive(Debug, Default)]
pub(crate) struct VirtualDisk {
    files: Mutex<BTreeMap<PathBuf, Arc<VirtualFile>>>,
    /// Syncs do nothing: a bug put back.
    is_lying: bool,
}

#[derive(Debug)]
struct VirtualFile {
    content: Mutex<Content>,
    is_lying: bool,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    /// Up to here both are the same.
    same: usize,
}

impl VirtualDisk {
    /// An empty disk.
    #[must_use]
    pub(crate) fn new(is_lying: bool) -> Self {
        Self { files: Mutex::default(), is_lying }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<VirtualFile>>> {
        lock(&self.files)
    }

    fn file(&self, path: &Path) -> io::Result<Arc<VirtualFile>> {
        self.files().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What is on stable storage of a file.
    #[must_use]
    pub(crate) fn synced(&self, path: &Path) -> Option<Vec<u8>> {
        let file = self.file(path).ok()?;
        let synced = lock(&file.content).synced.clone();
        Some(synced)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, path: &Path) {
        self.files().remove(path);
    }

    /// The machine loses power: of what was appended since the last sync some may be left, of anything else nothing.
    pub(crate) fn lose_power(&self, rng: &mut StdRng) {
        for file in self.files().values() {
            let mut content = lock(&file.content);
            let is_append = content.same == content.synced.len() && content.bytes.len() > content.same;
            let left = match is_append && rng.random_bool(0.5) {
                true => rng.random_range(content.same..=content.bytes.len()),
                false => content.synced.len(),
            };
            let mut bytes = content.synced.clone();
            if is_append && left > content.same {
                bytes.extend_from_slice(&content.bytes[content.same..left]);
            }
            content.synced.clone_from(&bytes);
            content.same = bytes.len();
            content.bytes = bytes;
        }
    }
}

impl Disk for VirtualDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(lock(&self.file(path)?.content).bytes.clone())
    }

    fn write_durably(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let content = Content { bytes: bytes.to_vec(), synced: bytes.to_vec(), same: bytes.len() };
        let file = VirtualFile { content: Mutex::new(content), is_lying: self.is_lying };
        self.files().insert(path.to_owned(), Arc::new(file));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path)?)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut files = self.files();
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(VirtualFile { content: Mutex::default(), is_lying: self.is_lying });
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.files();
        Ok(files.keys().filter(|path| path.parent() == Some(directory)).cloned().collect())
    }
}

impl DiskFile for VirtualFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = lock(&self.content);
        let rest = content.bytes.get(place(offset)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = lock(&self.content);
        let (at, end) = (place(offset), place(offset) + bytes.len());
        if content.bytes.len() < end {
            content.bytes.resize(end, 0);
        }
        content.bytes[at..end].copy_from_slice(bytes);
        content.same = content.same.min(at);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if !self.is_lying {
            let mut content = lock(&self.content);
            let Content { bytes, synced, same } = &mut *content;
            synced.truncate(*same);
            synced.extend_from_slice(&bytes[*same..]);
            *same = bytes.len();
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut content = lock(&self.content);
        content.bytes.resize(place(bytes), 0);
        content.same = content.same.min(place(bytes));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).bytes.len() as u64)
    }

    fn take_room(&self, _offset: u64, _bytes: u64) -> io::Result<bool> {
        Ok(true)
    }
}

/// The files of a world are small.
fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
