//! What a server knows about a node besides its data.

use std::time::Duration;

use crate::{DecodeError, Reader, SessionId, Zxid, put_int, put_long};

/// The metadata of a node (ZooKeeper Programmer's Guide, ZooKeeper Stat Structure).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Stat {
    /// The transaction that created the node.
    pub czxid: Zxid,
    /// The transaction that last changed the data.
    pub mzxid: Zxid,
    /// When the node was created, in milliseconds since 1970, by the clock of the leader.
    pub ctime: i64,
    /// When the data was last changed, in milliseconds since 1970, by the clock of the leader.
    pub mtime: i64,
    /// The number of changes of the data.
    pub version: i32,
    /// The number of children created and deleted.
    pub cversion: i32,
    /// The number of changes of the access control list.
    pub aversion: i32,
    /// The session that an ephemeral node belongs to, else [`SessionId::NONE`].
    pub ephemeral_owner: SessionId,
    /// The length of the data in bytes.
    pub data_length: i32,
    /// The number of children.
    pub num_children: i32,
    /// The transaction that last created or deleted a child.
    pub pzxid: Zxid,
}

impl Stat {
    /// The number of bytes that it takes.
    pub const LEN: usize = 68;

    /// Appends it.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_long(out, self.czxid.0);
        put_long(out, self.mzxid.0);
        put_long(out, self.ctime);
        put_long(out, self.mtime);
        put_int(out, self.version);
        put_int(out, self.cversion);
        put_int(out, self.aversion);
        put_long(out, self.ephemeral_owner.0);
        put_int(out, self.data_length);
        put_int(out, self.num_children);
        put_long(out, self.pzxid.0);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    #[inline]
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: Zxid(reader.long("czxid")?),
            mzxid: Zxid(reader.long("mzxid")?),
            ctime: reader.long("ctime")?,
            mtime: reader.long("mtime")?,
            version: reader.int("version")?,
            cversion: reader.int("cversion")?,
            aversion: reader.int("aversion")?,
            ephemeral_owner: SessionId(reader.long("ephemeralOwner")?),
            data_length: reader.int("dataLength")?,
            num_children: reader.int("numChildren")?,
            pzxid: Zxid(reader.long("pzxid")?),
        })
    }

    /// When the node was created, since 1970, by the clock of the leader.
    pub fn created(&self) -> Duration {
        since_1970(self.ctime)
    }

    /// When the data was last changed, since 1970, by the clock of the leader.
    pub fn last_modified(&self) -> Duration {
        since_1970(self.mtime)
    }

    /// The number of changes of the access control list.
    pub fn acl_version(&self) -> i32 {
        self.aversion
    }

    /// The number of children created and deleted.
    pub fn children_version(&self) -> i32 {
        self.cversion
    }

    /// The session that an ephemeral node belongs to.
    pub fn owner_session_id(&self) -> Option<SessionId> {
        (!self.ephemeral_owner.is_none()).then_some(self.ephemeral_owner)
    }

    /// The transaction that created the node.
    pub fn creation_transaction_id(&self) -> Zxid {
        self.czxid
    }

    /// The transaction that last changed the data.
    pub fn last_modified_transaction_id(&self) -> Zxid {
        self.mzxid
    }

    /// The length of the data in bytes.
    pub fn data_length(&self) -> i32 {
        self.data_length
    }

    /// The number of children.
    pub fn children_count(&self) -> i32 {
        self.num_children
    }
}

/// A time before 1970 can only be an accident; it reads as 1970.
fn since_1970(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_properties_are_the_raw_fields() {
        let stat = Stat {
            czxid: Zxid(1),
            mzxid: Zxid(2),
            ctime: 1500,
            mtime: -1,
            version: 3,
            cversion: 4,
            aversion: 5,
            ephemeral_owner: SessionId(6),
            data_length: 7,
            num_children: 8,
            pzxid: Zxid(9),
        };
        assert_eq!(stat.created(), Duration::from_millis(1500));
        assert_eq!(stat.last_modified(), Duration::ZERO);
        assert_eq!((stat.acl_version(), stat.children_version()), (5, 4));
        assert_eq!(stat.owner_session_id(), Some(SessionId(6)));
        assert_eq!(Stat::default().owner_session_id(), None);
        assert_eq!(stat.creation_transaction_id(), Zxid(1));
        assert_eq!(stat.last_modified_transaction_id(), Zxid(2));
        assert_eq!((stat.data_length(), stat.children_count()), (7, 8));
        let mut out = Vec::new();
        stat.encode(&mut out);
        assert_eq!(out.len(), Stat::LEN);
    }
}
