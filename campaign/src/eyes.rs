//! [`Eyes`]: what one client sees, taken down in an order in which its user could see it.
//!
//! Before the end of an operation is recorded, everything is that can be seen by then: states,
//! events of watches, streams. That is the promise of the client, so a history that was recorded so
//! shows whether it is kept.

use std::task::{Context, Poll};
use std::time::Duration;

use zk_client::{
    Client, Error, Notice, State, StateChange, StateReason, StateStream, Watch, WatchStream,
    WatchedEvent, WeakClient,
};
use zk_proto::SessionId;
use zk_sim::Machine;
use zk_sim::check::{ClientNo, Ended, Event, OpNo, Standing, WatchKind, WatchNo};

use crate::record::Recorder;

/// How an operation ended: once for each command that it was, and with a watch if it set one.
pub(crate) struct Done {
    pub(crate) ends: Vec<Ended>,
    pub(crate) watch: Option<(Watch, Target, WatchKind)>,
    /// It was not permitted.
    pub(crate) no_auth: bool,
}

pub(crate) struct Eyes {
    pub(crate) no: ClientNo,
    machine: Machine,
    recorder: Recorder,
    client: WeakClient,
    states: StateStream,
    session: Option<SessionId>,
    /// It has no connection.
    suspended: Option<Standing>,
    watches: Vec<(WatchNo, &'static str, Watch)>,
    streams: Vec<(WatchNo, &'static str, WatchStream)>,
    /// The next session is another client's, for the checkers.
    restarting: bool,
    /// Whether the client's deadlines can be relied on.
    truthful: bool,
    /// The first number of the program.
    program: ClientNo,
    /// What was submitted before the connection, or the session, was lost: it must end before there
    /// is another.
    due: Vec<OpNo>,
    /// Since when there is one, and what must have ended.
    overdue: Option<(Duration, Vec<OpNo>)>,
}

impl Eyes {
    pub(crate) fn new(
        no: ClientNo,
        machine: &Machine,
        recorder: &Recorder,
        client: &Client,
        truthful: bool,
    ) -> Self {
        let mut eyes = Self {
            no,
            machine: machine.clone(),
            recorder: recorder.clone(),
            client: client.downgrade(),
            states: client.state_changes(),
            session: None,
            suspended: None,
            watches: Vec::new(),
            streams: Vec::new(),
            restarting: false,
            truthful,
            program: no,
            due: Vec::new(),
            overdue: None,
        };
        eyes.look(client);
        eyes
    }

    /// Looks at another client, of the same number.
    pub(crate) fn turn_to(&mut self, client: &Client) {
        self.drain();
        self.client = client.downgrade();
        self.states = client.state_changes();
        self.restarting = false;
        self.look(client);
    }

    /// Takes down where the session stands, in case nobody has heard of it.
    fn look(&mut self, client: &Client) {
        if client.connected() && self.session.is_none() {
            self.connected(client);
        }
    }

    /// The session is about to be replaced by one that the checkers take for another client's.
    pub(crate) fn restarts(&mut self) {
        self.restarting = true;
    }

    /// Takes down everything that can be seen by now, and is to be woken when the state changes.
    pub(crate) fn watch(&mut self, cx: &mut Context<'_>) {
        self.check_overdue();
        while let Poll::Ready(Some(change)) = self.states.poll_next(cx) {
            self.state_changed(&change);
        }
        self.drain();
    }

    /// Takes down everything that can be seen by now.
    pub(crate) fn drain(&mut self) {
        self.check_overdue();
        while let Some(change) = self.states.try_next() {
            self.state_changed(&change);
        }
        let (at, recorder) = (self.machine.sim_now(), &self.recorder);
        self.watches.retain_mut(|(watch, root, handle)| {
            let Some(seen) = handle.try_take() else {
                return true;
            };
            see(recorder, at, *watch, root, seen);
            false
        });
        self.streams.retain_mut(|(watch, root, stream)| {
            while let Some(notice) = stream.try_next() {
                let over = matches!(notice, Notice::End(_));
                notice_seen(recorder, at, *watch, root, notice);
                if over {
                    return false;
                }
            }
            true
        });
    }

    fn state_changed(&mut self, change: &StateChange) {
        let at = self.machine.sim_now();
        match change.to {
            State::Connected { .. } => {
                let Some(client) = self.client.upgrade() else {
                    return;
                };
                let id = client.client_id().map(|(id, _)| id);
                if change.reason == StateReason::Resumed
                    && let (Some(before), Some(id)) = (self.session, id)
                    && before != id
                {
                    let text = format!("{id} is said to be {before} resumed");
                    self.recorder.broken(at, text);
                }
                self.recorder.count("sessions connected");
                self.overdue = Some((at, std::mem::take(&mut self.due)));
                self.connected(&client);
            }
            State::Suspended { until } => {
                self.all_are_due();
                if let Some(session) = self.session {
                    self.recorder.count("connections lost");
                    let until = self.claim(until);
                    let standing = Standing::Suspended { session, until };
                    self.suspended = Some(standing);
                    self.recorder.stands(at, self.no, standing);
                }
            }
            State::Lost => {
                // Also what waited for a connection: it was asked of the session that is gone.
                self.all_are_due();
                self.recorder.count("sessions lost");
                self.recorder.stands(at, self.no, Standing::Lost);
                self.session = None;
                self.suspended = None;
                if self.restarting {
                    self.restarting = false;
                    self.no = self.recorder.client();
                }
            }
        }
    }

    fn all_are_due(&mut self) {
        let record = self.recorder.lock();
        let open = record.open.iter().filter(|(_, no)| **no == self.program);
        self.due = open.map(|(op, _)| *op).collect();
    }

    /// Nothing that was submitted before the loss of a connection, or of a session, is carried out
    /// behind it: it ends at the latest in the moment of the next connection, over which nothing
    /// comes in no time.
    fn check_overdue(&mut self) {
        let at = self.machine.sim_now();
        let Some((_, due)) = self.overdue.take_if(|(since, _)| *since < at) else {
            return;
        };
        let record = self.recorder.lock();
        let late = due.into_iter().find(|op| record.open.contains_key(op));
        drop(record);
        if let Some(op) = late {
            let what = format!("{op:?} has survived the loss of its connection or its session");
            self.recorder.broken(at, what);
        }
    }

    fn connected(&mut self, client: &Client) {
        if let Some((session, _)) = client.client_id() {
            self.session = Some(session);
            self.suspended = None;
            self.claim_now(client);
        }
    }

    /// Takes down until when the client thinks its session safe.
    pub(crate) fn claim_now(&self, client: &Client) {
        let (Some(session), true) = (self.session, client.connected()) else {
            return;
        };
        let until = Some(
            client
                .deadline()
                .map_or(Duration::ZERO, |it| self.claim(it)),
        );
        let standing = Standing::Connected { session, until };
        self.recorder
            .stands(self.machine.sim_now(), self.no, standing);
    }

    fn claim(&self, until: std::time::Instant) -> Duration {
        if self.truthful {
            self.machine.sim_time_of(until)
        } else {
            Duration::ZERO
        }
    }

    /// An operation has ended.
    pub(crate) fn finish(&mut self, ops: &[OpNo], done: Done) {
        self.drain();
        let at = self.machine.sim_now();
        if done.no_auth {
            let what = format!("{ops:?}: not permitted, though the credential was taken");
            self.recorder.broken(at, what);
        }
        for (op, ended) in ops.iter().zip(done.ends) {
            self.recorder.end(at, *op, ended);
        }
        if let (Some((handle, target, kind)), [op, ..]) = (done.watch, ops) {
            self.set(*op, target, kind, handle);
        }
    }

    fn set(&mut self, op: OpNo, target: Target, kind: WatchKind, mut handle: Watch) {
        let (at, path) = (self.machine.sim_now(), target.whole());
        let seen = handle.try_take();
        if let Some(Err(Error::WatchEnded(_))) = seen {
            // Its session was lost before anybody could look: the loss is taken down already.
            return;
        }
        let watch = self.recorder.watch(at, self.no, &path, kind, Some(op));
        match seen {
            None => {
                self.watches.push((watch, target.root, handle));
                self.still_suspended();
            }
            Some(seen) => see(&self.recorder, at, watch, target.root, seen),
        }
    }

    /// A stream has been set up.
    pub(crate) fn stream(&mut self, target: Target, kind: WatchKind, mut stream: WatchStream) {
        self.drain();
        let mut notices = Vec::new();
        while let Some(notice) = stream.try_next() {
            if let Notice::End(_) = notice {
                return;
            }
            notices.push(notice);
        }
        let (at, path) = (self.machine.sim_now(), target.whole());
        let watch = self.recorder.watch(at, self.no, &path, kind, None);
        for notice in notices {
            notice_seen(&self.recorder, at, watch, target.root, notice);
        }
        self.streams.push((watch, target.root, stream));
        self.still_suspended();
    }

    /// A watch was set before the connection was lost, but is taken down after that.
    fn still_suspended(&self) {
        if let Some(standing) = self.suspended {
            self.recorder
                .stands(self.machine.sim_now(), self.no, standing);
        }
    }

    /// The user has had enough of the watch at a place, if there is one.
    pub(crate) fn drop_watch(&mut self, choice: usize) {
        self.drain();
        let at = self.machine.sim_now();
        let all = self.watches.len() + self.streams.len();
        if all == 0 {
            return;
        }
        let place = choice % all;
        let watch = if let Some(stream) = place.checked_sub(self.watches.len()) {
            self.streams.swap_remove(stream).0
        } else {
            self.watches.swap_remove(place).0
        };
        self.recorder.count("watches dropped");
        self.recorder.push(at, Event::WatchDropped { watch });
    }

    /// The session, while there is a connection.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session.filter(|_| self.suspended.is_none())
    }

    pub(crate) fn watches(&self) -> usize {
        self.watches.len() + self.streams.len()
    }
}

fn see(
    recorder: &Recorder,
    at: Duration,
    watch: WatchNo,
    root: &str,
    seen: Result<WatchedEvent, Error>,
) {
    match seen {
        Ok(event) => notice_seen(recorder, at, watch, root, Notice::Event(event)),
        Err(Error::WatchEnded(_)) => recorder.push(at, Event::WatchEnded { watch }),
        Err(error) => recorder.broken(at, format!("a watch ended with {error:?}")),
    }
}

fn notice_seen(recorder: &Recorder, at: Duration, watch: WatchNo, root: &str, notice: Notice) {
    match notice {
        Notice::Event(event) => {
            let path = below(root, &event.path);
            let what = (event.kind, path.as_str());
            recorder.lock().watched(at, watch, what, event.zxid);
        }
        Notice::Gap { from, to } => {
            recorder.count("gaps seen");
            recorder.push(at, Event::Gap { watch, from, to });
        }
        Notice::End(_) | _ => recorder.push(at, Event::WatchEnded { watch }),
    }
}

/// A node as a view names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// The root path of the view, or nothing.
    pub(crate) root: &'static str,
    /// The path below it.
    pub(crate) path: &'static str,
}

impl Target {
    /// Whether recursive watches are set here.
    pub(crate) fn may_be_recursive(self) -> bool {
        self.whole().matches('/').count() == 1
    }

    /// The path that servers know.
    pub(crate) fn whole(self) -> String {
        below(self.root, self.path)
    }
}

/// A path that was seen by a view.
pub(crate) fn below(root: &str, path: &str) -> String {
    match path {
        "/" if !root.is_empty() => root.to_owned(),
        path => format!("{root}{path}"),
    }
}
