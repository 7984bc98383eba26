//! What a test expects to have happened next. Each of these fails if something else did.

use std::time::Instant;

use zk_proto::{
    Acl, AddWatchMode, ConnectRequest, CreateMode, EventType, Reply, Request, ServerAddr,
    SetWatches, WatcherType, Zxid,
};
use zk_session::{
    CloseOutcome, ConnId, Event, LinkError, Notice, RequestError, RequestId, State, StateReason,
    WatchId,
};

use super::{Asked, Rig};

impl Rig {
    /// How many expectations have been held.
    pub(crate) fn expectations(&self) -> u32 {
        self.expectations
    }

    /// One more, checked by the test itself.
    pub(crate) fn holds(&mut self, what: bool, text: &str) {
        self.expectations += 1;
        assert!(what, "{text}");
    }

    pub(crate) fn next(&mut self) -> Event {
        self.expectations += 1;
        self.events.pop_front().expect("something has happened")
    }

    pub(crate) fn changed(&mut self) -> (State, State, StateReason) {
        match self.next() {
            Event::StateChanged { from, to, reason } => (from, to, reason),
            other => panic!("a change of state was due, not {other:?}"),
        }
    }

    /// Next comes the change to a connection for reading and writing.
    pub(crate) fn connected(&mut self) -> StateReason {
        let (_, to, reason) = self.changed();
        assert_eq!(to, State::Connected { read_only: false });
        reason
    }

    pub(crate) fn connected_read_only(&mut self) -> StateReason {
        let (_, to, reason) = self.changed();
        assert_eq!(to, State::Connected { read_only: true });
        reason
    }

    /// Next comes the loss of the connection. Until when does the session live, and why?
    pub(crate) fn suspended(&mut self) -> (Instant, LinkError) {
        let (from, to, reason) = self.changed();
        assert!(from.is_connected(), "Suspended follows on Connected only");
        match (to, reason) {
            (State::Suspended { until }, StateReason::ConnectionLost(error)) => (until, error),
            other => panic!("the loss of the connection was due, not {other:?}"),
        }
    }

    /// Next comes the loss of the session.
    pub(crate) fn lost(&mut self) -> StateReason {
        let (_, to, reason) = self.changed();
        assert_eq!(to, State::Lost);
        reason
    }

    /// Next comes the end of this request.
    pub(crate) fn done(&mut self, id: RequestId) -> Result<Reply, RequestError> {
        match self.next() {
            Event::Completed {
                id: got, result, ..
            } if got == id => result,
            other => panic!("the end of {id} was due, not {other:?}"),
        }
    }

    pub(crate) fn ok(&mut self, id: RequestId) -> Reply {
        self.done(id).expect("it succeeds")
    }

    pub(crate) fn failed(&mut self, id: RequestId) -> RequestError {
        self.done(id).expect_err("it fails")
    }

    /// Next comes news for this watcher.
    pub(crate) fn noticed(&mut self, id: WatchId) -> Notice {
        match self.next() {
            Event::Watch { id: got, notice } if got == id => notice,
            other => panic!("news for {id} was due, not {other:?}"),
        }
    }

    /// Next this watcher is told of this change.
    pub(crate) fn fired(&mut self, id: WatchId, kind: EventType, path: &str) {
        match self.noticed(id) {
            Notice::Event(event) => assert_eq!((event.kind, &*event.path), (kind, path)),
            other => panic!("{kind} of {path} was due, not {other:?}"),
        }
    }

    /// Next this watcher is told that it may have missed something.
    pub(crate) fn gap(&mut self, id: WatchId) -> (Zxid, Zxid) {
        match self.noticed(id) {
            Notice::Gap { from, to } => (from, to),
            other => panic!("a gap was due, not {other:?}"),
        }
    }

    /// Next this watcher ends.
    pub(crate) fn watch_ended(&mut self, id: WatchId) -> StateReason {
        match self.noticed(id) {
            Notice::End(reason) => reason,
            other => panic!("the end of {id} was due, not {other:?}"),
        }
    }

    /// Next comes the failure of an attempt.
    pub(crate) fn attempt_failed(&mut self) -> (ServerAddr, LinkError) {
        match self.next() {
            Event::ConnectFailed { server, error } => (server, error),
            other => panic!("the failure of an attempt was due, not {other:?}"),
        }
    }

    pub(crate) fn closed(&mut self) -> CloseOutcome {
        match self.next() {
            Event::Closed { outcome } => outcome,
            other => panic!("the end was due, not {other:?}"),
        }
    }

    /// Nothing (more) has happened.
    pub(crate) fn nothing_happened(&mut self) {
        self.expectations += 1;
        assert!(self.events.is_empty(), "unexpected: {:?}", self.events);
    }

    /// The connect request that has arrived on a connection.
    pub(crate) fn greeting(&mut self, conn: ConnId) -> ConnectRequest {
        self.expectations += 1;
        self.peer(conn).greeting.clone().expect("a connect request")
    }

    /// The next request on the one connection.
    pub(crate) fn asked(&mut self) -> Asked {
        self.expectations += 1;
        let conn = self.conn();
        self.peer(conn)
            .asked
            .pop_front()
            .expect("a request has arrived")
    }

    /// The next request, which is this one.
    pub(crate) fn asked_for(&mut self, request: &Request<'_>) -> Asked {
        let asked = self.asked();
        assert!(
            asked.is(request),
            "{asked:?} came where {request:?} was due"
        );
        asked
    }

    /// The next request, which puts watches on the server.
    pub(crate) fn asked_set_watches(&mut self, check: impl FnOnce(&SetWatches<'_>)) -> Asked {
        let asked = self.asked();
        match asked.request() {
            Request::SetWatches(watches) => check(&watches),
            other => panic!("setWatches was due, not {other:?}"),
        }
        asked
    }

    /// Nothing (more) was asked.
    pub(crate) fn nothing_asked(&mut self) {
        self.expectations += 1;
        let conn = self.conn();
        let asked = &self.peer(conn).asked;
        assert!(asked.is_empty(), "unexpected: {asked:?}");
    }
}

pub(crate) fn get(path: &str) -> Request<'_> {
    let watch = false;
    Request::GetData {
        path: path.into(),
        watch,
    }
}

pub(crate) fn get_watched(path: &str) -> Request<'_> {
    let watch = true;
    Request::GetData {
        path: path.into(),
        watch,
    }
}

pub(crate) fn exists_watched(path: &str) -> Request<'_> {
    let watch = true;
    Request::Exists {
        path: path.into(),
        watch,
    }
}

pub(crate) fn children(path: &str, watch: bool) -> Request<'_> {
    let with_stat = false;
    Request::GetChildren {
        path: path.into(),
        watch,
        with_stat,
    }
}

pub(crate) fn set<'a>(path: &'a str, data: &'a [u8]) -> Request<'a> {
    let data = Some(data.into());
    Request::SetData {
        path: path.into(),
        data,
        version: -1,
    }
}

pub(crate) fn create(path: &str) -> Request<'_> {
    Request::Create {
        path: path.into(),
        data: Some(b"".into()),
        acl: Acl::open_unsafe().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    }
}

pub(crate) fn delete(path: &str) -> Request<'_> {
    Request::Delete {
        path: path.into(),
        version: -1,
    }
}

pub(crate) fn sync(path: &str) -> Request<'_> {
    Request::Sync { path: path.into() }
}

pub(crate) fn add_watch(path: &str) -> Request<'_> {
    let mode = AddWatchMode::PERSISTENT;
    Request::AddWatch {
        path: path.into(),
        mode,
    }
}

pub(crate) fn add_recursive(path: &str) -> Request<'_> {
    let mode = AddWatchMode::PERSISTENT_RECURSIVE;
    Request::AddWatch {
        path: path.into(),
        mode,
    }
}

pub(crate) fn remove_watches(path: &str, kind: WatcherType) -> Request<'_> {
    Request::RemoveWatches {
        path: path.into(),
        kind,
    }
}

pub(crate) fn auth(credential: &str) -> Request<'_> {
    let data = Some(credential.as_bytes().into());
    Request::Auth {
        scheme: "digest".into(),
        data,
    }
}

pub(crate) const CREATED: EventType = EventType::NODE_CREATED;
pub(crate) const DELETED: EventType = EventType::NODE_DELETED;
pub(crate) const CHANGED: EventType = EventType::NODE_DATA_CHANGED;
pub(crate) const CHILD: EventType = EventType::NODE_CHILDREN_CHANGED;
