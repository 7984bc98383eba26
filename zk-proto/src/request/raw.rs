//! Requests that no client sends by this crate's ordinary variants, kept as they came.

use std::borrow::Cow;

use super::Request;
use crate::{Acl, Chroot, DecodeError, MultiOp, OpCode, ReadOp, Reader, multi::Head};

/// What [`Request::Raw`] holds: a request that can be told apart in all its fields, though servers
/// refuse it, or take a part of it for something else.
///
/// It encodes to the bytes that it came from. [`Request::effective`] is what a server makes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RawRequest<'a> {
    /// Null in place of the path, of the access control list, or of both.
    Null {
        /// The request, in which they are empty.
        request: Request<'a>,
        /// Whether the path is null.
        path: bool,
        /// Whether the access control list is null.
        acl: bool,
    },
    /// A multi with an operation that servers do not take there, or with one that has a null:
    /// its operations as the requests that they are by themselves.
    Multi(Vec<Request<'a>>),
    /// The same for a multi-read.
    MultiRead(Vec<Request<'a>>),
}

impl<'a> RawRequest<'a> {
    /// As [`Request::effective`].
    pub(super) fn effective(self) -> Result<Request<'a>, DecodeError> {
        match self {
            Self::Null { path: true, .. } => Err(DecodeError::Null { what: "path" }),
            Self::Null { request, .. } => request.effective(),
            Self::Multi(requests) => requests
                .into_iter()
                .map(|request| multi_op(request.effective()?))
                .collect::<Result<_, _>>()
                .map(|ops| Request::Multi(Cow::Owned(ops))),
            Self::MultiRead(requests) => requests
                .into_iter()
                .map(|request| read_op(request.effective()?))
                .collect::<Result<_, _>>()
                .map(|ops| Request::MultiRead(Cow::Owned(ops))),
        }
    }

    /// `request`, or this if null was read in it. Null in a list of paths is an error.
    pub(super) fn with_nulls(
        request: Request<'a>,
        reader: &mut Reader<'a>,
    ) -> Result<Request<'a>, DecodeError> {
        match reader.take_nulls() {
            (false, false) => Ok(request),
            (true, _) if request.path().is_none() => Err(DecodeError::Null { what: "path" }),
            (path, acl) => Ok(Request::Raw(Box::new(Self::Null { request, path, acl }))),
        }
    }

    /// Reads a multi or multi-read, whatever is in it.
    pub(super) fn decode(opcode: OpCode, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let requests = Self::decode_list(reader)?;
        Ok(if opcode == OpCode::MULTI {
            Self::Multi(requests)
        } else {
            Self::MultiRead(requests)
        })
    }

    /// Lists within lists are left out, as they would nest without an end.
    fn decode_list(reader: &mut Reader<'a>) -> Result<Vec<Request<'a>>, DecodeError> {
        let mut requests = Vec::new();
        while let Some(Head { opcode, .. }) = Head::decode(reader)? {
            if matches!(opcode, OpCode::MULTI | OpCode::MULTI_READ) {
                return Err(not_within(opcode));
            }
            match Request::decode(opcode, reader) {
                Ok(request) => requests.push(request),
                Err(DecodeError::UnknownOpcode(_)) => return Err(not_within(opcode)),
                Err(error) => return Err(error),
            }
        }
        Ok(requests)
    }

    pub(super) fn encode(&self, chroot: &Chroot, out: &mut Vec<u8>) {
        match self {
            Self::Null { request, path, acl } => {
                let start = out.len();
                request.encode(chroot, out);
                if *acl {
                    put_null_acl(request, out);
                }
                if *path && request.path().is_some() {
                    put_null_path(start, out);
                }
            }
            Self::Multi(requests) | Self::MultiRead(requests) => {
                for request in requests {
                    Head::of(request.opcode()).encode(out);
                    request.encode(chroot, out);
                }
                Head::END.encode(out);
            }
        }
    }

    pub(super) fn opcode(&self) -> OpCode {
        match self {
            Self::Null { request, .. } => request.opcode(),
            Self::Multi(_) => OpCode::MULTI,
            Self::MultiRead(_) => OpCode::MULTI_READ,
        }
    }

    pub(super) fn is_write(&self) -> bool {
        match self {
            Self::Null { request, .. } => request.is_write(),
            Self::Multi(_) => true,
            Self::MultiRead(_) => false,
        }
    }

    pub(super) fn is_quorum(&self) -> bool {
        match self {
            Self::Null { request, .. } => request.is_quorum(),
            Self::Multi(_) => true,
            Self::MultiRead(_) => false,
        }
    }

    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::Null {
                request,
                path: false,
                ..
            } => request.path(),
            Self::Null { .. } | Self::Multi(_) | Self::MultiRead(_) => None,
        }
    }
}

/// A path is the first field wherever there is one.
fn put_null_path(start: usize, out: &mut Vec<u8>) {
    if let Some(length) = out[start..].first_chunk() {
        let end = start + 4 + u32::from_be_bytes(*length) as usize;
        out.splice(start..end, NULL);
    }
}

/// A list stands before the numbers at the end.
fn put_null_acl(request: &Request<'_>, out: &mut Vec<u8>) {
    let (acl, behind) = if let Request::Create { acl, mode, .. } = request {
        (acl, 4 + mode.ttl_millis().map_or(0, |_| 8))
    } else if let Request::SetAcl { acl, .. } = request {
        (acl, 4)
    } else {
        return;
    };
    let mut list = Vec::new();
    Acl::encode_list(acl, &mut list);
    let end = out.len() - behind;
    out.splice(end - list.len()..end, NULL);
}

const NULL: [u8; 4] = [0xff; 4];

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "servers take no other operations within a multi"
)]
fn multi_op(request: Request<'_>) -> Result<MultiOp<'_>, DecodeError> {
    Ok(match request {
        Request::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        } => MultiOp::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        },
        Request::Delete { path, version } => MultiOp::Delete { path, version },
        Request::SetData {
            path,
            data,
            version,
        } => MultiOp::SetData {
            path,
            data,
            version,
        },
        Request::Check { path, version } => MultiOp::Check { path, version },
        other => return Err(not_within(other.opcode())),
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "servers take no other operations within a multi-read"
)]
fn read_op(request: Request<'_>) -> Result<ReadOp<'_>, DecodeError> {
    Ok(match request {
        Request::GetData { path, .. } => ReadOp::GetData { path },
        Request::GetChildren {
            path,
            with_stat: false,
            ..
        } => ReadOp::GetChildren { path },
        other => return Err(not_within(other.opcode())),
    })
}

fn not_within(OpCode(value): OpCode) -> DecodeError {
    DecodeError::BadValue {
        what: "type within a multi",
        value,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decode(opcode: OpCode, parts: &[&[u8]]) -> Result<Request<'static>, DecodeError> {
        let bytes = Box::leak(Box::new(Bytes::from(parts.concat())));
        let request = Request::decode(opcode, &mut Reader::new(bytes))?;
        let mut again = Vec::new();
        request.encode(&Chroot::ROOT, &mut again);
        assert_eq!(again, *bytes);
        Ok(request)
    }

    const HEAD: [u8; 5] = [0, 0xff, 0xff, 0xff, 0xff];
    const END: [u8; 9] = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];
    const PATH: [u8; 6] = [0, 0, 0, 2, b'/', b'a'];
    const ZERO: [u8; 4] = [0; 4];

    #[test]
    fn a_null_acl_within_a_multi_is_an_empty_one_to_servers() {
        let create = [&PATH[..], &NULL, &NULL, &ZERO].concat();
        let request = decode(OpCode::MULTI, &[&[0, 0, 0, 1], &HEAD, &create, &END]).unwrap();
        assert!(matches!(&request, Request::Raw(raw) if matches!(**raw, RawRequest::Multi(_))));
        assert!(request.is_write() && request.is_quorum());
        let Ok(Request::Multi(ops)) = request.effective() else {
            panic!("servers take it");
        };
        assert!(matches!(&ops[..], [MultiOp::Create { acl, data: None, .. }] if acl.is_empty()));
    }

    /// The list is found between the fields around it, however long they are.
    #[test]
    fn null_takes_the_place_of_a_list_only() {
        let flags = |flags: i32| flags.to_be_bytes();
        let ttl = 1000_i64.to_be_bytes();
        let data = [0, 0, 0, 3, 1, 2, 3];
        for (opcode, parts) in [
            (OpCode::CREATE, vec![&PATH[..], &data, &NULL, &ZERO]),
            (OpCode::CREATE2, vec![&PATH, &NULL, &NULL, &ZERO]),
            (
                OpCode::CREATE_TTL,
                vec![&PATH, &data, &NULL, &[0, 0, 0, 5], &ttl],
            ),
            (
                OpCode::CREATE_CONTAINER,
                vec![&PATH, &data, &NULL, &[0, 0, 0, 4]],
            ),
            (OpCode::SET_ACL, vec![&PATH, &NULL, &[0, 0, 0, 7]]),
        ] {
            let request = decode(opcode, &parts).unwrap();
            assert_eq!((request.opcode(), request.path()), (opcode, Some("/a")));
            assert!(request.is_write() && request.is_quorum(), "{opcode}");
            let acl = match request.effective() {
                Ok(Request::Create { acl, .. } | Request::SetAcl { acl, .. }) => acl,
                other => panic!("{opcode}: {other:?}"),
            };
            assert!(acl.is_empty(), "which servers refuse in their own way");
        }
        let both = [&NULL[..], &data, &NULL, &flags(0)];
        let both = decode(OpCode::CREATE, &both).unwrap();
        assert_eq!(both.path(), None);
        assert_eq!(both.effective(), Err(DecodeError::Null { what: "path" }));
    }

    #[test]
    fn a_null_path_of_a_read_is_neither_a_write_nor_for_the_quorum() {
        let exists = decode(OpCode::EXISTS, &[&NULL, &[1]]).unwrap();
        assert!(!exists.is_write() && !exists.is_quorum());
        assert_eq!((exists.opcode(), exists.path()), (OpCode::EXISTS, None));
        let sync = decode(OpCode::SYNC, &[&NULL]).unwrap();
        assert!(!sync.is_write() && sync.is_quorum());
    }

    /// One operation that servers do not take makes them refuse all.
    #[test]
    fn a_multi_is_what_servers_make_of_each_of_its_operations() {
        let item = |opcode: OpCode, body: &[u8]| {
            let kind = opcode.0.to_be_bytes();
            [&kind[..], &HEAD, body].concat()
        };
        let null_acl = item(OpCode::CREATE, &[&PATH[..], &NULL, &NULL, &ZERO].concat());
        let delete = item(OpCode::DELETE, &[&PATH[..], &NULL].concat());
        let set = item(OpCode::SET_DATA, &[&PATH[..], &NULL, &NULL].concat());
        let check = item(OpCode::CHECK, &[&PATH[..], &ZERO].concat());
        let good = [&null_acl[..], &delete, &set, &check];
        let whole = |items: &[&[u8]]| {
            let parts = [items, &[&END]].concat();
            decode(OpCode::MULTI, &parts).unwrap()
        };
        let Ok(Request::Multi(ops)) = whole(&good).effective() else {
            panic!("servers take it");
        };
        assert!(matches!(
            &ops[..],
            [
                MultiOp::Create { .. },
                MultiOp::Delete { version: -1, .. },
                MultiOp::SetData {
                    data: None,
                    version: -1,
                    ..
                },
                MultiOp::Check { version: 0, .. },
            ]
        ));
        let null_path = item(OpCode::DELETE, &[&NULL[..], &ZERO].concat());
        let set_acl = item(OpCode::SET_ACL, &[&PATH[..], &ZERO, &NULL].concat());
        let refused = DecodeError::Null { what: "path" };
        for (bad, error) in [(null_path, refused), (set_acl, not_within(OpCode::SET_ACL))] {
            let mut items = good.to_vec();
            items.insert(2, &bad);
            let multi = whole(&items);
            assert_eq!((multi.opcode(), multi.path()), (OpCode::MULTI, None));
            assert_eq!(multi.effective(), Err(error));
        }
    }

    #[test]
    fn a_multi_read_with_a_null_is_refused_whatever_else_it_has() {
        let get = [&[0, 0, 0, 4][..], &HEAD, &PATH, &[0]].concat();
        let null = [&[0, 0, 0, 8][..], &HEAD, &NULL, &[0]].concat();
        let request = decode(OpCode::MULTI_READ, &[&get, &null, &END]).unwrap();
        assert_eq!(request.effective(), Err(DecodeError::Null { what: "path" }));
        // What has the stat is another operation.
        let kind = OpCode::GET_CHILDREN2.0.to_be_bytes();
        let stat = [&kind[..], &HEAD, &PATH, &[0]].concat();
        let request = decode(OpCode::MULTI_READ, &[&get, &stat, &END]).unwrap();
        assert_eq!(request.effective(), Err(not_within(OpCode::GET_CHILDREN2)));
    }

    #[test]
    fn paths_of_a_raw_multi_are_below_the_chroot() {
        let sync = [&[0, 0, 0, 9][..], &HEAD, &PATH].concat();
        let request = decode(OpCode::MULTI, &[&sync, &END]).unwrap();
        let mut out = Vec::new();
        request.encode(&Chroot::parse("/app").unwrap(), &mut out);
        let below = [0, 0, 0, 6, b'/', b'a', b'p', b'p', b'/', b'a'];
        assert_eq!(out, [&[0, 0, 0, 9][..], &HEAD, &below, &END].concat());
    }

    #[test]
    fn what_is_cut_short_is_an_error_at_every_byte() {
        let create = [&PATH[..], &NULL, &NULL, &ZERO].concat();
        let whole = [&[0, 0, 0, 1][..], &HEAD, &create, &END].concat();
        for length in 0..whole.len() {
            let short = decode(OpCode::MULTI, &[&whole[..length]]);
            assert!(short.is_err(), "{length}: {short:?}");
        }
    }

    #[test]
    fn a_null_path_stays_null_under_a_chroot() {
        let request = decode(OpCode::DELETE, &[&NULL, &ZERO]).unwrap();
        assert_eq!((request.path(), request.is_write()), (None, true));
        let mut out = Vec::new();
        request.encode(&Chroot::parse("/app").unwrap(), &mut out);
        assert_eq!(out, [&NULL[..], &ZERO].concat());
    }

    #[test]
    fn a_multi_read_with_another_read_is_refused_by_servers() {
        let sync = decode(OpCode::MULTI_READ, &[&[0, 0, 0, 9], &HEAD, &PATH, &END]).unwrap();
        assert_eq!(sync.opcode(), OpCode::MULTI_READ);
        assert!(!sync.is_write() && !sync.is_quorum());
        assert_eq!(sync.effective(), Err(not_within(OpCode::SYNC)));
    }

    #[test]
    fn lists_do_not_nest_and_unknown_types_are_errors() {
        for opcode in [OpCode::MULTI, OpCode::MULTI_READ, OpCode(9999), OpCode(0)] {
            let kind = opcode.0.to_be_bytes();
            assert_eq!(
                decode(OpCode::MULTI, &[&kind, &HEAD, &END, &END]),
                Err(not_within(opcode))
            );
        }
    }
}
