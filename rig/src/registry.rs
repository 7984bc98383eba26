//! What a server has registered for one connection, as 3.8 and as 3.9 keep it
//! (`WatchManager` and `WatcherModeManager` of the server).

use std::collections::BTreeMap;

use zk_proto::{EventType, WatcherType};

pub const STANDARD: u8 = 1;
pub const PERSISTENT: u8 = 2;
pub const RECURSIVE: u8 = 4;

/// How modes on the same path get along.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// One mode for a path and registry: the last registration wins.
    Replacing,
    /// Modes coexist.
    Coexisting,
}

/// The two registries of a connection.
#[derive(Clone, Debug)]
pub struct Registry {
    pub flavour: Flavour,
    pub data: BTreeMap<String, u8>,
    pub child: BTreeMap<String, u8>,
}

impl Registry {
    pub fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            data: BTreeMap::new(),
            child: BTreeMap::new(),
        }
    }

    pub fn add_data(&mut self, path: &str, mode: u8) {
        add(self.flavour, &mut self.data, path, mode);
    }

    pub fn add_child(&mut self, path: &str, mode: u8) {
        add(self.flavour, &mut self.child, path, mode);
    }

    pub fn add_both(&mut self, path: &str, mode: u8) {
        self.add_data(path, mode);
        self.add_child(path, mode);
    }

    /// A change of `path`: the frames that it makes for this connection.
    pub fn change(&mut self, kind: EventType, path: &str) -> Vec<(EventType, String)> {
        let mut frames = Vec::new();
        let mut hit = trigger(&mut self.data, kind, path);
        if kind == EventType::NODE_DELETED {
            hit |= trigger(&mut self.child, kind, path);
        }
        if hit {
            frames.push((kind, path.to_owned()));
        }
        if kind != EventType::NODE_DATA_CHANGED {
            if let Some(parent) = parent_of(path) {
                let kind = EventType::NODE_CHILDREN_CHANGED;
                if trigger(&mut self.child, kind, parent) {
                    frames.push((kind, parent.to_owned()));
                }
            }
        }
        frames
    }

    /// Was anything removed?
    pub fn remove(&mut self, path: &str, kind: WatcherType) -> bool {
        let all = STANDARD | PERSISTENT | RECURSIVE;
        // Before 3.9 a removal does not look at the mode.
        let one = match self.flavour {
            Flavour::Replacing => all,
            Flavour::Coexisting => STANDARD,
        };
        let (data, child) = match kind {
            WatcherType::CHILDREN => (0, one),
            WatcherType::DATA => (one, 0),
            WatcherType::PERSISTENT => (PERSISTENT, PERSISTENT),
            WatcherType::PERSISTENT_RECURSIVE => (RECURSIVE, RECURSIVE),
            _ => (all, all),
        };
        let data = take(&mut self.data, path, data);
        take(&mut self.child, path, child) | data
    }
}

fn add(flavour: Flavour, map: &mut BTreeMap<String, u8>, path: &str, mode: u8) {
    let slot = map.entry(path.to_owned()).or_default();
    match flavour {
        Flavour::Replacing => *slot = mode,
        Flavour::Coexisting => *slot |= mode,
    }
}

fn take(map: &mut BTreeMap<String, u8>, path: &str, modes: u8) -> bool {
    let Some(slot) = map.get_mut(path) else {
        return false;
    };
    let found = *slot & modes != 0;
    *slot &= !modes;
    if *slot == 0 {
        map.remove(path);
    }
    found
}

fn trigger(map: &mut BTreeMap<String, u8>, kind: EventType, path: &str) -> bool {
    let lasting = kind != EventType::NODE_CHILDREN_CHANGED;
    let here = map.get(path).copied().unwrap_or_default();
    let mut hit = here & (STANDARD | PERSISTENT) != 0 || (lasting && here & RECURSIVE != 0);
    take(map, path, STANDARD);
    let mut below = path;
    while let Some(parent) = parent_of(below) {
        hit |= lasting && map.get(parent).is_some_and(|modes| modes & RECURSIVE != 0);
        below = parent;
    }
    hit
}

pub fn parent_of(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}
