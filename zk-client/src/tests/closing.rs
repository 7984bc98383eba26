//! Every way in which a client ends, and begins again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, Reply, Request};

use super::{Rig, TestHandler, poll_once};
use crate::{Client, Error, Handler, StartError, State, StateReason};

#[test]
fn close_flushes_asks_the_server_and_says_that_it_is_done() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let set = client.set("/a", "x").send();
    let mut close = client.close().send();
    assert_eq!(
        client.set("/b", "x").wait(),
        Err(Error::Closed { sent: false })
    );
    let asked = rig.asked();
    let opcodes: Vec<_> = asked.iter().map(|asked| asked.opcode).collect();
    assert_eq!(opcodes, [OpCode::SET_DATA, OpCode::CLOSE_SESSION]);
    rig.reply(&asked[0], Ok(Reply::Stat(Rig::stat(1))));
    assert!(poll_once(&mut close).is_pending());
    rig.reply(&asked[1], Ok(Reply::Empty));
    assert_eq!(poll_once(&mut close), Poll::Ready(Ok(())));
    assert_eq!(set.wait(), Ok(Rig::stat(1)));
    rig.pump();
    assert!(rig.core.is_finished());
    assert_eq!((client.state(), client.client_id()), (State::Lost, None));
    assert_eq!(client.close().wait(), Ok(()), "closing again is fine");
    assert_eq!(
        client.sleep(Duration::ZERO).wait(),
        Err(Error::Closed { sent: false })
    );
    assert_eq!(
        client.until_connected().wait(),
        Err(Error::Closed { sent: false })
    );
    assert_eq!(client.state_changes().next_wait(), Ok(None));
}

#[test]
fn an_unconfirmed_close_says_so() {
    let mut rig = Rig::connected();
    let close = rig.client.close().timeout(Duration::from_secs(1)).send();
    let nap = rig.client.sleep(Duration::from_secs(60));
    rig.pump();
    rig.advance(Duration::from_secs(1));
    assert_eq!(close.wait(), Err(Error::CloseUnconfirmed));
    assert_eq!(nap.wait(), Err(Error::Closed { sent: false }));
}

#[test]
fn detaching_leaves_the_session_alive() {
    let mut rig = Rig::connected();
    let detach = rig.client.detach().send();
    assert!(rig.asked().is_empty(), "no closeSession");
    assert_eq!(detach.wait(), Ok(()));
}

#[test]
fn the_last_clone_closes_in_the_background() {
    let mut rig = Rig::connected();
    let view = rig.client.chroot("/a").unwrap();
    let last = rig.handler.clone() as Arc<dyn Handler>;
    rig.client = Client::builder("h9").start(last).unwrap();
    assert!(rig.asked().is_empty(), "a view keeps it open");
    let pending = view.exists("/b").send();
    drop(view);
    let asked = rig.asked();
    assert_eq!(asked.last().unwrap().opcode, OpCode::CLOSE_SESSION);
    rig.reply(&asked[0], Err(ErrorCode::NO_NODE));
    assert_eq!(
        pending.wait(),
        Ok(None),
        "what was submitted before still ends well"
    );
}

#[test]
fn an_abandoned_client_lets_nobody_hang() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let sent = client.set("/a", "x").send();
    rig.pump();
    let unsent = client.set("/b", "x").send();
    let nap = client.sleep(Duration::from_secs(60));
    let forever = client.sleep(Duration::MAX);
    let close = client.close().send();
    rig.core.abandon(rig.now());
    assert_eq!(sent.wait(), Err(Error::Closed { sent: true }));
    assert_eq!(unsent.wait(), Err(Error::Closed { sent: false }));
    assert_eq!(nap.wait(), Err(Error::Closed { sent: false }));
    assert_eq!(forever.wait(), Err(Error::Closed { sent: false }));
    assert_eq!(close.wait(), Err(Error::CloseUnconfirmed));
    assert_eq!(
        client.get("/a").wait().map(|_| ()),
        Err(Error::Closed { sent: false })
    );
    assert!(rig.core.is_finished());
    rig.core.abandon(rig.now());
}

#[test]
fn a_lost_session_fails_what_waits_and_goes_on() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let watched = client.exists("/a").watched().send();
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    let (_, watch) = watched.wait().unwrap();
    rig.cut();
    let waits = client.exists("/b").send();
    let mut states = client.state_changes();
    // The server has forgotten the session, and gives another.
    rig.reconnect(0x99);
    assert_eq!(waits.wait(), Err(Error::SessionExpired { sent: false }));
    assert!(matches!(watch.wait(), Err(Error::WatchEnded(_))));
    assert_eq!(states.try_next().unwrap().to, State::Lost);
    assert_eq!(states.try_next().unwrap().reason, StateReason::Established);
}

#[test]
fn restarting_makes_a_new_session_once_the_driver_has_gone() {
    let mut rig =
        Rig::with(Client::builder("h1").session_timeout(Duration::from_secs(4))).connect();
    let client = rig.client.clone();
    let auth = client.add_auth("digest", "user:password").send();
    let asked = rig.asked_one();
    rig.reply(&asked, Ok(Reply::Empty));
    auth.wait().unwrap();
    client.set_hosts("h7").unwrap();
    rig.pump();
    let old = client.exists("/a").send();
    let mut restart = client.restart();
    assert!(poll_once(&mut restart).is_pending());
    // The server is not on the list any more: the connection moves, and shows its credential.
    rig.pump();
    rig.greet_with_auth(0x77);
    let asked = rig.asked();
    assert_eq!(asked.last().unwrap().opcode, OpCode::CLOSE_SESSION);
    for asked in &asked {
        rig.reply(asked, Ok(Reply::Empty));
    }
    rig.pump();
    assert!(
        poll_once(&mut restart).is_pending(),
        "the driver is still there"
    );
    assert!(rig.core.is_finished());
    assert_eq!(poll_once(&mut restart), Poll::Ready(Ok(())));
    assert_eq!(rig.handler.drives(), 2);
    assert!(!rig.core.is_finished());
    // What belonged to the old session cannot touch the new one.
    let new = client.exists("/b").send();
    drop(old);
    let mut rig = Rig::of(Arc::clone(&rig.handler), rig.client.clone());
    assert_eq!(client.servers()[0].host(), "h7");
    rig.pump();
    rig.greet_with_auth(0x88);
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/b");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(new.wait(), Ok(None));
}

impl Rig {
    /// Serves a connection whose client presents a credential.
    fn greet_with_auth(&mut self, session: i64) {
        self.greet(session);
        let auth = self.asked_one();
        let Request::Auth { scheme, .. } = auth.body() else {
            unreachable!()
        };
        assert_eq!(scheme, "digest");
        self.reply(&auth, Ok(Reply::Empty));
        assert!(self.client.connected());
    }
}

#[test]
fn a_handler_that_cannot_drive_is_an_error() {
    let handler = TestHandler::new();
    handler.refuse.store(true, Ordering::Relaxed);
    let client = Client::builder("h1").start(handler);
    assert_eq!(
        client.map(|_| ()).unwrap_err(),
        Error::Start(StartError::ShutDown)
    );
}
