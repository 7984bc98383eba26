//! [`Tree`]: nodes by path, each right before all that is below it.

use std::collections::BTreeMap;
use std::ops::Bound;

use zk_client::{Payload, Stat};

/// Nodes, sorted so that what is below a node follows it without a gap.
///
/// In keys a NUL, which no path can hold, stands for the slash: it comes before everything that names
/// are made of, so that the order of the keys is that of the tree. The root is the empty key.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: BTreeMap<Box<str>, Node>,
}

/// What is known of a node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) data: Payload,
    pub(crate) stat: Stat,
    /// A list has been seen that is no older than this stat, and all that is not on it was taken out.
    pub(crate) is_listed: bool,
}

impl Tree {
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&*key(path))
    }

    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(&*key(path))
    }

    /// Puts a node in, and hands back what was there.
    pub(crate) fn insert(&mut self, path: &str, node: Node) -> Option<Node> {
        self.nodes.insert(key(path).into(), node)
    }

    /// Takes a node out with all that is below it: the deepest first.
    pub(crate) fn remove(&mut self, path: &str) -> Vec<(String, Node)> {
        let top = key(path);
        let mut out = self.remove_below(path);
        if let Some(node) = self.nodes.remove(&*top) {
            out.push((path.to_owned(), node));
        }
        out
    }

    /// Takes out all that is below a node: the deepest first.
    pub(crate) fn remove_below(&mut self, path: &str) -> Vec<(String, Node)> {
        let (from, to) = below(&key(path));
        let keys: Vec<Box<str>> = self
            .nodes
            .range::<str, _>(between(&from, &to))
            .map(|(key, _)| key.clone())
            .collect();
        let taken = keys.iter().rev().filter_map(|key| {
            let node = self.nodes.remove(key)?;
            Some((path_of(key), node))
        });
        taken.collect()
    }

    /// The names of a node's children, sorted.
    pub(crate) fn children(&self, path: &str) -> Children<'_> {
        let (from, to) = below(&key(path));
        Children {
            tree: self,
            prefix: from.len(),
            from,
            to,
        }
    }

    /// A node and all that is below it, parents first.
    pub(crate) fn walk(&self, path: &str) -> impl Iterator<Item = (String, &Node)> {
        let top = key(path);
        let (from, to) = below(&top);
        let node = self.nodes.get_key_value(&*top);
        let rest = self.nodes.range::<str, _>(between(&from, &to));
        node.into_iter()
            .chain(rest)
            .map(|(key, node)| (path_of(key), node))
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
    }
}

/// The names of a node's children: what is deeper is jumped over.
pub(crate) struct Children<'a> {
    tree: &'a Tree,
    prefix: usize,
    from: String,
    to: String,
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let range = between(&self.from, &self.to);
            let (key, _) = self.tree.nodes.range::<str, _>(range).next()?;
            let name = &key[self.prefix..];
            match name.find('\0') {
                None => {
                    // The next key that is possible; below the child comes first.
                    self.from.clear();
                    self.from.push_str(key);
                    self.from.push('\0');
                    return Some(name);
                }
                Some(end) => {
                    self.from.clear();
                    self.from.push_str(&key[..self.prefix + end]);
                    self.from.push('\u{1}');
                }
            }
        }
    }
}

fn key(path: &str) -> String {
    if path == "/" {
        return String::new();
    }
    path.replace('/', "\0")
}

fn path_of(key: &str) -> String {
    if key.is_empty() {
        return "/".to_owned();
    }
    key.replace('\0', "/")
}

/// The first key that what is below a node can have, and the first behind all of them.
fn below(key: &str) -> (String, String) {
    (format!("{key}\0"), format!("{key}\u{1}"))
}

fn between<'a>(from: &'a str, to: &'a str) -> (Bound<&'a str>, Bound<&'a str>) {
    (Bound::Included(from), Bound::Excluded(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let node = Node {
                data: Payload::null(),
                stat: Stat::default(),
                is_listed: false,
            };
            assert!(tree.insert(path, node).is_none());
        }
        tree
    }

    fn paths(tree: &Tree, path: &str) -> Vec<String> {
        tree.walk(path).map(|(path, _)| path).collect()
    }

    #[test]
    fn names_that_sort_before_a_slash_do_not_come_between() {
        let all = [
            "/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/b!", "/a/b!/x", "/a!", "/ab",
        ];
        let mut tree = tree(&all);
        assert_eq!(paths(&tree, "/"), all);
        assert_eq!(tree.children("/").collect::<Vec<_>>(), ["a", "a!", "ab"]);
        assert_eq!(tree.children("/a").collect::<Vec<_>>(), ["b", "b!"]);
        assert_eq!(tree.children("/a/b").collect::<Vec<_>>(), ["c"]);
        assert_eq!(tree.children("/nowhere").count(), 0);
        let gone = tree.remove("/a/b").into_iter().map(|(path, _)| path);
        assert_eq!(gone.collect::<Vec<_>>(), ["/a/b/c/d", "/a/b/c", "/a/b"]);
        let gone = tree.remove_below("/").into_iter().map(|(path, _)| path);
        assert_eq!(
            gone.collect::<Vec<_>>(),
            ["/ab", "/a!", "/a/b!/x", "/a/b!", "/a"]
        );
        assert_eq!(paths(&tree, "/"), ["/"]);
        assert_eq!(tree.len(), 1);
    }
}
