//! What each local watcher is entitled to, and whether it got it.

use std::collections::BTreeMap;

use zk_proto::{ErrorCode, EventType, Zxid};
use zk_session::{Event, Notice, RequestError, RequestId, WatchId, WatchedEvent};

use crate::cluster::{Cluster, Freight, Phase};
use crate::registry::{Flavour, PERSISTENT, RECURSIVE, STANDARD};
use crate::tree::Change;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    pub fn lasts(self) -> bool {
        matches!(self, Self::Persistent | Self::Recursive)
    }
}

#[derive(Clone, Debug)]
pub struct Watcher {
    pub kind: Kind,
    /// On the server.
    pub path: String,
    /// How much of it the application does not see.
    pub prefix: usize,
    /// The state it was registered in, if it is.
    since: Option<i64>,
    told: Vec<(i64, EventType, String)>,
    /// Changes up to this one were seen by the read that a gap asks for.
    covered: i64,
}

impl Watcher {
    pub fn new(kind: Kind, path: &str, prefix: usize) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            prefix,
            since: None,
            told: Vec::new(),
            covered: 0,
        }
    }

    fn is_due(&self, change: &Change) -> bool {
        let here = change.path == self.path;
        let children = change.kind == EventType::NODE_CHILDREN_CHANGED;
        match self.kind {
            Kind::Data | Kind::Exist => here && !children,
            Kind::Child => here && (children || change.kind == EventType::NODE_DELETED),
            Kind::Persistent => here,
            Kind::Recursive => {
                let under = self.path.trim_end_matches('/');
                let rest = change.path.strip_prefix(under);
                !children && (here || rest.is_some_and(|rest| rest.starts_with('/')))
            }
        }
    }

    fn event(&mut self, freight: Freight, event: &WatchedEvent, changes: &[Change]) {
        let since = self.since.expect("a watcher that is registered");
        let full = format!("{}{}", &self.path[..self.prefix], event.path);
        let full = match full.trim_end_matches('/') {
            "" => "/",
            path => path,
        };
        let mut after = changes.iter().filter(|c| c.zxid > since);
        match freight {
            Freight::Change(zxid) => {
                let change = Change {
                    zxid,
                    kind: event.kind,
                    path: full.to_owned(),
                };
                assert!(self.is_due(&change), "{change:?} is not for {self:?}");
                assert!(after.any(|c| *c == change), "{change:?} for {self:?}");
                let told = (zxid, change.kind, change.path);
                assert!(!self.told.contains(&told), "{told:?} twice to {self:?}");
                self.told.push(told);
                assert!(event.zxid == Zxid(zxid) || event.zxid == Zxid::ZERO);
            }
            Freight::CatchUp => {
                // It may be about a change that others on the path have missed.
                let known = changes.iter().any(|c| c.path == full);
                assert!(known, "{event:?} from nowhere for {self:?}");
            }
            Freight::Other => panic!("{event:?} out of nothing for {self:?}"),
        }
    }

    /// Has everything reached it that it was entitled to?
    fn verify(&self, id: WatchId, cluster: &Cluster) {
        let Some(since) = self.since else { return };
        let stat = cluster.tree.stat(&self.path);
        let quiet = match self.kind {
            Kind::Data => stat.is_some_and(|s| s.mzxid.0 <= since),
            Kind::Exist => stat.is_none(),
            Kind::Child => stat.is_some_and(|s| s.pzxid.0 <= since),
            Kind::Persistent | Kind::Recursive => cluster
                .changes
                .iter()
                .filter(|c| c.zxid > since.max(self.covered) && self.is_due(c))
                .all(|c| self.told.contains(&(c.zxid, c.kind, c.path.clone()))),
        };
        assert!(
            quiet,
            "{id} was not told: {self:?}, {stat:?}, {:?}",
            cluster.changes
        );
    }
}

/// All watchers of a session.
#[derive(Debug, Default)]
pub struct Watchers {
    pub live: BTreeMap<WatchId, Watcher>,
    asked: BTreeMap<RequestId, WatchId>,
    /// Reads that gaps have led to.
    reads: BTreeMap<RequestId, WatchId>,
}

impl Watchers {
    pub fn asked(&mut self, request: RequestId, id: WatchId, watcher: Watcher) {
        self.live.insert(id, watcher);
        self.asked.insert(request, id);
    }

    pub fn read(&mut self, request: RequestId, id: WatchId) {
        self.reads.insert(request, id);
    }

    /// Its request was taken back.
    pub fn cancelled(&mut self, request: RequestId) {
        if let Some(id) = self.asked.remove(&request) {
            self.live.remove(&id);
        }
    }

    /// An event of the session. Tells who is to read again.
    pub fn event(
        &mut self,
        freight: Freight,
        event: &Event,
        changes: &[Change],
    ) -> Option<WatchId> {
        match event {
            Event::Completed { id, zxid, result } => {
                if let (Some(watch), true) = (self.reads.remove(id), answered(result)) {
                    if let Some(watcher) = self.live.get_mut(&watch) {
                        watcher.covered = watcher.covered.max(zxid.0);
                    }
                }
                let watch = self.asked.remove(id)?;
                let watcher = self.live.get_mut(&watch)?;
                watcher.since = Some(zxid.0);
                if result.is_ok() && watcher.kind == Kind::Exist {
                    watcher.kind = Kind::Data;
                }
                let missing = watcher.kind == Kind::Exist && answered(result);
                if result.is_err() && !missing {
                    self.live.remove(&watch);
                }
                None
            }
            Event::Watch { id, notice } => {
                let watcher = self.live.get_mut(id).expect("a watcher that is there");
                match notice {
                    Notice::Event(event) => {
                        watcher.event(freight, event, changes);
                        if !watcher.kind.lasts() {
                            self.live.remove(id);
                        }
                    }
                    Notice::Gap { .. } => return Some(*id),
                    _ => {
                        self.live.remove(id);
                    }
                }
                None
            }
            _ => None,
        }
    }

    /// What holds when nothing is on its way.
    pub fn at_rest(&self, cluster: &Cluster) {
        for (id, watcher) in &self.live {
            watcher.verify(*id, cluster);
        }
        let open = |phase| matches!(phase, Phase::Open(_));
        for peer in cluster.peers.values().filter(|p| open(p.phase)) {
            let registry = &peer.registry;
            for (map, one_shots) in [
                (&registry.data, &[Kind::Data, Kind::Exist][..]),
                (&registry.child, &[Kind::Child][..]),
            ] {
                for (path, modes) in map {
                    let excess = modes & !self.needed(path, one_shots, cluster.flavour);
                    let who = &self.live;
                    assert!(excess == 0, "{path} has {modes} for {who:?}");
                }
            }
        }
    }

    fn needed(&self, path: &str, one_shots: &[Kind], flavour: Flavour) -> u8 {
        let mut needed = 0;
        for watcher in self.live.values().filter(|w| w.path == path) {
            needed |= match (flavour, watcher.kind) {
                // Where modes coexist, a one-shot beneath a lasting watch does no harm.
                (Flavour::Coexisting, _) => STANDARD | PERSISTENT | RECURSIVE,
                (_, Kind::Persistent) => PERSISTENT,
                (_, Kind::Recursive) => RECURSIVE,
                (_, kind) if one_shots.contains(&kind) => STANDARD,
                _ => 0,
            };
        }
        needed
    }
}

/// Has the server looked, whether or not it found anything?
fn answered<T>(result: &Result<T, RequestError>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => *error == RequestError::Server(ErrorCode::NO_NODE),
    }
}
