//! The part of the tree that a client lives in.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{PathError, ZnodePath, put_len};

/// A prefix that a client puts before every path it sends and takes off every path it receives.
///
/// Servers know nothing of it. Cheap to clone.
///
/// ```
/// # use zk_proto::Chroot;
/// let chroot = Chroot::parse("/app")?;
/// assert_eq!(chroot.full("/lock"), "/app/lock");
/// assert_eq!(chroot.strip("/app/lock"), Some("/lock"));
/// assert_eq!(chroot.strip("/apple"), None);
/// # Ok::<(), zk_proto::PathError>(())
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Chroot(Option<Arc<str>>);

impl Chroot {
    /// No prefix.
    pub const ROOT: Self = Self(None);

    /// No prefix, as [`ROOT`](Self::ROOT).
    pub const fn none() -> Self {
        Self::ROOT
    }

    /// The prefix that `path` gives, normalised as any path; `/` and the empty text give none.
    ///
    /// # Errors
    /// Every variant of [`PathError`].
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let path = ZnodePath::parse(path)?;
        Ok(if path.is_root() {
            Self::ROOT
        } else {
            Self(Some(Arc::from(path.as_str())))
        })
    }

    /// Empty, or a path that begins with a slash and does not end with one.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("")
    }

    /// Whether there is no prefix.
    #[inline]
    pub const fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The prefix that leads further down.
    ///
    /// # Errors
    /// Every variant of [`PathError`], with indices into `below`.
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        let below = Self::parse(below)?;
        Ok(match (&self.0, &below.0) {
            (Some(above), Some(below)) => Self(Some(Arc::from(format!("{above}{below}")))),
            (Some(_), None) => self.clone(),
            (None, _) => below,
        })
    }

    /// The path on the server of the normalised `path`: `/` is the prefix itself.
    pub fn full<'a>(&'a self, path: &'a str) -> Cow<'a, str> {
        match (self.as_str(), below(path)) {
            ("", _) => Cow::Borrowed(path),
            (prefix, "") => Cow::Borrowed(prefix),
            (prefix, path) => Cow::Owned(format!("{prefix}{path}")),
        }
    }

    /// The path to the client of a path on the server: the prefix itself is `/`. `None` if the path
    /// lies elsewhere.
    pub fn strip<'a>(&self, server_path: &'a str) -> Option<&'a str> {
        match server_path.strip_prefix(self.as_str())? {
            "" if !self.is_root() => Some("/"),
            path if path.starts_with('/') || self.is_root() => Some(path),
            _ => None,
        }
    }

    /// Takes the prefix off in place; a path that lies elsewhere stays as it is.
    pub(crate) fn strip_in_place(&self, path: &mut String) {
        let kept = match self.strip(path) {
            Some("/") if !self.is_root() => return "/".clone_into(path),
            Some(stripped) => stripped.len(),
            None => return,
        };
        path.drain(..path.len() - kept);
    }

    /// Appends the path on the server of the normalised `path` as a string, without an allocation
    /// but the growth of `out`.
    #[inline]
    pub fn put_path(&self, path: &str, out: &mut Vec<u8>) {
        match self.as_str() {
            "" => put_joined("", path, out),
            prefix => put_joined(prefix, below(path), out),
        }
    }

    /// As [`put_path`](Self::put_path), for the name of a sequential node before its counter: here
    /// `/` is not the prefix itself but an empty name below it.
    pub(crate) fn put_sequential_path(&self, path: &str, out: &mut Vec<u8>) {
        put_joined(self.as_str(), path, out);
    }
}

/// What is appended to a prefix for `path`.
#[inline]
fn below(path: &str) -> &str {
    if path == "/" { "" } else { path }
}

#[inline]
fn put_joined(prefix: &str, path: &str, out: &mut Vec<u8>) {
    put_len(out, prefix.len() + path.len());
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(path.as_bytes());
}

impl fmt::Display for Chroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
