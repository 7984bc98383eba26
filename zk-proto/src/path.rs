//! Paths of nodes (ZooKeeper Programmer's Guide, The ZooKeeper Data Model).

use std::{borrow::Cow, fmt};

/// The path of a node: absolute, normalised, and acceptable to servers.
///
/// ```
/// # use zk_proto::ZnodePath;
/// assert_eq!(ZnodePath::parse("app//lock/")?.as_str(), "/app/lock");
/// assert!(ZnodePath::parse("/app/../lock").is_err());
/// # Ok::<(), zk_proto::PathError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ZnodePath<'a>(Cow<'a, str>);

/// Why a text is not the path of a node.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// `.` or `..` between two slashes: paths do not mean directories.
    #[error("{component:?} at byte {index} is not a name: paths are always absolute")]
    RelativeComponent {
        /// `.` or `..`.
        component: &'static str,
        /// The byte of the text at which it stands.
        index: usize,
    },
    /// A character that servers refuse: U+0000 to U+001F, U+007F to U+009F, U+E000 to U+F8FF, U+FFF0
    /// to U+FFFF, and whatever is above (`PathUtils.validatePath` of the Java client).
    #[error("{character:?} at byte {index} is a character that servers refuse in a path")]
    ForbiddenCharacter {
        /// The character.
        character: char,
        /// The byte of the text at which it stands.
        index: usize,
    },
}

impl<'a> ZnodePath<'a> {
    /// The node above all others.
    pub const ROOT: ZnodePath<'static> = ZnodePath(Cow::Borrowed("/"));

    /// Normalises `text`: a missing slash in front is put there, empty components and a slash at the
    /// end are dropped. Nothing is copied if nothing changes.
    ///
    /// # Errors
    /// Every variant of [`PathError`].
    pub fn parse(text: &'a str) -> Result<Self, PathError> {
        Self::normalise(text, false)
    }

    /// As [`parse`](Self::parse), but a slash at the end stays: the name of a sequential node below
    /// it is just the counter.
    ///
    /// # Errors
    /// Every variant of [`PathError`].
    pub fn parse_sequential(text: &'a str) -> Result<Self, PathError> {
        Self::normalise(text, true)
    }

    /// The path with memory of its own.
    pub fn into_owned(self) -> ZnodePath<'static> {
        ZnodePath(Cow::Owned(self.0.into_owned()))
    }

    /// The path as text, which a [`Request`](crate::Request) takes.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// The path as text. It begins with a slash.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`.
    #[inline]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The path without its last component, `None` for `/`.
    pub fn parent(&self) -> Option<ZnodePath<'_>> {
        let (parent, _) = self.split()?;
        Some(ZnodePath(Cow::Borrowed(if parent.is_empty() {
            "/"
        } else {
            parent
        })))
    }

    /// The last component, empty for `/`.
    pub fn name(&self) -> &str {
        self.split().map_or("", |(_, name)| name)
    }

    /// The path of a descendant. A slash at the front of `below` changes nothing.
    ///
    /// # Errors
    /// Every variant of [`PathError`], with indices into `below`.
    pub fn join(&self, below: &str) -> Result<ZnodePath<'static>, PathError> {
        let below = ZnodePath::parse(below)?;
        Ok(ZnodePath(Cow::Owned(
            match (self.is_root(), below.is_root()) {
                (_, true) => self.as_str().to_owned(),
                (true, false) => below.0.into_owned(),
                (false, false) => format!("{}{}", self.as_str().trim_end_matches('/'), below),
            },
        )))
    }

    /// Whether this is `ancestor` or below it. `/apple` is not below `/app`.
    pub fn starts_with(&self, ancestor: &str) -> bool {
        let ancestor = ancestor.trim_end_matches('/');
        self.0
            .strip_prefix(ancestor)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn normalise(text: &'a str, keep_last_slash: bool) -> Result<Self, PathError> {
        let mut normal = text.starts_with('/');
        let mut component = usize::from(normal);
        for (index, byte) in text.bytes().enumerate() {
            match byte {
                b'/' if index >= component => {
                    check_component(text, component, index)?;
                    normal &= index > component;
                    component = index + 1;
                }
                b'/' | b' '..=b'~' => {}
                _ => check_character(text, index)?,
            }
        }
        check_component(text, component, text.len())?;
        let ends_with_slash = component == text.len();
        if ends_with_slash && text.len() > 1 && !keep_last_slash {
            normal = false;
        }
        if normal {
            return Ok(Self(Cow::Borrowed(text)));
        }
        let mut path = String::with_capacity(text.len() + 1);
        for component in text.split('/').filter(|component| !component.is_empty()) {
            path.push('/');
            path.push_str(component);
        }
        if path.is_empty() {
            return Ok(Self(Cow::Borrowed("/")));
        }
        if keep_last_slash && text.ends_with('/') {
            path.push('/');
        }
        Ok(Self(Cow::Owned(path)))
    }

    fn split(&self) -> Option<(&str, &str)> {
        if self.is_root() {
            None
        } else {
            self.0.rsplit_once('/')
        }
    }
}

fn check_component(text: &str, start: usize, end: usize) -> Result<(), PathError> {
    let component = match &text[start..end] {
        "." => ".",
        ".." => "..",
        _ => return Ok(()),
    };
    Err(PathError::RelativeComponent {
        component,
        index: start,
    })
}

/// Checks the character that begins at `index`, if one does.
fn check_character(text: &str, index: usize) -> Result<(), PathError> {
    let Some(character) = text.get(index..).and_then(|rest| rest.chars().next()) else {
        return Ok(());
    };
    match character {
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'.. => {
            Err(PathError::ForbiddenCharacter { character, index })
        }
        _ => Ok(()),
    }
}

impl AsRef<str> for ZnodePath<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ZnodePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
