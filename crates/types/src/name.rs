//! Names: parsed once at the edge, legal everywhere inside.

use std::fmt;

/// Longest name in bytes (spec/01 §2.1).
pub const NAME_BYTES_MAX: usize = 127;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty.
    #[error("a name must not be empty")]
    Empty,
    /// Over [`NAME_BYTES_MAX`].
    #[error("name \"{name}\" has {len} bytes; at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// The text.
        name: String,
        /// Its length in bytes.
        len: usize,
    },
    /// A character that names must not hold.
    #[error("name \"{name}\" holds the character {character:?}, which names must not hold")]
    Illegal {
        /// The text.
        name: String,
        /// The first illegal character.
        character: char,
    },
}

fn check(name: &str, legal: impl Fn(char) -> bool) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { name: name.to_owned(), len: name.len() });
    }
    match name.chars().find(|&c| !legal(c)) {
        Some(character) => Err(NameError::Illegal { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

macro_rules! name_type {
    ($($(#[$doc:meta])* $name:ident: $legal:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong with which name.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                check(&name, $legal)?;
                Ok(Self(name))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

name_type! {
    /// Name of a configuration resource (Job, Client, Storage …): letters, digits, space and `- _ . : + @ $`.
    ResourceName: |c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '+' | '@' | '$');
    /// Name of a Volume; also a file name, so it holds neither `/` nor a leading dot's tricks: letters, digits and `- _ . :`.
    VolumeName: |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
}

impl VolumeName {
    /// Whether the name can be a file name in a directory of Volumes: `.` and `..` are legal names and no files.
    #[must_use]
    pub fn is_file_name(&self) -> bool {
        !matches!(self.as_str(), "." | "..")
    }
}

/// Replaces spaces by byte 0x01, as names and texts travel in commands ("bashed", spec/01 §7.4).
#[must_use]
pub fn bash_spaces(text: &str) -> String {
    text.replace(' ', "\u{1}")
}

/// Puts the spaces back.
#[must_use]
pub fn unbash_spaces(text: &str) -> String {
    text.replace('\u{1}', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_name_is_checked_once() {
        assert_eq!(VolumeName::new("Vol-0001").unwrap().as_str(), "Vol-0001");
        assert_eq!(VolumeName::new(""), Err(NameError::Empty));
        assert!(matches!(VolumeName::new("a/b"), Err(NameError::Illegal { character: '/', .. })));
        assert!(matches!(VolumeName::new("x".repeat(128)), Err(NameError::TooLong { len: 128, .. })));
        assert!(!VolumeName::new("..").unwrap().is_file_name());
    }

    #[test]
    fn spaces_are_bashed_and_put_back() {
        assert_eq!(bash_spaces("Back Up"), "Back\u{1}Up");
        assert_eq!(unbash_spaces("Back\u{1}Up"), "Back Up");
    }
}
