//! A peer with a tree of nodes, which loses what the test wants to be lost.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use zk_proto::{
    ANY_VERSION, CreateMode, ErrorCode, MultiOp, MultiResult, OpCode, Payload, Reply, Request,
    SessionId, Stat, WireMode, Zxid,
};

use super::Rig;
use super::rig::Asked;

/// What happens to the next request with a given operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// The connection breaks before it is carried out.
    LostBefore,
    /// The connection breaks after it was carried out.
    LostAfter,
    /// As before, and the session ends. Its ephemeral nodes are still there.
    ExpiredAfter,
    /// It is answered with this.
    Answer(ErrorCode),
    /// The connection breaks, and it is carried out only after the next request with this
    /// operation was.
    Late(OpCode),
    /// It is carried out, and the server answers nothing for a while.
    Silent,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) data: Vec<u8>,
    pub(super) stat: Stat,
    counter: u32,
}

/// A client, its peer, and what the peer knows.
pub(super) struct World {
    pub(super) rig: Rig,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) session: i64,
    pub(super) faults: VecDeque<(OpCode, Fault)>,
    /// All requests, such as `create /a`.
    pub(super) log: Vec<String>,
    /// Made by somebody else right after a request with this operation was answered.
    pub(super) meanwhile: VecDeque<(OpCode, String)>,
    /// Whether multi answers creates as 3.8.0 does.
    pub(super) old: bool,
    /// For how many turns nothing is answered, and what is answered then.
    stalled: u32,
    late: Option<(OpCode, Asked)>,
    held: Vec<(Asked, Result<Reply, ErrorCode>)>,
}

/// Turns of 20 ms.
const STALL: u32 = 12;

pub(super) const SESSION: i64 = 0x77;

impl World {
    pub(super) fn new(paths: &[&str]) -> Self {
        Self::of(Rig::new("h1,h2"), paths)
    }

    pub(super) fn of(rig: Rig, paths: &[&str]) -> Self {
        let mut world = Self {
            rig: rig.connect(),
            nodes: BTreeMap::from([("/".to_owned(), Node::default())]),
            session: SESSION,
            faults: VecDeque::new(),
            log: Vec::new(),
            meanwhile: VecDeque::new(),
            old: false,
            stalled: 0,
            late: None,
            held: Vec::new(),
        };
        for path in paths {
            world.put(path, 0);
        }
        world
    }

    /// Somebody else makes a node.
    pub(super) fn put(&mut self, path: &str, owner: i64) {
        self.rig.zxid += 1;
        let node = self.fresh(owner);
        self.nodes.insert(path.to_owned(), node);
    }

    pub(super) fn fail(&mut self, opcode: OpCode, fault: Fault) {
        self.faults.push_back((opcode, fault));
    }

    /// The client has heard of all that has happened.
    pub(super) fn catch_up(&mut self) {
        let client = self.rig.client.clone();
        assert!(self.run(client.exists("/")).unwrap().is_some());
        self.log.clear();
    }

    fn fresh(&self, owner: i64) -> Node {
        let mut node = Node::default();
        node.stat.czxid = Zxid(self.rig.zxid);
        node.stat.ephemeral_owner = SessionId(owner);
        node
    }

    /// Runs a future, background tasks and the peer, until the future is done. Time passes while
    /// nothing else happens.
    pub(super) fn run<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        for _ in 0..10_000 {
            if let Poll::Ready(output) = future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                return output;
            }
            self.turn();
        }
        panic!("no end in sight after {:?}", self.log);
    }

    /// Runs background tasks until there are none.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            if self.rig.handler.tasks() == 0 {
                return;
            }
        }
        panic!("a task does not end");
    }

    pub(super) fn turn(&mut self) {
        self.rig.handler.run_tasks();
        if !self.rig.client.connected() {
            self.stalled = 0;
            self.held.clear();
            self.rig.reconnect(self.session);
        } else if self.stalled > 0 {
            self.serve();
            self.rig.advance(Duration::from_millis(20));
            self.stalled -= 1;
            if self.stalled == 0 {
                for (asked, result) in std::mem::take(&mut self.held) {
                    self.rig.reply(&asked, result);
                }
            }
        } else if !self.serve() {
            self.rig.advance(Duration::from_millis(20));
        }
    }

    /// Answers what has been asked; `false` if that is nothing.
    pub(super) fn serve(&mut self) -> bool {
        let asked = self.rig.asked();
        let any = !asked.is_empty();
        for asked in asked {
            let opcode = asked.opcode;
            if opcode != OpCode::PING {
                self.log.push(format!("{opcode} {}", asked.path()));
            }
            let fault = match self.faults.front() {
                Some((of, fault)) if *of == opcode => {
                    let fault = *fault;
                    self.faults.pop_front();
                    Some(fault)
                }
                _ => None,
            };
            match fault {
                None if self.stalled > 0 => {
                    let result = self.apply(&asked);
                    self.held.push((asked, result));
                }
                None => {
                    let result = self.apply(&asked);
                    self.rig.reply(&asked, result);
                }
                Some(Fault::Answer(code)) => self.rig.reply(&asked, Err(code)),
                Some(Fault::Silent) => {
                    self.stalled = STALL;
                    let result = self.apply(&asked);
                    self.held.push((asked, result));
                }
                Some(fault) => {
                    match fault {
                        Fault::LostBefore => {}
                        Fault::Late(behind) => self.late = Some((behind, asked)),
                        Fault::LostAfter
                        | Fault::ExpiredAfter
                        | Fault::Answer(_)
                        | Fault::Silent => drop(self.apply(&asked)),
                    }
                    if fault == Fault::ExpiredAfter {
                        self.session += 0x11;
                    }
                    self.rig.cut();
                    return true;
                }
            }
            if self
                .late
                .as_ref()
                .is_some_and(|(behind, _)| *behind == opcode)
            {
                let (_, late) = self.late.take().unwrap();
                drop(self.apply(&late));
            }
            if self.meanwhile.front().is_some_and(|(of, _)| *of == opcode) {
                let (_, path) = self.meanwhile.pop_front().unwrap();
                self.put(&path, 0);
            }
        }
        any
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all others are answered alike"
    )]
    fn apply(&mut self, asked: &Asked) -> Result<Reply, ErrorCode> {
        let body = asked.body();
        match &body {
            Request::Create {
                path,
                data,
                mode,
                with_stat,
                ..
            } => {
                let (path, stat) = self.create(path, data.as_deref(), *mode)?;
                Ok(if *with_stat {
                    Reply::Created { path, stat }
                } else {
                    Reply::Path(path)
                })
            }
            Request::Delete { path, version } => self.delete(path, *version).map(|()| Reply::Empty),
            Request::SetData {
                path,
                data,
                version,
            } => self.set(path, data.as_deref(), *version).map(Reply::Stat),
            Request::SetAcl { path, version, .. } => {
                let node = self.nodes.get_mut(&**path).ok_or(ErrorCode::NO_NODE)?;
                if *version != ANY_VERSION && *version != node.stat.aversion {
                    return Err(ErrorCode::BAD_VERSION);
                }
                node.stat.aversion += 1;
                Ok(Reply::Stat(node.stat))
            }
            Request::Exists { path, .. } => Ok(Reply::Stat(self.node(path)?.stat)),
            Request::GetData { path, .. } => Ok(Reply::Data {
                data: Payload::from(self.node(path)?.data.clone()),
                stat: self.node(path)?.stat,
            }),
            Request::GetChildren { path, .. } => {
                self.node(path)?;
                Ok(Reply::Children(self.children(path).collect()))
            }
            Request::Sync { path } => Ok(Reply::Path(path.clone().into_owned())),
            Request::Multi(ops) => Ok(Reply::Multi(self.multi(ops))),
            _ => Ok(Reply::Empty),
        }
    }

    fn node(&self, path: &str) -> Result<&Node, ErrorCode> {
        self.nodes.get(path).ok_or(ErrorCode::NO_NODE)
    }

    fn children<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let parent = if path == "/" { "" } else { path };
        self.nodes
            .keys()
            .filter_map(move |key| key.strip_prefix(parent)?.strip_prefix('/'))
            .filter(|name| !name.is_empty() && !name.contains('/'))
    }

    fn create(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        mode: WireMode,
    ) -> Result<(String, Stat), ErrorCode> {
        let mode = mode.known().unwrap_or(CreateMode::Persistent);
        let (parent, _) = path.rsplit_once('/').unwrap();
        let parent = if parent.is_empty() { "/" } else { parent };
        let above = self.nodes.get_mut(parent).ok_or(ErrorCode::NO_NODE)?;
        let mut path = path.to_owned();
        if matches!(
            mode,
            CreateMode::PersistentSequential | CreateMode::EphemeralSequential
        ) {
            path = format!("{path}{:010}", above.counter);
        }
        above.counter += 1;
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NODE_EXISTS);
        }
        let ephemeral = matches!(
            mode,
            CreateMode::Ephemeral | CreateMode::EphemeralSequential
        );
        self.rig.zxid += 1;
        let mut node = self.fresh(if ephemeral { self.session } else { 0 });
        node.data = data.unwrap_or_default().to_vec();
        let stat = node.stat;
        self.nodes.insert(path.clone(), node);
        Ok((path, stat))
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        let node = self.node(path)?;
        if version != ANY_VERSION && version != node.stat.version {
            return Err(ErrorCode::BAD_VERSION);
        }
        if self.children(path).next().is_some() {
            return Err(ErrorCode::NOT_EMPTY);
        }
        self.nodes.remove(path);
        Ok(())
    }

    fn set(&mut self, path: &str, data: Option<&[u8]>, version: i32) -> Result<Stat, ErrorCode> {
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NO_NODE)?;
        if version != ANY_VERSION && version != node.stat.version {
            return Err(ErrorCode::BAD_VERSION);
        }
        node.stat.version += 1;
        node.data = data.unwrap_or_default().to_vec();
        Ok(node.stat)
    }

    fn multi(&mut self, ops: &[MultiOp<'_>]) -> Vec<MultiResult> {
        let before = self.nodes.clone();
        let mut results = Vec::new();
        for op in ops {
            let result = match op {
                MultiOp::Create {
                    path,
                    data,
                    mode,
                    with_stat,
                    ..
                } => self
                    .create(path, data.as_deref(), *mode)
                    .map(|(path, stat)| MultiResult::Created {
                        path,
                        stat: (*with_stat && !self.old).then_some(stat),
                    }),
                MultiOp::Delete { path, version } => {
                    self.delete(path, *version).map(|()| MultiResult::Deleted)
                }
                MultiOp::SetData {
                    path,
                    data,
                    version,
                } => self
                    .set(path, data.as_deref(), *version)
                    .map(MultiResult::Set),
                MultiOp::Check { path, version } => self.node(path).and_then(|node| {
                    if *version == ANY_VERSION || *version == node.stat.version {
                        Ok(MultiResult::Checked)
                    } else {
                        Err(ErrorCode::BAD_VERSION)
                    }
                }),
            };
            match result {
                Ok(result) => results.push(result),
                Err(code) => {
                    self.nodes = before;
                    let (done, all) = (results.len(), ops.len());
                    let mut codes = vec![ErrorCode::OK; done];
                    codes.push(code);
                    codes.resize(all, ErrorCode::RUNTIME_INCONSISTENCY);
                    return codes.into_iter().map(MultiResult::Error).collect();
                }
            }
        }
        results
    }

    pub(super) fn paths(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).skip(1).collect()
    }

    pub(super) fn count(&self, what: &str) -> usize {
        self.log
            .iter()
            .filter(|line| line.starts_with(what))
            .count()
    }
}
