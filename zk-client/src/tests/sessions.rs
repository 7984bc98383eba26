//! Calls for one session only.

use zk_proto::{OpCode, SessionId};

use super::{Rig, poll_once};
use crate::Error;

#[test]
fn what_is_for_one_session_is_not_sent_in_another() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let (session, _) = client.client_id().unwrap();
    let expired = || Error::SessionExpired { sent: false };
    let other = SessionId(session.0 + 1);
    assert_eq!(client.delete("/a").in_session(other).wait(), Err(expired()));
    let commit = || client.transaction().delete("/a").commit();
    assert_eq!(commit().in_session(other).wait(), Err(expired()));
    assert!(rig.asked().is_empty());
    let mut sent = [
        client.delete("/a").in_session(session).send(),
        client.delete("/a").urgent().in_session(session).send(),
    ];
    let committed = commit().in_session(session).send();
    let asked: Vec<_> = rig.asked().iter().map(|asked| asked.opcode).collect();
    assert_eq!(asked, [OpCode::DELETE, OpCode::DELETE, OpCode::MULTI]);
    // While the connection is away it is still the same.
    rig.cut();
    assert!(sent.iter_mut().all(|result| poll_once(result).is_ready()));
    drop(committed);
    let mut later = client.delete("/a").in_session(session).send();
    assert!(poll_once(&mut later).is_pending());
    rig.reconnect(other.0);
    assert_eq!(later.wait(), Err(expired()), "another one began instead");
    assert_eq!(
        client.delete("/a").in_session(session).wait(),
        Err(expired())
    );
    assert!(rig.asked().is_empty());
}
