//! How the model of a server answers.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{
    Acl, AddWatchMode, ConnectReply, ConnectRequest, ConnectResponse, ErrorCode, EventType,
    MultiOp, MultiResult, OpCode, Password, Payload, ReadResult, Reader, Reply, Request,
    RequestHeader, SessionId, SetWatches, Stat, Xid, Zxid, frame,
};
use zk_session::ConnId;

use crate::cluster::{Cluster, Freight, Peer, Phase, Record, TICK};
use crate::registry::{PERSISTENT, RECURSIVE, STANDARD};

impl Cluster {
    /// Credentials and SASL tokens are answered before anything that waits.
    pub fn network_layer(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get_mut(&conn) else {
            return;
        };
        if !matches!(peer.phase, Phase::Open(_)) {
            return;
        }
        let mut at = 0;
        while at < peer.inbox.len() {
            let frame = Bytes::from(peer.inbox[at].clone());
            let mut reader = Reader::new(&frame);
            let header = RequestHeader::decode(&mut reader).expect("the client sends headers");
            if header.opcode != OpCode::AUTH && header.opcode != OpCode::SASL {
                at += 1;
                continue;
            }
            peer.inbox.remove(at);
            let refused = peer.next_error.take_if(|code| {
                *code == ErrorCode::AUTH_FAILED
                    || *code == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH
            });
            let code = refused.unwrap_or(ErrorCode::OK);
            let body: &[u8] = if header.opcode == OpCode::SASL {
                &[0, 0, 0, 1, b'x']
            } else {
                &[]
            };
            peer.reply(header.xid, 0, code, body);
            if refused.is_some() {
                peer.phase = Phase::Closed;
                return;
            }
        }
    }

    /// Works on the oldest request of a connection. `false` if there is none, or if it must wait.
    pub fn serve(&mut self, conn: ConnId) -> bool {
        let Some(mut peer) = self.peers.remove(&conn) else {
            return false;
        };
        let done = match (peer.inbox.pop_front(), peer.phase) {
            (None, _) | (_, Phase::Closed) => false,
            (Some(frame), Phase::Fresh) => self.greet(&mut peer, frame),
            (Some(frame), Phase::Open(session)) => self.work(&mut peer, session, frame),
        };
        self.peers.insert(conn, peer);
        self.network_layer(conn);
        self.served += u64::from(done);
        done
    }

    fn greet(&mut self, peer: &mut Peer, raw: Vec<u8>) -> bool {
        let (isolated, read_only) = {
            let member = &self.members[peer.member];
            (member.isolated, member.read_only)
        };
        if isolated && !read_only {
            peer.inbox.push_front(raw);
            return false;
        }
        let bytes = Bytes::from(raw);
        let asked = ConnectRequest::decode(&mut Reader::new(&bytes)).expect("a connect request");
        if let Some(code) = peer.next_error.take() {
            if code == ErrorCode::NOT_READ_ONLY {
                greeting(peer, &ConnectReply::Refused(code));
            }
            peer.phase = Phase::Closed;
            return true;
        }
        let wanted = asked.session_id.0;
        if asked.last_zxid_seen.0 > self.tree.zxid || (read_only && asked.read_only != Some(true)) {
            peer.phase = Phase::Closed;
            return true;
        }
        if read_only && wanted != 0 && self.sessions.get(&wanted).is_some_and(|r| !r.local) {
            greeting(peer, &ConnectReply::Refused(ErrorCode::NOT_READ_ONLY));
            peer.phase = Phase::Closed;
            return true;
        }
        let timeout = Duration::from_millis(asked.timeout.max(1) as u64).clamp(2 * TICK, 20 * TICK);
        let mut id = wanted;
        let fits = self
            .sessions
            .get(&wanted)
            .is_some_and(|r| r.password == asked.password.as_bytes() && (!r.local || read_only));
        if wanted != 0 && std::mem::take(&mut self.substitute) {
            id = 0;
        } else if wanted != 0 && !fits {
            greeting(
                peer,
                &ConnectReply::Response(ConnectResponse {
                    protocol_version: 0,
                    timeout: 0,
                    session_id: SessionId::NONE,
                    password: Password::EMPTY,
                    read_only: Some(read_only),
                }),
            );
            peer.phase = Phase::Closed;
            return true;
        }
        if id == 0 {
            self.next_session += 1;
            id = self.next_session;
            if !read_only {
                self.tree.zxid += 1;
            }
        } else {
            for other in self.peers.values_mut() {
                if other.phase == Phase::Open(id) {
                    other.phase = Phase::Closed;
                }
            }
        }
        let password = [id as u8; 16];
        self.sessions.insert(
            id,
            Record {
                password,
                timeout,
                touched: self.now,
                local: read_only,
            },
        );
        peer.phase = Phase::Open(id);
        greeting(
            peer,
            &ConnectReply::Response(ConnectResponse {
                protocol_version: 0,
                timeout: timeout.as_millis() as i32,
                session_id: SessionId(id),
                password: Password::from(password),
                read_only: asked.read_only.map(|_| read_only),
            }),
        );
        true
    }

    fn work(&mut self, peer: &mut Peer, session: i64, raw: Vec<u8>) -> bool {
        let bytes = Bytes::from(raw);
        let mut reader = Reader::new(&bytes);
        let RequestHeader { xid, opcode } =
            RequestHeader::decode(&mut reader).expect("the client sends headers");
        let member = &self.members[peer.member];
        let (isolated, read_only) = (member.isolated, member.read_only);
        let request = Request::decode(opcode, &mut reader).expect("the client sends requests");
        let needs_leader = request.is_quorum() || request == Request::CloseSession;
        if isolated && !read_only && needs_leader {
            peer.inbox.push_front(bytes.to_vec());
            return false;
        }
        self.touch(peer.member, session);
        if request == Request::Ping {
            peer.reply(Xid::PING, self.tree.zxid, ErrorCode::OK, &[]);
            return true;
        }
        if let Some(code) = peer.next_error.take() {
            peer.reply(xid, self.tree.zxid, code, &[]);
            let last = [
                ErrorCode::UNIMPLEMENTED,
                ErrorCode::SESSION_EXPIRED,
                ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            ];
            if last.contains(&code) {
                peer.phase = Phase::Closed;
            }
            return true;
        }
        if read_only && request.is_quorum() {
            peer.reply(xid, self.tree.zxid, ErrorCode::NOT_READ_ONLY, &[]);
            return true;
        }
        if let Request::CloseSession = request {
            self.tree.zxid += 1;
            self.sessions.remove(&session);
            peer.reply(xid, self.tree.zxid, ErrorCode::OK, &[]);
            peer.phase = Phase::Closed;
            return true;
        }
        let result = self.carry_out(peer, &request);
        if result.is_ok() && request.is_write() {
            self.applied.extend(crate::checks::tag_of(&bytes));
        }
        peer.answer(xid, self.tree.zxid, &request, result);
        true
    }

    fn carry_out(&mut self, peer: &mut Peer, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        if let Some(op) = single_write(request) {
            let result = self.transaction(peer, std::slice::from_ref(&op));
            return match result.map_err(|(_, code)| code)?.pop() {
                Some(MultiResult::Created { path, stat }) => Ok(match stat {
                    Some(stat) => Reply::Created { path, stat },
                    None => Reply::Path(path),
                }),
                Some(MultiResult::Set(stat)) => Ok(Reply::Stat(stat)),
                _ => Ok(Reply::Empty),
            };
        }
        match request {
            Request::Exists { path, watch } => {
                let stat = self.tree.stat(path);
                if *watch {
                    peer.registry.add_data(path, STANDARD);
                }
                stat.map(Reply::Stat).ok_or(ErrorCode::NO_NODE)
            }
            Request::GetData { path, watch } => {
                let stat = self.tree.stat(path).ok_or(ErrorCode::NO_NODE)?;
                if *watch {
                    peer.registry.add_data(path, STANDARD);
                }
                let length = if path == "/big" { 200_000 } else { 40 };
                let data = Payload::from(&vec![7; length][..]);
                Ok(Reply::Data { data, stat })
            }
            Request::GetChildren {
                path,
                watch,
                with_stat,
            } => {
                let stat = self.tree.stat(path).ok_or(ErrorCode::NO_NODE)?;
                if *watch {
                    peer.registry.add_child(path, STANDARD);
                }
                let children = self.tree.children(path).into_iter().collect();
                Ok(if *with_stat {
                    Reply::ChildrenStat { children, stat }
                } else {
                    Reply::Children(children)
                })
            }
            Request::AddWatch { path, mode } => {
                let recursive = *mode == AddWatchMode::PERSISTENT_RECURSIVE;
                let mode = if recursive { RECURSIVE } else { PERSISTENT };
                peer.registry.add_both(path, mode);
                Ok(Reply::Empty)
            }
            Request::SetWatches(lists) => {
                self.set_watches(peer, lists);
                Ok(Reply::Empty)
            }
            Request::RemoveWatches { path, kind } => {
                let removed = peer.registry.remove(path, *kind);
                removed.then_some(Reply::Empty).ok_or(ErrorCode::NO_WATCHER)
            }
            Request::Multi(ops) => Ok(Reply::Multi(match self.transaction(peer, ops) {
                Ok(results) => results,
                Err((bad, code)) => (0..ops.len())
                    .map(|at| match at.cmp(&bad) {
                        std::cmp::Ordering::Less => ErrorCode::OK,
                        std::cmp::Ordering::Equal => code,
                        std::cmp::Ordering::Greater => ErrorCode::RUNTIME_INCONSISTENCY,
                    })
                    .map(MultiResult::Error)
                    .collect(),
            })),
            Request::MultiRead(ops) => Ok(Reply::MultiRead(
                ops.iter()
                    .map(|_| ReadResult::Error(ErrorCode::NO_NODE))
                    .collect(),
            )),
            Request::Sync { path } => Ok(Reply::Path(path.to_string())),
            Request::GetAcl { .. } => Ok(Reply::Acl {
                acl: Acl::open_unsafe(),
                stat: Stat::default(),
            }),
            Request::SetAcl { .. } => Ok(Reply::Stat(Stat::default())),
            Request::Reconfig { .. } => Ok(Reply::Data {
                data: Payload::null(),
                stat: Stat::default(),
            }),
            Request::GetEphemerals { prefix } => Ok(Reply::Ephemerals(vec![prefix.to_string()])),
            Request::GetAllChildrenNumber { .. } => Ok(Reply::Count(1)),
            Request::WhoAmI => Ok(Reply::Clients(Vec::new())),
            _ => Err(ErrorCode::UNIMPLEMENTED),
        }
    }

    fn transaction(
        &mut self,
        peer: &mut Peer,
        ops: &[MultiOp<'_>],
    ) -> Result<Vec<MultiResult>, (usize, ErrorCode)> {
        let (results, changes) = self.tree.commit(ops)?;
        // The writer is out of the table while it is served, and hears of its own changes too.
        for change in &changes {
            let zxid = match self.flavour {
                crate::registry::Flavour::Replacing => Zxid(-1),
                crate::registry::Flavour::Coexisting => Zxid(change.zxid),
            };
            for (kind, path) in peer.registry.change(change.kind, &change.path) {
                peer.event(kind, &path, zxid, Freight::Change(change.zxid));
            }
        }
        self.notify(&changes);
        Ok(results)
    }

    fn set_watches(&self, peer: &mut Peer, lists: &SetWatches<'_>) {
        let since = lists.relative_zxid;
        let due = |peer: &mut Peer, kind, path: &str| {
            peer.event(kind, path, Zxid(-1), Freight::CatchUp);
        };
        for path in &lists.data {
            match self.tree.stat(path) {
                None => due(peer, EventType::NODE_DELETED, path),
                Some(s) if s.mzxid > since => due(peer, EventType::NODE_DATA_CHANGED, path),
                Some(_) => peer.registry.add_data(path, STANDARD),
            }
        }
        for path in &lists.exist {
            match self.tree.stat(path) {
                Some(_) => due(peer, EventType::NODE_CREATED, path),
                None => peer.registry.add_data(path, STANDARD),
            }
        }
        for path in &lists.child {
            match self.tree.stat(path) {
                None => due(peer, EventType::NODE_DELETED, path),
                Some(s) if s.pzxid > since => due(peer, EventType::NODE_CHILDREN_CHANGED, path),
                Some(_) => peer.registry.add_child(path, STANDARD),
            }
        }
        for path in &lists.persistent {
            peer.registry.add_both(path, PERSISTENT);
        }
        for path in &lists.recursive {
            peer.registry.add_both(path, RECURSIVE);
        }
    }
}

fn greeting(peer: &mut Peer, reply: &ConnectReply) {
    let mut out = Vec::new();
    frame(&mut out, |out| reply.encode(out));
    peer.out.push_back((Freight::Other, out));
}

/// A write outside of a transaction, as the transaction of one that it is.
fn single_write<'a>(request: &Request<'a>) -> Option<MultiOp<'a>> {
    match request.clone() {
        Request::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        } => Some(MultiOp::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        }),
        Request::Delete { path, version } => Some(MultiOp::Delete { path, version }),
        Request::SetData {
            path,
            data,
            version,
        } => Some(MultiOp::SetData {
            path,
            data,
            version,
        }),
        _ => None,
    }
}
