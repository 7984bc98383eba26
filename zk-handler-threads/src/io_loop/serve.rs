//! One client's share of a round: news go in, actions and bytes come out.

use std::iter;
use std::time::Instant;

use zk_handler_base::clock;
use zk_session::{ConnId, Session, State};

use super::connect::LINGER;
use super::{IoLoop, READ};
use crate::link::{Link, News};

/// What is written at once is about as much as this, if there is that much.
const WRITE: usize = 256 << 10;
/// How often a client is served in a row while it has more to do right away.
const TURNS: usize = 4;

/// What is left to do for a client.
pub(super) enum After {
    /// Nothing until something happens.
    Rest,
    /// More, right away.
    More,
    /// Nothing, ever.
    Finished,
}

impl IoLoop {
    /// Serves one client, for a while.
    pub(super) fn serve(&mut self, client: usize) -> After {
        for _ in 0..TURNS {
            self.reclaim_output(client);
            match self.hear(client) {
                After::Rest if self.has_news(client) => {}
                After::Rest => return self.rest(client),
                After::More => {}
                After::Finished => return After::Finished,
            }
        }
        After::More
    }

    /// Goes on with each link, as far as it is possible now, and tells the session.
    fn hear(&mut self, client: usize) -> After {
        let mut after = None;
        let mut index = 0;
        while let Some(&place) = self.clients.get(client).and_then(|it| it.links.get(index)) {
            index += 1;
            let Some(link) = self.links.get_mut(place) else {
                continue;
            };
            link.write();
            let conn = link.conn;
            let Some(news) = link.advance(self.poll.registry(), &mut self.buffer) else {
                continue;
            };
            if matches!(news, News::Lost(_)) {
                self.forget(client, place);
                index -= 1;
            }
            let result = self.turn(client, Some((conn, news)));
            if matches!(result, After::Finished) {
                return result;
            }
            after = Some(result);
        }
        after.unwrap_or_else(|| self.turn(client, None))
    }

    /// Lets the session have the news, does what it asks for, and writes. `More` if there is more
    /// to do that needs no news.
    fn turn(&mut self, client: usize, news: Option<(ConnId, News)>) -> After {
        let Self {
            clients,
            links,
            buffer,
            actions,
            send_buffer,
            ..
        } = self;
        let Some(entry) = clients.get_mut(client) else {
            return After::Finished;
        };
        let due = std::mem::take(&mut entry.due);
        let now = clock::now();
        let (deadline, lost) = entry.core.with(|session| {
            match news {
                Some((conn, News::Connected)) => session.handle_connected(now, conn),
                Some((conn, News::Data(count))) => session.handle_data(now, conn, &buffer[..count]),
                Some((conn, News::Lent(lent))) => session.handle_lent(now, conn, lent),
                Some((conn, News::Lost(why))) => session.handle_disconnected(now, conn, why),
                None => {}
            }
            if due {
                session.handle_timeout(now);
            }
            actions.extend(iter::from_fn(|| session.poll_action()));
            for place in &entry.links {
                if let Some(link) = links.get_mut(*place) {
                    fetch_output(session, now, link, send_buffer);
                }
            }
            // The last byte may have been what a close was waiting for.
            actions.extend(iter::from_fn(|| session.poll_action()));
            (session.poll_timeout(), session.state() == State::Lost)
        });
        let mut more = false;
        for place in &entry.links {
            let Some(link) = links.get_mut(*place) else {
                continue;
            };
            link.write();
            if let Some(output) = link.clear_output() {
                output.return_buffer(send_buffer);
                more |= link.more_to_send;
            }
        }
        for action in std::mem::take(&mut self.actions) {
            self.act(client, action);
        }
        if let Some(entry) = self.clients.get(client).filter(|_| lost) {
            // Asked again, now that the core has taken out all events. By a mere look, as other
            // threads may have given the loop work since the session was left.
            if entry.core.look(|session| session.is_finished()) {
                entry.bell.close();
                entry.core.is_finished();
                return After::Finished;
            }
        }
        // While events wait, which the core has taken out by now, the session's deadline is now.
        if deadline.is_some_and(|at| at <= now) {
            if let Some(entry) = self.clients.get_mut(client) {
                entry.due = true;
            }
            return After::More;
        }
        self.deadlines.set(client, deadline);
        if more { After::More } else { After::Rest }
    }

    /// The client is given up: what is left goes out, and closeSession behind it, as far as the
    /// socket takes it at once.
    pub(super) fn say_farewell(&mut self, client: usize) {
        self.reclaim_output(client);
        let (clients, links) = (&mut self.clients, &mut self.links);
        let Some(entry) = clients.get_mut(client) else {
            return;
        };
        let now = clock::now();
        entry.core.with(|session| {
            session.close(now, LINGER);
            for place in &entry.links {
                let link = links.get_mut(*place);
                let output = link.and_then(Link::output_place).and_then(Option::as_mut);
                let Some(output) = output else { continue };
                while session.poll_transmit(now, output.conn, output.bytes()) > 0 {}
            }
        });
        for place in &entry.links {
            if let Some(link) = links.get_mut(*place) {
                link.write();
            }
        }
    }

    /// Is there something on a link that the session has not heard of yet?
    fn has_news(&self, client: usize) -> bool {
        let links = self.clients.get(client).map_or(&[][..], |it| &it.links);
        let has_news = |link: &Link| link.is_readable() || link.has_failed();
        links
            .iter()
            .filter_map(|place| self.links.get(*place))
            .any(has_news)
    }

    /// Nothing is left to do. If that is still so, the client's bell will ring.
    fn rest(&mut self, client: usize) -> After {
        let Some(entry) = self.clients.get(client) else {
            return After::Finished;
        };
        if let [place] = *entry.links {
            let link = self.links.get_mut(place);
            if let Some(place) = link.and_then(Link::output_place) {
                if let Some(mut output) = place.take_if(|output| output.is_clear()) {
                    output.looked_after = self.deadlines.registered(client);
                    *place = entry.bell.offer(output);
                }
            }
        }
        if entry.core.prepare_sleep() {
            After::Rest
        } else {
            After::More
        }
    }

    /// Takes the writing half back that the last [`rest`](Self::rest) has given away.
    fn reclaim_output(&mut self, client: usize) {
        let Some(entry) = self.clients.get(client) else {
            return;
        };
        let Some(output) = entry.bell.reclaim() else {
            return;
        };
        for place in &entry.links {
            let link = self
                .links
                .get_mut(*place)
                .filter(|link| link.conn == output.conn);
            if let Some(place) = link.and_then(Link::output_place) {
                *place = Some(output);
                return;
            }
        }
    }
}

/// Takes out what is to be sent, if everything before is written, and a buffer for a large reply.
fn fetch_output(session: &mut Session, now: Instant, link: &mut Link, buffer: &mut Vec<u8>) {
    let conn = link.conn;
    if !link.is_up() {
        return;
    }
    if let Some(output) = link.clear_output() {
        output.take_buffer(buffer);
        let bytes = output.bytes();
        while bytes.len() < WRITE && session.poll_transmit(now, conn, bytes) > 0 {}
        link.more_to_send = bytes.len() >= WRITE;
    }
    let missing = session.read_hint(conn);
    link.expect(missing);
    if missing > READ {
        // `None` also while it is lent already.
        if let Some(lent) = session.lend(conn) {
            link.borrow(lent);
        }
    }
}
