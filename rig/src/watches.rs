//! Carries out a case in which watches are set, kept and lost, and writers meet them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Acl, AddWatchMode, Chroot, CreateMode, MultiOp, Request};
use zk_session::{Call, Cancelled, Config, RequestId, WatchId};

use crate::cluster::Cluster;
use crate::registry::Flavour;
use crate::watchers::{Kind, Watcher, Watchers};
use crate::world::{Rig, epoch, server};

pub const PATHS: [&str; 6] = ["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/"];
pub const KINDS: [Kind; 5] = [
    Kind::Data,
    Kind::Exist,
    Kind::Child,
    Kind::Persistent,
    Kind::Recursive,
];

/// A step.
#[derive(Clone, Debug)]
pub enum Op {
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

/// Runs steps, then changes everything, and takes all watchers back. The session sends about `chunk`
/// bytes at once.
///
/// # Panics
/// If anybody is not told what they are entitled to, or twice, or if the server keeps too much.
pub fn run(flavour: Flavour, chunk: usize, ops: &[Op]) {
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

/// A config for those who look at watches.
fn plain(chunk: usize) -> Arc<Config> {
    Config::builder((0..2).map(server).collect())
        .transmit_chunk(chunk)
        .build()
        .expect("these options are sound")
}
