//! What the generator knows of the servers: enough to ask for things that are there.

use std::collections::BTreeMap;

use zk_proto::{ErrorCode, MultiOp, MultiResult, Reply, Request, Stat};

use super::compare::Seen;
use super::rng::Rng;

/// Names that nodes have, at every level.
const NAMES: [&str; 5] = ["a", "b", "c", "日本", "x y"];

/// Paths that are not those of nodes, or are aliases, or belong to the server.
const ODD_PATHS: [&str; 22] = [
    "",
    "a",
    "/a/",
    "//a",
    "/a//b",
    "/./a",
    "/a/.",
    "/a/..",
    "/..",
    "/.x",
    "/a/..x",
    "/a\u{0}b",
    "/a/\u{1}",
    "/\u{7f}",
    "/\u{9f}",
    "/\u{e000}",
    "/\u{fff0}",
    "/zookeeper",
    "/zookeeper/quota",
    "/zookeeper/config",
    "/zookeeper/quota/a",
    "//",
];

/// A node as last seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) version: i32,
    pub(super) aversion: i32,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) nodes: BTreeMap<String, Known>,
    /// Whether there may be quotas that count.
    pub(super) hard_quota: bool,
    /// The last transaction seen.
    pub(super) zxid: i64,
}

impl World {
    /// A path at random, in or out of the universe of paths.
    pub(super) fn path(&self, rng: &mut Rng) -> String {
        match rng.weighted(&[60, 30, 5, 5]) {
            0 => self.known(rng).unwrap_or_else(|| fresh(rng)),
            1 => fresh(rng),
            2 => "/".to_owned(),
            _ => (*rng.pick(&ODD_PATHS)).to_owned(),
        }
    }

    /// A node that is probably there.
    pub(super) fn known(&self, rng: &mut Rng) -> Option<String> {
        (!self.nodes.is_empty())
            .then(|| self.nodes.keys().nth(rng.below(self.nodes.len())).cloned())
            .flatten()
    }

    /// A node that is probably there, and has no children that are known.
    pub(super) fn leaf(&self, rng: &mut Rng) -> Option<String> {
        let mut path = self.known(rng)?;
        loop {
            let below = format!("{path}/");
            match self.nodes.range(below.clone()..).next() {
                Some((next, _)) if next.starts_with(&below) => path.clone_from(next),
                _ => return Some(path),
            }
        }
    }

    /// A version that the node has, or not.
    pub(super) fn version(&self, rng: &mut Rng, of: Option<i32>) -> i32 {
        let right = of.unwrap_or(0);
        match rng.weighted(&[45, 40, 5, 5, 3, 2]) {
            0 => -1,
            1 => right,
            2 => right.wrapping_add(1),
            3 => right.wrapping_sub(1),
            4 => -2,
            _ => *rng.pick(&[0, i32::MIN, i32::MAX]),
        }
    }

    /// Takes note of what became of a request.
    pub(super) fn learn(&mut self, request: &Request<'_>, seen: &Seen) {
        let Some(path) = request.path() else {
            if let (Request::Multi(ops), Some(Reply::Multi(results))) = (request, seen.body()) {
                self.learn_multi(ops, results);
            }
            return;
        };
        self.hard_quota |= path.ends_with("/zookeeper_limits") && seen.err() == Some(ErrorCode::OK);
        match (request, seen.body()) {
            (Request::Create { .. }, Some(Reply::Path(path) | Reply::Created { path, .. })) => {
                self.learn_node(path, Known::default());
            }
            (Request::Delete { .. }, Some(_)) => drop(self.nodes.remove(path)),
            (
                _,
                Some(
                    Reply::Stat(stat)
                    | Reply::Data { stat, .. }
                    | Reply::Acl { stat, .. }
                    | Reply::ChildrenStat { stat, .. },
                ),
            ) => self.learn_stat(path, stat),
            (Request::Exists { .. } | Request::GetData { .. } | Request::SetData { .. }, None)
                if seen.err() == Some(ErrorCode::NO_NODE) =>
            {
                self.nodes.remove(path);
            }
            _ => {}
        }
    }

    fn learn_stat(&mut self, path: &str, stat: &Stat) {
        let known = Known {
            version: stat.version,
            aversion: stat.aversion,
        };
        self.learn_node(path, known);
    }

    /// Nodes of quotas are left to those who know what to write into them: a server that cannot
    /// read one ends.
    fn learn_node(&mut self, path: &str, known: Known) {
        if path.starts_with('/') && path != "/" && !path.starts_with("/zookeeper") {
            self.nodes.insert(path.to_owned(), known);
        }
    }

    fn learn_multi(&mut self, ops: &[MultiOp<'_>], results: &[MultiResult]) {
        for (op, result) in ops.iter().zip(results) {
            match result {
                MultiResult::Created { path, .. } => self.learn_node(path, Known::default()),
                MultiResult::Deleted => drop(self.nodes.remove(op.path())),
                MultiResult::Set(stat) => self.learn_stat(op.path(), stat),
                MultiResult::Checked | MultiResult::Error(_) => {}
            }
        }
    }
}

/// A path of up to three names.
pub(super) fn fresh(rng: &mut Rng) -> String {
    let depth = 1 + rng.weighted(&[40, 40, 20]);
    (0..depth)
        .map(|_| format!("/{}", rng.pick(&NAMES)))
        .collect()
}
