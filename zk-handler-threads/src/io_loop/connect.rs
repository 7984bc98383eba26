//! Connections: begun and ended as sessions ask for it.

use std::sync::Arc;
use std::time::Duration;

use mio::Token;
use zk_handler_base::{Resolver, clock};
use zk_proto::ServerAddr;
use zk_session::{Action, ConnId};

use super::IoLoop;
use crate::inbox::Letter;
use crate::link::Link;

/// How long a connection that is being closed may take for what is left to be written.
pub(super) const LINGER: Duration = Duration::from_secs(1);

impl IoLoop {
    pub(super) fn act(&mut self, client: usize, action: Action) {
        match action {
            Action::Connect {
                conn,
                server,
                attempt,
            } => {
                self.connect((client, conn), &server, attempt);
            }
            Action::Disconnect { conn, abort } => {
                let Some(entry) = self.clients.get(client) else {
                    return;
                };
                let is_meant =
                    |place: &&usize| self.links.get(**place).is_some_and(|it| it.conn == conn);
                let Some(&place) = entry.links.iter().find(is_meant) else {
                    return;
                };
                self.disconnect(client, place, abort);
            }
            Action::Sasl { conn, work } => {
                if let Some(entry) = self.clients.get(client) {
                    entry.core.authenticate(conn, work);
                }
            }
        }
    }

    fn connect(&mut self, owner: (usize, ConnId), server: &ServerAddr, attempt: u32) {
        let place = self.links.next_place();
        self.last_serial += 1;
        let name = (self.last_serial, Token(place));
        let (host, port) = (server.host(), server.port());
        let link = if let Some(address) = Resolver::literal(host, port) {
            let addresses = Ok(Arc::from([address]));
            Link::connecting(name, owner, attempt, addresses, self.poll.registry())
        } else {
            let (inbox, serial) = (Arc::clone(&self.inbox), self.last_serial);
            let wanted = self.around.resolver.ask(host, port, move |answer| {
                // A loop that has ended does not want to know.
                let _ = inbox.post(Letter::Resolved {
                    link: place,
                    serial,
                    answer,
                });
            });
            Link::resolving(name, owner, attempt, wanted)
        };
        self.links.insert(link);
        if let Some(entry) = self.clients.get_mut(owner.0) {
            entry.links.push(place);
        }
    }

    fn disconnect(&mut self, client: usize, place: usize, abort: bool) {
        let Some(entry) = self.clients.get_mut(client) else {
            return;
        };
        entry.links.retain(|other| *other != place);
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        if abort || !link.is_up() {
            return self.drop_link(place);
        }
        link.client = None;
        self.closing
            .push_back((clock::now() + LINGER, place, link.serial));
        self.close_on(place);
    }

    pub(super) fn close_on(&mut self, place: usize) {
        let Some(link) = self.links.get_mut(place) else {
            return;
        };
        if link.close_on(&mut self.buffer) {
            self.drop_link(place);
        } else if link.is_readable() {
            self.unread.push((place, link.serial));
        }
    }

    /// Goes on with links that are closing and were not read to the end in the last round.
    pub(super) fn close_on_all(&mut self) {
        for (place, serial) in std::mem::take(&mut self.unread) {
            if self.is_still(place, serial) {
                self.close_on(place);
            }
        }
    }

    /// Is the link in this place the one with this number?
    pub(super) fn is_still(&self, place: usize, serial: u64) -> bool {
        let link = self.links.get(place);
        link.is_some_and(|link| link.serial == serial)
    }

    /// The connection has ended, and the session is being told.
    pub(super) fn forget(&mut self, client: usize, place: usize) {
        if let Some(entry) = self.clients.get_mut(client) {
            entry.links.retain(|other| *other != place);
        }
        self.drop_link(place);
    }

    pub(super) fn drop_link(&mut self, place: usize) {
        if let Some(link) = self.links.remove(place) {
            link.shut_down();
        }
    }
}
