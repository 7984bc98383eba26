//! `testing`: losing connections and sessions at will.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{OpCode, Reply};

use super::world::{SESSION, World};
use super::{Rig, poll_once};
use crate::testing::{expire_session, lose_connection};
use crate::{Error, State, StateReason};

#[test]
fn a_lost_connection_keeps_the_session() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let mut changes = client.state_changes();
    assert_eq!(world.run(lose_connection(&client)), Ok(()));
    assert!(matches!(
        changes.try_next().unwrap().to,
        State::Suspended { .. }
    ));
    assert_eq!(changes.try_next().unwrap().reason, StateReason::Resumed);
}

#[test]
fn an_expired_session_is_closed_by_a_second_client() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let mut changes = client.state_changes();
    let mut expire = expire_session(&client);
    assert!(poll_once(&mut expire).is_pending());
    // The second client, and what it says.
    let mut second = Rig::of(Arc::clone(&world.rig.handler), client.clone());
    second.core = world.rig.handler.last_driven();
    assert_eq!(world.rig.handler.drives(), 2);
    second.pump();
    second.greet(SESSION);
    assert!(poll_once(&mut expire).is_pending());
    let asked = second.asked_one();
    assert_eq!(asked.opcode, OpCode::CLOSE_SESSION);
    second.reply(&asked, Ok(Reply::Empty));
    world.session = SESSION + 1;
    assert_eq!(world.run(expire), Ok(()));
    let states: Vec<_> = std::iter::from_fn(|| changes.try_next()).collect();
    assert!(states.iter().any(|change| change.to == State::Lost));
    assert_eq!(client.client_id().unwrap().0.0, SESSION + 1);
}

#[test]
fn they_have_limits() {
    let mut rig = Rig::new("h1");
    let client = rig.client.clone();
    let mut lose = lose_connection(&client);
    let mut expire = expire_session(&client).timeout(Duration::from_secs(1));
    assert!(poll_once(&mut lose).is_pending());
    assert!(poll_once(&mut expire).is_pending());
    rig.advance(Duration::from_secs(1));
    let late = std::task::Poll::Ready(Err(Error::Timeout { sent: true }));
    assert_eq!(poll_once(&mut expire), late);
    assert!(poll_once(&mut lose).is_pending());
    rig.advance(Duration::from_secs(30));
    assert_eq!(poll_once(&mut lose), late);
}
