//! Putting watches on the server by setWatches: all of them after a reconnect, or a few on a live
//! connection.
//!
//! The order of a restore matters for servers before 3.9, where the last registration on a path
//! wins: one-shots first, then persistent and recursive watches, which serve the one-shots on
//! their paths; last the child watches on paths with a recursive watch, which does not serve them.
//! One-shots are listed although a persistent watch will serve them, because only they are caught
//! up with what happened meanwhile.

use std::borrow::Cow;

use zk_proto::{SetWatches, Zxid};

use super::{CHILD, DATA, Entry, PERSISTENT, RECURSIVE, Watches};
use crate::queue::WatchKind;

/// How much one setWatches may hold: below the frame limit of any server (128 KiB of paths, as
/// `ClientCnxn.primeConnection` of the Java client).
const CHUNK: usize = 128 << 10;

/// How far the restore after a reconnect has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restore {
    phase: Phase,
    at: usize,
    /// What this session had seen when it reconnected: later changes are caught up with.
    pub(crate) since: Zxid,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    OneShots,
    Lasting,
    /// Child watches that a recursive watch on their path has just replaced.
    Children,
    Done,
}

impl Restore {
    pub(crate) fn new(since: Zxid) -> Self {
        Self {
            phase: Phase::OneShots,
            at: 0,
            since,
        }
    }
}

/// Paths by the list of setWatches they belong to.
#[derive(Debug, Default)]
pub(crate) struct Lists<'a> {
    data: Vec<Cow<'a, str>>,
    exist: Vec<Cow<'a, str>>,
    child: Vec<Cow<'a, str>>,
    persistent: Vec<Cow<'a, str>>,
    recursive: Vec<Cow<'a, str>>,
    size: usize,
}

impl<'a> Lists<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0
    }

    pub(crate) fn into_request(self, since: Zxid) -> SetWatches<'a> {
        SetWatches {
            relative_zxid: since,
            data: self.data,
            exist: self.exist,
            child: self.child,
            persistent: self.persistent,
            recursive: self.recursive,
            extended: false,
        }
    }

    fn add(&mut self, path: &'a str, list: impl FnOnce(&mut Self) -> &mut Vec<Cow<'a, str>>) {
        self.size += path.len() + 4;
        list(self).push(Cow::Borrowed(path));
    }

    fn add_one_shots(&mut self, entry: &'a Entry, data: bool, child: bool) {
        if data && entry.needs(&[WatchKind::Data]) {
            self.add(&entry.path, |l| &mut l.data);
        }
        if data && entry.needs(&[WatchKind::Exist]) {
            self.add(&entry.path, |l| &mut l.exist);
        }
        if child && entry.needs_child() {
            self.add(&entry.path, |l| &mut l.child);
        }
    }
}

impl Watches {
    /// The lists that put the watches of one path on the server as far as `arm` says.
    pub(crate) fn lists_for(&self, path: &str, arm: u8) -> Lists<'_> {
        let mut lists = Lists::default();
        let at = self.index.get(path);
        if let Some(entry) = at.and_then(|at| self.entries[*at as usize].as_ref()) {
            lists.add_one_shots(entry, arm & DATA != 0, arm & CHILD != 0);
            if arm & PERSISTENT != 0 {
                lists.add(&entry.path, |l| &mut l.persistent);
            }
            if arm & RECURSIVE != 0 {
                lists.add(&entry.path, |l| &mut l.recursive);
            }
        }
        lists
    }

    /// The next part of a restore, and whether more will come; `None` when there is nothing more.
    pub(crate) fn next_chunk(&mut self, restore: &mut Restore) -> Option<(Lists<'_>, bool)> {
        let (from_phase, from) = (restore.phase, restore.at);
        let (mut phase, mut at) = (from_phase, from);
        // First what is armed thereby, then, with the table borrowed, the lists.
        let mut size = 0;
        while phase != Phase::Done {
            if at == self.entries.len() {
                at = 0;
                phase = match phase {
                    Phase::OneShots => Phase::Lasting,
                    // What follows must be a request of its own: within one, children come first.
                    Phase::Lasting if size > 0 => {
                        phase = Phase::Children;
                        break;
                    }
                    Phase::Lasting => Phase::Children,
                    Phase::Children | Phase::Done => Phase::Done,
                };
                continue;
            }
            if let Some(entry) = &mut self.entries[at] {
                let cost = entry.cost(phase);
                if size > 0 && size + cost > CHUNK {
                    break;
                }
                if cost > 0 {
                    entry.armed = entry.armed_after(phase);
                }
                size += cost;
            }
            at += 1;
        }
        restore.phase = phase;
        restore.at = at;
        let more = self.has_more(phase, at);
        let mut lists = Lists::default();
        let (mut walk, mut i) = (from_phase, from);
        while (walk, i) != (phase, at) && walk != Phase::Done {
            if i == self.entries.len() {
                i = 0;
                walk = match walk {
                    Phase::OneShots => Phase::Lasting,
                    Phase::Lasting => Phase::Children,
                    Phase::Children | Phase::Done => Phase::Done,
                };
                continue;
            }
            if let Some(entry) = &self.entries[i] {
                lists.add_phase(entry, walk);
            }
            i += 1;
        }
        (!lists.is_empty()).then_some((lists, more))
    }

    fn has_more(&self, phase: Phase, at: usize) -> bool {
        let rest = |phase, from| {
            let mut left = self.entries[from..].iter().flatten();
            left.any(|entry| entry.cost(phase) > 0)
        };
        match phase {
            Phase::OneShots => {
                rest(phase, at) || rest(Phase::Lasting, 0) || rest(Phase::Children, 0)
            }
            Phase::Lasting => rest(phase, at) || rest(Phase::Children, 0),
            Phase::Children => rest(phase, at),
            Phase::Done => false,
        }
    }
}

impl<'a> Lists<'a> {
    fn add_phase(&mut self, entry: &'a Entry, phase: Phase) {
        if entry.unserved.is_some() {
            // It has seen less than the others: it gets a setWatches of its own.
            return;
        }
        let recursive = entry.needs_recursive();
        match phase {
            Phase::OneShots => self.add_one_shots(entry, true, !recursive),
            Phase::Lasting if recursive => self.add(&entry.path, |l| &mut l.recursive),
            Phase::Lasting if entry.needs_persistent() => {
                self.add(&entry.path, |l| &mut l.persistent);
            }
            Phase::Children if recursive => self.add_one_shots(entry, false, true),
            Phase::Lasting | Phase::Children | Phase::Done => {}
        }
    }
}

impl Entry {
    /// How much room it takes in the lists.
    fn cost(&self, phase: Phase) -> usize {
        if self.unserved.is_some() {
            return 0;
        }
        let recursive = self.needs_recursive();
        let lists = match phase {
            Phase::OneShots => {
                usize::from(self.needs(&[WatchKind::Data]))
                    + usize::from(self.needs(&[WatchKind::Exist]))
                    + usize::from(!recursive && self.needs_child())
            }
            Phase::Lasting => usize::from(recursive || self.needs_persistent()),
            Phase::Children => usize::from(recursive && self.needs_child()),
            Phase::Done => 0,
        };
        lists * (self.path.len() + 4)
    }

    fn armed_after(&self, phase: Phase) -> u8 {
        match phase {
            Phase::OneShots => {
                let data = if self.needs_data() { DATA } else { 0 };
                let child = if self.needs_child() && !self.needs_recursive() {
                    CHILD
                } else {
                    0
                };
                self.armed | data | child
            }
            Phase::Lasting if self.needs_recursive() => RECURSIVE,
            Phase::Lasting => PERSISTENT,
            Phase::Children => self.armed | CHILD,
            Phase::Done => self.armed,
        }
    }
}
