//! Users and groups: names and numbers, and becoming one.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Group, Uid, User};

/// Number of a user's name.
#[must_use]
pub fn user_id(name: &str) -> Option<u32> {
    User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}

/// Number of a group's name.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw())
}

/// Names of users and groups, each asked of the system once.
#[derive(Debug, Default)]
pub struct NameCache {
    users: HashMap<u32, Option<String>>,
    groups: HashMap<u32, Option<String>>,
}

impl NameCache {
    /// Name of a user, if it has one.
    pub fn user(&mut self, uid: u32) -> Option<&str> {
        self.users
            .entry(uid)
            .or_insert_with(|| User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name))
            .as_deref()
    }

    /// Name of a group, if it has one.
    pub fn group(&mut self, gid: u32) -> Option<&str> {
        self.groups
            .entry(gid)
            .or_insert_with(|| Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name))
            .as_deref()
    }
}

/// Becomes another user and/or group for good, as the flags `-u` and `-g` ask. Without a user only the group changes.
///
/// # Errors
/// `NotFound` for an unknown name; else the system's.
pub fn run_as(user: Option<&str>, group: Option<&str>) -> io::Result<()> {
    let unknown = |what: &str, name: &str| {
        io::Error::new(io::ErrorKind::NotFound, format!("no {what} \"{name}\" here"))
    };
    let user = match user {
        Some(name) => Some(User::from_name(name)?.ok_or_else(|| unknown("user", name))?),
        None => None,
    };
    let gid = match group {
        Some(name) => Some(Group::from_name(name)?.ok_or_else(|| unknown("group", name))?.gid),
        None => user.as_ref().map(|user| user.gid),
    };
    if let (Some(user), Some(gid)) = (&user, gid) {
        let name = CString::new(user.name.as_bytes())?;
        nix::unistd::initgroups(&name, gid)?;
    }
    if let Some(gid) = gid {
        nix::unistd::setgid(gid)?;
    }
    if let Some(user) = user {
        nix::unistd::setuid(user.uid)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_number_zero() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(group_id("root"), Some(0));
        let mut names = NameCache::default();
        assert_eq!(names.user(0), Some("root"));
        assert_eq!(names.group(4_000_000_000), None);
        assert_eq!(run_as(Some("nobody-has-this-name"), None).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
