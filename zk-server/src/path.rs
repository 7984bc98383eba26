//! Paths as servers see them: nothing is normalised, what is not valid is refused or not found.

use zk_proto::ZnodePath;

/// The node above all others.
pub(crate) const ROOT: &str = "/";
/// The server's own nodes.
pub(crate) const ZOOKEEPER: &str = "/zookeeper";
/// The configuration of the ensemble.
pub(crate) const CONFIG: &str = "/zookeeper/config";
/// Above the quotas.
pub(crate) const QUOTA: &str = "/zookeeper/quota";

/// Whether a node may have this path (`PathUtils.validatePath` of the Java client).
pub(crate) fn is_valid(path: &str) -> bool {
    ZnodePath::parse(path).is_ok_and(|normal| normal.as_str() == path)
}

/// Whether the node is one that the server cannot be without (`DataTree.isSpecialPath`).
pub(crate) fn is_special(path: &str) -> bool {
    [ROOT, ZOOKEEPER, CONFIG, QUOTA].contains(&path)
}

/// What is in front of the last slash. The root has the empty path there, which the tree knows as
/// well. `None` without a slash, or with a NUL.
pub(crate) fn parent_of(path: &str) -> Option<&str> {
    let (parent, _) = path.rsplit_once('/')?;
    (!path.contains('\0')).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_change_is_valid() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/.x",
            "/..x",
            "/a b",
            "/\u{65e5}\u{672c}",
        ] {
            assert!(is_valid(path), "{path:?}");
        }
        for path in [
            "",
            "a",
            "/a/",
            "//a",
            "/a//b",
            "/.",
            "/a/..",
            "/a/./b",
            "/a\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn parents() {
        assert_eq!(parent_of("/a/b"), Some("/a"));
        assert_eq!(parent_of("/a"), Some(""));
        assert_eq!(parent_of("/"), Some(""));
        assert_eq!(parent_of("/a/"), Some("/a"));
        assert_eq!(parent_of("a"), None);
        assert_eq!(parent_of(""), None);
        assert_eq!(parent_of("/a\0"), None);
    }
}
