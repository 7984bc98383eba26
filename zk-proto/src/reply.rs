//! Everything that a server can answer.

use std::fmt;

use bytes::Bytes;

use crate::{
    Acl, Children, Chroot, DecodeError, MultiResult, OpCode, Payload, ReadResult, Reader, Stat,
    data::Length, put_buffer, put_int, put_len, put_text, put_texts,
};

/// The body of the reply to a request that succeeded, as a server sends it and a client receives it.
///
/// A reply with an error has no body, but for those of SASL. `Debug` shows the length of data and
/// tokens, never their bytes.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing: delete, ping, auth, the watch operations, closeSession.
    Empty,
    /// A path: create, sync.
    Path(String),
    /// A path and the metadata of what was created there: create2, createContainer, createTTL.
    Created {
        /// The node, with the counter if it is sequential.
        path: String,
        /// Its metadata.
        stat: Stat,
    },
    /// The metadata of a node: exists, setData, setACL.
    Stat(Stat),
    /// The data and metadata of a node: getData, reconfig.
    Data {
        /// The data; for reconfig, the new configuration.
        data: Payload,
        /// The metadata.
        stat: Stat,
    },
    /// The access control list of a node: getACL.
    Acl {
        /// The list.
        acl: Vec<Acl>,
        /// The metadata.
        stat: Stat,
    },
    /// The names of the children of a node: getChildren.
    Children(Children),
    /// The names of the children of a node and its metadata: getChildren2.
    ChildrenStat {
        /// The names.
        children: Children,
        /// The metadata.
        stat: Stat,
    },
    /// What became of each write of a multi.
    Multi(Vec<MultiResult>),
    /// What became of each read of a multiRead.
    MultiRead(Vec<ReadResult>),
    /// What the mechanism made: sasl. Null ends a GSSAPI exchange, or tells that the server has no
    /// SASL.
    Sasl(Option<Bytes>),
    /// Paths: getEphemerals.
    Ephemerals(Vec<String>),
    /// A number of nodes: getAllChildrenNumber.
    Count(i32),
    /// The identities of the connection: whoAmI.
    Clients(Vec<ClientInfo>),
}

/// An identity of a connection.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientInfo {
    /// How the identity was established.
    pub scheme: String,
    /// The identity; for the scheme `digest` without its hash.
    pub user: String,
}

impl Reply {
    /// Reads the body that goes with `opcode`. Bytes after it are left unread.
    ///
    /// # Errors
    /// [`DecodeError::UnknownOpcode`] for an operation that is not here; any other [`DecodeError`]
    /// for a body that is not one.
    pub fn decode(opcode: OpCode, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match opcode {
            OpCode::GET_DATA | OpCode::RECONFIG => Self::Data {
                data: reader.payload("data")?,
                stat: Stat::decode(reader)?,
            },
            OpCode::EXISTS | OpCode::SET_DATA | OpCode::SET_ACL => {
                Self::Stat(Stat::decode(reader)?)
            }
            OpCode::CREATE | OpCode::SYNC => Self::Path(reader.text("path")?.into_owned()),
            OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => Self::Created {
                path: reader.text("path")?.into_owned(),
                stat: Stat::decode(reader)?,
            },
            OpCode::GET_CHILDREN => Self::Children(Children::decode(reader)?),
            OpCode::GET_CHILDREN2 => Self::ChildrenStat {
                children: Children::decode(reader)?,
                stat: Stat::decode(reader)?,
            },
            OpCode::GET_ACL => Self::Acl {
                acl: Acl::decode_list(reader)?,
                stat: Stat::decode(reader)?,
            },
            OpCode::MULTI => Self::Multi(MultiResult::decode_list(reader)?),
            OpCode::MULTI_READ => Self::MultiRead(ReadResult::decode_list(reader)?),
            OpCode::SASL => {
                let token = reader.payload("SASL token")?;
                Self::Sasl((!token.is_null()).then(|| token.into_bytes()))
            }
            OpCode::GET_EPHEMERALS => {
                let count = reader.vector_len("ephemerals", 4)?;
                let paths = (0..count).map(|_| Ok(reader.text("path")?.into_owned()));
                Self::Ephemerals(paths.collect::<Result<_, DecodeError>>()?)
            }
            OpCode::GET_ALL_CHILDREN_NUMBER => Self::Count(reader.int("totalNumber")?),
            OpCode::WHO_AM_I => {
                let count = reader.vector_len("clientInfo", 8)?;
                let clients = (0..count).map(|_| ClientInfo::decode(reader));
                Self::Clients(clients.collect::<Result<_, _>>()?)
            }
            OpCode::ADD_WATCH => {
                reader.int("addWatch result")?;
                Self::Empty
            }
            OpCode::DELETE
            | OpCode::PING
            | OpCode::CHECK
            | OpCode::CHECK_WATCHES
            | OpCode::REMOVE_WATCHES
            | OpCode::AUTH
            | OpCode::SET_WATCHES
            | OpCode::SET_WATCHES2
            | OpCode::CLOSE_SESSION => Self::Empty,
            _ => return Err(DecodeError::UnknownOpcode(opcode)),
        })
    }

    /// Appends the body, without a header. The opcode matters to [`Empty`](Self::Empty) alone, of
    /// which addWatch has a 4-byte form (`ErrorResponse` of the Java server).
    pub fn encode(&self, opcode: OpCode, out: &mut Vec<u8>) {
        match self {
            Self::Empty if opcode == OpCode::ADD_WATCH => put_int(out, 0),
            Self::Empty => {}
            Self::Path(path) => put_text(out, path),
            Self::Created { path, stat } => {
                put_text(out, path);
                stat.encode(out);
            }
            Self::Stat(stat) => stat.encode(out),
            Self::Data { data, stat } => {
                put_buffer(out, data.as_option());
                stat.encode(out);
            }
            Self::Acl { acl, stat } => {
                Acl::encode_list(acl, out);
                stat.encode(out);
            }
            Self::Children(children) => children.encode(out),
            Self::ChildrenStat { children, stat } => {
                children.encode(out);
                stat.encode(out);
            }
            Self::Multi(results) => MultiResult::encode_list(results, out),
            Self::MultiRead(results) => ReadResult::encode_list(results, out),
            Self::Sasl(token) => put_buffer(out, token.as_deref()),
            Self::Ephemerals(paths) => put_texts(out, paths),
            Self::Count(count) => put_int(out, *count),
            Self::Clients(clients) => {
                put_len(out, clients.len());
                for client in clients {
                    put_text(out, &client.scheme);
                    put_text(out, &client.user);
                }
            }
        }
    }

    /// Makes the paths on the server those of a client with this chroot. A path outside of it stays
    /// as it is.
    pub fn strip_chroot(&mut self, chroot: &Chroot) {
        if chroot.is_root() {
            return;
        }
        match self {
            Self::Path(path) | Self::Created { path, .. } => chroot.strip_in_place(path),
            Self::Ephemerals(paths) => paths
                .iter_mut()
                .for_each(|path| chroot.strip_in_place(path)),
            Self::Multi(results) => {
                for result in results {
                    if let MultiResult::Created { path, .. } = result {
                        chroot.strip_in_place(path);
                    }
                }
            }
            Self::Empty
            | Self::Stat(_)
            | Self::Data { .. }
            | Self::Acl { .. }
            | Self::Children(_)
            | Self::ChildrenStat { .. }
            | Self::MultiRead(_)
            | Self::Sasl(_)
            | Self::Count(_)
            | Self::Clients(_) => {}
        }
    }
}

impl ClientInfo {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            scheme: reader.text("auth scheme")?.into_owned(),
            user: reader.text("user")?.into_owned(),
        })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Created { path, stat } => f
                .debug_struct("Created")
                .field("path", path)
                .field("stat", stat)
                .finish(),
            Self::Stat(stat) => f.debug_tuple("Stat").field(stat).finish(),
            Self::Data { data, stat } => f
                .debug_struct("Data")
                .field("data", data)
                .field("stat", stat)
                .finish(),
            Self::Acl { acl, stat } => f
                .debug_struct("Acl")
                .field("acl", acl)
                .field("stat", stat)
                .finish(),
            Self::Children(children) => f.debug_tuple("Children").field(children).finish(),
            Self::ChildrenStat { children, stat } => f
                .debug_struct("ChildrenStat")
                .field("children", children)
                .field("stat", stat)
                .finish(),
            Self::Multi(results) => f.debug_tuple("Multi").field(results).finish(),
            Self::MultiRead(results) => f.debug_tuple("MultiRead").field(results).finish(),
            Self::Sasl(token) => f
                .debug_tuple("Sasl")
                .field(&Length(token.as_deref()))
                .finish(),
            Self::Ephemerals(paths) => f.debug_tuple("Ephemerals").field(paths).finish(),
            Self::Count(count) => f.debug_tuple("Count").field(count).finish(),
            Self::Clients(clients) => f.debug_tuple("Clients").field(clients).finish(),
        }
    }
}

#[cfg(test)]
mod tests;
