//! What a server begins with.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io::Write,
    net::SocketAddr,
    time::Instant,
};

use zk_proto::{
    Acl, Chroot, ConnectRequest, CreateMode, ErrorCode, Password, Reader, ReplyHeader, Request,
    RequestHeader, SessionId, Xid, Zxid, frame,
};

use super::StartError;
use crate::{ConnId, Standalone};

/// Why a node cannot be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The server refused it.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// The server did not answer: the node is larger than a frame may be.
    #[error("too large")]
    TooLarge,
}

/// Creates nodes as a client would, on a connection that is gone afterwards.
pub(super) fn create_nodes(
    server: &mut Standalone,
    now: Instant,
    nodes: Vec<(String, Vec<u8>)>,
) -> Result<(), StartError> {
    if nodes.is_empty() {
        return Ok(());
    }
    let conn = ConnId(0);
    let mut replies = Vec::new();
    server.handle_accept(now, conn, SocketAddr::from(([127, 0, 0, 1], 0)));
    let connect = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 0,
        session_id: SessionId::NONE,
        password: Password::EMPTY,
        read_only: Some(false),
    };
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| connect.encode(out));
    server.handle_data(now, conn, &bytes);
    server.poll_transmit(conn, &mut replies);
    for (path, data) in nodes {
        let request = Request::Create {
            path: path.as_str().into(),
            data: Some(data.into()),
            acl: Acl::open_unsafe_ref().into(),
            mode: CreateMode::Persistent.into(),
            with_stat: false,
        };
        let code = ask(server, now, conn, &request);
        let source = match code {
            Some(ErrorCode::OK) => continue,
            Some(code) => SetupError::Refused(code),
            None => SetupError::TooLarge,
        };
        return Err(StartError::Node { path, source });
    }
    let closed = ask(server, now, conn, &Request::CloseSession);
    debug_assert_eq!(closed, Some(ErrorCode::OK));
    server.handle_closed(now, conn);
    while server.poll_output().is_some() {}
    Ok(())
}

fn ask(
    server: &mut Standalone,
    now: Instant,
    conn: ConnId,
    request: &Request<'_>,
) -> Option<ErrorCode> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        let header = RequestHeader {
            xid: Xid::FIRST,
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
    server.handle_data(now, conn, &bytes);
    let mut reply = Vec::new();
    server.poll_transmit(conn, &mut reply);
    let reply = bytes::Bytes::from(reply);
    let mut reader = Reader::within(&reply, 4..reply.len());
    Some(ReplyHeader::decode(&mut reader).ok()?.err)
}

/// Thirty-two bytes that nobody guesses; the standard library seeds its hash maps from the system.
pub(super) fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for chunk in seed.chunks_exact_mut(8) {
        let state = RandomState::new();
        chunk.copy_from_slice(&state.build_hasher().finish().to_be_bytes());
    }
    seed
}

/// Says that nothing is kept.
pub(super) fn warn(addr: SocketAddr) {
    // A closed standard error is no reason not to serve.
    let _ = writeln!(
        std::io::stderr(),
        "zk-server on {addr}: everything is in memory and gone when it stops; for development and \
         tests"
    );
}
