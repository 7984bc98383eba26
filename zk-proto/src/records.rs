//! The bodies that requests share with the operations within a multi.

use std::borrow::Cow;

use crate::{
    Acl, Chroot, DecodeError, OpCode, Reader, WireMode, put_boolean, put_buffer, put_int, put_long,
};

/// `CreateRequest` and `CreateTTLRequest` of the Java client.
pub(crate) struct Create<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) data: Option<Cow<'a, [u8]>>,
    pub(crate) acl: Cow<'a, [Acl]>,
    pub(crate) mode: WireMode,
}

impl<'a> Create<'a> {
    #[inline]
    pub(crate) fn put(
        path: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        mode: WireMode,
        chroot: &Chroot,
        out: &mut Vec<u8>,
    ) {
        if mode.is_sequential() {
            chroot.put_sequential_path(path, out);
        } else {
            chroot.put_path(path, out);
        }
        put_buffer(out, data);
        Acl::encode_list(acl, out);
        put_int(out, mode.flags());
        if let Some(ttl) = mode.ttl_millis() {
            put_long(out, ttl);
        }
    }

    pub(crate) fn read(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let path = reader.path()?;
        let data = reader.buffer("data")?.map(Cow::Borrowed);
        let acl = Cow::Owned(reader.acl()?);
        let flags = reader.int("flags")?;
        let ttl = (opcode == OpCode::CREATE_TTL)
            .then(|| reader.long("ttl"))
            .transpose()?;
        Ok(Self {
            path,
            data,
            acl,
            mode: WireMode::from_wire(opcode, flags, ttl),
        })
    }
}

/// `DeleteRequest` of the Java client.
pub(crate) type Delete<'a> = PathVersion<'a>;

/// `CheckVersionRequest` of the Java client.
pub(crate) struct PathVersion<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) version: i32,
}

impl<'a> PathVersion<'a> {
    #[inline]
    pub(crate) fn put(path: &str, version: i32, chroot: &Chroot, out: &mut Vec<u8>) {
        chroot.put_path(path, out);
        put_int(out, version);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: reader.path()?,
            version: reader.int("version")?,
        })
    }
}

/// `SetDataRequest` of the Java client.
pub(crate) struct SetData<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) data: Option<Cow<'a, [u8]>>,
    pub(crate) version: i32,
}

impl<'a> SetData<'a> {
    #[inline]
    pub(crate) fn put(
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        chroot: &Chroot,
        out: &mut Vec<u8>,
    ) {
        chroot.put_path(path, out);
        put_buffer(out, data);
        put_int(out, version);
    }

    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: reader.path()?,
            data: reader.buffer("data")?.map(Cow::Borrowed),
            version: reader.int("version")?,
        })
    }
}

/// `ExistsRequest`, `GetDataRequest` and `GetChildrenRequest` of the Java client. The watch flag is
/// the last byte, which a client may rely on to change its mind.
pub(crate) struct PathWatch<'a> {
    pub(crate) path: Cow<'a, str>,
    pub(crate) watch: bool,
}

impl<'a> PathWatch<'a> {
    #[inline]
    pub(crate) fn put(path: &str, watch: bool, chroot: &Chroot, out: &mut Vec<u8>) {
        chroot.put_path(path, out);
        put_boolean(out, watch);
    }

    #[inline]
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            path: reader.path()?,
            watch: reader.boolean("watch")?,
        })
    }
}
