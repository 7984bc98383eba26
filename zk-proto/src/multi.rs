//! Several operations in one request, and their results.
//!
//! Each item stands behind a head of its own: its type, whether the list ends here, and an error
//! code (`MultiHeader` of the Java client).

use std::{borrow::Cow, fmt};

use crate::{
    Acl, Chroot, DecodeError, OpCode, Reader, WireMode,
    data::Length,
    put_boolean, put_int,
    records::{Create, Delete, PathVersion, PathWatch, SetData},
};

mod results;

pub use results::{MultiResult, ReadResult};

/// One write of a multi. `Debug` shows the length of data only.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "servers accept no other operations within a multi; RawRequest has them"
)]
pub enum MultiOp<'a> {
    /// Creates a node.
    Create {
        /// The node.
        path: Cow<'a, str>,
        /// Its data; `None` is null.
        data: Option<Cow<'a, [u8]>>,
        /// Its access control list.
        acl: Cow<'a, [Acl]>,
        /// Its kind.
        mode: WireMode,
        /// Whether the result has a [`Stat`](crate::Stat), which needs a server that does so within a multi.
        with_stat: bool,
    },
    /// Deletes a node.
    Delete {
        /// The node.
        path: Cow<'a, str>,
        /// The version that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
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
    /// Checks the version of a node.
    Check {
        /// The node.
        path: Cow<'a, str>,
        /// The version that it must have, or [`ANY_VERSION`](crate::ANY_VERSION).
        version: i32,
    },
}

impl<'a> MultiOp<'a> {
    /// The operation.
    pub fn opcode(&self) -> OpCode {
        match self {
            Self::Create {
                mode, with_stat, ..
            } => mode.opcode(*with_stat),
            Self::Delete { .. } => OpCode::DELETE,
            Self::SetData { .. } => OpCode::SET_DATA,
            Self::Check { .. } => OpCode::CHECK,
        }
    }

    /// The node that it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::Check { path, .. } => path,
        }
    }

    pub(crate) fn encode_list(ops: &[Self], chroot: &Chroot, out: &mut Vec<u8>) {
        for op in ops {
            Head::of(op.opcode()).encode(out);
            op.encode(chroot, out);
        }
        Head::END.encode(out);
    }

    /// `None` if an operation is none of these.
    pub(crate) fn decode_list(reader: &mut Reader<'a>) -> Result<Option<Vec<Self>>, DecodeError> {
        let mut ops = Vec::new();
        while let Some(head) = Head::decode(reader)? {
            let Some(op) = Self::decode(head.opcode, reader)? else {
                return Ok(None);
            };
            ops.push(op);
        }
        Ok(Some(ops))
    }

    fn encode(&self, chroot: &Chroot, out: &mut Vec<u8>) {
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
            Self::SetData {
                path,
                data,
                version,
            } => {
                SetData::put(path, data.as_deref(), *version, chroot, out);
            }
            Self::Check { path, version } => PathVersion::put(path, *version, chroot, out),
        }
    }

    fn decode(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match opcode {
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
            OpCode::CHECK => {
                let PathVersion { path, version } = PathVersion::read(reader)?;
                Self::Check { path, version }
            }
            _ => return Ok(None),
        }))
    }
}

impl fmt::Debug for MultiOp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create {
                path,
                data,
                acl,
                mode,
                with_stat,
            } => f
                .debug_struct("Create")
                .field("path", path)
                .field("data", &Length(data.as_deref()))
                .field("acl", acl)
                .field("mode", mode)
                .field("with_stat", with_stat)
                .finish(),
            Self::Delete { path, version } => f
                .debug_struct("Delete")
                .field("path", path)
                .field("version", version)
                .finish(),
            Self::SetData {
                path,
                data,
                version,
            } => f
                .debug_struct("SetData")
                .field("path", path)
                .field("data", &Length(data.as_deref()))
                .field("version", version)
                .finish(),
            Self::Check { path, version } => f
                .debug_struct("Check")
                .field("path", path)
                .field("version", version)
                .finish(),
        }
    }
}

/// One read of a multi-read. Servers set no watches for it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "servers accept no other operations within a multi-read; RawRequest has them"
)]
pub enum ReadOp<'a> {
    /// Reads the data of a node.
    GetData {
        /// The node.
        path: Cow<'a, str>,
    },
    /// Lists the children of a node.
    GetChildren {
        /// The node.
        path: Cow<'a, str>,
    },
}

impl<'a> ReadOp<'a> {
    /// The operation.
    pub fn opcode(&self) -> OpCode {
        match self {
            Self::GetData { .. } => OpCode::GET_DATA,
            Self::GetChildren { .. } => OpCode::GET_CHILDREN,
        }
    }

    /// The node that it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::GetData { path } | Self::GetChildren { path } => path,
        }
    }

    pub(crate) fn encode_list(ops: &[Self], chroot: &Chroot, out: &mut Vec<u8>) {
        for op in ops {
            Head::of(op.opcode()).encode(out);
            PathWatch::put(op.path(), false, chroot, out);
        }
        Head::END.encode(out);
    }

    /// `None` if an operation is none of these.
    pub(crate) fn decode_list(reader: &mut Reader<'a>) -> Result<Option<Vec<Self>>, DecodeError> {
        let mut ops = Vec::new();
        while let Some(head) = Head::decode(reader)? {
            ops.push(match head.opcode {
                OpCode::GET_DATA => Self::GetData {
                    path: PathWatch::read(reader)?.path,
                },
                OpCode::GET_CHILDREN => Self::GetChildren {
                    path: PathWatch::read(reader)?.path,
                },
                _ => return Ok(None),
            });
        }
        Ok(Some(ops))
    }
}

/// What stands in front of each item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) opcode: OpCode,
    done: bool,
    err: i32,
}

impl Head {
    pub(crate) const END: Self = Self {
        opcode: OpCode::ERROR,
        done: true,
        err: -1,
    };

    /// Of an operation in a request.
    pub(crate) const fn of(opcode: OpCode) -> Self {
        Self {
            opcode,
            done: false,
            err: -1,
        }
    }

    const fn result(opcode: OpCode) -> Self {
        Self {
            opcode,
            done: false,
            err: 0,
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        put_int(out, self.opcode.0);
        put_boolean(out, self.done);
        put_int(out, self.err);
    }

    /// `None` ends the list.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let head = Self {
            opcode: OpCode(reader.int("type within a multi")?),
            done: reader.boolean("end of a multi")?,
            err: reader.int("error code within a multi")?,
        };
        Ok((!head.done).then_some(head))
    }
}
