//! Watches: their kinds, and how they are registered again after a reconnect.

use std::{borrow::Cow, fmt};

use crate::{DecodeError, OpCode, Reader, Zxid, opcode::named_constants, put_long, put_texts};

/// Which watches a removal or a check is about (`Watcher.WatcherType` of the Java client).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct WatcherType(pub i32);

named_constants! { WatcherType {
    /// Those of getChildren.
    CHILDREN = 1, "Children";
    /// Those of getData and exists.
    DATA = 2, "Data";
    /// All of them.
    ANY = 3, "Any";
    /// Those added as persistent. Since ZooKeeper 3.9; before, servers answer MarshallingError.
    PERSISTENT = 4, "Persistent";
    /// Those added as persistent and recursive. Since ZooKeeper 3.9, as above.
    PERSISTENT_RECURSIVE = 5, "PersistentRecursive";
} }

impl fmt::Display for WatcherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})",
            self.name().unwrap_or("unknown watcher type"),
            self.0
        )
    }
}

/// What a watch that is added covers (`AddWatchMode` of the Java client).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AddWatchMode(pub i32);

named_constants! { AddWatchMode {
    /// The node and the list of its children.
    PERSISTENT = 0, "Persistent";
    /// The node and everything below it.
    PERSISTENT_RECURSIVE = 1, "PersistentRecursive";
} }

impl fmt::Display for AddWatchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({})",
            self.name().unwrap_or("unknown watch mode"),
            self.0
        )
    }
}

/// The watches that a client had on the connection before (`SetWatches` and `SetWatches2` of the
/// Java client). Servers answer with the events that were missed meanwhile.
///
/// All paths are those on the server: no chroot is put before them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SetWatches<'a> {
    /// The last transaction that the client knows of: changes after it are events.
    pub relative_zxid: Zxid,
    /// Watched by getData, or by exists while the node was there.
    pub data: Vec<Cow<'a, str>>,
    /// Watched by exists while the node was missing.
    pub exist: Vec<Cow<'a, str>>,
    /// Watched by getChildren.
    pub child: Vec<Cow<'a, str>>,
    /// Added as persistent.
    pub persistent: Vec<Cow<'a, str>>,
    /// Added as persistent and recursive.
    pub recursive: Vec<Cow<'a, str>>,
    /// Use [`OpCode::SET_WATCHES2`] even if `persistent` and `recursive` are empty. Clients leave it
    /// false, so that servers before 3.6 understand what they can; decoding sets it as it was.
    pub extended: bool,
}

impl<'a> SetWatches<'a> {
    /// The operation: the older one if it is enough.
    pub fn opcode(&self) -> OpCode {
        if self.extended || !self.persistent.is_empty() || !self.recursive.is_empty() {
            OpCode::SET_WATCHES2
        } else {
            OpCode::SET_WATCHES
        }
    }

    /// Whether there is nothing to register.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
            && self.exist.is_empty()
            && self.child.is_empty()
            && self.persistent.is_empty()
            && self.recursive.is_empty()
    }

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.relative_zxid.0);
        put_texts(out, &self.data);
        put_texts(out, &self.exist);
        put_texts(out, &self.child);
        if self.opcode() == OpCode::SET_WATCHES2 {
            put_texts(out, &self.persistent);
            put_texts(out, &self.recursive);
        }
    }

    pub(crate) fn decode(extended: bool, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut watches = Self {
            relative_zxid: Zxid(reader.long("relativeZxid")?),
            data: paths("data watches", reader)?,
            exist: paths("exist watches", reader)?,
            child: paths("child watches", reader)?,
            extended,
            ..Self::default()
        };
        if extended {
            watches.persistent = paths("persistent watches", reader)?;
            watches.recursive = paths("persistent recursive watches", reader)?;
        }
        Ok(watches)
    }
}

/// Servers answer MarshallingError to a null vector here.
fn paths<'a>(
    what: &'static str,
    reader: &mut Reader<'a>,
) -> Result<Vec<Cow<'a, str>>, DecodeError> {
    let count = reader
        .vector_len_or_null(what, 4)?
        .ok_or(DecodeError::Null { what })?;
    (0..count).map(|_| reader.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_operation_is_used_if_it_is_enough() {
        let mut watches = SetWatches {
            data: vec!["/a".into()],
            ..SetWatches::default()
        };
        assert!(!watches.is_empty());
        assert_eq!(watches.opcode(), OpCode::SET_WATCHES);
        watches.recursive.push("/b".into());
        assert_eq!(watches.opcode(), OpCode::SET_WATCHES2);
        let extended = SetWatches {
            extended: true,
            ..SetWatches::default()
        };
        assert_eq!(extended.opcode(), OpCode::SET_WATCHES2);
        assert!(extended.is_empty());
    }

    #[test]
    fn names() {
        assert_eq!(WatcherType::ANY.to_string(), "Any (3)");
        assert_eq!(AddWatchMode(7).to_string(), "unknown watch mode (7)");
    }
}
