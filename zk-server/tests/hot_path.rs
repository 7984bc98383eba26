//! Reads do not allocate once the buffers have grown.

#![expect(
    clippy::disallowed_methods,
    reason = "an Instant can only be had from the clock"
)]

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use zk_proto::{
    Acl, Chroot, ConnectRequest, CreateMode, Password, Request, RequestHeader, SessionId, Xid,
    Zxid, frame,
};
use zk_server::{ConnId, Options, Standalone};

const CONN: ConnId = ConnId(1);

fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        let header = RequestHeader {
            xid: Xid::FIRST,
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
    bytes
}

#[test]
fn a_pipeline_of_reads_allocates_nothing_for_each() {
    let now = Instant::now();
    let mut server = Standalone::new(
        Arc::new(Options::new()),
        [0; 32],
        now,
        SystemTime::UNIX_EPOCH,
    );
    server.handle_accept(now, CONN, ([127, 0, 0, 1], 1).into());
    let mut bytes = Vec::new();
    let connect = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 10_000,
        session_id: SessionId::NONE,
        password: Password::EMPTY,
        read_only: Some(false),
    };
    frame(&mut bytes, |out| connect.encode(out));
    bytes.extend(encode(&Request::Create {
        path: "/a".into(),
        data: Some(vec![7; 100].into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    }));
    server.handle_data(now, CONN, &bytes);

    let reads = [
        encode(&Request::GetData {
            path: "/a".into(),
            watch: false,
        }),
        encode(&Request::Exists {
            path: "/a".into(),
            watch: false,
        }),
        encode(&Request::Ping),
    ]
    .concat();
    let pipeline = reads.repeat(200);
    let mut out = Vec::new();
    let mut round = || {
        server.handle_data(now, CONN, &pipeline);
        while server.poll_output().is_some() {}
        out.clear();
        server.poll_transmit(CONN, &mut out)
    };
    (0..10).for_each(|_| assert!(round() > 0));
    let mut sent = 0;
    let measured = allocation_counter::measure(|| {
        for _ in 0..10 {
            sent += round();
        }
    });
    assert_eq!(
        sent,
        10 * 200 * (4 + 16 + 4 + 100 + 68 + 4 + 16 + 68 + 4 + 16)
    );
    // A few for each chunk of 600 requests, none for a request.
    assert!(
        measured.count_total <= 30,
        "{} allocations",
        measured.count_total
    );
}
