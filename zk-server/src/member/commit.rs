//! What comes from the leader.

use std::{sync::Arc, time::Instant};

use zk_proto::{ErrorCode, OpCode, Perms, Reader, Request, Zxid, put_text};

use super::{Member, Shared};
use crate::{
    Alive, Applied, Caller, FromLeader, Standing, Ticket, Txn, TxnKind,
    connection::{Client, Connection, Ending, Place, Stage, Waiting},
    decode::decode,
};

use super::local::put_event;

impl Member {
    /// The next message of the leader. In an ensemble a commit is one only when enough members have
    /// it.
    pub fn handle_leader(&mut self, now: Instant, message: FromLeader) {
        self.shared.clock.advance(now);
        match message {
            FromLeader::Commit { txn, ticket } => self.commit(&txn, ticket),
            FromLeader::Synced { ticket } => {
                self.answer_waiting(ticket, |client, waiting, zxid| {
                    let request = decode(OpCode::SYNC, &mut Reader::new(&waiting.body));
                    client.reply(waiting.header.xid, zxid, |_, out| match request {
                        Ok(Request::Sync { path }) => {
                            put_text(out, &path);
                            Ok(())
                        }
                        Ok(_) | Err(_) => Err(ErrorCode::MARSHALLING_ERROR),
                    });
                })
            }
            FromLeader::Revalidated { ticket, alive } => self.opened(ticket, alive),
            FromLeader::Moved { ticket } => {
                if self.is_ours(&ticket) {
                    self.shared.evict(ticket.conn, Ending::Flush);
                }
            }
        }
        self.settle();
    }

    /// Applies a transaction: first the events, then what it means for a session, then the reply.
    fn commit(&mut self, txn: &Arc<Txn>, ticket: Option<Ticket>) {
        let ticket = ticket.filter(|ticket| self.is_ours(ticket));
        // Reads that were sent before this write do not see it, whether there is room or not.
        if let Some(ticket) = ticket
            && let Some(Connection { client, .. }) = self.conns.get_mut(&ticket.conn)
        {
            let cap = self.shared.options.output_cap;
            self.shared.serve_waiting(client, cap);
        }
        let mut changes = std::mem::take(&mut self.changes);
        let applied = self.shared.tree.apply(txn, &mut changes);
        #[cfg(zk_planted)]
        self.planted_changes(&mut changes);
        #[cfg(zk_planted)]
        let late = if self.shared.options.planted == Some(crate::Planted::ReplyBeforeEvent) {
            std::mem::take(&mut changes)
        } else {
            Vec::new()
        };
        self.fire(txn.zxid, &mut changes);
        self.changes = changes;
        match &txn.kind {
            TxnKind::CreateSession { timeout } => {
                self.shared.sessions.insert(txn.session, *timeout);
                if let Some(ticket) = ticket {
                    self.opened(ticket, Alive::Yes);
                }
                return;
            }
            TxnKind::CloseSession => {
                self.shared.sessions.remove(&txn.session);
                // A client that asked for it hears of it before; see below.
                if let Some(&conn) = self.shared.attached.get(&txn.session)
                    && ticket.is_none_or(|ticket| ticket.conn != conn)
                {
                    self.shared.evict(conn, Ending::Flush);
                }
            }
            TxnKind::Error(_)
            | TxnKind::One(_)
            | TxnKind::Multi(_)
            | TxnKind::FailedMulti(_)
            | TxnKind::Reconfig { .. } => {}
        }
        if let Some(ticket) = ticket {
            let is_close = txn.kind == TxnKind::CloseSession;
            self.answer_waiting(ticket, |client, waiting, _| {
                answer_write(client, waiting, txn.zxid, &applied);
                if is_close {
                    client.end(Ending::Flush);
                }
            });
        }
        #[cfg(zk_planted)]
        {
            let mut late = late;
            self.fire(txn.zxid, &mut late);
        }
    }

    /// Planted: loses some.
    #[cfg(zk_planted)]
    fn planted_changes(&mut self, changes: &mut Vec<crate::Change>) {
        if self.shared.options.planted == Some(crate::Planted::DropEvent)
            && self.shared.tree.last_zxid().0 % 10 == 0
        {
            changes.clear();
        }
    }

    /// Sends the events of a transaction to whom they concern.
    fn fire(&mut self, zxid: Zxid, changes: &mut Vec<crate::Change>) {
        let shared = &mut self.shared;
        let shown = if shared.options.release.events_have_zxid() {
            zxid
        } else {
            Zxid(-1)
        };
        for change in changes.drain(..) {
            self.heard.clear();
            shared
                .watches
                .trigger(change.event, &change.path, &mut self.heard);
            if self.heard.is_empty() {
                continue;
            }
            self.event.clear();
            put_event(&mut self.event, shown, change.event, &change.path);
            for conn in &self.heard {
                let Some(Connection { client, .. }) = self.conns.get_mut(conn) else {
                    continue;
                };
                let caller = Caller {
                    session: client.session().unwrap_or_default(),
                    ids: &client.ids,
                    standing: Standing::Global,
                };
                // The watch is used up nevertheless.
                if !caller.may(&change.acl, Perms::READ) {
                    continue;
                }
                client.output.begin().extend_from_slice(&self.event);
                client.stats.sent += 1;
                shared.sent += 1;
                if client.output.len() > shared.options.output_cap {
                    shared.evict(*conn, Ending::Abort);
                }
                shared.announce(client);
            }
        }
    }

    /// Answers the request that a connection has waited for longest, and those behind it.
    fn answer_waiting(&mut self, ticket: Ticket, answer: impl FnOnce(&mut Client, &Waiting, Zxid)) {
        if !self.is_ours(&ticket) {
            return;
        }
        let Some(Connection { client, .. }) = self.conns.get_mut(&ticket.conn) else {
            return;
        };
        let place = Place::Leader {
            serial: ticket.serial,
        };
        self.shared
            .serve_waiting(client, self.shared.options.output_cap);
        if client
            .waiting
            .front()
            .is_none_or(|first| first.place != place)
        {
            // A read before it may have cost the connection.
            return self.finish(ticket.conn);
        }
        let Some(waiting) = client.waiting.pop_front() else {
            return;
        };
        let start = client.output.len();
        answer(client, &waiting, self.shared.tree.last_zxid());
        self.shared.sent += 1;
        self.shared.after_reply(client, start, waiting.fault);
        self.run(ticket.conn);
    }

    /// The leader has decided on a connect request.
    fn opened(&mut self, ticket: Ticket, alive: Alive) {
        if !self.is_ours(&ticket) {
            return;
        }
        let Some(Connection { client, .. }) = self.conns.get_mut(&ticket.conn) else {
            return;
        };
        if let Stage::Opening(opening) = client.stage
            && opening.serial == ticket.serial
        {
            self.shared.greeted(client, opening, alive);
            self.run(ticket.conn);
        }
    }

    fn is_ours(&self, ticket: &Ticket) -> bool {
        ticket.member == self.shared.options.member
    }
}

impl Shared {
    /// What a fault does to a reply that begins at `start`.
    pub(super) fn after_reply(
        &mut self,
        client: &mut Client,
        start: usize,
        fault: Option<crate::Fault>,
    ) {
        let Some(fault) = fault else {
            return;
        };
        match fault {
            crate::Fault::CutAfter => {
                client.output.truncate(start);
                client.end(Ending::Abort);
            }
            crate::Fault::Hold => client.output.hold(start, None),
            crate::Fault::Delay(time) => {
                let until = self.clock.now().checked_add(time);
                client.output.hold(start, until);
                self.releases.extend(until.map(|until| (until, client.id)));
            }
            crate::Fault::Corrupt => client.output.corrupt(start + 4),
            crate::Fault::CutBefore | crate::Fault::Answer(_) => {}
        }
    }
}

fn answer_write(client: &mut Client, waiting: &Waiting, zxid: Zxid, applied: &Applied) {
    let code = applied.code();
    // Servers that execute a check outside of a multi do not answer it if it succeeds.
    if waiting.header.opcode == OpCode::CHECK && code.is_ok() {
        return;
    }
    client.reply(waiting.header.xid, zxid, |_, out| {
        if code.is_ok() {
            applied.encode(out);
            Ok(())
        } else {
            Err(code)
        }
    });
}
