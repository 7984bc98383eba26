//! Arbitrary requests and replies.

use std::borrow::Cow;

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*, strategy::Union};
use zk_proto::{
    Acl, AddWatchMode, Children, ClientInfo, ConnectRequest, ConnectResponse, CreateMode,
    ErrorCode, EventType, KeeperState, MultiOp, MultiResult, OpCode, Password, Payload, Perms,
    RawMode, RawRequest, ReadOp, ReadResult, Reply, Request, SessionId, SetWatches, Stat, Ttl,
    WatcherEvent, WatcherType, WireMode, Zxid,
};

type Text = Cow<'static, str>;
type Buffer = Option<Cow<'static, [u8]>>;

fn text() -> impl Strategy<Value = Text> + Clone {
    ".{0,12}".prop_map(Cow::Owned)
}

fn buffer() -> impl Strategy<Value = Buffer> {
    option::of(vec(any::<u8>(), 0..40).prop_map(Cow::Owned))
}

fn payload() -> impl Strategy<Value = Payload> {
    option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from)).prop_map(Payload::from)
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    let entry = prop_oneof![
        Just(Acl::open_unsafe().remove(0)),
        (any::<i32>(), text(), text()).prop_map(|(p, scheme, id)| Acl::new(Perms(p), scheme, id)),
    ];
    vec(entry, 0..4)
}

fn known_mode() -> impl Strategy<Value = CreateMode> {
    let ttl = (1..=Ttl::MAX_MILLIS).prop_map(|millis| Ttl::from_millis(millis).unwrap());
    prop_oneof![
        Just(CreateMode::Persistent),
        Just(CreateMode::Ephemeral),
        Just(CreateMode::PersistentSequential),
        Just(CreateMode::EphemeralSequential),
        Just(CreateMode::Container),
        ttl.clone().prop_map(CreateMode::PersistentWithTtl),
        ttl.prop_map(CreateMode::PersistentSequentialWithTtl),
    ]
}

/// Modes that stay what they are on the wire, and whether the reply has a `Stat`.
fn mode() -> impl Strategy<Value = (WireMode, bool)> {
    let known = (known_mode(), any::<bool>()).prop_map(|(mode, with_stat)| {
        (
            WireMode::Known(mode),
            mode.opcode(with_stat) != OpCode::CREATE,
        )
    });
    let opcode = prop_oneof![
        Just(OpCode::CREATE),
        Just(OpCode::CREATE2),
        Just(OpCode::CREATE_CONTAINER),
        Just(OpCode::CREATE_TTL),
    ];
    let flags = prop_oneof![-1..9, any::<i32>()];
    let raw = (opcode, flags, any::<i64>()).prop_filter_map("known", |(opcode, flags, ttl)| {
        let ttl = (opcode == OpCode::CREATE_TTL).then_some(ttl);
        let with_stat = opcode != OpCode::CREATE;
        let known = CreateMode::from_flags(flags, ttl)
            .is_ok_and(|mode| mode.opcode(opcode == OpCode::CREATE2) == opcode);
        (!known).then_some((WireMode::Raw(RawMode { opcode, flags, ttl }), with_stat))
    });
    prop_oneof![known, raw]
}

fn multi_op() -> impl Strategy<Value = MultiOp<'static>> {
    prop_oneof![
        (text(), buffer(), acl(), mode()).prop_map(|(path, data, acl, (mode, with_stat))| {
            MultiOp::Create {
                path,
                data,
                acl: acl.into(),
                mode,
                with_stat,
            }
        }),
        (text(), any::<i32>()).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        (text(), buffer(), any::<i32>()).prop_map(|(path, data, version)| MultiOp::SetData {
            path,
            data,
            version
        }),
        (text(), any::<i32>()).prop_map(|(path, version)| MultiOp::Check { path, version }),
    ]
}

fn read_op() -> impl Strategy<Value = ReadOp<'static>> {
    prop_oneof![
        text().prop_map(|path| ReadOp::GetData { path }),
        text().prop_map(|path| ReadOp::GetChildren { path }),
    ]
}

fn set_watches() -> impl Strategy<Value = SetWatches<'static>> {
    let paths = || vec(text(), 0..4);
    (
        any::<i64>(),
        paths(),
        paths(),
        paths(),
        paths(),
        paths(),
        any::<bool>(),
    )
        .prop_map(
            |(zxid, data, exist, child, persistent, recursive, extended)| {
                let extended = extended || !persistent.is_empty() || !recursive.is_empty();
                let relative_zxid = Zxid(zxid);
                SetWatches {
                    relative_zxid,
                    data,
                    exist,
                    child,
                    persistent,
                    recursive,
                    extended,
                }
            },
        )
}

fn watcher_type() -> impl Strategy<Value = WatcherType> {
    any::<i32>().prop_map(WatcherType)
}

/// Requests with a null where there could be one.
fn with_null() -> impl Strategy<Value = Request<'static>> {
    let raw = |request, path, acl| Request::Raw(Box::new(RawRequest::Null { request, path, acl }));
    let nulls = prop_oneof![Just((true, false)), Just((false, true)), Just((true, true))];
    let create = (text(), buffer(), acl(), mode(), nulls).prop_map(
        move |(path, data, acl, (mode, with_stat), (null_path, null_acl))| {
            let request = Request::Create {
                path: if null_path { "".into() } else { path },
                data,
                acl: if null_acl { Vec::new() } else { acl }.into(),
                mode,
                with_stat,
            };
            raw(request, null_path, null_acl)
        },
    );
    let set_acl = (text(), any::<i32>()).prop_map(move |(path, version)| {
        let acl = Vec::new().into();
        raw(Request::SetAcl { path, acl, version }, false, true)
    });
    let path = || Cow::Borrowed("");
    let exists = any::<bool>().prop_map(move |watch| {
        raw(
            Request::Exists {
                path: path(),
                watch,
            },
            true,
            false,
        )
    });
    let delete = any::<i32>().prop_map(move |version| {
        let request = Request::Delete {
            path: path(),
            version,
        };
        raw(request, true, false)
    });
    prop_oneof![create, set_acl, exists, delete]
}

/// Lists with at least one operation that makes them raw.
fn raw_list() -> impl Strategy<Value = Request<'static>> {
    let within = || {
        prop_oneof![
            plain_request().prop_filter("lists do not nest", |request| {
                !matches!(request, Request::Multi(_) | Request::MultiRead(_))
            }),
            with_null(),
        ]
    };
    (
        vec(within(), 0..3),
        with_null(),
        vec(within(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(mut requests, raw, behind, reads)| {
            requests.push(raw);
            requests.extend(behind);
            Request::Raw(Box::new(if reads {
                RawRequest::MultiRead(requests)
            } else {
                RawRequest::Multi(requests)
            }))
        })
}

pub(crate) fn request() -> impl Strategy<Value = Request<'static>> {
    prop_oneof![20 => plain_request(), 2 => with_null(), 2 => raw_list()]
}

fn plain_request() -> impl Strategy<Value = Request<'static>> {
    let version = any::<i32>;
    Union::new([
        (text(), buffer(), acl(), mode())
            .prop_map(|(path, data, acl, (mode, with_stat))| Request::Create {
                path,
                data,
                acl: acl.into(),
                mode,
                with_stat,
            })
            .boxed(),
        (text(), version())
            .prop_map(|(path, version)| Request::Delete { path, version })
            .boxed(),
        (text(), any::<bool>())
            .prop_map(|(path, watch)| Request::Exists { path, watch })
            .boxed(),
        (text(), any::<bool>())
            .prop_map(|(path, watch)| Request::GetData { path, watch })
            .boxed(),
        (text(), buffer(), version())
            .prop_map(|(path, data, version)| Request::SetData {
                path,
                data,
                version,
            })
            .boxed(),
        text().prop_map(|path| Request::GetAcl { path }).boxed(),
        (text(), acl(), version())
            .prop_map(|(path, acl, version)| Request::SetAcl {
                path,
                acl: acl.into(),
                version,
            })
            .boxed(),
        (text(), any::<bool>(), any::<bool>())
            .prop_map(|(path, watch, with_stat)| Request::GetChildren {
                path,
                watch,
                with_stat,
            })
            .boxed(),
        text().prop_map(|path| Request::Sync { path }).boxed(),
        (text(), version())
            .prop_map(|(path, version)| Request::Check { path, version })
            .boxed(),
        vec(multi_op(), 0..5)
            .prop_map(|ops| Request::Multi(ops.into()))
            .boxed(),
        vec(read_op(), 0..5)
            .prop_map(|ops| Request::MultiRead(ops.into()))
            .boxed(),
        (
            option::of(text()),
            option::of(text()),
            option::of(text()),
            any::<i64>(),
        )
            .prop_map(
                |(joining, leaving, new_members, from_config)| Request::Reconfig {
                    joining,
                    leaving,
                    new_members,
                    from_config,
                },
            )
            .boxed(),
        (text(), watcher_type())
            .prop_map(|(path, kind)| Request::CheckWatches { path, kind })
            .boxed(),
        (text(), watcher_type())
            .prop_map(|(path, kind)| Request::RemoveWatches { path, kind })
            .boxed(),
        (text(), buffer())
            .prop_map(|(scheme, data)| Request::Auth { scheme, data })
            .boxed(),
        set_watches().prop_map(Request::SetWatches).boxed(),
        buffer().prop_map(|token| Request::Sasl { token }).boxed(),
        text()
            .prop_map(|prefix| Request::GetEphemerals { prefix })
            .boxed(),
        text()
            .prop_map(|path| Request::GetAllChildrenNumber { path })
            .boxed(),
        (text(), any::<i32>())
            .prop_map(|(path, mode)| Request::AddWatch {
                path,
                mode: AddWatchMode(mode),
            })
            .boxed(),
        Just(Request::Ping).boxed(),
        Just(Request::WhoAmI).boxed(),
        Just(Request::CloseSession).boxed(),
    ])
}

pub(crate) fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(longs, ints)| Stat {
        czxid: Zxid(longs[0]),
        mzxid: Zxid(longs[1]),
        ctime: longs[2],
        mtime: longs[3],
        version: ints[0],
        cversion: ints[1],
        aversion: ints[2],
        ephemeral_owner: SessionId(longs[4]),
        data_length: ints[3],
        num_children: ints[4],
        pzxid: Zxid(longs[5]),
    })
}

fn owned_text() -> impl Strategy<Value = String> {
    text().prop_map(Cow::into_owned)
}

fn children() -> impl Strategy<Value = Children> {
    vec(owned_text(), 0..20).prop_map(Children::from_iter)
}

fn error() -> impl Strategy<Value = ErrorCode> {
    any::<i32>().prop_map(ErrorCode)
}

fn multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        (owned_text(), option::of(stat()))
            .prop_map(|(path, stat)| MultiResult::Created { path, stat }),
        Just(MultiResult::Deleted),
        stat().prop_map(MultiResult::Set),
        Just(MultiResult::Checked),
        error().prop_map(MultiResult::Error),
    ]
}

fn read_result() -> impl Strategy<Value = ReadResult> {
    prop_oneof![
        (payload(), stat()).prop_map(|(data, stat)| ReadResult::Data { data, stat }),
        children().prop_map(ReadResult::Children),
        error().prop_map(ReadResult::Error),
    ]
}

/// Replies, each with an operation that has such replies.
pub(crate) fn reply() -> impl Strategy<Value = (OpCode, Reply)> {
    let of = |opcodes: &'static [OpCode], reply: BoxedStrategy<Reply>| {
        (proptest::sample::select(opcodes), reply).boxed()
    };
    Union::new([
        of(
            &[
                OpCode::DELETE,
                OpCode::PING,
                OpCode::CHECK,
                OpCode::CHECK_WATCHES,
                OpCode::REMOVE_WATCHES,
                OpCode::AUTH,
                OpCode::SET_WATCHES,
                OpCode::SET_WATCHES2,
                OpCode::CLOSE_SESSION,
                OpCode::ADD_WATCH,
            ],
            Just(Reply::Empty).boxed(),
        ),
        of(
            &[OpCode::CREATE, OpCode::SYNC],
            owned_text().prop_map(Reply::Path).boxed(),
        ),
        of(
            &[
                OpCode::CREATE2,
                OpCode::CREATE_CONTAINER,
                OpCode::CREATE_TTL,
            ],
            (owned_text(), stat())
                .prop_map(|(path, stat)| Reply::Created { path, stat })
                .boxed(),
        ),
        of(
            &[OpCode::EXISTS, OpCode::SET_DATA, OpCode::SET_ACL],
            stat().prop_map(Reply::Stat).boxed(),
        ),
        of(
            &[OpCode::GET_DATA, OpCode::RECONFIG],
            (payload(), stat())
                .prop_map(|(data, stat)| Reply::Data { data, stat })
                .boxed(),
        ),
        of(
            &[OpCode::GET_ACL],
            (acl(), stat())
                .prop_map(|(acl, stat)| Reply::Acl { acl, stat })
                .boxed(),
        ),
        of(
            &[OpCode::GET_CHILDREN],
            children().prop_map(Reply::Children).boxed(),
        ),
        of(
            &[OpCode::GET_CHILDREN2],
            (children(), stat())
                .prop_map(|(children, stat)| Reply::ChildrenStat { children, stat })
                .boxed(),
        ),
        of(
            &[OpCode::MULTI],
            vec(multi_result(), 0..6).prop_map(Reply::Multi).boxed(),
        ),
        of(
            &[OpCode::MULTI_READ],
            vec(read_result(), 0..6).prop_map(Reply::MultiRead).boxed(),
        ),
        of(
            &[OpCode::SASL],
            option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
                .prop_map(Reply::Sasl)
                .boxed(),
        ),
        of(
            &[OpCode::GET_EPHEMERALS],
            vec(owned_text(), 0..5).prop_map(Reply::Ephemerals).boxed(),
        ),
        of(
            &[OpCode::GET_ALL_CHILDREN_NUMBER],
            any::<i32>().prop_map(Reply::Count).boxed(),
        ),
        of(
            &[OpCode::WHO_AM_I],
            vec(
                (owned_text(), owned_text()).prop_map(|(scheme, user)| ClientInfo { scheme, user }),
                0..5,
            )
            .prop_map(Reply::Clients)
            .boxed(),
        ),
    ])
}

pub(crate) fn event() -> impl Strategy<Value = WatcherEvent> {
    (any::<i32>(), any::<i32>(), owned_text()).prop_map(|(kind, state, path)| WatcherEvent {
        kind: EventType(kind),
        state: KeeperState(state),
        path,
    })
}

fn password() -> impl Strategy<Value = Password> {
    let bytes = vec(any::<u8>(), 0..=Password::MAX_LEN);
    option::of(bytes).prop_map(|bytes| match bytes {
        Some(bytes) => Password::from_slice(&bytes).unwrap(),
        None => Password::NULL,
    })
}

pub(crate) fn connect_request() -> impl Strategy<Value = ConnectRequest> {
    (
        any::<[i32; 2]>(),
        any::<[i64; 2]>(),
        password(),
        any::<Option<bool>>(),
    )
        .prop_map(|(ints, longs, password, read_only)| ConnectRequest {
            protocol_version: ints[0],
            last_zxid_seen: Zxid(longs[0]),
            timeout: ints[1],
            session_id: SessionId(longs[1]),
            password,
            read_only,
        })
}

pub(crate) fn connect_response() -> impl Strategy<Value = ConnectResponse> {
    (
        any::<[i32; 2]>(),
        any::<i64>(),
        password(),
        any::<Option<bool>>(),
    )
        .prop_map(|(ints, session_id, password, read_only)| ConnectResponse {
            protocol_version: ints[0],
            timeout: ints[1],
            session_id: SessionId(session_id),
            password,
            read_only,
        })
}
