//! Requests and their answers, as far as they are not about data.

use std::{sync::Arc, time::Duration};

use zk_proto::{
    Acl, CreateMode, ErrorCode, OpCode, Reply, Request, RequestHeader, Xid, frame, put_int,
    put_text,
};
use zk_server::{Options, Release, SaslFactory, SaslServer, SaslStep};

use crate::rig::{Closed, Got, Rig, Session, create, delete, encode, get};

fn raw(xid: i32, opcode: i32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        RequestHeader {
            xid: Xid(xid),
            opcode: OpCode(opcode),
        }
        .encode(out);
        out.extend_from_slice(body);
    });
    bytes
}

fn auth<'a>(scheme: &'a str, data: &'a str) -> Request<'a> {
    Request::Auth {
        scheme: scheme.into(),
        data: Some(data.as_bytes().into()),
    }
}

fn identities(rig: &mut Rig, session: Session) -> Vec<(String, String)> {
    match rig.call(session, &Request::WhoAmI) {
        Ok(Reply::Clients(clients)) => clients.into_iter().map(|c| (c.scheme, c.user)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unknown_operation_costs_the_connection_and_not_the_session() {
    for opcode in [0, 10, 20, -1, -10, 99, 1000] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        rig.send(client.conn, &raw(4, opcode, b""));
        assert_eq!(
            rig.got(client, OpCode(opcode)),
            Some(Got::Reply(4, -1, ErrorCode::UNIMPLEMENTED, None)),
            "{opcode}"
        );
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
        assert!(rig.server.is_alive(client.id));
    }
}

#[test]
fn a_body_that_cannot_be_read_costs_the_request_only() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    for opcode in [
        1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 18, 19, 21, 22, 101, 105, 106,
    ] {
        rig.send(client.conn, &raw(4, opcode, &[0, 0]));
        let got = rig.got(client, OpCode(opcode));
        assert!(
            matches!(
                got,
                Some(Got::Reply(4, _, ErrorCode::MARSHALLING_ERROR, None))
            ),
            "{opcode}: {got:?}"
        );
    }
    assert_eq!(rig.call(client, &Request::Ping), Ok(Reply::Empty));
}

#[test]
fn a_check_of_its_own_is_unknown_or_not_answered() {
    let check = Request::Check {
        path: "/".into(),
        version: -1,
    };
    let mut rig = Rig::new(Options::new().release(Release::V3_8));
    let client = rig.connect();
    rig.ask(client, 1, &check);
    assert_eq!(rig.got(client, OpCode::CHECK), None);
    let missing = Request::Check {
        path: "/a".into(),
        version: -1,
    };
    assert_eq!(rig.call(client, &missing), Err(ErrorCode::NO_NODE));

    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.ask(client, 1, &check);
    assert_eq!(
        rig.got(client, OpCode::CHECK),
        Some(Got::Reply(1, -1, ErrorCode::UNIMPLEMENTED, None))
    );
    assert!(rig.closed(client.conn).is_some());
}

#[test]
fn every_write_takes_a_number_and_nothing_else_does() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let mut expected = 1;
    for (request, takes) in [
        (create("/a", CreateMode::Persistent), 1),
        (create("/a", CreateMode::Persistent), 1),
        (delete("/none"), 1),
        (Request::Multi(vec![].into()), 1),
        (get("/a", true), 0),
        (get("/none", false), 0),
        (Request::Sync { path: "/".into() }, 0),
        (Request::Ping, 0),
        (auth("digest", "a:b"), 0),
        (Request::WhoAmI, 0),
    ] {
        expected += takes;
        rig.ask(client, 3, &request);
        let Some(Got::Reply(3 | -2, zxid, ..)) = rig.got(client, request.opcode()) else {
            panic!("{request:?}");
        };
        assert_eq!(rig.server.tree().last_zxid().0, expected, "{request:?}");
        let shown = if request.opcode() == OpCode::AUTH {
            0
        } else {
            expected
        };
        assert_eq!(zxid, shown, "{request:?}");
    }
}

#[test]
fn replies_come_in_the_order_of_requests_with_their_xids() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let mut bytes = Vec::new();
    let requests: Vec<_> = (0..3000)
        .map(|index| match index % 4 {
            0 => create("/a", CreateMode::Persistent),
            1 => get("/a", false),
            2 => delete("/a"),
            _ => Request::Ping,
        })
        .collect();
    for (index, request) in requests.iter().enumerate() {
        bytes.extend(encode(i32::try_from(index).unwrap() + 1, request));
    }
    rig.send(client.conn, &bytes);
    for (index, request) in requests.iter().enumerate() {
        let xid = match request {
            Request::Ping => -2,
            _ => i32::try_from(index).unwrap() + 1,
        };
        match rig.got(client, request.opcode()) {
            Some(Got::Reply(got, _, code, _)) => assert_eq!((got, code), (xid, ErrorCode::OK)),
            other => panic!("{index}: {other:?}"),
        }
    }
}

#[test]
fn credentials_add_up_and_belong_to_the_connection() {
    let mut rig = Rig::new(Options::new().super_user("super", "adminsecret"));
    let client = rig.connect();
    for credential in ["bob:secret", "bob:secret", "nocolon", "super:adminsecret"] {
        assert_eq!(
            rig.call(client, &auth("digest", credential)),
            Ok(Reply::Empty)
        );
    }
    assert_eq!(rig.call(client, &auth("ip", "")), Ok(Reply::Empty));
    let mine = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };
    assert_eq!(
        identities(&mut rig, client),
        mine(&[
            ("ip", "127.0.0.1"),
            ("digest", "bob"),
            ("digest", "nocolon"),
            ("super", ""),
            ("digest", "super"),
        ])
    );
    let (conn, reply) = rig.reconnect(client, 0);
    let again = crate::rig::session(conn, reply);
    assert_eq!(identities(&mut rig, again), mine(&[("ip", "127.0.0.1")]));
}

#[test]
fn a_credential_without_a_colon_is_hashed_as_it_is() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &auth("digest", "nocolon")).unwrap();
    let node = Request::Create {
        path: "/a".into(),
        data: None,
        acl: Acl::creator_all_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    };
    rig.call(client, &node).unwrap();
    let Ok(Reply::Acl { acl, .. }) = rig.call(client, &Request::GetAcl { path: "/a".into() })
    else {
        panic!("no list");
    };
    // printf nocolon | sha1sum | xxd -r -p | base64
    assert_eq!(acl[0].id.id, "nocolon:Ra+cHr2ZoHvBjtNArFGNGlVie4g=");
}

#[test]
fn a_credential_that_is_refused_costs_the_connection() {
    for scheme in ["world", "sasl", "x509", "bogus", "super", ""] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        rig.ask(client, -4, &auth(scheme, "a:b"));
        assert_eq!(
            rig.got(client, OpCode::AUTH),
            Some(Got::Reply(-4, 0, ErrorCode::AUTH_FAILED, None))
        );
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    }
}

#[test]
fn where_authentication_is_required_even_a_ping_needs_it() {
    let mut rig = Rig::new(Options::new().enforce_scheme("digest"));
    let client = rig.connect();
    assert_eq!(rig.call(client, &auth("digest", "a:b")), Ok(Reply::Empty));
    assert_eq!(rig.call(client, &Request::Ping), Ok(Reply::Empty));
    let other = rig.connect();
    rig.ask(other, -2, &Request::Ping);
    assert_eq!(
        rig.got(other, OpCode::PING),
        Some(Got::Reply(
            -2,
            0,
            ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            None
        ))
    );
    assert_eq!(rig.closed(other.conn), Some(Closed::Orderly));
}

/// Wants to be told its own seed, twice.
#[derive(Debug)]
struct Echo;

struct Exchange {
    seed: [u8; 32],
    steps: usize,
}

impl SaslFactory for Echo {
    fn start(&self, seed: [u8; 32]) -> Box<dyn SaslServer> {
        Box::new(Exchange { seed, steps: 0 })
    }
}

impl SaslServer for Exchange {
    fn step(&mut self, token: &[u8]) -> SaslStep {
        self.steps += 1;
        match self.steps {
            1 => SaslStep::Continue(self.seed.to_vec()),
            _ if token == self.seed => SaslStep::Done {
                token: Some(b"welcome".to_vec()),
                authorization_id: "bob".to_owned(),
            },
            _ => SaslStep::Failed,
        }
    }
}

fn sasl(token: &[u8]) -> Request<'_> {
    Request::Sasl {
        token: Some(token.into()),
    }
}

fn token(rig: &mut Rig, client: Session, token: &[u8]) -> Option<Vec<u8>> {
    match rig.call(client, &sasl(token)) {
        Ok(Reply::Sasl(token)) => token.map(|token| token.to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sasl_goes_step_by_step() {
    let mut rig = Rig::new(Options::new().sasl(Arc::new(Echo)).enforce_scheme("sasl"));
    let (client, other) = (rig.connect(), rig.connect());
    let challenge = token(&mut rig, client, b"").unwrap();
    assert_ne!(
        token(&mut rig, other, b""),
        Some(challenge.clone()),
        "no challenge twice"
    );
    assert_eq!(
        token(&mut rig, client, &challenge),
        Some(b"welcome".to_vec())
    );
    assert!(identities(&mut rig, client).contains(&("sasl".to_owned(), "bob".to_owned())));

    rig.ask(other, 2, &sasl(b"wrong"));
    assert_eq!(
        rig.got(other, OpCode::SASL),
        Some(Got::Reply(
            2,
            0,
            ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
            Some(Reply::Sasl(None))
        ))
    );
    assert_eq!(rig.closed(other.conn), Some(Closed::Orderly));
}

#[test]
fn a_server_without_sasl_says_so_with_null() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    assert_eq!(token(&mut rig, client, b"x"), None);
    assert_eq!(rig.call(client, &Request::Ping), Ok(Reply::Empty));
}

#[test]
fn containers_and_nodes_that_outlived_their_time_are_reaped() {
    let mut rig = Rig::new(Options::new().reap_interval(Duration::from_secs(3)));
    let client = rig.connect();
    let ttl = zk_proto::Ttl::from_millis(4000).unwrap();
    rig.call(client, &create("/c", CreateMode::Container))
        .unwrap();
    rig.call(client, &create("/t", CreateMode::PersistentWithTtl(ttl)))
        .unwrap();
    rig.call(client, &create("/c/child", CreateMode::Persistent))
        .unwrap();
    rig.call(
        client,
        &Request::Exists {
            path: "/c".into(),
            watch: true,
        },
    )
    .unwrap();
    rig.advance(Duration::from_millis(3100));
    rig.call(client, &delete("/c/child")).unwrap();
    assert!(rig.server.tree().node("/t").is_some() && rig.server.tree().node("/c").is_some());
    rig.advance(Duration::from_secs(3));
    assert!(rig.server.tree().node("/t").is_none() && rig.server.tree().node("/c").is_none());
    assert_eq!(rig.events(client).len(), 1);
}

#[test]
fn bytes_behind_a_request_are_ignored() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    let mut body = Vec::new();
    put_text(&mut body, "/");
    put_int(&mut body, 0);
    body.extend_from_slice(b"more");
    rig.send(client.conn, &raw(1, 4, &body));
    assert!(matches!(
        rig.got(client, OpCode::GET_DATA),
        Some(Got::Reply(1, _, ErrorCode::OK, Some(_)))
    ));
}
