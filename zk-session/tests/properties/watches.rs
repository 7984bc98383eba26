//! Watches against a server that keeps registrations as 3.8 does, and as 3.9 does: everyone is told
//! what they are entitled to, once, and the server keeps no more than is needed.

use std::io;
use std::time::Duration;

use proptest::prelude::*;
use zk_proto::{Acl, AddWatchMode, Chroot, CreateMode, MultiOp, Request};
use zk_session::{Call, Cancelled, RequestId, WatchId};

use crate::config::plain;
use crate::watchers::{Kind, Watcher, Watchers};
use zk_rig::cluster::Cluster;
use zk_rig::registry::Flavour;
use zk_rig::world::{Rig, epoch};

const PATHS: [&str; 6] = ["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/"];
const KINDS: [Kind; 5] = [
    Kind::Data,
    Kind::Exist,
    Kind::Child,
    Kind::Persistent,
    Kind::Recursive,
];

#[derive(Clone, Debug)]
enum Op {
    Watch {
        kind: usize,
        path: usize,
        chroot: bool,
        impatient: bool,
    },
    Unwatch(usize),
    Cancel(usize),
    /// Someone else creates, deletes, changes.
    Write(usize, usize),
    /// The session itself does.
    Own(usize, usize),
    Transmit(usize),
    Serve(usize),
    Deliver(usize),
    Turn,
    Wait(u64),
    Cut(bool),
    Rest,
    Kill,
}

fn op() -> impl Strategy<Value = Op> {
    // Few paths, so that watchers meet.
    let path = || prop_oneof![6 => 0..2usize, 3 => 2..PATHS.len()];
    let watch = (
        0..KINDS.len(),
        path(),
        any::<bool>(),
        prop::bool::weighted(0.1),
    );
    let watch = watch.prop_map(|(kind, path, chroot, impatient)| Op::Watch {
        kind,
        path,
        chroot,
        impatient,
    });
    let few = || 1..4usize;
    prop_oneof![
        30 => watch,
        14 => (0..20usize).prop_map(Op::Unwatch),
        5 => (0..20usize).prop_map(Op::Cancel),
        20 => (0..3usize, path()).prop_map(|(what, path)| Op::Write(what, path)),
        3 => (0..3usize, path()).prop_map(|(what, path)| Op::Own(what, path)),
        12 => few().prop_map(Op::Transmit),
        12 => few().prop_map(Op::Serve),
        12 => few().prop_map(Op::Deliver),
        16 => Just(Op::Turn),
        2 => (1..1500u64).prop_map(Op::Wait),
        5 => any::<bool>().prop_map(Op::Cut),
        4 => Just(Op::Rest),
        1 => Just(Op::Kill),
    ]
}

struct World {
    rig: Rig,
    watchers: Watchers,
    ids: Vec<WatchId>,
    requests: Vec<RequestId>,
}

fn write(what: usize, path: &str) -> MultiOp<'_> {
    let path = path.into();
    match what {
        0 => MultiOp::Create {
            path,
            data: None,
            acl: Acl::open_unsafe().into(),
            mode: CreateMode::Persistent.into(),
            with_stat: false,
        },
        1 => MultiOp::Delete { path, version: -1 },
        _ => MultiOp::SetData {
            path,
            data: None,
            version: -1,
        },
    }
}

impl World {
    fn new(flavour: Flavour, chunk: usize) -> Self {
        let cluster = Cluster::new(flavour, 2, &["/a", "/a/b"], epoch());
        let mut rig = Rig::new(plain(chunk), 3, cluster);
        rig.prompt = true;
        Self {
            rig,
            watchers: Watchers::default(),
            ids: Vec::new(),
            requests: Vec::new(),
        }
    }

    /// Looks at all that the session has told.
    fn look(&mut self) {
        self.rig.drain();
        while !self.rig.events.is_empty() {
            for (freight, event) in std::mem::take(&mut self.rig.events) {
                let changes = &self.rig.cluster.changes;
                if let Some(id) = self.watchers.event(freight, &event, changes) {
                    let body = Request::Exists {
                        path: "/other".into(),
                        watch: false,
                    };
                    let read = self.submit(&body, &Chroot::default(), false);
                    self.watchers.read(read.0, id);
                }
            }
            self.rig.drain();
        }
    }

    fn submit(
        &mut self,
        body: &Request<'_>,
        chroot: &Chroot,
        impatient: bool,
    ) -> (RequestId, Option<WatchId>) {
        let deadline = impatient.then(|| self.rig.now + Duration::from_millis(200));
        let call = Call::new(body, chroot).deadline(deadline);
        let now = self.rig.now;
        let submitted = self.rig.session.submit(now, call).expect("it is open");
        self.rig.checks.submitted(submitted.id, None);
        (submitted.id, submitted.watch)
    }

    fn watch(&mut self, kind: Kind, full: &str, chrooted: bool, impatient: bool) {
        let (chroot, path) = match full.strip_prefix("/a") {
            Some("") if chrooted => (Chroot::parse("/a"), "/"),
            Some(path) if chrooted => (Chroot::parse("/a"), path),
            _ => (Ok(Chroot::default()), full),
        };
        let chroot = chroot.expect("a path");
        let path = path.into();
        let watch = true;
        let body = match kind {
            Kind::Data => Request::GetData { path, watch },
            Kind::Exist => Request::Exists { path, watch },
            Kind::Child => Request::GetChildren {
                path,
                watch,
                with_stat: true,
            },
            Kind::Persistent | Kind::Recursive => Request::AddWatch {
                path,
                mode: if kind == Kind::Recursive {
                    AddWatchMode::PERSISTENT_RECURSIVE
                } else {
                    AddWatchMode::PERSISTENT
                },
            },
        };
        let (request, id) = self.submit(&body, &chroot, impatient);
        let id = id.expect("a watch");
        self.rig.checks.watcher(id, kind.lasts());
        let watcher = Watcher::new(kind, full, chroot.as_str().len());
        self.watchers.asked(request, id, watcher);
        self.ids.push(id);
        self.requests.push(request);
    }

    fn conn(&self) -> Option<zk_session::ConnId> {
        self.rig.pick(0)
    }

    fn run(&mut self, op: &Op) {
        self.look();
        let now = self.rig.now;
        match op {
            Op::Watch {
                kind,
                path,
                chroot,
                impatient,
            } => self.watch(KINDS[*kind], PATHS[*path], *chroot, *impatient),
            Op::Unwatch(which) => {
                if let Some(id) = self.ids.get(*which).copied() {
                    self.rig.session.unwatch(now, id);
                    self.rig.checks.unwatched(id);
                    self.watchers.live.remove(&id);
                }
            }
            Op::Cancel(which) => {
                if let Some(id) = self.requests.get(*which).copied() {
                    let outcome = self.rig.session.cancel(now, id);
                    if outcome != Cancelled::Unknown {
                        let unsent = outcome == Cancelled::Unsent;
                        self.rig.checks.cancelled(id, unsent);
                        self.watchers.cancelled(id);
                    }
                }
            }
            Op::Write(what, path) => {
                self.rig.cluster.write(write(*what, PATHS[*path]));
            }
            Op::Own(what, path) => {
                let ops = vec![write(*what, PATHS[*path])];
                self.submit(&Request::Multi(ops.into()), &Chroot::default(), false);
            }
            Op::Turn => {
                self.rig.turn();
            }
            Op::Wait(ms) => self.rig.advance(Duration::from_millis(*ms)),
            Op::Rest => self.rest(),
            Op::Kill => {
                if let Some((id, _)) = self.rig.session.credentials() {
                    self.rig.killed = true;
                    self.rig.cluster.expire(id.0);
                }
            }
            Op::Transmit(_) | Op::Serve(_) | Op::Deliver(_) | Op::Cut(_) => self.on_wire(op),
        }
        self.look();
    }

    fn on_wire(&mut self, op: &Op) {
        let Some(conn) = self.conn() else { return };
        match op {
            Op::Transmit(times) => {
                self.rig.transmit(conn, *times);
            }
            Op::Serve(times) => (0..*times).for_each(|_| {
                self.rig.cluster.serve(conn);
            }),
            Op::Deliver(times) => (0..*times).for_each(|_| {
                self.rig.deliver(conn, usize::MAX);
            }),
            Op::Cut(served) => self.rig.cut(conn, io::ErrorKind::ConnectionReset, *served),
            _ => {}
        }
    }

    /// Waits until nothing is on its way any more, and looks at everything.
    fn rest(&mut self) {
        for _ in 0..60 {
            loop {
                self.rig.quiesce();
                self.look();
                if !self.rig.turn() {
                    break;
                }
                self.look();
            }
            self.look();
            if self.rig.session.state().is_connected() {
                let stats = self.rig.session.stats();
                assert_eq!((stats.in_flight, stats.queued), (0, 0));
                assert_eq!(stats.watches, self.watchers.live.len());
                self.watchers.at_rest(&self.rig.cluster);
                return;
            }
            self.rig.advance(Duration::from_millis(500));
        }
        panic!("it never connects");
    }

    /// Changes everything: whoever is left is told.
    fn shake(&mut self) {
        for what in [2, 0, 2, 1] {
            for path in PATHS.iter().chain(&["/a/b/c/x", "/e/x", "/x", "/a/x"]) {
                self.rig.cluster.write(write(what, path));
            }
            self.rest();
        }
    }
}

fn run(replacing: bool, chunk: usize, ops: &[Op]) {
    let flavour = if replacing {
        Flavour::Replacing
    } else {
        Flavour::Coexisting
    };
    let mut world = World::new(flavour, chunk);
    for op in ops {
        world.run(op);
    }
    world.rest();
    world.shake();
    let ids = std::mem::take(&mut world.ids);
    for id in ids {
        world.rig.session.unwatch(world.rig.now, id);
        world.rig.checks.unwatched(id);
        world.watchers.live.remove(&id);
        world.look();
    }
    world.rest();
    assert_eq!(world.rig.session.stats().watched_paths, 0);
    world.rig.finish(true);
}

fn cases() -> impl Strategy<Value = (usize, Vec<Op>)> {
    let chunk = prop_oneof![Just(1usize), Just(65_536)];
    (chunk, prop::collection::vec(op(), 1..60))
}

#[test]
fn watches_on_a_server_where_the_last_registration_wins() {
    crate::check(400, cases(), |(chunk, ops)| run(true, chunk, &ops));
}

#[test]
fn watches_on_a_server_where_modes_coexist() {
    crate::check(400, cases(), |(chunk, ops)| run(false, chunk, &ops));
}

const fn watch(kind: usize, path: usize) -> Op {
    Op::Watch {
        kind,
        path,
        chroot: false,
        impatient: false,
    }
}

const DATA: usize = 0;
const EXIST: usize = 1;
const CHILD: usize = 2;
const PERSISTENT: usize = 3;
const RECURSIVE: usize = 4;

/// The recursive watch replaces the child watch on servers before 3.9. The change came before it
/// could be put right, because a request that was to set a watch on the path was awaited.
#[test]
fn a_replaced_child_watch_is_caught_up_with_since_it_was_replaced() {
    let ops = [
        watch(CHILD, 0),
        watch(DATA, 0),
        watch(RECURSIVE, 0),
        Op::Own(1, 1),
        watch(DATA, 0),
    ];
    run(true, 1, &ops);
}

/// The connection broke before the child watch was back: the reconnect caught up with what came
/// after the newest reply only.
#[test]
fn a_replaced_child_watch_is_caught_up_with_on_the_next_connection() {
    let ops = [
        Op::Rest,
        watch(CHILD, 0),
        watch(RECURSIVE, 0),
        Op::Own(1, 1),
        Op::Turn,
        Op::Cut(false),
    ];
    run(true, 1, &ops);
}

/// A change between the removal of a recursive watch and the return of the persistent one that
/// stays: a one-shot that either of them serves has to hear of it.
#[test]
fn a_one_shot_is_told_of_a_change_while_what_serves_it_is_exchanged() {
    let ops = [
        watch(PERSISTENT, 0),
        watch(DATA, 0),
        watch(RECURSIVE, 0),
        Op::Rest,
        Op::Unwatch(2),
        Op::Transmit(3),
        Op::Serve(1),
        Op::Write(2, 0),
    ];
    run(true, 1, &ops);
    run(false, 1, &ops);
}

/// A read of the node found it missing and watches for its creation; another watcher is told at the
/// same time that it was deleted. That is no news for the first, who stays.
#[test]
fn who_waits_for_a_creation_is_not_told_of_the_deletion_before_it() {
    let ops = [
        watch(DATA, 0),
        watch(PERSISTENT, 1),
        Op::Turn,
        watch(DATA, 1),
        Op::Unwatch(1),
        Op::Turn,
        Op::Cut(false),
        watch(EXIST, 1),
        Op::Write(1, 1),
    ];
    run(true, 1, &ops);
    run(false, 1, &ops);
}

/// The connection broke while a registration was exchanged, and a new request waits to set a watch
/// there too: what was missed must be caught up with before that one is sent.
#[test]
fn an_exchange_that_broke_is_caught_up_with_before_new_requests() {
    let ops = [
        watch(DATA, 0),
        watch(CHILD, 0),
        watch(RECURSIVE, 0),
        Op::Turn,
        Op::Turn,
        Op::Cut(false),
        Op::Write(2, 0),
        watch(RECURSIVE, 0),
    ];
    run(true, 1, &ops);
    run(false, 1, &ops);
}
