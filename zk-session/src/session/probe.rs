//! A read-only session looks for a server that takes writes.
//!
//! Another server is asked `isro` on a connection of its own, first after 100 ms, then at doubling
//! intervals up to a minute (`ClientCnxn.SendThread.pingRwServer` of the Java client), all servers
//! in turn. When one answers `rw`, the session moves there.

use std::time::{Duration, Instant};

use super::Session;
use crate::{Action, ConnId, FourLetterWord, LinkError};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// How long one server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The search.
#[derive(Default)]
pub(super) struct Probing {
    next: Option<Instant>,
    delay: Duration,
    turn: usize,
    probe: Option<Probe>,
}

struct Probe {
    conn: ConnId,
    until: Instant,
    word: FourLetterWord,
}

impl Probing {
    pub(super) fn is(&self, conn: ConnId) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.conn == conn)
    }
}

impl Session {
    /// The pauses go on growing until a server that takes writes was reached.
    pub(super) fn start_probing(&mut self) {
        self.probe.delay = self.probe.delay.max(FIRST);
        self.schedule_probe();
    }

    /// There are other servers now, perhaps.
    pub(super) fn resume_probing(&mut self) {
        let read_only = self
            .link
            .as_ref()
            .is_some_and(|link| link.is_active() && link.read_only);
        if read_only && self.probe.next.is_none() && self.probe.probe.is_none() {
            self.schedule_probe();
        }
    }

    /// A server that takes writes was reached.
    pub(super) fn forget_probing(&mut self) {
        self.probe.delay = FIRST;
    }

    pub(super) fn stop_probing(&mut self) {
        self.probe.next = None;
        self.end_probe();
    }

    fn end_probe(&mut self) {
        if let Some(mut probe) = self.probe.probe.take() {
            self.part(probe.conn, true, probe.word.last_words());
        }
    }

    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.probe
            .probe
            .as_ref()
            .map(|probe| probe.until)
            .or(self.probe.next)
    }

    pub(super) fn probe_timeout(&mut self) {
        if self.probe.probe.is_some() {
            self.end_probe();
            self.schedule_probe();
            return;
        }
        let Some(current) = self.link.as_ref().map(|link| link.server.clone()) else {
            return;
        };
        let Some(server) = self.servers.other_than(&current, self.probe.turn) else {
            self.probe.next = None;
            return;
        };
        self.probe.turn = self.probe.turn.wrapping_add(1);
        let layer = self.config.layer.as_deref();
        let Ok(word) = FourLetterWord::new(*b"isro", server.clone(), layer) else {
            return self.schedule_probe();
        };
        let conn = self.next_conn();
        self.probe.next = None;
        self.probe.probe = Some(Probe {
            conn,
            until: self.now + PATIENCE,
            word,
        });
        self.actions.push_back(Action::Connect {
            conn,
            server,
            attempt: 0,
        });
    }

    fn schedule_probe(&mut self) {
        self.probe.next = Some(self.now + self.probe.delay);
        self.probe.delay = (self.probe.delay * 2).min(LONGEST);
    }

    pub(super) fn probe_connected(&mut self) {
        if let Some(probe) = &mut self.probe.probe {
            probe.word.handle_connected();
        }
    }

    pub(super) fn probe_transmit(&mut self, out: &mut Vec<u8>) {
        if let Some(probe) = &mut self.probe.probe {
            probe.word.poll_transmit(out);
            if probe.word.heard().is_none() {
                self.probe_failed();
            }
        }
    }

    pub(super) fn probe_data(&mut self, data: &[u8]) {
        let Some(probe) = &mut self.probe.probe else {
            return;
        };
        probe.word.handle_data(data);
        let Some(answer) = probe.word.heard().map(<[u8]>::trim_ascii) else {
            return self.probe_failed();
        };
        if answer.starts_with(b"rw") {
            let server = probe.word.server().clone();
            self.servers.prefer(server);
            self.stop_probing();
            self.drop_link(LinkError::FoundWritable, true);
        } else if answer.len() >= 2 {
            self.end_probe();
            self.schedule_probe();
        }
    }

    /// The connection of a probe has ended.
    pub(super) fn probe_failed(&mut self) {
        self.end_probe();
        self.schedule_probe();
    }
}
