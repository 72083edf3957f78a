//! Owner, mode, times, ACLs and extended attributes of restored entries.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;

use attrs::{EncodedStat, FileType, PosixAcl, Stream, StreamKind};
use sys::XattrTarget;

use super::tree::Place;
use crate::message::{JobLog, MessageKind, path_text};

/// Errors of ACLs and attributes that are told one by one; the rest is counted.
const ERRORS_TOLD: u64 = 25;

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Names looked up once.
#[derive(Default)]
struct Ids {
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
}

/// Sets metadata and counts what could not be set.
pub(super) struct MetaWriter<'a> {
    log: &'a dyn JobLog,
    ids: RefCell<Ids>,
    is_root: bool,
    acl_errors: u64,
    xattr_errors: u64,
}

impl<'a> MetaWriter<'a> {
    pub(super) fn new(log: &'a dyn JobLog) -> Self {
        Self { log, ids: RefCell::default(), is_root: sys::is_root(), acl_errors: 0, xattr_errors: 0 }
    }

    /// Owner, mode and times in this order: a change of the owner takes away set-uid bits.
    pub(super) fn attributes(&self, path: &[u8], place: &Place, stat: &EncodedStat, file_type: FileType) {
        let (dir, name) = (&place.dir, &place.name[..]);
        if let Err(error) = dir.set_owner(name, stat.uid, stat.gid) {
            self.failed("owner", path, &error);
        }
        if file_type != FileType::Symlink
            && let Err(error) = dir.set_mode(name, stat.mode)
        {
            self.failed("modes", path, &error);
        }
        self.times(path, place, stat);
    }

    /// Access and modification time.
    pub(super) fn times(&self, path: &[u8], place: &Place, stat: &EncodedStat) {
        if let Err(error) = place.dir.set_times(&place.name, (stat.atime, 0), (stat.mtime, 0)) {
            self.failed("times", path, &error);
        }
    }

    /// Only root can expect everything to be set.
    fn failed(&self, what: &str, path: &[u8], error: &io::Error) {
        if self.is_root {
            let text =
                format!("Unable to set file {what} {}: ERR={}\n", path_text(path), sys::error_text(error));
            self.log.message(MessageKind::Error, &text);
        }
    }

    /// An ACL or attribute stream of the entry.
    pub(super) fn stream(&mut self, path: &[u8], place: &Place, stream: Stream, payload: &[u8]) {
        let target = XattrTarget::At(&place.dir, &place.name);
        match stream.kind() {
            StreamKind::LinuxAccessAcl | StreamKind::UnixAccessAcl => {
                self.acl(path, target, ACCESS_ACL, payload);
            }
            StreamKind::LinuxDefaultAcl | StreamKind::UnixDefaultAcl => {
                self.acl(path, target, DEFAULT_ACL, payload);
            }
            StreamKind::LinuxXattr => self.xattrs(path, target, payload),
            StreamKind::OtherAcl => {
                let text = format!(
                    "Can't restore ACLs of {} - incompatible acl stream encountered - {stream}\n",
                    path_text(path)
                );
                self.log.message(MessageKind::Warning, &text);
            }
            _ => {
                let path = path_text(path);
                let text = format!(
                    "Can't restore Extended Attributes of {path} - incompatible xattr stream encountered - {stream}\n"
                );
                self.log.message(MessageKind::Warning, &text);
            }
        }
    }

    fn acl(&mut self, path: &[u8], target: XattrTarget<'_>, name: &[u8], payload: &[u8]) {
        let text = String::from_utf8_lossy(payload);
        let ids = &self.ids;
        let user =
            |name: &str| *ids.borrow_mut().users.entry(name.to_owned()).or_insert_with(|| sys::user_id(name));
        let group = |name: &str| {
            *ids.borrow_mut().groups.entry(name.to_owned()).or_insert_with(|| sys::group_id(name))
        };
        let result = PosixAcl::from_text(&text, user, group)
            .map_err(|error| error.to_string())
            .and_then(|acl| target.set(name, &acl.to_xattr()).map_err(|error| sys::error_text(&error)));
        if let Err(reason) = result {
            self.acl_errors += 1;
            if self.acl_errors <= ERRORS_TOLD {
                let text =
                    format!("ACL of file \"{}\" could not be restored: ERR={reason}\n", path_text(path));
                self.log.message(MessageKind::Error, &text);
            }
        }
    }

    fn xattrs(&mut self, path: &[u8], target: XattrTarget<'_>, payload: &[u8]) {
        let entries = match attrs::decode_xattrs(payload) {
            Ok(entries) => entries,
            Err(error) => return self.xattr_failed(path, "list", &error.to_string()),
        };
        for entry in entries {
            if let Err(error) = target.set(entry.name, entry.value) {
                let name = String::from_utf8_lossy(entry.name).into_owned();
                self.xattr_failed(path, &name, &sys::error_text(&error));
            }
        }
    }

    fn xattr_failed(&mut self, path: &[u8], name: &str, reason: &str) {
        self.xattr_errors += 1;
        if self.xattr_errors <= ERRORS_TOLD {
            let path = path_text(path);
            let text =
                format!("Extended attribute {name} of file \"{path}\" could not be restored: ERR={reason}\n");
            self.log.message(MessageKind::Error, &text);
        }
    }

    /// Tells the totals at the end.
    pub(super) fn finish(&self) {
        for (count, what) in [(self.acl_errors, "acl"), (self.xattr_errors, "xattr")] {
            if count > 0 {
                let text = format!("Encountered {count} {what} errors while doing restore\n");
                self.log.message(MessageKind::Warning, &text);
            }
        }
    }
}
