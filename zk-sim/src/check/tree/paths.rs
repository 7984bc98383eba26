//! Paths, by the rules of the server and not those of the client, which never sends most of them.

/// The name that a node is kept under: servers know the root by the empty path too.
pub(crate) fn key(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// All before the last slash. The root is its own parent.
pub(crate) fn parent(path: &str) -> &str {
    key(path.rsplit_once('/').map_or("", |(above, _)| above))
}

/// The name below `above`, if `path` is one of its children.
pub(crate) fn child_name<'a>(above: &str, path: &'a str) -> Option<&'a str> {
    let name = path
        .strip_prefix(above.trim_end_matches('/'))?
        .strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

pub(crate) fn is_valid(path: &str) -> bool {
    let Some(below) = path.strip_prefix('/') else {
        return false;
    };
    let component = |name: &str| !name.is_empty() && name != "." && name != "..";
    below.is_empty() || below.split('/').all(component) && !below.chars().any(is_forbidden)
}

pub(crate) fn has_slash_and_no_nul(path: &str) -> bool {
    path.contains('/') && !path.contains('\0')
}

/// Is this a node that the server itself needs?
pub(crate) fn is_special(path: &str) -> bool {
    matches!(
        path,
        "" | "/" | "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config"
    )
}

/// Servers look at UTF-16 units: all beyond the basic plane are made of surrogates there.
fn is_forbidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}
