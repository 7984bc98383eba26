//! The data of a node.

use std::{fmt, sync::Arc};

/// The data of a node, shared by whoever holds it. Null is not the same as empty.
///
/// `Debug` shows the length only.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct NodeData(Option<Arc<[u8]>>);

impl NodeData {
    /// No data, as opposed to empty data.
    pub const NULL: Self = Self(None);

    /// The bytes, or `None` for null.
    #[inline]
    pub fn as_option(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    /// The number of bytes; 0 for null.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.len())
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Option<&[u8]>> for NodeData {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self(bytes.map(Arc::from))
    }
}

impl From<&[u8]> for NodeData {
    fn from(bytes: &[u8]) -> Self {
        Self(Some(Arc::from(bytes)))
    }
}

impl fmt::Debug for NodeData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "NodeData({} bytes)", bytes.len()),
            None => f.write_str("NodeData(null)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_empty() {
        let empty = NodeData::from(&b""[..]);
        assert_ne!(NodeData::NULL, empty);
        assert_eq!((NodeData::NULL.len(), empty.len()), (0, 0));
        assert_eq!(NodeData::from(None), NodeData::NULL);
        assert_eq!(empty.as_option(), Some(&b""[..]));
        assert!(NodeData::NULL.is_empty() && empty.is_empty());
    }

    #[test]
    fn debug_shows_the_length_only() {
        let shown = format!("{:?} {:?}", NodeData::from(&b"secret"[..]), NodeData::NULL);
        assert_eq!(shown, "NodeData(6 bytes) NodeData(null)");
    }
}
