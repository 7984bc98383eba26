//! Close and detach.

use std::io::ErrorKind;

use zk_proto::{Chroot, Request};
use zk_session::{Call, Cancelled, CloseOutcome, Refused, RequestError, State, StateReason};

use crate::rig::expect::{add_watch, create, delete, get, set};
use crate::rig::{Rig, SID, T, ms};

#[test]
fn what_was_accepted_is_sent_before_the_session_is_closed() {
    let mut rig = Rig::to_connected();
    let sent = rig.submit(&create("/a"));
    let unsent = rig.queue(&set("/a", b"1"));
    rig.close(T);
    let asked = [
        rig.asked_for(&create("/a")),
        rig.asked_for(&set("/a", b"1")),
        rig.asked_for(&Request::CloseSession),
    ];
    rig.nothing_asked();
    assert_eq!(rig.refused(&get("/a")), Refused::Closed);
    for asked in &asked {
        rig.answer(asked);
    }
    rig.ok(sent);
    rig.ok(unsent);
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
    assert_eq!(rig.ended.last().map(|(_, abort)| *abort), Some(false));
    assert!(rig.session.is_finished());
}

#[test]
fn a_close_without_an_answer_says_so_at_its_limit() {
    let mut rig = Rig::to_connected();
    rig.close(ms(500));
    rig.asked_for(&Request::CloseSession);
    rig.pass(ms(499));
    rig.nothing_happened();
    rig.pass(ms(1));
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
    assert_eq!(rig.ended.last().map(|(_, abort)| *abort), Some(true));
}

#[test]
fn a_close_while_suspended_reconnects_for_it() {
    let mut rig = Rig::to_suspended();
    let waiting = rig.submit(&delete("/lock"));
    rig.close(T);
    rig.nothing_happened();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Resumed);
    let asked = rig.asked_for(&delete("/lock"));
    let close = rig.asked_for(&Request::CloseSession);
    rig.answer(&asked);
    rig.answer(&close);
    rig.ok(waiting);
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_close_whose_connection_is_lost_is_asked_again() {
    let mut rig = Rig::to_connected();
    rig.close(T);
    rig.asked_for(&Request::CloseSession);
    rig.cut();
    rig.suspended();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SID);
    rig.expire(conn);
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.closed(), CloseOutcome::Confirmed, "gone is gone");
}

#[test]
fn a_close_before_the_first_connect_has_nothing_to_do() {
    let mut rig = Rig::new();
    let id = rig.submit(&get("/a"));
    rig.close(T);
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.failed(id), RequestError::Closed { sent: false });
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
    assert!(rig.peers.is_empty());
}

#[test]
fn a_close_during_the_handshake_closes_the_session_that_it_makes() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    rig.close(T);
    rig.nothing_happened();
    rig.accept(conn);
    rig.connected();
    let close = rig.asked_for(&Request::CloseSession);
    rig.answer(&close);
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_close_while_lost_has_nothing_to_do() {
    let mut rig = Rig::to_lost();
    rig.close(T);
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_close_after_giving_up_closes_the_old_session() {
    let mut rig = Rig::to_suspended();
    rig.pass(T * 2);
    rig.events.clear();
    assert_eq!(rig.session.state(), State::Lost);
    rig.close(T);
    rig.events.clear();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SID);
    rig.accept(conn);
    let close = rig.asked_for(&Request::CloseSession);
    rig.answer(&close);
    rig.events
        .retain(|e| !matches!(e, zk_session::Event::ConnectFailed { .. }));
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_release_is_taken_until_close_session_is_sent() {
    let mut rig = Rig::to_suspended();
    rig.close(T);
    let body = delete("/lock");
    let urgent = rig.call(Call::new(&body, &Chroot::ROOT).urgent()).id;
    assert_eq!(rig.refused(&delete("/lock")), Refused::Closed);
    rig.establish();
    rig.connected();
    let asked = rig.answer_all();
    assert_eq!(asked.len(), 2);
    rig.ok(urgent);
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Confirmed);
}

#[test]
fn a_second_close_can_only_shorten_the_limit() {
    let mut rig = Rig::to_connected();
    rig.close(ms(300));
    rig.close(T);
    rig.close(ms(200));
    rig.pass(ms(200));
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
    rig.close(T);
    rig.nothing_happened();
}

#[test]
fn after_the_close_nothing_is_done() {
    let mut rig = Rig::to_connected();
    let conn = rig.conn();
    rig.close(T);
    rig.answer_all();
    rig.events.clear();
    rig.session.handle_data(rig.now, conn, b"late");
    rig.session.handle_connected(rig.now, conn);
    rig.session
        .handle_disconnected(rig.now, conn, ErrorKind::UnexpectedEof);
    rig.session.handle_sasl(rig.now, conn, Ok(vec![1]));
    rig.session.reconnect(rig.now);
    rig.session.set_servers(rig.now, &[crate::rig::server("d")]);
    rig.session.detach(rig.now, T);
    rig.drain();
    rig.nothing_happened();
    assert!(rig.session.is_finished() && rig.session.poll_timeout().is_none());
}

#[test]
fn a_close_ends_watchers() {
    let mut rig = Rig::to_connected();
    let (id, watcher) = rig.watching(&add_watch("/a"));
    rig.answer_all();
    rig.ok(id);
    rig.close(T);
    rig.answer_all();
    assert_eq!(rig.lost(), StateReason::Closed);
    assert_eq!(rig.watch_ended(watcher), StateReason::Closed);
    rig.closed();
}

#[test]
fn detach_waits_for_what_was_accepted_and_leaves_the_session() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&create("/a"));
    rig.session.detach(rig.now, T);
    rig.drain();
    rig.nothing_happened();
    let asked = rig.asked_for(&create("/a"));
    rig.answer(&asked);
    rig.ok(id);
    assert_eq!(rig.lost(), StateReason::Detached);
    assert_eq!(rig.closed(), CloseOutcome::Detached);
    assert!(rig.session.is_finished());
}

#[test]
fn detach_sends_what_is_unsent_and_no_close() {
    let mut rig = Rig::to_connected();
    let id = rig.queue(&create("/a"));
    rig.session.detach(rig.now, T);
    rig.drain();
    let asked = rig.asked_for(&create("/a"));
    rig.nothing_asked();
    rig.answer(&asked);
    rig.ok(id);
    rig.lost();
    assert_eq!(rig.closed(), CloseOutcome::Detached);
}

#[test]
fn detach_gives_up_at_its_limit() {
    let mut rig = Rig::to_suspended();
    let id = rig.submit(&create("/a"));
    rig.session.detach(rig.now, ms(50));
    rig.pass(ms(50));
    assert_eq!(rig.lost(), StateReason::Detached);
    assert_eq!(rig.failed(id), RequestError::Closed { sent: false });
    assert_eq!(rig.closed(), CloseOutcome::Detached);
}

/// A detach that waited for these requests only went on waiting for something else to happen.
#[test]
fn detach_ends_with_the_last_request_that_is_given_up() {
    let mut rig = Rig::to_suspended();
    let body = create("/a");
    let chroot = Chroot::default();
    let deadline = rig.now + ms(50);
    let call = Call::new(&body, &chroot).deadline(Some(deadline));
    let id = rig.call(call).id;
    rig.session.detach(rig.now, T);
    rig.pass(ms(50));
    assert_eq!(rig.failed(id), RequestError::TimedOut { sent: false });
    assert_eq!(rig.lost(), StateReason::Detached);
    assert_eq!(rig.closed(), CloseOutcome::Detached);

    let mut rig = Rig::to_suspended();
    let id = rig.submit(&create("/a"));
    rig.session.detach(rig.now, T);
    assert_eq!(rig.cancel(id), Cancelled::Unsent);
    assert_eq!(rig.lost(), StateReason::Detached);
    assert_eq!(rig.closed(), CloseOutcome::Detached);
}
