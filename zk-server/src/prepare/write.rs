//! The checks of each write, in the order in which servers make them.

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use zk_proto::{ANY_VERSION, Acl, CreateMode, ErrorCode, OpCode, Perms, Sequence, Ttl, WireMode};

use super::pending::{Pending, Record};
use crate::{
    Caller, NodeData, Owner, Release, Settings, Standing, TxnOp, access::fix_acl, path, quota,
};

/// A write, or one after the other of a multi.
pub(super) struct Write<'a> {
    pub(super) pending: Pending<'a>,
    pub(super) caller: &'a Caller<'a>,
    pub(super) settings: &'a Settings,
    pub(super) in_multi: bool,
}

/// What is to be created.
pub(super) struct Create<'a> {
    pub(super) path: &'a str,
    pub(super) data: Option<&'a [u8]>,
    pub(super) acl: &'a [Acl],
    pub(super) mode: WireMode,
    pub(super) with_stat: bool,
}

impl Write<'_> {
    pub(super) fn create(&self, create: &Create<'_>) -> Result<TxnOp, ErrorCode> {
        let opcode = self.opcode(create);
        let mode = self.mode(opcode, create.mode)?;
        self.check_session_for(mode)?;
        let parent_path = path::parent_of(create.path).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let acl = fix_acl(create.acl, self.caller, self.settings)?;
        let parent = self.node(parent_path)?;
        self.caller.check(&parent.acl, Perms::CREATE)?;
        // The flags of a container count for its name, though not for what it is.
        let path = if matches!(create.mode.flags(), 2 | 3 | 6) {
            Cow::Owned(with_counter(create.path, parent.creates))
        } else {
            Cow::Borrowed(create.path)
        };
        check_path(&path)?;
        if self.pending.exists(&path) {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if parent.is_ephemeral {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let data = NodeData::from(create.data);
        self.check_quota(&path, data.len() as i64, 1)?;
        Ok(TxnOp::Create {
            path: Arc::from(path),
            data,
            acl: shared(acl, &parent.acl),
            owner: self.owner(mode),
            with_stat: opcode != OpCode::CREATE,
        })
    }

    pub(super) fn delete(&self, path: &str, version: i32) -> Result<TxnOp, ErrorCode> {
        self.check_session()?;
        let parent = path::parent_of(path)
            .filter(|_| !path::is_special(path))
            .ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let parent = self.node(parent)?;
        self.caller.check(&parent.acl, Perms::DELETE)?;
        let node = self.node(path)?;
        next_version(node.version, version)?;
        if node.children > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        Ok(TxnOp::Delete { path: path.into() })
    }

    pub(super) fn set_data(
        &self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Result<TxnOp, ErrorCode> {
        self.check_session()?;
        check_path(path)?;
        let node = self.node(path)?;
        self.caller.check(&node.acl, Perms::WRITE)?;
        let data = NodeData::from(data);
        self.check_quota(path, data.len() as i64 - node.data_length as i64, 0)?;
        let version = next_version(node.version, version)?;
        Ok(TxnOp::SetData {
            path: path.into(),
            data,
            version,
        })
    }

    pub(super) fn set_acl(
        &self,
        path: &str,
        acl: &[Acl],
        version: i32,
    ) -> Result<TxnOp, ErrorCode> {
        self.check_session()?;
        check_path(path)?;
        let acl = fix_acl(acl, self.caller, self.settings)?;
        let node = self.node(path)?;
        self.caller.check(&node.acl, Perms::ADMIN)?;
        let version = next_version(node.aversion, version)?;
        Ok(TxnOp::SetAcl {
            path: path.into(),
            acl: shared(acl, &node.acl),
            version,
        })
    }

    pub(super) fn check(&self, path: &str, version: i32) -> Result<TxnOp, ErrorCode> {
        self.check_session()?;
        check_path(path)?;
        let node = self.node(path)?;
        self.caller.check(&node.acl, Perms::READ)?;
        next_version(node.version, version)?;
        Ok(TxnOp::Check)
    }

    fn node(&self, path: &str) -> Result<Record, ErrorCode> {
        self.pending.record(path).ok_or(ErrorCode::NO_NODE)
    }

    fn check_session(&self) -> Result<(), ErrorCode> {
        match self.caller.standing {
            Standing::Global | Standing::Local => Ok(()),
            Standing::Gone => Err(ErrorCode::SESSION_EXPIRED),
        }
    }

    fn check_session_for(&self, mode: CreateMode) -> Result<(), ErrorCode> {
        match self.caller.standing {
            // Within a multi nobody has looked whether the session could be made a global one.
            Standing::Local if mode.is_ephemeral() && self.in_multi => {
                Err(ErrorCode::SESSION_EXPIRED)
            }
            Standing::Local if mode.is_ephemeral() => Err(ErrorCode::EPHEMERAL_ON_LOCAL_SESSION),
            Standing::Global | Standing::Local | Standing::Gone => self.check_session(),
        }
    }

    fn check_quota(&self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        if self.settings.enforce_quota {
            quota::check(self.pending.tree, path, bytes, count)
        } else {
            Ok(())
        }
    }

    /// The operation that a server makes of it. Within a multi the flags decide; before 3.9 they
    /// alone (`Op.Create.getOpcode`).
    fn opcode(&self, create: &Create<'_>) -> OpCode {
        let opcode = create.mode.opcode(create.with_stat);
        match create.mode.flags() {
            _ if !self.in_multi => opcode,
            4 => OpCode::CREATE_CONTAINER,
            5 | 6 => OpCode::CREATE_TTL,
            _ if opcode == OpCode::CREATE_TTL || self.settings.release < Release::V3_9 => {
                OpCode::CREATE
            }
            _ => opcode,
        }
    }

    fn mode(&self, opcode: OpCode, mode: WireMode) -> Result<CreateMode, ErrorCode> {
        let ttl = match mode {
            WireMode::Known(mode) => mode.ttl().map(Ttl::as_millis),
            WireMode::Raw(raw) => raw.ttl,
        };
        let mode = match mode.flags() {
            5 | 6 if !self.settings.extended_types => return Err(ErrorCode::UNIMPLEMENTED),
            flags @ (5 | 6) => CreateMode::from_flags(flags, ttl),
            0..=4 if opcode == OpCode::CREATE_CONTAINER => Ok(CreateMode::Container),
            flags if opcode == OpCode::CREATE_TTL => CreateMode::from_flags(flags, ttl),
            4 => Ok(CreateMode::Persistent),
            flags => CreateMode::from_flags(flags, None),
        };
        mode.map_err(|_| ErrorCode::BAD_ARGUMENTS)
    }

    fn owner(&self, mode: CreateMode) -> Owner {
        match mode {
            CreateMode::Persistent | CreateMode::PersistentSequential => Owner::Nobody,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => {
                Owner::Session(self.caller.session)
            }
            CreateMode::Container => Owner::Container,
            CreateMode::PersistentWithTtl(ttl) | CreateMode::PersistentSequentialWithTtl(ttl) => {
                Owner::Ttl(ttl)
            }
        }
    }
}

fn check_path(path: &str) -> Result<(), ErrorCode> {
    if path::is_valid(path) {
        Ok(())
    } else {
        Err(ErrorCode::BAD_ARGUMENTS)
    }
}

/// The version after this one, if it is the one expected.
fn next_version(version: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected == ANY_VERSION || expected == version {
        Ok(version.wrapping_add(1))
    } else {
        Err(ErrorCode::BAD_VERSION)
    }
}

fn with_counter(path: &str, creates: i32) -> String {
    let mut name = String::with_capacity(path.len() + "-2147483648".len());
    name.push_str(path);
    write!(name, "{}", Sequence(creates)).expect("a String takes whatever is written");
    name
}

/// Most nodes have the same list as the one next to them: then they share it.
fn shared(acl: Cow<'_, [Acl]>, near: &Arc<[Acl]>) -> Arc<[Acl]> {
    if *acl == **near {
        Arc::clone(near)
    } else {
        Arc::from(acl.into_owned())
    }
}
