//! Names of file system types, for the FileSet's `FS Type` lists.

use std::fs;
use std::os::fd::AsFd;

/// Name of the type of the file system that `file` is on, as the mount table has it (`ext4`, `xfs`, `tmpfs` …).
///
/// The mount table is asked by device first, since one magic number stands for several types.
#[must_use]
pub fn fs_type_name(file: impl AsFd, dev: u64) -> Option<String> {
    by_mount_table(dev).or_else(|| {
        let stat = rustix::fs::fstatfs(file).ok()?;
        by_magic(stat.f_type as u64).map(str::to_owned)
    })
}

fn by_mount_table(dev: u64) -> Option<String> {
    let wanted = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    table.lines().find_map(|line| {
        // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
        let (left, right) = line.split_once(" - ")?;
        let device = left.split(' ').nth(2)?;
        (device == wanted).then(|| right.split(' ').next().unwrap_or_default().to_owned())
    })
}

fn by_magic(magic: u64) -> Option<&'static str> {
    Some(match magic {
        0xEF53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x0102_1994 => "tmpfs",
        0x6969 => "nfs",
        0x9FA0 => "proc",
        0x6265_6572 => "sysfs",
        0x2FC1_2FC1 => "zfs",
        0x794C_7630 => "overlay",
        0x4D44 => "vfat",
        0x9660 => "iso9660",
        0x6573_5546 => "fuse",
        0xFF53_4D42 => "cifs",
        0xF2F5_2010 => "f2fs",
        0x5265_4973 => "reiserfs",
        0x3153_464A => "jfs",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_proc() {
        let file = fs::File::open("/proc").unwrap();
        let dev = crate::stat_fd(&file).unwrap().dev;
        assert_eq!(fs_type_name(&file, dev).as_deref(), Some("proc"));
        assert_eq!(by_magic(0x9FA0), Some("proc"));
    }
}
