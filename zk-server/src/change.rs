//! What a transaction changed, for those who watch.

use std::{fmt, ops::Deref, sync::Arc};

use zk_proto::{Acl, EventType};

/// One change that watches may be about.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is all that an event is made of"
)]
pub struct Change {
    /// What happened.
    pub event: EventType,
    /// The node that it happened to.
    pub path: NodePath,
    /// Who may learn of it: those whom this list lets read. For a deletion it is the list of the
    /// node that is gone, for children that of their parent.
    pub acl: Arc<[Acl]>,
}

/// The path of a node within the text of its own or a child's path: a parent costs no allocation.
#[derive(Clone)]
pub struct NodePath {
    text: Arc<str>,
    end: usize,
}

impl NodePath {
    /// The path of the parent of `child`, which is not the root.
    pub(crate) fn parent_of(child: &Arc<str>) -> Self {
        Self {
            text: Arc::clone(child),
            // The slash of a node below the root is the path of the root.
            end: child.rfind('/').unwrap_or(0).max(1),
        }
    }

    /// The path.
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.text[..self.end]
    }
}

impl From<&Arc<str>> for NodePath {
    fn from(path: &Arc<str>) -> Self {
        Self {
            text: Arc::clone(path),
            end: path.len(),
        }
    }
}

impl Deref for NodePath {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for NodePath {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for NodePath {}

impl fmt::Debug for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_lies_within_the_text_of_its_child() {
        for (child, parent) in [("/a", "/"), ("/a/b", "/a"), ("/\u{65e5}/b", "/\u{65e5}")] {
            let child = Arc::from(child);
            assert_eq!(&*NodePath::parent_of(&child), parent);
            assert_eq!(&*NodePath::from(&child), &*child);
        }
        let path = NodePath::from(&Arc::from("/a"));
        assert_eq!(path, NodePath::parent_of(&Arc::from("/a/b")));
        assert_eq!(format!("{path:?}"), "\"/a\"");
    }
}
