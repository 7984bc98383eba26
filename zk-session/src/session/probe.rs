//! A read-only session looks for a server that takes writes.
//!
//! Another server is asked `isro` on a connection of its own, first after 100 ms, then at doubling
//! intervals up to a minute (`ClientCnxn.SendThread.pingRwServer` of the Java client), all servers
//! in turn. When one answers `rw`, the session moves there.

use std::time::{Duration, Instant};

use zk_proto::ServerAddr;

use super::Session;
use crate::link::Security;
use crate::{Action, ConnId, LinkError};

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
    server: ServerAddr,
    until: Instant,
    up: bool,
    out: Vec<u8>,
    answer: Vec<u8>,
    security: Option<Security>,
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
        if let Some(probe) = self.probe.probe.take() {
            self.actions.push_back(Action::Disconnect {
                conn: probe.conn,
                abort: true,
            });
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
        let security = match self
            .config
            .layer
            .as_ref()
            .map(|factory| factory.layer(&server))
        {
            None => None,
            Some(Ok(layer)) => Some(Security::new(layer)),
            Some(Err(_)) => return self.schedule_probe(),
        };
        let conn = self.next_conn();
        self.probe.next = None;
        self.probe.probe = Some(Probe {
            conn,
            server: server.clone(),
            until: self.now + PATIENCE,
            up: false,
            out: Vec::new(),
            answer: Vec::new(),
            security,
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
        if let Some(probe) = self.probe.probe.as_mut().filter(|probe| !probe.up) {
            probe.up = true;
            probe.out.extend_from_slice(b"isro");
            if let Some(security) = &mut probe.security {
                security.start();
            }
        }
    }

    pub(super) fn probe_transmit(&mut self, out: &mut Vec<u8>) {
        let Some(probe) = self.probe.probe.as_mut().filter(|probe| probe.up) else {
            return;
        };
        match &mut probe.security {
            None => out.append(&mut probe.out),
            Some(security) => {
                security.flush(out);
                if security.is_established() {
                    security.plain().append(&mut probe.out);
                    if security.encode(out).is_err() {
                        self.probe_failed();
                    }
                }
            }
        }
    }

    pub(super) fn probe_data(&mut self, data: &[u8]) {
        let Some(probe) = &mut self.probe.probe else {
            return;
        };
        match &mut probe.security {
            None => probe.answer.extend_from_slice(data),
            Some(security) => match security.decode(data) {
                (plain, None) => probe.answer.extend_from_slice(plain),
                (_, Some(_)) => return self.probe_failed(),
            },
        }
        let answer = probe.answer.trim_ascii();
        if answer.starts_with(b"rw") {
            let server = probe.server.clone();
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
