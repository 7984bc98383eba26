//! What a security layer says last on connections that this side ends: why, or that no more comes.

use std::collections::VecDeque;

use super::Session;
use crate::link::{Link, Stage};
use crate::{Action, ConnId};

/// More are not kept for a driver that does not fetch them: it is told of ends and beginnings in
/// turn, and has two connections at a time.
const MOST: usize = 4;

/// Last words that were not fetched.
#[derive(Default)]
pub(super) struct Partings(VecDeque<(ConnId, Vec<u8>)>);

impl Partings {
    /// Appends those for `conn`. There is nothing after them.
    pub(super) fn fetch(&mut self, conn: ConnId, out: &mut Vec<u8>) {
        let place = self.0.iter().position(|(other, _)| *other == conn);
        if let Some((_, mut words)) = place.and_then(|place| self.0.remove(place)) {
            out.append(&mut words);
        }
    }
}

impl Session {
    /// This side ends a connection: the driver is told, and the server as far as it understands.
    pub(super) fn disconnect(&mut self, link: &mut Link, abort: bool) {
        let security = link.security.take();
        let is_up = !matches!(link.stage, Stage::Connecting);
        let words = security
            .filter(|_| is_up)
            .map(crate::link::Security::last_words);
        self.part(link.conn, abort, words.unwrap_or_default());
    }

    pub(super) fn part(&mut self, conn: ConnId, abort: bool, words: Vec<u8>) {
        self.actions.push_back(Action::Disconnect { conn, abort });
        let unfetched = &mut self.partings.0;
        if !words.is_empty() {
            if unfetched.len() == MOST {
                unfetched.pop_front();
            }
            unfetched.push_back((conn, words));
        }
    }
}
