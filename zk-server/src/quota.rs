//! Quotas (ZooKeeper Quota guide): limits and usage, both kept as text in nodes.

use std::fmt;

use zk_proto::ErrorCode;

use crate::{Tree, path};

const LIMITS: &str = "zookeeper_limits";
const USAGE: &str = "zookeeper_stats";

/// What a node below `/zookeeper/quota` is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    /// It has the limits.
    Limits,
    /// It has what is used.
    Usage,
}

/// What the node at `path` is for, if it belongs to a quota, and the node that the quota is for.
pub(crate) fn role(path: &str) -> Option<(Role, &str)> {
    let (node, name) = path.strip_prefix(path::QUOTA)?.rsplit_once('/')?;
    let role = match name {
        LIMITS => Role::Limits,
        USAGE => Role::Usage,
        _ => return None,
    };
    node.starts_with('/').then_some((role, node))
}

/// Where the usage of the quota of `node` is kept.
pub(crate) fn usage_path(node: &str) -> String {
    format!("{}{node}/{USAGE}", path::QUOTA)
}

/// Whether a write would exceed a hard limit (`ZooKeeperServer.checkQuota`). As there, it is held
/// against the usage before the whole request, within a multi too, and only what the write changes
/// counts.
pub(crate) fn check(tree: &Tree, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
    let Some(node) = tree.quota_above(path) else {
        return Ok(());
    };
    let limits_path = format!("{}{node}/{LIMITS}", path::QUOTA);
    let (Some(limits), Some(usage)) = (tree.node(&limits_path), tree.node(&usage_path(node)))
    else {
        return Ok(());
    };
    let limits = Track::parse(limits.data());
    let usage = Track::parse(usage.data()).plus(bytes, count);
    let exceeded = |change: i64, used: i64, limit: i64| change != 0 && limit > -1 && used > limit;
    if exceeded(count, usage.count, limits.count_hard)
        || exceeded(bytes, usage.bytes, limits.bytes_hard)
    {
        return Err(ErrorCode::QUOTA_EXCEEDED);
    }
    Ok(())
}

/// Limits or usage (`StatsTrack` of the Java server). -1 is no limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    /// What cannot be read counts as -1.
    pub(crate) fn parse(text: Option<&[u8]>) -> Self {
        let mut track = Self {
            count: -1,
            bytes: -1,
            count_hard: -1,
            bytes_hard: -1,
        };
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let slot = match parts.next() {
                Some("count") => &mut track.count,
                Some("bytes") => &mut track.bytes,
                Some("countHardLimit") => &mut track.count_hard,
                Some("byteHardLimit") => &mut track.bytes_hard,
                Some(_) | None => continue,
            };
            *slot = parts
                .next()
                .and_then(|n| n.trim().parse().ok())
                .unwrap_or(-1);
        }
        track
    }

    /// What a node and all below it use.
    pub(crate) fn of_subtree(tree: &Tree, path: &str) -> Self {
        let none = Self {
            count: 0,
            bytes: 0,
            count_hard: -1,
            bytes_hard: -1,
        };
        tree.subtree(path).fold(none, |track, (_, node)| {
            track.plus(node.data.len() as i64, 1)
        })
    }

    pub(crate) fn plus(self, bytes: i64, count: i64) -> Self {
        Self {
            count: self.count.saturating_add(count),
            bytes: self.bytes.saturating_add(bytes),
            ..self
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "count={},bytes={}", self.count, self.bytes)?;
        // The sign keeps what follows from releases that know nothing of it.
        let mut before = "=;";
        for (name, limit) in [
            ("byteHardLimit", self.bytes_hard),
            ("countHardLimit", self.count_hard),
        ] {
            if limit > -1 {
                write!(f, "{before}{name}={limit}")?;
                before = ";";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
