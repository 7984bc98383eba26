//! Everything that a client can ask.

use std::borrow::Cow;

use crate::{
    Acl, AddWatchMode, Chroot, DecodeError, MultiOp, OpCode, ReadOp, Reader, SetWatches,
    WatcherType, WireMode, put_buffer, put_int, put_long, put_text, put_text_or_null,
    records::{Create, Delete, PathVersion, PathWatch, SetData},
};

mod debug;
mod look;
mod raw;

pub use raw::RawRequest;

/// The body of a request, as a client sends it and a server receives it.
///
/// Paths are those of the client: [`encode`](Self::encode) puts the chroot before them.
/// `Debug` shows the length of data, credentials and tokens, never their bytes.
///
/// The flag `watch` is the last byte of the encoded body, and the mode of
/// [`AddWatch`](Self::AddWatch) its last four bytes, so that a client that sends a request again can
/// change either in place.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// Creates a node, by the operation that goes with the mode.
    Create {
        /// The node; of a sequential one, the path before the counter.
        path: Cow<'a, str>,
        /// Its data; `None` is null.
        data: Option<Cow<'a, [u8]>>,
        /// Its access control list, which must not be empty.
        acl: Cow<'a, [Acl]>,
        /// Its kind.
        mode: WireMode,
        /// Whether the reply has a [`Stat`](crate::Stat). Containers and nodes with a time to live
        /// always have it in the reply.
        with_stat: bool,
    },
    /// Deletes a node without children.
    Delete {
        /// The node.
        path: Cow<'a, str>,
        /// The version that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
    },
    /// Reads the metadata of a node that may be missing.
    Exists {
        /// The node.
        path: Cow<'a, str>,
        /// Whether to watch it, there or not.
        watch: bool,
    },
    /// Reads the data and metadata of a node.
    GetData {
        /// The node.
        path: Cow<'a, str>,
        /// Whether to watch it, if it is there.
        watch: bool,
    },
    /// Replaces the data of a node.
    SetData {
        /// The node.
        path: Cow<'a, str>,
        /// The new data; `None` is null.
        data: Option<Cow<'a, [u8]>>,
        /// The version that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
    },
    /// Reads the access control list of a node.
    GetAcl {
        /// The node.
        path: Cow<'a, str>,
    },
    /// Replaces the access control list of a node.
    SetAcl {
        /// The node.
        path: Cow<'a, str>,
        /// The new list, which must not be empty.
        acl: Cow<'a, [Acl]>,
        /// The version of the list that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
    },
    /// Lists the children of a node.
    GetChildren {
        /// The node.
        path: Cow<'a, str>,
        /// Whether to watch the list, if the node is there.
        watch: bool,
        /// Whether the reply has the metadata of the node.
        with_stat: bool,
    },
    /// Makes the server catch up with the leader.
    Sync {
        /// Any path; the reply repeats it.
        path: Cow<'a, str>,
    },
    /// Keeps the session alive. Goes with [`Xid::PING`](crate::Xid::PING).
    Ping,
    /// Checks the version of a node. Servers want it within a [`Multi`](Self::Multi) only.
    Check {
        /// The node.
        path: Cow<'a, str>,
        /// The version that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
    },
    /// Does all of several writes or none.
    Multi(Cow<'a, [MultiOp<'a>]>),
    /// Does several reads, each on its own.
    MultiRead(Cow<'a, [ReadOp<'a>]>),
    /// Changes the members of the ensemble, by two lists or by the whole new configuration.
    Reconfig {
        /// Members to add or change, between commas.
        joining: Option<Cow<'a, str>>,
        /// Numbers of members to remove, between commas.
        leaving: Option<Cow<'a, str>>,
        /// All members from now on.
        new_members: Option<Cow<'a, str>>,
        /// The configuration that must be in force, or -1.
        from_config: i64,
    },
    /// Asks whether a watch is registered on this connection.
    CheckWatches {
        /// The node.
        path: Cow<'a, str>,
        /// Which of its watches.
        kind: WatcherType,
    },
    /// Removes the watches of this connection.
    RemoveWatches {
        /// The node.
        path: Cow<'a, str>,
        /// Which of its watches.
        kind: WatcherType,
    },
    /// Presents a credential. Goes with [`Xid::AUTH`](crate::Xid::AUTH).
    Auth {
        /// The scheme.
        scheme: Cow<'a, str>,
        /// The credential; `user:password` for the scheme `digest`.
        data: Option<Cow<'a, [u8]>>,
    },
    /// Registers watches again after a reconnect. Its paths are those on the server.
    SetWatches(SetWatches<'a>),
    /// One step of a SASL exchange.
    Sasl {
        /// What the mechanism made.
        token: Option<Cow<'a, [u8]>>,
    },
    /// Lists the ephemeral nodes of the session.
    GetEphemerals {
        /// The beginning of their paths, compared as text.
        prefix: Cow<'a, str>,
    },
    /// Counts the descendants of a node.
    GetAllChildrenNumber {
        /// The node.
        path: Cow<'a, str>,
    },
    /// Adds a watch that stays.
    AddWatch {
        /// The node, there or not.
        path: Cow<'a, str>,
        /// What the watch covers.
        mode: AddWatchMode,
    },
    /// Lists the identities of the connection.
    WhoAmI,
    /// Ends the session.
    CloseSession,
    /// Anything of these that servers do not take as it is, kept as it came. Servers ask for the
    /// [`effective`](Self::effective) request.
    Raw(Box<RawRequest<'a>>),
}

impl<'a> Request<'a> {
    /// Reads the body that goes with `opcode`. Bytes after it are left unread.
    ///
    /// # Errors
    /// [`DecodeError::UnknownOpcode`] for an operation that is not here; any other
    /// [`DecodeError`] for a body that servers do not read either.
    pub fn decode(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.take_nulls();
        let whole = reader.clone();
        let request = match opcode {
            OpCode::MULTI => MultiOp::decode_list(reader)?.map(|ops| Self::Multi(Cow::Owned(ops))),
            OpCode::MULTI_READ => {
                ReadOp::decode_list(reader)?.map(|ops| Self::MultiRead(Cow::Owned(ops)))
            }
            _ => {
                let request = Self::decode_one(opcode, reader)?;
                return RawRequest::with_nulls(request, reader);
            }
        };
        match (request, reader.take_nulls()) {
            (Some(request), (false, false)) => Ok(request),
            (Some(_) | None, _) => {
                *reader = whole;
                RawRequest::decode(opcode, reader).map(|raw| Self::Raw(Box::new(raw)))
            }
        }
    }

    /// What a server makes of it: a null access control list is an empty one; a null path, and a
    /// multi with an operation that does not belong there, are refused as bytes that cannot be read.
    ///
    /// ```
    /// # use zk_proto::*;
    /// let body = bytes::Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0]);
    /// let request = Request::decode(OpCode::EXISTS, &mut Reader::new(&body))?;
    /// assert!(matches!(request, Request::Raw(_)));
    /// assert_eq!(request.effective(), Err(DecodeError::Null { what: "path" }));
    /// # Ok::<(), DecodeError>(())
    /// ```
    ///
    /// # Errors
    /// [`DecodeError::Null`], [`DecodeError::BadValue`]; servers answer MarshallingError.
    pub fn effective(self) -> Result<Self, DecodeError> {
        if let Self::Raw(raw) = self {
            raw.effective()
        } else {
            Ok(self)
        }
    }

    fn decode_one(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match opcode {
            OpCode::CREATE | OpCode::CREATE2 | OpCode::CREATE_CONTAINER | OpCode::CREATE_TTL => {
                let Create {
                    path,
                    data,
                    acl,
                    mode,
                } = Create::read(opcode, reader)?;
                Self::Create {
                    path,
                    data,
                    acl,
                    mode,
                    with_stat: opcode != OpCode::CREATE,
                }
            }
            OpCode::DELETE => {
                let Delete { path, version } = Delete::read(reader)?;
                Self::Delete { path, version }
            }
            OpCode::EXISTS => {
                let PathWatch { path, watch } = PathWatch::read(reader)?;
                Self::Exists { path, watch }
            }
            OpCode::GET_DATA => {
                let PathWatch { path, watch } = PathWatch::read(reader)?;
                Self::GetData { path, watch }
            }
            OpCode::SET_DATA => {
                let SetData {
                    path,
                    data,
                    version,
                } = SetData::read(reader)?;
                Self::SetData {
                    path,
                    data,
                    version,
                }
            }
            OpCode::GET_ACL => Self::GetAcl {
                path: reader.path()?,
            },
            OpCode::SET_ACL => Self::SetAcl {
                path: reader.path()?,
                acl: Cow::Owned(reader.acl()?),
                version: reader.int("version")?,
            },
            OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => {
                let PathWatch { path, watch } = PathWatch::read(reader)?;
                Self::GetChildren {
                    path,
                    watch,
                    with_stat: opcode == OpCode::GET_CHILDREN2,
                }
            }
            OpCode::SYNC => Self::Sync {
                path: reader.path()?,
            },
            OpCode::PING => Self::Ping,
            OpCode::CHECK => {
                let PathVersion { path, version } = PathVersion::read(reader)?;
                Self::Check { path, version }
            }
            OpCode::RECONFIG => Self::Reconfig {
                joining: reader.text_or_null("joiningServers")?,
                leaving: reader.text_or_null("leavingServers")?,
                new_members: reader.text_or_null("newMembers")?,
                from_config: reader.long("curConfigId")?,
            },
            OpCode::CHECK_WATCHES => Self::CheckWatches {
                path: reader.path()?,
                kind: WatcherType(reader.int("watcher type")?),
            },
            OpCode::REMOVE_WATCHES => Self::RemoveWatches {
                path: reader.path()?,
                kind: WatcherType(reader.int("watcher type")?),
            },
            OpCode::AUTH => {
                reader.int("auth type")?;
                Self::Auth {
                    scheme: reader.text("auth scheme")?,
                    data: reader.buffer("auth data")?.map(Cow::Borrowed),
                }
            }
            OpCode::SET_WATCHES => Self::SetWatches(SetWatches::decode(false, reader)?),
            OpCode::SET_WATCHES2 => Self::SetWatches(SetWatches::decode(true, reader)?),
            OpCode::SASL => Self::Sasl {
                token: reader.buffer("SASL token")?.map(Cow::Borrowed),
            },
            OpCode::GET_EPHEMERALS => Self::GetEphemerals {
                prefix: reader.path()?,
            },
            OpCode::GET_ALL_CHILDREN_NUMBER => Self::GetAllChildrenNumber {
                path: reader.path()?,
            },
            OpCode::ADD_WATCH => Self::AddWatch {
                path: reader.path()?,
                mode: AddWatchMode(reader.int("watch mode")?),
            },
            OpCode::WHO_AM_I => Self::WhoAmI,
            OpCode::CLOSE_SESSION => Self::CloseSession,
            _ => return Err(DecodeError::UnknownOpcode(opcode)),
        })
    }

    /// Appends the body, without a header. `chroot` is put before every path of a node, but for
    /// [`SetWatches`](Self::SetWatches). Nothing is allocated but the growth of `out`.
    pub fn encode(&self, chroot: &Chroot, out: &mut Vec<u8>) {
        match self {
            Self::Create {
                path,
                data,
                acl,
                mode,
                ..
            } => {
                Create::put(path, data.as_deref(), acl, *mode, chroot, out);
            }
            Self::Delete { path, version } => Delete::put(path, *version, chroot, out),
            Self::Check { path, version } => PathVersion::put(path, *version, chroot, out),
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch, .. } => PathWatch::put(path, *watch, chroot, out),
            Self::SetData {
                path,
                data,
                version,
            } => {
                SetData::put(path, data.as_deref(), *version, chroot, out);
            }
            Self::GetAcl { path } | Self::Sync { path } | Self::GetAllChildrenNumber { path } => {
                chroot.put_path(path, out);
            }
            Self::GetEphemerals { prefix } => chroot.put_path(prefix, out),
            Self::SetAcl { path, acl, version } => {
                chroot.put_path(path, out);
                Acl::encode_list(acl, out);
                put_int(out, *version);
            }
            Self::Multi(ops) => MultiOp::encode_list(ops, chroot, out),
            Self::MultiRead(ops) => ReadOp::encode_list(ops, chroot, out),
            Self::Reconfig {
                joining,
                leaving,
                new_members,
                from_config,
            } => {
                put_text_or_null(out, joining.as_deref());
                put_text_or_null(out, leaving.as_deref());
                put_text_or_null(out, new_members.as_deref());
                put_long(out, *from_config);
            }
            Self::CheckWatches { path, kind } | Self::RemoveWatches { path, kind } => {
                chroot.put_path(path, out);
                put_int(out, kind.0);
            }
            Self::Auth { scheme, data } => {
                put_int(out, 0);
                put_text(out, scheme);
                put_buffer(out, data.as_deref());
            }
            Self::SetWatches(watches) => watches.encode(out),
            Self::Sasl { token } => put_buffer(out, token.as_deref()),
            Self::AddWatch { path, mode } => {
                chroot.put_path(path, out);
                put_int(out, mode.0);
            }
            Self::Ping | Self::WhoAmI | Self::CloseSession => {}
            Self::Raw(raw) => raw.encode(chroot, out),
        }
    }

    /// The operation.
    pub fn opcode(&self) -> OpCode {
        match self {
            Self::Create {
                mode, with_stat, ..
            } => mode.opcode(*with_stat),
            Self::Delete { .. } => OpCode::DELETE,
            Self::Exists { .. } => OpCode::EXISTS,
            Self::GetData { .. } => OpCode::GET_DATA,
            Self::SetData { .. } => OpCode::SET_DATA,
            Self::GetAcl { .. } => OpCode::GET_ACL,
            Self::SetAcl { .. } => OpCode::SET_ACL,
            Self::GetChildren {
                with_stat: false, ..
            } => OpCode::GET_CHILDREN,
            Self::GetChildren {
                with_stat: true, ..
            } => OpCode::GET_CHILDREN2,
            Self::Sync { .. } => OpCode::SYNC,
            Self::Ping => OpCode::PING,
            Self::Check { .. } => OpCode::CHECK,
            Self::Multi(_) => OpCode::MULTI,
            Self::MultiRead(_) => OpCode::MULTI_READ,
            Self::Reconfig { .. } => OpCode::RECONFIG,
            Self::CheckWatches { .. } => OpCode::CHECK_WATCHES,
            Self::RemoveWatches { .. } => OpCode::REMOVE_WATCHES,
            Self::Auth { .. } => OpCode::AUTH,
            Self::SetWatches(watches) => watches.opcode(),
            Self::Sasl { .. } => OpCode::SASL,
            Self::GetEphemerals { .. } => OpCode::GET_EPHEMERALS,
            Self::GetAllChildrenNumber { .. } => OpCode::GET_ALL_CHILDREN_NUMBER,
            Self::AddWatch { .. } => OpCode::ADD_WATCH,
            Self::WhoAmI => OpCode::WHO_AM_I,
            Self::CloseSession => OpCode::CLOSE_SESSION,
            Self::Raw(raw) => raw.opcode(),
        }
    }
}

#[cfg(test)]
mod tests;
