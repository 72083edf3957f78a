//! Holes, advice on caching, and the no-dump flag.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;

use rustix::fs::{Advice, IFlags, SeekFrom, fadvise, ioctl_getflags, seek};

/// Start of the first data at or after `from`; `None` when there is only a hole up to the end.
///
/// # Errors
/// The system's; file systems without holes say that all is data.
pub fn next_data(file: &File, from: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(rustix::io::Errno::INVAL) => Ok(Some(from)),
        Err(error) => Err(error.into()),
    }
}

/// Start of the first hole at or after `from`; the end of the file counts as one.
///
/// # Errors
/// The system's.
pub fn next_hole(file: &File, from: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Hole(from)) {
        Ok(at) => Ok(at),
        Err(rustix::io::Errno::INVAL) => Ok(file.metadata()?.len()),
        Err(error) => Err(error.into()),
    }
}

/// All data ranges `(start, end)` of a file, for comparisons.
///
/// # Errors
/// The system's.
pub fn data_extents(file: &File) -> io::Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while let Some(start) = next_data(file, at)? {
        let end = next_hole(file, start)?;
        if end <= start {
            break;
        }
        extents.push((start, end));
        at = end;
    }
    Ok(extents)
}

/// Tells the system that the file will be read from start to end.
pub fn advise_sequential(file: &File) {
    // Advice that is not taken changes nothing.
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

/// Tells the system that `len` bytes from `offset` (0: to the end) are not needed again, so that a backup does not push everything else out of the cache.
pub fn advise_done(file: &File, offset: u64, len: u64) {
    let _ = fadvise(file, offset, NonZeroU64::new(len), Advice::DontNeed);
}

/// Whether the file has the flag "no dump" (`chattr +d`); `false` where there are no flags.
#[must_use]
pub fn has_nodump(file: &File) -> bool {
    ioctl_getflags(file).is_ok_and(|flags| flags.contains(IFlags::NODUMP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn a_hole_is_found() {
        let mut file = tempfile::tempfile().unwrap();
        file.seek(io::SeekFrom::Start(1 << 20)).unwrap();
        file.write_all(b"end").unwrap();
        let extents = data_extents(&file).unwrap();
        assert_eq!(extents.last().unwrap().1, (1 << 20) + 3);
        advise_sequential(&file);
        advise_done(&file, 0, 0);
    }
}
