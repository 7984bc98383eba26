//! Values as the captured frames describe them.

use serde_json::{Value, json};
use zk_proto::{
    Acl, ConnectRequest, ConnectResponse, MultiOp, MultiResult, OpCode, Password, RawRequest,
    ReadOp, ReadResult, Reply, ReplyHeader, Request, RequestHeader, Stat, WatcherEvent, WireMode,
};

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn hex_or_null(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| hex(bytes).into())
}

fn password(password: &Password) -> Value {
    hex_or_null((!password.is_null()).then(|| password.as_bytes()))
}

pub(crate) fn connect_request(request: &ConnectRequest) -> Value {
    let mut value = json!({
        "frame": "ConnectRequest",
        "protocolVersion": request.protocol_version,
        "lastZxidSeen": request.last_zxid_seen.0,
        "timeOut": request.timeout,
        "sessionId": request.session_id.0,
        "passwd_hex": password(&request.password),
    });
    if let Some(read_only) = request.read_only {
        value["readOnly"] = read_only.into();
    }
    value
}

pub(crate) fn connect_response(response: &ConnectResponse) -> Value {
    let mut value = json!({
        "frame": "ConnectResponse",
        "protocolVersion": response.protocol_version,
        "timeOut": response.timeout,
        "sessionId": response.session_id.0,
        "passwd_hex": password(&response.password),
    });
    if let Some(read_only) = response.read_only {
        value["readOnly"] = read_only.into();
    }
    value
}

pub(crate) fn request_header(header: &RequestHeader) -> Value {
    let op = header.opcode.name().unwrap_or("?");
    json!({ "xid": header.xid.0, "type": header.opcode.0, "op": op })
}

pub(crate) fn reply_header(header: &ReplyHeader) -> Value {
    json!({
        "xid": header.xid.0,
        "zxid": header.zxid.0,
        "err": header.err.0,
        "errName": header.err.name(),
    })
}

fn stat(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.0,
        "mzxid": stat.mzxid.0,
        "ctime": stat.ctime,
        "mtime": stat.mtime,
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "ephemeralOwner": stat.ephemeral_owner.0,
        "dataLength": stat.data_length,
        "numChildren": stat.num_children,
        "pzxid": stat.pzxid.0,
    })
}

fn acl(list: &[Acl]) -> Value {
    list.iter()
        .map(|acl| json!({ "perms": acl.perms.0, "scheme": acl.id.scheme, "id": acl.id.id }))
        .collect()
}

fn create(path: &str, data: Option<&[u8]>, list: &[Acl], mode: WireMode) -> Value {
    let mut value = json!({
        "path": path,
        "data_hex": hex_or_null(data),
        "acl": acl(list),
        "flags": mode.flags(),
    });
    let ttl = match mode {
        WireMode::Known(mode) => mode.ttl().map(|ttl| ttl.as_millis()),
        WireMode::Raw(raw) => raw.ttl,
    };
    if let Some(ttl) = ttl {
        value["ttl"] = ttl.into();
    }
    value
}

/// The item of a multi, behind its head.
fn item(opcode: OpCode, err: i32, key: &str, name: &str, mut fields: Value) -> Value {
    fields["header"] = json!({ "type": opcode.0, "done": false, "err": err });
    fields[key] = name.into();
    fields
}

fn multi(key: &str, items: Vec<Value>) -> Value {
    json!({ key: items, "end": { "type": -1, "done": true, "err": -1 } })
}

pub(crate) fn request(request: &Request<'_>) -> Value {
    match request {
        Request::Create {
            path,
            data,
            acl,
            mode,
            ..
        } => create(path, data.as_deref(), acl, *mode),
        Request::Delete { path, version } | Request::Check { path, version } => {
            json!({ "path": path, "version": version })
        }
        Request::Exists { path, watch }
        | Request::GetData { path, watch }
        | Request::GetChildren { path, watch, .. } => json!({ "path": path, "watch": watch }),
        Request::SetData {
            path,
            data,
            version,
        } => {
            json!({ "path": path, "data_hex": hex_or_null(data.as_deref()), "version": version })
        }
        Request::GetAcl { path }
        | Request::Sync { path }
        | Request::GetAllChildrenNumber { path } => json!({ "path": path }),
        Request::SetAcl {
            path,
            acl: list,
            version,
        } => {
            json!({ "path": path, "acl": acl(list), "version": version })
        }
        Request::Multi(ops) => multi("ops", ops.iter().map(multi_op).collect()),
        Request::MultiRead(ops) => {
            let op = |op: &ReadOp<'_>| {
                let fields = json!({ "path": op.path(), "watch": false });
                item(op.opcode(), -1, "op", op.opcode().name().unwrap(), fields)
            };
            multi("ops", ops.iter().map(op).collect())
        }
        Request::Reconfig {
            joining,
            leaving,
            new_members,
            from_config,
        } => json!({
            "joiningServers": joining,
            "leavingServers": leaving,
            "newMembers": new_members,
            "curConfigId": from_config,
        }),
        Request::CheckWatches { path, kind } | Request::RemoveWatches { path, kind } => {
            json!({ "path": path, "type": kind.0 })
        }
        Request::Auth { scheme, data } => {
            json!({ "type": 0, "scheme": scheme, "auth_hex": hex_or_null(data.as_deref()) })
        }
        Request::SetWatches(watches) => {
            let mut value = json!({
                "relativeZxid": watches.relative_zxid.0,
                "dataWatches": watches.data,
                "existWatches": watches.exist,
                "childWatches": watches.child,
            });
            if watches.opcode() == OpCode::SET_WATCHES2 {
                value["persistentWatches"] = json!(watches.persistent);
                value["persistentRecursiveWatches"] = json!(watches.recursive);
            }
            value
        }
        Request::Sasl { token } => json!({ "token_hex": hex_or_null(token.as_deref()) }),
        Request::GetEphemerals { prefix } => json!({ "prefixPath": prefix }),
        Request::AddWatch { path, mode } => json!({ "path": path, "mode": mode.0 }),
        Request::Ping | Request::WhoAmI | Request::CloseSession => json!({}),
        Request::Raw(raw) => raw_request(raw),
        other => panic!("no description of {other:?}"),
    }
}

fn raw_request(raw: &RawRequest<'_>) -> Value {
    match raw {
        RawRequest::Null {
            request: inner,
            path,
            acl,
        } => {
            let mut value = request(inner);
            for (null, key) in [(path, "path"), (acl, "acl")] {
                if *null {
                    assert_eq!(value[key].as_str().unwrap_or_default(), "");
                    assert_eq!(value[key].as_array().map_or(0, Vec::len), 0);
                    value[key] = Value::Null;
                }
            }
            value
        }
        RawRequest::Multi(requests) | RawRequest::MultiRead(requests) => {
            let op = |op: &Request<'_>| {
                let opcode = op.opcode();
                item(opcode, -1, "op", opcode.name().unwrap(), request(op))
            };
            multi("ops", requests.iter().map(op).collect())
        }
        other => panic!("no description of {other:?}"),
    }
}

fn multi_op(op: &MultiOp<'_>) -> Value {
    let fields = match op {
        MultiOp::Create {
            path,
            data,
            acl,
            mode,
            ..
        } => create(path, data.as_deref(), acl, *mode),
        MultiOp::Delete { path, version } | MultiOp::Check { path, version } => {
            json!({ "path": path, "version": version })
        }
        MultiOp::SetData {
            path,
            data,
            version,
        } => {
            json!({ "path": path, "data_hex": hex_or_null(data.as_deref()), "version": version })
        }
    };
    item(op.opcode(), -1, "op", op.opcode().name().unwrap(), fields)
}

pub(crate) fn reply(opcode: OpCode, reply: &Reply) -> Value {
    match reply {
        Reply::Empty if opcode == OpCode::ADD_WATCH => json!({ "err": 0 }),
        Reply::Empty => json!({}),
        Reply::Path(path) => json!({ "path": path }),
        Reply::Created { path, stat: s } => json!({ "path": path, "stat": stat(s) }),
        Reply::Stat(s) => json!({ "stat": stat(s) }),
        Reply::Data { data, stat: s } => {
            json!({ "data_hex": hex_or_null(data.as_option()), "stat": stat(s) })
        }
        Reply::Acl { acl: list, stat: s } => json!({ "acl": acl(list), "stat": stat(s) }),
        Reply::Children(children) => json!({ "children": children.to_vec() }),
        Reply::ChildrenStat { children, stat: s } => {
            json!({ "children": children.to_vec(), "stat": stat(s) })
        }
        Reply::Multi(results) => multi("results", results.iter().map(multi_result).collect()),
        Reply::MultiRead(results) => multi("results", results.iter().map(read_result).collect()),
        Reply::Sasl(token) => json!({ "token_hex": hex_or_null(token.as_deref()) }),
        Reply::Ephemerals(paths) => json!({ "ephemerals": paths }),
        Reply::Count(count) => json!({ "totalNumber": count }),
        Reply::Clients(clients) => {
            let client =
                |c: &zk_proto::ClientInfo| json!({ "authScheme": c.scheme, "user": c.user });
            json!({ "clientInfo": clients.iter().map(client).collect::<Vec<_>>() })
        }
        other => panic!("no description of {other:?}"),
    }
}

fn multi_result(result: &MultiResult) -> Value {
    let (opcode, err, fields) = match result {
        MultiResult::Created { path, stat: None } => (OpCode::CREATE, 0, json!({ "path": path })),
        MultiResult::Created {
            path,
            stat: Some(s),
        } => (OpCode::CREATE2, 0, json!({ "path": path, "stat": stat(s) })),
        MultiResult::Deleted => (OpCode::DELETE, 0, json!({})),
        MultiResult::Set(s) => (OpCode::SET_DATA, 0, json!({ "stat": stat(s) })),
        MultiResult::Checked => (OpCode::CHECK, 0, json!({})),
        MultiResult::Error(err) => (OpCode::ERROR, err.0, json!({ "err": err.0 })),
    };
    item(opcode, err, "result", opcode.name().unwrap(), fields)
}

fn read_result(result: &ReadResult) -> Value {
    let (opcode, err, fields) = match result {
        ReadResult::Data { data, stat: s } => {
            let fields = json!({ "data_hex": hex_or_null(data.as_option()), "stat": stat(s) });
            (OpCode::GET_DATA, 0, fields)
        }
        ReadResult::Children(children) => (
            OpCode::GET_CHILDREN,
            0,
            json!({ "children": children.to_vec() }),
        ),
        ReadResult::Error(err) => (OpCode::ERROR, err.0, json!({ "err": err.0 })),
    };
    item(opcode, err, "result", opcode.name().unwrap(), fields)
}

pub(crate) fn event(event: &WatcherEvent) -> Value {
    json!({
        "type": event.kind.0,
        "state": event.state.0,
        "path": event.path,
        "typeName": event.kind.name(),
    })
}
